/**
 * The transactions in flight (RFC 3261 §17, §18): matches what arrives, sends what is due, knows the next deadline.
 * A mutable table around the pure steps of `transaction.ts`; what to send is collected in `outputs`, in order.
 *
 * Matching: branch, sent-by and method for servers (ACK and CANCEL find their INVITE), branch and method for clients,
 * whose branches are our own tokens. Requests whose branch lacks the cookie of RFC 3261 are matched by what RFC 2543
 * used instead: Request-URI, From tag, Call-ID, CSeq number and topmost Via (§17.2.3).
 *
 * Refusals (`refuse`, malformed messages, CANCEL) are stateless: the same request gets the same answer, tag included,
 * and nothing of it is kept (§8.2.7). After a final response only its bytes and the key stay.
 */
import { ackOfRejection, cancelOf, contentType, DEFAULT_PORT, reasonOf, responseTo, withCredentials, type Challenges, type Wallet } from './dialog.ts'
import { BRANCH_COOKIE, cseqOf, newVia, parseVia, splitList, tagOf, topVia, writeVia, type Via } from './header.ts'
import { headerValue, writeMessage, type Headed, type HeaderField, type SipRequest, type SipResponse } from './message.ts'
import { parseMessage } from './parse.ts'
import {
  dropAlarm,
  makeAlarm,
  nextTimer,
  setAlarm,
  startInviteClient,
  startInviteServer,
  startRequestClient,
  startRequestServer,
  step,
  type Alarm,
  type AlarmQueue,
  type Input,
  type InviteClient,
  type InviteServer,
  type RequestClient,
  type RequestServer,
  type Transaction,
} from './transaction.ts'
import { NO_PARAMS } from './uri.ts'
import type { ExtraHeader, Hop, Output, UserAgentOptions } from './user-agent.ts'

/** Transactions held at once, above which new work is refused with 503; 300 calls/s need about 30,000. */
export const MAX_TRANSACTIONS = 65_536
/** Seconds that a refused peer should wait. */
export const RETRY_AFTER_SECONDS = 5

export interface ClientTransaction {
  readonly key: string
  readonly branch: string
  readonly hop: Hop
  readonly user: ClientUser | null
  readonly alarm: Alarm
  tx: InviteClient | RequestClient
  /** As sent, Via included; null after a final response. */
  request: SipRequest | null
  bytes: Uint8Array | null
  /** Of a 3xx to 6xx to an INVITE. */
  ack: Uint8Array | null
}

export interface ClientUser {
  /** A provisional, then one final; for an INVITE also every further 2xx. */
  response(response: SipResponse, now: number): void
  /** No final response will come. */
  failed(reason: 'timeout' | 'transport', now: number): void
}

export interface ServerTransaction {
  readonly key: string
  readonly hop: Hop
  /** Of every answer but 100. */
  readonly toTag: string
  readonly alarm: Alarm
  user: ServerUser | null
  tx: InviteServer | RequestServer
  /** Null after the final response. */
  request: SipRequest | null
  /** The newest response. */
  bytes: Uint8Array | null
}

export interface ServerUser {
  /** The peer takes its INVITE back, which has no final response yet. The CANCEL has been answered; a 487 is owed. */
  cancelled(now: number): void
  /** INVITE: no ACK came, or the transport failed. Else: no answer was given in time. */
  failed(reason: 'timeout' | 'transport', now: number): void
}

/** A request that repeats none. Its topmost Via says where it came from (RFC 3581). */
export interface Arrival {
  readonly request: SipRequest
  readonly from: Hop
  readonly replyTo: Hop
  readonly key: string
}

export interface EndpointUser {
  /** Any method but ACK and CANCEL. Take it with `openServer`, or `refuse` it. */
  onRequest(arrival: Arrival, now: number): void
  /** An ACK that is not for a 3xx to 6xx. */
  onAck(ack: SipRequest, now: number): void
}

export interface Endpoint {
  readonly options: UserAgentOptions
  readonly user: EndpointUser
  readonly clients: Map<string, ClientTransaction>
  readonly servers: Map<string, ServerTransaction>
  /** The same by the hop that they need, for `transportFailed`. */
  readonly byHop: Map<string, Set<ClientTransaction | ServerTransaction>>
  readonly alarms: AlarmQueue
  readonly outputs: Output[]
}

export const makeEndpoint = (options: UserAgentOptions, user: EndpointUser): Endpoint => ({
  options,
  user,
  clients: new Map(),
  servers: new Map(),
  byHop: new Map(),
  alarms: [],
  outputs: [],
})

export const transactionCount = (endpoint: Endpoint): number => endpoint.clients.size + endpoint.servers.size

