// Every right on every route, over a real socket, with real keys: a route cannot be added without its row.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { openTestDatabase, silent } from '../../test/database.ts'
import { newApiToken, newId, newKeyId } from '../chance.ts'
import { type KeyDesk, makeKeyDesk } from '../control/access/key-desk.ts'
import { makeKeyring } from '../control/access/keyring.ts'
import { makeTokenHasher } from '../control/access/token-hash.ts'
import { makeApi } from '../control/api.ts'
import { type Principal, SCOPES, type Scope } from '../domain/account/rights.ts'
import type { Address } from '../domain/address.ts'
import type { AccountId, CallId, KeyId } from '../domain/ids.ts'
import { type FakeControl, makeFakeControl, noCallbacks } from './fake-control.ts'
import { NOTHING_KEPT } from './nothing-kept.ts'
import { type ApiRoute, ROUTES } from './routes.ts'
import { makeServer } from './server.ts'

/** What a row's address and body are made of: fresh for each request, and acme's own. */
interface There {
  readonly call: string
  readonly leg: string
  readonly monitor: string
  /** A key that can do no more than `accounts.admin`. */
  readonly key: string
}

interface Row {
  readonly route: `${ApiRoute['method']} ${string}`
  /** For routes whose right depends on `Action`. */
  readonly action?: string
  /** Several: it takes them all. */
  readonly scope: Scope | readonly Scope[] | null
  /** What whoever has the right is answered. Default 200. */
  readonly status?: number
  readonly body?: Readonly<Record<string, string>>
}

const CONNECT = { From: 'client:priya', To: '09876538847' }
const SUPERVISOR = { PhoneNumber: 'client:boss' }

/** One row for each route; where the right depends on the action, one for each action. */
const ROWS: readonly Row[] = [
  { route: 'POST /Calls/connect', scope: 'calls.create', body: CONNECT },
  { route: 'GET /Calls', scope: 'calls.read' },
  { route: 'GET /Calls/:callSid', scope: 'calls.read' },
  { route: 'GET /Calls/:callSid/ActiveLegs', scope: 'calls.read' },
  { route: 'GET /Calls/:callSid/Legs', scope: 'calls.read' },
  { route: 'POST /Calls/:callSid/Legs', action: 'listen', scope: 'monitor.listen', body: SUPERVISOR },
  { route: 'POST /Calls/:callSid/Legs', action: 'whisper', scope: 'monitor.whisper', body: SUPERVISOR },
  { route: 'POST /Calls/:callSid/Legs', action: 'barge', scope: 'monitor.barge', body: SUPERVISOR },
  { route: 'PUT /Calls/:callSid/Legs/:legSid', action: 'listen', scope: 'monitor.listen' },
  { route: 'PUT /Calls/:callSid/Legs/:legSid', action: 'whisper', scope: 'monitor.whisper' },
  { route: 'PUT /Calls/:callSid/Legs/:legSid', action: 'barge', scope: 'monitor.barge' },
  { route: 'PUT /Calls/:callSid/Legs/:legSid', action: 'hangup', scope: 'legs.hangup' },
  { route: 'GET /Events', scope: 'calls.read' },
  { route: 'GET /Recordings/:callSid', scope: ['calls.read', 'monitor.listen'], status: 404 },
  { route: 'GET /Callbacks', scope: 'accounts.admin' },
  { route: 'POST /Callbacks/Replay', scope: 'accounts.admin' },
  { route: 'GET /Callbacks/:callbackSid', scope: 'accounts.admin', status: 404 },
  { route: 'POST /Callbacks/:callbackSid/Replay', scope: 'accounts.admin', status: 404 },
  { route: 'GET /CallbackSecret', scope: 'accounts.admin' },
  { route: 'POST /CallbackSecret/Rotate', scope: 'accounts.admin' },
  { route: 'GET /Audit', scope: 'accounts.admin' },
  { route: 'GET /Usage', scope: 'usage.read' },
  { route: 'GET /Balance', scope: 'usage.read' },
  { route: 'GET /Balance/Adjustments', scope: 'usage.read' },
  { route: 'POST /Balance/Adjustments', scope: 'accounts.admin', body: { Amount: '1.00', Note: 'a test' } },
  { route: 'POST /Keys', scope: 'accounts.admin', body: { Scopes: 'accounts.admin' } },
  { route: 'GET /Keys', scope: 'accounts.admin' },
  { route: 'GET /Keys/:keySid', scope: 'accounts.admin' },
  { route: 'DELETE /Keys/:keySid', scope: 'accounts.admin' },
  { route: 'POST /Keys/:keySid/Rotate', scope: 'accounts.admin' },
]

const ACME = 'acme' as AccountId
const ZENITH = 'zenith' as AccountId
const isSeveral = (scope: ApiRoute['scope']): scope is readonly Scope[] => Array.isArray(scope)
/** What a key with this one right lacks first. */
const lackingOf = ({ scope }: Row, has: Scope): Scope | null => [scope ?? []].flat().find((needed) => needed !== has) ?? null
const nameOf = ({ route, action }: Row): string => (action === undefined ? route : `${route} ${action}`)

