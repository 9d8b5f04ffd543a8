import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openTestDatabase } from '../../test/database.ts'
import { eventually } from '../../test/eventually.ts'
import type { Account } from '../domain/account/account.ts'
import type { Address } from '../domain/address.ts'
import type { Call, Decision } from '../domain/call.ts'
import type { ConnectCommand, MonitorCommand } from '../domain/commands.ts'
import { DomainError, type DomainErrorCode } from '../domain/errors.ts'
import type { AccountId, CallId, LegId, SoundId } from '../domain/ids.ts'
import { MODES, type Mode } from '../domain/leg.ts'
import type { CallSound } from '../domain/sound.ts'
import { type FakeEngine, fakeMemory, makeFakeEngine } from '../engine/fake.ts'
import type { Database, Sql } from '../store/database.ts'
import { beat } from '../store/nodes.ts'
import type { CallbackRow } from '../store/outbox/rows.ts'
import { type Idempotency, makeControl, type RunningControl } from './control.ts'
import { NO_RECORDS } from './settle.ts'
import { closeCrashed, findCrashed, memoriesOf, type RecoveryOptions } from './recovery.ts'

let shared: Awaited<ReturnType<typeof openTestDatabase>>
before(async () => {
  shared = await openTestDatabase()
})
after(() => shared.close())

const ACME = 'acme' as AccountId
const at = (text: string): Address => text as Address
const account: Account = {
  id: ACME,
  timeZone: 'Asia/Kolkata',
  agents: ['priya', 'boss', 'ravi'],
  maxMonitors: 10,
  notice: { to: 'nobody', atEntry: true, everySeconds: 0, modes: [] },
  numbers: [{ number: at('+918012345678'), rings: at('client:priya') }],
}
const call: ConnectCommand = {
  from: at('client:priya'),
  to: at('+919876543210'),
  callerId: at('+918012345678'),
  ringMs: 30_000,
  limitMs: 60_000,
  customField: null,
  sound: { waitUrl: null, opening: null, recording: null },
  maxRetries: 0,
  subscription: { url: 'http://receiver/', events: ['terminal'], contentType: 'application/json' },
}
const listen: MonitorCommand = {
  mode: 'listen',
  phone: at('client:boss'),
  targetLegId: null,
  callerId: null,
  ringMs: 30_000,
  limitMs: 60_000,
  customField: null,
  subscription: { url: 'http://receiver/', events: ['answered', 'terminal'], contentType: 'application/json' },
}

interface House {
  readonly control: RunningControl
  readonly engine: FakeEngine
  readonly database: Database
  readonly clock: { now: number; due(): void }
  /** The next n statements fail. */
  breakDatabase(times: number): void
  /** Sees, and may hold up, what every statement answers. */
  watch(onAnswer: (text: string) => Promise<void>): void
  ids(): number
}

let houses = 0
const disk = { full: false }
/** A node of its own in the shared database, with a clock that only the test moves. */
async function house(node = `node-${(houses += 1)}`): Promise<House & { node: string }> {
  let minted = 0
  let broken = 0
  const newId = (): string => `${node.replaceAll('-', '')}x${(minted += 1)}`.padEnd(32, '0')
  const real = shared.database
  let onAnswer = async (_text: string): Promise<void> => {}
  const sql: Sql = {
    async query<Row>(...statement: Parameters<Sql['query']>) {
      if (broken-- > 0) throw new Error('the database is away')
      const rows = await real.sql.query<Row>(...statement)
      await onAnswer(statement[0])
      return rows
    },
  }
  const database: Database = { ...real, sql }
  const alarms = new Set<{ at: number; work: () => void }>()
  const clock = {
    now: 1_000_000,
    due() {
      for (const alarm of [...alarms]) if (alarm.at <= clock.now && alarms.delete(alarm)) alarm.work()
    },
  }
  const engine = makeFakeEngine({ newId })
  const sounds = {
    clips: {
      get: (url: string) => (url.includes('missing') ? Promise.reject(new Error('HTTP 404')) : Promise.resolve({ samples: new Int16Array(8) })),
    },
    recordings: {
      prepare: (recorded: Call) => (disk.full ? Promise.reject(new Error('ENOSPC')) : Promise.resolve(`/recordings/${recorded.id}.wav`)),
    },
  }
  const control = makeControl({
    engine,
    database,
    node,
    accounts: new Map([[ACME, account]]),
    dialRules: { prefixes: ['+91'], hosts: [] },
    settle: (_, decision) => ({ decision, records: { ...NO_RECORDS, callbacks: rows(decision, newId) } }),
    newId,
    now: () => clock.now,
    schedule(delayMs, work) {
      const alarm = { at: clock.now + delayMs, work }
      alarms.add(alarm)
      return () => void alarms.delete(alarm)
    },
    log: { info() {}, warn() {}, error() {} },
    ...sounds,
  })
  await engine.start((event) => control.onEngineEvent(event))
  return {
    control,
    engine,
    database: real,
    clock,
    node,
    ids: () => minted,
    breakDatabase: (times) => void (broken = times),
    watch: (work) => void (onAnswer = work),
  }
}

