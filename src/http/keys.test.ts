// Keys over HTTP: made, told once, used, rotated, revoked; no key makes more of itself; limits by address and for those who guess.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import { assertDescribed } from '../../test/answers.ts'
import { openTestDatabase, silent } from '../../test/database.ts'
import { newApiToken, newId, newKeyId } from '../chance.ts'
import { makeKeyDesk } from '../control/access/key-desk.ts'
import { makeKeyring } from '../control/access/keyring.ts'
import { makeTokenHasher } from '../control/access/token-hash.ts'
import { makeApi } from '../control/api.ts'
import { SCOPES } from '../domain/account/rights.ts'
import type { AccountId, KeyId } from '../domain/ids.ts'
import { makeKeyring as makeConfiguredKeyring } from './auth.ts'
import { makeFakeControl } from './fake-control.ts'
import { NOTHING_KEPT } from './nothing-kept.ts'
import { makeServer, type ServerOptions } from './server.ts'

const ACME = 'acme' as AccountId
const ROOT = 'root:root-token'
let opened: Awaited<ReturnType<typeof openTestDatabase>>
before(async () => {
  opened = await openTestDatabase()
})
after(() => opened.close())

let now: number
let app: FastifyInstance
let lines: Readonly<Record<string, unknown>>[]
let hashes: number
let newToken: () => string

beforeEach(async () => {
  await opened.database.sql.query('truncate api_key')
  now = Date.UTC(2026, 10, 26, 12)
  lines = []
  hashes = 0
  newToken = newApiToken
  app = serverWith({})
})

function serverWith(change: Partial<Pick<ServerOptions, 'limits' | 'trustProxy'>>): FastifyInstance {
  const cheap = makeTokenHasher({ cost: { N: 16, r: 1, p: 1 } })
  const hasher: typeof cheap = { ...cheap, matches: (...pair) => ((hashes += 1), cheap.matches(...pair)) }
  const keyring = makeKeyring({ sql: opened.database.sql, hasher, isAccount: () => true, now: () => now, log: silent })
  const inFile = makeConfiguredKeyring([{ accountId: ACME, key: 'root', token: 'root-token' }])
  const root = { id: 'root' as KeyId, accountId: ACME, name: '', source: 'configuration', scopes: SCOPES, agents: null, createdBy: null } as const
  const keys = makeKeyDesk({
    database: opened.database,
    hasher,
    accounts: new Map([[ACME, { agents: ['priya', 'ravi'] }]]),
    configured: [{ ...root, createdAt: null, expiresAt: null, rotatedAt: null, revokedAt: null, lastUsedAt: null }],
    newId,
    newKeyId,
    newToken: () => newToken(),
    now: () => now,
    onChanged: keyring.forget,
  })
  const note = (fields: Readonly<Record<string, unknown>>, message: string): void => void lines.push({ ...fields, message })
  return makeServer({
    api: makeApi(
      makeFakeControl(() => now),
      { ...NOTHING_KEPT, keys },
    ),
    accounts: {
      authenticate: async (key, token) => (await inFile(key, token)) ?? keyring.authenticate(key, token),
      remembered: keyring.remembered,
      timeZone: () => 'Asia/Kolkata',
    },
    now: () => now,
    newId: () => 'r',
    log: { info: note, error: note },
    ready: () => 'ready',
    publicUrl: () => '',
    ...change,
  })
}

interface Asking {
  readonly as?: string
  readonly payload?: string | object
  readonly headers?: Readonly<Record<string, string>>
  readonly from?: string
  readonly on?: FastifyInstance
}
const basic = (credentials: string): string => `Basic ${Buffer.from(credentials).toString('base64')}`
/** Whatever comes back has to be what the description of the API promises. */
async function ask(
  method: string,
  path: string,
  { as = ROOT, payload, headers = {}, from = '192.0.2.1', on = app }: Asking = {},
): Promise<LightMyRequestResponse> {
  const url = `/v1/Accounts/acme${path}`
  const answer = await on.inject({
    method: method as NonNullable<InjectOptions['method']>,
    url,
    remoteAddress: from,
    headers: { authorization: basic(as), ...headers },
    ...(payload === undefined ? {} : { payload }),
  })
  assertDescribed(method, url, {
    status: answer.statusCode,
    contentType: String(answer.headers['content-type']),
    body: answer.body,
    headers: answer.headers,
  })
  return answer
}
/** Of `POST /Keys.json`: what is then used as `as`. */
async function issue(payload: object, as = ROOT): Promise<{ readonly sid: string; readonly as: string }> {
  const response = await ask('POST', '/Keys.json', { payload, as })
  assert.equal(response.statusCode, 200, response.body)
  const { Sid, Token } = response.json().Key
  return { sid: Sid, as: `${Sid}:${Token}` }
}
const messageOf = (response: LightMyRequestResponse): string => response.json().RestException.Message

