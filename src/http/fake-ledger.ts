/** A `Ledger` in memory for tests of the server: one plan, adjustments that are kept, and a report that a test may put in. */
import type { Ledger } from '../control/billing/ledger.ts'
import type { Adjustment } from '../domain/account/balance.ts'
import { money, micros, NO_MONEY, sum } from '../domain/account/money.ts'
import type { RatePlan } from '../domain/account/rating.ts'
import { totalsOf, type UsageRow } from '../domain/account/usage.ts'
import { DomainError } from '../domain/errors.ts'

export const FAKE_PLAN: RatePlan = {
  currency: 'INR',
  pulseS: 60,
  prepaid: true,
  floor: NO_MONEY,
  rates: [{ origin: null, prefix: null, price: NO_MONEY }],
}

/** @param rows Of every report. Accounts other than `acme` have no plan. */
export function makeFakeLedger(now: () => number, rows: readonly UsageRow[] = []): Ledger {
  const changes: (Adjustment & { readonly key: string | null; readonly fingerprint: string | null })[] = []
  const assertPlan = (accountId: string): void => {
    if (accountId !== 'acme') throw new DomainError('no-plan')
  }
  return {
    usage: async () => ({ rows, totals: totalsOf(rows) }),
    async balance(accountId) {
      assertPlan(accountId)
      const balance = sum(changes.map((change) => change.amount))
      return { accountId, plan: FAKE_PLAN, balance, held: NO_MONEY, left: money(micros(balance)), spentToday: NO_MONEY }
    },
    async adjust(accountId, wanted, idempotency) {
      assertPlan(accountId)
      const earlier = changes.find((change) => idempotency !== null && change.key === idempotency.key)
      if (earlier && earlier.fingerprint !== idempotency?.fingerprint) throw new DomainError('idempotency-mismatch')
      if (earlier) return earlier
      const id = String(changes.length + 1).padStart(32, 'b0')
      const made = {
        id,
        accountId,
        currency: FAKE_PLAN.currency,
        ...wanted,
        at: now(),
        key: idempotency?.key ?? null,
        fingerprint: idempotency?.fingerprint ?? null,
      }
      changes.unshift(made)
      return made
    },
    async adjustments(accountId, before, limit) {
      assertPlan(accountId)
      const place = before === null ? 0 : changes.findIndex(({ id }) => id === before) + 1
      return changes.slice(place, place + limit)
    },
  }
}
