import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SILENCE } from '../media/g711.ts'
import { powerOfCodesDb } from '../media/tone.ts'
import { parseRtp } from '../media/rtp.ts'
import { makeEar } from './ear.ts'
import { makeMouth, MAX_KEYS_WAITING, type Mouth } from './mouth.ts'

const mouth = (changes: Partial<Parameters<typeof makeMouth>[0]> = {}): Mouth =>
  makeMouth({ law: 'pcma', ptimeMs: 20, toneHz: 700, ssrc: 9, firstSequence: 65_534, firstTimestamp: 2 ** 32 - 160, ...changes })

function read(bytes: Uint8Array | null) {
  assert.ok(bytes)
  const packet = parseRtp(bytes)
  assert.ok(packet)
  return { ...packet, payload: bytes.slice(packet.payloadStart, packet.payloadEnd) }
}

describe('a mouth', () => {
  it('hums without a click from packet to packet; numbers and times wrap', () => {
    const speaker = mouth()
    const packets = Array.from({ length: 10 }, () => read(speaker.next()))
    assert.deepEqual(
      packets.slice(0, 4).map(({ sequence }) => sequence),
      [65_534, 65_535, 0, 1],
    )
    assert.deepEqual(
      packets.slice(0, 3).map(({ timestamp }) => timestamp),
      [2 ** 32 - 160, 0, 160],
    )
    assert.deepEqual(
      packets.slice(0, 3).map(({ marker }) => marker),
      [true, false, false],
    )
    const codes = Uint8Array.from(packets.flatMap(({ payload }) => [...payload]))
    assert.ok(powerOfCodesDb('pcma', codes, 700) > -13)
    assert.ok(powerOfCodesDb('pcma', codes, 1000) < -60)
  })

  it('says silence as sound when it has no tone', () => {
    assert.deepEqual(read(mouth({ toneHz: null }).next()).payload, new Uint8Array(160).fill(SILENCE.pcma))
  })

  it('muted says nothing at all; time goes on, the sequence does not, and talk begins with the marker', () => {
    const speaker = mouth({ firstSequence: 5, firstTimestamp: 0 })
    speaker.next()
    speaker.setMuted(true)
    assert.deepEqual([speaker.next(), speaker.next()], [null, null])
    speaker.setMuted(false)
    const { sequence, timestamp, marker } = read(speaker.next())
    assert.deepEqual({ sequence, timestamp, marker }, { sequence: 6, timestamp: 480, marker: true })
  })

  it('skipped packet times move the timestamp alone', () => {
    const speaker = mouth({ firstSequence: 5, firstTimestamp: 0 })
    speaker.skip(10)
    const { sequence, timestamp } = read(speaker.next())
    assert.deepEqual({ sequence, timestamp }, { sequence: 5, timestamp: 1600 })
  })

  for (const ptimeMs of [10, 20, 30, 60]) {
    it(`${ptimeMs} ms are ${ptimeMs * 8} samples`, () => assert.equal(read(mouth({ ptimeMs }).next()).payload.length, ptimeMs * 8))
  }

  it('keys are heard as they were pressed, and sound goes on after them', () => {
    const speaker = mouth()
    const ear = makeEar({ digitsPayloadType: 101, capturePackets: 0 })
    speaker.press('0#*9', 101)
    let now = 0
    while (speaker.isPressing()) ear.take(speaker.next() ?? new Uint8Array(), (now += 20))
    assert.equal(ear.digits(), '0#*9')
    assert.equal(read(speaker.next()).payloadType, 8)
  })

  it('all packets of a key carry one timestamp, and only the first the marker', () => {
    const speaker = mouth({ firstTimestamp: 800 })
    speaker.press('5', 96)
    const packets = Array.from({ length: 7 }, () => read(speaker.next()))
    assert.deepEqual(new Set(packets.map(({ timestamp }) => timestamp)), new Set([800]))
    assert.deepEqual(
      packets.map(({ marker }) => marker),
      [true, false, false, false, false, false, false],
    )
    assert.deepEqual(new Set(packets.map(({ payloadType }) => payloadType)), new Set([96]))
  })

  it('refuses what is no key, and more keys than may wait', () => {
    assert.throws(() => mouth().press('12x', 101), /'x' is no key/)
    assert.throws(() => mouth().press('1'.repeat(MAX_KEYS_WAITING + 1), 101), /more than 64 keys/)
    assert.doesNotThrow(() => mouth().press('1'.repeat(MAX_KEYS_WAITING), 101))
  })

  it('another tone, from the next packet on', () => {
    const speaker = mouth()
    speaker.next()
    speaker.setTone(1000)
    const packets = Array.from({ length: 10 }, () => read(speaker.next()))
    assert.ok(powerOfCodesDb('pcma', Uint8Array.from(packets.flatMap(({ payload }) => [...payload])), 1000) > -13)
  })
})
