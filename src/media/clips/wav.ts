/**
 * WAV files: reading whatever a customer's file may be into sound for a telephone, and writing our own recordings.
 *
 *   RIFF size WAVE · chunks: id, size, bytes, a byte of padding when the size is odd · `fmt ` comes before `data`
 *
 * One rule: nothing is believed. Each length is held against the bytes that are there, and a file that does not add up is refused
 * with a reason that its owner understands; nothing that is read here throws.
 */
import { LINEAR, SAMPLE_RATE_HZ } from '../g711.ts'
import { SAMPLE_RATES_HZ, toTelephone } from './resample.ts'

/** A larger file is refused unread: three minutes at 48 kHz in stereo, half an hour at 8 kHz. */
export const MAX_WAV_BYTES = 32 * 1024 * 1024
/** A longer sound is refused; ms. */
export const MAX_CLIP_MS = 600_000
/** Chunks that are looked at in search of the sound. */
export const MAX_CHUNKS = 64
export const HEADER_BYTES = 44
/** Sizes in a header are 32 bits; this leaves room for the header itself. */
export const MAX_DATA_BYTES = 0xffffffff - HEADER_BYTES

const PCM = 1
const FLOAT = 3
const A_LAW = 6
const MU_LAW = 7
const EXTENSIBLE = 0xfffe
/** What follows the format's number in the 16 bytes by which an extensible header names it. */
const GUID_TAIL = Uint8Array.of(0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71)

export type WavReading =
  | { readonly kind: 'clip'; readonly samples: Int16Array }
  /** Why, in words for who made the file. */
  | { readonly kind: 'refused'; readonly reason: string }

/** Where the sound lies in a file and what it is. */
export interface Layout {
  readonly channels: 1 | 2
  readonly rateHz: number
  readonly encoding: Encoding
  readonly dataStart: number
  readonly dataBytes: number
}

interface Encoding {
  readonly bytes: number
  /** One sample, of full scale 1. */
  readonly read: (view: DataView, at: number) => number
}

type Laid = Layout | { readonly refused: string }

/**
 * A file as mono sound of 8000 samples a second; two channels become their average.
 * PCM of 8, 16, 24 or 32 bits, floating point of 32 or 64, A-law and µ-law, at the rates of `SAMPLE_RATES_HZ`.
 * Takes some 5 ms for each second of sound at 48 kHz, and next to nothing at 8 kHz.
 */
export function readWav(bytes: Uint8Array): WavReading {
  const layout = layoutOf(bytes)
  if ('refused' in layout) return { kind: 'refused', reason: layout.refused }
  const { rateHz, channels, dataBytes, encoding } = layout
  if ((dataBytes / (encoding.bytes * channels) / rateHz) * 1000 > MAX_CLIP_MS)
    return { kind: 'refused', reason: `the sound is longer than ${MAX_CLIP_MS / 60_000} minutes` }
  const samples = toTelephone(monoOf(bytes, layout), rateHz)
  return samples.length === 0 ? { kind: 'refused', reason: 'there is no sound in the file' } : { kind: 'clip', samples }
}

/** One channel as it lies in the file, at the file's own rate and of full scale 1. @param channel 0 or 1; above the last there is nothing. */
export function channelOf(bytes: Uint8Array, layout: Layout, channel: number): Float32Array {
  const { channels, encoding, dataStart, dataBytes } = layout
  if (channel >= channels) return new Float32Array()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const frameBytes = encoding.bytes * channels
  const samples = new Float32Array(Math.floor(dataBytes / frameBytes))
  const first = dataStart + channel * encoding.bytes
  for (let i = 0; i < samples.length; i++) samples[i] = encoding.read(view, first + i * frameBytes)
  return samples
}

/** Finds the sound in a file. The size in the first header is not looked at: what counts are the bytes and the chunks. */
export function layoutOf(bytes: Uint8Array): Laid {
  if (bytes.length > MAX_WAV_BYTES) return refused(`the file is larger than ${MAX_WAV_BYTES / (1024 * 1024)} MiB`)
  if (bytes.length < 12 || tagAt(bytes, 0) !== 'RIFF' || tagAt(bytes, 8) !== 'WAVE') return refused('this is no WAV file')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let format: Omit<Layout, 'dataStart' | 'dataBytes'> | null = null
  for (let [at, chunks] = [12, 0]; at + 8 <= bytes.length; chunks++) {
    if (chunks === MAX_CHUNKS) return refused(`there is no sound among the first ${MAX_CHUNKS} chunks`)
    const [tag, size, start] = [tagAt(bytes, at), view.getUint32(at + 4, true), at + 8]
    if (start + size > bytes.length) return refused('the file ends before what it promises: it was cut off, or its sizes are wrong')
    if (tag === 'fmt ') {
      const found = formatIn(bytes.subarray(start, start + size))
      if ('refused' in found) return found
      format = found
    }
    if (tag === 'data') return format === null ? refused('the sound comes before its format') : { ...format, dataStart: start, dataBytes: size }
    at = start + size + (size % 2)
  }
  return refused('there is no sound in the file')
}

