/** The audit log: who monitored whom, when, how and why. Entries are chained by their hashes and never change. */
import type { Request, RequestOptions } from '../request.ts'
import type { Mode } from '../resources.ts'
import { itemsOf, pagesOf, querySpelled } from './pages.ts'

export interface AuditFilter {
  readonly CallSid?: string | undefined
  /** The supervisor's address. */
  readonly Supervisor?: string | undefined
  readonly Mode?: Mode | undefined
  /** When entries were recorded, that is when intervals ended: in the account's zone, both included, as `formatDate` writes them. */
  readonly StartDate?: string | undefined
  readonly EndDate?: string | undefined
  /** 1 to 100, default 50. */
  readonly PageSize?: number | undefined
  /** Default `DateCreated:desc`. */
  readonly SortBy?: 'DateCreated:asc' | 'DateCreated:desc' | undefined
}

export interface AuditLeg {
  readonly LegSid: string
  /** Null when the personal part was purged. */
  readonly PhoneNumber: string | null
}

/** A tone that told somebody of the supervisor. */
export interface AuditTone {
  readonly Time: string
  readonly Played: 'true' | 'false'
}

/** One entry. What is said of an interval (one supervisor, one mode, one table of hearing) is null for any other kind. */
export interface AuditEntry {
  /** From 1, without gaps. */
  readonly Sequence: number
  /** `interval`, or something else that was recorded, whose body is `Details`. */
  readonly Kind: string
  readonly DateCreated: string
  /** The key that asked for it; null: nobody did, the server decided. */
  readonly Key: string | null
  readonly CallSid: string | null
  readonly LegSid: string | null
  /** Null also when the personal part was purged. */
  readonly Supervisor: string | null
  readonly TargetLegSid: string | null
  readonly Mode: Mode | null
  readonly ReasonCode: string | null
  readonly StartTime: string | null
  readonly EndTime: string | null
  /** Why the interval ended, e.g. `mode-changed`, `left`, `call-ended`. */
  readonly EndReason: string | null
  /** Who could hear the supervisor. */
  readonly HeardBy: readonly AuditLeg[]
  /** Whom the supervisor could hear. */
  readonly Hears: readonly AuditLeg[]
  /** The policy of tones that held, in words. */
  readonly Notice: string | null
  readonly Tones: readonly AuditTone[]
  readonly PersonalData: 'kept' | 'purged' | 'none'
  /** JSON. */
  readonly Details: string | null
  readonly PreviousHash: string
  readonly Hash: string
}

export interface AuditPage {
  readonly Metadata: {
    readonly PageSize: number
    readonly FirstPageUri: string
    readonly PrevPageUri: string | null
    readonly NextPageUri: string | null
  }
  readonly Audit: readonly AuditEntry[]
}

/** For keys with `accounts.admin` that are not limited to agents. */
export interface Audit {
  /** All entries that pass the filter, the newest first unless asked otherwise; pages are fetched as you go. @throws {EarshotError} invalid-parameter · right-missing */
  list(filter?: AuditFilter, options?: RequestOptions): AsyncIterable<AuditEntry>
  /** The same, page by page. */
  pages(filter?: AuditFilter, options?: RequestOptions): AsyncIterable<AuditPage>
}

export function makeAudit(request: Request): Audit {
  const pages = ({ CallSid, Supervisor, Mode, StartDate, EndDate, PageSize, SortBy }: AuditFilter = {}, options?: RequestOptions) => {
    const query = querySpelled([
      ['CallSid', CallSid],
      ['Supervisor', Supervisor],
      ['Mode', Mode],
      ['StartDate', StartDate],
      ['EndDate', EndDate],
      ['PageSize', PageSize],
      ['SortBy', SortBy],
    ])
    return pagesOf<AuditPage>(request, { path: '/Audit', query, list: 'Audit' }, options)
  }
  return { pages, list: (filter, options) => itemsOf(pages(filter, options), ({ Audit: entries }) => entries) }
}
