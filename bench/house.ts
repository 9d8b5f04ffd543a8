/** A whole server in a process of its own, as an operator runs it, on free ports and a fresh embedded database; and an HTTP client that knows when it wrote. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { UaEvent } from '../src/sip/user-agent.ts'
import { openWire, type Wire } from '../src/phone/wire.ts'
import { freePort } from '../test/free-port.ts'

const CLI = new URL('../bin/earshot.mjs', import.meta.url).pathname
const KEY = 'bench'
const TOKEN = 'a-token-of-some-length'
const START_MS = 60_000
const POLL_MS = 50
/** Below the ports that the system gives to others: thousands of legs need a range of their own. */
const RTP = { portMin: 20_000, portMax: 31_998 }

export const NUMBER = '+918012345678'
export const HOST = '127.0.0.1'

/** When by `performance.now()`: the request was handed to the socket, the answer was there whole. */
export interface Timed {
  readonly status: number
  readonly body: string
  readonly writtenAt: number
  readonly answeredAt: number
}

export interface House {
  readonly pid: number
  readonly url: string
  readonly sip: { readonly host: string; readonly port: number }
  /** Where the embedded database is. */
  readonly folder: string
  /** @param path After the account, e.g. `/Calls/connect.json`. */
  request(method: 'GET' | 'POST' | 'PUT', path: string, fields?: Readonly<Record<string, string>>): Promise<Timed>
  /** Like `request`, parsed. @throws Error with the answer when it is no success. */
  ask(
    method: 'GET' | 'POST' | 'PUT',
    path: string,
    fields?: Readonly<Record<string, string>>,
  ): Promise<{ readonly timed: Timed; readonly json: Reply }>
  /** What it wrote on stdout and stderr, the newest 64 KiB. */
  output(): string
  /** SIGTERM; resolves with its exit code. */
  stop(): Promise<number | string | null>
}

/** The parts of the vendor's JSON that are read here. */
export interface Reply {
  readonly Call?: { readonly Sid: string }
  readonly Leg?: { readonly Sid: string }
  readonly Legs?: readonly { readonly Sid: string; readonly PhoneNumber: string }[]
}

export interface HouseOptions {
  /** Phones that may register; the first is rung for `NUMBER`. The password is the name twice with a dash. */
  readonly agents: readonly string[]
  /** Port on this machine of a trunk that may call `NUMBER`. */
  readonly trunkPort?: number
  /** For the server's process, e.g. `--cpu-prof`. */
  readonly nodeArguments?: readonly string[]
}

const OUTPUT_KEPT_CHARS = 65_536

export const passwordOf = (name: string): string => `${name}-${name}`

