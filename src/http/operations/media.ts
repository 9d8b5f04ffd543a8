/** What the routes whose answers are neither XML nor JSON say about themselves: recordings, and the stream of events. */
import * as z from 'zod'
import { hearingEvent, modeEvent, snapshotEvent } from '../../contract/events.ts'
import { EVENT_DATA, EVENT_HEADERS, EVENT_PARAMETERS } from '../../contract/schemas/events.ts'
import { text } from '../../contract/schemas/parameter.ts'
import type { WireObject } from '../../contract/xml.ts'
import { hearing } from '../../domain/hearing.ts'
import type { Operation } from './operation.ts'
import { SAMPLE_CALLS, SAMPLE_REQUESTS, SAMPLE_URL, SAMPLE_ZONE, supervisorOf } from './samples.ts'

const RANGE_MAX_CHARS = 100
const SIZE = { 'Content-Length': 'Bytes of this answer.' }
const PART = { 'Content-Range': 'Which bytes these are, and how many the file has.' }

export const GET_RECORDING: Operation = {
  id: 'getRecording',
  tag: 'Recordings',
  summary: 'Hear a recording',
  description:
    'The conversation of an ended call as WAV, at its `RecordingUrl`; `.wav` may stand behind the sid. One channel, or one for each party: whoever barged in is on the first. A call that still lives has none yet.',
  rules: ['C30'],
  query: null,
  body: null,
  headers: z.object({
    Range: text(RANGE_MAX_CHARS, {
      description: 'One range of bytes. What it says otherwise is answered with the whole file.',
      example: 'bytes=0-65535',
      rule: 'C30',
    }).optional(),
  }),
  idempotent: false,
  answers: [
    {
      kind: 'media',
      title: 'The whole recording',
      mediaType: 'audio/wav',
      example: null,
      headers: { ...SIZE, 'Accept-Ranges': 'Always `bytes`.' },
      others: {
        206: { description: 'The bytes that were asked for.', headers: { ...SIZE, ...PART } },
        416: { description: 'The file has none of the bytes that were asked for; nothing is sent.', headers: PART },
      },
      events: {},
    },
  ],
  errors: ['recording-not-found'],
  callback: null,
}

const { barged } = SAMPLE_CALLS
const options = { timeZone: SAMPLE_ZONE, publicUrl: SAMPLE_URL }
const table = hearing(barged.legs, barged.sound)

/** What an event of each kind says, but for those that tell what `snapshot` tells too. */
const SAMPLES: readonly (readonly [string, WireObject])[] = [
  ['snapshot', snapshotEvent([{ call: barged, table }], false, options)],
  ['mode', modeEvent(barged, supervisorOf(barged), 'whisper', options)],
  ['hearing', hearingEvent(barged, table)],
]

export const FOLLOW_EVENTS: Operation = {
  id: 'followEvents',
  tag: 'Events',
  summary: 'Follow what happens',
  description:
    'Server-sent events that never end: first `snapshot`, then `call`, `leg`, `mode` and `hearing` as they happen, those of one call in their order. Data are JSON, whatever the path. Come back with the last `id` and nothing is missed; after too long a time you get a new `snapshot` with `Missed`. A comment comes every 15 seconds. A key that is revoked, and a reader that is too slow, are cut off; 200 streams of an account may be open.',
  rules: ['C20', 'C23', 'C24'],
  query: { parameters: EVENT_PARAMETERS, example: SAMPLE_REQUESTS.events },
  body: null,
  headers: EVENT_HEADERS,
  idempotent: false,
  answers: [
    {
      kind: 'media',
      title: 'The stream',
      mediaType: 'text/event-stream',
      example: SAMPLES.map(([event, data], n) => `id: k3v9q2m7x1c5-${1840 + n}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`).join(''),
      headers: { 'Cache-Control': 'Always `no-store`.' },
      others: {},
      events: EVENT_DATA,
    },
  ],
  errors: [],
  callback: null,
}
