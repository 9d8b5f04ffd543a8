/** The whole product from outside: real phones, HTTP, callbacks, and what each ear hears. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import type { Phone, Session } from '../src/phone/phone.ts'
import { eventually } from './eventually.ts'
import { openTestReceiver, openTestServer, SECRET, type TestReceiver, type TestServer } from './server.ts'

const HZ = { agent: 440, customer: 700, boss: 1000, chief: 1300 } as const
type Who = keyof typeof HZ

let server: TestServer
let receiver: TestReceiver
let phones: Record<Who, Phone>

before(async () => {
  server = await openTestServer()
  receiver = await openTestReceiver()
  phones = {
    agent: await server.phone({ name: 'priya', toneHz: HZ.agent }),
    boss: await server.phone({ name: 'boss', toneHz: HZ.boss }),
    chief: await server.phone({ name: 'chief', toneHz: HZ.chief }),
    customer: server.trunkPhone,
  }
})
after(async () => {
  await server.close()
  await receiver.close()
})

const session = (who: Who): Session | null => {
  const current = phones[who].current()
  return current?.state === 'established' ? current : null
}
const ears = (who: Who): string => {
  const present = session(who)
  if (!present) return 'away'
  const others = (Object.keys(HZ) as Who[]).filter((other) => other !== who)
  return others
    .filter((other) => present.hears(HZ[other]) !== 'silent')
    .map((other) => (present.hears(HZ[other]) === 'heard' ? other : `${other}?`))
    .join(' ')
}
const hear = (table: Partial<Record<Who, string>>): Promise<unknown> =>
  eventually(JSON.stringify(table), () => Object.entries(table).every(([who, heard]) => ears(who as Who) === heard), 8_000).catch((error: Error) => {
    throw new Error(`${error.message}; heard ${JSON.stringify(Object.fromEntries((Object.keys(HZ) as Who[]).map((who) => [who, ears(who)])))}`)
  })

async function connect(fields: Readonly<Record<string, string>> = {}): Promise<string> {
  const { status, body } = await server.request('POST', '/Calls/connect.json', {
    From: 'client:priya',
    To: '+919876543210',
    CallerId: '+918012345678',
    ...fields,
  })
  assert.equal(status, 200, JSON.stringify(body))
  return body.Call.Sid
}
const TALKING = { agent: 'customer', customer: 'agent' }
async function hangUp(callSid: string): Promise<void> {
  const { body } = await server.request('GET', `/Calls/${callSid}/ActiveLegs.json`)
  await server.request('PUT', `/Calls/${callSid}/Legs/${body.Legs[0]?.Sid}.json`, { Action: 'hangup' })
  await eventually('everybody has hung up', () => (Object.keys(HZ) as Who[]).every((who) => session(who) === null))
}

test('[C15] [C20] [C23] [C26] a supervisor joins, whispers, barges, listens again and leaves; every ear hears its row; the callback tells it', async () => {
  const callSid = await connect()
  await hear({ ...TALKING, boss: 'away' })
  const { body: created } = await server.request('POST', `/Calls/${callSid}/Legs.json`, {
    Action: 'listen',
    PhoneNumber: 'client:boss',
    StatusCallback: receiver.url,
    StatusCallbackContentType: 'application/json',
    CustomField: 'walk',
  })
  const legSid = created.Leg.Sid
  const rows = {
    listen: { ...TALKING, boss: 'agent customer' },
    whisper: { agent: 'customer boss', customer: 'agent', boss: 'agent customer' },
    barge: { agent: 'customer boss', customer: 'agent boss', boss: 'agent customer' },
  } as const
  await hear(rows.listen)
  for (const mode of ['whisper', 'barge', 'listen', 'barge', 'whisper', 'listen'] as const) {
    const { status, body } = await server.request('PUT', `/Calls/${callSid}/Legs/${legSid}.json`, { Action: mode })
    assert.deepEqual([status, body.Leg.LastAction, body.Leg.Status], [200, mode, 'in-progress'])
    await hear(rows[mode])
  }
  const { body: hung } = await server.request('PUT', `/Calls/${callSid}/Legs/${legSid}.json`, { Action: 'hangup' })
  assert.deepEqual([hung.legs.LastAction, hung.legs.Status], ['hangup', 'in-progress'])
  await hear({ ...TALKING, boss: 'away' })
  await eventually('the callback comes', () => receiver.received.length === 1)
  const { headers, body } = receiver.received.shift() as TestReceiver['received'][number]
  const told = JSON.parse(body)
  assert.deepEqual(Object.keys(told), [
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
  ])
  assert.deepEqual([told.LegSid, told.Status, told.LastAction, told.CustomField, told.EventType], [legSid, 'completed', 'hangup', 'walk', 'terminal'])
  new Webhook(SECRET).verify(body, headers as Record<string, string>)
  await hangUp(callSid)
})

test('[C18] [C23] two supervisors at once: one hears the other only while the other barges', async () => {
  const callSid = await connect()
  await hear(TALKING)
  await server.request('POST', `/Calls/${callSid}/Legs.json`, { Action: 'barge', PhoneNumber: 'client:boss' })
  await server.request('POST', `/Calls/${callSid}/Legs.json`, { Action: 'whisper', PhoneNumber: 'client:chief' })
  await hear({ agent: 'customer boss chief', customer: 'agent boss', boss: 'agent customer', chief: 'agent customer boss' })
  await hangUp(callSid)
})

test('[C23] the customer is on hold or mute: the coach is still heard by the agent', async () => {
  const callSid = await connect()
  await hear(TALKING)
  await server.request('POST', `/Calls/${callSid}/Legs.json`, { Action: 'whisper', PhoneNumber: 'client:boss' })
  await hear({ agent: 'customer boss' })
  session('customer')?.mute(true)
  await hear({ agent: 'boss', customer: 'agent' })
  session('customer')?.mute(false)
  await hear({ agent: 'customer boss', customer: 'agent' })
  await session('customer')?.hold()
  await hear({ agent: 'boss', customer: '', boss: 'agent' })
  await session('customer')?.resume()
  await hear({ agent: 'customer boss', customer: 'agent', boss: 'agent customer' })
  await hangUp(callSid)
})

test('a phone calls another, and a trunk calls a number: such calls are monitored like any other', async () => {
  const { host, port } = server.sip
  const outward = await phones.agent.call(`sip:+919876543210@${host}:${port}`)
  await hear(TALKING)
  outward.hangUp()
  await eventually('both have hung up', () => session('agent') === null && session('customer') === null)
  const inward = await phones.customer.call(`sip:+918012345678@${host}:${port}`)
  await hear(TALKING)
  inward.hangUp()
  await eventually('both have hung up', () => session('agent') === null && session('customer') === null)
})

test('[C21] hang-up from each end ends the call for everybody', async () => {
  for (const who of ['agent', 'customer'] as const) {
    const callSid = await connect()
    await hear(TALKING)
    await server.request('POST', `/Calls/${callSid}/Legs.json`, { Action: 'listen', PhoneNumber: 'client:boss' })
    await hear({ boss: 'agent customer' })
    session(who)?.hangUp()
    await eventually('everybody has hung up', () => (Object.keys(HZ) as Who[]).every((other) => session(other) === null))
    await eventually('the call is over', async () => (await server.request('GET', `/Calls/${callSid}.json`)).body.Call.Status === 'completed')
  }
})

test('no phone number, name or secret of these calls is in the log', () => {
  // Sids are random letters, in which any short word turns up some day.
  const log = server.log().replaceAll(/\b[0-9a-z]{32}\b/g, 'SID')
  for (const secret of ['9876543210', '8012345678', 'priya', 'boss-boss', 'a-token-of-some-length', SECRET]) {
    assert.equal(log.includes(secret), false, `${secret} in:\n${log}`)
  }
})
