/**
 * The port to whatever carries SIP and sound. Orders go down, events come up; nothing but these types is shared.
 *
 * Promises of an engine, proved for each by `suite.ts`:
 *  - an order returns when it is under way (`dial`: the INVITE was handed to the network) or in force (`setHearing`:
 *    the next sample that any ear hears obeys the table);
 *  - every leg that was dialled or came in ends with exactly one `ended` event, also after `hangUp`, which ends a leg
 *    at once for the house, however long the far end takes to agree;
 *  - orders about a leg or call that the engine does not know (any more) do nothing and do not throw;
 *  - events of one call arrive in the order in which they happened;
 *  - a sound is a mouth and a tape is an ear of the table like any other: what the table does not say is neither heard nor recorded.
 */
import type { Address } from '../domain/address.ts'
import type { Hearing } from '../domain/hearing.ts'
import type { AccountId, CallId, LegId, SoundId, TapeId } from '../domain/ids.ts'
import type { EndCause, LetGoCause } from '../domain/leg.ts'

export interface DialOrder {
  readonly callId: CallId
  readonly legId: LegId
  readonly accountId: AccountId
  readonly to: Address
  /** Whom the dialled phone sees calling. */
  readonly callerId: Address
  /** What the leg will be to the call's sound. Who hears it is still the table's matter alone. */
  readonly legKind: 'conversation' | 'monitor'
}

/** Sound that is ready to be played: mono, 16 bit, 8000 samples a second. */
export interface Clip {
  readonly samples: Int16Array
}

export interface PlayOrder {
  readonly callId: CallId
  readonly soundId: SoundId
  readonly clip: Clip
  /** Begins again at its end without a gap, until no row of the table names it any more; such a sound is never `played`. */
  readonly repeats: boolean
}

export interface RecordOrder {
  readonly callId: CallId
  /** An absolute path in a folder that exists; a WAV file, readable at any moment as far as it goes, also after a crash. */
  readonly file: string
  /** One ear for each channel, 1 or 2. */
  readonly tapes: readonly TapeId[]
}

/** What happens to a leg. */
export type LegEvent =
  /** Somebody calls in and was identified. The engine has made the ids; it sent 100 Trying and waits for `ring`, `answer` or `hangUp`. */
  | {
      readonly kind: 'incoming'
      readonly callId: CallId
      readonly legId: LegId
      readonly accountId: AccountId
      readonly from: Address
      readonly dialled: Address
      /** A registered phone of the account, or a trunk that carries one of its numbers. */
      readonly source: 'agent' | 'trunk'
    }
  | { readonly kind: 'ringing'; readonly callId: CallId; readonly legId: LegId }
  | {
      readonly kind: 'answered'
      readonly callId: CallId
      readonly legId: LegId
      /** What this engine wants to be reminded of, by `farewell`, if its process dies before the leg ends; opaque, null for nothing. */
      readonly memory: string | null
    }
  | { readonly kind: 'ended'; readonly callId: CallId; readonly legId: LegId; readonly cause: EndCause }

export type EngineEvent =
  | LegEvent
  /** A sound has come to its end. */
  | { readonly kind: 'played'; readonly callId: CallId; readonly soundId: SoundId }

export interface Engine {
  /** Opens sockets. @throws when an address cannot be bound, with a message that names it. */
  start(onEvent: (event: EngineEvent) => void): Promise<void>
  /** Ends every leg that is left (each with its `ended` event), then closes. */
  stop(): Promise<void>
  dial(order: DialOrder): Promise<void>
  /** Tells an incoming caller that the far end rings (180). */
  ring(callId: CallId, legId: LegId): Promise<void>
  /** Answers an incoming caller; `answered` follows when the path stands. */
  answer(callId: CallId, legId: LegId): Promise<void>
  /** Replaces the call's whole table. Legs without a row are silent both ways. Resolves when the sound has changed. */
  setHearing(callId: CallId, hearing: Hearing): Promise<void>
  /**
   * Begins a sound, which is heard where the table in force says so. One that no row names does not begin, and one that a later table
   * names nowhere is over; of neither there is an event. Resolves when it has begun. While a phone is on hold it goes on unheard.
   * @throws Error when it is longer than ten minutes, or sixteen play in the call already.
   */
  play(order: PlayOrder): Promise<void>
  /**
   * Records what the tapes hear, from now to the end of the call's last leg; where nobody speaks it is silent. Resolves when it has begun. Once a call.
   * @throws Error when the call is recorded already or has no phone yet that could be heard, there is another number of tapes, or the file
   * is there already or cannot be made; nothing has changed then. A disk that fails later loses sound, never the call.
   */
  record(order: RecordOrder): Promise<void>
  /**
   * Ends a leg: BYE, CANCEL, or a final response that says `cause` to an incoming caller. A caller who is let go as `failed` because the
   * other leg of their call could not be reached may be told what that one's far end said.
   */
  hangUp(callId: CallId, legId: LegId, cause: LetGoCause): Promise<void>
  /**
   * Tells the far ends of legs that a former life of this process left behind that it is over. Resolves when that is under way;
   * no event comes of it. A memory that is malformed, not this engine's, or of a leg that lives is ignored.
   */
  farewell(memories: readonly string[]): Promise<void>
}