const rows = (decision: Decision, newId: () => string): readonly CallbackRow[] =>
  decision.notices.map((notice) => ({
    id: newId(),
    accountId: ACME,
    callId: decision.call.id,
    legId: notice.kind === 'leg' ? notice.legId : null,
    event: notice.event,
    orderKey: notice.kind === 'leg' ? notice.legId : decision.call.id,
    url: 'http://receiver/',
    contentType: 'application/json',
    body: '{}',
    createdAt: 1,
  }))

async function talking(here: House): Promise<{ callId: CallId; agent: LegId; customer: LegId }> {
  const { control, engine } = here
  const { id: callId, legs } = await control.connect(ACME, call, null)
  const agent = legs[0]?.id as LegId
  engine.answers(agent)
  await control.settled()
  const customer = (await control.call(ACME, callId)).legs[1]?.id as LegId
  engine.answers(customer)
  await control.settled()
  return { callId, agent, customer }
}

async function monitored(here: House, mode: Mode = 'listen'): Promise<{ callId: CallId; agent: LegId; customer: LegId; supervisor: LegId }> {
  const on = await talking(here)
  const { leg } = await here.control.createMonitorLeg(ACME, on.callId, { ...listen, mode }, null)
  here.engine.answers(leg.id)
  await here.control.settled()
  return { ...on, supervisor: leg.id }
}

const refused = (work: Promise<unknown>, code: DomainErrorCode): Promise<void> =>
  assert.rejects(work, (error) => error instanceof DomainError && error.code === code)

async function outbox(here: House, callId: CallId): Promise<string[]> {
  const found = await here.database.sql.query<{ event: string; leg_id: string | null }>(
    'select event, leg_id from callback where call_id = $1 order by created_at, id',
    [callId],
  )
  return found.map(({ event, leg_id }) => `${event} ${leg_id ?? 'call'}`).sort()
}

test('[C30] From is dialled, then To; when both have answered they hear each other, and the record says so', async () => {
  const here = await house()
  const { callId, agent, customer } = await talking(here)
  assert.deepEqual(
    [...here.engine.ears(callId)],
    [
      [agent, [customer]],
      [customer, [agent]],
    ],
  )
  const saved = await here.control.call(ACME, callId)
  assert.deepEqual(
    saved.legs.map(({ origin, state }) => [origin, state.status]),
    [
      ['outbound', 'answered'],
      ['outbound-dial', 'answered'],
    ],
  )
})

test('[C15] [C16] a supervisor is rung at once and joins on pick-up, in the wished mode', async () => {
  const here = await house()
  const { callId } = await talking(here)
  const { leg } = await here.control.createMonitorLeg(ACME, callId, { ...listen, mode: 'whisper' }, null)
  assert.equal(leg.state.status, 'ringing')
  assert.deepEqual(
    here.engine
      .legs()
      .map(({ legId }) => legId)
      .includes(leg.id),
    true,
  )
  here.engine.answers(leg.id)
  await here.control.settled()
  assert.equal(here.engine.ears(callId).get(leg.id)?.length, 2)
})

