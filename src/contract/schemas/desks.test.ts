// What the house writes about any key, callback, secret, event and entry of the audit log is what its schemas say, strictly and in order.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { assertIsA } from '../../../test/schemas.ts'
import { anyCall } from '../../../test/sample-calls.ts'
import type { Key } from '../../domain/account/keys.ts'
import { SCOPES } from '../../domain/account/rights.ts'
import type { Adjustment } from '../../domain/account/balance.ts'
import { money } from '../../domain/account/money.ts'
import { GROUPINGS, totalsOf, type UsageRow } from '../../domain/account/usage.ts'
import type { Address } from '../../domain/address.ts'
import type { Call } from '../../domain/call.ts'
import { CALLBACK_STATES, type LoggedCallback } from '../../domain/callback-log.ts'
import type { Entry, IntervalBody } from '../../domain/evidence/entry.ts'
import { INTERVAL_ENDS } from '../../domain/evidence/interval.ts'
import { TONE_EARS } from '../../domain/evidence/tones.ts'
import { hearing } from '../../domain/hearing.ts'
import type { AccountId, CallId, KeyId, LegId } from '../../domain/ids.ts'
import { MODES } from '../../domain/leg.ts'
import { secretResource } from '../access/callback-secret.ts'
import { keyList, keyResource } from '../access/keys.ts'
import { callbackList, callbackQueryIn, callbackResource, replayResource } from '../lists/callback-log.ts'
import { auditList, auditQueryIn } from '../lists/audit-list.ts'
import { adjustmentList, adjustmentResource, balanceResource, usageReport } from '../ledger.ts'
import { callEvent, hearingEvent, legEvent, modeEvent, snapshotEvent } from '../events.ts'
import { AUDIT_ANSWER } from './audit.ts'
import { CALLBACK_ANSWER, CALLBACK_LIST_ANSWER, NEW_SECRET_ANSWER, REPLAY_ANSWER, SECRET_ANSWER } from './callback-log.ts'
import { EVENT_DATA } from './events.ts'
import { ADJUSTMENT_ANSWER, ADJUSTMENT_LIST_ANSWER, BALANCE_ANSWER, USAGE_ANSWER } from './ledger.ts'
import { KEY_ANSWER, KEY_LIST_ANSWER, KEY_WITH_TOKEN_ANSWER } from './keys.ts'

const OPTIONS = { format: 'json', timeZone: 'Asia/Kolkata', publicUrl: 'https://calls.example.com' } as const
const ACME = 'acme' as AccountId
const moment = fc.integer({ min: 0, max: 4_000_000_000_000 })
const perhaps = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(one, { nil: null })
const sid = fc.stringMatching(/^[0-9a-z]{32}$/)

const key: fc.Arbitrary<Key> = fc.record({
  id: fc.stringMatching(/^ek_[0-9a-z]{24}$/).map((id) => id as KeyId),
  accountId: fc.constant(ACME),
  name: fc.string({ maxLength: 64 }),
  source: fc.constantFrom('database', 'configuration'),
  scopes: fc.subarray([...SCOPES], { minLength: 1 }),
  agents: perhaps(fc.array(fc.stringMatching(/^[a-z]{1,9}$/), { minLength: 1, maxLength: 3 })),
  createdBy: perhaps(fc.constant('root' as KeyId)),
  createdAt: perhaps(moment),
  expiresAt: perhaps(moment),
  rotatedAt: perhaps(moment),
  revokedAt: perhaps(moment),
  lastUsedAt: perhaps(moment),
})

test('[C2] any key, with and without its token, and the list of them', () => {
  fc.assert(
    fc.property(key, moment, (one, now) => {
      assertIsA(KEY_ANSWER, keyResource(one, { ...OPTIONS, now }))
      assertIsA(KEY_WITH_TOKEN_ANSWER, keyResource(one, { ...OPTIONS, now }, 'et_x'))
      assertIsA(KEY_WITH_TOKEN_ANSWER, keyResource(one, { ...OPTIONS, now }, null))
      assertIsA(KEY_LIST_ANSWER, keyList([one, one], { ...OPTIONS, now }))
    }),
  )
  assert.throws(() => KEY_ANSWER.parse(keyResource(fc.sample(key, 1)[0] as Key, { ...OPTIONS, now: 0 }, 'et_x')), 'a token where none is told')
})

