import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XMLParser } from 'fast-xml-parser'
import {
  agentLeg,
  customerLeg,
  endedCall,
  example,
  exampleJson,
  IST,
  ist,
  liveCall,
  monitorLeg,
  number,
} from '../../test/data/contract/sample-call.ts'
import type { Call } from '../domain/call.ts'
import type { EndCause, Leg } from '../domain/leg.ts'
import { activeLegs, allLegs, callResource, legResource } from './resources.ts'
import { rendered, type WireObject } from './xml.ts'

const JSON_OPTIONS = { format: 'json', timeZone: IST } as const
const XML_OPTIONS = { format: 'xml', timeZone: IST } as const

const inOrder = new XMLParser({ preserveOrder: true, parseTagValue: false })
/** The document as a tree of names and texts in order, without the white space between. */
const tree = (document: string): unknown => inOrder.parse(document)
const json = (content: WireObject): string => rendered('json', content)
const xml = (content: WireObject): string => rendered('xml', content)

const monitored: Call = { ...liveCall, legs: [agentLeg, customerLeg, monitorLeg] }
const changed: Leg = { ...monitorLeg, updatedAt: ist('2020-12-22 17:58:53') }
const ended = (leg: Leg, cause: EndCause): Leg => ({ ...leg, state: { status: 'ended', endedAt: leg.updatedAt, answeredAt: null, cause } })

test('[C11] the active legs in JSON are the vendor’s example, key for key', () => {
  assert.equal(json(activeLegs(liveCall, JSON_OPTIONS)), exampleJson('active-legs.json'))
})

test('[C11] a monitor leg also carries EndUserNumber, right after PhoneNumber', () => {
  assert.equal(json(activeLegs(monitored, JSON_OPTIONS)), exampleJson('active-legs-monitored.json'))
})

test('[C11] in XML each leg is an element of Legs, with the same keys in the same order', () => {
  const legs = activeLegs(monitored, JSON_OPTIONS).Legs as readonly WireObject[]
  const expected = `<?xml version="1.0" encoding="UTF-8"?>\n<TwilioResponse><Legs>${legs
    .map(
      (leg) =>
        `<Leg>${Object.entries(leg)
          .map(([key, value]) => (value === '' ? `<${key}/>` : `<${key}>${value}</${key}>`))
          .join('')}</Leg>`,
    )
    .join('')}</Legs></TwilioResponse>`
  assert.equal(xml(activeLegs(monitored, XML_OPTIONS)), expected)
})

test('[C11] legs come in order of creation, and ended ones are not listed', () => {
  const call = { ...monitored, legs: [ended(agentLeg, 'completed'), customerLeg, ended(monitorLeg, 'busy')] }
  const legs = activeLegs(call, JSON_OPTIONS).Legs as readonly WireObject[]
  assert.deepEqual(
    legs.map((leg) => leg.Sid),
    [customerLeg.id],
  )
})

test('[C12] origins are the vendor’s words, and LastAction is empty on a conversation leg', () => {
  const inbound: Leg = { ...customerLeg, origin: 'inbound' }
  const legs = activeLegs({ ...monitored, legs: [inbound, agentLeg, customerLeg, monitorLeg] }, JSON_OPTIONS).Legs as readonly WireObject[]
  assert.deepEqual(
    legs.map((leg) => [leg.Origin, leg.LastAction]),
    [
      ['inbound', ''],
      ['outbound', ''],
      ['outbound-dial', ''],
      ['monitor', 'barge'],
    ],
  )
})

test('[C13] a live leg is in progress from its creation, an ended one says how it ended', () => {
  const statusOf = (leg: Leg): unknown => (legResource(liveCall, leg, 'changed', JSON_OPTIONS).Leg as WireObject).Status
  assert.equal(statusOf(customerLeg), 'in-progress')
  assert.equal(statusOf(agentLeg), 'in-progress')
  for (const cause of ['completed', 'busy', 'no-answer', 'failed', 'canceled'] as const) assert.equal(statusOf(ended(customerLeg, cause)), cause)
})

test('[C16] a created leg in XML is the vendor’s example', () => {
  assert.deepEqual(tree(xml(legResource(monitored, monitorLeg, 'created', XML_OPTIONS))), tree(example('leg-created.xml')))
})

test('[C16] in JSON it is one object under Leg, with the same keys', () => {
  const resource = legResource(monitored, monitorLeg, 'created', JSON_OPTIONS)
  assert.deepEqual(Object.keys(resource), ['Leg'])
  const keys = ['Sid', 'CallSid', 'AccountSid', 'PhoneNumber', 'Status', 'Origin', 'LastAction', 'DateCreated', 'DateUpdated', 'StartTime', 'Uri']
  assert.deepEqual(Object.keys(resource.Leg as WireObject), keys)
})

test('[C20] a changed leg in XML is the vendor’s example: DateUpdated moved, Uri with the leg’s sid', () => {
  assert.deepEqual(tree(xml(legResource(monitored, changed, 'changed', XML_OPTIONS))), tree(example('leg-changed.xml')))
})

