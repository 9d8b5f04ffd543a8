/** Whole calls over sockets on 127.0.0.1, with phones made of our own user agent and a media plane that only takes notes. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { afterEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Address } from '../../domain/address.ts'
import type { AccountId, CallId, LegId } from '../../domain/ids.ts'
import type { EndCause } from '../../domain/leg.ts'
import { NO_BODY } from '../../sip/message.ts'
import { type Hop, makeUserAgent, type SessionId, type UaEvent } from '../../sip/user-agent.ts'
import type { DialOrder, LegEvent } from '../engine.ts'
import type { MediaPlane, MediaTerms } from './media-plane.ts'
import { makeNativeEngine, type NativeEngine } from './native-engine.ts'
import type { TrunkSettings } from './routing.ts'
import { type EngineLog, makeSipShell, type SipShell } from './sip-shell.ts'

const token = (): string => BigInt(`0x${randomBytes(12).toString('hex')}`).toString(36)
const hash = (algorithm: 'md5' | 'sha256', text: string): string => createHash(algorithm).update(text).digest('hex')
const silent: EngineLog = { info: () => {}, warn: () => {}, error: (fields, message) => assert.fail(`${message}: ${JSON.stringify(fields)}`) }
const HOST = '127.0.0.1'
const ACME = 'acme' as AccountId
const NUMBER = '+918011111111' as Address
const CUSTOMER = '+919876543210' as Address

const open: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

async function until<T>(what: string, look: () => T | null | undefined | false): Promise<T> {
  for (const deadline = performance.now() + 5000; performance.now() < deadline; await sleep(5)) {
    const found = look()
    if (found !== null && found !== undefined && found !== false) return found
  }
  return assert.fail(`waited in vain: ${what}`)
}

interface Notes extends MediaPlane {
  readonly openLegs: Map<LegId, string>
  readonly terms: Map<LegId, MediaTerms[]>
  /** As when the thread of the sound dies. */
  lose(legIds: readonly LegId[]): void
}

function makeNotes(): Notes {
  const openLegs = new Map<LegId, string>()
  const terms = new Map<LegId, MediaTerms[]>()
  let port = 30_000
  let lose: Notes['lose'] = () => assert.fail('nobody asked to be told')
  return {
    openLegs,
    terms,
    lose: (legIds) => lose(legIds),
    async start(onLost) {
      lose = onLost ?? lose
    },
    stop: async () => {},
    async open(_call, leg, kind) {
      openLegs.set(leg, kind)
      return { port: (port += 2) }
    },
    connect: async (leg, agreed) => void terms.set(leg, [...(terms.get(leg) ?? []), agreed]),
    setHearing: async () => {},
    play: async () => {},
    record: async () => {},
    async close(leg) {
      openLegs.delete(leg)
      return null
    },
    counters: async () => null,
  }
}

interface House {
  readonly engine: NativeEngine
  readonly media: Notes
  readonly events: LegEvent[]
  readonly hop: Hop
  /** What it logged as worth knowing. */
  readonly said: readonly string[]
  dial(to: string, callId?: string, legKind?: DialOrder['legKind']): Promise<LegId>
  of(legId: LegId): readonly string[]
  incoming(): Promise<Extract<LegEvent, { kind: 'incoming' }>>
}

let lastId = 0
async function house(trunks: readonly TrunkSettings[] = [], port = 0): Promise<House> {
  const media = makeNotes()
  const events: LegEvent[] = []
  const said: string[] = []
  const engine = makeNativeEngine({
    sip: { host: HOST, port },
    rtp: { host: HOST },
    media,
    trunks,
    token,
    hash,
    now: Date.now,
    log: { ...silent, info: (_, message) => said.push(message) },
    accounts: [{ id: ACME, numbers: [NUMBER], agents: ['priya', 'ravi', 'coach'].map((name) => ({ name, password: `pw-${name}` })) }],
    parseNumber: (text) => (/^\+?\d{10,13}$/.test(text) ? (`+91${text.slice(-10)}` as Address) : null),
    newId: () => `id${++lastId}`,
  })
  await engine.start((event) => void (event.kind !== 'played' && events.push(event)))
  open.push(() => engine.stop())
  const dial = async (to: string, callId = 'call', legKind: DialOrder['legKind'] = 'conversation'): Promise<LegId> => {
    const legId = `leg${++lastId}` as LegId
    await engine.dial({ callId: callId as CallId, legId, legKind, accountId: ACME, to: to as Address, callerId: NUMBER })
    return legId
  }
  return {
    engine,
    media,
    events,
    dial,
    said,
    hop: { transport: 'udp', host: HOST, port: engine.sipPort() },
    of: (legId) => events.filter((event) => event.legId === legId).map((event) => (event.kind === 'ended' ? `ended ${event.cause}` : event.kind)),
    incoming: () => until('somebody calls in', () => events.find((event) => event.kind === 'incoming')),
  }
}

