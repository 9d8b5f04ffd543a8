import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Settled } from '../store/outbox/delivery.ts'
import { MAX_BATCH, makeSettling } from './settling.ts'

const settled = (id: number): Settled => ({ id: String(id), attempts: 1, settlement: { kind: 'delivered', status: 200 }, at: 0 })
const idsOf = (batch: readonly Settled[]): readonly string[] => batch.map(({ id }) => id)

test('the first goes at once, and what ends while it is written goes together', async () => {
  const batches: (readonly string[])[] = []
  const turns: (() => void)[] = []
  const settling = makeSettling(async (batch) => {
    batches.push(idsOf(batch))
    await new Promise<void>((resolve) => turns.push(resolve))
    return new Set(idsOf(batch).filter((id) => id !== '3'))
  })
  const all = [1, 2, 3].map((id) => settling.settle(settled(id)))
  assert.deepEqual(batches, [['1']])
  turns.shift()?.()
  assert.equal(await all[0], true)
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(batches, [['1'], ['2', '3']])
  turns.shift()?.()
  assert.deepEqual(await Promise.all(all), [true, true, false], 'of the third the lease was lost')
})

test('a statement that fails fails all of its batch and nobody else', async () => {
  let fails = true
  const settling = makeSettling(async (batch) => {
    if (fails) throw new Error('away')
    return new Set(idsOf(batch))
  })
  await assert.rejects(settling.settle(settled(1)), /away/)
  fails = false
  assert.equal(await settling.settle(settled(2)), true)
})

test('a batch has a limit', async () => {
  const sizes: number[] = []
  const settling = makeSettling(async (batch) => {
    sizes.push(batch.length)
    await new Promise((resolve) => setImmediate(resolve))
    return new Set(idsOf(batch))
  })
  await Promise.all(Array.from({ length: MAX_BATCH + 3 }, (_, id) => settling.settle(settled(id))))
  assert.deepEqual(sizes, [1, MAX_BATCH, 2])
})
