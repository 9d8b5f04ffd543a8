import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { samplePlan } from '../../../test/sample-money.ts'
import type { Address } from '../address.ts'
import type { Call } from '../call.ts'
import { addMonitor, connect, newLeg } from '../commands.ts'
import { cutOff, onAnswered, onEnded } from '../events.ts'
import type { AccountId, CallId, LegId } from '../ids.ts'
import { isLive, type Leg } from '../leg.ts'
import { type Micros, type Money, micros, money } from './money.ts'
import { awaitedParty, callsToEnd, heldBy, heldByAll, nextLookAt } from './prepaid.ts'
import { legPrice, type RatePlan, rated } from './rating.ts'
import { SILENT } from '../sound.ts'
import { UNTOLD } from '../../../test/sample-calls.ts'

const at = (text: string): Address => text as Address
const id = (text: string): LegId => text as LegId
const plan: RatePlan = samplePlan({ prepaid: true, rates: [{ origin: null, prefix: null, price: '1.000' as Money }] })
const account = { id: 'acme' as AccountId, timeZone: 'UTC', numbers: [], agents: [], maxMonitors: 10, notice: null }
const limits = { ringMs: 30_000, limitMs: 14_400_000, subscription: null, customField: null, sound: SILENT, maxRetries: 0 }
const MINUTE = 60_000
const rupees = (text: string): Micros => micros(text as Money)

const ringing = (name: string, now: number): Call =>
  rated(
    undefined,
    connect({ from: at('+911'), to: at('+912'), callerId: null, ...limits }, { callId: name as CallId, legId: id(`${name}-from`), account }, now)
      .call,
    plan,
  )
const step = (call: Call, next: Call): Call => rated(call, next, plan)
const half = (name: string, now: number): Call => {
  const call = ringing(name, now)
  return step(call, onAnswered(call, id(`${name}-from`), { freshLegId: id(`${name}-to`), memory: null }, now).call)
}
const talking = (name: string, now: number): Call => {
  const call = half(name, now)
  return step(call, onAnswered(call, id(`${name}-to`), { freshLegId: id('unused'), memory: null }, now).call)
}

test('a call that is to have a second party keeps a place and a pulse for it until it is dialled', () => {
  assert.deepEqual(awaitedParty(ringing('a', 0)), { origin: 'outbound-dial', address: '+912' })
  assert.equal(awaitedParty(half('a', 0)), null)
  const watched = addMonitor(
    ringing('a', 0),
    { mode: 'listen', phone: at('+913'), targetLegId: null, callerId: null, ...limits },
    id('boss'),
    { maxMonitors: 1, notice: UNTOLD },
    0,
  ).call
  assert.deepEqual(awaitedParty(watched), { origin: 'outbound-dial', address: '+912' }, 'also when somebody monitors already')
  assert.equal(awaitedParty(onEnded(ringing('a', 0), id('a-from'), 'busy', 1).call), null)
  assert.equal(awaitedParty(cutOff(ringing('a', 0), 'no-balance').call), null)
})

const HELD: readonly (readonly [string, Call, number, string])[] = [
  ['two legs that may begin', ringing('a', 0), 0, '2.000'],
  ['one that talks and one that rings', half('a', 0), 0, '2.000'],
  ['two pulses that have begun', talking('a', 0), 0, '2.000'],
  ['the same pulses at their last millisecond', talking('a', 0), MINUTE - 1, '2.000'],
  ['four, as soon as the next ones begin', talking('a', 0), MINUTE, '4.000'],
  ['an hour of two legs', talking('a', 0), 60 * MINUTE - 1, '120.000'],
  ['what a call that is being hung up will cost', cutOff(talking('a', 0), 'no-balance').call, MINUTE + 999, '2.000'],
  ['nothing for who rings in a call that is being hung up', cutOff(half('a', 0), 'no-balance').call, 0, '1.000'],
]
for (const [what, call, now, held] of HELD) test(`a call holds ${what}`, () => assert.equal(money(heldBy(call, plan, now)), held))

test('a pulse that has begun is talked out: the account’s last rupees carry a call to the end of their minute, and not into the next', () => {
  const purse = { balance: rupees('2'), plan }
  const call = talking('a', 0)
  for (const now of [0, 1, MINUTE - 1]) assert.deepEqual(callsToEnd(purse, [call], now), [])
  assert.deepEqual(callsToEnd(purse, [call], MINUTE), ['a'])
  assert.equal(nextLookAt(purse, [call], 0), MINUTE)
})

test('the floor may be below zero or above it', () => {
  const call = talking('a', 0)
  const ended = (floor: string, balance: string): readonly CallId[] =>
    callsToEnd({ balance: rupees(balance), plan: { ...plan, floor: floor as Money } }, [call], MINUTE)
  assert.deepEqual(ended('0', '3.999999'), ['a'])
  assert.deepEqual(ended('0', '4'), [])
  assert.deepEqual(ended('-2', '2'), [])
  assert.deepEqual(ended('-2', '1.999999'), ['a'])
  assert.deepEqual(ended('10', '14'), [])
  assert.deepEqual(ended('10', '13'), ['a'])
})

test('of several calls the one ends whose next pulse is not covered; the others go on with what they have paid', () => {
  const [early, late] = [talking('early', 0), talking('late', 30_000)]
  const purse = { balance: rupees('7'), plan }
  assert.deepEqual(callsToEnd(purse, [early, late], 59_999), [])
  assert.deepEqual(callsToEnd(purse, [early, late], MINUTE), [], 'two more pulses are covered: 6 of 7')
  assert.deepEqual(callsToEnd(purse, [early, late], 90_000), ['late'])
})

