/** What accounts have used and what they have: read from the records, and moved by hand. */
import type { Account } from '../../domain/account/account.ts'
import type { Adjustment } from '../../domain/account/balance.ts'
import { type Money, money, NO_MONEY } from '../../domain/account/money.ts'
import { dayOf, type RatePlan } from '../../domain/account/rating.ts'
import { totalsOf, type UsageQuery, type UsageReport } from '../../domain/account/usage.ts'
import { DomainError } from '../../domain/errors.ts'
import type { AccountId } from '../../domain/ids.ts'
import type { Log, Sql } from '../../store/database.ts'
import { adjustBalance, listAdjustments, loadBalance, loadBalances, spentOn } from '../../store/ledger/balances.ts'
import { loadUsage } from '../../store/ledger/usage.ts'
import type { Idempotency } from '../control.ts'
import type { AccountMoney, Gate } from './gate.ts'

/** How an account stands at a moment. */
export interface BalanceStanding {
  readonly accountId: AccountId
  readonly plan: RatePlan
  /** Paid in, less what ended legs cost. */
  readonly balance: Money
  /** What live calls hold of it. */
  readonly held: Money
  readonly left: Money
  readonly spentToday: Money
}

export interface WantedAdjustment {
  /** Not zero. */
  readonly amount: Money
  readonly note: string
  /** Who: the id of an API key. */
  readonly by: string
}

/** Everything but `usage` throws DomainError `no-plan` for an account without a rate plan. */
export interface Ledger {
  /** @throws {DomainError} invalid-parameter (GroupBy) when it would have too many rows. */
  usage(accountId: AccountId, query: UsageQuery): Promise<UsageReport>
  balance(accountId: AccountId): Promise<BalanceStanding>
  /** Once for each key, however often it is asked. @throws {DomainError} idempotency-mismatch */
  adjust(accountId: AccountId, wanted: WantedAdjustment, idempotency: Idempotency | null): Promise<Adjustment>
  /** The newest first; `before` names one of them. */
  adjustments(accountId: AccountId, before: string | null, limit: number): Promise<readonly Adjustment[]>
}

export interface LedgerOptions {
  readonly sql: Sql
  readonly accounts: ReadonlyMap<AccountId, Account>
  readonly gate: Gate
  readonly newId: () => string
  readonly now: () => number
  readonly log: Log
}

export interface RunningLedger extends Ledger {
  /** To be awaited before the first call. @throws what the database throws. */
  open(): Promise<void>
  /** Something was paid in, perhaps by another process: the gate is told. Never rejects. */
  refresh(): Promise<void>
}

export function makeLedger({ sql, accounts, gate, newId, now, log }: LedgerOptions): RunningLedger {
  const planOf = (accountId: AccountId): RatePlan => {
    const plan = accounts.get(accountId)?.plan
    if (!plan) throw new DomainError('no-plan')
    return plan
  }
  let reading: Promise<void> = Promise.resolve()

  async function readAgain(): Promise<void> {
    const paid = await loadBalances(sql)
    for (const { id, plan } of accounts.values())
      if (plan) gate.paidIn(id, paid.find((each) => each.accountId === id && each.currency === plan.currency)?.paidIn ?? NO_MONEY)
  }

  /** One after the other, so that an older reading never comes after a newer one. */
  const refresh = (): Promise<void> => {
    reading = reading
      .then(readAgain)
      .catch((error: unknown) => log.error({ err: error }, 'balances could not be read; the next change reads them again'))
    return reading
  }

  return {
    refresh,
    async open() {
      const found = await Promise.all([...accounts.values()].map((account) => moneyOf(sql, account, now())))
      gate.open(found.flatMap((each) => each ?? []))
    },
    async usage(accountId, query) {
      const rows = await loadUsage(sql, accountId, query)
      if (rows === null) throw new DomainError('invalid-parameter', 'GroupBy')
      return { rows, totals: totalsOf(rows) }
    },
    async balance(accountId) {
      const plan = planOf(accountId)
      const { balance, held, spentToday } = gate.standing(accountId)
      return { accountId, plan, balance: money(balance), held: money(held), left: money(balance - held), spentToday: money(spentToday) }
    },
    async adjust(accountId, { amount, note, by }, idempotency) {
      const { currency } = planOf(accountId)
      const adjusted = await adjustBalance(sql, { id: newId(), accountId, currency, amount, note, by, at: now() }, idempotency)
      if (adjusted.kind === 'mismatch') throw new DomainError('idempotency-mismatch')
      if (adjusted.kind === 'made') log.info({ account: accountId, change: adjusted.adjustment.id, by }, 'a balance was changed by hand')
      await refresh()
      return adjusted.adjustment
    },
    async adjustments(accountId, before, limit) {
      planOf(accountId)
      return listAdjustments(sql, accountId, before, limit)
    },
  }
}

async function moneyOf(sql: Sql, { id, plan, timeZone }: Account, now: number): Promise<AccountMoney | null> {
  if (!plan) return null
  const { paidIn, charged } = await loadBalance(sql, id, plan.currency)
  return { accountId: id, paidIn, charged, spentToday: await spentOn(sql, id, dayOf(now, timeZone), plan.currency) }
}
