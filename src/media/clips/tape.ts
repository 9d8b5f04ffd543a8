/**
 * The recording of a call: one or two tapes, each an ear of the table that writes down what it hears, on one timeline without a gap.
 *
 *   packets of a phone ─ place on the timeline (`timeline.ts`) ─▶ strip of this mouth on this tape ┐
 *   clip that plays ─────────────────────────────────────────────▶ strip                          ├─▶ sum, 16 bits ─▶ chunk
 *
 * A strip keeps the last second of one mouth, so that what is late, doubled or in disorder finds its place; HOLD_MS after its time a
 * sample is summed up with the others of its tape and given out, the same stretch of all tapes at once. So they stay aligned for ever.
 *
 * One rule: fail closed. A strip takes samples whose time and arrival lie after the moment at which a table named the mouth, and
 * none after the moment at which one did not: of a whisper before and after a barge there is no sample (contract C23). What was
 * recorded by right stays.
 */
import { LINEAR, SAMPLES_PER_MS, type Law } from '../g711.ts'
import type { Arrival } from '../reception.ts'
import type { Playing } from './player.ts'
import { placeOf, type Track } from './timeline.ts'

/** How long a sample is waited for. */
export const HOLD_MS = 400
/** Sound of one chunk. With `HOLD_MS` it is what a process that is killed takes with it: less than a second. */
export const CHUNK_MS = 500
/** A longer recording ends here; a WAV file has an end as well. */
export const MAX_RECORDING_MS = 24 * 3_600_000
/** What is summed up at a time. */
const STEP = 20 * SAMPLES_PER_MS
/** One second, as a power of two, and the mask that finds a place on it. */
const RING = 8192
const PLACE = RING - 1
const CHUNK = CHUNK_MS * SAMPLES_PER_MS
const LONGEST = 1024

/** A mouth on a tape. */
export interface Strip {
  readonly ring: Int16Array
  /** False: nothing is added any more; what is on it goes out. */
  isOpen: boolean
  /** Where it was opened. */
  since: number
  /** After the last sample that was written. */
  end: number
  /** For a clip, which has no packets. */
  readonly playing: Playing | null
}

export interface Tape {
  readonly id: string
  /** By mouth, whatever stands for it: those of the table, and for `HOLD_MS` those that were. */
  readonly strips: Map<object, Strip>
}

/** Sound that is ready to be kept: samples of all tapes in turn, 16 bits. */
export interface Chunk {
  /** Samples of a tape before it. */
  readonly at: number
  readonly samples: Int16Array
}

export interface Recording {
  readonly startedAt: number
  readonly tapes: readonly Tape[]
  /** Samples of each tape that were given out, and those that the next turn may give out. */
  done: number
  due: number
  chunk: Int16Array
  /** Where the chunk begins. */
  chunkAt: number
  chunks: Chunk[]
  readonly packet: Int16Array
  readonly sum: Int32Array
}

/** A packet of a phone as a tape takes it. */
export interface TapedPacket {
  readonly timestamp: number
  readonly arrival: Arrival
  readonly law: Law
  readonly codes: Uint8Array
  readonly from: number
  readonly length: number
}

/** @param tapeIds One or two, one for each channel. */
export const makeRecording = (tapeIds: readonly string[], now: number): Recording => ({
  startedAt: now,
  tapes: tapeIds.map((id) => ({ id, strips: new Map() })),
  done: 0,
  due: 0,
  chunk: new Int16Array(CHUNK * tapeIds.length),
  chunkAt: 0,
  chunks: [],
  packet: new Int16Array(LONGEST),
  sum: new Int32Array(STEP),
})

/** Opens strips for these mouths and closes those of all others; returns the open ones in the order of `mouths`. Call `settle` before. */
export function keepStrips(
  recording: Recording,
  tape: Tape,
  mouths: readonly { readonly mouth: object; readonly playing: Playing | null }[],
  now: number,
): readonly Strip[] {
  const at = timeAt(recording, now)
  for (const [mouth, strip] of tape.strips) strip.isOpen &&= mouths.some((each) => each.mouth === mouth)
  return mouths.map(({ mouth, playing }) => {
    const known = tape.strips.get(mouth)
    if (known?.isOpen === true) return known
    const strip = known ?? { ring: new Int16Array(RING), isOpen: true, since: at, end: recording.done, playing }
    strip.isOpen = true
    strip.since = at
    tape.strips.set(mouth, strip)
    return strip
  })
}

/** A packet came from a mouth with these strips. The bytes are only read. Keep its track even while no tape hears it. */
export function record(recording: Recording, track: Track, strips: readonly Strip[], packet: TapedPacket, now: number): void {
  const { law, codes, from } = packet
  const at = timeAt(recording, now)
  const { start, length, isNew } = placeOf(track, packet, at, recording.done)
  const count = Math.min(packet.length, LONGEST - 1)
  if (strips.length === 0) return
  const table = LINEAR[law]
  for (let i = 0; i < count; i++) recording.packet[i] = table[codes[from + i] ?? 0] ?? 0
  stretch(recording.packet, count, length - packet.length)
  for (const strip of strips) {
    if (isNew) erase(strip, Math.max(start, recording.done))
    // What arrives now was said by now, whatever its time says.
    const skipped = Math.max(0, strip.since - Math.min(start, at - packet.length))
    write(recording, strip, start + skipped, recording.packet.subarray(skipped, count + length - packet.length))
  }
}

