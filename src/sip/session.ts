/**
 * INVITE sessions (RFC 3261 §13 to §15): calling, being called, hanging up, and re-offers from either side (§14, RFC 3311).
 *
 *   inviting ──2xx──▶ established ◀──accept── invited         each ──end──▶ over ──nothing left to finish──▶ forgotten
 *
 * `over` begins with the `ended` event, which is given once, by `end`, and is the last of its session. What the far end
 * is still owed afterwards (CANCEL, ACK and BYE for a 2xx that crossed, BYE after a late ACK) happens in the background.
 * Whether the peer's message counts is decided by its tags, not by its address: a token of ours is in every dialog.
 */
import {
  ALLOW,
  compose,
  contactField,
  credentialFields,
  dialogOfInvite,
  dialogOfResponse,
  makeWallet,
  nextHop,
  refreshed,
  requestWithin,
  userOf,
  type Dialog,
  type Wallet,
} from './dialog.ts'
import {
  acknowledge,
  ask,
  openServer,
  refuse,
  respond,
  RETRY_AFTER_SECONDS,
  sendAck,
  sendCancel,
  transactionCount,
  MAX_TRANSACTIONS,
  type Arrival,
  type Ask,
  type Endpoint,
  type ServerTransaction,
} from './endpoint.ts'
import { cseqOf, tagOf, withTag } from './header.ts'
import { headerValue, type HeaderField, type SipRequest, type SipResponse } from './message.ts'
import { dropAlarm, makeAlarm, setAlarm, type Alarm } from './transaction.ts'
import type { EndReason, ExtraHeader, InviteOrder, SessionId, UaEvent } from './user-agent.ts'

/** Sessions held at once, the ones that are being wound up included; above it 503. */
export const MAX_SESSIONS = 20_000
/** Answers to one INVITE of ours, by different phones behind a forking proxy, that are acknowledged. */
export const MAX_FORKS = 8
/** Times that a re-offer is repeated after 491. */
export const MAX_GLARE_RETRIES = 5

export interface Session {
  readonly id: SessionId
  readonly callId: string
  readonly localTag: string
  /** Who made the Call-ID, and so waits longer after glare (§14.1). */
  readonly weCalled: boolean
  /** User part of our Contact. */
  readonly user: string
  readonly wallet: Wallet | null
  /** Repeats the offer after glare. */
  readonly alarm: Alarm
  phase: 'inviting' | 'invited' | 'established' | 'over'
  /** Null while we call and nobody has answered with a tag. */
  dialog: Dialog | null
  /** Our INVITE without a final response. */
  outgoing: Outgoing | null
  /** The peer's INVITE or UPDATE that the consumer has not answered. */
  incoming: Incoming | null
  /** Our 2xx to an INVITE whose ACK has not come. */
  unacked: Unacked | null
  /** Our re-offer, sent or waiting for its turn. */
  offer: { readonly body: Uint8Array; retries: number } | null
  byeInFlight: boolean
}

interface Outgoing {
  ask: Ask | null
  cancelWanted: boolean
  /** What acknowledged a 2xx, by the tag of who sent it; sent again for each repeat. */
  readonly acks: Map<string, Uint8Array>
  readonly isFirst: boolean
}
interface Incoming {
  readonly server: ServerTransaction
  readonly request: SipRequest
  readonly arrival: Arrival
  readonly isFirst: boolean
}
interface Unacked {
  readonly server: ServerTransaction
  readonly sequence: number
  readonly wantsAnswer: boolean
  readonly isFirst: boolean
}

export interface Agent {
  readonly endpoint: Endpoint
  readonly sessions: Map<SessionId, Session>
  /** By Call-ID and our tag. */
  readonly byDialog: Map<string, Session>
  lastId: number
  /** CSeq of our last request outside dialogs. */
  lastSequence: number
}

/** The session that a message to `localTag` belongs to. */
export const findSession = (agent: Agent, callId: string, localTag: string): Session | undefined => agent.byDialog.get(`${callId} ${localTag}`)

