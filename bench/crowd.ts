/** Monitored calls that go on in the background: the phones of many parties in a process of their own, so that their sound does not disturb the clock of who measures. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { makePhone, type Phone } from '../src/phone/phone.ts'
import { eventually } from '../test/eventually.ts'
import { ended, HOST, type House, passwordOf } from './house.ts'

/** Phones that the house must know. */
export const CROWD = ['crowd-agent', 'crowd-boss'] as const
/** A phone of ours takes no more calls than 128. */
export const MAX_CROWD = 100
const PATIENCE_MS = 30_000

interface Wanted {
  readonly sip: { readonly host: string; readonly port: number }
}

/** How many sessions each phone has, told whenever it changes; `customer` is where it can be dialled. */
interface Told {
  readonly customer: string
  readonly established: number
}

/** @returns Ends the phones; the house hangs up the rest. */
export async function gather(house: House, calls: number): Promise<() => Promise<void>> {
  const child = fork(fileURLToPath(import.meta.url), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  let told: Told | null = null
  child.on('message', (message) => {
    told = message as Told
  })
  child.send({ sip: house.sip } satisfies Wanted)
  const { customer } = await eventually('the crowd registers', () => told, PATIENCE_MS)
  for (let i = 0; i < calls; i++) {
    const { json } = await house.ask('POST', '/Calls/connect.json', { From: 'client:crowd-agent', To: customer })
    await eventually('a call of the crowd stands', () => (told !== null && told.established >= 3 * i + 2 ? true : null), PATIENCE_MS)
    await house.ask('POST', `/Calls/${json.Call?.Sid}/Legs.json`, { Action: 'barge', PhoneNumber: 'client:crowd-boss' })
    await eventually('a supervisor of the crowd has joined', () => (told !== null && told.established >= 3 * i + 3 ? true : null), PATIENCE_MS)
  }
  return () => ended(child, 'SIGTERM')
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.once('disconnect', () => process.exit()).once('message', (wanted) => void serve(wanted as Wanted))

async function serve({ sip }: Wanted): Promise<void> {
  const live = new Set<string>()
  let customer = ''
  const tell = (): void => void process.send?.({ customer, established: live.size } satisfies Told)
  const phone = async (name: string, isRegistered: boolean, toneHz: number): Promise<Phone> => {
    const made = makePhone({
      name,
      toneHz,
      password: isRegistered ? passwordOf(name) : null,
      server: isRegistered ? sip : null,
      host: HOST,
      transport: 'udp',
      law: 'pcmu',
      ptimeMs: 20,
      behaviour: { answer: 'auto', answerAfterMs: 0 },
      onChange(session) {
        if (session.state === 'established') live.add(`${name} ${session.id}`)
        if (session.state === 'ended') live.delete(`${name} ${session.id}`)
        tell()
      },
    })
    await made.start()
    if (isRegistered) await made.register()
    return made
  }
  await phone('crowd-agent', true, 440)
  await phone('crowd-boss', true, 1000)
  customer = (await phone('crowd-customer', false, 700)).uri
  tell()
}
