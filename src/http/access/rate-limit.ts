/**
 * How often somebody may ask (contract C10): so many times within a minute, counted from the first one.
 *
 * A fixed window rather than a leaky bucket, so that the number that is promised is the number that is refused after.
 */

export interface RateLimit {
  readonly perMinute: number
  /** Names remembered at once; beyond it those whose window began first are forgotten. Default 10,000. */
  readonly maxNames?: number
}

export interface Verdict {
  readonly allowed: boolean
  readonly limit: number
  /** How often the name may still ask in this window. */
  readonly remaining: number
  /** When the window ends: s from now, begun ones counted whole, 1 to 60. */
  readonly resetS: number
}

/** Counts one request of the name at `now` (epoch ms) and says whether it may happen. */
export type Count = (name: string, now: number) => Verdict

const WINDOW_MS = 60_000
const MAX_NAMES = 10_000

/** @returns A counter with a memory of its own. A clock that jumps back begins a new window. */
export function makeRateLimit({ perMinute: limit, maxNames = MAX_NAMES }: RateLimit): Count {
  const windows = new Map<string, { readonly since: number; count: number }>()
  const verdict = (allowed: boolean, { since, count }: { readonly since: number; readonly count: number }, now: number): Verdict => ({
    allowed,
    limit,
    remaining: Math.max(0, limit - count),
    resetS: Math.ceil((since + WINDOW_MS - now) / 1000),
  })
  return (name, now) => {
    const current = windows.get(name)
    if (current && now >= current.since && now < current.since + WINDOW_MS) {
      if (current.count >= limit) return verdict(false, current, now)
      current.count += 1
      return verdict(true, current, now)
    }
    // Taken out and put in again, so that the map stays in the order in which windows began.
    windows.delete(name)
    for (const oldest of windows.keys()) {
      if (windows.size < maxNames) break
      windows.delete(oldest)
    }
    const fresh = { since: now, count: 1 }
    windows.set(name, fresh)
    return verdict(true, fresh, now)
  }
}
