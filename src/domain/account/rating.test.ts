import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { rate as anyRate, samplePlan } from '../../../test/sample-money.ts'
import type { Address } from '../address.ts'
import type { Call } from '../call.ts'
import { addMonitor, connect, newLeg } from '../commands.ts'
import { closeAfterCrash, onAnswered, onEnded } from '../events.ts'
import type { AccountId, CallId, LegId } from '../ids.ts'
import type { Leg, LegRate, Origin } from '../leg.ts'
import { type Money, micros, money } from './money.ts'
import { billedSeconds, callPrice, dayOf, justOver, legPrice, pulsesIn, type RatePlan, rated, rateFor } from './rating.ts'
import { SILENT } from '../sound.ts'
import { UNTOLD } from '../../../test/sample-calls.ts'

const at = (text: string): Address => text as Address
const price = (text: string): Money => text as Money
const id = (text: string): LegId => text as LegId

const plan: RatePlan = {
  ...samplePlan(),
  rates: [
    { origin: null, prefix: '+', price: price('9.000') },
    { origin: null, prefix: '+91', price: price('0.500') },
    { origin: null, prefix: '+9180', price: price('0.300') },
    { origin: 'monitor', prefix: '+91', price: price('0.250') },
    { origin: 'inbound', prefix: null, price: price('0.100') },
    { origin: null, prefix: 'sip:', price: price('0.010') },
    { origin: 'monitor', prefix: 'client:boss', price: price('0.020') },
  ],
}

const RATED: readonly (readonly [Origin, string, string | null, string])[] = [
  ['outbound', '+14155550100', '9.000', 'a prefix for all numbers'],
  ['outbound', '+919876543210', '0.500', 'the country'],
  ['outbound-dial', '+918012345678', '0.300', 'the longer prefix'],
  ['monitor', '+919876543210', '0.250', 'of prefixes alike the one for the origin'],
  ['monitor', '+918012345678', '0.300', 'the longer prefix, although a shorter one names the origin'],
  ['inbound', 'client:priya', '0.100', 'a rate for an origin without a prefix'],
  ['inbound', '+919876543210', '0.500', 'a prefix before an origin alone'],
  ['outbound', 'sip:bob@10.0.0.5', '0.010', 'a kind of address'],
  ['monitor', 'client:boss', '0.020', 'one phone'],
  ['outbound', 'client:boss', null, 'a rate for another origin is none'],
  ['outbound', 'client:priya', null, 'no rate'],
]
for (const [origin, address, wanted, why] of RATED) {
  test(`[C33] a leg to ${address} as ${origin} costs ${wanted ?? 'nothing that is known'}: ${why}`, () => {
    assert.equal(rateFor(plan, { origin, address: at(address) })?.price ?? null, wanted)
    const turned = { ...plan, rates: plan.rates.toReversed() }
    assert.equal(rateFor(turned, { origin, address: at(address) })?.price ?? null, wanted, 'in whatever order the rates are written')
  })
}

const rate: LegRate = { currency: 'INR', pulseS: 60, price: price('0.500') }
const born = newLeg({ id: id('leg'), address: at('+919876543210'), origin: 'outbound', now: 0, ringMs: 1, limitMs: 1 })
const talked = (ms: number, over: Partial<Leg> = {}): Leg => ({
  ...born,
  rate,
  state: { status: 'ended', answeredAt: 5, endedAt: 5 + ms, cause: 'completed' },
  ...over,
})

const COSTS: readonly (readonly [number, string])[] = [
  [0, '0.500'],
  [1, '0.500'],
  [59_999, '0.500'],
  [60_000, '0.500'],
  [60_999, '0.500'],
  [61_000, '1.000'],
  [120_000, '1.000'],
  [121_000, '1.500'],
  [14_400_000, '120.000'],
]
for (const [ms, cost] of COSTS) {
  test(`[C33] ${ms} ms after its answer a leg has cost ${cost}: whole seconds as its record shows them, rounded up to the pulse of 60 s`, () =>
    assert.equal(legPrice(talked(ms)), cost))
}

test('[C33] a leg that was never answered is free; a live leg, and one without a plan, has no price', () => {
  assert.equal(legPrice({ ...born, rate, state: { status: 'ended', answeredAt: null, endedAt: 99_000, cause: 'busy' } }), '0.000')
  assert.equal(legPrice({ ...born, rate }), null)
  assert.equal(legPrice({ ...born, rate, state: { status: 'answered', answeredAt: 0, memory: null } }), null)
  assert.equal(legPrice(talked(1, { rate: null })), null)
})

test('[C33] anybody can work out a price from the record of a leg: seconds, pulse, price of a pulse', () => {
  fc.assert(
    fc.property(anyRate, fc.integer({ min: 0, max: 14_400_000 }), (its, ms) => {
      const leg = talked(ms, { rate: its })
      const seconds = billedSeconds(leg)
      const pulses = BigInt(pulsesIn(seconds, its.pulseS))
      assert.equal(legPrice(leg), money(pulses * micros(its.price)))
      assert(pulses * BigInt(its.pulseS) >= BigInt(seconds), 'every second is paid')
      assert((pulses - 1n) * BigInt(its.pulseS) < BigInt(Math.max(1, seconds)), 'no pulse is paid that has not begun')
    }),
  )
})

