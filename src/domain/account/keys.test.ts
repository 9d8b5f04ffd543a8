import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DomainError } from '../errors.ts'
import type { AccountId, KeyId } from '../ids.ts'
import { assertKept, assertMakesSense, assertMayGrant, assertMayRotate, type Key, type KeyCommand, keyStatus, maySeeKey } from './keys.ts'
import { type Principal, SCOPES } from './rights.ts'

const acme = 'acme' as AccountId
const key: Key = {
  id: 'ek_1' as KeyId,
  accountId: acme,
  name: 'desk',
  source: 'database',
  scopes: ['calls.read'],
  agents: null,
  createdBy: null,
  createdAt: 0,
  expiresAt: null,
  rotatedAt: null,
  revokedAt: null,
  lastUsedAt: null,
}
const who = (change: Partial<Principal> = {}): Principal => ({ accountId: acme, keyId: 'k' as KeyId, scopes: SCOPES, agents: null, ...change })
const refuses = (code: string, detail: string, work: () => void): void =>
  assert.throws(work, (error) => error instanceof DomainError && error.code === code && error.detail === detail)

test('a key is active until its moment comes, expired from that moment on, and revoked whatever else it is', () => {
  for (const [expiresAt, revokedAt, now, status] of [
    [null, null, 5, 'active'],
    [10, null, 9, 'active'],
    [10, null, 10, 'expired'],
    [10, null, 11, 'expired'],
    [null, 3, 5, 'revoked'],
    [10, 3, 5, 'revoked'],
    [10, 3, 50, 'revoked'],
    [null, 9, 5, 'revoked'],
  ] as const)
    assert.equal(keyStatus({ expiresAt, revokedAt }, now), status, `${expiresAt} ${revokedAt} ${now}`)
})

test('nobody gives a scope that they do not have, for every set of scopes given and had', () => {
  const sets = fc.subarray([...SCOPES])
  fc.assert(
    fc.property(sets, sets, (had, wanted) => {
      const give = (): void => assertMayGrant(who({ scopes: had }), { scopes: wanted, agents: null })
      if (wanted.every((scope) => had.includes(scope))) give()
      else
        assert.throws(give, (error) => error instanceof DomainError && error.code === 'right-missing' && !had.some((scope) => scope === error.detail))
    }),
  )
})

test('nobody gives agents beyond those they are limited to; no limit is the furthest of all', () => {
  for (const [had, wanted, may] of [
    [null, null, true],
    [null, ['priya'], true],
    [['priya'], ['priya'], true],
    [['priya', 'ravi'], ['ravi'], true],
    [['priya'], null, false],
    [['priya'], ['ravi'], false],
    [['priya'], ['priya', 'ravi'], false],
    [[], null, false],
    [[], ['priya'], false],
  ] as const) {
    const give = (): void => assertMayGrant(who({ agents: had }), { scopes: [], agents: wanted })
    if (may) give()
    else refuses('right-missing', 'agents', give)
    assert.equal(maySeeKey(who({ agents: had }), { ...key, agents: wanted }), may, 'and sees exactly the keys that it could give')
  }
})

test('another account’s keys are not there', () => {
  assert(maySeeKey(who(), key))
  assert(!maySeeKey(who({ accountId: 'zenith' as AccountId }), key))
})

const wanted: KeyCommand = { name: '', scopes: ['calls.read'], agents: null, expiresAt: null }
const account = { agents: ['priya', 'ravi'] }

test('a key needs a scope, agents that the account has, and an end that is yet to come', () => {
  assertMakesSense(wanted, account, 5)
  assertMakesSense({ ...wanted, agents: ['ravi'], expiresAt: 6 }, account, 5)
  refuses('invalid-parameter', 'Scopes', () => assertMakesSense({ ...wanted, scopes: [] }, account, 5))
  for (const agents of [['mallory'], ['priya', 'mallory'], []])
    refuses('invalid-parameter', 'Agents', () => assertMakesSense({ ...wanted, agents }, account, 5))
  for (const expiresAt of [5, 0, -1]) refuses('invalid-parameter', 'ExpiresAt', () => assertMakesSense({ ...wanted, expiresAt }, account, 5))
})

test('only an active key of ours gets a new token; one of the configuration is changed there', () => {
  assertMayRotate(key, 5)
  refuses('key-not-active', '', () => assertMayRotate({ ...key, revokedAt: 1 }, 5))
  refuses('key-not-active', '', () => assertMayRotate({ ...key, expiresAt: 5 }, 5))
  refuses('key-configured', '', () => assertMayRotate({ ...key, source: 'configuration' }, 5))
  assertKept(key)
  refuses('key-configured', '', () => assertKept({ ...key, source: 'configuration' }))
})
