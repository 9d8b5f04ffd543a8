/** What an ended leg cost, as it is written in the statement that ends it. */
import type { AccountId, CallId, LegId } from '../../domain/ids.ts'
import type { LegRate, Origin } from '../../domain/leg.ts'
import { NO_MONEY } from '../../domain/account/money.ts'
import { toTimestamp } from '../json.ts'

export interface ChargeRow {
  readonly legId: LegId
  readonly callId: CallId
  readonly accountId: AccountId
  readonly origin: Origin
  /** `YYYY-MM-DD` */
  readonly day: string
  /** Epoch ms. */
  readonly endedAt: number
  readonly seconds: number
  /** 0 without a plan. */
  readonly pulses: number
  readonly rate: LegRate | null
}

export const CHARGE_COLUMNS = {
  leg_id: 'text',
  call_id: 'text',
  account_id: 'text',
  origin: 'text',
  day: 'date',
  ended_at: 'timestamptz',
  seconds: 'integer',
  pulses: 'integer',
  currency: 'text',
  price: 'numeric',
}

/**
 * Two parts of a `with`: a leg that was charged before is not charged again, and the balance moves by what was inserted and by nothing
 * else.
 * @param parameter Holds the rows as JSON, e.g. `$5`.
 */
export const charging = (parameter: string): string => `charged as (
  insert into charge (${Object.keys(CHARGE_COLUMNS).join(', ')}, amount)
  select ${Object.keys(CHARGE_COLUMNS).join(', ')}, pulses * price
  from json_to_recordset(${parameter}::json) as given (${Object.entries(CHARGE_COLUMNS)
    .map(([name, type]) => `${name} ${type}`)
    .join(', ')})
  on conflict (leg_id) do nothing returning account_id, currency, amount),
moved as (
  insert into balance (account_id, currency, charged)
  select account_id, currency, sum(amount) from charged where currency is not null group by account_id, currency
  on conflict (account_id, currency) do update set charged = balance.charged + excluded.charged)`

export const chargeValues = (charge: ChargeRow): Record<keyof typeof CHARGE_COLUMNS, string | number | null> => ({
  leg_id: charge.legId,
  call_id: charge.callId,
  account_id: charge.accountId,
  origin: charge.origin,
  day: charge.day,
  ended_at: toTimestamp(charge.endedAt),
  seconds: charge.seconds,
  pulses: charge.pulses,
  currency: charge.rate?.currency ?? null,
  price: charge.rate?.price ?? NO_MONEY,
})

/** The price of a call as records show it: SQL, null for a call that is not rated. `call` is the row at hand. */
export const CALL_PRICE = `case when call.status = 'ended' and exists (select from leg where leg.call_id = call.id and leg.rate_currency is not null)
  then coalesce((select sum(amount) from charge where charge.call_id = call.id), 0) end`