const callback: fc.Arbitrary<LoggedCallback> = fc.record({
  id: sid,
  accountId: fc.constant(ACME),
  callId: sid.map((id) => id as CallId),
  legId: perhaps(sid.map((id) => id as LegId)),
  event: fc.constantFrom('answered', 'terminal'),
  url: fc.webUrl(),
  receiver: fc.constant('https://crm.example.com'),
  contentType: fc.constantFrom('application/json', 'multipart/form-data; boundary=x'),
  body: fc.string(),
  createdAt: moment,
  state: fc.constantFrom(...CALLBACK_STATES),
  attempts: fc.nat({ max: 100 }),
  lastStatus: perhaps(fc.integer({ min: 100, max: 599 })),
  lastError: perhaps(fc.string()),
  dueAt: moment,
  settledAt: perhaps(moment),
})

test('[C27] any callback, a page of them, and a replay', () => {
  const page = fc.record({ callbacks: fc.array(callback, { maxLength: 3 }), total: fc.nat(), hasPrevious: fc.boolean(), hasNext: fc.boolean() })
  const query = new Map()
  fc.assert(fc.property(callback, (one) => assertIsA(CALLBACK_ANSWER, callbackResource(one, OPTIONS))))
  fc.assert(
    fc.property(page, (one) => assertIsA(CALLBACK_LIST_ANSWER, callbackList(one, callbackQueryIn(query), { ...OPTIONS, accountId: ACME, query }))),
  )
  assertIsA(REPLAY_ANSWER, replayResource({ replayed: 3, remaining: 0 }))
})

test('[C28] any secret: shown by its rotation, and by nothing else', () => {
  const state = fc.record({
    source: fc.constantFrom('configuration' as const, 'data' as const),
    current: fc.record({ fingerprint: fc.constant('a3f1c09b77de'), madeAt: perhaps(moment) }),
    previous: perhaps(fc.record({ fingerprint: fc.constant('5d02be4419fa'), until: perhaps(moment) })),
  })
  fc.assert(
    fc.property(state, (one) => {
      assertIsA(SECRET_ANSWER, secretResource(one, null, OPTIONS.timeZone))
      assertIsA(NEW_SECRET_ANSWER, secretResource(one, 'whsec_x', OPTIONS.timeZone))
      assert.throws(() => SECRET_ANSWER.parse(secretResource(one, 'whsec_x', OPTIONS.timeZone)))
    }),
  )
})

const iso = moment.map((at) => new Date(at).toISOString())
const legId = sid.map((id) => id as LegId)
const interval: fc.Arbitrary<IntervalBody> = fc.record({
  call: sid.map((id) => id as CallId),
  leg: legId,
  target: legId,
  mode: fc.constantFrom(...MODES),
  by: perhaps(fc.constant('root')),
  reason: perhaps(fc.constant('QA-7')),
  from: iso,
  to: iso,
  end: fc.constantFrom(...INTERVAL_ENDS),
  heardBy: fc.array(legId, { maxLength: 2 }),
  hears: fc.array(legId, { maxLength: 2 }),
  notice: perhaps(
    fc.record({ to: fc.constantFrom(...TONE_EARS), atEntry: fc.boolean(), everySeconds: fc.nat({ max: 60 }), modes: fc.subarray([...MODES]) }),
  ),
  tones: fc.array(iso, { maxLength: 2 }),
  tonesFailed: fc.array(iso, { maxLength: 2 }),
})
const hash = fc.stringMatching(/^[0-9a-f]{64}$/)
const entry: fc.Arbitrary<Entry> = fc
  .tuple(interval, hash, hash, fc.integer({ min: 1 }), moment, fc.constantFrom('kept', 'purged', 'none'))
  .map(([body, own, previous, sequence, recordedAt, personal]) => ({
    ...{ accountId: ACME, sequence, id: 'e', recordedAt, previous, hash: own, salt: null, foundBy: { call: null, mode: null, supervisor: null } },
    kind: personal === 'none' ? 'purge' : 'interval',
    body: JSON.stringify(personal === 'none' ? { what: 'calls' } : body),
    personal:
      personal === 'kept'
        ? JSON.stringify({ supervisor: '+919876500001', parties: body.hears.map((leg) => ({ leg, address: 'client:priya' })) })
        : null,
    commitment: personal === 'none' ? '' : own,
  }))