test('[C2] a key that was made can be used at once, does what its scopes say, and no more', async () => {
  const reader = await issue({ Name: 'wall board', Scopes: ['calls.read'] })
  assert.match(reader.as, /^ek_[0-9a-z]{24}:et_[0-9a-z]{52}$/)
  assert.equal((await ask('GET', '/Calls.json', { as: reader.as })).statusCode, 200)
  const refused = await ask('POST', '/Calls/connect.json', { as: reader.as, payload: { From: 'client:priya', To: 'client:ravi' } })
  assert.deepEqual([refused.statusCode, messageOf(refused)], [403, 'Your API key does not have the right to do this: calls.create'])
})

test('[C2] a token is told when it is made and never again', async () => {
  const { sid, as } = await issue({ Scopes: 'all' })
  const token = as.split(':')[1] ?? ''
  for (const path of ['/Keys.json', `/Keys/${sid}.json`, '/Keys', `/Keys/${sid}`]) {
    const { statusCode, body } = await ask('GET', path)
    assert.equal(statusCode, 200)
    assert(!body.includes(token) && !body.includes('Token') && !body.includes('scrypt'))
  }
})

test('the list has the keys of the configuration too, which are changed there and nowhere else', async () => {
  const { sid } = await issue({ Scopes: 'all' })
  const { Keys, Metadata } = (await ask('GET', '/Keys.json')).json()
  assert.deepEqual(
    [Metadata.Total, Keys.map(({ Sid, Source, Status }: Record<string, string>) => [Sid, Source, Status])],
    [
      2,
      [
        ['root', 'configuration', 'active'],
        [sid, 'database', 'active'],
      ],
    ],
  )
  for (const [method, path] of [
    ['DELETE', '/Keys/root.json'],
    ['POST', '/Keys/root/Rotate.json'],
  ] as const) {
    const response = await ask(method, path)
    assert.deepEqual([response.statusCode, messageOf(response)], [409, 'Key cannot be changed here: it is kept in the configuration of the server'])
  }
})

test('[C2] a revoked key is 401 from the moment of the answer, and stays listed', async () => {
  const { sid, as } = await issue({ Scopes: 'all' })
  assert.equal((await ask('GET', '/Calls', { as })).statusCode, 200)
  assert.equal((await ask('DELETE', `/Keys/${sid}.json`)).json().Key.Status, 'revoked')
  assert.equal((await ask('GET', '/Calls', { as })).statusCode, 401)
  assert.equal((await ask('DELETE', `/Keys/${sid}.json`)).statusCode, 200, 'again is no mistake')
  assert.equal((await ask('POST', `/Keys/${sid}/Rotate.json`)).statusCode, 409)
  assert.deepEqual((await ask('GET', `/Keys/${sid}.json`)).json().Key.DateRevoked, '2026-11-26 17:30:00')
})

test('[C2] after a rotation the old token counts for the seconds that were said, by default for none', async () => {
  const { sid, as } = await issue({ Scopes: 'all' })
  const rotate = async (payload: object): Promise<string> => `${sid}:${(await ask('POST', `/Keys/${sid}/Rotate.json`, { payload })).json().Key.Token}`
  const second = await rotate({ GraceSeconds: 60 })
  for (const good of [as, second]) assert.equal((await ask('GET', '/Calls', { as: good })).statusCode, 200)
  now += 60_000
  assert.equal((await ask('GET', '/Calls', { as })).statusCode, 401)
  const third = await rotate({})
  assert.equal((await ask('GET', '/Calls', { as: second })).statusCode, 401)
  assert.equal((await ask('GET', '/Calls', { as: third })).statusCode, 200)
  assert.equal((await ask('POST', `/Keys/${sid}/Rotate.json`, { payload: { GraceSeconds: 604_801 } })).statusCode, 400)
})

