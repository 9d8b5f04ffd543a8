/**
 * The sum of some sounds in the law of one listener.
 *
 * One rule: a single source passes through (bit for bit in its own law) and is never mixed with silence, because A-law has
 * no zero. Two are looked up, three or more are summed as linear samples and saturate.
 */
import { encodeSample, LINEAR, pairTable, SILENCE, transcoding, type Law } from './g711.ts'

/** Codes of G.711 that are to be heard: a packet's payload where it lies, or what a queue gave. */
export interface Sound {
  readonly law: Law
  readonly codes: Uint8Array
  /** First code in `codes`. */
  readonly from: number
  /** Codes it has; fewer than asked for means that it is not there for the rest. */
  readonly length: number
}

/**
 * Writes `count` codes of `law` to `out` from `at` on. Where no source is left, the law's quietest code.
 * `out` may be the bytes of a source at the same place: each code is read before it is written.
 */
export function mix(sources: readonly Sound[], law: Law, out: Uint8Array, at: number, count: number): void {
  let done = 0
  while (done < count) {
    const present = sources.filter((source) => source.length > done)
    const until = Math.min(count, ...present.map((source) => source.length))
    mixRange(present, law, out, at, done, until)
    done = until
  }
}

/** Rewrites codes in place from one law to another; nothing happens between equal ones. */
export function transcode(codes: Uint8Array, from: number, to: number, law: Law, wanted: Law): void {
  if (law === wanted) return
  const table = transcoding(law, wanted)
  for (let i = from; i < to; i++) codes[i] = table[codes[i] ?? 0] ?? 0
}

function mixRange(sources: readonly Sound[], law: Law, out: Uint8Array, at: number, from: number, to: number): void {
  const [a, b] = sources
  if (a === undefined) out.fill(SILENCE[law], at + from, at + to)
  else if (b === undefined) {
    const table = transcoding(a.law, law)
    for (let i = from; i < to; i++) out[at + i] = table[a.codes[a.from + i] ?? 0] ?? 0
  } else if (sources.length === 2) {
    const table = pairTable(a.law, b.law, law)
    for (let i = from; i < to; i++) {
      out[at + i] = table[((a.codes[a.from + i] ?? 0) << 8) | (b.codes[b.from + i] ?? 0)] ?? 0
    }
  } else {
    for (let i = from; i < to; i++) {
      let sum = 0
      for (const source of sources) sum += LINEAR[source.law][source.codes[source.from + i] ?? 0] ?? 0
      out[at + i] = encodeSample(law, sum)
    }
  }
}
