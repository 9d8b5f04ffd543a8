/**
 * What a leg costs (contract C33).
 *
 * Its one rule, which anybody can repeat with the record of a leg at hand: the whole seconds from answer to end, as the record shows
 * them, are rounded up to the pulse; a leg that was answered costs one pulse at least, any other nothing; each pulse costs the price
 * that held when the leg was answered. Money itself is never rounded. A supervisor's leg is charged like any other.
 */
import type { Address } from '../address.ts'
import type { Call } from '../call.ts'
import { isLive, type Leg, type LegRate, onCallMs, type Origin } from '../leg.ts'
import { type Micros, type Money, micros, money, NO_MONEY, sum } from './money.ts'

/** What a pulse costs for legs of an origin whose address begins so; null stands for all. */
export interface Rate {
  readonly origin: Origin | null
  /** `+91`, `sip:`, `client:pri`, … */
  readonly prefix: string | null
  /** Of one pulse; not negative. */
  readonly price: Money
}

export interface RatePlan {
  /** ISO 4217, e.g. `INR`. */
  readonly currency: string
  /** Whole seconds of one pulse, 1 to 3600. */
  readonly pulseS: number
  readonly rates: readonly Rate[]
  /** Whether legs must be covered by the account's balance. */
  readonly prepaid: boolean
  /** How far down calls may take the balance; may be negative. */
  readonly floor: Money
}

/** A leg as somebody wants it, or as it is. */
export type LegWish = Pick<Leg, 'origin' | 'address'>

/**
 * The rate of the longest prefix, and of those alike the one for this origin. Null when none fits: such a leg may not be dialled, and
 * a caller who comes in so pays nothing.
 */
export function rateFor(plan: RatePlan, wish: LegWish): LegRate | null {
  const fitting = plan.rates.filter((rate) => (rate.origin ?? wish.origin) === wish.origin && startsWith(wish.address, rate.prefix))
  const [best] = fitting.sort((a, b) => (b.prefix ?? '').length - (a.prefix ?? '').length || Number(b.origin !== null) - Number(a.origin !== null))
  return best ? { currency: plan.currency, pulseS: plan.pulseS, price: best.price } : null
}

const startsWith = (address: Address, prefix: string | null): boolean => prefix === null || address.startsWith(prefix)

/**
 * The call with the rates of its legs: a leg has one from its first moment, and keeps for ever the one that held when it was answered,
 * whatever the plan says later. Without a plan it has none.
 */
export function rated(before: Call | undefined, call: Call, plan: RatePlan | null): Call {
  const legs = call.legs.map((leg) => {
    const old = before?.legs.find(({ id }) => id === leg.id)
    const isNew = old === undefined
    const picksUp = old?.state.status === 'ringing' && leg.state.status === 'answered'
    if (!isNew && !picksUp) return leg
    const rate = plan && (rateFor(plan, leg) ?? { currency: plan.currency, pulseS: plan.pulseS, price: NO_MONEY })
    return sameRate(rate, leg.rate) ? leg : { ...leg, rate }
  })
  return legs.every((leg, index) => leg === call.legs[index]) ? call : { ...call, legs }
}

const sameRate = (a: LegRate | null, b: LegRate | null): boolean =>
  a === b || (a !== null && b !== null && a.currency === b.currency && a.pulseS === b.pulseS && a.price === b.price)

/** Whole seconds from answer to end, as a leg's record shows them. */
export const billedSeconds = (leg: Leg): number => Math.floor(onCallMs(leg) / 1000)

/** Of an answered leg that talked so many whole seconds: one at least. */
export const pulsesIn = (seconds: number, pulseS: number): number => Math.max(1, Math.ceil(seconds / pulseS))

export const isAnsweredAndOver = ({ state }: Leg): boolean => state.status === 'ended' && state.answeredAt !== null

/** Null until the leg has ended, and without a plan. */
export function legPrice(leg: Leg): Money | null {
  if (isLive(leg) || leg.rate === null) return null
  return isAnsweredAndOver(leg) ? money(costOf(pulsesIn(billedSeconds(leg), leg.rate.pulseS), leg.rate)) : NO_MONEY
}

/** The sum of its legs. Null until the call has ended, and without a plan. */
export function callPrice(call: Call): Money | null {
  if (call.state.status !== 'ended') return null
  const prices = call.legs.map(legPrice).filter((price) => price !== null)
  return prices.length === 0 ? null : sum(prices)
}

export const costOf = (pulses: number, rate: LegRate): Micros => BigInt(pulses) * micros(rate.price)

/** Answered legs that were live before a step and have ended in it: each is charged once. */
export function justOver(before: Call | undefined, call: Call): readonly Leg[] {
  return call.legs.filter((leg) => {
    const old = before?.legs.find(({ id }) => id === leg.id)
    return isAnsweredAndOver(leg) && (old === undefined || isLive(old))
  })
}

/** The day, `YYYY-MM-DD`, on which a leg that ended is charged: the one of its end, by the account's clocks. */
export function dayOf(epochMs: number, timeZone: string): string {
  const format = formatters.get(timeZone) ?? formatterFor(timeZone)
  const parts: Partial<Record<Intl.DateTimeFormatPartTypes, string>> = {}
  for (const { type, value } of format.formatToParts(epochMs)) parts[type] = value
  return `${(parts.year ?? '').padStart(4, '0')}-${parts.month}-${parts.day}`
}

/** Formatters are costly to make, and few: one per zone, up to so many. */
const MAX_CACHED_ZONES = 64
const formatters = new Map<string, Intl.DateTimeFormat>()

function formatterFor(timeZone: string): Intl.DateTimeFormat {
  if (formatters.size >= MAX_CACHED_ZONES) formatters.clear()
  const made = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'iso8601',
    numberingSystem: 'latn',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
  })
  formatters.set(timeZone, made)
  return made
}
