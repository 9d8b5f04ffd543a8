/** What is thrown away, and when. Calls are kept. */
import type { Sql } from './database.ts'
import { IDEMPOTENCY_MS } from './idempotency.ts'

const DAY_MS = 24 * 60 * 60 * 1000
/** Delivered callbacks are kept as a delivery log for this long. Pending and parked ones stay. */
export const DELIVERED_KEPT_MS = 30 * DAY_MS
/** Rows of one kind that one statement takes: it must not hold locks for long. */
const BATCH = 10_000

/**
 * Deletes all delivered callbacks and idempotency records that are past their time.
 * @param batch Rows of one kind that one statement takes.
 * @returns How many rows went.
 */
export async function purge(sql: Sql, now: number, batch = BATCH): Promise<number> {
  let gone = 0
  for (let taken = -1; taken !== 0; gone += taken) taken = await purgeBatch(sql, now, batch)
  return gone
}

async function purgeBatch(sql: Sql, now: number, batch: number): Promise<number> {
  const rows = await sql.query(
    `with callbacks as (
       delete from callback where sequence in
         (select sequence from callback where state = 'delivered' and settled_at < $1 order by settled_at limit $3) returning 1),
     records as (
       delete from idempotency where (account_id, key) in
         (select account_id, key from idempotency where created_at < $2 order by created_at limit $3) returning 1)
     select from callbacks union all select from records`,
    [new Date(now - DELIVERED_KEPT_MS), new Date(now - IDEMPOTENCY_MS), batch],
  )
  return rows.length
}
