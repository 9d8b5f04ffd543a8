import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { encode, encodeSample, LINEAR, SILENCE, type Law } from './g711.ts'
import { mix, transcode, type Sound } from './mixer.ts'

const LAWS: readonly Law[] = ['pcmu', 'pcma']
const ALL = Uint8Array.from({ length: 256 }, (_, code) => code)
const source = (law: Law, codes: Uint8Array, length = codes.length, from = 0): Sound => ({ law, codes, from, length })
const mixed = (law: Law, count: number, ...sources: readonly Sound[]): number[] => {
  const out = new Uint8Array(count)
  mix(sources, law, out, 0, count)
  return [...out]
}

describe('The mixer', () => {
  test('One source passes through bit for bit, where mixing with silence would change it', () => {
    for (const law of LAWS) assert.deepEqual(mixed(law, 256, source(law, ALL)), [...ALL])
    const silence = new Uint8Array(256).fill(SILENCE.pcma)
    assert.notDeepEqual(mixed('pcma', 256, source('pcma', ALL), source('pcma', silence)), [...ALL])
  })

  test('Two sources are their sum, in every mix of laws', () => {
    for (const a of LAWS) {
      for (const b of LAWS) {
        for (const out of LAWS) {
          const other = ALL.toReversed()
          const expected = [...ALL].map((code, i) => encodeSample(out, (LINEAR[a][code] ?? 0) + (LINEAR[b][other[i] ?? 0] ?? 0)))
          assert.deepEqual(mixed(out, 256, source(a, ALL), source(b, other)), expected)
        }
      }
    }
  })

  test('Three and more are summed before they are cut off: loud ones that cancel leave the quiet one', () => {
    const level = (sample: number) => source('pcmu', encode('pcmu', new Int16Array(4).fill(sample)))
    const quiet = mixed('pcmu', 4, level(30000), level(30000), level(-30000), level(-30000), level(1000))
    assert.ok(Math.abs((LINEAR.pcmu[quiet[0] ?? 0] ?? 0) - 1000) < 40)
    assert.equal(LINEAR.pcmu[mixed('pcmu', 4, level(30000), level(30000), level(30000))[0] ?? 0], 32124)
    assert.equal(LINEAR.pcmu[mixed('pcmu', 4, level(-30000), level(-30000), level(-30000))[0] ?? 0], -32124)
  })

  test('A source that ends early is simply not there for the rest; with nobody left there is silence', () => {
    const tens = source('pcmu', ALL.subarray(0, 10))
    const twenties = source('pcmu', ALL.subarray(100, 120))
    const out = mixed('pcmu', 30, tens, twenties)
    assert.deepEqual(out.slice(10, 20), [...ALL.subarray(110, 120)])
    assert.deepEqual(out.slice(20), Array(10).fill(SILENCE.pcmu))
    assert.deepEqual(mixed('pcma', 5), Array(5).fill(SILENCE.pcma))
  })

  test('It may write over one of its sources, and writes nowhere else', () => {
    const bytes = new Uint8Array(20).fill(0x11)
    const voice = encode('pcmu', new Int16Array(8).fill(4000))
    bytes.set(voice, 6)
    const apart = mixed('pcmu', 8, source('pcmu', voice), source('pcma', voice))
    mix([source('pcmu', bytes, 8, 6), source('pcma', voice)], 'pcmu', bytes, 6, 8)
    assert.deepEqual([...bytes.subarray(6, 14)], apart)
    assert.deepEqual([...bytes.subarray(0, 6), ...bytes.subarray(14)], Array(12).fill(0x11))
  })

  test('Between laws each code becomes the nearest; between equal laws nothing is touched', () => {
    const bytes = Uint8Array.from(ALL)
    transcode(bytes, 0, 256, 'pcma', 'pcma')
    assert.deepEqual(bytes, ALL)
    transcode(bytes, 10, 20, 'pcma', 'pcmu')
    assert.deepEqual(
      [...bytes.subarray(10, 20)],
      [...ALL.subarray(10, 20)].map((code) => encodeSample('pcmu', LINEAR.pcma[code] ?? 0)),
    )
    assert.deepEqual(bytes.subarray(20), ALL.subarray(20))
  })
})
