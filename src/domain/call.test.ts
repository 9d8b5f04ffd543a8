import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Account } from './account/account.ts'
import type { Address } from './address.ts'
import { type Call, conversationMs, type Decision, hasConversed, type Order } from './call.ts'
import { addMonitor, changeMode, connect, hangUp, MAX_LEGS_PER_CALL, type MonitorCommand } from './commands.ts'
import { DomainError, type DomainErrorCode } from './errors.ts'
import { closeAfterCrash, incoming, nextDeadline, onAnswered, onDeadline, onEnded, onRinging, type PickUp } from './events.ts'
import type { AccountId, CallId, LegId } from './ids.ts'
import type { TonePolicy } from './evidence/tones.ts'
import { type EndCause, isLive, type Leg, MODES, type Mode, onCallMs, type Subscription } from './leg.ts'

const leg = (name: string): LegId => name as LegId
const at = (text: string): Address => text as Address
const both: Subscription = { url: 'http://cb/', events: ['answered', 'terminal'], contentType: 'application/json' }
const SILENT: TonePolicy = { to: 'nobody', atEntry: true, everySeconds: 15, modes: MODES }
const account: Account = {
  id: 'acme' as AccountId,
  timeZone: 'Asia/Kolkata',
  numbers: [{ number: at('+918012345678'), rings: null }],
  agents: ['priya'],
  maxMonitors: 10,
  notice: SILENT,
}
const FROM = leg('from')
const TO = leg('to')
const SUP = leg('sup')
const RING_MS = 30_000
const LIMIT_MS = 14_400_000
const silent = { sound: { waitUrl: null, opening: null, recording: null }, maxRetries: 0 }

function dialled(): Call {
  const command = {
    from: at('client:priya'),
    to: at('+919876543210'),
    callerId: at('+918012345678'),
    ringMs: RING_MS,
    limitMs: LIMIT_MS,
    subscription: both,
    customField: 'mine',
    ...silent,
  }
  return connect(command, { callId: 'call' as CallId, legId: FROM, account }, 1000).call
}
const fresh = (freshLegId: LegId): PickUp => ({ freshLegId, memory: null })
const fromAnswered = (): Call => onAnswered(dialled(), FROM, fresh(TO), 2000).call
const talking = (): Call => onAnswered(fromAnswered(), TO, fresh(leg('unused')), 3000).call
const wanted = (mode: Mode, target: string | null = null): MonitorCommand => ({
  mode,
  phone: at('client:boss'),
  targetLegId: target === null ? null : leg(target),
  callerId: null,
  ringMs: RING_MS,
  limitMs: LIMIT_MS,
  subscription: both,
  customField: null,
})
const ringingMonitor = (mode: Mode, target: string | null = null): Call =>
  addMonitor(talking(), wanted(mode, target), SUP, { maxMonitors: 10, notice: SILENT }, 4000).call
const monitored = (mode: Mode, target: string | null = null): Call => onAnswered(ringingMonitor(mode, target), SUP, fresh(leg('unused')), 5000).call
const calledIn = (
  destination: string | null = 'client:priya',
  agentIs: 'caller' | 'dialled' = 'dialled',
  source: 'agent' | 'trunk' = 'trunk',
): Decision =>
  incoming(
    {
      callId: 'call' as CallId,
      accountId: 'acme' as AccountId,
      callerLegId: FROM,
      dialledLegId: TO,
      from: at('+919999999999'),
      dialled: at('+918012345678'),
      destination: destination === null ? null : at(destination),
      callerId: at('+919999999999'),
      agentIs,
      source,
      ringMs: RING_MS,
      limitMs: LIMIT_MS,
    },
    1000,
  )

const find = (call: Call, id: LegId): Leg => call.legs.find((candidate) => candidate.id === id) as Leg
const said = (orders: readonly Order[]): string[] =>
  orders.map((order) => {
    switch (order.kind) {
      case 'set-hearing':
        return `hear ${[...order.hearing].map(([ear, mouths]) => `${ear}<${mouths.join('+')}`).join(' ')}`.trim()
      case 'play':
        return `play ${order.soundId} ${order.url}${order.repeats ? ' again and again' : ''}`
      case 'record':
        return `record ${order.tapes.join('+')}`
      case 'hang-up':
        return `hang-up ${order.legId} ${order.cause}`
      case 'dial':
        return `dial ${order.legId} ${order.to} as ${order.callerId}`
      case 'ring':
      case 'answer':
        return `${order.kind} ${order.legId}`
      case 'play-tone':
        return `play ${order.soundId}`
    }
  })
