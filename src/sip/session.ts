/**
 * An INVITE session (RFC 3261 §13 to §15): its record, and how it ends. What leads up to the end is in `invite.ts`.
 *
 *   inviting ──2xx──▶ established ◀──accept── invited         each ──end──▶ over ──nothing left to finish──▶ forgotten
 *
 * `over` begins with the `ended` event, which is given once, by `end`, and is the last of its session. What the far end
 * is still owed afterwards (CANCEL, ACK and BYE for a 2xx that crossed, BYE after a late ACK) happens in the background.
 *
 * A session that its process did not outlive leaves a memory: what the next process needs to say BYE in its place.
 */
import { ALLOW, contactField, isLiteral, lastingHop, makeWallet, nextHop, requestWithin, type Dialog, type Wallet } from './dialog.ts'
import {
  ask,
  respond,
  sendCancel,
  transactionCount,
  MAX_TRANSACTIONS,
  type Arrival,
  type Ask,
  type Endpoint,
  type ServerTransaction,
} from './endpoint.ts'
import { MAX_CSEQ, tagOf } from './header.ts'
import type { HeaderField, SipRequest, SipResponse } from './message.ts'
import { dropAlarm, makeAlarm, type Alarm } from './transaction.ts'
import { parseNameAddr, parseUri, writeHostPort } from './uri.ts'
import type { Credentials, EndReason, Hop, SessionId, UaEvent } from './user-agent.ts'

/** Sessions held at once, the ones that are being wound up included; above it 503. */
export const MAX_SESSIONS = 20_000
/** Longest memory of a session; one that would be longer is none. */
export const MAX_MEMORY_CHARS = 8_192
/** How far a farewell's CSeq lies above the remembered one: requests may have followed of which the memory knows nothing. */
export const FAREWELL_CSEQ_STEP = 1_000
const MAX_REMEMBERED_ROUTES = 64

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

export interface Outgoing {
  ask: Ask | null
  cancelWanted: boolean
  /** What acknowledged a 2xx, by the tag of who sent it; sent again for each repeat. */
  readonly acks: Map<string, Uint8Array>
  readonly isFirst: boolean
}
export interface Incoming {
  readonly server: ServerTransaction
  readonly request: SipRequest
  readonly arrival: Arrival
  readonly isFirst: boolean
}
export interface Unacked {
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

export function cancel(agent: Agent, outgoing: Outgoing, now: number): void {
  outgoing.cancelWanted = true
  if (outgoing.ask === null) return
  outgoing.ask.gaveUp = true
  const { client } = outgoing.ask
  if (client.tx.kind === 'invite-client' && client.tx.deadlines.B === undefined) sendCancel(agent.endpoint, client, now)
}

/** BYE in the background. Whatever comes back, the session is done with it. */
export function bye(agent: Agent, session: Session, now: number): void {
  const { dialog } = session
  if (dialog === null || session.byeInFlight) return release(agent, session)
  session.byeInFlight = true
  const done = (): void => {
    session.byeInFlight = false
    release(agent, session)
  }
  sendBye(agent, { dialog, to: nextHop(dialog), wallet: session.wallet, nextSequence: () => takeSequence(session), done }, now)
}

/** A second phone has answered the same INVITE: it is told that nobody is there. */
export function endFork(agent: Agent, session: Session, dialog: Dialog, now: number): void {
  let sequence = dialog.localCSeq
  sendBye(agent, { dialog, to: nextHop(dialog), wallet: session.wallet, nextSequence: () => ++sequence, done: () => {} }, now)
}

interface Bye {
  readonly dialog: Parameters<typeof requestWithin>[0]
  readonly to: Hop
  readonly wallet: Wallet | null
  readonly nextSequence: () => number
  readonly done: () => void
}

function sendBye(agent: Agent, { dialog, to, wallet, nextSequence, done }: Bye, now: number): void {
  const user = { response: (response: SipResponse): void => (response.status >= 200 ? done() : undefined), failed: done }
  ask(agent.endpoint, requestWithin(dialog, 'BYE', nextSequence(), []), to, { wallet, nextSequence, user }, now)
}

/** What of a session outlives its process; without credentials. */
interface Memory extends Pick<Dialog, 'callId' | 'local' | 'remote' | 'target' | 'routes'> {
  /** Whoever reads it must know what it means. */
  readonly version: 1
  /** Where the BYE goes when no connection is left. */
  readonly hop: Hop
  /** CSeq of our last request. */
  readonly sequence: number
}

/** The session as a text for `farewell`. Null when it does not stand, or what its peer wrote cannot be kept. */
export function memoryOf({ phase, dialog }: Session): string | null {
  if (phase !== 'established' || dialog === null) return null
  const { callId, local, remote, target, routes, localCSeq: sequence } = dialog
  const memory: Memory = { version: 1, callId, local, remote, target, routes, hop: lastingHop(dialog), sequence }
  const text = JSON.stringify(memory)
  return readMemory(text) === null ? null : text
}

/** BYE in a dialog of a former life. A memory that is none, or whose session lives here, moves nothing. */
export function farewell(agent: Agent, text: string, credentialsAt: (hop: Hop) => Credentials | null, now: number): void {
  const memory = readMemory(text)
  if (memory === null || isFull(agent) || findSession(agent, memory.callId, tagOf(memory.local) ?? '') !== undefined) return
  let sequence = memory.sequence + FAREWELL_CSEQ_STEP
  const wallet = makeWallet(credentialsAt(memory.hop))
  sendBye(agent, { dialog: memory, to: memory.hop, wallet, nextSequence: () => ++sequence, done: () => {} }, now)
}

/** Every part is checked as if a stranger had written it: no text of it may become a line, or an address, of its own. */
function readMemory(text: string): Memory | null {
  const read = text.length > MAX_MEMORY_CHARS ? null : parseJson(text)
  if (!isRecord(read)) return null
  const { version, callId, local, remote, target, routes, hop, sequence } = read
  if (version !== 1 || !isLine(callId) || !/^[^ \t]+$/.test(callId)) return null
  if (!isLine(local) || tagOf(local) === null || !isLine(remote) || parseNameAddr(remote) === null) return null
  if (!isLine(target) || !isSipScheme(parseUri(target)?.scheme) || !isHop(hop) || !isSequence(sequence)) return null
  if (!Array.isArray(routes) || routes.length > MAX_REMEMBERED_ROUTES) return null
  const lines = routes.filter(isLine).filter((route) => isSipScheme(parseNameAddr(route)?.uri.scheme))
  const { transport, host, port } = hop
  return lines.length < routes.length ? null : { version: 1, callId, local, remote, target, routes: lines, hop: { transport, host, port }, sequence }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null // No memory of ours.
  }
}
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null
const isLine = (value: unknown): value is string => typeof value === 'string' && !/[^\t\x20-\x7e\x80-\uffff]/.test(value)
const isSipScheme = (scheme: string | undefined): boolean => scheme === 'sip' || scheme === 'sips'
/** The last number that a farewell may take, with some left for challenges. */
const isSequence = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_CSEQ - 2 * FAREWELL_CSEQ_STEP

