/**
 * What callers ask for, from their fields to commands (contract C15, C19, C20 to C22, C30).
 *
 * Every function throws DomainError `invalid-parameter` with the vendor's name of the first parameter that is missing or
 * wrong. Parameters that do nothing yet (`Record`, `WaitUrl`, `MaxRetries`, …) are accepted and not looked at.
 */
import type { Address } from '../domain/address.ts'
import type { ConnectCommand, MonitorCommand } from '../domain/commands.ts'
import { DomainError } from '../domain/errors.ts'
import type { CallId, LegId } from '../domain/ids.ts'
import { type CallbackContentType, type CallbackEvent, type Mode, MODES, type Subscription } from '../domain/leg.ts'
import { type Fields, lastValue, allValues } from './fields.ts'
import { addressIn } from './numbers.ts'

const RING_DEFAULT_S = 30
const RING_MAX_S = 60
/** Default and maximum of `TimeLimit`: four hours. */
const TALK_MAX_S = 14_400
/** Characters, not bytes. */
const CUSTOM_FIELD_MAX_CHARS = 128
const CALLBACK_URL_MAX_CHARS = 2048
/** A code, so that nobody writes a person's name into a log that keeps it. */
const REASON_CODE = /^[A-Za-z0-9._:/#+-]{1,64}$/
const IDEMPOTENCY_KEY_MAX_CHARS = 255

/** Ours are 32 of `[0-9a-z]` (C6); what cannot be an id at all is not looked up. */
const SID = /^[0-9A-Za-z_-]{1,64}$/
const INTEGER = /^\d{1,9}$/
const VISIBLE_ASCII = /^[\x21-\x7e]+$/
const BLANK_OR_CONTROL = /[\s\p{Cc}]/u

/** `POST …/Legs`. */
export function monitorCommand(fields: Fields): MonitorCommand {
  const mode = modeIn(lastValue(fields, 'Action'))
  if (mode === null) throw invalid('Action')
  const phone = requiredAddress(fields, 'PhoneNumber')
  const target = lastValue(fields, 'TargetLegSid')
  if (target !== null && !SID.test(target)) throw invalid('TargetLegSid')
  return {
    mode,
    phone,
    targetLegId: target as LegId | null,
    callerId: optionalAddress(fields, 'CallerId'),
    ...limits(fields),
    subscription: subscription(fields),
    customField: customField(fields),
  }
}

/** `POST …/Calls/connect`. `From` is dialled first. */
export function connectCommand(fields: Fields): ConnectCommand {
  return {
    from: requiredAddress(fields, 'From'),
    to: requiredAddress(fields, 'To'),
    callerId: optionalAddress(fields, 'CallerId'),
    ...limits(fields),
    subscription: subscription(fields),
    customField: customField(fields),
  }
}

/** `PUT …/Legs/{LegSid}`: what to do with the leg. */
export function legAction(fields: Fields): Mode | 'hangup' {
  const action = lastValue(fields, 'Action')
  if (action?.trim().toLowerCase() === 'hangup') return 'hangup'
  const mode = modeIn(action)
  if (mode === null) throw invalid('Action')
  return mode
}

/** `ReasonCode` of `POST` and `PUT …/Legs` (an extension): why somebody monitors, for the audit. Letters, digits and `. _ : / # + -`, 64 at most. */
export function reasonCodeIn(fields: Fields): string | null {
  const code = lastValue(fields, 'ReasonCode')
  if (code !== null && !REASON_CODE.test(code)) throw invalid('ReasonCode')
  return code
}

/** The id of a call in a path, or null when it cannot be one. */
export const callIdIn = (text: string): CallId | null => (SID.test(text) ? (text as CallId) : null)

/** The id of a leg in a path, or null when it cannot be one. */
export const legIdIn = (text: string): LegId | null => (SID.test(text) ? (text as LegId) : null)

/** The `Idempotency-Key` header (C19); absent or empty is null. Visible ASCII, at most 255 characters. */
export function idempotencyKeyIn(header: string | undefined): string | null {
  if (header === undefined || header === '') return null
  if (header.length > IDEMPOTENCY_KEY_MAX_CHARS || !VISIBLE_ASCII.test(header)) throw invalid('Idempotency-Key')
  return header
}

const invalid = (parameter: string): DomainError => new DomainError('invalid-parameter', parameter)

function modeIn(action: string | null): Mode | null {
  const lower = action?.trim().toLowerCase()
  return MODES.find((mode) => mode === lower) ?? null
}

function requiredAddress(fields: Fields, name: string): Address {
  const address = addressIn(lastValue(fields, name) ?? '')
  if (address === null) throw invalid(name)
  return address
}

const optionalAddress = (fields: Fields, name: string): Address | null => (lastValue(fields, name) === null ? null : requiredAddress(fields, name))

function limits(fields: Fields): { readonly ringMs: number; readonly limitMs: number } {
  return {
    ringMs: seconds(fields, 'TimeOut', RING_DEFAULT_S, RING_MAX_S) * 1000,
    limitMs: seconds(fields, 'TimeLimit', TALK_MAX_S, TALK_MAX_S) * 1000,
  }
}

function seconds(fields: Fields, name: string, byDefault: number, max: number): number {
  const text = lastValue(fields, name)
  if (text === null) return byDefault
  const value = INTEGER.test(text) ? Number(text) : 0
  if (value < 1 || value > max) throw invalid(name)
  return value
}

function customField(fields: Fields): string | null {
  const text = lastValue(fields, 'CustomField')
  if (text === null) return null
  // A database's text holds neither a NUL nor half a character.
  if (text.includes('\u0000') || !text.isWellFormed() || [...text].length > CUSTOM_FIELD_MAX_CHARS) throw invalid('CustomField')
  return text
}

/**
 * Who is called back, about what. Unknown events are ignored; without a known one it is `terminal`, for legs and calls alike.
 * All parameters are looked at even when no `StatusCallback` makes use of them.
 */
function subscription(fields: Fields): Subscription | null {
  const contentType = callbackContentType(fields)
  const written = lastValue(fields, 'StatusCallback')
  if (written === null) return null
  const asked = allValues(fields, 'StatusCallbackEvents').map((event) => event.trim().toLowerCase())
  const known = (['answered', 'terminal'] as const satisfies readonly CallbackEvent[]).filter((event) => asked.includes(event))
  return { url: callbackUrl(written), events: known.length === 0 ? ['terminal'] : known, contentType }
}

function callbackContentType(fields: Fields): CallbackContentType {
  const written = lastValue(fields, 'StatusCallbackContentType')
  switch (written?.trim().toLowerCase()) {
    case undefined:
    case 'multipart/form-data':
      return 'multipart/form-data'
    case 'application/json':
      return 'application/json'
    default:
      throw invalid('StatusCallbackContentType')
  }
}

/**
 * An absolute http or https URL; a user and password in it are sent as HTTP Basic, as the vendor's own examples do with its API.
 * Whether the address may be reached is asked when it is dialled (C29), since names change.
 */
function callbackUrl(written: string): string {
  if (written.length > CALLBACK_URL_MAX_CHARS || BLANK_OR_CONTROL.test(written) || !/^https?:\/\//i.test(written)) throw invalid('StatusCallback')
  const url = URL.parse(written)
  if (url === null || url.href.length > CALLBACK_URL_MAX_CHARS) throw invalid('StatusCallback')
  return url.href
}
