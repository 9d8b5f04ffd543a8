/**
 * The outbox of callbacks, which is their delivery log and the list for replays as well (contract C27).
 *
 *   pending ──2xx──▶ delivered
 *      │ ▲
 *      │ └── a failed attempt is due again later
 *      └──the schedule is exhausted, or the address is refused──▶ parked ──replay──▶ pending
 *
 * A claim is a lease: `due_at` moves to its end, so that a callback whose worker died is simply due again.
 */
import type { AccountId, CallId, LegId } from '../domain/ids.ts'
import type { CallbackEvent } from '../domain/leg.ts'
import type { Sql } from './database.ts'
import { storable } from './json.ts'

/** One callback as it was frozen in the transaction of the state it reports. */
export interface CallbackRow {
  /** Unique; the `webhook-id` of every attempt. */
  readonly id: string
  readonly accountId: AccountId
  readonly callId: CallId
  /** Null for the call's own callback. */
  readonly legId: LegId | null
  readonly event: CallbackEvent
  /** Callbacks with the same key are delivered one after the other. */
  readonly orderKey: string
  readonly url: string
  /** The header's value, boundary included. */
  readonly contentType: string
  readonly body: string
  /** Epoch ms. */
  readonly createdAt: number
}

/** A callback that this worker may send until its lease ends. */
export interface ClaimedCallback extends CallbackRow {
  /** All attempts ever made, this one included; the fence of `settleCallback`. */
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

/** A callback that nobody accepted. */
export interface ParkedCallback extends CallbackRow {
  readonly attempts: number
  readonly lastStatus: number | null
  readonly lastError: string
  readonly parkedAt: number
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
  /** Attempts that this worker has under way, by receiver. */
  readonly underWay: ReadonlyMap<string, number>
}

/** The channel that is notified when callbacks were enqueued. */
export const CALLBACK_CHANNEL = 'earshot_callback'
/** Of what a receiver or the network said, this much is kept. */
export const ERROR_CHARACTERS = 500

/** Scheme, host and port; what limits of concurrency are counted by. Empty for what is no URL. */
export const receiverOf = (url: string): string => URL.parse(url)?.origin ?? ''

interface Row {
  readonly id: string
  readonly account_id: string
  readonly call_id: string
  readonly leg_id: string | null
  readonly event: CallbackEvent
  readonly order_key: string
  readonly url: string
  readonly receiver: string
  readonly content_type: string
  readonly body: string
  readonly created_at: Date
  readonly attempts: number
  readonly round: number
  readonly last_status: number | null
  readonly last_error: string | null
  readonly settled_at: Date | null
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
  const { node, now, leaseMs, limit, perReceiver, underWay } = options
  const values = [new Date(now), new Date(now + leaseMs), limit, [...underWay.keys()], [...underWay.values()], perReceiver, node]
  const rows = await sql.query<Row>(CLAIM, values, 'callback-claim')
  return rows.map((row) => ({ ...callbackOf(row), attempts: row.attempts, round: row.round, receiver: row.receiver }))
}

function callbackOf(row: Row): CallbackRow {
  return {
    id: row.id,
    accountId: row.account_id as AccountId,
    callId: row.call_id as CallId,
    legId: row.leg_id as LegId | null,
    event: row.event,
    orderKey: row.order_key,
    url: row.url,
    contentType: row.content_type,
    body: row.body,
    createdAt: row.created_at.getTime(),
  }
}

/** What this node was sending when it died is due again at once; for its start, before its first claim. */
export async function releaseClaims(sql: Sql, node: string, now: number): Promise<void> {
  await sql.query(`update callback set due_at = $2, claimed_by = null where claimed_by = $1 and state = 'pending'`, [node, new Date(now)])
}

/** Records how an attempt went. @returns False when the lease was lost to another worker meanwhile: nothing was changed. */
export async function settleCallback(
  sql: Sql,
  claimed: Pick<ClaimedCallback, 'id' | 'attempts'>,
  settlement: Settlement,
  now: number,
): Promise<boolean> {
  const state = settlement.kind === 'retry' ? 'pending' : settlement.kind
  const error = settlement.kind === 'delivered' ? null : storable(settlement.error).slice(0, ERROR_CHARACTERS)
  const dueAt = new Date(settlement.kind === 'retry' ? settlement.at : now)
  const rows = await sql.query(
    `update callback set state = $3, due_at = $4, claimed_by = null, settled_at = $5, last_status = $6, last_error = $7
      where id = $1 and attempts = $2 and state = 'pending' returning id`,
    [claimed.id, claimed.attempts, state, dueAt, settlement.kind === 'retry' ? null : new Date(now), settlement.status, error],
    'callback-settle',
  )
  return rows.length > 0
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

/** What waits in the outbox. */
export interface Backlog {
  /** Not delivered yet; at most `COUNTED`. */
  readonly pending: number
  /** Age of the oldest of those, ms; 0 when there is none. */
  readonly oldestMs: number
  /** For how long the most overdue of them has been due, ms; 0 when none is. */
  readonly overdueMs: number
  /** That nobody accepted; at most `COUNTED`. */
  readonly parked: number
}

/** A backlog is looked at often and may be long: beyond this it is not counted, the most overdue first. */
const COUNTED = 10_000

/** Two walks along an index, each with an end. */
export async function callbackBacklog(sql: Sql, now: number): Promise<Backlog> {
  const rows = await sql.query<{ pending: number; oldest: Date | null; due: Date | null; parked: number }>(
    `select pending.*, parked.*
       from (select count(*)::integer as pending, min(created_at) as oldest, min(due_at) as due
               from (select created_at, due_at from callback where state = 'pending' order by due_at limit ${COUNTED}) waiting) pending,
            (select count(*)::integer as parked from (select from callback where state = 'parked' limit ${COUNTED}) kept) parked`,
    [],
    'callback-backlog',
  )
  const [{ pending, oldest, due, parked } = { pending: 0, oldest: null, due: null, parked: 0 }] = rows
  const sinceMs = (moment: Date | null): number => (moment === null ? 0 : Math.max(0, now - moment.getTime()))
  return { pending, oldestMs: sinceMs(oldest), overdueMs: sinceMs(due), parked }
}

/** Oldest first. */
export async function parkedCallbacks(sql: Sql, accountId: AccountId, limit: number): Promise<readonly ParkedCallback[]> {
  const rows = await sql.query<Row>(`select *, 0 as round from callback where state = 'parked' and account_id = $1 order by sequence limit $2`, [
    accountId,
    limit,
  ])
  return rows.map((row) => ({
    ...callbackOf(row),
    attempts: row.attempts,
    lastStatus: row.last_status,
    lastError: row.last_error ?? '',
    parkedAt: row.settled_at?.getTime() ?? 0,
  }))
}

/** Makes one parked callback pending again with a fresh schedule. @returns False when it is not parked. */
export async function replayCallback(sql: Sql, accountId: AccountId, id: string, now: number): Promise<boolean> {
  const rows = await sql.query(
    `with replayed as (
       update callback set state = 'pending', due_at = $3, settled_at = null, attempts_before = attempts
        where id = $2 and account_id = $1 and state = 'parked' returning id)
     select pg_notify('${CALLBACK_CHANNEL}', '') from replayed`,
    [accountId, id, new Date(now)],
  )
  return rows.length > 0
}

/** A callback as the delivery log shows it. */
export interface LoggedCallback extends CallbackRow {
  readonly state: 'pending' | 'delivered' | 'parked'
  readonly attempts: number
  readonly lastStatus: number | null
  readonly lastError: string | null
  /** When it is due (again), or was; epoch ms. */
  readonly dueAt: number
  /** When it was delivered or parked, epoch ms; null while it is pending. */
  readonly settledAt: number | null
}

export interface CallbackQuery {
  readonly state: LoggedCallback['state'] | null
  readonly accountId: AccountId | null
  /** Scheme, host and port, as `receiverOf` has them. */
  readonly receiver: string | null
  readonly limit: number
}

interface LoggedRow extends Row {
  readonly state: LoggedCallback['state']
  readonly due_at: Date
}

/** Newest first; a filter that is null lets every callback pass. */
export async function listCallbacks(sql: Sql, { state, accountId, receiver, limit }: CallbackQuery): Promise<readonly LoggedCallback[]> {
  const rows = await sql.query<LoggedRow>(
    `select *, 0 as round from callback
      where ($1::text is null or state = $1) and ($2::text is null or account_id = $2) and ($3::text is null or receiver = $3)
      order by sequence desc limit $4`,
    [state, accountId, receiver, limit],
  )
  return rows.map(loggedOf)
}

/** Null when there is none. */
export async function loadCallback(sql: Sql, id: string): Promise<LoggedCallback | null> {
  const rows = await sql.query<LoggedRow>('select *, 0 as round from callback where id = $1', [id])
  return rows[0] ? loggedOf(rows[0]) : null
}

const loggedOf = (row: LoggedRow): LoggedCallback => ({
  ...callbackOf(row),
  state: row.state,
  attempts: row.attempts,
  lastStatus: row.last_status,
  lastError: row.last_error,
  dueAt: row.due_at.getTime(),
  settledAt: row.settled_at?.getTime() ?? null,
})

/**
 * Makes the oldest of the parked callbacks pending again, as `replayCallback` does. Only those that were parked before `now`: what is
 * refused again meanwhile does not come round twice.
 * @returns How many; fewer than the limit when that was all.
 */
export async function replayParked(sql: Sql, query: Omit<CallbackQuery, 'state'>, now: number): Promise<number> {
  const rows = await sql.query<{ count: number }>(
    `with replayed as (
       update callback set state = 'pending', due_at = $4, settled_at = null, attempts_before = attempts
        where sequence in (
          select sequence from callback
           where state = 'parked' and settled_at < $4 and ($1::text is null or account_id = $1) and ($2::text is null or receiver = $2)
           order by sequence limit $3 for update skip locked)
        returning id)
     select count(*)::integer as count, pg_notify('${CALLBACK_CHANNEL}', '') from replayed`,
    [query.accountId, query.receiver, query.limit, new Date(now)],
  )
  return rows[0]?.count ?? 0
}
