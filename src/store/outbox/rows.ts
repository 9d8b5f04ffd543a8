/** A callback as a row of the outbox, and what is read back of it. */
import type { LoggedCallback } from '../../domain/callback-log.ts'
import type { AccountId, CallId, LegId } from '../../domain/ids.ts'
import type { CallbackEvent } from '../../domain/leg.ts'

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

/** The channel that is notified when callbacks were enqueued (without a payload) or replayed (with their receiver). */
export const CALLBACK_CHANNEL = 'earshot_callback'
/** Of what a receiver or the network said, this much is kept. */
export const ERROR_CHARACTERS = 500

/** Scheme, host and port; what limits of concurrency are counted by. Empty for what is no URL. */
export const receiverOf = (url: string): string => URL.parse(url)?.origin ?? ''

export interface Row {
  readonly id: string
  readonly account_id: string
  readonly call_id: string
  readonly leg_id: string | null
  readonly event: CallbackEvent
  readonly order_key: string
  readonly url: string
  readonly receiver: string
  readonly content_type: string
  readonly body: string
  readonly created_at: Date
  readonly attempts: number
  readonly state: LoggedCallback['state']
  readonly due_at: Date
  readonly last_status: number | null
  readonly last_error: string | null
  readonly settled_at: Date | null
}

export function callbackOf(row: Row): CallbackRow {
  return {
    id: row.id,
    accountId: row.account_id as AccountId,
    callId: row.call_id as CallId,
    legId: row.leg_id as LegId | null,
    event: row.event,
    orderKey: row.order_key,
    url: row.url,
    contentType: row.content_type,
    body: row.body,
    createdAt: row.created_at.getTime(),
  }
}

export function loggedOf(row: Row): LoggedCallback {
  const { orderKey: _, ...callback } = callbackOf(row)
  return {
    ...callback,
    receiver: row.receiver,
    state: row.state,
    attempts: row.attempts,
    lastStatus: row.last_status,
    lastError: row.last_error,
    dueAt: row.due_at.getTime(),
    settledAt: row.settled_at?.getTime() ?? null,
  }
}
