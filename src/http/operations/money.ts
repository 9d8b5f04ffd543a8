/** What the routes about usage and balance say about themselves. */
import { adjustmentList, adjustmentResource, balanceResource, usageQueryIn, usageReport } from '../../contract/ledger.ts'
import { fieldsFromPairs } from '../../contract/fields.ts'
import {
  ADJUSTMENT_ANSWER,
  ADJUSTMENT_LIST_ANSWER,
  ADJUSTMENT_LIST_PARAMETERS,
  ADJUSTMENT_PARAMETERS,
  BALANCE_ANSWER,
  USAGE_ANSWER,
  USAGE_PARAMETERS,
} from '../../contract/schemas/ledger.ts'
import type { Format, WireObject } from '../../contract/xml.ts'
import type { Adjustment } from '../../domain/account/balance.ts'
import { type Money, moneyIn, NO_MONEY } from '../../domain/account/money.ts'
import { totalsOf, type UsageRow } from '../../domain/account/usage.ts'
import { type Operation, resource } from './operation.ts'
import { SAMPLE_ACCOUNT, SAMPLE_KEY_SID, SAMPLE_REQUESTS, sampleOptions } from './samples.ts'

const NOON = Date.UTC(2020, 11, 22, 6, 30)
const money = (text: string): Money => moneyIn(text) ?? NO_MONEY

const day = { day: '2020-12-22', supervisor: null, currency: 'INR' } as const
const rows: readonly UsageRow[] = [
  { ...day, kind: 'conversation', origin: 'outbound', legs: 2, seconds: 71, pulses: 3, amount: money('1.50') },
  { ...day, kind: 'monitor', origin: 'monitor', legs: 1, seconds: 56, pulses: 1, amount: money('0.50') },
]
const plan = { currency: 'INR', pulseS: 60, prepaid: true, floor: NO_MONEY, rates: [] } as const
const balance = {
  ...{ accountId: SAMPLE_ACCOUNT, plan, balance: money('412.50'), held: money('1.50') },
  ...{ left: money('411'), spentToday: money('37.50') },
}
const adjustment: Adjustment = {
  id: 'm3x7c1v9b5n2k8j4h6g0f2d5s8a1q7we',
  accountId: SAMPLE_ACCOUNT,
  currency: plan.currency,
  amount: money(SAMPLE_REQUESTS.adjustment.Amount),
  note: SAMPLE_REQUESTS.adjustment.Note,
  by: SAMPLE_KEY_SID,
  at: NOON,
}

const NOTHING_TAKEN = { query: null, body: null, headers: null, idempotent: false, callback: null } as const

export const GET_USAGE: Operation = {
  ...NOTHING_TAKEN,
  id: 'getUsage',
  tag: 'Money',
  summary: 'Report what was used',
  description: 'Answered legs that have ended, by day, origin and supervisor. A report of more than 10,000 rows is refused: ask for less of it.',
  rules: ['C33'],
  query: { parameters: USAGE_PARAMETERS, example: SAMPLE_REQUESTS.usage },
  answers: [resource('The report', USAGE_ANSWER, report)],
  errors: [],
}

export const GET_BALANCE: Operation = {
  ...NOTHING_TAKEN,
  id: 'getBalance',
  tag: 'Money',
  summary: 'Look at the balance',
  description: 'What the account has, what live calls hold of it, and what it spent today.',
  rules: ['C33'],
  answers: [resource('The balance', BALANCE_ANSWER, () => balanceResource(balance))],
  errors: ['no-plan'],
}

export const LIST_ADJUSTMENTS: Operation = {
  ...NOTHING_TAKEN,
  id: 'listAdjustments',
  tag: 'Money',
  summary: 'List what was paid in',
  description: 'Top-ups and corrections, the newest first, with who made them and why.',
  rules: ['C33'],
  query: { parameters: ADJUSTMENT_LIST_PARAMETERS, example: SAMPLE_REQUESTS.adjustments },
  answers: [
    resource('A page of adjustments', ADJUSTMENT_LIST_ANSWER, (format) =>
      adjustmentList([adjustment], 1, { ...sampleOptions(format), accountId: SAMPLE_ACCOUNT }),
    ),
  ],
  errors: ['no-plan'],
}

export const ADJUST_BALANCE: Operation = {
  ...NOTHING_TAKEN,
  id: 'adjustBalance',
  tag: 'Money',
  summary: 'Pay in, or correct the balance',
  description: 'Counts at once, and never changes: a mistake is corrected by another one. With an `Idempotency-Key` it is made once, for ever.',
  rules: ['C33', 'C19'],
  body: { parameters: ADJUSTMENT_PARAMETERS, example: SAMPLE_REQUESTS.adjustment },
  idempotent: true,
  answers: [resource('The adjustment', ADJUSTMENT_ANSWER, (format) => adjustmentResource(adjustment, sampleOptions(format)))],
  errors: ['no-plan'],
}

function report(format: Format): WireObject {
  const options = { ...sampleOptions(format), accountId: SAMPLE_ACCOUNT }
  const asked = usageQueryIn(fieldsFromPairs(Object.entries(SAMPLE_REQUESTS.usage)) ?? new Map(), { ...options, now: NOON })
  return usageReport({ rows, totals: totalsOf(rows) }, asked, options)
}
