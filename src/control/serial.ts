/** Work for one key strictly in the order asked; different keys do not wait for each other. */

/** Callers that may wait for one key. A call with more than this ahead of it is stuck, and says so. */
const WAITING_PER_KEY = 200

export interface Serial<Key> {
  /** @throws Error when too many wait for that key; whatever `work` throws. A failed predecessor does not matter. */
  run<T>(key: Key, work: () => Promise<T>): Promise<T>
  /** Resolves when nothing is queued or running at that moment. */
  idle(): Promise<void>
}

export function makeSerial<Key>(): Serial<Key> {
  const tails = new Map<Key, { tail: Promise<unknown>; waiting: number }>()
  return {
    run(key, work) {
      const queue = tails.get(key) ?? { tail: Promise.resolve(), waiting: 0 }
      if (queue.waiting >= WAITING_PER_KEY) return Promise.reject(new Error(`more than ${WAITING_PER_KEY} requests wait for one call`))
      queue.waiting += 1
      const result = queue.tail.then(work)
      queue.tail = result.then(
        () => leave(queue),
        () => leave(queue),
      )
      tails.set(key, queue)
      return result

      function leave(left: { waiting: number }): void {
        left.waiting -= 1
        if (left.waiting === 0 && tails.get(key) === left) tails.delete(key)
      }
    },
    async idle() {
      while (tails.size > 0) await Promise.all([...tails.values()].map((queue) => queue.tail))
    },
  }
}
