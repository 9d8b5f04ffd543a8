/**
 * Calls and their legs. A call is saved whole, in one statement, together with the callbacks that report it and the
 * answer kept for a repeated request: either all of it is on disk or nothing (contract C27, C19).
 */
import assert from 'node:assert/strict'
import type { Address } from '../domain/address.ts'
import type { Call } from '../domain/call.ts'
import type { CallPage, CallQuery } from '../domain/call-query.ts'
import type { AccountId, CallId } from '../domain/ids.ts'
import { CALL_COLUMNS, type CallRow, callOf, callRow, LEG_COLUMNS, type LegRow, legRow } from './call-rows.ts'
import type { Sql } from './database.ts'
import { evidenceInsertion, evidenceValues, type NewEntry } from './evidence/entries.ts'
import { type IdempotencyRecord, IdempotencyTaken } from './idempotency.ts'
import { rowsJson, toTimestamp } from './json.ts'
import { CALLBACK_CHANNEL, type CallbackRow, receiverOf } from './outbox/rows.ts'
import { CALL_PRICE, type ChargeRow, chargeValues, charging } from './ledger/charges.ts'

/** What is written with a call, in the same statement. */
export interface Records {
  readonly callbacks: readonly CallbackRow[]
  /** Entries of the audit log, in order. */
  readonly evidence: readonly NewEntry[]
  /** Of legs that ended; one that is on record already is left as it is. */
  readonly charges: readonly ChargeRow[]
}

/** Records that are left out are none. */
export interface CallSave extends Partial<Records> {
  readonly call: Call
  /** The node that carries the call. */
  readonly node: string
  readonly idempotency: IdempotencyRecord | null
}

const CALLBACK_COLUMNS = {
  id: 'text',
  account_id: 'text',
  call_id: 'text',
  leg_id: 'text',
  event: 'text',
  order_key: 'text',
  url: 'text',
  receiver: 'text',
  content_type: 'text',
  body: 'text',
  created_at: 'timestamptz',
  due_at: 'timestamptz',
}
const IDEMPOTENCY_COLUMNS = {
  account_id: 'text',
  key: 'text',
  fingerprint: 'text',
  call_id: 'text',
  leg_id: 'text',
  answer: 'json',
  created_at: 'timestamptz',
}

/**
 * All rows in, whatever their number: the text stays the same and is planned once. Unchanged legs are left alone. The same save a second
 * time changes nothing: after a lost connection nobody knows whether the first one was made.
 */
const SAVE = `
with saved_call as (${insertion('call', CALL_COLUMNS, '$1')} ${overwriting('call', CALL_COLUMNS)}),
saved_legs as (${insertion('leg', LEG_COLUMNS, '$2')} ${overwriting('leg', LEG_COLUMNS)}),
enqueued as (${insertion('callback', CALLBACK_COLUMNS, '$3')} on conflict (id) do nothing),
remembered as (${insertion('idempotency', IDEMPOTENCY_COLUMNS, '$4')}),
proved as (${evidenceInsertion('$5')}),
${charging('$6')}
select case when json_array_length($3::json) > 0 then pg_notify('${CALLBACK_CHANNEL}', '') end`

function insertion(table: string, columns: Readonly<Record<string, string>>, parameter: string): string {
  const names = Object.keys(columns).join(', ')
  const typed = Object.entries(columns).map(([name, type]) => `${name} ${type}`)
  return `insert into ${table} (${names}) select ${names} from json_to_recordset(${parameter}::json) as given (${typed.join(', ')})`
}

function overwriting(table: string, columns: Readonly<Record<string, string>>): string {
  const changes = Object.keys(columns)
    .filter((name) => name !== 'id')
    .map((name) => `${name} = excluded.${name}`)
  return `on conflict (id) do update set ${changes.join(', ')} where ${table}.* is distinct from excluded.*`
}

/**
 * Writes the call, all its legs, the callbacks, the evidence, the charges and the idempotency record in one atomic statement, and wakes the webhook
 * worker. Twice is as good as once.
 * @throws {IdempotencyTaken} when the key has been used meanwhile.
 */
