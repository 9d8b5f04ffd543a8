/**
 * Personal data that is past its time is deleted; times, counts, keys, modes and charges stay, and so does the chain of the audit log.
 *
 *   calls       numbers, custom fields and callback addresses of ended calls are blanked, their settled callbacks deleted
 *   audit       the personal part of entries goes, with its salt; the entry and its commitment stay
 *   callbacks   delivered and parked ones are deleted
 *   recordings  files go
 *
 * Each batch is one transaction, together with an entry of the audit log that says what went. So it may be broken off at any moment, and the
 * next run goes on from there. A call that lives, or that still owes somebody a callback, is not touched.
 */
import type { AccountId } from '../../domain/ids.ts'
import type { Database, Sql } from '../database.ts'
import { appendEvidence } from './entries.ts'

/** Everything older than these moments goes, epoch ms; null: that kind is kept. */
export interface PurgePlan {
  readonly callsBefore: number | null
  readonly auditBefore: number | null
  readonly callbacksBefore: number | null
  readonly recordingsBefore: number | null
}

/**
 * Deletes an account's recordings that were last written before a moment (epoch ms), or only counts them. Called again after a failure, it
 * goes on. @returns How many.
 */
export type RemoveRecordings = (accountId: AccountId, before: number, act: 'count' | 'delete') => Promise<number>

export interface PurgeOptions {
  readonly database: Pick<Database, 'sql' | 'transaction'>
  readonly plan: PurgePlan
  /** Null: every account of which there is something. */
  readonly accountId: AccountId | null
  readonly removeRecordings: RemoveRecordings
  readonly now: () => number
  /** Unique, at most 60 characters of `[0-9a-z]`. */
  readonly newId: () => string
  /** After each batch. */
  readonly onProgress?: (account: AccountId, so: PurgeCount) => void
  /** Rows that one transaction takes. */
  readonly batch?: number
}

/** What went, or would go. */
export interface PurgeCount {
  readonly calls: number
  readonly auditEntries: number
  readonly callbacks: number
  readonly recordings: number
}

export interface AccountPurge extends PurgeCount {
  readonly accountId: AccountId
}

/** Writers of the account's audit log wait for a batch. */
const BATCH = 500
const NOTHING: PurgeCount = { calls: 0, auditEntries: 0, callbacks: 0, recordings: 0 }

/** What `purgePersonal` would delete; deletes nothing. By account, those with nothing left out. */
export async function countPersonal({ database, plan, accountId, removeRecordings }: PurgeOptions): Promise<readonly AccountPurge[]> {
  const found: AccountPurge[] = []
  for (const account of await accountsWithData(database.sql, accountId)) {
    const before = recordingsBefore(plan)
    const recordings = before === null ? 0 : await removeRecordings(account, before, 'count')
    const counts = await countRows(database.sql, account, plan)
    if (recordings > 0 || Object.values(counts).some((count) => count > 0)) found.push({ accountId: account, ...counts, recordings })
  }
  return found
}

/** Deletes all that is past its time. @returns What went, by account, those with nothing left out. */
export async function purgePersonal(options: PurgeOptions): Promise<readonly AccountPurge[]> {
  const done: AccountPurge[] = []
  for (const account of await accountsWithData(options.database.sql, options.accountId)) {
    const count = await purgeAccount(account, options)
    if (Object.values(count).some((rows) => rows > 0)) done.push({ accountId: account, ...count })
  }
  return done
}

/** A call that goes takes its recording with it. */
function recordingsBefore({ callsBefore, recordingsBefore: own }: PurgePlan): number | null {
  return callsBefore === null ? own : Math.max(callsBefore, own ?? callsBefore)
}

async function purgeAccount(account: AccountId, options: PurgeOptions): Promise<PurgeCount> {
  const { plan, removeRecordings, onProgress, batch = BATCH } = options
  let total = NOTHING
  const add = (more: Partial<PurgeCount>): void => {
    total = {
      calls: total.calls + (more.calls ?? 0),
      auditEntries: total.auditEntries + (more.auditEntries ?? 0),
      callbacks: total.callbacks + (more.callbacks ?? 0),
      recordings: total.recordings + (more.recordings ?? 0),
    }
    onProgress?.(account, total)
  }
  const files = recordingsBefore(plan)
  if (files !== null) {
    const recordings = await removeRecordings(account, files, 'delete')
    if (recordings > 0) await note(options.database.sql, account, options, { what: 'recordings', olderThan: iso(files), recordings })
    add({ recordings })
  }
  const steps: readonly (readonly [number | null, Step])[] = [
    [plan.callsBefore, purgeCalls],
    [plan.callbacksBefore, purgeCallbacks],
    [plan.auditBefore, purgeAudit],
  ]
  for (const [before, step] of steps) {
    if (before === null) continue
    for (let isMore = true; isMore; ) {
      const { counts, body } = await options.database.transaction(async (sql) => {
        const taken = await step(sql, account, before, { batch, now: options.now() })
        if (taken.body !== null) await note(sql, account, options, taken.body)
        return taken
      })
      isMore = body !== null
      add(counts)
    }
  }
  return total
}

const iso = (epochMs: number): string => new Date(epochMs).toISOString()

