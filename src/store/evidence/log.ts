/** Reading the audit log: pages of entries by sequence, which later entries do not shift, and the head of a chain. */
import type { Entry, EvidencePage, EvidenceQuery } from '../../domain/evidence/entry.ts'
import type { AccountId } from '../../domain/ids.ts'
import type { Sql } from '../database.ts'
import { toTimestamp } from '../json.ts'

interface Row {
  readonly account_id: string
  readonly sequence: string
  readonly id: string
  readonly kind: string
  readonly recorded_at: Date
  readonly body: string
  readonly personal: string | null
  readonly salt: string | null
  readonly commitment: string
  readonly previous: string
  readonly hash: string
  readonly call_id: string | null
  readonly mode: string | null
  readonly supervisor: string | null
}

const COLUMNS = 'account_id, sequence, id, kind, recorded_at, body, personal, salt, commitment, previous, hash, call_id, mode, supervisor'

const entryOf = (row: Row): Entry => ({
  accountId: row.account_id as AccountId,
  sequence: Number(row.sequence),
  id: row.id,
  kind: row.kind,
  recordedAt: row.recorded_at.getTime(),
  body: row.body,
  personal: row.personal,
  salt: row.salt,
  commitment: row.commitment,
  previous: row.previous,
  hash: row.hash,
  foundBy: { call: row.call_id, mode: row.mode, supervisor: row.supervisor },
})

/** One page. The text says only what is asked, so that each question gets the plan that suits it. */
export async function listEvidence(sql: Sql, accountId: AccountId, query: EvidenceQuery): Promise<EvidencePage> {
  const { start, pageSize, order } = query
  const backwards = start?.side === 'before'
  const ascending = (order === 'asc') !== backwards
  const values: unknown[] = []
  const given = (value: unknown, type: string): string => `$${values.push(value)}::${type}`
  const conditions = conditionsOf(accountId, query, given)
  const here = start && given(start.sequence, 'bigint')
  const beyond = here ? [`sequence ${ascending ? '>' : '<'} ${here}`] : []
  const rows = await sql.query<Row & { readonly behind: boolean }>(
    `select ${COLUMNS}, ${here ? `exists (select from evidence where ${[...conditions, `sequence ${ascending ? '<=' : '>='} ${here}`].join(' and ')})` : 'false'} as behind
       from evidence where ${[...conditions, ...beyond].join(' and ')}
      order by sequence ${ascending ? 'asc' : 'desc'} limit ${given(pageSize + 1, 'integer')}`,
    values,
  )
  const entries = rows.slice(0, pageSize).map(entryOf)
  const [more, behind] = [rows.length > pageSize, rows[0]?.behind ?? false]
  return { entries: backwards ? entries.reverse() : entries, hasPrevious: backwards ? more : behind, hasNext: backwards ? behind : more }
}

function conditionsOf(accountId: AccountId, query: EvidenceQuery, given: (value: unknown, type: string) => string): readonly string[] {
  const { callId, supervisor, mode, recordedFrom, recordedBefore } = query
  return [
    `account_id = ${given(accountId, 'text')}`,
    ...(callId === null ? [] : [`call_id = ${given(callId, 'text')}`]),
    ...(supervisor === null ? [] : [`supervisor = ${given(supervisor, 'text')}`]),
    ...(mode === null ? [] : [`mode = ${given(mode, 'text')}`]),
    ...(recordedFrom === null ? [] : [`recorded_at >= ${given(toTimestamp(recordedFrom), 'timestamptz')}`]),
    ...(recordedBefore === null ? [] : [`recorded_at < ${given(toTimestamp(recordedBefore), 'timestamptz')}`]),
  ]
}

/** The next entries after a sequence, for who walks along the whole chain. */
export async function evidenceAfter(sql: Sql, accountId: AccountId, sequence: number, limit: number): Promise<readonly Entry[]> {
  const rows = await sql.query<Row>(
    `select ${COLUMNS} from evidence where account_id = $1 and sequence > $2 order by sequence limit $3`,
    [accountId, sequence, limit],
    'evidence-after',
  )
  return rows.map(entryOf)
}

/** The newest entry's place and hash: who notes them can later prove that nothing was taken away or made anew. */
export interface ChainHead {
  readonly accountId: AccountId
  readonly sequence: number
  readonly hash: string
}

/** Of every account that has an entry, or of one; by account. */
export async function chainHeads(sql: Sql, accountId: AccountId | null): Promise<readonly ChainHead[]> {
  const rows = await sql.query<{ account_id: string; sequence: string; hash: string }>(
    'select account_id, sequence, hash from evidence_head where $1::text is null or account_id = $1 order by account_id',
    [accountId],
  )
  return rows.map((row) => ({ accountId: row.account_id as AccountId, sequence: Number(row.sequence), hash: row.hash }))
}

/** Accounts that have entries or a head: a chain may have lost either. */
export async function chainAccounts(sql: Sql): Promise<readonly AccountId[]> {
  const rows = await sql.query<{ account_id: string }>(
    `with recursive kept (account_id) as (
       (select account_id from evidence order by account_id limit 1)
       union all
       select (select evidence.account_id from evidence where evidence.account_id > kept.account_id order by evidence.account_id limit 1)
         from kept where kept.account_id is not null)
     select account_id from kept where account_id is not null union select account_id from evidence_head order by account_id`,
  )
  return rows.map((row) => row.account_id as AccountId)
}

/** Where in the account's chain an entry has this hash; null: nowhere. */
export async function sequenceOfHash(sql: Sql, accountId: AccountId, hash: string): Promise<number | null> {
  const rows = await sql.query<{ sequence: string }>('select sequence from evidence where account_id = $1 and hash = $2 order by sequence limit 1', [
    accountId,
    hash,
  ])
  return rows[0] ? Number(rows[0].sequence) : null
}
