/** The suite finds what it is there to find: engines that break one promise each, and the test that notices. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Ear, Hearing, Mouth } from '../domain/hearing.ts'
import type { LegId, SoundId } from '../domain/ids.ts'
import { type Distortion, makeFakeRig } from './fake-rig.ts'
import { playScene } from './scene.ts'
import { suiteTests } from './suite.ts'

/** The table that is really obeyed. */
const obeying =
  (change: (table: Hearing, before: Hearing) => Hearing): Distortion =>
  (fake) => {
    let before: Hearing = new Map()
    return {
      ...fake,
      setHearing(callId, table) {
        before = change(table, before)
        return fake.setHearing(callId, before)
      },
    }
  }

const isTape = (ear: Ear): boolean => ear.startsWith('tape')
const isSound = (mouth: Mouth): boolean => mouth.startsWith('sound')
const legsIn = (table: Hearing): readonly LegId[] => [...table.keys()].filter((ear) => !isTape(ear)) as LegId[]
const soundsIn = (table: Hearing): readonly Mouth[] => [...new Set([...table.values()].flat())].filter(isSound)

const BROKEN: readonly { readonly promise: string; readonly test: string; readonly distort: Distortion }[] = [
  {
    promise: 'a whisper is heard by everybody',
    test: '[C23] whisper: every ear hears its row',
    distort: obeying((table) => new Map([...table].map(([ear]) => [ear, legsIn(table).filter((mouth) => mouth !== ear)]))),
  },
  {
    promise: 'somebody hears themselves',
    test: '[C23] a conversation: each hears the other, nobody hears themselves',
    distort: obeying((table) => new Map([...table].map(([ear, mouths]) => [ear, [...mouths, ear as LegId]]))),
  },
  {
    promise: 'a table is added to the one before',
    test: '[C20] each of the six changes of mode changes the sound',
    distort: obeying((table, before) => new Map([...table].map(([ear, mouths]) => [ear, [...new Set([...(before.get(ear) ?? []), ...mouths])]]))),
  },
  {
    promise: 'rows that are not in the new table stay',
    test: 'a table replaces the whole table before it',
    distort: obeying((table, before) => new Map([...before, ...table])),
  },
  {
    promise: 'a momentary leak to the customer',
    test: '[C23] listening and whispering, the supervisor is never heard by the customer, not even for a moment',
    distort: (fake, sound) => ({
      ...fake,
      async setHearing(callId, table) {
        const everybody = legsIn(table)
        await fake.setHearing(callId, new Map(everybody.map((ear) => [ear, everybody.filter((mouth) => mouth !== ear)])))
        sound()
        return fake.setHearing(callId, table)
      },
    }),
  },
  {
    promise: 'only the first of many tables is obeyed',
    test: '[C20] fifty rapid changes end in the last one',
    distort: (fake) => {
      let busy = false
      return {
        ...fake,
        async setHearing(callId, table) {
          if (busy) return
          busy = true
          await fake.setHearing(callId, table)
          setTimeout(() => (busy = false), 20)
        },
      }
    },
  },
  {
    promise: 'everybody hears everybody until a table comes',
    test: '[C23] without a table nobody hears anybody',
    distort: (fake) => ({
      ...fake,
      async dial(order) {
        await fake.dial(order)
        const legs = fake
          .legs()
          .filter((leg) => leg.callId === order.callId)
          .map((leg) => leg.legId)
        await fake.setHearing(order.callId, new Map(legs.map((ear): [LegId, readonly LegId[]] => [ear, legs.filter((mouth) => mouth !== ear)])))
      },
    }),
  },
  {
    promise: 'a leg ends twice',
    test: 'a leg that both ends hang up ends once',
    distort: (fake) => ({
      ...fake,
      start: (onEvent) =>
        fake.start((event) => {
          onEvent(event)
          if (event.kind === 'ended') onEvent(event)
        }),
    }),
  },
  {
    promise: 'a leg that rings is forgotten when the engine stops',
    test: 'stopping the engine ends every leg that is left, ringing ones too',
    distort: (fake) => ({
      ...fake,
      start: (onEvent) => fake.start((event) => (event.kind === 'ended' && event.cause === 'canceled' ? undefined : onEvent(event))),
    }),
  },
  {
    promise: 'answered comes after ended',
    test: '[C21] hanging up a supervisor ends that leg alone, at once, and nobody else notices',
    distort: (fake) => ({
      ...fake,
      start: (onEvent) =>
        fake.start((event) => {
          onEvent(event)
          if (event.kind === 'ended') onEvent({ kind: 'answered', callId: event.callId, legId: event.legId, memory: null })
        }),
    }),
  },
  {
    promise: 'an unknown leg throws',
    test: 'orders about unknown calls and legs do nothing and do not throw',
    distort: (fake) => ({
      ...fake,
      async hangUp(callId, legId, cause) {
        if (!fake.legs().some((leg) => leg.legId === legId)) throw new Error('no such leg')
        return fake.hangUp(callId, legId, cause)
      },
    }),
  },
  {
    promise: 'a goodbye to who is in a call',
    test: 'a farewell to legs that live, or by texts that are no memories, does nothing',
    distort: (fake) => ({ ...fake, farewell: async () => fake.legs().forEach(({ legId }) => fake.ends(legId, 'completed')) }),
  },
  {
    promise: 'every end is the same',
    test: 'a phone that refuses is busy',
    distort: (fake) => ({ ...fake, ends: (legId) => fake.ends(legId, 'failed') }),
  },
  {
    promise: 'an end that happens later',
    test: '[C21] hanging up a supervisor ends that leg alone, at once, and nobody else notices',
    distort: (fake) => ({
      ...fake,
      async hangUp(...order) {
        setTimeout(() => void fake.hangUp(...order).catch(() => {}), 5)
      },
    }),
  },
]

