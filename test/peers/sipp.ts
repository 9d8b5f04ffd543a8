/** sipp, an independent SIP machine: runs a scenario of `sipp/*.xml` in bounded time and says how many calls went well. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../free-port.ts'
import { run } from './peers.ts'

export interface SippOptions {
  /** File name in `sipp/`, without `.xml`. */
  readonly scenario: string
  /** Whom it calls; null when it is called. */
  readonly target: { readonly host: string; readonly port: number } | null
  readonly calls: number
  /** Calls begun per second. */
  readonly rate: number
  /** Calls that it has at the same time at most, above which it slows down; sipp's own default is thrice what the rate and the pause make. */
  readonly atOnce?: number
  /** Length of the scenario's plain pauses, ms. */
  readonly pauseMs?: number
  readonly transport?: 'udp' | 'tcp'
  /** Sends back the sound that it gets. */
  readonly echo?: boolean
  /** The user part that it calls, `[service]` in scenarios. */
  readonly service?: string
  /** Keywords of the scenario, e.g. `{ user: 'priya' }` for `[user]`. */
  readonly keys?: Readonly<Record<string, string>>
  /** Its SIP port; a free one when it is left out. */
  readonly port?: number
  readonly limitMs?: number
}

export interface SippResult {
  readonly successful: number
  readonly failed: number
  readonly retransmissions: number
  /** 0 when every call went well. */
  readonly exitCode: number
  /** What it complained about, shortened. */
  readonly complaints: string
}

export interface Sipp {
  readonly port: number
  /** Resolves when all calls are done or the time is over. */
  readonly result: Promise<SippResult>
  stop(): Promise<void>
}

const LIMIT_MS = 18_000
const COMPLAINT_CHARS = 2_000

export async function startSipp(options: SippOptions): Promise<Sipp> {
  const { scenario, target, calls, rate, pauseMs = 100, transport = 'udp', keys = {}, limitMs = LIMIT_MS } = options
  const folder = await mkdtemp(join(tmpdir(), 'earshot-sipp-'))
  const [port, mediaPort, controlPort] = [options.port ?? (await freePort()), anyMediaPort(), await freePort()]
  const args = [
    ...(target === null ? [] : [`${target.host}:${target.port}`]),
    '-sf',
    new URL(`sipp/${scenario}.xml`, import.meta.url).pathname,
    '-i',
    '127.0.0.1',
    '-p',
    String(port),
    '-mi',
    '127.0.0.1',
    '-mp',
    String(mediaPort),
    '-cp',
    String(controlPort),
    '-t',
    transport === 'udp' ? 'u1' : 't1',
    '-m',
    String(calls),
    '-r',
    String(rate),
    '-d',
    String(pauseMs),
    '-nostdin',
    '-timeout',
    String(Math.ceil(limitMs / 1000)),
    '-timeout_error',
    '-trace_stat',
    '-stf',
    join(folder, 'stat.csv'),
    '-trace_err',
    '-error_file',
    join(folder, 'errors.log'),
    ...(options.service ? ['-s', options.service] : []),
    ...(options.atOnce ? ['-l', String(options.atOnce)] : []),
    ...(options.echo ? ['-rtp_echo'] : []),
    ...Object.entries(keys).flatMap(([key, value]) => ['-key', key, value]),
  ]
  const running = run('sipp', args, { cwd: folder, limitMs: limitMs + 3_000 })
  const result = running.exited.then(async (exitCode): Promise<SippResult> => {
    const read = (name: string) => readFile(join(folder, name), 'utf8').catch(() => '')
    const [statistics, errors] = [await read('stat.csv'), await read('errors.log')]
    await rm(folder, { recursive: true, force: true })
    const count = (column: string): number => lastValue(statistics, column)
    const complaints = exitCode === 0 ? '' : errors.slice(0, COMPLAINT_CHARS) || running.output().slice(-COMPLAINT_CHARS)
    return {
      exitCode,
      complaints,
      successful: count('SuccessfulCall(C)'),
      failed: count('FailedCall(C)'),
      retransmissions: count('Retransmissions(C)'),
    }
  })
  return {
    port,
    result,
    async stop() {
      await running.stop()
      await result
    },
  }
}

/** sipp takes this port and three above it, and ends when one is taken: a place where the system puts no sockets of others. */
const anyMediaPort = (): number => 10_000 + 4 * Math.floor(Math.random() * 2_000)

/** The newest value of a column of sipp's statistics: one line a second, and one at the end. */
function lastValue(statistics: string, column: string): number {
  const lines = statistics.trim().split('\n')
  const index = (lines[0] ?? '').split(';').indexOf(column)
  return index < 0 || lines.length < 2 ? -1 : Number(lines.at(-1)?.split(';')[index])
}
