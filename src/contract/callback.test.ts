import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agentLeg, customerLeg, endedCall, exampleJson, IST, ist, liveCall, monitorLeg, number } from '../../test/data/contract/sample-call.ts'
import type { Call } from '../domain/call.ts'
import type { CallbackContentType, CallbackEvent, EndCause, Leg, Subscription } from '../domain/leg.ts'
import { type CallbackBody, callCallback, legCallback } from './callback.ts'

const OPTIONS = { timeZone: IST, boundary: 'earshot-0123456789abcdef' } as const
const subscription = (contentType: CallbackContentType): Subscription => ({
  url: 'https://crm.example.com/',
  events: ['answered', 'terminal'],
  contentType,
})

const whispered: Leg = {
  ...monitorLeg,
  monitoring: { mode: 'whisper', targetLegId: agentLeg.id, since: null, by: null, reasonCode: null },
  lastAction: 'whisper',
  customField: 'LegsCustom',
  createdAt: ist('2021-02-08 19:33:59'),
  updatedAt: ist('2021-02-08 19:34:53'),
  subscription: subscription('application/json'),
  state: { status: 'ended', endedAt: ist('2021-02-08 19:34:53'), answeredAt: ist('2021-02-08 19:34:01'), cause: 'completed' },
}

/** Fields of a multipart body as an independent reader sees them. */
async function formOf({ contentType, body }: CallbackBody): Promise<readonly (readonly [string, unknown])[]> {
  return [...(await new Response(body, { headers: { 'content-type': contentType } }).formData())]
}

const keysOf = (body: string): readonly string[] => Object.keys(JSON.parse(body))
const LEG_KEYS = [
  'LegSid',
  'CallSid',
  'AccountSid',
  'DateCreated',
  'DateUpdated',
  'StartTime',
  'EndTime',
  'PhoneNumber',
  'Status',
  'OnCallDuration',
  'Origin',
  'LastAction',
  'CustomField',
  'EventType',
]

test('[C26] a leg’s terminal callback in JSON is the vendor’s example', () => {
  const { contentType, body } = legCallback(liveCall, whispered, 'terminal', OPTIONS)
  assert.equal(contentType, 'application/json')
  assert.equal(body, exampleJson('leg-callback.json'))
})

test('[C26] in multipart, the default, it has the same flat keys with the same values', async () => {
  for (const leg of [
    { ...whispered, subscription: subscription('multipart/form-data') },
    { ...whispered, subscription: null },
  ]) {
    const sent = legCallback(liveCall, leg, 'terminal', OPTIONS)
    assert.equal(sent.contentType, 'multipart/form-data; boundary=earshot-0123456789abcdef')
    assert.deepEqual(Object.fromEntries(await formOf(sent)), JSON.parse(exampleJson('leg-callback.json')))
    assert.deepEqual(
      (await formOf(sent)).map(([name]) => name),
      LEG_KEYS,
    )
  }
})

test('[C26] multipart, byte for byte', () => {
  const { body } = legCallback(liveCall, { ...whispered, subscription: null }, 'terminal', OPTIONS)
  assert.ok(
    body.startsWith(`--${OPTIONS.boundary}\r\nContent-Disposition: form-data; name="LegSid"\r\n\r\n${whispered.id}\r\n--${OPTIONS.boundary}\r\n`),
  )
  assert.ok(body.endsWith(`name="EventType"\r\n\r\nterminal\r\n--${OPTIONS.boundary}--\r\n`))
})

test('[C26] every value is a string in both encodings, and nothing is missing', () => {
  const { body } = legCallback(liveCall, { ...whispered, customField: null }, 'terminal', OPTIONS)
  assert.deepEqual(keysOf(body), LEG_KEYS)
  for (const value of Object.values(JSON.parse(body))) assert.equal(typeof value, 'string')
  assert.equal(JSON.parse(body).CustomField, '')
})

test('[C26] answered has no EndTime, is in progress and has no duration', () => {
  const answered: Leg = { ...whispered, state: { status: 'answered', answeredAt: ist('2021-02-08 19:34:01'), memory: null } }
  const body = JSON.parse(legCallback(liveCall, answered, 'answered', OPTIONS).body)
  assert.deepEqual(
    [body.EventType, body.EndTime, body.Status, body.OnCallDuration, body.StartTime],
    ['answered', '', 'in-progress', '0', '2021-02-08 19:33:59'],
  )
})

test('[C26] answered stays what it was when the leg has ended by the time its body is made', () => {
  const body = JSON.parse(legCallback(liveCall, whispered, 'answered', OPTIONS).body)
  assert.deepEqual([body.EndTime, body.Status, body.OnCallDuration], ['', 'in-progress', '0'])
})

test('[C26] a leg that was never answered has a duration of "0", whatever ended it', () => {
  for (const cause of ['busy', 'no-answer', 'failed', 'canceled'] as const satisfies readonly EndCause[]) {
    const leg: Leg = { ...whispered, state: { status: 'ended', endedAt: whispered.updatedAt, answeredAt: null, cause } }
    const body = JSON.parse(legCallback(liveCall, leg, 'terminal', OPTIONS).body)
    assert.deepEqual([body.Status, body.OnCallDuration, body.EndTime], [cause, '0', '2021-02-08 19:34:53'])
  }
})

