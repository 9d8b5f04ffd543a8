import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  addNode,
  answering,
  at,
  carryOut,
  makeNetwork,
  orderTo,
  runOut,
  story,
  traffic,
  type Network,
  type Node,
  type Weather,
} from '../../test/sip-network.ts'
import type { SessionId } from './user-agent.ts'

test('a call: INVITE, 100, 180, 200, ACK, BYE, 200, and each side is told in order', () => {
  const network = makeNetwork()
  const alice = addNode(network, '10.0.0.1')
  const bob = addNode(network, '10.0.0.2')
  bob.on = answering(network, bob, 1000)
  const { session, outputs } = alice.ua.invite(orderTo(bob), 0)
  carryOut(network, alice, outputs)
  at(network, alice, 5000, (now) => alice.ua.hangUp(session, now))
  runOut(network)
  assert.deepEqual(traffic(network), ['1 INVITE', '2 100 INVITE', '2 180 INVITE', '2 200 INVITE', '1 ACK', '1 BYE', '2 200 BYE'])
  assert.deepEqual(story(alice), ['progress 180', 'accepted', 'ended bye by us 0'])
  assert.deepEqual(story(bob), ['invited', 'confirmed', 'ended bye by peer 0'])
})

interface Tally {
  /** Accepted here, confirmed there, ended once on both sides, last, by BYE. */
  good: number
  readonly network: Network
}

/** A thousand calls from alice to bob in that weather; every second one is hung up by bob. */
function thousandCalls(weather: Weather, talkMs: number): Tally {
  const network = makeNetwork(weather)
  const alice = addNode(network, '10.0.0.1')
  const bob = addNode(network, '10.0.0.2')
  const calls: SessionId[] = []
  const theirs = new Map<string, SessionId>()
  const rings = answering(network, bob, 700)
  bob.on = (event, now) => {
    if (event.kind === 'invited') theirs.set(headerOf(event.request.headers, 'X-Call'), event.session)
    return rings(event, now)
  }
  for (let call = 0; call < 1000; call++) {
    at(network, alice, call * 10, (now) => {
      const { session, outputs } = alice.ua.invite(orderTo(bob, { headers: [{ name: 'X-Call', value: String(call) }] }), now)
      calls[call] = session
      return outputs
    })
  }
  alice.on = (event, now) => {
    if (event.kind !== 'accepted') return []
    const call = calls.indexOf(event.session)
    const other = theirs.get(String(call))
    if (call % 2 === 0) at(network, alice, now + talkMs, (later) => alice.ua.hangUp(event.session, later))
    else if (other) at(network, bob, now + talkMs, (later) => bob.ua.hangUp(other, later))
    return []
  }
  runOut(network)
  const good = calls.filter((session, call) => {
    const other = theirs.get(String(call))
    return other !== undefined && isWhole(alice, session, 'accepted') && isWhole(bob, other, 'confirmed')
  }).length
  return { good, network }
}

function isWhole(node: Node, session: SessionId, answered: string): boolean {
  const told = story(node, session)
  const ends = told.filter((event) => event.startsWith('ended'))
  return told.includes(answered) && ends.length === 1 && told.at(-1) === ends[0] && /^ended bye/.test(ends[0] ?? '')
}

const headerOf = (headers: readonly { readonly name: string; readonly value: string }[], name: string): string =>
  headers.find((field) => field.name === name)?.value ?? ''

test('1,000 of 1,000 calls succeed on a clean network, without one retransmission', () => {
  const { good, network } = thousandCalls({ seed: 1, loss: 0, duplication: 0, latencyMs: [5, 20] }, 2000)
  assert.equal(good, 1000)
  assert.equal(network.wire.length, 7000)
})
for (const seed of [2, 3, 4]) {
  test(`1,000 of 1,000 calls succeed with 5 % loss each way, as caller and as callee (seed ${seed})`, () => {
    assert.equal(thousandCalls({ seed, loss: 0.05, duplication: 0, latencyMs: [5, 60] }, 20_000).good, 1000)
  })
}
test('1,000 of 1,000 calls succeed with 20 % loss each way', () => {
  assert.equal(thousandCalls({ seed: 5, loss: 0.2, duplication: 0, latencyMs: [5, 60] }, 35_000).good, 1000)
})
test('1,000 of 1,000 calls succeed with 5 % loss, 10 % duplicates and reordering across a second', () => {
  assert.equal(thousandCalls({ seed: 6, loss: 0.05, duplication: 0.1, latencyMs: [1, 1000] }, 20_000).good, 1000)
})
