/** A refusal that HTTP itself makes, before anything else of the house is asked. Spelled by `contract/errors.ts`. */
import type { HttpErrorCode } from '../contract/errors.ts'

export class HttpError extends Error {
  override readonly name = 'HttpError'
  readonly code: HttpErrorCode
  /** What the answer says beside its body, e.g. `Allow` or `Retry-After`. */
  readonly headers: Readonly<Record<string, string>>
  constructor(code: HttpErrorCode, headers: Readonly<Record<string, string>> = {}) {
    super(code)
    this.code = code
    this.headers = headers
  }
}
