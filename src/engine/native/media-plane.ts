/**
 * The seam between the engine's signalling (main thread) and its sound (worker thread).
 * `media/media-thread.ts` implements it; the worker's rules are pure and live in `src/media/`.
 */
import type { Hearing } from '../../domain/hearing.ts'
import type { CallId, LegId, SoundId } from '../../domain/ids.ts'
import type { Terms } from '../../media/conversation.ts'
import type { Law } from '../../media/g711.ts'
import type { PlayOrder, RecordOrder } from '../engine.ts'

export type { Law, PlayOrder, RecordOrder }

/**
 * What a leg is to the sound: a conversation leg's ear is clocked by the packets of the other conversation leg, a
 * monitor's ear by our own clock. Whom each hears is the table's business alone.
 */
export type LegKind = 'conversation' | 'monitor'

/** What was agreed with a phone by SDP, as the sound needs it. */
export type MediaTerms = Terms

export interface MediaCounters {
  readonly packetsIn: number
  readonly packetsOut: number
  readonly lostIn: number
  /** What the phone's RTCP says it lost of our stream. */
  readonly lostOut: number
  /** RFC 3550 §6.4.1 interarrival jitter, ms. */
  readonly jitterMs: number
  /** From a stranger's address after the lock. */
  readonly strangers: number
  /** Not RTP, an unknown payload type, or too large. */
  readonly malformed: number
  /** Counted at the ear that missed the sound: frames thrown away because a queue was full, and moments at which one ran dry. */
  readonly overflows: number
  readonly starvations: number
  /** Frame times that our clock reached so late that they were skipped. */
  readonly lateTicks: number
  /** When the phone's RTP or RTCP came in last, epoch ms; null before any. RTP of a phone that said it will not send does not count. */
  readonly heardAt: number | null
}

export interface MediaPlane {
  /**
   * @param onLost A fault of ours: the sound of these legs is gone and will not come back, so they should end.
   * @param onPlayed A sound has come to its end.
   */
  start(onLost?: (legIds: readonly LegId[]) => void, onPlayed?: (callId: CallId, soundId: SoundId) => void): Promise<void>
  /** Binds a port pair (even RTP, odd RTCP) for the leg. @throws Error('no RTP port is free in MIN-MAX') */
  open(callId: CallId, legId: LegId, kind: LegKind): Promise<{ readonly port: number }>
  /** New or changed terms; the port stays. Unknown legs: nothing happens. */
  connect(legId: LegId, terms: MediaTerms): Promise<void>
  /** Resolves when the worker obeys the table. Default silence: a pair not in it is not heard; also without a table nobody hears anybody. */
  setHearing(callId: CallId, hearing: Hearing): Promise<void>
  /** As `Engine.play`; a call without a port has no table that could name the sound. @throws Error when it is too long, or too many play. */
  play(order: PlayOrder): Promise<void>
  /**
   * As `Engine.record`. The file is closed after the call's last port; trouble with it is told by `onTrouble` and loses sound, not the call.
   * @throws Error when the call has no port or is recorded already, the tapes are not one or two, or the file is there or cannot be made.
   */
  record(order: RecordOrder): Promise<void>
  /** Sends RTCP BYE, frees the port. Null for an unknown leg. */
  close(legId: LegId): Promise<MediaCounters | null>
  counters(legId: LegId): Promise<MediaCounters | null>
  stop(): Promise<void>
}
