/**
 * SIP, SIPS and tel URIs, name-addr, and the parameters that hang on both (RFC 3261 §19.1, §20.10, §25.1).
 * One rule: every scan is linear in its input, and what a peer wrote becomes a Map, never an object's keys.
 */

/** Longest URI that is read; longer ones are malformed. */
export const MAX_URI_CHARS = 2048

/** Names in lower case, in order; the value is '' for a parameter without one. Quoted values are unquoted. */
export type Params = ReadonlyMap<string, string>

export const NO_PARAMS: Params = new Map()

export interface SipUri {
  /** Lower case: `sip`, `sips`, `tel` or any other. */
  readonly scheme: string
  /** As on the wire, escapes kept (`userText` decodes); the number of a tel URI; '' for none. */
  readonly user: string
  readonly password: string | null
  /** Name or address as written; IPv6 without brackets. '' unless the scheme is sip or sips. */
  readonly host: string
  /** 1 to 65535. */
  readonly port: number | null
  readonly params: Params
  /** What follows `?`, unread; '' for none. */
  readonly headers: string
  /** What follows the scheme, for schemes other than sip, sips and tel; else ''. */
  readonly opaque: string
}

/** `"display" <uri>;params`, or the bare `uri;params` (RFC 3261 §20.10): both forms look the same once read. */
export interface NameAddr {
  /** Unquoted and unescaped; '' for none. */
  readonly display: string
  readonly uri: SipUri
  /** The header field's parameters (tag, expires, q, …), not the URI's. */
  readonly params: Params
}

export interface HostPort {
  /** IPv6 without brackets. */
  readonly host: string
  readonly port: number | null
}

/** Null when the text is not a URI. A scheme we do not know is no error: answering 416 is the caller's. */
export function parseUri(text: string): SipUri | null {
  if (text.length > MAX_URI_CHARS || NOT_IN_URI.test(text)) return null
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text)?.[1]
  if (scheme === undefined) return null
  const rest = text.slice(scheme.length + 1)
  const lower = scheme.toLowerCase()
  if (lower === 'sip' || lower === 'sips') return parseSipRest(lower, rest)
  if (lower === 'tel') return parseTelRest(rest)
  return rest === '' ? null : { ...EMPTY_URI, scheme: lower, opaque: rest }
}

export function writeUri(uri: SipUri): string {
  if (uri.scheme === 'tel') return `tel:${uri.user}${writeUriParams(uri.params)}`
  if (uri.scheme !== 'sip' && uri.scheme !== 'sips') return `${uri.scheme}:${uri.opaque}`
  const password = uri.password === null ? '' : `:${uri.password}`
  const user = uri.user === '' ? '' : `${uri.user}${password}@`
  const headers = uri.headers === '' ? '' : `?${uri.headers}`
  return `${uri.scheme}:${user}${writeHostPort(uri)}${writeUriParams(uri.params)}${headers}`
}

/** The user part decoded; as written where its escapes are not UTF-8. May hold any character, NUL included. */
export function userText(uri: SipUri): string {
  return unescapeUri(uri.user)
}

/** Escapes text for the user part of a SIP URI (RFC 3261 §25.1 `user`). */
export function escapeUser(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(/%(?:2B|26|3D|24|2C|3B|3F|2F)/g, (escaped) => decodeURIComponent(escaped))
}

/** Equality by RFC 3261 §19.1.4: case, escapes, and which parameters may be missing on one side. */
export function sameUri(left: SipUri, right: SipUri): boolean {
  if (left.scheme !== right.scheme || left.opaque !== right.opaque) return false
  if (unescapeUri(left.user) !== unescapeUri(right.user) || left.password !== right.password) return false
  if (left.host.toLowerCase() !== right.host.toLowerCase() || left.port !== right.port) return false
  return sameUriParams(left.params, right.params) && sameHeaders(left.headers, right.headers)
}

