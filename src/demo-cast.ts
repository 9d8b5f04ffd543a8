/**
 * Who plays in the demonstration: a whole server on free ports with a database of its own, the phones of an agent, a customer
 * (behind a trunk) and a supervisor, and a receiver for callbacks.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHmac } from 'node:crypto'
import { newToken } from './chance.ts'
import { parseConfig } from './config.ts'
import type { Access } from './demo-client.ts'
import { makeLog } from './log.ts'
import { closeAll, startHouse } from './main.ts'
import { makePhone, type Phone } from './phone/phone.ts'
import { newSecret } from './webhooks/signature.ts'

export const ROLES = ['agent', 'customer', 'supervisor'] as const
export type Role = (typeof ROLES)[number]

export interface ReceivedCallback {
  readonly body: Readonly<Record<string, unknown>>
  /** Its Standard Webhooks signature is the account's. */
  readonly signed: boolean
}

export interface Cast extends Access {
  /** `/v1/Accounts/demo` */
  readonly api: string
  readonly sipAddress: string
  readonly callerId: string
  readonly customerNumber: string
  readonly callbackUrl: string
  toneHz(role: Role): number
  /** Measured in the last 200 ms of what arrived. */
  hears(ear: Role, mouth: Role): boolean
  /** dB of full scale. */
  levelDb(ear: Role, mouth: Role): number
  /** Agent and customer both have a call. */
  inProgress(): Promise<boolean>
  /** Waits until no phone has a call. */
  silence(patienceMs: number): Promise<boolean>
  nextCallback(patienceMs: number): Promise<ReceivedCallback | null>
  close(): Promise<void>
}

const TONES: Readonly<Record<Role, number>> = { agent: 440, customer: 700, supervisor: 1000 }
const CALLER_ID = '+918012345678'
const CUSTOMER = '+919876543210'
const PASSWORDS = { priya: 'priya-priya', boss: 'boss-boss', guest: 'guest-guest' } as const
const USUAL_HTTP_PORT = 8080
const USUAL_SIP_PORT = 5060
const PICK_UP_MS = 300
const POLL_MS = 20

export async function openCast({ httpPort, print }: { readonly httpPort: number | null; readonly print: (line: string) => void }): Promise<Cast> {
  const undo: (() => Promise<unknown>)[] = []
  try {
    const folder = await mkdtemp(join(tmpdir(), 'earshot-demo-'))
    // The embedded database of a root user runs as somebody else, who must be able to pass through.
    await chmod(folder, 0o711)
    undo.push(() => rm(folder, { recursive: true, force: true }))
    const secret = newSecret()
    const receiver = await openReceiver(secret)
    undo.push(receiver.close)

    const customer = phone('customer', null, null)
    await customer.start()
    undo.push(() => customer.stop())

    const token = newToken()
    const yaml = demoConfig({
      httpPort: httpPort ?? (await freePort(USUAL_HTTP_PORT)),
      sipPort: await freePort(USUAL_SIP_PORT),
      trunk: customer.uri,
      folder,
      token,
      secret,
    })
    const config = parseConfig(yaml, { fileName: 'the demonstration', env: {} })
    const log = makeLog({ level: 'error', plain: true, write: (line) => print(line.trimEnd()) })
    print('   … starting the server and its database (a few seconds the first time)')
    const house = await startHouse(config, log)
    undo.push(() => house.stop())
    print(`   ✓ server: ${house.httpUrl}, SIP on ${house.sipAddress} (UDP and TCP), the database in ${folder}`)

    const server = serverOf(house.sipAddress)
    const agent = phone('priya', PASSWORDS.priya, server)
    const supervisor = phone('boss', PASSWORDS.boss, server)
    for (const one of [agent, supervisor]) {
      await one.start()
      undo.push(() => one.stop())
      await one.register()
    }
    print(
      `   ✓ phones: the agent "priya" hums ${TONES.agent} Hz, the supervisor "boss" ${TONES.supervisor} Hz; the customer ${CUSTOMER}, behind a trunk, ${TONES.customer} Hz`,
    )
    print('')
    const phones: Readonly<Record<Role, Phone>> = { agent, customer, supervisor }
    return {
      httpUrl: house.httpUrl,
      sipAddress: house.sipAddress,
      key: 'demo',
      token,
      api: '/v1/Accounts/demo',
      callerId: CALLER_ID,
      customerNumber: CUSTOMER,
      callbackUrl: receiver.url,
      toneHz: (role) => TONES[role],
      hears: (ear, mouth) => live(phones[ear])?.hears(TONES[mouth]) === 'heard',
      levelDb: (ear, mouth) => live(phones[ear])?.heard([TONES[mouth]]).get(TONES[mouth]) ?? Number.NEGATIVE_INFINITY,
      inProgress: async () => live(agent) !== null && live(customer) !== null,
      silence: (patienceMs) => until(() => ROLES.every((role) => live(phones[role]) === null), patienceMs),
      nextCallback: receiver.next,
      close: () => closeAll(undo),
    }
  } catch (error) {
    await closeAll(undo).catch(() => {})
    throw error
  }
}

