/**
 * All records of a database as lines of text, and back: for a backup that any PostgreSQL can be restored from, embedded or not.
 *
 *   {"earshot":"backup","version":1,"steps":["001-calls"],"at":"2026-…"}
 *   {"table":"call"}
 *   {…a row, by the names of its columns…}
 *   {"end":true,"rows":2}
 *
 * It is made in one snapshot beside a running server. Nothing here knows the tables: what a later step adds is in the backup as well.
 */
import type { Database, Sql } from './database.ts'
import { STEPS } from './migrations/migrate.ts'

export interface BackupCounts {
  /** By table, those without rows included. */
  readonly rows: Readonly<Record<string, number>>
}

/** A reason why a backup is not restored; nothing was changed. */
export class BackupRefused extends Error {
  override readonly name = 'BackupRefused'
}

const FORMAT = { earshot: 'backup', version: 1 } as const
const ROWS_AT_ONCE = 500
/** How the tables are kept, and not what they hold. */
const OWN_TABLES = ['migration', 'migration_lock']

/** Every line is told to `write` in order, which may take its time; memory holds a few hundred rows. @throws {BackupRefused} when tables are not up to date. */
export async function writeBackup(database: Database, now: number, write: (line: string) => Promise<void>): Promise<BackupCounts> {
  if (database.steps.pending.length > 0) throw new BackupRefused(`The tables are not up to date (${database.steps.pending.join(', ')} missing).`)
  return database.transaction(async (sql) => {
    await sql.query('set transaction isolation level repeatable read, read only')
    await write(JSON.stringify({ ...FORMAT, steps: Object.keys(STEPS), at: new Date(now).toISOString() }))
    const rows: Record<string, number> = {}
    for (const { table } of await tablesOf(sql)) {
      await write(JSON.stringify({ table }))
      rows[table] = await writeRows(sql, table, write)
    }
    await write(JSON.stringify({ end: true, rows: Object.values(rows).reduce((sum, count) => sum + count, 0) }))
    return { rows }
  })
}

async function writeRows(sql: Sql, table: string, write: (line: string) => Promise<void>): Promise<number> {
  await sql.query(`declare backup no scroll cursor for select row_to_json(one)::text as line from ${quoted(table)} as one`)
  let count = 0
  for (;;) {
    const rows = await sql.query<{ line: string }>(`fetch ${ROWS_AT_ONCE} from backup`)
    for (const { line } of rows) await write(line)
    count += rows.length
    if (rows.length < ROWS_AT_ONCE) break
  }
  await sql.query('close backup')
  return count
}

/**
 * Puts the records of a backup into a database with empty tables: all of them or none.
 * @throws {BackupRefused} when there are records already, or it is no backup, is of another version's tables, or is not whole.
 */
export async function restoreBackup(database: Database, lines: AsyncIterable<string>): Promise<BackupCounts> {
  return database.transaction(async (sql) => {
    // The audit log takes its entries with the hashes they have: who looks at a restored chain sees that it is the same one.
    await sql.query(`set local earshot.restoring = 'on'`)
    const tables = await tablesOf(sql)
    // Nobody else writes here until it is done: a server that starts meanwhile waits.
    await sql.query(`lock table ${tables.map(({ table }) => quoted(table)).join(', ')} in access exclusive mode`)
    for (const { table } of tables) {
      const found = await sql.query(`select from ${quoted(table)} limit 1`)
      if (found.length > 0) throw new BackupRefused(`There are records already (in ${table}). A backup is restored into an empty database only.`)
    }
    const reader = readerOf(sql, tables)
    for await (const line of lines) await reader.take(line)
    const rows = await reader.end()
    for (const { table, counter } of tables) {
      if (counter === null) continue
      const name = quoted(counter)
      await sql.query(`select setval(pg_get_serial_sequence($1, $2), coalesce((select max(${name}) from ${quoted(table)}), 0) + 1, false)`, [
        quoted(table),
        counter,
      ])
    }
    return { rows }
  })
}

interface Table {
  readonly table: string
  /** Columns that can be written, as a list for SQL. */
  readonly columns: string
  /** A column that counts by itself. */
  readonly counter: string | null
}

