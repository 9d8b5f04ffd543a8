/**
 * Calls and legs as schemas of answers, key for key in the order of `../resources.ts` (contract C11 to C13, C16, C20, C21, C30, C31).
 *
 * The tests hold every answer of the server against these, strictly; nothing is checked when the server runs. In XML the names are
 * the same, null is an empty element, and a list is an element around its members (C4): the `xml` hints say what those are called.
 */
import * as z from 'zod'
import { LIMITS } from '../../domain/errors.ts'
import { MODES } from '../../domain/leg.ts'

/** A schema with words of its own for one place. */
export const said = <S extends z.ZodType>(schema: S, description: string, example?: string | number | null): S =>
  schema.meta({ ...schema.meta(), description, ...(example === undefined ? {} : { examples: [example] }) })

/** 32 of `[0-9a-z]`, unguessable (C6). */
const sid = z.string().regex(/^[0-9a-z]{32}$/)
export const callSid = said(sid, 'The call. Opaque: 32 characters that mean nothing.', 'c5797dcbaaeed7678c4062a4a3ed2f8a')
export const legSid = said(sid, 'The leg. Opaque: 32 characters that mean nothing.', '33333333333333333333333333333ccc')
export const accountSid = said(z.string().min(1), 'The account: its name.', 'exotel30m')
/** `YYYY-MM-DD HH:mm:ss` in the account's zone (C5). */
export const date = said(
  z.string().regex(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/),
  'When, in the account’s time zone, which is not written.',
  '2020-12-22 17:57:40',
)
/** A number as it goes out (C7). */
export const phoneNumber = said(
  z.string().min(1).max(255),
  'Whom: `0` and the national number for India, `+` and all digits elsewhere, `sip:` and `client:` as they were given.',
  '09876500001',
)
const seconds = z.string().regex(/^\d+$/)
const END_CAUSES = ['completed', 'busy', 'no-answer', 'failed', 'canceled'] as const
export const status = said(
  z.enum(['in-progress', ...END_CAUSES]),
  '`in-progress` from the beginning, answered or not. Ended: `completed` when it was answered, else why it was not.',
  'in-progress',
)
export const origin = said(
  z.enum(['outbound', 'outbound-dial', 'inbound', 'monitor']),
  '`outbound`: the party that was dialled first; `outbound-dial`: the second one; `inbound`: the caller; `monitor`: a supervisor.',
  'monitor',
)
export const lastAction = said(
  z.enum(['', ...MODES, 'hangup']),
  'On a supervisor’s leg the mode, or `hangup`; empty on other legs until they are hung up.',
  'barge',
)
const price = z.string().regex(/^\d+\.\d{3,6}$/)
export const uri = z.string().startsWith('/v1/Accounts/')

/** What every answer about a leg begins with. */
const BEFORE = { Sid: legSid, CallSid: callSid, AccountSid: accountSid, PhoneNumber: phoneNumber }
const AFTER = {
  Status: status,
  Origin: origin,
  LastAction: lastAction,
  DateCreated: said(date, 'When the leg was created.'),
  DateUpdated: said(date, 'When the leg was changed last.'),
}
/** What an event about a leg says too, and nothing of an address. */
export const LEG_START = { ...BEFORE, ...AFTER }
const startTime = said(date, 'The same as `DateCreated`; it does not move when the leg is answered.')

export const ACTIVE_LEG = z
  .strictObject({
    ...BEFORE,
    EndUserNumber: said(phoneNumber, 'Only on a supervisor’s leg, where it equals `PhoneNumber`.').optional(),
    ...AFTER,
    Status: said(z.literal('in-progress'), 'A live leg is in progress from its creation, answered or not.', 'in-progress'),
    Uri: said(uri, 'The list that this leg is in.', '/v1/Accounts/exotel30m/Calls/c5797dcbaaeed7678c4062a4a3ed2f8a/ActiveLegs'),
  })
  .refine((leg) => leg.EndUserNumber === (leg.Origin === 'monitor' ? leg.PhoneNumber : undefined), 'EndUserNumber is on monitor legs')
  .meta({ description: 'A leg that is live.', xml: { name: 'Leg' } })

export const LEG = z
  .strictObject({
    ...BEFORE,
    ...AFTER,
    StartTime: startTime,
    Uri: said(
      uri,
      'Where the leg was created, or the leg itself after it was changed.',
      '/v1/Accounts/exotel30m/Calls/c5797dcbaaeed7678c4062a4a3ed2f8a/Legs/33333333333333333333333333333ccc',
    ),
  })
  .meta({ description: 'One leg, after it was created, changed or told to hang up.', xml: { name: 'Leg' } })

export const LEG_RECORD = z
  .strictObject({
    ...BEFORE,
    ...AFTER,
    StartTime: startTime,
    EndTime: said(date.nullable(), 'When the leg ended; null while it lives.', '2020-12-22 17:58:53'),
    OnCallDuration: said(seconds, 'Seconds from answer to end; `0` when it was never answered, and while it lives.', '52'),
    Price: said(price.nullable(), 'What it cost, a decimal; null while it lives, and without a rate plan.', '0.500'),
    Uri: said(uri, 'The list that this leg is in.', '/v1/Accounts/exotel30m/Calls/c5797dcbaaeed7678c4062a4a3ed2f8a/Legs'),
  })
  .meta({ description: 'A leg, live or ended.', xml: { name: 'Leg' } })

