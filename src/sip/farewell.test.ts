/** What a user agent leaves behind when its process is killed, and how the next one says goodbye with it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededChance } from '../../test/sip-mutants.ts'
import { makeDigestServer } from './digest.ts'
import { cseqOf } from './header.ts'
import { headerValue, headerValues, NO_BODY, type SipRequest } from './message.ts'
import {
  ANSWER,
  addNode,
  at,
  bench,
  type Bench,
  carryOut,
  established,
  OFFER,
  pair,
  PEER,
  read,
  request,
  response,
  run,
  runOut,
  story,
  theirs,
  toyHash,
  traffic,
  type Network,
  type Node,
} from '../../test/sip-network.ts'
import { FAREWELL_CSEQ_STEP, MAX_MEMORY_CHARS } from './session.ts'
import type { Credentials, Hop, SessionId } from './user-agent.ts'

const nobody = (): null => null

function remembered(node: Pick<Node, 'ua'>, session: SessionId): string {
  const memory = node.ua.memoryOf(session)
  assert.ok(memory !== null)
  return memory
}

/** The process behind that node is killed, and another one is there. */
function reborn(network: Network, node: Node): Node {
  network.nodes.splice(network.nodes.indexOf(node), 1)
  return addNode(network, node.hop.host)
}

function sayFarewell(network: Network, node: Node, memory: string, credentialsAt: (hop: Hop) => Credentials | null = nobody): void {
  at(network, node, network.now, (now) => node.ua.farewell(memory, credentialsAt, now))
}

const byes = (network: Network): readonly SipRequest[] =>
  network.wire.map(({ bytes }) => read(bytes)).filter((message): message is SipRequest => message.kind === 'request' && message.method === 'BYE')

test('the caller was killed: its next life ends the call with a BYE that the callee takes', () => {
  const { network, alice, bob, call } = established()
  const memory = remembered(alice, call)
  const next = reborn(network, alice)
  sayFarewell(network, next, memory)
  runOut(network)
  assert.deepEqual(traffic(network), ['1 BYE', '2 200 BYE'])
  assert.deepEqual(story(bob), ['invited', 'confirmed', 'ended bye by peer 0'])
  assert.deepEqual(next.log, [], 'no event comes of it')
})

test('the callee was killed: its next life ends the call with a BYE that the caller takes', () => {
  const { network, alice, bob, other } = established()
  const memory = remembered(bob, other)
  const next = reborn(network, bob)
  sayFarewell(network, next, memory)
  runOut(network)
  assert.deepEqual(traffic(network), ['2 BYE', '1 200 BYE'])
  assert.equal(story(alice).at(-1), 'ended bye by peer 0')
  assert.deepEqual(next.log, [])
})

test('the CSeq is far above what was remembered, so that a BYE is taken after requests that nobody noted', () => {
  const { network, alice, bob, call } = established()
  const memory = remembered(alice, call)
  for (let second = 1; second <= 5; second++) at(network, alice, network.now + second * 1000, (now) => alice.ua.reoffer(call, OFFER, now))
  run(network, network.now + 10_000)
  const next = reborn(network, alice)
  sayFarewell(network, next, memory)
  runOut(network)
  assert.equal(story(bob).at(-1), 'ended bye by peer 0')
  assert.deepEqual(
    byes(network).map((bye) => cseqOf(bye)?.sequence),
    [1 + FAREWELL_CSEQ_STEP + 1],
  )
})

test('a farewell is repeated until it is answered, and given up after 32 s; nothing is left of it', () => {
  const { network, alice, bob, call } = established()
  const memory = remembered(alice, call)
  const next = reborn(network, alice)
  let lost = 3
  network.drops = () => lost-- > 0
  sayFarewell(network, next, memory)
  runOut(network)
  assert.equal(story(bob).at(-1), 'ended bye by peer 0')
  const before = network.now
  network.drops = () => true
  sayFarewell(network, next, memory)
  runOut(network)
  assert.equal(network.now - before, 32_000)
  assert.deepEqual(next.log, [])
})