interface Phone {
  readonly shell: SipShell
  readonly events: UaEvent[]
  readonly port: number
  sdp(options?: { readonly formats?: string; readonly direction?: string }): Uint8Array
  /** Final status of a REGISTER. */
  register(to: Hop, name?: string, password?: string, headers?: readonly { name: string; value: string }[]): Promise<number>
  /** Rings the house; resolves at once. */
  call(to: Hop, uri: string, options?: { readonly body?: Uint8Array; readonly password?: string; readonly from?: string }): SessionId
  /** Hears no SIP while that is so. */
  goesDeaf(isDeaf: boolean): void
  wait<K extends UaEvent['kind']>(kind: K): Promise<Extract<UaEvent, { kind: K }>>
  do(act: Parameters<SipShell['drive']>[0]): void
}

async function phone(name: string): Promise<Phone> {
  const events: UaEvent[] = []
  let hears = true
  const shell = makeSipShell({
    host: HOST,
    port: 0,
    now: Date.now,
    log: silent,
    admit: () => hears,
    isNeeded: () => true,
    onFlowClosed: () => {},
    onEvent: (event) => void events.push(event),
    makeAgent: (advertised) => makeUserAgent({ advertised, token, hash, product: 'test' }),
  })
  await shell.open()
  open.push(() => shell.close())
  const { port } = shell.advertised()
  const self = (user: string): string => `<sip:${user}@${HOST}>`
  const sdp: Phone['sdp'] = ({ formats = '0 8 101', direction = 'sendrecv' } = {}) =>
    Buffer.from(
      `v=0\r\no=- 1 1 IN IP4 ${HOST}\r\ns=-\r\nc=IN IP4 ${HOST}\r\nt=0 0\r\nm=audio ${port} RTP/AVP ${formats}\r\na=rtpmap:101 telephone-event/8000\r\na=${direction}\r\n`,
    )
  const wait: Phone['wait'] = (kind) => until(`${name}: ${kind}`, () => events.find((event) => event.kind === kind) as never)
  return {
    shell,
    events,
    port,
    sdp,
    wait,
    goesDeaf: (isDeaf) => void (hears = !isDeaf),
    async register(to, user = name, password = `pw-${name}`, headers = []) {
      const order = {
        method: 'REGISTER',
        uri: `sip:${HOST}`,
        to,
        fromHeader: self(user),
        toHeader: self(user),
        credentials: { username: name, password },
        headers,
        body: NO_BODY,
        callId: token(),
      }
      const sent = shell.drive((agent, now) => agent.request(order, now))
      assert(sent)
      shell.carryOut(sent.outputs)
      return (
        await until(
          'REGISTER is answered',
          () => events.find((event) => event.kind === 'response' && event.transaction === sent.transaction) as Extract<UaEvent, { kind: 'response' }>,
        )
      ).response.status
    },
    call(to, uri, { body = sdp(), password = `pw-${name}`, from = name } = {}) {
      const sent = shell.drive((agent, now) =>
        agent.invite(
          { uri, to, fromHeader: self(from), toHeader: `<${uri}>`, body, credentials: { username: name, password }, route: [], headers: [] },
          now,
        ),
      )
      assert(sent)
      shell.carryOut(sent.outputs)
      return sent.session
    },
    do: (act) => void shell.drive(act),
  }
}

