/**
 * The thread of the sound: sockets, the clock, and nothing else. What is sent to whom is decided in `src/media/`.
 *
 * One rule: nothing that a peer sends ends this thread. A fault of ours in one call silences that call alone (fail closed)
 * and is told to the main thread.
 */
import { randomBytes, randomInt } from 'node:crypto'
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { lookup as lookupName } from 'node:dns/promises'
import { isIP } from 'node:net'
import { isAbsolute } from 'node:path'
import { performance } from 'node:perf_hooks'
import { parentPort, workerData } from 'node:worker_threads'
import type { MediaCounters, MediaTerms, LegKind } from '../media-plane.ts'
import { finish, isFull, takeChunks, type Recording } from '../../../media/clips/tape.ts'
import {
  addLeg,
  countersOf,
  dropRecording,
  makeConversation,
  play,
  recordCall,
  removeLeg,
  setTable,
  setTerms,
  type Conversation,
  type SoundLeg,
} from '../../../media/conversation.ts'
import { isSame, type Source } from '../../../media/latch.ts'
import { arrive, arriveRtcp, report, tick, type Send } from '../../../media/passage.ts'
import { REPORT_MS } from '../../../media/rtcp.ts'
import { makeTurns, openTapeFile, type TapeFile } from './tape-file.ts'

export interface WorkerOptions {
  readonly host: string
  readonly portMin: number
  readonly portMax: number
  readonly settleMs: number
}

export type Order =
  | { readonly kind: 'open'; readonly callId: string; readonly legId: string; readonly legKind: LegKind }
  | { readonly kind: 'connect'; readonly legId: string; readonly terms: MediaTerms }
  | { readonly kind: 'hearing'; readonly callId: string; readonly table: ReadonlyMap<string, readonly string[]> }
  | { readonly kind: 'play'; readonly callId: string; readonly soundId: string; readonly samples: Int16Array; readonly repeats: boolean }
  | { readonly kind: 'record'; readonly callId: string; readonly file: string; readonly tapes: readonly string[] }
  | { readonly kind: 'close'; readonly legId: string }
  | { readonly kind: 'counters'; readonly legId: string }
  | { readonly kind: 'stop' }

export type Answer = { readonly port: number } | MediaCounters | null

export type FromWorker =
  | { readonly kind: 'done'; readonly id: number; readonly answer: Answer }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string }
  | { readonly kind: 'trouble'; readonly message: string; readonly legIds: readonly string[] }
  | { readonly kind: 'tape-trouble'; readonly message: string; readonly callId: string }
  | { readonly kind: 'played'; readonly callId: string; readonly soundId: string }

/** The clock's step; every ptime from 10 to 60 ms is made of it. */
const TICK_MS = 10
/** Asked of the kernel for each port; it may give less. A second of sound is 10 kB, so this outlasts any stall that matters. */
const RECEIVE_BUFFER_BYTES = 256 * 1024
const CNAME_BYTES = 9
/** How long the thread's end waits for recordings to be closed. */
const LAST_WRITES_MS = 3_000

interface Ports {
  readonly callId: string
  readonly call: Conversation
  readonly leg: SoundLeg
  readonly port: number
  readonly rtp: Socket
  readonly rtcp: Socket
  nextReportAt: number
  /** Since when the lock is where signalling said; null while it is not. */
  settlingSince: number | null
  /** The only address the kernel lets in and sends to; null while the socket takes packets from anywhere. */
  boundTo: Source | null
}

const options = workerData as WorkerOptions
const calls = new Map<string, Conversation>()
const legs = new Map<string, Ports>()
/** By call, what is being recorded. */
const tapes = new Map<string, { readonly recording: Recording; readonly file: TapeFile }>()
const turns = makeTurns()
/** Files of calls that are over. */
const closing = new Set<Promise<void>>()
/** Even ports that are bound or being bound. */
const taken = new Set<number>()
let timer: NodeJS.Timeout | null = null
let nextTickAt = 0

/** Epoch ms that never step back. */
const now = (): number => performance.timeOrigin + performance.now()

const send: Send = (legId, to, bytes) => {
  const ports = legs.get(legId)
  if (ports === undefined) return
  if (ports.boundTo !== null && !isSame(ports.boundTo, to)) unbindFrom(ports)
  if (ports.boundTo === null) ports.rtp.send(bytes, to.port, to.host)
  else ports.rtp.send(bytes)
}

parentPort?.on('message', ({ id, order }: { readonly id: number; readonly order: Order }) => {
  obey(order).then(
    (answer) => tell({ kind: 'done', id, answer }),
    (error: unknown) => tell({ kind: 'failed', id, message: error instanceof Error ? error.message : String(error) }),
  )
})

const tell = (message: FromWorker): void => parentPort?.postMessage(message)

