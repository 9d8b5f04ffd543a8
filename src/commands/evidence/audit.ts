/** `earshot audit`: the audit log read, exported, and verified. None of it changes anything. */
import { noticeText } from '../../contract/lists/audit-list.ts'
import type { Config } from '../../config.ts'
import type { Entry, EvidenceQuery, IntervalBody, IntervalPersons } from '../../domain/evidence/entry.ts'
import type { AccountId, CallId } from '../../domain/ids.ts'
import type { Sql } from '../../store/database.ts'
import { chainAccounts, chainHeads, listEvidence } from '../../store/evidence/log.ts'
import { type Verdict, verifyChain } from '../../store/evidence/verify.ts'
import { columns, type Desk, json, oneLine, plain, shownBy, timeText } from '../desk.ts'
import { type RecordOptions, withRecords } from '../opening.ts'

interface AuditOptions extends RecordOptions {
  readonly account?: string
}

export interface AuditVerifyOptions extends AuditOptions {
  readonly head?: string
}

export interface AuditListOptions extends AuditOptions {
  readonly call?: string
  readonly limit: number
  readonly full: boolean
}

export interface AuditExportOptions extends AuditOptions {
  readonly csv: boolean
  readonly jsonl: boolean
  /** ISO 8601 dates or times, as `since` included and as `until` not. */
  readonly since?: string
  readonly until?: string
  readonly full: boolean
}

const HASH = /^[0-9a-f]{64}$/
const EXPORT_PAGE = 1_000

/** Walks along the chains of all accounts, or of one. @returns The exit code: 0 when all are as they were written. */
export async function auditVerify(desk: Desk, options: AuditVerifyOptions): Promise<number> {
  const notedHead = options.head?.trim().toLowerCase() ?? null
  if (notedHead !== null && !HASH.test(notedHead)) return refuse(desk, 'audit verify: --head takes the 64 hexadecimal digits that audit head printed')
  return withRecords(desk, options, async ({ sql }, config) => {
    const accounts = await accountsIn(sql, config, options.account)
    if (notedHead !== null && accounts.length > 1) return refuse(desk, `audit verify: --head needs --account, one of ${accounts.join(', ')}`)
    const verdicts: Verdict[] = []
    for (const account of accounts) {
      const onProgress = (entries: number): void => desk.err(`${account}: ${entries} entries so far`)
      const verdict = await verifyChain(sql, account, { notedHead, onProgress })
      verdicts.push(verdict)
      if (!options.json) desk.out(verdictText(verdict))
    }
    const isWell = verdicts.every(({ fault }) => fault === null)
    if (options.json) desk.out(json({ ok: isWell, accounts: verdicts.map(verdictJson) }))
    return isWell ? 0 : 1
  })
}

/** The newest hash of each chain, to be noted where nobody who has the database can change it. @returns The exit code. */
export async function auditHead(desk: Desk, options: AuditOptions): Promise<number> {
  return withRecords(desk, options, async ({ sql }) => {
    const heads = await chainHeads(sql, (options.account ?? null) as AccountId | null)
    if (options.json) desk.out(json({ heads: heads.map(({ accountId, sequence, hash }) => ({ account: accountId, sequence, hash })) }))
    else if (heads.length === 0) desk.out('The audit log is empty.')
    else
      desk.out(
        columns(
          ['ACCOUNT', 'ENTRIES', 'HEAD'],
          heads.map(({ accountId, sequence, hash }) => [accountId, String(sequence), hash]),
        ).join('\n'),
      )
    return 0
  })
}

