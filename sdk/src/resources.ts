/**
 * What the API takes and answers, spelled as the contract spells it, so that its documents, a recorded answer and your code
 * say the same words. Dates are text in the account's time zone: `dates.ts` reads and writes them.
 */

/** How a supervisor takes part: hears everybody · is heard by the target as well · is heard by everybody. */
export type Mode = 'listen' | 'whisper' | 'barge'

/** `outbound` first party dialled, `outbound-dial` second party dialled, `inbound` the caller, `monitor` a supervisor. */
export type Origin = 'outbound' | 'outbound-dial' | 'inbound' | 'monitor'

/** How a leg or a call ended. */
export type EndStatus = 'completed' | 'busy' | 'no-answer' | 'failed' | 'canceled'

/** `in-progress` from creation, which does not mean answered. */
export type Status = 'in-progress' | EndStatus

/** What an account runs into: its rates, its balance, what it may spend in a day, its legs at a time, and those it may dial in a minute. */
export type EndReason = 'no-rate' | 'no-balance' | 'day-spend-reached' | 'legs-reached' | 'leg-starts-reached'

export type Direction = 'inbound' | 'outbound-api'

/** `terminal` comes exactly once per leg however it ended, `answered` when somebody picks up. */
export type CallbackEvent = 'terminal' | 'answered'

/** One party's connection to a call. */
export interface Leg {
  readonly Sid: string
  readonly CallSid: string
  readonly AccountSid: string
  /** Indian numbers as `0` and the national number, others as E.164; addresses (`client:name`, `sip:…`) as they were given. */
  readonly PhoneNumber: string
  readonly Status: Status
  readonly Origin: Origin
  /** Empty on a party of the conversation to whom nothing was done. */
  readonly LastAction: '' | Mode | 'hangup'
  readonly DateCreated: string
  readonly DateUpdated: string
  readonly Uri: string
}

/** A live leg as `calls.activeLegs` lists it. */
export interface ActiveLeg extends Leg {
  /** The same as `PhoneNumber`, on monitor legs only. */
  readonly EndUserNumber?: string
}

/** A leg right after it was made, changed or told to hang up. */
export interface LegAnswer extends Leg {
  /** The same as `DateCreated`; it does not move when somebody picks up. */
  readonly StartTime: string
}

/** A leg as `calls.legs` lists it, ended ones included. */
export interface LegRecord extends Leg {
  readonly StartTime: string
  /** Null while it lives. */
  readonly EndTime: string | null
  /** Whole seconds from answer to end, as text; `0` when never answered. */
  readonly OnCallDuration: string
  /** A decimal as text; null while it lives, and without a rate plan. */
  readonly Price: string | null
}

export interface Call {
  readonly Sid: string
  readonly ParentCallSid: string | null
  readonly DateCreated: string
  readonly DateUpdated: string
  readonly AccountSid: string
  readonly To: string
  readonly From: string
  /** The account's own number in the call. */
  readonly PhoneNumberSid: string
  readonly Status: Status
  readonly StartTime: string
  /** Null while the call lives. */
  readonly EndTime: string | null
  /** Whole seconds from the first answer to the end, as text; null while the call lives. */
  readonly Duration: string | null
  /** What its legs cost together, a decimal as text, e.g. `1.500`; null while the call lives, and without a rate plan. */
  readonly Price: string | null
  readonly Direction: Direction
  readonly AnsweredBy: string | null
  readonly ForwardedFrom: string | null
  readonly CallerName: string | null
  readonly Uri: string
  /** Where the recording is: `recordings.download` fetches it. Null while the call lives, and when it was not recorded. */
  readonly RecordingUrl: string | null
}

/** What `calls.get(sid, { details: true })` adds. */
export interface CallWithDetails extends Call {
  readonly Details: CallDetails
}

export interface CallDetails {
  /** Whole seconds in which two parties were connected. */
  readonly ConversationDuration: number
  readonly Leg1Status: Status | ''
  /** Empty when there is no second party. */
  readonly Leg2Status: Status | ''
  /** The limit of the account that ended the call, or kept it from going on; not there when none did. */
  readonly EndReason?: EndReason
  readonly Legs: readonly { readonly Leg: { readonly Id: number; readonly OnCallDuration: number } }[]
}

export interface CallPage {
  readonly Metadata: {
    /** Calls on all pages together. */
    readonly Total: number
    readonly PageSize: number
    readonly FirstPageUri: string
    readonly PrevPageUri: string | null
    readonly NextPageUri: string | null
  }
  readonly Calls: readonly Call[]
}

/** Where, about what and how you want to be called back. `verifyCallback` reads what comes. */
export interface CallbackParameters {
  readonly StatusCallback?: string | undefined
  /** Default `['terminal']`. */
  readonly StatusCallbackEvents?: readonly CallbackEvent[] | undefined
  /** Default `multipart/form-data`. */
  readonly StatusCallbackContentType?: 'multipart/form-data' | 'application/json' | undefined
  /** Comes back in the callbacks; at most 128 characters. */
  readonly CustomField?: string | undefined
}

