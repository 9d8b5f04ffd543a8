/**
 * The outbox of callbacks, as those who deliver see it (contract C27). `log.ts` beside it shows it to people.
 *
 *   pending ──2xx──▶ delivered
 *      │ ▲
 *      │ └── a failed attempt is due again later
 *      └──the schedule is exhausted──▶ parked ──replay──▶ pending
 *
 * A claim is a lease: `due_at` moves to its end, so that a callback whose worker died is simply due again.
 */
import type { Sql } from '../database.ts'
import { rowsJson, storable, toTimestamp } from '../json.ts'
import { type CallbackRow, callbackOf, ERROR_CHARACTERS, type Row } from './rows.ts'

/** A callback that this worker may send until its lease ends. */
export interface ClaimedCallback extends CallbackRow {
  /** All attempts ever made, this one included; the fence of `settleCallbacks`. */
  readonly attempts: number
  /** Attempts since it was enqueued or replayed, this one included; what the schedule counts by. */
  readonly round: number
  /** Scheme, host and port of the URL. */
  readonly receiver: string
}

export type Settlement =
  | { readonly kind: 'delivered'; readonly status: number }
  | { readonly kind: 'retry'; readonly at: number; readonly status: number | null; readonly error: string }
  | { readonly kind: 'parked'; readonly status: number | null; readonly error: string }

/** How one attempt went. */
export interface Settled {
  readonly id: string
  /** As they were claimed. */
  readonly attempts: number
  readonly settlement: Settlement
  /** Epoch ms. */
  readonly at: number
}

export interface ClaimOptions {
  /** Who claims. */
  readonly node: string
  readonly now: number
  /** How long nobody else gets them, ms; longer than an attempt can last. */
  readonly leaseMs: number
  readonly limit: number
  /** Attempts under way at one receiver at most. */
  readonly perReceiver: number
  /** Of those, how many are not free, by receiver: they are under way, or withheld since the receiver is paused. */
  readonly taken: ReadonlyMap<string, number>
}

/**
 * Receivers are walked one by one along the index, so that the backlog of a slow one is neither read nor claimed beyond
 * its share, in random turns, so that none waits for ever. Of callbacks with the same order key only the first that is pending can be had.
 */
const CLAIM = `
with recursive waiting (receiver) as (
  (select receiver from callback where state = 'pending' order by receiver limit 1)
  union all
  select (select callback.receiver from callback where state = 'pending' and callback.receiver > waiting.receiver order by callback.receiver limit 1)
    from waiting where waiting.receiver is not null
), picked as (
  select due.sequence
    from (select receiver from waiting where receiver is not null order by random()) turn
    left join unnest($4::text[], $5::integer[]) as busy (receiver, count) using (receiver)
    cross join lateral (
      select sequence from callback
       where state = 'pending' and callback.receiver = turn.receiver and due_at <= $1
         and not exists (select from callback earlier where earlier.order_key = callback.order_key and earlier.state = 'pending' and earlier.sequence < callback.sequence)
       order by due_at, sequence
       limit greatest(0, $6::integer - coalesce(busy.count, 0))
       for update skip locked
    ) due
   limit $3
)
update callback set attempts = attempts + 1, due_at = $2, claimed_by = $7
  from picked where callback.sequence = picked.sequence
returning callback.*, attempts - attempts_before as round`

/** Claims callbacks that are due and first of their order key; safe among any number of workers. */
export async function claimCallbacks(sql: Sql, options: ClaimOptions): Promise<readonly ClaimedCallback[]> {
  const { node, now, leaseMs, limit, perReceiver, taken } = options
  const values = [new Date(now), new Date(now + leaseMs), limit, [...taken.keys()], [...taken.values()], perReceiver, node]
  const rows = await sql.query<Row & { readonly round: number }>(CLAIM, values, 'callback-claim')
  return rows.map((row) => ({ ...callbackOf(row), attempts: row.attempts, round: row.round, receiver: row.receiver }))
}

/** What this node was sending when it died is due again at once; for its start, before its first claim. */
export async function releaseClaims(sql: Sql, node: string, now: number): Promise<void> {
  await sql.query(`update callback set due_at = $2, claimed_by = null where claimed_by = $1 and state = 'pending'`, [node, new Date(now)])
}

/**
 * Rows are locked in one order, so that two workers who believe that they hold the same ones cannot wait for each other.
 * Whatever waits behind a callback that is due later is due no sooner: claims need not look at it meanwhile.
 */
const SETTLE = `
with held as (
  select callback.sequence, given.*
    from json_to_recordset($1::json) as given (id text, attempts integer, state text, due_at timestamptz, settled_at timestamptz, last_status integer, last_error text)
    join callback on callback.id = given.id and callback.attempts = given.attempts
   where callback.state = 'pending'
   order by callback.sequence for update of callback
), settled as (
  update callback set state = held.state, due_at = held.due_at, claimed_by = null, settled_at = held.settled_at,
      last_status = held.last_status, last_error = held.last_error
    from held where callback.sequence = held.sequence
  returning callback.id, callback.order_key, callback.sequence, callback.state, callback.due_at
), waiting as (
  update callback set due_at = settled.due_at
    from settled
   where settled.state = 'pending' and callback.order_key = settled.order_key and callback.sequence > settled.sequence
     and callback.state = 'pending' and callback.due_at < settled.due_at
)
select id from settled`

/**
 * Records how attempts went, all in one statement.
 * @returns The ids of those that were recorded. The lease of any other was lost to another worker meanwhile: nothing was changed.
 */
export async function settleCallbacks(sql: Sql, batch: readonly Settled[]): Promise<ReadonlySet<string>> {
  const rows = await sql.query<{ id: string }>(SETTLE, [rowsJson(batch.map(settledRow))], 'callback-settle')
  return new Set(rows.map((row) => row.id))
}

function settledRow({ id, attempts, settlement, at }: Settled): Readonly<Record<string, string | number | null>> {
  const isRetry = settlement.kind === 'retry'
  return {
    id,
    attempts,
    state: isRetry ? 'pending' : settlement.kind,
    due_at: toTimestamp(isRetry ? settlement.at : at),
    settled_at: isRetry ? null : toTimestamp(at),
    last_status: settlement.status,
    last_error: settlement.kind === 'delivered' ? null : storable(settlement.error).slice(0, ERROR_CHARACTERS),
  }
}

/** When the next pending callback becomes due (or its lease ends) after a moment, epoch ms; null when none does. */
export async function nextDueAt(sql: Sql, after: number): Promise<number | null> {
  const rows = await sql.query<{ due_at: Date }>(
    `select due_at from callback where state = 'pending' and due_at > $1 order by due_at limit 1`,
    [new Date(after)],
    'callback-next',
  )
  return rows[0]?.due_at.getTime() ?? null
}
