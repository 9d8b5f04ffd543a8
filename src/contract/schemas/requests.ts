/** What the writes of the API take (contract C15, C19, C20 to C22, C30), in the order in which a wrong one is named. */
import * as z from 'zod'
import { MODES } from '../../domain/leg.ts'
import { address, byDefault, flag, httpUrl, knownWords, lastOf, metaDefault, metaOf, sid, text, truth, whole, word } from './parameter.ts'

const RING_DEFAULT_S = 30
const RING_MAX_S = 60
/** Default and maximum of `TimeLimit`: four hours. */
const TALK_MAX_S = 14_400
/** Characters, not bytes. */
const CUSTOM_FIELD_MAX_CHARS = 128
const MAX_RETRIES = 3
/** What is taken and not looked at has a limit all the same. */
const IGNORED_MAX_CHARS = 128
const IDEMPOTENCY_KEY_MAX_CHARS = 255

const callerId = address({
  description: 'What the phone that is rung shows: one of your own numbers. Without it, that of the call, or your first number.',
  example: '08040404890',
  rule: 'C15',
})

/** What a call and a supervisor have in common, in the order in which it is looked at. */
const SHARED = {
  TimeOut: byDefault(
    whole(
      { min: 1, max: RING_MAX_S },
      { description: 'How long each phone rings, in seconds, from the creation of its leg.', example: 30, rule: 'C15' },
    ),
    RING_DEFAULT_S,
  ),
  TimeLimit: byDefault(
    whole({ min: 1, max: TALK_MAX_S }, { description: 'How long a leg lasts at most, in seconds, from its answer.', example: 3600, rule: 'C15' }),
    TALK_MAX_S,
  ),
  StatusCallbackContentType: byDefault(
    word(['multipart/form-data', 'application/json'], {
      description: 'The encoding of callbacks.',
      example: 'application/json',
      rule: 'C15',
    }),
    'multipart/form-data',
  ),
  StatusCallback: httpUrl({
    description:
      'Where callbacks are POSTed: an absolute http or https URL. A user and password in it are sent as HTTP Basic. Addresses that are not public are refused when they are dialled, unless the operator allows them.',
    example: 'https://crm.example.com/earshot',
    rule: 'C15',
  }).optional(),
  StatusCallbackEvents: byDefault(
    knownWords(['answered', 'terminal'], {
      description:
        'What is called back about. In a form, repeat the name (also as `StatusCallbackEvents[]` or `[0]`, `[1]` …). Words that are not known are ignored; without a known one it is `terminal`.',
      example: ['terminal'],
      rule: 'C15',
    }),
    ['terminal'],
  ),
  CustomField: text(CUSTOM_FIELD_MAX_CHARS, {
    description: 'Given back in callbacks as it came.',
    example: 'order 7',
    rule: 'C15',
  }).optional(),
}

