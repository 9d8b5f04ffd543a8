/**
 * INVITE from either side, the first and every further one: calling, being called (RFC 3261 §13), and re-offers with
 * their glare (§14, RFC 3311). The record it works on, and how that ends, is in `session.ts`.
 *
 * Whether the peer's message counts is decided by its tags, not by its address: a token of ours is in every dialog.
 * One offer at a time: the peer's is refused while ours is under way (491) or its last one is not settled (500).
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
} from './dialog.ts'
import { acknowledge, ask, openServer, refuse, respond, RETRY_AFTER_SECONDS, sendAck, type Arrival, type ClientUser } from './endpoint.ts'
import { cseqOf, tagOf, withTag } from './header.ts'
import { headerValue, type HeaderField, type SipRequest, type SipResponse } from './message.ts'
import {
  bye,
  cancel,
  chance,
  emit,
  end,
  endFork,
  endWithBye,
  isFull,
  makeSession,
  ourFields,
  release,
  takeSequence,
  type Agent,
  type Incoming,
  type Outgoing,
  type Session,
} from './session.ts'
import { setAlarm } from './transaction.ts'
import type { ExtraHeader, InviteOrder, SessionId } from './user-agent.ts'

/** Answers to one INVITE of ours, by different phones behind a forking proxy, that are acknowledged. */
export const MAX_FORKS = 8
/** Times that a re-offer is repeated after 491. */
export const MAX_GLARE_RETRIES = 5

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
  const session = makeSession(agent, parts, 'inviting', (waiting, later) => sendOffer(agent, waiting, later))
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
  const session = makeSession(agent, parts, 'invited', (waiting, later) => sendOffer(agent, waiting, later))
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
      return endWithBye(agent, session, { reason: 'bye', by: 'us', status: 0 }, now)
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

function inviteUser(agent: Agent, session: Session, outgoing: Outgoing): ClientUser {
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
    return endWithBye(agent, session, { ...gone, by: 'peer' }, now)
  }
  if (status === 491 && session.offer !== null && session.offer.retries < MAX_GLARE_RETRIES) {
    session.offer.retries++
    return waitOutGlare(agent, session, now)
  }
  session.offer = null
  emit(agent, { kind: 'renegotiation-failed', session: session.id, status })
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
        endWithBye(agent, session, { reason, by: 'peer', status: 0 }, now)
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

const asRejection = (status: number, otherwise: number): number => (status >= 300 && status <= 699 ? status : otherwise)
