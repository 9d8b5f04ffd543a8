/**
 * Parameters of requests as schemas: each one reads what came under its name, and describes itself to those who write clients.
 *
 * What a schema is given are the values of one name, in order (`fields.ts`); all but lists take the last of them, as JSON does
 * with a name given twice. What it says of itself is JSON Schema by way of `description.ts`: the value as a client means it, not
 * the texts that carry it.
 */
import * as z from 'zod'
import type { Address } from '../../domain/address.ts'
import { DomainError } from '../../domain/errors.ts'
import { momentsOf } from '../dates.ts'
import type { Fields } from '../fields.ts'
import { ADDRESS_PATTERN, addressIn, MAX_ADDRESS_CHARS } from '../numbers.ts'

/** What a reader of the description wants to know beside type and limits. */
export interface About {
  readonly description: string
  readonly example: string | number | boolean | readonly string[]
  /** The rule of the contract that it follows, e.g. `C15`. */
  readonly rule: string
}

/** The parameters of one kind of request, in the order in which they are looked at. */
export type Parameters = z.ZodObject

const MAX_URL_CHARS = 2048
/** Ours are 32 of `[0-9a-z]` (C6); what cannot be an id at all is not looked up. */
export const SID = /^[0-9A-Za-z_-]{1,64}$/
const INTEGER = /^\d{1,9}$/
/** `YYYY-MM-DD HH:mm:ss`; years are 1900 to 2999 (C5). */
export const DATE_PATTERN = '(?:19|2\\d)\\d\\d-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d'
const BLANK_OR_CONTROL = /[\s\p{Cc}]/u

/**
 * The values of a request's parameters; names that the schema does not know are left alone.
 * @throws {DomainError} invalid-parameter with the name of the first one that is missing or wrong, in the schema's order.
 */
export function parametersIn<S extends Parameters>(schema: S, fields: Fields): z.output<S> {
  const read = schema.safeParse(Object.fromEntries(fields))
  if (read.success) return read.data
  throw new DomainError('invalid-parameter', String(read.error.issues[0]?.path[0]))
}

/** What is written about a parameter. Examples and defaults are of what a client means, and have names of our own until `description.ts`. */
export const metaOf = ({ description, example, rule }: About): Readonly<Record<string, unknown>> => ({
  description,
  'x-examples': [example],
  'x-contract-rule': rule,
})

/** What it is when it is not sent, where the schema itself does not say so. */
export const metaDefault = (value: string | boolean | number | readonly string[]): Readonly<Record<string, unknown>> => ({ 'x-default': value })

/** The last value, as it was sent. */
export const lastOf = (values: unknown): unknown => (Array.isArray(values) ? values.at(-1) : undefined)

/** A text made into something else; what `read` says null to is refused. */
export const readBy =
  <T>(read: (text: string) => T | null) =>
  (text: string, context: z.RefinementCtx): T => {
    const value = read(text)
    if (value !== null) return value
    context.addIssue('refused')
    return z.NEVER
  }

/** Takes the place of what was not sent, and says so in the description. */
export const byDefault = <S extends z.ZodType>(schema: S, value: z.core.util.NoUndefined<z.output<S>>) =>
  schema.default(value).meta({ 'x-default': value })

/** Whom to call, in any spelling of C7. */
export const address = (about: About) =>
  z.preprocess(lastOf, z.string().max(MAX_ADDRESS_CHARS).transform<Address>(readBy(addressIn))).meta({ ...metaOf(about), pattern: ADDRESS_PATTERN })

/** The id of a call or a leg. Whether there is such a one is another question. */
export const sid = (about: About) => z.preprocess(lastOf, z.string().regex(SID)).meta(metaOf(about))

/** The same, with blanks around it, as an address that was put together by hand has them. */
export const trimmedSid = (about: About) => z.preprocess((values) => trimmed(lastOf(values)), z.string().regex(SID)).meta(metaOf(about))

/** A whole number, written in decimal digits. */
export const whole = (limits: { readonly min: number; readonly max: number }, about: About) =>
  z.preprocess(wholeIn, z.int().min(limits.min).max(limits.max)).meta(metaOf(about))

