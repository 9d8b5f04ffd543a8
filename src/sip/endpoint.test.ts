/** One user agent against a scripted peer that says exactly what the script says, right or wrong. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { headerValue, headerValues, NO_BODY, type SipMessage, type SipRequest, type SipResponse } from './message.ts'
import { ANSWER, OFFER, OURS, PEER, bench, request, response, type Bench, type RequestLines } from '../../test/sip-network.ts'
import type { Hop, InviteOrder, SessionId, UaEvent } from './user-agent.ts'

const spell = (messages: readonly SipMessage[]): string[] =>
  messages.map((message) => (message.kind === 'request' ? message.method : String(message.status)))
const kinds = (events: readonly UaEvent[]): string[] => events.map(({ kind }) => kind)
const tagIn = (message: SipMessage | undefined, name: string): string => /;tag=([^;]+)/.exec((message && headerValue(message, name)) ?? '')?.[1] ?? ''

function order(more: Partial<InviteOrder> = {}): InviteOrder {
  const to = '<sip:carol@192.0.2.7>'
  return {
    uri: 'sip:carol@192.0.2.7',
    to: PEER,
    fromHeader: '<sip:bob@example.test>',
    toHeader: to,
    body: OFFER,
    credentials: null,
    route: [],
    headers: [],
    ...more,
  }
}

/** A call that came in and was answered and acknowledged. */
function answered(): Bench & { readonly session: SessionId; readonly ourTag: string } {
  const peer = bench()
  peer.say(request('INVITE', { body: 'v=0' }))
  const event = peer.events[0]
  assert.ok(event?.kind === 'invited')
  const [ok] = peer.take(peer.ua.accept(event.session, ANSWER, 0))
  const ourTag = tagIn(ok, 'To')
  peer.say(request('ACK', { to: `<sip:bob@${OURS}>;tag=${ourTag}`, branch: 'z9hG4bK-ack' }))
  peer.events.length = 0
  return { ...peer, session: event.session, ourTag }
}

/** A call that went out: the INVITE, and the bench. */
function dialled(more: Partial<InviteOrder> = {}): Bench & { readonly session: SessionId; readonly invite: SipRequest } {
  const peer = bench()
  const { session, outputs } = peer.ua.invite(order(more), 0)
  const [invite] = peer.take(outputs)
  assert.ok(invite?.kind === 'request')
  return { ...peer, session, invite }
}
const OK = { tag: 'peer', extra: ['Contact: <sip:carol@192.0.2.7>'] }

test('what comes in is matched by branch, sent-by and method: a repeated INVITE gets the newest answer again and no second event', () => {
  const peer = bench()
  assert.deepEqual(spell(peer.say(request('INVITE'))), ['100'])
  assert.deepEqual(spell(peer.say(request('INVITE'))), ['100'])
  assert.deepEqual(kinds(peer.events), ['invited'])
  const event = peer.events[0]
  assert.ok(event?.kind === 'invited')
  peer.take(peer.ua.progress(event.session, 180, NO_BODY, 0))
  assert.deepEqual(spell(peer.say(request('INVITE'))), ['180'])
  peer.say(request('INVITE', { via: 'SIP/2.0/UDP 192.0.2.8:5060;branch=z9hG4bK-INVITE-1', callId: 'call-2' }))
  assert.deepEqual(kinds(peer.events), ['invited', 'invited'])
})

test('an INVITE from before RFC 3261 is matched by URI, tag, Call-ID, CSeq and Via, and its ACK too', () => {
  const peer = bench()
  const via = 'SIP/2.0/UDP 192.0.2.7:5060'
  peer.say(request('INVITE', { via }))
  assert.deepEqual(spell(peer.say(request('INVITE', { via }))), ['100'])
  assert.deepEqual(kinds(peer.events), ['invited'])
  const event = peer.events[0]
  assert.ok(event?.kind === 'invited')
  const [busy] = peer.take(peer.ua.reject(event.session, 486, [], 0))
  peer.say(request('ACK', { via, to: headerValue(busy as SipResponse, 'To') ?? '' }))
  assert.deepEqual(spell(peer.take(peer.ua.due(20_000))), [], 'acknowledged: no repeat')
})

