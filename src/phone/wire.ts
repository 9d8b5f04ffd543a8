/** A SIP user agent on real sockets: UDP and TCP on one port, its timers, and nothing that decides. */
import { createHash, randomBytes } from 'node:crypto'
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { connect, createServer, type Server, type Socket as TcpSocket } from 'node:net'
import { makeFramer, PONG } from '../sip/framing.ts'
import { type Hop, makeUserAgent, type Output, type UaEvent, type UserAgent } from '../sip/user-agent.ts'
import { literally } from './line.ts'

export interface Wire {
  readonly port: number
  readonly agent: UserAgent
  /** Sends what the agent wants sent and reports its events; then sets the timer anew. */
  carryOut(outputs: readonly Output[]): void
  now(): number
  close(): Promise<void>
}

export interface WireOptions {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly product: string
  readonly onEvent: (event: UaEvent) => void
}

const MAX_BINDS = 20
const MAX_CONNECTIONS = 64
const RECEIVE_BUFFER_BYTES = 4 << 20

/** @throws Error when the port is taken. */
export async function openWire({ host, port: wanted, product, onEvent }: WireOptions): Promise<Wire> {
  const { udp, tcp, port } = await bindBoth(host, wanted)
  const connections = new Map<string, TcpSocket>()
  let timer: NodeJS.Timeout | null = null
  let closed = false
  const now = (): number => performance.now()
  const agent = makeUserAgent({
    advertised: { host, port },
    token: () => BigInt(`0x${randomBytes(12).toString('hex')}`).toString(36),
    hash: (algorithm, text) => createHash(algorithm).update(text).digest('hex'),
    product,
  })

  const carryOut = (outputs: readonly Output[]): void => {
    for (const output of outputs) {
      if (output.kind === 'event') onEvent(output.event)
      else if (!closed) send(output.bytes, output.to)
    }
    const deadline = closed ? null : agent.nextDeadline()
    if (timer !== null) clearTimeout(timer)
    timer = deadline === null ? null : setTimeout(() => carryOut(agent.due(now())), Math.max(0, deadline - now()))
  }
  const send = (bytes: Uint8Array, to: Hop): void => {
    if (to.transport === 'udp') return udp.send(bytes, to.port, to.host)
    connectionTo(to).write(bytes)
  }
  const connectionTo = (to: Hop): TcpSocket => {
    const known = connections.get(keyOf(to))
    if (known) return known
    const socket = connect(to.port, to.host)
    adopt(socket, to)
    return socket
  }
  const adopt = (socket: TcpSocket, remote: Hop): void => {
    if (connections.size >= MAX_CONNECTIONS) return void socket.destroy()
    const framer = makeFramer()
    connections.set(keyOf(remote), socket)
    socket.on('data', (chunk) => {
      for (const frame of framer.push(chunk)) {
        if (frame.kind === 'message') carryOut(agent.receive(frame.bytes, remote, now()))
        else if (frame.kind === 'ping') socket.write(PONG)
        else socket.destroy()
      }
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      connections.delete(keyOf(remote))
      if (!closed) carryOut(agent.transportFailed(remote, now()))
    })
  }
  udp.on('error', () => {})
  udp.on('message', (bytes, from) => carryOut(agent.receive(bytes, { transport: 'udp', host: from.address, port: from.port }, now())))
  tcp.on('connection', (socket) => adopt(socket, { transport: 'tcp', host: socket.remoteAddress ?? host, port: socket.remotePort ?? 0 }))

  return {
    port,
    agent,
    carryOut,
    now,
    async close() {
      if (closed) return
      closed = true
      if (timer !== null) clearTimeout(timer)
      for (const socket of connections.values()) socket.end(() => socket.destroy())
      await Promise.all([new Promise<void>((resolve) => udp.close(() => resolve())), new Promise<void>((resolve) => tcp.close(() => resolve()))])
    },
  }
}

const keyOf = (hop: Hop): string => `${hop.host}:${hop.port}`

/** One number for both transports, as phones have it. */
async function bindBoth(host: string, wanted: number): Promise<{ readonly udp: UdpSocket; readonly tcp: Server; readonly port: number }> {
  for (let attempt = 1; ; attempt++) {
    const udp = await bindUdp(host, wanted)
    const { port } = udp.address()
    try {
      return { udp, tcp: await bindTcp(host, port), port }
    } catch (error) {
      udp.close()
      if (wanted !== 0 || attempt === MAX_BINDS) throw new Error(`${host}:${port} is taken for TCP`, { cause: error })
    }
  }
}

function bindUdp(host: string, port: number): Promise<UdpSocket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BUFFER_BYTES, lookup: literally })
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.bind(port, host, () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })
}

function bindTcp(host: string, port: number): Promise<Server> {
  const server = createServer()
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve(server)
    })
  })
}
