import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Guesses, LONGEST_WINDOW_MS, makeGuesses, PROVEN_MS, WINDOW_MS } from './guesses.ts'

/** Fails so often at once. @returns How many tries were allowed. */
function fail(guesses: Guesses, source: string, key: string, times: number, now: number): number {
  let tries = 0
  for (let n = 0; n < times; n += 1) {
    if (guesses.wait(source, key, now) !== null) continue
    guesses.count(source, key, now)
    tries += 1
  }
  return tries
}

test('[C10] an address may fail as often as is said in a minute, at whatever keys, and then has to wait for its end', () => {
  const guesses = makeGuesses({ perMinute: 10 })
  for (let n = 0; n < 10; n += 1) {
    assert.equal(guesses.wait('a', `key ${n}`, n), null)
    assert.equal(guesses.count('a', `key ${n}`, n).isLast, n === 9)
  }
  assert.equal(guesses.wait('a', 'key 99', 9), 60)
  assert.equal(guesses.wait('a', 'key 99', 30_000), 30)
  assert.equal(guesses.wait('b', 'key 99', 30_000), null, 'another address is not meant')
  assert.equal(guesses.wait('a', 'key 99', 60_000), null)
})

test('[C10] each wait is twice the last one, up to an hour, for whoever goes on; who is quiet begins anew', () => {
  const guesses = makeGuesses({ perMinute: 3 })
  let now = 0
  const waits: number[] = []
  for (let round = 0; round < 9; round += 1) {
    assert.equal(fail(guesses, 'a', 'k', 5, now), 3)
    const wait = guesses.wait('a', 'k', now) ?? 0
    waits.push(wait)
    now += wait * 1000
  }
  assert.deepEqual(waits, [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600])
  now += 3 * LONGEST_WINDOW_MS
  fail(guesses, 'a', 'k', 5, now)
  assert.equal(guesses.wait('a', 'k', now), 60)
})

test('[C10] a right token from elsewhere works however many guess at its key', () => {
  const guesses = makeGuesses({ perMinute: 10 })
  for (let n = 0; n < 100; n += 1) fail(guesses, `botnet ${n}`, 'key', 100, 1)
  assert.equal(guesses.wait('elsewhere', 'key', 2), null)
})

test('[C10] beyond so many failures at one key each address has one try in the window instead of ten', () => {
  const guesses = makeGuesses({ perMinute: 10 })
  assert.equal(fail(guesses, 'first', 'key', 100, 0), 10)
  for (let n = 0; n < 50; n += 1) assert.equal(fail(guesses, `botnet ${n}`, 'key', 100, 1), 1)
  assert.equal(fail(guesses, 'botnet 0', 'other key', 100, 1), 9, 'at another key it has what is left of its own')
})

test('[C10] who has shown the token before is not shut out by a neighbour at the same address, but by their own failures', () => {
  const guesses = makeGuesses({ perMinute: 10 })
  guesses.count('nat', 'good', 0).proved(0)
  fail(guesses, 'nat', 'guessed', 100, 1)
  assert.equal(guesses.wait('nat', 'other', 2), 60)
  assert.equal(guesses.wait('nat', 'good', 2), null)
  assert.equal(fail(guesses, 'nat', 'good', 100, 2), 10)
  assert.equal(guesses.wait('nat', 'good', 3), 60)
  assert.equal(guesses.wait('nat', 'good', PROVEN_MS), null)
})

test('[C10] whoever has a key of their own gains no try at others by using it', () => {
  const guesses = makeGuesses({ perMinute: 10 })
  let tries = 0
  for (let n = 0; n < 100; n += 1) {
    guesses.count('a', 'own', n).proved(n)
    tries += fail(guesses, 'a', 'victim', 1, n)
  }
  assert.equal(tries, 10)
})

test('a hundred right tries at once are no failures, and what nobody found out is none either', () => {
  const guesses = makeGuesses({ perMinute: 200 })
  const tries = Array.from({ length: 100 }, () => guesses.count('a', 'k', 0))
  for (const one of tries.slice(50)) one.proved(5)
  for (const one of tries.slice(0, 50)) one.takeBack()
  assert.equal(fail(guesses, 'a', 'k', 300, 6), 200)
})

test('whatever happens in whatever order, no address fails more often in a minute than is said, unless it showed the right token', () => {
  const step = fc.record({ source: fc.constantFrom('a', 'b'), key: fc.constantFrom('x', 'y', 'z'), waitMs: fc.integer({ min: 0, max: 20_000 }) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const guesses = makeGuesses({ perMinute: 5 })
      let now = 0
      const failures: { readonly source: string; readonly at: number; readonly since: number }[] = []
      for (const { source, key, waitMs } of steps) {
        now += waitMs
        const wait = guesses.wait(source, key, now)
        assert(wait === null || (wait > 0 && wait <= LONGEST_WINDOW_MS / 1000))
        if (wait !== null) continue
        guesses.count(source, key, now)
        failures.push({ source, at: now, since: 0 })
      }
      // A fixed window: in any minute at most those of two windows.
      for (const { source, at } of failures)
        assert(failures.filter((one) => one.source === source && one.at >= at && one.at < at + WINDOW_MS).length <= 10)
    }),
  )
})

test('memory is bounded, and a clock that jumps back begins a new window', () => {
  const guesses = makeGuesses({ perMinute: 1, maxNames: 3 })
  for (const source of ['a', 'b', 'c', 'd']) guesses.count(source, source, 100)
  assert.equal(guesses.wait('a', 'a', 101), null, 'a is forgotten')
  assert.equal(guesses.wait('d', 'x', 101), 60)
  assert.equal(guesses.wait('d', 'x', 99), null)
})
