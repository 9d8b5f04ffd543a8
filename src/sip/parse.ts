/**
 * Bytes to a SIP message (RFC 3261 §7, §18.3, §25.1). One rule: what passes here is safe to route by. Everything a
 * transaction or dialog is matched by (Via, From, To, Call-ID, CSeq, lengths, address lists) has been checked and is
 * unambiguous; anything else about the message is left to whoever understands it. Never throws; linear in its input.
 */
import { BRANCH_COOKIE, cseqOf, listValues, parseCount, topVia, vias } from './header.ts'
import { headerValue } from './message.ts'
import type { Headed, HeaderField, SipMessage } from './message.ts'
import { MAX_URI_CHARS, parseNameAddr, parseUri, trimBlanks } from './uri.ts'

/** Start line and header fields together. */
export const MAX_HEAD_BYTES = 65_536
/** Longest body; datagrams cannot carry more. */
export const MAX_BODY_BYTES = 65_536
export const MAX_HEADERS = 256
export const MAX_METHOD_CHARS = 64
export const MAX_VIAS = 70
/** Contact, Route and Record-Route elements, each list. */
export const MAX_ADDRESSES = 64
/** Call-ID and tags are kept for as long as a dialog is. */
export const MAX_CALL_ID_CHARS = 256
export const MAX_TAG_CHARS = 256
export const MAX_BRANCH_CHARS = 256

/** What is needed to answer a malformed request without keeping anything of it (RFC 3261 §8.2.7). */
export interface PartialRequest {
  readonly method: string
  /** Its Via fields, From, To, Call-ID and CSeq, as received: the head of the answer. The topmost Via can be read. */
  readonly headers: readonly HeaderField[]
}

export type ParseResult =
  | { readonly kind: 'message'; readonly message: SipMessage }
  | {
      readonly kind: 'malformed'
      /** To answer with: 400, 414 (URI too long), 505 (not SIP/2.0), 513 (too large). */
      readonly status: number
      /** For the log and the answer's reason phrase; holds nothing that the peer wrote. */
      readonly reason: string
      /** Null for responses, for ACK, and when too little could be read: drop it. */
      readonly answerable: PartialRequest | null
    }

/**
 * Reads one datagram, or one message that a framer cut out of a stream. In a datagram the body ends where Content-Length
 * says and the rest is ignored; without Content-Length it is all of the rest (RFC 3261 §18.3). Of a stream, the field
 * must be there and be exact.
 */
export function parseMessage(bytes: Uint8Array, options: { readonly stream: boolean } = { stream: false }): ParseResult {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const start = skipNewlines(buffer)
  const end = buffer.subarray(start, start + MAX_HEAD_BYTES + END_OF_HEAD.length).indexOf(END_OF_HEAD)
  if (end < 0) return malformed(buffer.length - start > MAX_HEAD_BYTES ? TOO_LARGE : { status: 400, reason: 'Header Fields Without End' }, null)
  const text = decodeHead(buffer.subarray(start, start + end))
  if (UNSAFE.test(text)) return malformed({ status: 400, reason: 'Control Character' }, null)
  const lines = text.split('\r\n')
  const startLine = readStartLine(lines[0] ?? '')
  if (startLine === null) return malformed({ status: 400, reason: 'Malformed Start Line' }, null)
  const fields = readFields(lines)
  const headed: Headed = { headers: fields.headers }
  const body = cutBody(headed, buffer.subarray(start + end + END_OF_HEAD.length), options.stream)
  const fault = startLine.fault ?? fields.fault ?? faultOf(startLine, headed) ?? (body instanceof Uint8Array ? null : body)
  if (fault !== null || !(body instanceof Uint8Array)) {
    return malformed(
      fault ?? { status: 400, reason: 'Malformed Message' },
      startLine.kind === 'request' ? answerableOf(startLine.method, headed) : null,
    )
  }
  const { headers } = headed
  if (startLine.kind === 'request')
    return { kind: 'message', message: { kind: 'request', method: startLine.method, uri: startLine.uri, headers, body } }
  return { kind: 'message', message: { kind: 'response', status: startLine.status, reason: startLine.reason, headers, body } }
}

