import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ACCOUNT, sampleCall, sampleSubscription, T0 } from '../../test/sample-calls.ts'
import type { LegId } from '../domain/ids.ts'
import { callbackRows } from './enqueue.ts'

function options() {
  let issued = 0
  return { timeZone: 'Asia/Kolkata', newId: () => `new${String((issued += 1)).padStart(20, '0')}`, now: T0 + 9000 }
}

test('[C26] a leg’s notice becomes a callback to its subscriber, in order of the leg, with a body that says what is true now', () => {
  const call = sampleCall()
  const leg = call.legs[2]
  assert(leg)
  const [row, ...rest] = callbackRows(call, [{ kind: 'leg', event: 'answered', legId: leg.id }], options())
  assert(row)
  assert.deepEqual(rest, [])
  const { body, id, ...facts } = row
  assert.deepEqual(facts, {
    accountId: ACCOUNT,
    callId: call.id,
    legId: leg.id,
    event: 'answered',
    orderKey: leg.id,
    url: sampleSubscription.url,
    contentType: 'application/json',
    createdAt: T0 + 9000,
  })
  assert.match(id, /^new\d+$/)
  const said = JSON.parse(body)
  assert.equal(said.EventType, 'answered')
  assert.equal(said.LegSid, leg.id)
  assert.equal(said.DateCreated, '2026-11-22 14:30:00')
})

test('[C32] a call’s notice goes to the call’s subscriber, ordered among the call’s own', () => {
  const call = sampleCall({ subscription: { ...sampleSubscription, contentType: 'multipart/form-data' } })
  const [row] = callbackRows(call, [{ kind: 'call', event: 'terminal' }], options())
  assert.equal(row?.legId, null)
  assert.equal(row?.orderKey, call.id)
  assert.match(row?.contentType ?? '', /^multipart\/form-data; boundary=earshot-new\d+$/)
  assert.match(row?.body ?? '', /^--earshot-new\d+\r\n/)
  assert.notEqual(row?.contentType.split('earshot-')[1], row?.id, 'the boundary tells no id')
})

test('notices keep their order, ids are distinct, and what nobody subscribed to is not sent', () => {
  const call = sampleCall({ subscription: sampleSubscription })
  const [agent, , supervisor] = call.legs
  assert(agent && supervisor)
  const rows = callbackRows(
    call,
    [
      { kind: 'leg', event: 'terminal', legId: supervisor.id },
      { kind: 'leg', event: 'terminal', legId: agent.id },
      { kind: 'leg', event: 'terminal', legId: 'unknown' as LegId },
      { kind: 'call', event: 'terminal' },
    ],
    options(),
  )
  assert.deepEqual(
    rows.map((row) => row.legId),
    [supervisor.id, null],
  )
  assert.equal(new Set(rows.map((row) => row.id)).size, 2)
  assert.deepEqual(callbackRows(call, [], options()), [])
})
