/** How much of one frequency is in some sound: the Goertzel filter, a single bin of a Fourier transform. */
import { decode, SAMPLE_RATE_HZ, type Law } from './g711.ts'

/** What the measurement answers for nothing at all. */
export const FLOOR_DB = -120

/**
 * The power of one frequency in dB relative to a sine of full scale (0 dB = amplitude 32767).
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
