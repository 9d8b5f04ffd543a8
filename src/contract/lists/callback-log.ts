/**
 * The delivery log of callbacks as the API shows it: its filters, its pages, a replay. An extension, spelled like the vendor's list of
 * calls. The place in a page's address is the Sid of a callback.
 */
import type { CallbackPage, CallbackQuery, LoggedCallback, ReplayCount } from '../../domain/callback-log.ts'
import { DomainError } from '../../domain/errors.ts'
import type { AccountId, CallId } from '../../domain/ids.ts'
import { wireDate } from '../dates.ts'
import { type Fields, lastValue } from '../fields.ts'
import { asList, type ResourceOptions } from '../resources.ts'
import { CALLBACK_ID, CALLBACK_LIST_PARAMETERS, REPLAY_PARAMETERS } from '../schemas/callback-log.ts'
import { parametersIn } from '../schemas/parameter.ts'
import type { Format, WireObject } from '../xml.ts'

/** What every other page has of its own; all else is repeated in the addresses of the other pages. */
const CURSORS: readonly string[] = ['Before', 'After']

/**
 * What a query string asks for. What its parameters may be is said in `../schemas/callback-log.ts`.
 * @throws {DomainError} invalid-parameter with the name of the first one that is wrong.
 */
export function callbackQueryIn(query: Fields): CallbackQuery {
  const asked = parametersIn(CALLBACK_LIST_PARAMETERS, query)
  return {
    state: asked.State ?? null,
    receiver: receiverOf(asked.Receiver),
    callId: (asked.CallSid as CallId | undefined) ?? null,
    pageSize: asked.PageSize,
    start: startOf(asked.Before, asked.After),
  }
}

/** `Receiver`, cut down to what is counted by: any address of the receiver will do. @throws {DomainError} invalid-parameter (Receiver) */
export const receiverIn = (fields: Fields): string | null => receiverOf(parametersIn(REPLAY_PARAMETERS, fields).Receiver)

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
  const pairs = Object.keys(CALLBACK_LIST_PARAMETERS.shape).flatMap((name): [string, string][] => {
    const value = CURSORS.includes(name) ? null : lastValue(query, name)
    return value === null ? [] : [[name, value]]
  })
  if (cursor) pairs.push([...cursor])
  const search = pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')
  return `${listPath(accountId)}${suffix(format)}${search === '' ? '' : `?${search}`}`
}

const receiverOf = (url: string | undefined): string | null => (url === undefined ? null : (URL.parse(url)?.origin ?? null))

/** Nobody stands before and after at once. */
function startOf(before: string | undefined, after: string | undefined): CallbackQuery['start'] {
  if (before !== undefined && after !== undefined) throw new DomainError('invalid-parameter', 'Before')
  if (before !== undefined) return { side: 'before', id: before }
  return after === undefined ? null : { side: 'after', id: after }
}
