/** The native engine passes the suite of all engines, with phones of ours registered at it over loopback. */
import assert from 'node:assert/strict'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import type { Address } from '../domain/address.ts'
import type { AccountId } from '../domain/ids.ts'
import { SILENCE } from '../media/g711.ts'
import { tonePayload } from '../media/tone.ts'
import { type Captured, verdict } from '../phone/ear.ts'
import { makePhone, type Phone, type PhoneOptions, type Session } from '../phone/phone.ts'
import { makeMediaPlane } from './native/media/media-thread.ts'
import { makeNativeEngine, type NativeEngine } from './native/native-engine.ts'
import { type Actor, ALL_TONES, type Display, type Party, playScene, type Rig, TONES, until } from './scene.ts'
import { engineSuite } from './suite.ts'

const HOST = '127.0.0.1'
const ACCOUNT = 'earshot' as AccountId
const CALLER_ID = '+918047112233' as Address
const PASSWORD = 'open sesame'
const PHONES = 10

/** How the phones of one rig speak; the n-th phone takes the n-th way, round and round. */
type Way = Pick<PhoneOptions, 'law' | 'transport' | 'ptimeMs' | 'capturePackets'>
type Ways = readonly Way[]

const ALIKE: Ways = [{ law: 'pcmu', transport: 'udp', ptimeMs: 20 }]
const MIXED: Ways = [
  { law: 'pcmu', transport: 'tcp', ptimeMs: 20 },
  { law: 'pcma', transport: 'udp', ptimeMs: 30 },
  { law: 'pcma', transport: 'tcp', ptimeMs: 10 },
]

const silent = { info() {}, warn() {}, error() {}, debug() {} }

function makeRig(ways: Ways, workerFile?: URL): Rig {
  const names = Array.from({ length: PHONES }, (_, index) => `phone${index}`)
  const engine = makeNativeEngine({
    sip: { host: HOST, port: 0 },
    rtp: { host: HOST },
    accounts: [{ id: ACCOUNT, agents: names.map((name) => ({ name, password: PASSWORD })), numbers: [] }],
    trunks: [],
    media: makeMediaPlane({ host: HOST, portMin: 20_000, portMax: 29_999, ...(workerFile && { workerFile }) }),
    parseNumber: (text) => (/^\+\d{7,15}$/.test(text) ? (text as Address) : null),
    newId: () => randomUUID().replaceAll('-', ''),
    token: () => BigInt(`0x${randomBytes(12).toString('hex')}`).toString(36),
    hash: (algorithm, text) => createHash(algorithm).update(text).digest('hex'),
    now: Date.now,
    log: silent,
  })
  const phones: Phone[] = []
  return {
    engine,
    accountId: ACCOUNT,
    callerId: CALLER_ID,
    nowhere: `client:${names.at(-1)}` as Address,
    // Half of the window that an ear looks at must be new, and the machine may be busy.
    settleMs: 1_500,
    async party({ hz }) {
      const way = ways[phones.length % ways.length]
      const name = names[phones.length]
      assert(way && name && phones.length < PHONES - 1, 'a rig has nine phones')
      const phone = makePhone({
        name,
        password: PASSWORD,
        server: { host: HOST, port: engine.sipPort() },
        ...way,
        toneHz: hz,
        behaviour: { answer: 'manual', answerAfterMs: 0 },
      })
      phones.push(phone)
      await phone.start()
      await phone.register()
      return makeParty(engine, phone, hz)
    },
    async close() {
      await Promise.all(phones.map((phone) => phone.stop()))
    },
  }
}

/** The raw packets that a party received; parties of this file are made by `makeParty`. */
const captures = new WeakMap<Party, () => readonly Captured[]>()
const capturedBy = ({ party }: Actor): readonly Captured[] => captures.get(party)?.() ?? []

function makeParty(engine: NativeEngine, phone: Phone, hz: number): Party {
  const session = (): Session => {
    const current = phone.current()
    assert(current, 'this phone has no call')
    return current
  }
  const party: Party = {
    address: `client:${phone.name}` as Address,
    hz,
    async callsIn() {
      await phone.call(`sip:${CALLER_ID}@${HOST}:${engine.sipPort()}`)
    },
    async answers() {
      await until('it rings', () => phone.current()?.state === 'ringing')
      session().answer()
    },
    async refuses() {
      session().reject()
    },
    async hangsUp() {
      session().hangUp()
    },
    holds: () => session().hold(),
    resumes: () => session().resume(),
    async goesSilent(silent) {
      session().mute(silent)
    },
    display: () => displayOf(phone.current()),
    async hears() {
      const levels = [...session().heard(ALL_TONES)]
      const those = (said: ReturnType<typeof verdict>) => levels.filter(([, level]) => verdict(level) === said).map(([tone]) => tone)
      return { heard: those('heard'), unclear: those('unclear') }
    },
    everHeard: async () => session().everHeard(ALL_TONES),
  }
  captures.set(party, () => session().received().captured)
  return party
}

function displayOf(session: Session | null): Display {
  if (session === null) return 'idle'
  switch (session.state) {
    case 'calling':
      return 'calling'
    case 'ringing':
      return session.direction === 'in' ? 'ringing' : 'calling'
    case 'established':
      return 'talking'
    case 'ended':
      return session.end?.cause ?? 'failed'
  }
}

engineSuite('the native engine', async () => makeRig(ALIKE))
engineSuite('the native engine between laws, transports and packet times', async () => makeRig(MIXED))

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

  it("[C25] a supervisor who joins, listens and leaves changes no packet of the conversation; one who whispers none of the customer's", async () => {
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
