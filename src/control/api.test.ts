// The one place where rights are looked at, with the real control behind it.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { openTestDatabase } from '../../test/database.ts'
import { type Principal, SCOPES, type Scope } from '../domain/account/rights.ts'
import type { Account } from '../domain/account/account.ts'
import type { Address } from '../domain/address.ts'
import type { ConnectCommand, MonitorCommand } from '../domain/commands.ts'
import { DomainError, type DomainErrorCode } from '../domain/errors.ts'
import type { AccountId, CallId, KeyId, LegId } from '../domain/ids.ts'
import { SILENT } from '../domain/sound.ts'
import { type FakeEngine, makeFakeEngine } from '../engine/fake.ts'
import type { Sql } from '../store/database.ts'
import type { KeyDesk } from './access/key-desk.ts'
import type { CallbackDesk } from './callback-desk.ts'
import { type Api, makeApi } from './api.ts'
import { makeFeed } from './feed.ts'
import { NO_RECORDS } from './settle.ts'
import { type Idempotency, makeControl, type RunningControl } from './control.ts'
import type { Ledger } from './billing/ledger.ts'

const ACME = 'acme' as AccountId
const at = (text: string): Address => text as Address
const account: Account = {
  id: ACME,
  timeZone: 'UTC',
  agents: ['priya', 'ravi', 'boss'],
  maxMonitors: 10,
  numbers: [],
  notice: { to: 'nobody', atEntry: true, everySeconds: 0, modes: [] },
}
const options = { callerId: null, ringMs: 30_000, limitMs: 60_000, customField: null, subscription: null }
const call: ConnectCommand = { from: at('client:priya'), to: at('+919876543210'), ...options, sound: SILENT, maxRetries: 0 }
const listen: MonitorCommand = { mode: 'listen', phone: at('client:boss'), targetLegId: null, ...options }
const key = (agents: readonly string[] | null, keyId = 'key', scopes: readonly Scope[] = SCOPES): Principal => ({
  accountId: ACME,
  keyId: keyId as KeyId,
  scopes,
  agents,
})
const all = key(null, 'all')
const priyas = key(['priya'], 'priyas')
const ravis = key(['ravi'], 'ravis')
const once = (key: string, fingerprint = 'f'): Idempotency => ({ key, fingerprint })

let opened: Awaited<ReturnType<typeof openTestDatabase>>
before(async () => {
  opened = await openTestDatabase()
})
after(() => opened.close())

let api: Api
let control: RunningControl
let engine: FakeEngine
let statements = 0
let houses = 0

beforeEach(async () => {
  let minted = 0
  const node = `n${(houses += 1)}`
  const newId = (): string => `${node}x${(minted += 1)}`.padEnd(32, '0')
  const sql: Sql = { query: (...statement) => ((statements += 1), opened.database.sql.query(...statement)) }
  engine = makeFakeEngine({ newId })
  control = makeControl({
    engine,
    database: { ...opened.database, sql },
    node,
    accounts: new Map([[ACME, account]]),
    dialRules: { prefixes: ['+91'], hosts: [] },
    settle: (_, decision) => ({ decision, records: NO_RECORDS }),
    clips: { get: async () => ({ samples: new Int16Array() }) },
    recordings: { prepare: async () => '/nowhere' },
    newId,
    now: () => 1_000_000,
    schedule: () => () => {},
    log: { info() {}, warn() {}, error() {} },
  })
  await engine.start((event) => control.onEngineEvent(event))
  const feed = makeFeed({ life: node, now: () => 1, live: (accountId) => control.live(accountId) })
  api = makeApi(control, { keys: {} as KeyDesk, callbacks: {} as CallbackDesk, feed, ledger: {} as Ledger, recordings: { find: async () => null } })
})

async function talking(from = 'client:priya'): Promise<{ readonly callId: CallId; readonly agent: LegId; readonly customer: LegId }> {
  const { id: callId, legs } = await control.connect(ACME, { ...call, from: at(from) }, null)
  const agent = legs[0]?.id as LegId
  engine.answers(agent)
  await control.settled()
  const customer = (await control.call(ACME, callId)).legs[1]?.id as LegId
  engine.answers(customer)
  await control.settled()
  return { callId, agent, customer }
}

/** What became of it: nothing wrong, or the code and detail of the refusal. */
const outcome = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'ok',
    (error) => (error instanceof DomainError ? `${error.code} ${error.detail}`.trim() : assert.fail(String(error))),
  )
const refused = async (work: Promise<unknown>, code: DomainErrorCode, detail = ''): Promise<void> =>
  assert.equal(await outcome(work), `${code} ${detail}`.trim())

/** Every way in which a key may ask about one call, and leg. */
const ASKED: Readonly<Record<string, (who: Principal, callId: CallId, legId: LegId) => Promise<unknown>>> = {
  details: (who, callId) => api.call(who, callId),
  'live legs': (who, callId) => api.liveCall(who, callId),
  monitor: (who, callId) => api.createMonitorLeg(who, callId, listen, null),
  'monitor, to be repeated': (who, callId) => api.createMonitorLeg(who, callId, listen, once('k')),
  mode: (who, callId, legId) => api.changeMode(who, callId, legId, 'barge'),
  'hang-up': (who, callId, legId) => api.hangUp(who, callId, legId),
}
const UNKNOWN = 'z'.repeat(32) as CallId