const told = ({ notices }: Decision): string[] =>
  notices.map((notice) => (notice.kind === 'leg' ? `${notice.event} of ${notice.legId}` : `${notice.event} of the call`))
function refuses(code: DomainErrorCode, work: () => unknown, detail = ''): void {
  assert.throws(work, (error) => error instanceof DomainError && error.code === code && error.detail === detail)
}
const nothingMoves = (call: Call, decision: Decision): void => assert.deepEqual(decision, { call, orders: [], notices: [] })

test('[C30] connect dials From alone; To is dialled when From has answered, and both hear each other when To has', () => {
  const command = {
    from: at('client:priya'),
    to: at('+919876543210'),
    callerId: at('+918012345678'),
    ringMs: RING_MS,
    limitMs: LIMIT_MS,
    subscription: both,
    customField: null,
    ...silent,
  }
  const first = connect(command, { callId: 'call' as CallId, legId: FROM, account }, 1000)
  assert.deepEqual(said(first.orders), ['dial from client:priya as +918012345678'])
  const second = onAnswered(first.call, FROM, fresh(TO), 2000)
  assert.deepEqual(said(second.orders), ['dial to +919876543210 as +918012345678', 'hear from<'])
  assert.deepEqual(told(second), ['answered of the call'])
  const third = onAnswered(second.call, TO, fresh(leg('unused')), 3000)
  assert.deepEqual(said(third.orders), ['hear from<to to<from'])
  assert.deepEqual(told(third), ['answered of the call'])
  assert.deepEqual(
    third.call.legs.map(({ id, origin }) => [id, origin]),
    [
      ['from', 'outbound'],
      ['to', 'outbound-dial'],
    ],
  )
})

test('[C30] without a caller id both parties see the account’s first number; an account without numbers shows From', () => {
  const command = {
    from: at('client:priya'),
    to: at('+919876543210'),
    callerId: null,
    ringMs: RING_MS,
    limitMs: LIMIT_MS,
    subscription: null,
    customField: null,
    ...silent,
  }
  const made = (numbers: Account['numbers']) =>
    connect(command, { callId: 'call' as CallId, legId: FROM, account: { ...account, numbers } }, 1000).call.callerId
  assert.deepEqual([made(account.numbers), made([])], ['+918012345678', 'client:priya'])
})

test('an incoming call rings its destination, then the caller is told, answered, and only then heard', () => {
  const first = calledIn()
  assert.deepEqual(said(first.orders), ['dial to client:priya as +919999999999'])
  const rung = onRinging(first.call, TO)
  assert.deepEqual(said(rung.orders), ['ring from'])
  const picked = onAnswered(rung.call, TO, fresh(leg('unused')), 2000)
  assert.deepEqual(said(picked.orders), ['answer from', 'hear to<'])
  assert.deepEqual(said(onAnswered(picked.call, FROM, fresh(leg('unused')), 2100).orders), ['hear from<to to<from'])
})

test('an incoming call that goes nowhere is refused with its reason and recorded as failed', () => {
  const refused = calledIn(null)
  assert.deepEqual(said(refused.orders), ['hang-up from nobody-there'])
  assert.deepEqual(said(calledIn(null, 'caller', 'agent').orders), ['hang-up from forbidden'])
  const over = onEnded(refused.call, FROM, 'failed', 1100)
  assert.deepEqual(over.call.state, { status: 'ended', outcome: 'failed', endedAt: 1100 })
})

test('[C17] without a target the agent’s leg is coached: From of a connect, the rung phone of an inbound call, the caller who is the agent', () => {
  assert.equal(find(monitored('whisper'), SUP).monitoring?.targetLegId, FROM)
  const inbound = addMonitor(calledIn().call, wanted('whisper'), SUP, { maxMonitors: 1, notice: SILENT }, 4000).call
  assert.equal(find(inbound, SUP).monitoring?.targetLegId, TO)
  const outward = addMonitor(calledIn('+919876543210', 'caller').call, wanted('whisper'), SUP, { maxMonitors: 1, notice: SILENT }, 4000).call
  assert.equal(find(outward, SUP).monitoring?.targetLegId, FROM)
})

