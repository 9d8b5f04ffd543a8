/** The server is killed, stopped and started again in mid-call, as operators and accidents do. */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import type { Phone } from '../src/phone/phone.ts'
import { eventually } from './eventually.ts'
import { openTestReceiver, openTestServer, type TestServer } from './server.ts'

interface Monitored {
  readonly callSid: string
  readonly legSid: string
  /** Agent, customer and supervisor. */
  readonly phones: readonly Phone[]
}

async function monitoredCall(server: TestServer, callback: string, agentTransport: 'udp' | 'tcp' = 'udp'): Promise<Monitored> {
  const agent = await server.phone({ name: 'priya', toneHz: 440, transport: agentTransport })
  const boss = await server.phone({ name: 'boss', toneHz: 1000 })
  const { body } = await server.request('POST', '/Calls/connect.json', {
    From: 'client:priya',
    To: '+919876543210',
    CallerId: '+918012345678',
    StatusCallback: callback,
    StatusCallbackContentType: 'application/json',
    'StatusCallbackEvents[0]': 'terminal',
  })
  const callSid = body.Call.Sid
  await eventually('agent and customer talk', () => agent.current()?.hears(700) === 'heard')
  const { body: created } = await server.request('POST', `/Calls/${callSid}/Legs.json`, {
    Action: 'whisper',
    PhoneNumber: 'client:boss',
    StatusCallback: callback,
    StatusCallbackContentType: 'application/json',
  })
  await eventually('the supervisor hears both', () => boss.current()?.hears(700) === 'heard' && boss.current()?.hears(440) === 'heard')
  return { callSid, legSid: created.Leg.Sid, phones: [agent, server.trunkPhone, boss] }
}

test('[C27] after kill -9 in mid-call and a restart the call is closed as failed, and each terminal callback comes exactly once', async () => {
  const server = await openTestServer()
  const receiver = await openTestReceiver()
  try {
    const { callSid, legSid } = await monitoredCall(server, receiver.url)
    // At least one heartbeat after the answer, so that the talk time is known.
    await new Promise((resolve) => setTimeout(resolve, 2_200))
    assert.equal(await server.end('SIGKILL'), 'SIGKILL')
    assert.equal(receiver.received.length, 0)
    await server.start()
    await eventually('both callbacks have come', () => receiver.received.length >= 2)
    const { body } = await server.request('GET', `/Calls/${callSid}.json`)
    assert.equal(body.Call.Status, 'failed')
    assert.equal((await server.request('GET', `/Calls/${callSid}/ActiveLegs.json`)).status, 404)
    await server.end('SIGKILL')
    await server.start()
    await new Promise((resolve) => setTimeout(resolve, 500))
    // Delivery is at least once: what the second kill left unsettled came again, as the same callback with the same body.
    const byId = new Map(receiver.received.map((callback) => [callback.headers['webhook-id'], callback.body]))
    for (const { headers, body: text } of receiver.received) assert.equal(text, byId.get(headers['webhook-id']))
    const told = [...byId.values()].map((text) => JSON.parse(text))
    assert.deepEqual(told.map((callback) => callback.LegSid ?? callback.CallSid).sort(), [callSid, legSid].sort())
    const leg = told.find((callback) => callback.LegSid === legSid)
    assert.equal(leg.Status, 'failed')
    assert.ok(Number(leg.OnCallDuration) >= 1 && Number(leg.OnCallDuration) <= 5, leg.OnCallDuration)
  } finally {
    await server.close()
    await receiver.close()
  }
})

for (const transport of ['udp', 'tcp'] as const) {
  test(`after kill -9 in mid-call and a restart, agent (${transport}), customer and supervisor are told within seconds that the call is over`, async () => {
    const server = await openTestServer()
    try {
      const { phones } = await monitoredCall(server, 'http://127.0.0.1:9/', transport)
      assert.equal(await server.end('SIGKILL'), 'SIGKILL')
      assert.deepEqual(
        phones.map((phone) => phone.current()?.state),
        ['established', 'established', 'established'],
      )
      await server.start()
      await eventually('all three have been hung up', () => phones.every((phone) => phone.current()?.state === 'ended'), 5_000)
      assert.deepEqual(
        phones.map((phone) => phone.current()?.end?.by),
        ['peer', 'peer', 'peer'],
      )
      assert.doesNotMatch(server.log(), /9876543210/, 'what was remembered of them is not logged')
    } finally {
      await server.close()
    }
  })
}

test('a start that fails after a crash takes nothing from the next one: its phones are told then, and its callbacks go out', async () => {
  const server = await openTestServer()
  const receiver = await openTestReceiver()
  try {
    const { phones } = await monitoredCall(server, receiver.url)
    await server.end('SIGKILL')
    const squatter = createSocket('udp4')
    await once(squatter.bind(server.sip.port, server.sip.host), 'listening')
    await assert.rejects(server.start(), /in use by another program/).finally(() => squatter.close())
    await server.start()
    await eventually('all three have been hung up', () => phones.every((phone) => phone.current()?.end?.by === 'peer'), 5_000)
    await eventually('both callbacks have come', () => receiver.received.length >= 2)
  } finally {
    await server.close()
    await receiver.close()
  }
})

test('[C27] a callback that the server could not deliver before it was killed is delivered by the next start', async () => {
  const server = await openTestServer('')
  const receiver = await openTestReceiver()
  try {
    const { callSid, legSid } = await monitoredCall(server, receiver.url)
    receiver.answers.push(500, 500)
    await server.request('PUT', `/Calls/${callSid}/Legs/${legSid}.json`, { Action: 'hangup' })
    await eventually('the first attempt fails', () => receiver.received.length === 1)
    await server.end('SIGKILL')
    receiver.answers.length = 0
    await server.start()
    await eventually(
      'it is tried again',
      () => receiver.received.filter((callback) => JSON.parse(callback.body).LegSid === legSid).length === 2,
      15_000,
    )
    const [first, second] = receiver.received.filter((callback) => JSON.parse(callback.body).LegSid === legSid)
    assert.equal(first?.headers['webhook-id'], second?.headers['webhook-id'])
    assert.equal(first?.body, second?.body)
  } finally {
    await server.close()
    await receiver.close()
  }
})

test('SIGTERM drains: live calls are hung up cleanly, their callbacks go out, and the exit code is 0', async () => {
  const server = await openTestServer()
  const receiver = await openTestReceiver()
  try {
    const { callSid, legSid } = await monitoredCall(server, receiver.url)
    assert.equal(await server.end('SIGTERM'), 0)
    await eventually('the customer was hung up', () => server.trunkPhone.current()?.state === 'ended')
    assert.equal(server.trunkPhone.current()?.end?.by, 'peer')
    const told = receiver.received.map((callback) => JSON.parse(callback.body))
    assert.deepEqual(
      told.map((callback) => [callback.LegSid ?? callback.CallSid, callback.Status]).sort(),
      [
        [callSid, 'completed'],
        [legSid, 'completed'],
      ].sort(),
    )
  } finally {
    await server.close()
    await receiver.close()
  }
})
