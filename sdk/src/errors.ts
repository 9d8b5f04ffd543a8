/**
 * Everything that can go wrong, by one closed list of codes. Decide by `code`; `message` is for people.
 *
 * The API's envelope has a number and a sentence but no code, and one number stands for several refusals. The contract fixes
 * the sentences to the letter, so this file, and nothing else, reads them: what it does not know it names after the status.
 */

/** What the server refuses. `forbidden`, `conflict` and `refused` are a 403, a 409 and another 4xx with a sentence that this version does not know. */
export type RefusalCode =
  | 'invalid-parameter'
  | 'bad-request'
  | 'unauthorized'
  | 'right-missing'
  | 'destination-not-allowed'
  | 'too-many-monitors'
  | 'too-many-legs'
  | 'notice-missing'
  | 'no-rate'
  | 'no-balance'
  | 'day-spend-reached'
  | 'legs-reached'
  | 'leg-starts-reached'
  | 'too-many-keys'
  | 'forbidden'
  | 'call-not-in-progress'
  | 'leg-not-found'
  | 'call-not-found'
  | 'recording-not-found'
  | 'key-not-found'
  | 'callback-not-found'
  | 'no-plan'
  | 'not-found'
  | 'method-not-allowed'
  | 'request-timeout'
  | 'idempotency-mismatch'
  | 'key-not-active'
  | 'key-configured'
  | 'callback-not-parked'
  | 'secret-configured'
  | 'conflict'
  | 'too-large'
  | 'uri-too-long'
  | 'unsupported-media-type'
  | 'range-not-satisfiable'
  | 'too-many-requests'
  | 'headers-too-large'
  | 'refused'
  | 'internal'
  | 'unavailable'

/** What happens between you and the server: no answer · none in time · you gave up · an answer that is not this API's. */
export type TransportCode = 'unreachable' | 'timed-out' | 'aborted' | 'unexpected-answer'

export type EarshotErrorCode = RefusalCode | TransportCode

/** What is known of a failure. */
export interface Failure {
  readonly code: EarshotErrorCode
  /** HTTP status; 0 when there was no answer. */
  readonly status: number
  readonly message: string
  /** For `invalid-parameter` its name, e.g. `PhoneNumber`; for `right-missing` the right's, when the server names it; else null. */
  readonly parameter: string | null
  /** Seconds to wait, if the server said so, in a header or for `leg-starts-reached` in its sentence. */
  readonly retryAfterS: number | null
  /** What the runtime's fetch threw, if it did. */
  readonly cause?: unknown
}

/** How the failure was reached. */
export interface Tries {
  /** Requests that were sent, repeats included. */
  readonly attempts: number
  /** One of them got no answer, so the server may have done what was asked. */
  readonly maybeDone: boolean
}

export class EarshotError extends Error {
  override readonly name = 'EarshotError'
  readonly code: EarshotErrorCode
  /** HTTP status of the last answer; 0 when there was none. */
  readonly status: number
  /** For `invalid-parameter` its name, e.g. `PhoneNumber`; for `right-missing` the right's, when the server names it; else null. */
  readonly parameter: string | null
  /** Seconds to wait before the next try, if the server said so; it was longer than this client waits, or tries were used up. */
  readonly retryAfterS: number | null
  /** Requests that were sent, repeats included; 0 when the mistake showed before. */
  readonly attempts: number
  /** One of them got no answer, so the server may have done what was asked. */
  readonly maybeDone: boolean
  constructor(failure: Failure, { attempts, maybeDone }: Tries) {
    super(failure.message, failure.cause === undefined ? undefined : { cause: failure.cause })
    this.code = failure.code
    this.status = failure.status
    this.parameter = failure.parameter
    this.retryAfterS = failure.retryAfterS
    this.attempts = attempts
    this.maybeDone = maybeDone
  }
}

/** A parameter that cannot be right, seen before anything was sent. */
export const invalidParameter = (parameter: string, message: string): EarshotError =>
  new EarshotError({ code: 'invalid-parameter', status: 0, message, parameter, retryAfterS: null }, { attempts: 0, maybeDone: false })

