import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Account } from '../domain/account/account.ts'
import type { Address } from '../domain/address.ts'
import type { Call, Decision } from '../domain/call.ts'
import { addMonitor, changeMode, connect } from '../domain/commands.ts'
import { onAnswered, onEnded } from '../domain/events.ts'
import type { AccountId, CallId, LegId } from '../domain/ids.ts'
import { type EndCause, MODES, type Mode } from '../domain/leg.ts'
import type { MediaCounters, MediaPlane } from '../engine/native/media-plane.ts'
import { SAMPLED_LEGS } from './media.ts'
import { makeMetrics, type Metrics, type MetricsOptions, type Sources } from './metrics.ts'

interface Rig {
  readonly metrics: Metrics
  readonly troubles: unknown[]
  /** The value of a series as written, `name{labels}`; null when it is not there. */
  series(name: string): Promise<number | null>
}

function rig(options: Partial<MetricsOptions> = {}): Rig {
  const troubles: unknown[] = []
  const metrics = makeMetrics({ process: false, clock: () => 0, onTrouble: (error) => void troubles.push(error), ...options })
  return {
    metrics,
    troubles,
    async series(name) {
      const line = (await metrics.text()).split('\n').find((each) => each.startsWith(`${name} `))
      return line === undefined ? null : Number(line.slice(name.length + 1))
    },
  }
}

const account: Account = { id: 'acme' as AccountId, timeZone: 'UTC', numbers: [], agents: ['priya'], maxMonitors: 10, notice: { to: 'nobody', atEntry: true, everySeconds: 15, modes: MODES } }
const id = (name: string): LegId => name as LegId
const listen = {
  mode: 'listen' as Mode,
  phone: 'client:boss' as Address,
  targetLegId: null,
  callerId: null,
  ringMs: 30_000,
  limitMs: 60_000,
  subscription: null,
  customField: null,
}

/** One call whose every step is told to the metrics, as control does. */
function story(metrics: Metrics) {
  const command = {
    from: 'client:priya' as Address,
    to: '+919876543210' as Address,
    callerId: '+918012345678' as Address,
    ringMs: 30_000,
    limitMs: 60_000,
    subscription: null,
    customField: null,
    sound: { waitUrl: null, opening: null, recording: null },
    maxRetries: 0,
  }
  let current = connect(command, { callId: 'c' as CallId, legId: id('agent'), account }, 0).call
  metrics.onCall(undefined, current)
  const step = (decide: (call: Call) => Decision): void => {
    const { call } = decide(current)
    metrics.onCall(current, call)
    current = call
  }
  return {
    step,
    answered: (legId: string, now: number) => step((call) => onAnswered(call, id(legId), { freshLegId: id('customer'), memory: null }, now)),
    ended: (legId: string, cause: EndCause, now: number) => step((call) => onEnded(call, id(legId), cause, now)),
    monitor: (legId: string, now: number) => step((call) => addMonitor(call, listen, id(legId), account, now)),
    mode: (legId: string, mode: Mode, now: number) => step((call) => changeMode(call, id(legId), mode, now)),
  }
}