/** One datagram or framed message. */
export function receiveMessage(endpoint: Endpoint, bytes: Uint8Array, from: Hop, now: number): void {
  const result = parseMessage(bytes, { stream: from.transport === 'tcp' })
  if (result.kind === 'malformed') {
    const { answerable, status, reason } = result
    if (answerable !== null) answerWithoutState(endpoint, complete(answerable, from), { status, reason }, [])
    endpoint.outputs.push({ kind: 'event', event: { kind: 'malformed', from, reason } })
    return
  }
  if (result.message.kind === 'response') receiveResponse(endpoint, result.message, now)
  else receiveRequest(endpoint, result.message, from, now)
}

function receiveResponse(endpoint: Endpoint, response: SipResponse, now: number): void {
  const via = topVia(response)
  const cseq = cseqOf(response)
  if (via === null || cseq === null || via.host.toLowerCase() !== endpoint.options.advertised.host.toLowerCase()) return
  const client = endpoint.clients.get(`${via.params.get('branch')} ${cseq.method}`)
  if (client === undefined) return
  if (client.tx.kind === 'invite-client' && response.status >= 300 && client.request !== null) {
    client.ack = writeMessage(ackOfRejection(client.request, response))
  }
  advance(endpoint, client, { kind: 'response', status: response.status }, now, response)
  if (response.status < 200) return
  client.request = null
  client.bytes = null
}

function receiveRequest(endpoint: Endpoint, message: SipRequest, from: Hop, now: number): void {
  const request = { ...message, ...complete(message, from) }
  const via = topVia(request)
  const cseq = cseqOf(request)
  if (via === null || cseq === null) return
  const key = serverKey(request, via, cseq.sequence)
  const held = endpoint.servers.get(key)
  if (request.method === 'ACK') {
    if (held?.tx.state === 'completed') advance(endpoint, held, { kind: 'ack' }, now)
    else if (held === undefined || held.tx.state === 'accepted') endpoint.user.onAck(request, now)
  } else if (request.method === 'CANCEL') {
    answerWithoutState(endpoint, request, { status: held === undefined ? 481 : 200, reason: null }, [], held?.toTag)
    if (held?.tx.state === 'proceeding') held.user?.cancelled(now)
  } else if (held !== undefined) advance(endpoint, held, { kind: 'request' }, now)
  else endpoint.user.onRequest({ request, from, replyTo: replyHop(via, from), key }, now)
}

/** The message with what its topmost Via must say before it is answered: where it came from (§18.2.1, RFC 3581 §4). */
function complete(message: Headed, from: Hop): { readonly headers: readonly HeaderField[] } {
  const at = message.headers.findIndex((field) => field.name === 'Via')
  const [first, ...others] = splitList(message.headers[at]?.value ?? '')
  const via = first === undefined ? null : parseVia(first)
  if (via === null) return message
  const wantsPort = via.params.has('rport')
  if (!wantsPort && via.host === from.host) return message
  const params = new Map([...via.params, ['received', from.host] as const])
  if (wantsPort) params.set('rport', String(from.port))
  const value = [writeVia({ ...via, params }), ...others].join(', ')
  return { headers: message.headers.with(at, { name: 'Via', value }) }
}

/** Where answers go (§18.2.2): back on the connection; with rport to the port that the request came from. */
function replyHop(via: Via, from: Hop): Hop {
  return from.transport === 'tcp' || via.params.has('rport') ? from : { ...from, port: via.port ?? DEFAULT_PORT }
}

function serverKey(request: SipRequest, via: Via, sequence: number): string {
  const method = request.method === 'ACK' || request.method === 'CANCEL' ? 'INVITE' : request.method
  const branch = via.params.get('branch') ?? ''
  if (branch.startsWith(BRANCH_COOKIE)) return `${method} ${branch} ${via.host.toLowerCase()}:${via.port ?? DEFAULT_PORT}`
  const tag = tagOf(headerValue(request, 'From') ?? '') ?? ''
  return `${method} ${request.uri} ${tag} ${headerValue(request, 'Call-ID')} ${sequence} ${writeVia({ ...via, params: NO_PARAMS })} ${branch}`
}

/** Takes a request. An INVITE is answered 100 at once; anything else waits for its user, 32 s at most. */
export function openServer(endpoint: Endpoint, arrival: Arrival, user: ServerUser | null, now: number): ServerTransaction {
  const { request, key, replyTo: hop } = arrival
  const reliable = hop.transport === 'tcp'
  const tx = request.method === 'INVITE' ? startInviteServer(reliable) : startRequestServer(reliable, now)
  const alarm = makeAlarm((at) => runTimers(endpoint, server, at))
  const server: ServerTransaction = { key, hop, toTag: endpoint.options.token(), alarm, user, tx, request, bytes: null }
  hold(endpoint, endpoint.servers, server)
  setAlarm(endpoint.alarms, alarm, nextTimer(tx)?.at ?? null)
  if (request.method === 'INVITE') respond(endpoint, server, { status: 100 }, now)
  return server
}

