/** Callbacks as an account looks at them: what became of each, page by page. */
import type { AccountId, CallId, LegId } from './ids.ts'
import type { CallbackEvent } from './leg.ts'

export const CALLBACK_STATES = ['pending', 'delivered', 'parked'] as const
/** `pending` waits for its next attempt, `parked` was accepted by nobody and is tried no more (contract C27). */
export type CallbackState = (typeof CALLBACK_STATES)[number]

/** One callback and what became of it. Times are epoch ms. */
export interface LoggedCallback {
  /** The `webhook-id` of every attempt. */
  readonly id: string
  readonly accountId: AccountId
  readonly callId: CallId
  /** Null for the call's own callback. */
  readonly legId: LegId | null
  readonly event: CallbackEvent
  readonly url: string
  /** Scheme, host and port of the URL. */
  readonly receiver: string
  readonly contentType: string
  readonly body: string
  readonly createdAt: number
  readonly state: CallbackState
  /** Attempts ever made. */
  readonly attempts: number
  readonly lastStatus: number | null
  readonly lastError: string | null
  /** When it is due (again), or was. */
  readonly dueAt: number
  /** When it was delivered or parked; null while it is pending. */
  readonly settledAt: number | null
}

/** Which callbacks; a filter that is null lets every one pass. */
export interface CallbackFilter {
  readonly state: CallbackState | null
  readonly callId: CallId | null
  /** Scheme, host and port, as a callback's `receiver`. */
  readonly receiver: string | null
}

/** A page of them, the newest first. */
export interface CallbackQuery extends CallbackFilter {
  readonly pageSize: number
  /** The page begins after that callback, or ends before it; null is the first page. */
  readonly start: { readonly side: 'before' | 'after'; readonly id: string } | null
}

export interface CallbackPage {
  readonly callbacks: readonly LoggedCallback[]
  /** How many pass the filters; counted up to a limit of the store's. */
  readonly total: number
  readonly hasPrevious: boolean
  readonly hasNext: boolean
}

/** What one request to replay has done. */
export interface ReplayCount {
  readonly replayed: number
  /** Parked ones that pass the filters and were left: there is a limit to what one request does. */
  readonly remaining: number
}
