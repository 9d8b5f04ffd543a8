// The contract over HTTP, without sockets: the real server and routes, a Control in memory.
import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import { XMLParser } from 'fast-xml-parser'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import { assertDescribed } from '../../test/answers.ts'
import { makeApi } from '../control/api.ts'
import { NOTHING_KEPT } from './nothing-kept.ts'
import type { Control } from '../control/control.ts'
import type { Address } from '../domain/address.ts'
import { DomainError } from '../domain/errors.ts'
import type { AccountId, CallId, LegId } from '../domain/ids.ts'
import { makeKeyring } from './auth.ts'
import { type FakeControl, makeFakeControl } from './fake-control.ts'
import { makeServer, type ServerOptions } from './server.ts'

const ACME = '/v1/Accounts/acme'
const keyring = makeKeyring([
  { accountId: 'acme' as AccountId, key: 'key', token: 'token' },
  { accountId: 'zenith' as AccountId, key: 'zkey', token: 'ztoken' },
])
const basic = (credentials: string): string => `Basic ${Buffer.from(credentials).toString('base64')}`
const CONNECT = { From: '09876530240', To: '09876538847', CallerId: '08040404890' }
const MONITOR = { Action: 'listen', PhoneNumber: '09876500001' }
const parser = new XMLParser({ parseTagValue: false })

let now: number
let state: ReturnType<ServerOptions['ready']>
let control: FakeControl
let lines: (Readonly<Record<string, unknown>> & { readonly message: string })[]
let app: FastifyInstance

beforeEach(() => {
  now = Date.parse('2020-12-22T17:31:06+05:30')
  state = 'ready'
  lines = []
  control = makeFakeControl(() => now)
  app = serverOn(control)
})

function serverOn(over: Control, limits: NonNullable<ServerOptions['limits']> = {}): FastifyInstance {
  let requests = 0
  const note = (fields: Readonly<Record<string, unknown>>, message: string): void => void lines.push({ ...fields, message })
  return makeServer({
    api: makeApi(over, NOTHING_KEPT),
    limits,
    now: () => now,
    newId: () => `req${++requests}`,
    log: { info: note, error: note },
    ready: () => state,
    publicUrl: () => '',
    accounts: { authenticate: keyring, timeZone: (accountId) => (accountId === 'acme' ? 'Asia/Kolkata' : 'UTC') },
  })
}

interface Extra {
  readonly headers?: Readonly<Record<string, string>>
  readonly as?: string | null
  readonly on?: FastifyInstance
}

/** An object is sent as JSON, a string as it is. Whatever comes back has to be what the description of the API promises. */
async function send(
  method: string,
  url: string,
  payload?: string | object,
  { headers = {}, as = 'key:token', on = app }: Extra = {},
): Promise<LightMyRequestResponse> {
  const authorization = as === null ? {} : { authorization: basic(as) }
  const body = payload === undefined ? {} : { payload }
  const answer = await on.inject({ method: method as NonNullable<InjectOptions['method']>, url, headers: { ...authorization, ...headers }, ...body })
  assertDescribed(method, url, {
    status: answer.statusCode,
    contentType: String(answer.headers['content-type']),
    body: answer.body,
    headers: answer.headers,
  })
  return answer
}

const get = (path: string, extra?: Extra): Promise<LightMyRequestResponse> => send('GET', `${ACME}${path}`, undefined, extra)
const post = (path: string, payload: string | object, extra?: Extra): Promise<LightMyRequestResponse> =>
  send('POST', `${ACME}${path}`, payload, extra)
const put = (path: string, payload: string | object, extra?: Extra): Promise<LightMyRequestResponse> => send('PUT', `${ACME}${path}`, payload, extra)

interface Talk {
  readonly path: string
  readonly callId: CallId
  readonly agent: LegId
  readonly customer: LegId
}

/** A call between agent and customer, both on the phone. */
async function talk(): Promise<Talk> {
  const { Sid } = (await post('/Calls/connect.json', CONNECT)).json().Call
  const [first] = (await get(`/Calls/${Sid}/ActiveLegs.json`)).json().Legs
  const call = control.answer(Sid, first.Sid)
  const second = call.legs[1] ?? assert.fail('no second leg')
  control.answer(Sid, second.id)
  return { path: `/Calls/${Sid}`, callId: Sid, agent: first.Sid, customer: second.id }
}

const monitorOf = async (path: string, Action = 'listen'): Promise<string> => (await post(`${path}/Legs.json`, { ...MONITOR, Action })).json().Leg.Sid
const exception = (response: LightMyRequestResponse): Record<string, unknown> =>
  response.headers['content-type'] === 'application/xml' ? parser.parse(response.body).TwilioResponse.RestException : response.json().RestException

test('[C1] the suffix alone selects the format, whatever is sent or accepted', async () => {
  const { path } = await talk()
  for (const headers of [{}, { accept: 'application/json' }, { accept: 'application/xml' }, { accept: 'nonsense' }]) {
    const xml = await post(`${path}/Legs`, MONITOR, { headers })
    assert.deepEqual([xml.statusCode, xml.headers['content-type']], [200, 'application/xml'])
    assert.equal(parser.parse(xml.body).TwilioResponse.Leg.Origin, 'monitor')
    const json = await get(`${path}/ActiveLegs.json?x=.json`, { headers })
    assert.deepEqual([json.statusCode, json.headers['content-type']], [200, 'application/json; charset=utf-8'])
    assert.equal((await get(`${path}/ActiveLegs?x=.json`, { headers })).headers['content-type'], 'application/xml')
  }
})

