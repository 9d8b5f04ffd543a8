import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Count, makeRateLimit, type RateLimit, type Verdict } from './rate-limit.ts'

const ALLOWED = { allowed: true }

/** What most of these tests ask of a verdict: is it a yes, and if not, for how long. */
type Answer = { readonly allowed: boolean; readonly retryAfterS?: number }
const makeCount = (limit: RateLimit): ((name: string, now: number) => Answer) => {
  const count: Count = makeRateLimit(limit)
  const answer = ({ allowed, resetS }: Verdict): Answer => (allowed ? { allowed } : { allowed, retryAfterS: resetS })
  return (name, now) => answer(count(name, now))
}

test('every verdict says how many there may be, how many are left, and when the window ends', () => {
  const count = makeRateLimit({ perMinute: 2 })
  assert.deepEqual(count('acme', 0), { allowed: true, limit: 2, remaining: 1, resetS: 60 })
  assert.deepEqual(count('acme', 59_999), { allowed: true, limit: 2, remaining: 0, resetS: 1 })
  assert.deepEqual(count('acme', 59_999), { allowed: false, limit: 2, remaining: 0, resetS: 1 })
  assert.deepEqual(count('acme', 60_000), { allowed: true, limit: 2, remaining: 1, resetS: 60 })
})

test('[C10] exactly as many writes as promised, then a refusal that says how long', () => {
  const count = makeCount({ perMinute: 3 })
  for (const at of [0, 100, 59_000]) assert.deepEqual(count('acme', at), ALLOWED)
  assert.deepEqual(count('acme', 59_001), { allowed: false, retryAfterS: 1 })
  assert.deepEqual(count('acme', 30_000), { allowed: false, retryAfterS: 30 })
})

test('[C10] a minute after the first write there is room again', () => {
  const count = makeCount({ perMinute: 1 })
  assert.deepEqual(count('acme', 5_000), ALLOWED)
  assert.deepEqual(count('acme', 64_999), { allowed: false, retryAfterS: 1 })
  assert.deepEqual(count('acme', 65_000), ALLOWED)
  assert.deepEqual(count('acme', 65_001), { allowed: false, retryAfterS: 60 })
})

test('[C10] accounts do not use up each other’s writes, and a refusal uses up nothing', () => {
  const count = makeCount({ perMinute: 1 })
  assert.deepEqual(count('acme', 0), ALLOWED)
  for (let n = 0; n < 100; n++) assert.equal(count('acme', n).allowed, false)
  assert.deepEqual(count('zenith', 0), ALLOWED)
  assert.deepEqual(count('acme', 60_000), ALLOWED)
})

test('a clock that jumps back begins a new window instead of refusing for ever', () => {
  const count = makeCount({ perMinute: 1 })
  assert.deepEqual(count('acme', 1_000_000), ALLOWED)
  assert.deepEqual(count('acme', 0), ALLOWED)
})

test('no more accounts are remembered than the limit; the oldest window goes first', () => {
  const count = makeCount({ perMinute: 1, maxNames: 2 })
  assert.deepEqual(count('a', 0), ALLOWED)
  assert.deepEqual(count('b', 1), ALLOWED)
  assert.deepEqual(count('c', 2), ALLOWED)
  assert.equal(count('b', 3).allowed, false, 'b is remembered')
  assert.equal(count('c', 3).allowed, false, 'c is remembered')
  assert.deepEqual(count('a', 3), ALLOWED, 'a is forgotten')
})

test('an account that writes again begins its window anew, and is no longer the oldest', () => {
  const count = makeCount({ perMinute: 1, maxNames: 2 })
  for (const [account, at] of [
    ['a', 0],
    ['b', 1],
    ['a', 60_000],
    ['c', 60_001],
  ] as const)
    assert.deepEqual(count(account, at), ALLOWED)
  assert.equal(count('a', 60_002).allowed, false, 'a is remembered, b had to go')
})
