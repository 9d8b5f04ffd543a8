/**
 * Keys as they are made, rotated and revoked. Who may ask for it is looked at before (`control/api.ts`); an operator at the machine
 * may all of it. A token is told once, to whoever had it made, and kept nowhere.
 */
import { assertKept, assertMakesSense, assertMayRotate, type Key, type KeyCommand, MAX_ACTIVE_KEYS } from '../../domain/account/keys.ts'
import { DomainError } from '../../domain/errors.ts'
import type { AccountId, KeyId } from '../../domain/ids.ts'
import {
  countActiveKeys,
  insertKey,
  type KeyRequest,
  keyOfRequest,
  listKeys,
  loadKey,
  lockKeys,
  revokeKey,
  rotateKey,
} from '../../store/access/keys.ts'
import type { Database, Sql } from '../../store/database.ts'
import { appendEvidence } from '../../store/evidence/entries.ts'
import { IDEMPOTENCY_MS } from '../../store/idempotency.ts'
import type { TokenHasher } from './token-hash.ts'

/** Keys that one list holds; of more, the oldest are found by their names alone. */
export const MAX_LISTED_KEYS = 1_000

export interface IssuedKey {
  readonly key: Key
  /** Null: this request was made before, and its token was told then (contract C19). */
  readonly token: string | null
}

/** Keys of another account are, to whoever asks, not there. `by` is the key that asks; null is an operator. */
export interface KeyDesk {
  /** @throws {DomainError} invalid-parameter (Scopes, Agents, ExpiresAt) · too-many-keys · idempotency-mismatch · busy */
  create(accountId: AccountId, by: KeyId | null, wanted: KeyCommand, request: KeyRequest | null): Promise<IssuedKey>
  /** The configuration's first, then the newest; revoked and expired ones included. */
  list(accountId: AccountId): Promise<readonly Key[]>
  /** @throws {DomainError} key-not-found */
  find(accountId: AccountId, id: KeyId): Promise<Key>
  /** @param graceMs So long the present token still counts. @throws {DomainError} key-not-found · key-not-active · key-configured · busy */
  rotate(accountId: AccountId, by: KeyId | null, id: KeyId, graceMs: number): Promise<IssuedKey>
  /** At once. One that was revoked before is told as it is. @throws {DomainError} key-not-found · key-configured */
  revoke(accountId: AccountId, by: KeyId | null, id: KeyId): Promise<Key>
}

export interface KeyDeskOptions {
  readonly database: Pick<Database, 'sql' | 'transaction'>
  readonly hasher: Pick<TokenHasher, 'hash'>
  readonly accounts: ReadonlyMap<AccountId, { readonly agents: readonly string[] }>
  /** Keys that the configuration has. */
  readonly configured: readonly Key[]
  /** `ek_…`, unguessable. */
  readonly newKeyId: () => string
  /** `et_…`, 256 bits or more. */
  readonly newToken: () => string
  /** Epoch ms. */
  readonly now: () => number
  /** Told after a key was rotated or revoked here. */
  readonly onChanged: (id: KeyId) => void
  /** Unguessable, at least 128 bits of `[0-9a-z]`: for entries of the audit log. */
  readonly newId: () => string
}

export function makeKeyDesk(options: KeyDeskOptions): KeyDesk {
  const { database, hasher, accounts, configured, newToken, now, onChanged } = options

  async function find(accountId: AccountId, id: KeyId): Promise<Key> {
    const key = configured.find((one) => one.id === id && one.accountId === accountId) ?? (await loadKey(database.sql, id))?.key
    if (key?.accountId !== accountId) throw new DomainError('key-not-found')
    return key
  }

  return {
    find,
    async create(accountId, by, wanted, request) {
      const account = accounts.get(accountId)
      if (!account) throw new DomainError('key-not-found')
      assertMakesSense(wanted, account, now())
      const token = newToken()
      const tokenHash = await hasher.hash(token)
      return database.transaction(async (sql) => {
        await lockKeys(sql, accountId)
        const earlier = request && (await keyOfRequest(sql, accountId, request.key, now() - IDEMPOTENCY_MS))
        if (earlier && earlier.fingerprint !== request.fingerprint) throw new DomainError('idempotency-mismatch')
        if (earlier) return { key: earlier.key, token: null }
        if ((await countActiveKeys(sql, accountId, now())) >= MAX_ACTIVE_KEYS) throw new DomainError('too-many-keys')
        const key = freshKey(options, accountId, by, wanted)
        await insertKey(sql, { key, tokenHash }, request)
        await record(options, sql, 'created', key, by)
        return { key, token }
      })
    },
    async list(accountId) {
      const kept = await listKeys(database.sql, accountId, MAX_LISTED_KEYS)
      return [...configured.filter((key) => key.accountId === accountId), ...kept]
    },
    async rotate(accountId, by, id, graceMs) {
      assertMayRotate(await find(accountId, id), now())
      const token = newToken()
      const tokenHash = await hasher.hash(token)
      const key = await database.transaction(async (sql) => {
        const at = now()
        const rotated = await rotateKey(sql, { accountId, id, tokenHash, previousUntil: graceMs > 0 ? at + graceMs : null, now: at })
        // Somebody was faster, and revoked it.
        if (!rotated) throw new DomainError('key-not-active')
        await record(options, sql, 'rotated', rotated, by)
        return rotated
      })
      onChanged(id)
      return { key, token }
    },
    async revoke(accountId, by, id) {
      const before = await find(accountId, id)
      assertKept(before)
      if (before.revokedAt !== null) return before
      const key = await database.transaction(async (sql) => {
        const revoked = await revokeKey(sql, accountId, id, now())
        if (!revoked) throw new DomainError('key-not-found')
        await record(options, sql, 'revoked', revoked, by)
        return revoked
      })
      onChanged(id)
      return key
    },
  }
}

/** In the transaction of the change, which is undone when it cannot be written down. @param by Null: an operator. */
const record = ({ newId, now }: KeyDeskOptions, sql: Sql, change: 'created' | 'rotated' | 'revoked', key: Key, by: KeyId | null): Promise<void> =>
  appendEvidence(sql, {
    accountId: key.accountId,
    id: newId(),
    kind: 'key',
    at: now(),
    body: { change, key: key.id, by, scopes: key.scopes, limited: key.agents !== null, expires: timeOf(key.expiresAt) },
    personal: { name: key.name, agents: key.agents },
    salt: newId(),
  })

const timeOf = (epochMs: number | null): string | null => (epochMs === null ? null : new Date(epochMs).toISOString())

const freshKey = ({ newKeyId, now }: KeyDeskOptions, accountId: AccountId, by: KeyId | null, wanted: KeyCommand): Key => ({
  id: newKeyId() as KeyId,
  accountId,
  name: wanted.name,
  source: 'database',
  scopes: wanted.scopes,
  agents: wanted.agents,
  createdBy: by,
  createdAt: now(),
  expiresAt: wanted.expiresAt,
  rotatedAt: null,
  revokedAt: null,
  lastUsedAt: null,
})
