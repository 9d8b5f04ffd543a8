/**
 * Everything that can go wrong, as the caller reads it (contract C8 to C10): one table for what the domain refuses and
 * one for what HTTP itself refuses.
 *
 * The vendor's envelope says `Status`; in its two documented 404s of this API it says `Code`, and so do we in exactly those.
 */
import { SCOPES } from '../domain/account/rights.ts'
import { DOMAIN_ERRORS, type DomainError, type DomainErrorCode } from '../domain/errors.ts'
import type { WireObject } from './xml.ts'

export interface WireError {
  /** HTTP status, and the number in the envelope. */
  readonly status: number
  readonly key: 'Status' | 'Code'
  readonly message: string
}

/** What HTTP refuses before the domain is asked. */
export type HttpErrorCode =
  | 'bad-request'
  | 'unauthorized'
  | 'not-found'
  | 'method-not-allowed'
  | 'request-timeout'
  | 'too-large'
  | 'uri-too-long'
  | 'unsupported-media-type'
  | 'too-many-requests'
  | 'headers-too-large'
  | 'internal'
  | 'unavailable'

const status = (code: number, message: string): WireError => ({ status: code, key: 'Status', message })
const documented404 = (message: string): WireError => ({ status: 404, key: 'Code', message })

/** A detail that is no number is no cap, and not for the caller. */
const plainNumber = (text: string): string => (/^\d[\d.]*$/.test(text) ? text : 'so many')

const DOMAIN: Readonly<Record<DomainErrorCode, (detail: string) => WireError>> = {
  'call-not-in-progress': () => documented404('Given callSID is not in-progress'),
  'leg-not-found': () => documented404('Given legSID does not exist. Please check the legSID passed'),
  'call-not-found': () => status(404, 'Given callSID does not exist. Please check the callSID passed'),
  'recording-not-found': () => status(404, 'Given call has no recording'),
  'invalid-parameter': (name) => status(400, `Invalid Parameter: ${name} is missing or invalid`),
  'destination-not-allowed': () => status(403, 'Call cannot be made: your account may not dial this destination'),
  'too-many-monitors': () => status(403, 'Leg cannot be created: the call already has as many monitor legs as your account allows'),
  'too-many-legs': () => status(403, 'Leg cannot be created: the call already has as many legs as are allowed'),
  'right-missing': (right) => status(403, `Your API key does not have the right to do this${isScope(right) ? `: ${right}` : ''}`),
  'key-not-found': () => status(404, 'Given KeySid does not exist. Please check the KeySid passed'),
  'key-not-active': () => status(409, 'Key cannot be rotated: it has expired or was revoked'),
  'key-configured': () => status(409, 'Key cannot be changed here: it is kept in the configuration of the server'),
  'too-many-keys': () => status(403, 'Key cannot be created: your account already has as many active keys as are allowed'),
  'notice-missing': () =>
    status(403, 'Leg cannot be created: your account has no notice policy, which says whether the parties hear a tone while somebody listens'),
  'no-rate': () => status(403, 'Call cannot be made: your rate plan has no rate for this destination'),
  'no-balance': () => status(403, 'Call cannot be made: your balance is used up or does not cover it; top it up and try again'),
  'day-spend-reached': (cap) => status(403, `Call cannot be made: your account may spend ${plainNumber(cap)} a day; try again tomorrow`),
  'legs-reached': (cap) =>
    status(403, `Call cannot be made: your account may have ${plainNumber(cap)} legs at the same time; try again when calls have ended`),
  'leg-starts-reached': (detail) => {
    const [cap = '', waitS = ''] = detail.split('/')
    return status(403, `Call cannot be made: your account may dial ${plainNumber(cap)} legs a minute; try again in ${plainNumber(waitS)} s`)
  },
  'no-plan': () => status(404, 'Your account has no rate plan'),
  'idempotency-mismatch': () => status(409, 'Idempotency-Key was already used with another request'),
  'callback-not-found': () => status(404, 'Given callbackSID does not exist. Please check the callbackSID passed'),
  'callback-not-parked': () => status(409, 'Callback cannot be replayed: only a parked one can'),
  'secret-configured': () => status(409, 'Callback secret cannot be rotated: the configuration of the server names it'),
  draining: () => status(503, 'Service Unavailable'),
  busy: () => status(503, 'Service Unavailable'),
}

const HTTP: Readonly<Record<HttpErrorCode, WireError>> = {
  'bad-request': status(400, 'Bad or missing parameters in request'),
  unauthorized: status(401, 'Authentication failed'),
  'not-found': status(404, 'Not Found'),
  'method-not-allowed': status(405, 'Method Not Allowed'),
  'request-timeout': status(408, 'Request Timeout'),
  'too-large': status(413, 'Request body is too large'),
  'uri-too-long': status(414, 'Request address is too long'),
  'unsupported-media-type': status(415, 'Content-Type must be application/json, application/x-www-form-urlencoded or multipart/form-data'),
  'too-many-requests': status(429, 'Too Many Requests'),
  'headers-too-large': status(431, 'Request headers are too large'),
  internal: status(500, 'Internal Server Error'),
  unavailable: status(503, 'Service Unavailable'),
}

/** Everything that an answer can say no with; what each means stands in `schemas/errors.ts`. */
export type ErrorCode = DomainErrorCode | HttpErrorCode
export const ERROR_CODES: readonly ErrorCode[] = [...DOMAIN_ERRORS, ...(Object.keys(HTTP) as HttpErrorCode[])]

/** The spelling of any of them. @param detail For `invalid-parameter` the name of the parameter, for `internal` the id of the request. */
export const errorOf = (code: ErrorCode, detail = ''): WireError => (isOfHttp(code) ? httpError(code, detail) : DOMAIN[code](detail))

const isOfHttp = (code: ErrorCode): code is HttpErrorCode => Object.hasOwn(HTTP, code)

/** One of a handful of words that every developer may know; any other detail of a missing right is for the log. */
const isScope = (right: string): boolean => SCOPES.some((scope) => scope === right)

/** The spelling of a refusal. Its detail is shown where it is the API's own word (the name of a parameter, or of a scope), or a cap of the account. */
export const domainError = (error: DomainError): WireError => DOMAIN[error.code](error.detail)

/** @param incidentId For `internal`: what finds the error in the log. */
export function httpError(code: HttpErrorCode, incidentId = ''): WireError {
  const spelled = HTTP[code]
  return incidentId === '' ? spelled : { ...spelled, message: `${spelled.message} (${incidentId})` }
}

/** The envelope, the same in both formats. */
export const errorResource = ({ status: number, key, message }: WireError): WireObject => ({ RestException: { [key]: number, Message: message } })