const ROLE_OF: Readonly<Record<string, Role>> = { priya: 'agent', boss: 'supervisor', customer: 'customer' }

function phone(name: string, password: string | null, server: { readonly host: string; readonly port: number } | null): Phone {
  const toneHz = TONES[ROLE_OF[name] ?? 'customer']
  return makePhone({
    name,
    password,
    server,
    transport: 'udp',
    law: 'pcmu',
    toneHz,
    ptimeMs: 20,
    behaviour: { answer: 'auto', answerAfterMs: PICK_UP_MS },
  })
}

function live(of: Phone) {
  const session = of.current()
  return session?.state === 'established' ? session : null
}

interface DemoSettings {
  readonly httpPort: number
  readonly sipPort: number
  readonly trunk: string
  readonly folder: string
  readonly token: string
  readonly secret: string
}

/** The demonstration is configured by the same file as any server. */
function demoConfig({ httpPort, sipPort, trunk, folder, token, secret }: DemoSettings): string {
  const agents = Object.entries(PASSWORDS).map(([name, password]) => `      - { name: ${name}, password: ${password} }`)
  return `
http: { host: 127.0.0.1, port: ${httpPort} }
sip: { host: 127.0.0.1, port: ${sipPort} }
rtp: { host: 127.0.0.1, portMin: 40000, portMax: 49998 }
data: ${folder}/data
accounts:
  - sid: demo
    keys: [{ key: demo, token: ${token} }]
    numbers: [{ number: "${CALLER_ID}", rings: priya }]
    callbackSecret: ${secret}
    notice: { to: nobody }
    agents:
${agents.join('\n')}
trunks:
  - { name: customer, uri: "sip:${trunk.replace(/^sip:[^@]*@/, '')}", numbers: ["${CALLER_ID}"] }
dial: { allow: ["+91"] }
callbacks: { allow: [127.0.0.1] }
`
}

const serverOf = (address: string): { readonly host: string; readonly port: number } => {
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) }
}

interface Receiver {
  readonly url: string
  readonly next: (patienceMs: number) => Promise<ReceivedCallback | null>
  readonly close: () => Promise<void>
}

async function openReceiver(secret: string): Promise<Receiver> {
  const received: ReceivedCallback[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8')
      const signed =
        request.headers['webhook-signature'] === signature(secret, `${request.headers['webhook-id']}.${request.headers['webhook-timestamp']}.${text}`)
      received.push({ body: JSON.parse(text) as Record<string, unknown>, signed })
      response.end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/callback`,
    async next(patienceMs) {
      await until(() => received.length > 0, patienceMs)
      return received.shift() ?? null
    },
    close: () => new Promise((resolve) => void server.close(() => resolve())),
  }
}

/** Standard Webhooks, as a receiver checks it. */
const signature = (secret: string, signed: string): string =>
  `v1,${createHmac('sha256', Buffer.from(secret.replace(/^whsec_/, ''), 'base64'))
    .update(signed)
    .digest('base64')}`

/** The wished port when nobody has it, else any. */
async function freePort(wished: number): Promise<number> {
  const free = await new Promise<boolean>((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(wished, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
  return free ? wished : 0
}

async function until(condition: () => boolean, patienceMs: number): Promise<boolean> {
  const end = performance.now() + patienceMs
  while (!condition()) {
    if (performance.now() > end) return false
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
  return true
}
