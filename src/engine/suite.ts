/**
 * The one suite that every engine must pass: the fake, the native one, and whichever comes next.
 *
 * Parties hum a tone each, and every ear is asked what it hears. Where an engine cannot keep a promise, its test says so in
 * `deviations`, with the reason; a deviation that names no test is an error.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { LegId } from '../domain/ids.ts'
import { MODES, type Mode } from '../domain/leg.ts'
import { hearMode, type Titled, trio } from './cast.ts'
import { playScene, type Rig, TONES } from './scene.ts'
import { LEG_TESTS } from './suite-legs.ts'
import { SOUND_TESTS } from './suite-sounds.ts'

export interface Deviation {
  /** The title of the test that this engine does not pass. */
  readonly test: string
  readonly reason: string
}
const { agent: AGENT, customer: CUSTOMER, coach: COACH, second: SECOND } = TONES

/** Registers the suite, or one part of it, for one engine with node:test. `makeRig` is called once a test. */
export function engineSuite(name: string, makeRig: () => Promise<Rig>, deviations: readonly Deviation[] = [], tests = suiteTests()): void {
  describe(`${name} keeps the promises of an engine`, () => {
    for (const [title, play] of tests) {
      const deviation = deviations.find((listed) => listed.test === title)
      it(title, { skip: deviation?.reason ?? false }, () => playScene(makeRig, play))
    }
    it('every listed deviation names a test', () => {
      assert.deepEqual(
        deviations.filter((listed) => !tests.some(([title]) => title === listed.test)),
        [],
      )
    })
  })
}

/** The suite itself, for a test that it finds what it is there to find. */
export const suiteTests = (): readonly Titled[] => [...callTests(), ...soundTests()]
/** Its two parts: an engine whose phones take their time plays them in files of their own. */
export const callTests = (): readonly Titled[] => [...HEARING, ...CHANGES, ...LEG_TESTS]
export const soundTests = (): readonly Titled[] => SOUND_TESTS

const HEARING: readonly Titled[] = [
  [
    '[C23] a conversation: each hears the other, nobody hears themselves',
    async (scene) => {
      const { agent, customer } = await scene.conversation()
      await scene.hear([
        [agent, [CUSTOMER]],
        [customer, [AGENT]],
      ])
    },
  ],
  [
    '[C23] without a table nobody hears anybody',
    async (scene) => {
      const agent = await scene.ring(AGENT, 'outbound')
      await scene.pickUp(agent)
      const customer = await scene.ring(CUSTOMER, 'outbound-dial')
      await scene.pickUp(customer)
      await scene.hear([
        [agent, []],
        [customer, []],
      ])
      assert.deepEqual(await agent.party.everHeard(), [])
      assert.deepEqual(await customer.party.everHeard(), [])
    },
  ],
  ...MODES.map(
    (mode): Titled => [
      `[C23] ${mode}: every ear hears its row`,
      async (scene) => {
        await hearMode(scene, await trio(scene, mode), mode)
      },
    ],
  ),
  [
    '[C23] a whisper to the customer is not heard by the agent',
    async (scene) => {
      const { agent, customer } = await scene.conversation()
      const coach = await scene.join('whisper', customer)
      await scene.hear([
        [agent, [CUSTOMER]],
        [customer, [AGENT, COACH]],
        [coach, [AGENT, CUSTOMER]],
      ])
      assert(!(await agent.party.everHeard()).includes(COACH), 'not even for a moment')
    },
  ],
  [
    '[C23] two supervisors at once, in each combination of modes',
    async (scene) => {
      const { agent, customer, coach } = await trio(scene, 'listen')
      const second = await scene.join('listen', agent, SECOND)
      for (const first of MODES) {
        for (const other of MODES) {
          await scene.switchTo([coach, first], [second, other])
          const inAgent = [CUSTOMER, ...(first === 'listen' ? [] : [COACH]), ...(other === 'listen' ? [] : [SECOND])]
          const barging = [...(first === 'barge' ? [COACH] : []), ...(other === 'barge' ? [SECOND] : [])]
          const ears = [
            [agent, inAgent],
            [customer, [AGENT, ...barging]],
            [coach, [AGENT, CUSTOMER, ...(other === 'barge' ? [SECOND] : [])]],
            [second, [AGENT, CUSTOMER, ...(first === 'barge' ? [COACH] : [])]],
          ] as const
          await scene.hear(ears, `${first} and ${other}:`)
        }
      }
    },
  ],
  [
    '[C23] two supervisors who coach one party each are heard by that party alone',
    async (scene) => {
      const { agent, customer, coach } = await trio(scene, 'whisper')
      const second = await scene.join('whisper', customer, SECOND)
      await scene.hear([
        [agent, [CUSTOMER, COACH]],
        [customer, [AGENT, SECOND]],
        [coach, [AGENT, CUSTOMER]],
        [second, [AGENT, CUSTOMER]],
      ])
    },
  ],
  [
    '[C23] a supervisor who joins late hears the call from there on, and disturbs nobody',
    async (scene) => {
      const { agent, customer } = await scene.conversation()
      await scene.hear([
        [agent, [CUSTOMER]],
        [customer, [AGENT]],
      ])
      const coach = await scene.ring(COACH, 'monitor', { mode: 'listen', target: agent })
      await scene.hear(
        [
          [agent, [CUSTOMER]],
          [customer, [AGENT]],
        ],
        'while the supervisor rings',
      )
      await scene.pickUp(coach)
      await scene.applyTable()
      await hearMode(scene, { agent, customer, coach }, 'listen')
      assert.deepEqual(await customer.party.everHeard(), [AGENT])
      assert.deepEqual(await agent.party.everHeard(), [CUSTOMER])
    },
  ],
]

