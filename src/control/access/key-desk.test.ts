import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { openTestDatabase, testServers } from '../../../test/database.ts'
import { newApiToken, newId, newKeyId } from '../../chance.ts'
import { type Key, type KeyCommand, MAX_ACTIVE_KEYS } from '../../domain/account/keys.ts'
import { DomainError, type DomainErrorCode } from '../../domain/errors.ts'
import type { AccountId, KeyId } from '../../domain/ids.ts'
import { type KeyDesk, makeKeyDesk } from './key-desk.ts'
import { makeTokenHasher } from './token-hash.ts'

const ACME = 'acme' as AccountId
const ZENITH = 'zenith' as AccountId
const BY = 'admin' as KeyId
const T0 = Date.UTC(2026, 10, 26)
const wanted: KeyCommand = { name: 'desk', scopes: ['calls.read'], agents: ['priya'], expiresAt: null }
const configured: Key = {
  id: 'acme-key' as KeyId,
  accountId: ACME,
  name: '',
  source: 'configuration',
  scopes: ['calls.read'],
  agents: null,
  createdBy: null,
  createdAt: null,
  expiresAt: null,
  rotatedAt: null,
  revokedAt: null,
  lastUsedAt: null,
}
const refused = (work: Promise<unknown>, code: DomainErrorCode, detail?: string): Promise<void> =>
  assert.rejects(work, (error) => error instanceof DomainError && error.code === code && (detail === undefined || error.detail === detail))

