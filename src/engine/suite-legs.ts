/** The second half of the engine suite: what parties do (hold, fall silent, hang up), how legs end and come in, and stray orders. */
import assert from 'node:assert/strict'
import type { CallId, LegId } from '../domain/ids.ts'
import { hearMode, type Titled, trio } from './cast.ts'
import { type Scene, TONES, until } from './scene.ts'

const { agent: AGENT, customer: CUSTOMER, coach: COACH, second: SECOND } = TONES

const PARTIES: readonly Titled[] = [
  [
    'a party on hold is deaf and dumb, the others go on, and resuming restores every ear',
    async (scene) => {
      const cast = await trio(scene, 'barge')
      const { agent, customer, coach } = cast
      await hearMode(scene, cast, 'barge')
      await agent.party.holds()
      await scene.hear(
        [
          [agent, []],
          [customer, [COACH]],
          [coach, [CUSTOMER]],
        ],
        'the agent holds:',
      )
      await agent.party.resumes()
      await hearMode(scene, cast, 'barge', 'resumed:')
      await customer.party.holds()
      await scene.hear(
        [
          [agent, [COACH]],
          [customer, []],
          [coach, [AGENT]],
        ],
        'the customer holds:',
      )
      await scene.switchTo([coach, 'listen'])
      await scene.hear(
        [
          [agent, []],
          [customer, []],
          [coach, [AGENT]],
        ],
        'listen while the customer holds:',
      )
      await customer.party.resumes()
      await hearMode(scene, cast, 'listen', 'resumed:')
    },
  ],
  [
    'a supervisor on hold hears nothing and is not heard, and is back after resuming',
    async (scene) => {
      const cast = await trio(scene, 'whisper')
      await hearMode(scene, cast, 'whisper')
      await cast.coach.party.holds()
      await scene.hear(
        [
          [cast.agent, [CUSTOMER]],
          [cast.customer, [AGENT]],
          [cast.coach, []],
        ],
        'held:',
      )
      await cast.coach.party.resumes()
      await hearMode(scene, cast, 'whisper', 'resumed:')
    },
  ],
  [
    'when the customer stops sending packets, the coach is still heard',
    async (scene) => {
      const { agent, customer, coach } = await trio(scene, 'whisper')
      await customer.party.goesSilent(true)
      await scene.hear(
        [
          [agent, [COACH]],
          [customer, [AGENT]],
          [coach, [AGENT]],
        ],
        'silent customer:',
      )
      await customer.party.goesSilent(false)
      await hearMode(scene, { agent, customer, coach }, 'whisper', 'speaks again:')
    },
  ],
  [
    'when the agent stops sending packets, a barging supervisor is still heard by the customer',
    async (scene) => {
      const { agent, customer, coach } = await trio(scene, 'barge')
      await agent.party.goesSilent(true)
      await scene.hear(
        [
          [agent, [CUSTOMER, COACH]],
          [customer, [COACH]],
          [coach, [CUSTOMER]],
        ],
        'silent agent:',
      )
      await customer.party.goesSilent(true)
      await scene.hear(
        [
          [agent, [COACH]],
          [customer, [COACH]],
          [coach, []],
        ],
        'both silent:',
      )
      await agent.party.goesSilent(false)
      await customer.party.goesSilent(false)
      await hearMode(scene, { agent, customer, coach }, 'barge', 'speak again:')
    },
  ],
  [
    'a supervisor who sends nothing hears the call all the same',
    async (scene) => {
      const { agent, customer, coach } = await trio(scene, 'barge')
      await coach.party.goesSilent(true)
      await scene.hear([
        [agent, [CUSTOMER]],
        [customer, [AGENT]],
        [coach, [AGENT, CUSTOMER]],
      ])
    },
  ],
]

