/**
 * The SDK's types as values: for every key what may stand there. A key that is missing in one of the tables does not compile;
 * a key that the server has and the type lacks, or the reverse, fails when an answer is compared.
 */
import assert from 'node:assert/strict'
import type { AuditEntry, AuditLeg, AuditPage, AuditTone } from '../sdk/src/api/audit.ts'
import type { CallbackPage, CallbackRecord, CallbackSecret, CallbackWithBody, ReplayCount, RotatedSecret } from '../sdk/src/api/callbacks.ts'
import type { EarRow, HearingTable, LiveCall, LiveEvent, LiveLeg, ModeChange } from '../sdk/src/api/events.ts'
import type { CreatedKey, Key, RotatedKey } from '../sdk/src/api/keys.ts'
import type { Adjustment, AdjustmentPage, Balance, UsageReport, UsageRow, UsageSums } from '../sdk/src/api/ledger.ts'
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
const inside =
  <T>(shape: Shape<T>): Check =>
  (value) =>
    faults(shape, value).length === 0
/** A list of which each is one or the other. */
const listOfEither =
  (...checks: readonly Check[]): Check =>
  (value) =>
    Array.isArray(value) && value.every((item) => checks.some((check) => check(item)))
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

const scope = words('calls.read', 'calls.create', 'monitor.listen', 'monitor.whisper', 'monitor.barge', 'legs.hangup', 'usage.read', 'accounts.admin')
export const KEY: Shape<Key> = {
  Sid: text,
  AccountSid: text,
  Name: text,
  Scopes: listOfEither(scope),
  Agents: orNull(listOfEither(text)),
  Status: words('active', 'expired', 'revoked'),
  Source: words('database', 'configuration'),
  CreatedBy: orNull(text),
  DateCreated: orNull(date),
  DateExpires: orNull(date),
  DateRotated: orNull(date),
  DateRevoked: orNull(date),
  DateLastUsed: orNull(date),
  Uri: uri,
}
const token = matching(/^et_/)
export const CREATED_KEY: Shape<CreatedKey> = { ...KEY, Token: orNull(token) }
export const ROTATED_KEY: Shape<RotatedKey> = { ...KEY, Token: token }

const day = matching(/^\d{4}-\d\d-\d\d$/)
const currency = matching(/^[A-Z]{3}$/)
const yesOrNo = words('true', 'false')
export const USAGE_SUMS: Shape<UsageSums> = {
  Kind: words('conversation', 'monitor'),
  Legs: whole,
  Seconds: whole,
  Pulses: whole,
  Amount: money,
  Currency: orNull(currency),
}
/** Grouped by everything; a key that is not grouped by is missing in the row. */
export const USAGE_ROW: Shape<UsageRow> = { ...USAGE_SUMS, Date: day, Origin: origin, Supervisor: orNull(address) }
const usageReport = (row: Check): Shape<UsageReport> => ({
  AccountSid: text,
  StartDate: day,
  EndDate: day,
  GroupBy: text,
  Rows: listOfEither(row),
  Totals: listOf(USAGE_SUMS),
})
export const USAGE_BY_ALL = usageReport(inside(USAGE_ROW))
export const USAGE_BY_DAY = usageReport(inside<UsageSums & Pick<UsageRow, 'Date'>>({ ...USAGE_SUMS, Date: day }))
export const BALANCE: Shape<Balance> = {
  AccountSid: text,
  Currency: currency,
  Amount: money,
  Held: money,
  Available: money,
  SpentToday: money,
  Prepaid: yesOrNo,
  Floor: money,
}
export const ADJUSTMENT: Shape<Adjustment> = {
  Sid: sid,
  AccountSid: text,
  DateCreated: date,
  Amount: money,
  Currency: currency,
  Note: text,
  MadeBy: text,
}
export const ADJUSTMENT_PAGE: Shape<AdjustmentPage> = {
  Metadata: inside<AdjustmentPage['Metadata']>({ PageSize: whole, NextPageUri: orNull(uri) }),
  Adjustments: listOf(ADJUSTMENT),
}

