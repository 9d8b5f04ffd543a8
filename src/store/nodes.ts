/**
 * Nodes: the processes that share a database. As long as one lives it says so, and throws away what is past its time; by its
 * last word its calls are closed after a crash.
 */
import type { Log, Sql } from './database.ts'
import { purge } from './retention.ts'

const BEAT_MS = 1_000
const PURGE_MS = 3_600_000

export async function beat(sql: Sql, node: string, now: number): Promise<void> {
  await sql.query(
    `insert into node (name, beat_at) values ($1, to_timestamp($2::double precision / 1000))
     on conflict (name) do update set beat_at = excluded.beat_at`,
    [node, now],
    'node-beat',
  )
}

/** Epoch ms; null for a node that never ran. */
export async function lastBeat(sql: Sql, node: string): Promise<number | null> {
  const rows = await sql.query<{ beat_at: Date }>('select beat_at from node where name = $1', [node])
  return rows[0]?.beat_at.getTime() ?? null
}

/** The latest heartbeat of all nodes, epoch ms; null when none ever ran. */
export async function latestBeat(sql: Sql): Promise<number | null> {
  const rows = await sql.query<{ beat_at: Date | null }>('select max(beat_at) as beat_at from node')
  return rows[0]?.beat_at?.getTime() ?? null
}

export interface ServerFacts {
  /** As `18.4`. */
  readonly version: string
  /** By the database server's clock, epoch ms. */
  readonly now: number
}

export async function serverFacts(sql: Sql): Promise<ServerFacts> {
  const [found] = await sql.query<{ version: string; now: Date }>(`select current_setting('server_version') as version, clock_timestamp() as now`)
  return { version: found?.version.split(' ')[0] ?? '', now: found?.now.getTime() ?? 0 }
}

export interface UpkeepOptions {
  readonly sql: Sql
  /** This process among those that share the database. */
  readonly node: string
  /** Epoch ms. */
  readonly now: () => number
  readonly log: Log
  /** What else is to be thrown away in the same turn. */
  readonly purgeMore?: () => Promise<unknown>
}

/** Heartbeats and purges from now on; what fails is logged and tried again in its next turn. @returns What ends it. */
export function keepUp({ sql, node, now, log, purgeMore }: UpkeepOptions): () => void {
  const every = (periodMs: number, work: () => Promise<unknown>, complaint: string): NodeJS.Timeout =>
    setInterval(() => void work().catch((error: unknown) => log.error({ err: error }, complaint)), periodMs)
  const heartbeat = every(BEAT_MS, () => beat(sql, node, now()), 'the heartbeat could not be written')
  const housekeeping = every(PURGE_MS, () => purge(sql, now()), 'old rows could not be purged')
  const more = purgeMore && every(PURGE_MS, purgeMore, 'personal data past its time could not be deleted')
  return () => {
    clearInterval(heartbeat)
    clearInterval(housekeeping)
    clearInterval(more)
  }
}
