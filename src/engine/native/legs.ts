/**
 * The legs of all calls: what the house orders and what the SIP agent reports, carried out on session, sound and state.
 *
 * One rule: `happen` is the only way a leg's state moves and the only way the house hears of it; when it says *ended*,
 * everything that belongs to the leg is let go at once, and the far end is told in the background. After each wait a leg
 * may be gone, so each wait is followed by a look at its state.
 */
import type { EngineEvent, DialOrder } from '../engine.ts'
import type { CallId, LegId } from '../../domain/ids.ts'
import { type EndCause, endOf, type LetGoCause } from '../../domain/leg.ts'
import { NO_BODY, type SipRequest } from '../../sip/message.ts'
import type { Hop, Output, SessionId, UaEvent, UserAgent } from '../../sip/user-agent.ts'
import { causeOfEnd, type Happening, type LegState, statusForCaller, statusOfCause, step } from './call.ts'
import type { Law, LegKind, MediaPlane, MediaTerms } from './media-plane.ts'
import { type Caller, routeOut, type World } from './routing.ts'
import { type AudioDescription, bothLaws, chooseLaw, inFamilyOf, readAnswer, readOffer, termsOf, writeAnswer, writeOffer } from './sdp.ts'
import type { EngineLog, SipShell } from './sip-shell.ts'

/** Legs at once; one more is refused. */
export const MAX_LEGS = 4_000
/** Callers who wait for an answer at once. */
export const MAX_WAITING = 2_000
/** What a caller is told when there is no way to whom they dialled. */
const STATUS_NOWHERE = { 'not registered': 480, 'no trunk': 500, 'address cannot be dialled': 404 } as const
/** To a caller, when the phone that was dialled for them did not answer the wire. */
const STATUS_SILENCE = 480
const RETRY_AFTER = { name: 'Retry-After', value: '5' }

/** A leg as the engine holds it, from its order or INVITE to its end. */
export interface Leg {
  readonly callId: CallId
  readonly legId: LegId
  readonly kind: LegKind
  readonly weDialled: boolean
  state: LegState
  session: SessionId | null
  /** Where its signalling goes. */
  hop: Hop | null
  /** Our end of its SDP session. */
  readonly sdp: { readonly id: string; version: number; last: string; port: number }
  /** The caller's offer; null when they want ours. */
  readonly offer: AudioDescription | null
  /** What our offer on the way named. */
  offered: readonly Law[]
  /** What was agreed last. */
  terms: MediaTerms | null
  /** What a caller is told should this leg fail while they wait; null: our own trouble. */
  refusal: number | null
  /** A description that came before the pick-up: the answer, when the 200 has none (RFC 3261 §13.2.1). */
  early: Uint8Array
  /** The caller's ACK came. */
  isConfirmed: boolean
  /** When something came from the phone last, or we asked it, epoch ms. */
  quietSince: number
}

/** What the legs work with: their tables, and the hands that reach sockets, sound and house. */
export interface LegDesk {
  readonly legs: Map<LegId, Leg>
  readonly bySession: Map<SessionId, Leg>
  readonly byCall: Map<CallId, readonly Leg[]>
  readonly media: MediaPlane
  readonly shell: SipShell
  readonly world: World
  /** IP literal for c= lines. */
  readonly mediaHost: string
  readonly newId: () => string
  readonly now: () => number
  readonly log: EngineLog
  readonly report: (event: EngineEvent) => void
  readonly trust: (hop: Hop) => void
}

/** The leg, if the call has it. */
export function legOf(desk: LegDesk, callId: CallId, legId: LegId): Leg | null {
  const leg = desk.legs.get(legId)
  return leg?.callId === callId ? leg : null
}