/** Those that others refer to come first. */
async function tablesOf(sql: Sql): Promise<readonly Table[]> {
  const found = await sql.query<Table & { readonly needs: readonly string[] }>(
    `select relname as table,
       (select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
         where attrelid = pg_class.oid and attnum > 0 and not attisdropped and attgenerated = '') as columns,
       (select min(attname) from pg_attribute where attrelid = pg_class.oid and attnum > 0 and not attisdropped
          and pg_get_serial_sequence(quote_ident(relname), attname) is not null) as counter,
       (select coalesce(json_agg(confrelid::regclass::text), '[]') from pg_constraint
         where conrelid = pg_class.oid and contype = 'f' and confrelid <> conrelid) as needs
     from pg_class where relkind = 'r' and relnamespace = current_schema()::regnamespace and relname <> all ($1) order by relname`,
    [OWN_TABLES],
  )
  const ordered: (typeof found)[number][] = []
  const isNext = (one: (typeof found)[number]): boolean =>
    !ordered.includes(one) && one.needs.every((name) => ordered.some((other) => quoted(other.table) === name || other.table === name))
  for (let next = found.find(isNext); next; next = found.find(isNext)) ordered.push(next)
  return [...ordered, ...found.filter((one) => !ordered.includes(one))]
}

interface Reader {
  take(line: string): Promise<void>
  /** @throws {BackupRefused} when the last line was not the end. */
  end(): Promise<Readonly<Record<string, number>>>
}

function readerOf(sql: Sql, tables: readonly Table[]): Reader {
  const rows: Record<string, number> = Object.fromEntries(tables.map(({ table }) => [table, 0]))
  let state: 'new' | 'open' | 'ended' = 'new'
  let current: Table | null = null
  let waiting: string[] = []

  async function flush(): Promise<void> {
    if (current === null || waiting.length === 0) return
    const { table, columns } = current
    await sql.query(
      `insert into ${quoted(table)} (${columns}) overriding system value select ${columns} from json_populate_recordset(null::${quoted(table)}, $1::json)`,
      [`[${waiting.join(',')}]`],
    )
    rows[table] = (rows[table] ?? 0) + waiting.length
    waiting = []
  }

  async function open(line: string): Promise<void> {
    const head = parsed(line)
    if (head?.earshot !== FORMAT.earshot) throw new BackupRefused('This is not a backup of Earshot.')
    const steps = Array.isArray(head.steps) ? head.steps : []
    if (head.version !== FORMAT.version || steps.join() !== Object.keys(STEPS).join()) {
      throw new BackupRefused(
        `This backup is of another version of Earshot (tables up to ${steps.at(-1)}, here up to ${Object.keys(STEPS).at(-1)}). Restore it with that version, then upgrade.`,
      )
    }
    state = 'open'
  }

  /** A line that is not a row: rows have the columns of their tables, never only these. */
  async function mark(line: string): Promise<boolean> {
    if (!/^\{"(?:table|end)":/.test(line)) return false
    const head = parsed(line)
    const keys = Object.keys(head ?? {}).join()
    if (keys !== 'table' && keys !== 'end,rows') return false
    await flush()
    if (head?.end === true) {
      const total = Object.values(rows).reduce((sum, count) => sum + count, 0)
      if (head.rows !== total) throw new BackupRefused(`This backup is not whole: ${total} of ${head.rows} rows are there.`)
      state = 'ended'
    } else {
      current = tables.find(({ table }) => table === head?.table) ?? null
      if (current === null) throw new BackupRefused(`This backup has a table that is unknown here (${head?.table}).`)
    }
    return true
  }

  return {
    async take(line) {
      if (state === 'new') return open(line)
      if (state === 'ended') throw new BackupRefused('This backup goes on after its end.')
      if (await mark(line)) return
      waiting.push(line)
      if (waiting.length >= ROWS_AT_ONCE) await flush()
    },
    async end() {
      if (state === 'new') throw new BackupRefused('This is not a backup of Earshot.')
      if (state !== 'ended') throw new BackupRefused('This backup is not whole: its end is missing.')
      return rows
    },
  }
}

function parsed(line: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? { ...value } : null
  } catch {
    return null
  }
}

/** As an identifier in SQL. */
const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
