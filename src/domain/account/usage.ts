/** What an account has used: answered legs that have ended, by day, origin and supervisor. Supervisors' legs are never mixed with others. */
import type { Address } from '../address.ts'
import type { Origin } from '../leg.ts'
import { type Money, sum } from './money.ts'

export const GROUPINGS = ['day', 'origin', 'supervisor'] as const
export type Grouping = (typeof GROUPINGS)[number]

export interface UsageQuery {
  /** `YYYY-MM-DD` by the account's clocks, both included. A leg belongs to the day of its end. */
  readonly from: string
  readonly to: string
  readonly by: readonly Grouping[]
}

/** What a number of legs come to. */
export interface UsageSums {
  readonly kind: 'conversation' | 'monitor'
  /** Null: legs that were not charged, since the account had no plan. */
  readonly currency: string | null
  readonly legs: number
  /** As the legs' records show them, added up. */
  readonly seconds: number
  readonly pulses: number
  readonly amount: Money
}

/** What is not grouped by is null. */
export interface UsageRow extends UsageSums {
  readonly day: string | null
  readonly origin: Origin | null
  /** Null also for legs of a conversation, and for supervisors whose legs are no longer on record. */
  readonly supervisor: Address | null
}

export interface UsageReport {
  readonly rows: readonly UsageRow[]
  /** One for each kind of leg and currency that occurs. */
  readonly totals: readonly UsageSums[]
}

/** Rows of one report; a longer one must be asked for in parts. */
export const MAX_USAGE_ROWS = 10_000
/** Days of one report. */
export const MAX_USAGE_DAYS = 366

const DAY_MS = 24 * 3_600_000
const DATE = /^(?:19|2\d)\d\d-\d\d-\d\d$/

/** @returns Whether it is a day of the calendar, `YYYY-MM-DD`. */
export function isDay(text: string): boolean {
  const epochMs = DATE.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN
  return !Number.isNaN(epochMs) && new Date(epochMs).toISOString().slice(0, 10) === text
}

/** Days from the first to the second, both included; 0 or less when they are the wrong way round. */
export const daysBetween = (from: string, to: string): number => (Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / DAY_MS + 1

/** So many days before that day. */
export const daysBefore = (day: string, days: number): string => new Date(Date.parse(`${day}T00:00:00Z`) - days * DAY_MS).toISOString().slice(0, 10)

export function totalsOf(rows: readonly UsageRow[]): readonly UsageSums[] {
  const parts = Map.groupBy(rows, ({ kind, currency }) => `${kind} ${currency ?? ''}`)
  return [...parts.values()].flatMap((part) => {
    const [first] = part
    const added = (what: 'legs' | 'seconds' | 'pulses'): number => part.reduce((total, row) => total + row[what], 0)
    if (!first) return []
    const { kind, currency } = first
    return [{ kind, currency, legs: added('legs'), seconds: added('seconds'), pulses: added('pulses'), amount: sum(part.map((row) => row.amount)) }]
  })
}