for (const server of testServers()) {
  describe(`making keys on the ${server} server`, () => {
    let opened: Awaited<ReturnType<typeof openTestDatabase>>
    let now = T0
    let desk: KeyDesk
    const told: KeyId[] = []
    before(async () => {
      opened = await openTestDatabase(server)
      desk = makeKeyDesk({
        database: opened.database,
        hasher: makeTokenHasher({ cost: { N: 16, r: 1, p: 1 } }),
        accounts: new Map([
          [ACME, { agents: ['priya', 'ravi'] }],
          [ZENITH, { agents: [] }],
        ]),
        configured: [configured],
        newKeyId,
        newToken: newApiToken,
        now: () => now,
        onChanged: (id) => void told.push(id),
        newId,
      })
    })
    after(() => opened.close())
    /** What the audit log says of a key: what was done, and by whom; never its token, nor its name in the part that stays. */
    const written = async (id: KeyId): Promise<readonly (readonly [string, string | null])[]> => {
      const rows = await opened.database.sql.query<{ body: string }>(
        `select body from evidence where kind = 'key' and account_id = $1 order by sequence`,
        [ACME],
      )
      const bodies = rows.map(({ body }) => JSON.parse(body)).filter((body) => body.key === id)
      for (const body of bodies) assert.deepEqual(Object.keys(body), ['change', 'key', 'by', 'scopes', 'limited', 'expires'])
      return bodies.map((body) => [body.change, body.by])
    }

    test('a key is made with what was asked for, is found and listed, and its token is nowhere in the database', async () => {
      const { key, token } = await desk.create(ACME, BY, wanted, null)
      assert.deepEqual(
        [key.scopes, key.agents, key.name, key.createdBy, key.createdAt, key.revokedAt],
        [['calls.read'], ['priya'], 'desk', BY, T0, null],
      )
      assert.deepEqual(await desk.find(ACME, key.id), key)
      assert.deepEqual((await desk.list(ACME)).slice(0, 2), [configured, key])
      assert.deepEqual(await written(key.id), [['created', BY]])
      const rows = await opened.database.sql.query('select * from api_key')
      assert(token !== null && !JSON.stringify(rows).includes(token.slice(3)))
    })

    test('what makes no sense makes no key', async () => {
      const before = (await desk.list(ACME)).length
      await refused(desk.create(ACME, BY, { ...wanted, scopes: [] }, null), 'invalid-parameter', 'Scopes')
      await refused(desk.create(ACME, BY, { ...wanted, agents: ['mallory'] }, null), 'invalid-parameter', 'Agents')
      await refused(desk.create(ACME, BY, { ...wanted, expiresAt: now }, null), 'invalid-parameter', 'ExpiresAt')
      await refused(desk.create('nobody' as AccountId, BY, wanted, null), 'key-not-found')
      assert.equal((await desk.list(ACME)).length, before)
    })

    test('[C19] the same request makes one key and tells its token once; another with its Idempotency-Key is refused', async () => {
      const request = { key: 'once', fingerprint: 'a' }
      const all = await Promise.all([1, 2, 3].map(() => desk.create(ACME, BY, wanted, request)))
      assert.equal(new Set(all.map(({ key }) => key.id)).size, 1)
      assert.equal(all.filter(({ token }) => token !== null).length, 1)
      await refused(desk.create(ACME, BY, wanted, { key: 'once', fingerprint: 'b' }), 'idempotency-mismatch')
      now += 24 * 3_600_000 + 1
      assert.notEqual((await desk.create(ACME, BY, wanted, request)).token, null, 'after a day it is another request')
    })

    test('a rotation tells another token, and what follows is told to whoever remembers the key', async () => {
      const { key, token } = await desk.create(ACME, BY, wanted, null)
      const rotated = await desk.rotate(ACME, BY, key.id, 0)
      assert(rotated.token !== null && rotated.token !== token)
      assert.deepEqual([rotated.key.rotatedAt, told.at(-1)], [now, key.id])
      assert.deepEqual(await written(key.id), [
        ['created', BY],
        ['rotated', BY],
      ])
    })

    test('a revoked key stays listed, is revoked once, and gets no token any more', async () => {
      const { key } = await desk.create(ACME, BY, wanted, null)
      const revoked = await desk.revoke(ACME, BY, key.id)
      now += 1000
      assert.deepEqual(await desk.revoke(ACME, BY, key.id), revoked)
      assert.deepEqual(await written(key.id), [
        ['created', BY],
        ['revoked', BY],
      ])
      await refused(desk.rotate(ACME, BY, key.id, 0), 'key-not-active')
      assert((await desk.list(ACME)).some(({ id, revokedAt }) => id === key.id && revokedAt !== null))
    })

    test('another account’s key is one that does not exist', async () => {
      const { key } = await desk.create(ACME, BY, wanted, null)
      for (const id of [key.id, configured.id, 'ek_none' as KeyId]) {
        await refused(desk.find(ZENITH, id), 'key-not-found')
        await refused(desk.rotate(ZENITH, BY, id, 0), 'key-not-found')
        await refused(desk.revoke(ZENITH, BY, id), 'key-not-found')
      }
      assert.deepEqual(await desk.list(ZENITH), [])
    })

    test('keys of the configuration are told, and changed nowhere but there', async () => {
      assert.deepEqual(await desk.find(ACME, configured.id), configured)
      await refused(desk.rotate(ACME, BY, configured.id, 0), 'key-configured')
      await refused(desk.revoke(ACME, BY, configured.id), 'key-configured')
    })

    test('what cannot be written down does not happen', async () => {
      const { key } = await desk.create(ACME, BY, wanted, null)
      const before = await desk.list(ACME)
      await opened.database.sql.query(`alter table evidence add constraint full_disk check (kind <> 'key') not valid`)
      for (const work of [() => desk.create(ACME, BY, wanted, null), () => desk.rotate(ACME, BY, key.id, 0), () => desk.revoke(ACME, BY, key.id)])
        await assert.rejects(work, /full_disk/)
      await opened.database.sql.query('alter table evidence drop constraint full_disk')
      assert.deepEqual(await desk.list(ACME), before)
    })

    test('an account has so many active keys and no more, also when many are made at once', async () => {
      const made = await Promise.allSettled(
        Array.from({ length: 4 }, async () => {
          for (;;) await desk.create(ZENITH, BY, { ...wanted, agents: null }, null)
        }),
      )
      assert.deepEqual(
        made.map((one) => one.status === 'rejected' && one.reason instanceof DomainError && one.reason.code),
        Array(4).fill('too-many-keys'),
      )
      const keys = await desk.list(ZENITH)
      assert.equal(keys.length, MAX_ACTIVE_KEYS)
      await desk.revoke(ZENITH, BY, keys[0]?.id as KeyId)
      await desk.create(ZENITH, BY, { ...wanted, agents: null }, null)
      await refused(desk.create(ZENITH, BY, { ...wanted, agents: null }, null), 'too-many-keys')
    })
  })
}
