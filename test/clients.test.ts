/**
 * Other people's clients: the npm package `exotel-node` as it is, and the ways in which clients that are no npm packages are known to ask
 * and to read, each as its own words of ours. What one of them cannot do here is said at its test.
 */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { XMLParser } from 'fast-xml-parser'
import type { Phone } from '../src/phone/phone.ts'
import { eventually } from './eventually.ts'
import { KEY, openTestReceiver, openTestServer, type TestReceiver, type TestServer, TOKEN } from './server.ts'

const CLIENTS = fileURLToPath(new URL('clients', import.meta.url))
const NPM_LIMIT_MS = 60_000
const CALLER_ID = '08012345678'
const CUSTOMER = '09876543210'
const AGENT = '09876500002'
const SID = /^[0-9a-z]{32}$/
const DATE = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/

let server: TestServer
let receiver: TestReceiver
let agent: Phone

before(async () => {
  server = await openTestServer()
  receiver = await openTestReceiver()
  agent = await server.phone({ name: 'priya', toneHz: 440 })
  await server.phone({ name: 'boss', toneHz: 1000 })
})
after(async () => {
  await server.close()
  await receiver.close()
})

type Json = Readonly<Record<string, unknown>>
/** What a program in a language without types reads: every step may fail the test. */
const at = (value: unknown, ...path: readonly (string | number)[]): unknown =>
  path.reduce<unknown>((inner, step) => {
    assert.ok(typeof inner === 'object' && inner !== null && step in inner, `${String(step)} is not in ${JSON.stringify(inner)}`)
    return (inner as Readonly<Record<string | number, unknown>>)[step]
  }, value)

interface Said {
  readonly status: number
  readonly text: string
  readonly json: () => Json
}

interface Ask {
  readonly method?: string
  readonly body?: NonNullable<RequestInit['body']>
  readonly headers?: Readonly<Record<string, string>>
  readonly user?: string
  readonly token?: string
}

/** @param path Below the account. */
async function ask(path: string, { method = 'GET', body, headers = {}, user = KEY, token = TOKEN }: Ask = {}): Promise<Said> {
  const authorization = `Basic ${Buffer.from(`${user}:${token}`).toString('base64')}`
  const response = await fetch(`${server.url}/v1/Accounts/acme/${path}`, {
    method,
    headers: { authorization, ...headers },
    ...(body === undefined ? {} : { body }),
  })
  const text = await response.text()
  return { status: response.status, text, json: () => JSON.parse(text) }
}

const urlencoded = (fields: Readonly<Record<string, string>>): Ask => ({ method: 'POST', body: new URLSearchParams(fields) })
const inJson = (method: string, fields: object): Ask => ({ method, body: JSON.stringify(fields), headers: { 'content-type': 'application/json' } })
const xml = (text: string): unknown => new XMLParser({ parseTagValue: false }).parse(text)
const talk = (): Promise<unknown> =>
  eventually('they talk', () => agent.current()?.state === 'established' && agent.current()?.hears(700) === 'heard')
const quiet = (): Promise<unknown> =>
  eventually('everybody has hung up', () => [agent, server.trunkPhone].every((phone) => phone.current()?.state !== 'established'))

/** A call that lives, made as frappe makes it. */
async function liveCall(more: Readonly<Record<string, string>> = {}): Promise<string> {
  const said = await ask('Calls/connect.json', urlencoded({ From: 'client:priya', To: CUSTOMER, CallerId: CALLER_ID, ...more }))
  assert.equal(said.status, 200, said.text)
  await talk()
  return String(at(said.json(), 'Call', 'Sid'))
}

async function hangUp(callSid: string): Promise<void> {
  const legs = at((await ask(`Calls/${callSid}/ActiveLegs.json`)).json(), 'Legs')
  await ask(`Calls/${callSid}/Legs/${at(legs, 0, 'Sid')}.json`, { ...urlencoded({ Action: 'hangup' }), method: 'PUT' })
  await quiet()
  await eventually('the call has ended', async () => at((await ask(`Calls/${callSid}.json`)).json(), 'Call', 'EndTime') !== null)
}

