/**
 * What is written into the audit log. An insert names account, kind, time, body and personal part; sequence, commitment and hash are made
 * by the table's own trigger (`migrations/005-evidence.ts`), so that no writer can leave the chain out.
 */
import { createHash } from 'node:crypto'
import { type Entry, intervalBody, intervalPersons } from '../../domain/evidence/entry.ts'
import type { Interval } from '../../domain/evidence/interval.ts'
import type { AccountId } from '../../domain/ids.ts'
import type { Sql } from '../database.ts'
import { rowsJson, toTimestamp } from '../json.ts'

/** An entry that is to be written. */
export interface NewEntry {
  readonly accountId: AccountId
  /** Unique among all entries of all accounts; the same one again is written once. */
  readonly id: string
  /** One word: `interval`, `purge`, `key`, `balance`, … */
  readonly kind: string
  /** Epoch ms. */
  readonly at: number
  /** Kept for ever: no numbers, no names, no secrets. Keys in the order in which they are to be read. */
  readonly body: Readonly<Record<string, unknown>>
  /** Numbers and names, which a purge deletes; null for none. */
  readonly personal: Readonly<Record<string, unknown>> | null
  /** Unguessable, at least 128 bits: without it a number could be guessed from its commitment. Null when `personal` is. */
  readonly salt: string | null
}

export const EVIDENCE_COLUMNS = {
  account_id: 'text',
  id: 'text',
  kind: 'text',
  recorded_at: 'timestamptz',
  body: 'text',
  personal: 'text',
  salt: 'text',
  call_id: 'text',
  mode: 'text',
  supervisor: 'text',
} as const

const NAMES = Object.keys(EVIDENCE_COLUMNS).join(', ')
const TYPED = Object.entries(EVIDENCE_COLUMNS).map(([name, type]) => `${name} ${type}`)

/** For a statement that writes more than evidence: inserts the entries of a JSON parameter, in order. */
export const evidenceInsertion = (parameter: string): string =>
  `insert into evidence (${NAMES}) select ${NAMES} from json_to_recordset(${parameter}::json) as given (${TYPED.join(', ')})`

export const evidenceValues = (entry: NewEntry): Readonly<Record<keyof typeof EVIDENCE_COLUMNS, string | null>> => ({
  account_id: entry.accountId,
  id: entry.id,
  kind: entry.kind,
  recorded_at: toTimestamp(entry.at),
  body: JSON.stringify(entry.body),
  personal: entry.personal && JSON.stringify(entry.personal),
  salt: entry.personal && entry.salt,
  call_id: textOf(entry.body.call),
  mode: textOf(entry.body.mode),
  supervisor: textOf(entry.personal?.supervisor),
})

/** Whether an entry is found by what it says. */
export function isFoundRightly({ foundBy, body, personal }: Pick<Entry, 'foundBy' | 'body' | 'personal'>): boolean {
  const [said, persons]: Readonly<Record<string, unknown>>[] = [JSON.parse(body), personal === null ? {} : JSON.parse(personal)]
  return foundBy.call === textOf(said?.call) && foundBy.mode === textOf(said?.mode) && foundBy.supervisor === textOf(persons?.supervisor)
}

const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null)

/**
 * Writes one entry, in the caller's transaction if there is one: for what is changed by hand, such as keys, secrets and balances.
 * Until that transaction ends nobody else writes entries of the account, so let it be short.
 */
export async function appendEvidence(sql: Sql, entry: NewEntry): Promise<void> {
  await sql.query(evidenceInsertion('$1'), [rowsJson([evidenceValues(entry)])], 'evidence-append')
}

/** @param salt See `NewEntry`. */
export const intervalEntry = (
  interval: Interval,
  { id, salt, at }: { readonly id: string; readonly salt: string; readonly at: number },
): NewEntry => ({
  accountId: interval.accountId,
  id,
  kind: 'interval',
  at,
  body: { ...intervalBody(interval) },
  personal: { ...intervalPersons(interval) },
  salt,
})

/** What the first entry of a chain follows. */
export const FIRST_PREVIOUS = '0'.repeat(64)

const sha256 = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex')

/** The hash that commits to a personal part. */
export const commitmentOf = (salt: string, personal: string): string => sha256(`${salt}\n${personal}`)

/** An entry's hash, as the database makes it: eight lines, of which the body is the last. */
export function hashOf({
  previous,
  accountId,
  sequence,
  id,
  kind,
  recordedAt,
  commitment,
  body,
}: Omit<Entry, 'hash' | 'personal' | 'salt' | 'foundBy'>): string {
  return sha256([previous, accountId, sequence, id, kind, recordedAt, commitment, body].join('\n'))
}