export async function saveCall(sql: Sql, { call, node, callbacks = [], evidence = [], charges = [], idempotency }: CallSave): Promise<void> {
  const values = [
    rowsJson([callRow(call, node)]),
    rowsJson(call.legs.map((leg, position) => legRow(leg, call.id, position))),
    rowsJson(callbacks.map(callbackValues)),
    rowsJson(idempotency === null ? [] : [idempotencyValues(idempotency)]),
    rowsJson(evidence.map(evidenceValues)),
    rowsJson(charges.map(chargeValues)),
  ]
  try {
    await sql.query(SAVE, values, 'call-save')
  } catch (error) {
    if (error instanceof Error && 'constraint' in error && error.constraint === 'idempotency_pkey') {
      if (idempotency !== null && (await isOwn(sql, idempotency))) return
      throw new IdempotencyTaken('the idempotency key was used meanwhile', { cause: error })
    }
    throw error
  }
}

/** Whether it is this very save that was made before: all of it, since it is one statement. */
async function isOwn(sql: Sql, { accountId, key, callId, legId }: IdempotencyRecord): Promise<boolean> {
  const own = 'select from idempotency where account_id = $1 and key = $2 and call_id = $3 and leg_id is not distinct from $4'
  return (await sql.query(own, [accountId, key, callId, legId])).length > 0
}

function callbackValues(callback: CallbackRow): Record<keyof typeof CALLBACK_COLUMNS, string | null> {
  const createdAt = toTimestamp(callback.createdAt)
  return {
    id: callback.id,
    account_id: callback.accountId,
    call_id: callback.callId,
    leg_id: callback.legId,
    event: callback.event,
    order_key: callback.orderKey,
    url: callback.url,
    receiver: receiverOf(callback.url),
    content_type: callback.contentType,
    body: callback.body,
    created_at: createdAt,
    due_at: createdAt,
  }
}

function idempotencyValues(record: IdempotencyRecord): Record<keyof typeof IDEMPOTENCY_COLUMNS, unknown> {
  const { accountId, key, fingerprint, callId, legId, answer, createdAt } = record
  return { account_id: accountId, key, fingerprint, call_id: callId, leg_id: legId, answer, created_at: toTimestamp(createdAt) }
}

interface Loaded {
  readonly call: CallRow
  readonly legs: readonly LegRow[]
}

const LEGS = `coalesce((select json_agg(leg order by leg.position) from leg where leg.call_id = call.id), '[]')`
const LOAD = `select to_json(call) as call, ${LEGS} as legs from call`

/** Null when there is none, or it is another account's. */
export async function loadCall(sql: Sql, accountId: AccountId, callId: CallId): Promise<Call | null> {
  const rows = await sql.query<Loaded>(`${LOAD} where id = $1 and account_id = $2`, [callId, accountId], 'call-load')
  return rows[0] ? callOf(rows[0].call, rows[0].legs) : null
}

/** Every call of the node that has not ended, oldest first. */
export async function loadLiveCalls(sql: Sql, node: string): Promise<readonly Call[]> {
  const rows = await sql.query<Loaded>(`${LOAD} where node = $1 and status <> 'ended' order by created_at, id`, [node])
  return rows.map((row) => callOf(row.call, row.legs))
}

interface Listed {
  readonly total: string
  readonly behind: boolean
  /** One more than the page holds, if there are more. */
  readonly page: readonly Loaded[]
}

/**
 * One page of an account's calls, live ones included, and how many there are in all. Everything is read in one statement, so
 * total and page agree.
 *
 * The text says only what is asked, and is not prepared: each question gets the plan that suits it. Of 100,000 calls in the
 * window, on two busy cores: a page with its total 25 ms, live calls alone 3 ms, by `Duration` or own number 400 ms.
 *
 * @param reach Only calls in which one of these takes part, as if there were no others (`reachesAny`); null: all of the account's.
 */