const tcp = (hop: Hop): Hop => ({ ...hop, transport: 'tcp' })
const text = (body: Uint8Array): string => Buffer.from(body).toString()

/** A registered phone that was dialled and talks. */
async function talking(it: House, name: string, flow: Hop = it.hop) {
  const own = await phone(name)
  assert.equal(await own.register(flow), 200)
  const legId = await it.dial(`client:${name}`)
  const { session } = await own.wait('invited')
  own.do((agent, now) => agent.progress(session, 180, NO_BODY, now))
  await until('ringing', () => it.of(legId).includes('ringing'))
  own.do((agent, now) => agent.accept(session, own.sdp(), now))
  await until('answered', () => it.of(legId).includes('answered'))
  return { own, legId, session }
}

test('a phone registers with digest, is dialled, rings, answers, and hangs up', async () => {
  const it = await house()
  const { own, legId, session } = await talking(it, 'priya')
  assert.deepEqual(
    it.engine.registrations().map(({ name, hop }) => [name, hop.port]),
    [['priya', own.port]],
  )
  const [terms] = it.media.terms.get(legId) ?? []
  assert.deepEqual(terms, {
    remote: { host: HOST, port: own.port },
    signallingHost: HOST,
    law: 'pcmu',
    digitsPayloadType: 101,
    digitsFromPhone: [101],
    ptimeMs: 20,
    phoneReceives: true,
    phoneSends: true,
  })
  const invite = await own.wait('invited')
  assert.match(text(invite.request.body), /m=audio \d+ RTP\/AVP 0 8 101/)
  own.do((agent, now) => agent.hangUp(session, now))
  await until('ended', () => it.of(legId).at(-1) === 'ended completed')
  assert.deepEqual(it.of(legId), ['ringing', 'answered', 'ended completed'])
  assert.equal(it.media.openLegs.size, 0)
  assert.equal(it.engine.counts().legs, 0)
})

test('the house hangs up an answered phone: it ends at once, and the phone gets a BYE', async () => {
  const it = await house()
  const { own, legId } = await talking(it, 'priya')
  await it.engine.hangUp('call' as CallId, legId, 'completed')
  assert.equal(it.of(legId).at(-1), 'ended completed')
  const ended = await own.wait('ended')
  assert.deepEqual([ended.reason, ended.by], ['bye', 'peer'])
  await until('nothing is owed any more', () => it.engine.counts().sessions === 0)
})

test('a phone that rings is cancelled with the cause that was ordered', async () => {
  const it = await house()
  const own = await phone('priya')
  await own.register(it.hop)
  const legId = await it.dial('client:priya')
  const { session } = await own.wait('invited')
  own.do((agent, now) => agent.progress(session, 180, NO_BODY, now))
  await until('ringing', () => it.of(legId).includes('ringing'))
  await it.engine.hangUp('call' as CallId, legId, 'no-answer')
  assert.deepEqual(it.of(legId), ['ringing', 'ended no-answer'])
  assert.equal((await own.wait('ended')).reason, 'cancelled')
})

test('a phone that answers while it is cancelled is sent a BYE, and the leg still ended once', async () => {
  const it = await house()
  const own = await phone('priya')
  await own.register(it.hop)
  const legId = await it.dial('client:priya')
  const { session } = await own.wait('invited')
  own.do((agent, now) => agent.accept(session, own.sdp(), now))
  await it.engine.hangUp('call' as CallId, legId, 'canceled')
  assert.equal((await own.wait('ended')).by, 'peer')
  assert.deepEqual(it.of(legId), ['ended canceled'])
})

const REFUSALS: readonly [number, EndCause][] = [
  [486, 'busy'],
  [480, 'no-answer'],
  [603, 'busy'],
  [404, 'failed'],
  [503, 'failed'],
]
for (const [status, cause] of REFUSALS) {
  test(`[C13] a phone that answers ${status} ends as ${cause}`, async () => {
    const it = await house()
    const own = await phone('ravi')
    await own.register(it.hop)
    const legId = await it.dial('client:ravi')
    const { session } = await own.wait('invited')
    own.do((agent, now) => agent.reject(session, status, [], now))
    await until('ended', () => it.of(legId).length > 0)
    assert.deepEqual(it.of(legId), [`ended ${cause}`])
  })
}

