import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DEFAULT_SCHEDULE, JITTER, retryAt } from './schedule.ts'

const at = (round: number, schedule: readonly number[] = DEFAULT_SCHEDULE, chance = 0.5, failedAt = 1000): number | null =>
  retryAt({ round, failedAt, schedule, chance })

test('[C27] by default a callback is tried again after 5 s, 1 min, 5 min, 15 min, 1 h and 6 h, then no more', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 7].map((round) => at(round)),
    [6_000, 61_000, 301_000, 901_000, 3_601_000, 21_601_000, null],
  )
  assert.equal(DEFAULT_SCHEDULE.length, 6)
})

test('an operator’s own schedule is kept to; an empty one gives a single attempt', () => {
  assert.equal(at(1, [7]), 1007)
  assert.equal(at(2, [7]), null)
  assert.equal(at(1, []), null)
})

test('[C27] chance moves a wait by a tenth of it at most, in both directions, and never before the failure', () => {
  assert.deepEqual([at(1, DEFAULT_SCHEDULE, 0, 0), at(1, DEFAULT_SCHEDULE, 0.999999, 0)], [4_500, 5_500])
  fc.assert(
    fc.property(fc.nat(), fc.nat({ max: 1e12 }), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (delayMs, failedAt, chance) => {
      const retry = at(1, [delayMs], chance, failedAt)
      assert(retry !== null && Number.isInteger(retry) && retry >= failedAt)
      assert(Math.abs(retry - failedAt - delayMs) <= delayMs * JITTER + 0.5)
    }),
  )
})

test('[C27] callbacks that failed at one moment come back spread out', () => {
  const moments = new Set(Array.from({ length: 100 }, (_, n) => at(2, DEFAULT_SCHEDULE, n / 100)))
  assert.equal(moments.size, 100)
})