/**
 * The header of a recording of ours: PCM of 16 bits, 8000 Hz. It is written anew whenever the sound has grown.
 * @param dataBytes Bytes of sound behind it, at most `MAX_DATA_BYTES`.
 */
export function writeHeader(channels: 1 | 2, dataBytes: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES)
  const view = new DataView(bytes.buffer)
  for (const [at, text] of [
    [0, 'RIFF'],
    [8, 'WAVEfmt '],
    [36, 'data'],
  ] as const)
    for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i)
  view.setUint32(4, HEADER_BYTES - 8 + dataBytes, true)
  view.setUint32(16, 16, true)
  view.setUint16(20, PCM, true)
  view.setUint16(22, channels, true)
  view.setUint32(24, SAMPLE_RATE_HZ, true)
  view.setUint32(28, SAMPLE_RATE_HZ * 2 * channels, true)
  view.setUint16(32, 2 * channels, true)
  view.setUint16(34, 16, true)
  view.setUint32(40, dataBytes, true)
  return bytes
}

function monoOf(bytes: Uint8Array, layout: Layout): Float32Array {
  const left = channelOf(bytes, layout, 0)
  if (layout.channels === 1) return left
  const right = channelOf(bytes, layout, 1)
  return left.map((sample, i) => (sample + (right[i] ?? 0)) / 2)
}

function formatIn(chunk: Uint8Array): Omit<Layout, 'dataStart' | 'dataBytes'> | { readonly refused: string } {
  if (chunk.length < 16) return refused('its format is cut off')
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  const [channels, rateHz, frameBytes, bits] = [view.getUint16(2, true), view.getUint32(4, true), view.getUint16(12, true), view.getUint16(14, true)]
  const number = view.getUint16(0, true)
  const isNamed = number === EXTENSIBLE && chunk.length >= 40 && GUID_TAIL.every((byte, i) => chunk[26 + i] === byte)
  const encoding = encodingOf(isNamed ? view.getUint16(24, true) : number, bits)
  if (encoding === null) return refused('its encoding is none of PCM (8, 16, 24 or 32 bits), floating point, A-law and µ-law')
  if (channels !== 1 && channels !== 2) return refused(`it has ${channels} channels, not one or two`)
  if (frameBytes !== encoding.bytes * channels) return refused('its format contradicts itself')
  if (!SAMPLE_RATES_HZ.includes(rateHz)) return refused(`its rate of ${rateHz} Hz is none of ${SAMPLE_RATES_HZ.join(', ')}`)
  return { channels, rateHz, encoding }
}

function encodingOf(format: number, bits: number): Encoding | null {
  switch (`${format}/${bits}`) {
    // Eight bits are unsigned, unlike all others.
    case `${PCM}/8`:
      return { bytes: 1, read: (view, at) => (view.getUint8(at) - 128) / 128 }
    case `${PCM}/16`:
      return { bytes: 2, read: (view, at) => view.getInt16(at, true) / 32768 }
    case `${PCM}/24`:
      return { bytes: 3, read: (view, at) => (view.getUint8(at) + 256 * view.getInt16(at + 1, true)) / 2 ** 23 }
    case `${PCM}/32`:
      return { bytes: 4, read: (view, at) => view.getInt32(at, true) / 2 ** 31 }
    case `${FLOAT}/32`:
      return { bytes: 4, read: (view, at) => audible(view.getFloat32(at, true)) }
    case `${FLOAT}/64`:
      return { bytes: 8, read: (view, at) => audible(view.getFloat64(at, true)) }
    case `${A_LAW}/8`:
      return { bytes: 1, read: (view, at) => (LINEAR.pcma[view.getUint8(at)] ?? 0) / 32768 }
    case `${MU_LAW}/8`:
      return { bytes: 1, read: (view, at) => (LINEAR.pcmu[view.getUint8(at)] ?? 0) / 32768 }
    default:
      return null
  }
}

/** One wild number must not silence its neighbours in the filter. */
const audible = (value: number): number => (Number.isNaN(value) ? 0 : Math.max(-1, Math.min(1, value)))

const refused = (reason: string): { readonly refused: string } => ({ refused: reason })

const tagAt = (bytes: Uint8Array, at: number): string => String.fromCharCode(...bytes.subarray(at, at + 4))