/** What an engine can do wrong with sounds and tapes. */
const BROKEN_SOUND: typeof BROKEN = [
  {
    promise: 'a sound is heard by everybody',
    test: '[C23] a sound is heard by exactly the ears of its rows, whoever else is heard',
    distort: obeying((table) => new Map([...table].map(([ear, mouths]) => [ear, [...new Set([...mouths, ...soundsIn(table)])]]))),
  },
  {
    promise: 'a sound that repeats goes on for ever',
    test: 'a sound that repeats goes on until no row names it',
    distort: obeying((table, before) => new Map([...table].map(([ear, mouths]) => [ear, [...mouths, ...(before.get(ear) ?? []).filter(isSound)]]))),
  },
  {
    promise: 'a sound goes on when the conversation begins',
    test: 'who waits alone hears the sound, and not when the conversation begins; the other never',
    distort: obeying((table, before) => new Map([...table].map(([ear, mouths]) => [ear, [...mouths, ...soundsIn(before)]]))),
  },
  {
    promise: 'the end of a sound is told twice',
    test: 'both hear an opening above each other, and its end is told once',
    distort: (fake) => ({
      ...fake,
      start: (onEvent) =>
        fake.start((event) => {
          onEvent(event)
          if (event.kind === 'played') onEvent(event)
        }),
    }),
  },
  {
    promise: 'the end of a sound is told when it begins',
    test: 'sounds end in the order of their ends, each once, and each is still heard until then',
    distort: (fake) => ({
      ...fake,
      async play(order) {
        await fake.play(order)
        if (!order.repeats) fake.soundEnds(order.callId, order.soundId)
      },
    }),
  },
  {
    promise: 'a sound begins that nobody is to hear',
    test: 'a sound that no row names does not begin, and orders about unknown calls do nothing',
    distort: (fake) => {
      let report: Parameters<typeof fake.start>[0] = () => {}
      return {
        ...fake,
        start: (onEvent) => fake.start((report = onEvent)),
        async play(order) {
          await fake.play(order)
          if (!soundsIn(fake.ears(order.callId)).includes(order.soundId)) report({ kind: 'played', callId: order.callId, soundId: order.soundId })
        },
      }
    },
  },
  {
    promise: 'sounds outlive their call',
    test: 'a call that ends takes its sounds along, and nothing is told of them',
    distort: (fake) => {
      let report: Parameters<typeof fake.start>[0] = () => {}
      return {
        ...fake,
        start: (onEvent) => fake.start((report = onEvent)),
        async hangUp(callId, legId, cause) {
          for (const soundId of soundsIn(fake.ears(callId))) report({ kind: 'played', callId, soundId: soundId as SoundId })
          return fake.hangUp(callId, legId, cause)
        },
      }
    },
  },
  {
    promise: 'a tape hears everybody',
    test: '[C23] whisper: each tape has its row, and recording changes nothing that an ear hears',
    distort: obeying((table) => new Map([...table].map(([ear, mouths]) => [ear, isTape(ear) ? legsIn(table) : mouths]))),
  },
  {
    promise: 'a momentary leak to the tape',
    test: '[C23] a whisper is never on tape, not even for a moment',
    distort: (fake, sound) => ({
      ...fake,
      async setHearing(callId, table) {
        await fake.setHearing(callId, new Map([...table].map(([ear, mouths]) => [ear, isTape(ear) ? legsIn(table) : mouths])))
        sound()
        return fake.setHearing(callId, table)
      },
    }),
  },
  {
    promise: 'a tape keeps what it heard first',
    test: 'who barges is on tape for as long as the table says so',
    distort: obeying((table, before) => new Map([...table].map(([ear, mouths]) => [ear, isTape(ear) ? (before.get(ear) ?? mouths) : mouths]))),
  },
  {
    promise: 'the channels are the wrong way round',
    test: '[C23] listen: each tape has its row, and recording changes nothing that an ear hears',
    distort: (fake) => ({ ...fake, record: (order) => fake.record({ ...order, tapes: order.tapes.toReversed() }) }),
  },
  {
    promise: 'who records is heard',
    test: 'one tape has both parties, and a sound when its row says so',
    distort: obeying(
      (table) =>
        new Map(
          [...table].map(([ear, mouths]) => [ear, [...mouths, ...[...table].flatMap(([other, row]) => (isTape(other) ? row.filter(isSound) : []))]]),
        ),
    ),
  },
  {
    promise: 'a tape without a row is given one',
    test: 'a party on hold, or who sends nothing, is silence on tape, and so is a tape without a row',
    distort: obeying((table) => (legsIn(table).length === table.size ? new Map([...table, ['tape-left' as Ear, legsIn(table)]]) : table)),
  },
  {
    promise: 'a second recording is let in',
    test: 'a call is recorded once, on one tape or two different ones; anything else is an error and changes nothing',
    distort: (fake) => ({ ...fake, record: (order) => fake.record(order).catch(() => {}) }),
  },
]

describe('the engine suite notices', () => {
  for (const { promise, test, distort } of [...BROKEN, ...BROKEN_SOUND]) {
    it(`${promise}`, async () => {
      const titled = suiteTests().find(([title]) => title === test)
      assert(titled, `there is no test '${test}'`)
      await assert.rejects(playScene(async () => makeFakeRig(distort), titled[1]))
      await playScene(async () => makeFakeRig(), titled[1])
    })
  }

  it('every title is there once', () => {
    const titles = suiteTests().map(([title]) => title)
    assert.equal(new Set(titles).size, titles.length)
  })
})
