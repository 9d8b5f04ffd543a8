/** Modes × policies × ears: who is told by a tone, who is not, and when. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Account } from '../account/account.ts'
import type { Address } from '../address.ts'
import { type Call, type Decision, nothing, withLeg } from '../call.ts'
import { addMonitor, changeMode, connect, newLeg } from '../commands.ts'
import { DomainError } from '../errors.ts'
import { closeAfterCrash, nextDeadline, onAnswered, onDeadline, onEnded } from '../events.ts'
import type { AccountId, CallId, LegId, SoundId } from '../ids.ts'
import { MODES, type Mode } from '../leg.ts'
import { type Interval, intervals } from './interval.ts'
import { onToneEnded, onToneFailed, TONE_EARS, type TonePolicy, withTones } from './tones.ts'

const at = (text: string): Address => text as Address
const id = (text: string): LegId => text as LegId
const NO_SOUND = { waitUrl: null, opening: null, recording: null }
const limits = { ringMs: 30_000, limitMs: 14_400_000 }
const quiet = { subscription: null, customField: null }
const pickUp = { freshLegId: id('customer'), memory: null }
const policy = (change: Partial<TonePolicy> = {}): TonePolicy => ({ to: 'both', atEntry: true, everySeconds: 15, modes: MODES, ...change })

/** A call that is settled as control does it; `from`, the agent, and `customer` talk since 3 s. */
class Scene {
  call: Call
  orders: string[] = []
  readonly closed: Interval[] = []
  readonly notice: TonePolicy
  constructor(notice: TonePolicy) {
    this.notice = notice
    const account: Account = { id: 'acme' as AccountId, timeZone: 'UTC', numbers: [], agents: [], maxMonitors: 10, notice }
    const ids = { callId: 'call' as CallId, legId: id('agent'), account }
    this.call = connect({ from: at('client:a'), to: at('client:c'), callerId: null, ...limits, ...quiet, sound: NO_SOUND, maxRetries: 0 }, ids, 1000).call
    this.step((call) => onAnswered(call, id('agent'), pickUp, 2000), 2000)
    this.step((call) => onAnswered(call, id('customer'), pickUp, 3000), 3000)
  }
  /** @returns What the step ordered, the tables as what each ear hears. */
  step(decide: (call: Call) => Decision, now: number): readonly string[] {
    const toned = withTones(this.call, decide(this.call), now)
    const { call, closed } = intervals(this.call, toned.call)
    this.call = call
    this.closed.push(...closed)
    this.orders = toned.orders.map((order) => {
      switch (order.kind) {
        case 'set-hearing':
          return `hear ${[...order.hearing].map(([ear, mouths]) => `${ear}<${mouths.join('+')}`).join(' ')}`.trim()
        case 'play-tone':
          return `play ${order.soundId}`
        case 'play':
        case 'record':
        case 'hang-up':
        case 'dial':
        case 'ring':
        case 'answer':
          return order.kind
      }
    })
    return this.orders
  }
  monitor(mode: Mode, name: string, now: number): readonly string[] {
    const command = { mode, phone: at(`client:${name}`), targetLegId: null, callerId: null, ...limits, ...quiet }
    this.step((call) => addMonitor(call, command, id(name), { maxMonitors: 10, notice: this.notice }, now - 1), now - 1)
    return this.step((call) => onAnswered(call, id(name), pickUp, now), now)
  }
  /** What happens when the clock looks. */
  tick(now: number): readonly string[] {
    return this.step((call) => onDeadline(call, now), now)
  }
  leave(name: string, now: number): readonly string[] {
    return this.step((call) => onEnded(call, id(name), 'completed', now), now)
  }
  toldEars(): readonly string[] {
    const table = this.orders.find((order) => order.startsWith('hear')) ?? ''
    return table.split(' ').flatMap((row) => (row.includes('tone-') ? [row.split('<')[0] ?? ''] : []))
  }
}

const EARS: Readonly<Record<TonePolicy['to'], readonly string[]>> = {
  agent: ['agent'],
  customer: ['customer'],
  both: ['agent', 'customer'],
  nobody: [],
}

