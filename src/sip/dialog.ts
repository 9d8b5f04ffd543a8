/**
 * Dialogs (RFC 3261 §12) as values, and the messages that are made from them: requests, responses, ACK and CANCEL.
 * Nothing here sends; Via is added by `endpoint.ts`, which owns the branch.
 *
 * Two rules of our own, since nobody resolves names here:
 *  - A next hop that is an IP literal is used; a host name is reached by the hop that the dialog came up on.
 *  - A next hop whose address is the one the peer wrote for itself (Via) or was dialled by (Request-URI) is reached by
 *    the hop that worked for that, so that peers behind NAT and open TCP connections keep working.
 */
import { answerChallenge, isStale } from './digest.ts'
import { cseqOf, listValues, parseAuth, tagOf, topVia, withTag } from './header.ts'
import { headerValue, headerValues, NO_BODY, type Headed, type HeaderField, type SipRequest, type SipResponse } from './message.ts'
import { parseNameAddr, parseUri, writeHostPort, writeUri, type HostPort, type SipUri } from './uri.ts'
import type { Credentials, ExtraHeader, Hop, UserAgentOptions } from './user-agent.ts'

export const DEFAULT_PORT = 5060
export const MAX_FORWARDS = 70
/** What a user agent of this kind takes within a dialog. */
export const ALLOW: HeaderField = { name: 'Allow', value: 'INVITE, ACK, CANCEL, BYE, UPDATE, OPTIONS, INFO' }

/** The far end as we reach it: the hop, and the address that stands for it in messages (null: unknown). */
export interface Reach {
  readonly hop: Hop
  readonly as: HostPort | null
}

export interface Dialog {
  readonly callId: string
  readonly localTag: string
  /** '' for a peer of RFC 2543 that has none. */
  readonly remoteTag: string
  /** Our From value, tag included. */
  readonly local: string
  /** Our To value, tag included. */
  readonly remote: string
  /** Of our last request. */
  readonly localCSeq: number
  /** Of the peer's last request; null before the first. */
  readonly remoteCSeq: number | null
  /** The peer's Contact, as a URI. */
  readonly target: string
  /** Route values, next hop first. */
  readonly routes: readonly string[]
  readonly reach: Reach
}

/** Reads an INVITE that came in: its sender's dialog, once we have answered with `localTag` (§12.1.1). `replyTo`: where the answer goes. */
export function dialogOfInvite(invite: SipRequest, localTag: string, replyTo: Hop): Dialog {
  const fromValue = headerValue(invite, 'From') ?? ''
  return {
    callId: headerValue(invite, 'Call-ID') ?? '',
    localTag,
    remoteTag: tagOf(fromValue) ?? '',
    local: withTag(headerValue(invite, 'To') ?? '', localTag),
    remote: fromValue,
    localCSeq: 0,
    remoteCSeq: cseqOf(invite)?.sequence ?? null,
    target: contactUri(invite) ?? uriOf(fromValue) ?? invite.uri,
    routes: listValues(invite, 'Record-Route'),
    reach: { hop: replyTo, as: topVia(invite) },
  }
}

/** The dialog that a 101 to 2xx to our INVITE makes (§12.1.2). `hop` is where the INVITE went. */
export function dialogOfResponse(invite: SipRequest, response: SipResponse, hop: Hop): Dialog {
  const fromValue = headerValue(invite, 'From') ?? ''
  const toValue = headerValue(response, 'To') ?? ''
  const firstRoute = listValues(invite, 'Route')[0]
  return {
    callId: headerValue(invite, 'Call-ID') ?? '',
    localTag: tagOf(fromValue) ?? '',
    remoteTag: tagOf(toValue) ?? '',
    local: fromValue,
    remote: toValue,
    localCSeq: cseqOf(invite)?.sequence ?? 0,
    remoteCSeq: null,
    target: contactUri(response) ?? invite.uri,
    routes: listValues(response, 'Record-Route').toReversed(),
    reach: { hop, as: firstRoute === undefined ? parseUri(invite.uri) : (parseNameAddr(firstRoute)?.uri ?? null) },
  }
}

/** Takes the peer's newest address from its INVITE or UPDATE, or its 2xx to ours (§12.2.2). `replyTo`: where a request is answered to. */
export function refreshed(dialog: Dialog, message: SipRequest | SipResponse, replyTo: Hop | null): Dialog {
  const target = contactUri(message) ?? dialog.target
  const moved = message.kind === 'request' && replyTo !== null && dialog.routes.length === 0
  return { ...dialog, target, reach: moved ? { hop: replyTo, as: topVia(message) } : dialog.reach }
}

