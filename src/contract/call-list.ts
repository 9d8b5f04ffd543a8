/**
 * The list of calls: its filters, its order, its pages (contract C31).
 *
 * A cursor is the place of one call in the order of creation. Whatever is added meanwhile, the pages that follow it begin
 * right there, so that nothing is shown twice or left out.
 */
import type * as z from 'zod'
import type { Call } from '../domain/call.ts'
import type { Bounds, CallPage, CallQuery, PageStart } from '../domain/call-query.ts'
import { DomainError } from '../domain/errors.ts'
import type { AccountId, CallId } from '../domain/ids.ts'
import { momentsOf, wireDate } from './dates.ts'
import { type Fields, lastValue } from './fields.ts'
import { asList, callFields, type ResourceOptions } from './resources.ts'
import { CALL_LIST_PARAMETERS, cursorOf, type DIRECTION_WORDS, type STATUS_WORDS } from './schemas/call-list.ts'
import { parametersIn } from './schemas/parameter.ts'
import type { WireObject } from './xml.ts'

const DEFAULT_WINDOW_MS = 31 * 24 * 3_600_000
/** What every other page has of its own; all else is repeated in the addresses of the other pages, in the vendor's order. */
const CURSORS: readonly string[] = ['Before', 'After']

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
} as const satisfies Readonly<Record<(typeof STATUS_WORDS)[number], string | null>>
/** Likewise `outbound-dial`, a call that was begun on the vendor's dashboard. */
const DIRECTIONS = {
  inbound: 'inbound',
  'outbound-api': 'outbound-api',
  'outbound-dial': null,
} as const satisfies Readonly<Record<(typeof DIRECTION_WORDS)[number], string | null>>

/**
 * What a query string asks for. What its parameters may be is said in `schemas/call-list.ts`.
 * @throws {DomainError} invalid-parameter with the name of the first one that is wrong, in the order of the vendor's table.
 */
export function callQueryIn(query: Fields, { timeZone, now }: { readonly timeZone: string; readonly now: number }): CallQuery {
  const asked = parametersIn(CALL_LIST_PARAMETERS, query)
  return {
    ids: (asked.Sid as readonly CallId[] | undefined) ?? null,
    ...creation(asked.DateCreated, timeZone, now),
    to: asked.To ?? null,
    from: asked.From ?? null,
    ownNumbers: asked.PhoneNumber ?? null,
    statuses: asked.Status?.flatMap((word) => STATUSES[word] ?? []) ?? null,
    durationS: asked.Duration ?? null,
    price: asked.Price ?? null,
    directions: asked.Direction?.flatMap((word) => DIRECTIONS[word] ?? []) ?? null,
    pageSize: asked.PageSize,
    order: asked.SortBy === 'DateCreated:asc' ? 'asc' : 'desc',
    start: start(asked),
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
  for (const name of Object.keys(CALL_LIST_PARAMETERS.shape)) {
    if (CURSORS.includes(name)) continue
    const value = lastValue(query, name)
    if (value !== null) pairs.push([name, value])
    else if (name === 'DateCreated' && cursor && asked.createdFrom !== null) pairs.push([name, `gte:${wireDate(asked.createdFrom, timeZone)}`])
  }
  if (cursor) pairs.push([cursor[0], cursorOf(cursor[1])])
  const search = pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')
  return `/v1/Accounts/${accountId}/Calls${format === 'json' ? '.json' : ''}${search === '' ? '' : `?${search}`}`
}

/** Nobody stands before and after at once. */
function start({ Before: before, After: after }: z.output<typeof CALL_LIST_PARAMETERS>): PageStart | null {
  if (before && after) throw new DomainError('invalid-parameter', 'Before')
  if (before) return { side: 'before', ...before }
  return after ? { side: 'after', ...after } : null
}

/** An end that names a second means all of it, as a date on the wire does: its fractions are cut off. */
function creation(dates: Bounds<string> | undefined, timeZone: string, now: number): Pick<CallQuery, 'createdFrom' | 'createdBefore'> {
  if (dates) {
    const { min, max } = dates
    return {
      createdFrom: min === null ? null : (momentsOf(min, timeZone)?.from ?? null),
      createdBefore: max === null ? null : (momentsOf(max, timeZone)?.until ?? null),
    }
  }
  const from = now - DEFAULT_WINDOW_MS
  return { createdFrom: from - (from % 1000), createdBefore: null }
}
