import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { Address } from '../../domain/address.ts'
import type { AccountId } from '../../domain/ids.ts'
import { answerChallenge, makeDigestServer, NONCE_LIFETIME_MS } from '../../sip/digest.ts'
import { NO_BODY, type SipRequest } from '../../sip/message.ts'
import type { Hop } from '../../sip/user-agent.ts'
import {
  type Answer,
  answerWithinCall,
  type Door,
  makeDoor,
  MAX_COUNTED_HOSTS,
  PROVEN_MS,
  UNANSWERED_MS,
  UNPROVEN_BURST,
  UNPROVEN_PER_SECOND,
} from './door.ts'
import { makeRegistrar } from './registrar.ts'
import { readTrunk, type World } from './routing.ts'

const REALM = 'pbx.example.net'
const hash = (algorithm: 'md5' | 'sha256', text: string): string => createHash(algorithm).update(text).digest('hex')
const hop = (host: string, port = 5060): Hop => ({ transport: 'udp', host, port })
const PHONE = hop('192.0.2.7', 40_000)
const TRUNK = hop('198.51.100.1', 33_333)
const bytes = (text: string): Uint8Array => Buffer.from(text)

interface Setting {
  readonly door: Door
  readonly wrong: string[]
  readonly presence: boolean[]
  readonly registered: () => number
  now: number
}

function setting(): Setting {
  const registrar = makeRegistrar()
  const gateway = readTrunk({ name: 'gw', uri: 'sip:gw.example.com', numbers: [] })
  assert(gateway)
  const world: World = {
    accounts: [
      {
        id: 'acme' as AccountId,
        agents: [
          { name: 'priya', password: 'pw' },
          { name: 'ravi', password: 'pw2' },
        ],
        numbers: ['+918011111111' as Address],
      },
    ],
    trunks: [gateway],
    advertisedHost: REALM,
    ownHosts: [REALM],
    ownPort: 5060,
    parseNumber: (text) => (/^\+\d+$/.test(text) ? (text as Address) : null),
    bindings: () => [],
    trunkAddresses: () => [TRUNK.host],
  }
  const wrong: string[] = []
  const presence: boolean[] = []
  const state: { now: number } = { now: 1_000_000 }
  const digest = makeDigestServer({ secret: 'x'.repeat(32), hash })
  const door = makeDoor({
    realm: REALM,
    world,
    registrar,
    digest,
    now: () => state.now,
    onWrongPassword: (host) => wrong.push(host),
    onPresence: ({ isReachable }) => presence.push(isReachable),
  })
  return Object.assign(state, { door, wrong, presence, registered: () => registrar.all(state.now).length })
}

function request(method: string, uri: string, fields: Readonly<Record<string, string>> = {}): SipRequest {
  const all = { From: '<sip:priya@pbx.example.net>;tag=1', To: '<sip:priya@pbx.example.net>', 'Call-ID': 'c', CSeq: `1 ${method}`, ...fields }
  return { kind: 'request', method, uri, headers: Object.entries(all).map(([name, value]) => ({ name, value })), body: NO_BODY }
}

const challengesOf = (answer: Answer): readonly string[] => answer.headers.filter(({ name }) => name === 'WWW-Authenticate').map(({ value }) => value)

/** The request again with credentials; `algorithm` picks one of the challenges. */
function proved(answer: Answer, first: SipRequest, username = 'priya', password = 'pw', algorithm = 'SHA-256', nc = 1): SipRequest {
  const challenges = challengesOf(answer).filter((value) => value.includes(`algorithm=${algorithm}`))
  const value = answerChallenge({ challenges, credentials: { username, password }, method: first.method, uri: first.uri, cnonce: 'abc', nc, hash })
  assert(value)
  return { ...first, headers: [...first.headers, { name: 'Authorization', value }] }
}

const REGISTER = request('REGISTER', `sip:${REALM}`, { Contact: '<sip:priya@10.0.0.1>' })

test('the log hears of a phone when it comes and when it goes, not of every refresh', () => {
  const it = setting()
  const send = (fields: Readonly<Record<string, string>>): void => {
    const asked = request('REGISTER', `sip:${REALM}`, { Contact: '<sip:priya@10.0.0.1>', ...fields })
    it.door.request(proved(it.door.request(asked, PHONE), asked), PHONE)
  }
  send({})
  send({ CSeq: '3 REGISTER' })
  assert.deepEqual(it.presence, [true])
  send({ CSeq: '5 REGISTER', Expires: '0' })
  assert.deepEqual(it.presence, [true, false])
})

