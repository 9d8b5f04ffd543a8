/**
 * The one stream that an ear receives, whatever it is made of: our own SSRC, sequence numbers and timestamps that go on
 * without a break while sources come, go and give way to each other (RFC 3550 §5.1).
 *
 *   relayed    the packets of one source with two offsets: its loss, order and pauses stay visible as they came
 *   generated  a frame of our clock, made for an ear whose source is silent
 *   inserted   a key event of a mouth that is not the source
 *
 * One rule: no sequence number is used for two things. A packet of our own always takes a new number and moves the source's
 * offset by one, so loss in the source stays visible as loss. A frame of our own also takes a stretch of time; when the
 * source speaks again within it, its timestamps move forward. What they moved is owed, and given back in the source's next
 * pause, so that a coach never adds lasting delay.
 */
import { SAMPLES_PER_MS } from './g711.ts'
import { laterTimestamp, nextSequence, sequenceAhead, timestampAhead, type RtpHeader } from './rtp.ts'
import type { Arrival } from './reception.ts'

/** A source whose timestamps leap by more than this against the clock has changed its mind about time; we go on without it. */
export const MAX_SKEW_MS = 2000

/** What goes into the header of the packet. */
export interface Stamp {
  readonly sequence: number
  readonly timestamp: number
  readonly marker: boolean
}

interface Mapping {
  sequenceOffset: number
  timestampOffset: number
  /** Highest number of the source that went out. */
  highest: number
  /** Numbers up to `floor` go by the offset before the last change; those up to `bottom` are too old for anything. */
  floor: number
  bottom: number
  offsetBefore: number
  /** The key event that is going on: all of its packets carry one timestamp. */
  event: HeldKey | null
}

interface HeldKey {
  readonly source: number
  readonly timestamp: number
}

export interface Outlet {
  readonly ssrc: number
  /** Of the packet that was sent last. */
  sequence: number
  /** Of the sound that was sent last, the first sample after it, and when. Events do not count: they overlap the sound. */
  timestamp: number
  end: number
  sentAt: number
  hasStarted: boolean
  /** A clock frame or inserted event went out since the source's last packet. */
  hasFilled: boolean
  /** The next packet is not the continuation of the last. */
  isBroken: boolean
  /** Samples by which the source's timestamps were moved forward. */
  owed: number
  mapping: Mapping | null
  /** Latest key event of each mouth that is not the source; as many as a call has legs. */
  readonly insertedEvents: Map<string, HeldKey>
  packets: number
  octets: number
}

/** Chance comes from outside; all three are random (RFC 3550 §5.1). */
export interface Seed {
  readonly ssrc: number
  readonly sequence: number
  readonly timestamp: number
}

export const makeOutlet = (seed: Seed): Outlet => ({
  ssrc: seed.ssrc >>> 0,
  sequence: seed.sequence & 0xffff,
  timestamp: seed.timestamp >>> 0,
  end: seed.timestamp >>> 0,
  sentAt: 0,
  hasStarted: false,
  hasFilled: false,
  isBroken: true,
  owed: 0,
  mapping: null,
  insertedEvents: new Map(),
  packets: 0,
  octets: 0,
})

/** The source changed, or the ear was deaf for a time: what comes next is a new beginning with a marker, not a loss. */
export function detach(outlet: Outlet): void {
  outlet.mapping = null
  outlet.isBroken = true
}

/**
 * The stamp of a packet of the ear's source. Null: too old to fit in anywhere, drop it.
 * @param samples Its length in time; 0 for a key event, whose packets all carry the time of its beginning.
 */
export function relayed(outlet: Outlet, header: RtpHeader, arrival: Arrival, samples: number, now: number): Stamp | null {
  const mapping = outlet.mapping === null || arrival === 'first' ? join(outlet, header, now) : outlet.mapping
  if (sequenceAhead(header.sequence, mapping.highest) <= 0) return lateStamp(mapping, header)
  const sequence = (header.sequence + mapping.sequenceOffset) & 0xffff
  mapping.highest = header.sequence
  if (samples === 0) {
    const timestamp = eventTime(outlet, mapping, header, now)
    noteEvent(outlet, sequence, timestamp, now)
    return { sequence, timestamp, marker: header.marker }
  }
  const timestamp = soundTime(outlet, mapping, header, now)
  const marker = header.marker || outlet.isBroken || outlet.hasFilled
  note(outlet, sequence, timestamp, samples, now)
  outlet.hasFilled = false
  return { sequence, timestamp, marker }
}

/** A packet of the source that this ear is not given (comfort noise, say): the next one must not look like loss. */
export function withheld(outlet: Outlet, header: RtpHeader, arrival: Arrival): void {
  const { mapping } = outlet
  // The numbers of a stream that is over say nothing about the new one, which begins with what is sent of it.
  if (arrival === 'first') return detach(outlet)
  if (mapping === null || sequenceAhead(header.sequence, mapping.highest) <= 0) return
  mapping.bottom = mapping.floor
  mapping.floor = header.sequence
  mapping.highest = header.sequence
  mapping.offsetBefore = mapping.sequenceOffset
  mapping.sequenceOffset = (mapping.sequenceOffset - 1) & 0xffff
  // What was lost just before it may still come: its number stays free.
  outlet.sequence = (header.sequence + mapping.sequenceOffset) & 0xffff
}

