/**
 * Tones that tell the parties of a call that somebody listens: who hears them, and when.
 *
 * A tone is a sound like any other: a mouth in the hearing table, in the rows of exactly the ears that the policy names. It sounds when
 * a supervisor in one of the policy's modes comes in (or a party who has not heard one does), and again every so often while at
 * least one of them is on. Silence is a policy as well (`nobody`), and the audit says that it was one.
 */
import { type Call, type Decision, nothing, type Order, setHearing } from '../call.ts'
import type { LegId, SoundId } from '../ids.ts'
import { isAnswered, isConversation, type Mode } from '../leg.ts'

export const TONE_EARS = ['agent', 'customer', 'both', 'nobody'] as const

export interface TonePolicy {
  /** The agent is the leg that is coached by default (C17); every other party is a customer. */
  readonly to: (typeof TONE_EARS)[number]
  /** Whether a tone sounds when a supervisor comes in. */
  readonly atEntry: boolean
  /** Between two tones; 0: there is no second one. */
  readonly everySeconds: number
  /** Supervisors in other modes are not announced. */
  readonly modes: readonly Mode[]
}

/** A tone that sounds now. */
export interface SoundingTone {
  readonly id: SoundId
  readonly ears: readonly LegId[]
}

/** What a call remembers of its tones. */
export interface Tones {
  readonly policy: TonePolicy
  /** When the next one sounds, epoch ms; null: none is due. */
  readonly dueAt: number | null
  readonly sounding: SoundingTone | null
  /** When each began, epoch ms, as far back as the oldest interval that is still open (`interval.ts`). */
  readonly played: readonly number[]
  /** When one should have begun that the engine could not play. */
  readonly failed: readonly number[]
}

export const noTones = (policy: TonePolicy): Tones => ({ policy, dueAt: null, sounding: null, played: [], failed: [] })

/** The parties who are told, now: answered legs of the conversation that the policy names, while a supervisor is on in one of its modes. */
export function toneEars(call: Call): readonly LegId[] {
  if (call.tones === null || announced(call).length === 0) return []
  const { to } = call.tones.policy
  const parties = call.legs.filter((leg) => isConversation(leg) && isAnswered(leg)).map((leg) => leg.id)
  switch (to) {
    case 'agent':
      return parties.filter((id) => id === call.agentLegId)
    case 'customer':
      return parties.filter((id) => id !== call.agentLegId)
    case 'both':
      return parties
    case 'nobody':
      return []
  }
}

/**
 * What a step means for the tones: one begins, or the next is awaited, or all is over. Belongs to every step of a call, since any of them may
 * bring a supervisor or a party, or come when a tone is due.
 * @param before The call before the step; undefined when it begins with it.
 * @returns The decision itself when nothing follows.
 */
export function withTones(before: Call | undefined, decision: Decision, now: number): Decision {
  const { call } = decision
  const { tones } = call
  if (tones === null) return decision
  const ears = call.state.status === 'live' ? toneEars(call) : []
  if (ears.length === 0) return tones.dueAt === null && tones.sounding === null ? decision : told(decision, { ...tones, dueAt: null, sounding: null })
  const { atEntry, everySeconds } = tones.policy
  const isDue = tones.dueAt !== null && tones.dueAt <= now
  // One that begins at this very moment is told to the newcomer as well.
  const begins = (isDue || (atEntry && isEntry(before, call, ears))) && tones.played.at(-1) !== now
  const nextAt = everySeconds === 0 ? null : now + everySeconds * 1000
  if (!begins) return tones.dueAt === null && nextAt !== null ? told(decision, { ...tones, dueAt: nextAt }) : decision
  const id = `tone-${now}` as SoundId
  const { call: next, orders, notices } = told(decision, { ...tones, dueAt: nextAt, sounding: { id, ears }, played: [...tones.played, now] })
  return { call: next, orders: [...orders, { kind: 'play-tone', soundId: id }], notices }
}

/** A tone has come to its end: the table need not name it any more. */
export function onToneEnded(call: Call, soundId: SoundId): Decision {
  if (call.tones?.sounding?.id !== soundId) return nothing(call)
  return told(nothing(call), { ...call.tones, sounding: null })
}

/** A tone could not be played: the call goes on, and the audit says so. */
export function onToneFailed(call: Call, soundId: SoundId): Decision {
  const { tones } = call
  if (tones?.sounding?.id !== soundId) return nothing(call)
  const at = tones.played.at(-1)
  return told(nothing(call), {
    ...tones,
    sounding: null,
    played: tones.played.slice(0, -1),
    failed: at === undefined ? tones.failed : [...tones.failed, at],
  })
}

/** Connected supervisors whose mode the parties are told of. */
function announced(call: Call): readonly LegId[] {
  return call.legs
    .filter((leg) => isAnswered(leg) && leg.monitoring !== null && call.tones?.policy.modes.includes(leg.monitoring.mode))
    .map((leg) => leg.id)
}

/** Somebody is there to be announced, or to be told, who was not before. */
function isEntry(before: Call | undefined, after: Call, ears: readonly LegId[]): boolean {
  if (before === undefined) return true
  const [known, told] = [announced(before), toneEars(before)]
  return announced(after).some((id) => !known.includes(id)) || ears.some((id) => !told.includes(id))
}

/** The decision with these tones, and with a table that names the one that sounds, if that has changed. */
function told(decision: Decision, tones: Tones): Decision {
  const call: Call = { ...decision.call, tones }
  const isSame = tones.sounding?.id === decision.call.tones?.sounding?.id
  // Who is being hung up hears nothing any more, and that table is already ordered.
  if (isSame || call.state.status !== 'live') return { ...decision, call }
  return { ...decision, call, orders: withTable(decision.orders, setHearing(call)) }
}

/** The new table in the place of the one that was decided: what is ordered after it may count on it. */
function withTable(orders: readonly Order[], table: Order): readonly Order[] {
  const at = orders.findIndex((order) => order.kind === 'set-hearing')
  return at === -1 ? [...orders, table] : orders.map((order, n) => (n === at ? table : order))
}
