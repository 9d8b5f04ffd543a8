import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FAILURES_TO_OPEN, PAUSE_MS } from './breaker.ts'
import { makeReceivers, type Receivers } from './receivers.ts'

const HOOK = 'https://hook.example'

function failing(receivers: Receivers, receiver: string, times: number, now: number) {
  const ends = Array.from({ length: times }, () => receivers.begin(receiver, now)).map((attempt) => receivers.end(attempt, 'failed', now))
  return ends.at(-1)
}

test('attempts under way take their places at their receiver, and give them back', () => {
  const receivers = makeReceivers({ perReceiver: 3 })
  const first = receivers.begin(HOOK, 0)
  receivers.begin(HOOK, 0)
  assert.deepEqual([...receivers.taken(0)], [[HOOK, 2]])
  assert.equal(receivers.end(first, 'answered', 0), undefined)
  assert.deepEqual([...receivers.taken(0)], [[HOOK, 1]])
})

test('a receiver that fails again and again is paused; then one attempt is admitted, and its answer frees all places', () => {
  const receivers = makeReceivers({ perReceiver: 3 })
  assert.equal(failing(receivers, HOOK, FAILURES_TO_OPEN - 1, 0), undefined)
  assert.deepEqual([...receivers.taken(0)], [])
  assert.deepEqual(failing(receivers, HOOK, 1, 7), { since: 7, until: 7 + PAUSE_MS, probes: 0 })
  assert.deepEqual([...receivers.taken(6 + PAUSE_MS)], [[HOOK, 3]])
  assert.deepEqual([...receivers.taken(7 + PAUSE_MS)], [[HOOK, 2]])
  assert.deepEqual([receivers.pausedCount(), receivers.nextProbeAt(7), receivers.nextProbeAt(7 + PAUSE_MS)], [1, 7 + PAUSE_MS, null])
  const probe = receivers.begin(HOOK, 10_000)
  assert.equal(probe.isProbe, true)
  assert.deepEqual([...receivers.taken(10_000)], [[HOOK, 3]])
  assert.deepEqual(receivers.end(probe, 'failed', 10_100), { since: 7, until: 10_100 + 2 * PAUSE_MS, probes: 1 })
  const second = receivers.begin(HOOK, 30_000)
  assert.equal(receivers.end(second, 'answered', 30_001), null)
  assert.deepEqual([[...receivers.taken(30_001)], receivers.pausedCount()], [[], 0])
})

test('attempts that were under way when the receiver was paused decide nothing but by an answer', () => {
  const receivers = makeReceivers({ perReceiver: 8 })
  const [late, later] = [receivers.begin(HOOK, 0), receivers.begin(HOOK, 0)]
  failing(receivers, HOOK, FAILURES_TO_OPEN, 0)
  assert.equal(receivers.end(late, 'failed', 1), undefined)
  assert.equal(receivers.end(later, 'answered', 2), null, 'it is there after all')
})

test('a probe that was never sent is not the end of probes', () => {
  const receivers = makeReceivers({ perReceiver: 8 })
  failing(receivers, HOOK, FAILURES_TO_OPEN, 0)
  const probe = receivers.begin(HOOK, PAUSE_MS)
  assert.deepEqual(receivers.end(probe, 'lost', PAUSE_MS), { since: 0, until: 2 * PAUSE_MS, probes: 0 })
})

test('asking for a paused receiver admits the probe at once', () => {
  const receivers = makeReceivers({ perReceiver: 3 })
  failing(receivers, HOOK, FAILURES_TO_OPEN, 0)
  receivers.ask('https://other.example', 1)
  receivers.ask(HOOK, 1)
  assert.deepEqual([...receivers.taken(1)], [[HOOK, 2]])
  assert.deepEqual(receivers.end(receivers.begin(HOOK, 1), 'failed', 2), { since: 0, until: 2 + 2 * PAUSE_MS, probes: 1 })
})

test('one receiver’s pause is nobody else’s', () => {
  const receivers = makeReceivers({ perReceiver: 1 })
  failing(receivers, HOOK, FAILURES_TO_OPEN, 0)
  assert.deepEqual([...receivers.taken(0)], [[HOOK, 1]])
  assert.equal(receivers.begin('https://other.example', 0).isProbe, false)
})

test('receivers in trouble are remembered up to a limit, those heard of last', () => {
  const receivers = makeReceivers({ perReceiver: 1, maxTroubled: 3 })
  for (let n = 0; n < 100; n += 1) failing(receivers, `https://h${n}.example`, FAILURES_TO_OPEN, n)
  assert.deepEqual([...receivers.taken(100).keys()], ['https://h97.example', 'https://h98.example', 'https://h99.example'])
  for (let n = 0; n < 100; n += 1) receivers.end(receivers.begin(`https://once${n}.example`, 0), 'failed', 0)
  assert.equal(receivers.pausedCount(), 0)
  for (let n = 0; n < 100; n += 1) receivers.end(receivers.begin(`https://good${n}.example`, 0), 'answered', 0)
  assert.equal(receivers.taken(0).size, 0)
})
