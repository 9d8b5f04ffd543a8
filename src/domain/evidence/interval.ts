/**
 * Who monitored whom, from when to when, in which mode, and who could hear what: the intervals that the audit is made of.
 *
 * An interval begins when a supervisor picks up, and ends when anything changes of what is said about it: mode, target, on whose word, or
 * who hears whom. The next one begins at the same moment, so the intervals of a supervisor cover their time in the call without a
 * gap. The same mode asked for again by the same key for the same reason changes nothing, and the interval goes on.
 *
 *   pick-up ──▶ open ──anything changes──▶ closed, and the next is open
 *                └──the leg or the call ends──▶ closed
 */
import type { Address } from '../address.ts'
import type { Call } from '../call.ts'
import { hearing } from '../hearing.ts'
import type { AccountId, CallId, LegId } from '../ids.ts'
import { isAnswered, isLive, type Leg, type Mode, type Why } from '../leg.ts'
import type { TonePolicy, Tones } from './tones.ts'

/** Why an interval ended. `crash`: the server died, and this was its last sign of life. */
export const INTERVAL_ENDS = ['mode-changed', 'target-left', 'asked-again', 'hearing-changed', 'left', 'call-ended', 'crash'] as const
export type IntervalEnd = (typeof INTERVAL_ENDS)[number]

/** One supervisor, one mode, one hearing table. Times are epoch ms. */
export interface Interval extends Why {
  readonly accountId: AccountId
  readonly callId: CallId
  readonly legId: LegId
  readonly targetLegId: LegId
  readonly mode: Mode
  readonly from: number
  readonly to: number
  readonly end: IntervalEnd
  /** Legs that could hear the supervisor, and legs that the supervisor could hear. */
  readonly heardBy: readonly LegId[]
  readonly hears: readonly LegId[]
  /** Null only for a call of a version that had none. */
  readonly policy: TonePolicy | null
  /** When a tone began, and when one could not be played. */
  readonly tones: readonly number[]
  readonly tonesFailed: readonly number[]
  readonly supervisor: Address
  /** Everybody else who is named above, with their number. */
  readonly parties: readonly { readonly legId: LegId; readonly address: Address }[]
}

export interface Recorded {
  /** The call with the beginnings of its intervals; the same one when none has changed. */
  readonly call: Call
  /** In the order of the legs. */
  readonly closed: readonly Interval[]
}

/**
 * What a step means for the record.
 * @param before The call before the step; undefined when it begins with it.
 * @param how `crash`: nobody saw the end.
 */
export function intervals(before: Call | undefined, after: Call, how: 'seen' | 'crash' = 'seen'): Recorded {
  const closed: Interval[] = []
  const legs = after.legs.map((leg) => {
    if (leg.monitoring === null) return leg
    const old = before && watchOf(before, leg.id)
    const now = watchOf(after, leg.id)
    if (old && now && isSame(old, now)) return leg
    if (before && old) closed.push(close(before, after, { watch: old, next: now, how }))
    if (!now) return leg
    const since = old ? (closed.at(-1)?.to ?? now.from) : now.from
    return since === leg.monitoring.since ? leg : { ...leg, monitoring: { ...leg.monitoring, since } }
  })
  const changed = legs.some((leg, index) => leg !== after.legs[index])
  return { call: withoutOldTones(changed ? { ...after, legs } : after), closed }
}

/** What is said of a supervisor who is on. */
interface Watch {
  readonly leg: Leg
  readonly monitoring: NonNullable<Leg['monitoring']>
  readonly from: number
  readonly heardBy: readonly LegId[]
  readonly hears: readonly LegId[]
}

/** Null for who is not connected, or is in a call that is over: everybody is deaf and dumb there. */
function watchOf(call: Call, legId: LegId): Watch | null {
  const leg = call.legs.find((candidate) => candidate.id === legId)
  if (call.state.status !== 'live' || !leg?.monitoring || leg.state.status !== 'answered') return null
  const table = hearing(call.legs, call.sound)
  const heardBy = call.legs.filter((other) => table.get(other.id)?.includes(legId)).map((other) => other.id)
  const heard = table.get(legId) ?? []
  const hears = call.legs.filter((other) => heard.includes(other.id)).map((other) => other.id)
  return { leg, monitoring: leg.monitoring, from: leg.monitoring.since ?? leg.state.answeredAt, heardBy, hears }
}

const sameLegs = (a: readonly LegId[], b: readonly LegId[]): boolean => a.length === b.length && a.every((id, index) => id === b[index])

function isSame(a: Watch, b: Watch): boolean {
  const [old, now] = [a.monitoring, b.monitoring]
  const sameWord = old.mode === now.mode && old.targetLegId === now.targetLegId && old.by === now.by && old.reasonCode === now.reasonCode
  return sameWord && sameLegs(a.heardBy, b.heardBy) && sameLegs(a.hears, b.hears)
}

interface Closing {
  readonly watch: Watch
  readonly next: Watch | null
  readonly how: 'seen' | 'crash'
}

function close(before: Call, after: Call, { watch, next, how }: Closing): Interval {
  const { leg, monitoring, from, heardBy, hears } = watch
  const { mode, targetLegId, by, reasonCode } = monitoring
  const gone = after.legs.find((candidate) => candidate.id === leg.id)
  // A clock that was set back does not make an interval that ends before it begins.
  const to = Math.max(from, gone?.state.status === 'ended' ? gone.state.endedAt : after.updatedAt)
  const named = new Set([targetLegId, ...heardBy, ...hears])
  const inside = (times: readonly number[] | undefined): readonly number[] =>
    times?.filter((at) => at >= from && (next === null ? at <= to : at < to)) ?? []
  return {
    accountId: before.accountId,
    callId: before.id,
    legId: leg.id,
    targetLegId,
    mode,
    by,
    reasonCode,
    from,
    to,
    heardBy,
    hears,
    end: how === 'crash' ? 'crash' : endOf(before, after, watch, next),
    policy: before.tones?.policy ?? null,
    tones: inside(before.tones?.played),
    tonesFailed: inside(before.tones?.failed),
    supervisor: leg.address,
    parties: before.legs.filter((other) => named.has(other.id)).map((other) => ({ legId: other.id, address: other.address })),
  }
}

function endOf(before: Call, after: Call, { leg, monitoring }: Watch, next: Watch | null): IntervalEnd {
  if (next === null) return after.legs.some((other) => other.id === leg.id && isLive(other)) ? 'call-ended' : 'left'
  const targetIn = (call: Call): boolean => call.legs.some((other) => other.id === monitoring.targetLegId && isAnswered(other))
  if (next.monitoring.mode !== monitoring.mode) return targetIn(before) && !targetIn(after) ? 'target-left' : 'mode-changed'
  return next.monitoring.by === monitoring.by && next.monitoring.reasonCode === monitoring.reasonCode ? 'hearing-changed' : 'asked-again'
}

/** Tones from before every open interval are in entries that are closed. */
function withoutOldTones(call: Call): Call {
  const { tones } = call
  if (tones === null || (tones.played.length === 0 && tones.failed.length === 0)) return call
  const open = call.legs.flatMap((leg) => watchOf(call, leg.id)?.from ?? [])
  const first = Math.min(...open)
  const kept = (times: readonly number[]): readonly number[] => (times.every((at) => at >= first) ? times : times.filter((at) => at >= first))
  const [played, failed] = [kept(tones.played), kept(tones.failed)]
  if (played === tones.played && failed === tones.failed) return call
  const cut: Tones = { ...tones, played, failed }
  return { ...call, tones: cut }
}
