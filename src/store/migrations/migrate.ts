/**
 * The tables, as numbered steps that only go forward. A step that has been released is never changed; the next number
 * changes what it made. Kysely's migrator keeps the count and holds a lock, so that processes may start at the same time.
 */
import type pg from 'pg'
import { calls } from './001-calls.ts'
import { ledger } from './003-ledger.ts'

/** In order; names sort as they run. */
const STEPS: Readonly<Record<string, string>> = {
  '001-calls': calls,
  '003-ledger': ledger,
}

const NEWER = 'This database was written by a newer version of Earshot. Start that version, or restore a backup.'

/**
 * The steps that are still to be made, in order; makes none of them.
 * @throws {Error} when a newer Earshot has been here.
 */
export async function pendingSteps(pool: pg.Pool): Promise<readonly string[]> {
  const { rows: tables } = await pool.query<{ there: boolean }>(`select to_regclass('migration') is not null as there`)
  const { rows } = tables[0]?.there === true ? await pool.query<{ name: string }>('select name from migration') : { rows: [] }
  const done = new Set(rows.map((row) => row.name))
  if (rows.some((row) => !(row.name in STEPS))) throw new Error(NEWER)
  return Object.keys(STEPS).filter((name) => !done.has(name))
}

/**
 * @returns The steps that this call made, in order.
 * @throws {Error} when a step fails (none of this start's steps is kept then), or when a newer Earshot has been here.
 */
export async function migrate(pool: pg.Pool): Promise<readonly string[]> {
  const { CompiledQuery, Kysely, PostgresDialect } = await import('kysely')
  const { Migrator } = await import('kysely/migration')
  const migrations = Object.fromEntries(
    Object.entries(STEPS).map(([name, text]) => [
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
  const done = await migrator.getMigrations()
  const { error, results } = await migrator.migrateToLatest()
  if (error === undefined) return (results ?? []).map((result) => result.migrationName)
  const failed = results?.find((result) => result.status === 'Error')?.migrationName
  if (failed === undefined && done.every((step) => step.executedAt !== undefined)) {
    throw new Error(NEWER, { cause: error })
  }
  throw new Error(`The database could not be brought up to date${failed ? ` (step ${failed})` : ''}.`, { cause: error })
}