test('[C20] the answer to a change of mode comes after the engine has taken the table', async () => {
  const here = await house()
  const { callId, customer, supervisor } = await monitored(here)
  for (const mode of ['barge', 'whisper', 'listen'] as const) {
    const { leg } = await here.control.changeMode(ACME, callId, supervisor, mode)
    assert.equal(leg.lastAction, mode)
    assert.equal(here.engine.ears(callId).get(customer)?.includes(supervisor), mode === 'barge')
  }
})

test('[C20] racing changes of mode end with the engine and the record agreeing, whatever the order', async () => {
  const here = await house()
  const { callId, agent, customer, supervisor } = await monitored(here)
  await Promise.all(Array.from({ length: 60 }, (_, n) => here.control.changeMode(ACME, callId, supervisor, MODES[(n * 7) % 3] as Mode)))
  const { legs } = await here.control.call(ACME, callId)
  const mode = legs.find(({ id }) => id === supervisor)?.lastAction
  const ears = here.engine.ears(callId)
  assert.equal(ears.get(customer)?.includes(supervisor), mode === 'barge')
  assert.equal(ears.get(agent)?.includes(supervisor), mode !== 'listen')
})

test('[C20] a table that the engine fails to take is given again; when that fails too, the call ends and the caller is told', async () => {
  const here = await house()
  const { callId, supervisor, customer } = await monitored(here)
  here.engine.failNext('set-hearing', new Error('hiccup'))
  await here.control.changeMode(ACME, callId, supervisor, 'barge')
  assert.ok(here.engine.ears(callId).get(customer)?.includes(supervisor))
  Object.assign(here.engine, { setHearing: () => Promise.reject(new Error('broken')) })
  await assert.rejects(here.control.changeMode(ACME, callId, supervisor, 'listen'), /broken/)
  await here.control.settled()
  assert.equal((await here.control.call(ACME, callId)).state.status, 'ended')
  assert.deepEqual(
    here.engine.legs().filter((leg) => leg.callId === callId),
    [],
  )
})

test('[C2] another account’s call is not there, for any request', async () => {
  const here = await house()
  const { callId, supervisor } = await monitored(here)
  const other = 'other' as AccountId
  await refused(here.control.liveCall(other, callId), 'call-not-in-progress')
  await refused(here.control.changeMode(other, callId, supervisor, 'barge'), 'call-not-in-progress')
  await refused(here.control.hangUp(other, callId, supervisor), 'call-not-in-progress')
  await refused(here.control.call(other, callId), 'call-not-found')
})

test('[C31] the list has a call from its first moment, and each change that was saved', async () => {
  const here = await house()
  const { control, engine } = here
  const query = {
    createdFrom: null,
    createdBefore: null,
    from: null,
    to: null,
    ownNumbers: null,
    statuses: null,
    durationS: null,
    price: null,
    directions: null,
    order: 'desc',
    pageSize: 50,
    start: null,
  } as const
  const { id } = await control.connect(ACME, call, null)
  const listed = async (): Promise<Call | undefined> => (await control.calls(ACME, { ...query, ids: [id] }, null)).calls[0]
  assert.deepEqual(await listed(), await control.call(ACME, id))
  engine.ends((await control.call(ACME, id)).legs[0]?.id as LegId, 'busy')
  await control.settled()
  assert.equal((await listed())?.state.status, 'ended')
  assert.deepEqual(await listed(), await control.call(ACME, id))
  assert.equal((await control.calls('zenith' as AccountId, { ...query, ids: [id] }, null)).total, 0)
})

test('[C10] what the rules do not allow is not dialled, and nothing is written', async () => {
  const here = await house()
  const { callId } = await talking(here)
  const before = here.engine.orders.length
  await refused(here.control.connect(ACME, { ...call, to: at('+14155550100') }, null), 'destination-not-allowed')
  await refused(here.control.connect(ACME, { ...call, from: at('client:mallory') }, null), 'destination-not-allowed')
  await refused(here.control.createMonitorLeg(ACME, callId, { ...listen, phone: at('sip:a@10.0.0.1') }, null), 'destination-not-allowed')
  await refused(here.control.connect(ACME, { ...call, callerId: at('+919999999999') }, null), 'invalid-parameter')
  assert.equal(here.engine.orders.length, before)
  assert.equal((await here.control.call(ACME, callId)).legs.length, 2)
})

