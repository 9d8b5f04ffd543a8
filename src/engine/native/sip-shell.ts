/**
 * The sockets and the one timer around the pure user agent: UDP, TCP, names.
 *
 * One rule: nothing that arrives can end more than itself. Each entry point runs the agent inside `drive`, which reports a
 * bug of ours and goes on; what a peer may hold open (connections, bytes, time) has a limit named here.
 *
 * UDP and TCP share one address. Of a host name the first address of our socket's family counts; SRV records are not asked.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { connect, createServer, isIP, isIPv6, type Server, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { type Framer, isKeepalive, makeFramer, PONG } from '../../sip/framing.ts'
import type { Hop, Output, SessionId, UaEvent, UserAgent } from '../../sip/user-agent.ts'
import type { Target } from './routing.ts'

const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
/** TCP connections at once, from everybody and from one host. */
export const MAX_CONNECTIONS = 2_000
export const MAX_CONNECTIONS_PER_HOST = 500
/** Bytes that wait for a peer that does not read. */
export const MAX_UNSENT_BYTES = 256 * 1024
/** A connection that is being made, or a message that has begun, must be whole after this time. */
export const PATIENCE_MS = 10_000
/** A connection over which nobody is reached is closed after this time without a message. */
export const IDLE_MS = 120_000
const HOUSEKEEPING_MS = 1_000
const LOOKUP_MS = 3_000
const NAME_LIFETIME_MS = 30_000
const MAX_NAMES = 256
/** With port 0 the system's choice for UDP may be taken for TCP. */
const PORT_TRIES = 20

export interface EngineLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
  error(fields: Readonly<Record<string, unknown>>, message: string): void
}

export interface HostPort {
  readonly host: string
  readonly port: number
}

export interface SipShellOptions {
  /** IP literal; every address of the machine for `0.0.0.0` and `::`. IPv4 and IPv6 are not mixed. */
  readonly host: string
  /** 0: the system chooses. */
  readonly port: number
  /** How peers reach us; absent: `host`, or the first outer address of the machine. */
  readonly advertise?: string | undefined
  readonly makeAgent: (advertised: HostPort) => UserAgent
  readonly onEvent: (event: UaEvent) => void
  /** False: the message is dropped unread. */
  readonly admit: (bytes: Uint8Array, from: Hop) => boolean
  /** Somebody is reached over that connection: it stays open however quiet. */
  readonly isNeeded: (flow: Hop) => boolean
  readonly onFlowClosed: (flow: Hop) => void
  readonly now: () => number
  readonly log: EngineLog
}

export interface SipShell {
  /** @throws when an address cannot be bound, with a message that names it. */
  open(): Promise<void>
  /** What peers are told; the real port after `open`. */
  advertised(): HostPort
  /** Runs the agent and carries out what it wants. Undefined when it failed, which has been reported. */
  drive<T extends readonly Output[] | { readonly outputs: readonly Output[] }>(act: (agent: UserAgent, now: number) => T): T | undefined
  carryOut(outputs: readonly Output[]): void
  /** Every address of a host, in our socket's family; none when it has none or nobody says in time. */
  addresses(host: string): Promise<readonly string[]>
  /** The hop of a target: its first address. */
  resolve(target: Target): Promise<Hop | null>
  memoryOf(session: SessionId): string | null
  /** Sessions that still owe somebody something. */
  pendingSessions(): number
  transactions(): number
  close(): Promise<void>
}

interface Connection {
  readonly socket: Socket
  readonly hop: Hop
  readonly framer: Framer
  /** Since when a message, or the connection itself, is waited for; null: nothing is owed. */
  awaitedSince: number | null
  lastMessageAt: number
}

interface Shell {
  readonly options: SipShellOptions
  readonly family: 4 | 6
  readonly connections: Map<string, Connection>
  readonly names: Map<string, { readonly addresses: readonly string[]; readonly until: number }>
  udp: UdpSocket | null
  tcp: Server | null
  agent: UserAgent | null
  advertised: HostPort
  timer: NodeJS.Timeout | null
  timerAt: number
  housekeeper: NodeJS.Timeout | null
  isClosed: boolean
}