/** The newest entries. @returns The exit code. */
export async function auditList(desk: Desk, options: AuditListOptions): Promise<number> {
  return withRecords(desk, options, async ({ sql }, config) => {
    const { limit, call } = options
    const query: EvidenceQuery = { ...EVERYTHING, callId: (call ?? null) as CallId | null, order: 'desc', pageSize: limit }
    const pages = await Promise.all((await accountsIn(sql, config, options.account)).map((account) => listEvidence(sql, account, query)))
    const entries = pages
      .flatMap((page) => page.entries)
      .sort((a, b) => b.recordedAt - a.recordedAt || b.sequence - a.sequence)
      .slice(0, limit)
    const show = shownBy(options.full)
    if (options.json) desk.out(json({ entries: entries.map((entry) => entryJson(entry, show)) }))
    else if (entries.length === 0) desk.out('No entries.')
    else
      desk.out(
        columns(
          HEADS,
          entries.map((entry) => listCells(entry, show)),
        ).join('\n'),
      )
    return 0
  })
}

/** Whole chains, one entry a line, oldest first. @returns The exit code. */
export async function auditExport(desk: Desk, options: AuditExportOptions): Promise<number> {
  if (options.csv === options.jsonl) return refuse(desk, 'audit export: write --csv or --jsonl')
  const [since, until] = [momentIn(options.since), momentIn(options.until)]
  if (since === undefined || until === undefined)
    return refuse(desk, 'audit export: --since and --until take a date or time such as 2026-11-22 or 2026-11-22T09:00:00Z')
  return withRecords(desk, options, async ({ sql }, config) => {
    const show = shownBy(options.full)
    if (options.csv) desk.out(csvLine(CSV_HEADS))
    for (const account of await accountsIn(sql, config, options.account)) {
      for (let after = 0, isMore = true; isMore; ) {
        const query: EvidenceQuery = {
          ...EVERYTHING,
          recordedFrom: since,
          recordedBefore: until,
          order: 'asc',
          pageSize: EXPORT_PAGE,
          start: { side: 'after', sequence: after },
        }
        const page = await listEvidence(sql, account, query)
        for (const entry of page.entries) desk.out(options.csv ? csvLine(csvCells(entry, show)) : JSON.stringify(chainJson(entry, options.full)))
        after = page.entries.at(-1)?.sequence ?? after
        isMore = page.hasNext
      }
    }
    return 0
  })
}

const EVERYTHING: Omit<EvidenceQuery, 'order' | 'pageSize'> = {
  callId: null,
  supervisor: null,
  mode: null,
  recordedFrom: null,
  recordedBefore: null,
  start: null,
}

function refuse(desk: Desk, sentence: string): number {
  desk.err(`earshot ${sentence}`)
  return 1
}

/** Those of the configuration, and those that have entries and are not in it any more. */
async function accountsIn(sql: Sql, config: Config, only: string | undefined): Promise<readonly AccountId[]> {
  if (only !== undefined) return [only as AccountId]
  return [...new Set([...config.accounts.map(({ sid }) => sid), ...(await chainAccounts(sql))])].sort()
}

/** Null for none, undefined for nonsense. */
function momentIn(text: string | undefined): number | null | undefined {
  if (text === undefined) return null
  const at = /^\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d))?$/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(at) ? undefined : at
}

function verdictText({ accountId, entries, purged, head, fault }: Verdict): string {
  const counted = `${entries} ${entries === 1 ? 'entry' : 'entries'} in order`
  if (fault) return `${accountId}: BROKEN at entry ${fault.sequence}, ${fault.kind}: ${fault.says} (before it: ${counted})`
  if (head === null) return `${accountId}: no entries`
  return `${accountId}: ${counted}${purged > 0 ? `, of ${purged} the numbers and names were purged` : ''}; head ${head.hash}`
}

const verdictJson = ({ accountId, entries, purged, head, fault }: Verdict): Readonly<Record<string, unknown>> => ({
  account: accountId,
  ok: fault === null,
  entries,
  purged,
  head: head && { sequence: head.sequence, hash: head.hash },
  fault,
})

type Show = (text: string) => string

interface Read {
  readonly interval: IntervalBody | null
  readonly persons: IntervalPersons | null
}

function readEntry({ kind, body, personal }: Entry): Read {
  const interval: IntervalBody | null = kind === 'interval' ? JSON.parse(body) : null
  return { interval, persons: interval && personal !== null ? JSON.parse(personal) : null }
}