test('rport: the Via says where the request came from and the answer goes there (RFC 3581)', () => {
  const peer = bench()
  const from: Hop = { transport: 'udp', host: '198.51.100.3', port: 40_123 }
  const [trying] = peer.say(request('INVITE', { via: 'SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bKnat' }), from)
  assert.match(headerValue(trying as SipResponse, 'Via') ?? '', /;rport=40123/)
  assert.match(headerValue(trying as SipResponse, 'Via') ?? '', /;received=198\.51\.100\.3/)
  assert.deepEqual(peer.hops, [from])
})

test('without rport the answer goes to the source address and the port of the Via (RFC 3261 §18.2.2)', () => {
  const peer = bench()
  const [trying] = peer.say(request('OPTIONS', { via: 'SIP/2.0/UDP pc.example:5070;branch=z9hG4bKx', extra: ['Require: nothing'] }), {
    ...PEER,
    port: 999,
  })
  assert.match(headerValue(trying as SipResponse, 'Via') ?? '', /;received=192\.0\.2\.7/)
  assert.deepEqual(peer.hops, [{ ...PEER, port: 5070 }])
})

test('over TCP the answer goes back on the connection, whatever the Via says', () => {
  const peer = bench()
  const from: Hop = { transport: 'tcp', host: '198.51.100.3', port: 33_333 }
  peer.say(request('INVITE', { via: 'SIP/2.0/TCP 192.0.2.7:5060;branch=z9hG4bKt' }), from)
  assert.deepEqual(peer.hops, [from])
})

test('our INVITE carries rport, a fresh branch, Contact, Allow and the product, and goes where it is told', () => {
  const { invite, hops } = dialled({ headers: [{ name: 'X-Call', value: '7' }], route: ['<sip:proxy.test;lr>'] })
  assert.match(headerValue(invite, 'Via') ?? '', /^SIP\/2\.0\/UDP 10\.0\.0\.1:5060;branch=z9hG4bK[0-9a-z]{16};rport$/)
  assert.equal(headerValue(invite, 'Contact'), '<sip:bob@10.0.0.1:5060>')
  assert.equal(headerValue(invite, 'User-Agent'), 'earshot-test')
  assert.equal(headerValue(invite, 'Route'), '<sip:proxy.test;lr>')
  assert.equal(headerValue(invite, 'X-Call'), '7')
  assert.equal(headerValue(invite, 'Max-Forwards'), '70')
  assert.equal(headerValue(invite, 'Content-Type'), 'application/sdp')
  assert.match(headerValue(invite, 'Allow') ?? '', /UPDATE/)
  assert.deepEqual(hops, [PEER])
})

test('a spoofed BYE with wrong tags is answered 481 and nothing moves', () => {
  const { say, events, ua, ourTag } = answered()
  const before = ua.counts()
  for (const wrong of [
    { to: `<sip:bob@${OURS}>;tag=guess` },
    { to: `<sip:bob@${OURS}>;tag=${ourTag}`, from: '<sip:carol@192.0.2.7>;tag=guess' },
    { to: `<sip:bob@${OURS}>;tag=${ourTag}`, from: '<sip:carol@192.0.2.7>' },
    { to: `<sip:bob@${OURS}>;tag=${ourTag}`, callId: 'another' },
    { to: `<sip:bob@${OURS}>` },
  ]) {
    assert.deepEqual(spell(say(request('BYE', { ...wrong, cseq: 2 }))), ['481'])
  }
  assert.deepEqual(events, [])
  assert.deepEqual(ua.counts(), before)
})

