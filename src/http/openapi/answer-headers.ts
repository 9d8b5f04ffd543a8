/** Headers that many answers have, each described once. */
import type { HeaderObject, Reference } from './types.ts'

const count = (description: string, minimum = 0): HeaderObject => ({ description, schema: { type: 'integer', minimum } })

export const HEADERS = {
  'Retry-After': count('Seconds to wait before the next attempt.', 1),
  'WWW-Authenticate': { description: 'Asks for HTTP Basic.', schema: { type: 'string' } },
  'X-Request-Id': { description: 'Under this id the server wrote the request into its log.', schema: { type: 'string' } },
  'X-RateLimit-Limit': count('Requests of this kind, reading or writing, that the account may make in a minute.'),
  'X-RateLimit-Remaining': count('How many of them are left.'),
  'X-RateLimit-Reset': count('When the next minute begins, in seconds since 1970.'),
} as const satisfies Readonly<Record<string, HeaderObject>>
export type HeaderName = keyof typeof HEADERS

const refs = (...names: readonly HeaderName[]): Readonly<Record<string, Reference>> =>
  Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]))

/** Of every answer. */
export const REQUEST_ID = refs('X-Request-Id')

/** Of every answer to who was let in, other than a stream's. */
export const RATE_HEADERS = refs('X-Request-Id', 'X-RateLimit-Limit', 'X-RateLimit-Remaining', 'X-RateLimit-Reset')

/** Of failures, by status. */
export const FAILURE_HEADERS: Readonly<Record<number, Readonly<Record<string, Reference>>>> = {
  401: refs('WWW-Authenticate'),
  429: { ...refs('Retry-After'), ...RATE_HEADERS },
  503: refs('Retry-After'),
}
