/** The native engine with phones of ours registered at it over loopback, for the tests of both files that play its suite. */
import assert from 'node:assert/strict'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import type { Address } from '../domain/address.ts'
import type { AccountId } from '../domain/ids.ts'
import { channelOf, layoutOf } from '../media/clips/wav.ts'
import { powerDb, sine } from '../media/tone.ts'
import { type Captured, TRACE_DB, verdict } from '../phone/ear.ts'
import { makePhone, type Phone, type PhoneOptions, type Session } from '../phone/phone.ts'
import { makeMediaPlane } from './native/media/media-thread.ts'
import { makeNativeEngine, type NativeEngine } from './native/native-engine.ts'
import { type Actor, ALL_TONES, type Display, type Party, playScene, type Rig, type Taped, TONES, until } from './scene.ts'

const HOST = '127.0.0.1'
const ACCOUNT = 'earshot' as AccountId
const CALLER_ID = '+918047112233' as Address
const PASSWORD = 'open sesame'
const PHONES = 10

/** How the phones of one rig speak; the n-th phone takes the n-th way, round and round. */
type Way = Pick<PhoneOptions, 'law' | 'transport' | 'ptimeMs' | 'capturePackets'>
export type Ways = readonly Way[]

export const ALIKE: Ways = [{ law: 'pcmu', transport: 'udp', ptimeMs: 20 }]
export const MIXED: Ways = [
  { law: 'pcmu', transport: 'tcp', ptimeMs: 20 },
  { law: 'pcma', transport: 'udp', ptimeMs: 30 },
  { law: 'pcma', transport: 'tcp', ptimeMs: 10 },
]

const silent = { info() {}, warn() {}, error() {}, debug() {} }

export function makeRig(ways: Ways, workerFile?: URL): Rig {
  const names = Array.from({ length: PHONES }, (_, index) => `phone${index}`)
  const engine = makeNativeEngine({
    sip: { host: HOST, port: 0 },
    rtp: { host: HOST },
    accounts: [{ id: ACCOUNT, agents: names.map((name) => ({ name, password: PASSWORD })), numbers: [] }],
    trunks: [],
    media: makeMediaPlane({ host: HOST, portMin: 20_000, portMax: 29_999, ...(workerFile && { workerFile }) }),
    parseNumber: (text) => (/^\+\d{7,15}$/.test(text) ? (text as Address) : null),
    newId: () => randomUUID().replaceAll('-', ''),
    token: () => BigInt(`0x${randomBytes(12).toString('hex')}`).toString(36),
    hash: (algorithm, text) => createHash(algorithm).update(text).digest('hex'),
    now: Date.now,
    log: silent,
  })
  const phones: Phone[] = []
  const folder = mkdtempSync(join(tmpdir(), 'earshot-suite-'))
  return {
    engine,
    folder,
    clip: ({ hz, ms }) => ({ samples: sine(hz, ms * 8) }),
    tape: readTape,
    everTaped,
    accountId: ACCOUNT,
    callerId: CALLER_ID,
    nowhere: `client:${names.at(-1)}` as Address,
    // Half of the window that an ear looks at must be new, and the machine may be busy.
    settleMs: 1_500,
    async party({ hz }) {
      const way = ways[phones.length % ways.length]
      const name = names[phones.length]
      assert(way && name && phones.length < PHONES - 1, 'a rig has nine phones')
      const phone = makePhone({
        name,
        password: PASSWORD,
        server: { host: HOST, port: engine.sipPort() },
        ...way,
        toneHz: hz,
        behaviour: { answer: 'manual', answerAfterMs: 0 },
      })
      phones.push(phone)
      await phone.start()
      await phone.register()
      return makeParty(engine, phone, hz)
    },
    async close() {
      await Promise.all(phones.map((phone) => phone.stop()))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** What is newest on a tape is judged by this much of it; a trace by pieces of a tenth of a second. */
const NEWEST = 2_400
const PIECE = 800

async function channelsOf(file: string): Promise<readonly Int16Array[]> {
  const bytes = await readFile(file)
  const layout = layoutOf(bytes)
  assert(!('refused' in layout), JSON.stringify(layout))
  return Array.from({ length: layout.channels }, (_, at) => Int16Array.from(channelOf(bytes, layout, at), (sample) => sample * 32768))
}

async function readTape(file: string): Promise<Taped> {
  const channels = await channelsOf(file)
  const newest = channels.map((samples) => {
    const verdicts = ALL_TONES.map((hz) => ({ hz, said: verdict(powerDb(samples.subarray(-NEWEST), hz)) }))
    const those = (wanted: ReturnType<typeof verdict>) => verdicts.filter(({ said }) => said === wanted).map(({ hz }) => hz)
    return { heard: those('heard'), unclear: those('unclear') }
  })
  return { ms: (channels[0]?.length ?? 0) / 8, newest }
}

async function everTaped(file: string): Promise<readonly (readonly number[])[]> {
  const pieces = (samples: Int16Array) =>
    Array.from({ length: samples.length / (PIECE / 2) }, (_, i) => samples.subarray((i * PIECE) / 2, (i * PIECE) / 2 + PIECE))
  const isIn = (piece: Int16Array, hz: number): boolean => piece.length >= PIECE / 4 && powerDb(piece, hz) > TRACE_DB
  return (await channelsOf(file)).map((samples) => ALL_TONES.filter((hz) => pieces(samples).some((piece) => isIn(piece, hz))))
}

/** The raw packets that a party received; parties of this file are made by `makeParty`. */
const captures = new WeakMap<Party, () => readonly Captured[]>()
export const capturedBy = ({ party }: Actor): readonly Captured[] => captures.get(party)?.() ?? []

function makeParty(engine: NativeEngine, phone: Phone, hz: number): Party {
  const session = (): Session => {
    const current = phone.current()
    assert(current, 'this phone has no call')
    return current
  }
  const party: Party = {
    address: `client:${phone.name}` as Address,
    hz,
    async callsIn() {
      await phone.call(`sip:${CALLER_ID}@${HOST}:${engine.sipPort()}`)
    },
    async answers() {
      await until('it rings', () => phone.current()?.state === 'ringing')
      session().answer()
    },
    async refuses() {
      session().reject()
    },
    async hangsUp() {
      session().hangUp()
    },
    holds: () => session().hold(),
    resumes: () => session().resume(),
    async goesSilent(silent) {
      session().mute(silent)
    },
    display: () => displayOf(phone.current()),
    async hears() {
      const levels = [...session().heard(ALL_TONES)]
      const those = (said: ReturnType<typeof verdict>) => levels.filter(([, level]) => verdict(level) === said).map(([tone]) => tone)
      return { heard: those('heard'), unclear: those('unclear') }
    },
    everHeard: async () => session().everHeard(ALL_TONES),
  }
  captures.set(party, () => session().received().captured)
  return party
}

function displayOf(session: Session | null): Display {
  if (session === null) return 'idle'
  switch (session.state) {
    case 'calling':
      return 'calling'
    case 'ringing':
      return session.direction === 'in' ? 'ringing' : 'calling'
    case 'established':
      return 'talking'
    case 'ended':
      return session.end?.cause ?? 'failed'
  }
}

it('The rig: somebody is rung and picks up', async () => {
  await playScene(
    async () => makeRig(ALIKE),
    async (scene) => {
      const agent = await scene.ring(TONES.agent, 'outbound')
      await scene.pickUp(agent)
      await until('they talk', () => agent.party.display() === 'talking')
    },
  )
})
