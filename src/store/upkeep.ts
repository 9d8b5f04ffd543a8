/** What a process does for its database as long as it lives: it says that it lives, and throws away what is past its time. */
import type { Log, Sql } from './database.ts'
import { beat } from './nodes.ts'
import { purge } from './retention.ts'

const BEAT_MS = 1_000
const PURGE_MS = 3_600_000

export interface UpkeepOptions {
  readonly sql: Sql
  /** This process among those that share the database. */
  readonly node: string
  /** Epoch ms. */
  readonly now: () => number
  readonly log: Log
}

/** Begins; what fails is logged and tried again in its next turn. @returns What ends it. */
export function keepUp({ sql, node, now, log }: UpkeepOptions): () => void {
  const every = (periodMs: number, work: () => Promise<unknown>, complaint: string): NodeJS.Timeout =>
    setInterval(() => void work().catch((error: unknown) => log.error({ err: error }, complaint)), periodMs)
  const heartbeat = every(BEAT_MS, () => beat(sql, node, now()), 'the heartbeat could not be written')
  const housekeeping = every(PURGE_MS, () => purge(sql, now()), 'old rows could not be purged')
  return () => {
    clearInterval(heartbeat)
    clearInterval(housekeeping)
  }
}
