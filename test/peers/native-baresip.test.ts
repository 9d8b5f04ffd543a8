/** baresip, a phone that is not ours, as agent, customer and supervisor of the native engine; judged by what it recorded. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { newLeg } from '../../src/domain/commands.ts'
import type { Address } from '../../src/domain/address.ts'
import { hearing } from '../../src/domain/hearing.ts'
import type { Ear, Mouth } from '../../src/domain/hearing.ts'
import type { CallId, LegId, SoundId, TapeId } from '../../src/domain/ids.ts'
import type { Leg, Mode } from '../../src/domain/leg.ts'
import { channelOf, layoutOf } from '../../src/media/clips/wav.ts'
import { powerDb, sine } from '../../src/media/tone.ts'
import { type Baresip, type BaresipOptions, startBaresip } from './baresip.ts'
import { freshId, HOST, NUMBER, type TestEngine, withEngine } from './native.ts'
import { eventually } from '../eventually.ts'
import { describeWith } from './peers.ts'

const AGENT_HZ = 440
const CUSTOMER_HZ = 700
const COACH_HZ = 1010
const CLIP_HZ = 2130
const TONES = [AGENT_HZ, CUSTOMER_HZ, COACH_HZ, CLIP_HZ]
const AGENTS = [
  { name: 'priya', password: 'pw-priya' },
  { name: 'boss', password: 'pw-boss' },
]

/** The two parties of a call and who supervises it, answered, with a mode. */
function legsOf(agent: LegId, customer: LegId, coach: LegId | null, mode: Mode): readonly Leg[] {
  const leg = (id: LegId, origin: Leg['origin']): Leg => ({
    ...newLeg({ id, origin, address: 'client:x' as Address, now: 0, ringMs: 0, limitMs: 0 }),
    state: { status: 'answered', answeredAt: 0, memory: null },
  })
  const parties = [leg(agent, 'outbound'), leg(customer, 'outbound-dial')]
  return coach === null ? parties : [...parties, { ...leg(coach, 'monitor'), monitoring: { mode, targetLegId: agent, since: null, by: null, reasonCode: null } }]
}

async function withBaresips(options: readonly BaresipOptions[], play: (...phones: readonly Baresip[]) => Promise<void>): Promise<void> {
  const phones: Baresip[] = []
  try {
    for (const each of options) phones.push(await startBaresip(each))
    await play(...phones)
  } catch (error) {
    throw new Error(`${String(error)}\n${phones.map((phone) => phone.output().slice(-1_500)).join('\n--\n')}`, { cause: error })
  } finally {
    await Promise.all(phones.map((phone) => phone.stop()))
  }
}

const registered = (test: TestEngine, count: number) =>
  eventually(`${count} phones are registered`, () => test.engine.registrations().length === count)

const agentAt = (port: number, changes: Partial<BaresipOptions> = {}): BaresipOptions => ({
  name: 'priya',
  toneHz: AGENT_HZ,
  laws: ['pcmu'],
  answers: 'auto',
  registrar: { host: HOST, port, password: 'pw-priya' },
  ...changes,
})
const customer: BaresipOptions = { name: 'customer', toneHz: CUSTOMER_HZ, laws: ['pcma'], answers: 'auto', registrar: null }
const coachAt = (port: number): BaresipOptions => ({
  name: 'boss',
  toneHz: COACH_HZ,
  laws: ['pcma', 'pcmu'],
  answers: 'auto',
  registrar: { host: HOST, port, password: 'pw-boss', transport: 'tcp' },
})

/** Rings and waits until it is picked up. */
async function reach(test: TestEngine, callId: CallId, to: string, legKind: 'conversation' | 'monitor' = 'conversation'): Promise<LegId> {
  const legId = await test.dial(callId, to, legKind)
  await test.happens(legId, 'answered')
  return legId
}

/** The tones that most tenths of a second of each channel have; a crystal and a busy machine move a tone's phase, so no longer pieces. */
async function tonesOn(file: string): Promise<readonly (readonly number[])[]> {
  const bytes = await readFile(file)
  const layout = layoutOf(bytes)
  assert(!('refused' in layout))
  const channels = Array.from({ length: layout.channels }, (_, at) => Int16Array.from(channelOf(bytes, layout, at), (sample) => sample * 32768))
  return channels.map((samples) => {
    const pieces = Array.from({ length: Math.floor(samples.length / 800) }, (_, at) => samples.subarray(at * 800, at * 800 + 800))
    return TONES.filter((hz) => pieces.filter((piece) => powerDb(piece, hz) > -24).length > pieces.length / 2)
  })
}

