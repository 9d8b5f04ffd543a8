/** Usage and balance as schemas (contract C33): what their routes take, in the order in which a wrong one is named, and what they answer, in the order of `../ledger.ts`. */
import * as z from 'zod'
import { NOTE_MAX_CHARS, noteIn } from '../../domain/account/balance.ts'
import { type Money, micros, moneyIn } from '../../domain/account/money.ts'
import { GROUPINGS, isDay } from '../../domain/account/usage.ts'
import { type About, byDefault, lastOf, metaOf, readBy, sid, whole } from './parameter.ts'
import { accountSid, date, listOf, origin, pageUri, phoneNumber, said } from './resources.ts'

const DEFAULT_PAGE_SIZE = 50
const MAX_PAGE_SIZE = 100
/** Whole units that one adjustment may move. */
const MAX_ADJUSTMENT_DIGITS = 9
const SAMPLE_SID = 'm3x7c1v9b5n2k8j4h6g0f2d5s8a1q7we'
const rule = 'C33'

/** `YYYY-MM-DD`, as far as a pattern knows the calendar. */
export const DAY_PATTERN = '(?:19|2\\d)\\d\\d-\\d\\d-\\d\\d'

const day = (about: About) =>
  z
    .preprocess(lastOf, z.string().refine(isDay))
    .meta({ ...metaOf(about), pattern: `^${DAY_PATTERN}$` })
    .optional()

/** `GET …/Usage`, in the query string. */
export const USAGE_PARAMETERS = z.object({
  StartDate: day({
    description: 'The first day by the account’s clocks; a leg belongs to the day of its end. Without it, 30 days before `EndDate`.',
    example: '2020-12-01',
    rule,
  }),
  EndDate: day({ description: 'The last day, itself included; 366 days at most. Without it, today.', example: '2020-12-22', rule }),
  GroupBy: byDefault(
    z
      .preprocess(
        groupingsIn,
        z
          .array(z.enum(GROUPINGS))
          .max(GROUPINGS.length)
          .refine((words) => new Set(words).size === words.length),
      )
      .meta({
        ...metaOf({
          description: 'What has rows of its own. Supervisors’ legs have rows of their own whatever this says.',
          example: ['day', 'origin'],
          rule,
        }),
        maxItems: GROUPINGS.length,
        uniqueItems: true,
      }),
    ['day'],
  ),
})

/** `POST …/Balance/Adjustments`. */
export const ADJUSTMENT_PARAMETERS = z.object({
  Amount: z.preprocess(lastOf, z.string().transform<Money>(readBy(adjustmentAmount))).meta({
    ...metaOf({ description: 'What is paid in, or with a minus taken away, in the currency of the plan; not zero.', example: '500.00', rule }),
    pattern: `^[+-]?\\d{1,${MAX_ADJUSTMENT_DIGITS}}(?:\\.\\d{1,6})?$`,
  }),
  Note: z.preprocess(lastOf, z.string().transform(readBy(noteIn))).meta({
    ...metaOf({ description: 'Why, for whoever reads the list later; without control characters.', example: 'transfer 17', rule }),
    maxLength: NOTE_MAX_CHARS,
    pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]+$',
  }),
})

/** `GET …/Balance/Adjustments`, in the query string. */
export const ADJUSTMENT_LIST_PARAMETERS = z.object({
  PageSize: byDefault(whole({ min: 1, max: MAX_PAGE_SIZE }, { description: 'Adjustments on a page.', example: 20, rule }), DEFAULT_PAGE_SIZE),
  Before: sid({ description: 'The page of those that are older than this one; as it comes in `NextPageUri`.', example: SAMPLE_SID, rule }).optional(),
})

/** A signed decimal that may be paid in or taken away at once; a plus sign is allowed. Null for anything else. */
function adjustmentAmount(text: string): Money | null {
  const amount = moneyIn(text.trim().replace(/^\+/, ''))
  if (amount === null || micros(amount) === 0n) return null
  return amount.replace('-', '').indexOf('.') > MAX_ADJUSTMENT_DIGITS ? null : amount
}

