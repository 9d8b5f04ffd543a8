import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { encode } from '../g711.ts'
import { powerDb, sine } from '../tone.ts'
import { SAMPLE_RATES_HZ } from './resample.ts'
import { channelOf, layoutOf, MAX_CHUNKS, MAX_CLIP_MS, MAX_WAV_BYTES, readWav, writeHeader } from './wav.ts'

/** Written with a `Buffer`'s own methods, so that the tests do not borrow what they check. */
interface Made {
  readonly format?: number
  readonly bits?: number
  readonly channels?: number
  readonly rateHz?: number
  readonly data: Buffer
  readonly before?: readonly (readonly [string, Buffer])[]
  readonly isExtensible?: boolean
}

const chunk = (tag: string, body: Buffer): Buffer => {
  const head = Buffer.alloc(8)
  head.write(tag, 'latin1')
  head.writeUInt32LE(body.length, 4)
  return Buffer.concat([head, body, Buffer.alloc(body.length % 2)])
}

function wav({ format = 1, bits = 16, channels = 1, rateHz = 8000, data, before = [], isExtensible = false }: Made): Buffer {
  const fmt = Buffer.alloc(isExtensible ? 40 : 16)
  fmt.writeUInt16LE(isExtensible ? 0xfffe : format, 0)
  fmt.writeUInt16LE(channels, 2)
  fmt.writeUInt32LE(rateHz, 4)
  fmt.writeUInt32LE((rateHz * channels * bits) / 8, 8)
  fmt.writeUInt16LE((channels * bits) / 8, 12)
  fmt.writeUInt16LE(bits, 14)
  if (isExtensible) {
    fmt.writeUInt16LE(22, 16)
    fmt.writeUInt16LE(format, 24)
    Buffer.from('000000001000800000aa00389b71', 'hex').copy(fmt, 26)
  }
  const body = Buffer.concat([Buffer.from('WAVE'), ...before.map(([tag, bytes]) => chunk(tag, bytes)), chunk('fmt ', fmt), chunk('data', data)])
  const riff = Buffer.alloc(8)
  riff.write('RIFF')
  riff.writeUInt32LE(body.length, 4)
  return Buffer.concat([riff, body])
}

/** A tone of half of full scale at any rate, each sample put into bytes by `write`. */
function toneOf(hz: number, rateHz: number, count: number, bytes: number, write: (into: Buffer, value: number, at: number) => void): Buffer {
  const data = Buffer.alloc(count * bytes)
  for (let i = 0; i < count; i++) write(data, 0.5 * Math.sin((2 * Math.PI * hz * i) / rateHz), i * bytes)
  return data
}
const write16 = (into: Buffer, value: number, at: number): void => void into.writeInt16LE(Math.round(value * 32767), at)

function samplesOf(bytes: Uint8Array): Int16Array {
  const read = readWav(bytes)
  assert.ok(read.kind === 'clip', JSON.stringify(read))
  return read.samples
}

function reasonFor(bytes: Uint8Array): string {
  const read = readWav(bytes)
  assert.ok(read.kind === 'refused', 'it is taken')
  return read.reason
}

const HALF_DB = -6.02

