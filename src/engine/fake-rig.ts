/** Phones around the fake engine: people without wires, whose ears are the fake's table. */
import assert from 'node:assert/strict'
import type { Address } from '../domain/address.ts'
import type { Mouth } from '../domain/hearing.ts'
import type { AccountId, CallId, LegId } from '../domain/ids.ts'
import type { Clip, EngineEvent } from './engine.ts'
import { type FakeEngine, makeFakeEngine } from './fake.ts'
import { ALL_TONES, type Display, type Heard, type Party, type Rig, type Taped } from './scene.ts'

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

/** A recording without a file: what was on each channel so far. */
interface Reel {
  readonly callId: CallId
  readonly startedAt: number
  readonly soFar: ReadonlySet<number>[]
}

/** Makes of a faithful fake one that breaks a promise. `sound`: everybody hears what there is to hear just then. */
export type Distortion = (fake: FakeEngine, sound: () => void) => FakeEngine

export function makeFakeRig(distort: Distortion = (fake) => fake): Rig {
  const fake = distort(makeFakeEngine({ newId: counter() }), () => sound())
  const people: Person[] = []
  const speaking = (mouth: Mouth): number | undefined =>
    studio.toneOf(mouth) ?? people.find((person) => person.legId === mouth && !person.onHold && !person.silent)?.hz
  const listen = (person: Person): readonly number[] => {
    if (person.legId === null || person.callId === null || person.onHold) return []
    const mouths = fake.ears(person.callId).get(person.legId) ?? []
    return mouths.map(speaking).filter((hz) => hz !== undefined)
  }
  /** Sound is continuous: after anything that changes it, everybody has heard what there was to hear. */
  const sound = (): void => {
    for (const person of people) for (const hz of listen(person)) person.heardSoFar.add(hz)
    studio.take()
  }
  const studio = makeStudio(fake, speaking, () => sound())
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
    ...studio.orders,
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
    ...studio.room,
    async close() {},
  }
}

interface Studio {
  readonly orders: Pick<FakeEngine, 'play' | 'record'>
  readonly room: Pick<Rig, 'clip' | 'folder' | 'tape' | 'everTaped'>
  toneOf(sound: Mouth): number | undefined
  /** What there is to hear just then is on the tapes. */
  take(): void
}

/** Sounds whose tone is known because they were made here, and recordings without files. */
function makeStudio(fake: FakeEngine, speaking: (mouth: Mouth) => number | undefined, sound: () => void): Studio {
  const reels = new Map<string, Reel>()
  const clips = new WeakMap<Clip, { readonly hz: number; readonly ms: number }>()
  const sounds = new Map<Mouth, number>()
  const newestOn = ({ callId }: Reel): readonly (readonly number[])[] =>
    (fake.recording(callId)?.tapes ?? []).map((tape) => (fake.ears(callId).get(tape) ?? []).map(speaking).filter((hz) => hz !== undefined))
  return {
    toneOf: (mouth) => sounds.get(mouth),
    take() {
      for (const reel of reels.values())
        for (const [at, tones] of newestOn(reel).entries()) reel.soFar[at] = new Set([...(reel.soFar[at] ?? []), ...tones])
    },
    orders: {
      async play(order) {
        const { callId, soundId, clip, repeats } = order
        const { hz = 0, ms = 0 } = clips.get(clip) ?? {}
        sounds.set(soundId, hz)
        await fake.play(order)
        sound()
        if (!repeats) setTimeout(() => fake.soundEnds(callId, soundId), ms).unref()
      },
      async record(order) {
        await fake.record(order)
        if (fake.recording(order.callId) !== null) reels.set(order.file, { callId: order.callId, startedAt: performance.now(), soFar: [] })
        sound()
      },
    },
    room: {
      clip(options) {
        const clip: Clip = { samples: new Int16Array(options.ms * 8) }
        clips.set(clip, options)
        return clip
      },
      folder: '/nowhere',
      async tape(file): Promise<Taped> {
        const reel = reels.get(file)
        assert(reel, 'there is no such recording')
        const newest = newestOn(reel).map((heard): Heard => ({ heard, unclear: [] }))
        return { ms: performance.now() - reel.startedAt, newest }
      },
      everTaped: async (file) => (reels.get(file)?.soFar ?? []).map((tones) => ALL_TONES.filter((hz) => tones.has(hz))),
    },
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
