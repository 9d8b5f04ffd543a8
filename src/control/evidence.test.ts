/** The record from the request to the table: control with its real records, an engine without phones, a clock that only the test moves. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openTestDatabase, silent } from '../../test/database.ts'
import type { Account } from '../domain/account/account.ts'
import { type Principal, SCOPES } from '../domain/account/rights.ts'
import type { Address } from '../domain/address.ts'
import type { MonitorCommand } from '../domain/commands.ts'
import { DomainError } from '../domain/errors.ts'
import type { IntervalBody, IntervalPersons } from '../domain/evidence/entry.ts'
import type { TonePolicy } from '../domain/evidence/tones.ts'
import type { AccountId, CallId, KeyId, LegId, SoundId } from '../domain/ids.ts'
import { MODES, type Mode } from '../domain/leg.ts'
import { makeFakeEngine } from '../engine/fake.ts'
import { NOTICE_TONE } from '../engine/notice-tone.ts'
import type { Sql } from '../store/database.ts'
import { evidenceAfter } from '../store/evidence/log.ts'
import { verifyChain } from '../store/evidence/verify.ts'
import { beat } from '../store/nodes.ts'
import { NOTHING_KEPT } from '../http/nothing-kept.ts'
import { SILENT as NO_SOUND } from '../domain/sound.ts'
import { makeApi } from './api.ts'
import { makeControl } from './control.ts'
import { closeCrashed, findCrashed } from './recovery.ts'
import { makeSettle } from './settle.ts'

let shared: Awaited<ReturnType<typeof openTestDatabase>>
before(async () => {
  shared = await openTestDatabase()
})
after(() => shared.close())

const at = (text: string): Address => text as Address
const SILENT: TonePolicy = { to: 'nobody', atEntry: true, everySeconds: 15, modes: MODES }
const TOLD: TonePolicy = { ...SILENT, to: 'customer' }
const limits = { ringMs: 30_000, limitMs: 600_000, subscription: null, customField: null, callerId: null }
const listen: MonitorCommand = { ...limits, mode: 'listen', phone: at('client:boss'), targetLegId: null }
const T0 = 1_000_000

let houses = 0
/** A node and an account of its own. */
async function house(notice: TonePolicy | null) {
  const node = `evidence-${(houses += 1)}`
  const accountId = node as AccountId
  const account: Account = { id: accountId, timeZone: 'UTC', agents: ['priya', 'boss'], maxMonitors: 10, numbers: [], notice }
  let [minted, broken] = [0, 0]
  const newId = (): string => `${node.replaceAll('-', '')}x${(minted += 1)}`.padEnd(32, '0')
  const sql: Sql = {
    query: (...statement) => (broken-- > 0 ? Promise.reject(new Error('the database is away')) : shared.database.sql.query(...statement)),
  }
  const database = { ...shared.database, sql }
  const alarms = new Set<{ at: number; work: () => void }>()
  const clock = { now: T0 }
  const engine = makeFakeEngine({ newId })
  const settle = makeSettle({ timeZone: () => 'UTC', newId, now: () => clock.now, publicUrl: () => '' })
  const control = makeControl({
    engine,
    database,
    node,
    accounts: new Map([[accountId, account]]),
    dialRules: { prefixes: ['+91'], hosts: [] },
    settle,
    newId,
    now: () => clock.now,
    clips: { get: async () => ({ samples: new Int16Array() }) },
    recordings: { prepare: async () => '/nowhere' },
    schedule(delayMs, work) {
      const alarm = { at: clock.now + delayMs, work }
      alarms.add(alarm)
      return () => void alarms.delete(alarm)
    },
    log: silent,
  })
  await engine.start((event) => control.onEngineEvent(event))
  const who: Principal = { accountId, keyId: 'boss-key' as KeyId, scopes: SCOPES, agents: null }
  return {
    control,
    engine,
    settle,
    node,
    accountId,
    who,
    api: makeApi(control, NOTHING_KEPT),
    database: shared.database,
    breakDatabase: (times: number) => void (broken = times),
    /** Moves the clock, and lets everything happen that is due. */
    async passes(ms: number): Promise<void> {
      clock.now += ms
      for (const alarm of [...alarms]) if (alarm.at <= clock.now && alarms.delete(alarm)) alarm.work()
      await control.settled()
    },
    async entries(): Promise<readonly (IntervalBody & IntervalPersons & { kind: string })[]> {
      const found = await evidenceAfter(shared.database.sql, accountId, 0, 100)
      return found.map(({ kind, body, personal }) => ({ kind, ...JSON.parse(body), ...JSON.parse(personal ?? '{}') }))
    },
  }
}
type House = Awaited<ReturnType<typeof house>>

