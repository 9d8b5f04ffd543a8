import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { openTestDatabase, silent, type TestDatabase, testServers } from '../../test/database.ts'
import { ACCOUNT, anyCall, sampleCall, sampleCallback, sampleId, T0 } from '../../test/sample-calls.ts'
import { BackupRefused, restoreBackup, writeBackup } from './backup.ts'
import { saveCall } from './calls.ts'
import { type Database, openDatabase } from './database.ts'
import type { Money } from '../domain/account/money.ts'
import type { LegId } from '../domain/ids.ts'
import { appendEvidence } from './evidence/entries.ts'
import { purgePersonal } from './evidence/purge.ts'
import { verifyChain } from './evidence/verify.ts'
import { adjustBalance } from './ledger/balances.ts'
import { beat } from './nodes.ts'
import { claimCallbacks, settleCallbacks } from './outbox/delivery.ts'
import { ensureSecrets } from './secrets.ts'

const lines = async (database: Database): Promise<string[]> => {
  const all: string[] = []
  await writeBackup(database, T0, async (line) => void all.push(line))
  return all
}
async function* from(all: readonly string[]): AsyncGenerator<string> {
  yield* all
}

/** Calls of every kind, callbacks in every state, keys, a heartbeat, a secret, money, and an audit log of which a part was purged. */
async function fill(database: Database): Promise<void> {
  const { sql } = database
  const calls = fc.sample(anyCall, { numRuns: 40, seed: 15 })
  for (const call of calls) await saveCall(sql, { call, node: 'n', callbacks: [], idempotency: null })
  const call = sampleCall()
  const callbacks = [sampleCallback(), sampleCallback({ body: '{"a":"\u2028 \\\\ \\" \u{1f600}\\n"}' }), sampleCallback()]
  const answer = { deep: [1.5, null, 'é', { '': false }], big: 12345678901234 }
  await saveCall(sql, {
    call,
    node: 'n',
    callbacks,
    idempotency: { accountId: ACCOUNT, key: 'k', fingerprint: 'f', callId: call.id, legId: null, answer, createdAt: T0 + 0.5 },
  })
  await claimCallbacks(sql, { node: 'n', now: T0, leaseMs: 1, limit: 10, perReceiver: 10, taken: new Map() })
  await settleCallbacks(sql, [
    { id: callbacks[0]?.id ?? '', attempts: 1, settlement: { kind: 'delivered', status: 200 }, at: T0 },
    { id: callbacks[1]?.id ?? '', attempts: 1, settlement: { kind: 'parked', status: 500, error: 'no' }, at: T0 },
  ])
  await beat(sql, 'n', T0)
  await ensureSecrets(sql, ACCOUNT, 'whsec_x', T0)
  await adjustBalance(sql, { id: sampleId(), accountId: ACCOUNT, currency: 'INR', amount: '9.000001' as Money, note: 'é', by: 'key', at: T0 }, null)
  const cost = { seconds: 61, pulses: 2, rate: { currency: 'INR', pulseS: 60, price: '0.100003' as Money } } as const
  const leg = { legId: sampleId() as LegId, callId: call.id, accountId: ACCOUNT, origin: 'monitor', day: '2026-11-22', endedAt: T0 } as const
  await saveCall(sql, { call, node: 'n', charges: [{ ...leg, ...cost }], idempotency: null })
  for (const at of [T0, T0 + 1, T0 + 2])
    await appendEvidence(sql, {
      accountId: ACCOUNT,
      id: sampleId(),
      kind: 'test',
      at,
      body: { n: at },
      personal: { name: 'é' },
      salt: 'a'.repeat(32),
    })
  await purgePersonal({
    ...{ database, accountId: ACCOUNT, now: () => T0 + 3, newId: sampleId, removeRecordings: async () => 0 },
    plan: { callsBefore: null, auditBefore: T0 + 1, callbacksBefore: null, recordingsBefore: null },
  })
}

const pairs = testServers().flatMap((source) => testServers().map((target) => [source, target] as const))
for (const [source, target] of pairs) {
  describe(`a backup of the ${source} PostgreSQL, restored on the ${target} one`, () => {
    let full: TestDatabase
    let empty: TestDatabase
    before(async () => {
      full = await openTestDatabase(source)
      empty = await openTestDatabase(target)
      await fill(full.database)
    })
    after(async () => {
      await full.close()
      await empty.close()
    })

    test('has every row as it was, and what counts goes on counting', async () => {
      const original = await lines(full.database)
      const { rows } = await restoreBackup(empty.database, from(original))
      assert.deepEqual([rows.call, rows.callback, rows.idempotency, rows.node, rows.callback_secret], [41, 3, 1, 1, 1])
      assert.deepEqual(await lines(empty.database), original)
      const { entries, purged, fault } = await verifyChain(empty.database.sql, ACCOUNT, { notedHead: null, onProgress: () => {} })
      assert.deepEqual([entries, purged, fault], [4, 1, null])
      const call = sampleCall()
      await saveCall(empty.database.sql, { call, node: 'n', callbacks: [sampleCallback({ id: 'later' })], idempotency: null })
      const [newest] = await empty.database.sql.query<{ id: string }>('select id from callback order by sequence desc limit 1')
      assert.equal(newest?.id, 'later')
    })
  })
}