/** The stamp of a frame of our clock. @param timestamp Its time on the ear's timeline; never before what was sent. */
export function generated(outlet: Outlet, timestamp: number, samples: number, now: number): Stamp {
  const sequence = nextSequence(outlet.sequence)
  const time = outlet.hasStarted && timestampAhead(timestamp, outlet.end) < 0 ? outlet.end : timestamp
  const marker = outlet.isBroken || (outlet.mapping !== null && !outlet.hasFilled) || time !== outlet.end
  if (outlet.mapping !== null) shift(outlet.mapping, 1)
  note(outlet, sequence, time, samples, now)
  outlet.hasFilled = true
  return { sequence, timestamp: time, marker }
}

/** The stamp of a key event of a mouth that is not the source. */
export function inserted(outlet: Outlet, mouth: string, header: RtpHeader, now: number): Stamp {
  const sequence = nextSequence(outlet.sequence)
  const held = outlet.insertedEvents.get(mouth)
  const timestamp = held?.source === header.timestamp ? held.timestamp : timelineAt(outlet, now)
  outlet.insertedEvents.set(mouth, { source: header.timestamp, timestamp })
  if (outlet.mapping !== null) shift(outlet.mapping, 1)
  noteEvent(outlet, sequence, timestamp, now)
  // The marker begins an event (RFC 4733 §2.5.1.1); it says nothing about the sound around it.
  return { sequence, timestamp, marker: header.marker }
}

/** The ear's timeline at `now`: where a stream goes on after a pause. */
export function timelineAt(outlet: Outlet, now: number): number {
  if (!outlet.hasStarted) return outlet.timestamp
  const elapsed = Math.round((now - outlet.sentAt) * SAMPLES_PER_MS)
  const time = laterTimestamp(outlet.timestamp, elapsed)
  return timestampAhead(time, outlet.end) < 0 ? outlet.end : time
}

function join(outlet: Outlet, header: RtpHeader, now: number): Mapping {
  const before = (header.sequence - 1) & 0xffff
  const offset = (nextSequence(outlet.sequence) - header.sequence) & 0xffff
  const timestampOffset = timelineAt(outlet, now) - header.timestamp
  outlet.isBroken = true
  outlet.owed = 0
  outlet.mapping = {
    sequenceOffset: offset,
    timestampOffset,
    highest: before,
    floor: before,
    bottom: before,
    offsetBefore: offset,
    event: null,
  }
  return outlet.mapping
}

function shift(mapping: Mapping, by: number): void {
  // Several in a row are one change: nothing of the source went out between them.
  if (mapping.floor !== mapping.highest) {
    mapping.bottom = mapping.floor
    mapping.floor = mapping.highest
    mapping.offsetBefore = mapping.sequenceOffset
  }
  mapping.sequenceOffset = (mapping.sequenceOffset + by) & 0xffff
}

/** A duplicate or a straggler keeps the number that was its own. */
function lateStamp(mapping: Mapping, header: RtpHeader): Stamp | null {
  if (sequenceAhead(header.sequence, mapping.bottom) <= 0) return null
  const isOld = sequenceAhead(header.sequence, mapping.floor) <= 0
  const offset = isOld ? mapping.offsetBefore : mapping.sequenceOffset
  return {
    sequence: (header.sequence + offset) & 0xffff,
    timestamp: laterTimestamp(header.timestamp, mapping.timestampOffset),
    marker: header.marker,
  }
}

function soundTime(outlet: Outlet, mapping: Mapping, header: RtpHeader, now: number): number {
  const mapped = laterTimestamp(header.timestamp, mapping.timestampOffset)
  if (!outlet.hasStarted) return mapped
  const gap = timestampAhead(mapped, outlet.end)
  const skew = timestampAhead(mapped, timelineAt(outlet, now))
  if (Math.abs(skew) > MAX_SKEW_MS * SAMPLES_PER_MS) {
    mapping.timestampOffset -= skew
    outlet.owed = 0
    outlet.isBroken = true
  } else if (gap < 0 && outlet.hasFilled) {
    mapping.timestampOffset -= gap
    outlet.owed -= gap
  } else if (gap > 0 && outlet.owed > 0) {
    const returned = Math.min(gap, outlet.owed)
    mapping.timestampOffset -= returned
    outlet.owed -= returned
  }
  return laterTimestamp(header.timestamp, mapping.timestampOffset)
}

function eventTime(outlet: Outlet, mapping: Mapping, header: RtpHeader, now: number): number {
  if (mapping.event?.source === header.timestamp) return mapping.event.timestamp
  const timestamp = soundTime(outlet, mapping, header, now)
  mapping.event = { source: header.timestamp, timestamp }
  return timestamp
}

function note(outlet: Outlet, sequence: number, timestamp: number, samples: number, now: number): void {
  outlet.sequence = sequence
  outlet.timestamp = timestamp
  outlet.end = laterTimestamp(timestamp, samples)
  outlet.sentAt = now
  outlet.hasStarted = true
  outlet.isBroken = false
}

function noteEvent(outlet: Outlet, sequence: number, timestamp: number, now: number): void {
  const { isBroken, hasStarted } = outlet
  if (!hasStarted) note(outlet, sequence, timestamp, 0, now)
  outlet.sequence = sequence
  outlet.isBroken = isBroken
}