test('[C17] a named target must be a live conversation leg of this call and is never substituted', () => {
  assert.equal(find(monitored('whisper', 'to'), SUP).monitoring?.targetLegId, TO)
  for (const target of ['nobody', 'sup'])
    refuses(
      'invalid-parameter',
      () => addMonitor(monitored('listen'), wanted('whisper', target), leg('s2'), { maxMonitors: 10, notice: SILENT }, 6000),
      'TargetLegSid',
    )
  const threeWay = { ...talking(), legs: [...talking().legs, { ...find(talking(), TO), id: leg('third') }] }
  const oneLeft = onEnded(threeWay, TO, 'completed', 6000).call
  refuses('invalid-parameter', () => addMonitor(oneLeft, wanted('whisper', 'to'), SUP, { maxMonitors: 10, notice: SILENT }, 7000), 'TargetLegSid')
})

test('[C15] a supervisor is rung with the call’s caller id or their own, and joins in the wished mode on pick-up', () => {
  const rung = addMonitor(talking(), wanted('barge'), SUP, { maxMonitors: 10, notice: SILENT }, 4000)
  assert.deepEqual(said(rung.orders), ['dial sup client:boss as +918012345678'])
  assert.deepEqual(told(rung), [])
  const joined = onAnswered(rung.call, SUP, fresh(leg('unused')), 5000)
  assert.deepEqual(said(joined.orders), ['hear from<to+sup to<from+sup sup<from+to'])
  assert.deepEqual(told(joined), ['answered of sup'])
  assert.deepEqual(
    said(addMonitor(talking(), { ...wanted('listen'), callerId: at('+911') }, SUP, { maxMonitors: 10, notice: SILENT }, 4000).orders),
    ['dial sup client:boss as +911'],
  )
})

test('[C18] several supervisors, up to the cap; one who left makes room', () => {
  const one = monitored('listen')
  refuses('too-many-monitors', () => addMonitor(one, wanted('listen'), leg('s2'), { maxMonitors: 1, notice: SILENT }, 6000))
  const left = onEnded(one, SUP, 'completed', 7000).call
  assert.equal(addMonitor(left, wanted('listen'), leg('s2'), { maxMonitors: 1, notice: SILENT }, 8000).call.legs.length, 4)
})

test('[C18] a call has a limit of legs, ended ones included, so that it cannot grow for hours', () => {
  let call = talking()
  for (let n = call.legs.length; n < MAX_LEGS_PER_CALL; n += 1) {
    const id = leg(`s${n}`)
    call = onEnded(addMonitor(call, wanted('listen'), id, { maxMonitors: 1, notice: SILENT }, 4000).call, id, 'busy', 4001).call
  }
  refuses('too-many-legs', () => addMonitor(call, wanted('listen'), SUP, { maxMonitors: 1, notice: SILENT }, 5000))
})

for (const before of MODES) {
  for (const after of MODES) {
    test(`[C20] ${before} to ${after} is one table, at once and without a dial`, () => {
      const changed = changeMode(monitored(before), SUP, after, 6000)
      assert.deepEqual(
        changed.orders.map(({ kind }) => kind),
        ['set-hearing'],
      )
      assert.deepEqual(said(changed.orders), said(changeMode(monitored(after), SUP, after, 6000).orders))
      const { lastAction, updatedAt } = find(changed.call, SUP)
      assert.deepEqual({ lastAction, updatedAt }, { lastAction: after, updatedAt: 6000 })
    })
  }
  test(`[C20] a leg that still rings keeps ${before} for its pick-up, and nothing sounds different`, () => {
    const changed = changeMode(ringingMonitor('listen'), SUP, before, 4500)
    assert.deepEqual(changed.orders, [])
    assert.deepEqual(
      said(onAnswered(changed.call, SUP, fresh(leg('unused')), 5000).orders),
      said(changeMode(monitored(before), SUP, before, 5000).orders),
    )
  })
}

test('[C20] a mode belongs to a live monitor leg of a live call; anything else is refused', () => {
  refuses('leg-not-found', () => changeMode(monitored('listen'), FROM, 'barge', 6000))
  refuses('leg-not-found', () => changeMode(monitored('listen'), leg('nobody'), 'barge', 6000))
  refuses('leg-not-found', () => changeMode(onEnded(monitored('listen'), SUP, 'completed', 6000).call, SUP, 'barge', 7000))
  refuses('call-not-in-progress', () => changeMode(onEnded(monitored('listen'), FROM, 'completed', 6000).call, SUP, 'barge', 7000))
})

