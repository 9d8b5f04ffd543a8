/** What callers of the API ask for: a new call, a supervisor, another mode, an end. */
import type { Account } from './account/account.ts'
import type { Address } from './address.ts'
import { assertInProgress, type Call, type Decision, liveLeg, setHearing, withLeg } from './call.ts'
import { DomainError } from './errors.ts'
import { noTones, type TonePolicy } from './evidence/tones.ts'
import type { CallId, LegId } from './ids.ts'
import { isConversation, isLive, type Leg, type Mode, type Subscription, UNEXPLAINED, type Why } from './leg.ts'
import { type CallSound, soundBefore } from './sound.ts'

/** Legs of one call at most, ended ones included: each is a row that is saved with every change of the call. */
export const MAX_LEGS_PER_CALL = 500

/** `POST Calls/connect` (contract C30), validated and canonical. */
export interface ConnectCommand {
  readonly from: Address
  readonly to: Address
  /** What both parties see; null: the account's first number. */
  readonly callerId: Address | null
  /** Ring limit of each leg, ms. */
  readonly ringMs: number
  /** Talk limit, ms. */
  readonly limitMs: number
  readonly subscription: Subscription | null
  readonly customField: string | null
  readonly sound: CallSound
  /** How often the first party is rung again when it is busy or does not answer: 0 to 3. */
  readonly maxRetries: number
}

/** `POST Legs` (C15), validated and canonical. */
export interface MonitorCommand {
  readonly mode: Mode
  readonly phone: Address
  /** Null: the agent's leg. */
  readonly targetLegId: LegId | null
  /** Null: the call's. */
  readonly callerId: Address | null
  readonly ringMs: number
  readonly limitMs: number
  readonly subscription: Subscription | null
  readonly customField: string | null
}

export interface NewLeg {
  readonly id: LegId
  readonly address: Address
  readonly origin: Leg['origin']
  readonly now: number
  readonly ringMs: number
  readonly limitMs: number
}

/** A conversation leg as it is born: ringing, and nobody is told about it. */
export function newLeg({ id, address, origin, now, ringMs, limitMs }: NewLeg): Leg {
  return {
    id,
    address,
    origin,
    ringMs,
    limitMs,
    monitoring: null,
    lastAction: '',
    createdAt: now,
    updatedAt: now,
    state: { status: 'ringing' },
    subscription: null,
    customField: null,
    rate: null,
  }
}

/** A call made by the API: `From` is dialled now, `To` once `From` has answered. `From` is the agent (C17). */
export function connect(
  command: ConnectCommand,
  ids: { readonly callId: CallId; readonly legId: LegId; readonly account: Account },
  now: number,
): Decision {
  const callerId = command.callerId ?? ids.account.numbers[0]?.number ?? command.from
  const { from, to, ringMs, limitMs, subscription, customField, sound, maxRetries } = command
  const leg = newLeg({ id: ids.legId, address: from, origin: 'outbound', now, ringMs, limitMs })
  const call: Call = {
    id: ids.callId,
    accountId: ids.account.id,
    direction: 'outbound-api',
    from,
    to,
    callerId,
    agentLegId: leg.id,
    createdAt: now,
    updatedAt: now,
    ringMs,
    limitMs,
    subscription,
    customField,
    state: { status: 'live' },
    sound: soundBefore(sound),
    retriesLeft: maxRetries,
    tones: null,
    endReason: null,
    legs: [leg],
  }
  return { call, orders: [{ kind: 'dial', legId: leg.id, legKind: 'conversation', to: from, callerId }], notices: [] }
}

/** What an account says about supervisors, and who asks for one. */
export interface Monitors {
  /** Live ones on one call at most. */
  readonly maxMonitors: number
  /** Null: nobody has said whether the parties are told, so nobody may monitor. */
  readonly notice: TonePolicy | null
  readonly why?: Why
}

/**
 * A supervisor is rung and will join in `command.mode` on pick-up (C15 to C18).
 * @throws {DomainError} call-not-in-progress · notice-missing · invalid-parameter (TargetLegSid) · too-many-monitors · too-many-legs
 */
export function addMonitor(call: Call, command: MonitorCommand, id: LegId, limits: Monitors, now: number): Decision {
  assertInProgress(call)
  if (limits.notice === null) throw new DomainError('notice-missing')
  const targetLegId = targetOf(call, command.targetLegId)
  if (call.legs.filter((leg) => !isConversation(leg) && isLive(leg)).length >= limits.maxMonitors) throw new DomainError('too-many-monitors')
  if (call.legs.length >= MAX_LEGS_PER_CALL) throw new DomainError('too-many-legs')
  const { mode, phone, ringMs, limitMs, subscription, customField } = command
  const born = newLeg({ id, address: phone, origin: 'monitor', now, ringMs, limitMs })
  const leg: Leg = {
    ...born,
    monitoring: { mode, targetLegId, since: null, ...(limits.why ?? UNEXPLAINED) },
    lastAction: mode,
    subscription,
    customField,
  }
  return {
    call: { ...withLeg(call, leg), tones: call.tones ?? noTones(limits.notice) },
    orders: [{ kind: 'dial', legId: id, legKind: 'monitor', to: phone, callerId: command.callerId ?? call.callerId }],
    notices: [],
  }
}

/** C17: a target that was named is never replaced by another; without one it is the agent's leg. */
function targetOf(call: Call, named: LegId | null): LegId {
  const wanted = named ?? call.agentLegId
  const target = call.legs.find((leg) => leg.id === wanted)
  if (!target || !isLive(target) || !isConversation(target)) throw new DomainError('invalid-parameter', 'TargetLegSid')
  return target.id
}

/**
 * Any mode to any mode, also the same again (C20). A leg that still rings keeps the mode for its pick-up.
 * @throws {DomainError} leg-not-found for anything but a live monitor leg · call-not-in-progress
 */
export function changeMode(call: Call, legId: LegId, mode: Mode, now: number, why: Why = UNEXPLAINED): Decision {
  assertInProgress(call)
  const leg = liveLeg(call, legId)
  if (leg.monitoring === null) throw new DomainError('leg-not-found')
  const changed = withLeg(call, { ...leg, monitoring: { ...leg.monitoring, mode, ...why }, lastAction: mode, updatedAt: now })
  return { call: changed, orders: leg.state.status === 'answered' ? [setHearing(changed)] : [], notices: [] }
}

/**
 * Hangs up any live leg (C21). The leg ends when the engine says so; what that means for the others is decided then.
 * @throws {DomainError} leg-not-found · call-not-in-progress
 */
export function hangUp(call: Call, legId: LegId, now: number): Decision {
  assertInProgress(call)
  const leg = liveLeg(call, legId)
  const cause = leg.state.status === 'answered' ? 'completed' : 'canceled'
  return { call: withLeg(call, { ...leg, lastAction: 'hangup', updatedAt: now }), orders: [{ kind: 'hang-up', legId, cause }], notices: [] }
}
