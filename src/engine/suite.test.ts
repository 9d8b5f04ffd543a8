/** The suite finds what it is there to find: engines that break one promise each, and the test that notices. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Hearing } from '../domain/hearing.ts'
import type { LegId } from '../domain/ids.ts'
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

/** Nobody records or plays here. */
const legsIn = (table: Hearing): readonly LegId[] => [...table.keys()] as LegId[]

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

describe('the engine suite notices', () => {
  for (const { promise, test, distort } of BROKEN) {
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
