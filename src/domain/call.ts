/**
 * A call, and every decision about it.
 *
 * Each function answers one command or event with a Decision: the call as it is now, what to order from the engine,
 * and whom to call back. Nothing happens here; `control` makes it happen. Late events decide nothing.
 *
 *   live ──a conversation leg ends, or the last one──▶ ending ──every leg has ended──▶ ended
 */
import type { Address } from './address.ts'
import { DomainError, type LimitCode } from './errors.ts'
import { type Hearing, hearing } from './hearing.ts'
import type { Tones } from './evidence/tones.ts'
import type { AccountId, CallId, LegId, SoundId, TapeId } from './ids.ts'
import { type CallbackEvent, type EndCause, isAnswered, isConversation, isLive, type Leg, type LetGoCause, type Subscription } from './leg.ts'
import type { SoundState } from './sound.ts'

export type CallState =
  | { readonly status: 'live' }
  /** Everybody is being hung up; `outcome` is already decided. */
  | { readonly status: 'ending'; readonly outcome: EndCause }
  | { readonly status: 'ended'; readonly outcome: EndCause; readonly endedAt: number }

export interface Call {
  readonly id: CallId
  readonly accountId: AccountId
  readonly direction: 'inbound' | 'outbound-api'
  readonly from: Address
  readonly to: Address
  /** What dialled parties see. */
  readonly callerId: Address
  /** The agent's leg is coached when a supervisor names no target (C17). Null until that leg exists. */
  readonly agentLegId: LegId | null
  readonly createdAt: number
  readonly updatedAt: number
  /** Applies to every conversation leg that is dialled, ms. */
  readonly ringMs: number
  readonly limitMs: number
  readonly subscription: Subscription | null
  readonly customField: string | null
  readonly state: CallState
  readonly sound: SoundState
  /** How often the first party may still be rung again. */
  readonly retriesLeft: number
  /** The tones that tell the parties of supervisors; null before the first supervisor was asked for. */
  readonly tones: Tones | null
  /** The limit of its account that ended this call or kept it from going on; null: none. */
  readonly endReason: LimitCode | null
  /** In order of creation, ended ones included. */
  readonly legs: readonly Leg[]
}

export type Order =
  | { readonly kind: 'dial'; readonly legId: LegId; readonly legKind: 'conversation' | 'monitor'; readonly to: Address; readonly callerId: Address }
  | { readonly kind: 'ring'; readonly legId: LegId }
  | { readonly kind: 'answer'; readonly legId: LegId }
  | { readonly kind: 'hang-up'; readonly legId: LegId; readonly cause: LetGoCause }
  | { readonly kind: 'set-hearing'; readonly hearing: Hearing }
  /** Fetch it and play it; `played` is reported in any case, also when it cannot be had. */
  | { readonly kind: 'play'; readonly soundId: SoundId; readonly url: string; readonly repeats: boolean }
  | { readonly kind: 'record'; readonly tapes: readonly TapeId[] }
  /** Once the table names it. Nobody waits for it, and when it fails the call goes on. */
  | { readonly kind: 'play-tone'; readonly soundId: SoundId }

/** Something a customer subscribed to has happened; `webhooks` makes a request of it. */
export type Notice =
  | { readonly kind: 'leg'; readonly event: CallbackEvent; readonly legId: LegId }
  | { readonly kind: 'call'; readonly event: CallbackEvent }

export interface Decision {
  readonly call: Call
  readonly orders: readonly Order[]
  readonly notices: readonly Notice[]
}

export const nothing = (call: Call): Decision => ({ call, orders: [], notices: [] })

/** A live leg of the call. @throws {DomainError} leg-not-found, also for an ended leg. */
export function liveLeg(call: Call, legId: LegId): Leg {
  const leg = call.legs.find((candidate) => candidate.id === legId)
  if (!leg || !isLive(leg)) throw new DomainError('leg-not-found')
  return leg
}

/** @throws {DomainError} call-not-in-progress when no leg is live, or everybody is being hung up (C14). */
export function assertInProgress(call: Call): void {
  if (call.state.status !== 'live' || !call.legs.some(isLive)) throw new DomainError('call-not-in-progress')
}

/** Replaces the leg and moves the call's `updatedAt`. */
export function withLeg(call: Call, leg: Leg): Call {
  const known = call.legs.some((old) => old.id === leg.id)
  const legs = known ? call.legs.map((old) => (old.id === leg.id ? leg : old)) : [...call.legs, leg]
  return { ...call, legs, updatedAt: Math.max(call.updatedAt, leg.updatedAt) }
}

export const setHearing = (call: Call): Order => ({ kind: 'set-hearing', hearing: hearing(call.legs, call.sound, call.tones?.sounding) })

/** The notice for one leg's event, if somebody subscribed to it. */
export function legNotices(leg: Leg, event: CallbackEvent): readonly Notice[] {
  return leg.subscription?.events.includes(event) ? [{ kind: 'leg', event, legId: leg.id }] : []
}

export function callNotices(call: Call, event: CallbackEvent): readonly Notice[] {
  return call.subscription?.events.includes(event) ? [{ kind: 'call', event }] : []
}

/** The two parties as they were last reached: of one that was rung several times the latest leg. One that was not dialled yet is not there. */
export function parties({ legs }: Call): readonly Leg[] {
  const first = legs.findLast((leg) => isConversation(leg) && leg.origin !== 'outbound-dial')
  const second = legs.findLast((leg) => leg.origin === 'outbound-dial')
  return [first, second].filter((leg) => leg !== undefined)
}

/** Two parties have talked to each other. */
export const hasConversed = (call: Call): boolean =>
  call.legs.filter((leg) => isConversation(leg) && (isAnswered(leg) || (leg.state.status === 'ended' && leg.state.answeredAt !== null))).length >= 2

/** How long two parties were connected, ms; up to `now` while it lasts. */
export function conversationMs(call: Call, now: number): number {
  const spans = call.legs.filter(isConversation).flatMap(({ state }) => {
    if (state.status === 'answered') return [{ from: state.answeredAt, to: now }]
    return state.status === 'ended' && state.answeredAt !== null ? [{ from: state.answeredAt, to: state.endedAt }] : []
  })
  if (spans.length < 2) return 0
  return Math.max(0, Math.min(...spans.map((span) => span.to)) - Math.max(...spans.map((span) => span.from)))
}
