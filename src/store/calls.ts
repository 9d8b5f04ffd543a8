/**
 * Calls, their legs and the answers kept for repeated requests. A call is saved whole, in one statement, together with
 * the callbacks that report it: either all of it is on disk or nothing (contract C27, C19).
 */
import type { Call } from '../domain/call.ts'
import type { AccountId, CallId, LegId } from '../domain/ids.ts'
import type { Sql } from './database.ts'
import type { CallbackRow } from './outbox.ts'

/** The first answer to a request with an `Idempotency-Key` (contract C19). */
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

/** Another request with the same key was saved first. Nothing of this one was. */
export class IdempotencyTaken extends Error {
  override readonly name = 'IdempotencyTaken'
}

export interface CallSave {
  readonly call: Call
  /** The node that carries the call. */
  readonly node: string
  readonly callbacks: readonly CallbackRow[]
  readonly idempotency: IdempotencyRecord | null
}

/**
 * Writes the call, all its legs, the callbacks and the idempotency record in one atomic statement, and wakes the webhook worker.
 * @throws {IdempotencyTaken} when the key has been used meanwhile.
 */
export async function saveCall(_sql: Sql, _save: CallSave): Promise<void> {
  throw new Error('not yet')
}

/** Null when there is none, or it is another account's. */
export async function loadCall(_sql: Sql, _accountId: AccountId, _callId: CallId): Promise<Call | null> {
  throw new Error('not yet')
}

/** Every call of the node that has not ended, oldest first. */
export async function loadLiveCalls(_sql: Sql, _node: string): Promise<readonly Call[]> {
  throw new Error('not yet')
}

/** @param notBefore Epoch ms; an older record is gone for good, and its key is free again. */
export async function findIdempotency(_sql: Sql, _accountId: AccountId, _key: string, _notBefore: number): Promise<IdempotencyRecord | null> {
  throw new Error('not yet')
}
