/**
 * The fence against toll fraud: how many legs an account may have and begin, and for how much money. Deny by default: an account without
 * settings of its own has the default caps, and with a rate plan it may only dial what has a rate.
 *
 * A call holds its places from its beginning: one that is to have a second party counts as two legs before that one is dialled.
 */
import type { Call } from '../call.ts'
import { DomainError } from '../errors.ts'
import { isLive } from '../leg.ts'
import type { DialRules } from './account.ts'
import { type Micros, type Money, micros } from './money.ts'
import { awaitedParty, firstPulse } from './prepaid.ts'
import { type LegWish, type RatePlan, rateFor } from './rating.ts'

export interface DialLimits {
  /** Null: whatever the operator's rules allow. */
  readonly allow: DialRules | null
  /** Legs at the same time, callers who came in included; 2 to 100,000. */
  readonly maxLegs: number
  /** Legs that are dialled within any 60 seconds; 2 to 100,000. */
  readonly legsPerMinute: number
  /** In the currency of the plan, by the account's day; null: no cap. */
  readonly spendPerDay: Money | null
}

export const DEFAULT_DIAL_LIMITS: DialLimits = { allow: null, maxLegs: 50, legsPerMinute: 60, spendPerDay: null }

export const MINUTE_MS = 60_000

/** What an account may: its plan, null without one, and its fence. */
export interface Terms {
  readonly plan: RatePlan | null
  readonly limits: DialLimits
}

/** How an account stands at a moment, whoever else is being dialled at that moment included. */
export interface Standing {
  /** Live legs, and those that are yet to be dialled. */
  readonly legs: number
  /** When legs were dialled within the last minute, epoch ms, the oldest first. */
  readonly starts: readonly number[]
  /** Balance less what live calls hold; of no interest unless prepaid. */
  readonly left: Micros
  /** Charged today, and what live calls hold. */
  readonly spentToday: Micros
}

/** Legs that a call takes of the cap. */
export const placesOf = (call: Call): number => call.legs.filter(isLive).length + (awaitedParty(call) === null ? 0 : 1)

/** Those that the house dials; a caller who comes in is not. */
export const dialledOf = (wishes: readonly LegWish[]): readonly LegWish[] => wishes.filter((wish) => wish.origin !== 'inbound')

/**
 * All of them or none.
 * @throws {DomainError} no-rate · no-balance · day-spend-reached · legs-reached · leg-starts-reached
 */
export function assertMayBegin({ plan, limits }: Terms, standing: Standing, wishes: readonly LegWish[], now: number): void {
  const dialled = dialledOf(wishes)
  if (plan !== null && dialled.some((wish) => rateFor(plan, wish) === null)) throw new DomainError('no-rate')
  assertMayPay({ plan, limits }, standing, wishes)
  if (standing.legs + wishes.length > limits.maxLegs) throw new DomainError('legs-reached', String(limits.maxLegs))
  const excess = standing.starts.length + dialled.length - limits.legsPerMinute
  if (excess > 0) {
    const free = standing.starts[Math.min(excess, standing.starts.length) - 1] ?? now
    const waitS = Math.max(1, Math.ceil((free + MINUTE_MS - now) / 1000))
    throw new DomainError('leg-starts-reached', `${limits.legsPerMinute}/${waitS}`)
  }
}

/**
 * Whether there is money for them: something is left, it covers the first pulse of each down to the floor, and the day's spend is not
 * used up.
 * @throws {DomainError} no-balance · day-spend-reached
 */
export function assertMayPay({ plan, limits }: Terms, { left, spentToday }: Standing, wishes: readonly LegWish[]): void {
  if (plan === null) return
  const first = wishes.reduce((total, wish) => total + firstPulse(plan, wish), 0n)
  if (plan.prepaid && (left <= 0n || left - first < micros(plan.floor))) throw new DomainError('no-balance')
  if (limits.spendPerDay !== null && (spentToday >= micros(limits.spendPerDay) || spentToday + first > micros(limits.spendPerDay)))
    throw new DomainError('day-spend-reached', limits.spendPerDay)
}
