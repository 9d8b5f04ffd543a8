/**
 * One leg of the engine as pure state: what it is, and what each thing that happens to it means.
 *
 *   we dial:    dialling ──sent──▶ calling ──rang──▶ ringing
 *                                     └──picked-up──┴──▶ connecting ──connected──▶ answered
 *   they call:  offered ──answer──▶ accepting ──connected──▶ answered
 *   any ──hang-up, lost──▶ ended
 *
 * One rule: `step` alone decides what the house is told, so `ringing` and `answered` come once at most and `ended` exactly
 * once, as the last. What does not fit the state moves nothing.
 */
import type { EndCause, LetGoCause } from '../../domain/leg.ts'
import type { EndReason } from '../../sip/user-agent.ts'

export const LEG_STATES = ['dialling', 'calling', 'ringing', 'connecting', 'offered', 'accepting', 'answered', 'ended'] as const
/** `dialling`: no INVITE was sent yet; `connecting`, `accepting`: picked up, and the path does not stand yet. */
export type LegState = (typeof LEG_STATES)[number]

export type Happening =
  | { readonly kind: 'sent' }
  | { readonly kind: 'rang' }
  | { readonly kind: 'picked-up' }
  /** The house answers an incoming caller. */
  | { readonly kind: 'answer' }
  /** The path stands: the sound knows the terms and, for a caller, the ACK came. */
  | { readonly kind: 'connected' }
  /** The house hangs up. */
  | { readonly kind: 'hang-up'; readonly cause: EndCause }
  /** The far end or the network ended it. */
  | { readonly kind: 'lost'; readonly cause: EndCause }

/** What the house is told. */
export type Report = { readonly kind: 'ringing' } | { readonly kind: 'answered' } | { readonly kind: 'ended'; readonly cause: EndCause }

export interface Step {
  readonly state: LegState
  /** In order. */
  readonly reports: readonly Report[]
}

export function step(state: LegState, happening: Happening): Step {
  const stay: Step = { state, reports: [] }
  switch (happening.kind) {
    case 'sent':
      return state === 'dialling' ? { state: 'calling', reports: [] } : stay
    case 'rang':
      return state === 'calling' ? { state: 'ringing', reports: [{ kind: 'ringing' }] } : stay
    case 'picked-up':
      return state === 'calling' || state === 'ringing' ? { state: 'connecting', reports: [] } : stay
    case 'answer':
      return state === 'offered' ? { state: 'accepting', reports: [] } : stay
    case 'connected':
      return state === 'connecting' || state === 'accepting' ? { state: 'answered', reports: [{ kind: 'answered' }] } : stay
    case 'hang-up':
    case 'lost':
      return state === 'ended' ? stay : { state: 'ended', reports: [{ kind: 'ended', cause: endCause(state, happening.cause) }] }
  }
}

/** Only who was answered can have completed; who was answered and is hung up has, unless something broke. */
function endCause(state: LegState, cause: EndCause): EndCause {
  if (state === 'answered') return cause === 'failed' ? 'failed' : 'completed'
  return cause === 'completed' ? 'canceled' : cause
}

/** Why a session that the far end or the network ended is over, in the house's words. `wasOurs`: we had dialled it. */
export function causeOfEnd(end: { readonly reason: EndReason; readonly status: number }, wasOurs: boolean): EndCause {
  switch (end.reason) {
    case 'bye':
      return 'completed'
    case 'cancelled':
      return 'canceled'
    case 'timeout':
    case 'transport':
      return 'failed'
    case 'rejected':
      return wasOurs ? causeOfStatus(end.status) : 'failed'
  }
}

/** What a final response to our INVITE means (contract C13). 603 is a person who pressed *decline*: as good as busy. */
export function causeOfStatus(status: number): EndCause {
  switch (status) {
    case 486:
    case 600:
    case 603:
      return 'busy'
    case 408:
    case 480:
      return 'no-answer'
    case 487:
      return 'canceled'
    default:
      return 'failed'
  }
}

/** The final response that tells an incoming caller why they are refused. */
export function statusOfCause(cause: LetGoCause): number {
  switch (cause) {
    case 'forbidden':
      return 403
    case 'nobody-there':
      return 480
    case 'busy':
      return 486
    case 'no-answer':
      return 480
    case 'canceled':
    case 'completed':
      return 487
    case 'failed':
      return 503
  }
}

/** About the address or the description: true of the caller's request as well. */
const PASSED_ON: ReadonlySet<number> = new Set([403, 404, 410, 484, 485, 488, 604, 606])

/**
 * What a caller is told when the phone that was dialled for them answered with that. Redirections are not followed. A 503 would
 * drive the caller away from *us* (RFC 3261 §16.7 step 6), and a challenge that we could not meet is not theirs to meet.
 */
export function statusForCaller(status: number): number {
  if (PASSED_ON.has(status)) return status
  return status < 400 ? 480 : 500
}
