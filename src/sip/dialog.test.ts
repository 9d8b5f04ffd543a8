/** Credentials on challenged requests, end to end on the virtual network, and where the next hop of a dialog is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hopOf, nextHop, refreshed, requestWithin, type Dialog } from './dialog.ts'
import { makeDigestServer, type DigestServer } from './digest.ts'
import { parseAuth } from './header.ts'
import { headerValue, NO_BODY, type SipMessage, type SipRequest } from './message.ts'
import {
  ANSWER,
  OFFER,
  addNode,
  at,
  carryOut,
  makeNetwork,
  orderTo,
  read,
  run,
  runOut,
  story,
  toyHash,
  traffic,
  type Network,
  type Node,
} from '../../test/sip-network.ts'
import { parseUri } from './uri.ts'
import type { Hop, Output, RequestOrder, UaEvent } from './user-agent.ts'

const PRIYA = { username: 'priya', password: 'secret' }

interface Gate {
  readonly network: Network
  readonly alice: Node
  readonly bob: Node
}

/** Bob asks for a password, as `status`, whatever the request; then does what `then` says. */
function gated(
  then: (event: UaEvent, now: number) => readonly Output[],
  status = 401,
  guard: DigestServer = makeDigestServer({ secret: 's', hash: toyHash }),
): Gate {
  const network = makeNetwork()
  const alice = addNode(network, '10.0.0.1')
  const bob = addNode(network, '10.0.0.2')
  const [field, answer] = status === 401 ? ['WWW-Authenticate', 'Authorization'] : ['Proxy-Authenticate', 'Proxy-Authorization']
  bob.on = (event, now) => {
    if (event.kind !== 'invited' && event.kind !== 'request') return then(event, now)
    const header = headerValue(event.request, answer)
    const { method, uri } = event.request
    const attempt = {
      header: header ?? '',
      realm: 'here',
      method,
      uri,
      source: '10.0.0.1',
      passwordOf: (name: string) => (name === 'priya' ? 'secret' : null),
    }
    const verdict = header === undefined ? null : guard.check(attempt, now)
    if (verdict?.kind === 'ok') return then(event, now)
    const stale = verdict?.kind === 'stale' || verdict?.kind === 'replayed'
    const challenges = guard.challenges('here', stale, now).map((value) => ({ name: field, value }))
    return event.kind === 'invited'
      ? bob.ua.reject(event.session, status, challenges, now)
      : bob.ua.respond(event.transaction, status, challenges, NO_BODY, now)
  }
  return { network, alice, bob }
}
const requests = (network: Network, method: string): SipMessage[] =>
  network.wire.map(({ bytes }) => read(bytes)).filter((message) => message.kind === 'request' && message.method === method)
const register = (bob: Node, more: Partial<RequestOrder> = {}): RequestOrder => {
  const me = '<sip:priya@10.0.0.2>'
  return {
    method: 'REGISTER',
    uri: 'sip:10.0.0.2',
    to: bob.hop,
    fromHeader: me,
    toHeader: me,
    credentials: PRIYA,
    headers: [],
    body: NO_BODY,
    callId: 'registration',
    ...more,
  }
}

for (const status of [401, 407]) {
  test(`an INVITE that is challenged with ${status} is acknowledged and repeated with credentials: same Call-ID and tag, CSeq + 1, new branch`, () => {
    const { network, alice, bob } = gated((event, now) => (event.kind === 'invited' ? bob.ua.accept(event.session, ANSWER, now) : []), status)
    carryOut(network, alice, alice.ua.invite(orderTo(bob, { credentials: PRIYA }), 0).outputs)
    run(network, 10_000)
    assert.deepEqual(traffic(network), [
      '1 INVITE',
      '2 100 INVITE',
      `2 ${status} INVITE`,
      '1 ACK',
      '1 INVITE',
      '2 100 INVITE',
      '2 200 INVITE',
      '1 ACK',
    ])
    const [first, second] = requests(network, 'INVITE')
    assert.ok(first && second)
    for (const same of ['Call-ID', 'From', 'To', 'Contact', 'Allow']) assert.equal(headerValue(first, same), headerValue(second, same), same)
    assert.deepEqual([headerValue(first, 'CSeq'), headerValue(second, 'CSeq')], ['1 INVITE', '2 INVITE'])
    assert.notEqual(headerValue(first, 'Via'), headerValue(second, 'Via'))
    assert.deepEqual(story(alice), ['accepted'])
    const name = status === 401 ? 'Authorization' : 'Proxy-Authorization'
    assert.equal(
      headerValue(requests(network, 'ACK')[1] as SipMessage, name),
      headerValue(second, name),
      'the ACK of the 2xx repeats the credentials (§22.1)',
    )
    assert.equal(headerValue(requests(network, 'ACK')[1] as SipMessage, 'CSeq'), '2 ACK')
  })
}

