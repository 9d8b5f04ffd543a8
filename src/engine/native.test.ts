/** The native engine passes the suite of all engines (its sounds and tapes in `native-sounds.test.ts`), and more: what is its own. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import type { TapeId } from '../domain/ids.ts'
import { SILENCE } from '../media/g711.ts'
import { tonePayload } from '../media/tone.ts'
import type { Captured } from '../phone/ear.ts'
import { ALIKE, capturedBy, makeRig } from './native-rig.test.ts'
import { type Actor, playScene, type Rig, TONES, until } from './scene.ts'
import { callTests, engineSuite } from './suite.ts'

engineSuite('the native engine', async () => makeRig(ALIKE), [], callTests())

describe('the native engine when the thread of its sound dies', () => {
  /** The real worker, which dies when it is told to. */
  const dying = (channel: string): URL => {
    const worker = new URL('./native/media/media-worker.ts', import.meta.url).href
    const source = `import ${JSON.stringify(worker)}
      new BroadcastChannel(${JSON.stringify(channel)}).onmessage = () => process.exit(1)`
    return new URL(`data:text/javascript,${encodeURIComponent(source)}`)
  }

  it('every leg of every call ends as failed, the phones are told, and the next call is carried', async () => {
    const channel = randomUUID()
    const death = new BroadcastChannel(channel)
    let rig: Rig | null = null
    const sameRig = async (): Promise<Rig> => (rig ??= makeRig(ALIKE, dying(channel)))
    await playScene(sameRig, async (scene) => {
      const { agent, customer } = await scene.conversation()
      const coach = await scene.join('whisper', agent)
      const ringing = await scene.ring(TONES.late, 'monitor', { mode: 'listen', target: agent })
      await scene.hear([[agent, [customer.party.hz, coach.party.hz]]])
      death.postMessage('now')
      for (const actor of [agent, customer, coach, ringing]) assert.equal(await scene.ended(actor), 'failed')
      for (const { party } of [agent, customer, coach]) await until('the phone is told', () => party.display() === 'completed')
      await until('what rang stops', () => ringing.party.display() !== 'ringing')
      const next = await scene.ring(TONES.second, 'outbound')
      await scene.pickUp(next)
    })
    death.close()
  })
})

describe('the native engine does not disturb the conversation', () => {
  /** Each frame of this tone differs from its neighbours for seconds on end, so that a lost or repeated one shows. */
  const RARE_HZ = 437.3
  const FRAME = 160

  /** Asserts that these packets are the speaker's own frames, every one, once, in order, and nothing else but silence before. */
  function assertUntouched(received: readonly Captured[], what: string): void {
    const packets = received.slice(received.findIndex(({ payload }) => payload.some((code) => code !== SILENCE.pcmu)))
    const [first] = packets
    assert(first && packets.length > 60, `${what}: ${packets.length} packets are too few to judge`)
    const frame = (index: number): Uint8Array => tonePayload('pcmu', RARE_HZ, FRAME, index * FRAME)
    const start = Array.from({ length: 500 }, (_, index) => index).find((index) => Buffer.compare(frame(index), first.payload) === 0)
    assert(start !== undefined, `${what}: the first packet is none of the speaker's`)
    for (const [index, packet] of packets.entries()) {
      assert.deepEqual(packet.payload, frame(start + index), `${what}: packet ${index}`)
      assert.equal(packet.sequence, (first.sequence + index) & 0xffff, `${what}: sequence of packet ${index}`)
      assert.equal(packet.timestamp, (first.timestamp + index * FRAME) >>> 0, `${what}: time of packet ${index}`)
      assert.equal(packet.ssrc, first.ssrc, `${what}: source of packet ${index}`)
    }
  }

  it("[C25] a recording, and a supervisor who joins, listens and leaves, change no packet of the conversation; one who whispers none of the customer's", async () => {
    await playScene(
      async () => makeRig([{ law: 'pcmu', transport: 'udp', ptimeMs: 20, capturePackets: 3_000 }]),
      async (scene) => {
        const agent = await scene.ring(RARE_HZ, 'outbound')
        await scene.pickUp(agent)
        const customer = await scene.ring(RARE_HZ, 'outbound-dial')
        await scene.pickUp(customer)
        await scene.applyTable()
        const sofar = (actor: Actor): number => capturedBy(actor).length
        const grown = async (by: number): Promise<void> => {
          const goal = sofar(customer) + by
          await until('packets come', () => sofar(customer) >= goal && sofar(agent) >= goal)
        }
        await grown(30)
        await scene.alsoHear(['tape-left' as TapeId, [agent.legId]], ['tape-right' as TapeId, [customer.legId, agent.legId]])
        await scene.record('tape-left' as TapeId, 'tape-right' as TapeId)
        const coach = await scene.join('listen', agent, TONES.coach)
        await grown(50)
        const ofListening = capturedBy(agent)
        await scene.switchTo([coach, 'whisper'])
        await grown(50)
        await scene.switchTo([coach, 'listen'])
        await grown(10)
        await scene.engine.hangUp(scene.callId, coach.legId, 'completed')
        await scene.ended(coach)
        await scene.applyTable()
        await grown(30)
        assertUntouched(ofListening, 'the agent, while the supervisor listens')
        assertUntouched(capturedBy(customer), 'the customer, all the time')
        const sequences = capturedBy(agent).map(({ sequence }) => sequence)
        assert.deepEqual(
          sequences,
          sequences.map((_, index) => ((sequences[0] ?? 0) + index) & 0xffff),
          'the agent misses nothing while whispered to',
        )
      },
    )
  })
})
