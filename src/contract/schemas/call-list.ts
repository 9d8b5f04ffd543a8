/** What the list of calls can be asked for (contract C31), in the vendor's order, in which a wrong one is named. */
import * as z from 'zod'
import type { Address } from '../../domain/address.ts'
import type { Bounds, PageStart } from '../../domain/call-query.ts'
import type { CallId } from '../../domain/ids.ts'
import { momentsOf } from '../dates.ts'
import { ADDRESS_PATTERN, addressIn, MAX_ADDRESS_CHARS } from '../numbers.ts'
import { type About, byDefault, DATE_PATTERN, lastOf, metaOf, readBy, SID, whole, word } from './parameter.ts'

const DEFAULT_PAGE_SIZE = 50
const MAX_PAGE_SIZE = 100
const MAX_SIDS = 100
const MAX_NUMBERS = 5

/** In which a call is to the vendor; what a word is here stands in `../call-list.ts`. */
export const STATUS_WORDS = ['queued', 'ringing', 'in-progress', 'completed', 'busy', 'no-answer', 'failed', 'canceled'] as const
export const DIRECTION_WORDS = ['inbound', 'outbound-api', 'outbound-dial'] as const

const SECONDS = '\\d{1,9}s?'
const DECIMAL = '\\d{1,9}(?:\\.\\d{1,9})?'
const CONDITION = /^(gte|lte|eq):(.+)$/
/** Up to the year 5138. */
const CURSOR = /^(\d{1,14}):([0-9A-Za-z_-]{1,64})$/

const rule = 'C31'

/** Values between commas, each read; `read` says null to what it does not know. */
const list = <T>(maxItems: number, item: z.ZodType<T>, about: About) =>
  z
    .preprocess((values) => String(lastOf(values)).split(',', maxItems + 1), z.array(item).max(maxItems))
    .meta({ ...metaOf(about), maxItems })
    .optional()

const words = <const W extends readonly [string, ...string[]]>(known: W, description: string, example: string) =>
  list(
    known.length,
    z.preprocess((item) => String(item).trim().toLowerCase(), z.enum(known)),
    { description, example: [example], rule },
  )

const numbers = (description: string, example: string) =>
  list(MAX_NUMBERS, z.string().max(MAX_ADDRESS_CHARS).transform<Address>(readBy(addressIn)).meta({ pattern: ADDRESS_PATTERN }), {
    description,
    example: [example],
    rule,
  })

/** `gte:…;lte:…`, each at most once, or `eq:…` alone. */
const bounds = <T>(value: string, read: (text: string) => T | null, about: About) =>
  z
    .preprocess(lastOf, z.string().transform(readBy((written) => boundsIn(written, read))))
    .meta({ ...metaOf(about), pattern: `^(?:eq:${value}|${fromTo(value)})$` })
    .optional()

const fromTo = (value: string): string => `gte:${value}(?:;lte:${value})?|lte:${value}(?:;gte:${value})?`

const cursor = (description: string) =>
  z
    .preprocess(lastOf, z.string().transform(readBy(cursorIn)))
    .meta(metaOf({ description, example: cursorOf({ createdAt: 1_608_638_466_000, id: 'c5797dcbaaeed7678c4062a4a3ed2f8a' as CallId }), rule }))
    .optional()

/** `GET …/Calls`, in the query string. */
export const CALL_LIST_PARAMETERS = z.object({
  Sid: list(
    MAX_SIDS,
    z.preprocess((item) => String(item).trim(), z.string().regex(SID)),
    {
      description: 'These calls alone.',
      example: ['c5797dcbaaeed7678c4062a4a3ed2f8a'],
      rule,
    },
  ),
  DateCreated: z
    .preprocess(lastOf, z.string().transform(readBy(datesIn)))
    .meta({
      ...metaOf({
        description:
          'When the call was created, in the account’s time zone; both ends are included, the whole second of `lte` too. Without it, the last 31 days.',
        example: 'gte:2020-12-01 00:00:00;lte:2020-12-22 23:59:59',
        rule,
      }),
      pattern: `^(?:${fromTo(DATE_PATTERN)})$`,
    })
    .optional(),
  To: numbers('Who was called, in any spelling of a number.', '09876538847'),
  From: numbers('Who called, or was rung first.', '09876530240'),
  PhoneNumber: numbers('Your own number in the call, its `PhoneNumberSid`.', '08040404890'),
  Status: words(
    STATUS_WORDS,
    '`in-progress` is every call that has not ended. `queued` and `ringing` are states of the vendor’s in which no call is here: they match nothing.',
    'in-progress',
  ),
  Duration: bounds(SECONDS, secondsIn, {
    description: 'Whole seconds, as in the call; one that has not ended has none.',
    example: 'gte:10s;lte:45s',
    rule,
  }),
  Price: bounds(DECIMAL, decimalIn, { description: 'As in the call; one that has no price yet does not match.', example: 'gte:0.10;lte:1.0', rule }),
  Direction: words(DIRECTION_WORDS, '`outbound-dial` is a call that was begun on the vendor’s dashboard: it matches nothing here.', 'outbound-api'),
  PageSize: byDefault(whole({ min: 1, max: MAX_PAGE_SIZE }, { description: 'Calls on a page.', example: 20, rule }), DEFAULT_PAGE_SIZE),
  SortBy: byDefault(
    word(['DateCreated:desc', 'DateCreated:asc'], { description: 'Newest first, or oldest first.', example: 'DateCreated:desc', rule }),
    'DateCreated:desc',
  ),
  Before: cursor('The page that ends before this place; as it comes in `PrevPageUri`. Not together with `After`.'),
  After: cursor('The page that begins after this place; as it comes in `NextPageUri`.'),
})

/** A place in the order of creation, as a text that means nothing to who passes it on. */
export function cursorOf({ createdAt, id }: Pick<PageStart, 'createdAt' | 'id'>): string {
  return Buffer.from(`${createdAt}:${id}`).toString('base64url')
}

function cursorIn(text: string): Pick<PageStart, 'createdAt' | 'id'> | null {
  const bytes = Buffer.from(text, 'base64url')
  const [, createdAt, id] = CURSOR.exec(bytes.toString('latin1')) ?? []
  if (createdAt === undefined || id === undefined || bytes.toString('base64url') !== text) return null
  return { createdAt: Number(createdAt), id: id as CallId }
}

/** Whether there is such a date does not hang on the zone; which moments it means does, and is asked with the account's. */
function datesIn(written: string): Bounds<string> | null {
  return written.includes('eq:') ? null : boundsIn(written, (text) => (momentsOf(text, 'UTC') === null ? null : text))
}

function secondsIn(text: string): number | null {
  return new RegExp(`^${SECONDS}$`).test(text) ? Number.parseInt(text, 10) : null
}

function decimalIn(text: string): string | null {
  return new RegExp(`^${DECIMAL}$`).test(text) ? text : null
}

function boundsIn<T>(written: string, read: (text: string) => T | null): Bounds<T> | null {
  const found = new Map<string, T>()
  for (const part of written.split(';', 3)) {
    const [, operator = '', text = ''] = CONDITION.exec(part.trim()) ?? []
    const value = read(text)
    if (value === null || found.has(operator)) return null
    found.set(operator, value)
  }
  if (found.has('eq') && found.size > 1) return null
  const both = found.get('eq') ?? null
  return { min: found.get('gte') ?? both, max: found.get('lte') ?? both }
}
