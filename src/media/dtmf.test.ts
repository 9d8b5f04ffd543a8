import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { keyOf, keyPayload, keyPress, KEYS, parseKey } from './dtmf.ts'

describe('Keys as events', () => {
  test('The payload is that of RFC 4733 §2.3', () => {
    const payload = keyPayload({ event: 11, end: true, volume: 10, duration: 0x320 })
    assert.equal(Buffer.from(payload).toString('hex'), '0b8a0320')
    assert.deepEqual(parseKey(payload), { event: 11, end: true, volume: 10, duration: 0x320 })
  })

  test('Sixteen keys have numbers; other events are no keys; the reserved bit is ignored', () => {
    for (const [event, key] of [...KEYS].entries()) assert.equal(keyOf({ event, end: false, volume: 0, duration: 0 }), key)
    assert.equal(keyOf({ event: 16, end: false, volume: 0, duration: 0 }), null)
    assert.deepEqual(parseKey(Uint8Array.of(1, 0x4a, 0, 160)), { event: 1, end: false, volume: 10, duration: 160 })
  })

  test('Fewer than four bytes are no event', () => {
    for (const length of [0, 1, 2, 3]) assert.equal(parseKey(new Uint8Array(length)), null)
    assert.equal(parseKey(new Uint8Array(6), 3), null)
    assert.deepEqual(parseKey(Uint8Array.of(0, 5, 0x80, 1, 0), 1), { event: 5, end: true, volume: 0, duration: 256 })
  })

  test('A press grows, then ends three times with the same duration', () => {
    const seen = keyPress('#', 160, 3).map((payload) => parseKey(payload))
    assert.deepEqual(
      seen.map((key) => key?.duration),
      [160, 320, 480, 640, 640, 640],
    )
    assert.deepEqual(
      seen.map((key) => key?.end),
      [false, false, false, true, true, true],
    )
    assert.ok(seen.every((key) => key?.event === 11))
  })
})