for (const algorithm of ['SHA-256', 'MD5']) {
  test(`a phone registers with ${algorithm}`, () => {
    const { door, registered } = setting()
    const challenged = door.request(REGISTER, PHONE)
    assert.equal(challenged.status, 401)
    assert.equal(challengesOf(challenged).length, 2)
    assert.equal(registered(), 0)
    const answer = door.request(proved(challenged, REGISTER, 'priya', 'pw', algorithm), PHONE)
    assert.deepEqual(answer, { status: 200, headers: [{ name: 'Contact', value: '<sip:priya@10.0.0.1>;expires=3600' }] })
    assert.equal(registered(), 1)
  })
}

test('a wrong password is challenged again and told to the log, without its name', () => {
  const { door, wrong } = setting()
  const answer = door.request(proved(door.request(REGISTER, PHONE), REGISTER, 'priya', 'guess'), PHONE)
  assert.equal(answer.status, 401)
  assert.deepEqual(wrong, [PHONE.host])
})

test('a name that does not exist is answered like a wrong password', () => {
  const { door } = setting()
  const answer = door.request(proved(door.request(REGISTER, PHONE), REGISTER, 'nobody', 'pw'), PHONE)
  assert.deepEqual([answer.status, challengesOf(answer).length], [401, 2])
  assert(!challengesOf(answer).some((value) => value.includes('stale')))
})

test('a nonce that was used, or has grown old, is stale: the phone repeats by itself', () => {
  const it = setting()
  const good = proved(it.door.request(REGISTER, PHONE), REGISTER)
  assert.equal(it.door.request(good, PHONE).status, 200)
  const replayed = it.door.request(good, PHONE)
  assert.equal(replayed.status, 401)
  assert(challengesOf(replayed).every((value) => value.includes('stale=true')))
  const old = proved(it.door.request(REGISTER, PHONE), REGISTER)
  it.now += NONCE_LIFETIME_MS + 1
  assert(challengesOf(it.door.request(old, PHONE)).every((value) => value.includes('stale=true')))
})

test('a phone that gives up at the sight of SHA-256 sees MD5 alone: by its name, or when it asks again unanswered', () => {
  const it = setting()
  const old = request('REGISTER', `sip:${REALM}`, { 'User-Agent': 'baresip v1.0.0 (x86_64/linux)' })
  assert.deepEqual(
    challengesOf(it.door.request(old, hop('192.0.2.8'))).map((value) => value.includes('MD5')),
    [true],
  )
  const seen = (): number => challengesOf(it.door.request(REGISTER, PHONE)).length
  assert.deepEqual([seen(), seen()], [2, 1])
  it.now += UNANSWERED_MS
  assert.equal(seen(), 2)
  const good = proved(it.door.request(REGISTER, PHONE), REGISTER, 'priya', 'pw', 'MD5')
  assert.equal(it.door.request(good, PHONE).status, 200)
  assert.equal(seen(), 2, 'an answer shows that it understands')
})

test('nobody registers under another name', () => {
  const { door, registered } = setting()
  const other = request('REGISTER', `sip:${REALM}`, { To: `<sip:ravi@${REALM}>`, Contact: '<sip:priya@10.0.0.1>' })
  assert.equal(door.request(proved(door.request(other, PHONE), other), PHONE).status, 403)
  assert.equal(registered(), 0)
})

test('credentials for another realm do not count, those for ours are found beside them', () => {
  const { door } = setting()
  const challenged = door.request(REGISTER, PHONE)
  const good = proved(challenged, REGISTER)
  const foreign = { name: 'Authorization', value: 'Digest username="priya", realm="elsewhere", nonce="n", uri="sip:x", response="y"' }
  assert.equal(door.request({ ...REGISTER, headers: [...REGISTER.headers, foreign] }, PHONE).status, 401)
  assert.equal(door.request({ ...good, headers: [...REGISTER.headers, foreign, ...good.headers.slice(-1)] }, PHONE).status, 200)
})

