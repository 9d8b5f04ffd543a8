/**
 * A SIP user agent without I/O: sessions (INVITE dialogs) and single requests, over the transactions of `endpoint.ts`.
 * Every function takes `now` (ms) and returns outputs in order; the caller sends the bytes and handles the events.
 * Nothing here reads a clock, draws chance or touches a socket.
 */
import { ALLOW, compose, contactField, makeWallet, userOf } from './dialog.ts'
import {
  ask,
  failHop,
  makeEndpoint,
  openServer,
  receiveMessage,
  refuse,
  respond,
  RETRY_AFTER_SECONDS,
  transactionCount,
  type Arrival,
  type Endpoint,
  type ServerTransaction,
} from './endpoint.ts'
import { mediaType, maxForwards, optionTags, tagOf, withTag } from './header.ts'
import { headerValue, type SipRequest, type SipResponse } from './message.ts'
import { accept, hangUp, invite as startInvite, onAck, onInvite, onRequestWithin, progress, reject, rejectOffer, reoffer } from './invite.ts'
import { farewell, findSession, isFull, memoryOf, type Agent, type Session } from './session.ts'
import { fireAlarms, nextAlarm } from './transaction.ts'
import { parseUri } from './uri.ts'

/** Where a message goes to or came from. For TCP it names the connection by its remote end. */
export interface Hop {
  readonly transport: 'udp' | 'tcp'
  /** IP literal, IPv6 without brackets. */
  readonly host: string
  readonly port: number
}

export type SessionId = string & { readonly brand: 'SessionId' }
export type TransactionId = string & { readonly brand: 'TransactionId' }

/** Digest credentials for a challenge (RFC 7616, RFC 8760). */
export interface Credentials {
  readonly username: string
  readonly password: string
}

export interface ExtraHeader {
  readonly name: string
  readonly value: string
}

export type Output = { readonly kind: 'send'; readonly bytes: Uint8Array; readonly to: Hop } | { readonly kind: 'event'; readonly event: UaEvent }

export type EndReason =
  /** BYE from the peer, or ours. */
  | 'bye'
  /** A final response 3xx to 6xx (`status`). */
  | 'rejected'
  /** The peer's CANCEL of its INVITE, or ours. */
  | 'cancelled'
  /** No answer from the far end of the wire: timer B or F, or no ACK for 64·T1. */
  | 'timeout'
  | 'transport'

export type UaEvent =
  /** An INVITE outside a dialog arrived; 100 has been sent. Decide with `progress`, `accept` or `reject`. */
  | { readonly kind: 'invited'; readonly session: SessionId; readonly request: SipRequest; readonly from: Hop }
  /** 101 to 199 to our INVITE; `body` may hold early SDP. */
  | { readonly kind: 'progress'; readonly session: SessionId; readonly status: number; readonly body: Uint8Array }
  /** Our INVITE got its first 2xx (ACK is in the same outputs). `body` holds the answer. */
  | { readonly kind: 'accepted'; readonly session: SessionId; readonly body: Uint8Array }
  /** The ACK for our 2xx came. `body` holds the answer when the INVITE carried no offer. */
  | { readonly kind: 'confirmed'; readonly session: SessionId; readonly body: Uint8Array }
  /** The peer's re-INVITE or UPDATE. `body` empty: the peer wants our offer. Decide with `answerOffer` or `rejectOffer`. */
  | { readonly kind: 'reoffered'; readonly session: SessionId; readonly body: Uint8Array }
  /** Our `reoffer` was accepted, or refused with `status` (the session goes on as before). */
  | { readonly kind: 'renegotiated'; readonly session: SessionId; readonly body: Uint8Array }
  | { readonly kind: 'renegotiation-failed'; readonly session: SessionId; readonly status: number }
  /** Exactly once per session, and the last event of it. `status` is the final response's, 0 when there was none. */
  | { readonly kind: 'ended'; readonly session: SessionId; readonly reason: EndReason; readonly by: 'us' | 'peer'; readonly status: number }
  /** Any request that is not about a session (REGISTER, OPTIONS, …), or an in-dialog one the agent does not handle itself (INFO, …; `session` is set). */
  | {
      readonly kind: 'request'
      readonly transaction: TransactionId
      readonly request: SipRequest
      readonly from: Hop
      readonly session: SessionId | null
    }
  /** The final response to a `request` of ours, after digest was tried. */
  | { readonly kind: 'response'; readonly transaction: TransactionId; readonly response: SipResponse }
  | { readonly kind: 'request-failed'; readonly transaction: TransactionId; readonly reason: 'timeout' | 'transport' }
  /** Something unparsable arrived and was answered or dropped; for counters and the log. */
  | { readonly kind: 'malformed'; readonly from: Hop; readonly reason: string }

