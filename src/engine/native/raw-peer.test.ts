/** The engine against a peer that writes its SIP by hand: what a well-behaved user agent of our own would never send. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { afterEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Address } from '../../domain/address.ts'
import type { AccountId, CallId, LegId } from '../../domain/ids.ts'
import type { LegEvent } from '../engine.ts'
import { UNPROVEN_BURST } from './door.ts'
import type { MediaTerms } from './media-plane.ts'
import { makeNativeEngine, type NativeEngine } from './native-engine.ts'

const HOST = '127.0.0.1'
const NUMBER = '+918011111111' as Address
const token = (): string => BigInt(`0x${randomBytes(12).toString('hex')}`).toString(36)

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

interface Raw {
  readonly port: number
  readonly heard: string[]
  send(text: string): void
  /** The first message not taken yet that matches; taken now. */
  take(pattern: RegExp): Promise<string>
}

async function raw(toPort: () => number): Promise<Raw> {
  const socket = createSocket('udp4')
  const heard: string[] = []
  socket.on('message', (bytes) => heard.push(bytes.toString()))
  await new Promise<void>((done) => socket.bind(0, HOST, done))
  open.push(() => new Promise<void>((done) => socket.close(done)))
  return {
    port: socket.address().port,
    heard,
    send: (text) => socket.send(text, toPort(), HOST),
    async take(pattern) {
      const found = await until(String(pattern), () => heard.find((message) => pattern.test(message)))
      heard.splice(heard.indexOf(found), 1)
      return found
    },
  }
}

interface House {
  readonly engine: NativeEngine
  readonly peer: Raw
  readonly events: LegEvent[]
  readonly terms: MediaTerms[]
  dial(): Promise<LegId>
  kinds(legId: LegId): readonly string[]
}

/** An engine, and a peer that is its trunk; with `before`, the next life of that engine, and the same peer. */
async function house(silentMs = 60_000, before: House | null = null): Promise<House> {
  const terms: MediaTerms[] = []
  const events: LegEvent[] = []
  let engine: NativeEngine | null = null
  const peer = before?.peer ?? (await raw(() => engine?.sipPort() ?? 0))
  let ids = 0
  engine = makeNativeEngine({
    sip: { host: HOST, port: before?.engine.sipPort() ?? 0 },
    rtp: { host: HOST },
    trunks: [{ name: 'gw', uri: `sip:${HOST}:${peer.port}`, numbers: [], username: 'earshot', password: 'open sesame' }],
    accounts: [{ id: 'acme' as AccountId, numbers: [NUMBER], agents: [{ name: 'priya', password: 'pw' }] }],
    media: {
      start: async () => {},
      stop: async () => {},
      open: async () => ({ port: 30_000 }),
      connect: async (_leg, agreed) => void terms.push(agreed),
      setHearing: async () => {},
      play: async () => {},
      record: async () => {},
      close: async () => null,
      counters: async () => null,
    },
    token,
    hash: (algorithm, text) => createHash(algorithm).update(text).digest('hex'),
    now: Date.now,
    log: { info: () => {}, warn: () => {}, error: (fields, message) => assert.fail(`${message}: ${JSON.stringify(fields)}`) },
    parseNumber: (text) => (/^\+\d+$/.test(text) ? (text as Address) : null),
    newId: () => `id${++ids}`,
    silentMs,
  })
  await engine.start((event) => void (event.kind !== 'played' && events.push(event)))
  const running = engine
  open.push(() => running.stop())
  return {
    engine: running,
    peer,
    events,
    terms,
    async dial() {
      const legId = `leg${++ids}` as LegId
      await running.dial({
        callId: 'call' as CallId,
        legId,
        legKind: 'conversation',
        accountId: 'acme' as AccountId,
        to: '+919876543210' as Address,
        callerId: NUMBER,
      })
      return legId
    },
    kinds: (legId) => events.filter((event) => event.legId === legId).map((event) => (event.kind === 'ended' ? `ended ${event.cause}` : event.kind)),
  }
}

