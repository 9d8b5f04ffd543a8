/** The third part of the engine suite: sounds that are played, and tapes. Both are rows of the table, so both are asked for by rows. */
import assert from 'node:assert/strict'
import type { CallId, LegId, SoundId, TapeId } from '../domain/ids.ts'
import { MODES, type Mode } from '../domain/leg.ts'
import { hearMode, type Titled, trio } from './cast.ts'
import { type Actor, type Scene, TONES, until } from './scene.ts'

const { agent: AGENT, customer: CUSTOMER, coach: COACH, chime: CHIME, music: MUSIC } = TONES
const chime = 'sound-chime' as SoundId
const music = 'sound-music' as SoundId
const left = 'tape-left' as TapeId
const right = 'tape-right' as TapeId

/** Long enough for every ear to agree that it is there. */
const LONG_MS = 2_500
const SHORT_MS = 400
/** As much as may be on a tape that has just begun. */
const AT_ONCE_MS = 1_000

const ended = (scene: Scene, ...sounds: readonly SoundId[]): Promise<void> =>
  until(`${sounds.join()} come to their end`, () => sounds.every((sound) => scene.played.includes(sound)))

const SOUNDS: readonly Titled[] = [
  [
    'who waits alone hears the sound, and not when the conversation begins; the other never',
    async (scene) => {
      const agent = await scene.ring(AGENT, 'outbound')
      await scene.pickUp(agent)
      await scene.alsoHear([agent.legId, [music]])
      await scene.play(music, MUSIC, SHORT_MS, true)
      await scene.hear([[agent, [MUSIC]]], 'while nobody is there:')
      const customer = await scene.ring(CUSTOMER, 'outbound-dial')
      await scene.hear([[agent, [MUSIC]]], 'while the customer rings:')
      await scene.pickUp(customer)
      await scene.alsoHear()
      await scene.hear(
        [
          [agent, [CUSTOMER]],
          [customer, [AGENT]],
        ],
        'in conversation:',
      )
      assert.deepEqual(await customer.party.everHeard(), [AGENT])
      assert.deepEqual(scene.played, [], 'what a table ends is not played')
    },
  ],
  [
    'both hear an opening above each other, and its end is told once',
    async (scene) => {
      const { agent, customer } = await scene.conversation()
      await scene.alsoHear([agent.legId, [chime]], [customer.legId, [chime]])
      await scene.play(chime, CHIME, LONG_MS)
      await scene.hear([
        [agent, [CUSTOMER, CHIME]],
        [customer, [AGENT, CHIME]],
      ])
      await ended(scene, chime)
      await scene.hear(
        [
          [agent, [CUSTOMER]],
          [customer, [AGENT]],
        ],
        'afterwards:',
      )
      assert.deepEqual(scene.played, [chime])
    },
  ],
  [
    '[C23] a sound is heard by exactly the ears of its rows, whoever else is heard',
    async (scene) => {
      const { agent, customer, coach } = await trio(scene, 'whisper')
      const rows = [[agent], [customer], [coach], [agent, coach], [agent, customer, coach]]
      for (const [at, ears] of rows.entries()) {
        const sound = `sound-${at}` as SoundId
        await scene.alsoHear(...ears.map(({ legId }) => [legId, [sound]] as const))
        await scene.play(sound, CHIME, SHORT_MS, true)
        const also = (actor: Actor): readonly number[] => (ears.includes(actor) ? [CHIME] : [])
        await scene.hear(
          [
            [agent, [CUSTOMER, COACH, ...also(agent)]],
            [customer, [AGENT, ...also(customer)]],
            [coach, [AGENT, CUSTOMER, ...also(coach)]],
          ],
          `row ${at}:`,
        )
        if (at === 0) assert(!(await customer.party.everHeard()).includes(CHIME), 'not even for a moment')
      }
      await scene.alsoHear()
      await hearMode(scene, { agent, customer, coach }, 'whisper', 'afterwards:')
      assert.deepEqual(scene.played, [])
    },
  ],
  [
    'sounds end in the order of their ends, each once, and each is still heard until then',
    async (scene) => {
      const { agent, customer } = await scene.conversation()
      const [second, third] = ['sound-second' as SoundId, 'sound-third' as SoundId]
      await scene.alsoHear([agent.legId, [chime, second]], [customer.legId, [third, chime]])
      await scene.play(chime, CHIME, 3 * SHORT_MS)
      await scene.play(second, MUSIC, SHORT_MS)
      await scene.play(third, MUSIC, 2 * SHORT_MS)
      await ended(scene, chime, second, third)
      assert.deepEqual(scene.played, [second, third, chime])
      assert((await agent.party.everHeard()).includes(MUSIC) && (await customer.party.everHeard()).includes(CHIME))
    },
  ],
  [
    'a sound that repeats goes on until no row names it',
    async (scene) => {
      const { agent, customer } = await scene.conversation()
      await scene.alsoHear([customer.legId, [music]])
      await scene.play(music, MUSIC, 100, true)
      for (const turn of ['first', 'second', 'third']) await scene.hear([[customer, [AGENT, MUSIC]]], `${turn} look:`)
      await scene.alsoHear()
      await scene.hear([
        [agent, [CUSTOMER]],
        [customer, [AGENT]],
      ])
      await scene.alsoHear([customer.legId, [music]])
      await scene.hear([[customer, [AGENT]]], 'named again it does not come back:')
      assert.deepEqual(scene.played, [])
    },
  ],
  [
    'a sound that no row names does not begin, and orders about unknown calls do nothing',
    async (scene) => {
      const { agent, customer } = await scene.conversation()
      await scene.play(chime, CHIME, SHORT_MS)
      await scene.alsoHear([agent.legId, [chime, music]])
      await scene.play(music, MUSIC, SHORT_MS)
      await ended(scene, music)
      assert.deepEqual(scene.played, [music])
      assert(!(await agent.party.everHeard()).includes(CHIME))
      const unknown = { callId: 'no such call' as CallId }
      await scene.engine.play({ ...unknown, soundId: chime, clip: scene.rig.clip({ hz: CHIME, ms: SHORT_MS }), repeats: false })
      await scene.engine.record({ ...unknown, file: `${scene.rig.folder}/unknown.wav`, tapes: [left] })
      await assert.rejects(scene.rig.tape(`${scene.rig.folder}/unknown.wav`))
      await scene.hear([[customer, [AGENT]]])
    },
  ],
  [
    'on hold a sound goes on unheard: it is back after resuming, and comes to its end meanwhile',
    async (scene) => {
      const { agent, customer } = await scene.conversation()
      await scene.alsoHear([agent.legId, [music, chime]])
      await scene.play(music, MUSIC, SHORT_MS, true)
      await agent.party.holds()
      await scene.hear([[agent, []]], 'held:')
      await scene.play(chime, CHIME, SHORT_MS)
      await ended(scene, chime)
      await agent.party.resumes()
      await scene.hear([[agent, [CUSTOMER, MUSIC]]], 'resumed:')
      assert(!(await agent.party.everHeard()).includes(CHIME))
      assert(!(await customer.party.everHeard()).includes(MUSIC))
    },
  ],
  [
    'a call that ends takes its sounds along, and nothing is told of them',
    async (scene) => {
      const { agent, customer } = await scene.conversation()
      await scene.alsoHear([agent.legId, [chime, music]], [left, [music]])
      await scene.play(music, MUSIC, SHORT_MS, true)
      await scene.play(chime, CHIME, LONG_MS)
      for (const { legId } of [agent, customer]) await scene.engine.hangUp(scene.callId, legId, 'completed')
      const { legId } = await scene.ring(AGENT, 'outbound')
      await scene.engine.hangUp(scene.callId, legId, 'canceled')
      assert.deepEqual(scene.played, [])
    },
  ],
]