test('a peer that has hung up meanwhile answers 481, which means nothing', () => {
  const { network, alice, bob, call, other } = established()
  const memory = remembered(alice, call)
  network.drops = () => true
  at(network, bob, network.now, (now) => bob.ua.hangUp(other, now))
  const next = reborn(network, alice)
  run(network, network.now + 60_000)
  network.drops = () => false
  network.wire.length = 0
  sayFarewell(network, next, memory)
  runOut(network)
  assert.deepEqual(traffic(network), ['1 BYE', '2 481 BYE'])
  assert.deepEqual(next.log, [])
})

/** A peer that takes no BYE without a password. */
function guarded() {
  const scene = established()
  const { network, alice, bob, call } = scene
  const memory = remembered(alice, call)
  network.nodes.splice(network.nodes.indexOf(bob), 1)
  const guard = addNode(network, bob.hop.host)
  const digest = makeDigestServer({ secret: 's', hash: toyHash })
  const taken: string[] = []
  network.stranger = null
  guard.ua.receive = (bytes, from, now) => {
    const bye = read(bytes)
    assert.ok(bye.kind === 'request')
    const header = headerValue(bye, 'Proxy-Authorization')
    const verdict =
      header === undefined
        ? null
        : digest.check({ header, realm: 'r', method: 'BYE', uri: bye.uri, source: from.host, passwordOf: () => 'secret' }, now)
    if (verdict !== null) taken.push(verdict.kind)
    const challenge = digest.challenges('r', false, now).map((value) => `Proxy-Authenticate: ${value}`)
    const answer = response(bye, verdict?.kind === 'ok' ? 200 : 407, { extra: verdict?.kind === 'ok' ? [] : challenge })
    return [{ kind: 'send', bytes: Buffer.from(answer.replaceAll('\n', '\r\n')), to: from }]
  }
  return { network, next: reborn(network, alice), memory, taken, bob }
}

test('a challenge is answered when there are credentials for that hop', () => {
  const { network, next, memory, taken, bob } = guarded()
  const asked: Hop[] = []
  sayFarewell(network, next, memory, (hop) => {
    asked.push(hop)
    return { username: 'earshot', password: 'secret' }
  })
  runOut(network)
  assert.deepEqual(taken, ['ok'])
  assert.deepEqual(asked, [bob.hop])
  const [first, second] = byes(network)
  assert.ok(first && second)
  assert.equal(cseqOf(second)?.sequence, (cseqOf(first)?.sequence ?? 0) + 1)
})

test('without credentials a challenge ends the attempt', () => {
  const { network, next, memory, taken } = guarded()
  sayFarewell(network, next, memory)
  runOut(network)
  assert.deepEqual(taken, [])
  assert.equal(byes(network).length, 1)
  assert.deepEqual(next.log, [])
})

test('only a session that stands leaves a memory', () => {
  const { network, alice, bob, call } = pair(1000)
  assert.equal(alice.ua.memoryOf(call), null, 'while it is dialled')
  run(network, 500)
  assert.equal(alice.ua.memoryOf(call), null, 'while it rings')
  assert.equal(bob.ua.memoryOf(theirs(bob)), null)
  run(network, 2000)
  assert.notEqual(alice.ua.memoryOf(call), null)
  assert.notEqual(bob.ua.memoryOf(theirs(bob)), null)
  carryOut(network, alice, alice.ua.hangUp(call, network.now))
  assert.equal(alice.ua.memoryOf(call), null, 'after its end')
  runOut(network)
  assert.equal(bob.ua.memoryOf(theirs(bob)), null)
  assert.equal(alice.ua.memoryOf('s99' as SessionId), null)
})

