import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { decode, encode } from './g711.ts'
import { FLOOR_DB, TONE_AMPLITUDE, powerDb, powerOfCodesDb, sine, tonePayload } from './tone.ts'

describe('Tones and their measurement', () => {
  test('Full scale is 0 dB, half is 6 dB less, a tenth is 20 dB less', () => {
    for (const [amplitude, db] of [
      [32767, 0],
      [16384, -6.02],
      [3277, -20],
      [TONE_AMPLITUDE, -12.25],
    ] as const) {
      assert.ok(Math.abs(powerDb(sine(440, 1600, 0, amplitude), 440) - db) < 0.1)
    }
  })

  test('A length that is no whole number of periods changes nothing', () => {
    for (const count of [800, 1234, 3217]) assert.ok(Math.abs(powerDb(sine(441, count, 77), 441) + 12.25) < 0.2)
  })

  test('Three tones at once are told apart, also through either law', () => {
    const [a, b] = [sine(440, 1600), sine(1000, 1600)]
    const both = a.map((sample, i) => sample + (b[i] ?? 0))
    for (const law of ['pcmu', 'pcma'] as const) {
      const heard = decode(law, encode(law, both))
      assert.ok(powerDb(heard, 440) > -13 && powerDb(heard, 1000) > -13)
      assert.ok(powerDb(heard, 700) < -55)
    }
  })

  test('Pieces join without a seam', () => {
    const pieces = Int16Array.from([0, 160, 320, 480].flatMap((start) => [...sine(697, 160, start)]))
    assert.deepEqual(pieces, sine(697, 640))
    assert.deepEqual(tonePayload('pcma', 697, 160, 160), encode('pcma', sine(697, 160, 160)))
    assert.ok(powerOfCodesDb('pcma', tonePayload('pcma', 697, 1600), 697) > -13)
  })

  test('Nothing and silence are at the floor', () => {
    assert.equal(powerDb(new Int16Array(0), 440), FLOOR_DB)
    assert.equal(powerDb(new Int16Array(800), 440), FLOOR_DB)
  })
})
