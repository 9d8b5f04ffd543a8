import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { assertDescribed } from '../../test/answers.ts'
import { makeApi } from '../control/api.ts'
import type { Money } from '../domain/account/money.ts'
import { type Principal, type Scope, SCOPES } from '../domain/account/rights.ts'
import type { UsageRow } from '../domain/account/usage.ts'
import type { Address } from '../domain/address.ts'
import type { AccountId, KeyId } from '../domain/ids.ts'
import { makeFakeControl } from './fake-control.ts'
import { makeFakeLedger } from './fake-ledger.ts'
import { NOTHING_KEPT } from './nothing-kept.ts'
import { makeServer } from './server.ts'

const NOW = Date.parse('2026-11-26T17:31:06+05:30')
const money = (text: string): Money => text as Money
const row = (over: Partial<UsageRow>): UsageRow => ({ day: null, origin: null, supervisor: null, kind: 'conversation', currency: 'INR', legs: 2, seconds: 71, pulses: 3, amount: money('1.500'), ...over })
const ROWS: readonly UsageRow[] = [
  row({ day: '2026-11-26', origin: 'outbound' }),
  row({ day: '2026-11-26', origin: 'monitor', kind: 'monitor', supervisor: '+919000000001' as Address, amount: money('0.000001') }),
]

let app: FastifyInstance
let who: Principal
beforeEach(() => {
  who = { accountId: 'acme' as AccountId, keyId: 'boss-key' as KeyId, scopes: SCOPES, agents: null }
  app = makeServer({
    api: makeApi(makeFakeControl(() => NOW), { ...NOTHING_KEPT, ledger: makeFakeLedger(() => NOW, ROWS) }),
    accounts: { authenticate: async () => who, timeZone: () => 'Asia/Kolkata' },
    now: () => NOW,
    newId: () => 'req',
    log: { info: () => {}, error: () => {} },
    ready: () => 'ready',
    publicUrl: () => '',
  })
})

async function ask(method: 'GET' | 'POST', path: string, body?: Readonly<Record<string, string>>, headers: Readonly<Record<string, string>> = {}) {
  const url = `/v1/Accounts/${who.accountId}${path}`
  const answer = await app.inject({
    method,
    url,
    headers: { authorization: `Basic ${btoa('k:t')}`, ...(body ? { 'content-type': 'application/json' } : {}), ...headers },
    ...(body ? { payload: JSON.stringify(body) } : {}),
  })
  assertDescribed(method, url, { status: answer.statusCode, contentType: String(answer.headers['content-type']), body: answer.body, headers: answer.headers })
  return { status: answer.statusCode, text: answer.body, json: () => JSON.parse(answer.body) }
}
const messageOf = async (asked: ReturnType<typeof ask>): Promise<readonly [number, string]> => {
  const { status, json } = await asked
  return [status, json().RestException.Message]
}

test('[C33] usage in JSON: rows as they are grouped, totals for each kind of leg, amounts as decimal strings', async () => {
  const { status, json } = await ask('GET', '/Usage.json?StartDate=2026-11-01&EndDate=2026-11-26&GroupBy=day,origin,supervisor')
  assert.equal(status, 200)
  assert.deepEqual(json(), {
    Usage: {
      AccountSid: 'acme', StartDate: '2026-11-01', EndDate: '2026-11-26', GroupBy: 'day,origin,supervisor',
      Rows: [
        { Date: '2026-11-26', Origin: 'outbound', Supervisor: null, Kind: 'conversation', Legs: 2, Seconds: 71, Pulses: 3, Amount: '1.500', Currency: 'INR' },
        { Date: '2026-11-26', Origin: 'monitor', Supervisor: '09000000001', Kind: 'monitor', Legs: 2, Seconds: 71, Pulses: 3, Amount: '0.000001', Currency: 'INR' },
      ],
      Totals: [
        { Kind: 'conversation', Legs: 2, Seconds: 71, Pulses: 3, Amount: '1.500', Currency: 'INR' },
        { Kind: 'monitor', Legs: 2, Seconds: 71, Pulses: 3, Amount: '0.000001', Currency: 'INR' },
      ],
    },
  })
})

test('[C33] in XML each row is a Row and each total a Total; without dates it is the last 31 days, day by day', async () => {
  const { text } = await ask('GET', '/Usage')
  assert.match(text, /^<\?xml .*<TwilioResponse><Usage><AccountSid>acme<\/AccountSid><StartDate>2026-10-27<\/StartDate><EndDate>2026-11-26<\/EndDate><GroupBy>day<\/GroupBy><Rows><Row><Date>/s)
  assert.match(text, /<\/Rows><Totals><Total><Kind>conversation<\/Kind>/)
  assert(!text.includes('<Supervisor>'))
})