describe('exotel-node, as npm has it', () => {
  const missing = installed()
  const options = { skip: missing !== null && process.env.CI !== 'true' ? missing : false }
  const run = async (...call: readonly string[]): Promise<{ readonly error: unknown; readonly answer: Json }> => {
    assert.equal(missing, null)
    const env = { ...process.env, EARSHOT_PORT: new URL(server.url).port, ACCOUNT: 'acme', TOKEN, CALLER_ID }
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', './transport.mjs', 'exotel-node.mjs', JSON.stringify(call)], {
      cwd: CLIENTS,
      env,
    })
    return JSON.parse(stdout)
  }

  test('[C2] [C4] [C30] it connects two parties, and both talk', options, async () => {
    const { error, answer } = await run('connectCall', 'client:priya', CUSTOMER)
    assert.equal(error, null)
    assert.match(String(answer.Sid), SID)
    assert.deepEqual(
      [answer.Status, answer.From, answer.To, answer.PhoneNumberSid, answer.Direction],
      ['in-progress', 'client:priya', CUSTOMER, CALLER_ID, 'outbound-api'],
    )
    // It reads an empty element as an empty text.
    assert.deepEqual([answer.EndTime, answer.Duration, answer.Price, answer.RecordingUrl], ['', '', '', ''])
    await talk()
    const details = await run('getCallDetails', String(answer.Sid))
    assert.deepEqual([details.answer.Sid, details.answer.Status], [answer.Sid, 'in-progress'])
    await hangUp(String(answer.Sid))
    const ended = await run('getCallDetails', String(answer.Sid))
    assert.equal(ended.answer.Status, 'completed')
    assert.match(String(ended.answer.EndTime), DATE)
  })

  test('[C8] a refusal is XML that it can read, though it looks for no error in it', options, async () => {
    assert.deepEqual(await run('connectCall', 'nobody', CUSTOMER), { error: null })
  })

  test('what Earshot has no part in, its text messages, is refused in XML and does not make it fall over', options, async () => {
    assert.deepEqual(await run('sendSMS', CUSTOMER, 'hello'), { error: null })
  })

  /** @returns Why it is not there; null when it is. */
  function installed(): string | null {
    const done = join(CLIENTS, 'node_modules', '.package-lock.json')
    if (existsSync(done) && statSync(done).mtimeMs >= statSync(join(CLIENTS, 'package-lock.json')).mtimeMs) return null
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_config_/i.test(name)))
    const npm = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd: CLIENTS,
      env,
      timeout: NPM_LIMIT_MS,
      encoding: 'utf8',
    })
    return npm.status === 0 ? null : `npm could not install it: ${npm.error?.message ?? npm.stderr.trim().split('\n').at(-1)}`
  }
})