test('a BYE from elsewhere with the right tags ends the call: tags are the secret, not addresses', () => {
  const { say, events, ourTag, hops } = answered()
  const from: Hop = { transport: 'udp', host: '198.51.100.9', port: 7 }
  const via = 'SIP/2.0/UDP 198.51.100.9:7;rport;branch=z9hG4bKelse'
  assert.deepEqual(spell(say(request('BYE', { via, cseq: 2, to: `<sip:bob@${OURS}>;tag=${ourTag}` }), from)), ['200'])
  assert.deepEqual(hops.at(-1), from)
  assert.deepEqual(kinds(events), ['ended'])
})

test('a CSeq that does not rise is answered 500 and nothing moves (RFC 3261 §12.2.2)', () => {
  const { say, events, ourTag } = answered()
  const to = `<sip:bob@${OURS}>;tag=${ourTag}`
  assert.deepEqual(spell(say(request('INFO', { to, cseq: 5 }))), [])
  assert.deepEqual(spell(say(request('BYE', { to, cseq: 4 }))), ['500'])
  assert.deepEqual(spell(say(request('BYE', { to, cseq: 5, branch: 'z9hG4bK-again' }))), ['500'])
  assert.deepEqual(kinds(events), ['request'])
})

test('a replayed ACK says nothing a second time; one with another CSeq or tag never counts', () => {
  const peer = bench()
  peer.say(request('INVITE', { body: 'v=0' }))
  const event = peer.events[0]
  assert.ok(event?.kind === 'invited')
  const [ok] = peer.take(peer.ua.accept(event.session, ANSWER, 0))
  const to = `<sip:bob@${OURS}>;tag=${tagIn(ok, 'To')}`
  const ack = (more: RequestLines): readonly SipMessage[] =>
    peer.say(request('ACK', { to, branch: `z9hG4bK-ack-${peer.hops.length}-${more.cseq ?? ''}`, ...more }))
  ack({ cseq: 2 })
  ack({ from: '<sip:carol@192.0.2.7>;tag=wrong' })
  ack({ to: `<sip:bob@${OURS}>;tag=wrong` })
  assert.deepEqual(kinds(peer.events), ['invited'])
  assert.deepEqual(spell(peer.take(peer.ua.due(500))), ['200'], 'still repeated')
  for (const branch of ['z9hG4bK-a', 'z9hG4bK-a', 'z9hG4bK-b']) ack({ branch })
  assert.deepEqual(kinds(peer.events), ['invited', 'confirmed'])
})

test('a CANCEL with another branch is 481 and the call rings on; the right one gets 200 and the INVITE 487', () => {
  const peer = bench()
  peer.say(request('INVITE'))
  assert.deepEqual(spell(peer.say(request('CANCEL', { branch: 'z9hG4bK-wrong' }))), ['481'])
  assert.deepEqual(kinds(peer.events), ['invited'])
  const sent = peer.say(request('CANCEL', { branch: 'z9hG4bK-INVITE-1' }))
  assert.deepEqual(spell(sent), ['200', '487'])
  assert.equal(tagIn(sent[0], 'To'), tagIn(sent[1], 'To'))
  assert.deepEqual(kinds(peer.events), ['invited', 'ended'])
  assert.deepEqual(spell(peer.say(request('CANCEL', { branch: 'z9hG4bK-INVITE-1' }))), ['200'])
})

test('an ACK for nothing is never answered', () => {
  const peer = bench()
  assert.deepEqual(peer.say(request('ACK')), [])
  assert.deepEqual(peer.say(request('ACK', { to: `<sip:bob@${OURS}>;tag=x` })), [])
  assert.deepEqual(peer.events, [])
})