async function obey(order: Order): Promise<Answer> {
  switch (order.kind) {
    case 'open':
      return await open(order.callId, order.legId, order.legKind)
    case 'connect':
      return await connect(order.legId, order.terms)
    case 'hearing': {
      const call = calls.get(order.callId)
      if (call !== undefined) guard(order.callId, () => setTable(call, order.table, now()))
      return null
    }
    case 'play': {
      const call = calls.get(order.callId)
      if (call !== undefined) play(call, order.soundId, order, now())
      return null
    }
    case 'record':
      return await record(order.callId, order.file, order.tapes)
    case 'close':
      return await close(order.legId)
    case 'counters':
      return counters(order.legId)
    case 'stop':
      await Promise.all([...legs.keys()].map(close))
      await Promise.race([Promise.all(closing), new Promise((resolve) => setTimeout(resolve, LAST_WRITES_MS))])
      return null
  }
}

async function open(callId: string, legId: string, kind: LegKind): Promise<Answer> {
  if (legs.has(legId)) throw new Error('this leg has its port already')
  const { rtp, rtcp, port } = await bindPair()
  const call = calls.get(callId) ?? makeConversation()
  calls.set(callId, call)
  const seed = { ssrc: randomInt(2 ** 32), sequence: randomInt(2 ** 16), timestamp: randomInt(2 ** 32) }
  const leg = addLeg(call, legId, kind, { ...seed, cname: randomBytes(CNAME_BYTES).toString('base64') })
  legs.set(legId, { callId, call, leg, port, rtp, rtcp, nextReportAt: now() + reportPauseMs(), settlingSince: null, boundTo: null })
  rtp.on('message', (bytes: Buffer, from: RemoteInfo) => {
    guard(callId, () => arrive(leg, { from: { host: from.address, port: from.port }, bytes, now: now() }, send))
  })
  rtcp.on('message', (bytes: Buffer, from: RemoteInfo) => {
    guard(callId, () => arriveRtcp(leg, { from: { host: from.address, port: from.port }, bytes, now: now() }))
  })
  startClock()
  return { port }
}

async function connect(legId: string, terms: MediaTerms): Promise<null> {
  const { host } = terms.remote
  // A name instead of an address is rare in SDP; one that cannot be resolved leaves the port waiting for the phone to speak first.
  const address =
    isIP(host) !== 0
      ? host
      : await lookupName(host).then(
          (found) => found.address,
          () => '0.0.0.0',
        )
  const ports = legs.get(legId)
  if (ports === undefined) return null
  const { callId, call, leg } = ports
  // Whoever is named next must be able to come in.
  unbindFrom(ports)
  guard(callId, () => setTerms(call, leg, { ...terms, remote: { host: address, port: terms.remote.port } }, now()))
  return null
}

function counters(legId: string): MediaCounters | null {
  const ports = legs.get(legId)
  return ports === undefined ? null : countersOf(ports.leg)
}

async function close(legId: string): Promise<MediaCounters | null> {
  const ports = legs.get(legId)
  if (ports === undefined) return null
  const { callId, call, leg } = ports
  legs.delete(legId)
  const last = countersOf(leg)
  const goodbye = report(leg, now(), true)
  // The port must be freed also in a call that had a fault.
  guard(callId, () => removeLeg(call, leg, now()))
  if (call.legs.size === 0) {
    calls.delete(callId)
    endRecording(callId)
  }
  if (goodbye !== null) await sent(ports.rtcp, goodbye.bytes, goodbye.to.port, goodbye.to.host)
  await Promise.all([closed(ports.rtp), closed(ports.rtcp)])
  taken.delete(ports.port)
  if (calls.size === 0) stopClock()
  return last
}

/** The timeline begins with the order; the answer says that the file is there. */
async function record(callId: string, path: string, tapeIds: readonly string[]): Promise<null> {
  const call = calls.get(callId)
  if (call === undefined) throw new Error('this call has no sound that could be recorded')
  if (!isAbsolute(path)) throw new Error('the file of a recording is an absolute path')
  const recording = recordCall(call, tapeIds, now())
  const onTrouble = (message: string): void => tell({ kind: 'tape-trouble', message, callId })
  const file = openTapeFile({ path, channels: tapeIds.length === 2 ? 2 : 1, turns, onTrouble })
  tapes.set(callId, { recording, file })
  try {
    await file.opened
  } catch (error) {
    // A call that ended meanwhile may have a successor of the same name.
    if (tapes.get(callId)?.file === file) tapes.delete(callId)
    if (call.recording === recording) dropRecording(call)
    throw error
  }
  return null
}

/** What was said up to now goes into the file, and that is it. */
function endRecording(callId: string): void {
  const tape = tapes.get(callId)
  if (tape === undefined) return
  tapes.delete(callId)
  try {
    finish(tape.recording, now())
  } catch (error) {
    // The call may have had its fault here; what it left is kept.
    tell({ kind: 'tape-trouble', message: `a recording ended early: ${String(error)}`, callId })
  }
  tape.file.take(takeChunks(tape.recording))
  const closed = tape.file.close().finally(() => closing.delete(closed))
  closing.add(closed)
}