/** No room for new work. What belongs to a session that is there always gets through: it is bounded by their number. */
export function isFull(agent: Agent): boolean {
  const { limits } = agent.endpoint.options
  return agent.sessions.size >= (limits?.sessions ?? MAX_SESSIONS) || transactionCount(agent.endpoint) >= (limits?.transactions ?? MAX_TRANSACTIONS)
}

/** Our INVITE. Over the limits the session is ended at once (503, by us). */
export function invite(agent: Agent, order: InviteOrder, now: number): SessionId {
  const { token, advertised } = agent.endpoint.options
  const localTag = token()
  const parts = {
    callId: `${token()}@${advertised.host}`,
    localTag,
    weCalled: true,
    user: userOf(order.fromHeader),
    wallet: makeWallet(order.credentials),
  }
  const session = makeSession(agent, parts, 'inviting')
  if (isFull(agent)) {
    end(agent, session, { reason: 'rejected', by: 'us', status: 503 }, now)
    return session.id
  }
  agent.sessions.set(session.id, session)
  agent.byDialog.set(`${session.callId} ${localTag}`, session)
  const extra = [contactField(agent.endpoint.options, session.user, order.to.transport), ALLOW, ...order.headers]
  const { uri, route: routes, body } = order
  const request = compose({
    method: 'INVITE',
    uri,
    from: withTag(order.fromHeader, localTag),
    to: order.toHeader,
    callId: session.callId,
    sequence: 1,
    routes,
    extra,
    body,
  })
  const outgoing: Outgoing = { ask: null, cancelWanted: false, acks: new Map(), isFirst: true }
  session.outgoing = outgoing
  let sequence = 1
  outgoing.ask = ask(
    agent.endpoint,
    request,
    order.to,
    { wallet: session.wallet, nextSequence: () => ++sequence, user: inviteUser(agent, session, outgoing) },
    now,
  )
  return session.id
}

/** An INVITE outside any dialog. */
export function onInvite(agent: Agent, arrival: Arrival, now: number): void {
  const { request } = arrival
  if (isFull(agent)) return refuse(agent.endpoint, arrival, 503, [{ name: 'Retry-After', value: String(RETRY_AFTER_SECONDS) }])
  const server = openServer(agent.endpoint, arrival, null, now)
  const parts = { callId: headerValue(request, 'Call-ID') ?? '', localTag: server.toTag, weCalled: false, user: userOf(request.uri), wallet: null }
  const session = makeSession(agent, parts, 'invited')
  agent.sessions.set(session.id, session)
  agent.byDialog.set(`${session.callId} ${session.localTag}`, session)
  session.dialog = dialogOfInvite(request, session.localTag, arrival.replyTo)
  takeOffer(agent, session, { server, request, arrival, isFirst: true })
  emit(agent, { kind: 'invited', session: session.id, request, from: arrival.from })
}

export function progress(agent: Agent, session: Session, status: number, body: Uint8Array, now: number): void {
  if (session.phase !== 'invited' || session.incoming === null) return
  const answer = { status: Math.min(Math.max(status, 101), 199), extra: ourFields(agent, session), body }
  respond(agent.endpoint, session.incoming.server, answer, now)
}

/** 200 to the INVITE that came in, or to the peer's re-offer. */
export function accept(agent: Agent, session: Session, body: Uint8Array, now: number): void {
  const { incoming } = session
  if (incoming === null || session.phase === 'over') return
  const { server, request, isFirst, arrival } = incoming
  session.incoming = null
  if (request.method === 'INVITE') {
    session.unacked = { server, sequence: cseqOf(request)?.sequence ?? 0, wantsAnswer: request.body.length === 0, isFirst }
  }
  if (isFirst) session.phase = 'established'
  else if (session.dialog !== null) session.dialog = refreshed(session.dialog, request, arrival.replyTo)
  respond(agent.endpoint, server, { status: 200, extra: ourFields(agent, session), body }, now)
}

