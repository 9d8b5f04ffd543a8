import assert from 'node:assert/strict'
import { test } from 'node:test'
import { samplePlan } from '../../../test/sample-money.ts'
import type { Address } from '../address.ts'
import { connect } from '../commands.ts'
import { DomainError, type DomainErrorCode } from '../errors.ts'
import { onAnswered, onEnded } from '../events.ts'
import type { AccountId, CallId, LegId } from '../ids.ts'
import type { Origin } from '../leg.ts'
import { type Account, mayDial } from './account.ts'
import { assertMayBegin, assertMayPay, DEFAULT_DIAL_LIMITS, dialledOf, placesOf, type Standing, type Terms } from './dial-guard.ts'
import { type Money, micros } from './money.ts'
import type { LegWish } from './rating.ts'
import { SILENT } from '../sound.ts'

const wish = (address: string, origin: Origin = 'outbound'): LegWish => ({ origin, address: address as Address })
const number = wish('+919876543210')
const both = [number, wish('+919876543211', 'outbound-dial')]
const idle: Standing = { legs: 0, starts: [], left: micros('100.000' as Money), spentToday: 0n }
const prepaid = samplePlan({ prepaid: true })
const bare: Terms = { plan: null, limits: DEFAULT_DIAL_LIMITS }
const NOW = 1_000_000

const refusal = (terms: Terms, standing: Standing, wishes: readonly LegWish[]): DomainErrorCode | 'may' => {
  try {
    assertMayBegin(terms, standing, wishes, NOW)
    return 'may'
  } catch (error) {
    assert(error instanceof DomainError)
    return error.code
  }
}
const waitOf = (terms: Terms, standing: Standing, wishes: readonly LegWish[]): string => {
  try {
    assertMayBegin(terms, standing, wishes, NOW)
    return ''
  } catch (error) {
    return error instanceof DomainError ? error.detail : ''
  }
}

test('an account without settings of its own has caps that protect it', () => {
  assert.deepEqual(DEFAULT_DIAL_LIMITS, { allow: null, maxLegs: 50, legsPerMinute: 60, spendPerDay: null })
  assert.equal(refusal(bare, { ...idle, legs: 48 }, both), 'may')
  assert.equal(refusal(bare, { ...idle, legs: 49 }, both), 'legs-reached', 'both parties of a call are counted when it begins')
  assert.equal(refusal(bare, { ...idle, legs: 49 }, [number]), 'may')
  assert.equal(refusal(bare, { ...idle, legs: 50 }, [wish('client:boss', 'monitor')]), 'legs-reached', 'supervisors are legs like any other')
})

test('legs a minute are those that are dialled, and the refusal says how long to wait', () => {
  const starts = Array.from({ length: 59 }, (_, n) => NOW - 59_000 + n * 1_000)
  assert.equal(refusal(bare, { ...idle, starts }, [number]), 'may')
  assert.equal(refusal(bare, { ...idle, starts }, both), 'leg-starts-reached')
  assert.equal(waitOf(bare, { ...idle, starts }, both), '60/1', 'the oldest is forgotten in a second')
  assert.equal(waitOf(bare, { ...idle, starts: Array(60).fill(NOW) }, [number]), '60/60')
  assert.equal(refusal(bare, { ...idle, starts }, [wish('+911', 'inbound'), number]), 'may', 'a caller who comes in is not dialled')
  assert.deepEqual(dialledOf([wish('+911', 'inbound'), number]), [number])
  const narrow: Terms = { plan: null, limits: { ...DEFAULT_DIAL_LIMITS, legsPerMinute: 1 } }
  assert.equal(waitOf(narrow, idle, both), '1/60', 'what can never be is refused as well')
})

test('[C33] with a plan only what has a rate is dialled; a caller who comes in needs none', () => {
  const terms: Terms = { plan: samplePlan(), limits: DEFAULT_DIAL_LIMITS }
  assert.equal(refusal(terms, idle, [number]), 'may')
  assert.equal(refusal(terms, idle, [wish('+14155550100')]), 'no-rate')
  assert.equal(refusal(terms, idle, [number, wish('+14155550100', 'outbound-dial')]), 'no-rate', 'also as the second party')
  assert.equal(refusal(terms, idle, [wish('+14155550100', 'monitor')]), 'may', 'the rate for supervisors is one for everywhere')
  assert.equal(refusal(terms, idle, [wish('+14155550100', 'inbound')]), 'may')
  assert.equal(refusal(bare, idle, [wish('+14155550100')]), 'may', 'without a plan nothing has a rate')
})

