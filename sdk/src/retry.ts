/** When a request is sent again, and after how long. Pure: chance is an argument. */
import type { Failure } from './errors.ts'

/** Waits double from here, ms. */
const FIRST_WAIT_MS = 250
/** No wait is longer, ms; a server that asks for more is not asked again, and the error says what it wanted. */
export const LONGEST_WAIT_MS = 30_000
const REPEATABLE = new Set([429, 502, 503, 504])

/** The server did not say no, so what was asked may have been done. A 502 or 504 is a proxy that does not know either. */
export function hasUnknownFate({ code, status }: Failure): boolean {
  switch (code) {
    case 'unreachable':
    case 'timed-out':
    case 'aborted':
    case 'unexpected-answer':
      return true
    default:
      return status === 502 || status === 504
  }
}

/**
 * How long to wait before the next try, ms; null when another would be wrong or useless.
 *
 * Half of the wait is left to chance, so that many clients who failed together do not come back together.
 * @param attempt The try that failed, from 1. @param chance 0 to 1.
 */
export function waitAfter(failure: Failure, attempt: number, chance: number): number | null {
  const { code, status, retryAfterS } = failure
  if (code !== 'unreachable' && code !== 'timed-out' && !REPEATABLE.has(status)) return null
  const growing = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempt - 1))
  const jittered = growing / 2 + (growing / 2) * chance
  if (retryAfterS === null) return Math.round(jittered)
  const asked = retryAfterS * 1000
  return asked > LONGEST_WAIT_MS ? null : Math.round(asked + jittered / 2)
}

/** `Retry-After` in seconds: a number, or a date seen from `now` (epoch ms). Null when it is neither. */
export function retryAfterIn(header: string | null, now: number): number | null {
  if (header === null) return null
  if (/^\d{1,9}$/.test(header.trim())) return Number(header)
  const at = Date.parse(header)
  return Number.isNaN(at) ? null : Math.max(0, Math.ceil((at - now) / 1000))
}
