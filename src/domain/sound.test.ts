/** What is played in a call and what is recorded of it: when each begins and ends, and in whose ears it is (contract C30). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Account } from './account/account.ts'
import type { Address } from './address.ts'
import { type Call, type Decision, type Order, parties } from './call.ts'
import { addMonitor, changeMode, connect } from './commands.ts'
import { closeAfterCrash, onAnswered, onEnded, onPlayed } from './events.ts'
import { hearing } from './hearing.ts'
import type { AccountId, CallId, LegId, SoundId } from './ids.ts'
import { type EndCause, isLive, MODES, type Mode } from './leg.ts'
import { type CallSound, OPENING, SILENT, soundBefore, tapesOf, WAIT, whenBothAreThere, whenOpen } from './sound.ts'

const account: Account = {
  id: 'acme' as AccountId,
  timeZone: 'UTC',
  numbers: [],
  agents: [],
  maxMonitors: 10,
  notice: { to: 'nobody', atEntry: true, everySeconds: 0, modes: [] },
}
const MUSIC = 'https://sounds.example/wait.wav'
const WELCOME = 'https://sounds.example/welcome.wav'
const id = (name: string): LegId => name as LegId
const fresh = (name: string) => ({ freshLegId: id(name), memory: null })

const dialled = (sound: Partial<CallSound> = {}, maxRetries = 0): Decision =>
  connect(
    {
      from: 'client:priya' as Address,
      to: '+919876543210' as Address,
      callerId: null,
      ringMs: 30_000,
      limitMs: 60_000,
      subscription: { url: 'http://cb/', events: ['answered', 'terminal'], contentType: 'application/json' },
      customField: null,
      sound: { ...SILENT, ...sound },
      maxRetries,
    },
    { callId: 'call' as CallId, legId: id('from'), account },
    1000,
  )
const half = (sound: Partial<CallSound>): Decision => onAnswered(dialled(sound).call, id('from'), fresh('to'), 2000)
const both = (sound: Partial<CallSound>): Decision => onAnswered(half(sound).call, id('to'), fresh('unused'), 3000)
const withSupervisor = (call: Call, mode: Mode, name = 'sup'): Call => {
  const command = {
    mode,
    phone: 'client:boss' as Address,
    targetLegId: null,
    callerId: null,
    ringMs: 1,
    limitMs: 1,
    subscription: null,
    customField: null,
  }
  return onAnswered(addMonitor(call, command, id(name), { ...account, maxMonitors: 9 }, 4000).call, id(name), fresh('unused'), 5000).call
}
const rows = (orders: readonly Order[]): Record<string, readonly string[]> => {
  const last = orders.findLast((order) => order.kind === 'set-hearing')
  return Object.fromEntries(last?.kind === 'set-hearing' ? last.hearing : [])
}
const table = (call: Call): Record<string, readonly string[]> => Object.fromEntries(hearing(call.legs, call.sound))
const kinds = (orders: readonly Order[]): string[] => orders.map((order) => (order.kind === 'play' ? `play ${order.soundId}` : order.kind))

test('[C30] From hears the music from the moment it picks up until To does, and then no more', () => {
  const waiting = half({ waitUrl: MUSIC })
  assert.deepEqual(kinds(waiting.orders), ['dial', 'set-hearing', 'play wait'], 'the ear is there before the sound begins')
  assert.deepEqual(waiting.orders.at(-1), { kind: 'play', soundId: WAIT, url: MUSIC, repeats: true })
  assert.deepEqual(rows(waiting.orders), { from: [WAIT] })
  const talking = onAnswered(waiting.call, id('to'), fresh('unused'), 3000)
  assert.deepEqual(rows(talking.orders), { from: ['to'], to: ['from'] })
})

test('[C30] without WaitUrl nothing is played, and the sound of a call that comes in is the parties alone', () => {
  assert.deepEqual(kinds(half({}).orders), ['dial', 'set-hearing'])
  assert.deepEqual(rows(half({}).orders), { from: [] })
})

test('[C30] the music is nobody’s but the waiting party’s: a supervisor who joins early does not hear it', () => {
  const early = withSupervisor(half({ waitUrl: MUSIC }).call, 'barge')
  assert.deepEqual(table(early), { from: ['sup', WAIT], sup: ['from'] })
})

for (const to of ['callee', 'both'] as const) {
  test(`[C30] an opening for ${to} is heard before the parties hear each other, and nobody else hears it`, () => {
    const opening = both({ opening: { url: WELCOME, to } })
    assert.deepEqual(kinds(opening.orders), ['set-hearing', 'play opening'])
    assert.deepEqual(rows(opening.orders), { from: to === 'both' ? [OPENING] : [], to: [OPENING] })
    const open = onPlayed(opening.call, OPENING, 4000)
    assert.deepEqual(rows(open.orders), { from: ['to'], to: ['from'] })
    assert.equal(open.call.sound.stage, 'open')
  })
}

test('[C30] an opening after music: the music ends when To picks up', () => {
  const opening = both({ waitUrl: MUSIC, opening: { url: WELCOME, to: 'callee' } })
  assert.deepEqual(rows(opening.orders), { from: [], to: [OPENING] })
})

test('while the opening is played a supervisor hears both parties, and is heard as their mode has it', () => {
  for (const mode of MODES) {
    const call = withSupervisor(both({ opening: { url: WELCOME, to: 'callee' } }).call, mode)
    assert.deepEqual(table(call), {
      from: mode === 'listen' ? [] : ['sup'],
      to: mode === 'barge' ? ['sup', OPENING] : [OPENING],
      sup: ['from', 'to'],
    })
  }
})

test('a sound that ends when it means nothing moves nothing', () => {
  const nothingMoves = (call: Call, sound: SoundId): void => assert.deepEqual(onPlayed(call, sound, 9000), { call, orders: [], notices: [] })
  const opening = both({ opening: { url: WELCOME, to: 'both' } }).call
  nothingMoves(opening, WAIT)
  nothingMoves(opening, 'stranger' as SoundId)
  nothingMoves(onPlayed(opening, OPENING, 4000).call, OPENING)
  nothingMoves(dialled({ opening: { url: WELCOME, to: 'both' } }).call, OPENING)
  nothingMoves(half({ waitUrl: MUSIC }).call, WAIT)
  const ending = onEnded(opening, id('from'), 'completed', 4000).call
  nothingMoves(ending, OPENING)
  nothingMoves(onEnded(ending, id('to'), 'completed', 4001).call, OPENING)
  nothingMoves(closeAfterCrash(opening, 4000).call, OPENING)
})

test('[C30] the tapes run before the parties hear each other, and the call knows since when', () => {
  const plain = both({ recording: 'single' })
  assert.deepEqual(kinds(plain.orders), ['record', 'set-hearing'])
  assert.equal(plain.call.sound.recordedFrom, 3000)
  const later = onPlayed(both({ recording: 'dual', opening: { url: WELCOME, to: 'both' } }).call, OPENING, 7000)
  assert.deepEqual(kinds(later.orders), ['record', 'set-hearing'], 'an opening is not recorded')
  assert.equal(later.call.sound.recordedFrom, 7000)
  assert.equal(half({ recording: 'dual' }).call.sound.recordedFrom, null, 'nobody talks yet')
})

// What each tape hears, for every mode and both ways to record. The whole of it in six lines.
const TAPES: readonly (readonly ['single' | 'dual', Mode, Record<string, readonly string[]>])[] = [
  ['single', 'listen', { 'tape-1': ['from', 'to'] }],
  ['single', 'whisper', { 'tape-1': ['from', 'to'] }],
  ['single', 'barge', { 'tape-1': ['from', 'to', 'sup'] }],
  ['dual', 'listen', { 'tape-1': ['from'], 'tape-2': ['to'] }],
  ['dual', 'whisper', { 'tape-1': ['from'], 'tape-2': ['to'] }],
  ['dual', 'barge', { 'tape-1': ['from', 'sup'], 'tape-2': ['to'] }],
]
for (const [recording, mode, expected] of TAPES) {
  test(`[C30] ${recording}: with a supervisor who ${mode}s the tapes hear the conversation and never a whisper`, () => {
    const { from, to, sup, ...tapes } = table(withSupervisor(both({ recording }).call, mode))
    assert.deepEqual(tapes, expected)
    assert.deepEqual(
      [from, to, sup].flat().filter((mouth) => mouth?.startsWith('tape')),
      [],
      'a tape has no mouth',
    )
  })
}

test('[C30] a supervisor leaves the tape with the same table that makes a whisper of a barge', () => {
  const barging = withSupervisor(both({ recording: 'single' }).call, 'barge')
  for (const mode of ['whisper', 'listen'] as const) {
    assert.deepEqual(rows(changeMode(barging, id('sup'), mode, 6000).orders)['tape-1'], ['from', 'to'])
  }
})

test('[C30] two supervisors: only the one who barges is on the tape', () => {
  const call = withSupervisor(withSupervisor(both({ recording: 'single' }).call, 'whisper', 's1'), 'barge', 's2')
  assert.deepEqual(table(call)['tape-1'], ['from', 'to', 's2'])
})

test('when the call ends the tapes hear nobody', () => {
  const over = onEnded(both({ recording: 'dual' }).call, id('to'), 'completed', 5000)
  assert.deepEqual(rows(over.orders), {})
})

test('the stages of a call’s sound follow each other, and a recording begins with the last', () => {
  const plan: CallSound = { waitUrl: null, opening: { url: WELCOME, to: 'both' }, recording: 'dual' }
  const before = soundBefore(plan)
  assert.deepEqual([before.stage, before.recordedFrom, tapesOf(before)], ['before', null, []])
  const opening = whenBothAreThere(before, 1)
  assert.deepEqual([opening.stage, opening.recordedFrom, tapesOf(opening)], ['opening', null, []])
  const open = whenOpen(opening, 2)
  assert.deepEqual([open.stage, open.recordedFrom, tapesOf(open)], ['open', 2, ['tape-1', 'tape-2']])
  assert.deepEqual(whenBothAreThere(soundBefore(SILENT), 3), { ...SILENT, stage: 'open', recordedFrom: null })
})

const RETRIED: readonly EndCause[] = ['busy', 'no-answer', 'failed']
const ended = (call: Call, leg: string, cause: EndCause, freshLeg: string | null): Decision =>
  onEnded(call, id(leg), cause, 5000, freshLeg === null ? null : id(freshLeg))

for (const cause of RETRIED) {
  test(`[C30] MaxRetries: a first party that is ${cause} is rung again, as often as was asked for`, () => {
    const first = ended(dialled({}, 2).call, 'from', cause, 'again')
    assert.deepEqual(first.orders, [{ kind: 'dial', legId: id('again'), legKind: 'conversation', to: 'client:priya', callerId: 'client:priya' }])
    assert.equal(first.call.state.status, 'live')
    assert.equal(first.call.agentLegId, id('again'), 'the agent’s leg is the one that rings now')
    const second = ended(first.call, 'again', cause, 'last')
    const third = ended(second.call, 'last', cause, 'none')
    assert.deepEqual(third.call.state, { status: 'ended', outcome: cause, endedAt: 5000 })
    assert.equal(third.call.legs.length, 3)
    assert.deepEqual(third.notices, [{ kind: 'call', event: 'terminal' }], 'the call is over once')
  })
}

test('[C30] MaxRetries: nobody is rung again who picked up, was hung up, or when it was not asked for', () => {
  assert.equal(ended(half({}).call, 'from', 'completed', 'again').call.state.status, 'ending')
  assert.equal(ended(dialled({}, 3).call, 'from', 'canceled', 'again').call.state.status, 'ended')
  assert.equal(ended(dialled({}, 0).call, 'from', 'busy', 'again').call.state.status, 'ended')
  assert.equal(ended(dialled({}, 3).call, 'from', 'busy', null).call.state.status, 'ended', 'while the house is leaving')
  const second = ended({ ...half({}).call, retriesLeft: 3 }, 'to', 'busy', 'again')
  assert.equal(second.call.state.status, 'ending', 'the second party is not rung again')
})

test('[C30] MaxRetries: the second try goes on as the first would have', () => {
  const again = ended(dialled({ waitUrl: MUSIC }, 1).call, 'from', 'no-answer', 'again').call
  const waiting = onAnswered(again, id('again'), fresh('to'), 6000)
  assert.deepEqual(kinds(waiting.orders), ['dial', 'set-hearing', 'play wait'])
  const talking = onAnswered(waiting.call, id('to'), fresh('unused'), 7000).call
  assert.deepEqual(
    parties(talking).map((leg) => leg.id),
    ['again', 'to'],
    'the parties are those that were reached',
  )
  assert.deepEqual(table(talking), { again: ['to'], to: ['again'] })
})

test('[C24] a supervisor who waits with a whisper for a first party that is rung again falls back to listening', () => {
  const waiting = withSupervisor(dialled({}, 1).call, 'whisper')
  const again = ended(waiting, 'from', 'no-answer', 'again').call
  const supervisor = again.legs.find((leg) => leg.id === id('sup'))
  assert(supervisor && isLive(supervisor))
  assert.equal(supervisor.monitoring?.mode, 'listen')
})