const ENDINGS: readonly Titled[] = [
  [
    '[C21] hanging up a supervisor ends that leg alone, at once, and nobody else notices',
    async (scene) => {
      const { agent, customer, coach } = await trio(scene, 'whisper')
      await scene.engine.hangUp(scene.callId, coach.legId, 'completed')
      assert.deepEqual(scene.eventsOf(coach.legId).at(-1), { kind: 'ended', callId: scene.callId, legId: coach.legId, cause: 'completed' })
      await until('the phone shows the end', () => coach.party.display() === 'completed')
      await scene.hear([
        [agent, [CUSTOMER]],
        [customer, [AGENT]],
      ])
      await scene.ended(coach)
      await scene.applyTable()
      await scene.hear([
        [agent, [CUSTOMER]],
        [customer, [AGENT]],
      ])
    },
  ],
  ...(['agent', 'customer', 'coach'] as const).map(
    (who): Titled => [
      `the ${who} hangs up: their leg has completed, the others live on`,
      async (scene) => {
        const cast = await trio(scene, 'barge')
        await cast[who].party.hangsUp()
        assert.equal(await scene.ended(cast[who]), 'completed')
        await scene.applyTable()
        const tones = { agent: AGENT, customer: CUSTOMER, coach: COACH }
        const left = (['agent', 'customer', 'coach'] as const).filter((name) => name !== who)
        await scene.hear(left.map((name) => [cast[name], left.filter((other) => other !== name).map((other) => tones[other])]))
      },
    ],
  ),
  [
    'hanging up a leg that rings stops the ringing and ends with the cause that was ordered',
    async (scene) => {
      for (const cause of ['canceled', 'no-answer'] as const) {
        const actor = await scene.ring(AGENT, 'outbound')
        await scene.engine.hangUp(scene.callId, actor.legId, cause)
        assert.equal(await scene.ended(actor), cause)
        await until('the phone stops ringing', () => actor.party.display() === 'canceled')
      }
    },
  ],
  [
    'a phone that refuses is busy',
    async (scene) => {
      const actor = await scene.ring(AGENT, 'outbound')
      await actor.party.refuses()
      assert.equal(await scene.ended(actor), 'busy')
    },
  ],
  [
    'an address where nobody is fails',
    async (scene) => {
      const { callId } = scene
      const legId = await scene.dial(scene.rig.nowhere)
      await until('the leg ends', () => scene.eventsOf(legId).length > 0)
      assert.deepEqual(scene.eventsOf(legId), [{ kind: 'ended', callId, legId, cause: 'failed' }])
    },
  ],
  [
    'a leg that both ends hang up ends once',
    async (scene) => {
      const { agent } = await scene.conversation()
      await Promise.all([agent.party.hangsUp(), scene.engine.hangUp(scene.callId, agent.legId, 'completed')])
      await scene.engine.hangUp(scene.callId, agent.legId, 'failed')
      await until('the phone shows the end', () => agent.party.display() === 'completed')
      assert.equal(scene.eventsOf(agent.legId).filter((event) => event.kind === 'ended').length, 1)
    },
  ],
  [
    'stopping the engine ends every leg that is left, ringing ones too',
    async (scene) => {
      const { agent, customer, coach } = await trio(scene, 'barge')
      const ringing = await scene.ring(SECOND, 'monitor', { mode: 'listen', target: agent })
      await scene.engine.stop()
      for (const { legId } of [agent, customer, coach, ringing]) assert.equal(scene.eventsOf(legId).at(-1)?.kind, 'ended')
    },
  ],
]

/** Somebody calls in; resolves with the event that says so. */
async function callsIn(scene: Scene) {
  const party = await scene.rig.party({ hz: CUSTOMER })
  await party.callsIn()
  await until('somebody calls in', () => scene.events.some((event) => event.kind === 'incoming'))
  const event = scene.events.find((candidate) => candidate.kind === 'incoming')
  assert(event)
  assert.equal(event.accountId, scene.rig.accountId)
  return { party, callId: event.callId, legId: event.legId }
}

