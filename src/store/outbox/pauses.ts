/**
 * Which receivers are left alone for a while, as each node sees it: written when it changes, so that a person or another process can
 * look. The node itself goes by its memory, and begins without any.
 */
import type { Sql } from '../database.ts'
import { storable } from '../json.ts'
import { ERROR_CHARACTERS } from './rows.ts'

export interface Pause {
  /** Scheme, host and port. */
  readonly receiver: string
  /** When it began, and when one attempt will be made again; epoch ms. */
  readonly since: number
  readonly until: number
  /** How often an attempt has failed that was to end it. */
  readonly probes: number
  readonly lastError: string
}

/** A pause as somebody else reads it. */
export interface SeenPause extends Pause {
  readonly node: string
  /** Callbacks that wait for this receiver; at most `COUNTED`. */
  readonly pending: number
}

const COUNTED = 10_000

/** Writes a pause, or that there is none any more. */
export async function savePause(sql: Sql, node: string, receiver: string, pause: Pause | null): Promise<void> {
  if (pause === null) {
    await sql.query('delete from callback_pause where node = $1 and receiver = $2', [node, receiver])
    return
  }
  const { since, until, probes, lastError } = pause
  await sql.query(
    `insert into callback_pause (node, receiver, since, until, probes, last_error) values ($1, $2, $3, $4, $5, $6)
     on conflict (node, receiver) do update
       set since = excluded.since, until = excluded.until, probes = excluded.probes, last_error = excluded.last_error`,
    [node, receiver, new Date(since), new Date(until), probes, storable(lastError).slice(0, ERROR_CHARACTERS)],
  )
}

/** For the start of a node, which knows of none. */
export async function forgetPauses(sql: Sql, node: string): Promise<void> {
  await sql.query('delete from callback_pause where node = $1', [node])
}

/** All pauses of all nodes, the longest first. */
export async function listPauses(sql: Sql, limit: number): Promise<readonly SeenPause[]> {
  const rows = await sql.query<{ node: string; receiver: string; since: Date; until: Date; probes: number; last_error: string; pending: number }>(
    `select pause.*, (select count(*)::integer from (select from callback where state = 'pending' and callback.receiver = pause.receiver limit ${COUNTED}) waiting) as pending
       from callback_pause pause order by since, receiver, node limit $1`,
    [limit],
  )
  return rows.map(({ node, receiver, since, until, probes, last_error, pending }) => ({
    node,
    receiver,
    since: since.getTime(),
    until: until.getTime(),
    probes,
    lastError: last_error,
    pending,
  }))
}
