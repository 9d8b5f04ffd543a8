import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { buildRtp, laterTimestamp, MAX_RTP_BYTES, nextSequence, parseRtp, sequenceAhead, timestampAhead, writeRtpHeader } from './rtp.ts'

const header = { payloadType: 8, marker: true, sequence: 65535, timestamp: 0xfffffffe, ssrc: 0xdeadbeef }

describe('The RTP header', () => {
  test('Twelve bytes as in RFC 3550 §5.1, then the payload', () => {
    const bytes = buildRtp(header, Uint8Array.of(1, 2, 3))
    assert.equal(Buffer.from(bytes).toString('hex'), '8088fffffffffffedeadbeef010203')
    assert.deepEqual(parseRtp(bytes), { ...header, payloadStart: 12, payloadEnd: 15 })
  })

  test('What is written is read again', () => {
    const fields = fc.record({
      payloadType: fc.integer({ min: 0, max: 127 }),
      marker: fc.boolean(),
      sequence: fc.integer({ min: 0, max: 0xffff }),
      timestamp: fc.integer({ min: 0, max: 0xffffffff }),
      ssrc: fc.integer({ min: 0, max: 0xffffffff }),
    })
    fc.assert(
      fc.property(fields, fc.uint8Array({ maxLength: 480 }), (written, payload) => {
        const bytes = buildRtp(written, payload)
        const read = parseRtp(bytes)
        assert.deepEqual(read, { ...written, payloadStart: 12, payloadEnd: 12 + payload.length })
      }),
    )
  })

  test('Contributing sources, an extension and padding are not payload', () => {
    const longer = (first: number, ...rest: number[]) => Uint8Array.from([first, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, ...rest])
    const bounds = (bytes: Uint8Array) => {
      const read = parseRtp(bytes)
      return read && [read.payloadStart, read.payloadEnd]
    }
    assert.deepEqual(bounds(longer(0x81, 9, 9, 9, 9, 7)), [16, 17])
    assert.deepEqual(bounds(longer(0x90, 0xbe, 0xde, 0, 1, 9, 9, 9, 9, 7, 7)), [20, 22])
    assert.deepEqual(bounds(longer(0xa0, 7, 7, 0, 2)), [12, 14])
    assert.deepEqual(bounds(longer(0xb1, 9, 9, 9, 9, 0, 0, 0, 0, 7, 1)), [20, 21])
    assert.deepEqual(bounds(longer(0xa0, 4, 4, 4, 4)), [12, 12])
  })

  test('Lengths that do not add up, other versions and other sizes are not RTP', () => {
    const whole = buildRtp(header, new Uint8Array(20))
    for (let length = 0; length < 12; length++) assert.equal(parseRtp(whole.subarray(0, length)), null)
    const first = (value: number) => Uint8Array.from([value, ...whole.subarray(1)])
    for (const value of [0x00, 0x40, 0xc0]) assert.equal(parseRtp(first(value)), null, 'version')
    assert.equal(parseRtp(first(0x8f)), null, 'fifteen sources need sixty bytes')
    assert.equal(parseRtp(first(0xa0)), null, 'padding of zero')
    whole[31] = 21
    assert.equal(parseRtp(first(0xa0)), null, 'more padding than there is')
    whole.set([0, 0, 0xff, 0xff], 12)
    assert.equal(parseRtp(first(0x90)), null, 'an extension longer than the packet')
    assert.equal(parseRtp(new Uint8Array(12).fill(0x90)), null, 'an extension that is not there')
    assert.equal(parseRtp(new Uint8Array(MAX_RTP_BYTES + 1).fill(0x80)), null)
    assert.notEqual(parseRtp(new Uint8Array(MAX_RTP_BYTES).fill(0x80)), null)
  })

  test('No bytes make the parser throw or point outside of them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const read = parseRtp(bytes)
        assert.ok(read === null || (12 <= read.payloadStart && read.payloadStart <= read.payloadEnd && read.payloadEnd <= bytes.length))
      }),
      { numRuns: 2000 },
    )
  })

  test('A header is written over what stands in front of a payload and touches nothing else', () => {
    const bytes = new Uint8Array(40).fill(7)
    writeRtpHeader(bytes, 8, header)
    assert.deepEqual([...bytes.subarray(0, 8)], Array(8).fill(7))
    assert.deepEqual([...bytes.subarray(20)], Array(20).fill(7))
    assert.deepEqual(parseRtp(bytes.subarray(8)), { ...header, payloadStart: 12, payloadEnd: 32 })
  })
})

test('Numbers and times go round: the shorter way counts', () => {
  assert.equal(sequenceAhead(2, 65534), 4)
  assert.equal(sequenceAhead(65534, 2), -4)
  assert.equal(sequenceAhead(5, 5), 0)
  assert.equal(sequenceAhead(40000, 0), -25536)
  assert.equal(timestampAhead(100, 0xffffff9c), 200)
  assert.equal(timestampAhead(0xffffff9c, 100), -200)
  assert.equal(nextSequence(65535), 0)
  assert.equal(laterTimestamp(0xffffffff, 2), 1)
  assert.equal(laterTimestamp(1, -2), 0xffffffff)
})
