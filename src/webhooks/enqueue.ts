/** Turns notices into callbacks whose bodies say what is true now, to be saved with the call (contract C26, C27, C32). */
import { type CallbackBody, type CallbackOptions, callCallback, legCallback } from '../contract/callback.ts'
import type { Call, Notice } from '../domain/call.ts'
import type { Leg, Subscription } from '../domain/leg.ts'
import type { CallbackRow } from '../store/outbox/rows.ts'

export interface EnqueueOptions {
  /** IANA name of the account's time zone (C5). */
  readonly timeZone: string
  /** Unique and unguessable: `[0-9a-z]`, at most 60 characters. */
  readonly newId: () => string
  readonly now: number
  /** Where callers reach the house (see `ResourceOptions`). */
  readonly publicUrl?: string
}

const BOUNDARY_PREFIX = 'earshot-'

/** One row per notice, in order; none for a notice that nobody subscribed to. */
export function callbackRows(call: Call, notices: readonly Notice[], options: EnqueueOptions): readonly CallbackRow[] {
  return notices.flatMap((notice) => {
    const { timeZone, newId, publicUrl = '' } = options
    const leg = notice.kind === 'leg' ? (call.legs.find((candidate) => candidate.id === notice.legId) ?? null) : null
    const subscription = notice.kind === 'leg' ? (leg?.subscription ?? null) : call.subscription
    if (subscription === null) return []
    const body = bodyOf(call, leg, notice, { timeZone, publicUrl, boundary: BOUNDARY_PREFIX + newId() })
    return [rowOf({ call, leg, notice, subscription, body, options })]
  })
}

function bodyOf(call: Call, leg: Leg | null, notice: Notice, options: CallbackOptions): CallbackBody {
  return leg === null ? callCallback(call, notice.event, options) : legCallback(call, leg, notice.event, options)
}

interface RowParts {
  readonly call: Call
  readonly leg: Leg | null
  readonly notice: Notice
  readonly subscription: Subscription
  readonly body: CallbackBody
  readonly options: EnqueueOptions
}

function rowOf({ call, leg, notice, subscription, body, options }: RowParts): CallbackRow {
  return {
    id: options.newId(),
    accountId: call.accountId,
    callId: call.id,
    legId: leg?.id ?? null,
    event: notice.event,
    orderKey: leg?.id ?? call.id,
    url: subscription.url,
    contentType: body.contentType,
    body: body.body,
    createdAt: options.now,
  }
}
