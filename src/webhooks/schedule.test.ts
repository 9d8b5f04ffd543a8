import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_SCHEDULE, retryAt } from './schedule.ts'

test('[C27] by default a callback is tried again after 5 s, 1 min, 5 min, 15 min, 1 h and 6 h, then no more', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 7].map((round) => retryAt(round, 1000)),
    [6_000, 61_000, 301_000, 901_000, 3_601_000, 21_601_000, null],
  )
  assert.equal(DEFAULT_SCHEDULE.length, 6)
})

test('an operator’s own schedule is kept to; an empty one gives a single attempt', () => {
  assert.equal(retryAt(1, 0, [7]), 7)
  assert.equal(retryAt(2, 0, [7]), null)
  assert.equal(retryAt(1, 0, []), null)
})