export interface InviteOrder {
  /** Request-URI, e.g. `sip:+9198…@trunk.example`. */
  readonly uri: string
  /** First hop, resolved by the caller. */
  readonly to: Hop
  /** Address-of-record for From and To, e.g. `"Priya" <sip:priya@host>`; tags are added here. */
  readonly fromHeader: string
  readonly toHeader: string
  /** SDP offer. */
  readonly body: Uint8Array
  readonly credentials: Credentials | null
  /** Preloaded Route values, first hop first; usually empty. */
  readonly route: readonly string[]
  readonly headers: readonly ExtraHeader[]
}

export interface RequestOrder {
  readonly method: string
  readonly uri: string
  readonly to: Hop
  readonly fromHeader: string
  readonly toHeader: string
  readonly credentials: Credentials | null
  readonly headers: readonly ExtraHeader[]
  readonly body: Uint8Array
  /** Same Call-ID and rising CSeq across a registration's refreshes when given. */
  readonly callId: string | null
}

export interface UserAgentOptions {
  /** Put into Via and Contact: how peers reach us. */
  readonly advertised: { readonly host: string; readonly port: number }
  /** At least 64 random bits as `[0-9a-z]`. */
  readonly token: () => string
  /** Hex digest of Latin-1/UTF-8 text; crypto is injected since this room is pure. */
  readonly hash: (algorithm: 'md5' | 'sha256', text: string) => string
  /** `User-Agent` and `Server` header. */
  readonly product: string
  /** Held at once; default `MAX_SESSIONS` and `MAX_TRANSACTIONS`. Above it new work is refused with 503. */
  readonly limits?: { readonly sessions: number; readonly transactions: number }
}

export interface UserAgent {
  /** One datagram, or one framed message of a stream. Never throws. */
  receive(bytes: Uint8Array, from: Hop, now: number): readonly Output[]
  /** A send to that hop failed, or its connection closed. */
  transportFailed(to: Hop, now: number): readonly Output[]
  /** Fires every timer that is due. */
  due(now: number): readonly Output[]
  /** When `due` wants to be called next, or null. */
  nextDeadline(): number | null

  invite(order: InviteOrder, now: number): { readonly session: SessionId; readonly outputs: readonly Output[] }
  /** 101 to 199 to an INVITE that came in. */
  progress(session: SessionId, status: number, body: Uint8Array, now: number): readonly Output[]
  /** 200 with SDP; repeated until the ACK. */
  accept(session: SessionId, body: Uint8Array, now: number): readonly Output[]
  /** 300 to 699 to an INVITE that came in (401/407 with their challenge among `headers`). */
  reject(session: SessionId, status: number, headers: readonly ExtraHeader[], now: number): readonly Output[]
  /** BYE, CANCEL or (an INVITE that came in and waits) `status`, default 480. The `ended` event is among the outputs at once. */
  hangUp(session: SessionId, now: number, status?: number): readonly Output[]
  /** re-INVITE with our offer. Glare (491) is retried here (RFC 3261 §14.1). */
  reoffer(session: SessionId, body: Uint8Array, now: number): readonly Output[]
  answerOffer(session: SessionId, body: Uint8Array, now: number): readonly Output[]
  rejectOffer(session: SessionId, status: number, now: number): readonly Output[]

  /**
   * What a later user agent needs to know of this session to end it in our place: an opaque text, to be kept where a crash does
   * not reach. It holds addresses and tags, never a password. Null unless the session stands.
   */
  memoryOf(session: SessionId): string | null
  /**
   * Says BYE for a session that another life of this process left behind. No session and no event comes of it; the answers
   * are ignored, but for a challenge that `credentialsAt` has something for. A text that is no memory, or the memory of a
   * session that lives here: nothing.
   */
  farewell(memory: string, credentialsAt: (hop: Hop) => Credentials | null, now: number): readonly Output[]

