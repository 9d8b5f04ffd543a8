/**
 * Who hears whom in one call (contract C23, C24).
 *
 * This is the only place in the house where a mode means something. It is the product's promise:
 * a customer never hears a listening or whispering supervisor. Every engine obeys the table and none
 * re-derives it. Default is silence: a pair that is not in the table is not heard.
 */
import type { LegId, SoundId, TapeId } from './ids.ts'
import type { SoundingTone } from './evidence/tones.ts'
import { isAnswered, type Leg } from './leg.ts'

export type Ear = LegId | TapeId
export type Mouth = LegId | SoundId

/** For each ear the mouths it hears. Every answered leg has a row; nobody is in their own row. */
export type Hearing = ReadonlyMap<Ear, readonly Mouth[]>

/**
 * The whole table at once, so that a mode change is one replacement and never a patch. Legs that are not answered are deaf and dumb.
 * @param tone The tone that tells parties that somebody listens: heard by its ears, whatever the mode.
 */
export function hearing(legs: readonly Leg[], tone: SoundingTone | null = null): Hearing {
  const present = legs.filter(isAnswered)
  return new Map(
    present.map((listener) => [
      listener.id,
      [...present.filter((speaker) => hears(listener, speaker)).map((speaker) => speaker.id), ...(tone?.ears.includes(listener.id) ? [tone.id] : [])],
    ]),
  )
}

/** Everyone hears the conversation: its parties and whoever barged in. A whisper is heard by its target alone. */
function hears(listener: Leg, speaker: Leg): boolean {
  if (listener.id === speaker.id) return false
  if (speaker.monitoring === null) return true
  switch (speaker.monitoring.mode) {
    case 'listen':
      return false
    case 'whisper':
      return listener.id === speaker.monitoring.targetLegId
    case 'barge':
      return true
  }
}
