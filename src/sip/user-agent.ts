/**
 * A SIP user agent without I/O: sessions (INVITE dialogs) and single requests, over the transactions of `endpoint.ts`.
 * Every function takes `now` (ms) and returns outputs in order; the caller sends the bytes and handles the events.
 * Nothing here reads a clock, draws chance or touches a socket.
 */
import type { SipRequest, SipResponse } from './message.ts'

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
  | { readonly kind: 'request'; readonly transaction: TransactionId; readonly request: SipRequest; readonly from: Hop; readonly session: SessionId | null }
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

  request(order: RequestOrder, now: number): { readonly transaction: TransactionId; readonly outputs: readonly Output[] }
  respond(transaction: TransactionId, status: number, headers: readonly ExtraHeader[], body: Uint8Array, now: number): readonly Output[]

  /** For tests and gauges: what is held right now. */
  counts(): { readonly sessions: number; readonly transactions: number }
}