test('[C1] errors follow the path too, also those from before any route', async () => {
  const cases: readonly (readonly [string, string, number])[] = [
    ['GET', `${ACME}/Nothing`, 404],
    ['GET', `${ACME}/Calls/%zz`, 400],
    ['GET', `/v1/Accounts/nobody/Calls/x`, 401],
    ['DELETE', `${ACME}/Calls/x`, 405],
    ['GET', `${ACME}/Calls/x/ActiveLegs`, 404],
    ['POST', `${ACME}/Calls/x/Legs`, 400],
    ['GET', `${ACME}/Calls/${'9'.repeat(600)}`, 414],
    ['GET', '/nothing', 404],
    ['PROPFIND', ACME, 404],
  ]
  for (const [method, url, status] of cases) {
    const xml = await send(method, url)
    assert.deepEqual(
      [xml.statusCode, xml.headers['content-type'], exception(xml).Status ?? exception(xml).Code],
      [status, 'application/xml', String(status)],
      url,
    )
    const json = await send(method, `${url}.json`)
    assert.deepEqual(
      [json.statusCode, json.headers['content-type'], exception(json).Status ?? exception(json).Code],
      [status, 'application/json; charset=utf-8', status],
      url,
    )
    assert.equal(exception(json).Message, exception(xml).Message)
  }
})

test('[C1] paths are case-sensitive, and an unknown one is 404, never its parent', async () => {
  const { path, agent } = await talk()
  const unknown = [
    `${path}/activelegs.json`,
    `${path}/Activelegs`,
    `${path}/ActiveLegs/`,
    `${path}/ActiveLegs.json/`,
    `${path}/ActiveLegs/x`,
    `${path}/`,
    `${path}/ActiveLegs.xml`,
    `/calls/x`,
    `/calls`,
    `/Calls/`,
    `/Calls//x`,
    `${path}//ActiveLegs`,
    `${path}/Legs/${agent}/x`,
    '',
    '/',
    '/Calls/a/b/c/d',
  ]
  for (const below of unknown) assert.equal((await get(below)).statusCode, 404, below)
  for (const url of ['/v1/accounts/acme/Calls/x', '/V1/Accounts/acme/Calls/x', '/v2/Accounts/acme/Calls/x', '/', '/healthz.json', '/v1/healthz']) {
    assert.equal((await send('GET', url)).statusCode, 404, url)
  }
})

test('[C1] the Uri of a call, with the suffix where the vendor has it, can be followed', async () => {
  const { Uri } = (await post('/Calls/connect.json', CONNECT)).json().Call
  assert.match(Uri, /^\/v1\/Accounts\/acme\/Calls\.json\/[0-9a-z]{32}$/)
  const followed = await send('GET', Uri)
  assert.equal(followed.json().Call.Uri, Uri)
})

test('[C1] two slashes where a base address ends and a path begins are one, in both formats; elsewhere they are an unknown path', async () => {
  const { path } = await talk()
  assert.equal((await send('GET', `${ACME}/${path}/ActiveLegs.json`)).json().Legs.length, 2)
  assert.match((await send('GET', `${ACME}//${path}/ActiveLegs`)).body, /^<\?xml/)
  for (const url of [`/${ACME}${path}`, `/v1//Accounts/acme${path}`, `/v1/Accounts//acme${path}`, `${ACME}//`, `${ACME}/${path}//ActiveLegs`])
    assert.equal((await send('GET', url)).statusCode, 404, url)
})

test('[C1] a path in absolute form is the same path', async () => {
  const { path } = await talk()
  assert.equal((await send('GET', `http://api.example.com${ACME}${path}/ActiveLegs.json`)).json().Legs.length, 2)
})

test('[C2] without the account’s own key there is one 401, the same for every reason', async () => {
  const { path } = await talk()
  const bodies = new Set<string>()
  for (const [url, as] of [
    [`${ACME}${path}/ActiveLegs`, null],
    [`${ACME}${path}/ActiveLegs`, 'key:wrong'],
    [`${ACME}${path}/ActiveLegs`, 'nobody:token'],
    [`${ACME}${path}/ActiveLegs`, 'zkey:ztoken'],
    ['/v1/Accounts/nobody/Calls/x/ActiveLegs', 'key:token'],
    [`${ACME}/Calls/unknown/ActiveLegs`, null],
  ] as const) {
    const response = await send('GET', url, undefined, { as })
    assert.equal(response.statusCode, 401)
    assert.match(String(response.headers['www-authenticate']), /^Basic /)
    bodies.add(response.body)
  }
  assert.deepEqual(
    [...bodies].map((body) => parser.parse(body).TwilioResponse.RestException),
    [{ Status: '401', Message: 'Authentication failed' }],
  )
})

test('[C2] who may not ask is not told what is wrong with the body, and nothing happens', async () => {
  const response = await post('/Calls/connect.json', '{', { as: null, headers: { 'content-type': 'application/json' } })
  assert.equal(response.statusCode, 401)
  assert.deepEqual(control.asked, [])
})

