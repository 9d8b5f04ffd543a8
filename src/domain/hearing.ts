/**
 * Who hears whom in one call (contract C23, C24).
 *
 * This is the only place in the house where a mode means something. It is the product's promise:
 * a customer never hears a listening or whispering supervisor. Every engine obeys the table and none
 * re-derives it. Default is silence: a pair that is not in the table is not heard.
 */
import type { SoundingTone } from './evidence/tones.ts'
import type { LegId, SoundId, TapeId } from './ids.ts'
import { isAnswered, isConversation, type Leg } from './leg.ts'
import { OPENING, SECOND_TAPE, SILENT, soundBefore, type SoundState, tapesOf, WAIT } from './sound.ts'

export type Ear = LegId | TapeId
export type Mouth = LegId | SoundId

/** For each ear the mouths it hears. Every answered leg has a row; nobody is in their own row. */
export type Hearing = ReadonlyMap<Ear, readonly Mouth[]>

/**
 * The whole table at once, so that a mode change is one replacement and never a patch. Legs that are not answered are deaf and dumb.
 * What is played is one more mouth, and what is recorded is what its tapes hear: the conversation, and nothing that one party alone hears.
 * @param tone The tone that tells parties that somebody listens: heard by its ears, whatever the mode.
 */
export function hearing(legs: readonly Leg[], sound: SoundState = QUIET, tone: SoundingTone | null = null): Hearing {
  const present = legs.filter(isAnswered)
  const ears = present.map((listener): [Ear, readonly Mouth[]] => {
    const speakers = present.filter((speaker) => hears(listener, speaker) && !isHeldApart(listener, speaker, sound))
    return [
      listener.id,
      [...speakers.map((speaker) => speaker.id), ...soundsFor(listener, legs, sound), ...(tone?.ears.includes(listener.id) ? [tone.id] : [])],
    ]
  })
  const tapes = tapesOf(sound).map((tape): [Ear, readonly Mouth[]] => [
    tape,
    present.filter((speaker) => isOnTape(speaker, tape, sound)).map((speaker) => speaker.id),
  ])
  return new Map([...ears, ...tapes])
}

const QUIET = soundBefore(SILENT)

/** While the opening is played, the parties do not hear each other yet. */
const isHeldApart = (listener: Leg, speaker: Leg, { stage }: SoundState): boolean =>
  stage === 'opening' && isConversation(listener) && isConversation(speaker)

/** The first party waits with music until the second one picks up; then the opening, if there is one, is heard by whom it is for. */
function soundsFor(listener: Leg, legs: readonly Leg[], { stage, waitUrl, opening }: SoundState): readonly SoundId[] {
  if (!isConversation(listener)) return []
  const isSecond = listener.origin === 'outbound-dial'
  switch (stage) {
    case 'before': {
      const waits = !isSecond && legs.some((leg) => leg.origin === 'outbound-dial' && leg.state.status === 'ringing')
      return waits && waitUrl !== null ? [WAIT] : []
    }
    case 'opening':
      return opening !== null && (isSecond || opening.to === 'both') ? [OPENING] : []
    case 'open':
      return []
  }
}

/** Who is in the conversation is on the tape: its parties, and whoever barges in, on the first party's channel. Whispers never are. */
function isOnTape(speaker: Leg, tape: TapeId, { recording }: SoundState): boolean {
  if (speaker.monitoring !== null && speaker.monitoring.mode !== 'barge') return false
  return recording === 'single' || (speaker.origin === 'outbound-dial') === (tape === SECOND_TAPE)
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
