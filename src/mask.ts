/**
 * What may be said about a person, a phone or a secret: enough to follow a call, never enough to call anybody.
 *
 *   +919876543210            +91*****210
 *   sip:priya@10.0.0.7:5060  sip:***@10.0.0.7:5060
 *   client:priya             client:***
 *   https://u:p@host/x?y     https://host
 */

/** Text of one field at most; what peers send has no other limit here. */
const MAX_TEXT = 2000
/** Sections inside each other at most. */
const MAX_DEPTH = 5
/** Entries of one list or section at most. */
const MAX_ENTRIES = 50
/** Digits that make a phone number (E.164 has 7 to 15). */
const LONG_RUN = /\d{7,}/g
/** A number with spaces, dashes or brackets in it; without the plus, dates would look the same. */
const SPACED_NUMBER = /\+\d[\d ()-]{5,}\d/g
const URL_TEXT = /\b(https?|wss?|postgres(?:ql)?):\/\/[^\s"'<>]*/gi
const SIP_USER = /\b(sips?):[^\s@<>"]{1,200}@/gi
const CLIENT = /\bclient:[A-Za-z0-9._-]+/g
const TEL = /\btel:[^\s;<>"]+/gi
const CALLBACK_SECRET = /\bwhsec_[A-Za-z0-9+/=]+/g
const API_TOKEN = /\bet_[0-9a-z]{8,}/g
const SECRET_KEY = /authorization|token|passw|secret|cookie|credential/i
/** Names of the house for calls, legs and keys, and hashes of its audit log: opaque, and nobody's number. */
const SID = /^(?:(?=.*[a-z])(?:[0-9a-z]{32}|[0-9a-f]{64})|ek_[0-9a-z]{24})$/

/** `+919876543210` → `+91*****210`; of a short number only the last two digits are left. */
export function maskNumber(number: string): string {
  const plus = number.startsWith('+') ? '+' : ''
  const digits = number.replace(/\D/g, '')
  return digits.length >= 10 ? `${plus}${digits.slice(0, 2)}*****${digits.slice(-3)}` : `${plus}*****${digits.slice(-2)}`
}

/** Every number, URI, phone name, callback secret and API token in a text; URLs are cut down to their origin. */
export function maskText(text: string): string {
  if (SID.test(text)) return text
  // Masked before it is cut: half a number at the end would not be recognised.
  const masked = text
    .slice(0, MAX_TEXT * 2)
    .replace(URL_TEXT, (url) => originOf(url))
    .replace(SIP_USER, '$1:***@')
    .replace(CLIENT, 'client:***')
    .replace(TEL, 'tel:***')
    .replace(CALLBACK_SECRET, 'whsec_***')
    .replace(API_TOKEN, 'et_***')
    .replace(SPACED_NUMBER, maskNumber)
    .replace(LONG_RUN, maskNumber)
  return masked.length > MAX_TEXT ? `${masked.slice(0, MAX_TEXT)}…` : masked
}

/** A copy of the fields in which every text is masked, secrets are gone by their key's name, and errors are plain values. */
export function maskFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return maskEntries(fields, 0)
}

function maskEntries(fields: object, depth: number): Record<string, unknown> {
  const entries = Object.entries(fields).slice(0, MAX_ENTRIES)
  return Object.fromEntries(
    entries.map(([key, value]) => [maskText(key), SECRET_KEY.test(key) && value != null ? '[redacted]' : maskValue(value, depth)]),
  )
}

function maskValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return maskText(value)
  if (typeof value === 'bigint') return maskText(String(value))
  if (typeof value !== 'object' || value === null) return typeof value === 'function' || typeof value === 'symbol' ? typeof value : value
  if (depth >= MAX_DEPTH) return '…'
  if (value instanceof Error) return maskError(value, depth + 1)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid date' : value.toISOString()
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`
  if (value instanceof Map || value instanceof Set) return maskValue([...value].slice(0, MAX_ENTRIES), depth + 1)
  if (Array.isArray(value)) return value.slice(0, MAX_ENTRIES).map((entry) => maskValue(entry, depth + 1))
  return maskEntries(value, depth + 1)
}

function maskError(error: Error, depth: number): Record<string, unknown> {
  const { name, message, stack, cause, ...rest } = error
  // Libraries hang whole connections on their errors; what tells about an error are its plain values.
  const plain = Object.fromEntries(Object.entries(rest).filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value)))
  return {
    ...maskEntries(plain, depth),
    type: name,
    message: maskText(message),
    stack: maskText(stack ?? ''),
    ...(cause === undefined ? {} : { cause: maskValue(cause, depth) }),
  }
}

function originOf(url: string): string {
  if (!URL.canParse(url)) return url.replace(/^([a-z]+):.*$/i, '$1://***')
  const { protocol, host } = new URL(url)
  return `${protocol}//${host}`
}
