/**
 * What a phone hears, measured: which tones, how loud, which keys, and how many packets were lost.
 *
 * It keeps the last seconds of sound in the order of the sender (loopback needs no jitter buffer) and asks a Goertzel filter.
 * Pure: the time of arrival is an argument.
 */
import { decode, lawOf, SAMPLES_PER_MS } from '../media/g711.ts'
import { FLOOR_DB, powerDb } from '../media/tone.ts'
import { keyOf, parseKey } from '../media/dtmf.ts'
import { lostOf, makeReception, receive } from '../media/reception.ts'
import { parseRtp, sequenceAhead } from '../media/rtp.ts'

/** A tone above this level is heard, dB of full scale; the phones of this room hum at -12, and a quarter of the window must be filled. */
export const HEARD_DB = -24
/** A tone below this is not there. Between the two it is unclear, and a test that asks must fail. */
export const SILENT_DB = -50
export type Verdict = 'heard' | 'unclear' | 'silent'

/** A tone that ever rose above this, for one packet even, was there: more than the splash that another tone makes where it begins. */
export const TRACE_DB = -40

/** Sound that is kept, ms. */
export const REMEMBERED_MS = 30_000
/** The window of a single measurement: 10 Hz wide, so that tones a few tens of hertz apart are told apart. */
const GLANCE_MS = 100
const MAX_DIGITS = 256

/** One received packet as it came, for proofs about the stream itself. */
export interface Captured {
  readonly sequence: number
  readonly timestamp: number
  readonly ssrc: number
  readonly payloadType: number
  readonly marker: boolean
  readonly payload: Uint8Array
  /** When it arrived, ms. */
  readonly at: number
}

export interface EarCounters {
  readonly packets: number
  readonly lost: number
  /** Not RTP, or a payload type that was not agreed. */
  readonly strange: number
  /** Late, repeated or out of order. */
  readonly disordered: number
}

export interface Ear {
  /** A datagram on the RTP port. @param now ms, monotonic. */
  take(datagram: Uint8Array, now: number): void
  /** dB of full scale for each tone over the sound that arrived in the last `windowMs`; what did not arrive counts as silence. */
  levels(tonesHz: readonly number[], windowMs: number, now: number): ReadonlyMap<number, number>
  /** The tones of which there is a trace in the remembered sound, be it a single packet. */
  everHeard(tonesHz: readonly number[]): readonly number[]
  /** Forgets the sound and the digits, not the counters. */
  forget(): void
  digits(): string
  counters(): EarCounters
  /** The newest packets, oldest first, at most `capturePackets`. */
  captured(): readonly Captured[]
}

export interface EarOptions {
  /** Payload type of keys. */
  readonly digitsPayloadType: number
  /** How many raw packets are kept. */
  readonly capturePackets: number
}

interface Piece {
  /** Numbers of one stream cannot be compared with another's. */
  readonly stream: number
  readonly sequence: number
  readonly at: number
  readonly samples: Int16Array
}

export const verdict = (levelDb: number): Verdict => (levelDb > HEARD_DB ? 'heard' : levelDb < SILENT_DB ? 'silent' : 'unclear')

export function makeEar({ digitsPayloadType, capturePackets }: EarOptions): Ear {
  const reception = makeReception()
  const pieces: Piece[] = []
  const captured: Captured[] = []
  let stream = 0
  let samplesKept = 0
  let digits = ''
  let lastKeyAt: number | null = null
  let packets = 0
  let strange = 0
  let disordered = 0

  const hear = (piece: Piece): void => {
    let place = pieces.length
    const isAhead = (before: Piece | undefined): boolean => before?.stream === piece.stream && sequenceAhead(piece.sequence, before.sequence) < 0
    while (isAhead(pieces[place - 1])) place--
    pieces.splice(place, 0, piece)
    samplesKept += piece.samples.length
    while (samplesKept > REMEMBERED_MS * SAMPLES_PER_MS) samplesKept -= pieces.shift()?.samples.length ?? samplesKept
  }
  return {
    take(datagram, now) {
      const packet = parseRtp(datagram)
      if (packet === null) return void strange++
      packets++
      // A copy of its own: the slice of a Buffer would share the datagram's memory.
      const payload = new Uint8Array(datagram.subarray(packet.payloadStart, packet.payloadEnd))
      const { sequence, timestamp, ssrc, payloadType, marker } = packet
      if (capturePackets > 0) captured.push({ sequence, timestamp, ssrc, payloadType, marker, payload, at: now })
      if (captured.length > capturePackets) captured.shift()
      const arrival = receive(reception, packet, now)
      if (arrival === 'late' || arrival === 'wild') disordered++
      // A new stream has numbers and times of its own.
      if (arrival === 'first') [stream, lastKeyAt] = [stream + 1, null]
      const law = lawOf(payloadType)
      if (payloadType === digitsPayloadType) {
        const key = parseKey(payload)
        // All packets of one key press carry the timestamp of the first.
        if (key !== null && timestamp !== lastKeyAt && digits.length < MAX_DIGITS) digits += keyOf(key) ?? ''
        lastKeyAt = timestamp
      } else if (law === null) strange++
      else hear({ stream, sequence, at: now, samples: decode(law, payload) })
    },
    levels(tonesHz, windowMs, now) {
      const recent = pieces.filter((piece) => piece.at > now - windowMs)
      return levelsOf(joined(recent), tonesHz, windowMs * SAMPLES_PER_MS)
    },
    everHeard(tonesHz) {
      const sound = joined(pieces)
      const glance = GLANCE_MS * SAMPLES_PER_MS
      const found = new Set<number>()
      for (let start = 0; start < sound.length; start += glance / 2) {
        const levels = levelsOf(sound.subarray(start, start + glance), tonesHz, glance)
        for (const [hz, level] of levels) if (level > TRACE_DB) found.add(hz)
      }
      return tonesHz.filter((hz) => found.has(hz))
    },
    forget() {
      pieces.length = 0
      samplesKept = 0
      digits = ''
    },
    digits: () => digits,
    counters: () => ({ packets, lost: lostOf(reception), strange, disordered }),
    captured: () => [...captured],
  }
}

function joined(pieces: readonly Piece[]): Int16Array {
  const sound = new Int16Array(pieces.reduce((sum, piece) => sum + piece.samples.length, 0))
  let at = 0
  for (const { samples } of pieces) {
    sound.set(samples, at)
    at += samples.length
  }
  return sound
}

/** Short sound is weighed as if silence made it up to `wanted` samples. */
function levelsOf(sound: Int16Array, tonesHz: readonly number[], wanted: number): ReadonlyMap<number, number> {
  const share = Math.min(1, sound.length / wanted)
  return new Map(tonesHz.map((hz) => [hz, share === 0 ? FLOOR_DB : Math.max(FLOOR_DB, powerDb(sound, hz) + 20 * Math.log10(share))]))
}
