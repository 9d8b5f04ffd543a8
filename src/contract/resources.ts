/** Calls and legs as answers: key for key, in the vendor's order (contract C11 to C13, C16, C20, C21, C30, C31). */
import { type Call, conversationMs, parties } from '../domain/call.ts'
import { isConversation, isLive, type Leg, onCallMs } from '../domain/leg.ts'
import { callPrice, legPrice } from '../domain/account/rating.ts'
import { wireDate } from './dates.ts'
import { addressOut } from './numbers.ts'
import type { Format, WireObject } from './xml.ts'

export interface ResourceOptions {
  readonly format: Format
  /** IANA name of the account's zone. */
  readonly timeZone: string
  /** Where callers reach the house, `https://host`, without a slash at the end; without it addresses begin with the path. */
  readonly publicUrl?: string
}

/** What a single leg answers to; it decides the wrapper in JSON and what `Uri` names. */
export type LegAnswer = 'created' | 'changed' | 'hung-up'

/** The live legs of a call in order of creation (C11). */
export function activeLegs(call: Call, { format, timeZone }: ResourceOptions): WireObject {
  const legs = call.legs.filter(isLive).map((leg): WireObject => {
    const { Sid, CallSid, AccountSid, PhoneNumber, ...rest } = legFields(call, leg, timeZone)
    // The vendor's own sample has only `EndUserNumber` on a monitor leg; both serve every client.
    const endUser: WireObject = isConversation(leg) ? {} : { EndUserNumber: PhoneNumber }
    return { Sid, CallSid, AccountSid, PhoneNumber, ...endUser, ...rest, Uri: `${callPath(call)}/ActiveLegs` }
  })
  return { Legs: asList(format, 'Leg', legs) }
}

/** All legs of a call in order of creation, ended ones included (C31). There are few enough for one page. */
export function allLegs(call: Call, { format, timeZone }: ResourceOptions): WireObject {
  const legs = call.legs.map(
    (leg): WireObject => ({
      ...legFields(call, leg, timeZone),
      StartTime: wireDate(leg.createdAt, timeZone),
      EndTime: leg.state.status === 'ended' ? wireDate(leg.state.endedAt, timeZone) : null,
      OnCallDuration: String(wholeSeconds(onCallMs(leg))),
      Price: legPrice(leg),
      Uri: `${callPath(call)}/Legs`,
    }),
  )
  return { MetaData: { Total: legs.length, Count: legs.length }, legs: asList(format, 'Leg', legs) }
}

/** One leg, after it was created (C16), changed (C20) or told to hang up (C21). */
export function legResource(call: Call, leg: Leg, answer: LegAnswer, { format, timeZone }: ResourceOptions): WireObject {
  const resource: WireObject = {
    ...legFields(call, leg, timeZone),
    StartTime: wireDate(leg.createdAt, timeZone),
    Uri: answer === 'created' ? `${callPath(call)}/Legs` : `${callPath(call)}/Legs/${leg.id}`,
  }
  return { [format === 'json' && answer === 'hung-up' ? 'legs' : 'Leg']: resource }
}

/** What every answer about a leg begins with, in the vendor's order. */
export const legFields = (call: Call, leg: Leg, timeZone: string) => ({
  Sid: leg.id,
  CallSid: call.id,
  AccountSid: call.accountId,
  PhoneNumber: addressOut(leg.address),
  Status: legStatus(leg),
  Origin: leg.origin,
  LastAction: leg.lastAction,
  DateCreated: wireDate(leg.createdAt, timeZone),
  DateUpdated: wireDate(leg.updatedAt, timeZone),
})

/**
 * A call (C30, C31). `Duration` is whole seconds from the first party's answer to the end, null while the call lives.
 * `Price` is null while it lives, and without a rate plan (C33).
 * @param details What `?details=true` adds, computed up to `now` (epoch ms) while the call lives; null leaves it out.
 */
