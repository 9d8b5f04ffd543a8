import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { openTestDatabase, silent } from '../../../test/database.ts'
import { eventually } from '../../../test/eventually.ts'
import { newApiToken, newId, newKeyId } from '../../chance.ts'
import type { KeyCommand } from '../../domain/account/keys.ts'
import type { AccountId, KeyId } from '../../domain/ids.ts'
import { loadKey } from '../../store/access/keys.ts'
import { openDatabase, type Sql } from '../../store/database.ts'
import { type KeyDesk, makeKeyDesk } from './key-desk.ts'
import { type Keyring, LOOK_AGAIN_MS, makeKeyring, REMEMBERED_MS, watchKeys } from './keyring.ts'
import { makeTokenHasher } from './token-hash.ts'

const ACME = 'acme' as AccountId
const T0 = Date.UTC(2026, 10, 26)
const wanted: KeyCommand = { name: 'desk', scopes: ['calls.read'], agents: null, expiresAt: null }

let opened: Awaited<ReturnType<typeof openTestDatabase>>
before(async () => {
  opened = await openTestDatabase()
})
after(() => opened.close())

let now: number
let hashes: number
let statements: string[]
let keyring: Keyring
let desk: KeyDesk

const cheap = makeTokenHasher({ cost: { N: 16, r: 1, p: 1 } })
const hasher: typeof cheap = { hash: (token) => cheap.hash(token), matches: (token, written) => (hashes++, cheap.matches(token, written)) }
const sql: Sql = { query: (text, ...rest) => (statements.push(text), opened.database.sql.query(text, ...rest)) }

const deskOn = (database: KeyDeskDatabase, onChanged: (id: KeyId) => void): KeyDesk =>
  makeKeyDesk({
    database,
    hasher,
    accounts: new Map([[ACME, { agents: ['priya'] }]]),
    configured: [],
    newId,
    newKeyId,
    newToken: newApiToken,
    now: () => now,
    onChanged,
  })
type KeyDeskDatabase = Parameters<typeof makeKeyDesk>[0]['database']

beforeEach(() => {
  now = T0
  hashes = 0
  statements = []
  keyring = makeKeyring({ sql, hasher, isAccount: (id) => id === ACME, now: () => now, log: silent })
  desk = deskOn(opened.database, (id) => keyring.forget(id))
})

async function issued(change: Partial<KeyCommand> = {}): Promise<{ readonly id: KeyId; readonly token: string }> {
  const { key, token } = await desk.create(ACME, null, { ...wanted, ...change }, null)
  return { id: key.id, token: token ?? assert.fail('no token') }
}

test('a key and its token prove the account, the rights and the limits that it was given', async () => {
  const { id, token } = await issued({ scopes: ['calls.read', 'monitor.barge'], agents: ['priya'] })
  assert.match(id, /^ek_[0-9a-z]{24}$/)
  assert.match(token, /^et_[0-9a-z]{52}$/)
  assert.deepEqual(await keyring.authenticate(id, token), { accountId: ACME, keyId: id, scopes: ['calls.read', 'monitor.barge'], agents: ['priya'] })
})

test('keys of an account that the configuration no longer has prove nothing', async () => {
  const zenith = 'zenith' as AccountId
  const there = makeKeyDesk({
    ...{ database: opened.database, hasher, accounts: new Map([[zenith, { agents: [] }]]), configured: [] },
    ...{ newId, newKeyId, newToken: newApiToken, now: () => now, onChanged: () => {} },
  })
  const { key, token } = await there.create(zenith, null, wanted, null)
  assert.equal(await keyring.authenticate(key.id, token ?? ''), null)
  assert.equal(keyring.remembered(key.id, token ?? ''), null)
})

test('another token, another key’s, none, and a key that does not exist prove nothing, and cost one hash each', async () => {
  const [one, two] = [await issued(), await issued()]
  for (const [key, token] of [
    [one.id, two.token],
    [one.id, ''],
    [one.id, one.id],
    ['ek_nobody', one.token],
    ['', ''],
    ["';--", 'x'],
    ['\0', '\0'],
  ] as const) {
    hashes = 0
    assert.equal(await keyring.authenticate(key, token), null, key)
    assert.equal(hashes, 1, key)
  }
})

test('a pair that was proved is remembered for a minute; what was refused never is', async () => {
  const { id, token } = await issued()
  assert.equal(keyring.remembered(id, token), null)
  await keyring.authenticate(id, token)
  for (const at of [0, 1, REMEMBERED_MS - 1]) {
    now = T0 + at
    assert.equal(keyring.remembered(id, token)?.keyId, id)
    assert.equal((await keyring.authenticate(id, token))?.keyId, id)
  }
  assert.equal(hashes, 1)
  assert.equal(keyring.remembered(id, `${token}x`), null)
  now = T0 + REMEMBERED_MS
  assert.equal(keyring.remembered(id, token), null)
  await keyring.authenticate(id, token)
  assert.equal(hashes, 2)
  for (let n = 0; n < 3; n += 1) await keyring.authenticate(id, 'wrong')
  assert.equal(hashes, 5)
})

test('many who come with the same pair at once cost one hash', async () => {
  const { id, token } = await issued()
  const all = await Promise.all(Array.from({ length: 500 }, () => keyring.authenticate(id, token)))
  assert(all.every((who) => who?.keyId === id))
  assert.equal(hashes, 1)
})