test('[C21] hanging up a party ends the call for everybody, with every terminal callback written exactly once', async () => {
  const here = await house()
  const { callId, agent, supervisor } = await monitored(here)
  const { leg } = await here.control.hangUp(ACME, callId, agent)
  assert.equal(leg.lastAction, 'hangup')
  await here.control.settled()
  assert.deepEqual(
    here.engine.legs().filter((left) => left.callId === callId),
    [],
  )
  assert.deepEqual(await outbox(here, callId), [`answered ${supervisor}`, 'terminal call', `terminal ${supervisor}`].sort())
  await refused(here.control.liveCall(ACME, callId), 'call-not-in-progress')
  assert.equal((await here.control.call(ACME, callId)).state.status, 'ended')
  assert.equal(here.control.liveCount(), 0)
})

test('[C15] ring and talk limits are kept by the clock', async () => {
  const here = await house()
  const { callId, supervisor } = await monitored(here)
  here.clock.now += 60_000
  here.clock.due()
  await here.control.settled()
  assert.equal((await here.control.call(ACME, callId)).state.status, 'ended')
  const rung = await here.control.connect(ACME, call, null)
  here.clock.now += 30_000
  here.clock.due()
  await here.control.settled()
  const { state } = await here.control.call(ACME, rung.id)
  assert.equal(state.status === 'ended' && state.outcome, 'no-answer')
  void supervisor
})

test('[C19] the same key and request get the first answer and dial once, also at the same time; another request under it is refused', async () => {
  const here = await house()
  const { callId } = await talking(here)
  const key: Idempotency = { key: `k-${here.node}`, fingerprint: 'one' }
  const answers = await Promise.all([1, 2, 3].map(() => here.control.createMonitorLeg(ACME, callId, listen, key)))
  assert.equal(new Set(answers.map(({ leg }) => leg.id)).size, 1)
  assert.equal((await here.control.call(ACME, callId)).legs.length, 3)
  await refused(here.control.createMonitorLeg(ACME, callId, listen, { ...key, fingerprint: 'two' }), 'idempotency-mismatch')
  const first = answers[0]?.leg.id as LegId
  here.engine.ends(first, 'busy')
  await here.control.settled()
  const again = await here.control.createMonitorLeg(ACME, callId, listen, key)
  assert.deepEqual(JSON.parse(JSON.stringify(again)), JSON.parse(JSON.stringify(answers[0])))
})

const MUSIC = 'https://sounds.example/wait.wav'
const withSound = (sound: Partial<CallSound>) => ({ ...call, sound: { ...call.sound, ...sound } })
const kindsOf = ({ engine }: House, callId: CallId): string[] =>
  engine.orders
    .filter((order) => 'callId' in order && order.callId === callId)
    .map((order) => (order.kind === 'play' ? `play ${order.soundId}` : order.kind))

test('[C30] music, an opening and a recording are ordered when their moment comes', async () => {
  const here = await house()
  const sound = { waitUrl: MUSIC, opening: { url: MUSIC, to: 'both' }, recording: 'dual' } as const
  const { id: callId, legs } = await here.control.connect(ACME, withSound(sound), null)
  here.engine.answers(legs[0]?.id as LegId)
  await here.control.settled()
  await eventually('the music', () => kindsOf(here, callId).includes('play wait'))
  here.engine.answers((await here.control.call(ACME, callId)).legs[1]?.id as LegId)
  await here.control.settled()
  await eventually('the opening', () => kindsOf(here, callId).includes('play opening'))
  assert(!kindsOf(here, callId).includes('record'))
  here.engine.soundEnds(callId, 'opening' as SoundId)
  await here.control.settled()
  const order = here.engine.orders.find((one) => one.kind === 'record')
  assert.deepEqual(order, { kind: 'record', callId, file: `/recordings/${callId}.wav`, tapes: ['tape-1', 'tape-2'] })
  const saved = await here.control.call(ACME, callId)
  assert.deepEqual([saved.sound.stage, saved.sound.recordedFrom], ['open', here.clock.now])
})

