/**
 * A clip that plays: a mouth without a phone.
 *
 * One rule: an ear hears it by the ear's own time. Where a packet lies on the ear's RTP timeline says which samples of the clip are in
 * it, so that packets of any length and law, relayed ones and our own, join without a gap; one that is lost, doubled or late carries
 * what it would have carried. Our clock says where an ear begins that comes later, and when the clip is over.
 */
import { encodeSample, SAMPLES_PER_MS, type Law } from '../g711.ts'
import type { Sound } from '../mixer.ts'
import { timestampAhead } from '../rtp.ts'

/** A longer clip is not played: ten minutes. */
export const MAX_CLIP_SAMPLES = 600_000 * SAMPLES_PER_MS
/** Sounds of one call at a time. */
export const MAX_SOUNDS = 16
/** How long after its end a clip waits for an ear whose time goes more slowly than ours; ms. */
export const STRAGGLER_MS = 2000
/** The longest packet of an ear, samples. */
const MAX_COUNT = 800

export interface Playing {
  readonly id: string
  /** Linear, 8000 a second. */
  readonly samples: Int16Array
  /** Has no end. */
  readonly repeats: boolean
  readonly startedAt: number
}

/** An ear of a clip. */
export interface Listening {
  /** Samples of the clip that were over when the ear began to hear it. */
  readonly since: number
  /** The clip's first sample on the ear's timeline; null before the ear's first packet with it. */
  origin: number | null
  /** Samples of the clip up to the last one that the ear was sent. */
  sentTo: number
  /** Of the latest packet, in the law of the ear. */
  readonly codes: Uint8Array
}

export const startPlaying = (id: string, samples: Int16Array, repeats: boolean, now: number): Playing => ({ id, samples, repeats, startedAt: now })

export const listenTo = (playing: Playing, now: number): Listening => ({
  since: positionOf(playing, now),
  origin: null,
  sentTo: 0,
  codes: new Uint8Array(MAX_COUNT),
})

/**
 * What a packet of the ear carries of the clip: shorter than the packet where the clip ends, null where it does not sound.
 * @param timestamp Of the packet, on the ear's timeline.
 * @param count Its samples, at most 800.
 */
export function soundAt(playing: Playing, ear: Listening, timestamp: number, count: number, law: Law): Sound | null {
  const { samples, repeats } = playing
  ear.origin ??= (timestamp - ear.since) >>> 0
  const first = timestampAhead(timestamp, ear.origin)
  ear.sentTo = Math.max(ear.sentTo, first + count)
  const length = Math.min(count, MAX_COUNT, repeats ? count : samples.length - first)
  // Negative: a packet that was late already when the ear began to hear the clip.
  if (first < 0 || length <= 0 || samples.length === 0) return null
  let place = first % samples.length
  for (let i = 0; i < length; i++) {
    ear.codes[i] = encodeSample(law, samples[place] ?? 0)
    if (++place === samples.length) place = 0
  }
  return { law, codes: ear.codes, from: 0, length }
}

/** Whether the clip has come to its end at every ear that can hear it. */
export function isOver(playing: Playing, ears: readonly Listening[], now: number): boolean {
  const { samples, repeats } = playing
  const after = positionOf(playing, now) - samples.length
  if (repeats || after < 0) return false
  return after >= STRAGGLER_MS * SAMPLES_PER_MS || ears.every((ear) => ear.sentTo >= samples.length)
}

/** Samples that our clock has played. */
export const positionOf = ({ startedAt }: Playing, now: number): number => Math.round((now - startedAt) * SAMPLES_PER_MS)
