/**
 * What a step leaves behind besides the state of its call: callbacks to send, and whatever else must be on disk with that
 * state or not at all. Pure but for the ids it is given; made once for a step, saved with it.
 */
import type { Call, Decision } from '../domain/call.ts'
import type { AccountId } from '../domain/ids.ts'
import type { Records } from '../store/calls.ts'
import { callbackRows } from '../webhooks/enqueue.ts'

export interface Settled {
  /** As it was decided, or with what follows from its being settled. */
  readonly decision: Decision
  readonly records: Records
}

/** @param before The call before this step; undefined when it begins with it. */
export type Settle = (before: Call | undefined, decision: Decision) => Settled

export const NO_RECORDS: Records = { callbacks: [] }

/** Of two steps of one call that are written together, the earlier one first. */
export const joined = (earlier: Records, later: Records): Records => ({ callbacks: [...earlier.callbacks, ...later.callbacks] })

export interface SettleOptions {
  /** IANA name (C5). */
  readonly timeZone: (accountId: AccountId) => string
  /** Unique and unguessable: `[0-9a-z]`, at most 60 characters. */
  readonly newId: () => string
  readonly now: () => number
  /** Where callers reach the house; known when it listens. */
  readonly publicUrl: () => string
}

export const makeSettle =
  ({ timeZone, newId, now, publicUrl }: SettleOptions): Settle =>
  (_before, decision) => {
    const { call, notices } = decision
    return {
      decision,
      records: { callbacks: callbackRows(call, notices, { timeZone: timeZone(call.accountId), newId, now: now(), publicUrl: publicUrl() }) },
    }
  }