test('[C3] all three encodings on every write', async () => {
  const encodings: readonly ((fields: Readonly<Record<string, string>>) => readonly [string, string])[] = [
    (fields) => ['application/json', JSON.stringify(fields)],
    (fields) => ['application/x-www-form-urlencoded', new URLSearchParams(fields).toString()],
    (fields) => [
      'multipart/form-data; boundary=B',
      `${Object.entries(fields)
        .map(([name, value]) => `--B\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`)
        .join('')}--B--\r\n`,
    ],
  ]
  for (const encode of encodings) {
    const sendAs = (method: string, path: string, fields: Readonly<Record<string, string>>): Promise<LightMyRequestResponse> => {
      const [contentType, body] = encode(fields)
      return send(method, `${ACME}${path}`, body, { headers: { 'content-type': contentType } })
    }
    const { Sid } = (await sendAs('POST', '/Calls/connect.json', CONNECT)).json().Call
    const leg = (await sendAs('POST', `/Calls/${Sid}/Legs.json`, { ...MONITOR, 'StatusCallbackEvents[0]': 'terminal' })).json().Leg
    assert.equal((await sendAs('PUT', `/Calls/${Sid}/Legs/${leg.Sid}.json`, { Action: 'barge' })).json().Leg.LastAction, 'barge')
    assert.equal((await sendAs('PUT', `/Calls/${Sid}/Legs/${leg.Sid}.json`, { action: 'hangup' })).json().legs.LastAction, 'hangup')
  }
})

test('[C3] a body without a content type is read as what it looks like', async () => {
  const { path } = await talk()
  const bare = (payload: string): Promise<LightMyRequestResponse> =>
    app.inject({ method: 'POST', url: `${ACME}${path}/Legs`, payload: Buffer.from(payload), headers: { authorization: basic('key:token') } })
  assert.equal((await bare(JSON.stringify(MONITOR))).statusCode, 200)
  assert.equal((await bare('Action=listen&PhoneNumber=09876500001')).statusCode, 200)
})

test('[C10] bodies that cannot be read are 400, 413 or 415, and nothing happens', async () => {
  const { path } = await talk()
  const before = control.asked.length
  const json = { 'content-type': 'application/json' }
  const cases: readonly (readonly [string, Readonly<Record<string, string>>, number])[] = [
    ['{"Action":', json, 400],
    ['[]', json, 400],
    ['"x"', json, 400],
    ['x', { 'content-type': 'multipart/form-data' }, 400],
    ['--B--', { 'content-type': 'multipart/form-data; boundary=C' }, 400],
    ['x', { 'content-type': 'text/plain' }, 415],
    ['<a/>', { 'content-type': 'application/xml' }, 415],
    ['{}', { 'content-type': '???' }, 415],
    ['{}', { ...json, 'content-encoding': 'gzip' }, 415],
    [`{"CustomField":"${'x'.repeat(64 * 1024)}"}`, json, 413],
    ['x'.repeat(64 * 1024 + 1), { 'content-type': 'text/plain' }, 413],
    [`--B\r\n${'x'.repeat(70_000)}`, { 'content-type': 'multipart/form-data; boundary=B' }, 413],
  ]
  for (const [payload, headers, status] of cases) {
    const response = await post(`${path}/Legs.json`, payload, { headers })
    assert.deepEqual([response.statusCode, exception(response).Status], [status, status], payload.slice(0, 20))
  }
  assert.equal(control.asked.length, before)
})

test('[C3] the largest body that is allowed is read', async () => {
  const { path } = await talk()
  const filler = 'x'.repeat(64 * 1024 - JSON.stringify({ ...MONITOR, Unknown: '' }).length)
  const payload = JSON.stringify({ ...MONITOR, Unknown: filler })
  assert.equal(payload.length, 64 * 1024)
  assert.equal((await post(`${path}/Legs`, payload, { headers: { 'content-type': 'application/json' } })).statusCode, 200)
})

test('[C5] dates are in the zone of the account that asks', async () => {
  const { DateCreated } = (await post('/Calls/connect.json', CONNECT)).json().Call
  assert.equal(DateCreated, '2020-12-22 17:31:06')
  const zenith = await send('POST', '/v1/Accounts/zenith/Calls/connect.json', CONNECT, { as: 'zkey:ztoken' })
  assert.equal(zenith.json().Call.DateCreated, '2020-12-22 12:01:06')
})

test('[C9] an unknown, an ended and a foreign call are the same 404, whatever is asked of them', async () => {
  const { path, callId, agent, customer } = await talk()
  control.end(callId, customer, 'completed')
  control.end(callId, agent, 'completed')
  const foreign = (await send('POST', '/v1/Accounts/zenith/Calls/connect.json', CONNECT, { as: 'zkey:ztoken' })).json().Call.Sid
  for (const below of [path, '/Calls/unknown', `/Calls/${foreign}`, '/Calls/%00', "/Calls/a'b", `/Calls/${'x'.repeat(200)}`]) {
    for (const response of [
      await get(`${below}/ActiveLegs`),
      await post(`${below}/Legs`, MONITOR),
      await put(`${below}/Legs/${agent}`, { Action: 'barge' }),
      await put(`${below}/Legs/${agent}`, { Action: 'hangup' }),
    ]) {
      assert.equal(response.statusCode, 404, below)
      assert.deepEqual(exception(response), { Code: '404', Message: 'Given callSID is not in-progress' }, below)
    }
  }
})

