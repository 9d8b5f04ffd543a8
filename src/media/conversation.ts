/**
 * The sound of one call: who is sent what, when a packet comes and when the clock ticks. It knows no modes: only legs and
 * the table of who hears whom. Time comes in as `now` (epoch ms that never step back), packets go out through `send`.
 *
 *   ear of a conversation leg   clocked by packets. The first conversation mouth in its row is its source, relayed as it comes;
 *                               every other mouth waits in a queue and is folded into the source's packets. When the source
 *                               is silent for longer than it can be late, our clock sends what waits in the queues.
 *   ear of a monitor            clocked by us, one frame every ptime without a break while it may hear anybody. Every mouth
 *                               has a queue of its own, so that a silent or lossy party never holds up another.
 *
 * One rule: fail closed. A mouth is heard where the table says so, both have a row, both have terms and the phones send and
 * receive; in every other case there is no queue and no path. A new table drops at once what waits for an ear that may no
 * longer hear it (contract C23). Ears without a queue are relayed bit for bit, so listening changes nothing (C25).
 *
 * Keys (RFC 4733) go to every ear that hears the mouth, a supervisor's included, and to no other.
 */
import { parseKey } from './dtmf.ts'
import { PAYLOAD_TYPE, SAMPLES_PER_MS, type Law } from './g711.ts'
import { admit, aim, isReachable, isSame, makeLatch, targetOf, type Latch, type Source } from './latch.ts'
import { mix, transcode, type Source as SoundSource } from './mixer.ts'
import { detach, generated, inserted, makeOutlet, relayed, timelineAt, withheld, type Outlet, type Seed, type Stamp } from './outlet.ts'
import { clear, makeQueue, MAX_FRAME_SAMPLES, put, take, type FrameQueue } from './queue.ts'
import { jitterMsOf, lostOf, makeReception, noteReport, receive, reportBlock, type Arrival, type Reception } from './reception.ts'
import { buildReport, parseRtcp } from './rtcp.ts'
import { laterTimestamp, parseRtp, RTP_HEADER_BYTES, writeRtpHeader, type RtpPacket } from './rtp.ts'

/** A source is silent when it is later than a frame of the ear by this, plus its own jitter times four (up to a limit). */
export const FILL_AFTER_MS = 5
export const MAX_JITTER_ALLOWANCE_MS = 100
/** A clock that is later than this skips the frames it missed instead of sending them in a burst. */
export const STALL_MS = 60
/** Timers may fire up to a millisecond early. */
export const TICK_SLACK_MS = 1
const MIN_PTIME_MS = 10
const MAX_PTIME_MS = 60

/** What was agreed with the phone of a leg. */
export interface Terms {
  readonly remote: Source
  readonly law: Law
  readonly digitsPayloadType: number | null
  readonly ptimeMs: number
  readonly phoneReceives: boolean
  readonly phoneSends: boolean
}

export interface SoundLeg {
  readonly id: string
  readonly kind: 'conversation' | 'monitor'
  readonly cname: string
  terms: Terms | null
  readonly latch: Latch
  readonly reception: Reception
  readonly outlet: Outlet
  /** Whose packets clock this ear; null when nobody's do. */
  source: SoundLeg | null
  /** Every other mouth it hears. */
  queues: Map<SoundLeg, FrameQueue>
  /** The ears that this leg's packets go to, and those whose queue they fill. */
  relaysTo: SoundLeg[]
  feeds: SoundLeg[]
  /** When our clock owes the ear a frame, and that frame's place on its timeline; null while the clock has no part in it. */
  dueAt: number | null
  clockTime: number
  /** Length of its latest packet, samples. */
  frame: number
  packetsIn: number
  strangers: number
  malformed: number
  lateTicks: number
  lostOut: number
  overflows: number
  starvations: number
}

export interface Conversation {
  readonly legs: Map<string, SoundLeg>
  table: ReadonlyMap<string, readonly string[]>
}

/** The bytes are the receiver's to keep: they are not touched again. */
export type Send = (legId: string, to: Source, bytes: Uint8Array) => void

/** As it came in on one of a leg's two ports. The bytes are the conversation's from here on: they are rewritten and sent on. */
export interface Datagram {
  readonly from: Source
  readonly bytes: Uint8Array
  readonly now: number
}

/** A packet on its way from a mouth to the ears. */
interface Passing {
  readonly mouth: SoundLeg
  readonly packet: RtpPacket
  readonly arrival: Arrival
  readonly bytes: Uint8Array
  readonly now: number
  readonly send: Send
}

export const makeConversation = (): Conversation => ({ legs: new Map(), table: new Map() })

