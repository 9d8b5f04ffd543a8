/**
 * Calls and their legs. A call is saved whole, in one statement, together with the callbacks that report it and the
 * answer kept for a repeated request: either all of it is on disk or nothing (contract C27, C19).
 */
import type { Call } from '../domain/call.ts'
import type { AccountId, CallId } from '../domain/ids.ts'
import { CALL_COLUMNS, type CallRow, callOf, callRow, LEG_COLUMNS, type LegRow, legRow } from './call-rows.ts'
import type { Sql } from './database.ts'
import { type IdempotencyRecord, IdempotencyTaken } from './idempotency.ts'
import { rowsJson, toTimestamp } from './json.ts'
import { CALLBACK_CHANNEL, type CallbackRow, receiverOf } from './outbox.ts'

export interface CallSave {
  readonly call: Call
  /** The node that carries the call. */
  readonly node: string
  readonly callbacks: readonly CallbackRow[]
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

/** All rows in, whatever their number: the text stays the same and is planned once. Unchanged legs are left alone. */
const SAVE = `
with saved_call as (${insertion('call', CALL_COLUMNS, '$1')} ${overwriting('call', CALL_COLUMNS)}),
saved_legs as (${insertion('leg', LEG_COLUMNS, '$2')} ${overwriting('leg', LEG_COLUMNS)}),
enqueued as (${insertion('callback', CALLBACK_COLUMNS, '$3')}),
remembered as (${insertion('idempotency', IDEMPOTENCY_COLUMNS, '$4')})
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
 * Writes the call, all its legs, the callbacks and the idempotency record in one atomic statement, and wakes the webhook worker.
 * @throws {IdempotencyTaken} when the key has been used meanwhile.
 */
export async function saveCall(sql: Sql, { call, node, callbacks, idempotency }: CallSave): Promise<void> {
  const values = [
    rowsJson([callRow(call, node)]),
    rowsJson(call.legs.map((leg, position) => legRow(leg, call.id, position))),
    rowsJson(callbacks.map(callbackValues)),
    rowsJson(idempotency === null ? [] : [idempotencyValues(idempotency)]),
  ]
  try {
    await sql.query(SAVE, values, 'call-save')
  } catch (error) {
    if (error instanceof Error && 'constraint' in error && error.constraint === 'idempotency_pkey') {
      throw new IdempotencyTaken('the idempotency key was used meanwhile', { cause: error })
    }
    throw error
  }
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

const LOAD = `
select to_json(call) as call, coalesce((select json_agg(leg order by leg.position) from leg where leg.call_id = call.id), '[]') as legs from call`

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
