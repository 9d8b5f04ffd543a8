/**
 * API keys on disk. A token is never here, only its salted hash; whoever remembers a key hears of its change on `KEY_CHANNEL`, and
 * finds a raised `version` when the notification was lost.
 */
import type { Key } from '../../domain/account/keys.ts'
import type { Scope } from '../../domain/account/rights.ts'
import type { AccountId, KeyId } from '../../domain/ids.ts'
import type { Sql } from '../database.ts'

/** NOTIFY goes here, in the transaction that rotates or revokes a key. */
export const KEY_CHANNEL = 'earshot_keys'

/** A key with what proves it. */
export interface StoredKey {
  readonly key: Key
  /** As `control/access/token-hash.ts` writes it. */
  readonly tokenHash: string
  /** The token before the last rotation, until then (epoch ms). */
  readonly previous: { readonly tokenHash: string; readonly until: number } | null
  /** Raised by every change but use. */
  readonly version: number
}

/** An `Idempotency-Key`, and what it came with. */
export interface KeyRequest {
  readonly key: string
  readonly fingerprint: string
}

interface Row {
  readonly id: string
  readonly account_id: string
  readonly name: string
  readonly scopes: readonly Scope[]
  readonly agents: readonly string[] | null
  readonly token_hash: string
  readonly previous_hash: string | null
  readonly previous_until: Date | null
  readonly version: number
  readonly created_by: string | null
  readonly created_at: Date
  readonly expires_at: Date | null
  readonly rotated_at: Date | null
  readonly revoked_at: Date | null
  readonly last_used_at: Date | null
}

/** Until the transaction ends nobody else makes a key for the account: what is counted stays so. */
export async function lockKeys(sql: Sql, accountId: AccountId): Promise<void> {
  await sql.query(`select pg_advisory_xact_lock(hashtext('earshot keys'), hashtext($1))`, [accountId])
}

/** How many keys of the account count at `now`. */
export async function countActiveKeys(sql: Sql, accountId: AccountId, now: number): Promise<number> {
  const [row] = await sql.query<{ active: number }>(
    'select count(*)::integer as active from api_key where account_id = $1 and revoked_at is null and (expires_at is null or expires_at > $2)',
    [accountId, new Date(now)],
  )
  return row?.active ?? 0
}