test('[C15] [C20] any entry of the audit log: kept, purged, and of another kind', () => {
  const query = new Map()
  const page = fc.record({ entries: fc.array(entry, { maxLength: 3 }), hasPrevious: fc.boolean(), hasNext: fc.boolean() })
  fc.assert(fc.property(page, (one) => assertIsA(AUDIT_ANSWER, auditList(one, auditQueryIn(query, OPTIONS), { ...OPTIONS, accountId: ACME, query }))))
})

const amount = fc.bigInt({ min: -(10n ** 15n), max: 10n ** 15n }).map(money)
const usageRow: fc.Arbitrary<UsageRow> = fc.record({
  day: fc.constant('2020-12-22'),
  origin: fc.constantFrom('outbound', 'monitor'),
  supervisor: perhaps(fc.constant('+919876500001' as Address)),
  kind: fc.constantFrom('conversation', 'monitor'),
  currency: perhaps(fc.constant('INR')),
  legs: fc.nat(),
  seconds: fc.nat(),
  pulses: fc.nat(),
  amount,
})
const adjustment: fc.Arbitrary<Adjustment> = fc.record({
  id: sid,
  accountId: fc.constant(ACME),
  currency: fc.constant('INR'),
  amount,
  note: fc.constant('transfer 17'),
  by: fc.constantFrom('root', 'cli'),
  at: moment,
})

test('[C33] any usage however it is grouped, any balance, any adjustment', () => {
  const options = { ...OPTIONS, accountId: ACME }
  fc.assert(
    fc.property(fc.array(usageRow, { maxLength: 3 }), fc.subarray([...GROUPINGS]), (rows, by) =>
      assertIsA(USAGE_ANSWER, usageReport({ rows, totals: totalsOf(rows) }, { from: '2020-12-01', to: '2020-12-22', by }, options)),
    ),
  )
  fc.assert(
    fc.property(amount, amount, fc.boolean(), adjustment, (balance, floor, prepaid, one) => {
      const plan = { currency: 'INR', pulseS: 60, prepaid, floor, rates: [] }
      assertIsA(BALANCE_ANSWER, balanceResource({ accountId: ACME, plan, balance, held: balance, left: balance, spentToday: balance }))
      assertIsA(ADJUSTMENT_ANSWER, adjustmentResource(one, OPTIONS))
      assertIsA(ADJUSTMENT_LIST_ANSWER, adjustmentList([one], 1, options))
    }),
  )
})

const call: fc.Arbitrary<Call> = anyCall.map((one) => {
  const address = '+919876543210' as Address
  return { ...one, accountId: ACME, from: address, to: address, callerId: address, legs: one.legs.map((leg) => ({ ...leg, address })) }
})

test('[C20] [C23] the events of any call', () => {
  fc.assert(
    fc.property(call, fc.constantFrom(null, ...MODES), fc.boolean(), (one, before, missed) => {
      const table = hearing(one.legs, one.sound)
      assertIsA(EVENT_DATA.call, callEvent(one, OPTIONS))
      assertIsA(EVENT_DATA.hearing, hearingEvent(one, table))
      assertIsA(EVENT_DATA.snapshot, snapshotEvent([{ call: one, table }], missed, OPTIONS))
      for (const leg of one.legs) {
        assertIsA(EVENT_DATA.leg, legEvent(one, leg, OPTIONS))
        assertIsA(EVENT_DATA.mode, modeEvent(one, leg, before, OPTIONS))
      }
    }),
    { numRuns: 150 },
  )
})