/** The name in canonical spelling: compact forms expanded, unknown ones as they are (RFC 3261 §7.3.3). */
export function canonicalName(name: string): string {
  return CANONICAL.get(name.toLowerCase()) ?? name
}

interface Fault {
  readonly status: number
  readonly reason: string
}

type StartLine =
  | { readonly kind: 'request'; readonly method: string; readonly uri: string; readonly fault: Fault | null }
  | { readonly kind: 'response'; readonly status: number; readonly reason: string; readonly fault: Fault | null }

const END_OF_HEAD = Buffer.from('\r\n\r\n')
const TOO_LARGE: Fault = { status: 513, reason: 'Message Too Large' }
const CR = 0x0d
const LF = 0x0a
/** A CR or LF alone would be a line end to somebody else; other control characters may only stand escaped in a quoted string. */
const UNSAFE = /\r(?!\n)|(?<!\r)\n|(?<!\\)[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/
const NON_ASCII = /[\u0080-\u00ff]/
const TOKEN = /^[A-Za-z0-9\-.!%*_+`'~]+$/
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Fields that name the message or bound it: two of one kind and nobody can say which counts. */
const ONLY_ONCE = ['from', 'to', 'call-id', 'cseq', 'content-length', 'max-forwards'] as const

/** Canonical spellings (RFC 3261 §20 and the extensions that pass here). */
const NAMES = [
  'Accept Accept-Contact Accept-Encoding Accept-Language Alert-Info Allow Allow-Events Authentication-Info Authorization Call-ID Call-Info',
  'Contact Content-Disposition Content-Encoding Content-Language Content-Length Content-Type CSeq Date Diversion Error-Info Event Expires From',
  'History-Info Identity Identity-Info In-Reply-To Join Max-Forwards MIME-Version Min-Expires Min-SE Organization P-Asserted-Identity',
  'P-Preferred-Identity Path Priority Privacy Proxy-Authenticate Proxy-Authorization Proxy-Require RAck Reason Record-Route Refer-To Referred-By',
  'Reject-Contact Replaces Reply-To Request-Disposition Require Retry-After Route RSeq Server Service-Route Session-Expires Subject',
  'Subscription-State Supported Timestamp To Unsupported User-Agent Via Warning WWW-Authenticate',
].flatMap((line) => line.split(' '))

/** Compact forms, `letter=name`. */
const COMPACT = [
  'a=Accept-Contact b=Referred-By c=Content-Type d=Request-Disposition e=Content-Encoding f=From i=Call-ID j=Reject-Contact k=Supported',
  'l=Content-Length m=Contact n=Identity-Info o=Event r=Refer-To s=Subject t=To u=Allow-Events v=Via x=Session-Expires y=Identity',
].flatMap((line) => line.split(' '))

const CANONICAL: ReadonlyMap<string, string> = new Map([
  ...NAMES.map((name): [string, string] => [name.toLowerCase(), name]),
  ...COMPACT.map((pair): [string, string] => [pair.slice(0, 1), pair.slice(2)]),
])

function malformed(fault: Fault, answerable: PartialRequest | null): ParseResult {
  return { kind: 'malformed', status: fault.status, reason: fault.reason, answerable }
}

/** Line ends before the start line are to be ignored (RFC 3261 §7.5). */
function skipNewlines(buffer: Buffer): number {
  let at = 0
  while (buffer[at] === CR && buffer[at + 1] === LF) at += 2
  return at
}

/** UTF-8 where it is UTF-8 (RFC 3261 §7.3.1 says so), else Latin-1: no peer's spelling is lost or refused. */
function decodeHead(head: Buffer): string {
  const text = head.toString('latin1')
  if (!NON_ASCII.test(text)) return text
  try {
    return UTF8.decode(head)
  } catch {
    return text
  }
}

/** Null when it is neither a request nor a response line at all. Exactly one space between the parts (RFC 3261 §7.1). */
function readStartLine(line: string): StartLine | null {
  const first = line.indexOf(' ')
  const head = first < 0 ? line : line.slice(0, first)
  if (/^SIP\//i.test(head)) return readStatusLine(head, line.slice(head.length))
  if (first < 0 || head.length > MAX_METHOD_CHARS || !TOKEN.test(head)) return null
  const last = line.lastIndexOf(' ')
  const uri = line.slice(first + 1, last)
  const version = line.slice(last + 1)
  return { kind: 'request', method: head, uri, fault: requestLineFault(uri, version) }
}

function requestLineFault(uri: string, version: string): Fault | null {
  if (!/^SIP\/\d+\.\d+$/i.test(version) || uri === '' || /[ \t]/.test(uri)) return { status: 400, reason: 'Malformed Request-Line' }
  if (!/^SIP\/2\.0$/i.test(version)) return { status: 505, reason: 'Version Not Supported' }
  if (uri.length > MAX_URI_CHARS) return { status: 414, reason: 'Request-URI Too Long' }
  const parsed = parseUri(uri)
  // Headers are not allowed in a Request-URI (RFC 3261 §19.1.1): somebody could smuggle a Route in.
  return parsed === null || parsed.headers !== '' ? { status: 400, reason: 'Malformed Request-URI' } : null
}

function readStatusLine(version: string, rest: string): StartLine | null {
  const found = /^ ([1-6]\d\d)(?: (.*))?$/.exec(rest)
  if (found === null || !/^SIP\/2\.0$/i.test(version)) return null
  return { kind: 'response', status: Number(found[1]), reason: found[2] ?? '', fault: null }
}

/** Lines after the first into fields, folded lines joined by one space. Faulty lines are left out and the first named. */
function readFields(lines: readonly string[]): { readonly headers: readonly HeaderField[]; readonly fault: Fault | null } {
  const headers: HeaderField[] = []
  let fault: Fault | null = null
  let next = 1
  while (next < lines.length) {
    const line = lines[next] ?? ''
    next++
    const folded: string[] = []
    while (next < lines.length && /^[ \t]/.test(lines[next] ?? '')) folded.push(trimBlanks(lines[next++] ?? ''))
    if (headers.length === MAX_HEADERS) return { headers, fault: fault ?? { status: 400, reason: 'Too Many Header Fields' } }
    const field = readField(line, folded)
    if (field === null) fault ??= { status: 400, reason: 'Malformed Header Field' }
    else headers.push(field)
  }
  return { headers, fault }
}

function readField(line: string, folded: readonly string[]): HeaderField | null {
  const colon = line.indexOf(':')
  const name = colon < 0 ? '' : trimBlanks(line.slice(0, colon))
  if (!TOKEN.test(name) || line.startsWith(' ') || line.startsWith('\t')) return null
  const value = trimBlanks(line.slice(colon + 1))
  return { name: canonicalName(name), value: folded.length === 0 ? value : trimBlanks([value, ...folded].join(' ')) }
}

/** Checks in the order in which a fault would hurt most: identity first, then addresses, then numbers. */
function faultOf(startLine: StartLine, headed: Headed): Fault | null {
  return (
    missingOrDouble(headed) ??
    viaFault(startLine, headed) ??
    identityFault(startLine, headed) ??
    addressFault(headed) ??
    numberFault(headed) ??
    (startLine.kind === 'request' ? dateFault(headed) : null)
  )
}

function missingOrDouble(headed: Headed): Fault | null {
  const counts = new Map<string, number>()
  for (const field of headed.headers) {
    const name = field.name.toLowerCase()
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  for (const name of ONLY_ONCE) {
    if ((counts.get(name) ?? 0) > 1) return { status: 400, reason: `Duplicate ${canonicalName(name)}` }
  }
  for (const name of ['Via', 'From', 'To', 'Call-ID', 'CSeq']) {
    if (!headerValue(headed, name)) return { status: 400, reason: `Missing ${name}` }
  }
  return null
}

/**
 * A branch that is the cookie and nothing more would let all such requests pass for one (RFC 4475 §3.2.1). A branch
 * without the cookie, or none, is RFC 2543's: legal, and for the transaction layer to deal with.
 */
function viaFault(startLine: StartLine, headed: Headed): Fault | null {
  const list = vias(headed)
  const top = list?.[0]
  if (list === null || top === undefined) return { status: 400, reason: 'Malformed Via' }
  if (list.length > MAX_VIAS) return { status: 400, reason: 'Too Many Via' }
  const branch = top.params.get('branch')
  if (branch !== undefined && (branch === BRANCH_COOKIE || !isPlain(branch, MAX_BRANCH_CHARS))) return { status: 400, reason: 'Malformed Branch' }
  return startLine.kind === 'request' && top.protocol.toUpperCase() !== 'SIP/2.0' ? { status: 400, reason: 'Malformed Via' } : null
}

function identityFault(startLine: StartLine, headed: Headed): Fault | null {
  const cseq = cseqOf(headed)
  if (cseq === null) return { status: 400, reason: 'Malformed CSeq' }
  if (startLine.kind === 'request' && cseq.method !== startLine.method) return { status: 400, reason: 'CSeq Method Mismatch' }
  const callId = headerValue(headed, 'Call-ID') ?? ''
  if (callId.length > MAX_CALL_ID_CHARS || /[ \t]/.test(callId)) return { status: 400, reason: 'Malformed Call-ID' }
  for (const name of ['From', 'To']) {
    const address = parseNameAddr(headerValue(headed, name) ?? '')
    const tag = address?.params.get('tag')
    if (address === null || (tag !== undefined && !isPlain(tag, MAX_TAG_CHARS))) return { status: 400, reason: `Malformed ${name}` }
  }
  return null
}

/** There, not too long, and such that it can be written again without quotes. */
function isPlain(value: string, maxChars: number): boolean {
  return value !== '' && value.length <= maxChars && !/[ \t;,"<>\\]/.test(value)
}

function addressFault(headed: Headed): Fault | null {
  for (const name of ['Contact', 'Route', 'Record-Route']) {
    const values = listValues(headed, name)
    if (values.length > MAX_ADDRESSES) return { status: 400, reason: `Too Many ${name}` }
    const isStar = name === 'Contact' && values.length === 1 && values[0] === '*'
    if (!isStar && values.some((value) => parseNameAddr(value) === null)) return { status: 400, reason: `Malformed ${name}` }
  }
  return null
}

function numberFault(headed: Headed): Fault | null {
  const hops = headerValue(headed, 'Max-Forwards')
  const read = hops === undefined ? 0 : parseCount(hops, 256)
  return read === null || read > 255 ? { status: 400, reason: 'Malformed Max-Forwards' } : null
}

/** SIP dates are in GMT (RFC 3261 §20.17). The date is not used here; a sender who gets it wrong is told (RFC 4475 §3.1.2.12). */
function dateFault(headed: Headed): Fault | null {
  const date = headerValue(headed, 'Date')
  const valid = date === undefined || /^[A-Za-z]{3}, \d{1,2} [A-Za-z]{3} \d{4} \d\d:\d\d:\d\d GMT$/.test(date)
  return valid ? null : { status: 400, reason: 'Malformed Date' }
}

/** A copy, since the caller's buffer may be used again. */
function cutBody(headed: Headed, rest: Buffer, stream: boolean): Uint8Array | Fault {
  const value = headerValue(headed, 'Content-Length')
  if (value === undefined && stream) return { status: 400, reason: 'Missing Content-Length' }
  const length = value === undefined ? rest.length : parseCount(value, Number.MAX_SAFE_INTEGER)
  if (length === null || length > rest.length || (stream && length !== rest.length)) return { status: 400, reason: 'Malformed Content-Length' }
  return length > MAX_BODY_BYTES ? TOO_LARGE : new Uint8Array(rest.subarray(0, length))
}

/** ACK is never answered. Two Call-IDs (or From, To, CSeq) and the answer would belong to nobody. */
function answerableOf(method: string, headed: Headed): PartialRequest | null {
  if (method === 'ACK' || topVia(headed) === null) return null
  const headers = headed.headers.filter((field) => ['Via', 'From', 'To', 'Call-ID', 'CSeq'].includes(field.name))
  const once = (name: string) => headers.filter((field) => field.name === name && field.value !== '').length === 1
  if (!['From', 'To', 'Call-ID', 'CSeq'].every(once)) return null
  return { method, headers }
}