test('[C9] a parameter that is wrong in itself is 400 whether or not the call lives', async () => {
  assert.deepEqual(exception(await post('/Calls/unknown/Legs.json', { Action: 'listen' })), {
    Status: 400,
    Message: 'Invalid Parameter: PhoneNumber is missing or invalid',
  })
  for (const unknown of ['unknown', '%00']) assert.equal((await put(`/Calls/${unknown}/Legs/${unknown}`, { Action: 'spy' })).statusCode, 400)
  assert.deepEqual(exception(await put('/Calls/unknown/Legs/x.json', { Action: 'spy' })), {
    Status: 400,
    Message: 'Invalid Parameter: Action is missing or invalid',
  })
})

test('[C10] a destination that may not be dialled is 403', async () => {
  const { path } = await talk()
  const refused = await post(`${path}/Legs.json`, { ...MONITOR, PhoneNumber: '+19005550123' })
  assert.equal(refused.statusCode, 403)
  assert.match(String(exception(refused).Message), /may not dial/)
  assert.equal((await post('/Calls/connect', { ...CONNECT, From: '+19005550123' })).statusCode, 403)
})

test('[C10] a known path with another method is 405 and says which it knows', async () => {
  const cases = [
    ['GET', '/Calls/connect', 'POST'],
    ['PUT', '/Calls/connect.json', 'POST'],
    ['POST', '/Calls', 'GET, HEAD'],
    ['DELETE', '/Calls.json', 'GET, HEAD'],
    ['POST', '/Calls/x', 'GET, HEAD'],
    ['DELETE', '/Calls/x.json', 'GET, HEAD'],
    ['POST', '/Calls/x/ActiveLegs', 'GET, HEAD'],
    ['PUT', '/Calls/x/Legs', 'GET, HEAD, POST'],
    ['DELETE', '/Calls/x/Legs.json', 'GET, HEAD, POST'],
    ['POST', '/Calls/x/Legs/y', 'PUT'],
    ['GET', '/Calls/x/Legs/y', 'PUT'],
    ['HEAD', '/Calls/x/Legs/y', 'PUT'],
    ['PATCH', '/Calls/x/Legs/y', 'PUT'],
    ['OPTIONS', '/Calls/connect', 'POST'],
  ] as const
  for (const [method, below, allow] of cases) {
    const response = await send(method, `${ACME}${below}`, undefined, { as: null })
    assert.deepEqual([response.statusCode, response.headers.allow], [405, allow], `${method} ${below}`)
  }
})

test('[C10] a refused method does not read the body', async () => {
  assert.equal((await send('POST', `${ACME}/Calls/x/ActiveLegs`, 'x'.repeat(100_000), { headers: { 'content-type': 'text/plain' } })).statusCode, 405)
  assert.equal((await send('POST', `${ACME}/nothing`, 'x'.repeat(100_000), { headers: { 'content-type': 'text/plain' } })).statusCode, 404)
})

test('[C10] the write after the last one allowed in a minute is 429 with Retry-After; reads go on', async () => {
  for (let n = 0; n < 200; n++) assert.equal((await post('/Calls/connect', {})).statusCode, 400)
  now += 20_000
  const refused = await post('/Calls/connect.json', CONNECT)
  assert.deepEqual([refused.statusCode, refused.headers['retry-after'], exception(refused).Message], [429, '40', 'Too Many Requests'])
  assert.equal((await put('/Calls/x/Legs/y', { Action: 'hangup' })).statusCode, 429)
  assert.equal((await get('/Calls/x/ActiveLegs')).statusCode, 404)
  assert.equal((await send('POST', '/v1/Accounts/zenith/Calls/connect', CONNECT, { as: 'zkey:ztoken' })).statusCode, 200)
  now += 40_000
  assert.equal((await post('/Calls/connect', CONNECT)).statusCode, 200)
})

test('[C10] a request without the right key does not use up the account’s writes', async () => {
  const on = serverOn(control, { writesPerMinute: 1 })
  for (let n = 0; n < 5; n++) assert.equal((await post('/Calls/connect', CONNECT, { on, as: 'key:wrong' })).statusCode, 401)
  assert.equal((await post('/Calls/connect', CONNECT, { on })).statusCode, 200)
})

test('every answer has the id under which the request is in the log: what worked, what was refused, and what was hardly a request', async () => {
  lines.length = 0
  for (const path of ['/Calls.json', '/Calls/x.json', '/Nothing']) {
    const { headers } = await get(path)
    assert.match(String(headers['x-request-id']), /./)
    assert(lines.some((line) => line.request === headers['x-request-id']), path)
  }
  const { headers } = await app.inject({ method: 'GET', url: `/v1/Accounts/acme/Calls/${'x'.repeat(999)}` })
  assert.notEqual(headers['x-request-id'], undefined)
})