export async function openHouse({ agents, trunkPort, nodeArguments = [] }: HouseOptions): Promise<House> {
  const folder = await mkdtemp(join(tmpdir(), 'earshot-bench-'))
  // The embedded database of a root user runs as somebody else, who must be able to pass through.
  await chmod(folder, 0o711)
  const [httpPort, sipPort] = [await freePort(), await freePort()]
  await writeFile(join(folder, 'earshot.yaml'), configuration({ agents, trunkPort: trunkPort ?? null, httpPort, sipPort }))
  const child = spawn(process.execPath, [...nodeArguments, CLI, 'serve', '--config', join(folder, 'earshot.yaml')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => void (output = (output + chunk).slice(-OUTPUT_KEPT_CHARS)))
  const agent = new Agent({ keepAlive: true, maxSockets: 32 })
  const url = `http://${HOST}:${httpPort}`
  const stop = async (): Promise<number | string | null> => {
    agent.destroy()
    await ended(child, 'SIGTERM')
    await rm(folder, { recursive: true, force: true })
    return child.signalCode ?? child.exitCode
  }
  try {
    await ready(url, child)
  } catch (error) {
    await stop()
    throw new Error(`the server did not start:\n${output}`, { cause: error })
  }
  const request: House['request'] = (method, path, fields) => send({ url: `${url}/v1/Accounts/acme${path}`, method, agent, fields: fields ?? null })
  return {
    pid: child.pid ?? -1,
    url,
    folder,
    request,
    stop,
    sip: { host: HOST, port: sipPort },
    async ask(method, path, fields) {
      const timed = await request(method, path, fields)
      if (timed.status !== 200) throw new Error(`${method} ${path} was answered ${timed.status}: ${timed.body}`)
      return { timed, json: JSON.parse(timed.body) as Reply }
    },
    output: () => output,
  }
}

interface Places {
  readonly agents: readonly string[]
  readonly trunkPort: number | null
  readonly httpPort: number
  readonly sipPort: number
}

function configuration({ agents, trunkPort, httpPort, sipPort }: Places): string {
  return `
http: { host: ${HOST}, port: ${httpPort} }
sip: { host: ${HOST}, port: ${sipPort} }
rtp: { host: ${HOST}, portMin: ${RTP.portMin}, portMax: ${RTP.portMax} }
data: ./data
accounts:
  - sid: acme
    keys: [{ key: ${KEY}, token: ${TOKEN} }]
    notice: { to: nobody }
    numbers: [{ number: "${NUMBER}", rings: ${agents[0]} }]
    agents: [${agents.map((name) => `{ name: ${name}, password: ${passwordOf(name)} }`).join(', ')}]
    dial: { maxLegs: 100000, legsPerMinute: 100000 }
${trunkPort === null ? 'trunks: []' : `trunks: [{ name: carrier, uri: "sip:${HOST}:${trunkPort}", numbers: ["${NUMBER}"] }]`}
dial: { allow: ["+91", "sip:${HOST}"] }
callbacks: { allow: [${HOST}] }
limits: { writesPerMinute: 1000000, readsPerMinute: 10000000, requestsPerMinute: 100000000 }
log: { level: warn }
`
}

async function ready(url: string, child: ChildProcess): Promise<void> {
  const until = Date.now() + START_MS
  for (;;) {
    if (child.exitCode !== null || Date.now() > until) throw new Error('it is not ready')
    const isReady = await fetch(`${url}/readyz`).then(
      (response) => response.status === 200,
      () => false,
    )
    if (isReady) return
    await pause(POLL_MS)
  }
}

export async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill(signal)
  await exit
}

interface Sending {
  readonly url: string
  readonly method: string
  readonly agent: Agent
  readonly fields: Readonly<Record<string, string>> | null
}

function send({ url, method, agent, fields }: Sending): Promise<Timed> {
  const body = fields === null ? '' : new URLSearchParams(fields).toString()
  const headers = {
    authorization: `Basic ${Buffer.from(`${KEY}:${TOKEN}`).toString('base64')}`,
    ...(fields === null ? {} : { 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(body) }),
  }
  return new Promise((resolve, reject) => {
    const sending = httpRequest(url, { method, agent, headers }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8'), writtenAt, answeredAt: performance.now() }),
      )
    })
    sending.on('error', reject)
    const writtenAt = performance.now()
    sending.end(body)
  })
}

/** A SIP endpoint that registers as `name` and hands its events to the caller: thinner than a phone, so that it costs the clock nothing. */
export async function registerWire(
  house: Pick<House, 'sip'>,
  name: string,
  port: number,
  onEvent: (event: UaEvent, wire: Wire) => void,
): Promise<Wire> {
  const { host, port: serverPort } = house.sip
  let settle: (status: number) => void = () => {}
  const answered = new Promise<number>((resolve) => {
    settle = resolve
  })
  const wire: Wire = await openWire({
    host: HOST,
    port,
    product: 'bench',
    onEvent(event) {
      if (event.kind === 'response') settle(event.response.status)
      else if (event.kind === 'request-failed') settle(408)
      else onEvent(event, wire)
    },
  })
  const own = `<sip:${name}@${host}:${serverPort}>`
  const { outputs } = wire.agent.request(
    {
      method: 'REGISTER',
      uri: `sip:${host}:${serverPort}`,
      to: { transport: 'udp', host, port: serverPort },
      fromHeader: own,
      toHeader: own,
      credentials: { username: name, password: passwordOf(name) },
      headers: [
        { name: 'Contact', value: `<sip:${name}@${HOST}:${wire.port}>` },
        { name: 'Expires', value: '3600' },
      ],
      body: new Uint8Array(0),
      callId: null,
    },
    wire.now(),
  )
  wire.carryOut(outputs)
  const status = await answered
  if (status === 200) return wire
  await wire.close()
  throw new Error(`${name} could not register: ${status}`)
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