export interface Answer {
  readonly status: number
  readonly extra?: readonly ExtraHeader[]
  readonly body?: Uint8Array
}

/** Answers a request that was taken; nothing happens when it has its final response. */
export function respond(endpoint: Endpoint, server: ServerTransaction, answer: Answer, now: number): void {
  if (server.request === null || server.tx.state === 'terminated') return
  const { status, extra = [], body } = answer
  const fields = [...extra, ...contentType(extra, body), serverField(endpoint)]
  const toTag = status === 100 ? null : server.toTag
  server.bytes = writeMessage(responseTo(server.request, { status, reason: reasonOf(status), toTag, extra: fields, ...(body ? { body } : {}) }))
  if (status >= 200) server.request = null
  advance(endpoint, server, { kind: 'respond', status }, now)
}

/** The ACK of a 2xx came. False when it was known already, or nothing waits for it. */
export function acknowledge(endpoint: Endpoint, server: ServerTransaction, now: number): boolean {
  const before = server.tx
  advance(endpoint, server, { kind: 'ack' }, now)
  return server.tx !== before
}

/** Answers without keeping anything. A repeat gets the very same answer; the ACK of a refused INVITE falls on the floor. */
export function refuse(endpoint: Endpoint, arrival: Arrival, status: number, extra: readonly ExtraHeader[] = []): void {
  answerWithoutState(endpoint, arrival.request, { status, reason: null }, extra, undefined, arrival.replyTo)
}

function answerWithoutState(
  endpoint: Endpoint,
  request: Headed,
  answer: { readonly status: number; readonly reason: string | null },
  extra: readonly ExtraHeader[],
  knownTag?: string,
  replyTo?: Hop,
): void {
  const via = topVia(request)
  if (via === null) return
  const toTag = knownTag ?? endpoint.options.hash('md5', `${via.params.get('branch')} ${headerValue(request, 'Call-ID')}`).slice(0, 16)
  const { status, reason } = answer
  const response = responseTo(request, { status, reason: reason ?? reasonOf(status), toTag, extra: [...extra, serverField(endpoint)] })
  endpoint.outputs.push({ kind: 'send', bytes: writeMessage(response), to: replyTo ?? lastHop(via) })
}

/** The hop that a malformed or refused request came by, as `complete` wrote it into the Via. */
const lastHop = (via: Via): Hop => ({
  transport: via.transport === 'TCP' ? 'tcp' : 'udp',
  host: via.params.get('received') ?? via.host,
  port: Number(via.params.get('rport') || (via.port ?? DEFAULT_PORT)),
})

/** Sends a request that was composed without Via, in a transaction of its own. */
export function sendRequest(endpoint: Endpoint, request: SipRequest, hop: Hop, user: ClientUser | null, now: number): ClientTransaction {
  const branch = BRANCH_COOKIE + endpoint.options.token()
  return openClient(endpoint, addressed(endpoint, request, hop, branch), branch, hop, user, now)
}

/** A client request whose 401 and 407 are answered with credentials, each repeat a transaction of its own. */
export interface Ask {
  client: ClientTransaction
  /** As composed, without Via; the newest repeat. */
  request: SipRequest
  answered: Challenges
  rounds: number
  /** True: a challenge is handed to the user like any other final response. */
  gaveUp: boolean
}

/** @param nextSequence Takes the CSeq of a repeat. */
export function ask(
  endpoint: Endpoint,
  request: SipRequest,
  hop: Hop,
  question: { readonly wallet: Wallet | null; readonly nextSequence: () => number; readonly user: ClientUser },
  now: number,
): Ask {
  const { wallet, nextSequence, user } = question
  const asking: ClientUser = {
    failed: user.failed,
    response: (response, at) => {
      const challenged = (response.status === 401 || response.status === 407) && wallet !== null && !state.gaveUp
      const next = challenged ? withCredentials(state.request, response, { ...state, wallet, nextSequence, options: endpoint.options }) : null
      if (next === null) return user.response(response, at)
      Object.assign(state, next)
      state.rounds++
      state.client = sendRequest(endpoint, state.request, hop, asking, at)
    },
  }
  const state: Ask = { client: sendRequest(endpoint, request, hop, asking, now), request, answered: new Map(), rounds: 0, gaveUp: false }
  return state
}

