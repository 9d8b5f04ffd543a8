/** The native engine passes the suite of all engines, with phones of ours registered at it over loopback. */
import assert from 'node:assert/strict'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import type { Address } from '../domain/address.ts'
import type { AccountId } from '../domain/ids.ts'
import { verdict } from '../phone/ear.ts'
import { makePhone, type Phone, type Session } from '../phone/phone.ts'
import { makeMediaPlane } from './native/media-thread.ts'
import { makeNativeEngine, type NativeEngine } from './native/native-engine.ts'
import { ALL_TONES, type Display, type Party, type Rig, until } from './scene.ts'
import { engineSuite } from './suite.ts'

const HOST = '127.0.0.1'
const ACCOUNT = 'earshot' as AccountId
const CALLER_ID = '+918047112233' as Address
const PASSWORD = 'open sesame'
const PHONES = 10

/** How the phones of one rig speak; the n-th phone takes the n-th way, round and round. */
type Ways = readonly Pick<Parameters<typeof makePhone>[0], 'law' | 'transport' | 'ptimeMs'>[]

const ALIKE: Ways = [{ law: 'pcmu', transport: 'udp', ptimeMs: 20 }]
const MIXED: Ways = [
  { law: 'pcmu', transport: 'tcp', ptimeMs: 20 },
  { law: 'pcma', transport: 'udp', ptimeMs: 30 },
  { law: 'pcma', transport: 'tcp', ptimeMs: 10 },
]

const silent = { info() {}, warn() {}, error() {}, debug() {} }

function makeRig(ways: Ways): Rig {
  const names = Array.from({ length: PHONES }, (_, index) => `phone${index}`)
  const engine = makeNativeEngine({
    sip: { host: HOST, port: 0 },
    rtp: { host: HOST },
    accounts: [{ id: ACCOUNT, agents: names.map((name) => ({ name, password: PASSWORD })), numbers: [] }],
    trunks: [],
    media: makeMediaPlane({ host: HOST, portMin: 20_000, portMax: 29_999 }),
    parseNumber: (text) => (/^\+\d{7,15}$/.test(text) ? (text as Address) : null),
    newId: () => randomUUID().replaceAll('-', ''),
    token: () => BigInt(`0x${randomBytes(12).toString('hex')}`).toString(36),
    hash: (algorithm, text) => createHash(algorithm).update(text).digest('hex'),
    now: Date.now,
    log: silent,
  })
  const phones: Phone[] = []
  return {
    engine, accountId: ACCOUNT, callerId: CALLER_ID, nowhere: `client:${names.at(-1)}` as Address,
    // Half of the window that an ear looks at must be new, and the machine may be busy.
    settleMs: 1_500,
    async party({ hz }) {
      const way = ways[phones.length % ways.length]
      const name = names[phones.length]
      assert(way && name && phones.length < PHONES - 1, 'a rig has nine phones')
      const phone = makePhone({
        name, password: PASSWORD, server: { host: HOST, port: engine.sipPort() }, ...way, toneHz: hz, behaviour: { answer: 'manual', answerAfterMs: 0 },
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

function makeParty(engine: NativeEngine, phone: Phone, hz: number): Party {
  const session = (): Session => {
    const current = phone.current()
    assert(current, 'this phone has no call')
    return current
  }
  return {
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
