/** What the crash measurement would say of records that are not sound: every check finds what was planted for it. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { chargesOf } from '../../src/control/settle.ts'
import type { Money } from '../../src/domain/account/money.ts'
import type { Sql } from '../../src/store/database.ts'
import { saveCall } from '../../src/store/calls.ts'
import { openTestDatabase, type TestDatabase, testServers } from '../database.ts'
import { sampleCall, sampleCallback, sampleSubscription, T0 } from '../sample-calls.ts'
import { checkDeliveries, checkRecords } from './checks.ts'
import { type Ledger, makeLedger, seeded } from './ledger.ts'

/** An ended call whose supervisor was answered, as a server leaves it behind, and the ledger of a customer who saw everything. */
async function sound(sql: Sql): Promise<{ readonly ledger: Ledger; readonly callId: string; readonly legId: string }> {
  await sql.query('truncate call, leg, callback, idempotency, charge, balance')
  const live = sampleCall({ subscription: { ...sampleSubscription, events: ['terminal'] }, customField: 'key-1' })
  const legs = live.legs.map((leg) => ({
    ...leg,
    rate: { currency: 'INR', pulseS: 1, price: '0.010' as Money },
    state: { status: 'ended' as const, endedAt: T0 + 9000, answeredAt: T0 + 3000, cause: 'completed' as const },
  }))
  const call = { ...live, legs, state: { status: 'ended' as const, outcome: 'completed' as const, endedAt: T0 + 9000 } }
  const leg = legs[2]
  assert(leg)
  const about = { callId: call.id, legId: leg.id, orderKey: leg.id }
  const callbacks = [
    sampleCallback({ ...about, event: 'answered', body: '1' }),
    sampleCallback({ ...about, event: 'terminal', body: '2' }),
    sampleCallback({ callId: call.id, legId: null, orderKey: call.id, event: 'terminal', body: '3' }),
  ]
  await saveCall(sql, { call, node: 'n', callbacks, charges: chargesOf(undefined, call, 'UTC'), idempotency: null })
  await sql.query(`update callback set state = 'delivered', settled_at = now()`)
  const ledger = makeLedger()
  ledger.calls.add(call.id)
  ledger.legs.add(leg.id)
  ledger.actions.set(leg.id, { sure: 'whisper', unsure: new Set(['listen']) })
  for (const { id, body } of callbacks) ledger.receipts.push({ id, body, status: 500 }, { id, body, status: 200 })
  return { ledger, callId: call.id, legId: leg.id }
}

/** What is done to sound records (SQL) or to the ledger, and the complaint. */
const PLANTED: readonly (readonly [string | ((ledger: Ledger) => unknown), RegExp])[] = [
  ['delete from call', /acknowledged call has no record/],
  ['delete from leg', /acknowledged leg has no record/],
  [`update call set status = 'live', outcome = null, ended_at = null`, /outlived its process/],
  [`update leg set status = 'answered', ended_at = null, cause = null`, /leg of an ended call has not ended.*a terminal callback and has not ended/s],
  [`delete from callback where event = 'terminal' and leg_id is not null`, /ended leg has not exactly one terminal callback/],
  [`delete from callback where leg_id is null`, /ended call has not exactly one terminal callback/],
  [`delete from callback where event = 'answered'`, /not one answered callback/],
  [`update leg set answered_at = null`, /not one answered callback.*nobody answered, or that goes on, was charged/s],
  ['truncate charge', /not exactly one charge.*balance is not what its charges add up to/s],
  ['update balance set charged = charged + 0.000001', /balance is not what its charges add up to/],
  [`update callback set leg_id = 'nobody' where event = 'answered'`, /unknown call or leg/],
  [
    `insert into callback (id, account_id, call_id, leg_id, event, order_key, url, receiver, content_type, body, created_at, due_at)
     select 'second', account_id, call_id, leg_id, event, order_key, url, receiver, content_type, body, created_at, due_at from callback
      where event = 'terminal' and leg_id is not null`,
    /not exactly one terminal callback.*never arrived \(second, pending\)/s,
  ],
  [`update leg set last_action = 'barge'`, /says barge, acknowledged was whisper/],
  [`update callback set state = 'pending', settled_at = null`, /is pending at the end/],
  [`update callback set body = 'other'`, /another body/],
  [`update callback set id = id || 'x'`, /not on record.*never arrived/s],
  [(ledger) => ledger.receipts.splice(0), /never arrived/],
  [(ledger) => ledger.receipts.splice(1, 1), /counts as delivered and was never accepted/],
  [(ledger) => ledger.receipts.reverse(), /before the earlier one of its leg was accepted/],
]

for (const server of testServers()) {
  describe(`the checks after a crash on the ${server} PostgreSQL`, () => {
    let opened: TestDatabase
    let sql: Sql
    before(async () => {
      opened = await openTestDatabase(server)
      sql = opened.database.sql
    })
    after(() => opened.close())
    const check = async (ledger: Ledger): Promise<string> =>
      [...(await checkRecords(sql, ledger, Date.now())), ...(await checkDeliveries(sql, ledger))].join('\n')

    test('sound records are let through', async () => assert.equal(await check((await sound(sql)).ledger), ''))
    for (const [harm, complaint] of PLANTED) {
      test(`planted and found: ${String(complaint)} after ${String(harm).replaceAll(/\s+/g, ' ').slice(0, 60)}`, async () => {
        const { ledger } = await sound(sql)
        if (typeof harm === 'string') await sql.query(harm)
        else harm(ledger)
        assert.match(await check(ledger), complaint)
      })
    }

    test('one key that made two calls, or two supervisors, is found', async () => {
      const { ledger } = await sound(sql)
      const call = sampleCall({ customField: 'key-1' })
      await saveCall(sql, { call, node: 'n', callbacks: [], idempotency: null })
      assert.match(await check(ledger), /key made several calls.*key made several supervisors/s)
    })
  })
}

test('a seed always decides the same, and seeds differ', () => {
  const draws = (seed: number): readonly number[] => Array.from({ length: 5 }, seeded(seed))
  assert.deepEqual(draws(7), draws(7))
  assert.notDeepEqual(draws(7), draws(8))
  for (const draw of draws(9)) assert(draw >= 0 && draw < 1)
})
