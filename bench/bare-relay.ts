/**
 * The yardstick of `media.ts`: the least that a relay of RTP on Node can do. A socket per leg, connected to its phone; what
 * comes in on one of a pair goes out on the other, untouched. No header is read or written.
 */
import { createSocket, type Socket } from 'node:dgram'

const RECEIVE_BUFFER_BYTES = 256 * 1024

/** @returns The port of each leg. */
export async function openBareRelay(host: string, phonePorts: readonly [number, number]): Promise<readonly number[]> {
  const [one, other] = await Promise.all([open(host, phonePorts[0]), open(host, phonePorts[1])])
  one.on('message', (bytes) => other.send(bytes))
  other.on('message', (bytes) => one.send(bytes))
  return [one.address().port, other.address().port]
}

async function open(host: string, phonePort: number): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BUFFER_BYTES, lookup: (name, _options, done) => done(null, name, 4) })
  socket.on('error', () => {})
  await new Promise<void>((resolve) => socket.bind(0, host, resolve))
  await new Promise<void>((resolve) => socket.connect(phonePort, host, () => resolve()))
  return socket
}
