/**
 * How many callbacks a second do four workers deliver on a PostgreSQL 15 server, and how late is one at 1,000 a second?
 *
 *   npm run bench -- callbacks [--runs 3] [--seconds 20] [--rate 1000] [--workers 4] [--receivers 16] [--per-receiver 8]
 *
 * Every worker, the receivers and whoever makes the callbacks are processes of their own; PostgreSQL has its defaults, with fsync. *Paced*:
 * callbacks are made at the rate for the time, ten in a statement with a call, and the lag is what lies between that and their arrival.
 * *Backlog*: as many as would take 30 s at the rate wait already when the workers begin. Exit code 1 when the median backlog run is
 * slower than the rate, or the paced runs do not keep up with it.
 */
import { parseArgs } from 'node:util'
import pg from 'pg'
import { type Making, openPart, type Part, type Seen } from './callback-process.ts'
import { openPostgres, type Postgres } from './postgres.ts'
import { descendantsCpuMs, machine, median, round, say, scheduled, summary } from './report.ts'

const { values: options } = parseArgs({
  args: process.argv.slice(2).filter((argument) => argument !== '--'),
  options: {
    runs: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '20' },
    rate: { type: 'string', default: '1000' },
    workers: { type: 'string', default: '4' },
    receivers: { type: 'string', default: '16' },
    'per-receiver': { type: 'string', default: '8' },
  },
})
const [runs, seconds, rate, workers, receivers, perReceiver] = [
  options.runs,
  options.seconds,
  options.rate,
  options.workers,
  options.receivers,
  options['per-receiver'],
].map(Number) as [number, number, number, number, number, number]
const BATCH = 10
const BACKLOG_S = 30
const POLL_MS = 50
const PATIENCE_MS = 300_000
/** Of the offered rate: less is not kept up with. */
const KEPT_UP = 0.98

interface Run {
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  readonly max: number
  /** CPU ms per callback. */
  readonly workersMs: number
  readonly databaseMs: number
  /** Of the time of the workers, waiting for a core, %. */
  readonly waited: number
}

const postgres = await openPostgres()
const client = new pg.Client({ connectionString: postgres.url })
await client.connect()
const seenBy = await openPart({ kind: 'receivers', count: receivers })
const maker = await openPart({ kind: 'maker', database: postgres.url, urls: seenBy.ready as readonly string[] })
try {
  say(machine())
  const paced: Run[] = []
  const backlog: Run[] = []
  for (let run = 1; run <= runs; run += 1) {
    paced.push(await measured({ isPaced: true, count: rate * seconds }))
    say(`paced ${run}: ${JSON.stringify(paced.at(-1))}`)
    backlog.push(await measured({ isPaced: false, count: rate * BACKLOG_S }))
    say(`backlog ${run}: ${JSON.stringify(backlog.at(-1))}`)
  }
  say(machine())
  console.log(`\n${workers} workers, ${receivers} receivers, at most ${perReceiver} attempts at one of them from each worker\n`)
  console.log(
    '| | callbacks | callbacks/s (of each run) | lag p50 / p99 / max, ms | ms CPU of the workers, of PostgreSQL, per callback | waited for a core, % |',
  )
  console.log('|---|---|---|---|---|---|')
  row(`paced at ${rate}/s`, rate * seconds, paced)
  row('backlog', rate * BACKLOG_S, backlog)
  if (median(paced.map((each) => each.perSecond)) < rate * KEPT_UP || median(backlog.map((each) => each.perSecond)) < rate) process.exitCode = 1
} finally {
  await maker.close()
  await seenBy.close()
  await client.end()
  await postgres.close()
}

function row(name: string, count: number, all: readonly Run[]): void {
  const of = (pick: (run: Run) => number): number => median(all.map(pick))
  const rates = all.map((each) => Math.round(each.perSecond)).join(', ')
  const lags = name === 'backlog' ? '' : `${of((run) => run.p50)} / ${of((run) => run.p99)} / ${of((run) => run.max)}`
  console.log(
    `| ${name} | ${count} | **${Math.round(of((run) => run.perSecond))}** (${rates}) | ${lags} | ${of((run) => run.workersMs)}, ${of((run) => run.databaseMs)} | ${of((run) => run.waited)} |`,
  )
}

async function measured({ isPaced, count }: { readonly isPaced: boolean; readonly count: number }): Promise<Run> {
  await client.query('truncate callback, call cascade')
  await client.query('checkpoint')
  const order: Making = { count, perSecond: isPaced ? rate : Number.MAX_SAFE_INTEGER, batch: isPaced ? BATCH : BATCH * 10 }
  if (!isPaced) await maker.ask(order)
  if (!isPaced) await client.query('vacuum analyze callback')
  const parts: readonly Part[] = await Promise.all(
    Array.from({ length: workers }, (_, n) => openPart({ kind: 'worker', database: postgres.url, node: `w${n}`, perReceiver })),
  )
  await Promise.all(parts.map((part) => part.ask(null)))
  await seenBy.ask(null)
  const before = costs(parts, postgres)
  const startedAt = performance.now()
  const making = isPaced ? maker.ask(order) : Promise.resolve()
  const lags: number[] = []
  let received = 0
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    const seen = await seenBy.ask<Seen>(null)
    received += seen.received
    for (const lag of seen.lags) lags.push(lag)
    if (received >= count) break
    if (performance.now() - startedAt > PATIENCE_MS) throw new Error(`${received} of ${count} in ${PATIENCE_MS} ms`)
  }
  const tookMs = performance.now() - startedAt
  const after = costs(parts, postgres)
  await making
  await Promise.all(parts.map((part) => part.close()))
  const { p50, p99, max } = summary(lags)
  return {
    perSecond: round((count / tookMs) * 1000, 1),
    p50,
    p99,
    max,
    workersMs: round((after.cpuMs - before.cpuMs) / count),
    databaseMs: round((after.databaseMs - before.databaseMs) / count),
    waited: round(((after.waitMs - before.waitMs) / (after.waitMs - before.waitMs + after.cpuMs - before.cpuMs)) * 100, 0),
  }
}

function costs(parts: readonly Part[], database: Postgres): { readonly cpuMs: number; readonly waitMs: number; readonly databaseMs: number } {
  const each = parts.map((part) => scheduled(part.pid))
  const sum = (pick: (cost: { readonly cpuMs: number; readonly waitMs: number }) => number): number =>
    each.reduce((total, cost) => total + pick(cost), 0)
  return { cpuMs: sum((cost) => cost.cpuMs), waitMs: sum((cost) => cost.waitMs), databaseMs: descendantsCpuMs(database.pid) }
}
