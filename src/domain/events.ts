/** What the engine and the clock report, and what follows from it. Events about a leg that has ended are late and decide nothing. */
import type { IncomingRequest } from './account/account.ts'
import type { Address } from './address.ts'
import {
  type Call,
  callNotices,
  type Decision,
  hasConversed,
  legNotices,
  liveLeg,
  type Notice,
  nothing,
  type Order,
  setHearing,
  withLeg,
} from './call.ts'
import { newLeg } from './commands.ts'
import type { AccountId, CallId, LegId, SoundId } from './ids.ts'
import { type EndCause, isConversation, isLive, type Leg, UNEXPLAINED } from './leg.ts'
import { OPENING, SILENT, soundBefore, tapesOf, WAIT, whenBothAreThere, whenOpen } from './sound.ts'
import type { LimitCode } from './errors.ts'

export interface Incoming {
  readonly callId: CallId
  readonly accountId: AccountId
  readonly callerLegId: LegId
  readonly dialledLegId: LegId
  readonly from: Address
  readonly dialled: Address
  readonly source: IncomingRequest['source']
  /** Where the call goes; null refuses it. */
  readonly destination: Address | null
  /** The limit of the account that keeps it from its destination, if one does; then the call is refused. */
  readonly refusal?: LimitCode | null
  /** What the destination sees. */
  readonly callerId: Address
  /** Whose leg is coached by default: an agent who calls out is the agent, else the one who is rung. */
  readonly agentIs: 'caller' | 'dialled'
  readonly ringMs: number
  readonly limitMs: number
}

/** Somebody calls in: their leg waits while the destination is rung, or is refused when there is none. */
export function incoming(event: Incoming, now: number): Decision {
  const { ringMs, limitMs, from, callerId, destination, refusal = null } = event
  const caller = newLeg({ id: event.callerLegId, address: from, origin: 'inbound', now, ringMs, limitMs })
  const call: Call = {
    id: event.callId,
    accountId: event.accountId,
    direction: 'inbound',
    from,
    to: event.dialled,
    callerId,
    agentLegId: null,
    createdAt: now,
    updatedAt: now,
    ringMs,
    limitMs,
    subscription: null,
    customField: null,
    state: { status: 'live' },
    sound: soundBefore(SILENT),
    retriesLeft: 0,
    tones: null,
    endReason: refusal,
    legs: [caller],
  }
  if (destination === null || refusal !== null) {
    const cause = refusal !== null || event.source === 'agent' ? 'forbidden' : 'nobody-there'
    return { call, orders: [{ kind: 'hang-up', legId: caller.id, cause }], notices: [] }
  }
  const dialled = newLeg({ id: event.dialledLegId, address: destination, origin: 'outbound-dial', now, ringMs, limitMs })
  const agentLegId = event.agentIs === 'caller' ? caller.id : dialled.id
  return {
    call: { ...withLeg(call, dialled), agentLegId },
    orders: [{ kind: 'dial', legId: dialled.id, legKind: 'conversation', to: destination, callerId }],
    notices: [],
  }
}

/** The far end rings: a waiting caller is told. */
export function onRinging(call: Call, legId: LegId): Decision {
  const leg = lateOrLive(call, legId)
  if (leg?.state.status !== 'ringing' || leg.origin !== 'outbound-dial') return nothing(call)
  const waiting = call.legs.filter((other) => other.origin === 'inbound' && other.state.status === 'ringing')
  return { call, orders: waiting.map((caller): Order => ({ kind: 'ring', legId: caller.id })), notices: [] }
}

export interface PickUp {
  /** Used when a leg must be dialled. */
  readonly freshLegId: LegId
  /** What the engine wants to be reminded of after a crash. */
  readonly memory: string | null
  /** The limit of the account that forbids to dial a second party now, if one does; then the call is over. */
  readonly refusal?: LimitCode | null
}