test('[C30] a sound that cannot be had delays and ends nothing: the parties hear each other without it', async () => {
  const here = await house()
  const { id: callId, legs } = await here.control.connect(
    ACME,
    withSound({ waitUrl: `${MUSIC}?missing`, opening: { url: `${MUSIC}?missing`, to: 'both' } }),
    null,
  )
  here.engine.answers(legs[0]?.id as LegId)
  await here.control.settled()
  const customer = (await here.control.call(ACME, callId)).legs[1]?.id as LegId
  here.engine.answers(customer)
  await eventually('they hear each other', () => here.engine.ears(callId).get(customer)?.length === 1)
  assert.equal((await here.control.call(ACME, callId)).state.status, 'live')
})

test('[C30] a recording that cannot be begun ends nothing', async () => {
  const here = await house()
  disk.full = true
  const { id: callId, legs } = await here.control.connect(ACME, withSound({ recording: 'single' }), null)
  here.engine.answers(legs[0]?.id as LegId)
  await here.control.settled()
  const customer = (await here.control.call(ACME, callId)).legs[1]?.id as LegId
  here.engine.answers(customer)
  await here.control.settled()
  disk.full = false
  assert.deepEqual(here.engine.ears(callId).get(customer), [legs[0]?.id])
})

test('[C30] MaxRetries: the first party is rung again, but not while the house is leaving', async () => {
  const here = await house()
  const { id: callId, legs } = await here.control.connect(ACME, { ...call, maxRetries: 2 }, null)
  here.engine.ends(legs[0]?.id as LegId, 'busy')
  await here.control.settled()
  const again = await here.control.call(ACME, callId)
  assert.deepEqual([again.state.status, again.legs.length, again.retriesLeft], ['live', 2, 1])
  await here.control.drain(0)
  assert.deepEqual((await here.control.call(ACME, callId)).legs.length, 2)
})

test('[C19] of two processes that get the same key at the same time one acts, and both give its answer; another request under it is refused', async () => {
  const houses = [await house(), await house()]
  const key: Idempotency = { key: `both-${houses[0]?.node}`, fingerprint: 'one' }
  // Held up until both have looked and found the key free.
  const looked = Promise.withResolvers<void>()
  let looks = 0
  for (const here of houses)
    here.watch(async (text) => {
      if (!text.includes('delete from idempotency') || looks === 2) return
      if ((looks += 1) === 2) looked.resolve()
      await looked.promise
    })
  const answers = await Promise.all(houses.map(({ control }) => control.connect(ACME, call, key)))
  assert.equal(looks, 2)
  assert.equal(answers[0]?.id, answers[1]?.id)
  assert.deepEqual(houses.map(({ control }) => control.liveCount()).sort(), [0, 1], 'the other one has dialled nobody')
  assert.equal((await shared.database.sql.query('select from call where node = any ($1)', [houses.map(({ node }) => node)])).length, 1)
  for (const { control } of houses) await refused(control.connect(ACME, call, { ...key, fingerprint: 'two' }), 'idempotency-mismatch')
})

test('a command that cannot be saved is refused and nothing moves', async () => {
  const here = await house()
  const { callId, customer, supervisor } = await monitored(here)
  here.breakDatabase(1)
  await assert.rejects(here.control.changeMode(ACME, callId, supervisor, 'barge'), /the database is away/)
  assert.equal(here.engine.ears(callId).get(customer)?.includes(supervisor), false)
  assert.equal((await here.control.call(ACME, callId)).legs[2]?.lastAction, 'listen')
})

test('[C27] what happens while the database is away is true at once, and written when it is back', async () => {
  const here = await house()
  const { callId, agent, customer, supervisor } = await monitored(here)
  here.breakDatabase(3)
  here.engine.ends(customer, 'completed')
  await here.control.settled()
  assert.deepEqual(
    here.engine.legs().filter((leg) => leg.callId === callId),
    [],
  )
  for (let tries = 0; tries < 5; tries += 1) {
    here.clock.now += 2000
    here.clock.due()
    await here.control.settled()
  }
  assert.deepEqual(await outbox(here, callId), [`answered ${supervisor}`, 'terminal call', `terminal ${supervisor}`].sort())
  assert.equal((await here.control.call(ACME, callId)).state.status, 'ended')
  void agent
})