export const CALL_DETAILS = z
  .strictObject({
    ConversationDuration: said(z.int().min(0), 'Seconds in which both parties were connected.', 8),
    Leg1Status: said(z.enum(['', ...status.options]), 'The first party; empty when there is none.', 'completed'),
    Leg2Status: said(z.enum(['', ...status.options]), 'The second party; empty when there is none.', 'completed'),
    EndReason: said(
      z.enum(LIMITS),
      'The limit that has ended the call, or kept it from its second party; not there otherwise.',
      'no-balance',
    ).optional(),
    Legs: z
      .array(
        z.strictObject({
          Leg: z.strictObject({
            Id: said(z.int().min(1), 'The first party is 1, the second 2.', 1),
            OnCallDuration: said(z.int().min(0), 'Seconds from answer to end.', 21),
          }),
        }),
      )
      .meta({ description: 'The parties; in JSON too each one has its name around it.' }),
  })
  .meta({ description: 'What `details=true` adds.' })

export const CALL = z
  .strictObject({
    Sid: callSid,
    ParentCallSid: said(z.null(), 'Always null.'),
    DateCreated: said(date, 'When the call was created.'),
    DateUpdated: said(date, 'When the call or one of its legs was changed last.'),
    AccountSid: accountSid,
    To: said(phoneNumber, 'Who was called.', '09876538847'),
    From: said(phoneNumber, 'Who was dialled first, or called.', '09876530240'),
    PhoneNumberSid: said(phoneNumber, 'Your own number in the call.', '08040404890'),
    Status: status,
    StartTime: said(date, 'The same as `DateCreated`.'),
    EndTime: said(date.nullable(), 'When the call ended; null while it lives.', '2017-03-03 10:49:50'),
    Duration: said(seconds.nullable(), 'Seconds from the first party’s answer to the end; null while it lives.', '21'),
    Price: said(price.nullable(), 'What its legs cost together, a decimal; null while the call lives, and without a rate plan.', '1.500'),
    Direction: said(z.enum(['inbound', 'outbound-api']), '`outbound-api`: made by this API.', 'outbound-api'),
    AnsweredBy: said(z.null(), 'Always null.'),
    ForwardedFrom: said(z.null(), 'Always null.'),
    CallerName: said(z.null(), 'Always null.'),
    Uri: said(
      uri,
      'The call. In JSON the suffix stands in the middle, as the vendor has it; it can be followed.',
      '/v1/Accounts/exotel30m/Calls.json/c5797dcbaaeed7678c4062a4a3ed2f8a',
    ),
    RecordingUrl: said(
      z.string().min(1).nullable(),
      'Where the recording is, asked for with a key; null when there is none, and while the call lives.',
      null,
    ),
    Details: CALL_DETAILS.optional(),
  })
  .meta({ description: 'A call.', xml: { name: 'Call' } })

/** A list whose members have names of their own in XML. */
export const listOf = <S extends z.ZodType>(member: S, description: string) => z.array(member).meta({ description, xml: { wrapped: true } })
export const pageUri = (which: string) => said(uri.nullable(), `${which}, with the same filters, size, order and format; null where there is none.`)

export const CALL_ANSWER = z.strictObject({ Call: CALL }).meta({ description: 'One call.' })
export const LEG_ANSWER = z.strictObject({ Leg: LEG }).meta({ description: 'One leg.' })
export const HANG_UP_ANSWER = z
  .strictObject({ legs: LEG })
  .meta({ description: 'The leg that was told to hang up, under the name that the vendor’s clients read in JSON. In XML it is `Leg`.' })
export const ACTIVE_LEGS_ANSWER = z
  .strictObject({ Legs: listOf(ACTIVE_LEG, 'In the order in which they were created.') })
  .meta({ description: 'The live legs of a call.' })
export const ALL_LEGS_ANSWER = z
  .strictObject({
    MetaData: z.strictObject({
      Total: said(z.int().min(0), 'How many legs there are.', 3),
      Count: said(z.int().min(0), 'How many of them are here: all.', 3),
    }),
    legs: listOf(LEG_RECORD, 'In the order in which they were created.'),
  })
  .meta({ description: 'All legs of a call.' })
export const CALL_LIST_ANSWER = z
  .strictObject({
    Metadata: z.strictObject({
      Total: said(z.int().min(0), 'How many calls pass the filters, on all pages together.', 1027),
      PageSize: said(z.int().min(1).max(100), 'As it was asked for.', 20),
      FirstPageUri: said(uri, 'The first page, with the same filters, size, order and format.'),
      PrevPageUri: pageUri('The page before this one'),
      NextPageUri: pageUri('The page after this one'),
    }),
    Calls: listOf(CALL, 'A page of calls.'),
  })
  .meta({ description: 'A page of the list of calls.' })