test('[C21] a hang-up is an order; the leg is live until the engine says it has ended', () => {
  const ordered = hangUp(monitored('listen'), SUP, 6000)
  assert.deepEqual(said(ordered.orders), ['hang-up sup completed'])
  const { state, lastAction } = find(ordered.call, SUP)
  assert.deepEqual([state.status, lastAction], ['answered', 'hangup'])
  assert.deepEqual(said(hangUp(ringingMonitor('listen'), SUP, 6000).orders), ['hang-up sup canceled'])
  refuses('leg-not-found', () => hangUp(onEnded(monitored('listen'), SUP, 'completed', 6000).call, SUP, 7000))
})

test('[C21] a supervisor who leaves changes nothing for the others', () => {
  const left = onEnded(monitored('barge'), SUP, 'completed', 9000)
  assert.deepEqual(said(left.orders), ['hear from<to to<from'])
  assert.deepEqual(told(left), ['terminal of sup'])
  assert.equal(left.call.state.status, 'live')
  assert.equal(onCallMs(find(left.call, SUP)), 4000)
})

for (const [who, other] of [
  [FROM, TO],
  [TO, FROM],
] as const) {
  test(`[C21] when ${who} goes, silence comes first, then everybody is hung up, and the call has completed`, () => {
    const over = onEnded(monitored('barge'), who, 'completed', 9000)
    assert.deepEqual(said(over.orders), ['hear', `hang-up ${other} completed`, 'hang-up sup completed'])
    assert.deepEqual(over.call.state, { status: 'ending', outcome: 'completed' })
    const second = onEnded(over.call, other, 'completed', 9010)
    assert.deepEqual([said(second.orders), told(second)], [[], []])
    const last = onEnded(second.call, SUP, 'completed', 9020)
    assert.deepEqual(last.call.state, { status: 'ended', outcome: 'completed', endedAt: 9020 })
    assert.deepEqual(told(last), ['terminal of sup', 'terminal of the call'])
  })
}

test('a supervisor who still rings when the call ends is cancelled', () => {
  assert.deepEqual(said(onEnded(ringingMonitor('listen'), FROM, 'completed', 9000).orders), ['hear', 'hang-up to completed', 'hang-up sup canceled'])
})

const OUTCOMES: readonly (readonly [EndCause, EndCause])[] = [
  ['busy', 'busy'],
  ['no-answer', 'no-answer'],
  ['failed', 'failed'],
  ['canceled', 'canceled'],
  ['completed', 'canceled'],
]
for (const [cause, outcome] of OUTCOMES) {
  test(`From that ends with ${cause} before it answered makes the call ${outcome}; To is never dialled`, () => {
    const over = onEnded(dialled(), FROM, cause, 2000)
    assert.deepEqual(over.call.state, { status: 'ended', outcome, endedAt: 2000 })
    assert.deepEqual(said(over.orders), ['hear'])
    assert.equal(over.call.legs.length, 1)
  })
  test(`To that ends with ${cause} before it answered makes the call ${outcome} and lets From go`, () => {
    const over = onEnded(fromAnswered(), TO, cause, 4000)
    assert.deepEqual(said(over.orders), ['hear', 'hang-up from completed'])
    assert.equal(onEnded(over.call, FROM, 'completed', 4010).call.state.status, 'ended')
  })
}

test('a waiting caller is told why the phone they called did not answer', () => {
  assert.deepEqual(said(onEnded(calledIn().call, TO, 'busy', 2000).orders), ['hear', 'hang-up from busy'])
  assert.deepEqual(said(onEnded(calledIn().call, FROM, 'canceled', 2000).orders), ['hear', 'hang-up to canceled'])
})

