/**
 * G.711, both laws, as tables (ITU-T G.711; 8000 samples per second, one byte each).
 *
 * One rule: whatever can be looked up is never computed on the path of a packet. Tables between laws and for the sum of
 * two sources are built when first asked for: 256 bytes and 64 KiB each, at most 2 and 8 of them.
 */

export type Law = 'pcmu' | 'pcma'

export const SAMPLE_RATE_HZ = 8000
/** Samples, and in G.711 bytes, per millisecond. */
export const SAMPLES_PER_MS = 8

/** Static payload types (RFC 3551 §6). */
export const PAYLOAD_TYPE: Readonly<Record<Law, number>> = { pcmu: 0, pcma: 8 }

/** The law of a payload type; null for any other. */
export const lawOf = (payloadType: number): Law | null =>
  payloadType === PAYLOAD_TYPE.pcmu ? 'pcmu' : payloadType === PAYLOAD_TYPE.pcma ? 'pcma' : null

/** The quietest code of each law. A-law has no zero: 0xD5 is +8, so mixing with "silence" would change the sound. */
export const SILENCE: Readonly<Record<Law, number>> = { pcmu: 0xff, pcma: 0xd5 }

/** Code to 16-bit linear sample. */
export const LINEAR: Readonly<Record<Law, Int16Array>> = {
  pcmu: Int16Array.from({ length: 256 }, (_, code) => linearOfMu(code)),
  pcma: Int16Array.from({ length: 256 }, (_, code) => linearOfA(code)),
}

/** 16-bit linear sample to code, indexed by sample + 32768. */
const CODE: Readonly<Record<Law, Uint8Array>> = {
  pcmu: Uint8Array.from({ length: 65536 }, (_, index) => muOfLinear(index - 32768)),
  pcma: Uint8Array.from({ length: 65536 }, (_, index) => aOfLinear(index - 32768)),
}

/** The code of a linear sample; what exceeds 16 bits is clipped. */
export function encodeSample(law: Law, sample: number): number {
  const clipped = Math.max(-32768, Math.min(32767, sample))
  return CODE[law][clipped + 32768] ?? 0
}

export function encode(law: Law, samples: Int16Array): Uint8Array {
  const table = CODE[law]
  const codes = new Uint8Array(samples.length)
  for (let i = 0; i < samples.length; i++) codes[i] = table[(samples[i] ?? 0) + 32768] ?? 0
  return codes
}

export function decode(law: Law, codes: Uint8Array): Int16Array {
  const table = LINEAR[law]
  const samples = new Int16Array(codes.length)
  for (let i = 0; i < codes.length; i++) samples[i] = table[codes[i] ?? 0] ?? 0
  return samples
}

const between = new Map<string, Uint8Array>()
const sums = new Map<string, Uint8Array>()

/** 256 codes of the other law, each the nearest by way of the linear value. From a law to itself nothing changes, bit for bit. */
export function transcoding(from: Law, to: Law): Uint8Array {
  const known = between.get(from + to)
  if (known !== undefined) return known
  const table = Uint8Array.from({ length: 256 }, (_, code) => (from === to ? code : encodeSample(to, LINEAR[from][code] ?? 0)))
  between.set(from + to, table)
  return table
}

/** The saturated sum of two codes, indexed by `(a << 8) | b`. */
export function pairTable(a: Law, b: Law, out: Law): Uint8Array {
  const key = a + b + out
  const known = sums.get(key)
  if (known !== undefined) return known
  const table = new Uint8Array(65536)
  for (let i = 0; i < 256; i++) {
    for (let j = 0; j < 256; j++) table[(i << 8) | j] = encodeSample(out, (LINEAR[a][i] ?? 0) + (LINEAR[b][j] ?? 0))
  }
  sums.set(key, table)
  return table
}

function linearOfMu(code: number): number {
  const inverted = ~code & 0xff
  const magnitude = ((((inverted & 0x0f) << 3) + 0x84) << ((inverted & 0x70) >> 4)) - 0x84
  return inverted & 0x80 ? 0 - magnitude : magnitude
}

function linearOfA(code: number): number {
  const toggled = code ^ 0x55
  const segment = (toggled & 0x70) >> 4
  const step = ((toggled & 0x0f) << 4) + (segment === 0 ? 8 : 0x108)
  const magnitude = segment > 1 ? step << (segment - 1) : step
  return toggled & 0x80 ? magnitude : -magnitude
}

function muOfLinear(sample: number): number {
  const biased = Math.min(Math.abs(sample), 32635) + 0x84
  const segment = 24 - Math.clz32(biased)
  const code = (segment << 4) | ((biased >> (segment + 3)) & 0x0f)
  return (sample < 0 ? ~(code | 0x80) : ~code) & 0xff
}

function aOfLinear(sample: number): number {
  // G.711 takes 13 bits; the one's complement makes the negative half a mirror of the positive.
  const thirteen = sample >> 3
  const magnitude = thirteen < 0 ? -thirteen - 1 : thirteen
  const segment = Math.max(0, 27 - Math.clz32(magnitude))
  const mantissa = (segment < 2 ? magnitude >> 1 : magnitude >> segment) & 0x0f
  return ((segment << 4) | mantissa) ^ (sample < 0 ? 0x55 : 0xd5)
}
