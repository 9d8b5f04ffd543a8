/**
 * What one worker knows of its receivers: how many attempts are under way at each, and which are paused (`breaker.ts`). It holds no
 * timer; whoever uses it asks when to look again.
 */
import { admits, type Breaker, CLOSED, onAnswered, onAsked, onBegun, onFailed, onLost } from './breaker.ts'

/** `answered`: not with a 5xx. `failed`: the receiver as a whole. `lost`: never sent. */
export type AttemptOutcome = 'answered' | 'failed' | 'lost'

/** An attempt that is under way. */
export interface UnderWay {
  readonly receiver: string
  readonly isProbe: boolean
}

/** A receiver that is paused now. */
export interface PausedReceiver {
  readonly since: number
  readonly until: number
  /** Attempts that failed to end it. */
  readonly probes: number
}

export interface Receivers {
  /** Of `perReceiver` attempts at each, how many may not be begun now. */
  taken(now: number): ReadonlyMap<string, number>
  begin(receiver: string, now: number): UnderWay
  /** @returns Whether the receiver is paused now, if that has changed (or its pause has); else undefined. */
  end(attempt: UnderWay, outcome: AttemptOutcome, now: number): PausedReceiver | null | undefined
  /** Ends its pause, if it has one: the next attempt is the probe. */
  ask(receiver: string, now: number): void
  /** When the next pause ends after a moment, epoch ms; null when none does. */
  nextProbeAt(after: number): number | null
  /** How many are paused. */
  pausedCount(): number
}

/** Receivers that have failed lately and are remembered; beyond this the one that was heard of least recently is forgotten, which closes its breaker. */
export const MAX_TROUBLED = 10_000

interface Trouble {
  readonly breaker: Breaker
  /** When its present pause, or chain of pauses, began. */
  readonly since: number
}

export function makeReceivers({
  perReceiver,
  maxTroubled = MAX_TROUBLED,
}: {
  readonly perReceiver: number
  readonly maxTroubled?: number
}): Receivers {
  const running = new Map<string, number>()
  /** Closed ones without a failure are not in it. In order of their last change. */
  const troubled = new Map<string, Trouble>()
  const breakerOf = (receiver: string): Breaker => troubled.get(receiver)?.breaker ?? CLOSED
  const keep = (receiver: string, breaker: Breaker, now: number): Trouble => {
    const wasPaused = isPaused(breakerOf(receiver))
    const since = wasPaused ? (troubled.get(receiver)?.since ?? now) : now
    troubled.delete(receiver)
    const trouble = { breaker, since }
    if (breaker.state === 'closed' && breaker.failures === 0) return trouble
    const [oldest] = troubled.keys()
    if (troubled.size >= maxTroubled && oldest !== undefined) troubled.delete(oldest)
    troubled.set(receiver, trouble)
    return trouble
  }
  return {
    taken(now) {
      const taken = new Map(running)
      for (const [receiver, { breaker }] of troubled) {
        const admission = admits(breaker, now)
        if (admission !== 'all') taken.set(receiver, admission === 'one' ? perReceiver - 1 : perReceiver)
      }
      return taken
    },
    begin(receiver, now) {
      running.set(receiver, (running.get(receiver) ?? 0) + 1)
      const before = breakerOf(receiver)
      const after = onBegun(before, now)
      if (after !== before) keep(receiver, after, now)
      return { receiver, isProbe: after !== before }
    },
    end({ receiver, isProbe }, outcome, now) {
      const left = (running.get(receiver) ?? 1) - 1
      if (left > 0) running.set(receiver, left)
      else running.delete(receiver)
      const before = breakerOf(receiver)
      const after = stepped(before, outcome, { isProbe, now })
      if (after === before) return undefined
      const { since } = keep(receiver, after, now)
      if (after.state === 'open') return { since, until: after.until, probes: after.openings - 1 }
      return isPaused(before) ? null : undefined
    },
    ask(receiver, now) {
      const before = breakerOf(receiver)
      const after = onAsked(before, now)
      if (after !== before) keep(receiver, after, now)
    },
    nextProbeAt(after) {
      let next: number | null = null
      for (const { breaker } of troubled.values())
        if (breaker.state === 'open' && breaker.until > after && (next === null || breaker.until < next)) next = breaker.until
      return next
    },
    pausedCount: () => [...troubled.values()].filter(({ breaker }) => isPaused(breaker)).length,
  }
}

const isPaused = (breaker: Breaker): boolean => breaker.state !== 'closed'

function stepped(breaker: Breaker, outcome: AttemptOutcome, facts: { readonly isProbe: boolean; readonly now: number }): Breaker {
  switch (outcome) {
    case 'answered':
      return onAnswered(breaker)
    case 'failed':
      return onFailed(breaker, facts)
    case 'lost':
      return onLost(breaker, facts)
  }
}