test('[C21] a hung-up leg in JSON is one object under legs, still in progress', () => {
  const leg: Leg = { ...changed, lastAction: 'hangup' }
  assert.equal(json(legResource(monitored, leg, 'hung-up', JSON_OPTIONS)), exampleJson('leg-hung-up.json'))
})

test('[C21] in XML it is a Leg as after every other change', () => {
  const leg: Leg = { ...changed, lastAction: 'hangup' }
  const expected = example('leg-changed.xml').replace('<LastAction>barge', '<LastAction>hangup')
  assert.deepEqual(tree(xml(legResource(monitored, leg, 'hung-up', XML_OPTIONS))), tree(expected))
})

const created: Call = { ...liveCall, createdAt: ist('2017-03-03 10:48:33'), updatedAt: ist('2017-03-03 10:48:33'), legs: [agentLeg] }

test('[C30] a call in JSON is the vendor’s example: 19 keys in its order', () => {
  assert.equal(json(callResource(created, JSON_OPTIONS, null)), exampleJson('call-created.json'))
  assert.equal(Object.keys(callResource(created, JSON_OPTIONS, null).Call as WireObject).length, 19)
})

test('[C4] in XML what JSON calls null is an empty element, and the Uri has no suffix', () => {
  const document = xml(callResource(created, XML_OPTIONS, null))
  for (const name of ['ParentCallSid', 'EndTime', 'Duration', 'Price', 'AnsweredBy', 'ForwardedFrom', 'CallerName', 'RecordingUrl'])
    assert.ok(document.includes(`<${name}/>`), name)
  assert.ok(document.includes(`<Uri>/v1/Accounts/exotel30m/Calls/${created.id}</Uri>`))
})

test('[C31] an ended call with details is the vendor’s example', () => {
  assert.equal(json(callResource(endedCall, JSON_OPTIONS, { now: 0 })), exampleJson('call-ended.json'))
})

const LEG_KEYS =
  'Sid CallSid AccountSid PhoneNumber Status Origin LastAction DateCreated DateUpdated StartTime EndTime OnCallDuration Price Uri'.split(' ')

test('[C31] all legs of a call, ended ones included, in order of creation and each with its own status', () => {
  const over: Leg = {
    ...agentLeg,
    state: { status: 'ended', endedAt: ist('2020-12-22 17:32:00') + 999, answeredAt: ist('2020-12-22 17:31:12'), cause: 'completed' },
  }
  const { MetaData, legs } = allLegs({ ...monitored, legs: [over, customerLeg, ended(monitorLeg, 'busy')] }, JSON_OPTIONS)
  assert.deepEqual(MetaData, { Total: 3, Count: 3 })
  const list = legs as readonly WireObject[]
  for (const leg of list) assert.deepEqual(Object.keys(leg), LEG_KEYS)
  assert.deepEqual(
    list.map((leg) => [leg.Sid, leg.Origin, leg.Status, leg.LastAction, leg.StartTime, leg.EndTime, leg.OnCallDuration]),
    [
      [agentLeg.id, 'outbound', 'completed', '', '2020-12-22 17:31:06', '2020-12-22 17:32:00', '48'],
      [customerLeg.id, 'outbound-dial', 'in-progress', '', '2020-12-22 17:31:13', null, '0'],
      [monitorLeg.id, 'monitor', 'busy', 'barge', '2020-12-22 17:57:40', '2020-12-22 17:57:40', '0'],
    ],
  )
  assert.deepEqual(new Set(list.map((leg) => leg.Uri)), new Set([`/v1/Accounts/exotel30m/Calls/${liveCall.id}/Legs`]))
})

test('[C31] in XML the list of all legs has the same names, and each leg is a Leg', () => {
  const document = xml(allLegs(liveCall, XML_OPTIONS))
  assert.ok(document.includes('<TwilioResponse><MetaData><Total>2</Total><Count>2</Count></MetaData><legs><Leg><Sid>'))
  assert.ok(document.includes('<EndTime/><OnCallDuration>0</OnCallDuration>'))
  assert.ok(document.endsWith('</Leg></legs></TwilioResponse>'))
})

test('[C31] details in XML', () => {
  const document = xml(callResource(endedCall, XML_OPTIONS, { now: 0 }))
  const details = /<Details>.*<\/Details>/.exec(document)?.[0]
  assert.equal(
    details,
    '<Details><ConversationDuration>8</ConversationDuration><Leg1Status>completed</Leg1Status><Leg2Status>completed</Leg2Status>' +
      '<Legs><Leg><Id>1</Id><OnCallDuration>21</OnCallDuration></Leg><Leg><Id>2</Id><OnCallDuration>8</OnCallDuration></Leg></Legs></Details>',
  )
})

