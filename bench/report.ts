/** What the measurements share: order statistics, what a process costs, and the line that says on what machine it was. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { cpus, loadavg, release } from 'node:os'

/** Milliseconds, unless its row says otherwise. */
export interface Summary {
  readonly n: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

/** The smallest sample that at least that share of all samples does not exceed; NaN of none. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}

export function summary(samples: Iterable<number>): Summary {
  const sorted = [...samples].sort((a, b) => a - b)
  return { n: sorted.length, p50: quantile(sorted, 0.5), p90: quantile(sorted, 0.9), p99: quantile(sorted, 0.99), max: sorted.at(-1) ?? Number.NaN }
}

/** Of an even number the lower middle: a value that was measured. */
export const median = (values: readonly number[]): number =>
  quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  )

export const round = (value: number, digits = 2): number => Number(value.toFixed(digits))

export const rounded = ({ n, p50, p90, p99, max }: Summary): Summary => ({ n, p50: round(p50), p90: round(p90), p99: round(p99), max: round(max) })

/** A line on stderr, so that the tables on stdout can be kept alone. */
export const say = (text: string): void => void process.stderr.write(`${text}\n`)

/** Say this before and after: other work on the machine is the first suspect for any bad number. */
export function machine(): string {
  const processors = cpus()
  const [one, five] = loadavg()
  const now = new Date().toISOString().slice(0, 16).replace('T', ' ')
  return `${now} UTC, ${processors.length} × ${processors[0]?.model ?? 'unknown processor'}, Linux ${release()}, Node ${process.versions.node}, load ${one?.toFixed(1)} (1 min) ${five?.toFixed(1)} (5 min)`
}

/** What the scheduler says of a process and all its threads so far; NaN where the kernel does not tell. */
export interface Scheduled {
  /** On a core. */
  readonly cpuMs: number
  /** Ready to run, but no core was free: how much others disturbed. */
  readonly waitMs: number
}

export function scheduled(pid: number): Scheduled {
  const tasks = `/proc/${pid}/task`
  if (!existsSync(tasks)) return { cpuMs: Number.NaN, waitMs: Number.NaN }
  const threads = readdirSync(tasks).map((task) => threadNs(`${tasks}/${task}/schedstat`))
  const total = (at: 0 | 1): number => threads.reduce((sum, thread) => sum + (thread[at] ?? 0), 0) / 1e6
  return { cpuMs: total(0), waitMs: total(1) }
}

/** A thread may end while we look. */
function threadNs(path: string): readonly number[] {
  try {
    return readFileSync(path, 'utf8').split(' ').map(Number)
  } catch {
    return []
  }
}

/** What everything that a process started cost so far, the ended ones included, ms (in steps of 10). */
export const descendantsCpuMs = (pid: number): number => descendants(pid).reduce((sum, each) => sum + ticksOf(each) * TICK_MS, 0)

/** Linux counts in hundredths of a second, whatever the kernel's own clock. */
const TICK_MS = 10

/** Its own time, and that of its children that ended. */
function ticksOf(pid: number): number {
  return statFields(String(pid))
    .slice(11, 15)
    .reduce((sum, field) => sum + Number(field), 0)
}

function descendants(pid: number): readonly number[] {
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
  return children.flatMap((child) => [Number(child), ...descendants(Number(child))])
}

const parentOf = (pid: string): number => Number(statFields(pid)[1] ?? -1)

/** From the state on: what stands before may hold blanks. None of a process that has ended. */
function statFields(pid: string): readonly string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return []
  }
}

/** Resident memory, MB. */
export function residentMb(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(line?.[1] ?? Number.NaN) / 1024
}

/** UDP sockets that a process holds: a port that was not given back shows here. */
export function udpSockets(pid: number): number {
  const inodes = new Set(
    ['udp', 'udp6'].flatMap((name) =>
      readFileSync(`/proc/${pid}/net/${name}`, 'utf8')
        .split('\n')
        .map((line) => line.trim().split(/\s+/)[9]),
    ),
  )
  const held = readdirSync(`/proc/${pid}/fd`).map((fd) => /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1])
  return held.filter((inode) => inode !== undefined && inodes.has(inode)).length
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
