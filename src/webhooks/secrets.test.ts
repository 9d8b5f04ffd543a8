import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { openTestDatabase, type TestDatabase, testServers } from '../../test/database.ts'
import { DomainError } from '../domain/errors.ts'
import type { AccountId } from '../domain/ids.ts'
import type { Sql } from '../store/database.ts'
import { makeSecretBook, REMEMBERED_MS, type SecretBook } from './secrets.ts'
import { fingerprintOf, isSecret, newSecret } from './signature.ts'

const HOUR_MS = 3_600_000
const T0 = Date.UTC(2026, 0, 1)
let accounts = 0
const newAccount = (): AccountId => `account${(accounts += 1)}` as AccountId

for (const server of testServers()) {
  describe(`secrets of callbacks on the ${server} PostgreSQL`, () => {
    let opened: TestDatabase
    let clock = T0
    before(async () => {
      opened = await openTestDatabase(server)
    })
    after(() => opened.close())
    const makeBook = (fixed: readonly string[] = [], sql: Sql = opened.database.sql): SecretBook =>
      makeSecretBook({ sql, configured: () => fixed, now: () => clock })

    test('[C28] an account without a secret gets one, and every process has the same', async () => {
      const account = newAccount()
      const all = await Promise.all([makeBook(), makeBook(), makeBook()].map((book) => book.signing(account)))
      assert.equal(new Set(all.flat()).size, 1)
      assert.ok(isSecret(all[0]?.[0] ?? ''))
    })

    test('[C28] after a rotation both secrets sign, the new one first, until the old one’s time is over', async () => {
      const [account, book] = [newAccount(), makeBook()]
      const [old] = await book.signing(account)
      assert(old)
      const { secret, state } = await book.rotate(account, 24 * HOUR_MS)
      assert.notEqual(secret, old)
      assert.deepEqual(state, {
        source: 'data',
        current: { fingerprint: fingerprintOf(secret), madeAt: clock },
        previous: { fingerprint: fingerprintOf(old), until: clock + 24 * HOUR_MS },
      })
      assert.deepEqual(await book.signing(account), [secret, old])
      assert.deepEqual(await book.state(account), state)
      clock += 24 * HOUR_MS - 1
      assert.deepEqual(await book.signing(account), [secret, old])
      clock += REMEMBERED_MS
      assert.deepEqual(await book.signing(account), [secret])
      assert.equal((await book.state(account)).previous, null)
    })

    test('[C28] an old secret that has leaked ends with the rotation', async () => {
      const [account, book] = [newAccount(), makeBook()]
      await book.signing(account)
      const { secret, state } = await book.rotate(account, 0)
      assert.equal(state.previous, null)
      assert.deepEqual(await book.signing(account), [secret])
    })

    test('[C28] another process signs with a new secret within a second', async () => {
      const [account, here, there] = [newAccount(), makeBook(), makeBook()]
      const [old] = await there.signing(account)
      const { secret } = await here.rotate(account, HOUR_MS)
      clock += REMEMBERED_MS
      assert.deepEqual(await there.signing(account), [secret, old])
    })

    test('[C28] what the configuration names is not rotated here, and nothing moves', async () => {
      const [account, fresh, old] = [newAccount(), newSecret(), newSecret()]
      const book = makeBook([fresh, old])
      await assert.rejects(book.rotate(account, HOUR_MS), (error) => error instanceof DomainError && error.code === 'secret-configured')
      assert.deepEqual(await book.signing(account), [fresh, old])
      assert.deepEqual(await book.state(account), {
        source: 'configuration',
        current: { fingerprint: fingerprintOf(fresh), madeAt: null },
        previous: { fingerprint: fingerprintOf(old), until: null },
      })
      assert.equal((await makeBook([fresh]).state(account)).previous, null)
      assert.deepEqual(await opened.database.sql.query('select from callback_secret where account_id = $1', [account]), [])
    })

    test('a secret is read once for many callbacks, and again after the database was away', async () => {
      let [reads, isAway] = [0, true]
      const sql: Sql = {
        query: (...statement) => {
          reads += 1
          return isAway ? Promise.reject(new Error('away')) : opened.database.sql.query(...statement)
        },
      }
      const [account, book] = [newAccount(), makeBook([], sql)]
      await assert.rejects(book.signing(account), /away/)
      isAway = false
      await book.signing(account)
      const before = reads
      await Promise.all(Array.from({ length: 100 }, () => book.signing(account)))
      assert.equal(reads, before)
    })
  })
}