const sdp = (direction = 'sendrecv', formats = '8 101'): string =>
  `v=0\r\no=- 1 1 IN IP4 ${HOST}\r\ns=-\r\nc=IN IP4 ${HOST}\r\nt=0 0\r\nm=audio 4000 RTP/AVP ${formats}\r\na=rtpmap:101 telephone-event/8000\r\na=${direction}\r\n`

interface Request {
  readonly method: string
  readonly from: string
  readonly to: string
  readonly cseq: number
  readonly callId: string
  readonly body?: string
  readonly branch?: string
}

function request(port: number, { method, from, to, cseq, callId, body = '', branch = token() }: Request): string {
  const type = body === '' ? '' : 'Content-Type: application/sdp\r\n'
  return (
    `${method} sip:${NUMBER}@${HOST} SIP/2.0\r\nVia: SIP/2.0/UDP ${HOST}:${port};branch=z9hG4bK${branch}\r\nFrom: ${from}\r\nTo: ${to}\r\n` +
    `Call-ID: ${callId}\r\nCSeq: ${cseq} ${method}\r\nMax-Forwards: 70\r\nContact: <sip:raw@${HOST}:${port}>\r\n${type}Content-Length: ${body.length}\r\n\r\n${body}`
  )
}

const field = (message: string, name: string): string =>
  new RegExp(`^${name}: (.*?)\r$`, 'm').exec(message)?.[1] ?? assert.fail(`no ${name} in ${message}`)

/** The answer to a request of the engine's. */
function response(to: string, status: string, port: number, body = ''): string {
  const copied = ['Via', 'From', 'Call-ID', 'CSeq'].map((name) => `${name}: ${field(to, name)}\r\n`).join('')
  const type = body === '' ? '' : 'Content-Type: application/sdp\r\n'
  return `SIP/2.0 ${status}\r\n${copied}To: ${field(to, 'To').replace(/;tag=raw$/, '')};tag=raw\r\nContact: <sip:raw@${HOST}:${port}>\r\n${type}Content-Length: ${body.length}\r\n\r\n${body}`
}

/** A leg that was dialled and answered; `within` writes requests of the peer in its dialog. */
async function talking(it: House) {
  const legId = await it.dial()
  const invite = await it.peer.take(/^INVITE /)
  it.peer.send(response(invite, '200 OK', it.peer.port, sdp()))
  await it.peer.take(/^ACK /)
  await until('answered', () => it.kinds(legId).includes('answered'))
  const ends = { from: `${field(invite, 'To')};tag=raw`, to: field(invite, 'From'), callId: field(invite, 'Call-ID') }
  return { legId, ends }
}

test('an INVITE without an offer gets ours in the 200, and the answer comes with the ACK', async () => {
  const it = await house()
  const ends = { from: '<sip:+919876543210@gw>;tag=raw', to: `<sip:${NUMBER}@${HOST}>`, callId: 'late' }
  it.peer.send(request(it.peer.port, { method: 'INVITE', ...ends, cseq: 1 }))
  const incoming = await until('incoming', () => it.events.find((event) => event.kind === 'incoming'))
  await it.engine.answer(incoming.callId, incoming.legId)
  const ok = await it.peer.take(/^SIP\/2\.0 200/)
  assert.match(ok, /m=audio 30000 RTP\/AVP 0 8 101/)
  assert.deepEqual(it.kinds(incoming.legId), ['incoming'])
  it.peer.send(request(it.peer.port, { method: 'ACK', ...ends, to: field(ok, 'To'), cseq: 1, body: sdp() }))
  await until('answered', () => it.kinds(incoming.legId).includes('answered'))
  assert.deepEqual(it.terms, [
    {
      remote: { host: HOST, port: 4000 },
      signallingHost: HOST,
      law: 'pcma',
      digitsPayloadType: 101,
      digitsFromPhone: [101],
      ptimeMs: 20,
      phoneReceives: true,
      phoneSends: true,
    },
  ])
  it.peer.send(request(it.peer.port, { method: 'BYE', ...ends, to: field(ok, 'To'), cseq: 2 }))
  await until('ended', () => it.kinds(incoming.legId).at(-1) === 'ended completed')
})

