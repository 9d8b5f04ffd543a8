/**
 * The tables, as numbered steps that only go forward. A step that has been released is never changed; the next number
 * changes what it made. Kysely's migrator keeps the count and holds a lock, so that processes may start at the same time: one makes
 * the steps, all in one transaction, and the others wait for it.
 */
import pg from 'pg'
import { calls } from './001-calls.ts'
import { callbacks } from './002-callbacks.ts'
import { ledger } from './003-ledger.ts'
import { keys } from './004-keys.ts'
import { evidence } from './005-evidence.ts'
import { sound } from './006-sound.ts'

/** By name; names sort as the steps run. */
export type Steps = Readonly<Record<string, string>>

export const STEPS: Steps = {
  '001-calls': calls,
  '002-callbacks': callbacks,
  '003-ledger': ledger,
  '004-keys': keys,
  '005-evidence': evidence,
  '006-sound': sound,
}

const NEWER = 'This database was written by a newer version of Earshot. Start that version, or restore a backup.'

/**
 * The steps that are still to be made, in order; makes none of them.
 * @throws {Error} when a newer Earshot has been here.
 */
export async function pendingSteps(pool: pg.Pool, steps: Steps = STEPS): Promise<readonly string[]> {
  const { rows: tables } = await pool.query<{ there: boolean }>(`select to_regclass('migration') is not null as there`)
  const { rows } = tables[0]?.there === true ? await pool.query<{ name: string }>('select name from migration') : { rows: [] }
  const done = new Set(rows.map((row) => row.name))
  if (rows.some((row) => !(row.name in steps))) throw new Error(NEWER)
  return Object.keys(steps).filter((name) => !done.has(name))
}

/**
 * @param config How the database is reached. A step over millions of rows, or the wait for another process's, takes as long as it takes:
 * no statement is given up here.
 * @returns The steps that this call made, in order.
 * @throws {Error} when a step fails (none of this start's steps is kept then), or when a newer Earshot has been here.
 */
export async function migrate(config: pg.ClientConfig, steps: Steps = STEPS): Promise<readonly string[]> {
  const pool = new pg.Pool({ ...config, statement_timeout: 0, max: 1 })
  // What a broken connection means, the statement says that waits for it; unheard, it would end the process, and be it after the last one.
  pool.on('connect', (client) => void client.on('error', () => {})).on('error', () => {})
  try {
    return (await pendingSteps(pool, steps)).length === 0 ? [] : await makeSteps(pool, steps)
  } finally {
    await pool.end()
  }
}

async function makeSteps(pool: pg.Pool, steps: Steps): Promise<readonly string[]> {
  const { CompiledQuery, Kysely, PostgresDialect } = await import('kysely')
  const { Migrator } = await import('kysely/migration')
  const migrations = Object.fromEntries(
    Object.entries(steps).map(([name, text]) => [
      name,
      {
        up: async (db: { executeQuery: (query: ReturnType<typeof CompiledQuery.raw>) => Promise<unknown> }) =>
          void (await db.executeQuery(CompiledQuery.raw(text))),
      },
    ]),
  )
  const migrator = new Migrator({
    // The pool is the caller's to end: this Kysely is never destroyed.
    db: new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) }),
    provider: { getMigrations: async () => migrations },
    migrationTableName: 'migration',
    migrationLockTableName: 'migration_lock',
  })
  const { error, results } = await migrator.migrateToLatest()
  if (error === undefined) return (results ?? []).map((result) => result.migrationName)
  const failed = results?.find((result) => result.status === 'Error')?.migrationName
  // A newer one may have been faster while this one waited.
  if (failed === undefined) await pendingSteps(pool, steps)
  throw new Error(`The database could not be brought up to date${failed ? ` (step ${failed})` : ''}.`, { cause: error })
}
