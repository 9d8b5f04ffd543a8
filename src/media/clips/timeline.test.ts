import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Arrival } from '../reception.ts'
import { DEADBAND, makeTrack, MAX_EARLY, placeOf, type Place, type Track } from './timeline.ts'

const N = 160
/** How far back there is room. */
const HOLD = 3200
const take = (track: Track, timestamp: number, at: number, arrival: Arrival = 'fresh', length = N): Place =>
  placeOf(track, { timestamp: timestamp >>> 0, length, arrival }, at, at - HOLD)

describe('The place of a packet on the timeline', () => {
  test('The first one ends where it arrives, and what follows joins it by its own time, over the wrap too', () => {
    for (const begin of [0, 1, 0x7fffffff, 0xffffff00, 0xffffffff]) {
      const track = makeTrack()
      assert.deepEqual(take(track, begin, 1000, 'first'), { start: 840, length: N, isNew: true })
      for (let i = 1; i < 40; i++) assert.deepEqual(take(track, begin + i * N, 1000 + i * N), { start: 840 + i * N, length: N, isNew: false })
    }
  })

  test('Jitter, loss and disorder move nothing', () => {
    const delays = fc.array(fc.record({ delay: fc.nat(1500), isLost: fc.boolean() }), { minLength: 1, maxLength: 40 })
    fc.assert(
      fc.property(delays, (packets) => {
        const track = makeTrack()
        take(track, 0, N, 'first')
        const arrivals = packets.map(({ delay, isLost }, i) => ({ number: i + 1, at: (i + 2) * N + delay, isLost })).filter(({ isLost }) => !isLost)
        let highest = 0
        for (const { number, at } of arrivals.sort((a, b) => a.at - b.at)) {
          const place = take(track, number * N, at, number > highest ? 'fresh' : 'late')
          highest = Math.max(highest, number)
          assert.ok(Math.abs(place.start - number * N) <= 40 && !place.isNew, `${place.start} instead of ${number * N}`)
        }
      }),
    )
  })

  test('A copy has the place of the first', () => {
    const track = makeTrack()
    take(track, 0, N, 'first')
    const once = take(track, N, 2 * N)
    assert.deepEqual(take(track, N, 2 * N + 5, 'late'), once)
  })

  const leaps: readonly (readonly [string, number, number, Arrival, boolean])[] = [
    ['a new stream', 987_654, 2 * N, 'first', true],
    ['a time that leaps forward', N + 900_000, 2 * N, 'fresh', true],
    ['a time that leaps back', -900_000, 2 * N, 'fresh', true],
    ['a pause in which the time of the phone stood still', N, 2 * N + 8000, 'fresh', true],
    ['a pause in which it went on', N + 80_000, 2 * N + 80_000, 'fresh', false],
    ['just early enough', N + MAX_EARLY, 2 * N, 'fresh', false],
    ['a sample earlier', N + MAX_EARLY + 1, 2 * N, 'fresh', true],
    ['just not too late', N, N + HOLD, 'fresh', false],
    ['a sample later', N, N + HOLD + 1, 'fresh', true],
  ]
  for (const [name, timestamp, at, arrival, isNew] of leaps) {
    test(`After ${name} it ${isNew ? 'begins anew where it arrives' : 'stays in its time'}`, () => {
      const track = makeTrack()
      take(track, 0, N, 'first')
      const place = take(track, timestamp, at, arrival)
      assert.equal(place.isNew, isNew)
      assert.equal(place.start, isNew ? at - N : timestamp)
      assert.equal(take(track, timestamp + N, at + N).start, place.start + N, 'and what follows joins it')
    })
  }

  test('A straggler of a stream that we did not know begins it', () => assert.equal(take(makeTrack(), 5, 500, 'late').isNew, true))
})

/** Packets of a phone whose crystal is off, for some hours; says how far from the truth their ends were at most, after the first seconds. */
function worst(ppm: number, hours: number, jitter: (n: number) => number = () => 0): { readonly off: number; readonly steps: ReadonlySet<number> } {
  const track = makeTrack()
  const steps = new Set<number>()
  const pace = 1 + ppm / 1e6
  let off = 0
  let end = 0
  for (let n = 0; n < hours * 180_000; n++) {
    // The phone has made its samples when its crystal says so; our time is then another.
    const truth = ((n + 1) * N) / pace
    const place = take(track, n * N, Math.floor(truth + jitter(n)), n === 0 ? 'first' : 'fresh')
    steps.add(place.length - N)
    if (n > 0) assert.equal(place.start, end, 'no gap and no overlap')
    end = place.start + place.length
    if (n > 1500) off = Math.max(off, Math.abs(end - truth))
  }
  return { off, steps }
}

describe('Skew', () => {
  for (const ppm of [-200, -50, 0, 50, 200]) {
    test(`A crystal that is ${ppm} ppm off stays within 2 ms of the truth for four hours, by single samples`, () => {
      const { off, steps } = worst(ppm, 4)
      assert.ok(off <= 2 * DEADBAND, `${off} samples`)
      assert.deepEqual([...steps].sort(), ppm === 0 ? [0] : ppm > 0 ? [-1, 0] : [0, 1])
    })
  }
  test('Jitter of 60 ms on top of it changes little: the fastest packets tell the time', () => {
    for (const ppm of [-200, 200]) {
      const { off } = worst(ppm, 1, (n) => (Math.imul(n, 2654435761) >>> 8) % 480)
      assert.ok(off <= 12 * DEADBAND, `${off} samples`)
    }
  })
  test('A crystal that is worse than any is followed too', () => assert.ok(worst(-3000, 0.2).off < 10 * DEADBAND))
  test('A first packet that was held up is found out within seconds', () => {
    const track = makeTrack()
    for (let n = 0; n < 600; n++) take(track, n * N, (n + 1) * N + (n === 0 ? 400 : 0), n === 0 ? 'first' : 'fresh')
    const { start } = take(track, 600 * N, 601 * N)
    assert.ok(Math.abs(start - 600 * N) <= DEADBAND, `${start - 600 * N}`)
  })
  test('A phone that sends two packets at a time keeps its pace', () => {
    const track = makeTrack()
    let end = 0
    for (let n = 0; n < 3000; n++) {
      const place = take(track, n * N, (Math.floor(n / 2) + 1) * 2 * N, n === 0 ? 'first' : 'fresh')
      if (n > 0) assert.equal(place.start, end)
      end = place.start + place.length
      if (n > 1000) assert.ok(Math.abs(end - (n + 1) * N) <= 2 * DEADBAND, `${n}: ${end - (n + 1) * N}`)
    }
  })
})