test('[C24] when the target of a whisper leaves and the call goes on, the supervisor falls back to listen', () => {
  const call = monitored('whisper')
  const third = { ...find(call, TO), id: leg('third') }
  const goesOn = onEnded({ ...call, legs: [...call.legs, third] }, FROM, 'completed', 6000)
  assert.deepEqual(said(goesOn.orders), ['hear to<third sup<to+third third<to'])
  assert.deepEqual(find(goesOn.call, SUP).monitoring, { mode: 'listen', targetLegId: FROM, since: null, by: null, reasonCode: null })
  assert.equal(find(goesOn.call, SUP).lastAction, 'listen')
  const barging = monitored('barge')
  const kept = onEnded({ ...barging, legs: [...barging.legs, third] }, FROM, 'completed', 6000).call
  assert.equal(find(kept, SUP).monitoring?.mode, 'barge')
})

test('late and unknown events decide nothing, and nothing moves', () => {
  const over = onEnded(onEnded(talking(), FROM, 'completed', 5000).call, TO, 'completed', 5010).call
  for (const call of [over, talking()]) {
    for (const id of [leg('nobody'), ...(call === over ? [FROM, TO] : [])]) {
      nothingMoves(call, onRinging(call, id))
      nothingMoves(call, onAnswered(call, id, fresh(leg('x')), 6000))
      nothingMoves(call, onEnded(call, id, 'failed', 6000))
    }
  }
  nothingMoves(talking(), onAnswered(talking(), FROM, fresh(leg('x')), 6000))
  nothingMoves(talking(), onRinging(talking(), FROM))
  const ending = onEnded(ringingMonitor('barge'), FROM, 'completed', 5000).call
  nothingMoves(ending, onAnswered(ending, SUP, fresh(leg('x')), 5001))
})

test('[C14] a call that is being hung up, or has no live leg, is not in progress for anybody', () => {
  const ending = onEnded(talking(), FROM, 'completed', 5000).call
  for (const call of [ending, onEnded(ending, TO, 'completed', 5010).call]) {
    refuses('call-not-in-progress', () => addMonitor(call, wanted('listen'), SUP, { maxMonitors: 10, notice: SILENT }, 6000))
    refuses('call-not-in-progress', () => hangUp(call, TO, 6000))
  }
})

test('[C15] ring and talk limits: the earliest is the alarm, and who is due is hung up with the true cause', () => {
  assert.equal(nextDeadline(dialled()), 1000 + RING_MS)
  assert.equal(nextDeadline(fromAnswered()), 2000 + RING_MS)
  assert.equal(nextDeadline(talking()), 2000 + LIMIT_MS)
  assert.deepEqual(said(onDeadline(fromAnswered(), 2000 + RING_MS).orders), ['hang-up to no-answer'])
  assert.deepEqual(said(onDeadline(talking(), 2000 + LIMIT_MS).orders), ['hang-up from completed'])
  assert.deepEqual(onDeadline(fromAnswered(), 2000 + RING_MS - 1).orders, [])
  assert.equal(nextDeadline(onEnded(dialled(), FROM, 'busy', 2000).call), null)
})

test('[C27] after a crash everybody was cut off when the server last lived, nobody completed, and each terminal is told once', () => {
  const closed = closeAfterCrash(monitored('whisper'), 60_000)
  assert.deepEqual(
    closed.call.legs.map(({ state }) => state),
    [2000, 3000, 5000].map((answeredAt) => ({ status: 'ended', endedAt: 60_000, answeredAt, cause: 'failed' })),
  )
  assert.deepEqual(told(closed), ['terminal of sup', 'terminal of the call'])
  assert.deepEqual(closed.call.state, { status: 'ended', outcome: 'failed', endedAt: 60_000 })
  assert.equal(find(closeAfterCrash(monitored('listen'), 10).call, SUP).state.status, 'ended')
  assert.deepEqual(
    find(closeAfterCrash(monitored('listen'), 10).call, SUP).state,
    { status: 'ended', endedAt: 5000, answeredAt: 5000, cause: 'failed' },
    'never before its own last change',
  )
  const ending = onEnded(monitored('listen'), FROM, 'completed', 9000).call
  assert.deepEqual(closeAfterCrash(ending, 60_000).call.state, { status: 'ended', outcome: 'completed', endedAt: 60_000 })
})

test('conversation time counts while both are there', () => {
  assert.equal(conversationMs(fromAnswered(), 9000), 0)
  assert.equal(conversationMs(talking(), 9000), 6000)
  const over = onEnded(onEnded(talking(), FROM, 'completed', 8000).call, TO, 'completed', 8010).call
  assert.equal(conversationMs(over, 99_000), 5000)
  assert.ok(hasConversed(over))
})

