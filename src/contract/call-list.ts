/**
 * The list of calls: its filters, its order, its pages (contract C31).
 *
 * A cursor is the place of one call in the order of creation. Whatever is added meanwhile, the pages that follow it begin
 * right there, so that nothing is shown twice or left out.
 */
import type { Address } from '../domain/address.ts'
import type { Call } from '../domain/call.ts'
import type { Bounds, CallPage, CallQuery, PageStart } from '../domain/call-query.ts'
import { DomainError } from '../domain/errors.ts'
import type { AccountId, CallId } from '../domain/ids.ts'
import { momentsOf, wireDate } from './dates.ts'
import { type Fields, lastValue } from './fields.ts'
import { addressIn } from './numbers.ts'
import { callIdIn } from './requests.ts'
import { asList, callFields, type ResourceOptions } from './resources.ts'
import type { WireObject } from './xml.ts'

const DEFAULT_WINDOW_MS = 31 * 24 * 3_600_000
const DEFAULT_PAGE_SIZE = 50
const MAX_PAGE_SIZE = 100
const MAX_SIDS = 100
const MAX_NUMBERS = 5

/** In the order of the vendor's table; the addresses of other pages repeat those that were given. */
const FILTERS = ['Sid', 'DateCreated', 'To', 'From', 'PhoneNumber', 'Status', 'Duration', 'Price', 'Direction', 'PageSize', 'SortBy'] as const

/** The vendor has states in which a call of ours never is (a live call is in progress, C13): nothing passes such a filter. */
const STATUSES = {
  queued: null,
  ringing: null,
  'in-progress': 'in-progress',
  completed: 'completed',
  busy: 'busy',
  'no-answer': 'no-answer',
  failed: 'failed',
  canceled: 'canceled',
} as const
/** Likewise `outbound-dial`, a call that was begun on the vendor's dashboard. */
const DIRECTIONS = { inbound: 'inbound', 'outbound-api': 'outbound-api', 'outbound-dial': null } as const

const PAGE_SIZE = /^\d{1,3}$/
const SECONDS = /^(\d{1,9})s?$/
const DECIMAL = /^\d{1,9}(?:\.\d{1,9})?$/
const CONDITION = /^(gte|lte|eq):(.+)$/
/** Up to the year 5138. */
const CURSOR = /^(\d{1,14}):([0-9A-Za-z_-]{1,64})$/

/**
 * What a query string asks for.
 * @throws {DomainError} invalid-parameter with the name of the first one that is wrong, in the order of the vendor's table.
 */
export function callQueryIn(query: Fields, { timeZone, now }: { readonly timeZone: string; readonly now: number }): CallQuery {
  const list = <T>(name: string, limit: number, read: (item: string) => T | null): readonly T[] | null => listIn(query, name, limit, read)
  const word = (item: string): string => item.trim().toLowerCase()
  return {
    ids: list('Sid', MAX_SIDS, (item) => callIdIn(item.trim())),
    ...creation(query, timeZone, now),
    to: list<Address>('To', MAX_NUMBERS, addressIn),
    from: list<Address>('From', MAX_NUMBERS, addressIn),
    ownNumbers: list<Address>('PhoneNumber', MAX_NUMBERS, addressIn),
    statuses: wordsIn(list('Status', Object.keys(STATUSES).length, (item) => known(STATUSES, word(item)))),
    durationS: boundsIn(query, 'Duration', (text) => (SECONDS.test(text) ? Number.parseInt(text, 10) : null)),
    price: boundsIn(query, 'Price', (text) => (DECIMAL.test(text) ? text : null)),
    directions: wordsIn(list('Direction', Object.keys(DIRECTIONS).length, (item) => known(DIRECTIONS, word(item)))),
    pageSize: pageSize(query),
    order: order(query),
    start: start(query),
  }
}

export interface CallListOptions extends ResourceOptions {
  readonly accountId: AccountId
  /** As it was asked: the addresses of the other pages keep it. */
  readonly query: Fields
}

/** One page. What was asked is repeated in its addresses, and so is the format. */
export function callList(page: CallPage, asked: CallQuery, options: CallListOptions): WireObject {
  const { calls, total, hasPrevious, hasNext } = page
  const [first, last] = [calls[0], calls.at(-1)]
  return {
    Metadata: {
      Total: total,
      PageSize: asked.pageSize,
      FirstPageUri: pageUri(options, asked, null),
      PrevPageUri: first && hasPrevious ? pageUri(options, asked, ['Before', first]) : null,
      NextPageUri: last && hasNext ? pageUri(options, asked, ['After', last]) : null,
    },
    Calls: asList(
      options.format,
      'Call',
      calls.map((call) => callFields(call, options, null)),
    ),
  }
}

/**
 * The default window moves with the clock, and must not between the pages of one walk: the first page writes it into the
 * addresses of the others. The address of the first page itself stays as it was asked.
 */