test('the memory of a session that lives here moves nothing', () => {
  const { network, alice, bob, call, other } = established()
  const before = alice.ua.counts()
  for (const node of [alice, bob]) assert.deepEqual(node.ua.farewell(remembered(node, node === alice ? call : other), nobody, network.now), [])
  assert.deepEqual(alice.ua.counts(), before)
})

test('a user agent that is full says nobody goodbye', () => {
  const { network, alice, call } = established()
  const memory = remembered(alice, call)
  network.nodes.splice(network.nodes.indexOf(alice), 1)
  const next = addNode(network, alice.hop.host, { limits: { sessions: 10, transactions: 1 } })
  assert.equal(next.ua.farewell(memory, nobody, network.now).length, 1)
  assert.deepEqual(next.ua.farewell(memory, nobody, network.now), [])
})

test('who picks up only after the crash is not answered, and nothing is held for them', () => {
  const { network, alice, bob } = pair()
  run(network, 500)
  const next = reborn(network, alice)
  carryOut(network, bob, bob.ua.accept(theirs(bob), ANSWER, network.now))
  runOut(network)
  assert.deepEqual(next.log, [])
  assert.ok(story(bob).at(-1)?.startsWith('ended timeout'), 'the phone itself gives up after 32 s without an ACK')
  assert.equal(traffic(network).at(-1), '1 481 BYE')
})

const proxies = ['Record-Route: <sip:198.51.100.2:5080;lr>', 'Record-Route: <sip:198.51.100.1;lr>']

/** The scripted peer answers our INVITE with these fields. */
function calling(fields: readonly string[], to: Hop = PEER): { readonly bench: Bench; readonly memory: string } {
  const own = bench()
  const { session, outputs } = own.ua.invite(
    { uri: 'sip:carol@192.0.2.7', to, fromHeader: '<sip:a@b>', toHeader: '<sip:c@d>', body: OFFER, credentials: null, route: [], headers: [] },
    0,
  )
  const [invite] = own.take(outputs)
  own.say(response(invite, 200, { tag: 'peer', extra: fields }), to)
  return { bench: own, memory: remembered(own, session) }
}

function farewellOf(memory: string): { readonly bye: SipRequest; readonly hop: Hop | undefined } {
  const next = bench()
  const [bye] = next.take(next.ua.farewell(memory, nobody, 0))
  assert.ok(bye?.kind === 'request')
  return { bye, hop: next.hops[0] }
}

test('a call through proxies is ended through them, the nearest first', () => {
  const { memory } = calling([...proxies, 'Contact: <sip:carol@203.0.113.5:5062>'])
  const { bye, hop } = farewellOf(memory)
  assert.equal(bye.uri, 'sip:carol@203.0.113.5:5062')
  assert.deepEqual(headerValues(bye, 'Route'), ['<sip:198.51.100.1;lr>', '<sip:198.51.100.2:5080;lr>'])
  assert.deepEqual(hop, { transport: 'udp', host: '198.51.100.1', port: 5060 })
})

test('a strict router becomes the Request-URI, as in any request of the dialog', () => {
  const { bye } = farewellOf(calling(['Record-Route: <sip:198.51.100.1>', 'Contact: <sip:carol@203.0.113.5>']).memory)
  assert.equal(bye.uri, 'sip:198.51.100.1')
  assert.deepEqual(headerValues(bye, 'Route'), ['<sip:carol@203.0.113.5>'])
})

test('a phone behind NAT is told where its packets came from, whatever its Contact says', () => {
  const own = bench()
  const nat = { transport: 'udp', host: '203.0.113.9', port: 41_000 } as const
  const via = 'SIP/2.0/UDP 192.168.1.5:5060;rport;branch=z9hG4bK-1'
  own.say(request('INVITE', { via, body: 'v=0', extra: [] }).replace('Contact: <sip:carol@192.0.2.7>', 'Contact: <sip:carol@192.168.1.5:5060>'), nat)
  const invited = own.events.find((event) => event.kind === 'invited')
  assert.ok(invited)
  own.take(own.ua.accept(invited.session, ANSWER, 0))
  const { bye, hop } = farewellOf(remembered(own, invited.session))
  assert.deepEqual(hop, nat)
  assert.equal(bye.uri, 'sip:carol@192.168.1.5:5060')
})