/** One of several words, in any case; what comes out is spelled as it is here. */
export const word = <const W extends readonly [string, ...string[]]>(words: W, about: About) =>
  z.preprocess((values) => spelledAs(words, lastOf(values)), z.enum(words)).meta(metaOf(about))

/** Yes or no. Forms have no booleans: some clients write `True`, others 1 and 0. */
export const truth = (about: About) => z.preprocess((values) => truthIn(lastOf(values)), z.boolean()).meta(metaOf(about))

/** Yes when it says `true`, in any case; whatever else it says is no, and never refused. */
export const flag = (about: About) => z.preprocess((values) => truthIn(lastOf(values)) === true, z.boolean()).meta(metaOf(about))

/** Any text up to so many characters, counted as people count them. */
export const text = (maxChars: number, about: About) =>
  z
    // A database's text holds neither a NUL nor half a character.
    .preprocess(
      lastOf,
      z.string().refine((value) => !value.includes('\u0000') && value.isWellFormed() && [...value].length <= maxChars),
    )
    .meta({ ...metaOf(about), maxLength: maxChars })

/**
 * An absolute http or https URL; a user and password in it are sent as HTTP Basic, as the vendor's own examples do with its API.
 * Whether the address may be reached is asked when it is dialled (C29), since names change.
 */
export const httpUrl = (about: About) =>
  z
    .preprocess(lastOf, z.string().max(MAX_URL_CHARS).transform(readBy(urlIn)))
    .meta({ ...metaOf(about), format: 'uri', pattern: '^[Hh][Tt][Tt][Pp][Ss]?://' })

/** Several words, in any case, given by repeating the name. Others are ignored: the vendor's clients send some that mean nothing here. */
export const knownWords = <const W extends readonly [string, ...string[]]>(words: W, about: About) =>
  z
    .preprocess((values) => knownAmong(words, values), z.array(z.enum(words)))
    .meta({ ...metaOf(about), items: { anyOf: [{ type: 'string', enum: words }, { type: 'string' }] } })

/** Several values, by repeating the name, between commas, or both. One that is not known is refused. */
export const several = <S extends z.ZodType>(item: S, limits: { readonly min: number; readonly max: number }, about: About) =>
  z.preprocess(partsIn, z.array(item).min(limits.min).max(limits.max)).meta(metaOf(about))

/** A moment, as it was written, without blanks around it. Whether there is such a date does not hang on the zone; which moment it means does, and is asked with the account's. */
export const date = (about: About) =>
  z
    .preprocess(lastOf, z.string().transform(readBy((written) => (momentsOf(written.trim(), 'UTC') === null ? null : written.trim()))))
    .meta({ ...metaOf(about), pattern: `^${DATE_PATTERN}$` })

const trimmed = (value: unknown): unknown => (typeof value === 'string' ? value.trim() : value)

function partsIn(values: unknown): unknown {
  return Array.isArray(values)
    ? values.flatMap((value) =>
        String(value)
          .split(',')
          .map((part) => part.trim()),
      )
    : values
}

function wholeIn(values: unknown): unknown {
  const written = lastOf(values)
  return typeof written === 'string' && INTEGER.test(written) ? Number(written) : written
}

function spelledAs<W extends readonly string[]>(words: W, written: unknown): unknown {
  const lower = typeof written === 'string' ? written.trim().toLowerCase() : written
  return words.find((candidate) => candidate.toLowerCase() === lower) ?? written
}

function truthIn(written: unknown): unknown {
  switch (typeof written === 'string' ? written.trim().toLowerCase() : written) {
    case 'true':
    case '1':
      return true
    case 'false':
    case '0':
      return false
    default:
      return written
  }
}

function knownAmong<W extends readonly string[]>(words: W, values: unknown): readonly string[] {
  const asked = (Array.isArray(values) ? values : []).map((value) => spelledAs(words, value))
  return words.filter((candidate) => asked.includes(candidate))
}

function urlIn(written: string): string | null {
  if (BLANK_OR_CONTROL.test(written) || !/^https?:\/\//i.test(written)) return null
  const url = URL.parse(written)
  return url === null || url.href.length > MAX_URL_CHARS ? null : url.href
}