/** A final response to the INVITE that came in; the session is over. */
export function reject(agent: Agent, session: Session, status: number, extra: readonly ExtraHeader[], now: number): void {
  const { incoming } = session
  if (session.phase !== 'invited' || incoming === null) return
  const final = asRejection(status, 480)
  session.incoming = null
  respond(agent.endpoint, incoming.server, { status: final, extra }, now)
  end(agent, session, { reason: 'rejected', by: 'us', status: final }, now)
}

/** Refuses the peer's re-offer; the session goes on as before. */
export function rejectOffer(agent: Agent, session: Session, status: number, now: number): void {
  const { incoming } = session
  if (incoming === null || incoming.isFirst) return
  session.incoming = null
  respond(agent.endpoint, incoming.server, { status: asRejection(status, 488) }, now)
}

export function hangUp(agent: Agent, session: Session, status: number, now: number): void {
  switch (session.phase) {
    case 'invited':
      return reject(agent, session, status, [], now)
    case 'inviting':
      return end(agent, session, { reason: 'cancelled', by: 'us', status: 0 }, now)
    case 'established':
      end(agent, session, { reason: 'bye', by: 'us', status: 0 }, now)
      if (session.unacked === null) bye(agent, session, now)
      return
    case 'over':
  }
}

/** Our re-INVITE; one at a time. It waits for its turn while the peer's is being dealt with. */
export function reoffer(agent: Agent, session: Session, body: Uint8Array, now: number): void {
  if (session.phase === 'over') return
  if (session.phase !== 'established' || session.offer !== null)
    return emit(agent, { kind: 'renegotiation-failed', session: session.id, status: 491 })
  session.offer = { body, retries: 0 }
  sendOffer(agent, session, now)
}

function sendOffer(agent: Agent, session: Session, now: number): void {
  const { dialog, offer } = session
  if (session.phase !== 'established' || offer === null || dialog === null) return
  if (session.incoming !== null || session.unacked !== null || session.outgoing !== null) return waitOutGlare(agent, session, now)
  const outgoing: Outgoing = { ask: null, cancelWanted: false, acks: new Map(), isFirst: false }
  session.outgoing = outgoing
  const request = requestWithin(dialog, 'INVITE', takeSequence(session), ourFields(agent, session), offer.body)
  const question = { wallet: session.wallet, nextSequence: () => takeSequence(session), user: inviteUser(agent, session, outgoing) }
  outgoing.ask = ask(agent.endpoint, request, nextHop(dialog), question, now)
}

/** Whoever made the Call-ID waits 2.1 to 4 s, the other up to 2 s, in steps of 10 ms (§14.1). */
function waitOutGlare(agent: Agent, session: Session, now: number): void {
  const waitMs = session.weCalled ? 2100 + 10 * chance(agent, 191) : 10 * chance(agent, 201)
  setAlarm(agent.endpoint.alarms, session.alarm, now + waitMs)
}

function inviteUser(agent: Agent, session: Session, outgoing: Outgoing): Parameters<typeof ask>[3]['user'] {
  return {
    response: (response, now) => {
      if (response.status < 200) onProvisional(agent, session, outgoing, response, now)
      else if (response.status < 300) onAccepted(agent, session, outgoing, response, now)
      else onRejected(agent, session, outgoing, response.status, now)
    },
    failed: (reason, now) => {
      if (reason === 'timeout') onRejected(agent, session, outgoing, 408, now, true)
      else onRejected(agent, session, outgoing, 503, now, true)
    },
  }
}

function onProvisional(agent: Agent, session: Session, outgoing: Outgoing, response: SipResponse, now: number): void {
  if (outgoing.cancelWanted) cancel(agent, outgoing, now)
  if (session.phase !== 'inviting' || response.status === 100 || outgoing.ask === null) return
  const { request, client } = outgoing.ask
  if (tagOf(headerValue(response, 'To') ?? '') !== null) session.dialog = dialogOfResponse(request, response, client.hop)
  emit(agent, { kind: 'progress', session: session.id, status: response.status, body: response.body })
}