/** Resolves when the INVITE was handed to the network, or the leg has failed; a leg id that is known already is not dialled again. */
export async function dial(desk: LegDesk, order: DialOrder): Promise<void> {
  const { callId, legId } = order
  if (desk.legs.has(legId)) return
  const isFull = desk.legs.size >= MAX_LEGS
  const leg = addLeg(desk, { callId, legId, kind: order.legKind, weDialled: true, state: 'dialling', session: null, hop: null, offer: null })
  const route = routeOut(desk.world, order)
  if (route.kind === 'nowhere') tellWaiting(desk, leg, STATUS_NOWHERE[route.reason])
  if (isFull || route.kind === 'nowhere') return giveUp(desk, leg, route.kind === 'nowhere' ? route.reason : 'too many legs')
  const { destination } = route
  try {
    const [hop, { port }] = await Promise.all([desk.shell.resolve(destination.target), desk.media.open(callId, legId, order.legKind)])
    leg.sdp.port = port
    if (!isIn(leg, 'dialling')) return closePort(desk, leg)
    if (hop === null) {
      tellWaiting(desk, leg, STATUS_SILENCE)
      return giveUp(desk, leg, 'the host has no address')
    }
    leg.hop = hop
    desk.trust(hop)
    const { uri, fromHeader, toHeader, credentials } = destination
    const body = offerOf(desk, leg, callLaw(desk, callId) ?? 'pcmu')
    const sent = desk.shell.drive((agent, now) =>
      agent.invite({ uri, to: hop, fromHeader, toHeader, body, credentials, route: [], headers: [] }, now),
    )
    if (sent === undefined) return giveUp(desk, leg, 'the INVITE could not be made')
    leg.session = sent.session
    desk.bySession.set(sent.session, leg)
    happen(desk, leg, { kind: 'sent' })
    desk.shell.carryOut(sent.outputs)
  } catch (error) {
    giveUp(desk, leg, error)
  }
}

/** 180 to a caller who waits. */
export function ring(desk: LegDesk, leg: Leg): void {
  if (leg.state === 'offered') act(desk, leg, (agent, session, now) => agent.progress(session, 180, NO_BODY, now))
}

/** The sound is connected when the 200 is sent, so that nothing that the caller says is lost; the house hears of it when the ACK came. */
export async function answer(desk: LegDesk, leg: Leg): Promise<void> {
  if (leg.state !== 'offered') return
  happen(desk, leg, { kind: 'answer' })
  try {
    leg.sdp.port = (await desk.media.open(leg.callId, leg.legId, leg.kind)).port
    if (!isIn(leg, 'accepting')) return closePort(desk, leg)
    const law = callLaw(desk, leg.callId, leg)
    const body = leg.offer === null ? offerOf(desk, leg, law ?? 'pcmu') : answerTo(desk, leg, leg.offer, law)
    const connected = leg.terms === null ? null : desk.media.connect(leg.legId, leg.terms)
    act(desk, leg, (agent, session, now) => agent.accept(session, body, now))
    await connected
    standsWhenBoth(desk, leg)
  } catch (error) {
    giveUp(desk, leg, error)
  }
}

/** Ends the leg for the house; the far end is told why. */
export function hangUp(desk: LegDesk, leg: Leg, cause: LetGoCause): void {
  const recorded = endOf(cause)
  if (recorded !== cause) leg.refusal = statusOfCause(cause)
  happen(desk, leg, { kind: 'hang-up', cause: recorded })
}

/** An INVITE whose sender is known. */
export function takeIn(desk: LegDesk, session: SessionId, caller: Caller, request: SipRequest, from: Hop): void {
  const isCrowded = desk.legs.size >= MAX_WAITING && [...desk.legs.values()].filter((leg) => leg.state === 'offered').length >= MAX_WAITING
  const refuse = (status: number) => desk.shell.drive((agent, now) => agent.reject(session, status, status === 503 ? [RETRY_AFTER] : [], now))
  if (desk.legs.size >= MAX_LEGS || isCrowded) return void refuse(503)
  const reading = request.body.length === 0 ? null : inFamilyOf(desk.mediaHost, readOffer(request.body))
  if (reading?.kind === 'refused') {
    desk.log.info({ status: reading.status, reason: reading.reason }, 'the offer of a caller cannot be carried')
    return void refuse(reading.status)
  }
  const [callId, legId] = [desk.newId() as CallId, desk.newId() as LegId]
  const leg = addLeg(desk, {
    callId,
    legId,
    kind: 'conversation',
    weDialled: false,
    state: 'offered',
    session,
    hop: from,
    offer: reading?.audio ?? null,
  })
  desk.bySession.set(session, leg)
  const { accountId, from: calling, dialled, source } = caller
  desk.report({ kind: 'incoming', callId, legId, accountId, from: calling, dialled, source })
}