test('[C10] what nobody foresaw is 500 with an id that the log has too, and nothing of the inside', async () => {
  const on = serverOn({ ...control, liveCall: () => Promise.reject(new Error('relation "calls" does not exist')) })
  for (const below of ['/Calls/x/ActiveLegs', '/Calls/x/ActiveLegs.json']) {
    const response = await get(below, { on })
    assert.equal(response.statusCode, 500)
    assert.ok(!response.body.includes('relation'))
    const id = /\((req\d+)\)/.exec(String(exception(response).Message))?.[1]
    const logged = lines.find((line) => line.request === id && line.message === 'request failed')
    assert.match(String(logged?.err), /relation "calls" does not exist/)
  }
})

test('[C10] an error that only looks like one of HTTP is still 500', async () => {
  const on = serverOn({ ...control, liveCall: () => Promise.reject(Object.assign(new Error('teapot'), { statusCode: 418, code: 'ECONNREFUSED' })) })
  assert.equal((await get('/Calls/x/ActiveLegs', { on })).statusCode, 500)
})

test('[C10] while starting everything is 503 with Retry-After, before anybody is asked who they are', async () => {
  state = 'starting'
  const response = await get('/Calls/x/ActiveLegs.json', { as: null })
  assert.deepEqual([response.statusCode, response.headers['retry-after'], exception(response).Status], [503, '5', 503])
  assert.equal((await send('GET', '/healthz')).statusCode, 200)
  assert.equal((await send('GET', '/readyz')).statusCode, 503)
})

test('[C10] while draining nothing new begins, what lives can be seen and hung up, and connections are closed', async () => {
  const { path, agent } = await talk()
  assert.equal((await send('GET', '/readyz')).statusCode, 200)
  state = 'draining'
  for (const response of [await post('/Calls/connect', CONNECT), await post(`${path}/Legs`, MONITOR)]) {
    assert.deepEqual([response.statusCode, response.headers['retry-after'], response.headers.connection], [503, '5', 'close'])
  }
  assert.equal((await get(`${path}/ActiveLegs`)).statusCode, 200)
  assert.equal((await put(`${path}/Legs/${agent}`, { Action: 'hangup' })).statusCode, 200)
  assert.equal((await send('GET', '/readyz')).statusCode, 503)
})

test('[C10] the house may say itself that it is draining', async () => {
  const on = serverOn({ ...control, connect: () => Promise.reject(new DomainError('draining')) })
  const response = await post('/Calls/connect', CONNECT, { on })
  assert.deepEqual([response.statusCode, response.headers['retry-after']], [503, '5'])
})

test('[C11] [C12] the legs of an outbound call: the agent is outbound, the customer outbound-dial, the supervisor monitor', async () => {
  const { path, callId, agent, customer } = await talk()
  const leg = await monitorOf(path, 'barge')
  const { Legs } = (await get(`${path}/ActiveLegs.json`)).json()
  const columns = Legs.map((one: Record<string, unknown>) => [one.Sid, one.Origin, one.LastAction, one.PhoneNumber, one.EndUserNumber, one.CallSid])
  assert.deepEqual(columns, [
    [agent, 'outbound', '', '09876530240', undefined, callId],
    [customer, 'outbound-dial', '', '09876538847', undefined, callId],
    [leg, 'monitor', 'barge', '09876500001', '09876500001', callId],
  ])
  const xml = parser.parse((await get(`${path}/ActiveLegs`)).body).TwilioResponse.Legs.Leg
  assert.deepEqual(
    xml.map((one: Record<string, unknown>) => one.Sid),
    [agent, customer, leg],
  )
})

test('[C12] [C17] on a call from outside the caller is inbound, and the dialled leg is the one that is coached', async () => {
  const call = control.callIn('acme' as AccountId, '+919876500009' as Address, '+918040404890' as Address, 'client:priya' as Address)
  const { Legs } = (await get(`/Calls/${call.id}/ActiveLegs.json`)).json()
  assert.deepEqual(
    Legs.map((leg: Record<string, unknown>) => [leg.Origin, leg.PhoneNumber]),
    [
      ['inbound', '09876500009'],
      ['outbound-dial', 'client:priya'],
    ],
  )
  const leg = await monitorOf(`/Calls/${call.id}`, 'whisper')
  const live = await control.liveCall(call.accountId, call.id)
  assert.equal(live.legs.find((one) => one.id === leg)?.monitoring?.targetLegId, live.legs[1]?.id)
})

test('[C13] a leg is in progress while it still rings', async () => {
  const { Sid } = (await post('/Calls/connect.json', CONNECT)).json().Call
  assert.deepEqual(
    (await get(`/Calls/${Sid}/ActiveLegs.json`)).json().Legs.map((leg: Record<string, unknown>) => leg.Status),
    ['in-progress'],
  )
})

test('[C14] a call whose legs have all ended has no active legs but the documented error', async () => {
  const { path, callId, agent, customer } = await talk()
  control.end(callId, customer, 'completed')
  control.end(callId, agent, 'completed')
  assert.deepEqual(exception(await get(`${path}/ActiveLegs.json`)), { Code: 404, Message: 'Given callSID is not in-progress' })
})

