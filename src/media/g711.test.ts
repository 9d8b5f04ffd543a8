import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { decode, encode, encodeSample, LINEAR, pairTable, SILENCE, transcoding, type Law } from './g711.ts'

const LAWS: readonly Law[] = ['pcmu', 'pcma']
const CODES = Array.from({ length: 256 }, (_, code) => code)

/** Decision and quantising values of ITU-T G.711 tables 1 and 2, in 16 bits (A-law times 8, µ-law times 4). */
const KNOWN: readonly (readonly [Law, number, number])[] = [
  ['pcmu', 0xff, 0],
  ['pcmu', 0x7f, 0],
  ['pcmu', 0x80, 32124],
  ['pcmu', 0x00, -32124],
  ['pcmu', 0xfe, 8],
  ['pcmu', 0xf0, 120],
  ['pcmu', 0xef, 132],
  ['pcmu', 0x8f, 16764],
  ['pcmu', 0x9f, 8316],
  ['pcmu', 0x0f, -16764],
  ['pcma', 0xd5, 8],
  ['pcma', 0x55, -8],
  ['pcma', 0xd4, 24],
  ['pcma', 0xaa, 32256],
  ['pcma', 0x2a, -32256],
  ['pcma', 0xa5, 16896],
  ['pcma', 0xc5, 264],
  ['pcma', 0x25, -16896],
]

describe('G.711', () => {
  for (const [law, code, sample] of KNOWN) {
    test(`${law} 0x${code.toString(16)} is ${sample}`, () => assert.equal(LINEAR[law][code], sample))
  }

  for (const law of LAWS) {
    test(`${law}: every code survives decoding and encoding, but for the second zero of µ-law`, () => {
      const through = encode(law, decode(law, Uint8Array.from(CODES)))
      const changed = CODES.filter((code) => through[code] !== code)
      assert.deepEqual(changed, law === 'pcmu' ? [0x7f] : [])
    })

    test(`${law}: every 16-bit sample is off by at most half a step, and a step is about a sixteenth of the loudness`, () => {
      for (let sample = -32768; sample < 32768; sample++) {
        const got = LINEAR[law][encodeSample(law, sample)] ?? 0
        assert.ok(Math.abs(got - sample) <= Math.max(8, (Math.abs(sample) + 132) / 31), `${sample} became ${got}`)
      }
    })

    test(`${law}: louder never becomes quieter, and what exceeds 16 bits is clipped`, () => {
      let previous = Number.NEGATIVE_INFINITY
      for (let sample = -32768; sample < 32768; sample++) {
        const got = LINEAR[law][encodeSample(law, sample)] ?? 0
        assert.ok(got >= previous)
        previous = got
      }
      assert.equal(encodeSample(law, 1e6), encodeSample(law, 32767))
      assert.equal(encodeSample(law, -1e6), encodeSample(law, -32768))
    })

    test(`${law}: silence is its quietest code, and the halves mirror each other`, () => {
      const quietest = Math.min(...[...LINEAR[law]].map(Math.abs))
      assert.equal(Math.abs(LINEAR[law][SILENCE[law]] ?? 1), quietest)
      for (const code of CODES) assert.equal((LINEAR[law][code] ?? 0) + (LINEAR[law][code ^ 0x80] ?? 0), 0)
    })
  }

  test('From a law to itself nothing changes; to the other and back is within one step of the coarser law', () => {
    for (const law of LAWS) assert.deepEqual([...transcoding(law, law)], CODES)
    for (const [from, to] of [
      ['pcmu', 'pcma'],
      ['pcma', 'pcmu'],
    ] as const) {
      for (const code of CODES) {
        const before = LINEAR[from][code] ?? 0
        const after = LINEAR[from][transcoding(to, from)[transcoding(from, to)[code] ?? 0] ?? 0] ?? 0
        assert.ok(Math.abs(after - before) <= Math.max(16, Math.abs(before) / 16), `${from} ${code}: ${before} became ${after}`)
      }
    }
  })

  test('The pair table is the saturated sum, for every pair of codes of every pair of laws', () => {
    for (const a of LAWS) {
      for (const b of LAWS) {
        for (const out of LAWS) {
          const table = pairTable(a, b, out)
          for (let i = 0; i < 256; i += 3) {
            for (const j of CODES) {
              const sum = (LINEAR[a][i] ?? 0) + (LINEAR[b][j] ?? 0)
              assert.equal(table[(i << 8) | j], encodeSample(out, sum))
            }
          }
          assert.equal(pairTable(a, b, out), table, 'built once')
        }
      }
    }
  })
})