test('over TCP the connection is gone, so that the peer is called at the address that it named', () => {
  const flow = { transport: 'tcp', host: '192.0.2.7', port: 50_123 } as const
  const at5066 = farewellOf(calling(['Contact: <sip:carol@192.0.2.7:5066;transport=tcp>'], flow).memory)
  assert.deepEqual(at5066.hop, { transport: 'tcp', host: '192.0.2.7', port: 5066 })
  const byName = farewellOf(calling(['Contact: <sip:carol@phone.example;transport=tcp>'], flow).memory)
  assert.deepEqual(byName.hop, flow, 'nobody looks up names here: what worked is tried')
})

test('a memory holds no password and is a small text of one line', () => {
  const { network, bob } = pair(100)
  run(network, 1000)
  const caller = addNode(network, '10.0.0.3')
  const order = { uri: 'sip:bob@10.0.0.2', to: bob.hop, fromHeader: '<sip:a@b>', toHeader: '<sip:c@d>', body: OFFER, route: [], headers: [] }
  const { session, outputs } = caller.ua.invite({ ...order, credentials: { username: 'priya', password: 'open sesame' } }, network.now)
  carryOut(network, caller, outputs)
  run(network, 2000)
  const memory = remembered(caller, session)
  assert.doesNotMatch(memory, /open sesame|priya|\n/)
  assert.ok(memory.length < 600, `${memory.length} characters`)
})

test('what is too long to be kept, or could not be written as a line, leaves no memory', () => {
  for (const display of ['x'.repeat(MAX_MEMORY_CHARS), 'a\u0001b']) {
    const own = bench()
    own.say(request('INVITE', { from: `"${display}" <sip:carol@192.0.2.7>;tag=peer`, body: 'v=0' }))
    const invited = own.events.find((event) => event.kind === 'invited')
    if (invited === undefined) continue // The parser would not have it.
    own.take(own.ua.accept(invited.session, ANSWER, 0))
    assert.equal(own.ua.memoryOf(invited.session), null)
  }
})

const { memory: GOOD } = calling([...proxies, 'Contact: <sip:carol@203.0.113.5:5062>'])
const fields = (): Record<string, unknown> => JSON.parse(GOOD)
const hopWith = (change: object): object => ({ transport: 'udp', host: '192.0.2.7', port: 5060, ...change })

