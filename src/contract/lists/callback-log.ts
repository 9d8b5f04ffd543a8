/**
 * The delivery log of callbacks as the API shows it: its filters, its pages, a replay. An extension, spelled like the vendor's list of
 * calls. The place in a page's address is the Sid of a callback.
 */
import {
  CALLBACK_STATES,
  type CallbackFilter,
  type CallbackPage,
  type CallbackQuery,
  type CallbackState,
  type LoggedCallback,
  type ReplayCount,
} from '../../domain/callback-log.ts'
import { DomainError } from '../../domain/errors.ts'
import type { AccountId } from '../../domain/ids.ts'
import { wireDate } from '../dates.ts'
import { type Fields, lastValue } from '../fields.ts'
import { callIdIn } from '../requests.ts'
import { asList, type ResourceOptions } from '../resources.ts'
import type { Format, WireObject } from '../xml.ts'

const DEFAULT_PAGE_SIZE = 50
const MAX_PAGE_SIZE = 100
const PAGE_SIZE = /^\d{1,3}$/
const CALLBACK_ID = /^[0-9A-Za-z]{1,64}$/
/** The addresses of other pages repeat those that were given. */
const FILTERS = ['State', 'Receiver', 'CallSid', 'PageSize'] as const

/** @throws {DomainError} invalid-parameter with the name of the first one that is wrong. */
export function callbackQueryIn(query: Fields): CallbackQuery {
  return { state: stateIn(query), receiver: receiverIn(query), callId: callIn(query), pageSize: pageSizeIn(query), start: startIn(query) }
}

/** `Receiver`, cut down to what is counted by: any address of the receiver will do. @throws {DomainError} invalid-parameter (Receiver) */
export function receiverIn(fields: Fields): string | null {
  const written = lastValue(fields, 'Receiver')
  if (written === null) return null
  const url = /^https?:\/\//i.test(written) ? URL.parse(written) : null
  if (url === null) throw invalid('Receiver')
  return url.origin
}

/** The id of a callback in a path, or null when it cannot be one. */
export const callbackIdIn = (text: string): string | null => (CALLBACK_ID.test(text) ? text : null)

export interface CallbackListOptions extends ResourceOptions {
  readonly accountId: AccountId
  /** As it was asked: the addresses of the other pages keep it. */
  readonly query: Fields
}

/** One page, the newest first. */
export function callbackList(page: CallbackPage, asked: CallbackQuery, options: CallbackListOptions): WireObject {
  const { callbacks, total, hasPrevious, hasNext } = page
  const [first, last] = [callbacks[0], callbacks.at(-1)]
  return {
    Metadata: {
      Total: total,
      PageSize: asked.pageSize,
      FirstPageUri: pageUri(options, null),
      PrevPageUri: first && hasPrevious ? pageUri(options, ['Before', first.id]) : null,
      NextPageUri: last && hasNext ? pageUri(options, ['After', last.id]) : null,
    },
    Callbacks: asList(
      options.format,
      'Callback',
      callbacks.map((callback) => callbackFields(callback, options)),
    ),
  }
}

/** One callback, with what was sent. */
export const callbackResource = (callback: LoggedCallback, options: ResourceOptions): WireObject => ({
  Callback: { ...callbackFields(callback, options), ContentType: callback.contentType, Body: callback.body },
})

/** What a replay of many has done. */
export const replayResource = ({ replayed, remaining }: ReplayCount): WireObject => ({ Replay: { Replayed: replayed, Remaining: remaining } })

function callbackFields(callback: LoggedCallback, { format, timeZone }: ResourceOptions): WireObject {
  const { id, accountId, state } = callback
  return {
    Sid: id,
    AccountSid: accountId,
    CallSid: callback.callId,
    LegSid: callback.legId,
    EventType: callback.event,
    State: state,
    StatusCallback: withoutPassword(callback.url),
    Attempts: callback.attempts,
    LastStatus: callback.lastStatus,
    LastError: callback.lastError,
    DateCreated: wireDate(callback.createdAt, timeZone),
    DateDue: state === 'pending' ? wireDate(callback.dueAt, timeZone) : null,
    DateSettled: callback.settledAt === null ? null : wireDate(callback.settledAt, timeZone),
    Uri: `${listPath(accountId)}/${id}${suffix(format)}`,
  }
}

/** Whoever may look at the log need not know how the receiver is entered. */
function withoutPassword(text: string): string {
  const url = URL.parse(text)
  if (url === null || (url.username === '' && url.password === '')) return text
  url.username = url.password = '***'
  return url.href
}

const suffix = (format: Format): string => (format === 'json' ? '.json' : '')
const listPath = (accountId: AccountId): string => `/v1/Accounts/${accountId}/Callbacks`

function pageUri({ accountId, format, query }: CallbackListOptions, cursor: readonly ['Before' | 'After', string] | null): string {
  const pairs = FILTERS.flatMap((name): [string, string][] => {
    const value = lastValue(query, name)
    return value === null ? [] : [[name, value]]
  })
  if (cursor) pairs.push([...cursor])
  const search = pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')
  return `${listPath(accountId)}${suffix(format)}${search === '' ? '' : `?${search}`}`
}

function stateIn(query: Fields): CallbackState | null {
  const written = lastValue(query, 'State')?.trim().toLowerCase()
  if (written === undefined) return null
  const known = CALLBACK_STATES.find((state) => state === written)
  if (known === undefined) throw invalid('State')
  return known
}

function callIn(query: Fields): CallbackFilter['callId'] {
  const written = lastValue(query, 'CallSid')
  const id = written === null ? null : callIdIn(written.trim())
  if (written !== null && id === null) throw invalid('CallSid')
  return id
}

function pageSizeIn(query: Fields): number {
  const written = lastValue(query, 'PageSize')
  if (written === null) return DEFAULT_PAGE_SIZE
  const size = PAGE_SIZE.test(written) ? Number(written) : 0
  if (size < 1 || size > MAX_PAGE_SIZE) throw invalid('PageSize')
  return size
}

function startIn(query: Fields): CallbackQuery['start'] {
  const [before, after] = [lastValue(query, 'Before'), lastValue(query, 'After')]
  if (before !== null && after !== null) throw invalid('Before')
  const [name, written] = before === null ? (['After', after] as const) : (['Before', before] as const)
  if (written === null) return null
  const id = callbackIdIn(written)
  if (id === null) throw invalid(name)
  return { side: name === 'Before' ? 'before' : 'after', id }
}

const invalid = (name: string): DomainError => new DomainError('invalid-parameter', name)
