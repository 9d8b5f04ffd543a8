/** The report of what an account has used: sums over its charges, made by SQL in exact decimals. */
import type { Address } from '../../domain/address.ts'
import { type Grouping, MAX_USAGE_ROWS, type UsageQuery, type UsageRow } from '../../domain/account/usage.ts'
import type { AccountId } from '../../domain/ids.ts'
import type { Origin } from '../../domain/leg.ts'
import type { Sql } from '../database.ts'
import { moneyOf } from './balances.ts'

interface Row {
  readonly day: string | null
  readonly origin: Origin | null
  readonly supervisor: string | null
  readonly monitor: boolean
  readonly currency: string | null
  readonly legs: string
  readonly seconds: string
  readonly pulses: string
  readonly amount: string
}

const EXPRESSIONS: Readonly<Record<Grouping, string>> = {
  day: `to_char(charge.day, 'YYYY-MM-DD')`,
  origin: 'charge.origin',
  // Who it was is in the record of the leg alone, and goes with it.
  supervisor: '(select address from leg where leg.id = charge.leg_id and leg.mode is not null)',
}

/**
 * In the order of what it is grouped by. One statement, so its rows agree with each other.
 * @returns Null when there are more than `MAX_USAGE_ROWS`.
 */
export async function loadUsage(sql: Sql, accountId: AccountId, query: UsageQuery): Promise<readonly UsageRow[] | null> {
  const column = (grouping: Grouping): string => `${query.by.includes(grouping) ? EXPRESSIONS[grouping] : 'null::text'} as ${grouping}`
  const rows = await sql.query<Row>(
    `with each as (
       select ${column('day')}, ${column('origin')}, ${column('supervisor')}, charge.origin = 'monitor' as monitor,
         currency, seconds, pulses, amount
       from charge where account_id = $1 and charge.day between $2::date and $3::date)
     select day, origin, supervisor, monitor, currency, count(*) as legs, sum(seconds) as seconds, sum(pulses) as pulses, sum(amount)::text as amount
     from each group by day, origin, supervisor, monitor, currency
     order by day, monitor, origin, supervisor nulls last, currency nulls last limit ${MAX_USAGE_ROWS + 1}`,
    [accountId, query.from, query.to],
  )
  if (rows.length > MAX_USAGE_ROWS) return null
  return rows.map((row) => ({
    day: row.day,
    origin: row.origin,
    supervisor: row.supervisor as Address | null,
    kind: row.monitor ? 'monitor' : 'conversation',
    currency: row.currency,
    legs: Number(row.legs),
    seconds: Number(row.seconds),
    pulses: Number(row.pulses),
    amount: moneyOf(row.amount),
  }))
}
