/** What each step of a call's life leaves in the record, for every mode; and that the record of a supervisor has no gap. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Account } from '../account/account.ts'
import type { Address } from '../address.ts'
import { type Call, type Decision, withLeg } from '../call.ts'
import { addMonitor, changeMode, connect, hangUp, newLeg } from '../commands.ts'
import { DomainError } from '../errors.ts'
import { closeAfterCrash, onAnswered, onEnded, onRinging } from '../events.ts'
import type { AccountId, CallId, KeyId, LegId } from '../ids.ts'
import { isLive, type Leg, MODES, type Mode, type Why } from '../leg.ts'
import { intervalBody, intervalPersons } from './entry.ts'
import { INTERVAL_ENDS, type Interval, type IntervalEnd, intervals } from './interval.ts'
import type { TonePolicy } from './tones.ts'

const at = (text: string): Address => text as Address
const id = (text: string): LegId => text as LegId
const KEY: Why = { by: 'k1' as KeyId, reasonCode: 'QA-7' }
const SILENT: TonePolicy = { to: 'nobody', atEntry: true, everySeconds: 15, modes: MODES }
const account: Account = { id: 'acme' as AccountId, timeZone: 'UTC', numbers: [], agents: [], maxMonitors: 10, notice: SILENT }
const NO_SOUND = { waitUrl: null, opening: null, recording: null }
const limits = { ringMs: 30_000, limitMs: 600_000 }
const quiet = { subscription: null, customField: null }
const pickUp = { freshLegId: id('to'), memory: null }

/** The record of a walk: the call as it goes on, and all that was closed. */
class Walk {
  call: Call
  readonly closed: Interval[] = []
  constructor(call: Call) {
    this.call = call
  }
  step(decide: (call: Call) => Decision, how: 'seen' | 'crash' = 'seen'): readonly Interval[] {
    const recorded = intervals(this.call, decide(this.call).call, how)
    this.call = recorded.call
    this.closed.push(...recorded.closed)
    return recorded.closed
  }
}

/** `from` is dialled at 1 s, answers at 2 s; `to` answers at 3 s. */
function talking(): Call {
  const dialled = connect({ from: at('client:a'), to: at('+919876543210'), callerId: null, ...limits, ...quiet, sound: NO_SOUND, maxRetries: 0 }, { callId: 'call' as CallId, legId: id('from'), account }, 1000).call
  return onAnswered(onAnswered(dialled, id('from'), pickUp, 2000).call, id('to'), pickUp, 3000).call
}

const monitor =
  (mode: Mode, name: string, target: string | null, now: number, why = KEY) =>
  (call: Call): Decision =>
    addMonitor(
      call,
      { mode, phone: at(`client:${name}`), targetLegId: target as LegId | null, callerId: null, ...limits, ...quiet },
      id(name),
      { maxMonitors: 10, notice: SILENT, why },
      now,
    )

/** `sup` is rung at 4 s and answers at 5 s; a third party is in the conversation when asked for. */
function monitored(mode: Mode, { third = false, target = 'from' } = {}): Walk {
  const walk = new Walk(talking())
  if (third) walk.step((call) => ({ call: withLeg(call, party('third', 3500)), orders: [], notices: [] }))
  walk.step(monitor(mode, 'sup', target, 4000))
  walk.step((call) => onAnswered(call, id('sup'), pickUp, 5000))
  return walk
}

const party = (name: string, now: number): Leg => ({
  ...newLeg({ id: id(name), address: at(`client:${name}`), origin: 'outbound-dial', now, ...limits }),
  state: { status: 'answered', answeredAt: now, memory: null },
})

const inShort = ({ legId, mode, from, to, end, heardBy, hears }: Interval): string =>
  `${legId} ${mode} ${from}-${to} ${end}, heard by ${heardBy.join('+') || 'nobody'}, hears ${hears.join('+') || 'nobody'}`

const HEARD_BY: Readonly<Record<Mode, string>> = { listen: 'nobody', whisper: 'from', barge: 'from+to' }

