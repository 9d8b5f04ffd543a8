/**
 * What a step leaves behind besides the state of its call: tones that begin, intervals of monitoring that are over, callbacks to send, and
 * whatever else must be on disk with that state or not at all. Pure but for the clock and the ids it is given; made once for a step, saved with it.
 */
import type { Call, Decision } from '../domain/call.ts'
import { intervals } from '../domain/evidence/interval.ts'
import { withTones } from '../domain/evidence/tones.ts'
import type { AccountId } from '../domain/ids.ts'
import type { Records } from '../store/calls.ts'
import { intervalEntry } from '../store/evidence/entries.ts'
import { callbackRows } from '../webhooks/enqueue.ts'

export interface Settled {
  /** As it was decided, or with what follows from its being settled. */
  readonly decision: Decision
  readonly records: Records
}

/**
 * @param before The call before this step; undefined when it begins with it.
 * @param how `crash`: the call is closed for a server that died, and nobody saw the end.
 */
export type Settle = (before: Call | undefined, decision: Decision, how?: 'seen' | 'crash') => Settled

export const NO_RECORDS: Records = { callbacks: [], evidence: [] }

/** Of two steps of one call that are written together, the earlier one first. */
export const joined = (earlier: Records, later: Records): Records => ({
  callbacks: [...earlier.callbacks, ...later.callbacks],
  evidence: [...earlier.evidence, ...later.evidence],
})

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
  (before, decided, how = 'seen') => {
    const at = now()
    const toned = withTones(before, decided, at)
    const { call, closed } = intervals(before, toned.call, how)
    return {
      decision: call === toned.call ? toned : { ...toned, call },
      records: {
        callbacks: callbackRows(call, toned.notices, { timeZone: timeZone(call.accountId), newId, now: at, publicUrl: publicUrl() }),
        evidence: closed.map((interval) => intervalEntry(interval, { id: newId(), salt: newId(), at })),
      },
    }
  }