test('a wrong password is tried once, and the call ends as rejected', () => {
  const { network, alice, bob } = gated(() => [])
  carryOut(network, alice, alice.ua.invite(orderTo(bob, { credentials: { ...PRIYA, password: 'wrong' } }), 0).outputs)
  runOut(network)
  assert.equal(requests(network, 'INVITE').length, 2)
  assert.deepEqual(story(alice), ['ended rejected by peer 401'])
})

test('without credentials a challenge is a rejection', () => {
  const { network, alice, bob } = gated(() => [])
  carryOut(network, alice, alice.ua.invite(orderTo(bob), 0).outputs)
  runOut(network)
  assert.equal(requests(network, 'INVITE').length, 1)
  assert.deepEqual(story(alice), ['ended rejected by peer 401'])
})

test('a call that was hung up is not repeated with credentials', () => {
  const { network, alice, bob } = gated(() => [])
  const { session, outputs } = alice.ua.invite(orderTo(bob, { credentials: PRIYA }), 0)
  carryOut(network, alice, outputs)
  at(network, alice, 1, (now) => alice.ua.hangUp(session, now))
  runOut(network)
  assert.equal(requests(network, 'INVITE').length, 1)
  assert.deepEqual(story(alice), ['ended cancelled by us 0'])
})

test('REGISTER is repeated with credentials; refreshes of one Call-ID have rising CSeq and our Contact', () => {
  const { network, alice, bob } = gated((event, now) => (event.kind === 'request' ? bob.ua.respond(event.transaction, 200, [], NO_BODY, now) : []))
  for (const start of [0, 60_000]) at(network, alice, start, (now) => alice.ua.request(register(bob), now).outputs)
  runOut(network)
  const sent = requests(network, 'REGISTER')
  assert.deepEqual(
    sent.map((message) => headerValue(message, 'CSeq')),
    ['1 REGISTER', '2 REGISTER', '3 REGISTER', '4 REGISTER'],
  )
  assert.deepEqual(new Set(sent.map((message) => headerValue(message, 'Call-ID'))), new Set(['registration']))
  assert.equal(headerValue(sent[0] as SipMessage, 'Contact'), '<sip:priya@10.0.0.1:5060>')
  assert.deepEqual(story(alice), ['response 200', 'response 200'])
})

test('a stale nonce allows another try; a server that calls everything stale is given up after four', () => {
  const always: DigestServer = { ...makeDigestServer({ secret: 's', hash: toyHash }), check: () => ({ kind: 'stale' }) }
  const { network, alice, bob } = gated(() => [], 401, always)
  carryOut(network, alice, alice.ua.request(register(bob), 0).outputs)
  runOut(network)
  assert.equal(requests(network, 'REGISTER').length, 5)
  assert.deepEqual(story(alice), ['response 401'])
})

