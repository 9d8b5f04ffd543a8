/** Amounts, rates and plans for properties. */
import fc from 'fast-check'
import { type Money, money } from '../src/domain/account/money.ts'
import type { RatePlan } from '../src/domain/account/rating.ts'
import type { LegRate } from '../src/domain/leg.ts'

/** Of one pulse: 0 to 1,000, to the millionth. */
export const amount: fc.Arbitrary<Money> = fc.bigInt({ min: 0n, max: 1_000_000_000n }).map(money)
export const signed: fc.Arbitrary<Money> = fc.bigInt({ min: -(10n ** 18n), max: 10n ** 18n }).map(money)

export const rate: fc.Arbitrary<LegRate> = fc.record({
  currency: fc.constantFrom('INR', 'USD'),
  pulseS: fc.integer({ min: 1, max: 3600 }),
  price: amount,
})

/** Half a rupee for every leg and minute, a supervisor's half of that. */
export const samplePlan = (change: Partial<RatePlan> = {}): RatePlan => ({
  currency: 'INR',
  pulseS: 60,
  prepaid: false,
  floor: '0.000' as Money,
  rates: [
    { origin: null, prefix: 'client:', price: '0.000' as Money },
    { origin: null, prefix: '+91', price: '0.500' as Money },
    { origin: 'monitor', prefix: null, price: '0.250' as Money },
  ],
  ...change,
})