/** Where the next request of this dialog goes. */
export function nextHop(dialog: Dialog): Hop {
  const uri = nextUri(dialog)
  return uri === null ? dialog.reach.hop : hopOf(uri, dialog.reach)
}

/** The same when every connection of today is gone: over TCP the next element must be called at the address that it names. */
export function lastingHop(dialog: Dialog): Hop {
  const hop = nextHop(dialog)
  const uri = nextUri(dialog)
  if (hop.transport === 'udp' || uri === null || !isLiteral(uri.host)) return hop
  return { transport: 'tcp', host: uri.host, port: uri.port ?? DEFAULT_PORT }
}

function nextUri(dialog: Dialog): SipUri | null {
  const first = dialog.routes[0]
  return first === undefined ? parseUri(dialog.target) : (parseNameAddr(first)?.uri ?? null)
}

/** Where a URI is reached, given what already works (see the header). */
export function hopOf(uri: SipUri, reach: Reach): Hop {
  const asked = uri.params.get('transport')?.toLowerCase()
  const transport = asked === 'tcp' || asked === 'udp' ? asked : reach.hop.transport
  const port = uri.port ?? DEFAULT_PORT
  if (transport === reach.hop.transport) {
    if (!isLiteral(uri.host)) return reach.hop
    if (transport === 'tcp' && uri.host === reach.hop.host) return reach.hop
    if (reach.as !== null && uri.host === reach.as.host && port === (reach.as.port ?? DEFAULT_PORT)) return reach.hop
  }
  return isLiteral(uri.host) ? { transport, host: uri.host, port } : { ...reach.hop, transport }
}

/** A request within the dialog, with its CSeq; ACK alone takes the INVITE's (§12.2.1.1). */
export function requestWithin(
  dialog: Pick<Dialog, 'callId' | 'local' | 'remote' | 'target' | 'routes'>,
  method: string,
  sequence: number,
  extra: readonly ExtraHeader[],
  body: Uint8Array = NO_BODY,
): SipRequest {
  const [first, ...others] = dialog.routes
  const strict = first === undefined ? null : strictRouter(first)
  const target = strict === null ? dialog.target : writeUri({ ...strict, headers: '' })
  const routes = strict === null ? dialog.routes : [...others, `<${dialog.target}>`]
  const { callId, local, remote } = dialog
  return compose({ method, uri: target, from: local, to: remote, callId, sequence, routes, extra, body })
}

/** RFC 2543's routers do not say `lr`: they want to be the Request-URI (§12.2.1.1). */
function strictRouter(route: string): SipUri | null {
  const uri = parseNameAddr(route)?.uri
  return uri === undefined || uri.params.has('lr') ? null : uri
}

export interface RequestParts {
  readonly method: string
  readonly uri: string
  /** Values with their tags. */
  readonly from: string
  readonly to: string
  readonly callId: string
  readonly sequence: number
  readonly routes: readonly string[]
  readonly extra: readonly ExtraHeader[]
  readonly body: Uint8Array
}

/** A request but for its Via. */
export function compose(parts: RequestParts): SipRequest {
  const headers: HeaderField[] = [
    ...parts.routes.map((value) => ({ name: 'Route', value })),
    { name: 'Max-Forwards', value: String(MAX_FORWARDS) },
    { name: 'From', value: parts.from },
    { name: 'To', value: parts.to },
    { name: 'Call-ID', value: parts.callId },
    { name: 'CSeq', value: `${parts.sequence} ${parts.method}` },
    ...parts.extra,
    ...contentType(parts.extra, parts.body),
  ]
  return { kind: 'request', method: parts.method, uri: parts.uri, headers, body: parts.body }
}

/** A body without Content-Type among `extra` is SDP. */
export function contentType(extra: readonly ExtraHeader[], body: Uint8Array | undefined): readonly HeaderField[] {
  const named = body === undefined || body.length === 0 || extra.some((field) => field.name.toLowerCase() === 'content-type')
  return named ? [] : [{ name: 'Content-Type', value: 'application/sdp' }]
}

/** The usual phrase of a status. */
export const reasonOf = (status: number): string => REASONS[status] ?? CLASS_REASONS[Math.floor(status / 100)] ?? 'Unknown'