test('[C2] a key ends at its date, in the account’s time zone', async () => {
  const { sid, as } = await issue({ Scopes: 'all', ExpiresAt: '2026-11-26 17:31:00' })
  assert.equal((await ask('GET', '/Calls', { as })).statusCode, 200)
  now += 59_999
  assert.equal((await ask('GET', '/Calls', { as })).statusCode, 200)
  now += 1
  assert.equal((await ask('GET', '/Calls', { as })).statusCode, 401)
  assert.equal((await ask('GET', `/Keys/${sid}.json`)).json().Key.Status, 'expired')
  assert.equal((await ask('POST', '/Keys.json', { payload: { Scopes: 'all', ExpiresAt: '2026-11-26 17:30:00' } })).statusCode, 400, 'not in the past')
})

test('[C10] no key makes, renews or takes away one that can do more than itself, by scope or by agents', async () => {
  const admin = (await issue({ Scopes: 'accounts.admin,calls.read' })).as
  const limited = (await issue({ Scopes: 'all', Agents: 'priya' })).as
  const strong = (await issue({ Scopes: 'all' })).sid
  const equal = (await issue({ Scopes: 'calls.read' })).sid
  for (const payload of [{ Scopes: 'all' }, { Scopes: 'calls.read,calls.create' }])
    assert.equal((await ask('POST', '/Keys.json', { as: admin, payload })).statusCode, 403)
  for (const payload of [{ Scopes: 'calls.read' }, { Scopes: 'calls.read', Agents: 'ravi' }, { Scopes: 'calls.read', Agents: 'priya,ravi' }])
    assert.equal((await ask('POST', '/Keys.json', { as: limited, payload })).statusCode, 403)
  await issue({ Scopes: 'calls.read', Agents: 'priya' }, limited)
  for (const [method, below] of [
    ['DELETE', ''],
    ['POST', '/Rotate'],
  ] as const) {
    const path = (sid: string): string => `/Keys/${sid}${below}.json`
    assert.equal((await ask(method, path(strong), { as: admin })).statusCode, 403)
    assert.equal((await ask(method, path(strong), { as: limited })).statusCode, 404, 'beyond its agents there is nothing')
    assert.equal((await ask(method, path('root'), { as: limited })).statusCode, 404)
  }
  assert.equal((await ask('GET', `/Keys/${strong}.json`)).json().Key.Status, 'active')
  assert.equal((await ask('POST', `/Keys/${equal}/Rotate.json`, { as: admin })).statusCode, 200)
  const shown = (await ask('GET', '/Keys.json', { as: limited })).json().Keys
  assert(shown.every(({ Agents }: { Agents: readonly string[] | null }) => Agents?.every((name) => name === 'priya')))
  assert.equal(shown.length, 2)
})

test('[C9] a key that does not exist is 404, whatever its name', async () => {
  for (const sid of [newKeyId(), 'x', '%00', 'a%20b', 'a%2Fb', "';--"]) {
    for (const [method, below] of [
      ['GET', ''],
      ['DELETE', ''],
      ['POST', '/Rotate'],
    ] as const)
      assert.equal((await ask(method, `/Keys/${sid}${below}.json`)).statusCode, 404, `${method} ${sid}`)
  }
})

test('[C10] what is asked of keys wrongly is 400 by name, and other methods are 405', async () => {
  for (const [payload, name] of [
    [{}, 'Scopes'],
    [{ Scopes: 'x' }, 'Scopes'],
    [{ Scopes: 'all', Agents: 'mallory' }, 'Agents'],
    [{ Scopes: 'all', Name: 'x'.repeat(65) }, 'Name'],
  ] as const) {
    const response = await ask('POST', '/Keys.json', { payload })
    assert.deepEqual([response.statusCode, messageOf(response)], [400, `Invalid Parameter: ${name} is missing or invalid`])
  }
  for (const [method, path, allow] of [
    ['PUT', '/Keys', 'POST, GET, HEAD'],
    ['POST', '/Keys/x', 'GET, HEAD, DELETE'],
    ['GET', '/Keys/x/Rotate', 'POST'],
  ] as const) {
    const response = await ask(method, path)
    assert.deepEqual([response.statusCode, response.headers.allow], [405, allow])
  }
})

