import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { openTestDatabase, type TestDatabase, testServers } from '../../test/database.ts'
import { ACCOUNT, anyCall, sampleCall, sampleCallback, sampleId, T0 } from '../../test/sample-calls.ts'
import { callResource } from '../contract/resources.ts'
import type { WireObject } from '../contract/xml.ts'
import type { Address } from '../domain/address.ts'
import type { Call } from '../domain/call.ts'
import type { CallQuery } from '../domain/call-query.ts'
import type { AccountId, CallId, LegId } from '../domain/ids.ts'
import { listCalls, loadCall, loadLiveCalls, saveCall } from './calls.ts'
import type { Sql } from './database.ts'
import { findIdempotency, IDEMPOTENCY_MS, type IdempotencyRecord, IdempotencyTaken } from './idempotency.ts'

const NODE = 'node-1'
const save = (call: Call, more: Partial<Parameters<typeof saveCall>[1]> = {}) => ({ call, node: NODE, callbacks: [], evidence: [], idempotency: null, ...more })

const record = (call: Call, change: Partial<IdempotencyRecord> = {}): IdempotencyRecord => ({
  accountId: ACCOUNT,
  key: sampleId(),
  fingerprint: 'f1',
  callId: call.id,
  legId: null,
  answer: { z: 1, a: ['ü', null], nested: { b: 2, a: 1 } },
  createdAt: T0,
  ...change,
})

const EVERYTHING: CallQuery = {
  ids: null,
  createdFrom: null,
  createdBefore: null,
  from: null,
  to: null,
  ownNumbers: null,
  statuses: null,
  durationS: null,
  price: null,
  directions: null,
  order: 'desc',
  pageSize: 100,
  start: null,
}

/** What a caller reads, to compare filters with. */
const shown = (call: Call): WireObject => callResource(call, { format: 'json', timeZone: 'UTC' }, null).Call as WireObject

/** Calls as they come about: from either side, with and without an answer, live and over. */
const likelyCall: fc.Arbitrary<(accountId: AccountId) => Call> = fc
  .record({
    inbound: fc.boolean(),
    agentCalls: fc.boolean(),
    createdAt: fc.integer({ min: 0, max: 3 }).map((n) => T0 + n * 1000),
    outcome: fc.option(fc.constantFrom('completed' as const, 'busy' as const, 'failed' as const)),
    ending: fc.boolean(),
    answers: fc.array(fc.option(fc.integer({ min: 0, max: 3500 })), { minLength: 1, maxLength: 3 }),
    numbers: fc.tuple(...Array.from({ length: 3 }, () => fc.constantFrom('+918012345678', '+919876543210', 'client:anna'))),
  })
  .map(({ inbound, agentCalls, createdAt, outcome, ending, answers, numbers }) => (accountId) => {
    const sample = sampleCall({ accountId, createdAt })
    const endedAt = T0 + 4000
    const legs = sample.legs.slice(0, answers.length).map((leg, n): Call['legs'][number] => {
      const ago = answers[n] ?? null
      const answeredAt = ago === null ? null : endedAt - ago
      return {
        ...leg,
        origin: leg.monitoring ? 'monitor' : n === 0 && inbound ? 'inbound' : 'outbound-dial',
        state: outcome === null ? { status: 'ringing' } : { status: 'ended', endedAt, answeredAt, cause: outcome },
      }
    })
    const [from, to, callerId] = numbers as unknown as readonly [Address, Address, Address]
    return {
      ...sample,
      ...{ from, to, callerId, legs },
      direction: inbound ? 'inbound' : 'outbound-api',
      agentLegId: (agentCalls ? legs[0] : legs[1])?.id ?? null,
      state: outcome === null ? (ending ? { status: 'ending', outcome: 'busy' } : { status: 'live' }) : { status: 'ended', outcome, endedAt },
    }
  })

