/** One alarm per call: the next ring or talk limit of its legs. A thin shell over timers; what is due is `domain`'s matter. */
import type { CallId } from '../domain/ids.ts'

/** Node's timers hold at most 2^31-1 ms; a later alarm is set in steps. */
const LONGEST_TIMER_MS = 2_147_483_647

/** An alarm that is set for the past was heard already, and what it asked for is under way: it rings again, but not at once. */
const OVERDUE_MS = 1_000

/** @returns A function that takes the timer back. */
export type Schedule = (delayMs: number, work: () => void) => () => void

export interface Deadlines {
  /** Replaces the call's alarm; null takes it away. */
  set(callId: CallId, at: number | null): void
  clear(): void
}

export function makeDeadlines(schedule: Schedule, now: () => number, onDue: (callId: CallId) => void): Deadlines {
  const alarms = new Map<CallId, { readonly at: number; readonly cancel: () => void }>()

  function set(callId: CallId, at: number | null): void {
    const current = alarms.get(callId)
    if (current?.at === at) return
    current?.cancel()
    alarms.delete(callId)
    if (at === null) return
    const dueInMs = at - now()
    const delayMs = dueInMs > 0 ? Math.min(LONGEST_TIMER_MS, dueInMs) : OVERDUE_MS
    const cancel = schedule(delayMs, () => {
      alarms.delete(callId)
      if (now() < at) set(callId, at)
      else onDue(callId)
    })
    alarms.set(callId, { at, cancel })
  }

  return {
    set,
    clear() {
      for (const { cancel } of alarms.values()) cancel()
      alarms.clear()
    },
  }
}
