/**
 * The bodies of status callbacks: a leg's (contract C26) and the call's own (C32), in both encodings.
 *
 * The call's callback always has the extended keys. The vendor sends only four of them when no event list was given; the
 * others are additions that its clients ignore, and one shape is easier to rely on than two.
 */
import { type Call, conversationMs, parties } from '../domain/call.ts'
import { type CallbackContentType, type CallbackEvent, type Leg, onCallMs } from '../domain/leg.ts'
import { wireDate } from './dates.ts'
import { addressOut } from './numbers.ts'
import { accountNumber, recordingUrl, wholeSeconds } from './resources.ts'

export interface CallbackOptions {
  /** IANA name of the account's zone. */
  readonly timeZone: string
  /** Separates the parts of a multipart body: `[A-Za-z0-9-]`, unguessable, 16 to 70 characters. */
  readonly boundary: string
  /** As in `ResourceOptions`. */
  readonly publicUrl?: string
}

export interface CallbackBody {
  /** For the `Content-Type` header, with the boundary where one is needed. */
  readonly contentType: string
  readonly body: string
}

type Scalar = string | number
type Fields = Readonly<Record<string, Scalar | readonly Readonly<Record<string, Scalar>>[]>>

/** The vendor's words for the first party, of whom it is not asked, and for one that nobody listened to. */
const ANSWERED_BY = { first: 'NA', others: 'NotSure' } as const
/** What the vendor writes for a party that was never dialled: these four letters. */
const NOT_ATTEMPTED = 'null'
const PARTIES = 2

/** One leg: every value is a string, and a leg without a `CustomField` or an end sends it empty. */
export function legCallback(call: Call, leg: Leg, event: CallbackEvent, options: CallbackOptions): CallbackBody {
  const date = (epochMs: number): string => wireDate(epochMs, options.timeZone)
  const { state } = leg
  const ended = event === 'terminal' && state.status === 'ended' ? state : null
  const fields: Fields = {
    LegSid: leg.id,
    CallSid: call.id,
    AccountSid: call.accountId,
    DateCreated: date(leg.createdAt),
    DateUpdated: date(leg.updatedAt),
    StartTime: date(leg.createdAt),
    EndTime: ended === null ? '' : date(ended.endedAt),
    PhoneNumber: addressOut(leg.address),
    Status: ended === null ? 'in-progress' : ended.cause,
    OnCallDuration: String(ended === null ? 0 : wholeSeconds(onCallMs(leg))),
    Origin: leg.origin,
    LastAction: leg.lastAction,
    CustomField: leg.customField ?? '',
    EventType: event,
  }
  return encode(fields, leg.subscription?.contentType ?? 'multipart/form-data', options.boundary)
}

/** The call as a whole: durations are whole numbers here, and `Legs` are the two parties without the supervisors. */
export function callCallback(call: Call, event: CallbackEvent, options: CallbackOptions): CallbackBody {
  const date = (epochMs: number): string => wireDate(epochMs, options.timeZone)
  const ended = event === 'terminal' && call.state.status === 'ended' ? call.state : null
  const fields: Fields = {
    CallSid: call.id,
    EventType: event,
    DateCreated: date(call.createdAt),
    DateUpdated: date(call.updatedAt),
    Status: ended === null ? 'in-progress' : ended.outcome,
    To: addressOut(call.to),
    From: addressOut(call.from),
    PhoneNumberSid: accountNumber(call),
    StartTime: date(call.createdAt),
    EndTime: ended === null ? '' : date(ended.endedAt),
    Direction: call.direction,
    ConversationDuration: ended === null ? 0 : wholeSeconds(conversationMs(call, ended.endedAt)),
    RecordingUrl: (ended === null ? null : recordingUrl(call, options.publicUrl)) ?? '',
    CustomField: call.customField ?? '',
    Legs: partiesOf(call, event),
  }
  return encode(fields, call.subscription?.contentType ?? 'multipart/form-data', options.boundary)
}

function partiesOf(call: Call, event: CallbackEvent): readonly Readonly<Record<string, Scalar>>[] {
  const legs = parties(call)
  return Array.from({ length: Math.max(PARTIES, legs.length) }, (_, n) => {
    const leg = legs[n]
    return {
      OnCallDuration: leg ? wholeSeconds(onCallMs(leg)) : 0,
      Status: partyStatus(leg, event),
      AnsweredBy: n === 0 ? ANSWERED_BY.first : ANSWERED_BY.others,
    }
  })
}

/** While the call lives, a party that has not answered has no status at all; afterwards one that was never dialled is `null`. */
function partyStatus(leg: Leg | undefined, event: CallbackEvent): string {
  if (!leg) return event === 'terminal' ? NOT_ATTEMPTED : ''
  switch (leg.state.status) {
    case 'ringing':
      return ''
    case 'answered':
      return 'in-progress'
    case 'ended':
      return leg.state.cause
  }
}

function encode(fields: Fields, contentType: CallbackContentType, boundary: string): CallbackBody {
  switch (contentType) {
    case 'application/json':
      return { contentType, body: JSON.stringify(fields) }
    case 'multipart/form-data':
      return { contentType: `multipart/form-data; boundary=${boundary}`, body: multipart(flattened(fields), boundary) }
  }
}

/** `Legs` becomes `Legs[0][Status]` and so on: a form has no lists. */
function flattened(fields: Fields): readonly (readonly [string, Scalar])[] {
  return Object.entries(fields).flatMap(([name, value]): (readonly [string, Scalar])[] => {
    if (typeof value === 'string' || typeof value === 'number') return [[name, value]]
    return value.flatMap((item, n) => Object.entries(item).map(([key, scalar]) => [`${name}[${n}][${key}]`, scalar] as const))
  })
}

/** RFC 7578. Names are constants of this file, so they need no escaping; a value cannot contain an unguessable boundary. */
function multipart(fields: readonly (readonly [string, Scalar])[], boundary: string): string {
  const parts = fields.map(([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`)
  return `${parts.join('')}--${boundary}--\r\n`
}
