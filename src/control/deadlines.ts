/** One alarm per call: the next ring or talk limit of its legs. A thin shell over timers; what is due is `domain`'s matter. */
import type { CallId } from '../domain/ids.ts'

/** Node's timers hold at most 2^31-1 ms; a later alarm is set in steps. */
const LONGEST_TIMER_MS = 2_147_483_647

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
    const delayMs = Math.min(LONGEST_TIMER_MS, Math.max(0, at - now()))
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
