/** How much there is of each account, counted at one moment: for a list of accounts, however many there are. */
import type { AccountId } from '../domain/ids.ts'
import type { Sql } from './database.ts'

export interface Census {
  /** Calls that have not ended. */
  readonly liveCalls: number
  /** Keys of the database that count at that moment; those of the configuration are not among them. */
  readonly activeKeys: number
}

/** Of accounts that have neither. */
export const NOTHING_COUNTED: Census = { liveCalls: 0, activeKeys: 0 }

/** @param now Epoch ms. @returns Those accounts alone that have something. */
export async function countByAccount(sql: Sql, now: number): Promise<ReadonlyMap<AccountId, Census>> {
  const rows = await sql.query<{ readonly account_id: string; readonly live: number; readonly active: number }>(
    `select account_id, sum(live)::integer as live, sum(active)::integer as active from (
       select account_id, count(*) as live, 0 as active from call where status <> 'ended' group by account_id
       union all
       select account_id, 0, count(*) from api_key where revoked_at is null and (expires_at is null or expires_at > $1) group by account_id
     ) as counted group by account_id`,
    [new Date(now)],
  )
  return new Map(rows.map(({ account_id, live, active }) => [account_id as AccountId, { liveCalls: live, activeKeys: active }]))
}