export async function listCalls(sql: Sql, accountId: AccountId, query: CallQuery, reach: readonly Address[] | null = null): Promise<CallPage> {
  const { start, pageSize } = query
  const backwards = start?.side === 'before'
  const forth = (query.order === 'asc') !== backwards
  const [direction, beyond, behind] = forth ? ['asc', '>', '<='] : ['desc', '<', '>=']
  const values: unknown[] = []
  const given = (value: unknown, type: string): string => `$${values.push(value)}::${type}`
  const conditions = [...conditionsOf(accountId, query, given), ...(reach === null ? [] : [takesPart(given(reach, 'text[]'))])]
  const here = start && `(${given(toTimestamp(start.createdAt), 'timestamptz')}, ${given(start.id, 'text')})`
  const [listed] = await sql.query<Listed>(
    `with matching as not materialized (select * from call where ${conditions.join(' and ')}),
     page as (
       select * from matching ${here ? `where (created_at, id) ${beyond} ${here}` : ''}
       order by created_at ${direction}, id ${direction} limit ${given(pageSize + 1, 'integer')})
     select (select count(*) from matching) as total,
       ${here ? `exists (select from matching where (created_at, id) ${behind} ${here})` : 'false'} as behind,
       (select coalesce(json_agg(json_build_object('call', to_json(call), 'legs', ${LEGS}) order by created_at ${direction}, id ${direction}), '[]')
        from page as call) as page`,
    values,
  )
  assert(listed)
  const calls = listed.page.slice(0, pageSize).map((row) => callOf(row.call, row.legs))
  const more = listed.page.length > pageSize
  return {
    calls: backwards ? calls.reverse() : calls,
    total: Number(listed.total),
    hasPrevious: backwards ? more : listed.behind,
    hasNext: backwards ? listed.behind : more,
  }
}

/** The same question as `maySee`: a supervisor does not take part, and who is yet to be rung does. */
const takesPart = (addresses: string): string =>
  `(from_address = any (${addresses}) or to_address = any (${addresses})
    or exists (select from leg where leg.call_id = call.id and leg.mode is null and leg.address = any (${addresses})))`

/** As calls show it: an outside caller dialled it, anybody else was shown it. */
const OWN_NUMBER = `case when direction = 'inbound' and exists (
  select from leg where leg.call_id = call.id and leg.position = 0 and leg.origin = 'inbound' and leg.id is distinct from call.agent_leg_id
) then to_address else caller_id end`

/**
 * A call's duration is what lies between the first answer of a party and its end, in whole seconds; 0 without an answer. So it
 * is at least `n` if somebody had answered `n` seconds before the end, and at most `n` if nobody had `n + 1` seconds before.
 */
const answeredBefore = (seconds: string): string =>
  `exists (select from leg where leg.call_id = call.id and leg.mode is null and leg.answered_at <= call.ended_at - ${seconds} * interval '1 second')`

function conditionsOf(accountId: AccountId, query: CallQuery, given: (value: unknown, type: string) => string): readonly string[] {
  const { createdFrom, createdBefore, durationS } = query
  const oneOf = (what: string, wanted: readonly string[] | null): readonly string[] => (wanted ? [`${what} = any (${given(wanted, 'text[]')})`] : [])
  return [
    `account_id = ${given(accountId, 'text')}`,
    ...oneOf('id', query.ids),
    ...(createdFrom === null ? [] : [`created_at >= ${given(toTimestamp(createdFrom), 'timestamptz')}`]),
    ...(createdBefore === null ? [] : [`created_at < ${given(toTimestamp(createdBefore), 'timestamptz')}`]),
    ...oneOf('from_address', query.from),
    ...oneOf('to_address', query.to),
    ...oneOf(OWN_NUMBER, query.ownNumbers),
    ...(query.statuses ? [inStatus(query.statuses, given)] : []),
    ...oneOf('direction', query.directions),
    ...(durationS ? [`status = 'ended'`] : []),
    ...(durationS?.min ? [answeredBefore(given(durationS.min, 'integer'))] : []),
    ...(durationS && durationS.max !== null ? [`not ${answeredBefore(given(durationS.max + 1, 'integer'))}`] : []),
    ...priceWithin(query.price, given),
  ]
}

/** A call without a price passes no bound. */
function priceWithin(price: CallQuery['price'], given: (value: unknown, type: string) => string): readonly string[] {
  if (price === null) return []
  return [
    `status = 'ended'`,
    ...(price.min === null ? [] : [`${CALL_PRICE} >= ${given(price.min, 'numeric')}`]),
    ...(price.max === null ? [] : [`${CALL_PRICE} <= ${given(price.max, 'numeric')}`]),
  ]
}

/** Only live calls: that is asked again and again, and they have an index of their own. */
function inStatus(wanted: NonNullable<CallQuery['statuses']>, given: (value: unknown, type: string) => string): string {
  const live = `status <> 'ended'`
  const outcomes = wanted.filter((status) => status !== 'in-progress')
  if (wanted.length > 0 && outcomes.length === 0) return live
  const ended = `(status = 'ended' and outcome = any (${given(outcomes, 'text[]')}))`
  return outcomes.length === wanted.length ? ended : `(${live} or ${ended})`
}
