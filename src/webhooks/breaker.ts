/**
 * A circuit breaker for one receiver: one that is down is left alone for a while, so that it costs neither attempts of its callbacks
 * nor the time of others. Pure.
 *
 *               FAILURES_TO_OPEN in a row                the pause is over, and one is sent
 *     closed ──────────────────────────────▶ open ──────────────────────────────────▶ half-open
 *      ▲  ▲                                  │  ▲                                         │
 *      │  └─────── a late answer ────────────┘  └──── the probe fails: a longer pause ────┤
 *      └──────────────────────────── any answer ──────────────────────────────────────────┘
 *
 * Somebody who replays callbacks ends the pause: one attempt is made at once.
 *
 * A failure is one of the receiver as a whole: no connection, no answer in time, a 5xx. A 4xx is about one callback, and proof that
 * somebody is there.
 */

export type Breaker =
  /** `failures`: in a row. */
  | { readonly state: 'closed'; readonly failures: number }
  /** `openings`: pauses since the last answer, this one included. `until`: epoch ms. */
  | { readonly state: 'open'; readonly openings: number; readonly until: number }
  /** One attempt is under way, the probe. */
  | { readonly state: 'half-open'; readonly openings: number }

/** What may be sent to a receiver now: everything, one attempt, nothing. */
export type Admission = 'all' | 'one' | 'none'

/** Failures in a row that open it. */
export const FAILURES_TO_OPEN = 5
/** The first pause, ms; each further one is twice as long. */
export const PAUSE_MS = 5_000
/** The longest pause, ms: a receiver that is back waits no longer than this. */
export const MAX_PAUSE_MS = 300_000

/** Of a receiver of whom nothing bad is known. */
export const CLOSED: Breaker = { state: 'closed', failures: 0 }

/** How long the n-th pause in a row lasts, ms. */
export const pauseMs = (openings: number): number => Math.min(MAX_PAUSE_MS, PAUSE_MS * 2 ** (openings - 1))

export function admits(breaker: Breaker, now: number): Admission {
  switch (breaker.state) {
    case 'closed':
      return 'all'
    case 'open':
      return now >= breaker.until ? 'one' : 'none'
    case 'half-open':
      return 'none'
  }
}

/** An attempt begins. When a pause is over it is the probe; nobody may begin one before, and if somebody did, it decides nothing. */
export function onBegun(breaker: Breaker, now: number): Breaker {
  return breaker.state === 'open' && now >= breaker.until ? { state: 'half-open', openings: breaker.openings } : breaker
}

/** Somebody wants to know now whether the receiver is back. */
export const onAsked = (breaker: Breaker, now: number): Breaker =>
  breaker.state === 'open' && breaker.until > now ? { ...breaker, until: now } : breaker

/** The receiver answered something that is no 5xx: whichever attempt it was, the receiver is there. */
export const onAnswered = (_breaker: Breaker): Breaker => CLOSED

/** @param isProbe Whether the attempt is the one that made it half-open; the others were begun before it opened, and are no news. */
export function onFailed(breaker: Breaker, { isProbe, now }: { readonly isProbe: boolean; readonly now: number }): Breaker {
  switch (breaker.state) {
    case 'closed': {
      const failures = breaker.failures + 1
      return failures < FAILURES_TO_OPEN ? { state: 'closed', failures } : { state: 'open', openings: 1, until: now + pauseMs(1) }
    }
    case 'open':
      return breaker
    case 'half-open': {
      if (!isProbe) return breaker
      const openings = breaker.openings + 1
      return { state: 'open', openings, until: now + pauseMs(openings) }
    }
  }
}

/** An attempt ended without any result: it was never sent. A probe is made up for after the same pause again. */
export function onLost(breaker: Breaker, { isProbe, now }: { readonly isProbe: boolean; readonly now: number }): Breaker {
  if (breaker.state !== 'half-open' || !isProbe) return breaker
  return { state: 'open', openings: breaker.openings, until: now + pauseMs(breaker.openings) }
}
