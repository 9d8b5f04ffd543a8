/** What the routes about calls and legs say about themselves. */
import { callList, callQueryIn } from '../../contract/call-list.ts'
import { fieldsFromPairs } from '../../contract/fields.ts'
import { activeLegs, allLegs, callResource, legResource } from '../../contract/resources.ts'
import { CALL_LIST_PARAMETERS } from '../../contract/schemas/call-list.ts'
import {
  CALL_DETAILS_PARAMETERS,
  CONNECT_PARAMETERS,
  detailsParameters,
  LEG_ACTION_PARAMETERS,
  MONITOR_PARAMETERS,
} from '../../contract/schemas/requests.ts'
import { ACTIVE_LEGS_ANSWER, ALL_LEGS_ANSWER, CALL_ANSWER, CALL_LIST_ANSWER, HANG_UP_ANSWER, LEG_ANSWER } from '../../contract/schemas/resources.ts'
import type { Format, WireObject } from '../../contract/xml.ts'
import { LIMITS } from '../../domain/errors.ts'
import { type Operation, resource } from './operation.ts'
import { SAMPLE_ACCOUNT, SAMPLE_CALLS, SAMPLE_REQUESTS, SAMPLE_ZONE, sampleOptions as formatted, supervisorOf } from './samples.ts'

const { asked, rung, barged, leaving, over } = SAMPLE_CALLS

export const CONNECT_CALL: Operation = {
  id: 'connectCall',
  tag: 'Calls',
  summary: 'Make a call',
  description:
    '`From` is rung now, and `To` when `From` has answered. The answer does not wait for either: the call is in the database and its first INVITE on the network.',
  rules: ['C30', 'C19'],
  query: { parameters: detailsParameters('Accepted, and adds nothing to this answer.'), example: {} },
  body: { parameters: CONNECT_PARAMETERS, example: SAMPLE_REQUESTS.connect },
  headers: null,
  idempotent: true,
  answers: [resource('The call', CALL_ANSWER, (format) => callResource(asked, formatted(format), null))],
  errors: ['destination-not-allowed', ...LIMITS, 'draining'],
  callback: 'call',
}

export const LIST_CALLS: Operation = {
  id: 'listCalls',
  tag: 'Calls',
  summary: 'List calls',
  description:
    'Live and ended calls, a page at a time. All filters that are given must hold; what is empty is not there. `PrevPageUri` and `NextPageUri` lead to the other pages: whatever is added while you walk, each call that was there is shown exactly once.',
  rules: ['C31'],
  query: { parameters: CALL_LIST_PARAMETERS, example: SAMPLE_REQUESTS.list },
  body: null,
  headers: null,
  idempotent: false,
  answers: [resource('A page of calls', CALL_LIST_ANSWER, pageOfCalls)],
  errors: [],
  callback: null,
}

export const GET_CALL: Operation = {
  id: 'getCall',
  tag: 'Calls',
  summary: 'Look at a call',
  description: 'One call, live or ended.',
  rules: ['C31'],
  query: { parameters: CALL_DETAILS_PARAMETERS, example: { details: 'true' } },
  body: null,
  headers: null,
  idempotent: false,
  answers: [resource('The call', CALL_ANSWER, (format) => callResource(over, formatted(format), { now: over.updatedAt }))],
  errors: ['call-not-found'],
  callback: null,
}

export const LIST_ACTIVE_LEGS: Operation = {
  id: 'listActiveLegs',
  tag: 'Legs',
  summary: 'List the live legs of a call',
  description: 'Who is connected or being rung now: the two parties and the supervisors. A call that has no live leg is a 404.',
  rules: ['C11', 'C12', 'C13', 'C14'],
  query: null,
  body: null,
  headers: null,
  idempotent: false,
  answers: [resource('The live legs', ACTIVE_LEGS_ANSWER, (format) => activeLegs(barged, formatted(format)))],
  errors: ['call-not-in-progress'],
  callback: null,
}

export const LIST_LEGS: Operation = {
  id: 'listLegs',
  tag: 'Legs',
  summary: 'List all legs of a call',
  description: 'Live and ended legs of a call that lives or has ended, on one page.',
  rules: ['C31'],
  query: null,
  body: null,
  headers: null,
  idempotent: false,
  answers: [resource('All legs', ALL_LEGS_ANSWER, (format) => allLegs(over, formatted(format)))],
  errors: ['call-not-found'],
  callback: null,
}

export const CREATE_MONITOR_LEG: Operation = {
  id: 'createMonitorLeg',
  tag: 'Legs',
  summary: 'Let a supervisor join a call',
  description:
    'Rings the supervisor, who joins on pick-up and hears the conversation. `listen`: unheard. `whisper`: heard by the agent alone. `barge`: heard by everybody. The call itself is not disturbed.',
  rules: ['C15', 'C16', 'C17', 'C18', 'C19'],
  query: null,
  body: { parameters: MONITOR_PARAMETERS, example: SAMPLE_REQUESTS.monitor },
  headers: null,
  idempotent: true,
  answers: [
    resource('The supervisor’s leg, which rings', LEG_ANSWER, (format) => legResource(rung, supervisorOf(rung), 'created', formatted(format))),
  ],
  errors: ['notice-missing', 'destination-not-allowed', ...LIMITS, 'too-many-monitors', 'too-many-legs', 'call-not-in-progress', 'draining'],
  callback: 'leg',
}

export const ACT_ON_LEG: Operation = {
  id: 'actOnLeg',
  tag: 'Legs',
  summary: 'Change a supervisor’s mode, or hang up a leg',
  description:
    'From any mode to any mode at any time: answered when the sound has changed. `hangup` ends any live leg: a supervisor leaves alone, one of two parties ends the call.',
  rules: ['C20', 'C21', 'C22'],
  query: null,
  body: { parameters: LEG_ACTION_PARAMETERS, example: SAMPLE_REQUESTS.mode },
  headers: null,
  idempotent: false,
  answers: [
    resource('The leg in its new mode', LEG_ANSWER, (format) => legResource(barged, supervisorOf(barged), 'changed', formatted(format))),
    {
      kind: 'resource',
      title: 'The leg that was told to hang up, still in progress',
      json: HANG_UP_ANSWER,
      xml: LEG_ANSWER,
      example: (format) => legResource(leaving, supervisorOf(leaving), 'hung-up', formatted(format)),
    },
  ],
  errors: ['call-not-in-progress', 'leg-not-found'],
  callback: null,
}

function pageOfCalls(format: Format): WireObject {
  const query = fieldsFromPairs(Object.entries(SAMPLE_REQUESTS.list)) ?? new Map()
  const options = { ...formatted(format), accountId: SAMPLE_ACCOUNT, query }
  const page = { calls: [over], total: 1027, hasPrevious: false, hasNext: true }
  return callList(page, callQueryIn(query, { timeZone: SAMPLE_ZONE, now: over.updatedAt }), options)
}