test('whoever is not registered, has no trunk, or whose host has no address is failed at once', async () => {
  const it = await house()
  for (const to of ['client:priya', 'client:nobody', CUSTOMER, 'sip:x@host.invalid']) assert.deepEqual(it.of(await it.dial(to)), ['ended failed'], to)
  assert.equal(it.media.openLegs.size, 0)
})

test('a wrong password, another name than one’s own, and a stranger are refused', async () => {
  const it = await house()
  const own = await phone('priya')
  assert.equal(await own.register(it.hop, 'priya', 'wrong'), 401)
  assert.equal(await own.register(it.hop, 'ravi'), 403)
  assert.equal(await (await phone('mallory')).register(it.hop), 401)
  assert.deepEqual(it.engine.registrations(), [])
  own.call(it.hop, `sip:ravi@${HOST}`, { password: 'wrong' })
  assert.equal((await own.wait('ended')).status, 401)
  assert.deepEqual(it.events, [])
})

test('after too many wrong passwords even the right one is refused for a while', async () => {
  const it = await house()
  const own = await phone('priya')
  for (let at = 0; at < 10; at++) assert.equal(await own.register(it.hop, 'priya', 'wrong'), 401)
  assert.equal(await own.register(it.hop), 403)
})

test('a binding that is too short is refused with 423, and one with expires 0 is gone', async () => {
  const it = await house()
  const own = await phone('priya')
  assert.equal(await own.register(it.hop, 'priya', 'pw-priya', [{ name: 'Expires', value: '5' }]), 423)
  assert.equal(await own.register(it.hop), 200)
  assert.equal(it.engine.registrations().length, 1)
  assert.equal(await own.register(it.hop, 'priya', 'pw-priya', [{ name: 'Expires', value: '0' }]), 200)
  assert.deepEqual(it.engine.registrations(), [])
})

test('an agent calls a colleague: identified, told that it rings, answered, and the law of both is the caller’s first', async () => {
  const it = await house()
  const [caller, callee] = [await phone('priya'), await phone('ravi')]
  await callee.register(it.hop)
  const session = caller.call(it.hop, `sip:ravi@${HOST}`, { body: caller.sdp({ formats: '8 0 101' }) })
  const incoming = await it.incoming()
  const { callId, legId } = incoming
  assert.deepEqual([incoming.accountId, incoming.from, incoming.dialled, incoming.source], [ACME, 'client:priya', 'client:ravi', 'agent'])
  await it.engine.ring(callId, legId)
  assert.equal((await caller.wait('progress')).status, 180)
  const other = await it.dial('client:ravi', callId)
  const invited = await callee.wait('invited')
  assert.match(text(invited.request.body), /RTP\/AVP 8 0 101/)
  callee.do((agent, now) => agent.accept(invited.session, callee.sdp({ formats: '8' }), now))
  await until('the colleague is answered', () => it.of(other).includes('answered'))
  await it.engine.answer(callId, legId)
  const accepted = await caller.wait('accepted')
  assert.match(text(accepted.body), /m=audio \d+ RTP\/AVP 8 101/)
  await until('the caller is answered', () => it.of(legId).includes('answered'))
  assert.deepEqual(
    [...it.media.terms.values()].map(([terms]) => terms?.law),
    ['pcma', 'pcma'],
  )
  assert.deepEqual([...it.media.openLegs.values()], ['conversation', 'conversation'])
  const coach = await it.dial('sip:coach@127.0.0.1:9', callId, 'monitor')
  assert.equal(it.media.openLegs.get(coach), 'monitor', 'a third leg is a supervisor')
  caller.do((agent, now) => agent.hangUp(session, now))
  await until('ended', () => it.of(legId).at(-1) === 'ended completed')
  assert.deepEqual(it.of(legId), ['incoming', 'answered', 'ended completed'])
})