test('of calls whose pulses begin at the same moment the youngest ends first, and no more than must', () => {
  const calls = [talking('a', 0), talking('b', 60_000), talking('c', 120_000)]
  // At 180 s they hold 8, 6 and 4; ending one gives 2 back.
  const ended = (balance: string): readonly CallId[] => callsToEnd({ balance: rupees(balance), plan }, calls, 180_000)
  assert.deepEqual(ended('18'), [])
  assert.deepEqual(ended('17'), ['c'])
  assert.deepEqual(ended('16'), ['c'])
  assert.deepEqual(ended('15'), ['c', 'b'])
  assert.deepEqual(callsToEnd({ balance: rupees('15'), plan }, calls.toReversed(), 180_000), ['c', 'b'], 'in whatever order they are told')
})

test('an account that a correction takes below its floor carries nothing any more', () => {
  const calls = [talking('a', 0), half('b', 5_000), ringing('c', 9_000)]
  assert.deepEqual([...callsToEnd({ balance: rupees('-50'), plan }, calls, 30_000)].sort(), ['a', 'b', 'c'])
})

test('calls that cost nothing, or are ending already, are not ended and not looked at', () => {
  const free = { ...plan, rates: [{ origin: null, prefix: null, price: '0.000' as Money }] }
  const call = rated(undefined, talking('a', 0), null)
  const unpriced: Call = { ...call, legs: call.legs.map((leg) => ({ ...leg, rate: null })) }
  assert.equal(nextLookAt({ balance: 0n, plan: free }, [unpriced], 0), null)
  assert.deepEqual(callsToEnd({ balance: 0n, plan: free }, [unpriced], 0), [])
  const ending = cutOff(talking('b', 0), 'no-balance').call
  assert.deepEqual(callsToEnd({ balance: rupees('-9'), plan }, [ending], 0), [])
  assert.equal(nextLookAt({ balance: rupees('9'), plan }, [ending], 0), null)
})

test('a rich account is not looked at with every pulse, and never too late', () => {
  const call = talking('a', 0)
  assert.equal(nextLookAt({ balance: rupees('2'), plan }, [call], 10), MINUTE)
  assert.equal(nextLookAt({ balance: rupees('4'), plan }, [call], 10), 10 + MINUTE, 'one more pulse of each leg is covered')
  assert.equal(nextLookAt({ balance: rupees('22'), plan }, [call], 10), 10 + 10 * MINUTE)
  assert.equal(nextLookAt({ balance: rupees('999999999'), plan }, [call], 10), 10 + 1_000 * MINUTE)
})

/** Legs with rates of all sorts, answered at any time. */
const anyLegs = fc.array(
  fc.record({
    pulseS: fc.integer({ min: 1, max: 90 }),
    price: fc.integer({ min: 0, max: 3_000_000 }),
    answeredAt: fc.integer({ min: 0, max: 120_000 }),
    call: fc.nat(3),
  }),
  { minLength: 1, maxLength: 8 },
)

test('property: looked at only when it asks to be, no account goes below its floor, and a call ends only for want of money', () => {
  fc.assert(
    fc.property(anyLegs, fc.integer({ min: 0, max: 60_000_000 }), fc.integer({ min: -5_000_000, max: 5_000_000 }), (legs, extra, floor) => {
      const its: RatePlan = { ...plan, floor: money(BigInt(floor)) }
      let calls = callsOf(legs)
      let now = Math.max(...legs.map((leg) => leg.answeredAt))
      // Whatever has begun by then is covered, as it is when legs are let in.
      let balance = heldByAll(calls, its, now) + BigInt(floor) + BigInt(extra)
      for (let looks = 0; looks < 400 && calls.length > 0; looks += 1) {
        for (const callId of callsToEnd({ balance, plan: its }, calls, now)) {
          const call = calls.find((each) => each.id === callId) as Call
          // Hung up within the second.
          balance -= call.legs.reduce((sum, leg) => sum + micros(legPrice(endedAt(leg, now + 900)) ?? ('0' as Money)), 0n)
          calls = calls.filter((each) => each !== call)
        }
        assert(balance >= BigInt(floor), `${balance} at ${now}`)
        assert(balance - heldByAll(calls, its, now) >= BigInt(floor))
        const next = nextLookAt({ balance, plan: its }, calls, now)
        if (next === null) break
        assert(next > now)
        assert(balance - heldByAll(calls, its, next - 1) >= BigInt(floor), 'between two looks nothing goes wrong')
        now = next
      }
    }),
  )
})

function callsOf(
  legs: readonly { readonly pulseS: number; readonly price: number; readonly answeredAt: number; readonly call: number }[],
): readonly Call[] {
  const made = legs.map((wanted, index): readonly [number, Leg] => [
    wanted.call,
    {
      ...newLeg({ id: id(`leg${index}`), address: at('+911'), origin: 'outbound-dial', now: 0, ringMs: 1, limitMs: 1 }),
      rate: { currency: 'INR', pulseS: wanted.pulseS, price: money(BigInt(wanted.price)) },
      state: { status: 'answered', answeredAt: wanted.answeredAt, memory: null },
    },
  ])
  return [0, 1, 2, 3]
    .map((n): Call => ({ ...ringing(`call${n}`, n), legs: made.filter(([call]) => call === n).map(([, leg]) => leg) }))
    .filter((call) => call.legs.length > 0)
}

const endedAt = (leg: Leg, now: number): Leg =>
  isLive(leg) && leg.state.status === 'answered'
    ? { ...leg, state: { status: 'ended', answeredAt: leg.state.answeredAt, endedAt: now, cause: 'completed' } }
    : leg
