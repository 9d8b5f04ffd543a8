/**
 * Readers for the header fields that carry meaning: Via, CSeq, From/To tags, Contact and Route lists, credentials,
 * numbers (RFC 3261 §20, §7.3.1). All take text or anything with headers, never throw, and answer null (or an empty
 * list) for what is absent or malformed; `parse.ts` has refused a whole message with a malformed one of these.
 */
import { headerValue, headerValues } from './message.ts'
import type { Headed } from './message.ts'
import { NO_PARAMS, parseNameAddr, parseParams, quote, scanHostPort, trimBlanks, unquote, writeHostPort, writeParams } from './uri.ts'
import type { NameAddr, Params } from './uri.ts'

/** RFC 3261 §8.1.1.5: sequence numbers are below 2^31. */
export const MAX_CSEQ = 2 ** 31 - 1
/** Expires and friends saturate here (RFC 3261 §20.19). */
export const MAX_DELTA_SECONDS = 2 ** 32 - 1
/** Branches of RFC 3261 elements begin so; others come from RFC 2543 and are not unique (§8.1.1.7). */
export const BRANCH_COOKIE = 'z9hG4bK'

export interface Via {
  /** `SIP/2.0`, blanks removed. */
  readonly protocol: string
  /** Upper case: `UDP`, `TCP`, `TLS`, … */
  readonly transport: string
  /** sent-by; IPv6 without brackets. */
  readonly host: string
  readonly port: number | null
  /** `branch`, `received`, `rport` ('' when asked for and not filled, RFC 3581), … */
  readonly params: Params
}

export interface CSeq {
  /** 0 to `MAX_CSEQ`. */
  readonly sequence: number
  readonly method: string
}

/** A challenge or credentials: `Digest realm="…", nonce="…"` (RFC 7235 §2.1). */
export interface AuthValue {
  /** Lower case: `digest`. */
  readonly scheme: string
  /** Names in lower case, values unquoted. */
  readonly params: Params
}

/** One element of a Via list. */
export function parseVia(value: string): Via | null {
  const start = VIA_START.exec(value)
  if (start === null) return null
  const sentBy = scanHostPort(value, start[0].length)
  const params = sentBy === null ? null : parseParams(value, skipTrailingBlanks(value, sentBy.end))
  if (sentBy === null || params === null) return null
  return { protocol: `${start[1]}/${start[2]}`, transport: (start[3] ?? '').toUpperCase(), host: sentBy.host, port: sentBy.port, params }
}

export function writeVia(via: Via): string {
  return `${via.protocol}/${via.transport} ${writeHostPort(via)}${writeParams(via.params)}`
}

/** The first element of the first Via field. */
export function topVia(message: Headed): Via | null {
  const first = headerValue(message, 'Via')
  const element = first === undefined ? undefined : splitList(first)[0]
  return element === undefined ? null : parseVia(element)
}

/** Every Via from the top, or null when one of them is malformed. */
export function vias(message: Headed): readonly Via[] | null {
  const list: Via[] = []
  for (const element of listValues(message, 'Via')) {
    const via = parseVia(element)
    if (via === null) return null
    list.push(via)
  }
  return list
}

