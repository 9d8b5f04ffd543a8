/** The chain on real servers: how it is written, by many at once, and that whatever is done to it shows. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { openTestDatabase, silent, type TestDatabase, testServers } from '../../../test/database.ts'
import { sampleCall, sampleId, T0 } from '../../../test/sample-calls.ts'
import type { AccountId } from '../../domain/ids.ts'
import { saveCall } from '../calls.ts'
import { type Database, openDatabase, type Sql } from '../database.ts'

import { appendEvidence, commitmentOf, FIRST_PREVIOUS, hashOf, type NewEntry } from './entries.ts'
import { chainAccounts, chainHeads, evidenceAfter, listEvidence } from './log.ts'
import { type Fault, verifyChain } from './verify.ts'

let accounts = 0
const newAccount = (): AccountId => `account-${(accounts += 1)}` as AccountId
const entry = (accountId: AccountId, change: Partial<NewEntry> = {}): NewEntry => ({
  accountId,
  id: sampleId(),
  kind: 'interval',
  at: T0,
  body: { call: 'c1', mode: 'listen' },
  personal: { supervisor: '+919876543210' },
  salt: sampleId(),
  ...change,
})
const verify = (sql: Sql, account: AccountId, notedHead: string | null = null) =>
  verifyChain(sql, account, { notedHead, onProgress: () => {}, pageSize: 3 })
const save = (accountId: AccountId, evidence: readonly NewEntry[]) => ({
  call: sampleCall({ accountId }),
  node: 'n',
  callbacks: [],
  evidence,
  idempotency: null,
})

for (const server of testServers()) {
  describe(`the audit log on the ${server} PostgreSQL`, () => {
    let opened: TestDatabase
    let database: Database
    let sql: Sql
    before(async () => {
      opened = await openTestDatabase(server)
      database = opened.database
      sql = database.sql
    })
    after(() => opened.close())

    /** As somebody who owns the database can: past the triggers. */
    const tamper = (statement: string, values: readonly unknown[] = []): Promise<unknown> =>
      database.transaction(async (tx) => {
        await tx.query('alter table evidence disable trigger user')
        await tx.query(statement, values)
        await tx.query('alter table evidence enable trigger user')
      })
    /** Seven entries; the hash of each. */
    async function chain(): Promise<{ account: AccountId; hashes: readonly string[] }> {
      const account = newAccount()
      for (let n = 1; n <= 7; n++) await appendEvidence(sql, entry(account, { at: T0 + n, body: { call: `c${n}`, mode: 'barge' } }))
      return { account, hashes: (await evidenceAfter(sql, account, 0, 10)).map(({ hash }) => hash) }
    }
    async function faultOf(account: AccountId, notedHead: string | null = null): Promise<Pick<Fault, 'kind' | 'sequence'> | null> {
      const { fault } = await verify(sql, account, notedHead)
      return fault && { kind: fault.kind, sequence: fault.sequence }
    }

    test('entries are numbered from 1 without gaps, each holds the hash of the one before, and the hash is the one that is documented', async () => {
      const { account } = await chain()
      let previous = FIRST_PREVIOUS
      for (const [index, found] of (await evidenceAfter(sql, account, 0, 10)).entries()) {
        assert.equal(found.sequence, index + 1)
        assert.equal(found.previous, previous)
        assert.equal(found.hash, hashOf(found))
        assert.equal(found.commitment, commitmentOf(found.salt ?? '', found.personal ?? ''))
        previous = found.hash
      }
      assert.deepEqual(await chainHeads(sql, account), [{ accountId: account, sequence: 7, hash: previous }])
      assert.deepEqual((await verify(sql, account)).fault, null)
      assert((await chainAccounts(sql)).includes(account))
    })

    test('what a call leaves behind is saved with it or not at all', async () => {
      const account = newAccount()
      await saveCall(sql, save(account, [entry(account, { body: { n: 1 } }), entry(account, { body: { n: 2 } })]))
      const broken = save(account, [entry(account, { body: { n: 3 } })])
      await assert.rejects(saveCall(sql, { ...broken, call: { ...broken.call, ringMs: 1e12 } }))
      assert.deepEqual(
        (await evidenceAfter(sql, account, 0, 10)).map(({ body }) => body),
        ['{"n":1}', '{"n":2}'],
      )
      await saveCall(sql, save(account, [entry(account, { body: { n: 3 } })]))
      assert.deepEqual((await verify(sql, account)).entries, 3)
    })

    test('an entry that is written again, since nobody knew whether the first time worked, is there once', async () => {
      const account = newAccount()
      const [first, second] = [entry(account), entry(account)]
      await saveCall(sql, save(account, [first]))
      await saveCall(sql, save(account, [first, second]))
      assert.deepEqual(
        (await evidenceAfter(sql, account, 0, 10)).map(({ sequence, id }) => [sequence, id]),
        [
          [1, first.id],
          [2, second.id],
        ],
      )
      assert.equal(await faultOf(account), null)
    })

    test('writers on several nodes, some of whom fail, make one chain without gaps or forks', async () => {
      const account = newAccount()
      const nodes = await Promise.all([1, 2, 3].map(() => openDatabase({ data: opened.url, log: silent })))
      try {
        const work = Array.from({ length: 60 }, (_, n) => {
          const node = nodes[n % 3] as Database
          return n % 5 === 4
            ? node.transaction(async (tx) => {
                await appendEvidence(tx, entry(account))
                throw new Error('this one is rolled back')
              })
            : saveCall(node.sql, save(account, [entry(account), entry(account)]))
        })
        await Promise.allSettled(work)
        const verdict = await verify(sql, account)
        assert.deepEqual([verdict.entries, verdict.fault], [96, null])
      } finally {
        for (const node of nodes) await node.close()
      }
    })

    test('through the door of the house nothing can be changed, deleted, emptied or given a number of its own', async () => {
      const { account } = await chain()
      const refused = { code: '42501' }
      const set = (change: string) => sql.query(`update evidence set ${change} where account_id = $1 and sequence = 3`, [account])
      for (const change of [
        "body = '{}'",
        "kind = 'x'",
        'recorded_at = now()',
        "hash = ''",
        "previous = ''",
        "commitment = ''",
        'sequence = 99',
        "id = 'x'",
        "account_id = 'x'",
        "personal = '{}'",
        "salt = 'x'",
        "call_id = 'x'",
        "mode = 'x'",
        "supervisor = 'x'",
        'personal = null, salt = null, supervisor = null, mode = null',
      ])
        await assert.rejects(set(change), refused, change)
      await assert.rejects(sql.query('delete from evidence where account_id = $1', [account]), refused)
      await assert.rejects(sql.query('truncate evidence'), refused)
      await sql.query(
        `insert into evidence (account_id, sequence, id, kind, recorded_at, body, commitment, previous, hash) values ($1, 1, 'forged', 'x', now(), '{}', 'x', 'x', 'x')`,
        [account],
      )
      assert.deepEqual(
        (await evidenceAfter(sql, account, 7, 10)).map(({ sequence }) => sequence),
        [8],
        'an insert is linked, whatever it claims',
      )
      assert.equal(await faultOf(account), null)
    })

    const ALTERATIONS: Readonly<Record<string, Fault['kind']>> = {
      'id = id || account_id': 'altered',
      "kind = 'other'": 'altered',
      "recorded_at = recorded_at + interval '1 millisecond'": 'altered',
      "body = replace(body, 'barge', 'listen')": 'altered',
      "body = body || ' '": 'altered',
      "commitment = repeat('0', 64)": 'altered',
      "previous = repeat('f', 64)": 'altered',
      "hash = repeat('0', 64)": 'altered',
      "personal = replace(personal, '91987', '91988')": 'personal-altered',
      "salt = 'other'": 'personal-altered',
      'personal = null, salt = null, supervisor = null': 'personal-missing',
      "call_id = 'c9'": 'altered',
      'call_id = null': 'altered',
      "mode = 'listen'": 'altered',
      "supervisor = '+911234567890'": 'altered',
      'supervisor = null': 'altered',
      'sequence = 80': 'missing',
    }
    for (const [change, kind] of Object.entries(ALTERATIONS)) {
      test(`who sets ${change} behind its back is found out, at that entry`, async () => {
        for (const sequence of [1, 4]) {
          const { account } = await chain()
          await tamper(`update evidence set ${change} where account_id = $1 and sequence = $2`, [account, sequence])
          assert.deepEqual(await faultOf(account), { kind, sequence })
        }
      })
    }

    test('an entry that is moved to another account is missing in its own and does not belong to the other', async () => {
      const [from, to] = [await chain(), newAccount()]
      await tamper('update evidence set account_id = $2 where account_id = $1 and sequence = 1', [from.account, to])
      assert.deepEqual(await faultOf(from.account), { kind: 'missing', sequence: 1 })
      assert.deepEqual(await faultOf(to), { kind: 'altered', sequence: 1 })
    })

    test('entries that were taken out are missing, wherever they were', async () => {
      for (const gone of [1, 4]) {
        const { account } = await chain()
        await tamper('delete from evidence where account_id = $1 and sequence = $2', [account, gone])
        assert.deepEqual(await faultOf(account), { kind: 'missing', sequence: gone })
      }
      const { account } = await chain()
      await tamper('delete from evidence where account_id = $1 and sequence = 4', [account])
      await tamper('update evidence set sequence = sequence - 1 where account_id = $1 and sequence > 4', [account])
      assert.deepEqual(await faultOf(account), { kind: 'altered', sequence: 4 }, 'closing the gap does not help')
    })

    test('an entry that was put in does not follow, and those behind it have moved', async () => {
      const { account } = await chain()
      await tamper('update evidence set sequence = -sequence where account_id = $1 and sequence > 3', [account])
      await tamper('update evidence set sequence = 1 - sequence where account_id = $1 and sequence < 0', [account])
      await tamper(
        `insert into evidence (account_id, sequence, id, kind, recorded_at, body, commitment, previous, hash)
         select account_id, 4, 'put in ' || account_id, kind, recorded_at, '{}', '', hash, repeat('f', 64) from evidence where account_id = $1 and sequence = 3`,
        [account],
      )
      assert.deepEqual(await faultOf(account), { kind: 'altered', sequence: 4 })
    })

    test('two entries that changed places are found in the wrong order', async () => {
      const { account } = await chain()
      await tamper('update evidence set sequence = -sequence where account_id = $1 and sequence in (3, 5)', [account])
      await tamper('update evidence set sequence = 8 + sequence where account_id = $1 and sequence < 0', [account])
      assert.deepEqual(await faultOf(account), { kind: 'reordered', sequence: 3 })
    })

    test('a chain whose end was cut off does not reach its head; if the head was set back as well, a noted head shows it', async () => {
      const { account, hashes } = await chain()
      await tamper('delete from evidence where account_id = $1 and sequence > 5', [account])
      assert.deepEqual(await faultOf(account), { kind: 'truncated', sequence: 6 })
      await sql.query('update evidence_head set sequence = 5, hash = $2 where account_id = $1', [account, hashes[4]])
      assert.equal(await faultOf(account), null, 'nobody can know')
      assert.deepEqual(await faultOf(account, hashes[6]), { kind: 'head-unknown', sequence: 5 })
      assert.equal(await faultOf(account, hashes[2]), null, 'a head from before the cut is still there')
    })

    test('a chain that was made anew from an altered entry on is well in itself, and does not have the head that was noted', async () => {
      const { account, hashes } = await chain()
      await tamper(`update evidence set body = '{"mode":"listen"}', call_id = null, mode = 'listen' where account_id = $1 and sequence = 2`, [
        account,
      ])
      let previous = hashes[0] as string
      for (const found of await evidenceAfter(sql, account, 1, 10)) {
        const hash = hashOf({ ...found, previous })
        await tamper('update evidence set previous = $3, hash = $4 where account_id = $1 and sequence = $2', [
          account,
          found.sequence,
          previous,
          hash,
        ])
        previous = hash
      }
      await sql.query('update evidence_head set hash = $2 where account_id = $1', [account, previous])
      assert.equal(await faultOf(account), null)
      assert.deepEqual(await faultOf(account, hashes[6]), { kind: 'head-unknown', sequence: 7 })
      assert.equal(await faultOf(account, hashes[0]), null)
    })

    test('a head that was taken away or altered is told', async () => {
      const { account, hashes } = await chain()
      await sql.query('update evidence_head set hash = $2 where account_id = $1', [account, hashes[3]])
      assert.deepEqual(await faultOf(account), { kind: 'head-altered', sequence: 7 })
      await sql.query('update evidence_head set sequence = 3 where account_id = $1', [account])
      assert.deepEqual(await faultOf(account), { kind: 'head-altered', sequence: 3 })
      await sql.query('delete from evidence_head where account_id = $1', [account])
      assert.deepEqual(await faultOf(account), { kind: 'head-missing', sequence: 7 })
      const nothing = newAccount()
      assert.deepEqual(await verify(sql, nothing), { accountId: nothing, entries: 0, purged: 0, head: null, fault: null })
      assert.deepEqual(await faultOf(nothing, hashes[0] ?? ''), { kind: 'head-unknown', sequence: 0 })
    })

    test('what is written while it is verified does no harm', async () => {
      const { account } = await chain()
      const writing = Promise.all(Array.from({ length: 20 }, () => appendEvidence(sql, entry(account))))
      for (let n = 0; n < 5; n++) assert.equal(await faultOf(account), null)
      await writing
      assert.equal((await verify(sql, account)).entries, 27)
    })

    test('a backup that is put back is the same chain, with what was purged and what was not, and goes on from its head', async () => {
      const { account } = await chain()
      await sql.query('update evidence set personal = null, salt = null, supervisor = null where account_id = $1 and sequence = 2', [account])
      await appendEvidence(sql, entry(account, { kind: 'purge', body: { from: 2, through: 2 }, personal: null, salt: null }))
      const other = await openTestDatabase(server)
      try {
        await other.database.transaction(async (tx) => {
          await tx.query(`set local earshot.restoring = 'on'`)
          for (const table of ['evidence_head', 'evidence']) {
            const rows = await sql.query<{ row: unknown }>(`select to_json(${table}) as row from ${table} where account_id = $1`, [account])
            const lines = JSON.stringify(rows.map(({ row }) => row).reverse())
            await tx.query(`insert into ${table} select * from json_populate_recordset(null::${table}, $1::json)`, [lines])
          }
        })
        await appendEvidence(other.database.sql, entry(account))
        const { entries, purged, fault } = await verify(other.database.sql, account)
        assert.deepEqual({ entries, purged, fault }, { entries: 9, purged: 1, fault: null })
      } finally {
        await other.close()
      }
    })

    test('pages go along the sequence with every filter, and stay where they are when entries are added', async () => {
      const account = newAccount()
      for (let n = 1; n <= 10; n++)
        await appendEvidence(
          sql,
          entry(account, {
            at: T0 + n * 1000,
            body: { call: n % 2 ? 'odd' : 'even', mode: n % 3 ? 'listen' : 'barge' },
            personal: { supervisor: n < 6 ? '+911' : 'client:boss' },
          }),
        )
      const everything = {
        callId: null,
        supervisor: null,
        mode: null,
        recordedFrom: null,
        recordedBefore: null,
        order: 'asc',
        pageSize: 100,
        start: null,
      } as const
      const list = async (change: object) => {
        const page = await listEvidence(sql, account, { ...everything, ...change })
        return {
          numbers: page.entries.map(({ sequence }) => sequence),
          ...(page.hasPrevious ? { previous: true } : {}),
          ...(page.hasNext ? { next: true } : {}),
        }
      }
      assert.deepEqual(await list({ callId: 'even' }), { numbers: [2, 4, 6, 8, 10] })
      assert.deepEqual(await list({ mode: 'barge', order: 'desc' }), { numbers: [9, 6, 3] })
      assert.deepEqual(await list({ supervisor: '+911' }), { numbers: [1, 2, 3, 4, 5] })
      assert.deepEqual(await list({ recordedFrom: T0 + 3000, recordedBefore: T0 + 5000 }), { numbers: [3, 4] })
      assert.deepEqual(await list({ callId: 'odd', mode: 'listen', supervisor: 'client:boss' }), { numbers: [7] })
      assert.deepEqual(await list({ order: 'desc', pageSize: 3 }), { numbers: [10, 9, 8], next: true })
      await appendEvidence(sql, entry(account))
      assert.deepEqual(await list({ order: 'desc', pageSize: 3, start: { side: 'after', sequence: 8 } }), {
        numbers: [7, 6, 5],
        previous: true,
        next: true,
      })
      assert.deepEqual(await list({ order: 'desc', pageSize: 3, start: { side: 'before', sequence: 8 } }), { numbers: [11, 10, 9], next: true })
      assert.deepEqual(await list({ order: 'asc', pageSize: 3, start: { side: 'before', sequence: 3 } }), { numbers: [1, 2], next: true })
      assert.deepEqual(await list({ order: 'asc', start: { side: 'after', sequence: 9 } }), { numbers: [10, 11], previous: true })
      assert.deepEqual((await listEvidence(sql, newAccount(), everything)).entries, [])
    })
  })
}