const REFUSALS: readonly (readonly [string, string, number, string | null, string | null])[] = [
  ['Require of what we do not know', request('INVITE', { extra: ['Require: 100rel, foo'] }), 420, 'Unsupported', '100rel, foo'],
  ['Max-Forwards 0', request('INVITE').replace('Forwards: 70', 'Forwards: 0'), 483, null, null],
  ['a body that is not SDP', request('INVITE', { body: 'v' }).replace('application/sdp', 'text/plain'), 415, 'Accept', 'application/sdp'],
  ['a scheme that nobody calls', request('INVITE', { uri: 'mailto:carol@example.test' }), 416, null, null],
  ['a dialog that does not exist', request('INFO', { to: '<sip:a@b>;tag=x' }), 481, null, null],
  ['a re-INVITE of no dialog', request('INVITE', { to: '<sip:a@b>;tag=x' }), 481, null, null],
  ['UPDATE outside a dialog', request('UPDATE'), 481, null, null],
  ['PRACK outside a dialog', request('PRACK'), 481, null, null],
  ['two Call-IDs in a To that can be answered', request('INVITE', { cseq: 2 }).replace('CSeq: 2 INVITE', 'CSeq: 2 BYE'), 400, null, null],
]
for (const [what, text, status, name, value] of REFUSALS) {
  test(`${what} is refused with ${status}, the same way each time, and nothing is kept`, () => {
    const peer = bench()
    const [first] = peer.say(text)
    const [again] = peer.say(text)
    assert.ok(first?.kind === 'response')
    assert.equal(first.status, status)
    if (name !== null) assert.equal(headerValue(first, name), value)
    assert.deepEqual(first, again)
    assert.notEqual(tagIn(first, 'To'), '')
    assert.deepEqual(peer.ua.counts(), { sessions: 0, transactions: 0 })
    assert.equal(kinds(peer.events).includes('invited'), false)
  })
}

test('OPTIONS, REGISTER and unknown methods are for the consumer; 405 and a good OPTIONS say Allow', () => {
  const peer = bench()
  for (const [method, status] of [
    ['OPTIONS', 200],
    ['REGISTER', 200],
    ['BREW', 405],
  ] as const) {
    peer.say(request(method))
    const event = peer.events.at(-1)
    assert.ok(event?.kind === 'request' && event.session === null)
    const [answer] = peer.take(peer.ua.respond(event.transaction, status, [], NO_BODY, 0))
    assert.equal(answer?.kind === 'response' && answer.status, status)
    assert.equal(headerValue(answer as SipResponse, 'Allow') !== undefined, method !== 'REGISTER')
    assert.deepEqual(peer.take(peer.ua.respond(event.transaction, status, [], NO_BODY, 0)), [], 'one answer')
    assert.deepEqual(spell(peer.say(request(method))), [String(status)], 'a repeat gets it again')
  }
  assert.equal(peer.events.length, 3)
})

test('a request that the consumer never answers is forgotten after 32 s, and an answer then goes nowhere', () => {
  const peer = bench()
  peer.say(request('OPTIONS'))
  const event = peer.events[0]
  assert.ok(event?.kind === 'request')
  peer.take(peer.ua.due(32_000))
  assert.deepEqual(peer.ua.counts(), { sessions: 0, transactions: 0 })
  assert.deepEqual(peer.take(peer.ua.respond(event.transaction, 200, [], NO_BODY, 32_000)), [])
})

test('INFO within a call is given with its session', () => {
  const { say, events, ourTag, session } = answered()
  say(request('INFO', { to: `<sip:bob@${OURS}>;tag=${ourTag}`, cseq: 2 }))
  assert.ok(events[0]?.kind === 'request' && events[0].session === session)
})