test('the 200 is repeated until the ACK comes, and the house hears of one answer', async () => {
  const it = await house()
  const ends = { from: '<sip:+919876543210@gw>;tag=raw', to: `<sip:${NUMBER}@${HOST}>`, callId: 'slow' }
  it.peer.send(request(it.peer.port, { method: 'INVITE', ...ends, cseq: 1, body: sdp() }))
  const incoming = await until('incoming', () => it.events.find((event) => event.kind === 'incoming'))
  await it.engine.answer(incoming.callId, incoming.legId)
  await it.engine.answer(incoming.callId, incoming.legId)
  const ok = await it.peer.take(/^SIP\/2\.0 200/)
  assert.equal(await it.peer.take(/^SIP\/2\.0 200/), ok)
  assert.equal(it.terms.length, 1, 'the sound is connected before the ACK')
  const ack = request(it.peer.port, { method: 'ACK', ...ends, to: field(ok, 'To'), cseq: 1 })
  it.peer.send(ack)
  it.peer.send(ack)
  await until('answered', () => it.kinds(incoming.legId).includes('answered'))
  assert.deepEqual(it.kinds(incoming.legId), ['incoming', 'answered'])
})

test('a CANCEL that comes while the house answers ends the leg once', async () => {
  const it = await house()
  const ends = { from: '<sip:+919876543210@gw>;tag=raw', to: `<sip:${NUMBER}@${HOST}>`, callId: 'race', branch: 'race' }
  it.peer.send(request(it.peer.port, { method: 'INVITE', ...ends, cseq: 1, body: sdp() }))
  const incoming = await until('incoming', () => it.events.find((event) => event.kind === 'incoming'))
  it.peer.send(request(it.peer.port, { method: 'CANCEL', ...ends, cseq: 1 }))
  await it.peer.take(/^SIP\/2\.0 487/)
  await it.engine.answer(incoming.callId, incoming.legId)
  assert.deepEqual(it.kinds(incoming.legId), ['incoming', 'ended canceled'])
})

for (const [title, body] of [
  ['no description', ''],
  ['nothing that we speak', sdp('sendrecv', '18')],
  ['garbage', 'hello'],
] as const) {
  test(`a phone that answers with ${title} is acknowledged, hung up, and failed`, async () => {
    const it = await house()
    const legId = await it.dial()
    const invite = await it.peer.take(/^INVITE /)
    it.peer.send(response(invite, '200 OK', it.peer.port, body))
    await it.peer.take(/^ACK /)
    await it.peer.take(/^BYE /)
    assert.deepEqual(it.kinds(legId), ['ended failed'])
  })
}

test('a description that came with the ringing is the answer when the 200 has none', async () => {
  const it = await house()
  const legId = await it.dial()
  const invite = await it.peer.take(/^INVITE /)
  it.peer.send(response(invite, '183 Session Progress', it.peer.port, sdp()))
  it.peer.send(response(invite, '200 OK', it.peer.port))
  await it.peer.take(/^ACK /)
  await until('answered', () => it.kinds(legId).includes('answered'))
  assert.deepEqual([it.kinds(legId), it.terms[0]?.remote.port], [['ringing', 'answered'], 4000])
})

/** Somebody waits in the call while `to` is dialled for them; what they are told when that fails. */
async function toldWhile(it: House, to: string, refuse: () => Promise<void>): Promise<string> {
  const ends = { from: '<sip:+919876543210@gw>;tag=raw', to: `<sip:${NUMBER}@${HOST}>`, callId: token() }
  it.peer.send(request(it.peer.port, { method: 'INVITE', ...ends, cseq: 1, body: sdp() }))
  const { callId, legId } = await until('incoming', () => it.events.find((event) => event.kind === 'incoming'))
  await it.engine.dial({
    callId,
    legId: 'dialled' as LegId,
    legKind: 'conversation',
    accountId: 'acme' as AccountId,
    to: to as Address,
    callerId: NUMBER,
  })
  await refuse()
  const ended = await until('ended', () => it.events.find((event) => event.kind === 'ended' && event.legId === 'dialled'))
  await it.engine.hangUp(callId, legId, ended.kind === 'ended' ? ended.cause : 'failed')
  return (await it.peer.take(/^SIP\/2\.0 [3-6]/)).slice(8, 11)
}