/** What the agent says about a session of ours. Those that are over for the house mean nothing to it any more. */
export function onSessionEvent(desk: LegDesk, event: Extract<UaEvent, { readonly session: SessionId }>): void {
  const leg = desk.bySession.get(event.session)
  if (leg === undefined) return
  switch (event.kind) {
    case 'progress':
      if (event.body.length > 0) leg.early = event.body
      return happen(desk, leg, { kind: 'rang' })
    case 'accepted':
      happen(desk, leg, { kind: 'picked-up' })
      return takeAnswer(desk, leg, event.body.length > 0 ? event.body : leg.early)
    case 'confirmed':
      leg.isConfirmed = true
      return leg.offer === null ? takeAnswer(desk, leg, event.body) : standsWhenBoth(desk, leg)
    case 'reoffered':
      return takeOffer(desk, leg, event.body)
    case 'renegotiated':
      return takeAnswer(desk, leg, event.body)
    case 'renegotiation-failed':
    case 'invited':
      return
    case 'ended':
      desk.bySession.delete(event.session)
      leg.session = null
      tellWaiting(desk, leg, event.reason === 'rejected' ? statusForCaller(event.status) : STATUS_SILENCE)
      return happen(desk, leg, { kind: 'lost', cause: causeOfEnd(event, leg.weDialled) })
  }
}

/**
 * A phone that sends neither sound nor RTCP may be silent or gone. Whoever was silent for `silentMs` is asked by a re-INVITE with the
 * description that is in force, which changes nothing (as in RFC 4028 §7.4): who is gone does not answer, and the session ends.
 */
export async function askTheSilent(desk: LegDesk, silentMs: number): Promise<void> {
  for (const leg of [...desk.legs.values()].filter((each) => isIn(each, 'answered'))) {
    const heardAt = (await desk.media.counters(leg.legId))?.heardAt ?? 0
    const now = desk.now()
    leg.quietSince = Math.max(leg.quietSince, heardAt)
    if (now - leg.quietSince < silentMs || !isIn(leg, 'answered')) continue
    leg.quietSince = now
    act(desk, leg, (agent, session) => agent.reoffer(session, Buffer.from(leg.sdp.last), now))
  }
}

/** Ends the leg as failed, and says why in the log. */
export function giveUp(desk: LegDesk, leg: Leg, why: unknown): void {
  if (isIn(leg, 'ended')) return
  const reason = why instanceof Error ? why.message : String(why)
  desk.log.warn({ call: leg.callId, leg: leg.legId, reason }, 'a leg failed')
  happen(desk, leg, { kind: 'lost', cause: 'failed' })
}

function happen(desk: LegDesk, leg: Leg, happening: Happening): void {
  const { state, reports } = step(leg.state, happening)
  leg.state = state
  for (const report of reports) {
    if (report.kind === 'ended') letGo(desk, leg, report.cause)
    const { callId, legId, session } = leg
    if (report.kind === 'answered') desk.report({ ...report, callId, legId, memory: session === null ? null : desk.shell.memoryOf(session) })
    else desk.report({ ...report, callId, legId })
  }
}

function letGo(desk: LegDesk, leg: Leg, cause: EndCause): void {
  desk.legs.delete(leg.legId)
  const others = (desk.byCall.get(leg.callId) ?? []).filter((other) => other !== leg)
  if (others.length === 0) desk.byCall.delete(leg.callId)
  else desk.byCall.set(leg.callId, others)
  closePort(desk, leg)
  if (leg.session === null) return
  desk.bySession.delete(leg.session)
  act(desk, leg, (agent, session, now) => agent.hangUp(session, now, cause === 'failed' && leg.refusal !== null ? leg.refusal : statusOfCause(cause)))
}

/** Why the leg that was dialled for a caller failed is what the caller will be told. */
function tellWaiting(desk: LegDesk, leg: Leg, status: number): void {
  if (!leg.weDialled || leg.kind !== 'conversation') return
  for (const other of desk.byCall.get(leg.callId) ?? []) if (isIn(other, 'offered')) other.refusal = status
}

/** Also after a port was opened for a leg that had gone meanwhile. */
function closePort(desk: LegDesk, leg: Leg): void {
  void desk.media
    .close(leg.legId)
    .catch((error: unknown) => desk.log.warn({ leg: leg.legId, error: String(error) }, 'the port of a leg could not be closed'))
}

const isIn = (leg: Leg, state: LegState): boolean => leg.state === state

