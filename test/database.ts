/** A fresh, migrated database for a test: `const { database, close } = await openTestDatabase()`; `close()` in `after`. */
import type { Database } from '../src/store/database.ts'

export interface TestDatabase {
  readonly database: Database
  /** Ends the connections and drops the database. */
  close(): Promise<void>
}

/** The first in a process starts an embedded server (about 1.5 s), each further one takes about 100 ms. */
export async function openTestDatabase(): Promise<TestDatabase> {
  throw new Error('not yet')
}