describe('clients that are no npm packages, in words of ours', () => {
  test('[C3] [C11] [C21] a voice bot: multipart with StatusCallbackEvents[], then every leg by a form; the second finds the call over', async () => {
    const form = new FormData()
    const stream = { StreamUrl: 'wss://bot.example/', StreamType: 'bidirectional' }
    for (const [name, value] of Object.entries({ From: 'client:priya', To: CUSTOMER, CallerId: CALLER_ID, StatusCallback: receiver.url, ...stream }))
      form.set(name, value)
    for (const event of ['answered', 'ringing', 'terminal']) form.append('StatusCallbackEvents[]', event)
    receiver.received.length = 0
    const made = await ask('Calls/connect.json', { method: 'POST', body: form })
    const sid = at(made.json(), 'Call', 'Sid')
    assert.equal(at(made.json(), 'Call', 'Status'), 'in-progress')
    await talk()
    const legs = at((await ask(`Calls/${sid}/ActiveLegs.json`)).json(), 'Legs')
    assert.ok(Array.isArray(legs) && legs.length === 2)
    for (const leg of legs) assert.deepEqual([at(leg, 'CallSid'), at(leg, 'AccountSid')], [sid, 'acme'])
    const end = (n: number): Promise<Said> =>
      ask(`Calls/${sid}/Legs/${at(legs, n, 'Sid')}.json`, { ...urlencoded({ Action: 'hangup' }), method: 'PUT' })
    const first = (await end(0)).json()
    assert.deepEqual([at(first, 'legs', 'LastAction'), at(first, 'legs', 'CallSid')], ['hangup', sid])
    // The first hang-up ends a call of two (C21), and an ended call has no legs to hang up (C9). Such a client takes this for a failure.
    assert.match(String(at((await end(1)).json(), 'RestException', 'Message')), /^Given (?:callSID is not in-progress|legSID does not exist)/)
    await quiet()
    // Of three events it knows two: answered by each party, and the end.
    await eventually('three callbacks', () => receiver.received.length === 3)
  })

  test('[C1] [C3] [C15] [C31] a dashboard: lists live calls, then JSON to Legs without .json, which is answered in XML', async () => {
    const sid = await liveCall()
    const list = (await ask('Calls.json?Status=in-progress&SortBy=DateCreated:desc&PageSize=50')).json()
    assert.deepEqual([at(list, 'Calls', 0, 'Sid'), at(list, 'Metadata', 'Total')], [sid, 1])
    const created = await ask(
      `Calls/${sid}/Legs`,
      inJson('POST', { Action: 'listen', PhoneNumber: 'client:boss', TargetLegSid: '', 'StatusCallbackEvents[0]': 'terminal' }),
    )
    const leg = at(xml(created.text), 'TwilioResponse', 'Leg')
    assert.deepEqual([created.status, at(leg, 'Origin'), at(leg, 'LastAction'), at(leg, 'Status')], [200, 'monitor', 'listen', 'in-progress'])
    const barged = await ask(`Calls/${sid}/Legs/${at(leg, 'Sid')}`, inJson('PUT', { Action: 'barge' }))
    assert.equal(at(xml(barged.text), 'TwilioResponse', 'Leg', 'LastAction'), 'barge')
    const refused = await ask(`Calls/${sid}/Legs.json`, inJson('POST', { Action: 'listen', PhoneNumber: '' }))
    assert.deepEqual([refused.status, at(refused.json(), 'RestException', 'Message')], [400, 'Invalid Parameter: PhoneNumber is missing or invalid'])
    await hangUp(sid)
  })

  test('[C1] [C3] [C21] [C30] a script in Python: connects by XML, hangs up by a lower-case action; lower-case paths are 404, not the call', async () => {
    const made = await ask('Calls/connect', urlencoded({ From: 'client:priya', To: CUSTOMER, CallerId: CALLER_ID }))
    const sid = /<Call>\s*<Sid>(\w+)<\/Sid>/.exec(made.text)?.[1] ?? ''
    assert.match(sid, SID)
    await talk()
    const lower = await ask(`Calls/${sid}/activelegs.json`)
    assert.deepEqual([lower.status, at(lower.json(), 'RestException', 'Status')], [404, 404])
    const legs = at((await ask(`Calls/${sid}/ActiveLegs.json`)).json(), 'Legs')
    const gone = await ask(`Calls/${sid}/Legs/${at(legs, 0, 'Sid')}.json`, { ...urlencoded({ action: 'hangup' }), method: 'PUT' })
    assert.deepEqual([gone.status, Array.isArray(at(gone.json(), 'legs')), at(gone.json(), 'legs', 'LastAction')], [200, false, 'hangup'])
    await quiet()
  })

  test('[C30] [C32] a CRM: ?details=true, indexed events, and a flattened form called back', async () => {
    receiver.received.length = 0
    const events = { StatusCallback: receiver.url, 'StatusCallbackEvents[0]': 'terminal', 'StatusCallbackEvents[1]': 'answered' }
    const made = await ask(
      'Calls/connect.json?details=true',
      urlencoded({ From: 'client:priya', To: CUSTOMER, CallerId: CALLER_ID, Record: 'false', ...events }),
    )
    const call = at(made.json(), 'Call')
    assert.deepEqual(
      ['From', 'To', 'PhoneNumberSid'].map((key) => at(call, key)),
      ['client:priya', CUSTOMER, CALLER_ID],
    )
    await talk()
    await hangUp(String(at(call, 'Sid')))
    await eventually('three callbacks', () => receiver.received.length === 3)
    const forms = await Promise.all(
      receiver.received.map(({ body, headers }) => new Response(body, { headers: { 'content-type': String(headers['content-type']) } }).formData()),
    )
    assert.deepEqual(
      forms.map((form) => `${form.get('EventType')} ${form.get('Status')} ${form.get('Legs[0][Status]')} ${form.get('Legs[1][Status]')}`),
      ['answered in-progress in-progress ', 'answered in-progress in-progress in-progress', 'terminal completed completed completed'],
    )
    assert.equal(forms[2]?.get('CallSid'), at(call, 'Sid'))
    const wrong = await ask('Calls/connect.json?details=true', urlencoded({ From: 'client:priya', To: 'x', CallerId: CALLER_ID }))
    assert.deepEqual([wrong.status, at(wrong.json(), 'RestException', 'Message')], [400, 'Invalid Parameter: To is missing or invalid'])
  })

  test('[C30] [C32] strict types: every key of the call, enumerations, JSON in CustomField, whole numbers in the callback', async () => {
    receiver.received.length = 0
    const CustomField = JSON.stringify({ rideId: 'r-1', attempt: 2 })
    const subscription = {
      StatusCallback: receiver.url,
      'StatusCallbackEvents[0]': 'terminal',
      StatusCallbackContentType: 'application/json',
      CustomField,
    }
    const made = (await ask('Calls/connect.json', urlencoded({ From: 'client:priya', To: CUSTOMER, CallerId: CALLER_ID, ...subscription }))).json()
    const text = (value: unknown): boolean => typeof value === 'string'
    const [STATUSES, DIRECTIONS] = [
      ['queued', 'ringing', 'in-progress', 'completed', 'failed', 'busy', 'no-answer', 'canceled'],
      ['inbound', 'outbound-dial', 'outbound-api'],
    ]
    for (const key of ['Sid', 'DateCreated', 'DateUpdated', 'AccountSid', 'To', 'From', 'PhoneNumberSid', 'StartTime', 'Uri'])
      assert.ok(text(at(made, 'Call', key)), key)
    for (const key of ['EndTime', 'Duration', 'Price', 'AnsweredBy', 'RecordingUrl']) assert.equal(at(made, 'Call', key), null, key)
    assert.ok(STATUSES.includes(String(at(made, 'Call', 'Status'))) && DIRECTIONS.includes(String(at(made, 'Call', 'Direction'))))
    await talk()
    await hangUp(String(at(made, 'Call', 'Sid')))
    await eventually('it is called back', () => receiver.received.length === 1)
    const told: unknown = JSON.parse(receiver.received[0]?.body ?? '')
    for (const key of ['CallSid', 'EventType', 'DateCreated', 'DateUpdated', 'From', 'To', 'PhoneNumberSid', 'StartTime', 'EndTime', 'RecordingUrl'])
      assert.ok(text(at(told, key)), key)
    assert.deepEqual(JSON.parse(String(at(told, 'CustomField'))), { rideId: 'r-1', attempt: 2 })
    assert.ok(Number.isInteger(at(told, 'ConversationDuration')) && DIRECTIONS.includes(String(at(told, 'Direction'))))
    for (const n of [0, 1])
      assert.ok(Number.isInteger(at(told, 'Legs', n, 'OnCallDuration')) && STATUSES.includes(String(at(told, 'Legs', n, 'Status'))))
  })

  test('[C1] [C4] [C5] a library in C#: a double slash in every path, dates into dates, durations into numbers, the status of a refusal into a number', async () => {
    const made = await ask(
      '/Calls/connect.json',
      urlencoded({ From: 'client:priya', To: CUSTOMER, CallerId: CALLER_ID, TimeLimit: '600', TimeOut: '30' }),
    )
    assert.equal(made.status, 200, made.text)
    const sid = String(at(made.json(), 'Call', 'Sid'))
    await talk()
    await hangUp(sid)
    const call = at((await ask(`/Calls/${sid}.json`)).json(), 'Call')
    for (const key of ['DateCreated', 'DateUpdated', 'StartTime', 'EndTime']) assert.ok(Date.parse(String(at(call, key))) > 0, key)
    assert.ok(Number.isInteger(Number(at(call, 'Duration'))) && at(call, 'Duration') !== '')
    assert.ok(at(call, 'Price') === null || Number.isFinite(Number(at(call, 'Price'))))
    const refused = await ask('/Calls/connect.json', urlencoded({ From: 'client:priya', To: '+14155550100' }))
    assert.deepEqual([refused.status, at(refused.json(), 'RestException', 'Status')], [403, 403])
  })

  test('[C2] [C4] [C8] [C10] a gem in Ruby: the account as user, XML, and what 401 and 403 say', async () => {
    const made = await ask('Calls/connect', {
      ...urlencoded({ From: 'client:priya', To: CUSTOMER, CallerId: CALLER_ID, CallType: 'trans' }),
      user: 'acme',
    })
    const call = at(xml(made.text), 'TwilioResponse', 'Call')
    assert.deepEqual(
      ['Status', 'To', 'EndTime'].map((key) => at(call, key)),
      ['in-progress', CUSTOMER, ''],
    )
    await talk()
    await hangUp(String(at(call, 'Sid')))
    const stranger = await ask('Calls/connect', { ...urlencoded({ From: 'client:priya', To: CUSTOMER }), token: 'wrong' })
    assert.deepEqual(
      [stranger.status, at(xml(stranger.text), 'TwilioResponse', 'RestException')],
      [401, { Status: '401', Message: 'Authentication failed' }],
    )
    const forbidden = await ask('Calls/connect', urlencoded({ From: 'client:priya', To: '+14155550100', CallerId: CALLER_ID }))
    assert.deepEqual([forbidden.status, at(xml(forbidden.text), 'TwilioResponse', 'RestException', 'Status')], [403, '403'])
  })

  /** Clients that differ in what they send; all of them read `Call.Sid`, or nothing at all. */
  const CONNECTS: readonly (readonly [string, string, Ask])[] = [
    [
      'exotel-py, with its defaults',
      'Calls/connect.json',
      {
        ...urlencoded({ From: 'client:priya', To: CUSTOMER, CallerId: CALLER_ID, TimeLimit: '14400', TimeOut: '30', CallType: 'trans' }),
        user: 'acme',
      },
    ],
    [
      'a PHP package, with MaxRetries and TimeOut',
      'Calls/connect.json',
      urlencoded({ From: 'client:priya', To: CUSTOMER, CallerId: CALLER_ID, CallType: 'trans', TimeOut: '45', MaxRetries: '3' }),
    ],
    [
      'the vendor’s Go sample, with a caller type of its own and an Accept',
      'Calls/connect.json',
      { ...urlencoded({ From: 'client:priya', To: CUSTOMER, CallerType: 'trans' }), headers: { accept: 'application/json' } },
    ],
    [
      'an agent platform, in JSON',
      'Calls/connect.json',
      inJson('POST', {
        From: 'client:priya',
        To: CUSTOMER,
        CallerId: CALLER_ID,
        StatusCallbackEvents: ['terminal', 'answered'],
        Record: true,
        TimeLimit: 600,
      }),
    ],
    [
      'the vendor’s Java sample, as multipart',
      'Calls/connect.json',
      { method: 'POST', body: multipart({ From: 'client:priya', To: CUSTOMER, CallerId: CALLER_ID }) },
    ],
    [
      'the vendor’s Node sample, whose body begins with &',
      'Calls/connect',
      {
        method: 'POST',
        body: `&From=client%3Apriya&To=${CUSTOMER}&CallerId=${CALLER_ID}&CallerType=promo`,
        headers: { accept: 'application/x-www-form-urlencoded', 'content-type': 'application/x-www-form-urlencoded' },
      },
    ],
  ]
  for (const [who, path, asking] of CONNECTS) {
    test(`[C3] [C30] ${who}`, async () => {
      const { status, text, json } = await ask(path, asking)
      assert.equal(status, 200, text)
      await talk()
      await hangUp(String(path.endsWith('.json') ? at(json(), 'Call', 'Sid') : at(xml(text), 'TwilioResponse', 'Call', 'Sid')))
    })
  }

  /** A client that makes an exception of each status, with the text that it finds. */
  const REFUSALS: readonly (readonly [string, Ask, number, string])[] = [
    ['Calls/connect.json', urlencoded({ To: CUSTOMER }), 400, 'Invalid Parameter: From is missing or invalid'],
    [`Calls/${'0'.repeat(32)}.json`, { token: 'wrong' }, 401, 'Authentication failed'],
    ['Calls/connect.json', urlencoded({ From: AGENT, To: '+14155550100' }), 403, 'Call cannot be made: your account may not dial this destination'],
    [`Calls/${'0'.repeat(32)}.json`, {}, 404, 'Given callSID does not exist. Please check the callSID passed'],
  ]
  for (const [path, asking, status, message] of REFUSALS) {
    test(`[C8] [C9] [C10] an exception for ${status}: ${message}`, async () => {
      const said = await ask(path, asking)
      assert.deepEqual([said.status, at(said.json(), 'RestException', 'Message')], [status, message])
    })
  }
})

function multipart(fields: Readonly<Record<string, string>>): FormData {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.set(name, value)
  return form
}
