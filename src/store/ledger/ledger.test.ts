import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { openTestDatabase, type TestDatabase, testServers } from '../../../test/database.ts'
import { eventually } from '../../../test/eventually.ts'
import { sampleCall, sampleId, T0 } from '../../../test/sample-calls.ts'
import { amount } from '../../../test/sample-money.ts'
import { type Money, micros, money, NO_MONEY, sum } from '../../domain/account/money.ts'
import { callPrice, dayOf, justOver, legPrice, pulsesIn } from '../../domain/account/rating.ts'
import { GROUPINGS, type Grouping, totalsOf, type UsageQuery } from '../../domain/account/usage.ts'
import type { Address } from '../../domain/address.ts'
import type { Call } from '../../domain/call.ts'
import type { AccountId, CallId, LegId } from '../../domain/ids.ts'
import { isConversation, type Leg, type LegRate, type Origin } from '../../domain/leg.ts'
import { chargesOf } from '../../control/settle.ts'
import { listCalls, saveCall } from '../calls.ts'
import type { Sql } from '../database.ts'
import { IdempotencyTaken } from '../idempotency.ts'
import { adjustBalance, BALANCE_CHANNEL, listAdjustments, loadBalance, loadBalances, spentOn } from './balances.ts'
import { loadUsage } from './usage.ts'
import { UNEXPLAINED } from '../../domain/leg.ts'

const ZONE = 'Asia/Kolkata'
const NODE = 'n'
const HALF: LegRate = { currency: 'INR', pulseS: 60, price: '0.500' as Money }
const change = (accountId: AccountId, value: string, id = sampleId()) => ({ id, accountId, currency: 'INR', amount: value as Money, note: 'why', by: 'key', at: T0 })
const fresh = (): AccountId => sampleId() as AccountId

/** An ended call whose legs talked so long, the last one a supervisor's. */
function endedCall(accountId: AccountId, legs: readonly { readonly seconds: number | null; readonly rate: LegRate | null; readonly who?: string }[], endedAt = T0): Call {
  const made = legs.map(({ seconds, rate, who }, index): Leg => {
    const origin: Origin = who !== undefined ? 'monitor' : index === 0 ? 'outbound' : 'outbound-dial'
    const base = sampleCall().legs[0] as Leg
    return {
      ...base,
      id: sampleId() as LegId,
      origin,
      address: (who ?? '+919876543210') as Address,
      monitoring: who === undefined ? null : { ...UNEXPLAINED, mode: 'listen', targetLegId: base.id, since: null },
      lastAction: who === undefined ? '' : 'listen',
      rate,
      state: { status: 'ended', endedAt, answeredAt: seconds === null ? null : endedAt - seconds * 1000, cause: seconds === null ? 'busy' : 'completed' },
    }
  })
  return { ...sampleCall(), id: sampleId() as CallId, accountId, state: { status: 'ended', outcome: 'completed', endedAt }, legs: made, updatedAt: endedAt }
}
const save = (sql: Sql, call: Call): Promise<void> => saveCall(sql, { call, node: NODE, charges: chargesOf(undefined, call, ZONE), idempotency: null })

