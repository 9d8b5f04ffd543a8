/**
 * Wrong keys and tokens, counted (contract C10), so that nobody finds one by trying. Takes `now`; has no clock.
 *
 *   an address       so many failures in a window, then none until it ends
 *   a key            beyond as many from anywhere, each address has one try in a window instead
 *   a proven pair    an address that has shown this key's token before: it has a count of its own, and no neighbour's failures are its
 *
 * So a right token from elsewhere always works, whoever guesses at its key, and a client goes on behind a proxy or a NAT from which
 * somebody guesses. The first window is a minute; after one that was used up comes one that is twice as long, up to an hour.
 *
 * A try is counted as a failure while it is being looked at, and given back when it was none: a hundred at once are not a hundred.
 */

export interface Guesses {
  /** How long this source has to wait before it may try this key, s; null: it may try now. */
  wait(source: string, key: string, now: number): number | null
  /** Counts a try, as a failure until it is said to be none. */
  count(source: string, key: string, now: number): Try
}

export interface Try {
  /** It was the last one that is allowed in this window. */
  readonly isLast: boolean
  /** It was right, at `now`. */
  proved(now: number): void
  /** Nobody found out whether it was right. */
  takeBack(): void
}

export interface GuessLimits {
  readonly perMinute: number
  /** Of each kind at once; beyond it the ones whose window began first are forgotten. Default 10,000. */
  readonly maxNames?: number
}

export const WINDOW_MS = 60_000
export const LONGEST_WINDOW_MS = 3_600_000
/** How long an address that has shown a key's token is known for it. */
export const PROVEN_MS = 24 * 3_600_000
const MAX_NAMES = 10_000
/** Tries that an address has at a key at which many guess. */
const TRIES_AT_BESIEGED = 1

interface Window {
  readonly since: number
  readonly lengthMs: number
  count: number
}

export function makeGuesses({ perMinute, maxNames = MAX_NAMES }: GuessLimits): Guesses {
  const sources = makeWindows(perMinute, maxNames)
  const keys = makeWindows(perMinute, maxNames)
  const pairs = makeWindows(perMinute, maxNames)
  const proven = new Map<string, number>()
  // No address has a space in it.
  const pairOf = (source: string, key: string): string => `${source} ${key}`
  const isProven = (pair: string, now: number): boolean => {
    const at = proven.get(pair)
    return at !== undefined && now >= at && now < at + PROVEN_MS
  }

  return {
    wait(source, key, now) {
      const pair = pairOf(source, key)
      if (isProven(pair, now)) return pairs.wait(pair, perMinute, now)
      const besieged = keys.wait(key, perMinute, now)
      const waits = [sources.wait(source, perMinute, now), besieged !== null && pairs.wait(pair, TRIES_AT_BESIEGED, now) !== null ? besieged : null]
      const seconds = waits.filter((wait) => wait !== null)
      return seconds.length === 0 ? null : Math.max(...seconds)
    },
    count(source, key, now) {
      const pair = pairOf(source, key)
      const counted = [pairs.count(pair, now), keys.count(key, now), ...(isProven(pair, now) ? [] : [sources.count(source, now)])]
      const takeBack = (): void => {
        for (const window of counted) window.count -= 1
      }
      return {
        isLast: counted.some((window, n) => n !== 1 && window.count === perMinute),
        takeBack,
        proved(at) {
          takeBack()
          putLast(proven, pair, at, maxNames)
        },
      }
    },
  }
}

interface Windows {
  /** S until `limit` is not reached any more; null when it is not. */
  wait(name: string, limit: number, now: number): number | null
  /** @returns The window that the try was counted in. */
  count(name: string, now: number): Window
}

function makeWindows(perMinute: number, maxNames: number): Windows {
  const windows = new Map<string, Window>()
  const current = (name: string, now: number): Window | null => {
    const window = windows.get(name)
    return window && now >= window.since && now < window.since + window.lengthMs ? window : null
  }
  /** Twice as long as the last one, if that was used up and has not been over for long. */
  const fresh = (name: string, now: number): Window => {
    const last = windows.get(name)
    const goesOn = last !== undefined && last.count >= perMinute && now >= last.since && now < last.since + 3 * last.lengthMs
    return { since: now, count: 0, lengthMs: goesOn ? Math.min(2 * last.lengthMs, LONGEST_WINDOW_MS) : WINDOW_MS }
  }
  return {
    wait(name, limit, now) {
      const window = current(name, now)
      return window && window.count >= limit ? Math.ceil((window.since + window.lengthMs - now) / 1000) : null
    },
    count(name, now) {
      let window = current(name, now)
      if (window === null) {
        window = fresh(name, now)
        putLast(windows, name, window, maxNames)
      }
      window.count += 1
      return window
    },
  }
}

function putLast<V>(map: Map<string, V>, name: string, value: V, most: number): void {
  map.delete(name)
  for (const oldest of map.keys()) {
    if (map.size < most) break
    map.delete(oldest)
  }
  map.set(name, value)
}
