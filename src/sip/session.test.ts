/** Sessions between two of our own agents: hanging up in every phase, and the races, on a virtual network. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_BODY } from './message.ts'
import {
  ANSWER,
  OFFER,
  addNode,
  answering,
  at,
  carryOut,
  count,
  established,
  makeNetwork,
  orderTo,
  pair,
  read,
  run,
  runOut,
  story,
  theirs,
  traffic,
} from '../../test/sip-network.ts'
import type { SessionId } from './user-agent.ts'

test('hanging up before anything came back ends at once, and the CANCEL waits for a provisional response (RFC 3261 §9.1)', () => {
  const { network, alice, bob, call } = pair()
  carryOut(network, alice, alice.ua.hangUp(call, 0))
  assert.deepEqual(story(alice), ['ended cancelled by us 0'])
  assert.equal(count(network, '1 CANCEL'), 0)
  runOut(network)
  assert.deepEqual(traffic(network), ['1 INVITE', '2 100 INVITE', '1 CANCEL', '2 200 CANCEL', '2 487 INVITE', '1 ACK'])
  assert.deepEqual(story(bob), ['invited', 'ended cancelled by peer 487'])
  assert.deepEqual(story(alice), ['ended cancelled by us 0'])
})

test('hanging up while nobody ever answers sends no CANCEL and leaves nothing after 32 s', () => {
  const { network, alice, call } = pair(null, () => true)
  at(network, alice, 1, (now) => alice.ua.hangUp(call, now))
  runOut(network)
  assert.equal(count(network, '1 CANCEL'), 0)
  assert.deepEqual(story(alice), ['ended cancelled by us 0'])
})

test('hanging up while it rings cancels; the callee learns that the caller gave up', () => {
  const { network, alice, bob, call } = pair(60_000)
  at(network, alice, 5000, (now) => alice.ua.hangUp(call, now))
  runOut(network)
  assert.deepEqual(story(alice), ['progress 180', 'ended cancelled by us 0'])
  assert.deepEqual(story(bob), ['invited', 'ended cancelled by peer 487'])
  assert.equal(count(network, '1 CANCEL'), 1)
})

test('a lost CANCEL is repeated, an INVITE that stays unanswered after it is given up after 32 s', () => {
  const { network, alice, bob, call } = pair(60_000)
  run(network, 1000)
  network.drops = ({ to }) => to.host === '10.0.0.2'
  at(network, alice, 1000, (now) => alice.ua.hangUp(call, now))
  run(network, 50_000)
  assert.equal(count(network, '1 CANCEL'), 11)
  assert.deepEqual(alice.ua.counts(), { sessions: 0, transactions: 0 })
  assert.deepEqual(story(bob), ['invited'])
})

test('CANCEL and 200 cross: ended is said once, the 200 gets its ACK and a BYE', () => {
  const { network, alice, bob, call } = pair(500)
  at(network, alice, 505, (now) => alice.ua.hangUp(call, now))
  runOut(network)
  assert.deepEqual(traffic(network).slice(3), ['1 CANCEL', '2 200 INVITE', '2 200 CANCEL', '1 ACK', '1 BYE', '2 200 BYE'])
  assert.deepEqual(story(alice), ['progress 180', 'ended cancelled by us 0'])
  assert.deepEqual(story(bob), ['invited', 'confirmed', 'ended bye by peer 0'])
})
test('CANCEL and 200 cross at every instant between ring and answer: both sides always end once and nothing is left', () => {
  for (let instant = 460; instant <= 560; instant++) {
    const { network, alice, bob, call } = pair(500)
    at(network, alice, instant, (now) => alice.ua.hangUp(call, now))
    runOut(network)
    for (const node of [alice, bob]) assert.equal(story(node).filter((event) => event.startsWith('ended')).length, 1, `${instant} ms`)
    for (const node of [alice, bob]) assert.match(story(node).at(-1) ?? '', /^ended/)
  }
})

test('a CANCEL after the 200 is answered 200 and changes nothing (RFC 3261 §9.2)', () => {
  const { network, bob, call, alice } = pair(100)
  // The ACK and the 200 are lost for a while, so that alice still believes that it rings.
  network.drops = ({ from, bytes }) => from.host === '10.0.0.2' && read(bytes).kind === 'response' && network.now >= 100 && network.now < 200
  at(network, alice, 150, (now) => alice.ua.hangUp(call, now))
  runOut(network)
  assert.equal(count(network, '2 200 CANCEL') >= 1, true)
  assert.equal(count(network, '2 487 INVITE'), 0)
  assert.deepEqual(story(bob), ['invited', 'confirmed', 'ended bye by peer 0'])
})

for (const [status, told] of [
  [486, 'rejected'],
  [302, 'rejected'],
  [603, 'rejected'],
] as const) {
  test(`a call that is rejected with ${status} ends so on both sides, with ACK and without retransmission`, () => {
    const { network, alice, bob } = pair()
    bob.on = (event, now) => (event.kind === 'invited' ? bob.ua.reject(event.session, status, [{ name: 'X-Why', value: 'no' }], now) : [])
    runOut(network)
    assert.deepEqual(traffic(network), ['1 INVITE', '2 100 INVITE', `2 ${status} INVITE`, '1 ACK'])
    assert.deepEqual(story(alice), [`ended ${told} by peer ${status}`])
    assert.deepEqual(story(bob), ['invited', `ended ${told} by us ${status}`])
  })
}

test('hanging up an incoming call that waits answers 480, or the status that is asked for', () => {
  for (const [asked, sent] of [
    [undefined, 480],
    [486, 486],
    [200, 480],
  ] as const) {
    const { network, alice, bob } = pair()
    bob.on = (event, now) => (event.kind === 'invited' ? bob.ua.hangUp(event.session, now, asked) : [])
    runOut(network)
    assert.deepEqual(story(alice), [`ended rejected by peer ${sent}`])
  }
})

test('the callee hangs up before the ACK: it says so at once and the BYE follows the ACK (RFC 3261 §15)', () => {
  const { network, alice, bob } = pair(100)
  at(network, bob, 111, (now) => bob.ua.hangUp(theirs(bob), now))
  run(network, 112)
  assert.deepEqual(story(bob), ['invited', 'ended bye by us 0'])
  assert.equal(count(network, '2 BYE'), 0)
  runOut(network)
  assert.deepEqual(traffic(network).slice(-4), ['2 200 INVITE', '1 ACK', '2 BYE', '1 200 BYE'])
  assert.deepEqual(story(alice), ['progress 180', 'accepted', 'ended bye by peer 0'])
  assert.deepEqual(story(bob), ['invited', 'ended bye by us 0'])
})

test('a 2xx without ACK is repeated for 32 s, then the call ends as timeout and a BYE is sent', () => {
  const { network, bob } = pair(100)
  network.drops = ({ from }) => from.host === '10.0.0.1' && network.now > 50
  runOut(network)
  assert.equal(count(network, '2 200 INVITE'), 11)
  assert.deepEqual(story(bob), ['invited', 'ended timeout by peer 0'])
  assert.equal(Math.round(bob.log.at(-1)?.at ?? 0), 110 + 32_000)
  assert.equal(count(network, '2 BYE') > 0, true)
})

test('a lost ACK is sent again for every repeated 2xx, and the consumer hears of the first only', () => {
  const { network, alice, bob } = pair(100)
  network.drops = ({ bytes }) => traffic({ ...network, wire: [{ at: 0, from: alice.hop, to: bob.hop, bytes }] })[0] === '1 ACK' && network.now < 3000
  run(network, 20_000)
  assert.equal(count(network, '1 ACK'), count(network, '2 200 INVITE'))
  assert.equal(count(network, '1 ACK'), 4)
  assert.deepEqual(story(alice), ['progress 180', 'accepted'])
  assert.deepEqual(story(bob), ['invited', 'confirmed'])
})

test('nobody answers an INVITE: timeout after 32 s', () => {
  const { network, alice } = pair(null, () => true)
  runOut(network)
  assert.deepEqual(story(alice), ['ended timeout by peer 0'])
  assert.equal(alice.log[0]?.at, 32_000)
})

test('the hop fails: a call that is being made ends as transport, one that stands goes on', () => {
  const { network, alice, bob } = pair()
  carryOut(network, alice, alice.ua.transportFailed(bob.hop, 0))
  assert.deepEqual(story(alice), ['ended transport by peer 0'])
  const standing = established()
  carryOut(standing.network, standing.alice, standing.alice.ua.transportFailed(standing.bob.hop, 1000))
  assert.deepEqual(story(standing.alice), ['progress 180', 'accepted'])
})

test('the hop fails under an incoming call that rings: it ends as transport', () => {
  const { network, bob, alice } = pair(60_000)
  run(network, 1000)
  carryOut(network, bob, bob.ua.transportFailed(alice.hop, 1000))
  assert.deepEqual(story(bob), ['invited', 'ended transport by peer 0'])
})

test('BYE and BYE cross: both are answered 200, each side ended by its own', () => {
  const { network, alice, bob, call, other } = established()
  at(network, alice, 2000, (now) => alice.ua.hangUp(call, now))
  at(network, bob, 2000, (now) => bob.ua.hangUp(other, now))
  runOut(network)
  assert.deepEqual(traffic(network).sort(), ['1 200 BYE', '1 BYE', '2 200 BYE', '2 BYE'])
  assert.equal(story(alice).at(-1), 'ended bye by us 0')
  assert.equal(story(bob).at(-1), 'ended bye by us 0')
})

test('BYE and BYE at every distance of up to 50 ms: each side ends once', () => {
  for (let late = 0; late <= 50; late += 5) {
    const { network, alice, bob, call, other } = established()
    at(network, alice, 2000, (now) => alice.ua.hangUp(call, now))
    at(network, bob, 2000 + late, (now) => bob.ua.hangUp(other, now))
    runOut(network)
    for (const node of [alice, bob]) assert.equal(story(node).filter((event) => event.startsWith('ended')).length, 1)
  }
})

test('orders about a session that is unknown or over do nothing', () => {
  const { network, alice, call, bob, other } = established()
  carryOut(network, alice, alice.ua.hangUp(call, 1000))
  runOut(network)
  const nobody = 'nobody' as SessionId
  for (const [node, id] of [
    [alice, call],
    [alice, nobody],
    [bob, other],
  ] as const) {
    const { ua } = node
    const outputs = [
      ua.hangUp(id, 0),
      ua.accept(id, ANSWER, 0),
      ua.progress(id, 180, NO_BODY, 0),
      ua.reject(id, 486, [], 0),
      ua.reoffer(id, OFFER, 0),
      ua.answerOffer(id, ANSWER, 0),
      ua.rejectOffer(id, 488, 0),
    ]
    assert.deepEqual(outputs.flat(), [])
  }
})

test('orders that do not fit the phase do nothing: accept twice, progress after accept, answers without an offer', () => {
  const { alice, bob, call, other } = established()
  for (const { ua, id } of [
    { ua: alice.ua, id: call },
    { ua: bob.ua, id: other },
  ]) {
    const outputs = [
      ua.accept(id, ANSWER, 0),
      ua.progress(id, 180, NO_BODY, 0),
      ua.reject(id, 486, [], 0),
      ua.answerOffer(id, ANSWER, 0),
      ua.rejectOffer(id, 488, 0),
    ]
    assert.deepEqual(outputs.flat(), [])
  }
})

test('over the limit of sessions a call in is refused 503 with Retry-After and a call out ends at once; nothing is kept', () => {
  const network = makeNetwork()
  const alice = addNode(network, '10.0.0.1')
  const bob = addNode(network, '10.0.0.2', { limits: { sessions: 1, transactions: 100 } })
  bob.on = answering(network, bob, 60_000)
  for (const start of [0, 1000]) at(network, alice, start, (now) => alice.ua.invite(orderTo(bob), now).outputs)
  run(network, 2000)
  assert.deepEqual(bob.ua.counts(), { sessions: 1, transactions: 1 })
  assert.deepEqual(story(alice), ['progress 180', 'ended rejected by peer 503'])
  const refused = network.wire.map(({ bytes }) => read(bytes)).find((message) => message.kind === 'response' && message.status === 503)
  assert.equal(refused?.headers.find(({ name }) => name === 'Retry-After')?.value, '5')
  const { outputs } = bob.ua.invite(orderTo(alice), 2000)
  assert.deepEqual(
    outputs.map((output) => output.kind === 'event' && output.event.kind === 'ended' && output.event.status),
    [503],
  )
})

test('over TCP nothing is repeated but the 2xx, and Via and Contact say so', () => {
  const network = makeNetwork()
  const alice = addNode(network, '10.0.0.1')
  const bob = addNode(network, '10.0.0.2')
  bob.on = answering(network, bob, 3000)
  carryOut(network, alice, alice.ua.invite(orderTo(bob, { to: { ...bob.hop, transport: 'tcp' } }), 0).outputs)
  at(network, bob, 5000, (now) => bob.ua.hangUp(theirs(bob), now))
  runOut(network)
  assert.deepEqual(traffic(network), ['1 INVITE', '2 100 INVITE', '2 180 INVITE', '2 200 INVITE', '1 ACK', '2 BYE', '1 200 BYE'])
  for (const { to, bytes } of network.wire) {
    assert.equal(to.transport, 'tcp')
    assert.match(Buffer.from(bytes).toString(), /\r\n?Via: SIP\/2\.0\/TCP /)
  }
  assert.match(Buffer.from(network.wire[0]?.bytes ?? []).toString(), /Contact: <sip:alice@10\.0\.0\.1:5060;transport=tcp>/)
})