const account = { id: 'acme' as AccountId, timeZone: 'UTC', numbers: [], agents: [], maxMonitors: 10, notice: null }
const limits = { ringMs: 30_000, limitMs: 14_400_000, subscription: null, customField: null, sound: SILENT, maxRetries: 0 }
const dialled = connect(
  { from: at('client:priya'), to: at('+919876543210'), callerId: null, ...limits },
  { callId: 'call' as CallId, legId: id('from'), account },
  0,
).call
const simple = samplePlan()
const fresh = (legId: string) => ({ freshLegId: id(legId), memory: null })

function wholeCall(planAt: (step: number) => RatePlan | null): readonly Call[] {
  const steps: ((call: Call) => Call)[] = [
    (call) => onAnswered(call, id('from'), fresh('to'), 1_000).call,
    (call) => onAnswered(call, id('to'), fresh('unused'), 2_000).call,
    (call) =>
      addMonitor(
        call,
        { mode: 'listen', phone: at('sip:boss@host'), targetLegId: null, callerId: null, ...limits },
        id('boss'),
        { maxMonitors: 9, notice: UNTOLD },
        3_000,
      ).call,
    (call) => onAnswered(call, id('boss'), fresh('unused'), 4_000).call,
    (call) => onEnded(call, id('to'), 'completed', 92_000).call,
    (call) => onEnded(call, id('boss'), 'completed', 92_100).call,
    (call) => onEnded(call, id('from'), 'completed', 92_200).call,
  ]
  const calls = [rated(undefined, dialled, planAt(0))]
  for (const [index, step] of steps.entries()) {
    const before = calls.at(-1) as Call
    calls.push(rated(before, step(before), planAt(index + 1)))
  }
  return calls
}

test('[C33] a call costs what its legs cost, the supervisor’s like any other, and has no price before it has ended', () => {
  const calls = wholeCall(() => simple)
  const last = calls.at(-1) as Call
  assert.deepEqual(
    last.legs.map((leg) => [leg.origin, legPrice(leg)]),
    [
      ['outbound', '0.000'],
      ['outbound-dial', '1.000'],
      ['monitor', '0.500'],
    ],
  )
  assert.deepEqual(calls.map(callPrice), [...Array(calls.length - 1).fill(null), '1.500'])
})

test('[C33] without a plan a call has no price; one that nobody answered has cost nothing', () => {
  assert.deepEqual(wholeCall(() => null).map(callPrice), Array(8).fill(null))
  const unanswered = rated(dialled, onEnded(rated(undefined, dialled, simple), id('from'), 'busy', 9_000).call, simple)
  assert.equal(callPrice(unanswered), '0.000')
})

test('[C33] the rate of a leg is the one that held when it was answered, whatever the plan says before and after', () => {
  const dear = samplePlan({ pulseS: 1, currency: 'USD', rates: [{ origin: null, prefix: null, price: price('7.000') }] })
  // The second leg is answered in step 2, the supervisor's in step 4.
  const rates = (planAt: (step: number) => RatePlan | null) => (wholeCall(planAt).at(-1) as Call).legs.map((leg) => leg.rate?.price ?? null)
  assert.deepEqual(
    rates((step) => (step === 2 ? dear : simple)),
    ['0.000', '7.000', '0.250'],
  )
  assert.deepEqual(
    rates((step) => (step === 4 ? simple : dear)),
    ['7.000', '7.000', '0.250'],
  )
  assert.deepEqual(
    rates((step) => (step === 2 ? null : simple)),
    ['0.000', null, '0.250'],
    'also when there was none',
  )
})

test('a leg that comes in without a rate pays nothing, and a step that rates nothing changes nothing', () => {
  const strange = samplePlan({ rates: [{ origin: 'monitor', prefix: null, price: price('1.000') }] })
  const call = rated(undefined, dialled, strange)
  assert.equal(call.legs[0]?.rate?.price, '0.000')
  assert.equal(rated(call, call, strange), call)
  assert.equal(rated(undefined, dialled, null), dialled)
})

test('[C33] each answered leg is over in exactly one step, also when a crash ends it', () => {
  const calls = wholeCall(() => simple)
  const over = calls.map((call, index) => justOver(calls[index - 1], call).map((leg) => leg.id))
  assert.deepEqual(over, [[], [], [], [], [], ['to'], ['boss'], ['from']])
  for (const call of calls.slice(0, -1)) {
    const closed = closeAfterCrash(call, 100_000).call
    const answered = call.legs.filter(({ state }) => state.status === 'answered').map((leg) => leg.id)
    assert.deepEqual(
      justOver(call, closed).map((leg) => leg.id),
      answered,
    )
    assert.deepEqual(justOver(closed, closed), [])
  }
})

test('a leg belongs to the day of its end by the clocks of its account', () => {
  const midnight = Date.UTC(2026, 10, 22, 18, 30)
  assert.equal(dayOf(midnight - 1, 'Asia/Kolkata'), '2026-11-22')
  assert.equal(dayOf(midnight, 'Asia/Kolkata'), '2026-11-23')
  assert.equal(dayOf(midnight, 'UTC'), '2026-11-22')
  assert.equal(dayOf(Date.UTC(2026, 0, 1), 'America/New_York'), '2025-12-31')
  for (let zone = -14; zone <= 12; zone += 1) assert.match(dayOf(0, `Etc/GMT${zone < 0 ? '' : '+'}${zone}`), /^19(69-12-31|70-01-01)$/)
})

test('more time zones than are kept are all read right', () => {
  for (const zone of Intl.supportedValuesOf('timeZone').slice(0, 150)) assert.match(dayOf(0, zone), /^19(69-12-31|70-01-01)$/)
})
