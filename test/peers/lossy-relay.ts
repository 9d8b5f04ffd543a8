/** A UDP relay that loses datagrams by a seed, each way, to see what a protocol does about it. */
import { createSocket, type Socket } from 'node:dgram'

export interface LossyRelay {
  readonly port: number
  /** How many were lost and passed on, both ways together. */
  readonly counts: { readonly lost: number; readonly passed: number }
  close(): void
}

export interface LossyRelayOptions {
  readonly target: { readonly host: string; readonly port: number }
  /** 0 to 1, each way. */
  readonly loss: number
  readonly seed: number
  /** Where clients reach it; a free port when it is left out. */
  readonly port?: number
  /** Where the first client's datagrams come from, for a target that knows its peers by their address. */
  readonly firstClientPort?: number
}

/** Clients at most; a further one is not heard. */
const MAX_CLIENTS = 64
const RECEIVE_BUFFER_BYTES = 4 << 20

/** Each client has a socket of its own towards the target, so that answers find their way back. */
export async function startLossyRelay({ target, loss, seed, port = 0, firstClientPort = 0 }: LossyRelayOptions): Promise<LossyRelay> {
  const chance = seeded(seed)
  const counts = { lost: 0, passed: 0 }
  const clients = new Map<string, Socket>()
  const isLost = (): boolean => {
    const lost = chance() < loss
    counts[lost ? 'lost' : 'passed']++
    return lost
  }
  const front = open()
  await new Promise<void>((resolve) => front.bind(port, '127.0.0.1', resolve))
  front.on('message', (bytes, from) => {
    const name = `${from.address}:${from.port}`
    let back = clients.get(name)
    if (back === undefined) {
      if (clients.size === MAX_CLIENTS) return
      back = open()
      if (clients.size === 0 && firstClientPort !== 0) back.bind(firstClientPort, '127.0.0.1')
      back.on('message', (answer) => {
        if (!isLost()) front.send(answer, from.port, from.address)
      })
      clients.set(name, back)
    }
    if (!isLost()) back.send(bytes, target.port, target.host)
  })
  return {
    port: front.address().port,
    counts,
    close() {
      for (const socket of [front, ...clients.values()]) socket.close()
    },
  }
}

function open(): Socket {
  const socket = createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BUFFER_BYTES, lookup: (host, _options, done) => done(null, host, 4) })
  socket.on('error', () => {})
  return socket
}

/** mulberry32: 32 bits of state, even enough for losing packets, and the same every time. */
function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
