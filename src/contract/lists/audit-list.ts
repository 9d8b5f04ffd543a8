/**
 * The audit log as an answer (an extension): who monitored whom, in pages. A cursor is an entry's place in its chain, which later
 * entries do not move.
 */
import type { Entry, EvidencePage, EvidenceQuery, IntervalBody, IntervalPersons } from '../../domain/evidence/entry.ts'
import { DomainError } from '../../domain/errors.ts'
import type { AccountId, CallId, LegId } from '../../domain/ids.ts'
import { momentsOf, wireDate } from '../dates.ts'
import { type Fields, lastValue } from '../fields.ts'
import { addressOut } from '../numbers.ts'
import { asList, type ResourceOptions } from '../resources.ts'
import { AUDIT_PARAMETERS } from '../schemas/audit.ts'
import { parametersIn } from '../schemas/parameter.ts'
import type { WireObject } from '../xml.ts'

/** What every other page has of its own; all else is repeated in the addresses of the other pages. */
const CURSORS: readonly string[] = ['Before', 'After']

/**
 * What a query string asks for; the newest entries first unless `SortBy=DateCreated:asc`. Dates are those on which entries were recorded,
 * in the account's zone; both ends are included to the second. What its parameters may be is said in `../schemas/audit.ts`.
 * @throws {DomainError} invalid-parameter with the name of the first one that is wrong.
 */
export function auditQueryIn(query: Fields, { timeZone }: { readonly timeZone: string }): EvidenceQuery {
  const asked = parametersIn(AUDIT_PARAMETERS, query)
  const moments = (date: string | undefined) => (date === undefined ? null : momentsOf(date, timeZone))
  return {
    callId: (asked.CallSid as CallId | undefined) ?? null,
    supervisor: asked.Supervisor ?? null,
    mode: asked.Mode ?? null,
    recordedFrom: moments(asked.StartDate)?.from ?? null,
    recordedBefore: moments(asked.EndDate)?.until ?? null,
    pageSize: asked.PageSize,
    order: asked.SortBy === 'DateCreated:asc' ? 'asc' : 'desc',
    start: startOf(asked.Before, asked.After),
  }
}

/** Nobody stands before and after at once. */
function startOf(before: number | undefined, after: number | undefined): EvidenceQuery['start'] {
  if (before !== undefined && after !== undefined) throw new DomainError('invalid-parameter', 'Before')
  if (before !== undefined) return { side: 'before', sequence: before }
  return after === undefined ? null : { side: 'after', sequence: after }
}

export interface AuditListOptions extends ResourceOptions {
  readonly accountId: AccountId
  /** As it was asked: the addresses of the other pages keep it. */
  readonly query: Fields
}

/** One page. */
export function auditList({ entries, hasPrevious, hasNext }: EvidencePage, asked: EvidenceQuery, options: AuditListOptions): WireObject {
  const [first, last] = [entries[0], entries.at(-1)]
  return {
    Metadata: {
      PageSize: asked.pageSize,
      FirstPageUri: pageUri(options, null),
      PrevPageUri: first && hasPrevious ? pageUri(options, ['Before', first]) : null,
      NextPageUri: last && hasNext ? pageUri(options, ['After', last]) : null,
    },
    Audit: asList(
      options.format,
      'Entry',
      entries.map((entry) => entryFields(entry, options)),
    ),
  }
}

function pageUri({ accountId, format, query }: AuditListOptions, cursor: readonly ['Before' | 'After', Entry] | null): string {
  const pairs: (readonly [string, string])[] = Object.keys(AUDIT_PARAMETERS.shape).flatMap((name) => {
    const value = CURSORS.includes(name) ? null : lastValue(query, name)
    return value === null ? [] : [[name, value] as const]
  })
  if (cursor) pairs.push([cursor[0], String(cursor[1].sequence)])
  const search = pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')
  return `/v1/Accounts/${accountId}/Audit${format === 'json' ? '.json' : ''}${search === '' ? '' : `?${search}`}`
}

/** The same keys for every kind; those of an interval are null for any other, whose body is `Details`. */
function entryFields(entry: Entry, options: ResourceOptions): WireObject {
  const { sequence, kind, recordedAt, body, personal, commitment, previous, hash } = entry
  const interval: IntervalBody | null = kind === 'interval' ? JSON.parse(body) : null
  const persons: IntervalPersons | null = interval && personal !== null ? JSON.parse(personal) : null
  const date = (iso: string | undefined): string | null => (iso === undefined ? null : wireDate(Date.parse(iso), options.timeZone))
  const legs = (ids: readonly LegId[] | undefined) =>
    asList(
      options.format,
      'Leg',
      (ids ?? []).map((id): WireObject => ({ LegSid: id, PhoneNumber: numberOf(persons, id) })),
    )
  return {
    Sequence: sequence,
    Kind: kind,
    DateCreated: wireDate(recordedAt, options.timeZone),
    Key: interval?.by ?? null,
    CallSid: interval?.call ?? null,
    LegSid: interval?.leg ?? null,
    Supervisor: persons && addressOut(persons.supervisor),
    TargetLegSid: interval?.target ?? null,
    Mode: interval?.mode ?? null,
    ReasonCode: interval?.reason ?? null,
    StartTime: date(interval?.from),
    EndTime: date(interval?.to),
    EndReason: interval?.end ?? null,
    HeardBy: legs(interval?.heardBy),
    Hears: legs(interval?.hears),
    Notice: interval && noticeText(interval.notice),
    Tones: asList(
      options.format,
      'Tone',
      tonesOf(interval).map(({ at, isPlayed }): WireObject => ({ Time: date(at) ?? '', Played: String(isPlayed) })),
    ),
    PersonalData: commitment === '' ? 'none' : personal === null ? 'purged' : 'kept',
    Details: interval ? null : body,
    PreviousHash: previous,
    Hash: hash,
  }
}

const numberOf = (persons: IntervalPersons | null, leg: LegId): string | null => {
  const party = persons?.parties.find((one) => one.leg === leg)
  return party ? addressOut(party.address) : null
}

/** The policy in words: `agent: at entry, every 15 s, listen whisper barge`; `nobody` was somebody's decision. */
export function noticeText(notice: IntervalBody['notice']): string {
  if (notice === null) return 'none'
  if (notice.to === 'nobody') return 'nobody (explicit)'
  const times = [...(notice.atEntry ? ['at entry'] : []), ...(notice.everySeconds > 0 ? [`every ${notice.everySeconds} s`] : [])]
  return `${notice.to}: ${[...times, notice.modes.join(' ')].join(', ')}`
}

/** In the order of time. */
function tonesOf(interval: IntervalBody | null): readonly { readonly at: string; readonly isPlayed: boolean }[] {
  const played = (interval?.tones ?? []).map((at) => ({ at, isPlayed: true }))
  return [...played, ...(interval?.tonesFailed ?? []).map((at) => ({ at, isPlayed: false }))].sort((a, b) => (a.at < b.at ? -1 : 1))
}