export function parseCSeq(value: string): CSeq | null {
  const found = /^([0-9]+)[ \t]+([A-Za-z0-9\-.!%*_+`'~]+)$/.exec(value)
  const sequence = parseCount(found?.[1] ?? '', MAX_CSEQ + 1)
  return found === null || sequence === null || sequence > MAX_CSEQ ? null : { sequence, method: found[2] ?? '' }
}

export function cseqOf(message: Headed): CSeq | null {
  const value = headerValue(message, 'CSeq')
  return value === undefined ? null : parseCSeq(value)
}

/** The tag of a From or To value; null when it has none or is malformed. */
export function tagOf(fromOrTo: string): string | null {
  const tag = parseNameAddr(fromOrTo)?.params.get('tag')
  return tag === undefined || tag === '' ? null : tag
}

/** The From or To value with that tag; unchanged when it has one already. */
export function withTag(fromOrTo: string, tag: string): string {
  return tagOf(fromOrTo) === null ? `${fromOrTo};tag=${tag}` : fromOrTo
}

/** Splits at commas outside quotes and angle brackets. Elements are trimmed; empty ones are left out. */
export function splitList(value: string): readonly string[] {
  if (!value.includes(',')) return value === '' ? [] : [trimBlanks(value)]
  const elements: string[] = []
  let start = 0
  let inQuotes = false
  let inBrackets = false
  for (let at = 0; at <= value.length; at++) {
    const code = at === value.length ? COMMA : value.charCodeAt(at)
    if (inQuotes && at < value.length) {
      if (code === BACKSLASH) at++
      else if (code === QUOTE) inQuotes = false
    } else if (code === QUOTE && !inBrackets) inQuotes = true
    else if (code === LESS) inBrackets = true
    else if (code === GREATER) inBrackets = false
    else if (code === COMMA && (!inBrackets || at === value.length)) {
      const element = trimBlanks(value.slice(start, at))
      if (element !== '') elements.push(element)
      start = at + 1
    }
  }
  if (start < value.length) elements.push(trimBlanks(value.slice(start)))
  return elements
}

/** Every element of every field of that name, in order, as text. */
export function listValues(message: Headed, name: string): readonly string[] {
  return headerValues(message, name).flatMap((value) => splitList(value))
}

/** `'*'` for the Contact that removes every binding (RFC 3261 §10.2.2). */
export function contacts(message: Headed): '*' | readonly NameAddr[] {
  const values = listValues(message, 'Contact')
  return values.length === 1 && values[0] === '*' ? '*' : readAddresses(values)
}

/** In the order of the message; a UAC's route set is the Record-Route list reversed (RFC 3261 §12.1.2). */
export function routes(message: Headed, name: 'Route' | 'Record-Route' | 'Path'): readonly NameAddr[] {
  return readAddresses(listValues(message, name))
}

/** Scheme and parameters of a WWW-Authenticate, Authorization, Proxy-… or Authentication value. */
export function parseAuth(value: string): AuthValue | null {
  const scheme = /^[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)[ \t]+/.exec(value)
  if (scheme === null) return null
  const params = new Map<string, string>()
  AUTH_PARAM.lastIndex = scheme[0].length
  while (AUTH_PARAM.lastIndex < value.length) {
    const found = AUTH_PARAM.exec(value)
    if (found === null) return null
    const name = (found[1] ?? '').toLowerCase()
    if (params.has(name)) return null
    params.set(name, found[2] !== undefined ? unquote(found[2]) : (found[3] ?? ''))
  }
  return { scheme: (scheme[1] ?? '').toLowerCase(), params }
}

/** Credentials or a challenge as text. `bare` names the parameters that must not be quoted. */
export function writeAuth(scheme: string, params: Params, bare: readonly string[]): string {
  return `${scheme} ${[...params].map(([name, value]) => `${name}=${bare.includes(name) ? value : quote(value)}`).join(', ')}`
}

/** A decimal of any length, held down to `max`; null when it is not all digits. */
export function parseCount(text: string, max: number): number | null {
  return /^[0-9]+$/.test(text) ? Math.min(Number(text), max) : null
}

/** Seconds asked for a binding: the contact's own `expires`, else the Expires field, else null (RFC 3261 §10.2.1.1). */
export function expirySeconds(message: Headed, contact: NameAddr | null): number | null {
  const own = contact?.params.get('expires')
  const read = own === undefined ? null : parseCount(own, MAX_DELTA_SECONDS)
  return read ?? parseCount(headerValue(message, 'Expires') ?? '', MAX_DELTA_SECONDS)
}

/** 0 to 255, or null when absent. */
export function maxForwards(message: Headed): number | null {
  return parseCount(headerValue(message, 'Max-Forwards') ?? '', 255)
}

/** `application/sdp`: in lower case, without parameters; null when absent. */
export function mediaType(message: Headed): string | null {
  const found = /^([^; \t/]+)[ \t]*\/[ \t]*([^; \t/]+)/.exec(headerValue(message, 'Content-Type') ?? '')
  return found === null ? null : `${found[1]}/${found[2]}`.toLowerCase()
}

/** Lower case, in order: of Require, Supported, Proxy-Require, Allow-Events, … */
export function optionTags(message: Headed, name: string): readonly string[] {
  return listValues(message, name).map((tag) => tag.toLowerCase())
}

/** A Via of ours for a new request; `rport` asks the other side to note where it came from (RFC 3581). */
export function newVia(transport: 'UDP' | 'TCP' | 'TLS', host: string, port: number, branch: string): Via {
  return { protocol: 'SIP/2.0', transport, host, port, params: new Map([...NO_PARAMS, ['branch', branch], ['rport', '']]) }
}

const COMMA = 0x2c
const QUOTE = 0x22
const BACKSLASH = 0x5c
const LESS = 0x3c
const GREATER = 0x3e
const VIA_START = /^[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)[ \t]*\/[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)[ \t]*\/[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)[ \t]+/
const AUTH_PARAM = /[ \t]*(?:([A-Za-z0-9\-.!%*_+`'~]+)[ \t]*=[ \t]*(?:"([^"\\]*(?:\\[^][^"\\]*)*)"|([^ \t,;"<>\\]*)))[ \t]*(?:,[ \t,]*|$)/y

function readAddresses(values: readonly string[]): readonly NameAddr[] {
  return values.map((value) => parseNameAddr(value)).filter((address) => address !== null)
}

/** `parseParams` begins at a `;` and swallows blanks before it, but blanks alone at the end are nobody's. */
function skipTrailingBlanks(text: string, from: number): number {
  return trimBlanks(text.slice(from)) === '' ? text.length : from
}
