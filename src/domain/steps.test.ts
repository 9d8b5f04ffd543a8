/** Every phase of a call × everything that can happen to each of its legs: what follows, and where nothing may move. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Account } from './account/account.ts'
import type { Address } from './address.ts'
import type { Call, Decision } from './call.ts'
import { addMonitor, connect } from './commands.ts'
import { incoming, onAnswered, onDeadline, onEnded, onRinging, type PickUp } from './events.ts'
import type { AccountId, CallId, LegId } from './ids.ts'
import type { TonePolicy } from './evidence/tones.ts'
import { isAnswered, isConversation, isLive, MODES, onCallMs } from './leg.ts'

const at = (text: string): Address => text as Address
const id = (text: string): LegId => text as LegId
const SILENT: TonePolicy = { to: 'nobody', atEntry: true, everySeconds: 15, modes: MODES }
const account: Account = { id: 'acme' as AccountId, timeZone: 'UTC', numbers: [], agents: [], maxMonitors: 10, notice: SILENT }
const limits = { ringMs: 30_000, limitMs: 60_000 }
const quiet = { subscription: null, customField: null }
const silent = { sound: { waitUrl: null, opening: null, recording: null }, maxRetries: 0 }

/** `from` is dialled at 1 s, answers at 2 s; `to` answers at 3 s; `sup` is rung at 4 s and answers at 5 s. */
const dialled = connect(
  { from: at('client:a'), to: at('client:b'), callerId: null, ...limits, ...quiet, ...silent },
  { callId: 'call' as CallId, legId: id('from'), account },
  1000,
).call
const fresh = (freshLegId: LegId): PickUp => ({ freshLegId, memory: null })
const half = onAnswered(dialled, id('from'), fresh(id('to')), 2000).call
const talking = onAnswered(half, id('to'), fresh(id('unused')), 3000).call
const rung = addMonitor(
  talking,
  { mode: 'whisper', phone: at('client:s'), targetLegId: null, callerId: null, ...limits, ...quiet },
  id('sup'),
  { maxMonitors: 10, notice: SILENT },
  4000,
).call
const monitored = onAnswered(rung, id('sup'), fresh(id('unused')), 5000).call
const ending = onEnded(monitored, id('from'), 'completed', 6000).call
const ended = onEnded(onEnded(ending, id('to'), 'completed', 6001).call, id('sup'), 'completed', 6002).call
const waiting = incoming(
  {
    callId: 'call' as CallId,
    accountId: account.id,
    callerLegId: id('from'),
    dialledLegId: id('to'),
    from: at('+15550001'),
    dialled: at('+15550002'),
    source: 'trunk',
    destination: at('client:b'),
    callerId: at('+15550001'),
    agentIs: 'dialled',
    ...limits,
  },
  1000,
).call
const picked = onAnswered(waiting, id('to'), fresh(id('unused')), 2000).call

const PHASES: Readonly<Record<string, Call>> = { dialled, half, talking, rung, monitored, ending, ended, waiting, picked }
type Happening = 'ringing' | 'answered' | 'ended'
const HAPPENINGS: readonly Happening[] = ['ringing', 'answered', 'ended']

function happen(call: Call, what: Happening, leg: LegId): Decision {
  switch (what) {
    case 'ringing':
      return onRinging(call, leg)
    case 'answered':
      return onAnswered(call, leg, fresh(id('fresh')), 9000)
    case 'ended':
      return onEnded(call, leg, 'completed', 9000)
  }
}

