/** What peers send may be anything: broken messages in the midst of calls never throw, never break a promise, never stay. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mutant, seededChance, sipCorpus } from '../../test/sip-mutants.ts'
import { NO_BODY } from './message.ts'
import {
  ANSWER,
  OFFER,
  addNode,
  at,
  carryOut,
  makeChance,
  makeNetwork,
  optionsFor,
  orderTo,
  run,
  story,
  type Network,
  type Node,
} from '../../test/sip-network.ts'
import { makeUserAgent, type Hop, type Output, type SessionId, type TransactionId, type UaEvent } from './user-agent.ts'

/** A consumer without manners: answers, refuses, re-offers, hangs up or does nothing, as it comes. */
function unruly(node: Node, chance: () => number): Node['on'] {
  return (event: UaEvent, now: number): readonly Output[] => {
    const { ua } = node
    const pick = Math.floor(chance() * 6)
    if (event.kind === 'request') return pick < 4 ? ua.respond(event.transaction, [200, 404, 405, 180][pick] ?? 500, [], NO_BODY, now) : []
    if (!('session' in event) || event.kind === 'ended') return []
    const { session } = event
    const acts = [
      () => ua.accept(session, ANSWER, now),
      () => ua.answerOffer(session, ANSWER, now),
      () => ua.progress(session, 183, OFFER, now),
      () => ua.reoffer(session, OFFER, now),
      () => [...ua.rejectOffer(session, 488, now), ...ua.accept(session, ANSWER, now)],
      () => (chance() < 0.3 ? ua.hangUp(session, now) : ua.accept(session, ANSWER, now)),
    ]
    return acts[pick]?.() ?? []
  }
}

/** Every session tells of its end at most once, and nothing after it. */
function assertStories(node: Node): void {
  const sessions = new Set(node.log.flatMap(({ event }) => ('session' in event && event.session !== null ? [event.session] : [])))
  for (const session of sessions) {
    const told = story(node, session)
    const ends = told.filter((line) => line.startsWith('ended'))
    assert.equal(ends.length, 1, told.join(', '))
    assert.equal(told.at(-1), ends[0], told.join(', '))
  }
}

/** Two agents on a bad network on which every third message is broken in a random place and sent beside the good one. */
function badLine(seed: number): Network {
  const network = makeNetwork({ seed, loss: 0.1, duplication: 0.2, latencyMs: [1, 400] })
  const chance = makeChance(seed)
  const edits = seededChance(seed)
  for (const host of ['10.0.0.1', '10.0.0.2']) {
    const node = addNode(network, host)
    node.on = unruly(node, chance)
    const { receive } = node.ua
    Object.assign(node.ua, {
      receive: (bytes: Uint8Array, from: Hop, now: number) => {
        const broken = chance() < 0.34 ? receive(mutant([Buffer.from(bytes)], edits), from, now) : []
        return [...broken, ...receive(bytes, from, now)]
      },
    })
  }
  const [alice, bob] = network.nodes
  assert.ok(alice && bob)
  for (let call = 0; call < 60; call++) {
    const [caller, callee] = call % 2 === 0 ? [alice, bob] : [bob, alice]
    at(network, caller, call * 300, (now) => caller.ua.invite(orderTo(callee, { credentials: { username: 'a', password: 'b' } }), now).outputs)
  }
  return network
}

for (let seed = 1; seed <= 12; seed++) {
  test(`60 calls on a line that breaks every third message (seed ${seed}): nothing throws, each session ends once, nothing is left`, () => {
    const network = badLine(seed)
    run(network, 60_000)
    for (const node of network.nodes) {
      const live = new Set(node.log.flatMap(({ event }) => ('session' in event && event.session !== null ? [event.session] : [])))
      for (const session of live) carryOut(network, node, node.ua.hangUp(session, network.now))
      node.on = (event, now) => (event.kind === 'invited' ? node.ua.reject(event.session, 503, [], now) : [])
    }
    run(network, 260_000)
    for (const node of network.nodes) {
      assert.deepEqual(node.ua.counts(), { sessions: 0, transactions: 0 })
      assertStories(node)
    }
  })
}

test('30,000 broken messages of the torture corpus at one agent: none throws, and 40 s later nothing of them is left', () => {
  const ua = makeUserAgent(optionsFor('10.0.0.1', makeChance(3)))
  const chance = seededChance(11)
  const corpus = sipCorpus()
  const from: Hop = { transport: 'udp', host: '192.0.2.7', port: 5060 }
  const sessions: SessionId[] = []
  const requests: TransactionId[] = []
  for (let now = 0; now < 30_000; now++) {
    // Each a transaction of its own, else most would pass for repeats of the first.
    const bytes = Buffer.from(mutant(corpus, chance).toString('latin1').replace('z9hG4bK', `z9hG4bK${now}`), 'latin1')
    for (const output of ua.receive(bytes, now % 2 === 0 ? from : { ...from, transport: 'tcp' }, now)) {
      if (output.kind !== 'event') continue
      if (output.event.kind === 'invited') sessions.push(output.event.session)
      if (output.event.kind === 'request') requests.push(output.event.transaction)
    }
    const session = sessions[chance(sessions.length + 1)]
    const request = requests[chance(requests.length + 1)]
    if (session !== undefined && now % 5 === 0) ua.accept(session, ANSWER, now)
    if (request !== undefined && now % 7 === 0) ua.respond(request, 404, [], NO_BODY, now)
    if (now % 100 === 0) ua.due(now)
  }
  assert.ok(sessions.length > 100 && requests.length > 500, `some of them were messages: ${sessions.length} calls, ${requests.length} requests`)
  for (const session of sessions) ua.hangUp(session, 30_000)
  for (let now = 30_000; now < 140_000; now += 500) ua.due(now)
  assert.deepEqual(ua.counts(), { sessions: 0, transactions: 0 })
  assert.equal(ua.nextDeadline(), null)
})

test('a flood of INVITEs from one place is bounded, and the agent is free again when it has passed', () => {
  const ua = makeUserAgent({ ...optionsFor('10.0.0.1', makeChance(4)), limits: { sessions: 500, transactions: 2_000 } })
  const from: Hop = { transport: 'udp', host: '192.0.2.7', port: 5060 }
  const sessions: SessionId[] = []
  for (let call = 0; call < 5_000; call++) {
    const head = [
      'INVITE sip:bob@10.0.0.1 SIP/2.0',
      `Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK${call}`,
      `From: <sip:a@b>;tag=${call}`,
      'To: <sip:bob@10.0.0.1>',
    ]
    const bytes = Buffer.from([...head, `Call-ID: ${call}`, 'CSeq: 1 INVITE', 'Content-Length: 0', '', ''].join('\r\n'))
    for (const output of ua.receive(bytes, from, call))
      if (output.kind === 'event' && output.event.kind === 'invited') sessions.push(output.event.session)
    assert.ok(ua.counts().sessions <= 500)
  }
  assert.equal(sessions.length, 500)
  for (const session of sessions) ua.reject(session, 486, [], 5_000)
  for (let now = 5_000; now < 50_000; now += 500) ua.due(now)
  assert.deepEqual(ua.counts(), { sessions: 0, transactions: 0 })
})