function addLeg(desk: LegDesk, born: Pick<Leg, 'callId' | 'legId' | 'kind' | 'weDialled' | 'state' | 'session' | 'hop' | 'offer'>): Leg {
  const sdp = { id: String(Math.floor(desk.now())), version: 0, last: '', port: 0 }
  const leg: Leg = { ...born, sdp, offered: [], terms: null, refusal: null, early: NO_BODY, isConfirmed: false, quietSince: desk.now() }
  desk.legs.set(leg.legId, leg)
  desk.byCall.set(leg.callId, [...(desk.byCall.get(leg.callId) ?? []), leg])
  return leg
}

function act(desk: LegDesk, leg: Leg, order: (agent: UserAgent, session: SessionId, now: number) => readonly Output[]): void {
  const { session } = leg
  if (session !== null) desk.shell.drive((agent, now) => order(agent, session, now))
}

/** What the other parties of the call speak, or would like to: with one law throughout, payloads pass untouched. */
function callLaw(desk: LegDesk, callId: CallId, besides: Leg | null = null): Law | null {
  const others = (desk.byCall.get(callId) ?? []).filter((leg) => leg !== besides && leg.kind === 'conversation')
  return others.find((leg) => leg.terms !== null)?.terms?.law ?? others.find((leg) => leg.offer !== null)?.offer?.laws[0] ?? null
}

/** The version rises with every change (RFC 3264 §8). */
function describe(desk: LegDesk, leg: Leg, write: (ours: { sessionId: string; version: number; host: string; port: number }) => string): Uint8Array {
  const ours = { sessionId: leg.sdp.id, version: leg.sdp.version, host: desk.mediaHost, port: leg.sdp.port }
  if (write(ours) !== leg.sdp.last) leg.sdp.version = ours.version = leg.sdp.version + 1
  leg.sdp.last = write(ours)
  return Buffer.from(leg.sdp.last)
}

function offerOf(desk: LegDesk, leg: Leg, preferred: Law): Uint8Array {
  leg.offered = bothLaws(preferred)
  return describe(desk, leg, (ours) => writeOffer(ours, leg.offered))
}

function answerTo(desk: LegDesk, leg: Leg, offer: AudioDescription, preferred: Law | null): Uint8Array {
  const law = chooseLaw(offer, preferred)
  leg.terms = termsOf(offer, law, leg.hop?.host ?? null)
  leg.offered = [law]
  return describe(desk, leg, (ours) => writeAnswer(ours, offer, law))
}

/** The far end's answer to our offer, first or later. A first one that cannot be carried ends the leg; a later one changes nothing. */
function takeAnswer(desk: LegDesk, leg: Leg, body: Uint8Array): void {
  const reading = inFamilyOf(desk.mediaHost, readAnswer(body, leg.offered))
  if (reading.kind === 'refused') {
    if (leg.terms === null) giveUp(desk, leg, reading.reason)
    return
  }
  leg.terms = termsOf(reading.audio, chooseLaw(reading.audio, leg.terms?.law ?? null), leg.hop?.host ?? null)
  connect(desk, leg, leg.terms)
}

/** Hold, resume, a new address: answered here, with this leg alone. Nobody else is renegotiated for it. */
function takeOffer(desk: LegDesk, leg: Leg, body: Uint8Array): void {
  if (body.length === 0) {
    const offer = offerOf(desk, leg, leg.terms?.law ?? 'pcmu')
    return act(desk, leg, (agent, session, now) => agent.answerOffer(session, offer, now))
  }
  const reading = inFamilyOf(desk.mediaHost, readOffer(body))
  if (reading.kind === 'refused') return act(desk, leg, (agent, session, now) => agent.rejectOffer(session, reading.status, now))
  const answered = answerTo(desk, leg, reading.audio, leg.terms?.law ?? null)
  if (leg.terms !== null) connect(desk, leg, leg.terms)
  act(desk, leg, (agent, session, now) => agent.answerOffer(session, answered, now))
}

function connect(desk: LegDesk, leg: Leg, terms: MediaTerms): void {
  void desk.media.connect(leg.legId, terms).then(
    () => standsWhenBoth(desk, leg),
    (error: unknown) => giveUp(desk, leg, error),
  )
}

/** The path stands when the sound knows the terms and, for a caller, the ACK came. */
function standsWhenBoth(desk: LegDesk, leg: Leg): void {
  if (leg.terms !== null && (leg.weDialled || leg.isConfirmed)) happen(desk, leg, { kind: 'connected' })
}