test('[C19] a repeated creation makes one key; its token is told the first time alone, and kept nowhere for that', async () => {
  const once = { payload: { Scopes: 'calls.read' }, headers: { 'idempotency-key': 'k1' } }
  const first = (await ask('POST', '/Keys.json', once)).json().Key
  const second = (await ask('POST', '/Keys.json', once)).json().Key
  assert.deepEqual([second.Sid, second.Token], [first.Sid, null])
  assert.equal((await ask('POST', '/Keys.json', { ...once, payload: { Scopes: 'all' } })).statusCode, 409)
  const other = await issue({ Scopes: 'all' })
  assert.notEqual((await ask('POST', '/Keys.json', { ...once, as: other.as })).json().Key.Sid, first.Sid, 'another key’s Idempotency-Key is another')
  const { Token } = (await ask('POST', `/Keys/${first.Sid}/Rotate.json`)).json().Key
  assert.equal((await ask('GET', '/Calls', { as: `${first.Sid}:${Token}` })).statusCode, 200, 'a lost token is replaced by a rotation')
})

test('[C10] after ten wrong tokens in a minute an address is 429 until it ends; a right token from elsewhere works all the while', async () => {
  const { sid, as } = await issue({ Scopes: 'calls.read' })
  for (let n = 0; n < 10; n += 1) assert.equal((await ask('GET', '/Calls', { as: `${sid}:wrong ${n}`, from: '203.0.113.9' })).statusCode, 401)
  now += 20_000
  const before = hashes
  for (const guess of [`${sid}:wrong`, as, ROOT]) {
    const refused = await ask('GET', '/Calls.json', { as: guess, from: '203.0.113.9' })
    assert.deepEqual([refused.statusCode, refused.headers['retry-after'], messageOf(refused)], [429, '40', 'Too Many Requests'], 'right or wrong')
  }
  assert.equal(hashes, before, 'and costs nothing')
  assert.equal((await ask('GET', '/Calls', { as, from: '203.0.113.10' })).statusCode, 200)
  now += 40_000
  assert.equal((await ask('GET', '/Calls', { as, from: '203.0.113.9' })).statusCode, 200)
  assert.equal(lines.filter(({ source }) => source === '203.0.113.9').length, 1, 'the log says it once')
})

test('[C10] who is remembered goes on at an address that guesses; requests without credentials are no guesses', async () => {
  const { as } = await issue({ Scopes: 'calls.read' })
  assert.equal((await ask('GET', '/Calls', { as })).statusCode, 200)
  for (let n = 0; n < 30; n += 1) await ask('GET', '/Calls', { as: `nobody:${n}` })
  assert.equal((await ask('GET', '/Calls', { as: 'nobody:x' })).statusCode, 429)
  for (const good of [as, ROOT]) assert.equal((await ask('GET', '/Calls', { as: good })).statusCode, 200)
  for (let n = 0; n < 30; n += 1) {
    for (const authorization of ['', 'Bearer x', 'Basic !'])
      assert.equal((await ask('GET', '/Calls', { headers: { authorization }, from: '203.0.113.77' })).statusCode, 401)
  }
})

test('[C10] many right requests at once, of a key that nobody remembers yet, are all answered and cost one hash', async () => {
  const { as } = await issue({ Scopes: 'calls.read' })
  hashes = 0
  const all = await Promise.all(Array.from({ length: 100 }, () => ask('GET', '/Calls', { as })))
  assert(all.every(({ statusCode }) => statusCode === 200))
  assert.equal(hashes, 1)
})

test('[C10] many guesses at once are ten, however fast they come', async () => {
  const all = await Promise.all(Array.from({ length: 100 }, (_, n) => ask('GET', '/Calls', { as: `ek_x:${n}` })))
  assert.equal(all.filter(({ statusCode }) => statusCode === 401).length, 10)
  assert.equal(all.filter(({ statusCode }) => statusCode === 429).length, 90)
  assert.equal(hashes, 10)
})

test('[C10] an address may ask so often in a minute, whoever it asks for and whatever is answered; health is not counted', async () => {
  const on = serverWith({ limits: { requestsPerMinute: 3 } })
  for (const [path, as] of [
    ['/Calls', ROOT],
    ['/nothing', ROOT],
    ['/Calls', 'x:y'],
  ] as const)
    assert((await ask('GET', path, { as, on })).statusCode < 429)
  now += 15_000
  for (const path of ['/Calls.json', '/nothing.json']) {
    const refused = await ask('GET', path, { on })
    assert.deepEqual([refused.statusCode, refused.headers['retry-after']], [429, '45'])
  }
  assert.equal((await on.inject({ url: '/healthz', remoteAddress: '192.0.2.1' })).statusCode, 200)
  assert.equal((await ask('GET', '/Calls', { on, from: '192.0.2.2' })).statusCode, 200)
})