export function makeSipShell(options: SipShellOptions): SipShell {
  const family = isIPv6(options.host) ? 6 : 4
  const host = options.advertise ?? (isUnspecified(options.host) ? outerAddress(family) : options.host)
  const shell: Shell = {
    options,
    family,
    connections: new Map(),
    names: new Map(),
    udp: null,
    tcp: null,
    agent: null,
    advertised: { host, port: options.port },
    timer: null,
    timerAt: Number.POSITIVE_INFINITY,
    housekeeper: null,
    isClosed: false,
  }
  return {
    open: () => open(shell),
    advertised: () => shell.advertised,
    drive: (act) => drive(shell, act),
    carryOut: (outputs) => carryOut(shell, outputs),
    addresses: (host) => addresses(shell, host),
    async resolve({ transport, host, port }) {
      const [first] = await addresses(shell, host)
      return first === undefined ? null : { transport, host: first, port }
    },
    memoryOf: (session) => shell.agent?.memoryOf(session) ?? null,
    pendingSessions: () => shell.agent?.counts().sessions ?? 0,
    transactions: () => shell.agent?.counts().transactions ?? 0,
    close: () => close(shell),
  }
}

export const isUnspecified = (host: string): boolean => host === '0.0.0.0' || host === '::'

/** The first address of the machine that others can reach; loopback when there is none. */
export function outerAddress(family: 4 | 6): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const outer = all.find((each) => !each.internal && each.family === `IPv${family}` && !each.address.startsWith('fe80:'))
  return outer?.address ?? (family === 4 ? '127.0.0.1' : '::1')
}

async function open(shell: Shell): Promise<void> {
  const { host, port } = shell.options
  for (let tries = 1; ; tries++) {
    const udp = await bindUdp(shell, port)
    const bound = udp.address().port
    try {
      shell.tcp = await listen(shell, bound)
      shell.udp = udp
      break
    } catch (error) {
      udp.close()
      if (port !== 0 || tries === PORT_TRIES) throw new Error(`SIP cannot listen on TCP ${host}:${bound}: ${codeOf(error)}`, { cause: error })
    }
  }
  shell.advertised = { ...shell.advertised, port: shell.udp.address().port }
  shell.agent = shell.options.makeAgent(shell.advertised)
  shell.housekeeper = setInterval(() => keepHouse(shell), HOUSEKEEPING_MS)
}

async function bindUdp(shell: Shell, port: number): Promise<UdpSocket> {
  const { host, log } = shell.options
  // Addresses are always literals here; Node would ask the resolver's thread pool for each datagram.
  const literal = (address: string, _family: unknown, done: (error: null, address: string, family: number) => void): void =>
    done(null, address, shell.family)
  const lookup = literal as unknown as NonNullable<Parameters<typeof createSocket>[0] & object>['lookup']
  const socket = createSocket({
    type: shell.family === 6 ? 'udp6' : 'udp4',
    ipv6Only: shell.family === 6,
    recvBufferSize: RECEIVE_BUFFER_BYTES,
    ...(lookup ? { lookup } : {}),
  })
  await new Promise<void>((done, fail) => {
    socket.once('error', (error) => fail(new Error(`SIP cannot listen on UDP ${host}:${port}: ${codeOf(error)}`, { cause: error })))
    socket.bind(port, host, done)
  })
  socket.removeAllListeners('error')
  socket.on('error', (error) => log.warn({ code: codeOf(error) }, 'the SIP socket reports an error'))
  socket.on('message', (bytes, { address, port: from }) => {
    if (!isKeepalive(bytes)) receive(shell, bytes, { transport: 'udp', host: plainAddress(address), port: from })
  })
  return socket
}

