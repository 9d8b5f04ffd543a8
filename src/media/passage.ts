/**
 * The way of a packet through a call, and what the clock sends. Time comes in as `now` (epoch ms that never step back),
 * packets go out through `send`.
 *
 *   sound           in either law, whatever was agreed first (RFC 3264 §6.1): relayed to the ears whose source it is, rewritten
 *                   where their law is another, and queued for the other ears that hear the mouth
 *   keys            (RFC 4733) go to every ear that hears the mouth, a supervisor's included, and to no other
 *   comfort noise   (RFC 3389) means that the mouth is silent from here. No ear is given it, since we never offer it; like
 *                   whatever else an ear does not take, it leaves no gap in the numbers of that ear's stream
 *
 * A clip is folded into whatever goes to its ears; a tape reads a packet before anybody rewrites it, and is given no keys.
 *
 * Silence is not nothing: a phone that is sent no packet for long takes the call for dead, and a NAT closes (RFC 6263). Who
 * may hear and was sent nothing for KEEP_ALIVE_MS gets one frame of silence, whoever else is in the call (contract C25).
 */
import { soundAt } from './clips/player.ts'
import { record, turn } from './clips/tape.ts'
import { arm, canHear, endSounds, type Conversation, type SoundLeg, type Terms } from './conversation.ts'
import { parseKey } from './dtmf.ts'
import { lawOf, PAYLOAD_TYPE, SAMPLES_PER_MS, type Law } from './g711.ts'
import { admit, isReachable, isSame, targetOf, type Source } from './latch.ts'
import { mix, transcode, type Sound } from './mixer.ts'
import { generated, inserted, relayed, timelineAt, withheld, type Stamp } from './outlet.ts'
import { MAX_FRAME_SAMPLES, put, take } from './queue.ts'
import { noteReport, receive, reportBlock, type Arrival } from './reception.ts'
import { buildReport, parseRtcp } from './rtcp.ts'
import { laterTimestamp, parseRtp, RTP_HEADER_BYTES, writeRtpHeader, type RtpPacket } from './rtp.ts'

/** A clock that is later than this skips the frames it missed instead of sending them in a burst. */
const STALL_MS = 60
/** Timers may fire up to a millisecond early. */
const TICK_SLACK_MS = 1
/** Longest time for which a phone that may hear is sent nothing: a third of the 15 s that RFC 6263 §4 reckons with. */
export const KEEP_ALIVE_MS = 5000
/** Static payload type of comfort noise (RFC 3551 §6). */
export const COMFORT_NOISE = 13

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

/** What a well-formed packet is to us: a law, or the others of the header above, or of no use. */
type Content = Law | 'key' | 'noise' | 'alien'

/** A datagram came in on a leg's RTP port. */
export function arrive(leg: SoundLeg, { from, bytes, now }: Datagram, send: Send): void {
  const { terms, latch } = leg
  if (terms === null || !terms.phoneSends) return
  const packet = parseRtp(bytes)
  const content = packet === null ? 'alien' : contentOf(packet, bytes, terms)
  const isAlien = packet === null || content === 'alien'
  const isLocked = latch.locked !== null && isSame(latch.locked, from)
  if (isAlien) {
    if (latch.locked === null || isLocked) leg.malformed++
    else leg.strangers++
  }
  // What we cannot carry may still be a number in a stream that we do, such as a keep-alive (RFC 6263 §4.6); it locks nothing.
  if (packet === null || (isAlien && !(isLocked && packet.ssrc === leg.reception.ssrc))) return
  if (!admit(latch, from, now)) {
    leg.strangers++
    return
  }
  const arrival = receive(leg.reception, packet, now)
  if (arrival === 'wild') {
    if (!isAlien) leg.malformed++
    return
  }
  leg.heardAt = now
  if (!isAlien) leg.packetsIn++
  const passing: Passing = { mouth: leg, packet, arrival, bytes, now, send }
  switch (content) {
    case 'pcmu':
    case 'pcma':
      return passSound(passing, content)
    case 'key':
      return passKey(passing)
    case 'noise':
    case 'alien':
      return swallow(passing)
  }
}