test('407 of a proxy after 401 of the server: both are answered in one request, and a nonce used twice counts on', () => {
  const network = makeNetwork()
  const alice = addNode(network, '10.0.0.1')
  const bob = addNode(network, '10.0.0.2')
  const seen: SipRequest[] = []
  const challenge = (nonce: string): string => `Digest realm="here", nonce="${nonce}", qop="auth", algorithm=MD5`
  bob.on = (event, now) => {
    if (event.kind !== 'request') return []
    seen.push(event.request)
    const has = (name: string): boolean => headerValue(event.request, name) !== undefined
    if (!has('Authorization')) return bob.ua.respond(event.transaction, 401, [{ name: 'WWW-Authenticate', value: challenge('n1') }], NO_BODY, now)
    if (!has('Proxy-Authorization'))
      return bob.ua.respond(event.transaction, 407, [{ name: 'Proxy-Authenticate', value: challenge('n2') }], NO_BODY, now)
    return bob.ua.respond(event.transaction, 200, [], NO_BODY, now)
  }
  carryOut(network, alice, alice.ua.request(register(bob), 0).outputs)
  runOut(network)
  assert.deepEqual(story(alice), ['response 200'])
  const count = (message: SipRequest | undefined, name: string): string | undefined =>
    parseAuth((message && headerValue(message, name)) ?? '')?.params.get('nc')
  assert.deepEqual(
    seen.map((message) => [count(message, 'Authorization'), count(message, 'Proxy-Authorization')]),
    [
      [undefined, undefined],
      ['00000001', undefined],
      ['00000002', '00000001'],
    ],
  )
})

test('a BYE of ours that is challenged is repeated with credentials, long after the session ended for the house', () => {
  const network = makeNetwork()
  const alice = addNode(network, '10.0.0.1')
  const proxyHop: Hop = { transport: 'udp', host: '10.0.0.9', port: 5060 }
  const { session, outputs } = alice.ua.invite(orderTo(alice, { uri: 'sip:x@10.0.0.9', to: proxyHop, credentials: PRIYA }), 0)
  const bytesOf = (sent: readonly Output[]): SipRequest[] =>
    sent.flatMap((output) => (output.kind === 'send' ? [read(output.bytes) as SipRequest] : []))
  const answer = (to: SipRequest | undefined, status: number, extra: readonly string[]): readonly Output[] => {
    assert.ok(to)
    const copied = to.headers.filter(({ name }) => ['Via', 'From', 'Call-ID', 'CSeq'].includes(name)).map(({ name, value }) => `${name}: ${value}`)
    return alice.ua.receive(
      Buffer.from([`SIP/2.0 ${status} X`, ...copied, 'To: <sip:x@10.0.0.9>;tag=t', ...extra, 'Content-Length: 0', '', ''].join('\r\n')),
      proxyHop,
      0,
    )
  }
  answer(bytesOf(outputs)[0], 200, ['Contact: <sip:x@10.0.0.9>'])
  const [bye] = bytesOf(alice.ua.hangUp(session, 0))
  const [again] = bytesOf(answer(bye, 407, ['Proxy-Authenticate: Digest realm="p", nonce="n", qop="auth"']))
  assert.equal(again?.method, 'BYE')
  assert.ok(again && headerValue(again, 'Proxy-Authorization') !== undefined)
  assert.deepEqual([bye && headerValue(bye, 'CSeq'), headerValue(again, 'CSeq')], ['2 BYE', '3 BYE'])
  answer(again, 200, [])
  assert.equal(alice.ua.counts().sessions, 0)
})

test('a request without any answer fails as timeout after 32 s, one whose hop fails as transport', () => {
  const network = makeNetwork()
  const alice = addNode(network, '10.0.0.1')
  const nobody: Hop = { transport: 'udp', host: '10.9.9.9', port: 5060 }
  at(network, alice, 0, (now) => alice.ua.request(register(alice, { to: nobody }), now).outputs)
  at(network, alice, 100_000, (now) => [...alice.ua.request(register(alice, { to: nobody }), now).outputs, ...alice.ua.transportFailed(nobody, now)])
  runOut(network)
  assert.deepEqual(story(alice), ['request-failed timeout', 'request-failed transport'])
  assert.equal(alice.log[0]?.at, 32_000)
})

test('over the limit of transactions a request of ours fails at once', () => {
  const network = makeNetwork()
  const alice = addNode(network, '10.0.0.1', { limits: { sessions: 1, transactions: 0 } })
  const { outputs } = alice.ua.request(register(alice), 0)
  assert.deepEqual(
    outputs.map((output) => output.kind === 'event' && output.event.kind),
    ['request-failed'],
  )
})

