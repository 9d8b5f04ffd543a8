/**
 * The samples of one mouth that wait for one ear which takes them by another clock.
 *
 * It holds samples, not packets, so that any packet time meets any other. Its rules, each counted or testable:
 *
 *   cushion     after it ran dry it gives nothing until a whole frame waits and its first samples have waited CUSHION_MS:
 *               an arrival that coincides with the taking would otherwise starve every other time
 *   starvation  what is left is given, then it is dry: one count, however long the mouth stays silent
 *   overflow    above its limit the oldest samples go: late sound is worth less than new
 *   surplus     what was never needed during a second is delay without use: one frame of it is dropped
 *
 * Codes of G.711 in the law of the mouth's latest packet; 8 samples are a millisecond.
 */
import { SAMPLES_PER_MS, transcoding, type Law } from './g711.ts'
import type { Sound } from './mixer.ts'

/**
 * 160 ms, or one frame of each side where those are longer. Many phones send in bursts (two packets each 40 ms, five after a pause of
 * the air): what a burst brings must wait, or every ear but the other party's hears holes. What waits in vain, surplus takes away.
 */
export const QUEUE_MIN_LIMIT = 8 * 20 * SAMPLES_PER_MS
/** The longest packet that is understood at all: 100 ms. */
export const MAX_FRAME_SAMPLES = 100 * SAMPLES_PER_MS
export const CUSHION_MS = 4
export const SURPLUS_WINDOW_MS = 1000

/** Room for the limit at the longest frames on both sides. */
const CAPACITY = 2 * MAX_FRAME_SAMPLES

export interface FrameQueue {
  /** Of all that waits. */
  law: Law
  readonly codes: Uint8Array
  /** Where `take` may put what it gives, until the next time. */
  readonly taking: Uint8Array
  /** Index of the oldest sample. */
  head: number
  length: number
  /** Samples in the latest packet of the mouth. */
  frame: number
  /** Samples that the ear takes at a time. */
  taken: number
  dry: boolean
  /** When the first samples came after it was dry, ms. */
  filledAt: number
  lastPutAt: number
  windowStartedAt: number
  /** The least that was left over and had waited, in this window. */
  leastLeft: number
  overflows: number
  starvations: number
  shrinks: number
}

export function makeQueue(now: number): FrameQueue {
  return {
    law: 'pcmu',
    codes: new Uint8Array(CAPACITY),
    taking: new Uint8Array(MAX_FRAME_SAMPLES),
    head: 0,
    length: 0,
    frame: 0,
    taken: 0,
    dry: true,
    filledAt: now,
    lastPutAt: now,
    windowStartedAt: now,
    leastLeft: CAPACITY,
    overflows: 0,
    starvations: 0,
    shrinks: 0,
  }
}

/** Adds a packet's samples. What is longer than `MAX_FRAME_SAMPLES` is cut. A mouth that changes its law keeps what waits. */
export function put(queue: FrameQueue, { law, codes, from, length }: Sound, now: number): void {
  const count = Math.min(length, MAX_FRAME_SAMPLES)
  if (count <= 0) return
  if (queue.law !== law) rewrite(queue, law)
  if (queue.length === 0) queue.filledAt = now
  queue.frame = count
  queue.lastPutAt = now
  const excess = queue.length + count - limitOf(queue)
  if (excess > 0) {
    discard(queue, Math.min(queue.length, excess))
    queue.overflows++
  }
  for (let i = 0; i < count; i++) queue.codes[(queue.head + queue.length + i) % CAPACITY] = codes[from + i] ?? 0
  queue.length += count
}

/** True when `take` would give something now. */
export function ready(queue: FrameQueue, count: number, now: number): boolean {
  if (queue.length === 0) return false
  return !queue.dry || (queue.length >= Math.min(count, limitOf(queue)) && now - queue.filledAt >= CUSHION_MS)
}

/** Moves up to `count` of the oldest samples into `target` from its beginning; returns how many. */
export function take(queue: FrameQueue, target: Uint8Array, count: number, now: number): number {
  queue.taken = count
  if (!ready(queue, count, now)) {
    if (!queue.dry) starve(queue)
    return 0
  }
  if (queue.dry) beginWindow(queue, now)
  queue.dry = false
  const given = Math.min(count, queue.length)
  for (let i = 0; i < given; i++) target[i] = queue.codes[(queue.head + i) % CAPACITY] ?? 0
  discard(queue, given)
  if (given < count) starve(queue)
  else shrink(queue, count, now)
  return given
}

/** Most samples that may wait. */
export function limitOf(queue: FrameQueue): number {
  return Math.max(QUEUE_MIN_LIMIT, queue.frame + Math.min(queue.taken, MAX_FRAME_SAMPLES))
}

function rewrite(queue: FrameQueue, law: Law): void {
  const table = transcoding(queue.law, law)
  for (let i = 0; i < queue.length; i++) {
    const at = (queue.head + i) % CAPACITY
    queue.codes[at] = table[queue.codes[at] ?? 0] ?? 0
  }
  queue.law = law
}

function discard(queue: FrameQueue, count: number): void {
  queue.head = (queue.head + count) % CAPACITY
  queue.length -= count
}

function starve(queue: FrameQueue): void {
  queue.dry = true
  queue.starvations++
}

function beginWindow(queue: FrameQueue, now: number): void {
  queue.windowStartedAt = now
  queue.leastLeft = CAPACITY
}

/** A packet that has only just come is not surplus yet: without it, is there still a frame that nobody needed? */
function shrink(queue: FrameQueue, count: number, now: number): void {
  const fresh = now - queue.lastPutAt < CUSHION_MS ? queue.frame : 0
  queue.leastLeft = Math.min(queue.leastLeft, Math.max(0, queue.length - fresh))
  if (now - queue.windowStartedAt < SURPLUS_WINDOW_MS) return
  if (queue.leastLeft >= count) {
    discard(queue, count)
    queue.shrinks++
  }
  beginWindow(queue, now)
}