test('UPDATE without a body only refreshes; with an offer it is a re-offer; a second one before our answer is 500 with Retry-After', () => {
  const { say, events, ourTag, ua, session, take, hops } = answered()
  const to = `<sip:bob@${OURS}>;tag=${ourTag}`
  const moved = request('UPDATE', { to, cseq: 2 }).replace('Contact: <sip:carol@192.0.2.7>', 'Contact: <sip:carol@192.0.2.99:5090>')
  assert.deepEqual(spell(say(moved)), ['200'])
  assert.deepEqual(events, [])
  assert.deepEqual(spell(say(request('UPDATE', { to, cseq: 3, body: 'v=0' }).replace('@192.0.2.7>\nContent', '@192.0.2.99:5090>\nContent'))), [])
  assert.deepEqual(kinds(events), ['reoffered'])
  const [busy] = say(request('INVITE', { to, cseq: 4, body: 'v=0' }))
  assert.ok(busy?.kind === 'response' && busy.status === 500)
  assert.match(headerValue(busy, 'Retry-After') ?? '', /^(\d|10)$/)
  assert.deepEqual(spell(take(ua.answerOffer(session, ANSWER, 0))), ['200'])
  const [bye] = take(ua.hangUp(session, 0))
  assert.ok(bye?.kind === 'request')
  assert.equal(bye.uri, 'sip:carol@192.0.2.99:5090')
  assert.deepEqual(hops.at(-1), { transport: 'udp', host: '192.0.2.99', port: 5090 })
})

test('a re-INVITE that the peer takes back gets 487 and the call goes on', () => {
  const { say, events, ourTag, ua, session } = answered()
  const to = `<sip:bob@${OURS}>;tag=${ourTag}`
  assert.deepEqual(spell(say(request('INVITE', { to, cseq: 2, body: 'v=0' }))), ['100'])
  assert.deepEqual(spell(say(request('CANCEL', { to, cseq: 2, branch: 'z9hG4bK-INVITE-2' }))), ['200', '487'])
  assert.deepEqual(kinds(events), ['reoffered'])
  assert.deepEqual(ua.answerOffer(session, ANSWER, 0), [])
  assert.equal(ua.counts().sessions, 1)
})

test('a proxy that record-routes is passed through in both directions, nearest first (loose routing)', () => {
  const proxies = ['Record-Route: <sip:198.51.100.1;lr>', 'Record-Route: <sip:198.51.100.2:5080;lr>']
  const { invite, say, take, ua, session, hops } = dialled()
  const [ack] = say(response(invite, 200, { tag: 'peer', extra: [...proxies, 'Contact: <sip:carol@203.0.113.5:5070>'] }))
  for (const message of [ack, take(ua.hangUp(session, 0))[0]]) {
    assert.ok(message?.kind === 'request')
    assert.equal(message.uri, 'sip:carol@203.0.113.5:5070')
    assert.deepEqual(headerValues(message, 'Route'), ['<sip:198.51.100.2:5080;lr>', '<sip:198.51.100.1;lr>'])
    assert.deepEqual(hops.at(-1), { transport: 'udp', host: '198.51.100.2', port: 5080 })
  }
})

test('called through a proxy: our answer repeats Record-Route and our BYE goes through it, first one first', () => {
  const peer = bench()
  const via = 'SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKp'
  const proxy: Hop = { transport: 'udp', host: '198.51.100.1', port: 5060 }
  const routes = ['Record-Route: <sip:198.51.100.1;lr>, <sip:198.51.100.2;lr>']
  peer.say(request('INVITE', { via, extra: routes, body: 'v=0' }), proxy)
  const event = peer.events[0]
  assert.ok(event?.kind === 'invited')
  const [ok] = peer.take(peer.ua.accept(event.session, ANSWER, 0))
  assert.equal(headerValue(ok as SipResponse, 'Record-Route'), '<sip:198.51.100.1;lr>, <sip:198.51.100.2;lr>')
  peer.say(request('ACK', { via: 'SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKq', to: headerValue(ok as SipResponse, 'To') ?? '' }), proxy)
  const [bye] = peer.take(peer.ua.hangUp(event.session, 0))
  assert.ok(bye?.kind === 'request')
  assert.deepEqual(headerValues(bye, 'Route'), ['<sip:198.51.100.1;lr>', '<sip:198.51.100.2;lr>'])
  assert.deepEqual(peer.hops.at(-1), proxy)
})

