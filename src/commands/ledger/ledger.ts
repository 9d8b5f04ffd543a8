/** Commands about money: what accounts have used, what they have, and what is paid in. Beside a running server, or without one. */
import { newId } from '../../chance.ts'
import type { AccountConfig, Config } from '../../config.ts'
import { type Adjustment, noteIn } from '../../domain/account/balance.ts'
import { type Money, micros, money, moneyIn } from '../../domain/account/money.ts'
import { dayOf } from '../../domain/account/rating.ts'
import {
  daysBefore,
  daysBetween,
  type Grouping,
  GROUPINGS,
  isDay,
  MAX_USAGE_DAYS,
  MAX_USAGE_ROWS,
  totalsOf,
  type UsageRow,
  type UsageSums,
} from '../../domain/account/usage.ts'
import { adjustBalance, listAdjustments, loadBalance } from '../../store/ledger/balances.ts'
import { loadUsage } from '../../store/ledger/usage.ts'
import { columns, type Desk, json, shownBy, timeText } from '../desk.ts'
import { type RecordOptions, withRecords } from '../opening.ts'

export interface UsageOptions extends RecordOptions {
  /** Left out: the only one there is. */
  readonly account?: string
  readonly from?: string
  readonly to?: string
  readonly by: string
  readonly csv: boolean
  readonly full: boolean
}

export interface BalanceOptions extends RecordOptions {
  /** Left out: the only one there is. */
  readonly account?: string
}

export interface BalanceAddOptions extends BalanceOptions {
  readonly amount: string
  readonly note: string
  readonly key?: string
}

/** Days of a report that names none. */
const DEFAULT_DAYS = 31
/** Adjustments that `balance show` lists. */
const SHOWN_ADJUSTMENTS = 20
/** Whole units that one adjustment may move, in digits. */
const MAX_DIGITS = 9
const KEY = /^[\x21-\x7e]{1,255}$/

/** Answered legs by day, origin and supervisor. @returns The exit code. */
export async function usage(desk: Desk, options: UsageOptions): Promise<number> {
  if (options.csv && options.json) return wrong(desk, 'usage', 'write --csv or --json, not both')
  return withRecords(desk, options, async (database, config) => {
    const account = accountIn(desk, config, options.account)
    if (!account) return 1
    const query = usageQuery(options, dayOf(desk.now(), account.timeZone))
    if (typeof query === 'string') return wrong(desk, 'usage', query)
    const rows = await loadUsage(database.sql, account.sid, query)
    if (rows === null) return wrong(desk, 'usage', `more than ${MAX_USAGE_ROWS} rows; ask for fewer days, or group by less`)
    const show = shownBy(options.full)
    const cells = rows.map((row): Cells => ({ ...cellsOf(row, query.by), ...(row.supervisor === null ? {} : { supervisor: show(row.supervisor) }) }))
    const totals = totalsOf(rows)
    if (options.json) desk.out(json({ account: account.sid, from: query.from, to: query.to, rows: cells, totals }))
    else if (options.csv) desk.out(csv(query.by, cells).join('\n'))
    else {
      const head = [...query.by, ...SUM_COLUMNS]
      const lines = [
        ...cells,
        ...totals.map((total): Cells => ({ ...cellsOf({ ...NO_GROUP, ...total }, query.by), [query.by[0] ?? 'total']: 'total' })),
      ]
      desk.out(
        columns(
          head.map((name) => name.toUpperCase()),
          lines.map((line) => head.map((name) => String(line[name] ?? ''))),
        ).join('\n'),
      )
      if (rows.length === 0) desk.out('Nothing was used.')
    }
    return 0
  })
}

/** What an account has, and what was paid in last. @returns The exit code. */
export async function balanceShow(desk: Desk, options: BalanceOptions): Promise<number> {
  return withRecords(desk, options, async (database, config) => {
    const account = plannedIn(desk, config, options.account)
    if (!account) return 1
    const { sid, plan } = account
    const { paidIn, charged } = await loadBalance(database.sql, sid, plan.currency)
    const changes = await listAdjustments(database.sql, sid, null, SHOWN_ADJUSTMENTS)
    const shown = {
      account: sid,
      currency: plan.currency,
      balance: difference(paidIn, charged),
      paidIn,
      charged,
      prepaid: plan.prepaid,
      floor: plan.floor,
    }
    if (options.json) desk.out(json({ ...shown, adjustments: changes.map(changeJson) }))
    else {
      desk.out(
        `${sid}: ${shown.balance} ${plan.currency} (${paidIn} paid in, ${charged} charged; ${plan.prepaid ? `prepaid, floor ${plan.floor}` : 'not prepaid'})`,
      )
      desk.out('Pulses of calls that are live now are not charged yet.')
      const rows = changes.map((change) => [timeText(change.at), change.amount, change.currency, change.by, change.note])
      if (rows.length > 0) desk.out(columns(['WHEN', 'AMOUNT', '', 'BY', 'NOTE'], rows).join('\n'))
    }
    return 0
  })
}

