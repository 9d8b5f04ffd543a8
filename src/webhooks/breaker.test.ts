import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  admits,
  type Breaker,
  CLOSED,
  FAILURES_TO_OPEN,
  MAX_PAUSE_MS,
  onAnswered,
  onAsked,
  onBegun,
  onFailed,
  onLost,
  PAUSE_MS,
  pauseMs,
} from './breaker.ts'

const NOW = 1_000_000
const closed = (failures: number): Breaker => ({ state: 'closed', failures })
const open = (openings: number, until: number): Breaker => ({ state: 'open', openings, until })
const halfOpen = (openings: number): Breaker => ({ state: 'half-open', openings })
const probe = { isProbe: true, now: NOW }
const other = { isProbe: false, now: NOW }

test('what a breaker admits: all, then nothing until its pause is over, then one, and nothing while that one is under way', () => {
  assert.equal(admits(CLOSED, NOW), 'all')
  assert.equal(admits(closed(FAILURES_TO_OPEN - 1), NOW), 'all')
  assert.equal(admits(open(1, NOW + 1), NOW), 'none')
  assert.equal(admits(open(1, NOW), NOW), 'one')
  assert.equal(admits(halfOpen(1), NOW), 'none')
})

test('each step of a breaker', () => {
  const steps: readonly (readonly [string, Breaker, Breaker])[] = [
    ['a failure counts', onFailed(CLOSED, other), closed(1)],
    ['the last but one does not open it', onFailed(closed(FAILURES_TO_OPEN - 2), other), closed(FAILURES_TO_OPEN - 1)],
    ['the last one opens it', onFailed(closed(FAILURES_TO_OPEN - 1), other), open(1, NOW + PAUSE_MS)],
    ['an answer takes failures back', onAnswered(closed(FAILURES_TO_OPEN - 1)), CLOSED],
    ['after the pause an attempt is the probe', onBegun(open(2, NOW), NOW), halfOpen(2)],
    ['a probe that fails doubles the pause', onFailed(halfOpen(2), probe), open(3, NOW + PAUSE_MS * 4)],
    ['a probe that is answered closes it', onAnswered(halfOpen(2)), CLOSED],
    ['who asks ends the pause, but not the row of them', onAsked(open(2, NOW + 1), NOW), open(2, NOW)],
    ['a late answer closes it too', onAnswered(open(2, NOW + 1)), CLOSED],
    ['a probe that was never sent is made up for after the same pause', onLost(halfOpen(3), probe), open(3, NOW + PAUSE_MS * 4)],
  ]
  for (const [sentence, found, wanted] of steps) assert.deepEqual(found, wanted, sentence)
})

test('what decides nothing moves nothing', () => {
  const still: readonly (readonly [string, (breaker: Breaker) => Breaker, Breaker])[] = [
    ['an attempt that begins while it is closed', (breaker) => onBegun(breaker, NOW), closed(3)],
    ['an attempt that nobody may begin', (breaker) => onBegun(breaker, NOW), open(1, NOW + 1)],
    ['a second attempt beside the probe', (breaker) => onBegun(breaker, NOW), halfOpen(1)],
    ['asking while it is closed', (breaker) => onAsked(breaker, NOW), closed(3)],
    ['asking when the pause is over anyhow', (breaker) => onAsked(breaker, NOW), open(1, NOW)],
    ['asking while the probe is under way', (breaker) => onAsked(breaker, NOW), halfOpen(1)],
    ['a late failure of an attempt from before', (breaker) => onFailed(breaker, other), open(1, NOW + 1)],
    ['a probe’s failure after something else has closed and opened it again', (breaker) => onFailed(breaker, probe), open(1, NOW + 1)],
    ['a late failure beside the probe', (breaker) => onFailed(breaker, other), halfOpen(1)],
    ['an attempt that was never sent', (breaker) => onLost(breaker, other), closed(3)],
    ['… while it is open', (breaker) => onLost(breaker, probe), open(1, NOW + 1)],
    ['… beside the probe', (breaker) => onLost(breaker, other), halfOpen(1)],
  ]
  for (const [sentence, step, before] of still) assert.equal(step(before), before, sentence)
})

test('pauses grow to a limit, and a receiver that is back is asked within it', () => {
  assert.deepEqual([1, 2, 3, 4, 5, 6, 7, 8, 1000].map(pauseMs), [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000])
})

test('whatever happens, a breaker never withholds for longer than the longest pause, and is closed after an answer', () => {
  const event = fc.record({
    kind: fc.constantFrom('begun', 'asked', 'answered', 'failed', 'lost'),
    isProbe: fc.boolean(),
    afterMs: fc.nat({ max: 400_000 }),
  })
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      let [breaker, now]: [Breaker, number] = [CLOSED, NOW]
      for (const { kind, isProbe, afterMs } of events) {
        now += afterMs
        if (kind === 'begun') breaker = onBegun(breaker, now)
        if (kind === 'asked') breaker = onAsked(breaker, now)
        if (kind === 'answered') breaker = onAnswered(breaker)
        if (kind === 'failed') breaker = onFailed(breaker, { isProbe, now })
        if (kind === 'lost') breaker = onLost(breaker, { isProbe, now })
        if (kind === 'answered') assert.equal(admits(breaker, now), 'all')
        if (breaker.state === 'open') assert(breaker.until <= now + MAX_PAUSE_MS)
        if (breaker.state === 'closed') assert(breaker.failures < FAILURES_TO_OPEN)
      }
    }),
  )
})
