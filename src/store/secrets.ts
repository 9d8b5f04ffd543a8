/** The secrets that sign an account's callbacks, when the configuration names none (contract C28). */
import type { AccountId } from '../domain/ids.ts'
import type { Sql } from './database.ts'

export interface StoredSecrets {
  /** `whsec_<base64 of 24 to 64 random bytes>` */
  readonly current: string
  /** Epoch ms; null for one that is older than this record of it. */
  readonly madeAt: number | null
  /** What it was before the last rotation, and until when it signs as well (epoch ms), which may be past. */
  readonly previous: { readonly secret: string; readonly until: number } | null
}

interface Row {
  readonly secret: string
  readonly made_at: Date | null
  readonly previous: string | null
  readonly previous_until: Date | null
}

/** Null when the account has none yet. */
export async function findSecrets(sql: Sql, accountId: AccountId): Promise<StoredSecrets | null> {
  const rows = await sql.query<Row>('select * from callback_secret where account_id = $1', [accountId], 'secret-find')
  return rows[0] ? secretsOf(rows[0]) : null
}

/**
 * The account's secrets; the first one that was ever offered stays.
 * @param fresh A new secret, should there be none.
 */
export async function ensureSecrets(sql: Sql, accountId: AccountId, fresh: string, now: number): Promise<StoredSecrets> {
  const found = await findSecrets(sql, accountId)
  if (found !== null) return found
  await sql.query('insert into callback_secret (account_id, secret, made_at) values ($1, $2, $3) on conflict (account_id) do nothing', [
    accountId,
    fresh,
    new Date(now),
  ])
  return (await findSecrets(sql, accountId)) ?? { current: fresh, madeAt: now, previous: null }
}

export interface Rotation {
  /** The secret from now on. */
  readonly fresh: string
  /** Until when the present one signs as well, epoch ms; null: no longer. */
  readonly keepUntil: number | null
  readonly now: number
}

/** The fresh secret becomes the current one, the current one the previous one; what was previous until now is gone. */
export async function rotateSecret(sql: Sql, accountId: AccountId, { fresh, keepUntil, now }: Rotation): Promise<StoredSecrets> {
  const rows = await sql.query<Row>(
    `insert into callback_secret as held (account_id, secret, made_at) values ($1, $2, $3)
     on conflict (account_id) do update
       set secret = excluded.secret, made_at = excluded.made_at, previous_until = $4, previous = case when $4::timestamptz is not null then held.secret end
     returning *`,
    [accountId, fresh, new Date(now), keepUntil === null ? null : new Date(keepUntil)],
  )
  return rows[0] ? secretsOf(rows[0]) : { current: fresh, madeAt: now, previous: null }
}

const secretsOf = ({ secret, made_at, previous, previous_until }: Row): StoredSecrets => ({
  current: secret,
  madeAt: made_at?.getTime() ?? null,
  previous: previous === null || previous_until === null ? null : { secret: previous, until: previous_until.getTime() },
})
