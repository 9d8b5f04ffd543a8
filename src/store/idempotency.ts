/** The first answers to requests that carry an `Idempotency-Key`; saved with the call they are about (contract C19). */
import type { AccountId, CallId, LegId } from '../domain/ids.ts'
import type { Sql } from './database.ts'

export interface IdempotencyRecord {
  readonly accountId: AccountId
  readonly key: string
  readonly fingerprint: string
  readonly callId: CallId
  readonly legId: LegId | null
  /** Any JSON; read back as it was. */
  readonly answer: unknown
  /** Epoch ms. */
  readonly createdAt: number
}

/** How long a repeated request gets the first answer, ms. */
export const IDEMPOTENCY_MS = 24 * 60 * 60 * 1000

/** Another request with the same key was saved first; nothing of this one was. */
export class IdempotencyTaken extends Error {
  override readonly name = 'IdempotencyTaken'
}

interface Row {
  readonly fingerprint: string
  readonly call_id: string
  readonly leg_id: string | null
  readonly answer: unknown
  readonly created_at: Date
}

/** @param notBefore Epoch ms. An older record is deleted by this look, so that its key is free again. */
export async function findIdempotency(sql: Sql, accountId: AccountId, key: string, notBefore: number): Promise<IdempotencyRecord | null> {
  const rows = await sql.query<Row>(
    `with old as (delete from idempotency where account_id = $1 and key = $2 and created_at < $3)
     select fingerprint, call_id, leg_id, answer, created_at
       from idempotency where account_id = $1 and key = $2 and created_at >= $3`,
    [accountId, key, new Date(notBefore)],
    'idempotency-find',
  )
  const row = rows[0]
  if (!row) return null
  const { fingerprint, answer } = row
  return {
    accountId,
    key,
    fingerprint,
    callId: row.call_id as CallId,
    legId: row.leg_id as LegId | null,
    answer,
    createdAt: row.created_at.getTime(),
  }
}