test('a key counts up to its last moment, remembered or not', async () => {
  const { id, token } = await issued({ expiresAt: T0 + 10_000 })
  assert(await keyring.authenticate(id, token))
  now = T0 + 9_999
  assert(keyring.remembered(id, token))
  now = T0 + 10_000
  assert.equal(keyring.remembered(id, token), null)
  assert.equal(await keyring.authenticate(id, token), null)
})

test('a revoked key counts no more, from the moment of the answer', async () => {
  const { id, token } = await issued()
  assert(await keyring.authenticate(id, token))
  await desk.revoke(ACME, null, id)
  assert.equal(keyring.remembered(id, token), null)
  assert.equal(await keyring.authenticate(id, token), null)
})

test('who is being looked at while the key is revoked is refused, and not remembered', async () => {
  const { id, token } = await issued()
  let revoked: Promise<unknown> = Promise.resolve()
  const slow = makeKeyring({
    sql,
    isAccount: () => true,
    now: () => now,
    log: silent,
    hasher: {
      ...cheap,
      async matches(...pair) {
        revoked = desk.revoke(ACME, null, id).then(() => slow.forget(id))
        await revoked
        return cheap.matches(...pair)
      },
    },
  })
  assert.equal(await slow.authenticate(id, token), null)
  await revoked
  assert.equal(slow.remembered(id, token), null)
})

test('who is being looked at while the key is rotated with a grace is let in', async () => {
  const { id, token } = await issued()
  let rotated: Promise<unknown> | null = null
  const slow = makeKeyring({
    sql,
    isAccount: () => true,
    now: () => now,
    log: silent,
    hasher: {
      ...cheap,
      async matches(...pair) {
        rotated ??= desk.rotate(ACME, null, id, 60_000).then(() => slow.forget(id))
        await rotated
        return cheap.matches(...pair)
      },
    },
  })
  assert.equal((await slow.authenticate(id, token))?.keyId, id)
  assert(slow.remembered(id, token), 'as the token that counts for a while')
  now += 60_000
  assert.equal(slow.remembered(id, token), null)
})

test('after a rotation the new token counts, the old one only for as long as was said', async () => {
  const { id, token } = await issued()
  await keyring.authenticate(id, token)
  const second = (await desk.rotate(ACME, null, id, 0)).token ?? ''
  assert.equal(await keyring.authenticate(id, token), null, 'no grace: at once')
  assert(await keyring.authenticate(id, second))
  const third = (await desk.rotate(ACME, null, id, 30_000)).token ?? ''
  for (const good of [second, third]) assert(await keyring.authenticate(id, good))
  assert.equal(await keyring.authenticate(id, token), null, 'the one before the old one')
  now = T0 + 29_999
  assert(keyring.remembered(id, second))
  now = T0 + 30_000
  assert.equal(keyring.remembered(id, second), null, 'though it was remembered')
  assert.equal(await keyring.authenticate(id, second), null)
  assert(await keyring.authenticate(id, third))
})

test('another process that revokes or rotates a key is heard of, far sooner than what is remembered ends', async () => {
  const other = await openDatabase({ data: opened.url, log: silent })
  const stop = await watchKeys(opened.database, keyring, silent)
  try {
    const there = deskOn(other, () => {})
    for (const change of [(id: KeyId) => there.revoke(ACME, null, id), (id: KeyId) => there.rotate(ACME, null, id, 0)]) {
      const [gone, stays] = [await issued(), await issued()]
      await keyring.authenticate(gone.id, gone.token)
      await keyring.authenticate(stays.id, stays.token)
      await change(gone.id)
      await eventually('it is forgotten', () => keyring.remembered(gone.id, gone.token) === null)
      assert(keyring.remembered(stays.id, stays.token), 'and no other')
      assert.equal(await keyring.authenticate(gone.id, gone.token), null)
    }
  } finally {
    await stop()
    await other.close()
  }
})

test('a lost notification is made up for by the next look at the versions, and a look that fails changes nothing', async () => {
  assert(LOOK_AGAIN_MS <= 5_000)
  const { id, token } = await issued()
  await keyring.authenticate(id, token)
  await keyring.lookAgain()
  assert(keyring.remembered(id, token))
  await deskOn(opened.database, () => {}).revoke(ACME, null, id)
  assert(keyring.remembered(id, token), 'nobody has said anything yet')
  await keyring.lookAgain()
  assert.equal(keyring.remembered(id, token), null)
})

test('the use of a key is noted once a minute at most, and only when it proved something', async () => {
  const { id, token } = await issued()
  const notes = (): number => statements.filter((text) => text.includes('set last_used_at')).length
  await keyring.authenticate(id, 'wrong')
  assert.equal(notes(), 0)
  for (let second = 0; second < 120; second += 10) {
    now = T0 + second * 1000
    await keyring.authenticate(id, token)
    keyring.remembered(id, token)
  }
  assert.equal(notes(), 2)
  await eventually('it is on record', async () => (await loadKey(opened.database.sql, id))?.key.lastUsedAt === T0 + 60_000)
})

test('a database that is away is an error for those who must ask it, and none for those who are remembered', async () => {
  const { id, token } = await issued()
  let away = false
  const lone = makeKeyring({
    sql: { query: (...all) => (away ? Promise.reject(new Error('away')) : opened.database.sql.query(...all)) },
    hasher,
    isAccount: () => true,
    now: () => now,
    log: silent,
  })
  await lone.authenticate(id, token)
  away = true
  assert(await lone.authenticate(id, token))
  await assert.rejects(lone.authenticate(id, 'other'), /away/)
  await assert.rejects(lone.lookAgain(), /away/)
})