test('[C10] every route has its row, and says of itself what the row demands', () => {
  const declared = ROUTES.flatMap(({ method, path, scope }) =>
    scope === null || typeof scope === 'string' || isSeveral(scope)
      ? [[`${method} ${path}`, scope]]
      : Object.entries(scope).map(([action, needed]) => [`${method} ${path} ${action}`, needed]),
  )
  assert.deepEqual(Object.fromEntries(declared), Object.fromEntries(ROWS.map((row) => [nameOf(row), row.scope])))
  assert.equal(declared.length, ROWS.length)
})

test('every right is worth something: some route takes it', () => {
  const unused = SCOPES.filter((scope) => !ROWS.some((row) => [row.scope].flat().includes(scope)))
  assert.deepEqual(unused, [])
})

let opened: Awaited<ReturnType<typeof openTestDatabase>>
let app: FastifyInstance
let base: string
let control: FakeControl
let desk: KeyDesk
let now = Date.UTC(2026, 10, 26)

interface Pair {
  readonly id: string
  readonly token: string
}
const STATES = ['valid', 'expired', 'revoked', 'wrong token', 'unknown key'] as const
/** By scope, then by state. */
const pairs = new Map<Scope, Readonly<Record<(typeof STATES)[number], Pair>>>()

async function issue(
  accountId: AccountId,
  scopes: readonly Scope[],
  expiresAt: number | null = null,
  agents: readonly string[] | null = null,
): Promise<Pair> {
  const { key, token } = await desk.create(accountId, null, { name: '', scopes, agents, expiresAt }, null)
  return { id: key.id, token: token ?? '' }
}

before(async () => {
  opened = await openTestDatabase()
  control = makeFakeControl(() => now)
  const hasher = makeTokenHasher({ cost: { N: 16, r: 1, p: 1 } })
  const keyring = makeKeyring({ sql: opened.database.sql, hasher, isAccount: () => true, now: () => now, log: silent })
  const accounts = new Map([ACME, ZENITH].map((id) => [id, { agents: ['priya', 'ravi'] }]))
  const onChanged = keyring.forget
  desk = makeKeyDesk({
    database: opened.database,
    hasher,
    accounts,
    configured: [],
    newId,
    newKeyId,
    newToken: newApiToken,
    now: () => now,
    onChanged,
  })
  const plenty = 1_000_000
  app = makeServer({
    api: makeApi(control, { ...NOTHING_KEPT, callbacks: noCallbacks(control.asked), keys: desk }),
    accounts: { authenticate: keyring.authenticate, remembered: keyring.remembered, timeZone: () => 'UTC' },
    limits: { writesPerMinute: plenty, readsPerMinute: plenty, requestsPerMinute: plenty, failuresPerMinute: plenty },
    now: () => now,
    newId: () => 'r',
    log: { info: () => {}, error: (fields) => assert.fail(String(fields.err)) },
    ready: () => 'ready',
    publicUrl: () => '',
  })
  base = await app.listen({ host: '127.0.0.1', port: 0 })
  for (const scope of SCOPES) {
    const [valid, expired, revoked] = [await issue(ACME, [scope]), await issue(ACME, [scope], now + 1), await issue(ACME, [scope])]
    await desk.revoke(ACME, null, revoked.id as KeyId)
    pairs.set(scope, { valid, expired, revoked, 'wrong token': { ...valid, token: expired.token }, 'unknown key': { ...valid, id: newKeyId() } })
  }
  now += 1
})
after(async () => {
  await app.close()
  await opened.close()
})

/** A call of acme's with a supervisor, and a key. */
async function there(row: Row): Promise<There> {
  const key = row.route.includes('/:keySid') ? (await issue(ACME, ['accounts.admin'])).id : ''
  const call = control.callIn(ACME, '+919876500009' as Address, '+918040404890' as Address, 'client:priya' as Address)
  const { leg } = await control.createMonitorLeg(
    ACME,
    call.id,
    {
      ...{ mode: 'listen', phone: 'client:boss' as Address, targetLegId: call.legs[1]?.id ?? null, callerId: null },
      ...{ ringMs: 1, limitMs: 1, subscription: null, customField: null },
    },
    null,
  )
  return { call: call.id, leg: call.legs[1]?.id ?? '', monitor: leg.id, key }
}