const UDP: Hop = { transport: 'udp', host: '192.0.2.1', port: 40_000 }
const TCP: Hop = { transport: 'tcp', host: '192.0.2.1', port: 40_000 }
const AS = { host: '10.1.1.1', port: 5060 }
const HOPS: readonly (readonly [string, string, Hop, Hop])[] = [
  ['an address is used', 'sip:a@203.0.113.1:5070', UDP, { transport: 'udp', host: '203.0.113.1', port: 5070 }],
  ['without port it is 5060', 'sip:a@203.0.113.1', UDP, { transport: 'udp', host: '203.0.113.1', port: 5060 }],
  ['IPv6 too', 'sip:a@[2001:db8::1]:5070', UDP, { transport: 'udp', host: '2001:db8::1', port: 5070 }],
  ['a name is reached where the dialog came up', 'sip:a@carol.example', UDP, UDP],
  ['what stands for a hop that works is reached by it (NAT)', 'sip:a@10.1.1.1:5060', UDP, UDP],
  ['also with the port left out', 'sip:a@10.1.1.1', UDP, UDP],
  ['an open connection is used for its host', 'sip:a@192.0.2.1:5060;transport=tcp', TCP, TCP],
  ['and when the transport is not said', 'sip:a@192.0.2.1', TCP, TCP],
  ['TCP may be asked for from UDP', 'sip:a@203.0.113.1;transport=TCP', UDP, { transport: 'tcp', host: '203.0.113.1', port: 5060 }],
  ['UDP may be asked for from TCP', 'sip:a@203.0.113.1;transport=udp', TCP, { transport: 'udp', host: '203.0.113.1', port: 5060 }],
]
for (const [what, text, hop, expected] of HOPS) {
  test(`next hop: ${what}`, () => {
    const uri = parseUri(text)
    assert.ok(uri)
    assert.deepEqual(hopOf(uri, { hop, as: AS }), expected)
  })
}

const DIALOG: Dialog = {
  callId: 'c',
  localTag: 'l',
  remoteTag: 'r',
  local: '<sip:us@a>;tag=l',
  remote: '<sip:them@b>;tag=r',
  localCSeq: 4,
  remoteCSeq: null,
  target: 'sip:them@203.0.113.1',
  routes: [],
  reach: { hop: UDP, as: null },
}

test('a message without Contact leaves the target, one with Contact moves it', () => {
  const update = (contact: string[]): SipRequest => ({
    kind: 'request',
    method: 'UPDATE',
    uri: 'sip:us@a',
    headers: contact.map((value) => ({ name: 'Contact', value })),
    body: OFFER,
  })
  assert.equal(refreshed(DIALOG, update([]), UDP).target, DIALOG.target)
  assert.equal(refreshed(DIALOG, update(['"T" <sip:t@203.0.113.9:5099;x=1?h=v>;q=1']), UDP).target, 'sip:t@203.0.113.9:5099;x=1')
  assert.deepEqual(refreshed({ ...DIALOG, routes: ['<sip:p;lr>'] }, update(['<sip:t@h>']), TCP).reach, DIALOG.reach, 'behind a proxy the way stays')
})

test('a request within a dialog carries its identity; the first route names the hop', () => {
  const dialog = { ...DIALOG, routes: ['<sip:198.51.100.4:5064;lr>', '<sip:198.51.100.5;lr>'] }
  const message = requestWithin(dialog, 'INFO', 5, [], NO_BODY)
  assert.equal(message.uri, DIALOG.target)
  assert.deepEqual(
    message.headers.map(({ name, value }) => `${name}: ${value}`),
    [
      'Route: <sip:198.51.100.4:5064;lr>',
      'Route: <sip:198.51.100.5;lr>',
      'Max-Forwards: 70',
      'From: <sip:us@a>;tag=l',
      'To: <sip:them@b>;tag=r',
      'Call-ID: c',
      'CSeq: 5 INFO',
    ],
  )
  assert.deepEqual(nextHop(dialog), { transport: 'udp', host: '198.51.100.4', port: 5064 })
})
