/**
 * The door to PostgreSQL: one method for SQL, transactions, notifications. Everything else in this room is one
 * statement per function over `Sql`, so that each of them runs alone or inside a caller's transaction.
 */

/** Where a statement runs: the pool, or one transaction. */
export interface Sql {
  /**
   * @param values `$1`, `$2`, ….
   * @param name Prepares the statement once per connection under this name; for hot paths. One name, one text.
   * @throws The driver's error; `code` is the SQLSTATE.
   */
  query<Row>(text: string, values?: readonly unknown[], name?: string): Promise<readonly Row[]>
}

/** What this room says while it works. A pino logger is one. */
export interface Log {
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
  error(fields: Readonly<Record<string, unknown>>, message: string): void
}

export interface Listening {
  close(): Promise<void>
}

export interface Database {
  readonly sql: Sql
  /** Commits when `work` resolves, rolls back when it rejects. */
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>
  /** Calls back at every NOTIFY on the channel, and once after each reconnect, since notifications may have been missed. */
  listen(channel: string, onNotify: () => void): Promise<Listening>
  /** Ends all connections and stops the embedded server, if there is one. */
  close(): Promise<void>
}

export interface DatabaseOptions {
  /** A folder (an embedded server keeps its files there) or `postgres://…`. */
  readonly data: string
  readonly log: Log
}

/**
 * Opens the database and brings its tables up to date.
 * @throws {Error} with a sentence for the operator: folder in use, other major version, unreachable, newer schema.
 */
export async function openDatabase(_options: DatabaseOptions): Promise<Database> {
  throw new Error('not yet')
}