for (const to of TONE_EARS) {
  for (const mode of MODES) {
    for (const modes of [MODES, ['barge'], ['listen', 'whisper']] as const) {
      const expected = modes.some((one) => one === mode) ? EARS[to] : []
      test(`${mode}, told to ${to} in ${modes.join(' and ')}: a tone at entry is heard by ${expected.join(' and ') || 'nobody'}, never by the supervisor`, () => {
        const scene = new Scene(policy({ to, modes }))
        const orders = scene.monitor(mode, 'sup', 5000)
        assert.deepEqual(scene.toldEars(), expected)
        assert.deepEqual(
          orders.filter((order) => order.startsWith('play')),
          expected.length > 0 ? ['play tone-5000'] : [],
        )
        assert.equal(orders.filter((order) => order.startsWith('hear')).length, 1, 'one table, which has both the supervisor and the tone')
        assert.equal(scene.call.tones?.dueAt, expected.length > 0 ? 20_000 : null)
        scene.leave('sup', 6000)
        assert.deepEqual(
          scene.closed.map(({ tones, policy: held }) => [tones, held]),
          [[expected.length > 0 ? [5000] : [], scene.notice]],
        )
      })
    }

    test(`${mode}, told to ${to}: a change of mode never takes a tone to other ears`, () => {
      for (const next of MODES) {
        const scene = new Scene(policy({ to, modes: [next] }))
        scene.monitor(mode, 'sup', 5000)
        scene.step((call) => changeMode(call, id('sup'), next, 6000), 6000)
        assert.deepEqual(scene.toldEars(), EARS[to], `from ${mode} to ${next}`)
      }
    })
  }
}

test('who monitors an account that has not decided is refused, and nothing moves', () => {
  const scene = new Scene(policy())
  const command = { mode: 'listen', phone: at('client:s'), targetLegId: null, callerId: null, ...limits, ...quiet } as const
  assert.throws(
    () => addMonitor(scene.call, command, id('s'), { maxMonitors: 10, notice: null }, 4000),
    (error) => error instanceof DomainError && error.code === 'notice-missing',
  )
})

test('a tone comes again every so often while a supervisor is on, and no more once the last one has left', () => {
  const scene = new Scene(policy())
  scene.monitor('listen', 'one', 5000)
  assert.equal(nextDeadline(scene.call), 20_000)
  assert.deepEqual(scene.tick(19_999), [])
  assert.deepEqual(scene.tick(20_000).slice(-1), ['play tone-20000'])
  scene.monitor('barge', 'two', 26_000)
  assert.deepEqual(scene.orders.slice(-1), ['play tone-26000'], 'the second supervisor is announced as well')
  assert.equal(scene.call.tones?.dueAt, 41_000, 'and the time runs from there')
  scene.leave('one', 30_000)
  scene.tick(41_000)
  scene.leave('two', 42_000)
  assert.equal(scene.call.tones?.dueAt, null)
  assert.deepEqual(scene.tick(60_000), [])
  const tones = (name: string) => scene.closed.filter(({ legId }) => legId === name).flatMap(({ tones: times }) => times)
  assert.deepEqual(tones('one'), [5000, 20_000, 26_000])
  assert.deepEqual(tones('two'), [26_000, 41_000])
})

test('without a tone at entry the first one comes after the interval; with an interval of 0 there is no second one', () => {
  const later = new Scene(policy({ atEntry: false }))
  assert.deepEqual(
    later.monitor('listen', 'sup', 5000).filter((order) => order.startsWith('play')),
    [],
  )
  assert.deepEqual(later.tick(20_000).slice(-1), ['play tone-20000'])
  const once = new Scene(policy({ everySeconds: 0 }))
  assert.deepEqual(once.monitor('listen', 'sup', 5000).slice(-1), ['play tone-5000'])
  assert.equal(once.call.tones?.dueAt, null)
})

test('a party who joins while a supervisor is on is told at once', () => {
  const scene = new Scene(policy({ to: 'customer' }))
  scene.monitor('listen', 'sup', 5000)
  const late = {
    ...newLeg({ id: id('third'), address: at('client:x'), origin: 'outbound-dial' as const, now: 6000, ...limits }),
    state: { status: 'answered' as const, answeredAt: 6000, memory: null },
  }
  const orders = scene.step((call) => ({ ...nothing(call), call: withLeg(call, late) }), 6000)
  assert.deepEqual(orders.slice(-1), ['play tone-6000'])
  assert.deepEqual(scene.toldEars(), ['customer', 'third'])
})

