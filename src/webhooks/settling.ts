/**
 * Writes down how attempts went, many in one statement: while one statement is on its way, what ends meanwhile waits for the next.
 * Nobody waits for a timer, and the busier it is the fewer commits there are.
 */
import type { Settled } from '../store/outbox/delivery.ts'

export interface Settling {
  /** @returns False when the lease was lost meanwhile. @throws What the statement of its batch threw. */
  settle(settled: Settled): Promise<boolean>
}

/** Attempts in one statement at most. */
export const MAX_BATCH = 500

interface Waiting {
  readonly settled: Settled
  readonly done: (held: boolean) => void
  readonly fail: (error: unknown) => void
}

/** @param write Records a batch, and says the ids of those that it recorded. */
export function makeSettling(write: (batch: readonly Settled[]) => Promise<ReadonlySet<string>>): Settling {
  const waiting: Waiting[] = []
  let writing = false
  async function writeAll(): Promise<void> {
    writing = true
    while (waiting.length > 0) {
      const batch = waiting.splice(0, MAX_BATCH)
      try {
        const held = await write(batch.map(({ settled }) => settled))
        for (const { settled, done } of batch) done(held.has(settled.id))
      } catch (error) {
        for (const { fail } of batch) fail(error)
      }
    }
    writing = false
  }
  return {
    settle(settled) {
      const { promise, resolve, reject } = Promise.withResolvers<boolean>()
      waiting.push({ settled, done: resolve, fail: reject })
      if (!writing) void writeAll()
      return promise
    },
  }
}
