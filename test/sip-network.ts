/**
 * A network of user agents on a virtual clock, for the tests beside it: latency, loss, duplication and reordering from a
 * seeded generator. No sockets, no sleeping; an hour of it takes milliseconds. Holds no tests of its own.
 */
import assert from 'node:assert/strict'
import { headerValue, headerValues, NO_BODY, type SipMessage } from '../src/sip/message.ts'
import { parseMessage } from '../src/sip/parse.ts'
import { fireAlarms, makeAlarm, nextAlarm, setAlarm, type AlarmQueue } from '../src/sip/transaction.ts'
import {
  makeUserAgent,
  type Credentials,
  type Hop,
  type InviteOrder,
  type Output,
  type SessionId,
  type UaEvent,
  type UserAgent,
  type UserAgentOptions,
} from '../src/sip/user-agent.ts'

export interface Weather {
  readonly seed: number
  /** 0 to 1, of every message. */
  readonly loss: number
  readonly duplication: number
  /** Of one message, in ms; the spread reorders. */
  readonly latencyMs: readonly [number, number]
}
export const CALM: Weather = { seed: 1, loss: 0, duplication: 0, latencyMs: [10, 10] }

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function makeChance(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A digest that is none, but tells texts apart: these tests are not about cryptography. */
export function toyHash(algorithm: 'md5' | 'sha256', text: string): string {
  let hash = algorithm === 'md5' ? 0x811c9dc5 : 0x01000193
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0
  return hash
    .toString(16)
    .padStart(8, '0')
    .repeat(algorithm === 'md5' ? 4 : 8)
}

export function optionsFor(host: string, chance: () => number): UserAgentOptions {
  const token = (): string => Array.from({ length: 16 }, () => Math.floor(chance() * 36).toString(36)).join('')
  return { advertised: { host, port: 5060 }, token, hash: toyHash, product: 'earshot-test' }
}

export interface Node {
  readonly ua: UserAgent
  readonly hop: Hop
  /** Every event, with its time. */
  readonly log: { readonly at: number; readonly event: UaEvent }[]
  /** What the node does about an event. Replace it. */
  on: (event: UaEvent, now: number) => readonly Output[]
}
export interface Wire {
  readonly at: number
  readonly from: Hop
  readonly to: Hop
  readonly bytes: Uint8Array
}

export interface Network {
  now: number
  readonly queue: AlarmQueue
  readonly nodes: Node[]
  /** Every message that was sent, lost ones included. */
  readonly wire: Wire[]
  /** True: this message is lost. Beside the weather's own loss. */
  drops: (wire: Wire) => boolean
  /** Receives what is sent to nobody's address. */
  stranger: ((wire: Wire) => void) | null
  readonly weather: Weather
  readonly chance: () => number
}

export function makeNetwork(weather: Weather = CALM): Network {
  return { now: 0, queue: [], nodes: [], wire: [], drops: () => false, stranger: null, weather, chance: makeChance(weather.seed) }
}

export function addNode(network: Network, host: string, options: Partial<UserAgentOptions> = {}): Node {
  const ua = makeUserAgent({ ...optionsFor(host, network.chance), ...options })
  const node: Node = { ua, hop: { transport: 'udp', host, port: 5060 }, log: [], on: () => [] }
  network.nodes.push(node)
  return node
}

/** Calls `act` at that time and carries out what it returns for the node. */
export function at(network: Network, node: Node, time: number, act: (now: number) => readonly Output[]): void {
  setAlarm(
    network.queue,
    makeAlarm((now) => carryOut(network, node, act(now))),
    time,
  )
}

/** Puts a node's outputs on the wire and its events before its `on`. */
export function carryOut(network: Network, node: Node, outputs: readonly Output[]): void {
  for (const output of outputs) {
    if (output.kind === 'send')
      send(network, { at: network.now, from: { ...node.hop, transport: output.to.transport }, to: output.to, bytes: output.bytes })
    else {
      node.log.push({ at: network.now, event: output.event })
      carryOut(network, node, node.on(output.event, network.now))
    }
  }
}

export function send(network: Network, wire: Wire): void {
  const { loss, duplication, latencyMs } = network.weather
  network.wire.push(wire)
  if (network.drops(wire) || network.chance() < loss) return
  for (let copies = network.chance() < duplication ? 2 : 1; copies > 0; copies--) {
    // A hair later than what was sent before, so that nothing overtakes in calm weather.
    const hair = network.wire.length * 1e-7
    const delay = hair + latencyMs[0] + network.chance() * (latencyMs[1] - latencyMs[0])
    setAlarm(
      network.queue,
      makeAlarm((now) => deliver(network, wire, now)),
      network.now + delay,
    )
  }
}

function deliver(network: Network, wire: Wire, now: number): void {
  const node = network.nodes.find(({ hop }) => hop.host === wire.to.host && hop.port === wire.to.port)
  if (node === undefined) return network.stranger?.(wire)
  carryOut(network, node, node.ua.receive(wire.bytes, wire.from, now))
}

/** Runs everything that is due until that time, or until nothing is left. */
export function run(network: Network, until: number): void {
  for (;;) {
    const times = [nextAlarm(network.queue), ...network.nodes.map(({ ua }) => ua.nextDeadline())].filter((time) => time !== null)
    const next = Math.min(...times)
    if (next === Infinity || next > until) break
    network.now = Math.max(network.now, next)
    for (const node of network.nodes) carryOut(network, node, node.ua.due(network.now))
    fireAlarms(network.queue, network.now)
  }
  if (until !== Infinity) network.now = until
}

/** Runs to the end and checks that nothing is left anywhere. */
export function runOut(network: Network): void {
  run(network, Infinity)
  for (const { ua } of network.nodes) {
    assert.deepEqual(ua.counts(), { sessions: 0, transactions: 0 })
    assert.equal(ua.nextDeadline(), null)
  }
}

export const OFFER: Uint8Array = Buffer.from('v=0 offer')
export const ANSWER: Uint8Array = Buffer.from('v=0 answer')

export function orderTo(node: Node, more: Partial<InviteOrder> = {}): InviteOrder {
  return {
    uri: `sip:bob@${node.hop.host}`,
    to: node.hop,
    fromHeader: '"Alice" <sip:alice@example.test>',
    toHeader: `<sip:bob@${node.hop.host}>`,
    body: OFFER,
    credentials: null as Credentials | null,
    route: [],
    headers: [],
    ...more,
  }
}

/** The kinds of a session's events in order, with what tells them apart. */
export function story(node: Node, session?: SessionId): string[] {
  return node.log
    .map(({ event }) => event)
    .filter((event) => session === undefined || ('session' in event && event.session === session))
    .map((event) => {
      switch (event.kind) {
        case 'ended':
          return `ended ${event.reason} by ${event.by} ${event.status}`
        case 'progress':
        case 'renegotiation-failed':
          return `${event.kind} ${event.status}`
        case 'response':
          return `response ${event.response.status}`
        case 'request':
          return `request ${event.request.method}`
        case 'request-failed':
        case 'malformed':
          return `${event.kind} ${event.reason}`
        case 'invited':
        case 'accepted':
        case 'confirmed':
        case 'reoffered':
        case 'renegotiated':
          return event.kind
      }
    })
}

export function read(bytes: Uint8Array): SipMessage {
  const result = parseMessage(bytes)
  assert.equal(result.kind, 'message')
  if (result.kind !== 'message') throw new Error('unreachable')
  return result.message
}

/** What went over the wire, in short: `a INVITE`, `b 200 INVITE`. */
export function traffic(network: Network): string[] {
  return network.wire.map(({ from, bytes }) => {
    const message = read(bytes)
    const cseq = message.headers.find(({ name }) => name === 'CSeq')?.value.split(' ')[1]
    return `${from.host.slice(-1)} ${message.kind === 'request' ? message.method : `${message.status} ${cseq}`}`
  })
}

/** A node that rings, answers after `answerMs` and takes every re-offer at once. */
export function answering(network: Network, node: Node, answerMs: number): Node['on'] {
  return (event, now) => {
    if (event.kind === 'reoffered') return node.ua.answerOffer(event.session, ANSWER, now)
    if (event.kind !== 'invited') return []
    at(network, node, now + answerMs, (later) => node.ua.accept(event.session, ANSWER, later))
    return node.ua.progress(event.session, 180, NO_BODY, now)
  }
}

export interface Pair {
  readonly network: Network
  readonly alice: Node
  readonly bob: Node
  readonly call: SessionId
}

/** Alice calls bob at 0. One way takes 10 ms. Bob does nothing by himself unless `answerMs` is given. */
export function pair(answerMs: number | null = null, drops: Network['drops'] = () => false): Pair {
  const network = makeNetwork()
  network.drops = drops
  const alice = addNode(network, '10.0.0.1')
  const bob = addNode(network, '10.0.0.2')
  if (answerMs !== null) bob.on = answering(network, bob, answerMs)
  const { session, outputs } = alice.ua.invite(orderTo(bob), 0)
  carryOut(network, alice, outputs)
  return { network, alice, bob, call: session }
}

export function theirs(node: Node): SessionId {
  const event = node.log.map(({ event }) => event).find((event) => event.kind === 'invited')
  assert.ok(event?.kind === 'invited')
  return event.session
}

/** An answered call at 1 s, with the other side's id. */
export function established(): Pair & { readonly other: SessionId } {
  const both = pair(100)
  run(both.network, 1000)
  both.network.wire.length = 0
  return { ...both, other: theirs(both.bob) }
}

export const count = (network: Network, line: string): number => traffic(network).filter((sent) => sent === line).length

export const PEER: Hop = { transport: 'udp', host: '192.0.2.7', port: 5060 }
export const OURS = '10.0.0.1'

export interface Bench {
  readonly ua: UserAgent
  /** Delivers one message and returns what was sent for it. */
  say(text: string, from?: Hop, now?: number): readonly SipMessage[]
  /** All events so far. */
  readonly events: UaEvent[]
  /** All hops that were sent to, in order. */
  readonly hops: Hop[]
  take(outputs: readonly Output[]): readonly SipMessage[]
}

export function bench(): Bench {
  const ua = makeUserAgent(optionsFor(OURS, makeChance(9)))
  const events: UaEvent[] = []
  const hops: Hop[] = []
  const take = (outputs: readonly Output[]): readonly SipMessage[] => {
    const sent: SipMessage[] = []
    for (const output of outputs) {
      if (output.kind === 'event') events.push(output.event)
      else {
        hops.push(output.to)
        sent.push(read(output.bytes))
      }
    }
    return sent
  }
  return { ua, events, hops, take, say: (text, from = PEER, now = 0) => take(ua.receive(Buffer.from(text.replaceAll('\n', '\r\n')), from, now)) }
}

export interface RequestLines {
  readonly via?: string
  readonly branch?: string
  readonly from?: string
  readonly to?: string
  readonly callId?: string
  readonly cseq?: number
  readonly uri?: string
  readonly extra?: readonly string[]
  readonly body?: string
}

/** A request of the scripted peer; what is not given is that of its one call. */
export function request(method: string, given: RequestLines = {}): string {
  const body = given.body ?? ''
  return [
    `${method} ${given.uri ?? `sip:bob@${OURS}`} SIP/2.0`,
    `Via: ${given.via ?? `SIP/2.0/UDP 192.0.2.7:5060;branch=${given.branch ?? `z9hG4bK-${method}-${given.cseq ?? 1}`}`}`,
    'Max-Forwards: 70',
    `From: ${given.from ?? '<sip:carol@192.0.2.7>;tag=peer'}`,
    `To: ${given.to ?? `<sip:bob@${OURS}>`}`,
    `Call-ID: ${given.callId ?? 'call-1'}`,
    `CSeq: ${given.cseq ?? 1} ${method}`,
    'Contact: <sip:carol@192.0.2.7>',
    ...(given.extra ?? []),
    ...(body === '' ? [] : ['Content-Type: application/sdp']),
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\n')
}

/** The peer's response to a request of ours. */
export function response(
  to: SipMessage | undefined,
  status: number,
  given: { readonly tag?: string; readonly extra?: readonly string[]; readonly body?: string } = {},
): string {
  assert.ok(to)
  const tag = given.tag === undefined || /;tag=/.test(headerValue(to, 'To') ?? '') ? '' : `;tag=${given.tag}`
  const body = given.body ?? ''
  return [
    `SIP/2.0 ${status} Whatever`,
    ...headerValues(to, 'Via').map((value) => `Via: ${value}`),
    `From: ${headerValue(to, 'From')}`,
    `To: ${headerValue(to, 'To')}${tag}`,
    `Call-ID: ${headerValue(to, 'Call-ID')}`,
    `CSeq: ${headerValue(to, 'CSeq')}`,
    ...(given.extra ?? []),
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\n')
}
