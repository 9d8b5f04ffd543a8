/** The fake passes the suite of all engines; and its hands do what they say. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { CallId, LegId } from '../domain/ids.ts'
import type { EngineEvent } from './engine.ts'
import { ACCOUNT, CALLER_ID, counter, makeFakeRig } from './fake-rig.ts'
import { makeFakeEngine, ORDERS_KEPT } from './fake.ts'
import { engineSuite } from './suite.ts'

engineSuite('the fake engine', async () => makeFakeRig())

describe('the fake engine has hands', () => {
  const start = async () => {
    const events: EngineEvent[] = []
    const fake = makeFakeEngine({ newId: counter() })
    await fake.start((event) => void events.push(event))
    return { fake, events }
  }
  const call = { callId: 'c' as CallId, legId: 'l' as LegId }
  const order = { ...call, accountId: ACCOUNT, legKind: 'conversation', to: CALLER_ID, callerId: CALLER_ID } as const

  it('records every order, those about unknown legs too, and forgets the oldest', async () => {
    const { fake } = await start()
    await fake.hangUp(call.callId, call.legId, 'failed')
    assert.deepEqual([...fake.orders], [{ kind: 'hang-up', ...call, cause: 'failed' }])
    for (let n = 0; n < ORDERS_KEPT; n++) await fake.ring(call.callId, call.legId)
    assert.equal(fake.orders.length, ORDERS_KEPT)
    assert.equal(fake.orders[0]?.kind, 'ring')
  })

  it('a hand that touches an unknown, answered or ended leg moves nothing', async () => {
    const { fake, events } = await start()
    fake.rings(call.legId)
    fake.answers(call.legId)
    fake.ends(call.legId, 'failed')
    assert.equal(events.length, 0)
    await fake.dial(order)
    fake.answers(call.legId)
    fake.rings(call.legId)
    fake.answers(call.legId)
    fake.ends(call.legId, 'completed')
    fake.ends(call.legId, 'failed')
    assert.deepEqual(
      events.map((event) => event.kind),
      ['answered', 'ended'],
    )
  })

  it('an order that is made to fail rejects once and changes nothing', async () => {
    const { fake } = await start()
    fake.failNext('dial', new Error('no port is free'))
    await assert.rejects(fake.dial(order), /no port is free/)
    assert.deepEqual(fake.legs(), [])
    await fake.dial(order)
    assert.equal(fake.legs().length, 1)
  })

  it('a leg of one call cannot be ordered about through another call', async () => {
    const { fake, events } = await start()
    await fake.dial(order)
    await fake.hangUp('other' as CallId, call.legId, 'failed')
    assert.equal(fake.legs().length, 1)
    assert.deepEqual(events, [])
  })

  it('ears leave out who is not answered and who has no row', async () => {
    const { fake } = await start()
    const [a, b, c] = ['a', 'b', 'c'] as [LegId, LegId, LegId]
    for (const legId of [a, b, c]) await fake.dial({ ...order, legId })
    await fake.setHearing(
      call.callId,
      new Map([
        [a, [b, c]],
        [b, [a]],
      ]),
    )
    assert.deepEqual(fake.ears(call.callId), new Map())
    fake.answers(a)
    assert.deepEqual(fake.ears(call.callId), new Map([[a, []]]))
    fake.answers(b)
    fake.answers(c)
    assert.deepEqual(
      fake.ears(call.callId),
      new Map([
        [a, [b]],
        [b, [a]],
        [c, []],
      ]),
    )
  })
})
