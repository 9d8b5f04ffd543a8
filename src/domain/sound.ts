/**
 * What is heard in a call besides its parties, and what is kept of it (contract C30). Which ear hears it and when is
 * `hearing.ts`'s matter alone; here is only how far it has come.
 *
 *   before ──both parties have answered──▶ opening ──the opening has been played──▶ open
 *      └──────────both have answered, and there is no opening─────────────────────────▲
 */
import type { SoundId, TapeId } from './ids.ts'

/** As it was asked for. Where a URL may lead is asked when it is fetched. */
export interface CallSound {
  /** Heard by the first party while the second one rings; null is silence. */
  readonly waitUrl: string | null
  /** Played before the two can talk, to the second party or to both. */
  readonly opening: { readonly url: string; readonly to: 'callee' | 'both' } | null
  /** One channel for all or one for each party; null: nothing is recorded. */
  readonly recording: 'single' | 'dual' | null
}

export type Stage = 'before' | 'opening' | 'open'

/** A call's sound, and how far it has come. */
export interface SoundState extends CallSound {
  readonly stage: Stage
  /** Since when it is recorded, epoch ms; null: not (yet). */
  readonly recordedFrom: number | null
}

export const SILENT: CallSound = { waitUrl: null, opening: null, recording: null }
export const WAIT = 'wait' as SoundId
export const OPENING = 'opening' as SoundId
/** The first party's channel, or everybody's when there is one; and the second party's. */
export const FIRST_TAPE = 'tape-1' as TapeId
export const SECOND_TAPE = 'tape-2' as TapeId

export const soundBefore = (sound: CallSound): SoundState => ({ ...sound, stage: 'before', recordedFrom: null })

/** Both parties are there: the opening begins, or they hear each other at once. */
export const whenBothAreThere = (sound: SoundState, now: number): SoundState =>
  sound.opening === null ? whenOpen(sound, now) : { ...sound, stage: 'opening' }

/** The parties hear each other, and the recording begins. */
export const whenOpen = (sound: SoundState, now: number): SoundState => ({
  ...sound,
  stage: 'open',
  recordedFrom: sound.recording === null ? null : now,
})

/** The ears of the recording that has begun; none when nothing is recorded. */
export function tapesOf({ recording, recordedFrom }: SoundState): readonly TapeId[] {
  if (recordedFrom === null) return []
  switch (recording) {
    case null:
      return []
    case 'single':
      return [FIRST_TAPE]
    case 'dual':
      return [FIRST_TAPE, SECOND_TAPE]
  }
}