/** The clock: sends every frame that is due. Call it every 10 ms. Returns the clips that have come to their end. */
export function tick(call: Conversation, now: number, send: Send): readonly string[] {
  for (const leg of call.legs.values()) {
    if (leg.terms === null) continue
    if (leg.dueAt !== null) sendDue(leg, leg.terms, leg.dueAt, now, send)
    if (now >= leg.silenceDueAt && canHear(leg)) sendFrame(leg, leg.terms, [], { time: timelineAt(leg.outlet, now), now, send })
  }
  if (call.recording !== null) turn(call.recording, now)
  return endSounds(call, now)
}

/** A datagram came in on a leg's RTCP port; only from the host that its sound comes from. */
export function arriveRtcp(leg: SoundLeg, { from, bytes, now }: Datagram): void {
  if (targetOf(leg.latch)?.host !== from.host) return
  const summary = parseRtcp(bytes)
  if (summary === null) return
  leg.heardAt = now
  for (const report of summary.reports) {
    if (report.sender !== null && report.ssrc === leg.reception.ssrc) noteReport(leg.reception, report.ntpMiddle, now)
  }
  for (const block of summary.blocks) if (block.ssrc === leg.outlet.ssrc) leg.lostOut = Math.max(0, block.lost)
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

function contentOf(packet: RtpPacket, bytes: Uint8Array, terms: Terms): Content {
  const { payloadType, payloadStart, payloadEnd } = packet
  const length = payloadEnd - payloadStart
  if (terms.digitsFromPhone.includes(payloadType)) return parseKey(bytes.subarray(payloadStart, payloadEnd)) === null ? 'alien' : 'key'
  if (length === 0 || length > MAX_FRAME_SAMPLES) return 'alien'
  return payloadType === COMFORT_NOISE ? 'noise' : (lawOf(payloadType) ?? 'alien')
}

function passSound(passing: Passing, law: Law): void {
  const { mouth, packet, arrival, bytes, now } = passing
  const { payloadStart: from, payloadEnd: to } = packet
  const sound: Sound = { law, codes: bytes, from, length: to - from }
  mouth.frame = sound.length
  // Nothing relays a supervisor's packets, so these bytes are not rewritten and may be kept.
  if (mouth.kind === 'monitor' && arrival !== 'late') mouth.latest = { sound, at: now }
  // What is late is too late for a queue, whose order is the order of its samples.
  if (arrival !== 'late') {
    for (const ear of mouth.feeds) {
      const queue = ear.queues.get(mouth)
      if (queue !== undefined) put(queue, sound, now)
    }
  }
  const { taping } = mouth
  if (taping !== null) record(taping.recording, taping.track, taping.strips, { timestamp: packet.timestamp, arrival, ...sound }, now)
  const last = mouth.relaysTo.length - 1
  for (const [i, ear] of mouth.relaysTo.entries()) relay(ear, passing, i === last ? sound : { ...sound, codes: copyOf(bytes) })
}

/** The packet goes on in its own bytes: other header, same payload unless laws differ or another mouth is folded in. */
function relay(ear: SoundLeg, { packet, arrival, now, send }: Passing, sound: Sound): void {
  if (ear.terms === null) return
  const { codes: bytes, from, length } = sound
  const { law } = ear.terms
  const stamp = relayed(ear.outlet, packet, arrival, length, now)
  if (stamp === null) return
  // A duplicate takes nothing from the queues: its first copy did.
  const folded = arrival === 'late' ? [] : takeAll(ear, length, now)
  for (const clip of clipsAt(ear, stamp.timestamp, length, law, arrival === 'late')) folded.push(clip)
  if (folded.length === 0) transcode(bytes, from, from + length, sound.law, law)
  else mix([sound, ...folded], law, bytes, from, length)
  if (arrival !== 'late' && ear.dueAt !== null) arm(ear, now, ear.outlet.end)
  emit(ear, { type: PAYLOAD_TYPE[law], stamp, bytes, from, to: from + length, now }, send)
}

/** The frames of the clock that are due at an ear. A conversation's ear gets none of nothing: its source may only be late. */
function sendDue(ear: SoundLeg, terms: Terms, due: number, now: number, send: Send): void {
  const { ptimeMs } = terms
  const samples = Math.round(ptimeMs * SAMPLES_PER_MS)
  let dueAt = due
  if (now - dueAt > STALL_MS) {
    const missed = Math.floor((now - dueAt) / ptimeMs)
    ear.lateTicks += missed
    dueAt += missed * ptimeMs
    ear.clockTime = laterTimestamp(ear.clockTime, missed * samples)
  }
  while (dueAt <= now + TICK_SLACK_MS) {
    const sources = takeAll(ear, samples, now)
    if (sources.length > 0 || ear.sounds.size > 0 || ear.kind === 'monitor') sendFrame(ear, terms, sources, { time: ear.clockTime, now, send })
    dueAt += ptimeMs
    ear.clockTime = laterTimestamp(ear.clockTime, samples)
  }
  ear.dueAt = dueAt
}

/** A frame of our own: of these sounds and the clips that play, or of silence. */
function sendFrame(
  ear: SoundLeg,
  terms: Terms,
  sources: readonly Sound[],
  { time, now, send }: { readonly time: number; readonly now: number; readonly send: Send },
): void {
  const samples = Math.round(terms.ptimeMs * SAMPLES_PER_MS)
  const bytes = new Uint8Array(RTP_HEADER_BYTES + samples)
  const stamp = generated(ear.outlet, time, samples, now)
  mix([...sources, ...clipsAt(ear, stamp.timestamp, samples, terms.law, false)], terms.law, bytes, RTP_HEADER_BYTES, samples)
  emit(ear, { type: PAYLOAD_TYPE[terms.law], stamp, bytes, from: RTP_HEADER_BYTES, to: bytes.length, now }, send)
}

function takeAll(ear: SoundLeg, samples: number, now: number): Sound[] {
  const sources: Sound[] = []
  for (const queue of ear.queues.values()) {
    const length = take(queue, queue.taking, samples, now)
    if (length > 0) sources.push({ law: queue.law, codes: queue.taking, from: 0, length })
  }
  return sources
}

const NO_CLIPS: readonly Sound[] = []

/** What a packet carries of the clips that its ear hears. One that is late is not where a clip begins. */
function clipsAt(ear: SoundLeg, timestamp: number, samples: number, law: Law, isLate: boolean): readonly Sound[] {
  if (ear.sounds.size === 0) return NO_CLIPS
  const clips: Sound[] = []
  for (const [playing, listening] of ear.sounds) {
    const clip = isLate && listening.origin === null ? null : soundAt(playing, listening, timestamp, samples, law)
    if (clip !== null) clips.push(clip)
  }
  return clips
}

/** A key goes to every ear that hears the mouth, with the ear's payload type; an ear that takes none sees no gap. */
function passKey({ mouth, packet, arrival, bytes, now, send }: Passing): void {
  const { payloadStart: from, payloadEnd: to } = packet
  for (const ear of mouth.relaysTo) {
    const type = ear.terms?.digitsPayloadType ?? null
    const stamp = type === null ? null : relayed(ear.outlet, packet, arrival, 0, now)
    if (type === null) withheld(ear.outlet, packet, arrival)
    else if (stamp !== null) emit(ear, { type, stamp, bytes: copyOf(bytes), from, to, now }, send)
  }
  if (arrival === 'late') return
  for (const ear of mouth.feeds) {
    const type = ear.terms?.digitsPayloadType ?? null
    if (type === null) continue
    const stamp = inserted(ear.outlet, mouth.id, packet, now)
    emit(ear, { type, stamp, bytes: copyOf(bytes), from, to, now }, send)
  }
}

/** Nobody is given this packet, and nobody misses it. */
function swallow({ mouth, packet, arrival }: Passing): void {
  for (const ear of mouth.relaysTo) withheld(ear.outlet, packet, arrival)
}

interface Outgoing {
  readonly type: number
  readonly stamp: Stamp
  readonly bytes: Uint8Array
  /** Where the payload lies; there is room for a header in front of it. */
  readonly from: number
  readonly to: number
  readonly now: number
}

function emit(ear: SoundLeg, { type, stamp, bytes, from, to, now }: Outgoing, send: Send): void {
  const { outlet, latch } = ear
  const target = targetOf(latch)
  if (target === null) return
  const { sequence, timestamp, marker } = stamp
  writeRtpHeader(bytes, from - RTP_HEADER_BYTES, { payloadType: type, marker, sequence, timestamp, ssrc: outlet.ssrc })
  outlet.packets++
  outlet.octets += to - from
  ear.silenceDueAt = now + KEEP_ALIVE_MS
  send(ear.id, target, bytes.subarray(from - RTP_HEADER_BYTES, to))
}

/** A `Buffer`'s own `slice` would share the bytes. */
const copyOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes)