function isHop(value: unknown): value is Hop {
  if (!isRecord(value)) return false
  const { transport, host, port } = value
  if ((transport !== 'udp' && transport !== 'tcp') || typeof host !== 'string' || typeof port !== 'number') return false
  const read = parseUri(`sip:${writeHostPort({ host, port })}`)
  return isLiteral(host) && read?.host === host && read.port === port && read.params.size === 0
}

export interface Ending {
  readonly reason: EndReason
  readonly by: 'us' | 'peer'
  readonly status: number
}

/** Ends a session whose peer needs no BYE: it never stood, or the BYE was theirs. */
export function end(agent: Agent, session: Session, how: Ending, now: number): void {
  conclude(agent, session, how, now)
  release(agent, session)
}

/** Ends a session that stands. The BYE goes out in the background; while the ACK of our 2xx is missing it waits (§15). */
export function endWithBye(agent: Agent, session: Session, how: Ending, now: number): void {
  conclude(agent, session, how, now)
  if (session.unacked === null) bye(agent, session, now)
}

/** The one place where a session ends. An INVITE of ours that is still open is taken back, at once or when it may be (§9.1). */
function conclude(agent: Agent, session: Session, how: Ending, now: number): void {
  const { outgoing, incoming } = session
  if (session.phase === 'over') return
  session.phase = 'over'
  session.offer = null
  session.incoming = null
  dropAlarm(session.alarm)
  emit(agent, { kind: 'ended', session: session.id, ...how })
  if (outgoing !== null) cancel(agent, outgoing, now)
  if (incoming !== null) respond(agent.endpoint, incoming.server, { status: 487 }, now)
}

/** Forgets a session that owes nobody anything. */
export function release(agent: Agent, session: Session): void {
  if (session.phase !== 'over' || session.byeInFlight || session.unacked !== null || session.outgoing !== null) return
  agent.sessions.delete(session.id)
  agent.byDialog.delete(`${session.callId} ${session.localTag}`)
}

export function makeSession(
  agent: Agent,
  parts: Pick<Session, 'callId' | 'localTag' | 'weCalled' | 'user' | 'wallet'>,
  phase: 'inviting' | 'invited',
  onAlarm: (session: Session, now: number) => void,
): Session {
  const alarm = makeAlarm((now) => onAlarm(session, now))
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

export function takeSequence(session: Session): number {
  const sequence = (session.dialog?.localCSeq ?? 0) + 1
  if (session.dialog !== null) session.dialog = { ...session.dialog, localCSeq: sequence }
  return sequence
}

export function ourFields(agent: Agent, session: Session): readonly HeaderField[] {
  const transport = session.dialog === null ? 'udp' : nextHop(session.dialog).transport
  return [contactField(agent.endpoint.options, session.user, transport), ALLOW]
}

export const emit = (agent: Agent, event: UaEvent): void => void agent.endpoint.outputs.push({ kind: 'event', event })
/** A number from 0 to n − 1. */
export const chance = (agent: Agent, n: number): number => (Number.parseInt(agent.endpoint.options.token().slice(-6), 36) || 0) % n
