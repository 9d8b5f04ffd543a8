import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { detach, generated, inserted, makeOutlet, MAX_SKEW_MS, relayed, timelineAt, withheld, type Outlet, type Stamp } from './outlet.ts'
import { sequenceAhead, timestampAhead } from './rtp.ts'

const FRAME = 160
const make = (): Outlet => makeOutlet({ ssrc: 1, sequence: 65533, timestamp: 0xffffff00 })
/** The n-th packet of a source: numbers and times far from ours. */
const packet = (n: number, late = 0) => ({
  payloadType: 0,
  marker: false,
  sequence: (40000 + n) & 0xffff,
  timestamp: (9_000_000 + n * FRAME + late) >>> 0,
  ssrc: 7,
})
const relay = (outlet: Outlet, n: number, arrival: 'first' | 'fresh' | 'late' = n === 0 ? 'first' : 'fresh'): Stamp => {
  const stamp = relayed(outlet, packet(n), arrival, FRAME, n * 20)
  assert.ok(stamp)
  return stamp
}

describe('The stream of one ear', () => {
  test('A relayed source: numbers and times of our own, steps as they came, a marker at the beginning', () => {
    const outlet = make()
    const stamps = [0, 1, 2, 5, 6].map((n) => relay(outlet, n))
    const [first] = stamps
    assert.ok(first)
    assert.equal(first.sequence, 65534)
    assert.deepEqual(
      stamps.map((stamp) => sequenceAhead(stamp.sequence, first.sequence)),
      [0, 1, 2, 5, 6],
    )
    assert.deepEqual(
      stamps.map((stamp) => timestampAhead(stamp.timestamp, first.timestamp) / FRAME),
      [0, 1, 2, 5, 6],
    )
    assert.deepEqual(
      stamps.map((stamp) => stamp.marker),
      [true, false, false, false, false],
    )
  })

  test('Duplicates and stragglers keep the number that was theirs', () => {
    const outlet = make()
    const stamps = [0, 1, 3].map((n) => relay(outlet, n))
    const straggler = relay(outlet, 2, 'late')
    const duplicate = relay(outlet, 3, 'late')
    assert.equal(sequenceAhead(straggler.sequence, stamps[1]?.sequence ?? 0), 1)
    assert.deepEqual([duplicate.sequence, duplicate.timestamp], [stamps[2]?.sequence, stamps[2]?.timestamp])
    assert.equal(sequenceAhead(relay(outlet, 4).sequence, duplicate.sequence), 1)
  })

  test("What is older than the source's beginning is dropped", () => {
    const outlet = make()
    relay(outlet, 5, 'first')
    assert.equal(relayed(outlet, packet(4), 'late', FRAME, 0), null)
  })

  test('A frame of our own takes a number of its own; the loss around it stays visible', () => {
    const outlet = make()
    relay(outlet, 0)
    const fill = generated(outlet, outlet.end, FRAME, 45)
    const back = relay(outlet, 3)
    assert.deepEqual([fill.marker, back.marker], [true, true])
    assert.equal(sequenceAhead(back.sequence, fill.sequence), 3, 'two were lost')
    assert.equal(timestampAhead(back.timestamp, fill.timestamp), 2 * FRAME)
    assert.equal(outlet.owed, 0)
  })

  test('A straggler from before our frame and one from after it both find their place', () => {
    const outlet = make()
    relay(outlet, 0)
    relay(outlet, 2)
    const fill = generated(outlet, outlet.end, FRAME, 90)
    const before = relay(outlet, 1, 'late')
    const after = relay(outlet, 4)
    const between = relay(outlet, 3, 'late')
    assert.deepEqual(
      [before, fill, between, after].map((stamp) => sequenceAhead(stamp.sequence, before.sequence)),
      [0, 2, 3, 4],
    )
  })

  test("When our frames took the source's time it moves on, and the debt is paid in its next pause", () => {
    const outlet = make()
    const first = relay(outlet, 0)
    generated(outlet, outlet.end, FRAME, 45)
    const pushed = relay(outlet, 1)
    assert.equal(timestampAhead(pushed.timestamp, first.timestamp), 2 * FRAME)
    assert.equal(outlet.owed, FRAME)
    const paid = relayed(outlet, { ...packet(2), timestamp: packet(4).timestamp }, 'fresh', FRAME, 80)
    assert.equal(timestampAhead(paid?.timestamp ?? 0, first.timestamp), 4 * FRAME)
    assert.equal(outlet.owed, 0)
  })

  test('A withheld packet leaves no hole', () => {
    const outlet = make()
    const first = relay(outlet, 0)
    withheld(outlet, packet(1), 'fresh')
    withheld(outlet, packet(1), 'fresh')
    withheld(outlet, packet(2), 'fresh')
    assert.equal(sequenceAhead(relay(outlet, 3).sequence, first.sequence), 1)
    withheld(make(), packet(1), 'fresh')
  })

  test('A withheld packet that begins another stream ends the old one: the next is joined where it stands', () => {
    const outlet = make()
    const last = relay(outlet, 0)
    withheld(outlet, { ...packet(20000), ssrc: 8 }, 'first')
    const next = relayed(outlet, { ...packet(20001), ssrc: 8 }, 'fresh', FRAME, 40)
    assert.equal(sequenceAhead(next?.sequence ?? 0, last.sequence), 1)
    assert.equal(timestampAhead(next?.timestamp ?? 0, last.timestamp), 2 * FRAME)
    assert.equal(next?.marker, true)
  })

  test('After a time of deafness the stream goes on: next number, time by the clock, marker', () => {
    const outlet = make()
    const first = relay(outlet, 0)
    detach(outlet)
    const next = relay(outlet, 500)
    assert.equal(sequenceAhead(next.sequence, first.sequence), 1)
    assert.equal(timestampAhead(next.timestamp, first.timestamp), 500 * FRAME)
    assert.equal(next.marker, true)
  })

  test('A source whose time stands still or leaps is brought back to the clock', () => {
    for (const leap of [MAX_SKEW_MS * 8 + 10, -(MAX_SKEW_MS * 8 + 400), 1e9]) {
      const outlet = make()
      const first = relay(outlet, 0)
      const stamp = relayed(outlet, packet(1, leap), 'fresh', FRAME, 20)
      assert.equal(timestampAhead(stamp?.timestamp ?? 0, first.timestamp), FRAME)
      assert.equal(stamp?.marker, true)
      const next = relayed(outlet, packet(2, leap), 'fresh', FRAME, 40)
      assert.deepEqual([timestampAhead(next?.timestamp ?? 0, first.timestamp), next?.marker], [2 * FRAME, false])
    }
  })

  test('An event of the source keeps one time while sound and frames of our own go by', () => {
    const outlet = make()
    relay(outlet, 0)
    const event = (n: number) => relayed(outlet, { ...packet(n), timestamp: packet(1).timestamp, marker: n === 1 }, 'fresh', 0, n * 20)
    const stamps = [event(1), event(2)]
    generated(outlet, outlet.end, FRAME, 50)
    stamps.push(event(3))
    assert.equal(new Set(stamps.map((stamp) => stamp?.timestamp)).size, 1)
    assert.deepEqual(
      stamps.map((stamp) => stamp?.marker),
      [true, false, false],
    )
    assert.equal(relay(outlet, 10).marker, true)
  })

  test('Events of two other mouths at once each keep their own time', () => {
    const outlet = make()
    relay(outlet, 0)
    const press = (mouth: string, n: number) => inserted(outlet, mouth, { ...packet(n), timestamp: 55 }, n * 20)
    const stamps = [press('a', 1), press('b', 2), press('a', 3), press('b', 4)]
    assert.equal(stamps[0]?.timestamp, stamps[2]?.timestamp)
    assert.equal(stamps[1]?.timestamp, stamps[3]?.timestamp)
    assert.deepEqual(
      stamps.map((stamp) => sequenceAhead(stamp.sequence, stamps[0]?.sequence ?? 0)),
      [0, 1, 2, 3],
    )
  })

  test('The timeline follows the clock and never goes behind what was sent', () => {
    const outlet = make()
    assert.equal(timelineAt(outlet, 5000), 0xffffff00)
    relay(outlet, 0)
    assert.equal(timelineAt(outlet, 1), outlet.end)
    assert.equal(timestampAhead(timelineAt(outlet, 1000), outlet.timestamp), 8000)
  })

  test('Whatever happens in whatever order: no number twice, no sound before its time', () => {
    const action = fc.constantFrom('relay', 'lose', 'fill', 'insert', 'withhold', 'detach', 'duplicate', 'straggle')
    fc.assert(
      fc.property(fc.array(action, { maxLength: 80, size: 'max' }), (actions) => {
        const outlet = make()
        const used = new Map<number, string>()
        let end: number | null = null
        let lost: number | null = null
        const lay = (stamp: Stamp | null, what: string, isOrdered: boolean) => {
          if (stamp === null) return
          assert.ok(!used.has(stamp.sequence) || used.get(stamp.sequence) === what, `${what} has the number of ${used.get(stamp.sequence)}`)
          used.set(stamp.sequence, what)
          if (!isOrdered) return
          assert.ok(end === null || timestampAhead(stamp.timestamp, end) >= 0, `${what} is early`)
          end = (stamp.timestamp + FRAME) >>> 0
        }
        let isFirst = true
        for (const [n, step] of actions.entries()) {
          const now = n * 20
          if (step === 'relay') {
            lay(relayed(outlet, packet(n), isFirst ? 'first' : 'fresh', FRAME, now), `source ${n}`, true)
            isFirst = false
          } else if (step === 'lose') lost = n
          else if (step === 'fill') lay(generated(outlet, timelineAt(outlet, now), FRAME, now), `fill ${n}`, true)
          else if (step === 'insert') lay(inserted(outlet, 'x', packet(n), now), `insert ${n}`, false)
          else if (step === 'withhold') withheld(outlet, packet(n), 'fresh')
          else if (step === 'detach') detach(outlet)
          else if (
            step === 'straggle' &&
            lost !== null &&
            outlet.mapping !== null &&
            sequenceAhead(packet(lost).sequence, outlet.mapping.highest) < 0
          ) {
            lay(relayed(outlet, packet(lost), 'late', FRAME, now), `source ${lost}`, false)
          }
        }
      }),
      { numRuns: 1500 },
    )
  })
})
