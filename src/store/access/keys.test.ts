import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { openTestDatabase, silent, testServers } from '../../../test/database.ts'
import { eventually } from '../../../test/eventually.ts'
import type { Key } from '../../domain/account/keys.ts'
import type { AccountId, KeyId } from '../../domain/ids.ts'
import { openDatabase } from '../database.ts'
import {
  countActiveKeys,
  insertKey,
  KEY_CHANNEL,
  keyOfRequest,
  keyVersions,
  listKeys,
  loadKey,
  lockKeys,
  noteKeyUse,
  revokeKey,
  rotateKey,
} from './keys.ts'

const ACME = 'acme' as AccountId
const T0 = Date.UTC(2026, 10, 26)
let made = 0
const sample = (change: Partial<Key> = {}): Key => ({
  id: `ek_${(made += 1)}` as KeyId,
  accountId: ACME,
  name: 'desk',
  source: 'database',
  scopes: ['calls.read', 'monitor.listen'],
  agents: ['priya'],
  createdBy: null,
  createdAt: T0 + made,
  expiresAt: null,
  rotatedAt: null,
  revokedAt: null,
  lastUsedAt: null,
  ...change,
})

for (const server of testServers()) {
  describe(`keys on the ${server} server`, () => {
    let opened: Awaited<ReturnType<typeof openTestDatabase>>
    before(async () => {
      opened = await openTestDatabase(server)
    })
    after(() => opened.close())
    const sql = (): (typeof opened)['database']['sql'] => opened.database.sql
    const put = async (change: Partial<Key> = {}): Promise<Key> => {
      const key = sample(change)
      await insertKey(sql(), { key, tokenHash: 'hash 1' }, null)
      return key
    }

    test('a key is read back as it was written, with its hash', async () => {
      for (const change of [{}, { agents: null, name: '', createdBy: 'ek_0' as KeyId, expiresAt: T0 + 5 }, { agents: [] }]) {
        const key = await put(change)
        assert.deepEqual(await loadKey(sql(), key.id), { key, tokenHash: 'hash 1', previous: null, version: 1 })
      }
      assert.equal(await loadKey(sql(), 'ek_none' as KeyId), null)
      assert.equal(await loadKey(sql(), "x'\0" as KeyId), null)
    })

    test('a list has the newest first, of one account or of all, and no more than asked', async () => {
      const account = 'lists' as AccountId
      const [one, two] = [await put({ accountId: account }), await put({ accountId: account })]
      assert.deepEqual(await listKeys(sql(), account, 10), [two, one])
      assert.deepEqual(await listKeys(sql(), account, 1), [two])
      assert((await listKeys(sql(), null, 1000)).length > 2)
      assert.deepEqual(await listKeys(sql(), 'nobody' as AccountId, 10), [])
    })

    test('a new token replaces the old one, which counts on for as long as is said; the one before that no more', async () => {
      const { id } = await put()
      const rotation = { accountId: ACME, id, now: T0 + 1000 }
      assert.equal((await rotateKey(sql(), { ...rotation, tokenHash: 'hash 2', previousUntil: T0 + 9000 }))?.rotatedAt, T0 + 1000)
      const stored = await loadKey(sql(), id)
      assert.deepEqual([stored?.tokenHash, stored?.previous, stored?.version], ['hash 2', { tokenHash: 'hash 1', until: T0 + 9000 }, 2])
      await rotateKey(sql(), { ...rotation, tokenHash: 'hash 3', previousUntil: null })
      const again = await loadKey(sql(), id)
      assert.deepEqual([again?.tokenHash, again?.previous, again?.version], ['hash 3', null, 3])
    })

    test('what has expired, was revoked, or is another account’s gets no new token', async () => {
      const keys = [await put({ expiresAt: T0 + 1000 }), await put(), await put()]
      const [expired, revoked, foreign] = keys.map((key) => key.id) as [KeyId, KeyId, KeyId]
      await revokeKey(sql(), ACME, revoked, T0 + 10)
      const rotation = { accountId: ACME, tokenHash: 'hash 2', previousUntil: null, now: T0 + 1000 }
      for (const id of [expired, revoked]) assert.equal(await rotateKey(sql(), { ...rotation, id }), null)
      assert.equal(await rotateKey(sql(), { ...rotation, id: foreign, accountId: 'zenith' as AccountId }), null)
      for (const { id } of keys) assert.equal((await loadKey(sql(), id))?.tokenHash, 'hash 1')
    })

    test('a revoked key stays listed, keeps its first moment, and takes its former token with it', async () => {
      const { id } = await put()
      await rotateKey(sql(), { accountId: ACME, id, tokenHash: 'hash 2', previousUntil: T0 + 90_000, now: T0 })
      assert.equal((await revokeKey(sql(), ACME, id, T0 + 1000))?.revokedAt, T0 + 1000)
      assert.equal((await revokeKey(sql(), ACME, id, T0 + 2000))?.revokedAt, T0 + 1000)
      assert.equal((await loadKey(sql(), id))?.previous, null)
      assert((await listKeys(sql(), ACME, 100)).some((key) => key.id === id && key.revokedAt === T0 + 1000))
      assert.equal(await revokeKey(sql(), 'zenith' as AccountId, id, T0), null)
      assert.equal(await revokeKey(sql(), ACME, 'ek_none' as KeyId, T0), null)
    })

    test('only keys that count are counted', async () => {
      const accountId = 'counts' as AccountId
      await put({ accountId })
      await put({ accountId, expiresAt: T0 + 1000 })
      const { id } = await put({ accountId })
      await revokeKey(sql(), accountId, id, T0)
      assert.deepEqual([await countActiveKeys(sql(), accountId, T0 + 999), await countActiveKeys(sql(), accountId, T0 + 1000)], [2, 1])
    })

    test('every change but use raises the version, and is told to whoever listens, on other connections too', async () => {
      const other = await openDatabase({ data: opened.url, log: silent })
      let heard = 0
      try {
        await other.listen(KEY_CHANNEL, () => void (heard += 1))
        const { id } = await put()
        const version = async (): Promise<number | undefined> => (await keyVersions(sql(), [id, 'ek_none' as KeyId])).get(id)
        await noteKeyUse(sql(), id, T0 + 60_000)
        assert.equal(await version(), 1)
        assert.equal(heard, 0)
        await rotateKey(sql(), { accountId: ACME, id, tokenHash: 'hash 2', previousUntil: null, now: T0 })
        await eventually('the rotation is heard', () => heard === 1)
        assert.equal(await version(), 2)
        await revokeKey(sql(), ACME, id, T0)
        await eventually('the revocation is heard', () => heard === 2)
        assert.equal(await version(), 3)
      } finally {
        await other.close()
      }
    })

    test('the last use never goes back', async () => {
      const { id } = await put()
      await noteKeyUse(sql(), id, T0 + 120_000)
      await noteKeyUse(sql(), id, T0 + 60_000)
      assert.equal((await loadKey(sql(), id))?.key.lastUsedAt, T0 + 120_000)
    })

    test('[C19] the key of a repeated request is found by it, in its account, for as long as is said', async () => {
      const key = sample()
      await insertKey(sql(), { key, tokenHash: 'h' }, { key: 'once', fingerprint: 'f' })
      assert.deepEqual(await keyOfRequest(sql(), ACME, 'once', T0), { key, fingerprint: 'f' })
      assert.equal(await keyOfRequest(sql(), 'zenith' as AccountId, 'once', T0), null)
      assert.equal(await keyOfRequest(sql(), ACME, 'once', T0 + 1_000_000), null)
      await insertKey(sql(), { key: sample(), tokenHash: 'h' }, { key: 'once', fingerprint: 'g' })
    })

    test('two who make keys for one account at once come one after the other', async () => {
      const accountId = 'locked' as AccountId
      const add = (): Promise<number> =>
        opened.database.transaction(async (own) => {
          await lockKeys(own, accountId)
          const active = await countActiveKeys(own, accountId, T0)
          await insertKey(own, { key: sample({ accountId }), tokenHash: 'h' }, null)
          return active
        })
      assert.deepEqual((await Promise.all([add(), add(), add(), add()])).sort(), [0, 1, 2, 3])
    })
  })
}