/** Null when the text is neither form. A bare URI with `?` or `,` needs brackets (RFC 3261 §20.10) and is refused. */
export function parseNameAddr(text: string): NameAddr | null {
  const trimmed = trimBlanks(text)
  const named = NAME_ADDR.exec(trimmed)
  if (named !== null) {
    const uri = parseUri(named[3] ?? '')
    const params = parseParams(trimmed, named[0].length)
    if (uri === null || params === null) return null
    return { display: named[1] !== undefined ? unquote(named[1]) : trimBlanks(named[2] ?? ''), uri, params }
  }
  const semicolon = trimmed.indexOf(';')
  const end = semicolon < 0 ? trimmed.length : semicolon
  const bare = trimBlanks(trimmed.slice(0, end))
  const uri = /[?,]/.test(bare) ? null : parseUri(bare)
  const params = parseParams(trimmed, end)
  return uri === null || params === null ? null : { display: '', uri, params }
}

/** Always with angle brackets, so that the URI's own parameters stay its own. */
export function writeNameAddr(address: NameAddr): string {
  const display = address.display === '' ? '' : `${quote(address.display)} `
  return `${display}<${writeUri(address.uri)}>${writeParams(address.params)}`
}

/** `;name=value` pairs from `from` to the end of the text. Null when anything else is there, or a name comes twice (RFC 3261 §7.3.1). */
export function parseParams(text: string, from: number): Params | null {
  if (from === text.length) return NO_PARAMS
  const params = new Map<string, string>()
  PARAM.lastIndex = from
  while (PARAM.lastIndex < text.length) {
    const found = PARAM.exec(text)
    if (found === null) return null
    if (found[1] === undefined) continue
    const name = found[1].toLowerCase()
    if (params.has(name)) return null
    params.set(name, found[2] !== undefined ? unquote(found[2]) : (found[3] ?? ''))
  }
  return params
}

export function writeParams(params: Params): string {
  let text = ''
  for (const [name, value] of params) text += value === '' ? `;${name}` : `;${name}=${PLAIN_VALUE.test(value) ? value : quote(value)}`
  return text
}

/** `host[:port]` from `from`; `end` is where it stopped. Null when no host stands there or the port is not 1 to 65535. */
export function scanHostPort(text: string, from: number): (HostPort & { readonly end: number }) | null {
  HOST_PORT.lastIndex = from
  const found = HOST_PORT.exec(text)
  if (found === null) return null
  const port = found[3] === undefined ? null : parsePort(found[3])
  const host = found[1] === undefined ? found[2] : readIpv6(found[1])
  return port === undefined || host === undefined ? null : { host, port, end: HOST_PORT.lastIndex }
}

export function writeHostPort(at: HostPort): string {
  const host = at.host.includes(':') ? `[${at.host}]` : at.host
  return at.port === null ? host : `${host}:${at.port}`
}

export function quote(text: string): string {
  return `"${text.replace(/["\\\u0000-\u0008\u000a-\u001f\u007f]/g, '\\$&')}"`
}

/** The content of a quoted string without its quotes: drops the backslash of each quoted pair. */
export function unquote(inner: string): string {
  return inner.includes('\\') ? inner.replace(/\\([^])/g, '$1') : inner
}

/** Without blanks (space, tab) at both ends. `String.trim` would also eat a byte-order mark and other Unicode spaces. */
export function trimBlanks(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return start === 0 && end === text.length ? text : text.slice(start, end)
}