const INCOMING: readonly Titled[] = [
  [
    'a caller is told that it rings, is answered, and talks with the party that was dialled',
    async (scene) => {
      const { party, callId, legId } = await callsIn(scene)
      await scene.engine.ring(callId, legId)
      await until('the caller hears that it rings', () => party.display() === 'calling')
      await scene.engine.answer(callId, legId)
      await until('the caller is connected', () => party.display() === 'talking')
      await until('answered', () => scene.eventsOf(legId).some((event) => event.kind === 'answered'))
      const other = await scene.rig.party({ hz: AGENT })
      const otherId = await scene.dial(other.address, callId)
      await until('the other phone rings', () => other.display() === 'ringing')
      await other.answers()
      await until('answered', () => scene.eventsOf(otherId).some((event) => event.kind === 'answered'))
      await scene.engine.setHearing(
        callId,
        new Map([
          [legId, [otherId]],
          [otherId, [legId]],
        ]),
      )
      await scene.hear([
        [{ party, legId }, [AGENT]],
        [{ party: other, legId: otherId }, [CUSTOMER]],
      ])
      await party.hangsUp()
      await until('the leg ends', () => scene.eventsOf(legId).at(-1)?.kind === 'ended')
      await scene.engine.hangUp(callId, otherId, 'completed')
    },
  ],
  ...(['busy', 'no-answer', 'failed'] as const).map(
    (cause): Titled => [
      `a caller who is refused is told why: ${cause}`,
      async (scene) => {
        const { party, callId, legId } = await callsIn(scene)
        await scene.engine.hangUp(callId, legId, cause)
        await until('the caller is told', () => party.display() === cause)
        assert.deepEqual(scene.eventsOf(legId).at(-1), { kind: 'ended', callId, legId, cause })
      },
    ],
  ),
  ...(['forbidden', 'nobody-there'] as const).map(
    (cause): Titled => [
      `a caller who is let go as ${cause} ends as failed`,
      async (scene) => {
        const { callId, legId } = await callsIn(scene)
        await scene.engine.hangUp(callId, legId, cause)
        await until('the leg ends', () => scene.eventsOf(legId).at(-1)?.kind === 'ended')
        assert.deepEqual(scene.eventsOf(legId).at(-1), { kind: 'ended', callId, legId, cause: 'failed' })
      },
    ],
  ),
  [
    'a caller who gives up ends as canceled',
    async (scene) => {
      const { party, callId, legId } = await callsIn(scene)
      await scene.engine.ring(callId, legId)
      await party.hangsUp()
      await until('the leg ends', () => scene.eventsOf(legId).at(-1)?.kind === 'ended')
      assert.deepEqual(scene.eventsOf(legId).at(-1), { kind: 'ended', callId, legId, cause: 'canceled' })
    },
  ],
]

const ORDERS: readonly Titled[] = [
  [
    'orders about unknown calls and legs do nothing and do not throw',
    async (scene) => {
      const cast = await trio(scene, 'listen')
      const before = scene.events.length
      const [noCall, noLeg] = ['unknown-call' as CallId, 'unknown-leg' as LegId]
      for (const [callId, legId] of [
        [noCall, noLeg],
        [scene.callId, noLeg],
        [noCall, cast.coach.legId],
      ] as const) {
        await scene.engine.ring(callId, legId)
        await scene.engine.answer(callId, legId)
        await scene.engine.hangUp(callId, legId, 'failed')
      }
      await scene.engine.setHearing(noCall, new Map([[cast.customer.legId, [cast.coach.legId]]]))
      await hearMode(scene, cast, 'listen')
      assert.equal(scene.events.length, before)
    },
  ],
  [
    'orders about a leg that has ended do nothing and do not throw',
    async (scene) => {
      const { agent, customer, coach } = await trio(scene, 'listen')
      for (const actor of [coach, customer, agent]) await scene.engine.hangUp(scene.callId, actor.legId, 'completed')
      const before = scene.events.length
      await scene.engine.ring(scene.callId, agent.legId)
      await scene.engine.answer(scene.callId, agent.legId)
      await scene.engine.hangUp(scene.callId, agent.legId, 'completed')
      await scene.applyTable()
      assert.equal(scene.events.length, before)
    },
  ],
  [
    'a farewell to legs that live, or by texts that are no memories, does nothing',
    async (scene) => {
      const cast = await trio(scene, 'listen')
      const given = scene.events.map((event) => (event.kind === 'answered' ? event.memory : null)).filter((memory) => memory !== null)
      const before = scene.events.length
      await scene.engine.farewell([])
      await scene.engine.farewell([...given, ...given, '', '{}', 'null', '\u0000', '{"version":1}', 'x'.repeat(100_000)])
      await hearMode(scene, cast, 'listen')
      assert.equal(scene.events.length, before)
      for (const { party } of [cast.agent, cast.customer, cast.coach]) assert.equal(party.display(), 'talking')
    },
  ],
  [
    'a table may name legs that do not exist',
    async (scene) => {
      const cast = await trio(scene, 'whisper')
      const ghost = 'ghost' as LegId
      const { agent, customer, coach } = cast
      await scene.engine.setHearing(
        scene.callId,
        new Map([
          [agent.legId, [customer.legId, coach.legId, ghost]],
          [customer.legId, [ghost, agent.legId]],
          [coach.legId, [agent.legId, customer.legId]],
          [ghost, [customer.legId]],
        ]),
      )
      await hearMode(scene, cast, 'whisper')
    },
  ],
]

/** In the order of a call's life. */
export const LEG_TESTS: readonly Titled[] = [...PARTIES, ...ENDINGS, ...INCOMING, ...ORDERS]