/** Pays in, or takes away. A running server knows it at once. @returns The exit code. */
export async function balanceAdd(desk: Desk, options: BalanceAddOptions): Promise<number> {
  const amount = moneyIn(options.amount.replace(/^\+/, ''))
  if (amount === null || micros(amount) === 0n || amount.replace('-', '').indexOf('.') > MAX_DIGITS)
    return wrong(desk, 'balance add', 'the amount must be a decimal with at most six places, not zero; write e.g. --amount 500 or --amount=-12.50')
  const note = noteIn(options.note)
  if (note === null)
    return wrong(desk, 'balance add', 'the note must say why, in at most 200 characters on one line; write e.g. --note "transfer of 26 November"')
  if (options.key !== undefined && !KEY.test(options.key))
    return wrong(desk, 'balance add', 'the key must be 1 to 255 visible characters without spaces; write e.g. --key invoice-17')
  return withRecords(desk, options, async (database, config) => {
    const account = plannedIn(desk, config, options.account)
    if (!account) return 1
    const { sid, plan } = account
    const wanted: Adjustment = { id: newId(), accountId: sid, currency: plan.currency, amount, note, by: 'cli', at: desk.now() }
    const key = options.key === undefined ? null : { key: options.key, fingerprint: JSON.stringify([amount, note]) }
    const adjusted = await adjustBalance(database.sql, wanted, key)
    if (adjusted.kind === 'mismatch') return wrong(desk, 'balance add', 'this key was used with another amount or note; nothing was changed')
    const { paidIn, charged } = await loadBalance(database.sql, sid, plan.currency)
    const balance = difference(paidIn, charged)
    if (options.json) desk.out(json({ ...changeJson(adjusted.adjustment), balance, repeated: adjusted.kind === 'repeated' }))
    else
      desk.out(
        adjusted.kind === 'repeated'
          ? `This was done before, at ${timeText(adjusted.adjustment.at)}; nothing was changed. ${sid} has ${balance} ${plan.currency}.`
          : `${amount} ${plan.currency} ${amount.startsWith('-') ? 'taken from' : 'paid in for'} ${sid}, which now has ${balance} ${plan.currency}.`,
      )
    return 0
  })
}

const SUM_COLUMNS = ['kind', 'legs', 'seconds', 'pulses', 'amount', 'currency'] as const
const NO_GROUP = { day: null, origin: null, supervisor: null } as const

type Cells = Readonly<Record<string, string | number | null>>

const cellsOf = (row: UsageRow | (UsageSums & typeof NO_GROUP), by: readonly Grouping[]): Cells => ({
  ...Object.fromEntries(by.map((grouping) => [grouping, row[grouping]])),
  ...Object.fromEntries(SUM_COLUMNS.map((name) => [name, row[name]])),
})

/** RFC 4180, with a head and LF. What a spreadsheet would take for a formula is told to be text. */
function csv(by: readonly Grouping[], rows: readonly Cells[]): readonly string[] {
  const head: readonly string[] = [...by, ...SUM_COLUMNS]
  return [head.join(','), ...rows.map((row) => head.map((name) => csvCell(row[name] ?? null)).join(','))]
}

function csvCell(value: string | number | null): string {
  const text = String(value ?? '')
  const safe = /^[=@\t]|^[+-](?!\d[\d.*]*$)/.test(text) ? `'${text}` : text
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

/** @returns What is wrong, as a sentence. */
function usageQuery(
  { from, to, by }: UsageOptions,
  today: string,
): { readonly from: string; readonly to: string; readonly by: readonly Grouping[] } | string {
  const last = to ?? today
  if (!isDay(last)) return `--to must be a day; write e.g. --to ${today}`
  const first = from ?? daysBefore(last, DEFAULT_DAYS - 1)
  if (!isDay(first)) return `--from must be a day; write e.g. --from ${daysBefore(today, DEFAULT_DAYS - 1)}`
  const days = daysBetween(first, last)
  if (days < 1) return '--from must not be after --to'
  if (days > MAX_USAGE_DAYS) return `at most ${MAX_USAGE_DAYS} days at once; write a later --from`
  const words = by.split(',').map((word) => word.trim())
  const unknown = words.find((word) => !GROUPINGS.some((grouping) => grouping === word))
  if (unknown !== undefined) return '--by takes day, origin and supervisor, between commas; write e.g. --by day,origin'
  return { from: first, to: last, by: GROUPINGS.filter((grouping) => words.includes(grouping)) }
}

function accountIn(desk: Desk, config: Config, sid: string | undefined): AccountConfig | null {
  const [only, ...others] = config.accounts
  const account = sid === undefined && others.length === 0 ? only : config.accounts.find((each) => each.sid === sid)
  if (account) return account
  const wrong = sid === undefined ? 'which account? Write --account SID' : 'no account of that name in the configuration'
  desk.err(`${wrong}; it has ${config.accounts.map((each) => each.sid).join(', ')}`)
  return null
}

function plannedIn(desk: Desk, config: Config, sid: string | undefined): (AccountConfig & { readonly plan: NonNullable<AccountConfig['plan']> }) | null {
  const account = accountIn(desk, config, sid)
  if (!account) return null
  if (account.plan !== null) return { ...account, plan: account.plan }
  desk.err(`account ${account.sid} has no plan, and so no balance; give it one in the configuration (see earshot.example.yaml)`)
  return null
}

function wrong(desk: Desk, command: string, sentence: string): number {
  desk.err(`earshot ${command}: ${sentence}`)
  return 1
}

const difference = (paidIn: Money, charged: Money): Money => money(micros(paidIn) - micros(charged))

const changeJson = ({ id, accountId, amount, currency, note, by, at }: Adjustment) => ({
  id,
  account: accountId,
  amount,
  currency,
  note,
  by,
  at: timeText(at),
})
