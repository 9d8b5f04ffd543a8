/**
 * Where the sound of a phone lies on the timeline of a recording, which is our own clock's.
 *
 * Within a stream the phone's RTP time says it, not the arrival: jitter, disorder and loss leave every sample in its place. Two things
 * tie that time to ours:
 *
 *   beginning   the first packet of a stream, and one that is far from where it should be, ends where it arrives
 *   skew        crystals differ, by 4 s in 4 hours at 300 ppm. The packet of each second that waited least on its way shows how far the
 *               two times have come apart; from DEADBAND on, one packet after the other is made a sample longer or shorter (which
 *               nobody hears) until they agree: no step, no gap, up to 6000 ppm
 */
import { SAMPLES_PER_MS } from '../g711.ts'
import type { Arrival } from '../reception.ts'
import { timestampAhead } from '../rtp.ts'

/** Earlier than this against its place, a packet begins anew where it arrives. */
export const MAX_EARLY = 100 * SAMPLES_PER_MS
/** A difference up to this is left as it is: 1 ms. */
export const DEADBAND = SAMPLES_PER_MS
const WINDOW = 1000 * SAMPLES_PER_MS

/** One stream of one phone. */
export interface Track {
  isRunning: boolean
  /** A packet's RTP time, and where its first sample lies. */
  timestamp: number
  place: number
  /** How late the packet was that was least so, since the window began. */
  least: number
  windowEndsAt: number
  /** Samples that are still to be put in (or, below zero, to be taken out). */
  owed: number
}

export interface Place {
  readonly start: number
  /** Samples that it is to have there. */
  readonly length: number
  /** What was there from `start` on belongs to a time that was wrong. */
  readonly isNew: boolean
}

export const makeTrack = (): Track => ({ isRunning: false, timestamp: 0, place: 0, least: Number.POSITIVE_INFINITY, windowEndsAt: 0, owed: 0 })

/**
 * @param at Our timeline when the packet arrived, samples.
 * @param earliest What lies before it can be no place any more: better late than lost.
 */
export function placeOf(
  track: Track,
  { timestamp, length, arrival }: { readonly timestamp: number; readonly length: number; readonly arrival: Arrival },
  at: number,
  earliest: number,
): Place {
  if (arrival === 'first' || !track.isRunning) return begin(track, timestamp, length, at)
  const start = track.place + timestampAhead(timestamp, track.timestamp)
  if (arrival === 'late') return { start, length, isNew: false }
  const late = at - (start + length)
  if (start < earliest || late < -MAX_EARLY) return begin(track, timestamp, length, at)
  observe(track, late, at)
  const step = Math.sign(track.owed)
  track.owed -= step
  // As late as it would have been after this step.
  track.least -= step
  track.timestamp = timestamp
  // What follows moves by the sample that is put in or taken out here.
  track.place = start + step
  return { start, length: length + step, isNew: false }
}

function begin(track: Track, timestamp: number, length: number, at: number): Place {
  const start = at - length
  Object.assign(track, { isRunning: true, timestamp, place: start, least: Number.POSITIVE_INFINITY, windowEndsAt: at + WINDOW, owed: 0 })
  return { start, length, isNew: true }
}

function observe(track: Track, late: number, at: number): void {
  track.least = Math.min(track.least, late)
  if (at < track.windowEndsAt) return
  track.owed = Math.abs(track.least) > DEADBAND ? track.least : 0
  track.least = Number.POSITIVE_INFINITY
  track.windowEndsAt = at + WINDOW
}
