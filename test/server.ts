/** A whole Earshot server as an operator runs it, in a process of its own, with phones of ours around it: for tests from outside. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makePhone, type Phone, type PhoneOptions } from '../src/phone/phone.ts'
import { openTestDatabase, type TestServer as DatabaseServer, usualServer } from './database.ts'
import { freePort } from './free-port.ts'

export const KEY = 'key'
export const TOKEN = 'a-token-of-some-length'
export const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const CLI = new URL('../bin/earshot.mjs', import.meta.url).pathname
const START_MS = 90_000
/** Whoever waits for something by asking again and again asks more often than any client should. */
const PATIENT_LIMITS = 'limits: { readsPerMinute: 1000000, requestsPerMinute: 1000000 }'

/** The vendor's JSON as a customer's program reads it: whatever is asked for is there, or the test fails. */
export interface VendorJson {
  readonly Call: VendorFields
  readonly Leg: VendorFields
  readonly legs: VendorFields
  readonly Legs: readonly VendorFields[]
  readonly RestException: VendorFields
}
export interface VendorFields {
  readonly Sid: string
  readonly Status: string
  readonly LastAction: string
  readonly Message: string
}

/** `body` is the parsed JSON for `.json` paths, else the text. */
export interface Answer {
  readonly status: number
  readonly body: VendorJson
}

export interface TestServer {
  readonly url: string
  readonly sip: { readonly host: string; readonly port: number }
  /** Where its records are: a folder, or `postgres://…`. */
  readonly data: string
  /** Its configuration's file. */
  readonly config: string
  /** Everything it wrote to its log so far, all starts included. */
  log(): string
  /** Starts it (again) on the same ports and data; resolves when `/readyz` says so. */
  start(): Promise<void>
  /** Sends the signal and waits for the end. @returns The exit code, or the signal that ended it. */
  end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null>
  readonly process: () => ChildProcess | null
  phone(options: Partial<PhoneOptions> & { readonly name: string }): Promise<Phone>
  /** A phone that answers whatever the trunk sends. */
  readonly trunkPhone: Phone
  request(method: string, path: string, fields?: Readonly<Record<string, string>>): Promise<Answer>
  close(): Promise<void>
}

export interface TestServerOptions {
  /** On which PostgreSQL it keeps its records. */
  readonly on?: DatabaseServer
  /** False: it is only made ready to be started. */
  readonly started?: boolean
  /** How long a start may take; default 90 s, for a machine that does much else. */
  readonly startMs?: number
  /** Waits between the attempts of a callback, s. */
  readonly retrySeconds?: readonly number[]
  /** More of its account, with its indentation. */
  readonly accountYaml?: string
  /** Whether parties are told of supervisors; default: nobody is. */
  readonly notice?: string
}