const SENTENCES: Readonly<Record<string, RefusalCode>> = {
  'Given call has no recording': 'recording-not-found',
  'Given callSID is not in-progress': 'call-not-in-progress',
  'Given legSID does not exist. Please check the legSID passed': 'leg-not-found',
  'Given callSID does not exist. Please check the callSID passed': 'call-not-found',
  'Call cannot be made: your account may not dial this destination': 'destination-not-allowed',
  'Leg cannot be created: the call already has as many monitor legs as your account allows': 'too-many-monitors',
  'Leg cannot be created: the call already has as many legs as are allowed': 'too-many-legs',
  'Leg cannot be created: your account has no notice policy, which says whether the parties hear a tone while somebody listens': 'notice-missing',
  'Call cannot be made: your rate plan has no rate for this destination': 'no-rate',
  'Call cannot be made: your balance is used up or does not cover it; top it up and try again': 'no-balance',
  'Your account has no rate plan': 'no-plan',
  'Idempotency-Key was already used with another request': 'idempotency-mismatch',
  'Given KeySid does not exist. Please check the KeySid passed': 'key-not-found',
  'Key cannot be rotated: it has expired or was revoked': 'key-not-active',
  'Key cannot be changed here: it is kept in the configuration of the server': 'key-configured',
  'Key cannot be created: your account already has as many active keys as are allowed': 'too-many-keys',
  'Given callbackSID does not exist. Please check the callbackSID passed': 'callback-not-found',
  'Callback cannot be replayed: only a parked one can': 'callback-not-parked',
  'Callback secret cannot be rotated: the configuration of the server names it': 'secret-configured',
}

const STATUSES: Readonly<Record<number, RefusalCode>> = {
  400: 'bad-request',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not-found',
  405: 'method-not-allowed',
  408: 'request-timeout',
  409: 'conflict',
  413: 'too-large',
  414: 'uri-too-long',
  415: 'unsupported-media-type',
  416: 'range-not-satisfiable',
  429: 'too-many-requests',
  431: 'headers-too-large',
  502: 'unavailable',
  503: 'unavailable',
  504: 'unavailable',
}

/** Sentences that hold a name. */
const NAMING: readonly (readonly [RegExp, number, RefusalCode])[] = [
  [/^Invalid Parameter: (\S+) is missing or invalid$/, 400, 'invalid-parameter'],
  [/^Your API key does not have the right to do this(?:: (\S+))?$/, 403, 'right-missing'],
]

/** Sentences that hold a cap of the account, which is for people, and perhaps the seconds to wait. */
const CAPS: readonly (readonly [RegExp, RefusalCode])[] = [
  [/^Call cannot be made: your account may spend [^;]+ a day; try again tomorrow$/, 'day-spend-reached'],
  [/^Call cannot be made: your account may have [^;]+ legs at the same time; try again when calls have ended$/, 'legs-reached'],
  [/^Call cannot be made: your account may dial [^;]+ legs a minute; try again in (?:(\d{1,9})|[^;]+) s$/, 'leg-starts-reached'],
]

/** What a refusal means. @param message The envelope's sentence; null when the answer has no envelope, as a proxy's has none. */
export function refusal(status: number, message: string | null, retryAfterS: number | null): Failure {
  const known = { status, message: message ?? `HTTP ${status}`, retryAfterS }
  for (const [pattern, of, code] of NAMING) {
    const match = of === status ? pattern.exec(known.message) : null
    if (match) return { ...known, code, parameter: match[1] ?? null }
  }
  for (const [pattern, code] of CAPS) {
    const match = status === 403 ? pattern.exec(known.message) : null
    if (match) return { ...known, code, parameter: null, retryAfterS: match[1] === undefined ? retryAfterS : Number(match[1]) }
  }
  const sentence = Object.hasOwn(SENTENCES, known.message) ? SENTENCES[known.message] : undefined
  return { ...known, code: sentence ?? STATUSES[status] ?? (status >= 500 ? 'internal' : 'refused'), parameter: null }
}