describeWith('baresip', 'baresip and the native engine', () => {
  it('who waits hears a clip and no longer than they shall, and each party is on a channel of the recording', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'earshot-peers-'))
    await withEngine({ agents: AGENTS }, async (test) => {
      await withBaresips([agentAt(test.port), customer], async (agent, client) => {
        assert(agent && client)
        await registered(test, 1)
        const callId = freshId() as CallId
        const [wait, opening] = ['wait' as SoundId, 'opening' as SoundId]
        const [left, right] = ['left' as TapeId, 'right' as TapeId]
        const clip = { samples: sine(CLIP_HZ, 8_000) }
        const agentLeg = await reach(test, callId, 'client:priya')
        await test.engine.setHearing(callId, new Map<Ear, readonly Mouth[]>([[agentLeg, [wait]]]))
        await test.engine.play({ callId, soundId: wait, clip, repeats: true })
        await agent.hears([CLIP_HZ], TONES)
        const clientLeg = await reach(test, callId, client.uri)
        const table = (sounds: readonly SoundId[]) =>
          new Map<Ear, readonly Mouth[]>([
            [agentLeg, [clientLeg, ...sounds]],
            [clientLeg, [agentLeg, ...sounds]],
            [left, [agentLeg]],
            [right, [clientLeg]],
          ])
        await test.engine.setHearing(callId, table([]))
        await Promise.all([agent.hears([CUSTOMER_HZ], TONES), client.hears([AGENT_HZ], TONES)])
        await test.engine.setHearing(callId, table([opening]))
        const file = join(folder, 'call.wav')
        await test.engine.record({ callId, file, tapes: [left, right] })
        await test.engine.play({ callId, soundId: opening, clip: { samples: sine(CLIP_HZ, 24_000) }, repeats: false })
        await Promise.all([agent.hears([CUSTOMER_HZ, CLIP_HZ], TONES), client.hears([AGENT_HZ, CLIP_HZ], TONES)])
        await eventually('the opening ends', () => test.played.length > 0)
        await Promise.all([agent.hears([CUSTOMER_HZ], TONES), client.hears([AGENT_HZ], TONES)])
        for (const legId of [agentLeg, clientLeg]) await test.engine.hangUp(callId, legId, 'completed')
        await Promise.all([agent.happens('CALL_CLOSED'), client.happens('CALL_CLOSED')])
        await eventually('the recording is whole', async () => {
          const bytes = await readFile(file)
          return bytes.length > 44 && bytes.readUInt32LE(40) === bytes.length - 44
        })
        assert.deepEqual(await tonesOn(file), [[AGENT_HZ], [CUSTOMER_HZ]])
        assert.deepEqual(test.played, [opening])
        assert.deepEqual(test.complaints, [])
      })
    })
    await rm(folder, { recursive: true })
  })

  it('[C23] agent, customer and supervisor hear in every mode what they shall, and the customer never the whisper', async () => {
    await withEngine({ agents: AGENTS }, async (test) => {
      await withBaresips([agentAt(test.port), customer, coachAt(test.port)], async (agent, client, coach) => {
        assert(agent && client && coach)
        await registered(test, 2)
        const callId = freshId() as CallId
        const agentLeg = await reach(test, callId, 'client:priya')
        const clientLeg = await reach(test, callId, client.uri)
        const apply = (coachLeg: LegId | null, mode: Mode) => test.engine.setHearing(callId, hearing(legsOf(agentLeg, clientLeg, coachLeg, mode)))
        await apply(null, 'listen')
        await Promise.all([agent.hears([CUSTOMER_HZ], TONES), client.hears([AGENT_HZ], TONES)])
        const coachLeg = await reach(test, callId, 'client:boss', 'monitor')
        const ears = {
          listen: [[CUSTOMER_HZ], [AGENT_HZ]],
          whisper: [[CUSTOMER_HZ, COACH_HZ], [AGENT_HZ]],
          barge: [
            [CUSTOMER_HZ, COACH_HZ],
            [AGENT_HZ, COACH_HZ],
          ],
        } as const
        for (const mode of ['listen', 'whisper', 'listen', 'barge', 'whisper'] as const) {
          if (mode === 'barge') assert.deepEqual(await client.everHeard(TONES), [AGENT_HZ], 'until now the customer heard the agent alone')
          await apply(coachLeg, mode)
          const [inAgent, inClient] = ears[mode]
          await Promise.all([agent.hears(inAgent, TONES), client.hears(inClient, TONES), coach.hears([AGENT_HZ, CUSTOMER_HZ], TONES)])
        }
        await client.command('hangup')
        assert.equal((await test.happens(clientLeg, 'ended')).kind, 'ended')
        await test.engine.hangUp(callId, coachLeg, 'completed')
        await coach.happens('CALL_CLOSED')
        await test.engine.hangUp(callId, agentLeg, 'completed')
        await agent.happens('CALL_CLOSED')
        const ends = test.events.filter((event) => event.kind === 'ended')
        assert.deepEqual(
          ends.map(({ legId, cause }) => [legId, cause]),
          [
            [clientLeg, 'completed'],
            [coachLeg, 'completed'],
            [agentLeg, 'completed'],
          ],
        )
        assert.deepEqual(test.complaints, [])
      })
    })
  })

  it('an agent calls a number, is heard, holds and resumes; keys pass from one to the other', async () => {
    await withEngine({ agents: AGENTS }, async (test) => {
      await withBaresips([agentAt(test.port, { answers: 'manual' }), customer], async (agent, client) => {
        assert(agent && client)
        await registered(test, 1)
        await agent.command('dial', `sip:${NUMBER}@${HOST}:${test.port}`)
        const incoming = await eventually('a call comes in', () => test.events.find((event) => event.kind === 'incoming') ?? null)
        assert.deepEqual(
          { ...incoming, callId: '', legId: '' },
          { kind: 'incoming', callId: '', legId: '', accountId: 'earshot', from: 'client:priya', dialled: NUMBER, source: 'agent' },
        )
        const { callId, legId: agentLeg } = incoming
        await test.engine.ring(callId, agentLeg)
        await agent.happens('CALL_RINGING')
        const clientLeg = await reach(test, callId, client.uri)
        await test.engine.answer(callId, agentLeg)
        await test.happens(agentLeg, 'answered')
        await test.engine.setHearing(callId, hearing(legsOf(agentLeg, clientLeg, null, 'listen')))
        await Promise.all([agent.hears([CUSTOMER_HZ], TONES), client.hears([AGENT_HZ], TONES)])
        await client.press('7')
        assert.equal((await agent.happens('CALL_DTMF_START')).param, '7')
        await agent.command('hold')
        await client.hears([], TONES)
        await agent.command('resume')
        await client.hears([AGENT_HZ], TONES)
        // baresip records no more once it has held (its player begins anew without the recorder), but keys still tell that packets come.
        agent.forgetEvents()
        await client.press('8')
        assert.equal((await agent.happens('CALL_DTMF_START')).param, '8')
        await agent.command('hangup')
        await test.happens(agentLeg, 'ended')
        await test.engine.hangUp(callId, clientLeg, 'completed')
        await client.happens('CALL_CLOSED')
      })
    })
  })

  it('a phone that refuses is busy; one that is hung up while it rings stops ringing', async () => {
    await withEngine({ agents: AGENTS }, async (test) => {
      await withBaresips([agentAt(test.port, { answers: 'manual' })], async (agent) => {
        assert(agent)
        await registered(test, 1)
        const callId = freshId() as CallId
        const refused = await test.dial(callId, 'client:priya')
        await test.happens(refused, 'ringing')
        await agent.happens('CALL_INCOMING')
        await agent.command('hangup')
        assert.deepEqual(await test.happens(refused, 'ended'), { kind: 'ended', callId, legId: refused, cause: 'busy' })
        agent.forgetEvents()
        const given = await test.dial(callId, 'client:priya')
        await agent.happens('CALL_INCOMING')
        await test.engine.hangUp(callId, given, 'no-answer')
        await agent.happens('CALL_CLOSED')
        assert.deepEqual(await test.happens(given, 'ended'), { kind: 'ended', callId, legId: given, cause: 'no-answer' })
      })
    })
  })

  it('a wrong password does not register', async () => {
    await withEngine({ agents: AGENTS }, async (test) => {
      await withBaresips([agentAt(test.port, { registrar: { host: HOST, port: test.port, password: 'guess' } })], async (agent) => {
        assert(agent)
        // It may have been refused before we could listen for its events; what it prints is kept.
        await eventually('it is refused', () => agent.output().includes('403 Forbidden'))
        assert.deepEqual(test.engine.registrations(), [])
      })
    })
  })
})
