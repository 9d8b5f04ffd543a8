/** A phone's RTP port and the clock that speaks: the shell around `ear.ts` and `mouth.ts`. One per session. */
import { createSocket, type Socket, type SocketOptions } from 'node:dgram'
import type { Ear } from './ear.ts'
import type { Mouth } from './mouth.ts'

/** A clock that is later than this (a stalled machine) skips instead of sending a burst; packet times. */
const MAX_CATCH_UP = 3
/** How often another port is tried when the one that was given is odd (RTP ports are even, RFC 3550 §11). */
const MAX_BINDS = 32
const RECEIVE_BUFFER_BYTES = 1 << 20

/** Addresses are literals: without this every packet would wait for the resolver, and be lost when the socket closes meanwhile. */
export const literally: NonNullable<SocketOptions['lookup']> = (host, _options, done) => done(null, host, 4)

export interface Line {
  readonly port: number
  /** From here on the mouth is asked once a packet time, and what it says is sent there. */
  speakTo(remote: { readonly host: string; readonly port: number }): void
  /** Stops sending; goes on hearing. */
  pause(): void
  close(): void
}

export async function openLine(host: string, ptimeMs: number, ear: Ear, mouth: Mouth): Promise<Line> {
  const socket = await bindEven(host)
  let remote: { readonly host: string; readonly port: number } | null = null
  let timer: NodeJS.Timeout | null = null
  let nextAt = 0
  let closed = false
  // A far end that is gone answers with ICMP; the call itself will say so.
  socket.on('error', () => {})
  socket.on('message', (datagram) => ear.take(datagram, performance.now()))

  const tick = (): void => {
    const late = Math.floor((performance.now() - nextAt) / ptimeMs)
    if (late > MAX_CATCH_UP) {
      mouth.skip(late)
      nextAt += late * ptimeMs
    }
    const bytes = mouth.next()
    if (bytes !== null && remote !== null) socket.send(bytes, remote.port, remote.host)
    nextAt += ptimeMs
    timer = setTimeout(tick, Math.max(0, nextAt - performance.now()))
  }
  const pause = (): void => {
    if (timer !== null) clearTimeout(timer)
    timer = null
  }
  return {
    port: socket.address().port,
    speakTo(there) {
      remote = there
      if (timer !== null || closed) return
      nextAt = performance.now()
      tick()
    },
    pause,
    close() {
      pause()
      if (!closed) socket.close()
      closed = true
    },
  }
}

async function bindEven(host: string): Promise<Socket> {
  for (let attempt = 0; attempt < MAX_BINDS; attempt++) {
    const socket = await bind(host)
    if (socket.address().port % 2 === 0) return socket
    socket.close()
  }
  throw new Error(`no even UDP port is free on ${host}`)
}

function bind(host: string): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BUFFER_BYTES, lookup: literally })
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.bind(0, host, () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })
}
