/**
 * From any usual sample rate to the telephone's 8000 Hz: a windowed sinc in polyphase form.
 *
 * What lies above 4 kHz does not come back as something else (it is at least 60 dB down), and what lies below 3.2 kHz stays as it is.
 */
import { SAMPLE_RATE_HZ } from '../g711.ts'

/** Rates that sound files have, Hz. */
export const SAMPLE_RATES_HZ: readonly number[] = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000]

/** Half of the filter's length, in samples of the slower of the two rates. */
const HALF_WIDTH = 24
/** Kaiser's window for 70 dB. */
const KAISER_BETA = 6.76
/** The middle of the slope: with this length and window it ends at 4000 Hz. */
const CUTOFF_HZ = 3640

interface Filter {
  /** One row of `taps` coefficients for each place that an output sample can have between two input samples. */
  readonly phases: readonly Float64Array[]
  readonly taps: number
  /** Input samples of one whole turn through the phases. */
  readonly stride: number
}

/** As many as there are rates. */
const filters = new Map<number, Filter>()

/**
 * Samples at 8000 Hz, rounded and saturated to 16 bits; the length is that of the input in time, rounded down to whole samples.
 * @param samples Of full scale 1; what is louder saturates, what is no number is silence.
 * @param rateHz One of `SAMPLE_RATES_HZ`.
 */
export function toTelephone(samples: Float32Array, rateHz: number): Int16Array {
  if (rateHz === SAMPLE_RATE_HZ) return Int16Array.from(samples, sixteenBits)
  const { phases, taps, stride } = filterFor(rateHz)
  const out = new Int16Array(Math.floor((samples.length * SAMPLE_RATE_HZ) / rateHz))
  const before = taps / 2 - 1
  for (let i = 0; i < out.length; i++) {
    const place = i * stride
    const first = Math.floor(place / phases.length) - before
    const coefficients = phases[place % phases.length] ?? new Float64Array(taps)
    let sum = 0
    const from = Math.max(0, -first)
    const to = Math.min(taps, samples.length - first)
    for (let k = from; k < to; k++) sum += (coefficients[k] ?? 0) * (samples[first + k] ?? 0)
    out[i] = sixteenBits(sum)
  }
  return out
}

/** A sample of full scale 1 in 16 bits. */
export function sixteenBits(value: number): number {
  return Number.isNaN(value) ? 0 : Math.max(-32768, Math.min(32767, Math.round(value * 32768)))
}

function filterFor(rateHz: number): Filter {
  const known = filters.get(rateHz)
  if (known !== undefined) return known
  const common = divisor(rateHz, SAMPLE_RATE_HZ)
  const [count, stride] = [SAMPLE_RATE_HZ / common, rateHz / common]
  const taps = 2 * Math.ceil((HALF_WIDTH * Math.max(rateHz, SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ)
  const phases = Array.from({ length: count }, (_, phase) => phaseOf(phase / count, taps, rateHz))
  const filter = { phases, taps, stride }
  filters.set(rateHz, filter)
  return filter
}

/** The coefficients for an output sample that lies `shift` (0 to 1) behind the input sample in the middle; a constant stays what it is. */
function phaseOf(shift: number, taps: number, rateHz: number): Float64Array {
  const half = taps / 2
  const turn = (2 * CUTOFF_HZ) / rateHz
  const raw = Float64Array.from({ length: taps }, (_, k) => {
    const distance = k - (half - 1) - shift
    const beside = distance / half
    const window = Math.abs(beside) >= 1 ? 0 : bessel(KAISER_BETA * Math.sqrt(1 - beside * beside))
    return sinc(distance * turn) * window
  })
  const sum = raw.reduce((total, each) => total + each, 0)
  return raw.map((each) => each / sum)
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x))

/** The modified Bessel function of order zero, by its series. */
function bessel(x: number): number {
  let [sum, term] = [1, 1]
  for (let k = 1; term > sum * 1e-12; k++) {
    term *= (x / (2 * k)) ** 2
    sum += term
  }
  return sum
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b)
}
