/**
 * Hundreds of phones in one thread, that send a packet every 20 ms and note what they hear and how old it is.
 *
 * Each party writes the time of sending into eight samples of its own and leaves the others digital silence, which
 * changes nothing in a mix. So the stamp arrives wherever the party is heard, mixed or not, and nowhere else.
 *
 * The thread never sleeps: it sends what is due, takes what came, and looks again. How late it sends is measured too, since
 * every delay that is reported contains the time that an arrival waits for this thread.
 */
import { createSocket, type Socket } from 'node:dgram'

export const PARTIES = ['agent', 'customer', 'supervisor'] as const
export type Party = (typeof PARTIES)[number]

/** One mouth at one ear, over all calls. */
export interface Path {
  /** Packets in which the mouth was heard, of those sent within the window. */
  heard: number
  /** Their age, ms. */
  readonly delaysMs: number[]
}

export interface Window {
  readonly seconds: number
  /** Packets sent by each party within the window. */
  readonly sent: Readonly<Record<Party, number>>
  /** `agent→customer` and so on. */
  readonly paths: ReadonlyMap<string, Path>
  /** How late packets were sent, ms. */
  readonly latenessMs: readonly number[]
}

export interface LoadPhones {
  /** By call and leg. */
  readonly ports: readonly (readonly number[])[]
  /** Begins to send. */
  speakTo(ports: readonly (readonly number[])[]): Promise<void>
  /** Observes for that long; stragglers have some time more to arrive. */
  observe(ms: number): Promise<Window>
  close(): void
}

interface Phone {
  readonly socket: Socket
  readonly party: number
  readonly packet: Buffer
  /** Within the 20 ms, ms. */
  readonly phase: number
  sequence: number
  timestamp: number
}

const HOST = '127.0.0.1'
const PTIME_MS = 20
const SAMPLES = 160
const HEADER_BYTES = 12
const SILENCE = 0xff
/** Each party's samples in the frame begin at its number times this. */
const STAMP_STRIDE = 16
const STAMP_NIBBLES = 8
/** Codes that are neither silence nor the negative zero, which a mix would change. */
const FIRST_CODE = 0x80
const STRAGGLERS_MS = 400
const RECEIVE_BUFFER_BYTES = 1 << 20
/** A packet that is later than this belongs to another time: the machine stalled. */
const MAX_BEHIND_MS = 1_000

interface Collecting {
  readonly from: number
  until: number
  readonly sent: number[]
  readonly paths: Map<string, Path>
  readonly latenessMs: number[]
}

/** @param legs How many parties each call has. */
export async function openLoadPhones(legs: readonly number[]): Promise<LoadPhones> {
  const origin = performance.now()
  let collecting: Collecting | null = null
  let isOpen = true
  const hear = (ear: number, bytes: Buffer): void => {
    if (collecting !== null) note(collecting, ear, bytes, performance.now() - origin)
  }
  const calls: Phone[][] = []
  for (const count of legs) calls.push(await Promise.all(Array.from({ length: count }, (_, party) => openPhone(party, hear))))
  const inOrder = calls.flat().sort((a, b) => a.phase - b.phase)

  const speak = (): void => {
    let next = 0
    let base = performance.now() - origin
    const turn = (): void => {
      if (!isOpen) return
      const now = performance.now() - origin
      if (now - base > MAX_BEHIND_MS) base = now
      for (;;) {
        const phone = inOrder[next]
        if (phone === undefined || base + phone.phase > now) break
        utter(phone, performance.now() - origin, base + phone.phase, collecting)
        next = (next + 1) % inOrder.length
        if (next === 0) base += PTIME_MS
      }
      setImmediate(turn)
    }
    turn()
  }
  return {
    ports: calls.map((phones) => phones.map(({ socket }) => socket.address().port)),
    async speakTo(ports) {
      const connecting = calls.flatMap((phones, call) => phones.map(({ socket }, leg) => connected(socket, ports[call]?.[leg] ?? 0)))
      await Promise.all(connecting)
      speak()
    },
    async observe(ms) {
      const from = performance.now() - origin
      const current: Collecting = { from, until: Number.POSITIVE_INFINITY, sent: [0, 0, 0], paths: new Map(), latenessMs: [] }
      collecting = current
      await new Promise((resolve) => setTimeout(resolve, ms))
      current.until = performance.now() - origin
      await new Promise((resolve) => setTimeout(resolve, STRAGGLERS_MS))
      collecting = null
      const [agent = 0, customer = 0, supervisor = 0] = current.sent
      return { seconds: (current.until - from) / 1000, sent: { agent, customer, supervisor }, paths: current.paths, latenessMs: current.latenessMs }
    },
    close() {
      isOpen = false
      for (const { socket } of inOrder) socket.close()
    },
  }
}

async function openPhone(party: number, hear: (ear: number, bytes: Buffer) => void): Promise<Phone> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BUFFER_BYTES, lookup: (host, _options, done) => done(null, host, 4) })
  socket.on('error', () => {})
  socket.on('message', (bytes) => hear(party, bytes))
  await new Promise<void>((resolve) => socket.bind(0, HOST, resolve))
  const packet = Buffer.alloc(HEADER_BYTES + SAMPLES, SILENCE)
  packet.fill(0, 0, HEADER_BYTES)
  packet[0] = 0x80
  packet.writeUInt32BE(Math.floor(Math.random() * 2 ** 32), 8)
  return { socket, party, packet, phase: Math.random() * PTIME_MS, sequence: 0, timestamp: 0 }
}

const connected = (socket: Socket, port: number): Promise<void> => new Promise((resolve) => socket.connect(port, HOST, () => resolve()))

function utter(phone: Phone, now: number, dueAt: number, collecting: Collecting | null): void {
  const { packet, party, socket } = phone
  packet.writeUInt16BE((phone.sequence = (phone.sequence + 1) & 0xffff), 2)
  packet.writeUInt32BE((phone.timestamp = (phone.timestamp + SAMPLES) >>> 0), 4)
  const stamp = Math.floor(now * 1000) >>> 0
  const at = HEADER_BYTES + party * STAMP_STRIDE
  for (let i = 0; i < STAMP_NIBBLES; i++) packet[at + i] = FIRST_CODE | ((stamp >>> (4 * i)) & 0xf)
  if (collecting !== null && now < collecting.until) {
    collecting.sent[party] = (collecting.sent[party] ?? 0) + 1
    collecting.latenessMs.push(now - dueAt)
  }
  socket.send(packet)
}

function note({ from, until, paths }: Collecting, ear: number, bytes: Buffer, now: number): void {
  for (let party = 0; party < PARTIES.length; party++) {
    const at = HEADER_BYTES + party * STAMP_STRIDE
    if (bytes[at] === SILENCE || bytes[at] === undefined) continue
    let stamp = 0
    for (let i = 0; i < STAMP_NIBBLES; i++) stamp = (stamp | (((bytes[at + i] ?? 0) & 0xf) << (4 * i))) >>> 0
    const sentAt = stamp / 1000
    if (sentAt < Math.floor(from * 1000) / 1000 || sentAt >= until) continue
    const name = `${PARTIES[party]}→${PARTIES[ear]}`
    const path = paths.get(name) ?? { heard: 0, delaysMs: [] }
    path.heard++
    path.delaysMs.push(now - sentAt)
    paths.set(name, path)
  }
}
