/**
 * Whom the API lets in, and how often (contract C2, C10):
 *
 *   every request  →  so many of its address in a minute
 *   who asks       →  a pair that was proved a moment ago · else a try, of which an address has few to fail
 *   how often      →  so many reads, and so many writes, of the account in a minute
 *
 * What is told by a 429 is when to come back; nothing about who is known.
 */
import type { Principal } from '../../domain/account/rights.ts'
import type { AccountId } from '../../domain/ids.ts'
import { type Authenticate, authenticated } from '../auth.ts'
import { HttpError } from '../http-error.ts'
import { makeRateLimit, type Verdict } from './rate-limit.ts'
import { makeGuesses } from './guesses.ts'
import { sourceOf } from './source.ts'

export interface Limits {
  /** Requests other than GET of one account in a minute. Default 200. */
  readonly writesPerMinute?: number
  /** GET of one account in a minute. Default 1,200. */
  readonly readsPerMinute?: number
  /** Requests of one address in a minute, of all accounts, answered well or not. Default 6,000. */
  readonly requestsPerMinute?: number
  /** Wrong keys and tokens of one address in a minute. Default 10. */
  readonly failuresPerMinute?: number
}

export interface AdmissionOptions {
  readonly authenticate: Authenticate
  /** Whom a pair proves that was proved a moment ago, at no cost. */
  readonly remembered?: (key: string, token: string) => Principal | null
  readonly limits: Limits
  /** Epoch ms. */
  now(): number
  readonly log: { info(fields: Readonly<Record<string, unknown>>, message: string): void }
}

export interface Admission {
  /** Counts a request of the address. @throws {HttpError} too-many-requests */
  countRequest(address: string): void
  /** @returns Who the header proves to ask. @throws {HttpError} unauthorized · too-many-requests @throws {DomainError} busy */
  whoAsks(asking: { readonly address: string; readonly authorization: string | undefined; readonly accountSid: string }): Promise<Principal>
  /** Counts a request of the account; what its answer says of that. Not `allowed`: it must be refused. */
  countOf(accountId: AccountId, kind: 'read' | 'write'): Verdict
}

export const WRITES_PER_MINUTE = 200
export const READS_PER_MINUTE = 1_200
export const REQUESTS_PER_MINUTE = 6_000
export const FAILURES_PER_MINUTE = 10

/** Only what is surely the name of a key is logged: a caller may have put a token, or a phone number, in its place. */
const OWN_KEY = /^ek_[0-9a-z]{24}$/

export function makeAdmission({ authenticate, remembered = () => null, limits, now, log }: AdmissionOptions): Admission {
  const requests = makeRateLimit({ perMinute: limits.requestsPerMinute ?? REQUESTS_PER_MINUTE })
  const writes = makeRateLimit({ perMinute: limits.writesPerMinute ?? WRITES_PER_MINUTE })
  const reads = makeRateLimit({ perMinute: limits.readsPerMinute ?? READS_PER_MINUTE })
  const guesses = makeGuesses({ perMinute: limits.failuresPerMinute ?? FAILURES_PER_MINUTE })
  /** Tries that are being looked at: the same again is no further one. */
  const underWay = new Map<string, Promise<Principal | null>>()

  async function tried(source: string, key: string, token: string): Promise<Principal | null> {
    const one = guesses.count(source, key, now())
    if (one.isLast) log.info({ source, ...(OWN_KEY.test(key) ? { key } : {}) }, 'too many wrong keys or tokens: this address is refused for a while')
    const who = await authenticate(key, token).catch((error: unknown) => {
      one.takeBack()
      throw error
    })
    if (who) one.proved(now())
    return who
  }

  return {
    countRequest(address) {
      const { allowed, resetS } = requests(sourceOf(address), now())
      if (!allowed) throw tooMany(resetS)
    },
    whoAsks({ address, authorization, accountSid }) {
      const source = sourceOf(address)
      const proven = async (key: string, token: string): Promise<Principal | null> => {
        const known = remembered(key, token)
        if (known) return known
        const wait = guesses.wait(source, key, now())
        const pair = `${source} ${key}:${token}`
        const same = underWay.get(pair)
        if (same) return same
        if (wait !== null) throw tooMany(wait)
        const trying = tried(source, key, token).finally(() => underWay.delete(pair))
        underWay.set(pair, trying)
        return trying
      }
      return authenticated(proven, authorization, accountSid)
    },
    countOf: (accountId, kind) => (kind === 'read' ? reads : writes)(accountId, now()),
  }
}

/** @param seconds Until it is worth asking again. */
export const tooMany = (seconds: number): HttpError => new HttpError('too-many-requests', { 'retry-after': String(seconds) })

/** What an answer says of the account's limit; `Reset` is the moment at which it begins anew, in seconds since 1970. */
export const limitHeaders = ({ limit, remaining, resetS }: Verdict, now: number): Readonly<Record<string, string>> => ({
  'x-ratelimit-limit': String(limit),
  'x-ratelimit-remaining': String(remaining),
  'x-ratelimit-reset': String(Math.floor(now / 1000) + resetS),
})