for (const [theirs, ours] of [
  ['404 Not Found', '404'],
  ['486 Busy Here', '486'],
  ['302 Moved Temporarily', '480'],
  ['503 Service Unavailable', '500'],
] as const) {
  test(`a caller whose call was answered with ${theirs} is told ${ours}`, async () => {
    const it = await house()
    const told = await toldWhile(it, '+919876543210', async () => {
      it.peer.send(response(await it.peer.take(/^INVITE /), theirs, it.peer.port))
      await it.peer.take(/^ACK /)
    })
    assert.equal(told, ours)
  })
}

test('a caller of a phone that is not registered is told 480; one who may not dial that, 403', async () => {
  const it = await house()
  assert.equal(await toldWhile(it, 'client:priya', async () => {}), '480')
  const other = await house()
  const ends = { from: '<sip:+919876543210@gw>;tag=raw', to: `<sip:${NUMBER}@${HOST}>`, callId: token() }
  other.peer.send(request(other.peer.port, { method: 'INVITE', ...ends, cseq: 1, body: sdp() }))
  const { callId, legId } = await until('incoming', () => other.events.find((event) => event.kind === 'incoming'))
  await other.engine.hangUp(callId, legId, 'forbidden')
  await other.peer.take(/^SIP\/2\.0 403/)
  assert.deepEqual(other.kinds(legId), ['incoming', 'ended failed'])
})

test('rings that repeat are one ringing', async () => {
  const it = await house()
  const legId = await it.dial()
  const invite = await it.peer.take(/^INVITE /)
  for (const status of ['100 Trying', '180 Ringing', '183 Session Progress', '180 Ringing']) it.peer.send(response(invite, status, it.peer.port))
  it.peer.send(response(invite, '486 Busy Here', it.peer.port))
  await until('ended', () => it.kinds(legId).includes('ended busy'))
  assert.deepEqual(it.kinds(legId), ['ringing', 'ended busy'])
})

test('a re-INVITE without an offer is given ours, and its answer changes the sound', async () => {
  const it = await house()
  const { legId, ends } = await talking(it)
  it.peer.send(request(it.peer.port, { method: 'INVITE', ...ends, cseq: 5 }))
  const ok = await it.peer.take(/^SIP\/2\.0 200/)
  assert.match(ok, /m=audio 30000 RTP\/AVP 8 0 101/)
  it.peer.send(request(it.peer.port, { method: 'ACK', ...ends, cseq: 5, body: sdp('recvonly') }))
  await until('new terms', () => it.terms.length === 2)
  assert.deepEqual([it.terms[1]?.phoneReceives, it.terms[1]?.phoneSends], [true, false])
  assert.deepEqual(it.kinds(legId), ['answered'])
})

test('an UPDATE holds as a re-INVITE does, and our o= version rises', async () => {
  const it = await house()
  const { ends } = await talking(it)
  it.peer.send(request(it.peer.port, { method: 'UPDATE', ...ends, cseq: 5, body: sdp('sendonly') }))
  const ok = await it.peer.take(/^SIP\/2\.0 200/)
  assert.match(ok, /\r\no=- \d+ 2 IN IP4 127\.0\.0\.1\r\n/)
  assert.match(ok, /a=recvonly/)
  assert.equal(it.terms.at(-1)?.phoneReceives, false)
})

test('a phone that sends nothing is asked whether it is there: the same description again, and the leg ends when it is not', async () => {
  const it = await house(100)
  const { legId } = await talking(it)
  const first = await it.peer.take(/^INVITE /)
  assert.match(first, /\r\no=- \d+ 1 IN IP4/)
  it.peer.send(response(first, '200 OK', it.peer.port, sdp()).replace(';tag=raw;tag=raw', ';tag=raw'))
  await it.peer.take(/^ACK /)
  const second = await it.peer.take(/^INVITE /)
  assert.deepEqual(it.kinds(legId), ['answered'])
  it.peer.send(response(second, '481 Call Does Not Exist', it.peer.port).replace(';tag=raw;tag=raw', ';tag=raw'))
  await until('ended', () => it.kinds(legId).at(-1) === 'ended failed')
})

