/**
 * Throws broken SIP at the message layer for a while (`--seconds`, default 60; `--seed`, default 1), then times inputs that
 * are made to hurt a parser. Prints two tables; exits 1 when anything throws, a parse takes above 10 ms, or its time
 * grows faster than its input.
 *
 * A parse that took long is timed again by the CPU time of this thread, the mean of fifty: on a busy machine the clock also
 * counts what others did meanwhile.
 */
import { parseArgs } from 'node:util'
import { makeFramer } from '../src/sip/framing.ts'
import { parseMessage } from '../src/sip/parse.ts'
import { examine, HOSTILE, mutant, seededChance, sipCorpus } from '../test/sip-mutants.ts'

const WORST_ALLOWED_MS = 10
/** A parse below this is not timed again. */
const NOTABLE_MS = 0.2
const REPEATS = 50
/** Sizes that the growth is measured between. Four times the input may take eight times as long, not sixteen. */
const SMALL_BYTES = 16_000
const LARGE_BYTES = 64_000
const GROWTH_ALLOWED = 8
/** Below this, growth is noise. */
const GROWTH_FLOOR_MS = 0.5

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string', default: '1' } } })
const failures: string[] = []

fuzz(Number(values.seconds), Number(values.seed))
hurt()
for (const failure of failures.slice(0, 20)) console.error(`FAILED ${failure}`)
console.log(failures.length === 0 ? 'ok' : `${failures.length} failures`)
process.exitCode = failures.length === 0 ? 0 : 1

function fuzz(seconds: number, seed: number): void {
  const corpus = sipCorpus()
  const chance = seededChance(seed)
  const counts = { cases: 0, read: 0, refused: 0, threw: 0 }
  let worstMs = 0
  let worstCpuMs = 0
  const until = performance.now() + seconds * 1000
  while (performance.now() < until) {
    const bytes = mutant(corpus, chance)
    counts.cases += 1
    const onceMs = timeMs(() => parseMessage(bytes))
    worstMs = Math.max(worstMs, onceMs)
    if (onceMs > Math.max(NOTABLE_MS, worstCpuMs)) {
      const cpuMs = meanCpuMs(() => parseMessage(bytes))
      worstCpuMs = Math.max(worstCpuMs, cpuMs)
    }
    try {
      counts[examine(bytes, chance)] += 1
    } catch (error) {
      counts.threw += 1
      failures.push(`${error instanceof Error ? error.message : String(error)} on ${bytes.toString('base64').slice(0, 3000)}`)
    }
  }
  if (worstCpuMs > WORST_ALLOWED_MS) failures.push(`a parse takes ${worstCpuMs.toFixed(2)} ms`)
  console.table([{ seconds, ...counts, 'worst parse ms': round(worstMs), 'worst parse CPU ms': round(worstCpuMs) }])
}

function hurt(): void {
  const rows = Object.entries(HOSTILE).map(([name, shape]) => {
    const [small, large] = [Buffer.from(shape(SMALL_BYTES), 'latin1'), Buffer.from(shape(LARGE_BYTES), 'latin1')]
    const parse = grow(
      `${name}: parse`,
      WORST_ALLOWED_MS,
      () => parseMessage(small),
      () => parseMessage(large),
    )
    const frame = grow(
      `${name}: framing`,
      Number.POSITIVE_INFINITY,
      () => byteByByte(small),
      () => byteByByte(large),
    )
    return {
      input: name,
      'parse 16 kB ms': round(parse.smallMs),
      'parse 64 kB ms': round(parse.largeMs),
      'byte by byte 64 kB ms': round(frame.largeMs),
    }
  })
  console.table(rows)
}

/** Times both sizes; a failure must show three times before it is one. */
function grow(name: string, allowedMs: number, small: () => unknown, large: () => unknown): { readonly smallMs: number; readonly largeMs: number } {
  let measured = { smallMs: 0, largeMs: 0 }
  for (let turn = 0; turn < 3; turn++) {
    measured = { smallMs: bestOf(5, small), largeMs: bestOf(5, large) }
    const isSteep = measured.largeMs > GROWTH_FLOOR_MS && measured.largeMs > GROWTH_ALLOWED * measured.smallMs
    if (measured.largeMs <= allowedMs && !isSteep) return measured
  }
  failures.push(`${name} grows from ${round(measured.smallMs)} to ${round(measured.largeMs)} ms`)
  return measured
}

function byteByByte(bytes: Buffer): void {
  const framer = makeFramer()
  for (let at = 0; at < bytes.length; at++) framer.push(bytes.subarray(at, at + 1))
}

function bestOf(times: number, work: () => unknown): number {
  return Math.min(...Array.from({ length: times }, () => timeMs(work)))
}

/** The mean of many runs, since the system counts CPU time in ticks of some milliseconds. */
function meanCpuMs(work: () => unknown): number {
  const before = process.threadCpuUsage()
  for (let left = REPEATS; left > 0; left--) work()
  const used = process.threadCpuUsage(before)
  return (used.user + used.system) / 1000 / REPEATS
}

function timeMs(work: () => unknown): number {
  const before = performance.now()
  work()
  return performance.now() - before
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000
}