/**
 * A response to that request: its Via fields, From, To, Call-ID and CSeq copied (RFC 3261 §8.2.6.2), then `extra`.
 * `toTag` is added to a To without one; null leaves To as it is (100). Record-Route is copied as well when present, for
 * dialogs (§12.1.1). Also answers what is left of a malformed request.
 */
export function responseTo(
  request: Headed,
  answer: {
    readonly status: number
    readonly reason: string
    readonly toTag: string | null
    readonly extra?: readonly HeaderField[]
    readonly body?: Uint8Array
  },
): SipResponse {
  const headers: HeaderField[] = []
  for (const field of request.headers) {
    if (!COPIED.has(field.name)) continue
    headers.push(field.name === 'To' && answer.toTag !== null ? { name: 'To', value: withTag(field.value, answer.toTag) } : field)
  }
  return {
    kind: 'response',
    status: answer.status,
    reason: answer.reason,
    headers: [...headers, ...(answer.extra ?? [])],
    body: answer.body ?? NO_BODY,
  }
}
const COPIED: ReadonlySet<string> = new Set(['Via', 'From', 'To', 'Call-ID', 'CSeq', 'Record-Route'])

/** The ACK of a 3xx to 6xx: hop by hop, with the INVITE's own Via (§17.1.1.3). */
export function ackOfRejection(invite: SipRequest, response: SipResponse): SipRequest {
  const ack = likeInvite(invite, 'ACK')
  const to = headerValue(response, 'To') ?? ''
  return { ...ack, headers: ack.headers.map((field) => (field.name === 'To' ? { name: 'To', value: to } : field)) }
}

/** The CANCEL of an INVITE: the same but for the method, the INVITE's own Via included (§9.1). */
export const cancelOf = (invite: SipRequest): SipRequest => likeInvite(invite, 'CANCEL')

function likeInvite(invite: SipRequest, method: 'ACK' | 'CANCEL'): SipRequest {
  const headers = invite.headers
    .filter((field) => LIKE_INVITE.has(field.name))
    .map((field) => (field.name === 'CSeq' ? { name: 'CSeq', value: `${cseqOf(invite)?.sequence ?? 0} ${method}` } : field))
  return { kind: 'request', method, uri: invite.uri, headers, body: NO_BODY }
}
const LIKE_INVITE: ReadonlySet<string> = new Set(['Via', 'Route', 'Max-Forwards', 'From', 'To', 'Call-ID', 'CSeq', 'User-Agent'])

/** The credentials that the ACK of a 2xx repeats from its INVITE (§22.1). */
export function credentialFields(request: SipRequest): readonly HeaderField[] {
  return [...named(request, 'Authorization'), ...named(request, 'Proxy-Authorization')]
}
const named = (request: SipRequest, name: string): readonly HeaderField[] => headerValues(request, name).map((value) => ({ name, value }))

/** Credentials, and how often each nonce has been answered with them (`nc`, RFC 7616 §3.4). One per session or request. */
export interface Wallet {
  readonly credentials: Credentials
  readonly uses: Map<string, number>
}
export const makeWallet = (credentials: Credentials | null): Wallet | null => (credentials === null ? null : { credentials, uses: new Map() })

/** What the challenges to one request were, by the field that answers them. */
export type Challenges = ReadonlyMap<'Authorization' | 'Proxy-Authorization', readonly string[]>
/** Challenges to one request that are answered; two servers that both find a nonce stale once need four. */
export const MAX_CHALLENGES = 4
const MAX_NONCES = 32

/**
 * The same request with credentials and the next CSeq, after a 401 or 407 (§22.2, §22.3). A server that is still not
 * content gets no second try unless it calls the nonce stale; 401 and 407 may follow each other.
 * @returns null when the challenge cannot, or must not, be answered.
 */