const PURSES: readonly (readonly [string, string, DomainErrorCode | 'may'])[] = [
  ['0', '0', 'no-balance'],
  ['-1', '0', 'no-balance'],
  ['0.499999', '0', 'no-balance'],
  ['0.5', '0', 'may'],
  ['0.000001', '-100', 'may'],
  ['0', '-100', 'no-balance'],
  ['10.4', '10', 'no-balance'],
  ['10.5', '10', 'may'],
]
for (const [left, floor, wanted] of PURSES) {
  test(`[C10] with ${left} left and a floor of ${floor} a leg of 0.50 a pulse ${wanted === 'may' ? 'may be dialled' : 'is refused'}`, () => {
    const terms: Terms = { plan: { ...prepaid, floor: floor as Money }, limits: DEFAULT_DIAL_LIMITS }
    assert.equal(refusal(terms, { ...idle, left: micros(left as Money) }, [number]), wanted)
    assert.equal(
      refusal({ ...terms, plan: { ...prepaid, prepaid: false } }, { ...idle, left: micros(left as Money) }, [number]),
      'may',
      'whoever pays later needs no balance',
    )
  })
}

test('a free leg is refused as well when nothing is left', () =>
  assert.equal(refusal({ plan: prepaid, limits: DEFAULT_DIAL_LIMITS }, { ...idle, left: 0n }, [wish('client:priya')]), 'no-balance'))

test('a day’s spend is not begun to be exceeded: the first pulses of what is dialled count', () => {
  const terms: Terms = { plan: samplePlan(), limits: { ...DEFAULT_DIAL_LIMITS, spendPerDay: '10.000' as Money } }
  const spent = (text: string): Standing => ({ ...idle, spentToday: micros(text as Money) })
  assert.equal(refusal(terms, spent('9'), both), 'may')
  assert.equal(refusal(terms, spent('9.000001'), both), 'day-spend-reached')
  assert.equal(refusal(terms, spent('10'), [wish('client:priya')]), 'day-spend-reached')
  assert.doesNotThrow(() => assertMayPay(bare, spent('99'), both))
})

test('what is refused first is told first: the rate, the money, the places, the minute', () => {
  const terms: Terms = { plan: prepaid, limits: { allow: null, maxLegs: 1, legsPerMinute: 1, spendPerDay: '0.000' as Money } }
  const worst: Standing = { legs: 9, starts: [NOW], left: 0n, spentToday: 0n }
  assert.equal(refusal(terms, worst, [wish('+1')]), 'no-rate')
  assert.equal(refusal(terms, worst, [number]), 'no-balance')
  assert.equal(refusal(terms, { ...worst, left: micros('9' as Money) }, [number]), 'day-spend-reached')
  const rich: Terms = { ...terms, limits: { ...terms.limits, spendPerDay: null } }
  assert.equal(refusal(rich, { ...worst, left: micros('9' as Money) }, [number]), 'legs-reached')
  assert.equal(refusal(rich, { ...worst, left: micros('9' as Money), legs: 0 }, [number]), 'leg-starts-reached')
})

const account: Account = { id: 'acme' as AccountId, timeZone: 'UTC', numbers: [], agents: ['priya'], maxMonitors: 1, notice: null }

test('a call takes its places from its beginning until its legs are gone', () => {
  const { call } = connect(
    { from: 'client:priya' as Address, to: '+911' as Address, callerId: null, ringMs: 1, limitMs: 1, subscription: null, customField: null, sound: SILENT, maxRetries: 0 },
    { callId: 'call' as CallId, legId: 'from' as LegId, account },
    0,
  )
  assert.equal(placesOf(call), 2)
  const half = onAnswered(call, 'from' as LegId, { freshLegId: 'to' as LegId, memory: null }, 1).call
  assert.equal(placesOf(half), 2)
  const ending = onEnded(half, 'to' as LegId, 'busy', 2).call
  assert.equal(placesOf(ending), 1)
  assert.equal(placesOf(onEnded(ending, 'from' as LegId, 'completed', 3).call), 0)
  assert.equal(placesOf(onEnded(call, 'from' as LegId, 'busy', 3).call), 0)
})

test('an account’s own list narrows the operator’s and never widens it; its phones may be dialled in any case', () => {
  const rules = { prefixes: ['+91'], hosts: [{ host: 'pbx.example', port: null }] }
  const narrow: Account = { ...account, dial: { ...DEFAULT_DIAL_LIMITS, allow: { prefixes: ['+9180', '+1'], hosts: [] } } }
  const may = (whose: Account, address: string): boolean => mayDial(whose, rules, address as Address)
  assert.deepEqual([may(account, '+919876543210'), may(narrow, '+919876543210'), may(narrow, '+918012345678')], [true, false, true])
  assert.equal(may(narrow, '+14155550100'), false, 'the operator’s rules stand')
  assert.deepEqual([may(account, 'sip:a@pbx.example'), may(narrow, 'sip:a@pbx.example')], [true, false])
  assert.deepEqual([may(narrow, 'client:priya'), may(narrow, 'client:mallory')], [true, false])
  const none: Account = { ...account, dial: { ...DEFAULT_DIAL_LIMITS, allow: { prefixes: [], hosts: [] } } }
  assert.deepEqual([may(none, '+918012345678'), may(none, 'client:priya')], [false, true], 'an empty list allows phones alone')
})