for (const server of testServers()) {
  describe(`charges, balances and usage on the ${server} PostgreSQL`, () => {
    let opened: TestDatabase
    let sql: Sql
    before(async () => {
      opened = await openTestDatabase(server)
      sql = opened.database.sql
    })
    after(() => opened.close())

    const balanceOf = async (accountId: AccountId): Promise<Money> => {
      const { paidIn, charged } = await loadBalance(sql, accountId, 'INR')
      return money(micros(paidIn) - micros(charged))
    }

    test('[C33] an answered leg is charged with the statement that ends it, once, however often that is written', async () => {
      const account = fresh()
      const call = endedCall(account, [{ seconds: 61, rate: HALF }, { seconds: null, rate: HALF }, { seconds: 5, rate: HALF, who: 'client:boss' }])
      for (let times = 0; times < 3; times += 1) await save(sql, call)
      const rows = await sql.query('select leg_id, pulses, amount::text, day::text from charge where account_id = $1 order by pulses desc', [account])
      assert.deepEqual(rows, [
        { leg_id: call.legs[0]?.id, pulses: 2, amount: '1.000000', day: '2026-11-22' },
        { leg_id: call.legs[2]?.id, pulses: 1, amount: '0.500000', day: '2026-11-22' },
      ])
      assert.equal(callPrice(call), '1.500')
      assert.equal(await balanceOf(account), '-1.500')
      assert.equal(await spentOn(sql, account, '2026-11-22', 'INR'), '1.500')
      assert.equal(await spentOn(sql, account, '2026-11-23', 'INR'), '0.000')
    })

    test('[C33] a statement that fails charges nothing', async () => {
      const account = fresh()
      const call = endedCall(account, [{ seconds: 61, rate: HALF }])
      const idempotency = { accountId: account, key: 'k', fingerprint: 'f', callId: call.id, legId: null, answer: 1, createdAt: T0 }
      const other = sampleCall({ accountId: account })
      await saveCall(sql, { call: other, node: NODE, callbacks: [], charges: [], idempotency: { ...idempotency, callId: other.id } })
      await assert.rejects(saveCall(sql, { call, node: NODE, charges: chargesOf(undefined, call, ZONE), idempotency }), IdempotencyTaken)
      assert.equal(await balanceOf(account), '0.000')
      assert.deepEqual(await sql.query('select from charge where account_id = $1', [account]), [])
    })

    test('[C33] a leg without a plan is on record and costs nothing; currencies are never added up', async () => {
      const account = fresh()
      await save(sql, endedCall(account, [{ seconds: 61, rate: null }, { seconds: 61, rate: { ...HALF, currency: 'USD' } }, { seconds: 61, rate: HALF }]))
      const balances = (await loadBalances(sql)).filter((each) => each.accountId === account).map(({ currency, charged }) => [currency, charged])
      assert.deepEqual(balances.sort(), [['INR', '1.000'], ['USD', '1.000']])
      const rows = await loadUsage(sql, account, { from: '2026-11-22', to: '2026-11-22', by: [] })
      assert.deepEqual(rows?.map(({ currency, amount: cost, pulses, seconds }) => [currency, cost, pulses, seconds]), [['INR', '1.000', 2, 61], ['USD', '1.000', 2, 61], [null, '0.000', 0, 61]])
    })

    test('legs that end at the same moment move one balance, and none is lost', async () => {
      const account = fresh()
      await adjustBalance(sql, change(account, '1000'), null)
      await Promise.all(Array.from({ length: 60 }, (_, n) => save(sql, endedCall(account, [{ seconds: n * 60, rate: { ...HALF, price: '0.333333' as Money } }]))))
      const pulses = Array.from({ length: 60 }, (_, n) => pulsesIn(n * 60, 60)).reduce((a, b) => a + b)
      assert.equal(await balanceOf(account), money(micros('1000' as Money) - BigInt(pulses) * 333_333n))
    })

    test('an adjustment is kept with its reason; the same request again changes nothing, another one under its key is refused', async () => {
      const account = fresh()
      const key = { key: 'k', fingerprint: 'one' }
      const tries = await Promise.all(Array.from({ length: 8 }, () => adjustBalance(sql, change(account, '100.5'), key)))
      assert.deepEqual(tries.map(({ kind }) => kind).sort(), ['made', ...Array(7).fill('repeated')])
      assert.equal(new Set(tries.map((each) => (each.kind === 'mismatch' ? '' : each.adjustment.id))).size, 1)
      assert.equal((await adjustBalance(sql, change(account, '5'), { ...key, fingerprint: 'two' })).kind, 'mismatch')
      await adjustBalance(sql, change(account, '-0.000001'), null)
      await adjustBalance(sql, change(fresh(), '7'), key)
      assert.equal(await balanceOf(account), '100.499999')
      const [newest, oldest, ...rest] = await listAdjustments(sql, account, null, 10)
      assert.deepEqual([newest?.amount, oldest?.amount, oldest?.note, oldest?.by, oldest?.at, rest], ['-0.000001', '100.500', 'why', 'key', T0, []])
      assert.deepEqual(await listAdjustments(sql, account, newest?.id ?? '', 10), [oldest])
      assert.deepEqual(await listAdjustments(sql, account, oldest?.id ?? '', 10), [])
      assert.deepEqual(await listAdjustments(sql, fresh(), newest?.id ?? '', 10), [], 'another account’s id names nothing')
    })

    test('charges and adjustments are never rewritten nor taken away', async () => {
      const account = fresh()
      await save(sql, endedCall(account, [{ seconds: 1, rate: HALF }]))
      await adjustBalance(sql, change(account, '1'), null)
      for (const statement of ['update charge set pulses = 0, amount = 0', 'delete from charge', 'update balance_change set amount = 2', 'delete from balance_change'])
        await assert.rejects(sql.query(statement), /never changed nor taken away/, statement)
    })

    test('whoever listens hears of an adjustment', async () => {
      let heard = 0
      const listening = await opened.database.listen(BALANCE_CHANNEL, () => void (heard += 1))
      await adjustBalance(sql, change(fresh(), '1'), null)
      await eventually('a notification', async () => heard === 1)
      await listening.close()
    })

    const anyUse = fc.record({
      seconds: fc.option(fc.integer({ min: 0, max: 4_000 })),
      monitor: fc.option(fc.constantFrom('client:boss', '+919000000001', 'sip:a@b')),
      price: fc.option(amount),
      day: fc.integer({ min: 0, max: 3 }),
    })

    test('[C33] usage by anything adds up to the charges, exactly, and says what JavaScript would', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.array(anyUse, { minLength: 1, maxLength: 3 }), { maxLength: 5 }), fc.subarray([...GROUPINGS]), async (uses, by) => {
          const account = fresh()
          const calls = uses.map((legs) =>
            endedCall(
              account,
              legs.map(({ seconds, monitor, price }) => ({ seconds, rate: price === null ? null : { ...HALF, price }, ...(monitor === null ? {} : { who: monitor }) })),
              T0 + (legs[0]?.day ?? 0) * 86_400_000,
            ),
          )
          for (const call of calls) await save(sql, call)
          const query: UsageQuery = { from: '2026-11-22', to: '2026-11-24', by }
          const rows = (await loadUsage(sql, account, query)) ?? assert.fail('too many rows')
          const legs = calls.flatMap((call) => justOver(undefined, call)).filter((leg) => dayOf(endOf(leg), ZONE) <= '2026-11-24')
          const keyOf = (leg: Leg): string =>
            JSON.stringify([by.includes('day') && dayOf(endOf(leg), ZONE), by.includes('origin') && leg.origin, by.includes('supervisor') && !isConversation(leg) && leg.address, isConversation(leg), leg.rate?.currency ?? null])
          assert.deepEqual(rows.map((row) => row.legs).sort(), [...Map.groupBy(legs, keyOf).values()].map((part) => part.length).sort())
          assert.equal(sum(rows.map((row) => row.amount)), sum(legs.map((leg) => legPrice(leg) ?? NO_MONEY)))
          assert.equal(sum(totalsOf(rows).map((total) => total.amount)), sum(rows.map((row) => row.amount)))
          for (const row of rows) {
            const mine = legs.filter((leg) => isConversation(leg) === (row.kind === 'conversation') && (leg.rate?.currency ?? null) === row.currency && matches(leg, row, by))
            assert.equal(row.seconds, mine.reduce((all, leg) => all + Math.floor((endOf(leg) - answerOf(leg)) / 1000), 0))
            assert.equal(row.amount, sum(mine.map((leg) => legPrice(leg) ?? NO_MONEY)))
          }
        }),
        { numRuns: 40 },
      )
    })

    test('[C31] [C33] calls are found by the price that they show, to the millionth', async () => {
      const account = fresh()
      const prices = ['0.1', '0.100001', '0.3', '1', '2.5']
      const calls = prices.map((price) => endedCall(account, [{ seconds: 1, rate: { ...HALF, price: price as Money } }, { seconds: null, rate: HALF }]))
      const others = [endedCall(account, [{ seconds: 5, rate: null }]), endedCall(account, [{ seconds: null, rate: HALF }]), sampleCall({ accountId: account })]
      for (const call of [...calls, ...others]) await save(sql, call)
      const found = async (min: string | null, max: string | null): Promise<readonly (Money | null)[]> => {
        const query = { ids: null, createdFrom: null, createdBefore: null, from: null, to: null, ownNumbers: null, statuses: null, durationS: null, directions: null } as const
        const page = await listCalls(sql, account, { ...query, price: { min, max }, order: 'asc', pageSize: 100, start: null })
        return page.calls.map(callPrice).sort()
      }
      assert.deepEqual(await found('0.1', '0.1'), ['0.100'])
      assert.deepEqual(await found('0.10', '1.0'), ['0.100', '0.100001', '0.300', '1.000'])
      assert.deepEqual(await found(null, '0.2'), ['0.000', '0.100', '0.100001'], 'a call that nobody answered has cost nothing, and has a price')
      assert.deepEqual(await found('1', null), ['1.000', '2.500'])
      assert.deepEqual(await found('3', null), [])
    })

    test('a report of more rows than anybody reads is none', async () => {
      const account = fresh()
      await sql.query(
        `insert into charge (leg_id, call_id, account_id, origin, day, ended_at, seconds, pulses, currency, price, amount)
         select $1 || n, 'c', $1, 'monitor', '2026-11-22', now(), 1, 1, 'C' || n, 1, 1 from generate_series(1, 10001) as n`,
        [account],
      )
      assert.equal(await loadUsage(sql, account, { from: '2026-11-22', to: '2026-11-22', by: ['day'] }), null)
    })
  })
}

const endOf = ({ state }: Leg): number => (state.status === 'ended' ? state.endedAt : 0)
const answerOf = ({ state }: Leg): number => (state.status === 'ended' ? (state.answeredAt ?? 0) : 0)
const matches = (leg: Leg, row: { readonly day: string | null; readonly origin: Origin | null; readonly supervisor: Address | null }, by: readonly Grouping[]): boolean =>
  (!by.includes('day') || row.day === dayOf(endOf(leg), ZONE)) &&
  (!by.includes('origin') || row.origin === leg.origin) &&
  (!by.includes('supervisor') || row.supervisor === (isConversation(leg) ? null : leg.address))