test('[C32] the call itself is told when each party picks up and once when nobody is left; supervisors are no parties', () => {
  const steps: readonly ((call: Call) => Decision)[] = [
    (call) => onAnswered(call, FROM, fresh(TO), 2000),
    (call) => onAnswered(call, TO, fresh(leg('unused')), 3000),
    (call) => addMonitor(call, { ...wanted('listen'), subscription: null }, SUP, { maxMonitors: 10, notice: account.notice }, 4000),
    (call) => onAnswered(call, SUP, fresh(leg('unused')), 5000),
    (call) => onEnded(call, SUP, 'completed', 6000),
    (call) => onEnded(call, FROM, 'completed', 7000),
    (call) => onEnded(call, TO, 'completed', 7010),
    (call) => onEnded(call, TO, 'completed', 7020),
  ]
  let call = dialled()
  const notices: string[][] = []
  for (const step of steps) {
    const decision = step(call)
    call = decision.call
    notices.push(told(decision))
  }
  assert.deepEqual(notices, [['answered of the call'], ['answered of the call'], [], [], [], [], ['terminal of the call'], []])
})

test('[C27] whatever happens in whatever order, each leg has one terminal notice, and an ended call has no live leg and never moves again', () => {
  const step = fc.record({
    what: fc.constantFrom('answer', 'end', 'ring', 'mode', 'hangup', 'monitor', 'deadline'),
    who: fc.nat(6),
    mode: fc.constantFrom(...MODES),
    cause: fc.constantFrom<EndCause>('completed', 'busy', 'no-answer', 'failed'),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.boolean(), (steps, inbound) => {
      let call = inbound ? calledIn().call : dialled()
      let now = 1000
      const terminals = new Map<string, number>()
      for (const { what, who, mode, cause } of steps) {
        now += 500
        const id = call.legs[who % call.legs.length]?.id as LegId
        const ended = call.state.status === 'ended' ? call : null
        let decision: Decision
        try {
          decision =
            what === 'answer'
              ? onAnswered(call, id, fresh(leg(`fresh${now}`)), now)
              : what === 'end'
                ? onEnded(call, id, cause, now)
                : what === 'ring'
                  ? onRinging(call, id)
                  : what === 'mode'
                    ? changeMode(call, id, mode, now)
                    : what === 'hangup'
                      ? hangUp(call, id, now)
                      : what === 'monitor'
                        ? addMonitor(call, wanted(mode), leg(`sup${now}`), { maxMonitors: 3, notice: SILENT }, now)
                        : onDeadline(call, now)
        } catch (error) {
          assert.ok(error instanceof DomainError)
          continue
        }
        call = decision.call
        for (const notice of decision.notices)
          if (notice.event === 'terminal')
            terminals.set(notice.kind === 'leg' ? notice.legId : 'call', (terminals.get(notice.kind === 'leg' ? notice.legId : 'call') ?? 0) + 1)
        if (ended) assert.equal(call, ended)
        assert.equal(call.state.status === 'ended', !call.legs.some(isLive))
      }
      for (const count of terminals.values()) assert.equal(count, 1)
      for (const { id, state, subscription } of call.legs) if (state.status === 'ended' && subscription) assert.equal(terminals.get(id), 1)
    }),
  )
})

test('what the engine wants to be reminded of stays with the leg as long as it is answered, and no longer', () => {
  const { call } = onAnswered(dialled(), FROM, { freshLegId: TO, memory: 'a dialog' }, 2000)
  const stateOf = (later: Call) => later.legs.find(({ id }) => id === FROM)?.state
  assert.deepEqual(stateOf(call), { status: 'answered', answeredAt: 2000, memory: 'a dialog' })
  assert.deepEqual(
    stateOf(onAnswered(call, FROM, { freshLegId: leg('x'), memory: 'another' }, 2500).call),
    stateOf(call),
    'a second answer moves nothing',
  )
  assert.deepEqual(stateOf(onEnded(call, FROM, 'completed', 3000).call), { status: 'ended', endedAt: 3000, answeredAt: 2000, cause: 'completed' })
  assert.deepEqual(stateOf(closeAfterCrash(call, 4000).call), { status: 'ended', endedAt: 4000, answeredAt: 2000, cause: 'failed' })
})