test('[C15] [C16] creating a leg is 200 with the leg, its mode in lower case, before anybody picks up', async () => {
  const { path, callId } = await talk()
  const response = await post(`${path}/Legs.json`, { Action: 'WHISPER', PhoneNumber: '+919876500001' })
  assert.equal(response.statusCode, 200)
  const { Leg } = response.json()
  assert.deepEqual(Object.keys(Leg), [
    'Sid',
    'CallSid',
    'AccountSid',
    'PhoneNumber',
    'Status',
    'Origin',
    'LastAction',
    'DateCreated',
    'DateUpdated',
    'StartTime',
    'Uri',
  ])
  assert.deepEqual(
    [Leg.LastAction, Leg.Status, Leg.StartTime, Leg.Uri],
    ['whisper', 'in-progress', Leg.DateCreated, `/v1/Accounts/acme/Calls/${callId}/Legs`],
  )
  const call = await control.liveCall('acme' as AccountId, callId)
  assert.equal(call.legs[2]?.state.status, 'ringing')
})

test('[C17] a target must be a live conversation leg of this call, and is never replaced', async () => {
  const { path, callId, agent, customer } = await talk()
  const monitor = await monitorOf(path)
  const other = await talk()
  for (const TargetLegSid of [monitor, other.agent, 'unknown', 'not an id!']) {
    assert.deepEqual(exception(await post(`${path}/Legs.json`, { ...MONITOR, TargetLegSid })), {
      Status: 400,
      Message: 'Invalid Parameter: TargetLegSid is missing or invalid',
    })
  }
  const targetOf = async (TargetLegSid: string): Promise<unknown> => {
    const { Sid } = (await post(`${path}/Legs.json`, { ...MONITOR, TargetLegSid })).json().Leg
    const call = await control.liveCall('acme' as AccountId, callId)
    return call.legs.find((leg) => leg.id === Sid)?.monitoring?.targetLegId
  }
  assert.equal(await targetOf(customer), customer)
  assert.equal(await targetOf(''), agent)
})

test('[C18] ten supervisors may monitor one call, the eleventh is 403', async () => {
  const { path } = await talk()
  for (let n = 0; n < 10; n++) assert.equal((await post(`${path}/Legs`, MONITOR)).statusCode, 200)
  const refused = await post(`${path}/Legs.json`, MONITOR)
  assert.deepEqual([refused.statusCode, exception(refused).Status], [403, 403])
})

test('[C19] the same key gives the first answer again, in whatever order, encoding and format it is asked', async () => {
  const { path } = await talk()
  const headers = { 'idempotency-key': 'k1' }
  const first = (await post(`${path}/Legs.json`, MONITOR, { headers })).json().Leg
  assert.deepEqual((await post(`${path}/Legs.json`, MONITOR, { headers })).json().Leg, first)
  const form = { ...headers, 'content-type': 'application/x-www-form-urlencoded' }
  const again = await post(`${path}/Legs`, 'PhoneNumber=09876500001&Action=listen&TargetLegSid=', { headers: form })
  assert.equal(parser.parse(again.body).TwilioResponse.Leg.Sid, first.Sid)
  assert.equal((await get(`${path}/ActiveLegs.json`)).json().Legs.length, 3)
})

test('[C19] the same key with another body or path is 409, and one that is no key is 400', async () => {
  const { path } = await talk()
  const other = await talk()
  const headers = { 'idempotency-key': 'k1' }
  assert.equal((await post(`${path}/Legs`, MONITOR, { headers })).statusCode, 200)
  assert.equal((await post(`${path}/Legs`, { ...MONITOR, Action: 'barge' }, { headers })).statusCode, 409)
  assert.equal((await post(`${other.path}/Legs`, MONITOR, { headers })).statusCode, 409)
  assert.deepEqual(exception(await post(`${path}/Legs.json`, MONITOR, { headers: { 'idempotency-key': 'k'.repeat(256) } })), {
    Status: 400,
    Message: 'Invalid Parameter: Idempotency-Key is missing or invalid',
  })
})

test('[C20] any mode to any mode, the same again too: the new LastAction, DateUpdated moved, Uri with the leg', async () => {
  const { path, callId } = await talk()
  const leg = await monitorOf(path)
  for (const Action of ['whisper', 'barge', 'listen', 'barge', 'whisper', 'whisper', 'listen']) {
    now += 1000
    const { Leg } = (await put(`${path}/Legs/${leg}.json`, { Action })).json()
    assert.deepEqual([Leg.Sid, Leg.LastAction, Leg.Uri], [leg, Action, `/v1/Accounts/acme/Calls/${callId}/Legs/${leg}`])
    assert.ok(Leg.DateUpdated > Leg.DateCreated)
  }
  assert.equal((await get(`${path}/ActiveLegs.json`)).json().Legs.length, 3, 'nobody was dialled again')
})

test('[C20] what is no live monitor leg of this call is the documented 404', async () => {
  const { path, callId, agent } = await talk()
  const gone = await monitorOf(path)
  control.end(callId, gone as LegId, 'no-answer')
  const other = await talk()
  const foreign = await monitorOf(other.path)
  for (const leg of [agent, gone, foreign, 'unknown', '%00', "a'b"]) {
    const response = await put(`${path}/Legs/${leg}.json`, { Action: 'barge' })
    assert.deepEqual(exception(response), { Code: 404, Message: 'Given legSID does not exist. Please check the legSID passed' }, leg)
  }
})

