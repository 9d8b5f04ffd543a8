/** Heartbeats: the last moment a node is known to have lived, by which its calls are closed after a crash. */
import type { Sql } from './database.ts'

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