function pageUri(
  { accountId, format, timeZone, query }: CallListOptions,
  asked: CallQuery,
  cursor: readonly ['Before' | 'After', Call] | null,
): string {
  const pairs: [string, string][] = []
  for (const name of FILTERS) {
    const value = lastValue(query, name)
    if (value !== null) pairs.push([name, value])
    else if (name === 'DateCreated' && cursor && asked.createdFrom !== null) pairs.push([name, `gte:${wireDate(asked.createdFrom, timeZone)}`])
  }
  if (cursor) pairs.push([cursor[0], cursorOf(cursor[1])])
  const search = pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')
  return `/v1/Accounts/${accountId}/Calls${format === 'json' ? '.json' : ''}${search === '' ? '' : `?${search}`}`
}

const cursorOf = ({ createdAt, id }: Call): string => Buffer.from(`${createdAt}:${id}`).toString('base64url')

function start(query: Fields): PageStart | null {
  const [before, after] = [lastValue(query, 'Before'), lastValue(query, 'After')]
  if (before !== null && after !== null) throw invalid('Before')
  if (before !== null) return { side: 'before', ...(cursorIn(before) ?? refuse('Before')) }
  return after === null ? null : { side: 'after', ...(cursorIn(after) ?? refuse('After')) }
}

function cursorIn(text: string): Pick<PageStart, 'createdAt' | 'id'> | null {
  const bytes = Buffer.from(text, 'base64url')
  const [, createdAt, id] = CURSOR.exec(bytes.toString('latin1')) ?? []
  if (createdAt === undefined || id === undefined || bytes.toString('base64url') !== text) return null
  return { createdAt: Number(createdAt), id: id as CallId }
}

/** An end that names a second means all of it, as a date on the wire does: its fractions are cut off. */
function creation(query: Fields, timeZone: string, now: number): Pick<CallQuery, 'createdFrom' | 'createdBefore'> {
  const bounds = boundsIn(query, 'DateCreated', (text) => momentsOf(text, timeZone), ['gte', 'lte'])
  if (bounds) return { createdFrom: bounds.min?.from ?? null, createdBefore: bounds.max?.until ?? null }
  const from = now - DEFAULT_WINDOW_MS
  return { createdFrom: from - (from % 1000), createdBefore: null }
}

function pageSize(query: Fields): number {
  const written = lastValue(query, 'PageSize')
  if (written === null) return DEFAULT_PAGE_SIZE
  const size = PAGE_SIZE.test(written) ? Number(written) : 0
  if (size < 1 || size > MAX_PAGE_SIZE) throw invalid('PageSize')
  return size
}

function order(query: Fields): 'asc' | 'desc' {
  switch (lastValue(query, 'SortBy')) {
    case null:
    case 'DateCreated:desc':
      return 'desc'
    case 'DateCreated:asc':
      return 'asc'
    default:
      throw invalid('SortBy')
  }
}

/** Values between commas, each read. `read` says null to what it does not know. */
function listIn<T>(query: Fields, name: string, limit: number, read: (item: string) => T | null): readonly T[] | null {
  const written = lastValue(query, name)
  if (written === null) return null
  const items = written.split(',', limit + 1)
  if (items.length > limit) throw invalid(name)
  return items.map((item) => read(item) ?? refuse(name))
}

/** A word of the vendor's and what it is here, in a box, so that a word that is nothing here is still a word. */
function known<T>(words: Readonly<Record<string, T>>, word: string): { readonly here: T } | null {
  return Object.hasOwn(words, word) ? { here: words[word] as T } : null
}

const wordsIn = <T>(found: readonly { readonly here: T | null }[] | null): readonly T[] | null =>
  found?.flatMap(({ here }) => (here === null ? [] : [here])) ?? null

type Operator = 'gte' | 'lte' | 'eq'

/** `gte:…;lte:…`, each at most once, or `eq:…` alone. */
function boundsIn<T>(
  query: Fields,
  name: string,
  read: (text: string) => T | null,
  operators: readonly Operator[] = ['gte', 'lte', 'eq'],
): Bounds<T> | null {
  const written = lastValue(query, name)
  if (written === null) return null
  const found = new Map<string, T>()
  for (const part of written.split(';', operators.length + 1)) {
    const [, operator = '', text = ''] = CONDITION.exec(part.trim()) ?? []
    if (found.has(operator) || !operators.some((allowed) => allowed === operator)) throw invalid(name)
    found.set(operator, read(text) ?? refuse(name))
  }
  if (found.has('eq') && found.size > 1) throw invalid(name)
  const both = found.get('eq') ?? null
  return { min: found.get('gte') ?? both, max: found.get('lte') ?? both }
}

const invalid = (name: string): DomainError => new DomainError('invalid-parameter', name)

function refuse(name: string): never {
  throw invalid(name)
}
