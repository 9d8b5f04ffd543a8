/**
 * The door: what may come in at all, who a caller is, and the answers to requests that are about no call.
 *
 * One rule: whoever has not proved who they are costs next to nothing and leaves nothing behind. A source that is not known
 * to belong to somebody is counted before its message is even parsed; a stranger gets a challenge (401) that we do not
 * remember, and is told nothing else.
 */
import { parseAuth } from '../../sip/header.ts'
import { headerValue, headerValues, type SipRequest } from '../../sip/message.ts'
import type { DigestServer } from '../../sip/digest.ts'
import type { ExtraHeader, Hop } from '../../sip/user-agent.ts'
import type { AccountId } from '../../domain/ids.ts'
import type { Registrar } from './registrar.ts'
import { accountOfAgent, callByName, callByTrunk, type Caller, claimOf, passwordOf, trunksAt, userOfTo, type World } from './routing.ts'

/** Requests of one unproven host: so many at once, and so many a second for as long as it likes. */
export const UNPROVEN_BURST = 1_000
export const UNPROVEN_PER_SECOND = 200
/** Hosts that are counted; of more, the one that has rested longest starts afresh. */
export const MAX_COUNTED_HOSTS = 10_000
/** How long a source that proved itself is not counted, and how many such sources are remembered. */
export const PROVEN_MS = 2 * 3_600_000
export const MAX_PROVEN = 10_000
/**
 * RFC 8760 §2.4 wants a phone to pass over challenges that it does not understand. Some give up at the sight of SHA-256
 * instead: those that we know by name, and whoever was challenged and asks again without an answer, see MD5 alone.
 */
const KNOWS_MD5_ALONE = /^baresip v[0-2]\./
export const UNANSWERED_MS = 300_000

export interface Answer {
  readonly status: number
  readonly headers: readonly ExtraHeader[]
}

export type Admission = { readonly kind: 'caller'; readonly caller: Caller } | { readonly kind: 'refused'; readonly answer: Answer }

export interface DoorOptions {
  readonly realm: string
  readonly world: World
  readonly registrar: Registrar
  readonly digest: DigestServer
  readonly now: () => number
  /** For the log; called with the host of each wrong password. */
  readonly onWrongPassword: (host: string) => void
  /** For the log; called when a name that was nowhere is somewhere, and the other way round. */
  readonly onPresence: (presence: Presence) => void
}

/** A phone's name stays out of it: the log is no list of people. */
export interface Presence {
  readonly accountId: AccountId
  readonly isReachable: boolean
  readonly from: Hop
}

export interface Door {
  /** False: drop the message unread. */
  admit(bytes: Uint8Array, from: Hop): boolean
  /** That source belongs to somebody: it proved it, or we called it. */
  trust(from: Hop): void
  /** Who sends this INVITE and whom they want. */
  invited(request: SipRequest, from: Hop): Admission
  /** REGISTER, OPTIONS, and whatever else comes outside a session. */
  request(request: SipRequest, from: Hop): Answer
  /** Table sizes, for gauges and tests. */
  counts(): { readonly hosts: number; readonly proven: number }
}

interface Bucket {
  readonly tokens: number
  readonly at: number
}

interface Doorway extends DoorOptions {
  readonly buckets: Map<string, Bucket>
  /** Until when, epoch ms. */
  readonly proven: Map<string, number>
  /** Sources that have not answered a challenge, until when we mind. */
  readonly unanswered: Map<string, number>
}

export function makeDoor(options: DoorOptions): Door {
  const doorway: Doorway = { ...options, buckets: new Map(), proven: new Map(), unanswered: new Map() }
  return {
    admit: (bytes, from) => belongsToCall(bytes) || isProven(doorway, from) || takeToken(doorway, from.host),
    trust: (from) => trust(doorway, from),
    invited: (request, from) => invited(doorway, request, from),
    request: (request, from) => answerRequest(doorway, request, from),
    counts: () => ({ hosts: doorway.buckets.size, proven: doorway.proven.size }),
  }
}

/**
 * The answer to a request within a call that the agent leaves to us. Digits come as RFC 4733 events only: who sends them by INFO is
 * told so. What a call of ours does not know, a transfer (REFER) above all, is refused: a phone takes 200 for done and hangs up.
 */
export function answerWithinCall({ method, body }: SipRequest): Answer {
  switch (method) {
    case 'OPTIONS':
      return { status: 200, headers: [ACCEPT] }
    case 'INFO':
      return body.length === 0 ? { status: 200, headers: [] } : { status: 415, headers: [ACCEPT] }
    default:
      return { status: 405, headers: [] }
  }
}

/** Responses, and what ends or completes something: without a call of ours behind them they are dropped or refused from a table. */
const FREE = ['SIP/', 'ACK ', 'BYE ', 'CANC']
const HEAD_CHARS = 4
const ACCEPT: ExtraHeader = { name: 'Accept', value: 'application/sdp' }

function belongsToCall(bytes: Uint8Array): boolean {
  return FREE.includes(Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, HEAD_CHARS)).toString('latin1'))
}

function isProven(doorway: Doorway, from: Hop): boolean {
  const until = doorway.proven.get(keyOf(from))
  if (until !== undefined && until > doorway.now()) return true
  return trunksAt(doorway.world, from).length > 0
}

