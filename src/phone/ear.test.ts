import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Law, PAYLOAD_TYPE } from '../media/g711.ts'
import { keyPress } from '../media/dtmf.ts'
import { buildRtp } from '../media/rtp.ts'
import { tonePayload } from '../media/tone.ts'
import { type Ear, HEARD_DB, makeEar, REMEMBERED_MS, SILENT_DB, verdict } from './ear.ts'

const TONES = [440, 700, 1000]
const FRAME = 160

function packet(law: Law, hz: number, index: number, { sequence = index, ssrc = 7, amplitude = 8000 } = {}): Uint8Array {
  const header = { payloadType: PAYLOAD_TYPE[law], marker: false, sequence: sequence & 0xffff, timestamp: index * FRAME, ssrc }
  return buildRtp(header, tonePayload(law, hz, FRAME, index * FRAME, amplitude))
}

const ear = (capturePackets = 0): Ear => makeEar({ digitsPayloadType: 101, capturePackets })
const play = (to: Ear, packets: readonly Uint8Array[], startMs = 0): number => {
  packets.forEach((bytes, index) => to.take(bytes, startMs + (index + 1) * 20))
  return startMs + packets.length * 20
}
const tone = (hz: number, count: number, law: Law = 'pcmu', from = 0) => Array.from({ length: count }, (_, index) => packet(law, hz, from + index))

describe('an ear', () => {
  for (const law of ['pcmu', 'pcma'] as const) {
    it(`hears the tone that is there and no other, in ${law}`, () => {
      const listener = ear()
      const now = play(listener, tone(700, 15, law))
      const levels = listener.levels(TONES, 200, now)
      assert.deepEqual(
        TONES.map((hz) => verdict(levels.get(hz) ?? 0)),
        ['silent', 'heard', 'silent'],
      )
      assert.ok(Math.abs((levels.get(700) ?? 0) + 12) < 1, 'the level is the level that was sent')
    })
  }

  it('hears nothing any more when nothing has come for a window', () => {
    const listener = ear()
    const now = play(listener, tone(700, 15))
    assert.equal(verdict(listener.levels([700], 200, now + 200).get(700) ?? 0), 'silent')
  })

  it('a faint tone is unclear, neither heard nor silent', () => {
    const listener = ear()
    const now = play(
      listener,
      Array.from({ length: 15 }, (_, index) => packet('pcmu', 700, index, { amplitude: 328 })),
    )
    assert.equal(verdict(listener.levels([700], 200, now).get(700) ?? 0), 'unclear')
  })

  it('says unclear between its two limits, limits included', () => {
    assert.deepEqual([HEARD_DB + 1, HEARD_DB, SILENT_DB, SILENT_DB - 1].map(verdict), ['heard', 'unclear', 'unclear', 'silent'])
  })

  it('puts packets into the order of the sender, across the wrap of the sequence', () => {
    const ordered = Array.from({ length: 20 }, (_, index) => packet('pcmu', 1000, index, { sequence: 65_526 + index }))
    const swapped = ordered.map((_, index) => ordered[index ^ 1] ?? new Uint8Array())
    const listener = ear()
    const now = play(listener, swapped)
    assert.ok((listener.levels([1000], 400, now).get(1000) ?? -99) > -13)
    assert.equal(listener.counters().disordered, 10)
    assert.equal(listener.counters().lost, 0)
  })

  it('counts what was lost and what is no sound', () => {
    const listener = ear()
    play(listener, [...tone(440, 5), ...tone(440, 5, 'pcmu', 8)])
    listener.take(Uint8Array.of(1, 2, 3), 400)
    listener.take(buildRtp({ payloadType: 96, marker: false, sequence: 13, timestamp: 0, ssrc: 7 }, new Uint8Array(160)), 400)
    assert.deepEqual(listener.counters(), { packets: 11, lost: 3, strange: 2, disordered: 0 })
  })

  it('remembers a tone that sounded for one packet only', () => {
    const listener = ear()
    play(listener, [...tone(440, 20), ...tone(1000, 1, 'pcmu', 20), ...tone(440, 30, 'pcmu', 21)])
    assert.deepEqual(listener.everHeard(TONES), [440, 1000])
    listener.forget()
    assert.deepEqual(listener.everHeard(TONES), [])
  })

  it('remembers over a change of stream', () => {
    const listener = ear()
    play(listener, [...tone(440, 10), ...Array.from({ length: 10 }, (_, index) => packet('pcmu', 700, index, { ssrc: 8, sequence: 100 + index }))])
    assert.deepEqual(listener.everHeard(TONES), [440, 700])
  })

  it('keeps a bounded piece of sound, however long the call', () => {
    const listener = ear()
    const frames = REMEMBERED_MS / 20
    play(listener, [...tone(440, 10), ...tone(700, frames, 'pcmu', 10)])
    assert.deepEqual(listener.everHeard(TONES), [700])
  })

  it('reads keys once, however often each is repeated, also the same key twice', () => {
    const listener = ear()
    let sequence = 0
    for (const [press, key] of [...'112#'].entries()) {
      for (const payload of keyPress(key)) {
        listener.take(buildRtp({ payloadType: 101, marker: false, sequence: sequence++, timestamp: 4000 * press, ssrc: 7 }, payload), sequence * 20)
      }
    }
    assert.equal(listener.digits(), '112#')
  })

  it('keeps the newest raw packets as they came', () => {
    const listener = ear(3)
    const packets = tone(440, 5)
    play(listener, packets)
    assert.deepEqual(
      listener.captured().map(({ sequence }) => sequence),
      [2, 3, 4],
    )
    assert.deepEqual(listener.captured()[2]?.payload, packets[4]?.slice(12))
    assert.equal(ear().captured().length, 0)
  })
})