describe('A WAV file of a customer', () => {
  test('Sixteen bits at 8 kHz come out as they are, sample for sample', () => {
    const samples = sine(700, 1000)
    assert.deepEqual(samplesOf(wav({ data: Buffer.from(samples.buffer) })), samples)
    const extremes = Int16Array.of(-32768, 32767, 0, 1, -1)
    assert.deepEqual(samplesOf(wav({ data: Buffer.from(extremes.buffer) })), extremes)
  })

  const encodings: readonly (readonly [string, number, number, (into: Buffer, value: number, at: number) => void])[] = [
    ['8 bits', 1, 8, (into, value, at) => void into.writeUInt8(Math.round(value * 127) + 128, at)],
    ['16 bits', 1, 16, write16],
    ['24 bits', 1, 24, (into, value, at) => void into.writeIntLE(Math.round(value * 8388607), at, 3)],
    ['32 bits', 1, 32, (into, value, at) => void into.writeInt32LE(Math.round(value * 2147483647), at)],
    ['float 32', 3, 32, (into, value, at) => void into.writeFloatLE(value, at)],
    ['float 64', 3, 64, (into, value, at) => void into.writeDoubleLE(value, at)],
    ['A-law', 6, 8, (into, value, at) => into.set(encode('pcma', Int16Array.of(Math.round(value * 32767))), at)],
    ['µ-law', 7, 8, (into, value, at) => into.set(encode('pcmu', Int16Array.of(Math.round(value * 32767))), at)],
  ]
  for (const [name, format, bits, write] of encodings) {
    test(`In ${name}, mono and stereo, plain and extensible, a tone keeps its level`, () => {
      for (const isExtensible of [false, true]) {
        const data = toneOf(440, 8000, 4000, bits / 8, write)
        assert.ok(Math.abs(powerDb(samplesOf(wav({ format, bits, data, isExtensible })), 440) - HALF_DB) < 0.2)
        const silent = Buffer.alloc(bits / 8)
        write(silent, 0, 0)
        const both = Buffer.concat(Array.from({ length: 4000 }, (_, i) => [data.subarray((i * bits) / 8, ((i + 1) * bits) / 8), silent]).flat())
        const stereo = samplesOf(wav({ format, bits, data: both, channels: 2, isExtensible }))
        assert.equal(stereo.length, 4000)
        assert.ok(Math.abs(powerDb(stereo, 440) - 2 * HALF_DB) < 0.3, 'the average of a tone and silence is half of it')
      }
    })
  }

  for (const rateHz of SAMPLE_RATES_HZ) {
    test(`At ${rateHz} Hz speech keeps its level, and what a telephone cannot carry does not come back as something else`, () => {
      const at = (hz: number): Int16Array => samplesOf(wav({ rateHz, data: toneOf(hz, rateHz, Math.ceil(rateHz / 4), 2, write16) }))
      for (const hz of [60, 440, 1000, 3000]) {
        const samples = at(hz)
        assert.ok(Math.abs(samples.length - 2000) <= 1)
        assert.ok(Math.abs(powerDb(samples.subarray(200, 1800), hz) - HALF_DB) < 0.2, `${hz} Hz: ${powerDb(samples, hz)}`)
      }
      for (const hz of [4100, 5000, 7000, 9000, 15_000, 21_000].filter((each) => each < rateHz / 2)) {
        const loudest = at(hz)
          .subarray(200, 1800)
          .reduce((most, sample) => Math.max(most, Math.abs(sample)), 0)
        assert.ok(20 * Math.log10(loudest / 16384) < -55, `${hz} Hz leaves ${loudest}`)
      }
    })
  }

  test('The sound is not moved in time: a click stays where it was', () => {
    for (const rateHz of SAMPLE_RATES_HZ) {
      const data = Buffer.alloc(rateHz * 2)
      for (let i = 0; i < rateHz / 1000; i++) data.writeInt16LE(30_000, (rateHz / 2 + i) * 2 - ((rateHz / 2) % 1) * 2)
      const samples = samplesOf(wav({ rateHz, data }))
      const loudest = samples.reduce((best, sample, i) => (Math.abs(sample) > Math.abs(samples[best] ?? 0) ? i : best), 0)
      assert.ok(Math.abs(loudest - 4004) <= 5, `${rateHz}: ${loudest}`)
    }
  })

  test('Other chunks, odd ones too, and a wrong size in the first header do not matter', () => {
    const samples = sine(440, 100)
    const bytes = wav({
      data: Buffer.from(samples.buffer),
      before: [
        ['LIST', Buffer.from('odd')],
        ['bext', Buffer.alloc(602)],
      ],
    })
    bytes.writeUInt32LE(7, 4)
    assert.deepEqual(samplesOf(bytes), samples)
    assert.deepEqual(samplesOf(Buffer.concat([bytes, Buffer.from('a tail')])), samples)
  })

  test('A number that is none, or louder than full scale, spoils no other', () => {
    const data = Buffer.alloc(16)
    for (const [i, value] of [Number.NaN, Number.POSITIVE_INFINITY, -9, 0.25].entries()) data.writeFloatLE(value, i * 4)
    assert.deepEqual(samplesOf(wav({ format: 3, bits: 32, data })), Int16Array.of(0, 32767, -32768, 8192))
  })

  const good = wav({ data: Buffer.from(sine(440, 100).buffer) })
  const changed = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(good)
    change(bytes)
    return bytes
  }
  const refusals: readonly (readonly [string, Buffer, RegExp])[] = [
    ['nothing', Buffer.alloc(0), /no WAV/],
    ['a web page', Buffer.from('<!doctype html><html></html>'), /no WAV/],
    ['an MP3', Buffer.from('494433030000000000', 'hex'), /no WAV/],
    ['half of a file', good.subarray(0, 150), /cut off/],
    ['a header and no chunk', good.subarray(0, 12), /no sound/],
    ['no data chunk', good.subarray(0, 36), /no sound/],
    ['an empty data chunk', wav({ data: Buffer.alloc(0) }), /no sound/],
    ['a size of a stream that never ended', changed((bytes) => bytes.writeUInt32LE(0xffffffff, 40)), /cut off/],
    ['data before its format', Buffer.concat([good.subarray(0, 12), chunk('data', Buffer.alloc(4))]), /before its format/],
    ['a format that is cut off', Buffer.concat([good.subarray(0, 12), chunk('fmt ', Buffer.alloc(15)), chunk('data', Buffer.alloc(4))]), /cut off/],
    ['an encoding that we do not know', changed((bytes) => bytes.writeUInt16LE(0x55, 20)), /encoding/],
    ['an extensible format that names nothing', changed((bytes) => bytes.writeUInt16LE(0xfffe, 20)), /encoding/],
    ['12 bits', changed((bytes) => bytes.writeUInt16LE(12, 34)), /encoding/],
    ['no channel', changed((bytes) => bytes.writeUInt16LE(0, 22)), /0 channels/],
    ['six channels', changed((bytes) => bytes.writeUInt16LE(6, 22)), /6 channels/],
    ['a frame of another size', changed((bytes) => bytes.writeUInt16LE(3, 32)), /contradicts/],
    ['no rate', changed((bytes) => bytes.writeUInt32LE(0, 24)), /rate of 0 Hz/],
    ['a rate of a megahertz', changed((bytes) => bytes.writeUInt32LE(1_000_000, 24)), /rate of 1000000 Hz/],
    [
      'too many chunks',
      wav({ data: Buffer.alloc(2), before: Array.from({ length: MAX_CHUNKS }, (): [string, Buffer] => ['junk', Buffer.alloc(1)]) }),
      /first 64/,
    ],
    ['too long', wav({ format: 7, bits: 8, data: Buffer.alloc((MAX_CLIP_MS + 1000) * 8) }), /10 minutes/],
    ['too large', Buffer.alloc(MAX_WAV_BYTES + 1), /32 MiB/],
  ]
  for (const [name, bytes, reason] of refusals) test(`Refused with a reason: ${name}`, () => assert.match(reasonFor(bytes), reason))

  test('The longest sound and a torn last sample are taken', () => {
    assert.equal(samplesOf(wav({ format: 7, bits: 8, data: Buffer.alloc(MAX_CLIP_MS * 8) })).length, MAX_CLIP_MS * 8)
    assert.equal(samplesOf(wav({ data: Buffer.alloc(201) })).length, 100)
  })

  test('Whatever the bytes are, there is sound or a reason, and never an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        assert.ok(['clip', 'refused'].includes(readWav(bytes).kind))
      }),
      { numRuns: 2000 },
    )
    const place = fc.tuple(fc.nat(good.length - 1), fc.constantFrom(0, 1, 2, 3, 0x7f, 0x80, 0xfe, 0xff))
    fc.assert(
      fc.property(fc.array(place, { maxLength: 6 }), fc.nat(good.length), fc.nat(3), (places, length, offset) => {
        const bytes = changed((copy) => places.forEach(([at, byte]) => (copy[at] = byte))).subarray(0, length)
        // Where a file lies in a larger buffer must not matter.
        const elsewhere = Buffer.concat([Buffer.alloc(offset, 0xaa), bytes]).subarray(offset)
        assert.deepEqual(readWav(elsewhere), readWav(new Uint8Array(bytes)))
      }),
      { numRuns: 5000 },
    )
  })
})