test('an agent who dials a number is heard as that number', async () => {
  const it = await house()
  ;(await phone('priya')).call(it.hop, `sip:09876543210@${HOST}`)
  assert.equal((await it.incoming()).dialled, CUSTOMER)
})

test('a caller who gives up is canceled', async () => {
  const it = await house()
  const caller = await phone('priya')
  const session = caller.call(it.hop, `sip:ravi@${HOST}`)
  const { callId, legId } = await it.incoming()
  await it.engine.ring(callId, legId)
  caller.do((agent, now) => agent.hangUp(session, now))
  await until('ended', () => it.of(legId).at(-1) === 'ended canceled')
})

const TOLD: readonly [EndCause, number][] = [
  ['busy', 486],
  ['no-answer', 480],
  ['failed', 503],
  ['canceled', 487],
]
for (const [cause, status] of TOLD) {
  test(`a caller who is refused as ${cause} gets ${status}`, async () => {
    const it = await house()
    const caller = await phone('priya')
    caller.call(it.hop, `sip:ravi@${HOST}`)
    const { callId, legId } = await it.incoming()
    await it.engine.hangUp(callId, legId, cause)
    assert.equal((await caller.wait('ended')).status, status)
    assert.deepEqual(it.of(legId), ['incoming', `ended ${cause}`])
  })
}

test('an INVITE without an offer gets ours, and is answered when the ACK brings the answer', async () => {
  const it = await house()
  const caller = await phone('priya')
  caller.call(it.hop, `sip:ravi@${HOST}`, { body: NO_BODY })
  const { callId, legId } = await it.incoming()
  await it.engine.answer(callId, legId)
  assert.match(text((await caller.wait('accepted')).body), /RTP\/AVP 0 8 101/)
  // Our own agent acknowledges without a body: an answer that is missing ends the call as failed.
  await until('ended', () => it.of(legId).at(-1) === 'ended failed')
})

test('an offer of nothing that we speak is refused before the house hears of it', async () => {
  const it = await house()
  const caller = await phone('priya')
  caller.call(it.hop, `sip:ravi@${HOST}`, { body: caller.sdp({ formats: '18' }) })
  assert.equal((await caller.wait('ended')).status, 488)
  assert.deepEqual(it.events, [])
})

test('hold and resume are answered to that phone alone, and the sound is told', async () => {
  const it = await house()
  const { own, legId, session } = await talking(it, 'priya')
  for (const [direction, answered, receives, sends] of [
    ['sendonly', 'recvonly', false, true],
    ['inactive', 'inactive', false, false],
    ['sendrecv', 'sendrecv', true, true],
  ] as const) {
    own.events.length = 0
    own.do((agent, now) => agent.reoffer(session, own.sdp({ direction }), now))
    assert.match(text((await own.wait('renegotiated')).body), new RegExp(`a=${answered}`))
    const terms = await until('new terms', () => it.media.terms.get(legId)?.at(-1))
    assert.deepEqual([terms.phoneReceives, terms.phoneSends, terms.law], [receives, sends, 'pcmu'])
  }
  own.events.length = 0
  own.do((agent, now) => agent.reoffer(session, own.sdp({ formats: '18' }), now))
  assert.equal((await own.wait('renegotiation-failed')).status, 488)
  assert.deepEqual(it.of(legId), ['ringing', 'answered'], 'the call goes on')
})

test('a phone on TCP registers, is dialled over its connection, and hangs up', async () => {
  const it = await house()
  const { own, legId, session } = await talking(it, 'priya', tcp(it.hop))
  assert.equal(it.engine.registrations()[0]?.hop.transport, 'tcp')
  own.do((agent, now) => agent.hangUp(session, now))
  await until('ended', () => it.of(legId).at(-1) === 'ended completed')
  await own.shell.close()
  await until('the binding is gone with the connection', () => it.engine.registrations().length === 0)
})

