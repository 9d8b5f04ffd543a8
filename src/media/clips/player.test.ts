import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { decode, encode, type Law } from '../g711.ts'
import { sine } from '../tone.ts'
import { isOver, listenTo, positionOf, soundAt, startPlaying, STRAGGLER_MS, type Listening, type Playing } from './player.ts'

const NOW = 5000
const clip = (samples: Int16Array, repeats = false): Playing => startPlaying('clip', samples, repeats, NOW)

/** The codes of one packet; null where the clip does not sound. */
function packet(playing: Playing, ear: Listening, timestamp: number, count: number, law: Law = 'pcmu'): Uint8Array | null {
  const sound = soundAt(playing, ear, timestamp >>> 0, count, law)
  return sound === null ? null : sound.codes.slice(sound.from, sound.from + sound.length)
}

describe('A clip at an ear', () => {
  test('Packets of any length, in either law and across the wrap of the timestamp, join to the clip and nothing else', () => {
    const cases = fc.tuple(
      fc.array(fc.integer({ min: 1, max: 800 }), { minLength: 1, maxLength: 40 }),
      fc.nat(0xffffffff),
      fc.constantFrom<Law>('pcmu', 'pcma'),
    )
    fc.assert(
      fc.property(cases, ([lengths, begin, law]) => {
        const samples = sine(437, 3000)
        const playing = clip(samples)
        const ear = listenTo(playing, NOW)
        const heard: number[] = []
        let timestamp = begin
        for (const length of lengths) {
          heard.push(...(packet(playing, ear, timestamp, length, law) ?? []))
          timestamp += length
        }
        const total = Math.min(3000, timestamp - begin)
        assert.deepEqual(Uint8Array.from(heard), encode(law, samples.subarray(0, total)))
      }),
    )
  })

  test('A packet that comes twice or late carries what is its own, and one that is lost moves nothing', () => {
    const playing = clip(sine(437, 1600))
    const ear = listenTo(playing, NOW)
    const codes = encode('pcmu', playing.samples)
    for (const number of [0, 2, 2, 1, 5, 4, 5, 9])
      assert.deepEqual(packet(playing, ear, 160 * number, 160), codes.subarray(160 * number, 160 * number + 160))
  })

  test('The last packet has what is left, and after it there is nothing', () => {
    const playing = clip(sine(437, 250))
    const ear = listenTo(playing, NOW)
    assert.equal(packet(playing, ear, 1000, 160)?.length, 160)
    assert.equal(packet(playing, ear, 1160, 160)?.length, 90)
    assert.equal(packet(playing, ear, 1320, 160), null)
  })

  test('Repeated it goes on without a gap, a clip shorter than a packet too', () => {
    for (const length of [1, 7, 50, 160, 250, 8000]) {
      const playing = clip(sine(440, length, 3), true)
      const ear = listenTo(playing, NOW)
      const heard = Array.from({ length: 60 }, (_, i) => [...(packet(playing, ear, 160 * i, 160, 'pcma') ?? [])]).flat()
      const codes = encode('pcma', playing.samples)
      assert.deepEqual(
        heard,
        Array.from({ length: 9600 }, (_, i) => codes[i % length]),
      )
    }
  })

  test('An ear that comes later hears it from where it is, by our clock', () => {
    const playing = clip(sine(437, 8000))
    const ear = listenTo(playing, NOW + 250)
    assert.deepEqual(packet(playing, ear, 77, 160), encode('pcmu', playing.samples.subarray(2000, 2160)))
    const repeated = clip(sine(437, 1000), true)
    assert.deepEqual(packet(repeated, listenTo(repeated, NOW + 250), 77, 160), encode('pcmu', repeated.samples.subarray(0, 160)))
  })

  test('A packet from before its beginning has nothing of it', () => {
    const playing = clip(sine(437, 1000))
    const ear = listenTo(playing, NOW)
    assert.ok(packet(playing, ear, 1000, 160))
    assert.equal(packet(playing, ear, 840, 160), null)
  })

  test('Its level is the level of the clip', () => {
    const playing = clip(sine(437, 1000))
    const codes = packet(playing, listenTo(playing, NOW), 0, 800)
    assert.ok(codes)
    for (const [i, sample] of decode('pcmu', codes).entries()) assert.ok(Math.abs(sample - (playing.samples[i] ?? 0)) <= 256)
  })
})

describe('The end of a clip', () => {
  const playing = clip(new Int16Array(1600))
  const END = NOW + 200
  const earAt = (sentTo: number): Listening => ({ ...listenTo(playing, NOW), sentTo })

  test('It is over when its time is and every ear was sent the last of it', () => {
    assert.equal(isOver(playing, [earAt(1600)], END - 1), false)
    assert.equal(isOver(playing, [earAt(1600), earAt(1700)], END), true)
    assert.equal(isOver(playing, [earAt(1600), earAt(1599)], END), false)
  })
  test('An ear whose time goes more slowly is waited for, but not for ever', () => {
    assert.equal(isOver(playing, [earAt(1599)], END + STRAGGLER_MS - 1), false)
    assert.equal(isOver(playing, [earAt(1599)], END + STRAGGLER_MS), true)
  })
  test('Unheard it ends by our clock', () => {
    assert.equal(isOver(playing, [], END - 1), false)
    assert.equal(isOver(playing, [], END), true)
  })
  test('A repeated one never ends; an empty one ends at once, and repeated it is silence', () => {
    assert.equal(isOver(clip(new Int16Array(8), true), [], NOW + 1e9), false)
    assert.equal(isOver(clip(new Int16Array()), [], NOW), true)
    const empty = clip(new Int16Array(), true)
    assert.equal(packet(empty, listenTo(empty, NOW), 0, 160), null)
    assert.equal(isOver(empty, [], NOW + 1), false)
  })
  test('Its time is ours', () => assert.equal(positionOf(playing, NOW + 12.5), 100))
})
