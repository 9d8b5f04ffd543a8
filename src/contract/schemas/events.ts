/** The stream of events as schemas: what it takes, and what the data of each event says, in the order of `../events.ts`. Always JSON. */
import * as z from 'zod'
import { MODES } from '../../domain/leg.ts'
import { sid, text } from './parameter.ts'
import { CALL, callSid, date, LEG_START, legSid, said } from './resources.ts'

/** Ours are far shorter; a longer one was never given out. */
const EVENT_ID_MAX_CHARS = 128
const EVENT_ID = 'k3v9q2m7x1c5-1842'
/** An extension of the contract's, which tells what its modes and its table of hearing are (C20, C23). */
const rule = 'C23'

/** `GET …/Events`, in the query string. */
export const EVENT_PARAMETERS = z.object({
  CallSid: sid({ description: 'Events of this call alone.', example: 'c5797dcbaaeed7678c4062a4a3ed2f8a', rule }).optional(),
  LastEventId: text(EVENT_ID_MAX_CHARS, {
    description: 'As the header `Last-Event-ID`, for who cannot send one. The header counts.',
    example: EVENT_ID,
    rule,
  }).optional(),
})

/** Browsers send it by themselves when they come back. */
export const EVENT_HEADERS = z.object({
  'Last-Event-ID': text(EVENT_ID_MAX_CHARS, {
    description: 'The `id` of the event that was heard last: what came after it is sent first.',
    example: EVENT_ID,
    rule,
  }).optional(),
})

const STATES = ['ringing', 'answered', 'ended'] as const
const state = said(z.enum(STATES), 'Whether it rings, was picked up, or is over.', 'answered')
const targetLegSid = said(legSid.nullable(), 'The leg that a supervisor coaches; null on other legs.', '11111111111111111111111111111aaa')

export const LIVE_LEG = z
  .strictObject({ ...LEG_START, State: state, TargetLegSid: targetLegSid })
  .meta({ description: 'A leg, as an event tells of it.' })

const EAR_CONTENT = {
  Hears: z.array(z.strictObject({ LegSid: legSid })).meta({ description: 'The legs that are heard.' }),
  Sounds: z
    .array(
      z.strictObject({
        Name: said(
          z.string().regex(/^(?:wait|opening|tone-\d+)$/),
          'What is played: `wait` is `WaitUrl`, `opening` is `StartPlaybackValueNew`, `tone-…` a notice tone.',
          'wait',
        ),
      }),
    )
    .meta({
      description: 'The sounds that are heard.',
    }),
}
export const EAR = z
  .union([
    z.strictObject({ LegSid: legSid, ...EAR_CONTENT }),
    z.strictObject({ Tape: said(z.enum(['tape-1', 'tape-2']), 'A channel of the recording.', 'tape-1'), ...EAR_CONTENT }),
  ])
  .meta({ description: 'An ear and all that it hears: the ear of a leg, or a channel of the recording.' })
export const HEARING = z
  .strictObject({
    CallSid: callSid,
    Ears: z.array(EAR).meta({ description: 'Each answered leg, and each channel that is recorded. What is not in the table is not heard.' }),
  })
  .meta({ description: 'Who hears whom in a call: what is so, not what was ordered.' })

const mode = z.enum(MODES)
export const CALL_EVENT = z.strictObject({ Call: CALL }).meta({ description: '`call`: it has begun, its parties can talk, or it has ended.' })
export const LEG_EVENT = z.strictObject({ Leg: LIVE_LEG }).meta({ description: '`leg`: it rings, was picked up, changed or has ended.' })
export const MODE_EVENT = z
  .strictObject({
    Mode: z.strictObject({
      CallSid: callSid,
      LegSid: legSid,
      TargetLegSid: targetLegSid,
      Action: said(mode.nullable(), 'The mode that the supervisor has now.', 'barge'),
      PreviousAction: said(mode.nullable(), 'The mode before; null for a supervisor who is new.', 'whisper'),
      State: state,
      DateUpdated: said(date, 'When it changed.'),
    }),
  })
  .meta({ description: '`mode`: a supervisor is rung, has joined or has another mode.' })
export const HEARING_EVENT = z
  .strictObject({ Hearing: HEARING })
  .meta({ description: '`hearing`: the sound has changed, for all ears of the call at once.' })
export const SNAPSHOT_EVENT = z
  .strictObject({
    Missed: said(z.enum(['true', 'false']), '`true`: more was missed than is kept, so this is a new beginning.', 'false'),
    Calls: z
      .array(
        z.strictObject({
          ...CALL.shape,
          Legs: z.array(LIVE_LEG).meta({ description: 'Those that live.' }),
          Hearing: HEARING,
        }),
      )
      .meta({ description: 'All calls that live.' }),
  })
  .meta({ description: '`snapshot`: all that lives, the first event for who is new or was away for too long.' })

/** By the name of the event. */
export const EVENT_DATA = {
  snapshot: SNAPSHOT_EVENT,
  call: CALL_EVENT,
  leg: LEG_EVENT,
  mode: MODE_EVENT,
  hearing: HEARING_EVENT,
} as const