async function ask(row: Row, account: string, { id, token }: Pair, on: There): Promise<{ readonly status: number; readonly text: string }> {
  const [method = '', path = ''] = row.route.split(' ')
  const legSid = row.action === 'hangup' ? on.leg : on.monitor
  const url = `${base}/v1/Accounts/${account}${path.replace(':callSid', on.call).replace(':legSid', legSid).replace(':keySid', on.key).replace(':callbackSid', 'c'.repeat(32))}.json`
  const fields = { ...row.body, ...(row.action === undefined ? {} : { Action: row.action }) }
  const response = await fetch(url, {
    method,
    headers: { authorization: `Basic ${Buffer.from(`${id}:${token}`).toString('base64')}` },
    ...(method === 'GET' || method === 'DELETE' ? {} : { body: new URLSearchParams(fields) }),
  })
  // A stream does not end by itself.
  if (response.headers.get('content-type')?.startsWith('text/event-stream')) await response.body?.cancel()
  return { status: response.status, text: response.bodyUsed ? '' : await response.text() }
}

const UNAUTHORIZED = '{"RestException":{"Status":401,"Message":"Authentication failed"}}'

for (const row of ROWS) {
  test(`[C2] [C10] ${nameOf(row)}: every scope alone × own, foreign, unknown account × what the key is worth`, async () => {
    for (const scope of SCOPES) {
      const states = pairs.get(scope) ?? assert.fail('no keys')
      const on = await there(row)
      const before = [...control.asked]
      for (const account of ['acme', 'zenith', 'nobody']) {
        for (const state of STATES) {
          if (account === 'acme' && state === 'valid') continue
          const { status, text } = await ask(row, account, states[state], on)
          assert.deepEqual([status, text], [401, UNAUTHORIZED], `${scope} ${account} ${state}`)
        }
      }
      assert.deepEqual(control.asked, before, 'and nothing was asked of the house')
      const { status, text } = await ask(row, 'acme', states.valid, on)
      const lacking = lackingOf(row, scope)
      if (lacking === null) assert.equal(status, row.status ?? 200, `${scope}: ${text}`)
      else {
        const Message = `Your API key does not have the right to do this: ${lacking}`
        assert.deepEqual([status, JSON.parse(text)], [403, { RestException: { Status: 403, Message } }], scope)
        assert.deepEqual(control.asked, before, 'and nothing was asked of the house')
      }
    }
  })

  test(`[C2] ${nameOf(row)}: all rights of another account are worth nothing on this one, and this one’s things are not there on that one`, async () => {
    const strangers = await issue(ZENITH, SCOPES)
    const on = await there(row)
    const before = [...control.asked]
    assert.equal((await ask(row, 'acme', strangers, on)).status, 401)
    assert.deepEqual(control.asked, before)
    if (!/:(?:call|key)Sid/.test(row.route)) return
    assert.equal((await ask(row, 'zenith', strangers, on)).status, 404)
    const unknown = await ask(row, 'zenith', strangers, { call: 'z'.repeat(32), leg: 'z', monitor: 'z', key: newKeyId() })
    assert.deepEqual(await ask(row, 'zenith', strangers, on), unknown, 'as if there were no such thing')
  })
}

for (const row of ROWS.filter(({ route }) => /:(?:call|key)Sid/.test(route))) {
  test(`[C10] ${nameOf(row)}: to a key that is limited to an agent, what is beyond that is answered as what does not exist, letter for letter`, async () => {
    const [ravis, priyas] = [await issue(ACME, SCOPES, null, ['ravi']), await issue(ACME, SCOPES, null, ['priya'])]
    const on = await there(row)
    const call = await control.call(ACME, on.call as CallId)
    const unknown = await ask(row, 'acme', ravis, { call: 'z'.repeat(32), leg: on.leg, monitor: on.monitor, key: newKeyId() })
    assert.equal(unknown.status, 404)
    assert.deepEqual(await ask(row, 'acme', ravis, on), unknown)
    assert.deepEqual(await control.call(ACME, on.call as CallId), call, 'and nothing happened')
    if (on.key === '') assert.equal((await ask(row, 'acme', priyas, on)).status, row.status ?? 200)
  })
}

test('[C2] a key without any right is nobody’s: none is made, and one that were would be refused everywhere', async () => {
  const powerless: Principal = { accountId: ACME, keyId: 'k' as KeyId, scopes: [], agents: null }
  const on = makeServer({
    api: makeApi(control, { ...NOTHING_KEPT, callbacks: noCallbacks(control.asked), keys: desk }),
    accounts: { authenticate: async () => powerless, timeZone: () => 'UTC' },
    now: () => now,
    newId: () => 'r',
    log: { info: () => {}, error: () => {} },
    ready: () => 'ready',
    publicUrl: () => '',
  })
  for (const row of ROWS.filter(({ scope }) => scope !== null)) {
    const [method = '', path = ''] = row.route.split(' ')
    const payload = { ...row.body, ...(row.action === undefined ? {} : { Action: row.action }) }
    const response = await on.inject({
      method: method as 'GET',
      url: `/v1/Accounts/acme${path.replaceAll(/:\w+/g, 'x')}`,
      headers: { authorization: 'Basic eDp5' },
      ...(method === 'GET' ? {} : { payload }),
    })
    assert.equal(response.statusCode, 403, nameOf(row))
  }
})
