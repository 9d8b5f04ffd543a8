/**
 * The SDK's types as values: for every key what may stand there. A key that is missing in one of the tables does not compile;
 * a key that the server has and the type lacks, or the reverse, fails when an answer is compared.
 */
import assert from 'node:assert/strict'
import type {
  ActiveLeg,
  Call,
  CallCallback,
  CallDetails,
  CallPage,
  CallWithDetails,
  LegAnswer,
  LegCallback,
  LegRecord,
  PartyReport,
} from '../sdk/src/resources.ts'

type Check = (value: unknown) => boolean
/** One check for each key of the type. */
export type Shape<T> = { readonly [K in keyof T]-?: Check }

const matching =
  (pattern: RegExp): Check =>
  (value) =>
    typeof value === 'string' && pattern.test(value)
const words =
  (...allowed: readonly string[]): Check =>
  (value) =>
    typeof value === 'string' && allowed.includes(value)
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value)
const orEmpty =
  (check: Check): Check =>
  (value) =>
    value === '' || check(value)
const listOf =
  <T>(shape: Shape<T>): Check =>
  (value) =>
    Array.isArray(value) && value.every((item) => faults(shape, item).length === 0)
const text: Check = (value) => typeof value === 'string'
const whole: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0

const sid = matching(/^[0-9a-z]{32}$/)
const date = matching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/)
const money = matching(/^-?\d+\.\d{3,6}$/)
const digits = matching(/^\d+$/)
const address = matching(/^(?:0\d+|\+\d+|client:.+|sip:.+)$/)
const uri = matching(/^\/v1\/Accounts\//)
const ENDS = ['completed', 'busy', 'no-answer', 'failed', 'canceled'] as const
const status = words('in-progress', ...ENDS)
const action = words('', 'listen', 'whisper', 'barge', 'hangup')
const origin = words('outbound', 'outbound-dial', 'inbound', 'monitor')
const direction = words('inbound', 'outbound-api')

const LEG = {
  Sid: sid,
  CallSid: sid,
  AccountSid: text,
  PhoneNumber: address,
  Status: status,
  Origin: origin,
  LastAction: action,
  DateCreated: date,
  DateUpdated: date,
  Uri: uri,
}
export const ACTIVE_PARTY: Shape<Omit<ActiveLeg, 'EndUserNumber'>> = LEG
export const ACTIVE_MONITOR: Shape<ActiveLeg> = { ...LEG, EndUserNumber: address }
export const LEG_ANSWER: Shape<LegAnswer> = { ...LEG, StartTime: date }
export const LEG_RECORD: Shape<LegRecord> = { ...LEG, StartTime: date, EndTime: orNull(date), OnCallDuration: digits, Price: orNull(money) }
export const CALL: Shape<Call> = {
  Sid: sid,
  ParentCallSid: orNull(sid),
  DateCreated: date,
  DateUpdated: date,
  AccountSid: text,
  To: address,
  From: address,
  PhoneNumberSid: address,
  Status: status,
  StartTime: date,
  EndTime: orNull(date),
  Duration: orNull(digits),
  Price: orNull(money),
  Direction: direction,
  AnsweredBy: orNull(text),
  ForwardedFrom: orNull(text),
  CallerName: orNull(text),
  Uri: uri,
  RecordingUrl: orNull(text),
}
const PARTY: Check = (item) =>
  faults<CallDetails['Legs'][number]>(
    { Leg: (leg) => faults<CallDetails['Legs'][number]['Leg']>({ Id: whole, OnCallDuration: whole }, leg).length === 0 },
    item,
  ).length === 0
export const DETAILS: Shape<Omit<CallDetails, 'EndReason'>> = {
  ConversationDuration: whole,
  Leg1Status: orEmpty(status),
  Leg2Status: orEmpty(status),
  Legs: (value) => Array.isArray(value) && value.every(PARTY),
}
export const LIMITED_DETAILS: Shape<CallDetails> = {
  ...DETAILS,
  EndReason: words('no-rate', 'no-balance', 'day-spend-reached', 'legs-reached', 'leg-starts-reached'),
}
export const CALL_WITH_DETAILS: Shape<CallWithDetails> = { ...CALL, Details: (value) => faults(DETAILS, value).length === 0 }
const METADATA: Shape<CallPage['Metadata']> = { Total: whole, PageSize: whole, FirstPageUri: uri, PrevPageUri: orNull(uri), NextPageUri: orNull(uri) }
export const PAGE: Shape<CallPage> = { Metadata: (value) => faults(METADATA, value).length === 0, Calls: listOf(CALL) }
export const LEG_CALLBACK: Shape<LegCallback> = {
  LegSid: sid,
  CallSid: sid,
  AccountSid: text,
  DateCreated: date,
  DateUpdated: date,
  StartTime: date,
  EndTime: orEmpty(date),
  PhoneNumber: address,
  Status: status,
  OnCallDuration: digits,
  Origin: origin,
  LastAction: action,
  CustomField: text,
  EventType: words('answered', 'terminal'),
}
const REPORT: Shape<PartyReport> = { OnCallDuration: whole, Status: words('', 'null', 'in-progress', ...ENDS), AnsweredBy: text }
export const CALL_CALLBACK: Shape<CallCallback> = {
  CallSid: sid,
  EventType: words('answered', 'terminal'),
  DateCreated: date,
  DateUpdated: date,
  Status: status,
  To: address,
  From: address,
  PhoneNumberSid: address,
  StartTime: date,
  EndTime: orEmpty(date),
  Direction: direction,
  ConversationDuration: whole,
  RecordingUrl: text,
  CustomField: text,
  Legs: listOf(REPORT),
}

/** Every key of the one is a key of the other, and every value is what the type says. */
export function assertShape<T>(shape: Shape<T>, value: T): void {
  assert.deepEqual(faults(shape, value), [], JSON.stringify(value))
}

function faults<T>(shape: Shape<T>, value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return ['it is no object']
  const checks = new Map<string, Check>(Object.entries(shape) as [string, Check][])
  return [
    ...[...checks].flatMap(([key, check]) =>
      !(key in value) ? [`${key} is missing`] : check((value as Readonly<Record<string, unknown>>)[key]) ? [] : [`${key} is something else`],
    ),
    ...Object.keys(value).flatMap((key) => (checks.has(key) ? [] : [`${key} is in no type of the SDK`])),
  ]
}
