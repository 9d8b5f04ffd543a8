/** `earshot purge`: deletes personal data that is past its time, after it has said what will go. */
import { newId } from '../../chance.ts'
import type { Config } from '../../config.ts'
import type { AccountId } from '../../domain/ids.ts'
import { makeRecordings } from '../../sounds/recordings.ts'
import { planOf } from '../../store/evidence/keeping.ts'
import { type AccountPurge, countPersonal, type PurgeCount, type PurgeOptions, type PurgePlan, purgePersonal } from '../../store/evidence/purge.ts'
import { columns, type Desk, json } from '../desk.ts'
import { type RecordOptions, withRecords } from '../opening.ts'

export const PURGE_KINDS = ['calls', 'audit', 'callbacks', 'recordings'] as const
export type PurgeKind = (typeof PURGE_KINDS)[number]

export interface PurgeCommandOptions extends RecordOptions {
  /** Ms; without it the configuration's retention holds. */
  readonly olderThan?: number
  readonly account?: string
  readonly only: readonly PurgeKind[]
  readonly dryRun: boolean
  readonly yes: boolean
}

/** @returns The exit code: 0 when what was asked was done; 1 also when it was only counted for want of `--yes`. */
export async function purge(desk: Desk, options: PurgeCommandOptions): Promise<number> {
  return withRecords(desk, options, async (database, config) => {
    const plan = wanted(config, options, desk.now())
    if (Object.values(plan).every((before) => before === null)) {
      desk.err(`earshot purge: write --older-than 90d, or a retention section into ${options.config}: without either all is kept`)
      return 1
    }
    const shared: PurgeOptions = {
      database,
      plan,
      newId,
      accountId: (options.account ?? null) as AccountId | null,
      removeRecordings: makeRecordings(config.recordings.folder).purge,
      now: desk.now,
      onProgress: (account, so) => desk.err(`${account}: ${inWords(so)} so far`),
    }
    const acts = options.yes && !options.dryRun
    const found = acts ? await purgePersonal(shared) : await countPersonal(shared)
    if (options.json)
      desk.out(json({ deleted: acts, before: times(plan), accounts: found.map(({ accountId, ...counts }) => ({ account: accountId, ...counts })) }))
    else desk.out(report(found, acts))
    if (acts || options.dryRun || found.length === 0) return 0
    desk.err('Nothing was deleted; write --yes to do it, or --dry-run to only look.')
    return 1
  })
}

function wanted({ retention }: Config, { olderThan, only }: PurgeCommandOptions, now: number): PurgePlan {
  const policy = planOf(retention, now)
  const before = (kind: PurgeKind, byPolicy: number | null): number | null =>
    only.includes(kind) ? (olderThan === undefined ? byPolicy : now - olderThan) : null
  return {
    callsBefore: before('calls', policy.callsBefore),
    auditBefore: before('audit', policy.auditBefore),
    callbacksBefore: before('callbacks', policy.callbacksBefore),
    recordingsBefore: before('recordings', policy.recordingsBefore),
  }
}

const times = (plan: PurgePlan): Readonly<Record<string, string | null>> =>
  Object.fromEntries(
    Object.entries(plan).map(([kind, at]: [string, number | null]) => [kind.replace('Before', ''), at === null ? null : new Date(at).toISOString()]),
  )

function report(found: readonly AccountPurge[], acts: boolean): string {
  if (found.length === 0) return acts ? 'Nothing was past its time.' : 'Nothing is past its time.'
  const rows = found.map(({ accountId, calls, auditEntries, callbacks, recordings }) => [
    accountId,
    ...[calls, auditEntries, callbacks, recordings].map(String),
  ])
  const head = acts
    ? 'Deleted: numbers and names of calls and audit entries, callbacks, recordings.'
    : 'Would be deleted: numbers and names of calls and audit entries, callbacks, recordings.'
  return [head, ...columns(['ACCOUNT', 'CALLS', 'AUDIT ENTRIES', 'CALLBACKS', 'RECORDINGS'], rows)].join('\n')
}

const inWords = ({ calls, auditEntries, callbacks, recordings }: PurgeCount): string =>
  `${calls} calls, ${auditEntries} audit entries, ${callbacks} callbacks, ${recordings} recordings`