/** Every 2xx is acknowledged; the first one to a living session counts, any other dialog is ended again (§13.2.2.4). */
function onAccepted(agent: Agent, session: Session, outgoing: Outgoing, response: SipResponse, now: number): void {
  const tag = tagOf(headerValue(response, 'To') ?? '') ?? ''
  if (outgoing.ask === null) return
  const { request, client } = outgoing.ask
  const made = dialogOfResponse(request, response, client.hop)
  const known = outgoing.acks.get(tag)
  const dialog = outgoing.isFirst || session.dialog === null ? made : refreshed(session.dialog, response, null)
  if (known !== undefined) return void agent.endpoint.outputs.push({ kind: 'send', bytes: known, to: nextHop(dialog) })
  if (outgoing.acks.size >= MAX_FORKS) return
  const sequence = cseqOf(request)?.sequence ?? 0
  outgoing.acks.set(tag, sendAck(agent.endpoint, requestWithin(dialog, 'ACK', sequence, credentialFields(request)), nextHop(dialog)))
  if (session.outgoing !== outgoing) return outgoing.isFirst ? endFork(agent, session, dialog, now) : undefined
  session.outgoing = null
  if (!outgoing.isFirst) return onOfferTaken(agent, session, dialog, response.body)
  const remoteCSeq = session.dialog?.remoteTag === tag ? session.dialog.remoteCSeq : null
  session.dialog = { ...dialog, remoteCSeq }
  if (session.phase === 'over') return bye(agent, session, now)
  session.phase = 'established'
  emit(agent, { kind: 'accepted', session: session.id, body: response.body })
}

function onOfferTaken(agent: Agent, session: Session, dialog: Dialog, body: Uint8Array): void {
  if (session.phase === 'over') return release(agent, session)
  session.dialog = dialog
  session.offer = null
  emit(agent, { kind: 'renegotiated', session: session.id, body })
}

function onRejected(agent: Agent, session: Session, outgoing: Outgoing, status: number, now: number, isSilence = false): void {
  if (session.outgoing !== outgoing) return
  session.outgoing = null
  if (session.phase === 'over') return release(agent, session)
  const gone = isSilence ? ({ reason: status === 408 ? 'timeout' : 'transport', status: 0 } as const) : ({ reason: 'rejected', status } as const)
  if (outgoing.isFirst) return end(agent, session, { ...gone, by: 'peer' }, now)
  if (status === 408 || status === 481) {
    // The peer no longer knows the dialog (§12.2.1.2), or is gone; the BYE is for a peer that is not.
    end(agent, session, { ...gone, by: 'peer' }, now)
    return bye(agent, session, now)
  }
  if (status === 491 && session.offer !== null && session.offer.retries < MAX_GLARE_RETRIES) {
    session.offer.retries++
    return waitOutGlare(agent, session, now)
  }
  session.offer = null
  emit(agent, { kind: 'renegotiation-failed', session: session.id, status })
}

function cancel(agent: Agent, outgoing: Outgoing, now: number): void {
  outgoing.cancelWanted = true
  if (outgoing.ask === null) return
  outgoing.ask.gaveUp = true
  const { client } = outgoing.ask
  if (client.tx.kind === 'invite-client' && client.tx.deadlines.B === undefined) sendCancel(agent.endpoint, client, now)
}