/** A leg picked up: it joins the table, and whoever waited for it is dialled or answered. */
export function onAnswered(call: Call, legId: LegId, { freshLegId, memory, refusal = null }: PickUp, now: number): Decision {
  const leg = lateOrLive(call, legId)
  if (leg === null || leg.state.status !== 'ringing' || call.state.status !== 'live') return nothing(call)
  const answered: Leg = { ...leg, state: { status: 'answered', answeredAt: now, memory }, updatedAt: now }
  let next = withLeg(call, answered)
  if (leg.origin === 'outbound' && refusal !== null) {
    const over = cutOff(next, refusal)
    return { ...over, notices: [...callNotices(next, 'answered'), ...over.notices] }
  }
  const orders: Order[] = []
  if (leg.origin === 'outbound') {
    const second = newLeg({ id: freshLegId, address: call.to, origin: 'outbound-dial', now, ringMs: call.ringMs, limitMs: call.limitMs })
    next = withLeg(next, second)
    orders.push({ kind: 'dial', legId: second.id, legKind: 'conversation', to: call.to, callerId: call.callerId }, setHearing(next))
    if (call.sound.waitUrl !== null) orders.push({ kind: 'play', soundId: WAIT, url: call.sound.waitUrl, repeats: true })
  } else if (leg.origin === 'outbound-dial') {
    for (const caller of call.legs)
      if (caller.origin === 'inbound' && caller.state.status === 'ringing') orders.push({ kind: 'answer', legId: caller.id })
    next = { ...next, sound: whenBothAreThere(next.sound, now) }
    orders.push(...ordersOfStage(next))
  } else orders.push(setHearing(next))
  const notices = isConversation(leg) ? callNotices(next, 'answered') : legNotices(answered, 'answered')
  return { call: next, orders, notices }
}

/** The tapes run before anybody is heard, and an opening begins when it can be. */
function ordersOfStage(call: Call): readonly Order[] {
  const { sound } = call
  const tapes = tapesOf(sound)
  return [
    ...(tapes.length === 0 ? [] : [{ kind: 'record', tapes } as const]),
    setHearing(call),
    ...(sound.stage === 'opening' && sound.opening !== null
      ? [{ kind: 'play', soundId: OPENING, url: sound.opening.url, repeats: false } as const]
      : []),
  ]
}

/** A sound has come to its end, or could not be had: after the opening the parties hear each other. */
export function onPlayed(call: Call, soundId: SoundId, now: number): Decision {
  if (soundId !== OPENING || call.sound.stage !== 'opening' || call.state.status !== 'live') return nothing(call)
  const next: Call = { ...call, sound: whenOpen(call.sound, now), updatedAt: Math.max(call.updatedAt, now) }
  return { call: next, orders: ordersOfStage(next), notices: [] }
}

/** The account cannot carry the call any further: everybody is hung up, and the record says why. Nothing, once it is ending. */
export function cutOff(call: Call, reason: LimitCode): Decision {
  if (call.state.status !== 'live') return nothing(call)
  const outcome = hasConversed(call) ? 'completed' : 'failed'
  const next: Call = { ...call, state: { status: 'ending', outcome }, endReason: reason }
  const orders: readonly Order[] = [{ kind: 'set-hearing', hearing: new Map() }, ...call.legs.filter(isLive).map((leg) => hangUpFor(leg, outcome))]
  return { call: next, orders, notices: [] }
}

/**
 * A leg is gone. Without two conversation parties (or the hope of a second) the call is over for everybody (C21).
 * @param freshLegId Used when the first party is rung again (C30, `MaxRetries`); without one nobody is.
 */
export function onEnded(call: Call, legId: LegId, reported: EndCause, now: number, freshLegId: LegId | null = null): Decision {
  const leg = lateOrLive(call, legId)
  if (leg === null) return nothing(call)
  const answeredAt = leg.state.status === 'answered' ? leg.state.answeredAt : null
  // Who never picked up has not completed anything; who did and was cut off by their phone has.
  const cause = answeredAt === null && reported === 'completed' ? 'canceled' : reported
  const gone: Leg = { ...leg, state: { status: 'ended', endedAt: now, answeredAt, cause }, updatedAt: now }
  const notices: Notice[] = [...legNotices(gone, 'terminal')]
  let next = withLeg(call, gone)
  const orders: Order[] = []
  const again = freshLegId !== null && isWorthAnotherTry(call, legId, reported) ? redial(next, freshLegId, now) : null
  if (again !== null) return { call: withoutTarget(again.call, gone.id, now), orders: again.orders, notices }
  const remaining = next.legs.filter((other) => isConversation(other) && isLive(other))
  if (next.state.status === 'live' && isConversation(gone) && remaining.length < 2) {
    const outcome = hasConversed(next) ? 'completed' : cause === 'completed' ? 'canceled' : cause
    next = { ...next, state: { status: 'ending', outcome } }
    orders.push({ kind: 'set-hearing', hearing: new Map() }, ...next.legs.filter(isLive).map((other) => hangUpFor(other, outcome)))
  } else if (next.state.status === 'live') {
    next = withoutTarget(next, gone.id, now)
    orders.push(setHearing(next))
  }
  if (!next.legs.some(isLive)) {
    const outcome = next.state.status === 'ending' ? next.state.outcome : cause
    next = { ...next, state: { status: 'ended', outcome, endedAt: now }, updatedAt: now }
    notices.push(...callNotices(next, 'terminal'))
  }
  return { call: next, orders, notices }
}