test('[C26] durations are whole seconds, begun ones not counted', () => {
  const answeredAt = ist('2021-02-08 19:34:01')
  const durationAfter = (ms: number): string => {
    const leg: Leg = { ...whispered, state: { status: 'ended', endedAt: answeredAt + ms, answeredAt, cause: 'completed' } }
    return JSON.parse(legCallback(liveCall, leg, 'terminal', OPTIONS).body).OnCallDuration
  }
  assert.deepEqual([0, 999, 1000, 59_999, 3_600_000].map(durationAfter), ['0', '0', '1', '59', '3600'])
})

test('[C26] numbers and dates are as everywhere on the wire', () => {
  const leg: Leg = { ...whispered, address: number('client:asha') }
  const body = JSON.parse(legCallback(liveCall, leg, 'terminal', { ...OPTIONS, timeZone: 'UTC' }).body)
  assert.deepEqual([body.PhoneNumber, body.DateCreated], ['client:asha', '2021-02-08 14:03:59'])
})

test('[C26] a custom field arrives as it was given, in both encodings', async () => {
  const customField = 'ए "quoted" & <b>\nline'
  const inJson = legCallback(liveCall, { ...whispered, customField }, 'terminal', OPTIONS)
  assert.equal(JSON.parse(inJson.body).CustomField, customField)
  const inForm = legCallback(liveCall, { ...whispered, customField, subscription: null }, 'terminal', OPTIONS)
  assert.equal(Object.fromEntries(await formOf(inForm)).CustomField, customField)
})

const subscribed = (call: Call, contentType: CallbackContentType): Call => ({ ...call, subscription: subscription(contentType) })
const callBody = (call: Call, event: CallbackEvent): Record<string, unknown> =>
  JSON.parse(callCallback(subscribed(call, 'application/json'), event, OPTIONS).body)

test('[C32] a call’s terminal callback in JSON', () => {
  assert.deepEqual(callBody({ ...endedCall, customField: 'order 7' }, 'terminal'), {
    CallSid: endedCall.id,
    EventType: 'terminal',
    DateCreated: '2017-03-03 10:48:33',
    DateUpdated: '2017-03-03 10:49:50',
    Status: 'completed',
    To: '09876538847',
    From: '09876530240',
    PhoneNumberSid: '08040404890',
    StartTime: '2017-03-03 10:48:33',
    EndTime: '2017-03-03 10:49:50',
    Direction: 'outbound-api',
    ConversationDuration: 8,
    RecordingUrl: '',
    CustomField: 'order 7',
    Legs: [
      { OnCallDuration: 21, Status: 'completed', AnsweredBy: 'NA' },
      { OnCallDuration: 8, Status: 'completed', AnsweredBy: 'NotSure' },
    ],
  })
})

test('[C32] in multipart its legs are flattened', async () => {
  const form = Object.fromEntries(await formOf(callCallback(subscribed(endedCall, 'multipart/form-data'), 'terminal', OPTIONS)))
  assert.equal(form['Legs[0][Status]'], 'completed')
  assert.equal(form['Legs[0][OnCallDuration]'], '21')
  assert.equal(form['Legs[1][OnCallDuration]'], '8')
  assert.equal(form['Legs[1][AnsweredBy]'], 'NotSure')
  assert.equal(form.ConversationDuration, '8')
  assert.equal(form.Legs, undefined)
})

const talking: Leg = { ...customerLeg, state: { status: 'answered', answeredAt: ist('2020-12-22 17:31:20'), memory: null } }

test('[C32] when the first party answers, the second has no status yet; when the second does, both are in progress', () => {
  const first = callBody(liveCall, 'answered')
  assert.deepEqual([first.EventType, first.Status, first.EndTime, first.ConversationDuration], ['answered', 'in-progress', '', 0])
  assert.deepEqual(
    (first.Legs as readonly { Status: string }[]).map((leg) => leg.Status),
    ['in-progress', ''],
  )
  const second = callBody({ ...liveCall, legs: [agentLeg, talking] }, 'answered')
  assert.deepEqual(
    (second.Legs as readonly { Status: string }[]).map((leg) => leg.Status),
    ['in-progress', 'in-progress'],
  )
})

test('[C32] a party that was never dialled is "null" in the end, and supervisors are no legs of it', () => {
  const endedAt = liveCall.updatedAt
  const unanswered: Leg = { ...agentLeg, state: { status: 'ended', endedAt, answeredAt: null, cause: 'no-answer' } }
  const body = callBody({ ...liveCall, legs: [unanswered, monitorLeg], state: { status: 'ended', outcome: 'no-answer', endedAt } }, 'terminal')
  assert.equal(body.Status, 'no-answer')
  assert.deepEqual(body.Legs, [
    { OnCallDuration: 0, Status: 'no-answer', AnsweredBy: 'NA' },
    { OnCallDuration: 0, Status: 'null', AnsweredBy: 'NotSure' },
  ])
})

test('[C30] [C32] the terminal callback of a recorded call names its recording; any other says nothing', () => {
  const recorded = { ...endedCall, sound: { ...endedCall.sound, recording: 'dual' as const, recordedFrom: 1 } }
  assert.equal(callBody(recorded, 'terminal').RecordingUrl, `/v1/Accounts/${recorded.accountId}/Recordings/${recorded.id}.wav`)
  assert.equal(callBody(recorded, 'answered').RecordingUrl, '')
  assert.equal(callBody(endedCall, 'terminal').RecordingUrl, '')
})
