/** How a test waits for what happens elsewhere: it looks again and again, for a bounded time, and never sleeps on a guess. */
import { setTimeout as sleep } from 'node:timers/promises'

const POLL_MS = 10
const PATIENCE_MS = 10_000

/**
 * Resolves with what `look` finds as soon as that is something: neither null, undefined nor false.
 * @throws Error with `what` when patience ends, and at once what `look` throws.
 */
export async function eventually<T>(what: string, look: () => T | Promise<T>, withinMs = PATIENCE_MS): Promise<Exclude<T, null | undefined | false>> {
  const deadline = performance.now() + withinMs
  for (;;) {
    const found = await look()
    if (isSomething(found)) return found
    if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms in vain: ${what}`)
    await sleep(POLL_MS)
  }
}

const isSomething = <T>(found: T): found is Exclude<T, null | undefined | false> => found !== null && found !== undefined && found !== false

/** A look that may fail for a while, such as a query while its server starts again: a failure is not yet an answer. */
export const despiteErrors =
  <T>(look: () => Promise<T>) =>
  (): Promise<T | null> =>
    look().catch(() => null)
