/**
 * Kills a busy server with SIGKILL at random points, again and again, and looks for anything lost or doubled, on each kind of database.
 *
 *   npm run bench -- crash [--runs 200] [--on embedded,oldest] [--seed N] [--minutes M]
 *
 * Its own phones talk over loopback SIP, supervisors change modes, and the receiver of callbacks fails now and then. Prints a table per
 * database, and exits 1 when a record was lost, a callback lost or doubled with another id or body, or a leg charged twice.
 */
import { parseArgs } from 'node:util'
import { testServers } from '../test/database.ts'
import { type KillsReport, runKills } from '../test/kills/kills.ts'
import { machine, say } from './report.ts'

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '200' },
    on: { type: 'string', default: testServers().join(',') },
    minutes: { type: 'string', default: 'Infinity' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 32)) },
  },
})
const SAID_EVERY = 20
const VIOLATIONS_SHOWN = 20

const wanted = testServers().filter((kind) => values.on.split(',').includes(kind))
const [runs, seed] = [Number(values.runs), Number(values.seed)]
if (wanted.length === 0 || !Number.isInteger(runs) || runs < 1 || !Number.isInteger(seed)) {
  say(`Nothing to do: --on knows ${testServers().join(' and ')}, --runs and --seed are numbers.`)
  process.exit(1)
}
say(machine())
for (const on of wanted) {
  say(`${on}: ${runs} runs, --seed ${seed}`)
  const beganAt = performance.now()
  const report = await runKills({
    on,
    runs,
    seed,
    withinMs: Number(values.minutes) * 60_000,
    onRun: (run, what) =>
      void (run % SAID_EVERY === 0 && say(`  ${run} runs, ${Math.round((performance.now() - beganAt) / 1000)} s (the last kill ${what})`)),
  })
  print(on, report)
}

function print(on: string, { runs: done, kills, counts, acknowledged, repeated, refusals, arrivals, again, violations, log }: KillsReport): void {
  console.log(`\n${on}`)
  console.table({
    runs: done,
    'kill -9 of the server': Object.values(kills).reduce((sum, count) => sum + count, 0) - kills.database,
    ...Object.fromEntries(
      Object.entries(kills).map(([point, count]) => [point === 'database' ? 'kill -9 of a process of the database' : `  ${point}`, count]),
    ),
    'calls acknowledged': acknowledged.calls,
    'calls on record': counts.calls,
    '  cut off by a kill, or failed': counts.cutOff,
    'legs on record': counts.legs,
    '  answered': counts.answered,
    '  supervisors': `${counts.supervisors}, ${acknowledged.legs} of them acknowledged`,
    'mode changes acknowledged': acknowledged.changes,
    'requests sent again with their key': repeated,
    'answers that were refusals': [...refusals].map(([status, count]) => `${count} × ${status}`).join(', '),
    'callbacks on record': counts.callbacks,
    'arrivals at the receiver': arrivals,
    '  of callbacks that had arrived before': again,
    charges: counts.charges,
    violations: violations.length,
  })
  if (violations.length === 0) return
  for (const violation of violations.slice(0, VIOLATIONS_SHOWN)) console.error(`FAILED ${violation}`)
  console.error(log.slice(-4_000))
  process.exitCode = 1
}