async function listen(shell: Shell, port: number): Promise<Server> {
  const server = createServer({ noDelay: true, keepAlive: true }, (socket) => accept(shell, socket))
  server.maxConnections = MAX_CONNECTIONS
  await new Promise<void>((done, fail) => {
    server.once('error', fail)
    server.listen({ port, host: shell.options.host, ipv6Only: shell.family === 6 }, done)
  })
  server.removeAllListeners('error')
  server.on('error', (error) => shell.options.log.warn({ code: codeOf(error) }, 'the SIP listener reports an error'))
  return server
}

function drive<T extends readonly Output[] | { readonly outputs: readonly Output[] }>(
  shell: Shell,
  act: (agent: UserAgent, now: number) => T,
): T | undefined {
  const { agent, options } = shell
  if (agent === null || shell.isClosed) return undefined
  try {
    const done = act(agent, options.now())
    if (isOutputs(done)) carryOut(shell, done)
    return done
  } catch (error) {
    options.log.error({ error: describe(error) }, 'a SIP message or timer failed')
    return undefined
  } finally {
    arm(shell)
  }
}

/** What `invite` and `request` return names the session first; the caller notes it and then carries out the rest. */
const isOutputs = (done: readonly Output[] | { readonly outputs: readonly Output[] }): done is readonly Output[] => Array.isArray(done)

function carryOut(shell: Shell, outputs: readonly Output[]): void {
  for (const output of outputs) {
    if (output.kind === 'send') {
      send(shell, output.bytes, output.to)
      continue
    }
    try {
      shell.options.onEvent(output.event)
    } catch (error) {
      shell.options.log.error({ error: describe(error), event: output.event.kind }, 'an event of the SIP agent failed')
    }
  }
  arm(shell)
}

/** One timer for all deadlines; it is only moved forward, and one that fires early finds nothing due. */
function arm(shell: Shell): void {
  const at = shell.agent?.nextDeadline() ?? null
  if (at === null || at >= shell.timerAt || shell.isClosed) return
  if (shell.timer !== null) clearTimeout(shell.timer)
  shell.timerAt = at
  shell.timer = setTimeout(
    () => {
      shell.timer = null
      shell.timerAt = Number.POSITIVE_INFINITY
      drive(shell, (agent, now) => agent.due(now))
    },
    Math.max(0, at - shell.options.now()),
  )
}

function receive(shell: Shell, bytes: Uint8Array, from: Hop): void {
  drive(shell, (agent, now) => (shell.options.admit(bytes, from) ? agent.receive(bytes, from, now) : []))
}

function send(shell: Shell, bytes: Uint8Array, to: Hop): void {
  if (shell.isClosed) return
  if (to.transport === 'tcp') return sendStream(shell, bytes, to)
  shell.udp?.send(bytes, to.port, to.host, (error) => {
    if (error) drive(shell, (agent, now) => agent.transportFailed(to, now))
  })
}

function sendStream(shell: Shell, bytes: Uint8Array, to: Hop): void {
  const connection = shell.connections.get(keyOf(to)) ?? dialStream(shell, to)
  if (connection === null) return failLater(shell, to)
  if (connection.socket.writableLength + bytes.length > MAX_UNSENT_BYTES) connection.socket.destroy()
  else connection.socket.write(bytes)
}

/** The agent is told in a turn of its own: it is in the middle of a sentence now. */
function failLater(shell: Shell, to: Hop): void {
  setImmediate(() => void drive(shell, (agent, now) => agent.transportFailed(to, now)))
}

function dialStream(shell: Shell, to: Hop): Connection | null {
  if (shell.connections.size >= MAX_CONNECTIONS) return null
  const connection = adopt(shell, connect({ host: to.host, port: to.port, noDelay: true, keepAlive: true }), to)
  connection.socket.once('connect', () => {
    connection.awaitedSince = null
  })
  return connection
}

function accept(shell: Shell, socket: Socket): void {
  const host = plainAddress(socket.remoteAddress ?? '')
  const fromHost = [...shell.connections.values()].filter((connection) => connection.hop.host === host).length
  if (shell.isClosed || host === '' || shell.connections.size >= MAX_CONNECTIONS || fromHost >= MAX_CONNECTIONS_PER_HOST) {
    socket.destroy()
    return
  }
  adopt(shell, socket, { transport: 'tcp', host, port: socket.remotePort ?? 0 })
}

