/** A few runs of `npm run bench -- crash` on each database. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testServers } from '../database.ts'
import { runKills } from './kills.ts'

const RUNS = 3

for (const on of testServers()) {
  test(`[C19] [C27] killed again and again in the middle of its work, a server on the ${on} PostgreSQL loses and doubles nothing`, async (context) => {
    const seed = Math.floor(Math.random() * 2 ** 32)
    const { violations, counts, kills, log } = await runKills({ on, runs: RUNS, seed })
    context.diagnostic(`--seed ${seed}: ${JSON.stringify({ counts, kills })}`)
    assert.deepEqual(violations, [], `npm run bench -- crash --on ${on} --runs ${RUNS} --seed ${seed}\n${log.slice(-4_000)}`)
    assert(counts.calls > 0 && counts.legs > 0 && counts.callbacks > 0)
  })
}