/** Inside a transaction that has the lock. @param stored With `source` `database` and a moment of creation. */
export async function insertKey(sql: Sql, { key, tokenHash }: Pick<StoredKey, 'key' | 'tokenHash'>, request: KeyRequest | null): Promise<void> {
  await sql.query(
    `insert into api_key (id, account_id, name, scopes, agents, token_hash, created_by, created_at, expires_at, request_key, request_fingerprint)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
    [
      key.id,
      key.accountId,
      key.name,
      key.scopes,
      key.agents,
      tokenHash,
      key.createdBy,
      timestamp(key.createdAt),
      timestamp(key.expiresAt),
      request?.key ?? null,
      request?.fingerprint ?? null,
    ],
  )
}

/**
 * The key that was made with this `Idempotency-Key`, and the fingerprint of that request.
 * @param notBefore Epoch ms. An older request is forgotten by this look, so that its key is free again.
 */
export async function keyOfRequest(
  sql: Sql,
  accountId: AccountId,
  requestKey: string,
  notBefore: number,
): Promise<{ readonly key: Key; readonly fingerprint: string } | null> {
  await sql.query(
    'update api_key set request_key = null, request_fingerprint = null where account_id = $1 and request_key = $2 and created_at < $3',
    [accountId, requestKey, new Date(notBefore)],
  )
  const [row] = await sql.query<Row & { readonly request_fingerprint: string }>('select * from api_key where account_id = $1 and request_key = $2', [
    accountId,
    requestKey,
  ])
  return row ? { key: storedOf(row).key, fingerprint: row.request_fingerprint } : null
}

/** By its name alone, since those who come in say nothing else. */
export async function loadKey(sql: Sql, id: KeyId): Promise<StoredKey | null> {
  const [row] = await sql.query<Row>('select * from api_key where id = $1', [id], 'key-load')
  return row ? storedOf(row) : null
}

/** The newest first, revoked ones included. @param accountId Null: of all accounts. */
export async function listKeys(sql: Sql, accountId: AccountId | null, limit: number): Promise<readonly Key[]> {
  const rows = await sql.query<Row>('select * from api_key where ($1::text is null or account_id = $1) order by created_at desc, id desc limit $2', [
    accountId,
    limit,
  ])
  return rows.map((row) => storedOf(row).key)
}

export interface Rotation {
  readonly accountId: AccountId
  readonly id: KeyId
  readonly tokenHash: string
  /** Until when the present token still counts, epoch ms; null: it counts no more. An earlier one counts no more in any case. */
  readonly previousUntil: number | null
  readonly now: number
}

/** Gives an active key another token. @returns The key as it is now, or null when there is no active one. */
export async function rotateKey(sql: Sql, { accountId, id, tokenHash, previousUntil, now }: Rotation): Promise<Key | null> {
  return changed(
    sql,
    `update api_key set version = version + 1, rotated_at = $3::timestamptz, token_hash = $4,
       previous_hash = case when $5::timestamptz is null then null else token_hash end, previous_until = $5::timestamptz
     where id = $1 and account_id = $2 and revoked_at is null and (expires_at is null or expires_at > $3::timestamptz)`,
    [id, accountId, new Date(now), tokenHash, timestamp(previousUntil)],
  )
}

/** Ends a key; one that was revoked before keeps its moment. @returns The key as it is now, or null when there is none. */
export async function revokeKey(sql: Sql, accountId: AccountId, id: KeyId, now: number): Promise<Key | null> {
  return changed(
    sql,
    `update api_key set version = version + 1, revoked_at = coalesce(revoked_at, $3::timestamptz), previous_hash = null, previous_until = null
     where id = $1 and account_id = $2`,
    [id, accountId, new Date(now)],
  )
}

/** The present versions of those that still exist. */
export async function keyVersions(sql: Sql, ids: readonly KeyId[]): Promise<ReadonlyMap<KeyId, number>> {
  const rows = await sql.query<{ id: string; version: number }>('select id, version from api_key where id = any ($1::text[])', [ids], 'key-versions')
  return new Map(rows.map(({ id, version }) => [id as KeyId, version]))
}

/** Somebody came in with the key. @param at Epoch ms. */
export async function noteKeyUse(sql: Sql, id: KeyId, at: number): Promise<void> {
  await sql.query('update api_key set last_used_at = $2 where id = $1 and (last_used_at is null or last_used_at < $2)', [id, new Date(at)], 'key-use')
}

async function changed(sql: Sql, update: string, values: readonly unknown[]): Promise<Key | null> {
  const [row] = await sql.query<Row>(`with changed as (${update} returning *) select changed.*, pg_notify('${KEY_CHANNEL}', '') from changed`, values)
  return row ? storedOf(row).key : null
}

function storedOf(row: Row): StoredKey {
  const key: Key = {
    id: row.id as KeyId,
    accountId: row.account_id as AccountId,
    name: row.name,
    source: 'database',
    scopes: row.scopes,
    agents: row.agents,
    createdBy: row.created_by as KeyId | null,
    createdAt: row.created_at.getTime(),
    expiresAt: row.expires_at?.getTime() ?? null,
    rotatedAt: row.rotated_at?.getTime() ?? null,
    revokedAt: row.revoked_at?.getTime() ?? null,
    lastUsedAt: row.last_used_at?.getTime() ?? null,
  }
  const { previous_hash: hash, previous_until: until } = row
  return {
    key,
    tokenHash: row.token_hash,
    previous: hash === null || until === null ? null : { tokenHash: hash, until: until.getTime() },
    version: row.version,
  }
}

const timestamp = (at: number | null): Date | null => (at === null ? null : new Date(at))