async function talking({ api, who, engine, control }: House): Promise<{ callId: CallId; agent: LegId; customer: LegId }> {
  const { id: callId, legs } = await api.connect(
    who,
    { ...limits, from: at('client:priya'), to: at('+919876543210'), sound: NO_SOUND, maxRetries: 0 },
    null,
  )
  const agent = legs[0]?.id as LegId
  engine.answers(agent)
  await control.settled()
  const customer = (await api.call(who, callId)).legs[1]?.id as LegId
  engine.answers(customer)
  await control.settled()
  return { callId, agent, customer }
}

async function monitored(here: House, mode: Mode = 'listen') {
  const on = await talking(here)
  const { leg } = await here.api.createMonitorLeg(here.who, on.callId, { ...listen, mode }, null, 'QA-1')
  here.engine.answers(leg.id)
  await here.control.settled()
  return { ...on, supervisor: leg.id }
}

const sinceStart = (iso: string): number => Date.parse(iso) - T0

test('who monitored whom, by which key, why, from when to when, and who could hear whom, is on record when it is over', async () => {
  const here = await house(SILENT)
  const { callId, agent, customer, supervisor } = await monitored(here)
  await here.passes(3000)
  await here.api.changeMode({ ...here.who, keyId: 'other-key' as KeyId }, callId, supervisor, 'whisper', 'complaint/77')
  await here.passes(2000)
  await here.api.changeMode({ ...here.who, keyId: 'other-key' as KeyId }, callId, supervisor, 'barge')
  await here.passes(1000)
  here.engine.ends(customer, 'completed')
  await here.control.settled()
  const found = await here.entries()
  assert.deepEqual(
    found.map(({ mode, by, reason, from, to, end, heardBy }) => [mode, by, reason, sinceStart(from), sinceStart(to), end, heardBy]),
    [
      ['listen', 'boss-key', 'QA-1', 0, 3000, 'mode-changed', []],
      ['whisper', 'other-key', 'complaint/77', 3000, 5000, 'mode-changed', [agent]],
      ['barge', 'other-key', null, 5000, 6000, 'call-ended', [agent, customer]],
    ],
  )
  for (const { call, leg, target, hears, notice, supervisor: address, parties } of found) {
    assert.deepEqual([call, leg, target, hears, address], [callId, supervisor, agent, [agent, customer], 'client:boss'])
    assert.deepEqual(notice, SILENT, 'that nobody was told was somebody’s decision')
    assert.deepEqual(parties, [
      { leg: agent, address: 'client:priya' },
      { leg: customer, address: '+919876543210' },
    ])
  }
  assert.equal((await verifyChain(here.database.sql, here.accountId, { notedHead: null, onProgress() {} })).fault, null)
})

test('an account that has not decided who is told cannot monitor: nothing is dialled, nothing written', async () => {
  const here = await house(null)
  const { callId } = await talking(here)
  const before = here.engine.orders.length
  await assert.rejects(
    here.api.createMonitorLeg(here.who, callId, listen, null),
    (error) => error instanceof DomainError && error.code === 'notice-missing',
  )
  assert.equal(here.engine.orders.length, before)
  assert.equal((await here.api.call(here.who, callId)).legs.length, 2)
})

test('a mode that cannot be saved is not heard and not on record; what has happened is on record once the database is back', async () => {
  const here = await house(SILENT)
  const { callId, customer, supervisor } = await monitored(here)
  await here.passes(1000)
  here.breakDatabase(1)
  await assert.rejects(here.api.changeMode(here.who, callId, supervisor, 'barge'), /away/)
  assert.deepEqual(await here.entries(), [])
  await here.passes(1000)
  here.breakDatabase(4)
  here.engine.ends(supervisor, 'completed')
  await here.control.settled()
  here.engine.ends(customer, 'completed')
  await here.control.settled()
  assert.deepEqual(await here.entries(), [])
  for (let n = 0; n < 4; n++) await here.passes(2000)
  assert.deepEqual(
    (await here.entries()).map(({ mode, from, to, end }) => [mode, sinceStart(from), sinceStart(to), end]),
    [['listen', 0, 2000, 'left']],
  )
})