/** A request with our tag of that session. Null: it has been dealt with; else it is for the consumer. */
export function onRequestWithin(agent: Agent, session: Session, arrival: Arrival, now: number): Arrival | null {
  const { endpoint } = agent
  const { request } = arrival
  const { dialog } = session
  const sequence = cseqOf(request)?.sequence ?? 0
  const isOurs = dialog !== null && (tagOf(headerValue(request, 'From') ?? '') ?? '') === dialog.remoteTag
  if (!isOurs || (session.phase === 'over' && request.method !== 'BYE')) return refused(agent, arrival, 481)
  if (dialog.remoteCSeq !== null && sequence <= dialog.remoteCSeq) return refused(agent, arrival, 500)
  session.dialog = { ...dialog, remoteCSeq: sequence }
  switch (request.method) {
    case 'BYE':
      respond(endpoint, openServer(endpoint, arrival, null, now), { status: 200 }, now)
      onBye(agent, session, now)
      return null
    case 'INVITE':
    case 'UPDATE':
      onPeerOffer(agent, session, arrival, now)
      return null
    default:
      return arrival
  }
}

function refused(agent: Agent, arrival: Arrival, status: number, extra: readonly HeaderField[] = []): null {
  refuse(agent.endpoint, arrival, status, extra)
  return null
}

function onBye(agent: Agent, session: Session, now: number): void {
  const { incoming, unacked } = session
  session.incoming = null
  session.unacked = null
  if (incoming !== null) respond(agent.endpoint, incoming.server, { status: 487 }, now)
  if (unacked !== null) acknowledge(agent.endpoint, unacked.server, now)
  if (session.phase === 'over') return release(agent, session)
  end(agent, session, { reason: 'bye', by: 'peer', status: 0 }, now)
}

/** §14.2, RFC 3311 §5.2: one offer at a time, whoever makes it. */
function onPeerOffer(agent: Agent, session: Session, arrival: Arrival, now: number): void {
  const { request } = arrival
  const isUpdate = request.method === 'UPDATE'
  if (isUpdate && request.body.length === 0) {
    if (session.dialog !== null) session.dialog = refreshed(session.dialog, request, arrival.replyTo)
    return respond(agent.endpoint, openServer(agent.endpoint, arrival, null, now), { status: 200, extra: ourFields(agent, session) }, now)
  }
  if (session.incoming !== null) return refuse(agent.endpoint, arrival, 500, [{ name: 'Retry-After', value: String(chance(agent, 11)) }])
  if (session.outgoing !== null || session.unacked !== null || session.phase !== 'established') return refuse(agent.endpoint, arrival, 491)
  const server = openServer(agent.endpoint, arrival, null, now)
  takeOffer(agent, session, { server, request, arrival, isFirst: false })
  emit(agent, { kind: 'reoffered', session: session.id, body: request.body })
}

function takeOffer(agent: Agent, session: Session, incoming: Incoming): void {
  const { server, isFirst } = incoming
  session.incoming = incoming
  server.user = {
    cancelled: (now) => {
      if (session.incoming !== incoming) return
      session.incoming = null
      respond(agent.endpoint, server, { status: 487 }, now)
      if (isFirst) end(agent, session, { reason: 'cancelled', by: 'peer', status: 487 }, now)
    },
    failed: (reason, now) => {
      if (session.incoming === incoming) {
        session.incoming = null
        if (isFirst) end(agent, session, { reason, by: 'peer', status: 0 }, now)
      } else if (session.unacked?.server === server) {
        session.unacked = null
        end(agent, session, { reason, by: 'peer', status: 0 }, now)
        bye(agent, session, now)
      }
    },
  }
}

/** The ACK of a 2xx. Its body is the peer's answer when the offer was ours. */
export function onAck(agent: Agent, session: Session, ack: SipRequest, now: number): void {
  const { unacked, dialog } = session
  const isOurs =
    unacked !== null &&
    dialog !== null &&
    cseqOf(ack)?.sequence === unacked.sequence &&
    (tagOf(headerValue(ack, 'From') ?? '') ?? '') === dialog.remoteTag
  if (!isOurs || !acknowledge(agent.endpoint, unacked.server, now)) return
  session.unacked = null
  if (session.phase === 'over') return bye(agent, session, now) // It was hung up while the ACK was on its way (§15).
  if (unacked.isFirst) emit(agent, { kind: 'confirmed', session: session.id, body: ack.body })
  else if (unacked.wantsAnswer) emit(agent, { kind: 'renegotiated', session: session.id, body: ack.body })
}