for (const mode of MODES) {
  const heard = `heard by ${HEARD_BY[mode]}, hears from+to`

  test(`${mode}: nothing is recorded while the supervisor rings, or only because they pick up`, () => {
    const walk = monitored(mode)
    assert.deepEqual(walk.closed, [])
    assert.equal(walk.call.legs[2]?.monitoring?.since, 5000)
    const rung = new Walk(talking())
    rung.step(monitor(mode, 'sup', null, 4000))
    rung.step((call) => onRinging(call, id('sup')))
    rung.step((call) => onEnded(call, id('sup'), 'busy', 4500))
    assert.deepEqual(rung.closed, [], 'who never picked up has heard nothing')
  })

  for (const next of MODES) {
    test(`${mode}, then ${next} by another key: one interval ends, and the next begins at that moment`, () => {
      const walk = monitored(mode)
      const closed = walk.step((call) => changeMode(call, id('sup'), next, 6000, { by: 'k2' as KeyId, reasonCode: null }))
      assert.deepEqual(closed.map(inShort), [`sup ${mode} 5000-6000 ${mode === next ? 'asked-again' : 'mode-changed'}, ${heard}`])
      assert.deepEqual([closed[0]?.by, closed[0]?.reasonCode], ['k1', 'QA-7'])
      assert.deepEqual(walk.step((call) => onEnded(call, id('sup'), 'completed', 7000)).map(inShort), [
        `sup ${next} 6000-7000 left, heard by ${HEARD_BY[next]}, hears from+to`,
      ])
      assert.deepEqual([walk.closed[1]?.by, walk.closed[1]?.reasonCode], ['k2', null])
    })

    test(`${mode} while it rings, then ${next}: what is recorded is the mode in which they picked up`, () => {
      const walk = new Walk(talking())
      walk.step(monitor(mode, 'sup', null, 4000))
      walk.step((call) => changeMode(call, id('sup'), next, 4500, KEY))
      walk.step((call) => onAnswered(call, id('sup'), pickUp, 5000))
      walk.step((call) => onEnded(call, id('sup'), 'completed', 6000))
      assert.deepEqual(walk.closed.map(inShort), [`sup ${next} 5000-6000 left, heard by ${HEARD_BY[next]}, hears from+to`])
    })
  }

  test(`${mode} again by the same key for the same reason: the interval goes on`, () => {
    const walk = monitored(mode)
    assert.deepEqual(
      walk.step((call) => changeMode(call, id('sup'), mode, 6000, KEY)),
      [],
    )
    assert.deepEqual(walk.step((call) => onEnded(call, id('sup'), 'completed', 7000)).map(inShort), [`sup ${mode} 5000-7000 left, ${heard}`])
  })

  test(`${mode}: asking for a hang-up ends nothing, the end of the leg does`, () => {
    const walk = monitored(mode)
    assert.deepEqual(
      walk.step((call) => hangUp(call, id('sup'), 6000)),
      [],
    )
    assert.deepEqual(walk.step((call) => onEnded(call, id('sup'), 'completed', 6050)).map(inShort), [`sup ${mode} 5000-6050 left, ${heard}`])
  })

  for (const gone of ['from', 'to']) {
    test(`${mode}: when ${gone} hangs up the call is over, and the record ends there, not at the supervisor's own end`, () => {
      const walk = monitored(mode)
      assert.deepEqual(walk.step((call) => onEnded(call, id(gone), 'completed', 6000)).map(inShort), [`sup ${mode} 5000-6000 call-ended, ${heard}`])
      assert.deepEqual(
        walk.step((call) => onEnded(call, id('sup'), 'completed', 6500)),
        [],
      )
    })

    test(`[C24] ${mode} of from with three parties: what is recorded when ${gone} leaves`, () => {
      const walk = monitored(mode, { third: true })
      const all = mode === 'barge' ? 'from+to+third' : HEARD_BY[mode]
      const [closed] = walk.step((call) => onEnded(call, id(gone), 'completed', 6000))
      const end: IntervalEnd = mode === 'whisper' && gone === 'from' ? 'target-left' : 'hearing-changed'
      assert.equal(closed && inShort(closed), `sup ${mode} 5000-6000 ${end}, heard by ${all}, hears from+to+third`)
      const [last] = walk.step((call) => onEnded(call, id('sup'), 'completed', 7000))
      assert.equal(last?.mode, end === 'target-left' ? 'listen' : mode)
      assert.equal(last?.by, end === 'target-left' ? null : 'k1', 'the house, not the key, chose to listen')
      assert.deepEqual([last?.from, last?.to], [6000, 7000])
    })
  }

  test(`${mode}: a party who joins changes what is heard, and so begins an interval`, () => {
    const walk = monitored(mode)
    const closed = walk.step((call) => ({ call: withLeg(call, party('third', 6000)), orders: [], notices: [] }))
    assert.deepEqual(closed.map(inShort), [`sup ${mode} 5000-6000 hearing-changed, ${heard}`])
  })

  for (const other of MODES) {
    test(`${mode}: another supervisor who comes in to ${other} is in the record only if one hears the other`, () => {
      const walk = monitored(mode)
      walk.step(monitor(other, 'sup2', null, 5500, { by: 'k9' as KeyId, reasonCode: null }))
      const joined = walk.step((call) => onAnswered(call, id('sup2'), pickUp, 6000))
      // Whoever barges hears the other and is heard by them.
      const isHeard = mode === 'barge' || other === 'barge'
      assert.equal(joined.length > 0, isHeard)
      assert.deepEqual(
        joined.map(({ legId, end }) => `${legId} ${end}`),
        isHeard ? ['sup hearing-changed'] : [],
      )
      const left = walk.step((call) => onEnded(call, id('sup2'), 'completed', 7000))
      assert.deepEqual(
        left.map(({ legId, end, by }) => `${legId} ${end} ${by}`),
        isHeard ? ['sup hearing-changed k1', 'sup2 left k9'] : ['sup2 left k9'],
      )
    })
  }

  test(`[C27] ${mode}: after a crash the open interval ends at the last sign of life, marked as such`, () => {
    const walk = monitored(mode)
    assert.deepEqual(walk.step((call) => closeAfterCrash(call, 9000), 'crash').map(inShort), [`sup ${mode} 5000-9000 crash, ${heard}`])
    const early = monitored(mode)
    assert.deepEqual(
      early.step((call) => closeAfterCrash(call, 1000), 'crash').map(({ from, to }) => [from, to]),
      [[5000, 5000]],
      'never before it began',
    )
  })

  test(`${mode}: a crash while everybody was being hung up closes nothing twice`, () => {
    const walk = monitored(mode)
    walk.step((call) => onEnded(call, id('to'), 'completed', 6000))
    assert.deepEqual(
      walk.step((call) => closeAfterCrash(call, 9000), 'crash'),
      [],
    )
  })

  test(`${mode}: who and where is in the personal part, and in nothing else`, () => {
    const [closed] = monitored(mode).step((call) => onEnded(call, id('sup'), 'completed', 7000))
    assert(closed)
    assert.deepEqual(intervalPersons(closed), {
      supervisor: 'client:sup',
      parties: [
        { leg: 'from', address: 'client:a' },
        { leg: 'to', address: '+919876543210' },
      ],
    })
    const body = intervalBody(closed)
    assert.equal(JSON.stringify(body).includes('client:'), false)
    assert.equal(JSON.stringify(body).includes('+91'), false)
    assert.deepEqual(body, {
      call: 'call',
      leg: 'sup',
      target: 'from',
      mode,
      by: 'k1',
      reason: 'QA-7',
      from: '1970-01-01T00:00:05.000Z',
      to: '1970-01-01T00:00:07.000Z',
      end: 'left',
      heardBy: closed.heardBy,
      hears: ['from', 'to'],
      notice: SILENT,
      tones: [],
      tonesFailed: [],
    })
  })
}