test('[C27] after a crash what was open is closed at the last sign of life, with the tones that had sounded', async () => {
  const here = await house(TOLD)
  const { supervisor } = await monitored(here, 'whisper')
  await here.passes(15_000)
  await beat(here.database.sql, here.node, T0 + 16_500)
  const crashed = await findCrashed({ database: here.database, node: here.node })
  await closeCrashed(crashed, { database: here.database, node: here.node, settle: here.settle })
  const found = await here.entries()
  assert.deepEqual(
    found.map(({ leg, mode, by, reason, to, end, tones }) => [leg, mode, by, reason, sinceStart(to), end, tones.map(sinceStart)]),
    [[supervisor, 'whisper', 'boss-key', 'QA-1', 16_500, 'crash', [0, 15_000]]],
  )
})

test('a tone is heard by exactly those ears, is taken out when it has ended, and comes again in time', async () => {
  const here = await house(TOLD)
  const { callId, agent, customer, supervisor } = await monitored(here)
  const plays = () => here.engine.orders.flatMap((order) => (order.kind === 'play' ? [order] : []))
  const table = () => here.engine.orders.findLast((order) => order.kind === 'set-hearing')
  const hearers = (sound: string): readonly string[] =>
    [...(table()?.hearing ?? [])].flatMap(([ear, mouths]) => (mouths.some((mouth) => mouth === sound) ? [ear] : []))
  const [first] = plays()
  assert(first)
  assert.deepEqual([plays().length, first.callId, first.clip, first.repeats], [1, callId, NOTICE_TONE, false])
  assert.deepEqual(hearers(first.soundId), [customer])
  assert.equal(
    here.engine.orders.indexOf(first) > here.engine.orders.findLastIndex((order) => order.kind === 'set-hearing'),
    true,
    'first the table, then the sound',
  )
  here.engine.soundEnds(callId, first.soundId)
  await here.control.settled()
  assert.deepEqual(hearers(first.soundId), [])
  await here.passes(14_999)
  assert.equal(plays().length, 1)
  await here.passes(1)
  assert.equal(plays().length, 2)
  here.engine.ends(supervisor, 'completed')
  await here.passes(60_000)
  assert.equal(plays().length, 2)
  assert.deepEqual(
    (await here.entries()).map(({ tones, notice }) => [tones.map(sinceStart), notice?.to]),
    [[[0, 15_000], 'customer']],
  )
  void agent
})

test('a tone that the engine cannot play ends nothing: the call goes on, the next tone comes, and the audit says which one failed', async () => {
  const here = await house(TOLD)
  const on = await talking(here)
  here.engine.failNext('play', new Error('no mixer'))
  const { leg } = await here.api.createMonitorLeg(here.who, on.callId, listen, null)
  here.engine.answers(leg.id)
  await here.control.settled()
  await here.control.settled()
  assert.equal((await here.api.call(here.who, on.callId)).state.status, 'live')
  await here.passes(15_000)
  here.engine.ends(leg.id, 'completed')
  await here.control.settled()
  assert.deepEqual(
    (await here.entries()).map(({ tones, tonesFailed }) => [tones.map(sinceStart), tonesFailed.map(sinceStart)]),
    [[[15_000], [0]]],
  )
})

test('an ended sound that is nobody’s tone, or of a call that is over, changes nothing', async () => {
  const here = await house(SILENT)
  const { callId } = await monitored(here)
  const before = here.engine.orders.length
  for (const call of [callId, 'unknown' as CallId]) here.control.onEngineEvent({ kind: 'played', callId: call, soundId: 'music' as SoundId })
  await here.control.settled()
  assert.equal(here.engine.orders.length, before)
})

test('the audit is for keys with accounts.admin that see all agents, and of their own account', async () => {
  const [here, other] = [await house(SILENT), await house(SILENT)]
  const { supervisor } = await monitored(here)
  here.engine.ends(supervisor, 'completed')
  await here.control.settled()
  const query = {
    callId: null,
    supervisor: null,
    mode: null,
    recordedFrom: null,
    recordedBefore: null,
    order: 'asc',
    pageSize: 10,
    start: null,
  } as const
  assert.equal((await here.api.audit(here.who, query)).entries.length, 1)
  assert.equal((await here.api.audit(other.who, query)).entries.length, 0)
  const refused = (error: unknown): boolean => error instanceof DomainError && error.code === 'right-missing'
  await assert.rejects(here.api.audit({ ...here.who, scopes: SCOPES.filter((scope) => scope !== 'accounts.admin') }, query), refused)
  await assert.rejects(here.api.audit({ ...here.who, agents: ['priya'] }, query), refused)
})