test('an INVITE of a phone is challenged, then known; from a trunk it needs no password; a number of nobody is 404', () => {
  const { door } = setting()
  const invite = request('INVITE', `sip:ravi@${REALM}`)
  const first = door.invited(invite, PHONE)
  assert(first.kind === 'refused' && first.answer.status === 401)
  const second = door.invited(proved(first.answer, invite), PHONE)
  assert.deepEqual(second, { kind: 'caller', caller: { accountId: 'acme', from: 'client:priya', dialled: 'client:ravi', source: 'agent' } })
  const brought = door.invited(request('INVITE', `sip:+918011111111@${REALM}`, { From: '<sip:+919876543210@gw>' }), TRUNK)
  assert.deepEqual(brought, { kind: 'caller', caller: { accountId: 'acme', from: '+919876543210', dialled: '+918011111111', source: 'trunk' } })
  const nobody = door.invited(request('INVITE', `sip:+918099999999@${REALM}`, { From: '<sip:+919876543210@gw>' }), TRUNK)
  assert.deepEqual(nobody, { kind: 'refused', answer: { status: 404, headers: [] } })
})

const INVITE = bytes('INVITE sip:100@192.0.2.1 SIP/2.0\r\n')

test('a host that proves nothing is cut off after a burst, and gets so many a second again', () => {
  const it = setting()
  const admitted = (): number => Array.from({ length: UNPROVEN_BURST + 500 }, () => it.door.admit(INVITE, hop('203.0.113.5'))).filter(Boolean).length
  assert.equal(admitted(), UNPROVEN_BURST)
  assert.equal(it.door.admit(INVITE, hop('203.0.113.6')), true, 'another host is not punished')
  it.now += 1_000
  assert.equal(admitted(), UNPROVEN_PER_SECOND)
})

test('responses and what ends a call are never cut off; trunks and proven phones neither, until they fail', () => {
  const it = setting()
  const stranger = hop('203.0.113.5')
  while (it.door.admit(INVITE, stranger));
  for (const free of ['SIP/2.0 200 OK', 'ACK sip:x SIP/2.0', 'BYE sip:x SIP/2.0', 'CANCEL sip:x SIP/2.0'])
    assert.equal(it.door.admit(bytes(free), stranger), true, free)
  for (const counted of ['INVITE', 'REGISTER', 'OPTIONS', 'XY', '']) assert.equal(it.door.admit(bytes(counted), stranger), false, counted)
  assert.equal(it.door.admit(INVITE, TRUNK), true)
  const behind = hop('203.0.113.5', 7777)
  assert.equal(it.door.request(proved(it.door.request(REGISTER, behind), REGISTER), behind).status, 200)
  assert.equal(it.door.admit(INVITE, behind), true, 'a phone that proved itself, behind the same address')
  assert.equal(it.door.admit(INVITE, stranger), false)
  it.door.request(proved(it.door.request(REGISTER, behind), REGISTER, 'priya', 'guess'), behind)
  assert.equal(it.door.admit(INVITE, behind), false, 'and failed since')
  it.door.trust(behind)
  assert.equal(it.door.admit(INVITE, behind), true, 'we called it')
  it.now += PROVEN_MS
  for (let at = 0; at <= UNPROVEN_BURST; at++) it.door.admit(INVITE, stranger)
  assert.equal(it.door.admit(INVITE, behind), false, 'not for ever')
})

test('hosts beyond number do not grow the table', () => {
  const { door } = setting()
  for (let at = 0; at < MAX_COUNTED_HOSTS + 100; at++) door.admit(INVITE, hop(`host${at}`))
  assert.equal(door.counts().hosts, MAX_COUNTED_HOSTS)
})

test('OPTIONS needs no password, unknown methods are not allowed', () => {
  const { door } = setting()
  assert.equal(door.request(request('OPTIONS', `sip:${REALM}`), PHONE).status, 200)
  for (const method of ['MESSAGE', 'SUBSCRIBE', 'PUBLISH', 'NOTIFY', 'REFER', 'FOO'])
    assert.equal(door.request(request(method, `sip:${REALM}`), PHONE).status, 405, method)
})

test('within a call only OPTIONS and an empty INFO are agreed to; a phone that asks for a transfer is refused, or it would hang up', () => {
  const within = (method: string, body = ''): number => answerWithinCall({ ...request(method, 'sip:x'), body: bytes(body) }).status
  assert.deepEqual(
    ['OPTIONS', 'INFO', 'REFER', 'MESSAGE', 'NOTIFY', 'SUBSCRIBE', 'PRACK', 'PUBLISH', 'FOO'].map((method) => [
      method,
      within(method),
      within(method, 'x'),
    ]),
    [
      ['OPTIONS', 200, 200],
      ['INFO', 200, 415],
      ['REFER', 405, 405],
      ['MESSAGE', 405, 405],
      ['NOTIFY', 405, 405],
      ['SUBSCRIBE', 405, 405],
      ['PRACK', 405, 405],
      ['PUBLISH', 405, 405],
      ['FOO', 405, 405],
    ],
  )
})