export async function openTestServer(extraYaml = '', trunk: Partial<PhoneOptions> = {}, options: TestServerOptions = {}): Promise<TestServer> {
  const { on = usualServer(), retrySeconds, startMs = START_MS, accountYaml = '', notice = '{ to: nobody }', started: isStarted = true } = options
  const database = on === 'oldest' ? await openTestDatabase('oldest') : null
  const folder = await mkdtemp(join(tmpdir(), 'earshot-server-'))
  const [httpPort, sipPort] = [await freePort(), await freePort()]
  const phones: Phone[] = []
  const trunkPhone = makePhone({
    name: 'customer',
    password: null,
    server: null,
    transport: 'udp',
    law: 'pcmu',
    toneHz: 700,
    ptimeMs: 20,
    behaviour: { answer: 'auto', answerAfterMs: 20 },
    ...trunk,
  })
  await trunkPhone.start()
  phones.push(trunkPhone)
  // Below the ports that the system gives to whoever asks for any, which `freePort` does.
  const rtpMin = 20_000 + 2 * Math.floor(Math.random() * 5_300)
  await writeFile(
    join(folder, 'earshot.yaml'),
    `
http: { host: 127.0.0.1, port: ${httpPort} }
sip: { host: 127.0.0.1, port: ${sipPort} }
rtp: { host: 127.0.0.1, portMin: ${rtpMin}, portMax: ${rtpMin + 1998} }
data: ${database?.url ?? './data'}
accounts:
  - sid: acme
    keys: [{ key: ${KEY}, token: ${TOKEN} }, { key: acme, token: ${TOKEN} }]
    numbers: [{ number: "+918012345678", rings: priya }]
    callbackSecret: ${SECRET}
    notice: ${notice}
    agents:
      - { name: priya, password: priya-priya }
      - { name: ravi, password: ravi-ravi }
      - { name: boss, password: boss-boss }
      - { name: chief, password: chief-chief }${accountYaml}
trunks:
  - { name: customer, uri: "sip:${trunkPhone.uri.replace(/^sip:[^@]*@/, '')}", numbers: ["+918012345678"] }
dial: { allow: ["+91"] }
callbacks: { allow: [127.0.0.1]${retrySeconds ? `, retrySeconds: [${retrySeconds.join(', ')}]` : ''} }
${extraYaml.includes('limits:') ? '' : PATIENT_LIMITS}
${extraYaml}`,
  )
  let child: ChildProcess | null = null
  let log = ''
  const url = `http://127.0.0.1:${httpPort}`
  const sip = { host: '127.0.0.1', port: sipPort }

  async function start(): Promise<void> {
    const started = spawn(process.execPath, [CLI, 'serve', '--config', join(folder, 'earshot.yaml')], { stdio: ['ignore', 'pipe', 'pipe'] })
    child = started
    started.stdout?.resume()
    started.stderr?.on('data', (chunk: Buffer) => void (log += chunk.toString()))
    const until = Date.now() + startMs
    for (;;) {
      if (started.exitCode !== null || started.signalCode !== null || Date.now() > until) throw new Error(`the server did not start:\n${log}`)
      const ready = await fetch(`${url}/readyz`).then(
        (response) => response.status === 200,
        () => false,
      )
      if (ready) return
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
  }
  async function end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null> {
    const ending = child
    if (ending === null) return null
    const ended = ending.exitCode === null && ending.signalCode === null ? once(ending, 'exit') : Promise.resolve()
    ending.kill(signal)
    await ended
    child = null
    return ending.signalCode ?? ending.exitCode
  }
  async function close(): Promise<void> {
    for (const phone of phones) await phone.stop()
    await end('SIGTERM')
    await database?.close()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    if (isStarted) await start()
  } catch (error) {
    await close()
    throw error
  }
  return {
    url,
    sip,
    data: database?.url ?? join(folder, 'data'),
    config: join(folder, 'earshot.yaml'),
    start,
    end,
    trunkPhone,
    log: () => log,
    process: () => child,
    async phone(options) {
      const phone = makePhone({
        password: `${options.name}-${options.name}`,
        server: sip,
        transport: 'udp',
        law: 'pcmu',
        toneHz: null,
        ptimeMs: 20,
        behaviour: { answer: 'auto', answerAfterMs: 20 },
        ...options,
      })
      await phone.start()
      phones.push(phone)
      await phone.register()
      return phone
    },
    async request(method, path, fields) {
      const response = await fetch(`${url}/v1/Accounts/acme${path}`, {
        method,
        headers: { authorization: `Basic ${Buffer.from(`${KEY}:${TOKEN}`).toString('base64')}` },
        ...(fields ? { body: new URLSearchParams(fields) } : {}),
      })
      const text = await response.text()
      return { status: response.status, body: path.endsWith('.json') ? JSON.parse(text) : text }
    },
    close,
  }
}

export interface TestReceiver {
  readonly url: string
  readonly received: { readonly headers: Readonly<Record<string, string | string[] | undefined>>; readonly body: string; readonly path: string }[]
  /** Statuses for the next answers; 200 when there is none left. */
  readonly answers: number[]
  close(): Promise<void>
}

export async function openTestReceiver(): Promise<TestReceiver> {
  const received: TestReceiver['received'] = []
  const answers: number[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString('utf8'), path: request.url ?? '' })
      response.writeHead(answers.shift() ?? 200).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/callback`,
    received,
    answers,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}
