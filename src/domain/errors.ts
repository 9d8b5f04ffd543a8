/** What an account runs into: its rates, its balance, its caps. They refuse legs, and some end calls. */
export const LIMITS = ['no-rate', 'no-balance', 'day-spend-reached', 'legs-reached', 'leg-starts-reached'] as const
export type LimitCode = (typeof LIMITS)[number]

/** Everything a caller can get wrong. The contract owes a spelling for each: `contract/errors.ts`. */
export const DOMAIN_ERRORS = [
  'call-not-in-progress',
  'leg-not-found',
  'call-not-found',
  'recording-not-found',
  'invalid-parameter',
  'destination-not-allowed',
  'too-many-monitors',
  'too-many-legs',
  'right-missing',
  'key-not-found',
  'key-not-active',
  'key-configured',
  'too-many-keys',
  'notice-missing',
  ...LIMITS,
  'no-plan',
  'idempotency-mismatch',
  'callback-not-found',
  'callback-not-parked',
  'secret-configured',
  'draining',
  'busy',
] as const
export type DomainErrorCode = (typeof DOMAIN_ERRORS)[number]

export class DomainError extends Error {
  override readonly name = 'DomainError'
  readonly code: DomainErrorCode
  /**
   * For `invalid-parameter` the vendor's spelling of the parameter, e.g. `PhoneNumber`; for a cap what it is, and for
   * `leg-starts-reached` then `/` and the seconds to wait; else for the log only.
   */
  readonly detail: string
  constructor(code: DomainErrorCode, detail = '', options?: ErrorOptions) {
    super(detail ? `${code}: ${detail}` : code, options)
    this.code = code
    this.detail = detail
  }
}