/** Writes down what clips have played up to now. */
export function settle(recording: Recording, now: number): void {
  const at = timeAt(recording, now)
  for (const { strips } of recording.tapes) {
    for (const strip of strips.values()) if (strip.isOpen && strip.playing !== null) writeClip(recording, strip, strip.playing, at)
  }
}

/**
 * Our clock's turn: gives out what had waited for long enough at the turn before. After a stall, what waits in sockets is so read before
 * its time is given out. Call it every 10 ms; called less often it keeps up all the same.
 */
export function turn(recording: Recording, now: number): void {
  settle(recording, now)
  while (recording.done + STEP <= recording.due && !isFull(recording)) giveOut(recording, STEP)
  recording.due = timeAt(recording, now) - HOLD_MS * SAMPLES_PER_MS
}

/** The call is over: gives out everything up to now. */
export function finish(recording: Recording, now: number): void {
  settle(recording, now)
  const until = timeAt(recording, now)
  while (recording.done < until && !isFull(recording)) giveOut(recording, Math.min(STEP, until - recording.done))
  const left = (recording.done - recording.chunkAt) * recording.tapes.length
  if (left > 0) recording.chunks.push({ at: recording.chunkAt, samples: recording.chunk.slice(0, left) })
}

/** The chunks that are complete, oldest first; they are the caller's from here on. */
export function takeChunks(recording: Recording): readonly Chunk[] {
  const { chunks } = recording
  if (chunks.length > 0) recording.chunks = []
  return chunks
}

export const isFull = ({ done }: Recording): boolean => done >= MAX_RECORDING_MS * SAMPLES_PER_MS

const timeAt = ({ startedAt }: Recording, now: number): number => Math.floor((now - startedAt) * SAMPLES_PER_MS)

/** One sample more or less, between its neighbours. */
function stretch(samples: Int16Array, count: number, by: number): void {
  if (by === 0 || count < 2) return
  const scale = (count - 1) / (count + by - 1)
  const blend = (i: number): void => {
    const at = i * scale
    const before = samples[Math.floor(at)] ?? 0
    const after = samples[Math.ceil(at)] ?? 0
    samples[i] = Math.round(before + (after - before) * (at % 1))
  }
  // In place: never over what is still to be read.
  if (by > 0) for (let i = count + by - 1; i >= 0; i--) blend(i)
  else for (let i = 0; i < count + by; i++) blend(i)
}

function write(recording: Recording, strip: Strip, start: number, samples: Int16Array): void {
  const end = start + samples.length
  while (end > recording.done + RING && !isFull(recording)) giveOut(recording, STEP)
  const skipped = Math.max(0, recording.done - start)
  if (skipped >= samples.length) return
  const at = (start + skipped) & PLACE
  const untilWrap = Math.min(samples.length, skipped + RING - at)
  strip.ring.set(samples.subarray(skipped, untilWrap), at)
  strip.ring.set(samples.subarray(untilWrap), 0)
  strip.end = Math.max(strip.end, end)
}

function writeClip(recording: Recording, strip: Strip, { samples, repeats, startedAt }: Playing, at: number): void {
  const origin = timeAt(recording, startedAt)
  const start = Math.max(strip.since, strip.end, recording.done, origin)
  for (let place = start; place < at && samples.length > 0; ) {
    const first = repeats ? (place - origin) % samples.length : place - origin
    const piece = samples.subarray(first, first + Math.min(at - place, STEP))
    if (piece.length === 0) return
    write(recording, strip, place, piece)
    place += piece.length
  }
}

/** What a wrong time put behind `start` is not said there. */
function erase(strip: Strip, start: number): void {
  for (let place = start; place < strip.end; place++) strip.ring[place & PLACE] = 0
}

function giveOut(recording: Recording, count: number): void {
  const { tapes, done, chunk, sum } = recording
  const before = (done - recording.chunkAt) * tapes.length
  for (const [channel, { strips }] of tapes.entries()) {
    // Silence needs no work: a new chunk is silent.
    let isSilent = true
    for (const [mouth, strip] of strips) {
      if (strip.end > done) move(strip.ring, done, sum, count)
      isSilent &&= strip.end <= done
      if (!strip.isOpen && strip.end <= done + count) strips.delete(mouth)
    }
    if (isSilent) continue
    for (let i = 0, at = before + channel; i < count; i++, at += tapes.length) chunk[at] = saturated(sum[i] ?? 0)
    sum.fill(0)
  }
  recording.done += count
  if (recording.done - recording.chunkAt < CHUNK) return
  recording.chunks.push({ at: recording.chunkAt, samples: chunk })
  recording.chunk = new Int16Array(chunk.length)
  recording.chunkAt = recording.done
}

/** Adds a stretch of a strip and leaves silence behind. */
function move(ring: Int16Array, place: number, sum: Int32Array, count: number): void {
  for (let i = 0, at = place & PLACE; i < count; i++, at = (at + 1) & PLACE) {
    sum[i] = (sum[i] ?? 0) + (ring[at] ?? 0)
    ring[at] = 0
  }
}

const saturated = (sum: number): number => (sum > 32767 ? 32767 : sum < -32768 ? -32768 : sum)