test('somebody calls in from a trunk: the agent named for the number rings, the caller is answered when they pick up', async () => {
  const here = await house()
  const { callId, legId } = here.engine.callIn({ accountId: ACME, from: at('+919999999999'), dialled: at('+918012345678'), source: 'trunk' })
  await here.control.settled()
  const dialled = (await here.control.call(ACME, callId)).legs[1]
  assert.equal(dialled?.address, 'client:priya')
  here.engine.rings(dialled?.id as LegId)
  here.engine.answers(dialled?.id as LegId)
  await here.control.settled()
  assert.deepEqual([...here.engine.ears(callId).keys()].sort(), [legId, dialled?.id].sort())
})

test('a call to a number without a phone, or while draining, is refused', async () => {
  const here = await house()
  const nowhere = here.engine.callIn({ accountId: ACME, from: at('+919999999999'), dialled: at('+918099999999'), source: 'trunk' })
  await here.control.settled()
  assert.equal((await here.control.call(ACME, nowhere.callId)).state.status, 'ended')
  const { callId } = await talking(here)
  await here.control.drain(0)
  assert.equal((await here.control.call(ACME, callId)).state.status, 'ended')
  await refused(here.control.connect(ACME, call, null), 'draining')
  const late = here.engine.callIn({ accountId: ACME, from: at('+919999999999'), dialled: at('+918012345678'), source: 'trunk' })
  await here.control.settled()
  assert.deepEqual(
    here.engine.legs().filter((leg) => leg.callId === late.callId),
    [],
  )
})

const recovery = (here: House & { readonly node: string }): RecoveryOptions => ({
  database: here.database,
  node: here.node,
  settle: (_, decision) => ({
    decision,
    records: { ...NO_RECORDS, callbacks: rows(decision, () => `r${here.node}${decision.notices.length}${Math.floor(performance.now() * 1e6)}`) },
  }),
})

test('[C27] after a crash the next start closes what was live, with one terminal callback each, and finds nothing the second time', async () => {
  const here = await house()
  const { callId, supervisor } = await monitored(here)
  await beat(here.database.sql, here.node, here.clock.now + 5000)
  const again = recovery(here)
  const crashed = await findCrashed(again)
  assert.deepEqual(
    crashed.map(({ id }) => id),
    [callId],
  )
  await closeCrashed(crashed, again)
  assert.deepEqual(await findCrashed(again), [])
  const next = await house(here.node)
  const closed = await next.control.call(ACME, callId)
  assert.deepEqual(
    closed.legs.map(({ state }) => state.status === 'ended' && [state.cause, state.endedAt]),
    Array(3).fill(['failed', here.clock.now + 5000]),
  )
  assert.deepEqual(await outbox(here, callId), [`answered ${supervisor}`, 'terminal call', `terminal ${supervisor}`].sort())
})

test('after a crash there is a memory of every leg that had picked up and not left, until the call is closed', async () => {
  const here = await house()
  const { agent, customer, supervisor, callId } = await monitored(here)
  const late = await here.control.createMonitorLeg(ACME, callId, listen, null)
  const gone = await monitored(here)
  here.engine.ends(gone.supervisor, 'completed')
  await here.control.settled()
  const expected = [agent, customer, supervisor, gone.agent, gone.customer].map(fakeMemory)
  assert(!expected.includes(fakeMemory(late.leg.id)), 'who still rings is not in the call')
  const crashed = await findCrashed(recovery(here))
  assert.deepEqual(memoriesOf(crashed).toSorted(), expected.toSorted())
  assert.deepEqual(memoriesOf(await findCrashed(recovery(here))).toSorted(), expected.toSorted(), 'a start that failed half-way finds them again')
  await closeCrashed(crashed, recovery(here))
  assert.deepEqual(memoriesOf(await findCrashed(recovery(here))), [])
  const kept = await here.database.sql.query('select 1 from leg join call on call.id = leg.call_id where node = $1 and memory is not null', [
    here.node,
  ])
  assert.deepEqual(kept, [], 'nothing is kept of legs that have ended')
})