test('a trunk is known by its address, brings calls for its numbers, and carries ours with its password', async () => {
  const gateway = await phone('tenant')
  const it = await house([{ name: 'gw', uri: `sip:${HOST}:${gateway.port}`, username: 'tenant', password: 'pw-tenant', numbers: [NUMBER] }])
  gateway.call(it.hop, `sip:08011111111@${HOST}`, { from: '09876543210' })
  const { callId, legId, from, dialled, source } = await it.incoming()
  assert.deepEqual([from, dialled, source], [CUSTOMER, NUMBER, 'trunk'])
  await it.engine.answer(callId, legId)
  await until('answered', () => it.of(legId).includes('answered'))
  gateway.events.length = 0
  gateway.call(it.hop, `sip:08099999999@${HOST}`, { from: '09876543210' })
  assert.equal((await gateway.wait('ended')).status, 404)
  const out = await it.dial(CUSTOMER, 'other')
  const invited = await gateway.wait('invited')
  assert.equal(invited.request.uri, `sip:${CUSTOMER}@${HOST}:${gateway.port}`)
  gateway.do((agent, now) =>
    agent.reject(invited.session, 401, [{ name: 'WWW-Authenticate', value: 'Digest realm="gw", nonce="n1", qop="auth"' }], now),
  )
  const again = await until(
    'credentials',
    () => gateway.events.find((event) => event.kind === 'invited' && event.session !== invited.session) as typeof invited,
  )
  assert(again.request.headers.some(({ name, value }) => name === 'Authorization' && value.includes('username="tenant"')))
  gateway.do((agent, now) => agent.reject(again.session, 486, [], now))
  await until('ended', () => it.of(out).at(-1) === 'ended busy')
})

test('another process on the trunk’s loopback address is a stranger', async () => {
  const gateway = await phone('tenant')
  const it = await house([{ name: 'gw', uri: `sip:${HOST}:${gateway.port}`, numbers: [NUMBER] }])
  const stranger = await phone('mallory')
  stranger.call(it.hop, `sip:08011111111@${HOST}`, { from: '09876543210' })
  assert.equal((await stranger.wait('ended')).status, 401)
  assert.deepEqual(it.events, [])
})

test('a trunk that must be told where we are is, with its password, and again told when we leave', async () => {
  const gateway = await phone('tenant')
  const it = await house([{ name: 'gw', uri: `sip:${HOST}:${gateway.port}`, username: 'tenant', password: 'pw', numbers: [], register: true }])
  const first = await gateway.wait('request')
  assert.equal(first.request.method, 'REGISTER')
  gateway.do((agent, now) =>
    agent.respond(first.transaction, 401, [{ name: 'WWW-Authenticate', value: 'Digest realm="gw", nonce="n1"' }], NO_BODY, now),
  )
  const second = await until(
    'credentials',
    () => gateway.events.find((event) => event.kind === 'request' && event.transaction !== first.transaction) as typeof first,
  )
  assert(second.request.headers.some(({ name }) => name === 'Authorization'))
  gateway.do((agent, now) => agent.respond(second.transaction, 200, [{ name: 'Expires', value: '300' }], NO_BODY, now))
  await until('the engine knows', () => it.said.includes('a trunk registration changed'))
  gateway.events.length = 0
  await it.engine.stop()
  const last = await gateway.wait('request')
  assert(last.request.headers.some(({ name, value }) => name === 'Expires' && value === '0'))
})

test('OPTIONS is answered with what we can, unknown methods with 405, INFO in a call with 415', async () => {
  const it = await house()
  const own = await phone('priya')
  for (const [method, status] of [
    ['OPTIONS', 200],
    ['SUBSCRIBE', 405],
  ] as const) {
    own.events.length = 0
    own.do(
      (agent, now) =>
        agent.request(
          {
            method,
            uri: `sip:${HOST}`,
            to: it.hop,
            fromHeader: '<sip:x@y>',
            toHeader: '<sip:z@y>',
            credentials: null,
            headers: [],
            body: NO_BODY,
            callId: null,
          },
          now,
        ).outputs,
    )
    const { response } = await own.wait('response')
    assert.equal(response.status, status)
    assert(response.headers.some(({ name, value }) => name === 'Allow' && value.includes('INVITE')))
  }
})