/** What is not here moves nothing. Orders in short, then the state of the call. */
const LEGAL: Readonly<Record<string, string>> = {
  'dialled answered from': 'dial hear[1] → live',
  'dialled ended from': 'hear[0] → ended canceled',
  'half answered to': 'hear[2] → live',
  'half ended from': 'hear[0] bye:to:canceled → ending canceled',
  'half ended to': 'hear[0] bye:from:completed → ending canceled',
  'talking ended from': 'hear[0] bye:to:completed → ending completed',
  'talking ended to': 'hear[0] bye:from:completed → ending completed',
  'rung answered sup': 'hear[3] → live',
  'rung ended from': 'hear[0] bye:to:completed bye:sup:canceled → ending completed',
  'rung ended to': 'hear[0] bye:from:completed bye:sup:canceled → ending completed',
  'rung ended sup': 'hear[2] → live',
  'monitored ended from': 'hear[0] bye:to:completed bye:sup:completed → ending completed',
  'monitored ended to': 'hear[0] bye:from:completed bye:sup:completed → ending completed',
  'monitored ended sup': 'hear[2] → live',
  'ending ended to': ' → ending completed',
  'ending ended sup': ' → ending completed',
  'waiting ringing to': 'ring:from → live',
  'waiting answered from': 'hear[1] → live',
  'waiting answered to': 'answer:from hear[1] → live',
  'waiting ended from': 'hear[0] bye:to:canceled → ending canceled',
  'waiting ended to': 'hear[0] bye:from:canceled → ending canceled',
  'picked answered from': 'hear[2] → live',
  'picked ended from': 'hear[0] bye:to:completed → ending canceled',
  'picked ended to': 'hear[0] bye:from:canceled → ending canceled',
}

function inShort({ call, orders }: Decision): string {
  const said = orders.map((order) => {
    switch (order.kind) {
      case 'dial':
        return 'dial'
      case 'set-hearing':
        return `hear[${order.hearing.size}]`
      case 'hang-up':
        return `bye:${order.legId}:${order.cause}`
      case 'play':
        return `play:${order.soundId}`
      case 'record':
        return `record:${order.tapes.length}`
      case 'ring':
      case 'answer':
        return `${order.kind}:${order.legId}`
      case 'play-tone':
        return order.soundId
    }
  })
  const outcome = call.state.status === 'live' ? '' : ` ${call.state.outcome}`
  return `${said.join(' ')} → ${call.state.status}${outcome}`
}

for (const [phase, call] of Object.entries(PHASES)) {
  for (const what of HAPPENINGS) {
    for (const leg of ['from', 'to', 'sup', 'nobody']) {
      const step = `${phase} ${what} ${leg}`
      const expected = LEGAL[step]
      const title = expected === undefined ? `${step}: nothing moves` : `${step}: ${expected}`
      test(title, () => {
        const decision = happen(call, what, id(leg))
        if (expected === undefined) assert.deepEqual(decision, { call, orders: [], notices: [] })
        else assert.equal(inShort(decision), expected)
      })
    }
  }
}

test('every row of the table was asked', () => {
  const asked = Object.keys(PHASES).flatMap((phase) => HAPPENINGS.flatMap((what) => ['from', 'to', 'sup'].map((leg) => `${phase} ${what} ${leg}`)))
  assert.deepEqual(
    Object.keys(LEGAL).filter((step) => !asked.includes(step)),
    [],
  )
})

test('[C15] in each phase exactly those whose time is over are hung up', () => {
  const due = (call: Call, now: number): readonly string[] =>
    onDeadline(call, now).orders.map((order) => (order.kind === 'hang-up' ? `${order.legId} ${order.cause}` : '?'))
  assert.deepEqual(due(dialled, 30_999), [])
  assert.deepEqual(due(dialled, 31_000), ['from no-answer'])
  assert.deepEqual(due(half, 32_000), ['to no-answer'])
  assert.deepEqual(due(half, 62_000), ['from completed', 'to no-answer'])
  assert.deepEqual(due(rung, 34_000), ['sup no-answer'])
  assert.deepEqual(due(monitored, 65_000), ['from completed', 'to completed', 'sup completed'])
  assert.deepEqual(due(waiting, 31_000), ['to no-answer'])
  assert.deepEqual(due(ended, 999_999), [])
})

test('[C26] talk time runs from answer to end, and is nothing for who never answered or still talks', () => {
  assert.deepEqual(ended.legs.map(onCallMs), [4000, 3001, 1002])
  assert.deepEqual(talking.legs.map(onCallMs), [0, 0])
  const refused = onEnded(dialled, id('from'), 'busy', 5000).call
  assert.deepEqual(refused.legs.map(onCallMs), [0])
})

test('what a leg is, in each of its states', () => {
  const [from, to, sup] = rung.legs
  assert(from && to && sup)
  assert.deepEqual([from, to, sup].map(isAnswered), [true, true, false])
  assert.deepEqual([from, to, sup].map(isConversation), [true, true, false])
  assert.deepEqual(ended.legs.map(isLive), [false, false, false])
})
