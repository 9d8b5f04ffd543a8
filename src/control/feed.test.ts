import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sampleCall } from '../../test/sample-calls.ts'
import type { Call } from '../domain/call.ts'
import { addMonitor, changeMode, connect } from '../domain/commands.ts'
import type { Address } from '../domain/address.ts'
import { onAnswered, onEnded } from '../domain/events.ts'
import { hearing } from '../domain/hearing.ts'
import type { AccountId, CallId, LegId } from '../domain/ids.ts'
import { SILENT } from '../domain/sound.ts'
import { type FeedId, type FollowOptions, happeningsOf, makeFeed, tableOf, type Told } from './feed.ts'

const ACME = 'acme' as AccountId
const account = {
  id: ACME,
  timeZone: 'UTC',
  numbers: [],
  agents: [],
  maxMonitors: 9,
  notice: { to: 'nobody', atEntry: true, everySeconds: 0, modes: [] },
} as const
const id = (name: string): LegId => name as LegId
const fresh = (name: string) => ({ freshLegId: id(name), memory: null })
const quiet = { callerId: null, ringMs: 1, limitMs: 1, subscription: null, customField: null }
const dialled = connect(
  { from: 'client:a' as Address, to: 'client:b' as Address, ...quiet, sound: SILENT, maxRetries: 0 },
  { callId: 'call' as CallId, legId: id('from'), account },
  1,
).call
const half = onAnswered(dialled, id('from'), fresh('to'), 2).call
const talking = onAnswered(half, id('to'), fresh('x'), 3).call
const rung = addMonitor(talking, { mode: 'listen', phone: 'client:s' as Address, targetLegId: null, ...quiet }, id('sup'), account, 4).call
const monitored = onAnswered(rung, id('sup'), fresh('x'), 5).call
const whispering = changeMode(monitored, id('sup'), 'whisper', 6).call
const ending = onEnded(whispering, id('to'), 'completed', 7).call
const ended = onEnded(onEnded(ending, id('from'), 'completed', 8).call, id('sup'), 'completed', 9).call

const inShort = (before: Call | undefined, after: Call): string[] =>
  happeningsOf(before, after).map((one) => {
    switch (one.kind) {
      case 'call':
        return `call ${one.call.state.status} ${one.call.sound.stage}`
      case 'leg':
        return `leg ${one.leg.id} ${one.leg.state.status}`
      case 'mode':
        return `mode ${one.leg.id} ${one.before}→${one.leg.monitoring?.mode}`
      case 'hearing':
        return 'hearing'
    }
  })

const STEPS: readonly (readonly [string, Call | undefined, Call, readonly string[]])[] = [
  ['begins', undefined, dialled, ['call live before', 'leg from ringing']],
  ['has its first party', dialled, half, ['leg from answered', 'leg to ringing']],
  ['has both', half, talking, ['leg to answered', 'call live open']],
  ['gets a supervisor who rings', talking, rung, ['leg sup ringing', 'mode sup null→listen']],
  ['has a supervisor who joined', rung, monitored, ['leg sup answered', 'mode sup listen→listen']],
  ['is whispered into', monitored, whispering, ['leg sup answered', 'mode sup listen→whisper']],
  ['is left by a party', whispering, ending, ['leg to ended', 'call ending open']],
  ['is over', ending, ended, ['leg from ended', 'leg sup ended', 'call ended open']],
  ['did not change', monitored, monitored, []],
]
for (const [what, before, after, expected] of STEPS) {
  test(`a call that ${what} is told as what differs, in the order of its life`, () => assert.deepEqual(inShort(before, after), expected))
}

function house(kept?: number) {
  const live: Call[] = []
  const feed = makeFeed({
    life: 'life',
    now: () => 42,
    live: (accountId) => live.filter((call) => call.accountId === accountId),
    ...(kept === undefined ? {} : { kept }),
  })
  const follow = (over: Partial<FollowOptions> = {}) => {
    const told: Told[] = []
    const following = feed.follow({ accountId: ACME, isFor: () => true, lastId: null, tell: (one) => void told.push(one), ...over })
    return { ...following, told }
  }
  return { feed, live, follow }
}
const kindsOf = (told: readonly Told[]): string[] => told.map(({ id: at, happening }) => `${at} ${happening.kind}`)

test('a new follower begins with what lives, and is told what happens from there', () => {
  const { feed, live, follow } = house()
  live.push(monitored)
  const one = follow()
  assert.deepEqual(one.beginning, { kind: 'anew', id: 'life-0', missed: false, calls: [monitored] })
  feed.onChange(monitored, whispering)
  feed.onHearing(whispering, hearing(whispering.legs))
  assert.deepEqual(kindsOf(one.told), ['life-1 leg', 'life-2 mode', 'life-3 hearing'])
  assert.equal(one.told[0]?.at, 42)
  one.stop()
  feed.onChange(whispering, ending)
  assert.equal(one.told.length, 3, 'and no more when it has stopped')
})

test('a follower who comes back gets exactly what they missed, wherever they stopped', () => {
  const { feed, follow } = house()
  feed.onChange(undefined, dialled)
  feed.onChange(dialled, half)
  const all = ['life-1 call', 'life-2 leg', 'life-3 leg', 'life-4 leg']
  for (let seen = 0; seen <= 4; seen++) {
    const { beginning } = follow({ lastId: `life-${seen}` })
    assert(beginning.kind === 'resumed')
    assert.deepEqual(kindsOf(beginning.told), all.slice(seen))
  }
})

test('a follower who missed more than is kept, or comes from another life of the process, or from nowhere, begins anew and is told so', () => {
  const { feed, follow } = house(3)
  feed.onChange(undefined, dialled)
  feed.onChange(dialled, half)
  assert.equal(follow({ lastId: 'life-1' }).beginning.kind, 'resumed', 'the three after it are kept')
  for (const lastId of ['life-0', 'other-3', 'life-99', 'life--1', 'life-1.5', 'life-', 'life', '', 'life-NaN']) {
    const { beginning } = follow({ lastId })
    assert.deepEqual([lastId, beginning.kind, beginning.kind === 'anew' && beginning.missed], [lastId, 'anew', true])
  }
})

test('nobody is told of another account’s calls, or of calls that are not for them', () => {
  const { feed, live, follow } = house()
  const foreign = sampleCall({ accountId: 'zenith' as AccountId })
  live.push(foreign)
  const own = follow()
  const blind = follow({ isFor: () => false })
  assert(own.beginning.kind === 'anew' && own.beginning.calls.length === 0)
  feed.onChange(undefined, foreign)
  feed.onChange(undefined, dialled)
  assert.deepEqual(kindsOf(own.told), ['life-1 call', 'life-2 leg'])
  assert.deepEqual(blind.told, [])
  assert.deepEqual(follow({ lastId: 'life-0' as FeedId, isFor: () => false }).beginning, { kind: 'resumed', told: [] })
})

test('in a call that is ending nobody hears anybody', () => {
  assert.equal(tableOf(ending).size, 0)
  assert.equal(tableOf(monitored).size, 3)
})
