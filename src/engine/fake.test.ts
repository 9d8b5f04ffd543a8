/** The fake passes the suite of all engines; and its hands do what they say. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Address } from '../domain/address.ts'
import type { AccountId, CallId, LegId } from '../domain/ids.ts'
import type { EngineEvent } from './engine.ts'
import { type FakeEngine, makeFakeEngine, ORDERS_KEPT } from './fake.ts'
import { ALL_TONES, type Display, type Heard, type Party, type Rig } from './scene.ts'
import { engineSuite } from './suite.ts'

const ACCOUNT = 'account' as AccountId
const CALLER_ID = '+918047112233' as Address

function counter(): () => string {
  let last = 0
  return () => `fake${++last}`.padEnd(32, '0')
}

/** Everybody in a rig, so that an ear can tell whose mouth it hears. */
interface Person {
  readonly hz: number
  legId: LegId | null
  callId: CallId | null
  display: Display
  onHold: boolean
  silent: boolean
  readonly heardSoFar: Set<number>
}

function makeFakeRig(): Rig {
  const fake = makeFakeEngine({ newId: counter() })
  const people: Person[] = []
  const speaking = (legId: LegId) => people.find((person) => person.legId === legId && !person.onHold && !person.silent)?.hz
  const listen = (person: Person): readonly number[] => {
    if (person.legId === null || person.callId === null || person.onHold) return []
    const mouths = fake.ears(person.callId).get(person.legId) ?? []
    return mouths.map(speaking).filter((hz) => hz !== undefined)
  }
  /** Sound is continuous: after anything that changes it, everybody has heard what there was to hear. */
  const sound = (): void => people.forEach((person) => listen(person).forEach((hz) => person.heardSoFar.add(hz)))
  const noticeEnd = ({ legId, cause }: EngineEvent & { readonly kind: 'ended' }): void => {
    for (const person of people) if (person.legId === legId) person.display = person.display === 'ringing' && cause === 'no-answer' ? 'canceled' : cause
  }
  const engine: Rig['engine'] = {
    ...fake,
    start: (onEvent) =>
      fake.start((event) => {
        if (event.kind === 'ended') noticeEnd(event)
        if (event.kind === 'answered') for (const person of people) if (person.legId === event.legId) person.display = 'talking'
        onEvent(event)
      }),
    async setHearing(callId, table) {
      await fake.setHearing(callId, table)
      sound()
    },
    async dial(order) {
      await fake.dial(order)
      const index = Number(/\d+/.exec(order.to)?.[0] ?? -1)
      const person = people[index]
      if (!person) return fake.ends(order.legId, 'failed')
      Object.assign(person, { legId: order.legId, callId: order.callId, display: 'ringing' })
      fake.rings(order.legId)
    },
  }
  return {
    engine, accountId: ACCOUNT, callerId: CALLER_ID, nowhere: 'sip:nobody@127.0.0.1' as Address, settleMs: 100,
    async party({ hz }) {
      const address = `client:p${people.length}` as Address
      const person: Person = { hz, legId: null, callId: null, display: 'idle', onHold: false, silent: false, heardSoFar: new Set() }
      people.push(person)
      return makeFakeParty(fake, person, address, () => listen(person), sound)
    },
    async close() {},
  }
}

function makeFakeParty(fake: FakeEngine, person: Person, address: Address, listen: () => readonly number[], sound: () => void): Party {
  const legId = (): LegId => {
    assert(person.legId !== null, 'this phone has no call')
    return person.legId
  }
  return {
    address,
    hz: person.hz,
    async callsIn() {
      person.display = 'calling'
      const caller = fake.callIn({ accountId: ACCOUNT, from: address, dialled: CALLER_ID, source: 'agent' })
      Object.assign(person, caller)
    },
    async answers() {
      fake.answers(legId())
      sound()
    },
    refuses: async () => fake.ends(legId(), 'busy'),
    hangsUp: async () => fake.ends(legId(), person.display === 'talking' ? 'completed' : 'canceled'),
    async holds() {
      person.onHold = true
    },
    async resumes() {
      person.onHold = false
      sound()
    },
    async goesSilent(silent) {
      person.silent = silent
      sound()
    },
    display: () => person.display,
    hears: async (): Promise<Heard> => ({ heard: listen(), unclear: [] }),
    everHeard: async () => ALL_TONES.filter((hz) => person.heardSoFar.has(hz)),
  }
}

engineSuite('the fake engine', async () => makeFakeRig())

describe('the fake engine has hands', () => {
  const start = async () => {
    const events: EngineEvent[] = []
    const fake = makeFakeEngine({ newId: counter() })
    await fake.start((event) => void events.push(event))
    return { fake, events }
  }
  const call = { callId: 'c' as CallId, legId: 'l' as LegId }
  const order = { ...call, accountId: ACCOUNT, to: CALLER_ID, callerId: CALLER_ID }

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
    assert.deepEqual(events.map((event) => event.kind), ['answered', 'ended'])
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
    await fake.setHearing(call.callId, new Map([[a, [b, c]], [b, [a]]]))
    assert.deepEqual(fake.ears(call.callId), new Map())
    fake.answers(a)
    assert.deepEqual(fake.ears(call.callId), new Map([[a, []]]))
    fake.answers(b)
    fake.answers(c)
    assert.deepEqual(fake.ears(call.callId), new Map([[a, [b]], [b, [a]], [c, []]]))
  })
})
