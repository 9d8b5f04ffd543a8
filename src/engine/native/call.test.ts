import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { EndCause, LetGoCause } from '../../domain/leg.ts'
import { causeOfEnd, causeOfStatus, type Happening, LEG_STATES, type LegState, type Report, statusForCaller, statusOfCause, step } from './call.ts'

const HAPPENINGS: readonly Happening[] = [
  { kind: 'sent' },
  { kind: 'rang' },
  { kind: 'picked-up' },
  { kind: 'answer' },
  { kind: 'connected' },
  { kind: 'hang-up', cause: 'no-answer' },
  { kind: 'lost', cause: 'busy' },
]

/** Every step that moves something; any other pair moves nothing. */
const LEGAL: readonly [LegState, Happening['kind'], LegState, readonly Report[]][] = [
  ['dialling', 'sent', 'calling', []],
  ['calling', 'rang', 'ringing', [{ kind: 'ringing' }]],
  ['calling', 'picked-up', 'connecting', []],
  ['ringing', 'picked-up', 'connecting', []],
  ['connecting', 'connected', 'answered', [{ kind: 'answered' }]],
  ['offered', 'answer', 'accepting', []],
  ['accepting', 'connected', 'answered', [{ kind: 'answered' }]],
  ...LEG_STATES.filter((state) => state !== 'ended').flatMap((state): readonly [LegState, Happening['kind'], LegState, readonly Report[]][] => [
    [state, 'hang-up', 'ended', [{ kind: 'ended', cause: state === 'answered' ? 'completed' : 'no-answer' }]],
    [state, 'lost', 'ended', [{ kind: 'ended', cause: state === 'answered' ? 'completed' : 'busy' }]],
  ]),
]

for (const state of LEG_STATES) {
  for (const happening of HAPPENINGS) {
    const legal = LEGAL.find(([from, kind]) => from === state && kind === happening.kind)
    const title = legal ? `${state}, ${happening.kind}: ${legal[2]}` : `${state}, ${happening.kind}: nothing moves`
    test(title, () => {
      assert.deepEqual(step(state, happening), legal ? { state: legal[2], reports: legal[3] } : { state, reports: [] })
    })
  }
}

test('an answered leg completes however it is hung up, unless something broke', () => {
  for (const cause of ['completed', 'busy', 'no-answer', 'canceled'] as const) {
    assert.deepEqual(step('answered', { kind: 'hang-up', cause }).reports, [{ kind: 'ended', cause: 'completed' }])
  }
  assert.deepEqual(step('answered', { kind: 'lost', cause: 'failed' }).reports, [{ kind: 'ended', cause: 'failed' }])
})

test('nobody completes without having been answered', () => {
  for (const state of LEG_STATES.filter((each) => each !== 'answered' && each !== 'ended')) {
    assert.deepEqual(step(state, { kind: 'lost', cause: 'completed' }).reports, [{ kind: 'ended', cause: 'canceled' }], state)
  }
})

test('whatever happens in whatever order, the house hears of ringing and answer once at most, and of one end, last', () => {
  fc.assert(
    fc.property(
      fc.constantFrom<LegState>('dialling', 'offered'),
      fc.array(fc.constantFrom(...HAPPENINGS), { maxLength: 20 }),
      (first, happenings) => {
        let state = first
        const told: Report['kind'][] = []
        for (const happening of [...happenings, { kind: 'lost', cause: 'failed' } as const]) {
          const next = step(state, happening)
          state = next.state
          told.push(...next.reports.map((report) => report.kind))
        }
        assert.equal(told.at(-1), 'ended')
        assert.equal(new Set(told).size, told.length, told.join(' '))
        assert(told.indexOf('ringing') <= 0)
      },
    ),
  )
})

const STATUSES: readonly [number, EndCause][] = [
  [486, 'busy'],
  [600, 'busy'],
  [603, 'busy'],
  [480, 'no-answer'],
  [408, 'no-answer'],
  [487, 'canceled'],
  [302, 'failed'],
  [401, 'failed'],
  [403, 'failed'],
  [404, 'failed'],
  [407, 'failed'],
  [415, 'failed'],
  [488, 'failed'],
  [500, 'failed'],
  [503, 'failed'],
  [604, 'failed'],
]
for (const [status, cause] of STATUSES) {
  test(`[C13] a dialled phone that answers ${status} is ${cause}`, () => {
    assert.equal(causeOfStatus(status), cause)
    assert.equal(causeOfEnd({ reason: 'rejected', status }, true), cause)
  })
}

test('[C13] nobody on the wire is failed, a BYE completes, a CANCEL cancels', () => {
  assert.equal(causeOfEnd({ reason: 'timeout', status: 0 }, true), 'failed')
  assert.equal(causeOfEnd({ reason: 'transport', status: 0 }, true), 'failed')
  assert.equal(causeOfEnd({ reason: 'timeout', status: 0 }, false), 'failed')
  assert.equal(causeOfEnd({ reason: 'bye', status: 0 }, true), 'completed')
  assert.equal(causeOfEnd({ reason: 'cancelled', status: 487 }, false), 'canceled')
  assert.equal(causeOfEnd({ reason: 'rejected', status: 503 }, false), 'failed')
})

test('a refused caller is told why', () => {
  const told: readonly [LetGoCause, number][] = [
    ['busy', 486],
    ['no-answer', 480],
    ['canceled', 487],
    ['completed', 487],
    ['failed', 503],
    ['forbidden', 403],
    ['nobody-there', 480],
  ]
  for (const [cause, status] of told) assert.equal(statusOfCause(cause), status)
})

test('a caller is told of the phone that was dialled for them what is true of their request too, and never 503, a challenge or a redirection', () => {
  for (const status of [403, 404, 410, 484, 485, 488, 604, 606]) assert.equal(statusForCaller(status), status)
  for (const status of [300, 301, 302, 305, 380]) assert.equal(statusForCaller(status), 480)
  for (const status of [400, 401, 407, 420, 482, 500, 501, 502, 503, 504, 513, 600, 699]) assert.equal(statusForCaller(status), 500)
})
