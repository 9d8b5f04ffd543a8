/** A port for a server or a peer in a test. */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'

/** Below the ports that systems give to whoever asks for any, and below those of our tests' sound: nobody is given one by chance meanwhile. */
const FIRST = 10_000
const LAST = 19_999

/** A port of 127.0.0.1 that is free for UDP and TCP now. Whoever wants it fails to start if another process takes it first, which is unlikely. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST + 1))
    const [udp, tcp] = [createSocket('udp4'), createServer()]
    const isFree = await Promise.all([
      new Promise<boolean>((resolve) => udp.once('error', () => resolve(false)).bind(port, '127.0.0.1', () => resolve(true))),
      new Promise<boolean>((resolve) => tcp.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true))),
    ])
    await Promise.all([
      new Promise<void>((resolve) => (isFree[0] ? udp.close(resolve) : resolve())),
      new Promise<void>((resolve) => (isFree[1] ? void tcp.close(() => resolve()) : resolve())),
    ])
    if (isFree[0] && isFree[1]) return port
  }
}