  request(order: RequestOrder, now: number): { readonly transaction: TransactionId; readonly outputs: readonly Output[] }
  respond(transaction: TransactionId, status: number, headers: readonly ExtraHeader[], body: Uint8Array, now: number): readonly Output[]

  /** For tests and gauges: what is held right now. */
  counts(): { readonly sessions: number; readonly transactions: number }
}

/** Everything the facade needs to know between two calls. */
interface State {
  readonly agent: Agent
  /** Requests that were given to the consumer and are not answered. */
  readonly open: Map<TransactionId, ServerTransaction>
}

export function makeUserAgent(options: UserAgentOptions): UserAgent {
  const state = makeState(options)
  const { agent, open } = state
  const { endpoint } = agent
  /** Runs one input and hands over what it brought about. */
  const outputsOf = (act: () => void): readonly Output[] => {
    act()
    return endpoint.outputs.splice(0)
  }
  const within = (id: SessionId, act: (session: Session) => void): readonly Output[] =>
    outputsOf(() => {
      const session = agent.sessions.get(id)
      if (session !== undefined) act(session)
    })
  return {
    receive: (bytes, from, now) => outputsOf(() => receiveMessage(endpoint, bytes, from, now)),
    transportFailed: (to, now) => outputsOf(() => failHop(endpoint, to, now)),
    due: (now) => outputsOf(() => fireAlarms(endpoint.alarms, now)),
    nextDeadline: () => nextAlarm(endpoint.alarms),
    invite: (order, now) => {
      const session = startInvite(agent, order, now)
      return { session, outputs: endpoint.outputs.splice(0) }
    },
    progress: (id, status, body, now) => within(id, (session) => progress(agent, session, status, body, now)),
    accept: (id, body, now) => within(id, (session) => (session.phase === 'invited' ? accept(agent, session, body, now) : undefined)),
    reject: (id, status, headers, now) => within(id, (session) => reject(agent, session, status, headers, now)),
    hangUp: (id, now, status = 480) => within(id, (session) => hangUp(agent, session, status, now)),
    reoffer: (id, body, now) => within(id, (session) => reoffer(agent, session, body, now)),
    answerOffer: (id, body, now) => within(id, (session) => (session.phase === 'established' ? accept(agent, session, body, now) : undefined)),
    rejectOffer: (id, status, now) => within(id, (session) => rejectOffer(agent, session, status, now)),
    memoryOf: (id) => {
      const session = agent.sessions.get(id)
      return session === undefined ? null : memoryOf(session)
    },
    farewell: (memory, credentialsAt, now) => outputsOf(() => farewell(agent, memory, credentialsAt, now)),
    request: (order, now) => {
      const transaction = startRequest(agent, order, now)
      return { transaction, outputs: endpoint.outputs.splice(0) }
    },
    respond: (transaction, status, headers, body, now) =>
      outputsOf(() => {
        const server = open.get(transaction)
        if (server === undefined) return
        if (status >= 200) open.delete(transaction)
        answerRequest(endpoint, server, { status, extra: headers, body }, now)
      }),
    counts: () => ({ sessions: agent.sessions.size, transactions: transactionCount(endpoint) }),
  }
}

function makeState(options: UserAgentOptions): State {
  const endpoint = makeEndpoint(options, {
    onRequest: (arrival, now) => onRequest(state, arrival, now),
    onAck: (ack, now) => {
      const session = findSession(agent, headerValue(ack, 'Call-ID') ?? '', tagOf(headerValue(ack, 'To') ?? '') ?? '')
      if (session !== undefined) onAck(agent, session, ack, now)
    },
  })
  const agent: Agent = { endpoint, sessions: new Map(), byDialog: new Map(), lastId: 0, lastSequence: 0 }
  const state: State = { agent, open: new Map() }
  return state
}