test('a leg that was answered before there was a record has its interval from its answer', () => {
  const walk = monitored('listen')
  const old = walk.call.legs.map((leg) => (leg.monitoring ? { ...leg, monitoring: { ...leg.monitoring, since: null } } : leg))
  walk.call = { ...walk.call, legs: old, tones: null }
  const [closed] = walk.step((call) => onEnded(call, id('sup'), 'completed', 7000))
  assert.deepEqual([closed?.from, closed?.to, closed?.policy], [5000, 7000, null])
})

test('a clock that was set back makes no interval that ends before it begins', () => {
  const walk = monitored('barge')
  assert.deepEqual(
    walk.step((call) => changeMode(call, id('sup'), 'listen', 3000, KEY)).map(({ from, to }) => [from, to]),
    [[5000, 5000]],
  )
  assert.deepEqual(
    walk.step((call) => onEnded(call, id('sup'), 'completed', 4000)).map(({ from, to }) => [from, to]),
    [[5000, 5000]],
  )
})

test('a step that changes nothing for a supervisor leaves the very same call', () => {
  const { call } = monitored('whisper')
  assert.equal(intervals(call, call).call, call)
  const late = onEnded(call, id('nobody'), 'completed', 9000).call
  assert.equal(intervals(call, late).call, call)
})