/** Rows of two tapes, one for each party; who barges is on both. */
const perParty = (
  { agent, customer, coach }: Readonly<Record<'agent' | 'customer' | 'coach', Actor>>,
  mode: Mode,
): readonly (readonly [TapeId, readonly LegId[]])[] => {
  const also = mode === 'barge' ? [coach.legId] : []
  return [
    [left, [agent.legId, ...also]],
    [right, [customer.legId, ...also]],
  ]
}

const TAPES: readonly Titled[] = [
  ...MODES.map(
    (mode): Titled => [
      `[C23] ${mode}: each tape has its row, and recording changes nothing that an ear hears`,
      async (scene) => {
        const cast = await trio(scene, mode)
        await scene.alsoHear(...perParty(cast, mode))
        const file = await scene.record(left, right)
        const also = mode === 'barge' ? [COACH] : []
        await scene.tapeHears(file, [
          [AGENT, ...also],
          [CUSTOMER, ...also],
        ])
        await hearMode(scene, cast, mode, 'recorded:')
      },
    ],
  ),
  [
    '[C23] a whisper is never on tape, not even for a moment',
    async (scene) => {
      const cast = await trio(scene, 'listen')
      await scene.alsoHear(...perParty(cast, 'listen'))
      const file = await scene.record(left, right)
      for (const mode of ['whisper', 'listen', 'whisper'] as const) {
        await scene.switchTo([cast.coach, mode])
        await hearMode(scene, cast, mode)
        await scene.tapeHears(file, [[AGENT], [CUSTOMER]], mode)
      }
      assert.deepEqual(await scene.rig.everTaped(file), [[AGENT], [CUSTOMER]])
    },
  ],
  [
    'who barges is on tape for as long as the table says so',
    async (scene) => {
      const cast = await trio(scene, 'whisper')
      await scene.alsoHear(...perParty(cast, 'whisper'))
      const file = await scene.record(left, right)
      await scene.tapeHears(file, [[AGENT], [CUSTOMER]], 'before:')
      scene.setMode(cast.coach, 'barge')
      await scene.alsoHear(...perParty(cast, 'barge'))
      await scene.tapeHears(file, [
        [AGENT, COACH],
        [CUSTOMER, COACH],
      ])
      scene.setMode(cast.coach, 'whisper')
      await scene.alsoHear(...perParty(cast, 'whisper'))
      await scene.tapeHears(file, [[AGENT], [CUSTOMER]], 'afterwards:')
    },
  ],
  [
    'one tape has both parties, and a sound when its row says so',
    async (scene) => {
      const { agent, customer } = await scene.conversation()
      const both = [agent.legId, customer.legId]
      await scene.alsoHear([left, both])
      const file = await scene.record(left)
      await scene.tapeHears(file, [[AGENT, CUSTOMER]])
      await scene.alsoHear([left, [...both, music]], [agent.legId, [chime]])
      await scene.play(music, MUSIC, SHORT_MS, true)
      await scene.play(chime, CHIME, LONG_MS)
      await scene.tapeHears(file, [[AGENT, CUSTOMER, MUSIC]], 'with music that nobody else hears:')
      await scene.hear([
        [agent, [CUSTOMER, CHIME]],
        [customer, [AGENT]],
      ])
      assert(!(await scene.rig.everTaped(file))[0]?.includes(CHIME))
    },
  ],
  [
    'a party on hold, or who sends nothing, is silence on tape, and so is a tape without a row',
    async (scene) => {
      const { agent, customer } = await scene.conversation()
      const file = await scene.record(left, right)
      await scene.tapeHears(file, [[], []], 'without rows:')
      await scene.alsoHear([left, [agent.legId]], [right, [customer.legId]])
      await scene.tapeHears(file, [[AGENT], [CUSTOMER]])
      await agent.party.holds()
      await customer.party.goesSilent(true)
      await scene.tapeHears(file, [[], []], 'the agent holds, the customer sends nothing:')
      await agent.party.resumes()
      await customer.party.goesSilent(false)
      await scene.tapeHears(file, [[AGENT], [CUSTOMER]], 'resumed:')
    },
  ],
  [
    'a recording begins with its order, goes on when a party leaves, and can be read at any moment',
    async (scene) => {
      const agent = await scene.ring(AGENT, 'outbound')
      await scene.pickUp(agent)
      await scene.alsoHear([left, [agent.legId]])
      await scene.hear([[agent, []]])
      const file = await scene.record(left)
      const begun = (await scene.rig.tape(file)).ms
      assert(begun < AT_ONCE_MS, `${begun} ms are recorded of a time before the order`)
      await scene.tapeHears(file, [[AGENT]])
      const customer = await scene.ring(CUSTOMER, 'outbound-dial')
      await scene.pickUp(customer)
      await scene.alsoHear([left, [agent.legId, customer.legId]])
      await scene.tapeHears(file, [[AGENT, CUSTOMER]])
      const { ms } = await scene.rig.tape(file)
      await agent.party.hangsUp()
      await scene.ended(agent)
      await scene.applyTable()
      await scene.tapeHears(file, [[CUSTOMER]])
      assert((await scene.rig.tape(file)).ms > ms)
    },
  ],
  [
    'a call is recorded once, on one tape or two different ones; anything else is an error and changes nothing',
    async (scene) => {
      const { agent } = await scene.conversation()
      for (const tapes of [[], [left, left], [left, right, 'tape-third' as TapeId]]) await assert.rejects(scene.record(...tapes))
      await scene.alsoHear([left, [agent.legId]])
      const file = await scene.record(left)
      await assert.rejects(scene.record(right))
      await scene.tapeHears(file, [[AGENT]])
    },
  ],
]

export const SOUND_TESTS: readonly Titled[] = [...SOUNDS, ...TAPES]
