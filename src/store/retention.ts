/** What is thrown away, and when. */
import type { Sql } from './database.ts'

const DAY_MS = 24 * 60 * 60 * 1000
/** Delivered callbacks are kept as a delivery log for this long. Parked ones stay. */
export const DELIVERED_KEPT_MS = 30 * DAY_MS

/** Deletes delivered callbacks and idempotency records that are past their time. @returns How many rows went. */
export async function purge(_sql: Sql, _now: number): Promise<number> {
  throw new Error('not yet')
}