/** A fault in one call must not silence the others: the call falls silent and the main thread hears of it. */
function guard(callId: string, step: () => void): void {
  try {
    step()
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    const legIds = [...(calls.get(callId)?.legs.keys() ?? [])]
    for (const legId of legIds) legs.get(legId)?.rtp.removeAllListeners('message')
    calls.delete(callId)
    endRecording(callId)
    tell({ kind: 'trouble', message, legIds })
  }
}

function startClock(): void {
  if (timer !== null) return
  nextTickAt = now() + TICK_MS
  timer = setTimeout(turn, TICK_MS)
}

function stopClock(): void {
  if (timer !== null) clearTimeout(timer)
  timer = null
}

/** Timers drift; the next turn is always set on the grid, and what a stall missed is for `tick` to skip. */
function turn(): void {
  const at = now()
  for (const [callId, call] of calls)
    guard(callId, () => {
      for (const soundId of tick(call, at, send)) tell({ kind: 'played', callId, soundId })
    })
  for (const [callId, { recording, file }] of tapes) {
    file.take(takeChunks(recording))
    if (isFull(recording)) endRecording(callId)
  }
  for (const ports of legs.values()) {
    guard(ports.callId, () => {
      settle(ports, at)
      if (ports.nextReportAt <= at) sendReport(ports, at)
    })
  }
  nextTickAt += TICK_MS
  if (nextTickAt < at) nextTickAt = at + TICK_MS
  timer = setTimeout(turn, Math.max(0, nextTickAt - now()))
}

/**
 * A phone that is where it said it is will stay there until it signals otherwise: binding the socket to it saves a seventh
 * of the cost of a packet, and the kernel drops strangers unseen (they are counted no more).
 */
function settle(ports: Ports, at: number): void {
  if (ports.boundTo !== null) return
  const { locked, named } = ports.leg.latch
  if (locked === null || named === null || !isSame(locked, named)) ports.settlingSince = null
  else if (ports.settlingSince === null) ports.settlingSince = at
  else if (at - ports.settlingSince >= options.settleMs) {
    ports.rtp.connect(locked.port, locked.host)
    if (isConnected(ports.rtp)) ports.boundTo = locked
    else ports.settlingSince = null
  }
}

/** `lookup` answers at once, so a connect has happened or failed when it returns. */
function isConnected(socket: Socket): boolean {
  try {
    return socket.remoteAddress() !== undefined
  } catch {
    return false
  }
}

function unbindFrom(ports: Ports): void {
  ports.settlingSince = null
  if (ports.boundTo === null) return
  ports.boundTo = null
  ports.rtp.disconnect()
}

function sendReport(ports: Ports, at: number): void {
  ports.nextReportAt = at + reportPauseMs()
  const due = report(ports.leg, at)
  if (due !== null) ports.rtcp.send(due.bytes, due.to.port, due.to.host)
}

/** Half to one and a half of the interval, so that reports of many calls do not come together (RFC 3550 §6.2). */
const reportPauseMs = (): number => REPORT_MS / 2 + randomInt(REPORT_MS)

/** An even port for RTP and the odd one above it, from a random place in the range on. */
async function bindPair(): Promise<{ rtp: Socket; rtcp: Socket; port: number }> {
  const first = options.portMin + (options.portMin % 2)
  const pairs = Math.max(0, Math.floor((options.portMax - first + 1) / 2))
  const start = pairs === 0 ? 0 : randomInt(pairs)
  for (let i = 0; i < pairs; i++) {
    const port = first + 2 * ((start + i) % pairs)
    if (taken.has(port)) continue
    taken.add(port)
    const pair = await tryPair(port)
    if (pair !== null) return { ...pair, port }
    taken.delete(port)
  }
  throw new Error(`no RTP port is free in ${options.portMin}-${options.portMax}`)
}

/** Null when somebody else has one of the two. */
async function tryPair(port: number): Promise<{ rtp: Socket; rtcp: Socket } | null> {
  const rtp = await bind(port)
  if (rtp === null) return null
  const rtcp = await bind(port + 1)
  if (rtcp !== null) return { rtp, rtcp }
  await closed(rtp)
  return null
}

async function bind(port: number): Promise<Socket | null> {
  const socket = createSocket({
    type: isIP(options.host) === 6 ? 'udp6' : 'udp4',
    // Addresses are always literal here; Node's own lookup would cost a tenth of the thread's time.
    lookup: (host, _options, callback) => callback(null, host, isIP(host)),
    recvBufferSize: RECEIVE_BUFFER_BYTES,
  })
  return await new Promise((resolve, reject) => {
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.close()
      if (error.code === 'EADDRINUSE') resolve(null)
      else reject(error)
    })
    socket.bind({ port, address: options.host, exclusive: true }, () => {
      socket.removeAllListeners('error')
      // A phone that is gone answers with ICMP errors, an unreachable one with a failed send: neither is news to RTP.
      socket.on('error', () => {})
      resolve(socket)
    })
  })
}

const sent = (socket: Socket, bytes: Uint8Array, port: number, host: string): Promise<void> =>
  new Promise((resolve) => socket.send(bytes, port, host, () => resolve()))

const closed = (socket: Socket): Promise<void> => new Promise((resolve) => socket.close(() => resolve()))