const note = (sql: Sql, accountId: AccountId, { newId, now }: PurgeOptions, body: Readonly<Record<string, unknown>>): Promise<void> =>
  appendEvidence(sql, { accountId, id: newId(), kind: 'purge', at: now(), body, personal: null, salt: null })

interface Taken {
  readonly counts: Partial<PurgeCount>
  /** Of the entry that says what went; null when nothing was left. */
  readonly body: Readonly<Record<string, unknown>> | null
}

type Step = (sql: Sql, account: AccountId, before: number, how: { readonly batch: number; readonly now: number }) => Promise<Taken>

/** Ended before `$2`, not blanked yet, and nothing about it waits to be delivered. */
const OLD_CALLS = `account_id = $1 and status = 'ended' and purged_at is null and ended_at < $2
  and not exists (select from callback where state = 'pending' and order_key = call.id)
  and not exists (select from leg join callback on callback.order_key = leg.id where leg.call_id = call.id and callback.state = 'pending')`
const OLD_CALLBACKS = `account_id = $1 and state <> 'pending' and settled_at < $2`
const OLD_ENTRIES = `account_id = $1 and personal is not null and recorded_at < $2`

const purgeCalls: Step = async (sql, account, before, { batch, now }) => {
  const blank = 'custom_field = null, callback_url = null, callback_events = null, callback_content_type = null'
  const [found] = await sql.query<{ calls: number; callbacks: number }>(
    `with old as (select id from call where ${OLD_CALLS} order by ended_at limit $3 for update skip locked),
     legs as (update leg set address = '', ${blank} from old where leg.call_id = old.id),
     callbacks as (delete from callback using old where callback.call_id = old.id and callback.state <> 'pending' returning 1),
     answers as (delete from idempotency using old where account_id = $1 and idempotency.call_id = old.id),
     calls as (update call set from_address = '', to_address = '', caller_id = '', ${blank}, purged_at = $4 from old where call.id = old.id returning 1)
     select (select count(*) from calls)::integer as calls, (select count(*) from callbacks)::integer as callbacks`,
    [account, new Date(before), batch, new Date(now)],
  )
  const { calls, callbacks } = found ?? { calls: 0, callbacks: 0 }
  return { counts: { calls, callbacks }, body: calls === 0 ? null : { what: 'calls', olderThan: iso(before), calls, callbacks } }
}

const purgeCallbacks: Step = async (sql, account, before, { batch }) => {
  const rows = await sql.query(
    `delete from callback where sequence in (select sequence from callback where ${OLD_CALLBACKS} order by settled_at limit $3 for update skip locked) returning 1`,
    [account, new Date(before), batch],
  )
  const callbacks = rows.length
  return { counts: { callbacks }, body: callbacks === 0 ? null : { what: 'callbacks', olderThan: iso(before), callbacks } }
}

const purgeAudit: Step = async (sql, account, before, { batch }) => {
  const rows = await sql.query<{ sequence: string }>(
    `with old as (select sequence from evidence where ${OLD_ENTRIES} order by recorded_at, sequence limit $3 for update skip locked)
     update evidence set personal = null, salt = null, supervisor = null from old where account_id = $1 and evidence.sequence = old.sequence returning evidence.sequence`,
    [account, new Date(before), batch],
  )
  const sequences = rows.map((row) => Number(row.sequence))
  if (sequences.length === 0) return { counts: {}, body: null }
  const range = { from: Math.min(...sequences), through: Math.max(...sequences) }
  return { counts: { auditEntries: sequences.length }, body: { what: 'audit-personal', olderThan: iso(before), ...range, entries: sequences.length } }
}

async function countRows(sql: Sql, account: AccountId, plan: PurgePlan): Promise<Omit<PurgeCount, 'recordings'>> {
  const count = async (table: string, condition: string, before: number | null): Promise<number> => {
    if (before === null) return 0
    const rows = await sql.query<{ count: number }>(`select count(*)::integer as count from ${table} where ${condition}`, [account, new Date(before)])
    return rows[0]?.count ?? 0
  }
  // Those of old calls go with them, the others by their own age.
  const [both] = await sql.query<{ count: number }>(
    `select count(*)::integer as count from callback where account_id = $1 and state <> 'pending'
        and (settled_at < $3 or call_id in (select id from call where ${OLD_CALLS}))`,
    [account, moment(plan.callsBefore), moment(plan.callbacksBefore)],
  )
  return {
    calls: await count('call', OLD_CALLS, plan.callsBefore),
    auditEntries: await count('evidence', OLD_ENTRIES, plan.auditBefore),
    callbacks: both?.count ?? 0,
  }
}

/** Nothing is older than null. */
const moment = (epochMs: number | null): Date | null => (epochMs === null ? null : new Date(epochMs))

async function accountsWithData(sql: Sql, only: AccountId | null): Promise<readonly AccountId[]> {
  if (only !== null) return [only]
  const each = (table: string): string => `select distinct account_id from ${table}`
  const rows = await sql.query<{ account_id: string }>(`${['call', 'callback', 'evidence_head'].map(each).join(' union ')} order by account_id`)
  return rows.map((row) => row.account_id as AccountId)
}
