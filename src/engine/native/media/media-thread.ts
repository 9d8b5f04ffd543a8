/**
 * The main thread's side of the sound: orders go to one worker by message, each with a number, and its answer settles the
 * promise. The worker obeys in order, so `setHearing` resolves when every later packet is heard by the new table.
 *
 * When the worker dies, all sound is gone: what waits is answered (`close` and `counters` with null, the rest with an
 * error), the engine is told by `onLost` which legs lost their ports and ends them, and a new worker takes over for new
 * calls, a few times a minute at most.
 */
import { Worker } from 'node:worker_threads'
import type { Hearing } from '../../../domain/hearing.ts'
import type { CallId, LegId, SoundId } from '../../../domain/ids.ts'
import type { LegKind, MediaCounters, MediaPlane, MediaTerms, PlayOrder, RecordOrder } from '../media-plane.ts'
import type { Answer, FromWorker, Order, WorkerOptions } from './media-worker.ts'

export interface MediaPlaneOptions {
  /** Address to bind, IPv4 or IPv6, e.g. `0.0.0.0`. */
  readonly host: string
  /** Even ports are RTP, the odd ones above them RTCP; both ends are in the range. */
  readonly portMin: number
  readonly portMax: number
  /** How long a port hears only the address that signalling named before its socket is bound to that; default 10000. */
  readonly settleMs?: number
  /** The worker's file, for tests; default `media-worker` beside this file. */
  readonly workerFile?: URL
  /**
   * A fault of ours, for the log: the sound of these legs is gone, and they end by `MediaPlane.start`'s `onLost`. Trouble with the
   * recording of a call names the call and no legs.
   */
  readonly onTrouble?: (message: string, legIds: readonly LegId[], callId: CallId | null) => void
}

/** A worker that dies more often than this in a minute is not started again. */
export const MAX_RESTARTS_PER_MINUTE = 5
const SETTLE_MS = 10_000

interface Waiting {
  readonly order: Order
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: Error) => void
}

interface Thread {
  readonly options: MediaPlaneOptions
  worker: Worker | null
  onLost: (legIds: readonly LegId[]) => void
  onPlayed: (callId: CallId, soundId: SoundId) => void
  /** Copies of clips in memory that both threads see, so that a clip is there once, however many calls play it. */
  readonly clips: WeakMap<Int16Array, Int16Array>
  isStopping: boolean
  lastId: number
  readonly waiting: Map<number, Waiting>
  /** Legs with a port. */
  readonly legs: Set<string>
  /** When workers died, epoch ms of the last minute. */
  deaths: number[]
}

export function makeMediaPlane(options: MediaPlaneOptions): MediaPlane {
  const thread: Thread = {
    options,
    worker: null,
    onLost: () => {},
    onPlayed: () => {},
    clips: new WeakMap(),
    isStopping: false,
    lastId: 0,
    waiting: new Map(),
    legs: new Set(),
    deaths: [],
  }
  return {
    start: (onLost = () => {}, onPlayed = () => {}) => {
      thread.onLost = onLost
      thread.onPlayed = onPlayed
      return startWorker(thread)
    },
    open: async (callId: CallId, legId: LegId, legKind: LegKind) => {
      const answer = await ask(thread, { kind: 'open', callId, legId, legKind })
      thread.legs.add(legId)
      return { port: portOf(answer) }
    },
    connect: async (legId: LegId, terms: MediaTerms) => {
      await ask(thread, { kind: 'connect', legId, terms })
    },
    setHearing: async (callId: CallId, hearing: Hearing) => {
      await ask(thread, { kind: 'hearing', callId, table: hearing })
    },
    play: async ({ callId, soundId, clip, repeats }: PlayOrder) => {
      await ask(thread, { kind: 'play', callId, soundId, samples: shared(thread, clip.samples), repeats })
    },
    record: async ({ callId, file, tapes }: RecordOrder) => {
      await ask(thread, { kind: 'record', callId, file, tapes })
    },
    close: async (legId: LegId) => {
      if (thread.worker === null) return null
      const answer = await ask(thread, { kind: 'close', legId })
      thread.legs.delete(legId)
      return countersIn(answer)
    },
    counters: async (legId: LegId) => (thread.worker === null ? null : countersIn(await ask(thread, { kind: 'counters', legId }))),
    stop: async () => {
      const { worker } = thread
      if (worker === null) return
      thread.isStopping = true
      await ask(thread, { kind: 'stop' })
      await worker.terminate()
      thread.worker = null
    },
  }
}

