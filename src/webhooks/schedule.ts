/** When a callback that failed is tried again (contract C27). Pure: chance is an argument. */

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS

/** The wait after the first, second, … failed attempt, ms. One attempt more than there are waits, then the callback is parked. */
export const DEFAULT_SCHEDULE: readonly number[] = [5 * SECOND_MS, MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS]

/** A wait is longer or shorter by at most this share of it, so that what failed together does not come back together. */
export const JITTER = 0.1

export interface Failure {
  /** How many attempts have been made, the failed one included; 1 or more. */
  readonly round: number
  /** Epoch ms. */
  readonly failedAt: number
  /** Waits, ms; 0 or more each. */
  readonly schedule: readonly number[]
  /** Fair, from 0 to 1 (1 excluded): 0.5 is the schedule itself. */
  readonly chance: number
}

/** @returns When to try again, epoch ms, never before the failure; null: no more attempts. */
export function retryAt({ round, failedAt, schedule, chance }: Failure): number | null {
  const delayMs = schedule[round - 1]
  if (delayMs === undefined) return null
  return failedAt + Math.max(0, Math.round(delayMs * (1 + JITTER * (2 * chance - 1))))
}
