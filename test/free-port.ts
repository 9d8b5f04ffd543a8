/** A port for a server or a peer in a test. */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'

/** A port of 127.0.0.1 that is free for UDP and TCP now. Another process may take it first; then whoever wants it fails to start. */
export async function freePort(): Promise<number> {
  for (;;) {
    const udp = createSocket('udp4')
    await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve))
    const { port } = udp.address()
    const tcp = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      tcp.once('error', () => resolve(false))
      tcp.listen(port, '127.0.0.1', () => resolve(true))
    })
    await new Promise<void>((resolve) => udp.close(resolve))
    if (isFree) await new Promise<void>((resolve) => void tcp.close(() => resolve()))
    if (isFree) return port
  }
}