test('stopping ends every leg with its event, tells the phones, and frees everything', async () => {
  const it = await house()
  const { own, legId } = await talking(it, 'priya')
  const ringing = await phone('ravi')
  await ringing.register(it.hop)
  const other = await it.dial('client:ravi')
  await ringing.wait('invited')
  await it.engine.stop()
  assert.equal(it.of(legId).at(-1), 'ended completed')
  assert.equal(it.of(other).at(-1), 'ended canceled')
  await own.wait('ended')
  await ringing.wait('ended')
  assert.equal(it.media.openLegs.size, 0)
  await it.engine.stop()
})

test('legs whose sound is lost end as failed, and their phones are told', async () => {
  const it = await house()
  const { own, legId } = await talking(it, 'priya')
  it.media.lose([legId, 'unknown' as LegId])
  assert.equal(it.of(legId).at(-1), 'ended failed')
  await own.wait('ended')
})

test('orders about legs that nobody knows do nothing', async () => {
  const it = await house()
  const { own, legId } = await talking(it, 'priya')
  for (const [call, leg] of [
    ['call', 'x'],
    ['x', legId],
  ] as [CallId, LegId][]) {
    await it.engine.ring(call, leg)
    await it.engine.answer(call, leg)
    await it.engine.hangUp(call, leg, 'failed')
    await it.engine.setHearing(call, new Map())
  }
  assert.deepEqual(it.of(legId), ['ringing', 'answered'])
  assert.equal(
    own.events.some((event) => event.kind === 'ended'),
    false,
  )
})

test('an address that is taken is named in the error', async () => {
  const it = await house()
  const second = makeNativeEngine({
    sip: { host: HOST, port: it.hop.port },
    rtp: { host: HOST },
    media: makeNotes(),
    trunks: [],
    token,
    hash,
    now: Date.now,
    log: silent,
    accounts: [],
    parseNumber: () => null,
    newId: () => 'x',
  })
  await assert.rejects(
    second.start(() => {}),
    new RegExp(`UDP ${HOST}:${it.hop.port}: EADDRINUSE`),
  )
})

/** What a server that is killed leaves: phones that heard nothing of it, and the memories of their legs. The next life has the same port. */
async function afterCrash(it: House, phones: readonly Phone[]): Promise<{ readonly next: House; readonly memories: readonly string[] }> {
  const memories = it.events.map((event) => (event.kind === 'answered' ? event.memory : null)).filter((memory) => memory !== null)
  for (const each of phones) each.goesDeaf(true)
  await it.engine.stop()
  for (const each of phones) each.goesDeaf(false)
  return { next: await house([], it.hop.port), memories }
}

for (const transport of ['udp', 'tcp'] as const) {
  test(`after a crash a phone that was dialled and one that had called are told by the next life that it is over (${transport})`, async () => {
    const it = await house()
    const flow = { ...it.hop, transport }
    const { own } = await talking(it, 'priya', flow)
    const caller = await phone('ravi')
    caller.call(flow, `sip:priya@${HOST}`)
    const { callId, legId } = await it.incoming()
    await it.engine.answer(callId, legId)
    await until('the caller is answered', () => it.of(legId).includes('answered'))
    const { next, memories } = await afterCrash(it, [own, caller])
    assert.equal(memories.length, 2)
    for (const each of [own, caller]) assert(!each.events.some((event) => event.kind === 'ended'), 'they believe to be in a call')
    await next.engine.farewell(['no memory', ...memories])
    for (const each of [own, caller]) {
      const { reason, by } = await each.wait('ended')
      assert.deepEqual([reason, by], ['bye', 'peer'])
    }
    assert.deepEqual(next.events, [])
    const { legs, sessions } = next.engine.counts()
    assert.deepEqual({ legs, sessions }, { legs: 0, sessions: 0 })
  })
}

test('a farewell to a phone that is not there any more, or before the start and after the stop, does nothing', async () => {
  const it = await house()
  const { own } = await talking(it, 'priya', tcp(it.hop))
  const { next, memories } = await afterCrash(it, [own])
  await own.shell.close()
  await it.engine.farewell(memories)
  await next.engine.farewell(memories)
  await talking(next, 'ravi')
  await next.engine.stop()
  await next.engine.farewell(memories)
})