export const callResource = (call: Call, options: ResourceOptions, details: { readonly now: number } | null): WireObject => ({
  Call: callFields(call, options, details),
})

/** The same without its name, as it stands in a list. */
export function callFields(call: Call, { format, timeZone, publicUrl }: ResourceOptions, details: { readonly now: number } | null): WireObject {
  const ended = call.state.status === 'ended' ? call.state : null
  const created = wireDate(call.createdAt, timeZone)
  return {
    Sid: call.id,
    ParentCallSid: null,
    DateCreated: created,
    DateUpdated: wireDate(call.updatedAt, timeZone),
    AccountSid: call.accountId,
    To: addressOut(call.to),
    From: addressOut(call.from),
    PhoneNumberSid: accountNumber(call),
    Status: ended?.outcome ?? 'in-progress',
    StartTime: created,
    EndTime: ended ? wireDate(ended.endedAt, timeZone) : null,
    Duration: ended ? String(talkSeconds(call, ended.endedAt)) : null,
    Price: callPrice(call),
    Direction: call.direction,
    AnsweredBy: null,
    ForwardedFrom: null,
    CallerName: null,
    Uri: callUri(call, format),
    RecordingUrl: recordingUrl(call, publicUrl),
    ...(details === null ? {} : { Details: callDetails(call, ended?.endedAt ?? details.now) }),
  }
}

/** The account's own number in the call: what the dialled party saw, or what an outside caller dialled. */
export function accountNumber(call: Call): string {
  const fromOutside = call.legs[0]?.origin === 'inbound' && call.agentLegId !== call.legs[0].id
  return addressOut(fromOutside ? call.to : call.callerId)
}

/** Where the recording of an ended call is served (C30); null when it was not recorded, or still is. */
export const recordingUrl = (call: Call, publicUrl = ''): string | null =>
  call.state.status !== 'ended' || call.sound.recordedFrom === null ? null : `${publicUrl}/v1/Accounts/${call.accountId}/Recordings/${call.id}.wav`

/** A live leg is in progress from its creation, answered or not (C13). */
function legStatus(leg: Leg): string {
  return leg.state.status === 'ended' ? leg.state.cause : 'in-progress'
}

/** Durations on the wire are whole seconds, begun ones not counted. */
export const wholeSeconds = (ms: number): number => Math.floor(ms / 1000)

function callDetails(call: Call, until: number): WireObject {
  const legs = parties(call)
  const [first, second] = legs
  return {
    ConversationDuration: wholeSeconds(conversationMs(call, until)),
    Leg1Status: first ? legStatus(first) : '',
    Leg2Status: second ? legStatus(second) : '',
    ...(call.endReason === null ? {} : { EndReason: call.endReason }),
    // Unlike the other lists, this one keeps its wrapper in the vendor's JSON.
    Legs: legs.map((leg, n): WireObject => ({ Leg: { Id: n + 1, OnCallDuration: wholeSeconds(onCallMs(leg)) } })),
  }
}

function talkSeconds(call: Call, endedAt: number): number {
  const answers = call.legs
    .filter(isConversation)
    .flatMap(({ state }) => (state.status === 'ended' && state.answeredAt !== null ? [state.answeredAt] : []))
  return answers.length === 0 ? 0 : wholeSeconds(Math.max(0, endedAt - Math.min(...answers)))
}

/** A list as `xml.ts` wants it: in XML each member is an element of that name. */
export const asList = (format: Format, name: string, items: readonly WireObject[]): readonly WireObject[] =>
  format === 'json' ? items : items.map((item) => ({ [name]: item }))

const callPath = (call: Call): string => `/v1/Accounts/${call.accountId}/Calls/${call.id}`

/** The vendor puts the suffix in the middle of a call's `Uri`; the server understands it there too. */
const callUri = (call: Call, format: Format): string => (format === 'json' ? `/v1/Accounts/${call.accountId}/Calls.json/${call.id}` : callPath(call))