/** The first party of a call that the API made did not pick up. Whoever was hung up on purpose is not rung again. */
export function isWorthAnotherTry(call: Call, legId: LegId, reported: EndCause): boolean {
  const leg = lateOrLive(call, legId)
  const isUnanswered = leg?.origin === 'outbound' && leg.state.status === 'ringing' && reported !== 'canceled' && reported !== 'completed'
  return isUnanswered && call.state.status === 'live' && call.retriesLeft > 0
}

/** The first party once more, with a leg of its own. */
function redial(call: Call, id: LegId, now: number): Pick<Decision, 'call' | 'orders'> {
  const { from, ringMs, limitMs, callerId, retriesLeft } = call
  const leg = newLeg({ id, address: from, origin: 'outbound', now, ringMs, limitMs })
  return {
    call: { ...withLeg(call, leg), agentLegId: id, retriesLeft: retriesLeft - 1 },
    orders: [{ kind: 'dial', legId: id, legKind: 'conversation', to: from, callerId }],
  }
}

/** C24: supervisors whose target left while the call goes on fall back to listening; their record says so. */
function withoutTarget(call: Call, targetLegId: LegId, now: number): Call {
  return call.legs.reduce((current, leg) => {
    if (!isLive(leg) || leg.monitoring?.targetLegId !== targetLegId || leg.monitoring.mode !== 'whisper') return current
    return withLeg(current, { ...leg, monitoring: { ...leg.monitoring, ...UNEXPLAINED, mode: 'listen' }, lastAction: 'listen', updatedAt: now })
  }, call)
}

/** A caller who still waits is told why; who still rings is cancelled; who talks has completed. */
function hangUpFor(leg: Leg, outcome: EndCause): Order {
  if (leg.state.status === 'answered') return { kind: 'hang-up', legId: leg.id, cause: 'completed' }
  return { kind: 'hang-up', legId: leg.id, cause: leg.origin === 'inbound' ? outcome : 'canceled' }
}

/** When the clock must look at this call next, epoch ms, or null: ring limits and talk limits of its live legs, and its next tone. */
export function nextDeadline(call: Call): number | null {
  const deadlines = [...call.legs.map(deadlineOf), call.tones?.dueAt ?? null].filter((at) => at !== null)
  return deadlines.length === 0 ? null : Math.min(...deadlines)
}

/**
 * Hangs up every leg whose ring or talk limit is over. Nothing is saved by it: the legs end when the engine says so. A tone that is due
 * sounds in any step (`evidence/tones.ts`), so this one need only happen.
 */
export function onDeadline(call: Call, now: number): Decision {
  const due = call.legs.filter((leg) => (deadlineOf(leg) ?? Number.POSITIVE_INFINITY) <= now)
  const orders = due.map((leg): Order => ({ kind: 'hang-up', legId: leg.id, cause: leg.state.status === 'answered' ? 'completed' : 'no-answer' }))
  return { call, orders, notices: [] }
}

function deadlineOf(leg: Leg): number | null {
  switch (leg.state.status) {
    case 'ringing':
      // A waiting caller hangs on the leg that is rung for them, not on a limit of their own.
      return leg.origin === 'inbound' ? null : leg.createdAt + leg.ringMs
    case 'answered':
      return leg.state.answeredAt + leg.limitMs
    case 'ended':
      return null
  }
}

/**
 * What is true of a call whose server died (C27): everybody was cut off at the last moment the server is known to have
 * lived, and nobody completed. Talk time counts up to then, never before the leg's own last change.
 */
export function closeAfterCrash(call: Call, lastAliveAt: number): Decision {
  const notices: Notice[] = []
  let next: Call = { ...call, state: call.state.status === 'live' ? { status: 'ending', outcome: 'failed' } : call.state }
  for (const leg of call.legs.filter(isLive)) {
    const endedAt = Math.max(lastAliveAt, leg.updatedAt)
    const answeredAt = leg.state.status === 'answered' ? leg.state.answeredAt : null
    const gone: Leg = { ...leg, state: { status: 'ended', endedAt, answeredAt, cause: 'failed' }, updatedAt: endedAt }
    next = withLeg(next, gone)
    notices.push(...legNotices(gone, 'terminal'))
  }
  const outcome = next.state.status === 'live' ? 'failed' : next.state.outcome
  next = { ...next, state: { status: 'ended', outcome, endedAt: Math.max(lastAliveAt, next.updatedAt) } }
  return { call: next, orders: [], notices: [...notices, ...callNotices(next, 'terminal')] }
}

function lateOrLive(call: Call, legId: LegId): Leg | null {
  return call.legs.some((leg) => leg.id === legId && isLive(leg)) ? liveLeg(call, legId) : null
}