test('a strict router becomes the Request-URI and the target goes last (RFC 3261 §12.2.1.1)', () => {
  const { invite, say } = dialled()
  const [ack] = say(response(invite, 200, { tag: 'peer', extra: ['Record-Route: <sip:198.51.100.1>', 'Contact: <sip:carol@203.0.113.5>'] }))
  assert.ok(ack?.kind === 'request')
  assert.equal(ack.uri, 'sip:198.51.100.1')
  assert.deepEqual(headerValues(ack, 'Route'), ['<sip:carol@203.0.113.5>'])
})

test('a second phone that answers the same INVITE gets its ACK and a BYE; the first call is untouched', () => {
  const { invite, say, events } = dialled()
  say(response(invite, 200, OK))
  assert.deepEqual(kinds(events), ['accepted'])
  const sent = say(response(invite, 200, { ...OK, tag: 'fork' }))
  assert.deepEqual(spell(sent), ['ACK', 'BYE'])
  for (const message of sent) assert.equal(tagIn(message, 'To'), 'fork')
  assert.deepEqual(spell(say(response(invite, 200, { ...OK, tag: 'fork' }))), ['ACK'], 'its repeat: ACK alone')
  assert.deepEqual(spell(say(response(invite, 200, OK))), ['ACK'])
  for (let fork = 0; fork < 50; fork++) say(response(invite, 200, { ...OK, tag: `more${fork}` }))
  assert.deepEqual(say(response(invite, 200, { ...OK, tag: 'one-more' })), [], 'the number of forks is bounded')
  assert.deepEqual(kinds(events), ['accepted'])
})

test('a response with another sent-by, branch or method is not ours', () => {
  const { invite, say, events } = dialled()
  say(response(invite, 200, OK).replace('10.0.0.1:5060;', '10.9.9.9:5060;'))
  say(response(invite, 200, OK).replace('branch=z9hG4bK', 'branch=z9hG4bKx'))
  say(response(invite, 200, OK).replace('1 INVITE', '1 BYE'))
  assert.deepEqual(events, [])
})

test('Contact;transport=tcp moves the dialog to TCP, and the ACK names TCP too', () => {
  const { invite, say, hops } = dialled()
  const [ack] = say(response(invite, 200, { tag: 'peer', extra: ['Contact: <sip:carol@192.0.2.50:5061;transport=tcp>'] }))
  assert.deepEqual(hops.at(-1), { transport: 'tcp', host: '192.0.2.50', port: 5061 })
  assert.match(headerValue(ack as SipRequest, 'Via') ?? '', /^SIP\/2\.0\/TCP /)
})

test('a phone behind NAT, dialled at the address it registered, is reached where its INVITE reached it', () => {
  const nat: Hop = { transport: 'udp', host: '198.51.100.77', port: 41_000 }
  const { invite, say, hops } = dialled({ uri: 'sip:carol@192.168.1.5:5062', to: nat })
  say(response(invite, 200, { tag: 'peer', extra: ['Contact: <sip:carol@192.168.1.5:5062>'] }), nat)
  assert.deepEqual(hops.at(-1), nat)
})

test('an early dialog can be ended by its callee: 200, and our INVITE is taken back', () => {
  const { invite, say, events } = dialled()
  say(response(invite, 180, OK))
  const to = `${headerValue(invite, 'From')}`
  assert.deepEqual(spell(say(request('BYE', { to, from: `${headerValue(invite, 'To')};tag=peer`, callId: headerValue(invite, 'Call-ID') ?? '' }))), [
    '200',
    'CANCEL',
  ])
  assert.deepEqual(kinds(events), ['progress', 'ended'])
})

test('early media: 183 hands its body on, 100 says nothing', () => {
  const { invite, say, events } = dialled()
  say(response(invite, 100))
  say(response(invite, 183, { ...OK, body: 'v=0 early' }))
  assert.deepEqual(kinds(events), ['progress'])
  assert.ok(events[0]?.kind === 'progress' && events[0].status === 183 && Buffer.from(events[0].body).toString() === 'v=0 early')
})
