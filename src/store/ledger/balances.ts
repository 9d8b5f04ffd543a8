/** Balances, and the list of what was paid in or corrected. Numerics come out as text, so that no digit is lost. */
import assert from 'node:assert/strict'
import type { Adjustment, Balance } from '../../domain/account/balance.ts'
import { type Money, moneyIn, NO_MONEY } from '../../domain/account/money.ts'
import type { AccountId } from '../../domain/ids.ts'
import type { Sql } from '../database.ts'
import { storable, toTimestamp } from '../json.ts'

/** Who listens hears that something was paid in or corrected, by whatever process. */
export const BALANCE_CHANNEL = 'earshot_balance'

/** What was asked with an `Idempotency-Key`; a balance keeps it for ever. */
export interface AdjustmentKey {
  readonly key: string
  readonly fingerprint: string
}

interface BalanceRow {
  readonly account_id: string
  readonly currency: string
  readonly paid_in: string
  readonly charged: string
}

/** A decimal as PostgreSQL writes it, in canonical form. */
export function moneyOf(text: string): Money {
  const amount = moneyIn(text)
  assert(amount !== null, 'the database holds an amount that is none')
  return amount
}

/** All balances there are. An account that never paid or owed has none. */
export async function loadBalances(sql: Sql): Promise<readonly (Balance & { readonly accountId: AccountId })[]> {
  const rows = await sql.query<BalanceRow>('select account_id, currency, paid_in::text, charged::text from balance')
  return rows.map((row) => ({ accountId: row.account_id as AccountId, ...balanceOf(row) }))
}

/** Nothing in, nothing charged, when there is none yet. */
export async function loadBalance(sql: Sql, accountId: AccountId, currency: string): Promise<Balance> {
  const [row] = await sql.query<BalanceRow>(
    'select account_id, currency, paid_in::text, charged::text from balance where account_id = $1 and currency = $2',
    [accountId, currency],
    'balance-load',
  )
  return row ? balanceOf(row) : { currency, paidIn: NO_MONEY, charged: NO_MONEY }
}

const balanceOf = (row: BalanceRow): Balance => ({ currency: row.currency, paidIn: moneyOf(row.paid_in), charged: moneyOf(row.charged) })

/** What legs that ended on that day cost, in that currency. */
export async function spentOn(sql: Sql, accountId: AccountId, day: string, currency: string): Promise<Money> {
  const [row] = await sql.query<{ spent: string }>(
    'select coalesce(sum(amount), 0)::text as spent from charge where account_id = $1 and day = $2::date and currency = $3',
    [accountId, day, currency],
  )
  assert(row)
  return moneyOf(row.spent)
}

export type Adjusted =
  | { readonly kind: 'made' | 'repeated'; readonly adjustment: Adjustment }
  /** The key was used with another request. */
  | { readonly kind: 'mismatch' }

interface ChangeRow {
  readonly id: string
  readonly account_id: string
  readonly currency: string
  readonly amount: string
  readonly note: string
  readonly made_by: string
  readonly created_at: Date
  readonly sequence: string
  readonly fingerprint: string | null
}

const CHANGE_COLUMNS = 'id, account_id, currency, amount::text, note, made_by, created_at, sequence, fingerprint'

/** Writes the change and moves the balance by it, in one statement; a key that was used before changes nothing. */
export async function adjustBalance(sql: Sql, wanted: Adjustment, key: AdjustmentKey | null): Promise<Adjusted> {
  const { id, accountId, currency, amount, note, by, at } = wanted
  const [made] = await sql.query<ChangeRow>(
    `with made as (
       insert into balance_change (id, account_id, currency, amount, note, made_by, created_at, idempotency_key, fingerprint)
       values ($1, $2, $3, $4::text::numeric, $5, $6, $7, $8, $9)
       on conflict (account_id, idempotency_key) do nothing returning *),
     moved as (
       insert into balance (account_id, currency, paid_in) select account_id, currency, amount from made
       on conflict (account_id, currency) do update set paid_in = balance.paid_in + excluded.paid_in)
     select ${CHANGE_COLUMNS}, pg_notify('${BALANCE_CHANNEL}', '') from made`,
    [id, accountId, currency, amount, storable(note), by, toTimestamp(at), key?.key ?? null, key?.fingerprint ?? null],
  )
  if (made) return { kind: 'made', adjustment: adjustmentOf(made) }
  const [first] = await sql.query<ChangeRow>(`select ${CHANGE_COLUMNS} from balance_change where account_id = $1 and idempotency_key = $2`, [
    accountId,
    key?.key,
  ])
  assert(first)
  return first.fingerprint === key?.fingerprint ? { kind: 'repeated', adjustment: adjustmentOf(first) } : { kind: 'mismatch' }
}

/**
 * The newest changes first.
 * @param before The id of one of them: those that are older. Null: from the newest on.
 */
export async function listAdjustments(sql: Sql, accountId: AccountId, before: string | null, limit: number): Promise<readonly Adjustment[]> {
  const rows = await sql.query<ChangeRow>(
    `select ${CHANGE_COLUMNS} from balance_change
     where account_id = $1 and ($2::text is null or sequence < (select sequence from balance_change where account_id = $1 and id = $2))
     order by sequence desc limit $3`,
    [accountId, before, limit],
  )
  return rows.map(adjustmentOf)
}

const adjustmentOf = (row: ChangeRow): Adjustment => ({
  id: row.id,
  accountId: row.account_id as AccountId,
  currency: row.currency,
  amount: moneyOf(row.amount),
  note: row.note,
  by: row.made_by,
  at: row.created_at.getTime(),
})