const REFUSED: readonly (readonly [why: string, change: object])[] = [
  ['of another version', { version: 2 }],
  ['without a version', { version: undefined }],
  ['with a Call-ID of two words', { callId: 'a b' }],
  ['with an empty Call-ID', { callId: '' }],
  ['with a Call-ID that begins a line', { callId: 'a\r\nX: y' }],
  ['with a local party without a tag', { local: '<sip:a@b>' }],
  ['with a local party that begins a line', { local: '<sip:a@b>;tag=x\r\nX: y' }],
  ['with a remote party that is none', { remote: 'nobody' }],
  ['with a NUL', { remote: '"\0" <sip:a@b>;tag=y' }],
  ['with a target that is no URI', { target: 'carol' }],
  ['with a target of another scheme', { target: 'tel:+15551234567' }],
  ['with a target of two words', { target: 'sip:carol@192.0.2.7 SIP/2.0' }],
  ['with a route that is none', { routes: ['<sip:p;lr>', 'x'] }],
  ['with a route of another kind', { routes: [7] }],
  ['with routes that are no list', { routes: '<sip:p;lr>' }],
  ['with more routes than anybody has', { routes: Array(65).fill('<sip:p;lr>') }],
  ['without a hop', { hop: null }],
  ['with a hop of another transport', { hop: hopWith({ transport: 'tls' }) }],
  ['with a host name for a hop', { hop: hopWith({ host: 'phone.example' }) }],
  ['with a hop that is no address', { hop: hopWith({ host: '192.0.2.7:5060;x' }) }],
  ['with a colon instead of an address', { hop: hopWith({ host: '::zz' }) }],
  ['with port 0', { hop: hopWith({ port: 0 }) }],
  ['with a port above 65535', { hop: hopWith({ port: 65_536 }) }],
  ['with half a port', { hop: hopWith({ port: 5060.5 }) }],
  ['with a negative CSeq', { sequence: -1 }],
  ['with a CSeq that leaves no room', { sequence: 2 ** 31 - 1 }],
  ['with a CSeq in words', { sequence: 'one' }],
]
for (const [why, change] of REFUSED) {
  test(`a memory ${why} is none`, () => {
    const { ua } = bench()
    assert.deepEqual(ua.farewell(JSON.stringify({ ...fields(), ...change }), nobody, 0), [])
    assert.deepEqual(ua.counts(), { sessions: 0, transactions: 0 })
  })
}
for (const text of ['', 'null', '7', '[]', '{', '"x"', 'x'.repeat(MAX_MEMORY_CHARS + 1), '['.repeat(MAX_MEMORY_CHARS)]) {
  test(`a text that is no memory: ${text.slice(0, 12)} of ${text.length} characters`, () =>
    assert.deepEqual(bench().ua.farewell(text, nobody, 0), []))
}

/** Never throws; what it sends, if anything, is one well-formed BYE to an address. */
function examineFarewell(text: string): boolean {
  const { ua } = bench()
  const outputs = ua.farewell(text, nobody, 0)
  for (const output of outputs) {
    assert.ok(output.kind === 'send')
    const bye = read(output.bytes)
    assert.ok(bye.kind === 'request' && bye.method === 'BYE')
    assert.deepEqual(bye.body, NO_BODY)
    const known = new Set(['Via', 'Route', 'Max-Forwards', 'From', 'To', 'Call-ID', 'CSeq', 'User-Agent', 'Content-Length'])
    assert.deepEqual(
      bye.headers.filter(({ name }) => !known.has(name)),
      [],
      text,
    )
    assert.match(output.to.host, /^[\d.]+$|:/)
  }
  assert.ok(outputs.length <= 1)
  return outputs.length === 1
}

test('memories with broken characters never throw, and what is sent for them is a well-formed BYE', () => {
  const chance = seededChance(11)
  const signs = ['\r', '\n', '\r\n', '\0', '"', '\\"', '<', '>', ',', ';', ' ', '\\r\\nX: y', '\\u0000', ':', '@', '9', '[', ']', 'ü', '']
  let sent = 0
  for (let cases = 0; cases < 5_000; cases++) {
    let text = GOOD
    for (let changes = 1 + chance(3); changes > 0; changes--) {
      const where = chance(text.length)
      text = text.slice(0, where) + signs[chance(signs.length)] + text.slice(where + chance(3))
    }
    if (examineFarewell(text)) sent++
  }
  assert.ok(sent > 50 && sent < 4_500, `${sent} of 5000 were still memories`)
})

test('memories whose parts are anything at all never throw, and what is sent for them is a well-formed BYE', () => {
  const anything = fc.oneof(fc.anything(), fc.string(), fc.constantFrom('<sip:a@b>;tag=1', 'sip:a@b', '<sip:a@b;lr>,<sip:c@d>', 'sips:x@[::1]:1', '::1'))
  const part = fc.constantFrom(...Object.keys(fields()))
  fc.assert(
    fc.property(part, anything, fc.option(fc.tuple(part, anything)), (name, value, also) => {
      examineFarewell(
        JSON.stringify({ ...fields(), [name]: value, ...(also && { [also[0]]: also[1] }) }, (_, item) => (typeof item === 'bigint' ? 1 : item)),
      )
    }),
    { numRuns: 2_000, seed: 5 },
  )
})