function adopt(shell: Shell, socket: Socket, hop: Hop): Connection {
  const now = shell.options.now()
  const connection: Connection = { socket, hop, framer: makeFramer(), awaitedSince: now, lastMessageAt: now }
  const key = keyOf(hop)
  shell.connections.set(key, connection)
  socket.on('data', (chunk: Buffer) => read(shell, connection, chunk))
  // `close` follows every error.
  socket.on('error', () => {})
  socket.on('close', () => {
    if (shell.connections.get(key) === connection) shell.connections.delete(key)
    if (shell.isClosed) return
    shell.options.onFlowClosed(hop)
    drive(shell, (agent, at) => agent.transportFailed(hop, at))
  })
  return connection
}

function read(shell: Shell, connection: Connection, chunk: Uint8Array): void {
  const now = shell.options.now()
  for (const frame of connection.framer.push(chunk)) {
    switch (frame.kind) {
      case 'message':
        connection.awaitedSince = null
        connection.lastMessageAt = now
        receive(shell, frame.bytes, connection.hop)
        break
      case 'ping':
        // A keep-alive keeps alive only whom we know: a stranger's connection still has to say something.
        connection.lastMessageAt = now
        if (connection.socket.writableLength < MAX_UNSENT_BYTES) connection.socket.write(PONG)
        break
      case 'broken':
        connection.socket.destroy()
        break
    }
  }
  if (connection.framer.pendingBytes() > 0) connection.awaitedSince ??= now
}

function keepHouse(shell: Shell): void {
  const now = shell.options.now()
  for (const connection of shell.connections.values()) {
    const isLate = connection.awaitedSince !== null && now - connection.awaitedSince > PATIENCE_MS
    const isIdle = now - connection.lastMessageAt > IDLE_MS && !shell.options.isNeeded(connection.hop)
    if (isLate || isIdle) connection.socket.destroy()
  }
}

async function addresses(shell: Shell, host: string): Promise<readonly string[]> {
  if (isIP(host) !== 0) return isIP(host) === shell.family ? [host] : []
  const now = shell.options.now()
  const known = shell.names.get(host)
  if (known !== undefined && known.until > now) return known.addresses
  const found = (await withinTime(lookup(host, { family: shell.family, all: true }), LOOKUP_MS))?.map(({ address }) => address) ?? []
  if (found.length === 0) return []
  shell.names.delete(host)
  if (shell.names.size >= MAX_NAMES) shell.names.delete(shell.names.keys().next().value ?? '')
  shell.names.set(host, { addresses: found, until: now + NAME_LIFETIME_MS })
  return found
}

/** Null when it fails or takes too long. */
export async function withinTime<T>(work: Promise<T>, limitMs: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<null>((done) => {
    timer = setTimeout(done, limitMs, null)
  })
  try {
    return await Promise.race([work.catch(() => null), late])
  } finally {
    clearTimeout(timer)
  }
}

async function close(shell: Shell): Promise<void> {
  shell.isClosed = true
  if (shell.timer !== null) clearTimeout(shell.timer)
  if (shell.housekeeper !== null) clearInterval(shell.housekeeper)
  const { udp, tcp } = shell
  shell.udp = null
  shell.tcp = null
  // What was written last (a BYE's 200) still leaves; who does not read is cut off.
  for (const { socket } of shell.connections.values()) socket.destroySoon()
  shell.connections.clear()
  await Promise.all([udp && new Promise<void>((done) => udp.close(done)), tcp && new Promise<unknown>((done) => tcp.close(done))])
}

const keyOf = (hop: Hop): string => `${hop.host} ${hop.port}`
const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : String(error))
const describe = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error))

/** A mapped IPv4 address as such, without a zone. */
function plainAddress(address: string): string {
  const bare = address.split('%')[0] ?? ''
  return bare.startsWith('::ffff:') && bare.includes('.') ? bare.slice('::ffff:'.length) : bare
}
