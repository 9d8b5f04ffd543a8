/** One party's connection to a call. */
import type { Address } from './address.ts'
import type { Money } from './account/money.ts'
import type { KeyId, LegId } from './ids.ts'

export const MODES = ['listen', 'whisper', 'barge'] as const
/** How a supervisor takes part (contract C15). */
export type Mode = (typeof MODES)[number]

/** `outbound` first party dialled, `outbound-dial` second party dialled, `inbound` the caller, `monitor` a supervisor (C12). */
export type Origin = 'outbound' | 'outbound-dial' | 'inbound' | 'monitor'

/** How a leg ended (C13). `completed` only for a leg that was answered. */
export type EndCause = 'completed' | 'busy' | 'no-answer' | 'failed' | 'canceled'

/** Why the house lets a leg go. The last two end it as *failed*, and tell a caller who waits that they may not dial that, or that nobody takes calls there. */
export type LetGoCause = EndCause | 'forbidden' | 'nobody-there'

/** A leg is in exactly one of these; each carries only what is true in it. Times are epoch ms. */
export type LegState =
  | { readonly status: 'ringing' }
  /** `memory`: what the engine wants to be reminded of if the server dies before the leg ends; opaque, null for nothing. */
  | { readonly status: 'answered'; readonly answeredAt: number; readonly memory: string | null }
  | { readonly status: 'ended'; readonly endedAt: number; readonly answeredAt: number | null; readonly cause: EndCause }

export type CallbackEvent = 'answered' | 'terminal'
export type CallbackContentType = 'multipart/form-data' | 'application/json'

/** Where, about what and how somebody wants to be called back. */
export interface Subscription {
  readonly url: string
  readonly events: readonly CallbackEvent[]
  readonly contentType: CallbackContentType
}

/** On whose word a supervisor has the mode that they have; what the audit says. */
export interface Why {
  /** Whose API key asked for it. Null: nobody's, the house decided (C24). */
  readonly by: KeyId | null
  /** As the caller gave it, e.g. the number of a complaint; at most 64 characters. */
  readonly reasonCode: string | null
}

export const UNEXPLAINED: Why = { by: null, reasonCode: null }

/** What a supervisor's leg does. The target is the conversation leg that is coached. */
export interface Monitoring extends Why {
  readonly mode: Mode
  readonly targetLegId: LegId
  /** Since when all that the audit says of it has been so (`evidence/interval.ts`), epoch ms; null before pick-up. */
  readonly since: number | null
}

/** What a leg costs while it talks; copied from the account's plan, so that it stays what it was (C33). */
export interface LegRate {
  readonly currency: string
  /** Whole seconds of one pulse. */
  readonly pulseS: number
  /** Of one pulse. */
  readonly price: Money
}

export interface Leg {
  readonly id: LegId
  readonly address: Address
  readonly origin: Origin
  /** Null on conversation legs. */
  readonly monitoring: Monitoring | null
  readonly lastAction: '' | Mode | 'hangup'
  readonly createdAt: number
  readonly updatedAt: number
  readonly state: LegState
  /** Ring limit in ms, from creation. */
  readonly ringMs: number
  /** Talk limit in ms, from answer. */
  readonly limitMs: number
  readonly subscription: Subscription | null
  readonly customField: string | null
  /** Null without a rate plan. */
  readonly rate: LegRate | null
}

export const isLive = (leg: Leg): boolean => leg.state.status !== 'ended'
export const isAnswered = (leg: Leg): boolean => leg.state.status === 'answered'
export const isConversation = (leg: Leg): boolean => leg.monitoring === null

/** Talk time in ms from answer to end; 0 when never answered or still live. */
export function onCallMs(leg: Leg): number {
  const { state } = leg
  if (state.status !== 'ended' || state.answeredAt === null) return 0
  return Math.max(0, state.endedAt - state.answeredAt)
}

/** How a leg that was let go for that is recorded. */
export const endOf = (cause: LetGoCause): EndCause => (cause === 'forbidden' || cause === 'nobody-there' ? 'failed' : cause)