export function withCredentials(
  request: SipRequest,
  response: SipResponse,
  asked: {
    readonly wallet: Wallet
    readonly answered: Challenges
    readonly rounds: number
    readonly nextSequence: () => number
    readonly options: UserAgentOptions
  },
): { readonly request: SipRequest; readonly answered: Challenges } | null {
  const [field, source] =
    response.status === 401 ? (['Authorization', 'WWW-Authenticate'] as const) : (['Proxy-Authorization', 'Proxy-Authenticate'] as const)
  const challenges = headerValues(response, source)
  if (asked.rounds >= MAX_CHALLENGES || (asked.answered.has(field) && !isStale(challenges))) return null
  const answered: Challenges = new Map([...asked.answered, [field, challenges] as const])
  const fields: HeaderField[] = []
  for (const [name, values] of answered) {
    const { wallet, options } = asked
    const nc = countUse(wallet, values)
    const value = answerChallenge({
      challenges: values,
      credentials: wallet.credentials,
      method: request.method,
      uri: request.uri,
      cnonce: options.token(),
      nc,
      hash: options.hash,
    })
    if (value === null) return null
    fields.push({ name, value })
  }
  const cseq = `${asked.nextSequence()} ${request.method}`
  const kept = request.headers
    .filter((header) => header.name !== 'Authorization' && header.name !== 'Proxy-Authorization')
    .map((header) => (header.name === 'CSeq' ? { name: 'CSeq', value: cseq } : header))
  return { request: { ...request, headers: [...kept, ...fields] }, answered }
}

function countUse(wallet: Wallet, challenges: readonly string[]): number {
  const nonces = challenges.map((value) => parseAuth(value)?.params.get('nonce') ?? '')
  const nc = 1 + Math.max(0, ...nonces.map((nonce) => wallet.uses.get(nonce) ?? 0))
  if (wallet.uses.size > MAX_NONCES) wallet.uses.clear()
  for (const nonce of nonces) wallet.uses.set(nonce, nc)
  return nc
}

/** Our Contact, for peers reached by `transport`. @param user Escaped user part, '' for none. */
export function contactField(options: UserAgentOptions, user: string, transport: 'udp' | 'tcp'): HeaderField {
  const { host, port } = options.advertised
  const address = writeHostPort({ host, port })
  return { name: 'Contact', value: `<sip:${user === '' ? '' : `${user}@`}${address}${transport === 'tcp' ? ';transport=tcp' : ''}>` }
}

/** The user part of a URI or of a From or To value, escapes kept; '' when it has none. */
export function userOf(uriOrAddress: string): string {
  return (parseUri(uriOrAddress) ?? parseNameAddr(uriOrAddress)?.uri)?.user ?? ''
}

function contactUri(message: SipRequest | SipResponse): string | null {
  const first = listValues(message, 'Contact')[0]
  return first === undefined ? null : uriOf(first)
}

function uriOf(value: string): string | null {
  const uri = parseNameAddr(value)?.uri
  return uri === undefined || (uri.scheme !== 'sip' && uri.scheme !== 'sips') ? null : writeUri({ ...uri, headers: '' })
}

/** Whether a host is an address rather than a name. */
export const isLiteral = (host: string): boolean => host.includes(':') || /^\d{1,3}(\.\d{1,3}){3}$/.test(host)

const CLASS_REASONS: Readonly<Record<number, string>> = {
  1: 'Progress',
  2: 'OK',
  3: 'Redirected',
  4: 'Request Failed',
  5: 'Server Failed',
  6: 'Declined Everywhere',
}
const REASONS: Readonly<Record<number, string>> = {
  100: 'Trying',
  180: 'Ringing',
  181: 'Call Is Being Forwarded',
  182: 'Queued',
  183: 'Session Progress',
  200: 'OK',
  202: 'Accepted',
  300: 'Multiple Choices',
  301: 'Moved Permanently',
  302: 'Moved Temporarily',
  305: 'Use Proxy',
  380: 'Alternative Service',
  400: 'Bad Request',
  401: 'Unauthorized',
  402: 'Payment Required',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  407: 'Proxy Authentication Required',
  408: 'Request Timeout',
  410: 'Gone',
  413: 'Request Entity Too Large',
  414: 'Request-URI Too Long',
  415: 'Unsupported Media Type',
  416: 'Unsupported URI Scheme',
  420: 'Bad Extension',
  421: 'Extension Required',
  423: 'Interval Too Brief',
  480: 'Temporarily Unavailable',
  481: 'Call/Transaction Does Not Exist',
  482: 'Loop Detected',
  483: 'Too Many Hops',
  484: 'Address Incomplete',
  485: 'Ambiguous',
  486: 'Busy Here',
  487: 'Request Terminated',
  488: 'Not Acceptable Here',
  489: 'Bad Event',
  491: 'Request Pending',
  493: 'Undecipherable',
  500: 'Server Internal Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Server Time-out',
  505: 'Version Not Supported',
  513: 'Message Too Large',
  600: 'Busy Everywhere',
  603: 'Decline',
  604: 'Does Not Exist Anywhere',
  606: 'Not Acceptable',
}
