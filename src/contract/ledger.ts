/**
 * Usage and balance as questions and answers (contract C33): extensions in the manner of the rest. Amounts are strings with three to six
 * decimals, never numbers; counts are numbers. What a parameter may be is said in `schemas/ledger.ts`.
 */
import type { Adjustment } from '../domain/account/balance.ts'
import type { Money } from '../domain/account/money.ts'
import { dayOf, type RatePlan } from '../domain/account/rating.ts'
import {
  daysBefore,
  daysBetween,
  GROUPINGS,
  MAX_USAGE_DAYS,
  type UsageQuery,
  type UsageReport,
  type UsageRow,
  type UsageSums,
} from '../domain/account/usage.ts'
import { DomainError } from '../domain/errors.ts'
import type { AccountId } from '../domain/ids.ts'
import { wireDate } from './dates.ts'
import type { Fields } from './fields.ts'
import { addressOut } from './numbers.ts'
import { asList, type ResourceOptions } from './resources.ts'
import { ADJUSTMENT_LIST_PARAMETERS, ADJUSTMENT_PARAMETERS, USAGE_PARAMETERS } from './schemas/ledger.ts'
import { parametersIn } from './schemas/parameter.ts'
import type { WireObject } from './xml.ts'

/** The days of a report that names none: the last 31, today included. */
const DEFAULT_DAYS = 31

/**
 * `StartDate`, `EndDate`: days by the account's clocks, both included, 366 at most. `GroupBy`: `day`, `origin`, `supervisor`, between
 * commas; by day when it is absent.
 * @throws {DomainError} invalid-parameter with the name of the first one that is wrong
 */
export function usageQueryIn(query: Fields, { timeZone, now }: { readonly timeZone: string; readonly now: number }): UsageQuery {
  const asked = parametersIn(USAGE_PARAMETERS, query)
  const to = asked.EndDate ?? dayOf(now, timeZone)
  const from = asked.StartDate ?? daysBefore(to, DEFAULT_DAYS - 1)
  const days = daysBetween(from, to)
  if (days < 1 || days > MAX_USAGE_DAYS) throw new DomainError('invalid-parameter', 'EndDate')
  return { from, to, by: GROUPINGS.filter((grouping) => asked.GroupBy.includes(grouping)) }
}

/** What is not grouped by is no key of a row. Supervisors' legs have rows of their own, whatever they are grouped by. */
export function usageReport(
  { rows, totals }: UsageReport,
  asked: UsageQuery,
  { format, accountId }: ResourceOptions & { readonly accountId: AccountId },
): WireObject {
  const rowOf = (row: UsageRow): WireObject => ({
    ...(asked.by.includes('day') ? { Date: row.day } : {}),
    ...(asked.by.includes('origin') ? { Origin: row.origin } : {}),
    ...(asked.by.includes('supervisor') ? { Supervisor: row.supervisor === null ? null : addressOut(row.supervisor) } : {}),
    ...sums(row),
  })
  return {
    Usage: {
      AccountSid: accountId,
      StartDate: asked.from,
      EndDate: asked.to,
      GroupBy: asked.by.join(','),
      Rows: asList(format, 'Row', rows.map(rowOf)),
      Totals: asList(format, 'Total', totals.map(sums)),
    },
  }
}

const sums = ({ kind, currency, legs, seconds, pulses, amount }: UsageSums): WireObject => ({
  Kind: kind,
  Legs: legs,
  Seconds: seconds,
  Pulses: pulses,
  Amount: amount,
  Currency: currency,
})

/** What `GET …/Balance` shows. */
export interface ShownBalance {
  readonly accountId: AccountId
  readonly plan: RatePlan
  readonly balance: Money
  readonly held: Money
  readonly left: Money
  readonly spentToday: Money
}

export const balanceResource = ({ accountId, plan, balance, held, left, spentToday }: ShownBalance): WireObject => ({
  Balance: {
    AccountSid: accountId,
    Currency: plan.currency,
    Amount: balance,
    Held: held,
    Available: left,
    SpentToday: spentToday,
    Prepaid: String(plan.prepaid),
    Floor: plan.floor,
  },
})

/** `Amount` with its sign, not zero, below a thousand million; `Note` says why, at most 200 characters. @throws {DomainError} invalid-parameter */
export function adjustmentIn(fields: Fields): { readonly amount: Money; readonly note: string } {
  const { Amount: amount, Note: note } = parametersIn(ADJUSTMENT_PARAMETERS, fields)
  return { amount, note }
}

/** `PageSize`, 1 to 100, and `Before`, the `Sid` of the last one of the page before. @throws {DomainError} invalid-parameter */
export function adjustmentPageIn(query: Fields): { readonly before: string | null; readonly pageSize: number } {
  const asked = parametersIn(ADJUSTMENT_LIST_PARAMETERS, query)
  return { before: asked.Before ?? null, pageSize: asked.PageSize }
}

export function adjustmentList(
  adjustments: readonly Adjustment[],
  pageSize: number,
  options: ResourceOptions & { readonly accountId: AccountId },
): WireObject {
  const last = adjustments.at(-1)
  const next = `/v1/Accounts/${options.accountId}/Balance/Adjustments${options.format === 'json' ? '.json' : ''}?PageSize=${pageSize}&Before=${last?.id}`
  return {
    Metadata: { PageSize: pageSize, NextPageUri: adjustments.length < pageSize ? null : next },
    Adjustments: asList(
      options.format,
      'Adjustment',
      adjustments.map((adjustment) => adjustmentFields(adjustment, options)),
    ),
  }
}

export const adjustmentResource = (adjustment: Adjustment, options: ResourceOptions): WireObject => ({
  Adjustment: adjustmentFields(adjustment, options),
})

const adjustmentFields = ({ id, accountId, currency, amount, note, by, at }: Adjustment, { timeZone }: ResourceOptions): WireObject => ({
  Sid: id,
  AccountSid: accountId,
  DateCreated: wireDate(at, timeZone),
  Amount: amount,
  Currency: currency,
  Note: note,
  MadeBy: by,
})