const CHANGES: readonly Titled[] = [
  [
    '[C20] each of the six changes of mode changes the sound',
    async (scene) => {
      const cast = await trio(scene, 'listen')
      await hearMode(scene, cast, 'listen')
      let before: Mode = 'listen'
      for (const mode of ['whisper', 'barge', 'listen', 'barge', 'whisper', 'listen'] as const) {
        await scene.switchTo([cast.coach, mode])
        await hearMode(scene, cast, mode, `${before} to`)
        before = mode
      }
    },
  ],
  [
    '[C20] the same mode again changes nothing',
    async (scene) => {
      const cast = await trio(scene, 'listen')
      for (const mode of MODES) {
        await scene.switchTo([cast.coach, mode])
        await hearMode(scene, cast, mode)
        await scene.switchTo([cast.coach, mode])
        await hearMode(scene, cast, mode, 'again')
      }
    },
  ],
  [
    '[C23] listening and whispering, the supervisor is never heard by the customer, not even for a moment',
    async (scene) => {
      const cast = await trio(scene, 'listen')
      for (const mode of ['whisper', 'listen', 'whisper'] as const) {
        await scene.switchTo([cast.coach, mode])
        await hearMode(scene, cast, mode)
      }
      assert.deepEqual(await cast.customer.party.everHeard(), [AGENT])
    },
  ],
  [
    '[C20] fifty rapid changes end in the last one',
    async (scene) => {
      const cast = await trio(scene, 'listen')
      const changes = Array.from({ length: 50 }, (_, index) => {
        scene.setMode(cast.coach, index === 49 ? 'whisper' : (MODES[index % MODES.length] ?? 'listen'))
        return scene.applyTable()
      })
      await Promise.all(changes)
      await hearMode(scene, cast, 'whisper', 'the last of fifty:')
    },
  ],
  [
    'a table replaces the whole table before it',
    async (scene) => {
      const { agent, customer, coach } = await trio(scene, 'barge')
      await hearMode(scene, { agent, customer, coach }, 'barge')
      await scene.engine.setHearing(
        scene.callId,
        new Map([
          [agent.legId, [coach.legId]],
          [coach.legId, []],
        ]),
      )
      await scene.hear(
        [
          [agent, [COACH]],
          [customer, []],
          [coach, []],
        ],
        'legs without a row are silent both ways:',
      )
      await scene.engine.setHearing(scene.callId, new Map())
      await scene.hear(
        [
          [agent, []],
          [customer, []],
          [coach, []],
        ],
        'the empty table is silence:',
      )
      await scene.applyTable()
      await hearMode(scene, { agent, customer, coach }, 'barge', 'and back:')
    },
  ],
  [
    'a table that names a leg before it is answered is in force when it is',
    async (scene) => {
      const { agent, customer } = await scene.conversation()
      const coach = await scene.ring(COACH, 'monitor', { mode: 'whisper', target: agent })
      const both = [agent.legId, customer.legId]
      const table = new Map<LegId, readonly LegId[]>([
        [agent.legId, [customer.legId, coach.legId]],
        [customer.legId, [agent.legId]],
        [coach.legId, both],
      ])
      await scene.engine.setHearing(scene.callId, table)
      await scene.hear(
        [
          [agent, [CUSTOMER]],
          [customer, [AGENT]],
        ],
        'while it rings:',
      )
      await scene.pickUp(coach)
      await hearMode(scene, { agent, customer, coach }, 'whisper')
    },
  ],
]
