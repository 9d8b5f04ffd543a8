/**
 * The delivery log of callbacks and the secret that signs them as schemas: what their routes take, in the order in which a wrong one is
 * named, and what they answer, in the order of `../lists/callback-log.ts` and `../access/callback-secret.ts`.
 */
import * as z from 'zod'
import { CALLBACK_STATES } from '../../domain/callback-log.ts'
import { byDefault, httpUrl, lastOf, metaOf, trimmedSid, whole, word } from './parameter.ts'
import { accountSid, callSid, date, legSid, listOf, pageUri, said, uri } from './resources.ts'

const DEFAULT_PAGE_SIZE = 50
const MAX_PAGE_SIZE = 100
/** For how long the old secret signs beside the new one, hours. */
const DEFAULT_KEEP_HOURS = 24
/** A month. */
const MAX_KEEP_HOURS = 720
export const CALLBACK_ID = /^[0-9A-Za-z]{1,64}$/
const SAMPLE_SID = 'b4k8z1m6q0w3e7r2t5y9u1i4o8p2a6sd'
const rule = 'C27'

const receiver = httpUrl({
  description: 'Callbacks to this receiver alone. Any address of it will do: scheme, host and port count.',
  example: 'https://crm.example.com',
  rule,
})

const place = (description: string) =>
  z
    .preprocess(lastOf, z.string().regex(CALLBACK_ID))
    .meta(metaOf({ description, example: SAMPLE_SID, rule }))
    .optional()

/** `GET …/Callbacks`, in the query string. */
export const CALLBACK_LIST_PARAMETERS = z.object({
  State: word(CALLBACK_STATES, {
    description: '`pending`: waits for its next attempt. `delivered`: was taken. `parked`: was taken by nobody, and is tried no more.',
    example: 'parked',
    rule,
  }).optional(),
  Receiver: receiver.optional(),
  CallSid: trimmedSid({ description: 'Callbacks about this call and its legs alone.', example: 'c5797dcbaaeed7678c4062a4a3ed2f8a', rule }).optional(),
  PageSize: byDefault(whole({ min: 1, max: MAX_PAGE_SIZE }, { description: 'Callbacks on a page.', example: 20, rule }), DEFAULT_PAGE_SIZE),
  Before: place('The page that ends before this callback; as it comes in `PrevPageUri`. Not together with `After`.'),
  After: place('The page that begins after this callback; as it comes in `NextPageUri`.'),
})

/** `POST …/Callbacks/Replay`. */
export const REPLAY_PARAMETERS = z.object({
  Receiver: receiver
    .meta({ ...receiver.meta(), description: 'Only what is parked for this receiver. Any address of it will do. Without it, all that is parked.' })
    .optional(),
})

/** `POST …/CallbackSecret/Rotate`. */
export const SECRET_ROTATION_PARAMETERS = z.object({
  KeepHours: byDefault(
    whole(
      { min: 0, max: MAX_KEEP_HOURS },
      { description: 'For how many hours the old secret signs beside the new one; 0 ends it at once.', example: 48, rule: 'C28' },
    ),
    DEFAULT_KEEP_HOURS,
  ),
})

export const callbackSid = said(z.string().regex(CALLBACK_ID), 'The callback: the `webhook-id` of each of its attempts.', SAMPLE_SID)

const FIELDS = {
  Sid: callbackSid,
  AccountSid: accountSid,
  CallSid: callSid,
  LegSid: said(legSid.nullable(), 'The leg that it is about; null when it is about the call.'),
  EventType: said(z.enum(['answered', 'terminal']), 'What it tells.', 'terminal'),
  State: said(z.enum(CALLBACK_STATES), 'What became of it.', 'parked'),
  StatusCallback: said(z.string().min(1), 'Where it goes; a user and password in it are not shown.', 'https://crm.example.com/earshot'),
  Attempts: said(z.int().min(0), 'How often it was sent.', 7),
  LastStatus: said(z.int().min(100).max(999).nullable(), 'The HTTP status of the last answer; null when there was none.', 503),
  LastError: said(z.string().nullable(), 'What was wrong with the last attempt; null when nothing was.', 'HTTP 503'),
  DateCreated: said(date, 'When it was made, together with what it reports.'),
  DateDue: said(date.nullable(), 'When its next attempt is due; null when there is none.', null),
  DateSettled: said(date.nullable(), 'When it was delivered or parked; null while it is pending.', '2020-12-23 01:30:40'),
  Uri: said(uri, 'The callback, in the format that was asked for.', `/v1/Accounts/exotel30m/Callbacks/${SAMPLE_SID}.json`),
}

export const CALLBACK = z.strictObject(FIELDS).meta({ description: 'A callback and what became of it.', xml: { name: 'Callback' } })
export const CALLBACK_ANSWER = z
  .strictObject({
    Callback: z
      .strictObject({
        ...FIELDS,
        ContentType: said(z.string(), 'The encoding of its body.', 'application/json'),
        Body: said(z.string(), 'What is sent.'),
      })
      .meta({ description: 'A callback, what became of it, and what is sent.' }),
  })
  .meta({ description: 'One callback, with its body.' })
export const CALLBACK_LIST_ANSWER = z
  .strictObject({
    Metadata: z.strictObject({
      Total: said(z.int().min(0), 'How many callbacks pass the filters; counted up to 10,000.', 3),
      PageSize: said(z.int().min(1).max(MAX_PAGE_SIZE), 'As it was asked for.', 50),
      FirstPageUri: said(uri, 'The first page, with the same filters, size and format.'),
      PrevPageUri: pageUri('The page before this one'),
      NextPageUri: pageUri('The page after this one'),
    }),
    Callbacks: listOf(CALLBACK, 'The newest first, without their bodies.'),
  })
  .meta({ description: 'A page of the delivery log.' })
export const REPLAY_ANSWER = z
  .strictObject({
    Replay: z.strictObject({
      Replayed: said(z.int().min(0), 'How many are sent again.', 12),
      Remaining: said(z.int().min(0), 'How many are still parked: one request makes up to 10,000 pending. Repeat it.', 0),
    }),
  })
  .meta({ description: 'What a replay has done.' })

const SECRET_FIELDS = {
  Fingerprint: said(z.string().min(1), 'The first hexadecimal digits of its SHA-256: enough to know it by.', 'a3f1c09b77de'),
  Source: said(z.enum(['data', 'configuration']), 'One of the configuration is changed there and nowhere else.', 'data'),
  DateCreated: said(date.nullable(), 'When it was made; null when nobody knows.'),
  PreviousFingerprint: said(z.string().nullable(), 'The old secret, while it signs as well; null when it does not.', null),
  PreviousUntil: said(date.nullable(), 'Until when it does; null when there is none, or only the configuration ends it.', null),
}
export const SECRET_ANSWER = z
  .strictObject({ CallbackSecret: z.strictObject(SECRET_FIELDS).meta({ description: 'The secret that signs callbacks, without the secret.' }) })
  .meta({ description: 'What callbacks are signed with.' })
export const NEW_SECRET_ANSWER = z
  .strictObject({
    CallbackSecret: z
      .strictObject({
        Secret: said(z.string().startsWith('whsec_'), 'The new secret. It is told this once.', `whsec_${'A'.repeat(43)}=`),
        ...SECRET_FIELDS,
      })
      .meta({ description: 'The secret that signs callbacks from now on.' }),
  })
  .meta({ description: 'A new secret, and the only time that it is told.' })
