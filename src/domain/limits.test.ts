/** What a limit of the account does to a call: it keeps it from going on, or ends it, and the record says so. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Address } from './address.ts'
import { type Call, type Decision, nothing } from './call.ts'
import { connect } from './commands.ts'
import { LIMITS } from './errors.ts'
import { cutOff, type Incoming, incoming, onAnswered, onEnded } from './events.ts'
import type { AccountId, CallId, LegId } from './ids.ts'
import { isLive } from './leg.ts'
import { SILENT } from './sound.ts'

const at = (text: string): Address => text as Address
const id = (text: string): LegId => text as LegId
const account = { id: 'acme' as AccountId, timeZone: 'UTC', numbers: [], agents: [], maxMonitors: 1, notice: null }
const subscription = { url: 'http://receiver/', events: ['answered', 'terminal'], contentType: 'application/json' } as const
const ids = { callId: 'call' as CallId, legId: id('from'), account }
const dialled = connect({ from: at('client:a'), to: at('+911'), callerId: null, ringMs: 1, limitMs: 1, subscription, customField: null, sound: SILENT, maxRetries: 0 }, ids, 0).call
const half = onAnswered(dialled, id('from'), { freshLegId: id('to'), memory: null }, 10).call
const talking = onAnswered(half, id('to'), { freshLegId: id('unused'), memory: null }, 20).call

const hangUps = ({ orders }: Decision): readonly (readonly [string, string])[] => orders.flatMap((order) => (order.kind === 'hang-up' ? [[order.legId, order.cause] as const] : []))
const over = (call: Call): Call => call.legs.filter(isLive).reduce((current, leg) => onEnded(current, leg.id, 'completed', 99).call, call)

for (const reason of LIMITS) {
  test(`a call that is cut off for ${reason} goes silent, everybody is hung up, and the record keeps the reason to its end`, () => {
    const decision = cutOff(talking, reason)
    assert.deepEqual(decision.orders[0], { kind: 'set-hearing', hearing: new Map() })
    assert.deepEqual(hangUps(decision), [['from', 'completed'], ['to', 'completed']])
    const { state, endReason } = over(decision.call)
    assert.deepEqual([state.status === 'ended' && state.outcome, endReason], ['completed', reason])
  })

  test(`with ${reason} the second party is not dialled: who has answered is hung up, and was answered all the same`, () => {
    const decision = onAnswered(dialled, id('from'), { freshLegId: id('to'), memory: null, refusal: reason }, 10)
    assert.deepEqual(decision.call.legs.map(({ id: leg, state }) => [leg, state.status]), [['from', 'answered']])
    assert.deepEqual(decision.orders.map(({ kind }) => kind), ['set-hearing', 'hang-up'])
    assert.deepEqual(decision.notices, [{ kind: 'call', event: 'answered' }])
    const { state, endReason } = over(decision.call)
    assert.deepEqual([state.status === 'ended' && state.outcome, endReason], ['failed', reason])
  })

  test(`a caller who comes in against ${reason} is refused before anybody rings`, () => {
    const event: Incoming = {
      callId: 'call' as CallId, accountId: account.id, callerLegId: id('caller'), dialledLegId: id('dialled'), from: at('+912'), dialled: at('+913'),
      source: 'trunk', destination: at('client:a'), refusal: reason, callerId: at('+912'), agentIs: 'dialled', ringMs: 1, limitMs: 1,
    }
    const decision = incoming(event, 5)
    assert.deepEqual([decision.call.legs.length, decision.call.endReason, decision.orders], [1, reason, [{ kind: 'hang-up', legId: 'caller', cause: 'forbidden' }]])
    assert.equal(incoming({ ...event, refusal: null }, 5).call.legs.length, 2)
  })
}

test('a call that is ending, or has ended, is not cut off again', () => {
  for (const call of [cutOff(talking, 'no-balance').call, onEnded(talking, id('to'), 'completed', 30).call, over(talking)]) assert.deepEqual(cutOff(call, 'no-rate'), nothing(call))
})

test('a refusal means a second party and nobody else', () => {
  assert.equal(onAnswered(half, id('to'), { freshLegId: id('unused'), memory: null, refusal: 'no-balance' }, 20).call.state.status, 'live')
})