/** Anything that can happen, at any moment, in any order. */
const happenings = fc.array(
  fc.record({
    // Mostly what keeps a call going.
    what: fc.constantFrom('monitor', 'monitor', 'answered', 'answered', 'answered', 'mode', 'mode', 'mode', 'ended', 'hangup', 'party', 'ringing'),
    who: fc.constantFrom('s1', 's1', 's2', 's2', 's3', 'p1', 'from', 'to'),
    mode: fc.constantFrom(...MODES),
    key: fc.constantFrom('k1', 'k2'),
    afterMs: fc.integer({ min: 0, max: 900 }),
  }),
  { minLength: 10, maxLength: 60 },
)
interface Happening {
  readonly what: 'monitor' | 'answered' | 'ended' | 'mode' | 'hangup' | 'party' | 'ringing' | 'crash'
  readonly who: string
  readonly mode: Mode
  readonly key: string
}

function decide(call: Call, { what, who, mode, key }: Happening, now: number): Decision {
  const why: Why = { by: key as KeyId, reasonCode: null }
  switch (what) {
    case 'monitor':
      return call.legs.some((leg) => leg.id === who) ? { call, orders: [], notices: [] } : monitor(mode, who, null, now, why)(call)
    case 'answered':
      return onAnswered(call, id(who), { freshLegId: id('fresh'), memory: null }, now)
    case 'ended':
      return onEnded(call, id(who), 'completed', now)
    case 'mode':
      return changeMode(call, id(who), mode, now, why)
    case 'hangup':
      return hangUp(call, id(who), now)
    case 'party':
      return call.state.status !== 'live' || call.legs.some((leg) => leg.id === who)
        ? { call, orders: [], notices: [] }
        : { call: withLeg(call, party(who, now)), orders: [], notices: [] }
    case 'ringing':
      return onRinging(call, id(who))
    case 'crash':
      return closeAfterCrash(call, now)
  }
}

test('whatever happens, the intervals of each supervisor cover their time in the live call without gap or overlap, and a listener is heard by nobody', () => {
  const seen = new Set<IntervalEnd>()
  fc.assert(
    fc.property(happenings, (steps) => {
      const walk = new Walk(talking())
      let [now, overAt] = [4000, Number.POSITIVE_INFINITY]
      for (const happening of [...steps, { what: 'crash', who: 'to', mode: 'listen', key: 'k1', afterMs: 1 } as const]) {
        now += happening.afterMs
        try {
          walk.step((call) => decide(call, happening, now), happening.what === 'crash' ? 'crash' : 'seen')
        } catch (error) {
          if (!(error instanceof DomainError)) throw error
        }
        if (walk.call.state.status !== 'live') overAt = Math.min(overAt, now)
      }
      assert.equal(walk.call.legs.some(isLive), false)
      for (const leg of walk.call.legs) {
        const own = walk.closed.filter(({ legId }) => legId === leg.id)
        for (const { end } of own) seen.add(end)
        const answeredAt = leg.state.status === 'ended' ? leg.state.answeredAt : null
        if (leg.monitoring === null || answeredAt === null) {
          assert.deepEqual(own, [])
          continue
        }
        assert.deepEqual(
          own.map(({ from }) => from),
          [answeredAt, ...own.slice(0, -1).map(({ to }) => to)],
          'each begins where the last one ended',
        )
        assert.equal(own.at(-1)?.to, Math.min(overAt, leg.state.status === 'ended' ? leg.state.endedAt : Number.NaN))
        for (const { mode, heardBy, hears, targetLegId } of own) {
          if (mode === 'listen') assert.deepEqual(heardBy, [])
          if (mode === 'whisper')
            assert.deepEqual(
              heardBy.filter((ear) => ear !== targetLegId),
              [],
            )
          assert.equal(hears.includes(leg.id) || heardBy.includes(leg.id), false)
        }
      }
    }),
    { numRuns: 500 },
  )
  assert.deepEqual(
    INTERVAL_ENDS.filter((end) => !seen.has(end) && end !== 'target-left'),
    [],
    'each end was met; a target who leaves has a test of its own',
  )
})
