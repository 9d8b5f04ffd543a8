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
  /** For `invalid-parameter` the vendor's spelling of the parameter, e.g. `PhoneNumber`; else for the log only. */
  readonly detail: string
  constructor(code: DomainErrorCode, detail = '', options?: ErrorOptions) {
    super(detail ? `${code}: ${detail}` : code, options)
    this.code = code
    this.detail = detail
  }
}