const HEADS = ['ACCOUNT', 'NO', 'RECORDED', 'KIND', 'KEY', 'MODE', 'FROM', 'TO', 'END', 'SUPERVISOR', 'CALL', 'NOTICE OR DETAILS'] as const

function listCells(entry: Entry, show: Show): readonly string[] {
  const { interval, persons } = readEntry(entry)
  const start = [entry.accountId, String(entry.sequence), timeText(entry.recordedAt), entry.kind]
  if (!interval) return [...start, '', '', '', '', '', '', '', plain(show(entry.body))]
  const supervisor = persons ? show(persons.supervisor) : '(purged)'
  const { by, mode, from, to, end, call, notice, tones } = interval
  return [...start, by ?? '', mode, from, to, end, supervisor, call, `${noticeText(notice)}${tones.length > 0 ? `; ${tones.length} tones` : ''}`]
}

function entryJson(entry: Entry, show: Show): Readonly<Record<string, unknown>> {
  const { persons } = readEntry(entry)
  return {
    account: entry.accountId,
    sequence: entry.sequence,
    kind: entry.kind,
    recordedAt: new Date(entry.recordedAt).toISOString(),
    body: JSON.parse(entry.body),
    supervisor: persons && show(persons.supervisor),
    parties: persons && persons.parties.map(({ leg, address }) => ({ leg, address: show(address) })),
    personal: entry.commitment === '' ? 'none' : entry.personal === null ? 'purged' : 'kept',
    previous: entry.previous,
    hash: entry.hash,
  }
}

/** All that the hash is made of, so that who has the file can verify it without us; the personal part and its salt only in full. */
function chainJson(entry: Entry, full: boolean): Readonly<Record<string, unknown>> {
  const { accountId, sequence, id, kind, recordedAt, commitment, body, previous, hash, personal, salt } = entry
  return { previous, account: accountId, sequence, id, kind, recordedAt, commitment, body, hash, ...(full ? { personal, salt } : {}) }
}

const CSV_HEADS = [
  ...[
    'account',
    'sequence',
    'kind',
    'recordedAt',
    'key',
    'call',
    'leg',
    'supervisor',
    'target',
    'mode',
    'reason',
    'from',
    'to',
    'end',
    'heardBy',
    'hears',
  ],
  ...['notice', 'tones', 'tonesFailed', 'details', 'previous', 'hash'],
] as const

function csvCells(entry: Entry, show: Show): readonly string[] {
  const { interval, persons } = readEntry(entry)
  const who = (legs: readonly string[] | undefined): string =>
    (legs ?? []).map((leg) => `${leg}${persons ? ` ${show(persons.parties.find((party) => party.leg === leg)?.address ?? '')}` : ''}`).join('; ')
  return [
    entry.accountId,
    String(entry.sequence),
    entry.kind,
    new Date(entry.recordedAt).toISOString(),
    interval?.by ?? '',
    interval?.call ?? '',
    interval?.leg ?? '',
    persons ? show(persons.supervisor) : '',
    interval?.target ?? '',
    interval?.mode ?? '',
    interval?.reason ?? '',
    interval?.from ?? '',
    interval?.to ?? '',
    interval?.end ?? '',
    who(interval?.heardBy),
    who(interval?.hears),
    interval ? noticeText(interval.notice) : '',
    (interval?.tones ?? []).join('; '),
    (interval?.tonesFailed ?? []).join('; '),
    interval ? '' : show(entry.body),
    entry.previous,
    entry.hash,
  ]
}

/** RFC 4180. What a spreadsheet would take for a formula gets a mark in front: a phone number is text. */
const csvLine = (cells: readonly string[]): string =>
  cells.map((cell) => `"${oneLine(/^[=+\-@]/.test(cell) ? `'${cell}` : cell).replaceAll('"', '""')}"`).join(',')
