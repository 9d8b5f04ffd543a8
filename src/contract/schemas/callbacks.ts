/** The bodies of status callbacks as schemas, in the order of `../callback.ts` (contract C26, C28, C32). */
import * as z from 'zod'
import { accountSid, callSid, date, lastAction, legSid, origin, phoneNumber, said, status } from './resources.ts'

const eventType = said(
  z.enum(['answered', 'terminal']),
  '`terminal`: it has ended, sent exactly once. `answered`: somebody has picked up.',
  'terminal',
)
const dateOrNothing = said(z.union([z.literal(''), date]), 'When it ended; empty while it lives.', '2021-02-08 19:34:53')
const customField = said(z.string().max(256), 'As it was given; empty when none was.', 'LegsCustom')
const seconds = (description: string) => said(z.int().min(0), description, 8)

/** A leg's, flat in both encodings. */
export const LEG_CALLBACK = z
  .strictObject({
    LegSid: legSid,
    CallSid: callSid,
    AccountSid: accountSid,
    DateCreated: said(date, 'When the leg was created.'),
    DateUpdated: said(date, 'When the leg was changed last.'),
    StartTime: said(date, 'The same as `DateCreated`.'),
    EndTime: dateOrNothing,
    PhoneNumber: phoneNumber,
    Status: said(status, '`in-progress` in `answered`; in `terminal` how the leg ended.', 'completed'),
    OnCallDuration: said(z.string().regex(/^\d+$/), 'Seconds from answer to end, as a text; `0` when it was never answered.', '52'),
    Origin: origin,
    LastAction: lastAction,
    CustomField: customField,
    EventType: eventType,
  })
  .meta({ description: 'What a leg’s `StatusCallback` is told.' })

const PARTY = z.strictObject({
  OnCallDuration: seconds('Seconds from answer to end.'),
  Status: said(z.enum(['', 'null', ...status.options]), 'Empty: not answered yet. The word `null`: never dialled. Else as for a leg.', 'completed'),
  AnsweredBy: said(z.enum(['NA', 'NotSure']), 'Nobody listens for machines: `NA` for the first party, `NotSure` for others.', 'NotSure'),
})

const CALL_FIELDS = {
  CallSid: callSid,
  EventType: eventType,
  DateCreated: said(date, 'When the call was created.'),
  DateUpdated: said(date, 'When the call was changed last.'),
  Status: said(status, '`in-progress` in `answered`; in `terminal` how the call ended.', 'completed'),
  To: said(phoneNumber, 'Who was called.', '09876538847'),
  From: said(phoneNumber, 'Who was dialled first.', '09876530240'),
  PhoneNumberSid: said(phoneNumber, 'Your own number in the call.', '08040404890'),
  StartTime: said(date, 'The same as `DateCreated`.'),
  EndTime: dateOrNothing,
  Direction: said(z.enum(['inbound', 'outbound-api']), 'How the call began.', 'outbound-api'),
  ConversationDuration: seconds('Seconds in which both parties were connected.'),
  RecordingUrl: said(z.string(), 'Where the recording is; empty when there is none.', ''),
  CustomField: customField,
}

/** The call's own, as JSON. */
export const CALL_CALLBACK = z
  .strictObject({ ...CALL_FIELDS, Legs: z.array(PARTY).min(2).meta({ description: 'The parties, without the supervisors.' }) })
  .meta({ description: 'What a call’s `StatusCallback` is told, as JSON.' })

const decimal = (description: string) => said(z.string().regex(/^\d+$/), description, '8')
const partyFields = (n: number) => ({
  [`Legs[${n}][OnCallDuration]`]: decimal('Seconds from answer to end.'),
  [`Legs[${n}][Status]`]: PARTY.shape.Status,
  [`Legs[${n}][AnsweredBy]`]: PARTY.shape.AnsweredBy,
})

/** The same as a form, which has neither lists nor numbers. Conferences of more than two are not made here. */
export const CALL_CALLBACK_FORM = z
  .strictObject({
    ...CALL_FIELDS,
    ConversationDuration: decimal('Seconds in which both parties were connected.'),
    ...partyFields(0),
    ...partyFields(1),
  })
  .meta({ description: 'What a call’s `StatusCallback` is told, as multipart/form-data: the list of parties is flattened.' })

/** What every delivery carries beside its body (C28, Standard Webhooks). */
export const WEBHOOK_HEADERS = z.strictObject({
  'webhook-id': said(
    z.string().min(1),
    'Names the callback: the same in every attempt, so that one who gets it twice can tell.',
    'msg_2KWPBgLlAfxdpx2AI54pPJ85f4W',
  ),
  'webhook-timestamp': said(z.string().regex(/^\d+$/), 'When this attempt was made, in seconds since 1970.', '1612793093'),
  'webhook-signature': said(
    z.string().startsWith('v1,'),
    'HMAC-SHA256 over `id.timestamp.body` with the account’s secret, in Base64 after `v1,`. Several, separated by blanks, while a secret is replaced: one that fits is enough.',
    'v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=',
  ),
})