/** Mostly nothing, lest all filters together let nobody pass. */
const rarely = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight: 1, arbitrary })
const someAddresses = rarely(fc.subarray(['+918012345678', '+919876543210', 'client:anna'] as Address[], { minLength: 1 }))
/** At, just before and just after one at which calls are created. */
const aMoment = fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: -1, max: 1 })).map(([second, ms]) => T0 + second * 1000 + ms)
const anyFilter = fc.record({
  createdFrom: rarely(aMoment),
  createdBefore: rarely(aMoment),
  from: someAddresses,
  to: someAddresses,
  ownNumbers: someAddresses,
  statuses: rarely(fc.subarray(['in-progress', 'completed', 'busy', 'canceled'] as const)),
  durationS: rarely(fc.record({ min: fc.option(fc.integer({ min: 0, max: 4 })), max: fc.option(fc.integer({ min: 0, max: 4 })) })),
  price: fc.oneof({ weight: 20, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.constant({ min: '0', max: null }) }),
  directions: rarely(fc.subarray(['inbound', 'outbound-api'] as const)),
  order: fc.constantFrom('asc' as const, 'desc' as const),
})

/** The filter in words of what a caller reads. */
function passes(call: Call, filter: Omit<CallQuery, 'ids' | 'pageSize' | 'start'>): boolean {
  const { From, To, PhoneNumberSid, Status, Direction, Duration } = shown(call)
  const out = (address: string): string => address.replace('+91', '0')
  const among = (wanted: readonly string[] | null, value: unknown): boolean => wanted === null || wanted.map(out).includes(String(value))
  const { createdFrom, createdBefore, durationS } = filter
  return (
    call.createdAt >= (createdFrom ?? 0) &&
    call.createdAt < (createdBefore ?? Number.POSITIVE_INFINITY) &&
    among(filter.from, From) &&
    among(filter.to, To) &&
    among(filter.ownNumbers, PhoneNumberSid) &&
    among(filter.statuses, Status) &&
    among(filter.directions, Direction) &&
    (durationS === null ||
      (Duration !== null && Number(Duration) >= (durationS.min ?? 0) && Number(Duration) <= (durationS.max ?? Number.POSITIVE_INFINITY))) &&
    filter.price === null
  )
}

const count = async (sql: Sql, table: string): Promise<number> =>
  Number((await sql.query<{ count: string }>(`select count(*) from ${table}`))[0]?.count)

