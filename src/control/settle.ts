/**
 * What a step leaves behind besides the state of its call: tones that begin, intervals of monitoring that are over, callbacks to send, and
 * whatever else must be on disk with that state or not at all. Pure but for the clock and the ids it is given; made once for a step, saved with it.
 */
import { billedSeconds, dayOf, justOver, pulsesIn, type RatePlan, rated } from '../domain/account/rating.ts'
import type { Call, Decision } from '../domain/call.ts'
import { intervals } from '../domain/evidence/interval.ts'
import { withTones } from '../domain/evidence/tones.ts'
import type { AccountId } from '../domain/ids.ts'
import type { Records } from '../store/calls.ts'
import { intervalEntry } from '../store/evidence/entries.ts'
import type { ChargeRow } from '../store/ledger/charges.ts'
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

export const NO_RECORDS: Records = { callbacks: [], evidence: [], charges: [] }

/** Of two steps of one call that are written together, the earlier one first. */
export const joined = (earlier: Records, later: Records): Records => ({
  callbacks: [...earlier.callbacks, ...later.callbacks],
  evidence: [...earlier.evidence, ...later.evidence],
  charges: [...earlier.charges, ...later.charges],
})

export interface SettleOptions {
  /** IANA name (C5). */
  readonly timeZone: (accountId: AccountId) => string
  /** The rate plan of the account as it is at this moment; null, or no function: nothing is charged. */
  readonly planOf?: (accountId: AccountId) => RatePlan | null
  /** Unique and unguessable: `[0-9a-z]`, at most 60 characters. */
  readonly newId: () => string
  readonly now: () => number
  /** Where callers reach the house; known when it listens. */
  readonly publicUrl: () => string
}

export const makeSettle =
  ({ timeZone, planOf, newId, now, publicUrl }: SettleOptions): Settle =>
  (before, decided, how = 'seen') => {
    const at = now()
    const toned = withTones(before, decided, at)
    const { call: watched, closed } = intervals(before, toned.call, how)
    const call = rated(before, watched, planOf?.(watched.accountId) ?? null)
    const zone = timeZone(call.accountId)
    return {
      decision: call === toned.call ? toned : { ...toned, call },
      records: {
        callbacks: callbackRows(call, toned.notices, { timeZone: zone, newId, now: at, publicUrl: publicUrl() }),
        charges: chargesOf(before, call, zone),
        evidence: closed.map((interval) => intervalEntry(interval, { id: newId(), salt: newId(), at })),
      },
    }
  }

/** One for each answered leg that ended in this step (C33). */
export const chargesOf = (before: Call | undefined, call: Call, timeZone: string): readonly ChargeRow[] =>
  justOver(before, call).flatMap((leg): readonly ChargeRow[] => {
    if (leg.state.status !== 'ended') return []
    const seconds = billedSeconds(leg)
    return [
      {
        legId: leg.id,
        callId: call.id,
        accountId: call.accountId,
        origin: leg.origin,
        day: dayOf(leg.state.endedAt, timeZone),
        endedAt: leg.state.endedAt,
        seconds,
        pulses: leg.rate === null ? 0 : pulsesIn(seconds, leg.rate.pulseS),
        rate: leg.rate,
      },
    ]
  })