function groupingsIn(values: unknown): unknown {
  const written = lastOf(values)
  return typeof written === 'string' ? written.split(',', GROUPINGS.length + 1).map((word) => word.trim().toLowerCase()) : written
}

const amount = (description: string, example: string) => said(z.string().regex(/^-?\d+\.\d{3,6}$/), description, example)
const currency = said(z.string().min(1), 'That of the rate plan.', 'INR')
const count = (description: string, example: number) => said(z.int().min(0), description, example)
const dayOut = said(z.string().regex(/^\d{4}-\d\d-\d\d$/), 'By the account’s clocks.', '2020-12-22')

const SUMS = {
  Kind: said(z.enum(['conversation', 'monitor']), '`monitor`: supervisors’ legs.', 'conversation'),
  Legs: count('Answered legs that have ended.', 2),
  Seconds: count('Their `OnCallDuration` together.', 71),
  Pulses: count('Begun pulses together.', 3),
  Amount: amount('What they cost; a decimal as a text, never rounded.', '1.500'),
  Currency: said(currency.nullable(), 'That of the plan; null for legs that were not charged, without a plan.', 'INR'),
}
const USAGE_ROW = z
  .strictObject({
    Date: said(dayOut, 'The day; only when grouped by day.').optional(),
    Origin: said(origin, 'As in the leg; only when grouped by origin.', 'outbound').optional(),
    Supervisor: said(
      phoneNumber.nullable(),
      'Whose legs; null for legs of a conversation, and for whoever is no longer on record. Only when grouped by supervisor.',
    ).optional(),
    ...SUMS,
  })
  .meta({ xml: { name: 'Row' } })

export const USAGE_ANSWER = z
  .strictObject({
    Usage: z.strictObject({
      AccountSid: accountSid,
      StartDate: said(dayOut, 'The first day.', '2020-12-01'),
      EndDate: said(dayOut, 'The last day, itself included.'),
      GroupBy: said(z.string(), 'As it was asked for.', 'day,origin'),
      Rows: listOf(USAGE_ROW, 'Nothing that is not there was used.'),
      Totals: listOf(z.strictObject(SUMS).meta({ xml: { name: 'Total' } }), 'One for each kind of leg and currency.'),
    }),
  })
  .meta({ description: 'What an account has used.' })

export const BALANCE_ANSWER = z
  .strictObject({
    Balance: z.strictObject({
      AccountSid: accountSid,
      Currency: currency,
      Amount: amount('Paid in, less what ended legs cost.', '412.500'),
      Held: amount('What live calls hold of it: the pulses that have begun.', '1.500'),
      Available: amount('What is left.', '411.000'),
      SpentToday: amount('What was spent on this day, by the account’s clocks.', '37.500'),
      Prepaid: said(z.enum(['true', 'false']), '`true`: no leg begins, and calls end, when it is used up.', 'true'),
      Floor: amount('Calls end before the balance goes below it.', '0.000'),
    }),
  })
  .meta({ description: 'What an account has.' })

export const ADJUSTMENT = z
  .strictObject({
    Sid: said(z.string().min(1), 'The adjustment.', SAMPLE_SID),
    AccountSid: accountSid,
    DateCreated: said(date, 'When it was made.'),
    Amount: amount('Paid in, or with a minus taken away.', '500.000'),
    Currency: currency,
    Note: said(z.string().min(1), 'Why.', 'transfer 17'),
    MadeBy: said(z.string().min(1), 'By which API key, or `cli`.', 'ek_7m2q0d4k9x1v8c6n3b5h7j2p'),
  })
  .meta({ description: 'A top-up, or a correction either way. It never changes.', xml: { name: 'Adjustment' } })
export const ADJUSTMENT_ANSWER = z.strictObject({ Adjustment: ADJUSTMENT }).meta({ description: 'One adjustment.' })
export const ADJUSTMENT_LIST_ANSWER = z
  .strictObject({
    Metadata: z.strictObject({
      PageSize: said(z.int().min(1).max(MAX_PAGE_SIZE), 'As it was asked for.', 50),
      NextPageUri: pageUri('The page of older ones'),
    }),
    Adjustments: listOf(ADJUSTMENT, 'The newest first.'),
  })
  .meta({ description: 'A page of adjustments.' })