function trust(doorway: Doorway, from: Hop): void {
  note(doorway.proven, keyOf(from), doorway.now() + PROVEN_MS)
}

function note(table: Map<string, number>, key: string, until: number): void {
  table.delete(key)
  if (table.size >= MAX_PROVEN) forgetOldest(table)
  table.set(key, until)
}

function takeToken(doorway: Doorway, host: string): boolean {
  const { buckets } = doorway
  const now = doorway.now()
  const before = buckets.get(host)
  const refilled =
    before === undefined ? UNPROVEN_BURST : Math.min(UNPROVEN_BURST, before.tokens + (Math.max(0, now - before.at) * UNPROVEN_PER_SECOND) / 1000)
  buckets.delete(host)
  if (buckets.size >= MAX_COUNTED_HOSTS) forgetOldest(buckets)
  buckets.set(host, { tokens: refilled >= 1 ? refilled - 1 : refilled, at: now })
  return refilled >= 1
}

function invited(doorway: Doorway, request: SipRequest, from: Hop): Admission {
  const { world } = doorway
  const claim = claimOf(world, request, from, claimedName(doorway, request))
  if (claim.kind === 'trunk') return admission(callByTrunk(world, claim.trunks, request))
  const proof = prove(doorway, request, from)
  if (proof.kind === 'refused') return proof
  return admission(callByName(world, proof.username, request))
}

function admission(caller: Caller | null): Admission {
  return caller === null ? { kind: 'refused', answer: { status: 404, headers: [] } } : { kind: 'caller', caller }
}

function answerRequest(doorway: Doorway, request: SipRequest, from: Hop): Answer {
  switch (request.method) {
    case 'OPTIONS':
      return { status: 200, headers: [ACCEPT] }
    case 'REGISTER':
      return answerRegister(doorway, request, from)
    default:
      return { status: 405, headers: [] }
  }
}

function answerRegister(doorway: Doorway, request: SipRequest, from: Hop): Answer {
  const { world, registrar, now } = doorway
  const proof = prove(doorway, request, from)
  if (proof.kind === 'refused') return proof.answer
  const { username } = proof
  const account = accountOfAgent(world, username)
  if (account === null || userOfTo(request) !== username) return { status: 403, headers: [] }
  const at = now()
  const isReachable = (): boolean => registrar.bindings(username, at).length > 0
  const wasReachable = isReachable()
  const result = registrar.register(request, username, from, at)
  if (isReachable() !== wasReachable) doorway.onPresence({ accountId: account.id, isReachable: !wasReachable, from })
  return { status: result.kind === 'refused' ? result.status : 200, headers: result.headers }
}

type Proof = { readonly kind: 'proved'; readonly username: string } | { readonly kind: 'refused'; readonly answer: Answer }

function prove(doorway: Doorway, request: SipRequest, from: Hop): Proof {
  const { digest, realm, world, now } = doorway
  const header = credentialsFor(realm, request)
  if (header === undefined) {
    const challenged = challenge(doorway, request, from, false)
    note(doorway.unanswered, keyOf(from), now() + UNANSWERED_MS)
    return challenged
  }
  doorway.unanswered.delete(keyOf(from))
  const { method, uri } = request
  const verdict = digest.check({ header, realm, method, uri, source: from.host, passwordOf: (username) => passwordOf(world, username) }, now())
  switch (verdict.kind) {
    case 'ok':
      trust(doorway, from)
      return { kind: 'proved', username: verdict.username }
    case 'stale':
    case 'replayed':
      return challenge(doorway, request, from, true)
    case 'wrong':
      doorway.proven.delete(keyOf(from))
      doorway.onWrongPassword(from.host)
      return challenge(doorway, request, from, false)
    case 'malformed':
      return challenge(doorway, request, from, false)
    case 'locked':
      return { kind: 'refused', answer: { status: 403, headers: [{ name: 'Retry-After', value: String(Math.ceil(verdict.retryAfterMs / 1000)) }] } }
  }
}

function challenge(doorway: Doorway, request: SipRequest, from: Hop, stale: boolean): Proof {
  const now = doorway.now()
  const isSimple = KNOWS_MD5_ALONE.test(headerValue(request, 'User-Agent') ?? '') || (doorway.unanswered.get(keyOf(from)) ?? 0) > now
  const values = doorway.digest.challenges(doorway.realm, stale, now).filter((value) => !isSimple || value.includes('algorithm=MD5'))
  return { kind: 'refused', answer: { status: 401, headers: values.map((value) => ({ name: 'WWW-Authenticate', value })) } }
}

function credentialsFor(realm: string, request: SipRequest): string | undefined {
  return headerValues(request, 'Authorization').find((value) => parseAuth(value)?.params.get('realm') === realm)
}

function claimedName(doorway: Doorway, request: SipRequest): string | null {
  const header = credentialsFor(doorway.realm, request)
  return header === undefined ? null : (parseAuth(header)?.params.get('username') ?? null)
}

const keyOf = (hop: Hop): string => `${hop.transport} ${hop.host} ${hop.port}`

function forgetOldest(table: Map<string, unknown>): void {
  const oldest = table.keys().next().value
  if (oldest !== undefined) table.delete(oldest)
}