test('a call moves the series of calls, legs, modes and answers, and leaves nothing live', async () => {
  const { metrics, series, troubles } = rig()
  const call = story(metrics)
  assert.equal(await series('earshot_calls{direction="outbound-api"}'), 1)
  assert.equal(await series('earshot_legs{origin="outbound",state="ringing"}'), 1)
  call.answered('agent', 3_000)
  call.answered('customer', 10_000)
  assert.equal(await series('earshot_legs{origin="outbound",state="ringing"}'), 0)
  assert.equal(await series('earshot_legs{origin="outbound",state="answered"}'), 1)
  assert.equal(await series('earshot_invite_to_answer_seconds_sum{origin="outbound"}'), 3)
  assert.equal(await series('earshot_invite_to_answer_seconds_sum{origin="outbound-dial"}'), 7)
  call.monitor('boss', 10_000)
  assert.equal(await series('earshot_monitors{mode="listen"}'), 0, 'a supervisor whose phone rings is in no mode yet')
  call.answered('boss', 11_000)
  assert.equal(await series('earshot_mode_changes_total{mode="listen"}'), 1)
  call.mode('boss', 'whisper', 12_000)
  call.mode('boss', 'barge', 13_000)
  call.mode('boss', 'barge', 13_500)
  assert.equal(await series('earshot_mode_changes_total{mode="whisper"}'), 1)
  assert.equal(await series('earshot_mode_changes_total{mode="barge"}'), 1, 'the same mode again is no change')
  assert.equal(await series('earshot_monitors{mode="barge"}'), 1)
  assert.equal(await series('earshot_monitors{mode="listen"}'), 0)
  call.ended('customer', 'completed', 15_000)
  call.ended('agent', 'completed', 15_000)
  assert.equal(await series('earshot_calls{direction="outbound-api"}'), 1, 'until the last leg has ended the call is live')
  call.ended('boss', 'completed', 16_000)
  assert.equal(await series('earshot_calls{direction="outbound-api"}'), 0)
  assert.equal(await series('earshot_calls_ended_total{direction="outbound-api",outcome="completed"}'), 1)
  assert.equal(await series('earshot_legs_ended_total{origin="monitor",cause="completed"}'), 1)
  assert.equal(await series('earshot_leg_talk_seconds_total{origin="outbound"}'), 12)
  const live = (await metrics.text()).split('\n').filter((line) => /^earshot_(?:calls|legs|monitors)\{/.test(line))
  assert.deepEqual([live.length, live.filter((line) => !line.endsWith(' 0'))], [13, []])
  assert.deepEqual(troubles, [])
})

test('a call that is refused counts as ended with its cause, and no answer is seen', async () => {
  const { metrics, series } = rig()
  story(metrics).ended('agent', 'busy', 2_000)
  assert.equal(await series('earshot_calls_ended_total{direction="outbound-api",outcome="busy"}'), 1)
  assert.equal(await series('earshot_legs_ended_total{origin="outbound",cause="busy"}'), 1)
  assert.equal(await series('earshot_legs{origin="outbound",state="ringing"}'), 0)
  assert.equal(await series('earshot_invite_to_answer_seconds_count{origin="outbound"}'), 0)
})

test('neither a number nor a name nor a Sid of a call is in the answer', async () => {
  const { metrics } = rig()
  const call = story(metrics)
  call.answered('agent', 1)
  call.monitor('boss', 2)
  assert.doesNotMatch(await metrics.text(), /9876543210|8012345678|priya|boss|acme/)
})

test('what a client makes up, a method or a path, makes no series of its own', async () => {
  const { metrics, series } = rig()
  const route = '/v1/Accounts/:accountSid/Calls/:callSid'
  metrics.onRequest({ method: 'PUT', route, status: 200, seconds: 0.004 })
  for (let at = 0; at < 100; at++) metrics.onRequest({ method: `M${at}`, route: null, status: 404, seconds: 0.001 })
  assert.equal(await series(`earshot_http_requests_total{method="PUT",route="${route}",status="200"}`), 1)
  assert.equal(await series(`earshot_http_request_duration_seconds_bucket{le="0.005",method="PUT",route="${route}"}`), 1)
  assert.equal(await series('earshot_http_requests_total{method="other",route="none",status="404"}'), 100)
})

test('a mode change is timed until the sound has changed; one that fails is not', async () => {
  let now = 0
  const { metrics, series } = rig({ clock: () => now })
  const control = {
    other: () => 'untouched',
    changeMode: async (_account: AccountId, _call: CallId, legId: LegId, _mode: Mode) => {
      now += 40
      if (legId === 'gone') throw new Error('leg-not-found')
      return legId
    },
  }
  const watched = metrics.watchModes(control)
  assert.equal(watched.other(), 'untouched')
  assert.equal(await watched.changeMode(account.id, 'c' as CallId, id('boss'), 'barge'), 'boss')
  await assert.rejects(watched.changeMode(account.id, 'c' as CallId, id('gone'), 'barge'), /leg-not-found/)
  assert.equal(await series('earshot_mode_change_duration_seconds_sum{mode="barge"}'), 0.04)
  assert.equal(await series('earshot_mode_change_duration_seconds_count{mode="barge"}'), 1)
})

test('attempts of callbacks are counted by what came of them, and calls that a crash left', async () => {
  const { metrics, series } = rig()
  for (const outcome of ['retry', 'retry', 'parked', 'delivered'] as const) metrics.onCallback(outcome)
  metrics.onCrashedCalls(2)
  assert.equal(await series('earshot_callback_attempts_total{outcome="retry"}'), 2)
  assert.equal(await series('earshot_callback_attempts_total{outcome="parked"}'), 1)
  assert.equal(await series('earshot_callback_attempts_total{outcome="delivered"}'), 1)
  assert.equal(await series('earshot_calls_crashed_total'), 2)
})

const NOTHING: MediaCounters = {
  packetsIn: 0,
  packetsOut: 0,
  lostIn: 0,
  lostOut: 0,
  jitterMs: 0,
  strangers: 0,
  malformed: 0,
  overflows: 0,
  starvations: 0,
  lateTicks: 0,
  heardAt: null,
}

/** A plane that says what it is told to say, and whom it was asked about. */
function fakePlane() {
  const figures = new Map<LegId, MediaCounters>()
  const asked: LegId[] = []
  const plane: MediaPlane = {
    start: async () => {},
    open: async (_callId, legId) => {
      figures.set(legId, NOTHING)
      return { port: 40_000 }
    },
    connect: async () => {},
    setHearing: async () => {},
    play: async () => {},
    record: async () => {},
    async close(legId) {
      const last = figures.get(legId) ?? null
      figures.delete(legId)
      return last
    },
    async counters(legId) {
      asked.push(legId)
      return figures.get(legId) ?? null
    },
    stop: async () => {},
  }
  return { plane, asked, say: (legId: string, some: Partial<MediaCounters>) => void figures.set(id(legId), { ...NOTHING, ...some }) }
}

test('packets are counted once, of live legs at each reading and of a leg that ends', async () => {
  const { metrics, series } = rig()
  const { plane, say } = fakePlane()
  const watched = metrics.watchMedia(plane)
  assert.deepEqual(await watched.open('c' as CallId, id('a'), 'conversation'), { port: 40_000 })
  say('a', { packetsIn: 50, packetsOut: 40, lostIn: 4, strangers: 1, malformed: 2, overflows: 3, starvations: 5, lateTicks: 6, lostOut: 7 })
  assert.equal(await series('earshot_media_packets_received_total'), 50)
  assert.equal(await series('earshot_media_packets_received_total'), 50)
  say('a', { packetsIn: 60, packetsOut: 50, lostIn: 2, jitterMs: 12 })
  assert.equal(await series('earshot_media_packets_lost_received_total'), 4, 'what came after all is not taken back')
  say('a', { packetsIn: 70, packetsOut: 60, lostIn: 5, jitterMs: 12 })
  assert.equal((await watched.close(id('a')))?.packetsIn, 70)
  assert.equal(await series('earshot_media_packets_received_total'), 70)
  assert.equal(await series('earshot_media_packets_sent_total'), 60)
  assert.equal(await series('earshot_media_packets_lost_received_total'), 5, 'nor counted twice')
  const once: Readonly<Record<string, number>> = {
    stranger_packets: 1,
    malformed_packets: 2,
    overflows: 3,
    starvations: 5,
    late_ticks: 6,
    packets_lost_sent: 7,
  }
  for (const [name, value] of Object.entries(once)) assert.equal(await series(`earshot_media_${name}_total`), value, name)
  assert.equal(await series('earshot_media_jitter_seconds_sum'), 0.012)
  assert.equal(await watched.close(id('a')), null)
  assert.equal(await series('earshot_media_jitter_seconds_count'), 1)
})

test('of many live legs each reading asks some, and all have their turn', async () => {
  const { metrics } = rig()
  const { plane, asked } = fakePlane()
  const watched = metrics.watchMedia(plane)
  const legIds = Array.from({ length: SAMPLED_LEGS + 100 }, (_, at) => id(`leg${at}`))
  for (const legId of legIds) await watched.open('c' as CallId, legId, 'conversation')
  await metrics.text()
  assert.equal(asked.length, SAMPLED_LEGS)
  await metrics.text()
  assert.equal(new Set(asked).size, legIds.length)
})

test('a leg whose sound is lost is forgotten', async () => {
  const { metrics, troubles } = rig()
  const { plane, asked } = fakePlane()
  const watched = metrics.watchMedia({ ...plane, close: () => Promise.reject(new Error('the sound thread failed')) })
  await watched.open('c' as CallId, id('a'), 'conversation')
  await assert.rejects(watched.close(id('a')), /the sound thread failed/)
  await metrics.text()
  assert.deepEqual([asked, troubles], [[], []])
})

const engine: Sources['engine'] = {
  counts: () => ({ legs: 3, sessions: 4, transactions: 5, malformed: 6, dropped: 7 }),
  registrations: () => [1, 2],
}

test('the engine and the outbox are looked at when somebody reads', async () => {
  const { metrics, series } = rig()
  metrics.lookAt({ engine, callbackBacklog: async () => ({ pending: 8, oldestMs: 9_000, overdueMs: 1_500, parked: 10 }), pausedReceivers: () => 11 })
  metrics.onReceiverPaused()
  const expected: Readonly<Record<string, number>> = {
    earshot_engine_legs: 3,
    earshot_sip_sessions: 4,
    earshot_sip_transactions: 5,
    earshot_sip_malformed_messages_total: 6,
    earshot_sip_dropped_messages_total: 7,
    earshot_sip_registrations: 2,
    earshot_database_up: 1,
    earshot_callbacks_pending: 8,
    earshot_callbacks_oldest_pending_seconds: 9,
    earshot_callbacks_lag_seconds: 1.5,
    earshot_callbacks_parked: 10,
    earshot_callback_receivers_paused: 11,
    earshot_callback_receiver_pauses_total: 1,
  }
  for (const [name, value] of Object.entries(expected)) assert.equal(await series(name), value, name)
})

test('without the database the rest is said, and nothing is made up', async () => {
  for (const callbackBacklog of [() => Promise.reject(new Error('away')), () => new Promise<never>(() => {})]) {
    const { metrics, series, troubles } = rig({ lookMs: 5 })
    metrics.lookAt({ engine, callbackBacklog, pausedReceivers: () => 0 })
    assert.equal(await series('earshot_database_up'), 0)
    assert.equal(await series('earshot_callbacks_pending'), Number.NaN)
    assert.equal(await series('earshot_sip_sessions'), 4)
    assert.equal(troubles.length, 3)
  }
})

test('a fault of the counting is told and reaches nobody', () => {
  const { metrics, troubles } = rig()
  metrics.onCall(undefined, null as unknown as Call)
  metrics.onRequest({ method: 'GET', route: null, status: 200, seconds: 'soon' as unknown as number })
  assert.equal(troubles.length, 2)
})

test('figures of the process are there when they are wanted', async () => {
  assert.match(await rig({ process: true }).metrics.text(), /^process_resident_memory_bytes \d+/m)
  assert.doesNotMatch(await rig().metrics.text(), /^(?:process|nodejs)_/m)
})

test('names begin with earshot, counters end in total, and each has a sentence', async () => {
  const text = await rig().metrics.text()
  const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)]
  assert.ok(types.length >= 34, String(types.length))
  for (const [, name = '', type] of types) {
    assert.match(name, /^earshot_[a-z_]+$/)
    assert.equal(name.endsWith('_total'), type === 'counter', name)
    if (type === 'histogram') assert.match(name, /_seconds$/)
    assert.match(text, new RegExp(`^# HELP ${name} .{10,}\\.$`, 'm'))
  }
})