for (const server of testServers()) {
  describe(`calls on the ${server} PostgreSQL`, () => {
    let opened: TestDatabase
    let sql: Sql
    before(async () => {
      opened = await openTestDatabase(server)
      sql = opened.database.sql
    })
    after(() => opened.close())

    test('[C27] what was saved already, since only the answer to it was lost, is saved again without harm, and its callbacks once', async () => {
      const call = sampleCall()
      const callback = sampleCallback({ callId: call.id })
      await saveCall(sql, save(call, { callbacks: [callback] }))
      const later = { ...call, updatedAt: call.updatedAt + 1 }
      await saveCall(sql, save(later, { callbacks: [callback, sampleCallback({ callId: call.id })] }))
      assert.deepEqual(await loadCall(sql, ACCOUNT, call.id), later)
      assert.equal((await sql.query('select from callback where call_id = $1', [call.id])).length, 2)
    })

    test('a call comes back exactly as it was saved, whatever the types allow', async () => {
      await fc.assert(
        fc.asyncProperty(anyCall, async (any) => {
          const call: Call = {
            ...structuredClone(any),
            id: sampleId() as CallId,
            legs: any.legs.map((leg) => ({ ...structuredClone(leg), id: sampleId() as LegId })),
          }
          await saveCall(sql, save(call))
          assert.deepEqual(await loadCall(sql, call.accountId, call.id), call)
        }),
        { numRuns: 60 },
      )
    })

    test('saving again replaces state and adds legs in order of creation', async () => {
      const call = sampleCall()
      await saveCall(sql, save(call))
      const [first, ...rest] = call.legs
      assert(first)
      const added = { ...first, id: sampleId() as LegId }
      const ended = {
        ...first,
        state: { status: 'ended', endedAt: T0 + 9000, answeredAt: T0 + 2000, cause: 'completed' },
        updatedAt: T0 + 9000,
      } as const
      const changed: Call = { ...call, updatedAt: T0 + 9000, state: { status: 'ending', outcome: 'completed' }, legs: [ended, ...rest, added] }
      await saveCall(sql, save(changed))
      assert.deepEqual(await loadCall(sql, ACCOUNT, call.id), changed)
    })

    test('what the engine wants to be reminded of is there with the live call, and gone from the row when the leg has ended', async () => {
      const call = sampleCall()
      await saveCall(sql, save(call))
      const memories = () => sql.query<{ memory: string | null }>('select memory from leg where call_id = $1 order by position', [call.id])
      assert.deepEqual(
        (await memories()).map(({ memory }) => memory),
        ['{"version":1}', '{"version":1}', null],
      )
      const over = { status: 'ended', endedAt: T0 + 9000, answeredAt: T0 + 2000, cause: 'failed' } as const
      await saveCall(sql, save({ ...call, legs: call.legs.map((leg) => ({ ...leg, state: over })) }))
      assert.ok((await memories()).every(({ memory }) => memory === null))
    })

    test('saving the same call again rewrites no row', async () => {
      const call = sampleCall()
      await saveCall(sql, save(call))
      const versions = () => sql.query(`select ctid, xmin from call where id = $1 union all select ctid, xmin from leg where call_id = $1`, [call.id])
      const old = await versions()
      await saveCall(sql, save(call))
      assert.deepEqual(await versions(), old)
    })

    test('another account does not see the call', async () => {
      const call = sampleCall()
      await saveCall(sql, save(call))
      assert.equal(await loadCall(sql, 'other' as AccountId, call.id), null)
      assert.equal(await loadCall(sql, ACCOUNT, 'unknown' as CallId), null)
    })

    test('the live calls of a node are those that have not ended, oldest first', async () => {
      const node = sampleId()
      const younger = sampleCall({ createdAt: T0 + 5 })
      const ending = sampleCall({ createdAt: T0, state: { status: 'ending', outcome: 'busy' } })
      const ended = sampleCall({ state: { status: 'ended', outcome: 'busy', endedAt: T0 + 1 } })
      for (const call of [younger, ending, ended]) await saveCall(sql, save(call, { node }))
      await saveCall(sql, save(sampleCall(), { node: sampleId() }))
      assert.deepEqual(await loadLiveCalls(sql, node), [ending, younger])
    })

    test('[C31] every filter lets pass what its reader would expect of the calls as they are shown, in the order asked for', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(likelyCall, { maxLength: 8 }), fc.array(anyFilter, { minLength: 1, maxLength: 8 }), async (made, filters) => {
          const accountId = sampleId() as AccountId
          const calls = made.map((make) => make(accountId))
          for (const call of calls) await saveCall(sql, save(call))
          for (const filter of filters) {
            const page = await listCalls(sql, accountId, { ...EVERYTHING, ...filter })
            const expected = calls.filter((call) => passes(call, filter)).sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1))
            assert.deepEqual(page.calls, filter.order === 'asc' ? expected : expected.reverse())
            assert.deepEqual([page.total, page.hasPrevious, page.hasNext], [expected.length, false, false])
          }
        }),
        { numRuns: 60 },
      )
    })

    test('[C31] a duration is in whole seconds, begun ones not counted, of calls that have ended alone', async () => {
      const accountId = sampleId() as AccountId
      const endedAt = T0 + 60_000
      const lasting = async (ms: number | null): Promise<Call> => {
        const sample = sampleCall({ accountId, state: { status: 'ended', outcome: 'completed', endedAt } })
        const answeredAt = ms === null ? null : endedAt - ms
        const state = { status: 'ended', endedAt, answeredAt, cause: 'completed' } as const
        // The supervisor was on the phone for longest, which does not count.
        const legs = sample.legs.map((leg) => ({ ...leg, state: leg.monitoring ? { ...state, answeredAt: T0 } : state }))
        await saveCall(sql, save({ ...sample, legs }))
        return { ...sample, legs }
      }
      const lengths = [null, -5, 0, 999, 1000, 9999, 10_000, 10_999, 11_000, 45_999, 46_000]
      for (const ms of lengths) await lasting(ms)
      await saveCall(sql, save(sampleCall({ accountId })))
      const found = async (min: number | null, max: number | null): Promise<readonly unknown[]> => {
        const { calls } = await listCalls(sql, accountId, { ...EVERYTHING, durationS: { min, max }, order: 'asc' })
        return calls.map((call) => Number(shown(call).Duration))
      }
      assert.deepEqual(await found(null, null), [0, 0, 0, 0, 1, 9, 10, 10, 11, 45, 46])
      assert.deepEqual(await found(10, 45), [10, 10, 11, 45])
      assert.deepEqual(await found(10, 10), [10, 10])
      assert.deepEqual(await found(0, 0), [0, 0, 0, 0])
      assert.deepEqual(await found(1, null), [1, 9, 10, 10, 11, 45, 46])
      assert.deepEqual(await found(20, 10), [])
    })

    test('[C31] calls by their ids, of the own account alone', async () => {
      const accountId = sampleId() as AccountId
      const [one, two] = [sampleCall({ accountId }), sampleCall({ accountId })]
      const foreign = sampleCall()
      for (const call of [one, two, foreign]) await saveCall(sql, save(call))
      const page = await listCalls(sql, accountId, { ...EVERYTHING, ids: [two.id, foreign.id, 'unknown' as CallId] })
      assert.deepEqual([page.calls, page.total], [[two], 1])
    })

    test('[C31] a page begins just after or before its place, also when the call that stood there is gone', async () => {
      const accountId = sampleId() as AccountId
      const calls = Array.from({ length: 5 }, (_, n) => sampleCall({ accountId, createdAt: T0 + Math.floor(n / 2) }))
      for (const call of calls) await saveCall(sql, save(call))
      const page = async (change: Partial<CallQuery>) => {
        const { calls: found, total, hasPrevious, hasNext } = await listCalls(sql, accountId, { ...EVERYTHING, order: 'asc', pageSize: 2, ...change })
        return [found.map((call) => calls.findIndex(({ id }) => id === call.id)), total, hasPrevious, hasNext]
      }
      const [, , third] = calls
      assert(third)
      const place = { createdAt: third.createdAt, id: third.id }
      assert.deepEqual(await page({}), [[0, 1], 5, false, true])
      assert.deepEqual(await page({ start: { side: 'after', ...place } }), [[3, 4], 5, true, false])
      assert.deepEqual(await page({ start: { side: 'before', ...place } }), [[0, 1], 5, false, true])
      assert.deepEqual(await page({ start: { side: 'before', ...place }, pageSize: 1 }), [[1], 5, true, true])
      assert.deepEqual(await page({ start: { side: 'after', ...place }, order: 'desc' }), [[1, 0], 5, true, false])
      assert.deepEqual(await page({ start: { side: 'before', ...place }, order: 'desc' }), [[4, 3], 5, false, true])
      await sql.query('delete from call where id = $1', [third.id])
      assert.deepEqual(await page({ start: { side: 'after', ...place } }), [[3, 4], 4, true, false])
      assert.deepEqual(await page({ start: { side: 'after', createdAt: T0 + 9, id: 'x' as CallId } }), [[], 4, true, false])
      assert.deepEqual(await page({ start: { side: 'before', createdAt: 0, id: 'x' as CallId } }), [[], 4, false, true])
      assert.deepEqual(await page({ start: { side: 'before', createdAt: 99_999_999_999_999, id: 'x' as CallId } }), [[3, 4], 4, true, false])
    })

    test('a call with a NUL in its id is not there, and no fault', async () => {
      assert.equal(await loadCall(sql, ACCOUNT, 'a\0b' as CallId), null)
      assert.equal(await findIdempotency(sql, ACCOUNT, '\0', 0), null)
    })

    test('NUL and halves of surrogate pairs, which PostgreSQL cannot hold, do not keep a call from being saved', async () => {
      const call = sampleCall({ customField: 'a\0b\ud800c😀\\u0000' })
      await saveCall(sql, save(call, { callbacks: [sampleCallback({ body: '\0x' })], charges: [], idempotency: record(call, { answer: '\udc00' }) }))
      assert.equal((await loadCall(sql, ACCOUNT, call.id))?.customField, 'a\ufffdb\ufffdc😀\\u0000')
    })

    test('[C19] the first answer is found for 24 hours, exactly as it was', async () => {
      const call = sampleCall()
      const first = record(call)
      await saveCall(sql, save(call, { idempotency: first }))
      const found = await findIdempotency(sql, ACCOUNT, first.key, T0)
      assert.deepEqual(found, first)
      assert.equal(JSON.stringify(found?.answer), JSON.stringify(first.answer), 'also the order of keys')
      assert.equal(await findIdempotency(sql, 'other' as AccountId, first.key, 0), null)
      assert.equal(await findIdempotency(sql, ACCOUNT, 'unknown', 0), null)
    })

    test('[C19] after 24 hours the key is free again', async () => {
      const call = sampleCall()
      const old = record(call)
      await saveCall(sql, save(call, { idempotency: old }))
      assert.equal(await findIdempotency(sql, ACCOUNT, old.key, T0 + 1), null)
      const later = record(call, { key: old.key, createdAt: T0 + IDEMPOTENCY_MS + 1 })
      await saveCall(sql, save(call, { idempotency: later }))
      assert.deepEqual(await findIdempotency(sql, ACCOUNT, old.key, T0 + 1), later)
    })

    test('[C19] of two requests with one key that race, one is saved and the other leaves nothing', async () => {
      const key = sampleId()
      const calls = [sampleCall(), sampleCall()]
      const outcomes = await Promise.allSettled(
        calls.map((call) => saveCall(sql, save(call, { callbacks: [sampleCallback()], charges: [], idempotency: record(call, { key }) }))),
      )
      const failed = outcomes.filter((outcome) => outcome.status === 'rejected')
      assert.equal(failed.length, 1)
      assert(failed[0]?.reason instanceof IdempotencyTaken)
      const loaded = await Promise.all(calls.map((call) => loadCall(sql, ACCOUNT, call.id)))
      assert.equal(loaded.filter((call) => call !== null).length, 1)
    })

    test('[C27] when any part of a save fails, no part is saved', async () => {
      const good = sampleCallback()
      const call = sampleCall()
      await saveCall(sql, save(call, { callbacks: [good], charges: [], idempotency: record(call, { key: 'taken' }) }))
      const spoilt = sampleCall()
      const [leg] = spoilt.legs
      assert(leg)
      const charge = { legId: leg.id, callId: spoilt.id, accountId: ACCOUNT, origin: 'outbound', day: '2026-11-22', endedAt: T0, seconds: 1, pulses: 1, rate: null } as const
      const faults: readonly Partial<Parameters<typeof saveCall>[1]>[] = [
        { call: { ...spoilt, direction: 'sideways' as 'inbound' } },
        { call: { ...spoilt, legs: [...spoilt.legs, { ...leg, id: sampleId() as LegId, origin: 'nobody' as 'inbound' }] } },
        { call: { ...spoilt, legs: [leg, leg] } },
        { charges: [charge, { ...charge, legId: sampleId() as LegId, pulses: -1 }] },
        { callbacks: [sampleCallback(), sampleCallback({ url: null as never })] },
        { callbacks: [sampleCallback()], charges: [charge], idempotency: record(spoilt, { key: 'taken' }) },
      ]
      const tables = ['call', 'leg', 'callback', 'idempotency', 'charge', 'balance']
      const counted = () => Promise.all(tables.map((table) => count(sql, table)))
      const before = await counted()
      for (const fault of faults) {
        await assert.rejects(saveCall(sql, save(spoilt, { callbacks: [sampleCallback()], charges: [], idempotency: record(spoilt), ...fault })))
        assert.deepEqual(await counted(), before, JSON.stringify(fault))
      }
    })

    test('[C27] when the n-th query of a transaction fails, nothing of it is saved', async () => {
      const steps = [sampleCall(), sampleCall(), sampleCall()]
      for (let n = 0; n < steps.length; n += 1) {
        const failing = opened.database.transaction(async (tx) => {
          for (const [index, call] of steps.entries()) {
            if (index === n) await tx.query('select 1 / 0')
            await saveCall(tx, save(call, { callbacks: [sampleCallback()] }))
          }
        })
        await assert.rejects(failing, { code: '22012' })
        for (const call of steps) assert.equal(await loadCall(sql, ACCOUNT, call.id), null)
      }
      await opened.database.transaction(async (tx) => {
        for (const call of steps) await saveCall(tx, save(call))
      })
      for (const call of steps) assert.deepEqual(await loadCall(sql, ACCOUNT, call.id), call)
    })
  })
}