async function startWorker(thread: Thread): Promise<void> {
  const { host, portMin, portMax, settleMs = SETTLE_MS, workerFile } = thread.options
  const workerData: WorkerOptions = { host, portMin, portMax, settleMs }
  // Sources run as they are; the shipped build has the same file compiled.
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
  const worker = new Worker(workerFile ?? new URL(`./media-worker${extension}`, import.meta.url), { workerData })
  thread.isStopping = false
  thread.worker = worker
  worker.on('message', (message: FromWorker) => hear(thread, message))
  const online = new Promise<void>((resolve, reject) => {
    worker.once('online', resolve)
    worker.once('error', reject)
  })
  let fault = 'the sound thread ended'
  worker.on('error', (error) => {
    fault = `the sound thread failed: ${error instanceof Error ? error.message : String(error)}`
  })
  worker.once('exit', () => bury(thread, worker, fault))
  await online
}

function ask(thread: Thread, order: Order): Promise<Answer> {
  const { worker } = thread
  if (worker === null) return Promise.reject(new Error('the sound thread is not running'))
  const id = ++thread.lastId
  return new Promise((resolve, reject) => {
    thread.waiting.set(id, { order, resolve, reject })
    worker.postMessage({ id, order })
  })
}

function hear(thread: Thread, message: FromWorker): void {
  switch (message.kind) {
    case 'trouble':
      report(thread, message.message, message.legIds)
      return
    case 'tape-trouble':
      thread.options.onTrouble?.(message.message, [], message.callId as CallId)
      return
    case 'played':
      thread.onPlayed(message.callId as CallId, message.soundId as SoundId)
      return
    case 'done':
      thread.waiting.get(message.id)?.resolve(message.answer)
      thread.waiting.delete(message.id)
      return
    case 'failed':
      thread.waiting.get(message.id)?.reject(new Error(message.message))
      thread.waiting.delete(message.id)
  }
}

/** Whoever waits is answered, whoever had a port is named, and the next worker starts. */
function bury(thread: Thread, worker: Worker, fault: string): void {
  if (thread.worker !== worker) return
  thread.worker = null
  const waiting = [...thread.waiting.values()]
  thread.waiting.clear()
  for (const { order, resolve, reject } of waiting) {
    if (order.kind === 'close' || order.kind === 'counters' || order.kind === 'stop') resolve(null)
    else reject(new Error(fault))
  }
  const lost = [...thread.legs]
  thread.legs.clear()
  if (thread.isStopping) return
  report(thread, fault, lost)
  const now = Date.now()
  thread.deaths = [...thread.deaths.filter((at) => now - at < 60_000), now]
  if (thread.deaths.length > MAX_RESTARTS_PER_MINUTE) {
    report(thread, 'the sound thread keeps failing and is not started again', [])
    return
  }
  startWorker(thread).catch((error: unknown) => report(thread, `the sound thread does not start: ${String(error)}`, []))
}

function report(thread: Thread, message: string, ids: readonly string[]): void {
  const legIds = ids.map((id) => id as LegId)
  thread.options.onTrouble?.(message, legIds, null)
  if (legIds.length > 0) thread.onLost(legIds)
}

function shared(thread: Thread, samples: Int16Array): Int16Array {
  if (samples.buffer instanceof SharedArrayBuffer) return samples
  const known = thread.clips.get(samples)
  if (known !== undefined) return known
  const copy = new Int16Array(new SharedArrayBuffer(samples.byteLength))
  copy.set(samples)
  thread.clips.set(samples, copy)
  return copy
}

function portOf(answer: Answer): number {
  if (answer === null || !('port' in answer)) throw new Error('the sound thread gave no port')
  return answer.port
}

const countersIn = (answer: Answer): MediaCounters | null => (answer === null || 'port' in answer ? null : answer)
