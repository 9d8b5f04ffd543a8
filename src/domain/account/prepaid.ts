/**
 * Live calls of one account against its money. Pure: `now` and the balance go in; what is left, and which calls it carries no further,
 * come out.
 *
 * Its one rule: no pulse begins that the balance does not cover down to the floor. A pulse that has begun is paid, and may be talked
 * out; the first pulse of a leg that rings, or is yet to be dialled, is kept for it. So calls never take the balance below the floor;
 * only a correction by hand does, and then all of them end.
 */
import type { Call } from '../call.ts'
import type { CallId } from '../ids.ts'
import type { Leg } from '../leg.ts'
import { type Micros, micros } from './money.ts'
import { costOf, type LegWish, pulsesIn, type RatePlan, rateFor } from './rating.ts'

export interface Purse {
  /** Paid in, less what ended legs cost. */
  readonly balance: Micros
  readonly plan: RatePlan
}

/** The second party of a call that is yet to be dialled: its place and its first pulse are kept from the beginning. */
export function awaitedParty(call: Call): LegWish | null {
  const isDialled = call.legs.some((leg) => leg.origin === 'outbound-dial')
  const rings = call.legs.some((leg) => leg.origin === 'outbound' && leg.state.status === 'ringing')
  return call.state.status === 'live' && !isDialled && rings
    ? { origin: 'outbound-dial', address: call.to }
    : null
}

/** What the first pulse of a leg costs; 0 without a rate. */
export function firstPulse(plan: RatePlan, wish: LegWish): Micros {
  const rate = rateFor(plan, wish)
  return rate === null ? 0n : micros(rate.price)
}

/** What a call holds of the balance: every pulse that has begun, and each first pulse that may. Ended legs were charged already. */
export function heldBy(call: Call, plan: RatePlan, now: number): Micros {
  const awaited = awaitedParty(call)
  return call.legs.reduce((total, leg) => total + heldByLeg(call, leg, now), awaited === null ? 0n : firstPulse(plan, awaited))
}

export const heldByAll = (calls: readonly Call[], plan: RatePlan, now: number): Micros =>
  calls.reduce((total, call) => total + heldBy(call, plan, now), 0n)

/**
 * When the account must be looked at again, epoch ms, if nothing else changes; null when nothing runs. That is the next pulse of any leg,
 * or, while there is enough for several pulses of every leg, when those are over.
 */
export function nextLookAt({ balance, plan }: Purse, calls: readonly Call[], now: number): number | null {
  const meters = calls.filter(isCarried).flatMap((call) => call.legs.flatMap((leg) => meterOf(leg) ?? []))
  if (meters.length === 0) return null
  const spare = balance - heldByAll(calls, plan, now) - micros(plan.floor)
  const round = meters.reduce((total, meter) => total + meter.price, 0n)
  const rounds = spare < round ? 0 : Number(spare / round > MAX_ROUNDS ? MAX_ROUNDS : spare / round)
  if (rounds > 0) return now + rounds * Math.min(...meters.map((meter) => meter.pulseMs))
  return Math.min(...meters.map((meter) => meter.answeredAt + begunPulses(meter, now) * meter.pulseMs))
}

/** Looks that may be left out in a row: an account is looked at once in a while whatever it has. */
const MAX_ROUNDS = 1_000n

/**
 * The calls that must end so that what is left is no less than the floor: one after the other, the one whose latest pulse began last
 * first, of several that began at once the youngest. What is given back by ending a call in the second in which a pulse begins is
 * the reason why the others may go on.
 */
export function callsToEnd({ balance, plan }: Purse, calls: readonly Call[], now: number): readonly CallId[] {
  let left = balance - heldByAll(calls, plan, now)
  if (left >= micros(plan.floor)) return []
  const ended: CallId[] = []
  const candidates = calls.filter(isCarried).map((call) => ({ call, latest: latestPulse(call, now) }))
  for (const { call } of candidates.sort((a, b) => b.latest - a.latest || b.call.createdAt - a.call.createdAt || (a.call.id < b.call.id ? 1 : -1))) {
    if (left >= micros(plan.floor)) break
    left += heldBy(call, plan, now) - heldBy({ ...call, state: { status: 'ending', outcome: 'completed' } }, plan, now)
    ended.push(call.id)
  }
  return ended
}

const isCarried = (call: Call): boolean => call.state.status === 'live'

interface Meter {
  readonly price: Micros
  readonly answeredAt: number
  readonly pulseMs: number
}

/** Of a leg that talks and costs something. */
function meterOf({ state, rate }: Leg): Meter | null {
  const price = rate === null ? 0n : micros(rate.price)
  if (state.status !== 'answered' || rate === null || price === 0n) return null
  return { answeredAt: state.answeredAt, pulseMs: rate.pulseS * 1000, price }
}

const begunPulses = ({ answeredAt, pulseMs }: Meter, now: number): number => Math.floor(Math.max(0, now - answeredAt) / pulseMs) + 1

function heldByLeg(call: Call, leg: Leg, now: number): Micros {
  const { state, rate } = leg
  if (rate === null) return 0n
  const carried = isCarried(call)
  switch (state.status) {
    case 'ringing':
      return carried ? micros(rate.price) : 0n
    case 'answered': {
      const talkedMs = Math.max(0, now - state.answeredAt)
      return costOf(carried ? Math.floor(talkedMs / (rate.pulseS * 1000)) + 1 : pulsesIn(Math.floor(talkedMs / 1000), rate.pulseS), rate)
    }
    case 'ended':
      return 0n
  }
}

/** When the latest pulse of the call began; a call that only rings has none, and is the last to go. */
function latestPulse(call: Call, now: number): number {
  const starts = call.legs.flatMap((leg) => {
    const meter = meterOf(leg)
    return meter === null ? [] : [meter.answeredAt + (begunPulses(meter, now) - 1) * meter.pulseMs]
  })
  return Math.max(0, ...starts)
}
