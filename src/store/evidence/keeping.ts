/** What a running server does for its audit log besides writing it: deletes by policy, and notes the heads of the chains in its own log at its end. */
import type { Database, Log } from '../database.ts'
import { chainHeads } from './log.ts'
import { type PurgePlan, purgePersonal, type RemoveRecordings } from './purge.ts'

const DAY_MS = 24 * 3_600_000

/** After how many days what is deleted; null: it is kept. */
export interface Retention {
  /** Numbers and custom fields of calls, and their callbacks and recordings, counted from the call's end. */
  readonly callsDays: number | null
  /** Numbers and names in the audit log, counted from the entry. The entries stay. */
  readonly auditPersonalDays: number | null
  /** Callbacks that were delivered or parked. Delivered ones go after 30 days at the latest. */
  readonly callbacksDays: number | null
  /** Recordings, counted from their last change. */
  readonly recordingsDays: number | null
}

/** What is past its time at a moment, epoch ms. */
export function planOf(retention: Retention, now: number): PurgePlan {
  const before = (days: number | null): number | null => (days === null ? null : now - days * DAY_MS)
  return {
    callsBefore: before(retention.callsDays),
    auditBefore: before(retention.auditPersonalDays),
    callbacksBefore: before(retention.callbacksDays),
    recordingsBefore: before(retention.recordingsDays),
  }
}

export interface Keeping {
  readonly retention: Retention
  readonly database: Pick<Database, 'sql' | 'transaction'>
  readonly now: () => number
  readonly newId: () => string
  readonly log: Log
  readonly removeRecordings: RemoveRecordings
}

/** Deletes what the retention says; what went is said in the log, and in the audit log. */
export async function purgeByPolicy({ retention, database, now, newId, log, removeRecordings }: Keeping): Promise<void> {
  const gone = await purgePersonal({ database, plan: planOf(retention, now()), accountId: null, removeRecordings, now, newId })
  for (const { accountId, ...counts } of gone) log.info({ account: accountId, ...counts }, 'personal data past its time was deleted')
}

/** Who keeps the log elsewhere can prove by it that no chain was cut off or made anew: `earshot audit verify --head`. Never rejects. */
export async function logHeads({ database, log }: Pick<Keeping, 'database' | 'log'>): Promise<void> {
  const heads = await chainHeads(database.sql, null).catch((error: unknown) => {
    log.error({ err: error }, 'the heads of the audit log could not be read')
    return []
  })
  for (const { accountId, sequence, hash } of heads)
    log.info({ account: accountId, entries: sequence, head: hash }, 'the audit log ends here for now')
}
