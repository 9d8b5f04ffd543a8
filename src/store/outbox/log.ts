/** The outbox of callbacks as people see it: what became of each, what is parked, and once more (contract C27). */
import type { CallbackFilter, CallbackPage, CallbackQuery, LoggedCallback } from '../../domain/callback-log.ts'
import type { AccountId } from '../../domain/ids.ts'
import type { Sql } from '../database.ts'
import { CALLBACK_CHANNEL, loggedOf, type Row } from './rows.ts'

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

/** Null lets the callbacks of every account pass: for the operator. */
export type Owner = AccountId | null

/** What is true of the page as a whole, and one callback of it; without one the page is empty. */
type Listed = { readonly total: number; readonly is_place: boolean; readonly behind: boolean } & (Row | { readonly id: null })

/**
 * One page, newest first, by order of enqueueing, and how many there are in all (counted up to `COUNTED`).
 * @returns null when the place where the page should start is no callback of this owner.
 */
export async function listCallbacks(sql: Sql, owner: Owner, query: CallbackQuery): Promise<CallbackPage | null> {
  const { start, pageSize } = query
  const values: unknown[] = []
  const given = (value: unknown, type: string): string => `$${values.push(value)}::${type}`
  const conditions = conditionsOf(owner, query, given).join(' and ')
  const backwards = start?.side === 'before'
  const place = start && `(select sequence from callback where ${[`id = ${given(start.id, 'text')}`, ...ownedBy(owner, given)].join(' and ')})`
  const [direction, beyond, behind] = backwards ? ['asc', '>', '<='] : ['desc', '<', '>=']
  const rows = await sql.query<Listed>(
    `select facts.*, page.* from (
       select (select count(*)::integer from (select from callback where ${conditions} limit ${COUNTED}) counted) as total,
         ${place ? `${place} is not null` : 'true'} as is_place,
         ${place ? `exists (select from callback where ${conditions} and sequence ${behind} ${place})` : 'false'} as behind) facts
     left join (
       select * from callback where ${conditions} ${place ? `and sequence ${beyond} ${place}` : ''}
       order by sequence ${direction} limit ${given(pageSize + 1, 'integer')}) page on true
     order by page.sequence ${direction}`,
    values,
  )
  const [facts] = rows
  if (!facts?.is_place) return null
  const found = rows.flatMap((row) => (row.id === null ? [] : [loggedOf(row)]))
  const callbacks = found.slice(0, pageSize)
  const more = found.length > pageSize
  return {
    callbacks: backwards ? callbacks.reverse() : callbacks,
    total: facts.total,
    hasPrevious: backwards ? more : facts.behind,
    hasNext: backwards ? facts.behind : more,
  }
}

type Given = (value: unknown, type: string) => string

const ownedBy = (owner: Owner, given: Given): readonly string[] => (owner === null ? [] : [`account_id = ${given(owner, 'text')}`])

function conditionsOf(owner: Owner, { state, callId, receiver }: CallbackFilter, given: Given): readonly string[] {
  const equal = (name: string, value: string | null): readonly string[] => (value === null ? [] : [`${name} = ${given(value, 'text')}`])
  // The state is one of three words of ours, and as a constant it fits the partial indexes.
  const conditions = [
    ...ownedBy(owner, given),
    ...equal('call_id', callId),
    ...equal('receiver', receiver),
    ...(state === null ? [] : [`state = '${state}'`]),
  ]
  return conditions.length === 0 ? ['true'] : conditions
}

/** Null when there is none, or it is another account's. */
export async function loadCallback(sql: Sql, owner: Owner, id: string): Promise<LoggedCallback | null> {
  const rows = await sql.query<Row>('select * from callback where id = $1 and ($2::text is null or account_id = $2)', [id, owner])
  return rows[0] ? loggedOf(rows[0]) : null
}

const PENDING_AGAIN = `state = 'pending', settled_at = null, attempts_before = attempts`

/** Makes one parked callback pending again with a fresh schedule, and has its receiver asked now, though it be paused. @returns False when it is not parked. */
export async function replayCallback(sql: Sql, accountId: AccountId, id: string, now: number): Promise<boolean> {
  const rows = await sql.query(
    `with replayed as (
       update callback set ${PENDING_AGAIN}, due_at = $3
        where id = $2 and account_id = $1 and state = 'parked' returning receiver)
     select pg_notify('${CALLBACK_CHANNEL}', receiver) from replayed`,
    [accountId, id, new Date(now)],
  )
  return rows.length > 0
}

/** Which parked callbacks are replayed: at most `limit`, the oldest first. */
export interface ReplayQuery {
  readonly receiver: string | null
  readonly limit: number
}

/**
 * Makes the oldest of the parked callbacks pending again, as `replayCallback` does. Only those that were parked before `now`: what is
 * refused again meanwhile does not come round twice.
 * @returns How many; fewer than the limit when that was all.
 */
export async function replayParked(sql: Sql, owner: Owner, { receiver, limit }: ReplayQuery, now: number): Promise<number> {
  const rows = await sql.query<{ count: number }>(
    `with replayed as (
       update callback set ${PENDING_AGAIN}, due_at = $4
        where sequence in (
          select sequence from callback
           where state = 'parked' and settled_at < $4 and ($1::text is null or account_id = $1) and ($2::text is null or receiver = $2)
           order by sequence limit $3 for update skip locked)
        returning receiver),
     told as (select pg_notify('${CALLBACK_CHANNEL}', receiver)::text as done from (select distinct receiver from replayed) receivers)
     select (select count(*)::integer from replayed) as count, (select count(done) from told) as told`,
    [owner, receiver, limit, new Date(now)],
  )
  return rows[0]?.count ?? 0
}

/** How many `replayParked` would find; counted up to `COUNTED`. */
export async function countParked(sql: Sql, owner: Owner, receiver: string | null, before: number): Promise<number> {
  const rows = await sql.query<{ count: number }>(
    `select count(*)::integer as count from (
       select from callback
        where state = 'parked' and settled_at < $3 and ($1::text is null or account_id = $1) and ($2::text is null or receiver = $2) limit ${COUNTED}) parked`,
    [owner, receiver, new Date(before)],
  )
  return rows[0]?.count ?? 0
}