/** A new leg is deaf and dumb until it has terms and a row in the table. */
export function addLeg(call: Conversation, id: string, kind: SoundLeg['kind'], seed: Seed & { readonly cname: string }): SoundLeg {
  const leg: SoundLeg = {
    id,
    kind,
    cname: seed.cname,
    terms: null,
    latch: makeLatch(),
    reception: makeReception(),
    outlet: makeOutlet(seed),
    source: null,
    queues: new Map(),
    relaysTo: [],
    feeds: [],
    dueAt: null,
    clockTime: 0,
    frame: 20 * SAMPLES_PER_MS,
    packetsIn: 0,
    strangers: 0,
    malformed: 0,
    lateTicks: 0,
    lostOut: 0,
    overflows: 0,
    starvations: 0,
  }
  call.legs.set(id, leg)
  return leg
}

export function removeLeg(call: Conversation, leg: SoundLeg, now: number): void {
  if (!call.legs.delete(leg.id)) return
  leg.terms = null
  leg.dueAt = null
  wire(call, now)
}

/** Replaces who hears whom, between two packets. */
export function setTable(call: Conversation, table: ReadonlyMap<string, readonly string[]>, now: number): void {
  call.table = table
  wire(call, now)
}

/** New or changed terms for one of the call's legs. */
export function setTerms(call: Conversation, leg: SoundLeg, terms: Terms, now: number): void {
  if (leg.terms !== null && leg.terms.law !== terms.law) {
    leg.outlet.isBroken = true
    for (const ear of leg.feeds) {
      const queue = ear.queues.get(leg)
      if (queue !== undefined) clear(queue)
    }
  }
  leg.terms = { ...terms, ptimeMs: Math.min(MAX_PTIME_MS, Math.max(MIN_PTIME_MS, terms.ptimeMs)) }
  aim(leg.latch, terms.remote)
  wire(call, now)
}

/** A datagram came in on a leg's RTP port. */
export function arrive(leg: SoundLeg, { from, bytes, now }: Datagram, send: Send): void {
  if (leg.terms === null || !leg.terms.phoneSends) return
  const packet = parseRtp(bytes)
  const isKey = packet !== null && packet.payloadType === leg.terms.digitsPayloadType
  if (packet === null || !isPlausible(packet, bytes, leg.terms, isKey)) {
    if (leg.latch.locked === null || isSame(leg.latch.locked, from)) leg.malformed++
    else leg.strangers++
    return
  }
  if (!admit(leg.latch, from, now)) {
    leg.strangers++
    return
  }
  const arrival = receive(leg.reception, packet, now)
  if (arrival === 'wild') {
    leg.malformed++
    return
  }
  leg.packetsIn++
  const passing: Passing = { mouth: leg, packet, arrival, bytes, now, send }
  if (isKey) passKey(passing)
  else passSound(passing)
}

/** The clock: sends every frame that is due. Call it every 10 ms. */
export function tick(call: Conversation, now: number, send: Send): void {
  for (const leg of call.legs.values()) {
    if (leg.dueAt === null || leg.terms === null) continue
    const { ptimeMs } = leg.terms
    const samples = Math.round(ptimeMs * SAMPLES_PER_MS)
    if (now - leg.dueAt > STALL_MS) {
      const missed = Math.floor((now - leg.dueAt) / ptimeMs)
      leg.lateTicks += missed
      leg.dueAt += missed * ptimeMs
      leg.clockTime = laterTimestamp(leg.clockTime, missed * samples)
    }
    while (leg.dueAt <= now + TICK_SLACK_MS) {
      sendFrame(leg, leg.terms, now, send)
      leg.dueAt += ptimeMs
      leg.clockTime = laterTimestamp(leg.clockTime, samples)
    }
  }
}

/** A datagram came in on a leg's RTCP port; only from the host that its sound comes from. */
export function arriveRtcp(leg: SoundLeg, { from, bytes, now }: Datagram): void {
  if (targetOf(leg.latch)?.host !== from.host) return
  const summary = parseRtcp(bytes)
  for (const report of summary?.reports ?? []) {
    if (report.sender !== null && report.ssrc === leg.reception.ssrc) noteReport(leg.reception, report.ntpMiddle, now)
  }
  for (const block of summary?.blocks ?? []) if (block.ssrc === leg.outlet.ssrc) leg.lostOut = Math.max(0, block.lost)
}

