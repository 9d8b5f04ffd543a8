/** Phones around the fake engine: people without wires, whose ears are the fake's table. */
import assert from 'node:assert/strict'
import type { Address } from '../domain/address.ts'
import type { Mouth } from '../domain/hearing.ts'
import type { AccountId, CallId, LegId } from '../domain/ids.ts'
import type { EngineEvent } from './engine.ts'
import { type FakeEngine, makeFakeEngine } from './fake.ts'
import { ALL_TONES, type Display, type Heard, type Party, type Rig } from './scene.ts'

export const ACCOUNT = 'account' as AccountId
export const CALLER_ID = '+918047112233' as Address

/** Ids one after the other. */
export function counter(): () => string {
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

/** Makes of a faithful fake one that breaks a promise. `sound`: everybody hears what there is to hear just then. */
export type Distortion = (fake: FakeEngine, sound: () => void) => FakeEngine

export function makeFakeRig(distort: Distortion = (fake) => fake): Rig {
  const fake = distort(makeFakeEngine({ newId: counter() }), () => sound())
  const people: Person[] = []
  const speaking = (legId: Mouth) => people.find((person) => person.legId === legId && !person.onHold && !person.silent)?.hz
  const listen = (person: Person): readonly number[] => {
    if (person.legId === null || person.callId === null || person.onHold) return []
    const mouths = fake.ears(person.callId).get(person.legId) ?? []
    return mouths.map(speaking).filter((hz) => hz !== undefined)
  }
  /** Sound is continuous: after anything that changes it, everybody has heard what there was to hear. */
  const sound = (): void => people.forEach((person) => listen(person).forEach((hz) => person.heardSoFar.add(hz)))
  const noticeEnd = ({ legId, cause }: EngineEvent & { readonly kind: 'ended' }): void => {
    for (const person of people)
      if (person.legId === legId) person.display = person.display === 'ringing' && cause === 'no-answer' ? 'canceled' : cause
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
    engine,
    accountId: ACCOUNT,
    callerId: CALLER_ID,
    nowhere: 'sip:nobody@127.0.0.1' as Address,
    settleMs: 100,
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