/** An address is E.164, an Indian number as people write it, `client:name` (a registered phone) or `sip:user@host`. */
export interface ConnectParameters extends CallbackParameters {
  /** Dialled first: the agent. */
  readonly From: string
  /** Dialled when `From` has picked up. */
  readonly To: string
  /** Default the account's first number. */
  readonly CallerId?: string | undefined
  /** Ring limit of each leg, seconds: 1 to 60, default 30. */
  readonly TimeOut?: number | undefined
  /** Talk limit, seconds: 1 to 14400, the default. */
  readonly TimeLimit?: number | undefined
  /** What `From` hears while `To` rings: the address of a WAV file. */
  readonly WaitUrl?: string | undefined
  /** What is played before the two are connected: the address of a WAV file. */
  readonly StartPlaybackValueNew?: string | undefined
  /** Who hears it; default `Callee`. */
  readonly StartPlaybackToNew?: 'Callee' | 'Both' | undefined
  /** Whether the call is recorded; `RecordingUrl` then says where it is. A whisper is in no recording. */
  readonly Record?: boolean | undefined
  /** One channel for both parties, the default, or one for each. */
  readonly RecordingChannels?: 'single' | 'dual' | undefined
  /** How often `From` is rung again when nobody picks up: 0 to 3. */
  readonly MaxRetries?: number | undefined
}

export interface MonitorParameters extends CallbackParameters {
  readonly Action: Mode
  /** The supervisor's address. */
  readonly PhoneNumber: string
  /** Why, for the audit log: letters, digits and `. _ : / # + -`, at most 64. */
  readonly ReasonCode?: string | undefined
  /** The leg that a whisper is for; default the agent's. */
  readonly TargetLegSid?: string | undefined
  /** Default the call's. */
  readonly CallerId?: string | undefined
  /** Ring limit, seconds: 1 to 60, default 30. */
  readonly TimeOut?: number | undefined
  /** Talk limit, seconds: 1 to 14400, the default. */
  readonly TimeLimit?: number | undefined
}

/** Both ends included. */
export type Range<T> = { readonly gte?: T | undefined; readonly lte?: T | undefined } | { readonly eq: T }

/** Which calls; without `DateCreated` those of the last 31 days. All conditions must hold, of a list one. */
export interface CallFilter {
  /** At most 100. */
  readonly Sid?: string | readonly string[] | undefined
  /** In the account's zone, as `formatDate` writes them. */
  readonly DateCreated?: { readonly gte?: string | undefined; readonly lte?: string | undefined } | undefined
  /** At most 5. */
  readonly To?: string | readonly string[] | undefined
  /** At most 5. */
  readonly From?: string | readonly string[] | undefined
  /** The account's own number in the call; at most 5. */
  readonly PhoneNumber?: string | readonly string[] | undefined
  readonly Status?: Status | readonly Status[] | undefined
  /** Whole seconds. */
  readonly Duration?: Range<number> | undefined
  /** Decimals as text, e.g. `0.60`. */
  readonly Price?: Range<string> | undefined
  readonly Direction?: Direction | readonly Direction[] | undefined
  /** 1 to 100, default 50. */
  readonly PageSize?: number | undefined
  /** Default `DateCreated:desc`. */
  readonly SortBy?: 'DateCreated:asc' | 'DateCreated:desc' | undefined
}

/** The body of a leg's callback; every value is text. */
export interface LegCallback {
  readonly LegSid: string
  readonly CallSid: string
  readonly AccountSid: string
  readonly DateCreated: string
  readonly DateUpdated: string
  readonly StartTime: string
  /** Empty in `answered`. */
  readonly EndTime: string
  readonly PhoneNumber: string
  readonly Status: Status
  /** Whole seconds from answer to end, as text. */
  readonly OnCallDuration: string
  readonly Origin: Origin
  readonly LastAction: '' | Mode | 'hangup'
  readonly CustomField: string
  readonly EventType: CallbackEvent
}

/** The body of a call's own callback, the same whichever encoding it came in. */
export interface CallCallback {
  readonly CallSid: string
  readonly EventType: CallbackEvent
  readonly DateCreated: string
  readonly DateUpdated: string
  readonly Status: Status
  readonly To: string
  readonly From: string
  readonly PhoneNumberSid: string
  readonly StartTime: string
  /** Empty in `answered`. */
  readonly EndTime: string
  readonly Direction: Direction
  /** Whole seconds in which both parties talked. */
  readonly ConversationDuration: number
  /** Where the recording is; empty in `answered`, and when the call was not recorded. */
  readonly RecordingUrl: string
  readonly CustomField: string
  /** The two parties, without supervisors. */
  readonly Legs: readonly PartyReport[]
}

export interface PartyReport {
  readonly OnCallDuration: number
  /** Empty while the call lives and this party has not answered; the word `null` for one that was never dialled. */
  readonly Status: Status | '' | 'null'
  readonly AnsweredBy: string
}
