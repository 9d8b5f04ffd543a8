import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { transcoding, type Law } from './g711.ts'
import type { Sound } from './mixer.ts'
import { CUSHION_MS, limitOf, makeQueue, MAX_FRAME_SAMPLES, put, QUEUE_MIN_LIMIT, ready, SURPLUS_WINDOW_MS, take, type FrameQueue } from './queue.ts'

const FRAME = 160
let written = 0
const sound = (codes: Uint8Array, law: Law = 'pcmu'): Sound => ({ law, codes, from: 0, length: codes.length })
/** Puts the next `count` samples of an endless count modulo 251. */
function feed(queue: FrameQueue, count: number, now: number): void {
  const bytes = Uint8Array.from({ length: count }, () => written++ % 251)
  put(queue, sound(bytes), now)
}
const draw = (queue: FrameQueue, count: number, now: number): readonly number[] => {
  const target = new Uint8Array(MAX_FRAME_SAMPLES)
  return [...target.subarray(0, take(queue, target, count, now))]
}
function fresh(): FrameQueue {
  written = 0
  return makeQueue(0)
}

describe('The queue between one mouth and one ear', () => {
  test('What goes in comes out in order, however it is cut', () => {
    fc.assert(
      fc.property(fc.integer({ min: 80, max: 480 }), fc.integer({ min: 80, max: 480 }), (inSamples, outSamples) => {
        const queue = fresh()
        const got: number[] = []
        let putAt = 0
        let takeAt = 30
        for (let now = 0; now < 900; now++) {
          for (; putAt <= now; putAt += inSamples / 8) feed(queue, inSamples, now)
          for (; takeAt <= now; takeAt += outSamples / 8) got.push(...draw(queue, outSamples, now))
        }
        const first = got[0] ?? 0
        if (queue.overflows === 0)
          assert.deepEqual(
            got,
            got.map((_, i) => (first + i) % 251),
          )
        assert.ok(queue.length <= limitOf(queue))
        assert.ok(got.length > 0)
      }),
      { numRuns: 200 },
    )
  })

  test('Cushion: nothing is given before a whole frame is there and has waited', () => {
    const queue = fresh()
    assert.equal(ready(queue, FRAME, 0), false)
    feed(queue, 80, 0)
    assert.deepEqual(draw(queue, FRAME, 10), [], 'half a frame')
    feed(queue, 80, 10)
    assert.equal(draw(queue, FRAME, 10).length, FRAME)
    const late = fresh()
    feed(late, FRAME, 100)
    assert.deepEqual(draw(late, FRAME, 100 + CUSHION_MS - 1), [], 'it has only just come')
    assert.equal(draw(late, FRAME, 100 + CUSHION_MS).length, FRAME)
    assert.equal(late.starvations, 0, 'not to have begun is no starvation')
  })

  test('Starvation: the rest is given, it counts once, and a new cushion is waited for', () => {
    const queue = fresh()
    feed(queue, 200, 0)
    assert.equal(draw(queue, FRAME, 10).length, FRAME)
    assert.equal(draw(queue, FRAME, 30).length, 40)
    for (let now = 50; now < 500; now += 20) assert.deepEqual(draw(queue, FRAME, now), [])
    assert.equal(queue.starvations, 1)
    feed(queue, FRAME, 500)
    assert.deepEqual(draw(queue, FRAME, 501), [])
    assert.equal(draw(queue, FRAME, 510).length, FRAME)
  })

  test('Overflow: the oldest goes, at eight frames of 20 ms, and is counted', () => {
    const queue = fresh()
    for (let i = 0; i < 11; i++) feed(queue, FRAME, i)
    assert.equal(queue.length, QUEUE_MIN_LIMIT)
    assert.equal(queue.overflows, 3)
    assert.equal(draw(queue, FRAME, 15)[0], (3 * FRAME) % 251)
  })

  test('Longer packets on either side have room for one of each', () => {
    const queue = fresh()
    feed(queue, MAX_FRAME_SAMPLES, 0)
    assert.equal(queue.length, MAX_FRAME_SAMPLES)
    draw(queue, MAX_FRAME_SAMPLES, 10)
    assert.equal(limitOf(queue), 2 * MAX_FRAME_SAMPLES)
    assert.equal(queue.overflows, 0)
  })

  for (const packets of [2, 3, 5, 7]) {
    test(`A mouth whose packets come ${packets} at a time is heard without a hole`, () => {
      const queue = fresh()
      const got: number[] = []
      for (let now = 0; now < 4000; now += 20) {
        if (now % (packets * 20) === 0) for (let i = 0; i < packets; i++) feed(queue, FRAME, now)
        got.push(...draw(queue, FRAME, now + 10))
      }
      assert.deepEqual([queue.overflows, queue.shrinks], [0, 0])
      assert.deepEqual(
        got,
        got.map((_, i) => i % 251),
      )
      assert.equal(got.length, 200 * FRAME)
    })
  }

  test('A single burst is delay for seconds, not for ever', () => {
    const queue = fresh()
    for (let i = 0; i < 8; i++) feed(queue, FRAME, 0)
    for (let now = 10; now < 10_000; now += 20) {
      draw(queue, FRAME, now)
      feed(queue, FRAME, now + 10)
    }
    assert.equal(queue.length, FRAME)
    assert.equal(queue.starvations, 0)
  })

  test('Surplus: what nobody needed for a second is dropped, one frame at a time', () => {
    const queue = fresh()
    feed(queue, FRAME, 0)
    feed(queue, FRAME, 1)
    let now = 10
    const step = () => {
      draw(queue, FRAME, now)
      feed(queue, FRAME, now + 10)
      now += 20
    }
    while (now < 10 + SURPLUS_WINDOW_MS) step()
    assert.equal(queue.length, 2 * FRAME)
    step()
    step()
    assert.equal(queue.shrinks, 1)
    assert.equal(queue.length, FRAME)
    for (let i = 0; i < 200; i++) step()
    assert.equal(queue.shrinks, 1, 'the last frame is needed')
    assert.equal(queue.starvations, 0)
  })

  test('Arrivals that coincide with the taking, now before and now after it, neither starve nor shrink for ever', () => {
    const queue = fresh()
    for (let i = 0; i < 3000; i++) {
      const now = i * 20
      const isEarly = i % 3 !== 0
      if (isEarly) feed(queue, FRAME, now - 1)
      draw(queue, FRAME, now)
      if (!isEarly) feed(queue, FRAME, now + 1)
    }
    assert.ok(queue.starvations <= 1, `${queue.starvations}`)
    assert.ok(queue.shrinks <= 1, `${queue.shrinks}`)
    assert.equal(queue.overflows, 0)
  })

  test('An empty packet is nothing; a giant one is cut; memory never grows', () => {
    const queue = fresh()
    put(queue, { ...sound(new Uint8Array(10)), from: 5, length: 0 }, 0)
    assert.equal(queue.length, 0)
    put(queue, sound(new Uint8Array(5000)), 0)
    assert.equal(queue.length, MAX_FRAME_SAMPLES)
    const { length } = queue.codes
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(1500)), { maxLength: 200 }), (steps) => {
        for (const [i, [isPut, count]] of steps.entries()) {
          if (isPut) feed(queue, count, i)
          else draw(queue, Math.min(count, MAX_FRAME_SAMPLES), i)
          assert.ok(queue.length >= 0 && queue.length <= length && queue.head < length)
        }
      }),
      { numRuns: 100 },
    )
  })

  test('When the mouth changes its law, what waits is rewritten and nothing is lost', () => {
    const queue = fresh()
    const first = Uint8Array.from({ length: 100 }, (_, i) => i)
    const second = Uint8Array.from({ length: 100 }, (_, i) => 255 - i)
    put(queue, sound(first), 0)
    put(queue, sound(second, 'pcma'), 20)
    const table = transcoding('pcmu', 'pcma')
    assert.equal(queue.law, 'pcma')
    assert.deepEqual(draw(queue, 200, 40), [...Array.from(first, (code) => table[code] ?? 0), ...second])
  })
})
