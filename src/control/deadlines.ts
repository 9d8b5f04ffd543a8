/**
 * One alarm per call, for the next ring or talk limit of its legs, or per account, for its next look at its balance. A thin shell over
 * timers; what is due is `domain`'s matter.
 */

/** Node's timers hold at most 2^31-1 ms; a later alarm is set in steps. */
const LONGEST_TIMER_MS = 2_147_483_647

/** An alarm that is set for the past was heard already, and what it asked for is under way: it rings again, but not at once. */
const OVERDUE_MS = 1_000

/** @returns A function that takes the timer back. */
export type Schedule = (delayMs: number, work: () => void) => () => void

export interface Deadlines<Key> {
  /** Replaces the alarm; null takes it away. */
  set(key: Key, at: number | null): void
  clear(): void
}

export function makeDeadlines<Key>(schedule: Schedule, now: () => number, onDue: (key: Key) => void): Deadlines<Key> {
  const alarms = new Map<Key, { readonly at: number; readonly cancel: () => void }>()

  function set(key: Key, at: number | null): void {
    const current = alarms.get(key)
    if (current?.at === at) return
    current?.cancel()
    alarms.delete(key)
    if (at === null) return
    const dueInMs = at - now()
    const delayMs = dueInMs > 0 ? Math.min(LONGEST_TIMER_MS, dueInMs) : OVERDUE_MS
    const cancel = schedule(delayMs, () => {
      alarms.delete(key)
      if (now() < at) set(key, at)
      else onDue(key)
    })
    alarms.set(key, { at, cancel })
  }

  return {
    set,
    clear() {
      for (const { cancel } of alarms.values()) cancel()
      alarms.clear()
    },
  }
}