const hash = matching(/^[0-9a-f]{64}$/)
const AUDIT_LEG: Shape<AuditLeg> = { LegSid: sid, PhoneNumber: orNull(address) }
const AUDIT_TONE: Shape<AuditTone> = { Time: date, Played: yesOrNo }
const AUDIT_ENTRY: Shape<AuditEntry> = {
  Sequence: whole,
  Kind: text,
  DateCreated: date,
  Key: orNull(text),
  CallSid: orNull(sid),
  LegSid: orNull(sid),
  Supervisor: orNull(address),
  TargetLegSid: orNull(sid),
  Mode: orNull(words('listen', 'whisper', 'barge')),
  ReasonCode: orNull(text),
  StartTime: orNull(date),
  EndTime: orNull(date),
  EndReason: orNull(matching(/^[a-z-]+$/)),
  HeardBy: listOf(AUDIT_LEG),
  Hears: listOf(AUDIT_LEG),
  Notice: orNull(text),
  Tones: listOf(AUDIT_TONE),
  PersonalData: words('kept', 'purged', 'none'),
  Details: orNull(text),
  PreviousHash: orEmpty(hash),
  Hash: hash,
}
const { Total: _, ...NEIGHBOURS } = METADATA
export const AUDIT_PAGE: Shape<AuditPage> = { Metadata: inside<AuditPage['Metadata']>(NEIGHBOURS), Audit: listOf(AUDIT_ENTRY) }

export const CALLBACK_RECORD: Shape<CallbackRecord> = {
  Sid: text,
  AccountSid: text,
  CallSid: sid,
  LegSid: orNull(sid),
  EventType: words('answered', 'terminal'),
  State: words('pending', 'delivered', 'parked'),
  StatusCallback: text,
  Attempts: whole,
  LastStatus: orNull(whole),
  LastError: orNull(text),
  DateCreated: date,
  DateDue: orNull(date),
  DateSettled: orNull(date),
  Uri: uri,
}
export const CALLBACK_WITH_BODY: Shape<CallbackWithBody> = { ...CALLBACK_RECORD, ContentType: text, Body: text }
export const CALLBACK_PAGE: Shape<CallbackPage> = { Metadata: inside<CallbackPage['Metadata']>(METADATA), Callbacks: listOf(CALLBACK_RECORD) }
export const REPLAY: Shape<ReplayCount> = { Replayed: whole, Remaining: whole }
const fingerprint = matching(/^[0-9a-f]{8,64}$/)
export const CALLBACK_SECRET: Shape<CallbackSecret> = {
  Fingerprint: fingerprint,
  Source: words('configuration', 'data'),
  DateCreated: orNull(date),
  PreviousFingerprint: orNull(fingerprint),
  PreviousUntil: orNull(date),
}
export const ROTATED_SECRET: Shape<RotatedSecret> = { ...CALLBACK_SECRET, Secret: matching(/^whsec_/) }

const state = words('ringing', 'answered', 'ended')
const { Uri: __, ...LEG_IN_EVENT } = LEG
const LIVE_LEG: Shape<LiveLeg> = { ...LEG_IN_EVENT, State: state, TargetLegSid: orNull(sid) }
const MODE: Shape<ModeChange> = {
  CallSid: sid,
  LegSid: sid,
  TargetLegSid: orNull(sid),
  Action: orNull(words('listen', 'whisper', 'barge')),
  PreviousAction: orNull(words('listen', 'whisper', 'barge')),
  State: state,
  DateUpdated: date,
}
const HEARD = { Hears: listOf<{ LegSid: string }>({ LegSid: sid }), Sounds: listOf<{ Name: string }>({ Name: text }) }
const EAR: Shape<Extract<EarRow, { LegSid: string }>> = { ...HEARD, LegSid: sid }
const TAPE: Shape<Extract<EarRow, { Tape: string }>> = { ...HEARD, Tape: text }
const HEARING: Shape<HearingTable> = { CallSid: sid, Ears: listOfEither(inside(EAR), inside(TAPE)) }
const LIVE_CALL: Shape<LiveCall> = { ...CALL, Legs: listOf(LIVE_LEG), Hearing: inside(HEARING) }
type Of<K extends LiveEvent['kind']> = Shape<Extract<LiveEvent, { kind: K }>>
const place = { id: orNull(text), kind: text }
export const EVENTS: { readonly [K in LiveEvent['kind']]: Of<K> } = {
  snapshot: { ...place, Missed: yesOrNo, Calls: listOf(LIVE_CALL) },
  call: { ...place, Call: inside(CALL) },
  leg: { ...place, Leg: inside(LIVE_LEG) },
  mode: { ...place, Mode: inside(MODE) },
  hearing: { ...place, Hearing: inside(HEARING) },
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
