/**
 * How many writes an account may make (contract C10): so many within a minute, counted from its first one.
 *
 * A fixed window rather than a leaky bucket, so that the number that is promised is the number that is refused after.
 */

export interface RateLimit {
  readonly perMinute: number
  /** Accounts remembered at once; beyond it those whose window began first are forgotten. Default 10,000. */
  readonly maxAccounts?: number
}

export type Verdict = { readonly allowed: true } | { readonly allowed: false; readonly retryAfterS: number }

/** Counts one write of the account at `now` (epoch ms) and says whether it may happen. */
export type CountWrite = (account: string, now: number) => Verdict

const WINDOW_MS = 60_000
const MAX_ACCOUNTS = 10_000
const ALLOWED: Verdict = { allowed: true }

/** @returns A counter with a memory of its own. A clock that jumps back begins a new window. */
export function makeRateLimit({ perMinute, maxAccounts = MAX_ACCOUNTS }: RateLimit): CountWrite {
  const windows = new Map<string, { readonly since: number; count: number }>()
  return (account, now) => {
    const current = windows.get(account)
    if (current && now >= current.since && now < current.since + WINDOW_MS) {
      if (current.count >= perMinute) return { allowed: false, retryAfterS: Math.ceil((current.since + WINDOW_MS - now) / 1000) }
      current.count += 1
      return ALLOWED
    }
    // Taken out and put in again, so that the map stays in the order in which windows began.
    windows.delete(account)
    for (const oldest of windows.keys()) {
      if (windows.size < maxAccounts) break
      windows.delete(oldest)
    }
    windows.set(account, { since: now, count: 1 })
    return ALLOWED
  }
}