test('a tone that has ended is taken out of the table; one that is over, unknown or another’s changes nothing', () => {
  const scene = new Scene(policy())
  scene.monitor('listen', 'sup', 5000)
  assert.equal(onToneEnded(scene.call, 'music' as SoundId).call, scene.call)
  assert.deepEqual(
    scene.step((call) => onToneEnded(call, 'tone-5000' as SoundId), 5200),
    ['hear agent<customer customer<agent sup<agent+customer'],
  )
  assert.equal(onToneEnded(scene.call, 'tone-5000' as SoundId).call, scene.call)
  assert.deepEqual(scene.call.tones?.played, [5000])
})

test('while a tone sounds a change of mode keeps it in the table', () => {
  const scene = new Scene(policy())
  scene.monitor('listen', 'sup', 5000)
  assert.deepEqual(
    scene.step((call) => changeMode(call, id('sup'), 'barge', 5100), 5100),
    ['hear agent<customer+sup+tone-5000 customer<agent+sup+tone-5000 sup<agent+customer'],
  )
})

test('a tone that fails ends nothing, is not tried before the next one is due, and is in the record as not played', () => {
  const scene = new Scene(policy())
  scene.monitor('listen', 'sup', 5000)
  assert.deepEqual(
    scene.step((call) => onToneFailed(call, 'tone-5000' as SoundId), 5001),
    ['hear agent<customer customer<agent sup<agent+customer'],
  )
  assert.equal(onToneFailed(scene.call, 'tone-5000' as SoundId).call, scene.call, 'once')
  assert.deepEqual(scene.tick(20_000).slice(-1), ['play tone-20000'])
  scene.leave('sup', 21_000)
  assert.deepEqual(
    scene.closed.map(({ tones, tonesFailed }) => [tones, tonesFailed]),
    [[[20_000], [5000]]],
  )
})

test('each tone is in the interval in which it sounded, and in that of every supervisor who was on', () => {
  const scene = new Scene(policy())
  scene.monitor('listen', 'sup', 5000)
  scene.step((call) => changeMode(call, id('sup'), 'whisper', 10_000), 10_000)
  scene.tick(20_000)
  scene.step((call) => changeMode(call, id('sup'), 'barge', 25_000), 25_000)
  scene.leave('sup', 30_000)
  assert.deepEqual(
    scene.closed.map(({ mode, tones }) => [mode, tones]),
    [
      ['listen', [5000]],
      ['whisper', [20_000]],
      ['barge', []],
    ],
  )
  assert.deepEqual(scene.call.tones?.played, [], 'what is in closed entries need not be remembered')
})

test('two supervisors who come in at the same moment are announced by one tone', () => {
  const scene = new Scene(policy())
  scene.monitor('listen', 'one', 5000)
  const orders = scene.monitor('listen', 'two', 5000)
  assert.deepEqual(
    orders.filter((order) => order.startsWith('play')),
    [],
  )
  scene.leave('two', 6000)
  assert.deepEqual(scene.closed.find(({ legId }) => legId === 'two')?.tones, [5000])
})

test('when the call is over no tone is awaited, none sounds, and the table stays the empty one', () => {
  for (const end of [(call: Call) => onEnded(call, id('customer'), 'completed', 6000), (call: Call) => closeAfterCrash(call, 6000)]) {
    const scene = new Scene(policy())
    scene.monitor('listen', 'sup', 5000)
    const orders = scene.step(end, 6000)
    assert.equal(
      orders.some((order) => order.includes('tone-')),
      false,
    )
    assert.deepEqual([scene.call.tones?.dueAt, scene.call.tones?.sounding], [null, null])
    assert.deepEqual(scene.tick(99_000), [])
  }
})

test('a call without a supervisor has no tones, and its steps are left as they were decided', () => {
  const scene = new Scene(policy())
  const decision = onDeadline(scene.call, 9000)
  assert.equal(withTones(scene.call, decision, 9000), decision)
  assert.equal(scene.call.tones, null)
})