/** Sends the CANCEL of an INVITE that has a provisional response and no final one; else nothing happens (§9.1). */
export function sendCancel(endpoint: Endpoint, client: ClientTransaction, now: number): void {
  if (client.request === null || client.tx.state !== 'proceeding') return
  const { request, branch, hop } = client
  advance(endpoint, client, { kind: 'cancelled' }, now)
  openClient(endpoint, cancelOf(request), branch, hop, null, now)
}

/** Sends the ACK of a 2xx. @returns its bytes, to be sent again for every repeat of that 2xx. */
export function sendAck(endpoint: Endpoint, ack: SipRequest, hop: Hop): Uint8Array {
  const bytes = writeMessage(addressed(endpoint, ack, hop, BRANCH_COOKIE + endpoint.options.token()))
  endpoint.outputs.push({ kind: 'send', bytes, to: hop })
  return bytes
}

function addressed(endpoint: Endpoint, request: SipRequest, hop: Hop, branch: string): SipRequest {
  const { advertised, product } = endpoint.options
  const via = newVia(hop.transport === 'tcp' ? 'TCP' : 'UDP', advertised.host, advertised.port, branch)
  return { ...request, headers: [{ name: 'Via', value: writeVia(via) }, ...request.headers, { name: 'User-Agent', value: product }] }
}

function openClient(endpoint: Endpoint, request: SipRequest, branch: string, hop: Hop, user: ClientUser | null, now: number): ClientTransaction {
  const start = request.method === 'INVITE' ? startInviteClient : startRequestClient
  const [tx] = start(hop.transport === 'tcp', now)
  const bytes = writeMessage(request)
  const alarm = makeAlarm((at) => runTimers(endpoint, client, at))
  const client: ClientTransaction = { key: `${branch} ${request.method}`, branch, hop, user, alarm, tx, request, bytes, ack: null }
  hold(endpoint, endpoint.clients, client)
  setAlarm(endpoint.alarms, alarm, nextTimer(tx)?.at ?? null)
  endpoint.outputs.push({ kind: 'send', bytes, to: hop })
  return client
}

/** Fails what still needs that hop. Dialogs as such live on: their next request may find another way. */
export function failHop(endpoint: Endpoint, hop: Hop, now: number): void {
  for (const held of [...(endpoint.byHop.get(hopKey(hop)) ?? [])]) advance(endpoint, held, { kind: 'transport-error' }, now)
}

type Held = ClientTransaction | ServerTransaction

/** One input to one transaction; the state is in place before its user hears of it, who may well act at once. */
function advance(endpoint: Endpoint, held: Held, input: Input, now: number, response?: SipResponse): void {
  const [tx, outputs] = step(held.tx, input, now)
  if (tx !== held.tx) settle(endpoint, held, tx)
  for (const output of outputs) {
    switch (output.kind) {
      case 'send': {
        const bytes = output.what === 'ack' && 'ack' in held ? held.ack : held.bytes
        if (bytes !== null) endpoint.outputs.push({ kind: 'send', bytes, to: held.hop })
        break
      }
      case 'deliver': // A server's user learns of its ACK from `acknowledge`.
        if (response !== undefined && 'ack' in held) held.user?.response(response, now)
        break
      case 'failed':
        held.user?.failed(output.reason, now)
        break
    }
  }
}

function settle(endpoint: Endpoint, held: Held, tx: Transaction): void {
  // The kind of a transaction never changes in a step.
  held.tx = tx as typeof held.tx
  if (tx.state !== 'terminated') return setAlarm(endpoint.alarms, held.alarm, nextTimer(tx)?.at ?? null)
  dropAlarm(held.alarm)
  if ('ack' in held) endpoint.clients.delete(held.key)
  else endpoint.servers.delete(held.key)
  const sharing = endpoint.byHop.get(hopKey(held.hop))
  sharing?.delete(held)
  if (sharing?.size === 0) endpoint.byHop.delete(hopKey(held.hop))
}

function runTimers(endpoint: Endpoint, held: Held, now: number): void {
  for (let next = nextTimer(held.tx); next !== null && next.at <= now; next = nextTimer(held.tx)) {
    advance(endpoint, held, { kind: 'deadline', timer: next.timer }, now)
  }
}

function hold<T extends Held>(endpoint: Endpoint, table: Map<string, T>, held: T): void {
  table.set(held.key, held)
  const key = hopKey(held.hop)
  const sharing = endpoint.byHop.get(key)
  if (sharing === undefined) endpoint.byHop.set(key, new Set([held]))
  else sharing.add(held)
}

const hopKey = (hop: Hop): string => `${hop.transport} ${hop.host} ${hop.port}`
const serverField = (endpoint: Endpoint): HeaderField => ({ name: 'Server', value: endpoint.options.product })