test('a BYE with another’s tag ends nothing', async () => {
  const it = await house()
  const { legId, ends } = await talking(it)
  it.peer.send(request(it.peer.port, { method: 'BYE', ...ends, from: ends.from.replace('tag=raw', 'tag=forged'), cseq: 9 }))
  await it.peer.take(/^SIP\/2\.0 481/)
  assert.deepEqual(it.kinds(legId), ['answered'])
})

test('digits by INFO are refused, so that the phone sends them as RFC 4733 events', async () => {
  const it = await house()
  const { ends } = await talking(it)
  it.peer.send(request(it.peer.port, { method: 'INFO', ...ends, cseq: 5, body: 'Signal=5' }))
  await it.peer.take(/^SIP\/2\.0 415/)
  it.peer.send(request(it.peer.port, { method: 'INFO', ...ends, cseq: 6 }))
  await it.peer.take(/^SIP\/2\.0 200/)
})

test('a flood of a stranger’s INVITEs is cut off, leaves nothing in the house, and calls go on', async () => {
  const it = await house()
  const stranger = await raw(() => it.engine.sipPort())
  const { legId, ends } = await talking(it)
  for (let at = 0; at < UNPROVEN_BURST * 2; at++) {
    stranger.send(request(stranger.port, { method: 'INVITE', from: '<sip:100@1.1.1.1>;tag=x', to: '<sip:100@x>', cseq: 1, callId: `scan${at}` }))
    if (at % 200 === 0) await sleep(1)
  }
  it.peer.send(request(it.peer.port, { method: 'BYE', ...ends, cseq: 9 }))
  await until('the call of others ends as ever', () => it.kinds(legId).at(-1) === 'ended completed')
  const statuses = new Set(stranger.heard.map((message) => message.slice(0, 11)))
  assert.deepEqual(
    [...statuses].filter((status) => status !== 'SIP/2.0 100' && status !== 'SIP/2.0 401'),
    [],
  )
  assert(stranger.heard.filter((message) => message.startsWith('SIP/2.0 401')).length <= UNPROVEN_BURST * 1.6)
  assert.deepEqual([it.events.filter((event) => event.kind === 'incoming'), it.engine.counts().legs, it.engine.counts().sessions], [[], 0, 0])
})

test('bytes that are no SIP are survived', async () => {
  const it = await house()
  for (const noise of ['', '\0', 'INVITE', 'SIP/2.0 999 x\r\n\r\n', `INVITE sip:x SIP/2.0\r\n${'a'.repeat(9000)}`, '\r\n\r\n', '{"json":true}'])
    it.peer.send(noise)
  const { legId } = await talking(it)
  assert.deepEqual(it.kinds(legId), ['answered'])
})

test('after a crash a trunk that wants a password for the goodbye gets it; the memory held none', async () => {
  const it = await house()
  await talking(it)
  const memories = it.events.map((event) => (event.kind === 'answered' ? event.memory : null)).filter((memory) => memory !== null)
  assert.equal(memories.length, 1)
  assert.doesNotMatch(memories.join(), /open sesame/)
  await it.engine.stop()
  it.peer.heard.length = 0
  const next = await house(60_000, it)
  await next.engine.farewell(memories)
  const bye = await it.peer.take(/^BYE /)
  it.peer.send(
    response(bye, '407 Proxy Authentication Required', it.peer.port).replace(
      '\r\nContact',
      '\r\nProxy-Authenticate: Digest realm="gw", nonce="n1", qop="auth"\r\nContact',
    ),
  )
  const again = await it.peer.take(/^BYE [^]*^Proxy-Authorization: Digest .*username="earshot"/m)
  assert.equal(Number.parseInt(field(again, 'CSeq'), 10), Number.parseInt(field(bye, 'CSeq'), 10) + 1)
  assert.equal(field(again, 'Call-ID'), field(bye, 'Call-ID'))
  it.peer.send(response(again, '200 OK', it.peer.port))
})
