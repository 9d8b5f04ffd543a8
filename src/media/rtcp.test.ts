import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { buildReport, ntpMiddle, parseRtcp, type ReportBlock } from './rtcp.ts'

const block: ReportBlock = {
  ssrc: 0x11223344,
  fractionLost: 64,
  lost: -5,
  highestSequence: 0x1ffff,
  jitter: 80,
  lastReport: 0xaabbccdd,
  sinceLastReport: 65536,
}
/** 2020-01-01T00:00:00.500Z: 3786825600.5 s since 1900. */
const now = 1577836800500

describe('Reports', () => {
  test('A sender report, a description and a goodbye, byte by byte as RFC 3550 §6 draws them', () => {
    const sender = { now, timestamp: 0x01020304, packets: 10, octets: 1600 }
    const bytes = Buffer.from(buildReport({ ssrc: 0xcafebabe, sender, block }, 'abc', true))
    const expected = [
      '81c8000c',
      'cafebabe',
      'e1b65f80',
      '80000000',
      '01020304',
      '0000000a',
      '00000640',
      '11223344',
      '40fffffb',
      '0001ffff',
      '00000050',
      'aabbccdd',
      '00010000',
      '81ca0003',
      'cafebabe',
      '0103',
      '616263',
      '000000',
      '81cb0001',
      'cafebabe',
    ]
    assert.equal(bytes.toString('hex'), expected.join(''))
  })

  test('What is written is read again', () => {
    const sender = { now, timestamp: 7, packets: 10, octets: 1600 }
    const read = parseRtcp(buildReport({ ssrc: 5, sender, block }, 'name@host'))
    assert.equal(read?.cname, 'name@host')
    assert.equal(read?.goodbye, false)
    assert.deepEqual(read?.blocks, [block])
    assert.deepEqual(read?.reports[0]?.sender, sender)
    assert.equal(read?.reports[0]?.ntpMiddle, ntpMiddle(now))
  })

  test('Who has sent nothing sends a receiver report, empty if it has received nothing either', () => {
    const bytes = buildReport({ ssrc: 5, sender: null, block: null }, 'x')
    assert.equal(bytes[1], 201)
    assert.deepEqual(parseRtcp(bytes)?.blocks, [])
    assert.equal(parseRtcp(bytes)?.reports[0]?.sender, null)
    assert.deepEqual(parseRtcp(buildReport({ ssrc: 5, sender: null, block }, 'x'))?.blocks, [block])
  })

  test('Every length of name ends with a zero and on a whole word', () => {
    for (let length = 0; length <= 80; length++) {
      const bytes = buildReport({ ssrc: 5, sender: null, block: null }, 'n'.repeat(length))
      assert.equal(bytes.length % 4, 0)
      assert.equal(bytes.at(-1), 0)
      assert.equal(parseRtcp(bytes)?.cname, 'n'.repeat(Math.min(64, length)))
    }
  })

  test('A cumulative loss outside of 24 bits is held at the border', () => {
    for (const [lost, read] of [
      [1e9, 0x7fffff],
      [-1e9, -0x800000],
    ] as const) {
      assert.equal(parseRtcp(buildReport({ ssrc: 5, sender: null, block: { ...block, lost } }, 'x'))?.blocks[0]?.lost, read)
    }
  })

  test('A compound that does not begin with a report, or whose lengths do not add up, is refused whole', () => {
    const whole = buildReport({ ssrc: 5, sender: null, block }, 'x', true)
    for (let length = 0; length < whole.length; length++) {
      // A cut between two packets of the compound leaves a shorter one that is whole.
      const isWhole = length === 32 || length === 44
      assert.equal(parseRtcp(whole.subarray(0, length)) !== null, isWhole, `cut at ${length}`)
    }
    assert.equal(parseRtcp(whole.subarray(32)), null, 'begins with a description')
    const wrongVersion = Uint8Array.from(whole)
    wrongVersion[0] = 0x41
    assert.equal(parseRtcp(wrongVersion), null)
    const tooMany = Uint8Array.from(whole)
    tooMany[0] = 0x9f
    assert.equal(parseRtcp(tooMany), null, '31 blocks in 32 bytes')
    assert.equal(parseRtcp(new Uint8Array(1501).fill(0x80)), null)
  })

  test('No bytes make the parser throw', () => {
    const start = Uint8Array.of(0x81, 0xc8)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => void parseRtcp(Buffer.concat([start, bytes]))),
      { numRuns: 2000 },
    )
  })
})