const WRONG: readonly (readonly [string, string])[] = [
  ['StartDate=26-11-2026', 'StartDate'],
  ['StartDate=2026-02-30', 'StartDate'],
  ['EndDate=today', 'EndDate'],
  ['StartDate=2026-11-27', 'EndDate'],
  ['StartDate=2025-11-25', 'EndDate'],
  ['GroupBy=week', 'GroupBy'],
  ['GroupBy=day,day', 'GroupBy'],
  ['GroupBy=day,origin,supervisor,day', 'GroupBy'],
]
for (const [query, name] of WRONG) {
  test(`[C9] usage with ${query} is refused for its ${name}`, async () => assert.deepEqual(await messageOf(ask('GET', `/Usage.json?${query}`)), [400, `Invalid Parameter: ${name} is missing or invalid`]))
}

test('[C33] a balance is read, paid in once for each key, and its changes are listed with who made them', async () => {
  assert.deepEqual((await ask('GET', '/Balance.json')).json(), {
    Balance: { AccountSid: 'acme', Currency: 'INR', Amount: '0.000', Held: '0.000', Available: '0.000', SpentToday: '0.000', Prepaid: 'true', Floor: '0.000' },
  })
  const pay = (amount: string, key: string) => ask('POST', '/Balance/Adjustments.json', { Amount: amount, Note: 'transfer 17' }, { 'idempotency-key': key })
  const first = (await pay('500', 'a')).json().Adjustment
  assert.deepEqual(first, { Sid: first.Sid, AccountSid: 'acme', DateCreated: '2026-11-26 17:31:06', Amount: '500.000', Currency: 'INR', Note: 'transfer 17', MadeBy: 'boss-key' })
  assert.deepEqual((await pay('500', 'a')).json().Adjustment, first)
  assert.equal((await pay('501', 'a')).status, 409)
  await pay('-0.5', 'b')
  assert.equal((await ask('GET', '/Balance.json')).json().Balance.Amount, '499.500')
  const page = (await ask('GET', '/Balance/Adjustments.json?PageSize=1')).json()
  assert.deepEqual(page.Adjustments.map((each: { Amount: string }) => each.Amount), ['-0.500'])
  const rest = await app.inject({ url: page.Metadata.NextPageUri, headers: { authorization: `Basic ${btoa('k:t')}` } })
  assert.deepEqual([JSON.parse(rest.body).Adjustments[0].Sid, JSON.parse(rest.body).Metadata.PageSize], [first.Sid, 1])
  const last = (await ask('GET', '/Balance/Adjustments')).text
  assert.match(last, /<Metadata><PageSize>50<\/PageSize><NextPageUri\/><\/Metadata><Adjustments><Adjustment><Sid>/)
})

test('[C9] an adjustment that is not understood is refused by name, and changes nothing', async () => {
  const bad = (body: Readonly<Record<string, string>>) => messageOf(ask('POST', '/Balance/Adjustments.json', body))
  for (const Amount of ['', '0', '0.000', 'x', '1e3', '0.0000001', '1000000000', '--1', '1,5']) assert.deepEqual(await bad({ Amount, Note: 'why' }), [400, 'Invalid Parameter: Amount is missing or invalid'])
  for (const Note of ['', ' ', 'a\nb', 'x'.repeat(201)]) assert.deepEqual(await bad({ Amount: '1', Note }), [400, 'Invalid Parameter: Note is missing or invalid'])
  assert.equal((await ask('GET', '/Balance.json')).json().Balance.Amount, '0.000')
  assert.deepEqual(await messageOf(ask('GET', '/Balance/Adjustments.json?PageSize=101')), [400, 'Invalid Parameter: PageSize is missing or invalid'])
})

const ROUTES: readonly (readonly ['GET' | 'POST', string, Scope])[] = [
  ['GET', '/Usage', 'usage.read'],
  ['GET', '/Balance', 'usage.read'],
  ['GET', '/Balance/Adjustments', 'usage.read'],
  ['POST', '/Balance/Adjustments', 'accounts.admin'],
]
test('[C10] each of these needs its own scope, and a key that is limited to agents has none of them', async () => {
  for (const [method, path, scope] of ROUTES) {
    for (const given of SCOPES) {
      who = { ...who, scopes: [given], agents: null }
      const { status } = await ask(method, path, method === 'POST' ? { Amount: '1', Note: 'why' } : undefined)
      assert.equal(status, given === scope ? 200 : 403, `${method} ${path} with ${given}`)
    }
    who = { ...who, scopes: SCOPES, agents: ['priya'] }
    assert.equal((await ask(method, path, method === 'POST' ? { Amount: '1', Note: 'why' } : undefined)).status, 403)
  }
})

test('an account without a plan has usage and no balance', async () => {
  who = { ...who, accountId: 'zenith' as AccountId }
  assert.equal((await ask('GET', '/Usage.json')).status, 200)
  for (const path of ['/Balance', '/Balance/Adjustments']) assert.deepEqual(await messageOf(ask('GET', `${path}.json`)), [404, 'Your account has no rate plan'])
  assert.equal((await ask('POST', '/Balance/Adjustments.json', { Amount: '1', Note: 'why' })).status, 404)
})