describe('A recording of ours', () => {
  test('Its header is that of the specification, byte by byte', () => {
    const spec = (channels: number, data: number): Buffer => {
      const bytes = Buffer.alloc(44)
      bytes.write('RIFF', 0)
      bytes.writeUInt32LE(36 + data, 4)
      bytes.write('WAVE', 8)
      bytes.write('fmt ', 12)
      for (const [at, value] of [
        [16, 16],
        [24, 8000],
        [28, 16_000 * channels],
      ] as const)
        bytes.writeUInt32LE(value, at)
      for (const [at, value] of [
        [20, 1],
        [22, channels],
        [32, 2 * channels],
        [34, 16],
      ] as const)
        bytes.writeUInt16LE(value, at)
      bytes.write('data', 36)
      bytes.writeUInt32LE(data, 40)
      return bytes
    }
    for (const channels of [1, 2] as const)
      for (const data of [0, 4, 320_000, 0xffffff00 - 44]) assert.deepEqual(Buffer.from(writeHeader(channels, data)), spec(channels, data))
  })

  test('Our own reader reads it back, channel by channel', () => {
    const [left, right] = [sine(440, 800), sine(700, 800)]
    const both = Int16Array.from({ length: 1600 }, (_, i) => (i % 2 === 0 ? left : right)[i >> 1] ?? 0)
    const bytes = Buffer.concat([writeHeader(2, both.byteLength), Buffer.from(both.buffer)])
    const layout = layoutOf(bytes)
    assert.ok(!('refused' in layout))
    for (const [channel, samples] of [left, right].entries())
      assert.deepEqual(
        Int16Array.from(channelOf(bytes, layout, channel), (sample) => sample * 32768),
        samples,
      )
    assert.equal(channelOf(bytes, layout, 2).length, 0)
  })
})