/** Our report about a leg, and where its RTCP goes: the port above its RTP. Null while there is nobody to tell. */
export function report(leg: SoundLeg, now: number, goodbye = false): { readonly to: Source; readonly bytes: Uint8Array } | null {
  const { outlet, reception, latch } = leg
  const to = targetOf(latch)
  if (to === null || !isReachable(to) || to.port === 65535) return null
  const sender = outlet.packets === 0 ? null : { now, timestamp: timelineAt(outlet, now), packets: outlet.packets, octets: outlet.octets }
  const block = reportBlock(reception, now)
  return { to: { host: to.host, port: to.port + 1 }, bytes: buildReport({ ssrc: outlet.ssrc, sender, block }, leg.cname, goodbye) }
}

/** What happened to a leg so far; the engine's `MediaCounters` says what each number means. */
export function countersOf(leg: SoundLeg) {
  const queues = [...leg.queues.values()]
  return {
    packetsIn: leg.packetsIn,
    packetsOut: leg.outlet.packets,
    lostIn: lostOf(leg.reception),
    lostOut: leg.lostOut,
    jitterMs: jitterMsOf(leg.reception),
    strangers: leg.strangers,
    malformed: leg.malformed,
    overflows: queues.reduce((sum, queue) => sum + queue.overflows, leg.overflows),
    starvations: queues.reduce((sum, queue) => sum + queue.starvations, leg.starvations),
    lateTicks: leg.lateTicks,
  }
}

/** Turns the table into paths and queues. What is not built here is not heard. */
function wire(call: Conversation, now: number): void {
  for (const leg of call.legs.values()) {
    leg.relaysTo = []
    leg.feeds = []
  }
  for (const ear of call.legs.values()) {
    const mouths = mouthsOf(call, ear)
    const source = ear.kind === 'conversation' ? (mouths.find((mouth) => mouth.kind === 'conversation') ?? null) : null
    if (source !== ear.source) detach(ear.outlet)
    ear.source = source
    source?.relaysTo.push(ear)
    keepQueues(
      ear,
      mouths.filter((mouth) => mouth !== source),
      now,
    )
    const isClocked = ear.queues.size > 0
    if (!isClocked) ear.dueAt = null
    else if (ear.dueAt === null) arm(ear, now, timelineAt(ear.outlet, now))
  }
}

/** The mouths in the ear's row that may really be heard, in the row's order. */
function mouthsOf(call: Conversation, ear: SoundLeg): SoundLeg[] {
  if (ear.terms === null || !ear.terms.phoneReceives || !isReachable(ear.terms.remote)) return []
  const mouths: SoundLeg[] = []
  for (const id of call.table.get(ear.id) ?? []) {
    const mouth = call.legs.get(id)
    if (mouth === undefined || mouth === ear || !call.table.has(id) || mouths.includes(mouth)) continue
    if (mouth.terms?.phoneSends === true) mouths.push(mouth)
  }
  return mouths
}

function keepQueues(ear: SoundLeg, mouths: readonly SoundLeg[], now: number): void {
  const kept = new Map(mouths.map((mouth) => [mouth, ear.queues.get(mouth) ?? makeQueue(now)]))
  for (const [mouth, queue] of ear.queues) {
    if (kept.has(mouth)) continue
    ear.overflows += queue.overflows
    ear.starvations += queue.starvations
  }
  ear.queues = kept
  for (const mouth of mouths) mouth.feeds.push(ear)
}

/** The clock's next turn: at a monitor's ear the next frame, at a conversation's ear when its source is overdue. */
function arm(ear: SoundLeg, now: number, timeline: number): void {
  const { source } = ear
  const ptimeMs = ear.terms?.ptimeMs ?? 20
  const patienceMs =
    ear.kind === 'monitor'
      ? 0
      : (source === null ? 0 : source.frame / SAMPLES_PER_MS) +
        FILL_AFTER_MS +
        Math.min(MAX_JITTER_ALLOWANCE_MS, source === null ? 0 : 4 * jitterMsOf(source.reception))
  ear.dueAt = now + ptimeMs + patienceMs
  ear.clockTime = timeline
}

function passSound(passing: Passing): void {
  const { mouth, packet, arrival, bytes, now } = passing
  mouth.frame = packet.payloadEnd - packet.payloadStart
  // What is late is too late for a queue, whose order is the order of its samples.
  if (arrival !== 'late') {
    for (const ear of mouth.feeds) {
      const queue = ear.queues.get(mouth)
      if (queue !== undefined) put(queue, bytes, packet.payloadStart, packet.payloadEnd, now)
    }
  }
  const last = mouth.relaysTo.length - 1
  for (const [i, ear] of mouth.relaysTo.entries()) relay(ear, passing, i === last ? bytes : copyOf(bytes))
}