/** BYE in the background. Whatever comes back, the session is done with it. */
function bye(agent: Agent, session: Session, now: number): void {
  const { dialog } = session
  if (dialog === null || session.byeInFlight) return release(agent, session)
  session.byeInFlight = true
  const done = (): void => {
    session.byeInFlight = false
    release(agent, session)
  }
  sendBye(agent, dialog, { wallet: session.wallet, nextSequence: () => takeSequence(session), done }, now)
}

/** A second phone has answered the same INVITE: it is told that nobody is there. */
function endFork(agent: Agent, session: Session, dialog: Dialog, now: number): void {
  let sequence = dialog.localCSeq
  sendBye(agent, dialog, { wallet: session.wallet, nextSequence: () => ++sequence, done: () => {} }, now)
}

function sendBye(
  agent: Agent,
  dialog: Dialog,
  by: { readonly wallet: Wallet | null; readonly nextSequence: () => number; readonly done: () => void },
  now: number,
): void {
  const user = { response: (response: SipResponse): void => (response.status >= 200 ? by.done() : undefined), failed: by.done }
  ask(
    agent.endpoint,
    requestWithin(dialog, 'BYE', by.nextSequence(), []),
    nextHop(dialog),
    { wallet: by.wallet, nextSequence: by.nextSequence, user },
    now,
  )
}

/** The one place where a session ends. An INVITE of ours that is still open is taken back, at once or when it may be (§9.1). */
function end(
  agent: Agent,
  session: Session,
  how: { readonly reason: EndReason; readonly by: 'us' | 'peer'; readonly status: number },
  now: number,
): void {
  const { outgoing, incoming } = session
  if (session.phase === 'over') return
  session.phase = 'over'
  session.offer = null
  session.incoming = null
  dropAlarm(session.alarm)
  emit(agent, { kind: 'ended', session: session.id, ...how })
  if (outgoing !== null) cancel(agent, outgoing, now)
  if (incoming !== null) respond(agent.endpoint, incoming.server, { status: 487 }, now)
  release(agent, session)
}

/** Forgets a session that owes nobody anything. */
function release(agent: Agent, session: Session): void {
  if (session.phase !== 'over' || session.byeInFlight || session.unacked !== null || session.outgoing !== null) return
  agent.sessions.delete(session.id)
  agent.byDialog.delete(`${session.callId} ${session.localTag}`)
}

function makeSession(
  agent: Agent,
  parts: Pick<Session, 'callId' | 'localTag' | 'weCalled' | 'user' | 'wallet'>,
  phase: 'inviting' | 'invited',
): Session {
  const alarm = makeAlarm((now) => sendOffer(agent, session, now))
  const id = `s${++agent.lastId}` as SessionId
  const session: Session = {
    ...parts,
    id,
    alarm,
    phase,
    dialog: null,
    outgoing: null,
    incoming: null,
    unacked: null,
    offer: null,
    byeInFlight: false,
  }
  return session
}

function takeSequence(session: Session): number {
  const sequence = (session.dialog?.localCSeq ?? 0) + 1
  if (session.dialog !== null) session.dialog = { ...session.dialog, localCSeq: sequence }
  return sequence
}

function ourFields(agent: Agent, session: Session): readonly HeaderField[] {
  const transport = session.dialog === null ? 'udp' : nextHop(session.dialog).transport
  return [contactField(agent.endpoint.options, session.user, transport), ALLOW]
}

const asRejection = (status: number, otherwise: number): number => (status >= 300 && status <= 699 ? status : otherwise)
const emit = (agent: Agent, event: UaEvent): void => void agent.endpoint.outputs.push({ kind: 'event', event })
/** A number from 0 to n − 1. */
const chance = (agent: Agent, n: number): number => (Number.parseInt(agent.endpoint.options.token().slice(-6), 36) || 0) % n
