/**
 * The outbox of callbacks, which is their delivery log and the list for replays as well (contract C27).
 *
 *   pending ──2xx──▶ delivered
 *      │ ▲
 *      │ └── a failed attempt is due again later
 *      └──the schedule is exhausted, or the address is refused──▶ parked ──replay──▶ pending
 */
import type { AccountId, CallId, LegId } from '../domain/ids.ts'
import type { CallbackEvent } from '../domain/leg.ts'
import type { Sql } from './database.ts'

/** One callback as it was frozen in the transaction of the state it reports. */
export interface CallbackRow {
  /** Unique; the `webhook-id` of every attempt. */
  readonly id: string
  readonly accountId: AccountId
  readonly callId: CallId
  /** Null for the call's own callback. */
  readonly legId: LegId | null
  readonly event: CallbackEvent
  /** Callbacks with the same key are delivered one after the other. */
  readonly orderKey: string
  readonly url: string
  /** The header's value, boundary included. */
  readonly contentType: string
  readonly body: string
  /** Epoch ms. */
  readonly createdAt: number
}

/** A callback that this worker may send until its lease ends. */
export interface ClaimedCallback extends CallbackRow {
  /** This attempt included; the fence of `settle`. */
  readonly attempts: number
  /** Scheme, host and port of the URL. */
  readonly receiver: string
}

export type Settlement =
  | { readonly kind: 'delivered'; readonly status: number }
  | { readonly kind: 'retry'; readonly at: number; readonly status: number | null; readonly error: string }
  | { readonly kind: 'parked'; readonly status: number | null; readonly error: string }

/** A callback that nobody accepted. */
export interface ParkedCallback extends CallbackRow {
  readonly attempts: number
  readonly lastStatus: number | null
  readonly lastError: string
  readonly parkedAt: number
}

export interface ClaimOptions {
  readonly now: number
  /** How long nobody else gets them, ms; longer than an attempt can last. */
  readonly leaseMs: number
  readonly limit: number
  /** Attempts under way at one receiver at most. */
  readonly perReceiver: number
  /** Attempts that this worker has under way, by receiver. */
  readonly underWay: ReadonlyMap<string, number>
}

/** The channel that is notified when callbacks were enqueued. */
export const CALLBACK_CHANNEL = 'earshot_callback'

/** Claims callbacks that are due and first of their order key; safe among any number of workers. */
export async function claimCallbacks(_sql: Sql, _options: ClaimOptions): Promise<readonly ClaimedCallback[]> {
  throw new Error('not yet')
}

/** Records how an attempt went. @returns False when the lease was lost to another worker meanwhile: nothing was changed. */
export async function settleCallback(_sql: Sql, _claimed: Pick<ClaimedCallback, 'id' | 'attempts'>, _settlement: Settlement, _now: number): Promise<boolean> {
  throw new Error('not yet')
}

/** When the next pending callback is due (or its lease ends), epoch ms; null when none is pending. */
export async function nextDueAt(_sql: Sql): Promise<number | null> {
  throw new Error('not yet')
}

/** Oldest first. */
export async function parkedCallbacks(_sql: Sql, _accountId: AccountId, _limit: number): Promise<readonly ParkedCallback[]> {
  throw new Error('not yet')
}

/** Makes one parked callback pending again with a fresh schedule. @returns False when it is not parked. */
export async function replayCallback(_sql: Sql, _accountId: AccountId, _id: string, _now: number): Promise<boolean> {
  throw new Error('not yet')
}
