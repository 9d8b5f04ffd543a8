/** What the routes about the delivery log of callbacks, and about the secret that signs them, say about themselves. */
import { secretResource } from '../../contract/access/callback-secret.ts'
import { callbackList, callbackQueryIn, callbackResource, replayResource } from '../../contract/lists/callback-log.ts'
import { fieldsFromPairs } from '../../contract/fields.ts'
import {
  CALLBACK_ANSWER,
  CALLBACK_LIST_ANSWER,
  CALLBACK_LIST_PARAMETERS,
  NEW_SECRET_ANSWER,
  REPLAY_ANSWER,
  REPLAY_PARAMETERS,
  SECRET_ANSWER,
  SECRET_ROTATION_PARAMETERS,
} from '../../contract/schemas/callback-log.ts'
import type { LoggedCallback } from '../../domain/callback-log.ts'
import type { CallId, LegId } from '../../domain/ids.ts'
import { type Operation, resource } from './operation.ts'
import {
  SAMPLE_ACCOUNT,
  SAMPLE_CALL_SID,
  SAMPLE_CALLBACK_SID,
  SAMPLE_CALLBACKS,
  SAMPLE_LEG_SID,
  SAMPLE_REQUESTS,
  SAMPLE_ZONE,
  sampleOptions,
} from './samples.ts'

const NOON = Date.UTC(2020, 11, 22, 12)
const HOUR_MS = 3_600_000

const parked: LoggedCallback = {
  id: SAMPLE_CALLBACK_SID,
  accountId: SAMPLE_ACCOUNT,
  callId: SAMPLE_CALL_SID as CallId,
  legId: SAMPLE_LEG_SID as LegId,
  event: 'terminal',
  url: SAMPLE_REQUESTS.monitor.StatusCallback,
  receiver: new URL(SAMPLE_REQUESTS.monitor.StatusCallback).origin,
  contentType: 'application/json',
  body: JSON.stringify(SAMPLE_CALLBACKS.leg),
  createdAt: NOON,
  state: 'parked',
  attempts: 7,
  lastStatus: 503,
  lastError: 'HTTP 503',
  dueAt: NOON + 8 * HOUR_MS,
  settledAt: NOON + 8 * HOUR_MS,
}
const pending: LoggedCallback = { ...parked, state: 'pending', dueAt: NOON + 9 * HOUR_MS, settledAt: null }
const mark = { source: 'data', current: { fingerprint: 'a3f1c09b77de', madeAt: NOON } } as const
const SECRET = `whsec_${'MDEyMzQ1Njc4OWFiY2RlZg'.repeat(2).slice(0, 43)}=`

const NOTHING_TAKEN = { query: null, body: null, headers: null, idempotent: false, callback: null } as const

export const LIST_CALLBACKS: Operation = {
  ...NOTHING_TAKEN,
  id: 'listCallbacks',
  tag: 'Callbacks',
  summary: 'List callbacks',
  description: 'What became of each, the newest first, a page at a time; without what was sent. All filters that are given must hold.',
  rules: ['C27'],
  query: { parameters: CALLBACK_LIST_PARAMETERS, example: SAMPLE_REQUESTS.callbacks },
  answers: [
    resource('A page of the log', CALLBACK_LIST_ANSWER, (format) => {
      const query = fieldsFromPairs(Object.entries(SAMPLE_REQUESTS.callbacks)) ?? new Map()
      const page = { callbacks: [parked], total: 3, hasPrevious: false, hasNext: true }
      return callbackList(page, callbackQueryIn(query), { ...sampleOptions(format), accountId: SAMPLE_ACCOUNT, query })
    }),
  ],
  errors: [],
}

export const GET_CALLBACK: Operation = {
  ...NOTHING_TAKEN,
  id: 'getCallback',
  tag: 'Callbacks',
  summary: 'Look at a callback',
  description: 'What became of it, and what is sent.',
  rules: ['C27'],
  answers: [resource('The callback', CALLBACK_ANSWER, (format) => callbackResource(parked, sampleOptions(format)))],
  errors: ['callback-not-found'],
}

export const REPLAY_CALLBACK: Operation = {
  ...NOTHING_TAKEN,
  id: 'replayCallback',
  tag: 'Callbacks',
  summary: 'Send a parked callback again',
  description: 'It is sent as soon as may be, and again by the whole schedule when it is not taken. Its body and its `webhook-id` stay the same.',
  rules: ['C27'],
  answers: [resource('The callback, which waits to be sent', CALLBACK_ANSWER, (format) => callbackResource(pending, sampleOptions(format)))],
  errors: ['callback-not-found', 'callback-not-parked'],
}

export const REPLAY_PARKED: Operation = {
  ...NOTHING_TAKEN,
  id: 'replayParkedCallbacks',
  tag: 'Callbacks',
  summary: 'Send all parked callbacks again',
  description: 'Of one receiver or of all, the oldest first; up to 10,000 in one request.',
  rules: ['C27'],
  body: { parameters: REPLAY_PARAMETERS, example: SAMPLE_REQUESTS.replay },
  answers: [resource('How many', REPLAY_ANSWER, () => replayResource({ replayed: 12, remaining: 0 }))],
  errors: [],
}

export const GET_CALLBACK_SECRET: Operation = {
  ...NOTHING_TAKEN,
  id: 'getCallbackSecret',
  tag: 'Callbacks',
  summary: 'Look at what signs callbacks',
  description: 'Which secret it is, by its fingerprint, and whether an older one signs as well. The secret itself is not told.',
  rules: ['C28'],
  answers: [resource('The secret’s marks', SECRET_ANSWER, () => secretResource({ ...mark, previous: null }, null, SAMPLE_ZONE))],
  errors: [],
}

export const ROTATE_CALLBACK_SECRET: Operation = {
  ...NOTHING_TAKEN,
  id: 'rotateCallbackSecret',
  tag: 'Callbacks',
  summary: 'Make a new secret',
  description:
    'The old one signs beside the new one for `KeepHours`: each callback carries both signatures, and a receiver that knows either of them goes on. What was still kept of an earlier change is gone.',
  rules: ['C28'],
  body: { parameters: SECRET_ROTATION_PARAMETERS, example: SAMPLE_REQUESTS.secretRotation },
  answers: [
    resource('The new secret', NEW_SECRET_ANSWER, () =>
      secretResource({ ...mark, previous: { fingerprint: '5d02be4419fa', until: NOON + 48 * HOUR_MS } }, SECRET, SAMPLE_ZONE),
    ),
  ],
  errors: ['secret-configured'],
}
