/** The beep that says that somebody listens: what phones call a tone warning device (47 CFR 64.501): 1400 Hz for 0.2 s, as loud as speech, not more. */
import type { Clip } from './engine.ts'

const SAMPLE_RATE_HZ = 8000
export const NOTICE_TONE_HZ = 1400
export const NOTICE_TONE_MS = 200
/** About -18 dB of full scale. */
const AMPLITUDE = 4100
/** It swells and fades for so long: an edge would click. */
const RAMP_MS = 10

export const NOTICE_TONE: Clip = { samples: beep() }

function beep(): Int16Array {
  const count = (NOTICE_TONE_MS * SAMPLE_RATE_HZ) / 1000
  const ramp = (RAMP_MS * SAMPLE_RATE_HZ) / 1000
  return Int16Array.from({ length: count }, (_, n) => {
    const loudness = Math.min(1, n / ramp, (count - 1 - n) / ramp)
    return Math.round(AMPLITUDE * loudness * Math.sin((2 * Math.PI * NOTICE_TONE_HZ * n) / SAMPLE_RATE_HZ))
  })
}