test('[C21] hanging up any live leg answers with the leg still in progress, under legs in JSON', async () => {
  const { path, agent, customer } = await talk()
  const monitor = await monitorOf(path)
  for (const leg of [monitor, customer, agent]) {
    const response = await put(`${path}/Legs/${leg}.json`, { Action: 'hangup' })
    assert.equal(response.statusCode, 200)
    assert.deepEqual(Object.keys(response.json()), ['legs'])
    const { legs } = response.json()
    assert.deepEqual([legs.Sid, legs.Status, legs.LastAction], [leg, 'in-progress', 'hangup'])
  }
  const xml = parser.parse(
    (await put(`${path}/Legs/${agent}`, 'Action=hangup', { headers: { 'content-type': 'application/x-www-form-urlencoded' } })).body,
  )
  assert.deepEqual([xml.TwilioResponse.Leg.Sid, xml.TwilioResponse.Leg.LastAction], [agent, 'hangup'])
  assert.equal((await put(`${path}/Legs/unknown`, { Action: 'hangup' })).statusCode, 404)
})

test('[C22] any other or missing action is 400, and nothing happens', async () => {
  const { path } = await talk()
  const leg = await monitorOf(path)
  const before = control.asked.length
  for (const body of [{}, { Action: '' }, { Action: 'mute' }, { PhoneNumber: '1' }]) {
    assert.deepEqual(exception(await put(`${path}/Legs/${leg}.json`, body)), {
      Status: 400,
      Message: 'Invalid Parameter: Action is missing or invalid',
    })
  }
  assert.equal((await send('PUT', `${ACME}${path}/Legs/${leg}`)).statusCode, 400, 'no body at all')
  assert.equal(control.asked.length, before)
})

test('[C30] connect answers with the call, and details are accepted', async () => {
  for (const query of ['', '?details=true']) {
    const response = await post(`/Calls/connect.json${query}`, { ...CONNECT, CallType: 'trans', Record: true })
    assert.equal(response.statusCode, 200)
    const { Call } = response.json()
    assert.equal(Object.keys(Call).length, 19)
    assert.deepEqual(
      [Call.From, Call.To, Call.PhoneNumberSid, Call.Status, Call.Direction],
      ['09876530240', '09876538847', '08040404890', 'in-progress', 'outbound-api'],
    )
  }
})

test('[C31] a call is found while it lives and after, with details when asked', async () => {
  const { path, callId, agent, customer } = await talk()
  now += 60_000
  assert.equal((await get(`${path}.json`)).json().Call.Details, undefined)
  assert.equal((await get(`${path}.json?details=true`)).json().Call.Details.ConversationDuration, 60)
  control.end(callId, customer, 'completed')
  control.end(callId, agent, 'completed')
  now += 60_000
  const { Call } = (await get(`${path}.json?details=true`)).json()
  assert.deepEqual([Call.Status, Call.Duration, Call.Price, Call.Details.Leg2Status], ['completed', '60', null, 'completed'])
  const xml = parser.parse((await get(`${path}?details=TRUE`)).body).TwilioResponse.Call
  assert.deepEqual([xml.Duration, xml.Price, xml.Details.Legs.Leg[1].Id], ['60', '', '2'])
  assert.ok((await get(`${path}.json?details=false&details=true`)).json().Call.Details, 'the last one counts')
})

test('[C31] an unknown or foreign call is 404', async () => {
  const foreign = (await send('POST', '/v1/Accounts/zenith/Calls/connect.json', CONNECT, { as: 'zkey:ztoken' })).json().Call.Sid
  for (const sid of ['unknown', foreign, '%00']) {
    const [call, legs] = [await get(`/Calls/${sid}`), await get(`/Calls/${sid}/Legs`)]
    assert.deepEqual([call.statusCode, legs.statusCode], [404, 404])
    assert.deepEqual(exception(legs), exception(call))
  }
})

test('[C31] all legs of a call, while it lives and after', async () => {
  const { path, callId, agent, customer } = await talk()
  const monitor = await monitorOf(path, 'whisper')
  const legs = async (): Promise<readonly Record<string, unknown>[]> => {
    const body = (await get(`${path}/Legs.json`)).json()
    assert.deepEqual(body.MetaData, { Total: 3, Count: 3 })
    assert.deepEqual(
      body.legs.map((leg: Record<string, unknown>) => leg.Sid),
      [agent, customer, monitor],
    )
    return body.legs
  }
  control.end(callId, monitor as LegId, 'busy')
  assert.deepEqual(
    (await legs()).map((leg) => [leg.Status, leg.EndTime, leg.OnCallDuration]),
    [
      ['in-progress', null, '0'],
      ['in-progress', null, '0'],
      ['busy', '2020-12-22 17:31:06', '0'],
    ],
  )
  now += 60_000
  control.end(callId, customer, 'completed')
  control.end(callId, agent, 'completed')
  assert.deepEqual(
    (await legs()).map((leg) => [leg.Status, leg.OnCallDuration, leg.LastAction]),
    [
      ['completed', '60', ''],
      ['completed', '60', ''],
      ['busy', '0', 'whisper'],
    ],
  )
  const xml = parser.parse((await get(`${path}/Legs`)).body).TwilioResponse
  assert.deepEqual([xml.MetaData.Total, xml.legs.Leg.length, xml.legs.Leg[2].Origin], ['3', 3, 'monitor'])
})