const EMPTY_URI: SipUri = { scheme: '', user: '', password: null, host: '', port: null, params: NO_PARAMS, headers: '', opaque: '' }
const NOT_IN_URI = /[\u0000-\u0020\u007f<>"\\]|%(?![0-9A-Fa-f]{2})/
const URI_PARAM = /^[A-Za-z0-9\-_.!~*'()%[\]/:&+$\u0080-\uffff]+$/
const HOST_PORT = /(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9_](?:[A-Za-z0-9._-]*)))(?:[ \t]*:[ \t]*([0-9]+))?/y
/** Without quotes, a display name should be tokens; gateways write `Desk (2)` and `a@b`, which nothing else can be mistaken for. */
const NAME_ADDR = /^(?:"([^"\\]*(?:\\[^][^"\\]*)*)"[ \t]*|([^"\\<>,;]*))<([^<>]*)>/
const PARAM = /[ \t]*;[ \t]*(?:([A-Za-z0-9\-.!%*_+`'~]+)(?:[ \t]*=[ \t]*(?:"([^"\\]*(?:\\[^][^"\\]*)*)"|([^ \t;,"<>\\]+)))?)?[ \t]*/y
const PLAIN_VALUE = /^[A-Za-z0-9\-.!%*_+`'~[\]:/@]+$/

function parseSipRest(scheme: string, rest: string): SipUri | null {
  const at = rest.indexOf('@')
  const userInfo = at < 0 ? null : rest.slice(0, at)
  const colon = userInfo === null ? -1 : userInfo.indexOf(':')
  const user = userInfo === null ? '' : colon < 0 ? userInfo : userInfo.slice(0, colon)
  if (userInfo !== null && user === '') return null
  const password = userInfo === null || colon < 0 ? null : userInfo.slice(colon + 1)
  const host = scanHostPort(rest, at + 1)
  if (host === null) return null
  const question = rest.indexOf('?', host.end)
  const params = parseUriParams(rest.slice(host.end, question < 0 ? undefined : question))
  const headers = question < 0 ? '' : rest.slice(question + 1)
  if (params === null || headers.includes('@')) return null
  return { scheme, user, password, host: host.host, port: host.port, params, headers, opaque: '' }
}

function parseTelRest(rest: string): SipUri | null {
  const number = /^[0-9A-Fa-f*#+().-]+/.exec(rest)?.[0]
  const params = number === undefined ? null : parseUriParams(rest.slice(number.length))
  return number === undefined || params === null ? null : { ...EMPTY_URI, scheme: 'tel', user: number, params }
}

function parseUriParams(text: string): Params | null {
  if (text === '') return NO_PARAMS
  if (!text.startsWith(';')) return null
  const params = new Map<string, string>()
  for (const part of text.slice(1).split(';')) {
    if (part === '') continue
    const equals = part.indexOf('=')
    const name = (equals < 0 ? part : part.slice(0, equals)).toLowerCase()
    const value = equals < 0 ? '' : part.slice(equals + 1)
    if (!URI_PARAM.test(name) || (value !== '' && !URI_PARAM.test(value)) || params.has(name)) return null
    params.set(name, value)
  }
  return params
}

function writeUriParams(params: Params): string {
  let text = ''
  for (const [name, value] of params) text += value === '' ? `;${name}` : `;${name}=${value}`
  return text
}

/** Parameters that change where or how a request goes: present on one side only, the URIs differ. */
const DECISIVE_PARAMS = ['user', 'ttl', 'method', 'maddr', 'transport']

function sameUriParams(left: Params, right: Params): boolean {
  for (const [name, value] of left) {
    const other = right.get(name)
    if (other === undefined ? DECISIVE_PARAMS.includes(name) : unescapeUri(other).toLowerCase() !== unescapeUri(value).toLowerCase()) return false
  }
  return DECISIVE_PARAMS.every((name) => left.has(name) || !right.has(name))
}

function sameHeaders(left: string, right: string): boolean {
  if (left === right) return true
  const sorted = (text: string) =>
    text
      .split('&')
      .map((part) => unescapeUri(part))
      .sort()
      .join('&')
  return sorted(left) === sorted(right)
}

function unescapeUri(text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return text // Escapes that are no UTF-8 have no text; as written they still compare.
  }
}

/** Undefined when out of range. */
function parsePort(digits: string): number | undefined {
  const port = Number(digits)
  return port >= 1 && port <= 65535 ? port : undefined
}

/**
 * Undefined when the text is no IPv6 address. RFC 3261's grammar let `2001:db8:::192.0.2.1` pass, and RFC 5118 §4.10
 * asks us to understand it: it is read as the address with two colons that was meant.
 */
function readIpv6(text: string): string | undefined {
  const meant = text.replace(/:::(?=\d+\.)/, '::')
  const halves = meant.split('::')
  if (halves.length > 2) return undefined
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')))
  const tail = groups.at(-1)
  let count = groups.length
  if (tail?.includes('.')) {
    if (!isIpv4(tail) || meant.endsWith('::')) return undefined
    groups.pop()
    count += 1
  }
  if (!groups.every((group) => /^[0-9A-Fa-f]{1,4}$/.test(group))) return undefined
  return (halves.length === 2 ? count <= 7 : count === 8) ? meant : undefined
}

function isIpv4(text: string): boolean {
  const parts = text.split('.')
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}
