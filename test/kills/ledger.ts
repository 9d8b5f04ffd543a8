/**
 * What a customer of a server knows who writes everything down: which calls and legs were acknowledged, which modes were asked for, and
 * every callback that arrived, with what it was answered. What must follow from it is in `checks.ts`.
 */

/** One arrival of a callback. */
export interface Receipt {
  readonly id: string
  readonly body: string
  /** What was answered; null when the connection was cut instead. */
  readonly status: number | null
}

export interface Ledger {
  /** Ids of calls and legs whose creation was answered with 200. */
  readonly calls: Set<string>
  readonly legs: Set<string>
  /** By leg: the last action that was acknowledged, and those that may or may not have come to pass since. */
  readonly actions: Map<string, { sure: string; readonly unsure: Set<string> }>
  /** In order of arrival. */
  readonly receipts: Receipt[]
  /** Requests that were sent again with their key, since no answer came. */
  repeated: number
  /** Changes of mode and hang-ups that were acknowledged. */
  changes: number
  /** Answers other than 200, by status. */
  readonly refusals: Map<number, number>
}

export const makeLedger = (): Ledger => ({
  calls: new Set(),
  legs: new Set(),
  actions: new Map(),
  receipts: [],
  repeated: 0,
  changes: 0,
  refusals: new Map(),
})

/** Numbers in [0, 1) that a seed decides (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** An integer from `least` to `most`. */
export const between = (chance: () => number, least: number, most: number): number => least + Math.floor(chance() * (most - least + 1))