for (const [what, ask] of Object.entries(ASKED)) {
  test(`[C10] ${what}: to a limited key a call of others is one that does not exist, live or ended, and costs as many statements`, async () => {
    const live = await talking()
    const { leg } = await control.createMonitorLeg(ACME, live.callId, listen, null)
    const over = await talking()
    engine.ends(over.customer, 'completed')
    await control.settled()
    engine.ends(over.agent, 'completed')
    await control.settled()
    assert.equal((await control.call(ACME, over.callId)).state.status, 'ended')
    const before = await control.call(ACME, live.callId)
    const lookedAt = async (callId: CallId, legId: LegId): Promise<readonly [string, number]> => {
      statements = 0
      const code = await outcome(ask(ravis, callId, legId))
      return [code, statements]
    }
    const unknown = await lookedAt(UNKNOWN, leg.id)
    assert.match(unknown[0], /^call-not-(?:found|in-progress)$/)
    for (const [callId, legId] of [
      [live.callId, leg.id],
      [live.callId, live.agent],
      [live.callId, 'x' as LegId],
      [over.callId, over.agent],
    ] as const)
      assert.deepEqual(await lookedAt(callId, legId), unknown)
    assert.deepEqual(await control.call(ACME, live.callId), before, 'and nothing happened to it')
    // The key that is limited to the agent of the call is not refused for its limit.
    assert.doesNotMatch(await outcome(ask(priyas, live.callId, leg.id)), /call-not-found|call-not-in-progress/)
  })
}

test('[C31] the list and its total are of the calls that are there for the key', async () => {
  const mine = await talking('client:ravi')
  await talking()
  const query = {
    ids: null,
    createdFrom: null,
    createdBefore: null,
    from: null,
    to: null,
    ownNumbers: null,
    statuses: ['in-progress'],
    durationS: null,
    price: null,
    directions: null,
    order: 'desc',
    pageSize: 50,
    start: null,
  } as const
  const page = await api.calls(ravis, query)
  assert(page.calls.some(({ id }) => id === mine.callId))
  assert(page.calls.every(({ from }) => from === 'client:ravi'))
  assert.equal(page.total, page.calls.length)
  assert((await api.calls(all, query)).total > page.total)
})

test('[C30] a limited key connects only calls in which one of its agents takes part', async () => {
  await refused(api.connect(ravis, call, null), 'right-missing', 'agents')
  assert.equal(await outcome(api.connect(ravis, { ...call, from: at('client:ravi') }, null)), 'ok')
  assert.equal(await outcome(api.connect(ravis, { ...call, from: at('+919876543210'), to: at('client:ravi') }, null)), 'ok')
  assert.equal(await outcome(api.connect(all, call, null)), 'ok')
})

test('a supervisor whom a limited key sent may be told to change mode and to leave, by any key that the call is there for', async () => {
  const { callId } = await talking('client:ravi')
  const { leg } = await api.createMonitorLeg(ravis, callId, listen, null)
  engine.answers(leg.id)
  await control.settled()
  await api.changeMode(ravis, callId, leg.id, 'whisper')
  await refused(api.changeMode(priyas, callId, leg.id, 'barge'), 'call-not-in-progress')
  await api.hangUp(all, callId, leg.id)
})

test('a supervisor who is an agent of the limit makes no call visible', async () => {
  const { callId } = await talking()
  await control.createMonitorLeg(ACME, callId, { ...listen, phone: at('client:ravi') }, null)
  await refused(api.liveCall(ravis, callId), 'call-not-in-progress')
})

test('[C19] an Idempotency-Key is the API key’s own: no other key gets its answer, or learns that it was used', async () => {
  const first = await api.connect(all, call, once('same'))
  assert.equal((await api.connect(all, call, once('same'))).id, first.id)
  await refused(api.connect(all, call, once('same', 'other')), 'idempotency-mismatch')
  const others = await api.connect(priyas, call, once('same', 'other'))
  assert.notEqual(others.id, first.id)
  const { callId } = await talking()
  const monitor = await api.createMonitorLeg(all, callId, listen, once('leg'))
  assert.equal((await api.createMonitorLeg(all, callId, listen, once('leg'))).leg.id, monitor.leg.id)
  await refused(api.createMonitorLeg(ravis, callId, listen, once('leg')), 'call-not-in-progress')
  assert.notEqual((await api.createMonitorLeg(priyas, callId, listen, once('leg'))).leg.id, monitor.leg.id)
})

test('[C19] the first answer is told again when the call has ended, to the limited key too', async () => {
  const { callId, agent, customer } = await talking()
  const { leg } = await api.createMonitorLeg(priyas, callId, listen, once('again'))
  for (const one of [customer, agent, leg.id]) {
    engine.ends(one, 'completed')
    await control.settled()
  }
  assert.equal((await api.createMonitorLeg(priyas, callId, listen, once('again'))).leg.id, leg.id)
})

test('[C10] without the scope nothing is looked at: no statement, no order, the same answer for what is there and what is not', async () => {
  const { callId, agent } = await talking()
  const needs: Readonly<Record<string, Scope>> = {
    details: 'calls.read',
    'live legs': 'calls.read',
    monitor: 'monitor.listen',
    'monitor, to be repeated': 'monitor.listen',
    mode: 'monitor.barge',
    'hang-up': 'legs.hangup',
  }
  for (const [what, ask] of Object.entries(ASKED)) {
    const lacking = key(
      null,
      'lacking',
      SCOPES.filter((scope) => scope !== needs[what]),
    )
    for (const id of [callId, UNKNOWN]) {
      statements = 0
      await refused(ask(lacking, id, agent), 'right-missing', needs[what])
      assert.equal(statements, 0)
    }
  }
})
