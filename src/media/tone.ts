/** Tones to tell parties apart by, one frequency per mouth, and how much of one is in the sound at an ear. */
import { decode, encode, SAMPLE_RATE_HZ, type Law } from './g711.ts'

/** Loud and clear, and three of them together still do not clip: about -12 dB of full scale. */
export const TONE_AMPLITUDE = 8000

/**
 * A sine that joins without a click when asked for piece by piece.
 * @param hz 1 to 3999.
 * @param start Number of the first sample since the tone began.
 * @param amplitude 0 to 32767.
 */
export function sine(hz: number, count: number, start = 0, amplitude = TONE_AMPLITUDE): Int16Array {
  const step = (2 * Math.PI * hz) / SAMPLE_RATE_HZ
  return Int16Array.from({ length: count }, (_, i) => Math.round(amplitude * Math.sin(step * (start + i))))
}

/** The same as the payload of a packet. */
export function tonePayload(law: Law, hz: number, count: number, start = 0, amplitude = TONE_AMPLITUDE): Uint8Array {
  return encode(law, sine(hz, count, start, amplitude))
}

/** What the measurement answers for nothing at all. */
export const FLOOR_DB = -120

/**
 * The power of one frequency in dB relative to a sine of full scale (0 dB = amplitude 32767): the Goertzel filter, a single
 * bin of a Fourier transform.
 * Give it at least 800 samples (100 ms): the filter is about `8000 / samples.length` Hz wide, and tones closer than a
 * few widths leak into each other.
 */
export function powerDb(samples: Int16Array, hz: number): number {
  if (samples.length === 0) return FLOOR_DB
  const coefficient = 2 * Math.cos((2 * Math.PI * hz) / SAMPLE_RATE_HZ)
  let previous = 0
  let beforeThat = 0
  for (const [i, sample] of samples.entries()) {
    // A Hann window keeps a loud tone from leaking over a quiet one when the length is not a whole number of periods.
    const window = 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / samples.length)
    const current = sample * window + coefficient * previous - beforeThat
    beforeThat = previous
    previous = current
  }
  const square = previous * previous + beforeThat * beforeThat - coefficient * previous * beforeThat
  // The window halves the amplitude, the bin holds half of what is left.
  const amplitude = (4 * Math.sqrt(Math.max(0, square))) / samples.length
  return amplitude <= 0 ? FLOOR_DB : Math.max(FLOOR_DB, 20 * Math.log10(amplitude / 32767))
}

/** The same for the payloads of packets. */
export const powerOfCodesDb = (law: Law, codes: Uint8Array, hz: number): number => powerDb(decode(law, codes), hz)