for (const server of testServers()) {
  describe(`backup and restore on the ${server} PostgreSQL`, () => {
    let full: TestDatabase
    let empty: TestDatabase
    let whole: string[]
    before(async () => {
      full = await openTestDatabase(server)
      empty = await openTestDatabase(server)
      await fill(full.database)
      whole = await lines(full.database)
    })
    after(async () => {
      await full.close()
      await empty.close()
    })
    const untouched = async (): Promise<void> =>
      assert.deepEqual((await lines(empty.database)).filter((line) => !line.startsWith('{"table"')).length, 2)

    test('what is written while it is made is not in it, whole or in part', async () => {
      const before = await lines(full.database)
      const during: string[] = []
      await writeBackup(full.database, T0, async (line) => {
        during.push(line)
        const call = sampleCall()
        if (during.length % 20 === 2)
          await saveCall(full.database.sql, { call, node: 'n', callbacks: [sampleCallback({ callId: call.id })], idempotency: null })
      })
      assert.deepEqual(during, before)
      assert.notEqual((await lines(full.database)).length, before.length)
    })

    test('many rows take many steps', async () => {
      const callbacks = Array.from({ length: 1_203 }, () => sampleCallback())
      const many = await openTestDatabase(server)
      await saveCall(many.database.sql, { call: sampleCall(), node: 'n', callbacks, idempotency: null })
      const original = await lines(many.database)
      await many.close()
      const target = await openTestDatabase(server)
      assert.equal((await restoreBackup(target.database, from(original))).rows.callback, 1_203)
      assert.deepEqual(await lines(target.database), original)
      await target.close()
    })

    const HARMED: readonly (readonly [string, (all: string[]) => string[], RegExp])[] = [
      ['nothing', () => [], /not a backup/],
      ['another file', () => ['hello'], /not a backup/],
      [
        'a backup of a later version',
        (all) => all.map((line) => line.replace('"steps":[', '"steps":["000-x",')),
        /of another version.*Restore it with that version/,
      ],
      ['one whose end is cut off', (all) => all.slice(0, -1), /not whole: its end is missing/],
      ['one that lacks a row', (all) => all.filter((line) => !line.includes('"later"') && !line.includes('whsec_x')), /not whole: \d+ of \d+ rows/],
      ['one with something behind its end', (all) => [...all, '{}'], /goes on after its end/],
      [
        'one with a table that is not known',
        (all) => all.map((line) => (line === '{"table":"leg"}' ? '{"table":"pg_authid"}' : line)),
        /table that is unknown here/,
      ],
    ]
    for (const [what, harm, why] of HARMED) {
      test(`${what} is refused, and nothing is restored`, async () => {
        await assert.rejects(restoreBackup(empty.database, from(harm(whole))), (error) => error instanceof BackupRefused && why.test(error.message))
        await untouched()
      })
    }

    test('half a row is an error, and nothing is restored', async () => {
      await assert.rejects(restoreBackup(empty.database, from(whole.map((line) => (line.includes('whsec_x') ? line.slice(0, -4) : line)))))
      await untouched()
    })

    test('into a database with records nothing is restored', async () => {
      await assert.rejects(restoreBackup(full.database, from(whole)), /There are records already \(in \w+\)/)
    })
  })
}

describe('PostgreSQL’s own ways', () => {
  test('pg_dump and pg_restore', { skip: testServers().includes('oldest') ? false : 'PostgreSQL 15 is not installed' }, async () => {
    const place = mkdtempSync(join(tmpdir(), 'earshot-dump-'))
    const full = await openTestDatabase('oldest')
    const { sql } = full.database
    try {
      await fill(full.database)
      const tool = (name: string, ...args: readonly string[]): unknown => execFileSync(`/usr/lib/postgresql/15/bin/${name}`, args)
      tool('pg_dump', '-Fc', '-f', join(place, 'dump'), full.url)
      await sql.query('create database dumped')
      const url = full.url.replace(/\/\w+$/, '/dumped')
      tool('pg_restore', '-d', url, join(place, 'dump'))
      const restored = await openDatabase({ data: url, log: silent })
      assert.deepEqual(await lines(restored), await lines(full.database))
      await restored.close()
      await sql.query('drop database dumped with (force)')
    } finally {
      await full.close()
      rmSync(place, { recursive: true, force: true })
    }
  })

  test('a copy of the stopped folder, with its owners', async () => {
    const place = mkdtempSync(join(tmpdir(), 'earshot-copy-'))
    chmodSync(place, 0o711)
    try {
      const [original, copy] = [join(place, 'data'), join(place, 'copy')]
      const database = await openDatabase({ data: original, log: silent })
      await fill(database)
      const all = await lines(database)
      await database.close()
      execFileSync('cp', ['-a', original, copy])
      const again = await openDatabase({ data: copy, log: silent })
      assert.deepEqual(await lines(again), all)
      await again.close()
    } finally {
      rmSync(place, { recursive: true, force: true, maxRetries: 5 })
    }
  })
})
