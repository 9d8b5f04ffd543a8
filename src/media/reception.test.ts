import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { jitterMsOf, lostOf, makeReception, MAX_DROPOUT, MAX_MISORDER, noteReport, receive, reportBlock } from './reception.ts'

const header = (sequence: number, ssrc = 1, timestamp = sequence * 160) => ({
  payloadType: 0,
  marker: false,
  sequence: sequence & 0xffff,
  timestamp: timestamp >>> 0,
  ssrc,
})

/** Receives numbers in the order given, 20 ms apart. */
function after(...numbers: readonly number[]) {
  const reception = makeReception()
  const verdicts = numbers.map((number, i) => receive(reception, header(number), 1000 + i * 20))
  return { reception, verdicts }
}

describe('What comes in', () => {
  test('In order, ahead, behind, twice', () => {
    assert.deepEqual(after(5, 6, 8, 7, 8, 9).verdicts, ['first', 'fresh', 'fresh', 'late', 'late', 'fresh'])
  })

  test('Numbers wrap, and cycles are counted', () => {
    const { reception, verdicts } = after(65534, 65535, 65536, 65537)
    assert.deepEqual(verdicts, ['first', 'fresh', 'fresh', 'fresh'])
    assert.equal(lostOf(reception), 0)
    assert.equal(reportBlock(reception, 0)?.highestSequence, 65537)
  })

  test('A jump is believed at its second packet in a row (RFC 3550 A.1)', () => {
    const far = 10 + MAX_DROPOUT + 1
    assert.deepEqual(after(10, far, far + 1, far + 2).verdicts, ['first', 'wild', 'first', 'fresh'])
    assert.deepEqual(after(10, far, 11, far + 1).verdicts, ['first', 'wild', 'fresh', 'wild'])
    assert.deepEqual(after(500, 500 - MAX_MISORDER, 499 - MAX_MISORDER).verdicts, ['first', 'late', 'wild'])
    assert.deepEqual(after(10, 10 + MAX_DROPOUT).verdicts, ['first', 'fresh'])
  })

  test('Another SSRC begins anew; what was lost before stays lost', () => {
    const { reception } = after(1, 2, 5)
    assert.equal(lostOf(reception), 2)
    assert.equal(receive(reception, header(900, 2), 2000), 'first')
    assert.equal(receive(reception, header(902, 2), 2020), 'fresh')
    assert.equal(lostOf(reception), 3)
    assert.equal(reportBlock(reception, 0)?.ssrc, 2)
  })
})

describe('What is said of it', () => {
  test('Nothing came: no block', () => assert.equal(reportBlock(makeReception(), 0), null))

  test('The fraction is of the interval, the sum is of all (RFC 3550 A.3)', () => {
    const { reception } = after(0, 1, 2, 4)
    assert.deepEqual(
      [reportBlock(reception, 0)].map((block) => [block?.fractionLost, block?.lost]),
      [[51, 1]],
    )
    for (const number of [5, 6, 7]) receive(reception, header(number), 2000)
    assert.deepEqual(
      [reportBlock(reception, 0)].map((block) => [block?.fractionLost, block?.lost]),
      [[0, 1]],
    )
  })

  test('Duplicates make the sum negative on the wire, and never the counter', () => {
    const { reception } = after(0, 0, 0, 1)
    assert.equal(reportBlock(reception, 0)?.lost, -2)
    assert.equal(lostOf(reception), 0)
  })

  test('A steady stream has no jitter, whatever its clock says', () => {
    const reception = makeReception()
    for (let i = 0; i < 100; i++) receive(reception, header(i, 1, 0xfffff000 + i * 160), 1.7e12 + i * 20)
    assert.ok(jitterMsOf(reception) < 0.01)
  })

  test("Packets that come 8 ms early and late by turns settle at the RFC's estimate: 16 ms difference", () => {
    const reception = makeReception()
    for (let i = 0; i < 500; i++) receive(reception, header(i), 1e6 + i * 20 + (i % 2 === 0 ? 8 : -8))
    assert.ok(Math.abs(jitterMsOf(reception) - 16) < 0.1, `${jitterMsOf(reception)}`)
    assert.equal(reportBlock(reception, 0)?.jitter, 128)
  })

  test('The sender report of the phone is echoed with its age', () => {
    const { reception } = after(1, 2)
    assert.deepEqual(
      [reportBlock(reception, 0)].map((block) => [block?.lastReport, block?.sinceLastReport]),
      [[0, 0]],
    )
    noteReport(reception, 0xabcd, 5000)
    const block = reportBlock(reception, 5500)
    assert.deepEqual([block?.lastReport, block?.sinceLastReport], [0xabcd, 32768])
  })
})
