/** When a callback that failed is tried again (contract C27). Pure. */

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS

/** The wait after the first, second, … failed attempt, ms. One attempt more than there are waits, then the callback is parked. */
export const DEFAULT_SCHEDULE: readonly number[] = [5 * SECOND_MS, MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS]

/**
 * @param round How many attempts have been made, the failed one included; 1 or more.
 * @returns When to try again, epoch ms, or null: no more attempts.
 */
export function retryAt(round: number, failedAt: number, schedule: readonly number[] = DEFAULT_SCHEDULE): number | null {
  const delayMs = schedule[round - 1]
  return delayMs === undefined ? null : failedAt + delayMs
}