test('[C31] the account’s calls, live and ended, page by page in both formats and directions', async () => {
  const sids: string[] = []
  for (let n = 0; n < 5; n++) {
    sids.unshift((await talk()).callId)
    now += 1000
  }
  await send('POST', '/v1/Accounts/zenith/Calls/connect.json', CONNECT, { as: 'zkey:ztoken' })
  const follow = async (uri: string): Promise<{ readonly sids: readonly string[]; readonly prev: string | null; readonly next: string | null }> => {
    const response = await send('GET', uri)
    assert.equal(response.statusCode, 200, response.body)
    const isJson = response.headers['content-type'] !== 'application/xml'
    const { Metadata, Calls } = isJson ? response.json() : parser.parse(response.body).TwilioResponse
    assert.deepEqual([Number(Metadata.Total), Number(Metadata.PageSize)], [5, 2])
    const calls: readonly { readonly Sid: string }[] = isJson ? Calls : [Calls.Call].flat()
    return { sids: calls.map(({ Sid }) => Sid), prev: Metadata.PrevPageUri || null, next: Metadata.NextPageUri || null }
  }
  for (const suffix of ['', '.json']) {
    const first = await follow(`${ACME}/Calls${suffix}?PageSize=2&Status=in-progress`)
    const second = await follow(first.next ?? '')
    const third = await follow(second.next ?? '')
    assert.deepEqual([first.prev, first.sids, second.sids, third.sids, third.next], [null, sids.slice(0, 2), sids.slice(2, 4), sids.slice(4), null])
    const back = await follow(third.prev ?? '')
    assert.deepEqual([back.sids, (await follow(back.prev ?? '')).sids], [second.sids, first.sids])
  }
})

test('[C31] a list that is asked wrongly is 400 by name, and nobody is asked', async () => {
  const before = control.asked.length
  for (const [search, name] of [
    ['PageSize=0', 'PageSize'],
    ['Status=busy&Status=lively', 'Status'],
    ['After=nonsense', 'After'],
    ['DateCreated=gte:%zz', 'DateCreated'],
  ] as const) {
    const response = await get(`/Calls.json?${search}`)
    assert.equal(response.statusCode, 400)
    assert.equal(exception(response).Message, `Invalid Parameter: ${name} is missing or invalid`)
  }
  assert.equal((await get(`/Calls?${'a=b&'.repeat(201)}`)).statusCode, 400)
  assert.equal(control.asked.length, before)
  assert.equal((await get('/Calls.json?Status=lively&Status=busy&Unknown=x')).statusCode, 200)
})

test('a HEAD is a GET without its body', async () => {
  const { path } = await talk()
  const response = await send('HEAD', `${ACME}${path}/ActiveLegs.json`)
  assert.deepEqual([response.statusCode, response.body, response.headers['content-type']], [200, '', 'application/json; charset=utf-8'])
})

test('one line a request goes to the log, with ids and without numbers, addresses or credentials', async () => {
  const { path, callId } = await talk()
  await monitorOf(path)
  await get('/Calls/919876543210/ActiveLegs?PhoneNumber=919876543210')
  await get('/919876543210')
  await get('/Calls/%zz919876543210')
  await post(`${path}/Legs`, { ...MONITOR, PhoneNumber: '+19005550123' })
  const text = JSON.stringify(lines)
  for (const secret of ['9876', '08040', '9005550123', 'token', 'Basic', basic('key:token').slice(6)]) assert.ok(!text.includes(secret), secret)
  assert.deepEqual(
    lines.map((line) => line.status),
    [200, 200, 200, 404, 404, 400, 403],
  )
  const { request, ms, ...rest } = lines[2] ?? assert.fail('no third line')
  assert.deepEqual(rest, {
    method: 'POST',
    route: '/v1/Accounts/:accountSid/Calls/:callSid/Legs',
    status: 200,
    key: 'key',
    call: callId,
    message: 'request',
  })
  assert.equal(typeof ms, 'number')
  assert.equal(request, 'req3')
})

test('whoever counts is told of every answer: by the route as it was declared, and of what has none', async () => {
  const answered: unknown[] = []
  const counted = makeServer({
    api: makeApi(control, NOTHING_KEPT),
    now: () => now,
    newId: () => 'r',
    log: { info: () => {}, error: () => {} },
    ready: () => 'ready',
    publicUrl: () => '',
    accounts: { authenticate: keyring, timeZone: () => 'UTC' },
    onAnswered: ({ method, route, status, seconds }) => void answered.push([method, route, status, seconds >= 0 && seconds < 10]),
  })
  await send('GET', `${ACME}/Calls/${'x'.repeat(32)}.json`, undefined, { on: counted })
  await send('GET', '/+919876543210', undefined, { on: counted })
  await send('GET', `${ACME}/Calls/%E0%A4%A`, undefined, { on: counted })
  assert.deepEqual(answered, [
    ['GET', '/v1/Accounts/:accountSid/Calls/:callSid', 404, true],
    ['GET', null, 404, true],
    ['GET', null, 400, true],
  ])
})