/** The packet goes on in its own bytes: other header, same payload unless laws differ or another mouth is folded in. */
function relay(ear: SoundLeg, { mouth, packet, arrival, now, send }: Passing, bytes: Uint8Array): void {
  if (ear.terms === null || mouth.terms === null) return
  const { payloadStart, payloadEnd } = packet
  const samples = payloadEnd - payloadStart
  const stamp = relayed(ear.outlet, packet, arrival, samples, now)
  if (stamp === null) return
  // A duplicate takes nothing from the queues: its first copy did.
  const folded = arrival === 'late' ? [] : takeAll(ear, samples, now)
  const { law } = mouth.terms
  if (folded.length === 0) transcode(bytes, payloadStart, payloadEnd, law, ear.terms.law)
  else {
    const sources = [{ law, codes: bytes, from: payloadStart, length: samples }, ...folded]
    mix(sources, ear.terms.law, bytes, payloadStart, samples)
  }
  if (arrival !== 'late' && ear.dueAt !== null) arm(ear, now, ear.outlet.end)
  emit(ear, { type: PAYLOAD_TYPE[ear.terms.law], stamp, bytes, from: payloadStart, to: payloadEnd }, send)
}

function sendFrame(ear: SoundLeg, terms: Terms, now: number, send: Send): void {
  const samples = Math.round(terms.ptimeMs * SAMPLES_PER_MS)
  const sources = takeAll(ear, samples, now)
  if (sources.length === 0 && ear.kind === 'conversation') return
  const bytes = new Uint8Array(RTP_HEADER_BYTES + samples)
  mix(sources, terms.law, bytes, RTP_HEADER_BYTES, samples)
  const stamp = generated(ear.outlet, ear.clockTime, samples, now)
  emit(ear, { type: PAYLOAD_TYPE[terms.law], stamp, bytes, from: RTP_HEADER_BYTES, to: bytes.length }, send)
}

function takeAll(ear: SoundLeg, samples: number, now: number): SoundSource[] {
  const sources: SoundSource[] = []
  for (const [mouth, queue] of ear.queues) {
    const length = take(queue, queue.taking, samples, now)
    if (length > 0 && mouth.terms !== null) sources.push({ law: mouth.terms.law, codes: queue.taking, from: 0, length })
  }
  return sources
}

/** A key goes to every ear that hears the mouth, with the ear's payload type; an ear that takes none sees no gap. */
function passKey({ mouth, packet, arrival, bytes, now, send }: Passing): void {
  const { payloadStart: from, payloadEnd: to } = packet
  for (const ear of mouth.relaysTo) {
    const type = ear.terms?.digitsPayloadType ?? null
    const stamp = type === null ? null : relayed(ear.outlet, packet, arrival, 0, now)
    if (type === null) withheld(ear.outlet, packet)
    else if (stamp !== null) emit(ear, { type, stamp, bytes: copyOf(bytes), from, to }, send)
  }
  if (arrival === 'late') return
  for (const ear of mouth.feeds) {
    const type = ear.terms?.digitsPayloadType ?? null
    if (type === null) continue
    const stamp = inserted(ear.outlet, mouth.id, packet, now)
    emit(ear, { type, stamp, bytes: copyOf(bytes), from, to }, send)
  }
}

interface Outgoing {
  readonly type: number
  readonly stamp: Stamp
  readonly bytes: Uint8Array
  /** Where the payload lies; there is room for a header in front of it. */
  readonly from: number
  readonly to: number
}

function emit(ear: SoundLeg, { type, stamp, bytes, from, to }: Outgoing, send: Send): void {
  const { outlet, latch } = ear
  const target = targetOf(latch)
  if (target === null) return
  const { sequence, timestamp, marker } = stamp
  writeRtpHeader(bytes, from - RTP_HEADER_BYTES, { payloadType: type, marker, sequence, timestamp, ssrc: outlet.ssrc })
  outlet.packets++
  outlet.octets += to - from
  send(ear.id, target, bytes.subarray(from - RTP_HEADER_BYTES, to))
}

function isPlausible(packet: RtpPacket, bytes: Uint8Array, terms: Terms, isKey: boolean): boolean {
  if (isKey) return parseKey(bytes.subarray(packet.payloadStart, packet.payloadEnd)) !== null
  const samples = packet.payloadEnd - packet.payloadStart
  return packet.payloadType === PAYLOAD_TYPE[terms.law] && samples > 0 && samples <= MAX_FRAME_SAMPLES
}

/** A `Buffer`'s own `slice` would share the bytes. */
const copyOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes)