/** The general checks of a UAS (RFC 3261 §8.2), then whose it is. */
function onRequest(state: State, arrival: Arrival, now: number): void {
  const { agent } = state
  const { endpoint } = agent
  const { request } = arrival
  const toTag = tagOf(headerValue(request, 'To') ?? '')
  const required = optionTags(request, 'Require')
  if (required.length > 0) return refuse(endpoint, arrival, 420, [{ name: 'Unsupported', value: required.join(', ') }])
  if (toTag !== null) {
    const session = findSession(agent, headerValue(request, 'Call-ID') ?? '', toTag)
    if (session === undefined) return refuse(endpoint, arrival, 481)
    const left = onRequestWithin(agent, session, arrival, now)
    return left === null ? undefined : handOver(state, left, session.id, now)
  }
  if (maxForwards(request) === 0) return refuse(endpoint, arrival, 483)
  if (request.method === 'INVITE') {
    const refusal = refusalOf(request)
    return refusal === null ? onInvite(agent, arrival, now) : refuse(endpoint, arrival, refusal.status, refusal.extra)
  }
  // These mean nothing outside a dialog.
  if (request.method === 'BYE' || request.method === 'UPDATE' || request.method === 'PRACK') return refuse(endpoint, arrival, 481)
  return handOver(state, arrival, null, now)
}

function refusalOf(invite: SipRequest): { readonly status: number; readonly extra: readonly ExtraHeader[] } | null {
  const scheme = parseUri(invite.uri)?.scheme ?? ''
  if (!['sip', 'sips', 'tel'].includes(scheme)) return { status: 416, extra: [] }
  if (invite.body.length === 0 || mediaType(invite) === 'application/sdp') return null
  return { status: 415, extra: [{ name: 'Accept', value: 'application/sdp' }] }
}

/** To the consumer, who answers with `respond`. After 32 s without an answer the request is forgotten. */
function handOver(state: State, arrival: Arrival, session: SessionId | null, now: number): void {
  const { agent, open } = state
  const { endpoint } = agent
  if (isFull(agent)) return refuse(endpoint, arrival, 503, [{ name: 'Retry-After', value: String(RETRY_AFTER_SECONDS) }])
  const transaction = `r${++agent.lastId}` as TransactionId
  const user = { cancelled: () => {}, failed: () => void open.delete(transaction) }
  open.set(transaction, openServer(endpoint, arrival, user, now))
  endpoint.outputs.push({ kind: 'event', event: { kind: 'request', transaction, request: arrival.request, from: arrival.from, session } })
}

function answerRequest(
  endpoint: Endpoint,
  server: ServerTransaction,
  answer: { readonly status: number; readonly extra: readonly ExtraHeader[]; readonly body: Uint8Array },
  now: number,
): void {
  const saysAllow = answer.status === 405 || (server.request?.method === 'OPTIONS' && answer.status < 300)
  const named = answer.extra.some((field) => field.name.toLowerCase() === 'allow')
  respond(endpoint, server, saysAllow && !named ? { ...answer, extra: [...answer.extra, ALLOW] } : answer, now)
}

/** A request outside dialogs. CSeq rises with every request, so that it does within a registration too (§10.2). */
function startRequest(agent: Agent, order: RequestOrder, now: number): TransactionId {
  const { endpoint } = agent
  const { token, advertised } = endpoint.options
  const transaction = `t${++agent.lastId}` as TransactionId
  const failed = (reason: 'timeout' | 'transport'): void =>
    void endpoint.outputs.push({ kind: 'event', event: { kind: 'request-failed', transaction, reason } })
  if (isFull(agent)) {
    failed('transport')
    return transaction
  }
  const { method, uri, to, headers, body } = order
  const named = headers.some((field) => field.name.toLowerCase() === 'contact')
  const extra = method === 'REGISTER' && !named ? [...headers, contactField(endpoint.options, userOf(order.fromHeader), to.transport)] : headers
  const callId = order.callId ?? `${token()}@${advertised.host}`
  const from = withTag(order.fromHeader, token())
  const request = compose({ method, uri, from, to: order.toHeader, callId, sequence: ++agent.lastSequence, routes: [], extra, body })
  const user = {
    failed,
    response: (response: SipResponse): void => {
      if (response.status >= 200) endpoint.outputs.push({ kind: 'event', event: { kind: 'response', transaction, response } })
    },
  }
  ask(endpoint, request, to, { wallet: makeWallet(order.credentials), nextSequence: () => ++agent.lastSequence, user }, now)
  return transaction
}
