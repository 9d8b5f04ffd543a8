import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { openTestDatabase, type TestDatabase, testServers } from '../../../test/database.ts'
import { ACCOUNT, sampleCall, sampleCallback, T0 } from '../../../test/sample-calls.ts'
import type { CallbackPage, CallbackQuery } from '../../domain/callback-log.ts'
import type { AccountId } from '../../domain/ids.ts'
import { saveCall } from '../calls.ts'
import type { Sql } from '../database.ts'
import { type ClaimedCallback, type ClaimOptions, claimCallbacks, nextDueAt, type Settlement, settleCallbacks } from './delivery.ts'
import { callbackBacklog, countParked, listCallbacks, loadCallback, replayCallback, replayParked } from './log.ts'
import { forgetPauses, listPauses, savePause } from './pauses.ts'
import { type CallbackRow, ERROR_CHARACTERS, receiverOf } from './rows.ts'

const LEASE_MS = 30_000
const claiming = (now: number, more: Partial<ClaimOptions> = {}): ClaimOptions => ({
  node: 'n',
  now,
  leaseMs: LEASE_MS,
  limit: 100,
  perReceiver: 100,
  taken: new Map(),
  ...more,
})

for (const server of testServers()) {
  describe(`the outbox on the ${server} PostgreSQL`, () => {
    let opened: TestDatabase
    let sql: Sql
    before(async () => {
      opened = await openTestDatabase(server)
      sql = opened.database.sql
    })
    beforeEach(() => sql.query('truncate callback'))
    after(() => opened.close())

    const enqueue = async (...changes: readonly Partial<CallbackRow>[]): Promise<readonly CallbackRow[]> => {
      const callbacks = changes.map(sampleCallback)
      await saveCall(sql, { call: sampleCall(), node: 'n', callbacks, idempotency: null })
      return callbacks
    }
    const claimIds = async (now: number, more: Partial<ClaimOptions> = {}): Promise<readonly string[]> =>
      (await claimCallbacks(sql, claiming(now, more))).map((claimed) => claimed.id).sort()
    const settle = async ({ id, attempts }: Pick<ClaimedCallback, 'id' | 'attempts'>, settlement: Settlement, at: number): Promise<boolean> =>
      (await settleCallbacks(sql, [{ id, attempts, settlement, at }])).has(id)
    const idsOf = (rows: readonly CallbackRow[]): readonly string[] => rows.map((row) => row.id).sort()

    test('the delivery log can be asked by state, account and receiver, newest first, and for one of them', async () => {
      const [first, second, third] = await enqueue({}, { url: 'https://example.com/x' }, { accountId: 'other' as AccountId })
      assert(first && second && third)
      const [claimed] = await claimCallbacks(sql, claiming(T0, { limit: 1, perReceiver: 1, taken: new Map([['https://example.com', 1]]) }))
      assert(claimed)
      await settle(claimed, { kind: 'parked', status: 500, error: 'no' }, T0 + 1)
      const page = async (query: Partial<CallbackQuery>, owner: AccountId | null = null): Promise<CallbackPage> => {
        const found = await listCallbacks(sql, owner, { state: null, callId: null, receiver: null, pageSize: 10, start: null, ...query })
        assert(found)
        return found
      }
      const ids = async (query: Partial<CallbackQuery>, owner: AccountId | null = null): Promise<readonly string[]> =>
        (await page(query, owner)).callbacks.map((row) => row.id)
      assert.deepEqual(await ids({}), [third.id, second.id, first.id])
      assert.deepEqual(await ids({ pageSize: 1 }), [third.id])
      assert.deepEqual(await ids({ state: 'parked' }), [claimed.id])
      assert.deepEqual(await ids({}, 'other' as AccountId), [third.id])
      assert.deepEqual(await ids({ callId: second.callId }), [second.id])
      assert.deepEqual(await ids({ callId: second.callId }, 'other' as AccountId), [])
      assert.deepEqual(await ids({ receiver: 'https://example.com', state: 'pending' }), [second.id])
      const logged = await loadCallback(sql, ACCOUNT, first.id)
      assert.deepEqual([logged?.state, logged?.attempts, logged?.lastStatus, logged?.lastError, logged?.settledAt], ['parked', 1, 500, 'no', T0 + 1])
      assert.equal((await loadCallback(sql, null, first.id))?.id, first.id)
      assert.equal(await loadCallback(sql, 'other' as AccountId, first.id), null, 'another account’s')
      assert.equal(await loadCallback(sql, null, 'nothing'), null)
    })

    test('pages of the log join on, forwards and backwards, also when callbacks are added meanwhile', async () => {
      const rows = await enqueue(...Array.from({ length: 7 }, () => ({})))
      await enqueue({ accountId: 'other' as AccountId })
      const newest = rows.map((row) => row.id).reverse()
      const read = (start: CallbackQuery['start']) =>
        listCallbacks(sql, ACCOUNT, { state: 'pending', callId: null, receiver: null, pageSize: 3, start })
      const walked: string[] = []
      let start: CallbackQuery['start'] = null
      for (let n = 0; n < 3; n += 1) {
        const page = await read(start)
        assert(page)
        assert.deepEqual([page.hasPrevious, page.hasNext], [n > 0, n < 2])
        walked.push(...page.callbacks.map((row) => row.id))
        start = { side: 'after', id: walked.at(-1) ?? '' }
        await enqueue({})
      }
      assert.deepEqual(walked, newest)
      const back = await read({ side: 'before', id: newest[4] ?? '' })
      assert.deepEqual([back?.callbacks.map((row) => row.id), back?.total, back?.hasPrevious, back?.hasNext], [newest.slice(1, 4), 10, true, true])
      const beyond = await read({ side: 'after', id: newest[6] ?? '' })
      assert.deepEqual([beyond?.callbacks, beyond?.hasPrevious, beyond?.hasNext], [[], true, false])
      assert.equal(await read({ side: 'after', id: 'nothing' }), null)
      const [foreign] = await enqueue({ accountId: 'other' as AccountId })
      assert.equal(await read({ side: 'after', id: foreign?.id ?? '' }), null, 'another account’s is no place')
    })

    test('parked callbacks are replayed in batches, oldest first, each once however soon it is parked again', async () => {
      const rows = await enqueue(...Array.from({ length: 5 }, () => ({})))
      await sql.query(`update callback set state = 'parked', attempts = 7, settled_at = $1`, [new Date(T0)])
      const query = { receiver: null, limit: 3 }
      assert.equal(await replayParked(sql, null, query, T0), 0, 'parked at that moment, not before it')
      assert.equal(await replayParked(sql, 'other' as AccountId, query, T0 + 1), 0)
      assert.equal(await replayParked(sql, null, { ...query, receiver: 'https://example.com' }, T0 + 1), 0)
      assert.equal(await countParked(sql, ACCOUNT, null, T0 + 1), 5)
      assert.equal(await replayParked(sql, ACCOUNT, query, T0 + 1), 3)
      assert.equal(await countParked(sql, ACCOUNT, null, T0 + 1), 2)
      assert.equal(await countParked(sql, 'other' as AccountId, null, T0 + 1), 0)
      const again = await claimCallbacks(sql, claiming(T0 + 1))
      assert.deepEqual(idsOf(again), idsOf(rows.slice(0, 3)))
      assert.deepEqual(
        again.map((row) => [row.attempts, row.round]),
        Array.from({ length: 3 }, () => [8, 1]),
      )
      await sql.query(`update callback set state = 'parked', settled_at = $1 where state = 'pending'`, [new Date(T0 + 2)])
      assert.deepEqual([await replayParked(sql, null, query, T0 + 1), await replayParked(sql, null, query, T0 + 1)], [2, 0])
    })

    test('pauses of receivers are there for others to see, until they end or the node starts again', async () => {
      const pause = { receiver: 'https://down.example', since: T0, until: T0 + 5_000, probes: 0, lastError: '\0no answer' }
      await enqueue({ url: 'https://down.example/x' }, { url: 'https://down.example/y' })
      await savePause(sql, 'a', pause.receiver, pause)
      await savePause(sql, 'b', pause.receiver, pause)
      await savePause(sql, 'a', pause.receiver, { ...pause, until: T0 + 10_000, probes: 1 })
      const seen = { ...pause, lastError: '\ufffdno answer', pending: 2 }
      assert.deepEqual(await listPauses(sql, 10), [
        { ...seen, node: 'a', until: T0 + 10_000, probes: 1 },
        { ...seen, node: 'b' },
      ])
      assert.equal((await listPauses(sql, 1)).length, 1)
      await savePause(sql, 'a', pause.receiver, null)
      assert.deepEqual(
        (await listPauses(sql, 10)).map((one) => one.node),
        ['b'],
      )
      await forgetPauses(sql, 'b')
      assert.deepEqual(await listPauses(sql, 10), [])
    })

    test('what is claimed is what was enqueued', async () => {
      const [row] = await enqueue({ legId: null, body: '{"ü":"\\u0000"}', url: 'https://user:pw@Example.com/x?y=1' })
      assert.deepEqual(await claimCallbacks(sql, claiming(T0)), [{ ...row, attempts: 1, round: 1, receiver: 'https://example.com' }])
    })

    test('the backlog: how many wait, since when, how overdue the next one is, and how many nobody accepted', async () => {
      assert.deepEqual(await callbackBacklog(sql, T0), { pending: 0, oldestMs: 0, overdueMs: 0, parked: 0 })
      await enqueue({ createdAt: T0 - 5_000, orderKey: 'a' }, { createdAt: T0 - 2_000, orderKey: 'b' }, { createdAt: T0 - 1_000, orderKey: 'c' })
      assert.deepEqual(await callbackBacklog(sql, T0), { pending: 3, oldestMs: 5_000, overdueMs: 5_000, parked: 0 })
      const [first, second, third] = await claimCallbacks(sql, claiming(T0))
      assert(first && second && third)
      assert.equal((await callbackBacklog(sql, T0)).overdueMs, 0, 'what is under way is not overdue')
      await settle(first, { kind: 'delivered', status: 200 }, T0)
      await settle(second, { kind: 'parked', status: 500, error: 'no' }, T0)
      await settle(third, { kind: 'retry', at: T0 + 60_000, status: 500, error: 'no' }, T0)
      const { pending, overdueMs, parked } = await callbackBacklog(sql, T0 + 61_000)
      assert.deepEqual({ pending, overdueMs, parked }, { pending: 1, overdueMs: 1_000, parked: 1 })
    })

    test('a claimed callback is nobody else’s until its lease ends, and then it is due again', async () => {
      const [row] = await enqueue({})
      assert(row)
      assert.deepEqual(await claimIds(T0), [row.id])
      assert.deepEqual(await claimIds(T0 + LEASE_MS - 1), [])
      assert.deepEqual(await claimIds(T0 + LEASE_MS), [row.id])
    })

    test('nothing is claimed before it is due', async () => {
      await enqueue({ createdAt: T0 + 10 })
      assert.deepEqual(await claimIds(T0 + 9), [])
      assert.equal(await nextDueAt(sql, T0), T0 + 10)
      assert.equal((await claimIds(T0 + 10)).length, 1)
    })

    test('[C27] callbacks of one leg go in order: the second waits while the first is pending, whatever it waits for', async () => {
      const [first, second, other] = await enqueue({ orderKey: 'leg' }, { orderKey: 'leg' }, { orderKey: 'other' })
      assert(first && second && other)
      assert.deepEqual(await claimIds(T0), idsOf([first, other]))
      await settle({ id: first.id, attempts: 1 }, { kind: 'retry', at: T0 + 60_000, status: 500, error: 'no' }, T0)
      assert.deepEqual(await claimIds(T0 + 1), [])
      await settle({ id: other.id, attempts: 1 }, { kind: 'delivered', status: 200 }, T0)
      assert.deepEqual(await claimIds(T0 + 60_000), [first.id])
      await settle({ id: first.id, attempts: 2 }, { kind: 'delivered', status: 200 }, T0)
      assert.deepEqual(await claimIds(T0 + 60_001), [second.id])
    })

    test('[C27] a parked callback does not hold up the next of its leg', async () => {
      const [first, second] = await enqueue({ orderKey: 'leg' }, { orderKey: 'leg' })
      assert(first && second)
      await claimIds(T0)
      await settle({ id: first.id, attempts: 1 }, { kind: 'parked', status: null, error: 'gone' }, T0)
      assert.deepEqual(await claimIds(T0), [second.id])
    })

    test('[C27] what waits behind a callback that is due later is not looked at before, and is due at once when that one is parked', async () => {
      const [first, second, third] = await enqueue({ orderKey: 'leg' }, { orderKey: 'leg' }, { orderKey: 'leg' })
      assert(first && second && third)
      const [claimed] = await claimCallbacks(sql, claiming(T0))
      assert(claimed)
      await settle(claimed, { kind: 'retry', at: T0 + 60_000, status: 500, error: 'no' }, T0)
      assert.deepEqual(await Promise.all([first, second, third].map(async ({ id }) => (await loadCallback(sql, null, id))?.dueAt)), [
        T0 + 60_000,
        T0 + 60_000,
        T0 + 60_000,
      ])
      const [again] = await claimCallbacks(sql, claiming(T0 + 60_000))
      assert(again?.id === first.id)
      await settle(again, { kind: 'parked', status: 500, error: 'no' }, T0 + 60_001)
      assert.deepEqual(await claimIds(T0 + 60_001), [second.id])
    })

    test('attempts are recorded in one statement, each by its own fence', async () => {
      const rows = await enqueue({}, {}, {}, {})
      await claimIds(T0)
      const [delivered, parked, retried, lost] = rows
      assert(delivered && parked && retried && lost)
      const held = await settleCallbacks(sql, [
        { id: lost.id, attempts: 2, settlement: { kind: 'delivered', status: 200 }, at: T0 + 1 },
        { id: retried.id, attempts: 1, settlement: { kind: 'retry', at: T0 + 9, status: null, error: 'gone' }, at: T0 + 1 },
        { id: parked.id, attempts: 1, settlement: { kind: 'parked', status: 500, error: 'no' }, at: T0 + 1 },
        { id: delivered.id, attempts: 1, settlement: { kind: 'delivered', status: 204 }, at: T0 + 1 },
        { id: 'nobody', attempts: 1, settlement: { kind: 'delivered', status: 204 }, at: T0 + 1 },
      ])
      assert.deepEqual([...held].sort(), idsOf([delivered, parked, retried]))
      const found = await Promise.all(rows.map(({ id }) => loadCallback(sql, null, id)))
      assert.deepEqual(
        found.map((one) => [one?.state, one?.lastStatus, one?.lastError, one?.dueAt, one?.settledAt]),
        [
          ['delivered', 204, null, T0 + 1, T0 + 1],
          ['parked', 500, 'no', T0 + 1, T0 + 1],
          ['pending', null, 'gone', T0 + 9, null],
          ['pending', null, null, T0 + LEASE_MS, null],
        ],
      )
    })

    test('who lost the lease cannot settle, and changes nothing', async () => {
      const [row] = await enqueue({})
      assert(row)
      await claimIds(T0)
      await claimIds(T0 + LEASE_MS)
      assert.equal(await settle({ id: row.id, attempts: 1 }, { kind: 'delivered', status: 200 }, T0), false)
      assert.equal(await settle({ id: row.id, attempts: 2 }, { kind: 'parked', status: 410, error: 'x' }, T0), true)
      assert.equal(await settle({ id: row.id, attempts: 2 }, { kind: 'delivered', status: 200 }, T0), false, 'settled is settled')
    })

    test('[C27] parked callbacks are listed with their last answer, and a replay starts a fresh schedule', async () => {
      const [row, second] = await enqueue({}, { accountId: 'other' as AccountId })
      assert(row && second)
      await claimIds(T0)
      for (const { id } of [row, second]) await settle({ id, attempts: 1 }, { kind: 'parked', status: 503, error: `\0${'x'.repeat(2000)}` }, T0 + 7)
      const parked = await loadCallback(sql, ACCOUNT, row.id)
      assert.deepEqual(
        [parked?.state, parked?.attempts, parked?.lastStatus, parked?.lastError, parked?.settledAt],
        ['parked', 1, 503, `\ufffd${'x'.repeat(ERROR_CHARACTERS - 1)}`, T0 + 7],
      )
      assert.equal(await replayCallback(sql, ACCOUNT, second.id, T0), false, 'another account’s')
      assert.equal(await replayCallback(sql, ACCOUNT, row.id, T0 + 100), true)
      assert.equal(await replayCallback(sql, ACCOUNT, row.id, T0 + 100), false, 'pending already')
      const [claimed] = await claimCallbacks(sql, claiming(T0 + 100))
      assert.deepEqual([claimed?.id, claimed?.attempts, claimed?.round], [row.id, 2, 1])
    })

    test('a receiver gets no more than its share, and the others theirs', async () => {
      await enqueue(...Array.from({ length: 30 }, () => ({ url: 'http://slow.example/' })))
      await enqueue({ url: 'http://zzz.example/' }, { url: 'http://aaa.example/' })
      const taken = new Map([['http://slow.example', 3]])
      const claimed = await claimCallbacks(sql, claiming(T0, { perReceiver: 5, taken }))
      assert.deepEqual(claimed.map((one) => one.receiver).sort(), [
        'http://aaa.example',
        'http://slow.example',
        'http://slow.example',
        'http://zzz.example',
      ])
      assert.deepEqual(await claimIds(T0, { taken: new Map([['http://slow.example', 100]]) }), [])
      assert.equal((await claimIds(T0, { limit: 7 })).length, 7)
    })

    test('many workers claim every callback exactly once', async () => {
      const rows = await enqueue(...Array.from({ length: 200 }, (_, n) => ({ url: `http://h${n % 7}.example/` })))
      const worker = async (): Promise<readonly string[]> => {
        const got: string[] = []
        for (let ids = await claimIds(T0, { limit: 5 }); ids.length > 0; ids = await claimIds(T0, { limit: 5 })) got.push(...ids)
        return got
      }
      const claimed = (await Promise.all(Array.from({ length: 8 }, worker))).flat()
      assert.deepEqual(claimed.sort(), idsOf(rows))
    })

    test('a save with callbacks wakes whoever listens, one without does not', async () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      let calls = 0
      const listening = await opened.database.listen('earshot_callback', () => {
        calls += 1
        resolve()
      })
      await enqueue()
      await enqueue({})
      await promise
      assert.equal(calls, 1)
      await listening.close()
    })

    test('claims stay quick behind a backlog of one receiver', async () => {
      await sql.query(
        `insert into callback (id, account_id, call_id, event, order_key, url, receiver, content_type, body, created_at, due_at)
         select 'b' || n, 'a', 'c', 'terminal', 'k' || n, 'http://slow/', 'http://slow', 'application/json', '{}', $1, $1 from generate_series(1, 20000) n`,
        [new Date(T0)],
      )
      await sql.query('analyze callback')
      const [row] = await enqueue({ url: 'http://quick.example/' })
      const startedAt = performance.now()
      for (let n = 0; n < 10; n += 1)
        await claimIds(T0, {
          limit: 1,
          taken: new Map([
            ['http://slow', 100],
            ['http://quick.example', n === 0 ? 0 : 100],
          ]),
        })
      const perClaimMs = (performance.now() - startedAt) / 10
      assert.deepEqual(await claimIds(T0 + LEASE_MS, { taken: new Map([['http://slow', 100]]) }), [row?.id])
      assert(perClaimMs < 20, `${perClaimMs} ms a claim`)
    })
  })
}

test('a receiver is scheme, host and port; what is no URL has none', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['http://h:8080/x?y', 'http://h:8080'],
    ['https://user:pw@H.example:443/', 'https://h.example'],
    ['nonsense', ''],
  ]
  for (const [url, receiver] of cases) assert.equal(receiverOf(url), receiver)
})
