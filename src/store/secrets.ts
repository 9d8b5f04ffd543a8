/** The secret that signs an account's callbacks, when the configuration names none (contract C28). */
import type { AccountId } from '../domain/ids.ts'
import type { Sql } from './database.ts'

/**
 * The account's secret; the first one that was ever offered stays.
 * @param fresh A new `whsec_<base64 of 24 to 64 random bytes>`.
 */
export async function callbackSecret(sql: Sql, accountId: AccountId, fresh: string): Promise<string> {
  const rows = await sql.query<{ secret: string }>(
    `insert into callback_secret (account_id, secret) values ($1, $2)
     on conflict (account_id) do update set secret = callback_secret.secret
     returning secret`,
    [accountId, fresh],
  )
  return rows[0]?.secret ?? fresh
}