/** A code, so that nobody writes a person's name into a log that keeps it. */
const REASON_CODE = /^[A-Za-z0-9._:/#+-]{1,64}$/
const reasonCode = z.preprocess(lastOf, z.string().regex(REASON_CODE)).meta(
  metaOf({
    description: 'Why somebody monitors, for the audit log: letters, digits and `. _ : / # + -`, 64 at most. An extension.',
    example: 'QA-7',
    rule: 'C15',
  }),
)

/** `POST …/Legs`. */
export const MONITOR_PARAMETERS = z.object({
  Action: word(MODES, {
    description:
      'How the supervisor takes part, in any case. `listen`: hears everybody, unheard. `whisper`: heard by the target leg alone. `barge`: heard by everybody.',
    example: 'listen',
    rule: 'C15',
  }),
  PhoneNumber: address({
    description: 'Whom to ring as supervisor: a number, `sip:user@host` or `client:name`.',
    example: '09876500001',
    rule: 'C15',
  }),
  TargetLegSid: sid({
    description: 'The leg that is coached: a live conversation leg of this call. Without it, the leg of the agent.',
    example: '23c162077629863c1a2d7f29263a162m',
    rule: 'C17',
  }).optional(),
  CallerId: callerId.optional(),
  ...SHARED,
  ReasonCode: reasonCode.optional(),
})

/** `PUT …/Legs/{LegSid}`. */
export const LEG_ACTION_PARAMETERS = z.object({
  Action: word([...MODES, 'hangup'], {
    description: 'The mode that a monitor leg changes to, or `hangup` for any live leg of the call; in any case. `action` is read as `Action`.',
    example: 'whisper',
    rule: 'C20',
  }),
  ReasonCode: reasonCode.optional(),
})

/** What `POST` and `PUT …/Legs` have in common. */
export const REASON_PARAMETERS = z.object({ ReasonCode: reasonCode.optional() })

const playbackTo = word(['Callee', 'Both'], { description: 'The older name of `StartPlaybackToNew`.', example: 'Callee', rule: 'C30' })
const playbackValue = httpUrl({
  description: 'The older name of `StartPlaybackValueNew`.',
  example: 'https://crm.example.com/welcome.wav',
  rule: 'C30',
})

/** What is heard and recorded of a call, and how often the first party is rung. */
const SOUND = {
  WaitUrl: httpUrl({
    description: 'What `From` hears while `To` rings, over and over: the URL of a WAV file, up to 4 MiB. One that cannot be had is silence.',
    example: 'https://crm.example.com/hold.wav',
    rule: 'C30',
  }).optional(),
  StartPlaybackToNew: playbackTo
    .meta({
      ...playbackTo.meta(),
      description: 'Who hears what `StartPlaybackValueNew` names: `Callee`, the one who is called second, or `Both`.',
      ...metaDefault('Callee'),
    })
    .optional(),
  StartPlaybackTo: playbackTo.optional(),
  StartPlaybackValueNew: playbackValue
    .meta({
      ...playbackValue.meta(),
      description: 'What is played before the two can talk: the URL of a WAV file, up to 4 MiB. One that cannot be had is left out.',
    })
    .optional(),
  StartPlaybackValue: playbackValue.optional(),
  Record: byDefault(
    truth({
      description:
        'Whether the conversation is recorded, from when both can talk; it is served at `RecordingUrl` when the call has ended. Never unless it is asked for, where the vendor records by default.',
      example: true,
      rule: 'C30',
    }),
    false,
  ),
  RecordingChannels: byDefault(
    word(['single', 'dual'], {
      description: 'One channel for all, or one for each party, whoever barges in being on the first. Whispers are on none.',
      example: 'dual',
      rule: 'C30',
    }),
    'single',
  ),
  RecordingFormat: byDefault(
    word(['wav', 'mp3', 'mp3-hq'], {
      description: 'Taken for the sake of older clients: a recording is WAV whatever this says.',
      example: 'wav',
      rule: 'C30',
    }),
    'wav',
  ),
  MaxRetries: byDefault(
    whole(
      { min: 0, max: MAX_RETRIES },
      {
        description:
          'How often `From` is rung again when it was busy, did not answer or could not be reached; each time is a leg of its own. The vendor rings 3 times more by default; here it is asked for.',
        example: 1,
        rule: 'C30',
      },
    ),
    0,
  ),
  CallType: text(IGNORED_MAX_CHARS, {
    description: 'The vendor’s clients send `trans` or `promo`; it means nothing here.',
    example: 'trans',
    rule: 'C30',
  }).optional(),
}

/** `POST …/Calls/connect`. */
export const CONNECT_PARAMETERS = z.object({
  From: address({ description: 'Who is rung first, the agent: a number, `sip:user@host` or `client:name`.', example: '09876530240', rule: 'C30' }),
  To: address({ description: 'Who is rung when `From` has answered.', example: '09876538847', rule: 'C30' }),
  CallerId: callerId.optional(),
  ...SHARED,
  ...SOUND,
})

/** `details` of an address that shows a call; what it adds differs. */
export const detailsParameters = (description: string) =>
  z.object({ details: flag({ description, example: true, rule: 'C31' }).optional().meta(metaDefault(false)) })

/** `GET …/Calls/{CallSid}`, in the query string. */
export const CALL_DETAILS_PARAMETERS = detailsParameters('Adds `Details`: the status of both parties and how long they were connected.')

/** Headers that POST takes. */
export const POST_HEADERS = z.object({
  'Idempotency-Key': text(IDEMPOTENCY_KEY_MAX_CHARS, {
    description:
      'Makes a repeated POST give the first answer for 24 hours, and dial once. Up to 255 visible ASCII characters; with another request the same key is 409.',
    example: 'order-7-attempt-1',
    rule: 'C19',
  })
    .refine((key) => /^[\x21-\x7e]+$/.test(key))
    .optional(),
})
