import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { refusal } from './errors.ts'
import { LONGEST_WAIT_MS, retryAfterIn, waitAfter } from './retry.ts'

const chance = fc.double({ min: 0, max: 1, noNaN: true })

test('no wait is longer than the longest and a little, none is shorter than what the server asked for', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1000 }), chance, fc.option(fc.integer({ min: 0, max: 100 })), (attempt, luck, askedS) => {
      const wait = waitAfter(refusal(503, null, askedS), attempt, luck)
      if (askedS !== null && askedS * 1000 > LONGEST_WAIT_MS) return wait === null
      return wait !== null && wait >= (askedS ?? 0) * 1000 && wait <= (askedS ?? 0) * 1000 + LONGEST_WAIT_MS
    }),
  )
})

test('two who failed together come back apart', () => {
  const failure = refusal(503, null, 5)
  assert.notEqual(waitAfter(failure, 1, 0), waitAfter(failure, 1, 1))
})

const NOW = Date.parse('2026-01-01T00:00:00Z')
const HEADERS: readonly (readonly [string | null, number | null])[] = [
  [null, null],
  ['0', 0],
  ['7', 7],
  [' 7 ', 7],
  ['Thu, 01 Jan 2026 00:00:09 GMT', 9],
  ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
  ['soon', null],
  ['-5x', null],
]
for (const [header, expected] of HEADERS) test(`Retry-After ${header} is ${expected} s`, () => assert.equal(retryAfterIn(header, NOW), expected))