test('[C10] reads and writes of an account have limits of their own, and every answer says how much is left', async () => {
  const on = serverWith({ limits: { readsPerMinute: 2, writesPerMinute: 1 } })
  const shown = ({ statusCode, headers }: LightMyRequestResponse): readonly unknown[] => [
    statusCode,
    headers['x-ratelimit-limit'],
    headers['x-ratelimit-remaining'],
    Number(headers['x-ratelimit-reset']) - now / 1000,
    headers['retry-after'],
  ]
  assert.deepEqual(shown(await ask('GET', '/Calls', { on })), [200, '2', '1', 60, undefined])
  now += 10_000
  assert.deepEqual(shown(await ask('GET', '/Calls/unknown', { on })), [404, '2', '0', 50, undefined])
  assert.deepEqual(shown(await ask('GET', '/Calls', { on })), [429, '2', '0', 50, '50'])
  assert.deepEqual(shown(await ask('DELETE', '/Keys/unknown', { on })), [404, '1', '0', 60, undefined])
  assert.deepEqual(shown(await ask('POST', '/Keys', { on })), [429, '1', '0', 60, '60'])
  assert.deepEqual(shown(await ask('GET', '/Calls', { on, as: 'x:y' })), [401, undefined, undefined, Number.NaN, undefined])
})

test('[C10] X-Forwarded-For is believed of proxies that the configuration names, and of nobody else', async () => {
  const asked = async (on: FastifyInstance, from: string, forwarded: string): Promise<number> =>
    (await ask('GET', '/Calls', { on, from, headers: { 'x-forwarded-for': forwarded } })).statusCode
  const limits = { requestsPerMinute: 1 }
  const alone = serverWith({ limits })
  assert.equal(await asked(alone, '127.0.0.1', '203.0.113.1'), 200)
  assert.equal(await asked(alone, '127.0.0.1', '203.0.113.2'), 429, 'the header is anybody’s')
  const behind = serverWith({ limits, trustProxy: ['127.0.0.1', '10.0.0.0/8'] })
  assert.equal(await asked(behind, '127.0.0.1', '203.0.113.1'), 200)
  assert.equal(await asked(behind, '127.0.0.1', '203.0.113.2'), 200)
  assert.equal(await asked(behind, '127.0.0.1', '203.0.113.2'), 429)
  assert.equal(await asked(behind, '10.1.2.3', '198.51.100.7, 203.0.113.3'), 200)
  assert.equal(await asked(behind, '10.1.2.3', '198.51.100.8, 203.0.113.3'), 429, 'what the client wrote itself does not count')
  assert.equal(await asked(behind, '203.0.113.3', '198.51.100.9'), 429, 'nor does the header of a stranger')
})

test('no token reaches the log, right or wrong, wherever somebody writes it', async () => {
  const tokens: string[] = []
  newToken = () => {
    tokens.push(newApiToken())
    return tokens.at(-1) ?? ''
  }
  const { sid, as } = await issue({ Scopes: 'all' })
  await ask('POST', `/Keys/${sid}/Rotate.json`, { payload: { GraceSeconds: 60 } })
  const token = as.split(':')[1] ?? ''
  assert.equal((await ask('GET', '/Calls', { as })).statusCode, 200)
  for (const wrong of [`${token}:${sid}`, `${sid}:${token}x`, `${sid}:${token}`, `${token}:`]) {
    for (let n = 0; n < 12; n += 1) await ask('GET', `/Keys/${token}.json?Token=${token}`, { as: wrong, headers: { 'idempotency-key': token } })
  }
  await ask('DELETE', `/Keys/${sid}.json`)
  assert.equal(tokens.length, 2)
  const text = JSON.stringify(lines)
  for (const one of [...tokens, 'root-token', basic(as), basic(ROOT)]) assert(!text.includes(one.replace('Basic ', '')))
  assert(
    lines.some(({ key }) => key === sid),
    'the key’s name does',
  )
})
