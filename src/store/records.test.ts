import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { openTestDatabase, silent, type TestDatabase, testServers } from '../../test/database.ts'
import { ACCOUNT, sampleCall, sampleCallback, T0 } from '../../test/sample-calls.ts'
import type { AccountId } from '../domain/ids.ts'
import { saveCall } from './calls.ts'
import type { Sql } from './database.ts'
import { findIdempotency, IDEMPOTENCY_MS } from './idempotency.ts'
import { beat, keepUp, lastBeat } from './nodes.ts'
import { claimCallbacks, settleCallbacks } from './outbox/delivery.ts'
import { DELIVERED_KEPT_MS, purge } from './retention.ts'
import { ensureSecrets, findSecrets, rotateSecret } from './secrets.ts'

for (const server of testServers()) {
  describe(`heartbeats, secrets and retention on the ${server} PostgreSQL`, () => {
    let opened: TestDatabase
    let sql: Sql
    before(async () => {
      opened = await openTestDatabase(server)
      sql = opened.database.sql
    })
    after(() => opened.close())

    test('the last beat of a node is known to the millisecond', async () => {
      assert.equal(await lastBeat(sql, 'a'), null)
      await beat(sql, 'a', T0)
      await beat(sql, 'b', T0 - 5)
      await beat(sql, 'a', T0 + 1)
      assert.equal(await lastBeat(sql, 'a'), T0 + 1)
    })

    test('[C28] of secrets offered at once the first stays, for everybody and for ever', async () => {
      const offer = async (accountId: AccountId, secret: string): Promise<string> => (await ensureSecrets(sql, accountId, secret, T0)).current
      const offers = Array.from({ length: 10 }, (_, n) => offer(ACCOUNT, `whsec_${n}`))
      const got = new Set(await Promise.all(offers))
      assert.equal(got.size, 1)
      assert.deepEqual(new Set([await offer(ACCOUNT, 'whsec_late')]), got)
      assert.equal(await offer('other' as AccountId, 'whsec_other'), 'whsec_other')
    })

    test('[C28] a rotation keeps one previous secret until it is told, or none', async () => {
      const account = 'rotating' as AccountId
      const rotate = (fresh: string, keepUntil: number | null, now: number) => rotateSecret(sql, account, { fresh, keepUntil, now })
      assert.equal(await findSecrets(sql, account), null)
      assert.deepEqual(await rotate('one', T0 + 5, T0), { current: 'one', madeAt: T0, previous: null }, 'there was none to keep')
      assert.deepEqual(await rotate('two', T0 + 6, T0 + 1), { current: 'two', madeAt: T0 + 1, previous: { secret: 'one', until: T0 + 6 } })
      assert.deepEqual(await rotate('three', T0 + 7, T0 + 2), { current: 'three', madeAt: T0 + 2, previous: { secret: 'two', until: T0 + 7 } })
      assert.deepEqual(await rotate('four', null, T0 + 3), { current: 'four', madeAt: T0 + 3, previous: null })
      assert.deepEqual(await findSecrets(sql, account), { current: 'four', madeAt: T0 + 3, previous: null })
    })

    test('[C28] of rotations at the same time each one’s secret is kept by the next', async () => {
      const account = 'hurried' as AccountId
      const names = Array.from({ length: 8 }, (_, n) => `whsec_${n}`)
      const rotated = await Promise.all(names.map((fresh) => rotateSecret(sql, account, { fresh, keepUntil: T0 + 9, now: T0 })))
      const kept = rotated.flatMap(({ previous }) => (previous === null ? [] : [previous.secret]))
      assert.equal(new Set(kept).size, names.length - 1)
    })

    test('a purge takes delivered callbacks and idempotency records that are past their time, and nothing else', async () => {
      const call = sampleCall()
      const [delivered, parked, pending] = [sampleCallback(), sampleCallback(), sampleCallback({ createdAt: T0 + 1 })]
      const idempotency = { accountId: ACCOUNT, key: 'k', fingerprint: 'f', callId: call.id, legId: null, answer: 1, createdAt: T0 }
      await saveCall(sql, { call, node: 'n', callbacks: [delivered, parked, pending], evidence: [], idempotency })
      await claimCallbacks(sql, { node: 'n', now: T0, leaseMs: 1, limit: 10, perReceiver: 10, taken: new Map() })
      await settleCallbacks(sql, [
        { id: delivered.id, attempts: 1, settlement: { kind: 'delivered', status: 200 }, at: T0 },
        { id: parked.id, attempts: 1, settlement: { kind: 'parked', status: null, error: '' }, at: T0 },
      ])
      assert.equal(await purge(sql, T0 + IDEMPOTENCY_MS), 0)
      assert.equal(await purge(sql, T0 + IDEMPOTENCY_MS + 1), 1)
      assert.equal(await findIdempotency(sql, ACCOUNT, 'k', 0), null)
      assert.equal(await purge(sql, T0 + DELIVERED_KEPT_MS), 0)
      assert.equal(await purge(sql, T0 + DELIVERED_KEPT_MS + 1), 1)
      const left = await sql.query<{ id: string }>('select id from callback order by sequence')
      assert.deepEqual(
        left.map((row) => row.id),
        [parked.id, pending.id],
      )
    })

    test('a process says that it lives; a database that is away is logged and no reason to stop', async (context) => {
      context.mock.timers.enable({ apis: ['setInterval'] })
      const complaints: string[] = []
      const log = { ...silent, error: (_fields: unknown, message: string) => void complaints.push(message) }
      const away: Sql = { query: () => Promise.reject(new Error('away')) }
      let asked: Promise<unknown> = Promise.resolve()
      let isAway = true
      const flaky: Sql = {
        query<Row>(text: string, values?: readonly unknown[], name?: string) {
          const answer = (isAway ? away : sql).query<Row>(text, values, name)
          asked = answer.catch(() => {})
          return answer
        },
      }
      const end = keepUp({ sql: flaky, node: 'kept', now: () => T0, log })
      context.mock.timers.tick(1_000)
      await asked
      await new Promise((resolve) => setImmediate(resolve))
      assert.deepEqual(complaints, ['the heartbeat could not be written'])
      isAway = false
      context.mock.timers.tick(1_000)
      await asked
      assert.equal(await lastBeat(sql, 'kept'), T0)
      end()
      isAway = true
      context.mock.timers.tick(10_000)
      await asked
      assert.equal(complaints.length, 1)
    })

    test('a purge goes on until nothing is left that is past its time, however little one statement takes', async () => {
      const call = sampleCall()
      for (let n = 0; n < 5; n++) {
        const idempotency = { accountId: ACCOUNT, key: `batch-${n}`, fingerprint: 'f', callId: call.id, legId: null, answer: 1, createdAt: T0 }
        await saveCall(sql, { call, node: 'n', callbacks: [], evidence: [], idempotency })
      }
      assert.equal(await purge(sql, T0 + IDEMPOTENCY_MS + 1, 2), 5)
      assert.equal(await purge(sql, T0 + IDEMPOTENCY_MS + 1, 2), 0)
    })
  })
}
