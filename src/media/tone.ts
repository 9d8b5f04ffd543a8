/** Tones to tell parties apart by: one frequency per mouth, measured at each ear with `goertzel.ts`. */
import { encode, SAMPLE_RATE_HZ, type Law } from './g711.ts'

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