test('[C31] details leave supervisors out, and a party that does not exist has an empty status', () => {
  const call = { ...created, legs: [agentLeg, monitorLeg] }
  const details = (callResource(call, JSON_OPTIONS, { now: agentLeg.updatedAt }).Call as WireObject).Details
  assert.deepEqual(details, { ConversationDuration: 0, Leg1Status: 'in-progress', Leg2Status: '', Legs: [{ Leg: { Id: 1, OnCallDuration: 0 } }] })
})

test('[C31] while two parties talk, their conversation is counted up to now', () => {
  const talking: Leg = { ...customerLeg, state: { status: 'answered', answeredAt: ist('2020-12-22 17:31:20'), memory: null } }
  const call = { ...liveCall, legs: [agentLeg, talking] }
  const details = (callResource(call, JSON_OPTIONS, { now: ist('2020-12-22 17:31:50') }).Call as WireObject).Details as WireObject
  assert.equal(details.ConversationDuration, 30)
})

test('[C4] Duration is a string of seconds once the call has ended, "0" when nobody answered, Price null until rated', () => {
  const cases: readonly (readonly [Call, unknown, unknown])[] = [
    [liveCall, null, 'in-progress'],
    [{ ...liveCall, state: { status: 'ending', outcome: 'completed' } }, null, 'in-progress'],
    [endedCall, '21', 'completed'],
    [
      { ...endedCall, state: { status: 'ended', outcome: 'no-answer', endedAt: endedCall.updatedAt }, legs: [ended(agentLeg, 'no-answer')] },
      '0',
      'no-answer',
    ],
  ]
  for (const [call, duration, status] of cases) {
    const resource = callResource(call, JSON_OPTIONS, null).Call as WireObject
    assert.deepEqual([resource.Duration, resource.Status, resource.Price], [duration, status, null])
  }
})

test('[C7] numbers in answers are national for India, E.164 for others, URIs as given', () => {
  const call = { ...liveCall, from: number('client:priya'), to: number('+14155550123'), callerId: number('+918040404890') }
  const resource = callResource(call, JSON_OPTIONS, null).Call as WireObject
  assert.deepEqual([resource.From, resource.To, resource.PhoneNumberSid], ['client:priya', '+14155550123', '08040404890'])
})

test('[C31] the account’s number of a call from outside is the one that was dialled, of an agent’s call the one shown', () => {
  const caller: Leg = { ...agentLeg, origin: 'inbound' }
  const inbound: Call = {
    ...liveCall,
    direction: 'inbound',
    from: number('+919876500009'),
    to: number('+918040404890'),
    callerId: number('+919876500009'),
    legs: [caller, customerLeg],
  }
  const numberOf = (call: Call): unknown => (callResource(call, JSON_OPTIONS, null).Call as WireObject).PhoneNumberSid
  assert.equal(numberOf({ ...inbound, agentLegId: customerLeg.id }), '08040404890')
  assert.equal(numberOf({ ...inbound, agentLegId: caller.id, callerId: number('+918040400001') }), '08040400001')
})

test('[C5] the same leg reads differently in another zone', () => {
  const leg = legResource(monitored, monitorLeg, 'created', { format: 'json', timeZone: 'UTC' }).Leg as WireObject
  assert.deepEqual([leg.DateCreated, leg.StartTime], ['2020-12-22 12:27:40', '2020-12-22 12:27:40'])
})

test('[C30] RecordingUrl is there when a recorded call has ended, under the address that callers use', () => {
  const recorded = { ...endedCall, sound: { ...endedCall.sound, recording: 'single' as const, recordedFrom: 1 } }
  const urlOf = (call: Call, options = {}): unknown => (callResource(call, { ...JSON_OPTIONS, ...options }, null).Call as WireObject).RecordingUrl
  const path = `/v1/Accounts/${recorded.accountId}/Recordings/${recorded.id}.wav`
  assert.equal(urlOf(recorded, { publicUrl: 'https://calls.example.com' }), `https://calls.example.com${path}`)
  assert.equal(urlOf(recorded), path)
  assert.equal(urlOf({ ...recorded, state: { status: 'live' } }), null)
  assert.equal(urlOf({ ...recorded, sound: { ...recorded.sound, recordedFrom: null } }), null, 'the parties never heard each other')
})

test('[C30] [C31] of a first party that was rung several times the details show the last try, and the list of legs all', () => {
  const [first, second] = endedCall.legs
  assert(first && second)
  const missed: Leg = { ...first, id: 'a'.repeat(32) as Leg['id'], state: { status: 'ended', endedAt: 1, answeredAt: null, cause: 'no-answer' } }
  const call = { ...endedCall, legs: [missed, first, second] }
  const { Details } = callResource(call, JSON_OPTIONS, { now: 0 }).Call as { Details: WireObject }
  assert.deepEqual([Details.Leg1Status, Details.Leg2Status, (Details.Legs as WireObject[]).length], ['completed', 'completed', 2])
  assert.equal((allLegs(call, JSON_OPTIONS).MetaData as WireObject).Total, 3)
})
