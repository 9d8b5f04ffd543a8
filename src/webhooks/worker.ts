/**
 * Delivers callbacks: claim, send, settle; again when NOTIFY says so, when the next one is due, and at a floor.
 */
import type { AccountId } from '../domain/ids.ts'
import type { Database, Log } from '../store/database.ts'

export interface WebhookWorkerOptions {
  readonly database: Database
  /** The operator's `callbacks.allow[]`: address or CIDR block, each with an optional `:port`. */
  readonly allow: readonly string[]
  /** The account's Standard Webhooks secret, `whsec_…`. */
  readonly secretOf: (accountId: AccountId) => Promise<string>
  /** Delays between attempts, ms. Default: contract C27's. */
  readonly schedule?: readonly number[]
  /** An attempt is given up after this, ms. Default 15000. */
  readonly timeoutMs?: number
  readonly now: () => number
  readonly log: Log
  /** Attempts under way at most. Default 64. */
  readonly concurrency?: number
}

export interface WebhookWorker {
  start(): Promise<void>
  /** No new attempts; waits for those under way, at most one time-out long. */
  stop(): Promise<void>
  /** Looks for due callbacks now. */
  kick(): void
}

export function makeWebhookWorker(_options: WebhookWorkerOptions): WebhookWorker {
  throw new Error('not yet')
}
