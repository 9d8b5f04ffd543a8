/**
 * What callers ask for, from their fields to commands (contract C15, C19, C20 to C22, C30). What a parameter may be is said in
 * `schemas/requests.ts`.
 *
 * Every function throws DomainError `invalid-parameter` with the vendor's name of the first parameter that is missing or wrong. All
 * parameters are looked at, also those that nothing makes use of in the request at hand.
 */
import type * as z from 'zod'
import type { ConnectCommand, MonitorCommand } from '../domain/commands.ts'
import type { CallId, LegId } from '../domain/ids.ts'
import type { CallbackContentType, CallbackEvent, Mode, Subscription } from '../domain/leg.ts'
import type { CallSound } from '../domain/sound.ts'
import type { Fields } from './fields.ts'
import { parametersIn, SID } from './schemas/parameter.ts'
import { CALL_DETAILS_PARAMETERS, CONNECT_PARAMETERS, LEG_ACTION_PARAMETERS, MONITOR_PARAMETERS, POST_HEADERS, REASON_PARAMETERS } from './schemas/requests.ts'

/** `POST …/Legs`. */
export function monitorCommand(fields: Fields): MonitorCommand {
  const asked = parametersIn(MONITOR_PARAMETERS, fields)
  return {
    mode: asked.Action,
    phone: asked.PhoneNumber,
    targetLegId: (asked.TargetLegSid ?? null) as LegId | null,
    callerId: asked.CallerId ?? null,
    ...shared(asked),
  }
}

/** `POST …/Calls/connect`. `From` is dialled first. */
export function connectCommand(fields: Fields): ConnectCommand {
  const asked = parametersIn(CONNECT_PARAMETERS, fields)
  return {
    from: asked.From,
    to: asked.To,
    callerId: asked.CallerId ?? null,
    ...shared(asked),
    sound: sound(asked),
    maxRetries: asked.MaxRetries,
  }
}

/** `PUT …/Legs/{LegSid}`: what to do with the leg. */
export const legAction = (fields: Fields): Mode | 'hangup' => parametersIn(LEG_ACTION_PARAMETERS, fields).Action

/** `ReasonCode` of `POST` and `PUT …/Legs` (an extension): why somebody monitors, for the audit. Letters, digits and `. _ : / # + -`, 64 at most. */
export const reasonCodeIn = (fields: Fields): string | null => parametersIn(REASON_PARAMETERS, fields).ReasonCode ?? null

/** `details` of `GET …/Calls/{CallSid}`. Never refused: whatever is not true is no. */
export const wantsDetails = (query: Fields): boolean => parametersIn(CALL_DETAILS_PARAMETERS, query).details ?? false

/** The id of a call in a path, or null when it cannot be one. */
export const callIdIn = (text: string): CallId | null => (SID.test(text) ? (text as CallId) : null)

/** The id of a leg in a path, or null when it cannot be one. */
export const legIdIn = (text: string): LegId | null => (SID.test(text) ? (text as LegId) : null)

/** The `Idempotency-Key` header (C19); absent or empty is null. */
export function idempotencyKeyIn(header: string | undefined): string | null {
  if (header === undefined || header === '') return null
  return parametersIn(POST_HEADERS, new Map([['Idempotency-Key', [header]]]))['Idempotency-Key'] ?? null
}

interface Shared {
  readonly TimeOut: number
  readonly TimeLimit: number
  readonly StatusCallback?: string | undefined
  readonly StatusCallbackEvents: readonly CallbackEvent[]
  readonly StatusCallbackContentType: CallbackContentType
  readonly CustomField?: string | undefined
}

const shared = (asked: Shared) => ({
  ringMs: asked.TimeOut * 1000,
  limitMs: asked.TimeLimit * 1000,
  subscription: subscription(asked),
  customField: asked.CustomField ?? null,
})

/** Who is called back, about what; without a known event it is `terminal`, for legs and calls alike. */
function subscription({ StatusCallback: url, StatusCallbackEvents: known, StatusCallbackContentType: contentType }: Shared): Subscription | null {
  return url === undefined ? null : { url, events: known.length === 0 ? ['terminal'] : known, contentType }
}

/** Of two names of one thing, the vendor's newer one counts. */
function sound(asked: z.output<typeof CONNECT_PARAMETERS>): CallSound {
  const url = asked.StartPlaybackValueNew ?? asked.StartPlaybackValue
  const to = asked.StartPlaybackToNew ?? asked.StartPlaybackTo
  return {
    waitUrl: asked.WaitUrl ?? null,
    opening: url === undefined ? null : { url, to: to === 'Both' ? 'both' : 'callee' },
    recording: asked.Record ? asked.RecordingChannels : null,
  }
}
