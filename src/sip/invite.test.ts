/** Re-offers between two of our own agents: answered, refused, crossing each other and BYE, on a virtual network. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_BODY } from './message.ts'
import { ANSWER, OFFER, answering, at, carryOut, count, established, run, runOut, story, traffic } from '../../test/sip-network.ts'

test('a re-offer is answered: both sides know, and the call goes on', () => {
  const { network, alice, bob, call } = established()
  at(network, alice, 2000, (now) => alice.ua.reoffer(call, OFFER, now))
  run(network, 40_000)
  assert.deepEqual(traffic(network), ['1 INVITE', '2 100 INVITE', '2 200 INVITE', '1 ACK'])
  assert.deepEqual(story(alice).slice(-1), ['renegotiated'])
  assert.deepEqual(story(bob).slice(-1), ['reoffered'])
  assert.deepEqual(alice.ua.counts(), { sessions: 1, transactions: 0 })
})

test('the callee may re-offer too, with a CSeq of its own', () => {
  const { network, alice, bob, other } = established()
  alice.on = answering(network, alice, 0)
  at(network, bob, 2000, (now) => bob.ua.reoffer(other, OFFER, now))
  run(network, 40_000)
  assert.deepEqual(story(bob).slice(-1), ['renegotiated'])
  assert.deepEqual(story(alice).slice(-1), ['reoffered'])
})

test('a re-offer that is refused leaves the call as it was', () => {
  const { network, alice, bob, call, other } = established()
  bob.on = (event, now) => (event.kind === 'reoffered' ? bob.ua.rejectOffer(event.session, 488, now) : [])
  at(network, alice, 2000, (now) => alice.ua.reoffer(call, OFFER, now))
  run(network, 40_000)
  assert.deepEqual(story(alice).slice(-1), ['renegotiation-failed 488'])
  carryOut(network, bob, bob.ua.hangUp(other, 40_000))
  runOut(network)
  assert.deepEqual(story(alice).slice(-1), ['ended bye by peer 0'])
})

test('a re-INVITE without an offer asks for ours; the answer comes with the ACK (late offer)', () => {
  const { network, alice, bob, call } = established()
  const seen: Uint8Array[] = []
  alice.on = (event) => {
    if (event.kind === 'renegotiated') seen.push(event.body)
    return []
  }
  bob.on = (event, now) => {
    if (event.kind === 'reoffered') seen.push(event.body)
    return event.kind === 'reoffered' ? bob.ua.answerOffer(event.session, OFFER, now) : []
  }
  at(network, alice, 2000, (now) => alice.ua.reoffer(call, NO_BODY, now))
  run(network, 3000)
  assert.deepEqual(
    seen.map((body) => Buffer.from(body).toString()),
    ['', 'v=0 offer'],
  )
  assert.deepEqual(story(bob).slice(-2), ['reoffered', 'renegotiated'])
})

test('two re-offers cross: both get 491, wait out §14.1 and come through, the Call-ID owner last', () => {
  const { network, alice, bob, call, other } = established()
  alice.on = answering(network, alice, 0)
  at(network, alice, 2000, (now) => alice.ua.reoffer(call, OFFER, now))
  at(network, bob, 2000, (now) => bob.ua.reoffer(other, OFFER, now))
  run(network, 60_000)
  assert.equal(count(network, '1 491 INVITE'), 1)
  assert.equal(count(network, '2 491 INVITE'), 1)
  assert.deepEqual(story(alice).slice(2), ['reoffered', 'renegotiated'])
  assert.deepEqual(story(bob).slice(2), ['renegotiated', 'reoffered'])
  const mine = alice.log.find(({ event }) => event.kind === 'renegotiated')?.at ?? 0
  assert.ok(mine >= 2020 + 2100 && mine <= 2020 + 4000 + 100, `${mine}`)
  const his = bob.log.find(({ event }) => event.kind === 'renegotiated')?.at ?? 0
  assert.ok(his <= 2020 + 2000 + 100, `${his}`)
})

test('re-offers that cross at every distance of up to 40 ms all come through on both sides', () => {
  for (let late = -40; late <= 40; late += 4) {
    const { network, alice, bob, call, other } = established()
    alice.on = answering(network, alice, 0)
    at(network, alice, 2000, (now) => alice.ua.reoffer(call, OFFER, now))
    at(network, bob, 2000 + late, (now) => bob.ua.reoffer(other, OFFER, now))
    run(network, 60_000)
    for (const node of [alice, bob]) assert.equal(story(node).filter((event) => event === 'renegotiated').length, 1, `${late} ms`)
  }
})

test('glare without end is given up after five repeats', () => {
  const { network, alice, bob, call } = established()
  bob.on = (event, now) => (event.kind === 'reoffered' ? bob.ua.rejectOffer(event.session, 491, now) : [])
  at(network, alice, 2000, (now) => alice.ua.reoffer(call, OFFER, now))
  run(network, 60_000)
  assert.equal(count(network, '2 491 INVITE'), 6)
  assert.deepEqual(story(alice).slice(-1), ['renegotiation-failed 491'])
})

test('a second re-offer while the first is under way is refused here, without a word on the wire', () => {
  const { network, alice, call } = established()
  at(network, alice, 2000, (now) => [...alice.ua.reoffer(call, OFFER, now), ...alice.ua.reoffer(call, OFFER, now)])
  run(network, 3000)
  assert.equal(count(network, '1 INVITE'), 1)
  assert.deepEqual(story(alice).slice(2), ['renegotiation-failed 491', 'renegotiated'])
})

test('a re-offer made while the peer waits for our answer goes out after it', () => {
  const { network, alice, bob, call, other } = established()
  bob.on = () => []
  alice.on = answering(network, alice, 0)
  at(network, alice, 2000, (now) => alice.ua.reoffer(call, OFFER, now))
  at(network, bob, 2100, (now) => bob.ua.reoffer(other, OFFER, now))
  at(network, bob, 5000, (now) => bob.ua.answerOffer(other, ANSWER, now))
  run(network, 20_000)
  assert.deepEqual(story(bob).slice(2), ['reoffered', 'renegotiated'])
})

test('BYE while the peer has our re-INVITE: it answers 487 to the one and 200 to the other', () => {
  const { network, alice, bob, call } = established()
  bob.on = () => []
  at(network, alice, 2000, (now) => alice.ua.reoffer(call, OFFER, now))
  at(network, alice, 2500, (now) => alice.ua.hangUp(call, now))
  runOut(network)
  assert.equal(count(network, '2 487 INVITE') >= 1, true)
  assert.equal(count(network, '2 200 BYE'), 1)
  assert.deepEqual(story(alice).slice(2), ['ended bye by us 0'])
  assert.deepEqual(story(bob).slice(2), ['reoffered', 'ended bye by peer 0'])
})

test('the peer hangs up while it has our re-INVITE: one end, nothing left', () => {
  const { network, alice, bob, call, other } = established()
  bob.on = () => []
  at(network, alice, 2000, (now) => alice.ua.reoffer(call, OFFER, now))
  at(network, bob, 2500, (now) => bob.ua.hangUp(other, now))
  runOut(network)
  assert.deepEqual(story(alice).slice(2), ['renegotiation-failed 487', 'ended bye by peer 0'])
  assert.deepEqual(story(bob).slice(2), ['reoffered', 'ended bye by us 0'])
})

test('re-INVITE and BYE cross at every distance of up to 40 ms: each side ends once and nothing is left', () => {
  for (let late = -40; late <= 40; late += 4) {
    const { network, alice, bob, call, other } = established()
    at(network, alice, 2000, (now) => alice.ua.reoffer(call, OFFER, now))
    at(network, bob, 2000 + late, (now) => bob.ua.hangUp(other, now))
    runOut(network)
    for (const node of [alice, bob]) assert.match(story(node).at(-1) ?? '', /^ended/)
    for (const node of [alice, bob]) assert.equal(story(node).filter((event) => event.startsWith('ended')).length, 1)
  }
})

test('a re-INVITE that nobody answers ends the call: the peer is gone (RFC 3261 §12.2.1.2)', () => {
  const { network, alice, call } = established()
  network.drops = ({ from }) => from.host === '10.0.0.2'
  at(network, alice, 2000, (now) => alice.ua.reoffer(call, OFFER, now))
  run(network, 100_000)
  assert.deepEqual(story(alice).slice(2), ['ended timeout by peer 0'])
  assert.deepEqual(alice.ua.counts(), { sessions: 0, transactions: 0 })
})

test('a re-INVITE whose 2xx is never acknowledged ends the call too', () => {
  const { network, alice, bob, call } = established()
  network.drops = ({ bytes }) => /^ACK /.test(Buffer.from(bytes).toString())
  at(network, alice, 2000, (now) => alice.ua.reoffer(call, OFFER, now))
  runOut(network)
  assert.deepEqual(story(bob).slice(2), ['reoffered', 'ended timeout by peer 0'])
  assert.deepEqual(story(alice).slice(-1), ['ended bye by peer 0'])
})
