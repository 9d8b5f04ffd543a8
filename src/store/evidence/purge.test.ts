/** What a purge takes and what it leaves, on both servers; that it can be broken off; and that the chain verifies through it. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { openTestDatabase, silent, type TestDatabase, testServers } from '../../../test/database.ts'
import { sampleCall, sampleCallback, sampleId, sampleSubscription, T0 } from '../../../test/sample-calls.ts'
import type { Call } from '../../domain/call.ts'
import type { AccountId } from '../../domain/ids.ts'
import { loadCall, saveCall } from '../calls.ts'
import type { Database, Sql } from '../database.ts'
import { appendEvidence, type NewEntry } from './entries.ts'
import { logHeads, planOf, purgeByPolicy } from './keeping.ts'
import { chainHeads, evidenceAfter } from './log.ts'
import { countPersonal, type PurgeOptions, type PurgePlan, purgePersonal } from './purge.ts'
import { verifyChain } from './verify.ts'

const DAY = 86_400_000
const KEEP: PurgePlan = { callsBefore: null, auditBefore: null, callbacksBefore: null, recordingsBefore: null }
const ALL = (before: number): PurgePlan => ({ callsBefore: before, auditBefore: before, callbacksBefore: before, recordingsBefore: before })
let accounts = 0
const newAccount = (): AccountId => `purged-${(accounts += 1)}` as AccountId

function endedCall(accountId: AccountId, endedAt: number): Call {
  const call = sampleCall({ accountId, subscription: sampleSubscription, customField: 'Mrs. Rao' })
  const legs = call.legs.map((leg) => ({
    ...leg,
    subscription: sampleSubscription,
    customField: 'Mrs. Rao',
    state: { status: 'ended', endedAt, answeredAt: T0, cause: 'completed' } as const,
  }))
  return { ...call, legs, state: { status: 'ended', outcome: 'completed', endedAt } }
}

const entry = (accountId: AccountId, at: number): NewEntry => ({
  accountId,
  id: sampleId(),
  kind: 'interval',
  at,
  body: { mode: 'listen' },
  personal: { supervisor: '+919876543210' },
  salt: sampleId(),
})

for (const server of testServers()) {
  describe(`purges on the ${server} PostgreSQL`, () => {
    let opened: TestDatabase
    let database: Database
    let sql: Sql
    before(async () => {
      opened = await openTestDatabase(server)
      database = opened.database
      sql = database.sql
    })
    after(() => opened.close())

    const options = (accountId: AccountId, plan: PurgePlan, more: Partial<PurgeOptions> = {}): PurgeOptions => ({
      database,
      plan,
      accountId,
      removeRecordings: async () => 0,
      now: () => T0 + 100 * DAY,
      newId: sampleId,
      ...more,
    })
    const verdict = (account: AccountId) => verifyChain(sql, account, { notedHead: null, onProgress: () => {} })
    async function keep(call: Call, states: readonly ('delivered' | 'parked' | 'pending')[] = []): Promise<void> {
      const callbacks = states.map(() =>
        sampleCallback({
          accountId: call.accountId,
          callId: call.id,
          legId: call.legs[0]?.id ?? null,
          orderKey: call.legs[0]?.id ?? '',
          body: '{"PhoneNumber":"09876543210"}',
        }),
      )
      const idempotency = {
        accountId: call.accountId,
        key: call.id,
        fingerprint: 'f',
        callId: call.id,
        legId: null,
        answer: { from: '+919876543210' },
        createdAt: T0,
      }
      await saveCall(sql, { call, node: 'n', callbacks, evidence: [], idempotency })
      for (const [n, state] of states.entries())
        if (state !== 'pending')
          await sql.query('update callback set state = $2, settled_at = $3 where id = $1', [callbacks[n]?.id, state, new Date(T0 + DAY)])
    }
    /** Everything that the database holds of an account, as text. */
    async function all(account: AccountId): Promise<string> {
      const tables = ['call', 'callback', 'idempotency', 'evidence'].map(
        (table) => `select to_jsonb(${table})::text as row from ${table} where account_id = $1`,
      )
      const rows = await sql.query<{ row: string }>(
        `${tables.join(' union all ')} union all select to_jsonb(leg)::text from leg join call on call.id = leg.call_id where account_id = $1`,
        [account],
      )
      return rows.map(({ row }) => row).join('\n')
    }

    test('of an ended call the numbers, fields, callback addresses, callbacks and remembered answers go; that it was, when, and how it ended stays', async () => {
      const account = newAccount()
      const call = endedCall(account, T0 + DAY)
      await keep(call, ['delivered', 'parked'])
      assert.match(await all(account), /9876543210[^]*Rao|Rao[^]*9876543210/)
      const went = [{ accountId: account, calls: 1, auditEntries: 0, callbacks: 2, recordings: 0 }]
      assert.deepEqual(await countPersonal(options(account, { ...KEEP, callsBefore: T0 + 2 * DAY })), went)
      assert.match(await all(account), /Rao/, 'counting deletes nothing')
      assert.deepEqual(await purgePersonal(options(account, { ...KEEP, callsBefore: T0 + 2 * DAY })), went)
      assert.doesNotMatch(await all(account), /9876543210|8047112233|Rao|anna|boss|127\.0\.0\.1/)
      const left = await loadCall(sql, account, call.id)
      assert.deepEqual(left, {
        ...call,
        from: '',
        to: '',
        callerId: '',
        subscription: null,
        customField: null,
        legs: call.legs.map((leg) => ({ ...leg, address: '', subscription: null, customField: null })),
      })
      assert.deepEqual(await purgePersonal(options(account, { ...KEEP, callsBefore: T0 + 2 * DAY })), [], 'there is nothing left to do')
    })

    test('a live call, one that ended later, one that owes a callback, and another account’s are not touched', async () => {
      const [account, other] = [newAccount(), newAccount()]
      const untouched = [sampleCall({ accountId: account, createdAt: T0 - 999 * DAY }), endedCall(account, T0 + 3 * DAY), endedCall(other, T0)]
      for (const call of untouched) await keep(call)
      const owing = endedCall(account, T0)
      await keep(owing, ['pending', 'delivered'])
      assert.deepEqual(await countPersonal(options(account, { ...KEEP, callsBefore: T0 + 2 * DAY })), [])
      assert.deepEqual(await purgePersonal(options(account, { ...KEEP, callsBefore: T0 + 2 * DAY })), [])
      for (const call of [...untouched, owing]) assert.deepEqual(await loadCall(sql, call.accountId, call.id), call)
      await sql.query(`update callback set state = 'delivered', settled_at = now() where call_id = $1 and state = 'pending'`, [owing.id])
      assert.deepEqual((await purgePersonal(options(account, { ...KEEP, callsBefore: T0 + 2 * DAY })))[0]?.calls, 1)
    })

    test('of the audit log numbers and names go and nothing else, the chain verifies, and it says which went and when', async () => {
      const account = newAccount()
      for (let n = 1; n <= 6; n++) await appendEvidence(sql, entry(account, T0 + n * DAY))
      const before = await evidenceAfter(sql, account, 0, 10)
      const plan = { ...KEEP, auditBefore: T0 + 4.5 * DAY }
      assert.deepEqual(await purgePersonal(options(account, plan, { batch: 3 })), [
        { accountId: account, calls: 0, auditEntries: 4, callbacks: 0, recordings: 0 },
      ])
      const found = await evidenceAfter(sql, account, 0, 20)
      assert.deepEqual(
        found.slice(0, 6),
        before.map((one, n) => (n < 4 ? { ...one, personal: null, salt: null, foundBy: { ...one.foundBy, supervisor: null } } : one)),
      )
      assert.deepEqual(
        found.slice(6).map(({ kind, body }) => [kind, body]),
        [
          ['purge', '{"what":"audit-personal","olderThan":"2026-11-26T21:00:00.123Z","from":1,"through":3,"entries":3}'],
          ['purge', '{"what":"audit-personal","olderThan":"2026-11-26T21:00:00.123Z","from":4,"through":4,"entries":1}'],
        ],
      )
      const { entries, purged, fault } = await verdict(account)
      assert.deepEqual({ entries, purged, fault }, { entries: 8, purged: 4, fault: null })
    })

    test('a personal part that no purge names is missing, also beside one that a purge names', async () => {
      const account = newAccount()
      for (let n = 1; n <= 4; n++) await appendEvidence(sql, entry(account, T0 + n * DAY))
      await purgePersonal(options(account, { ...KEEP, auditBefore: T0 + 2.5 * DAY }))
      // The table lets it be deleted: the chain is who notices.
      await sql.query('update evidence set personal = null, salt = null, supervisor = null where account_id = $1 and sequence = 3', [account])
      assert.deepEqual((await verdict(account)).fault?.kind, 'personal-missing')
      assert.deepEqual((await verdict(account)).fault?.sequence, 3)
    })

    test('callbacks go by their own age, delivered and parked ones, and pending ones stay', async () => {
      const account = newAccount()
      const call = endedCall(account, T0)
      await keep(call, ['delivered', 'parked', 'pending'])
      const plan = { ...KEEP, callbacksBefore: T0 + 2 * DAY }
      assert.deepEqual((await countPersonal(options(account, plan)))[0]?.callbacks, 2)
      assert.deepEqual((await purgePersonal(options(account, plan)))[0], {
        accountId: account,
        calls: 0,
        auditEntries: 0,
        callbacks: 2,
        recordings: 0,
      })
      assert.deepEqual(await sql.query('select state from callback where account_id = $1', [account]), [{ state: 'pending' }])
      assert.deepEqual(await loadCall(sql, account, call.id), call)
    })

    test('recordings are asked away by whoever keeps them: with the calls or by their own age, and only counted by a look', async () => {
      const account = newAccount()
      await keep(endedCall(account, T0))
      const asked: unknown[] = []
      const removeRecordings: PurgeOptions['removeRecordings'] = async (id, before, act) => asked.push([id, before, act])
      const plan = { ...KEEP, callsBefore: T0 + DAY, recordingsBefore: T0 + 2 * DAY }
      assert.equal((await countPersonal(options(account, plan, { removeRecordings })))[0]?.recordings, 1)
      await purgePersonal(options(account, plan, { removeRecordings }))
      await purgePersonal(options(account, { ...KEEP, callsBefore: T0 + DAY }, { removeRecordings }))
      assert.deepEqual(asked, [
        [account, T0 + 2 * DAY, 'count'],
        [account, T0 + 2 * DAY, 'delete'],
        [account, T0 + DAY, 'delete'],
      ])
      await purgePersonal(options(account, { ...KEEP, auditBefore: T0 + DAY, callbacksBefore: T0 + DAY }, { removeRecordings }))
      assert.equal(asked.length, 3)
    })

    test('a purge that breaks at any statement has done whole batches and said so; the next one goes on, and all adds up', async () => {
      for (let n = 1; ; n++) {
        const account = newAccount()
        for (let k = 0; k < 5; k++) {
          await keep(endedCall(account, T0 + k), ['delivered'])
          await appendEvidence(sql, entry(account, T0 + k))
        }
        let left = n
        const failing = (inner: Sql): Sql => ({
          query: (...statement) => (left-- > 0 ? inner.query(...statement) : Promise.reject(new Error('the power is out'))),
        })
        const flaky = { sql: failing(sql), transaction: <T>(work: (tx: Sql) => Promise<T>) => database.transaction((tx) => work(failing(tx))) }
        const broke = await purgePersonal(options(account, ALL(T0 + DAY), { database: flaky, batch: 2 })).then(
          () => false,
          () => true,
        )
        await purgePersonal(options(account, ALL(T0 + DAY), { batch: 2 }))
        assert.doesNotMatch(await all(account), /9876543210|Rao/)
        const purges = (await evidenceAfter(sql, account, 0, 100)).filter(({ kind }) => kind === 'purge').map(({ body }) => JSON.parse(body))
        const sum = (what: string, key: string): number => purges.filter((one) => one.what === what).reduce((total, one) => total + one[key], 0)
        assert.deepEqual([sum('calls', 'calls'), sum('calls', 'callbacks'), sum('audit-personal', 'entries')], [5, 5, 5])
        const { fault, purged } = await verdict(account)
        assert.deepEqual([fault, purged], [null, 5])
        if (!broke) return assert(n > 6, 'every statement has failed once')
      }
    })

    test('the upkeep deletes what the policy of the configuration says, and keeps what it does not name', async () => {
      const account = newAccount()
      await keep(endedCall(account, T0))
      await appendEvidence(sql, entry(account, T0))
      const said: unknown[] = []
      const log = {
        ...silent,
        info: (fields: Readonly<Record<string, unknown>>, message: string) => void (fields.account === account && said.push([fields, message])),
      }
      const retention = { callsDays: 90, auditPersonalDays: null, callbacksDays: null, recordingsDays: null }
      const turn = (now: number) => purgeByPolicy({ retention, database, now: () => now, newId: sampleId, log, removeRecordings: async () => 0 })
      await turn(T0 + 90 * DAY)
      assert.deepEqual(said, [])
      await turn(T0 + 90 * DAY + 1)
      assert.deepEqual(said, [[{ account, calls: 1, auditEntries: 0, callbacks: 0, recordings: 0 }, 'personal data past its time was deleted']])
      assert.match(await all(account), /9876543210/, 'the audit keeps its numbers')
      assert.deepEqual(planOf({ ...retention, callsDays: null }, T0), KEEP)
    })

    test('the heads of all chains are noted in the log, and a database that is away is no reason to fail', async () => {
      const account = newAccount()
      await appendEvidence(sql, entry(account, T0))
      const said: Readonly<Record<string, unknown>>[] = []
      const note = (fields: Readonly<Record<string, unknown>>): void => void said.push(fields)
      await logHeads({ database, log: { ...silent, info: note } })
      const [head] = await chainHeads(sql, account)
      assert.deepEqual(
        said.find((fields) => fields.account === account),
        { account, entries: 1, head: head?.hash },
      )
      await logHeads({ database: { ...database, sql: { query: () => Promise.reject(new Error('away')) } }, log: { ...silent, error: note } })
      assert('err' in (said.at(-1) ?? {}))
    })
  })
}
