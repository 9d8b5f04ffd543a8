/** Money: what was used, what is left, what was paid in. Amounts are decimals as text, never numbers; counts are numbers. */
import type { Request, RequestOptions } from '../request.ts'
import type { Origin } from '../resources.ts'
import { itemsOf, oneOrMore, pagesOf, querySpelled } from './pages.ts'

export type Grouping = 'day' | 'origin' | 'supervisor'

export interface UsageFilter {
  /** `YYYY-MM-DD` by the account's clocks; default 30 days before `EndDate`. */
  readonly StartDate?: string | undefined
  /** Included; default today. At most 366 days. */
  readonly EndDate?: string | undefined
  /** Default `day`. */
  readonly GroupBy?: Grouping | readonly Grouping[] | undefined
}

/** What a number of answered legs come to. */
export interface UsageSums {
  /** Supervisors' legs are never mixed with others. */
  readonly Kind: 'conversation' | 'monitor'
  readonly Legs: number
  readonly Seconds: number
  readonly Pulses: number
  readonly Amount: string
  /** Null: legs that cost nothing, since the account had no rate plan when they ended. */
  readonly Currency: string | null
}

/** What is not grouped by is not there. */
export interface UsageRow extends UsageSums {
  readonly Date?: string
  readonly Origin?: Origin
  /** Null also for legs of a conversation. */
  readonly Supervisor?: string | null
}

export interface UsageReport {
  readonly AccountSid: string
  readonly StartDate: string
  readonly EndDate: string
  /** Between commas. */
  readonly GroupBy: string
  readonly Rows: readonly UsageRow[]
  /** One for each kind of leg and currency that occurs. */
  readonly Totals: readonly UsageSums[]
}

export interface Balance {
  readonly AccountSid: string
  readonly Currency: string
  /** Paid in less charged. */
  readonly Amount: string
  /** What live calls may still cost. */
  readonly Held: string
  /** What new calls may use. */
  readonly Available: string
  readonly SpentToday: string
  readonly Prepaid: 'true' | 'false'
  /** How far down a prepaid balance may go. */
  readonly Floor: string
}

/** Something paid in, or a correction. */
export interface Adjustment {
  readonly Sid: string
  readonly AccountSid: string
  readonly DateCreated: string
  /** With its sign. */
  readonly Amount: string
  readonly Currency: string
  readonly Note: string
  /** The key, or the operator. */
  readonly MadeBy: string
}

export interface AdjustmentParameters {
  /** A decimal as text, e.g. `500` or `-12.50`: not zero, at most six decimals, below a thousand million. */
  readonly Amount: string
  /** Why; at most 200 characters. */
  readonly Note: string
}

export interface AdjustmentPage {
  readonly Metadata: { readonly PageSize: number; readonly NextPageUri: string | null }
  readonly Adjustments: readonly Adjustment[]
}

export interface AdjustmentFilter {
  /** 1 to 100, default 50. */
  readonly PageSize?: number | undefined
  /** The `Sid` of an adjustment: only what is older. */
  readonly Before?: string | undefined
}

/** For keys that are not limited to agents: `usage.read`, and `accounts.admin` to adjust. */
export interface Ledger {
  /** Answered legs that have ended. @throws {EarshotError} invalid-parameter · right-missing */
  usage(filter?: UsageFilter, options?: RequestOptions): Promise<UsageReport>
  readonly balance: {
    /** @throws {EarshotError} no-plan · right-missing */
    get(options?: RequestOptions): Promise<Balance>
    /** Pays in, or takes away. All tries together count once; an `idempotencyKey` of your own counts once for ever. @throws {EarshotError} invalid-parameter · no-plan · right-missing · idempotency-mismatch */
    adjust(parameters: AdjustmentParameters, options?: RequestOptions): Promise<Adjustment>
    /** The newest first, fetched as you go. @throws {EarshotError} invalid-parameter · no-plan · right-missing */
    adjustments(filter?: AdjustmentFilter, options?: RequestOptions): AsyncIterable<Adjustment>
    /** The same, page by page. */
    adjustmentPages(filter?: AdjustmentFilter, options?: RequestOptions): AsyncIterable<AdjustmentPage>
  }
}

export function makeLedger(request: Request): Ledger {
  const path = '/Balance/Adjustments'
  const adjustmentPages = ({ PageSize, Before }: AdjustmentFilter = {}, options?: RequestOptions): AsyncGenerator<AdjustmentPage> => {
    const query = querySpelled([
      ['PageSize', PageSize],
      ['Before', Before],
    ])
    return pagesOf(request, { path, query, list: 'Adjustments' }, options)
  }
  return {
    usage: async ({ StartDate, EndDate, GroupBy } = {}, options) => {
      const query = querySpelled([
        ['StartDate', StartDate],
        ['EndDate', EndDate],
        ['GroupBy', oneOrMore(GroupBy)],
      ])
      return (await request({ method: 'GET', path: '/Usage', query, member: 'Usage' }, options)) as UsageReport
    },
    balance: {
      get: async (options) => (await request({ method: 'GET', path: '/Balance', member: 'Balance' }, options)) as Balance,
      adjust: async (parameters, options) =>
        (await request({ method: 'POST', path, fields: parameters, member: 'Adjustment' }, options)) as Adjustment,
      adjustments: (filter, options) => itemsOf(adjustmentPages(filter, options), ({ Adjustments: adjustments }) => adjustments),
      adjustmentPages,
    },
  }
}
