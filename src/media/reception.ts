/**
 * What can be known of a stream that comes in: order, loss and jitter (RFC 3550 §6.4.1, A.1, A.3, A.8).
 *
 * Mutable and free of allocation, because it sees every packet.
 */
import { SAMPLES_PER_MS } from './g711.ts'
import type { ReportBlock } from './rtcp.ts'
import { nextSequence, sequenceAhead, timestampAhead, type RtpHeader } from './rtp.ts'

/** A forward step above this, or a backward one above the other, is a new stream or nonsense (RFC 3550 A.1). */
export const MAX_DROPOUT = 3000
export const MAX_MISORDER = 100

/**
 * `first` begins a stream (new SSRC, or the second packet in a row after a jump); `fresh` is ahead of all before;
 * `late` is a duplicate or out of order; `wild` fits nowhere and must be dropped.
 */
export type Arrival = 'first' | 'fresh' | 'late' | 'wild'

export interface Reception {
  ssrc: number | null
  /** First and highest sequence number, the latter with its cycles. */
  base: number
  highest: number
  received: number
  /** The number that would make a jump credible. */
  expectedAfterJump: number
  /** Lost in streams of this leg that ended before the present one. */
  lostBefore: number
  /** In samples, times 16 as in RFC 3550 A.8 (without its rounding). */
  jitter: number
  transit: number | null
  expectedAtReport: number
  receivedAtReport: number
  /** From the phone's last sender report. */
  reportMiddle: number
  reportAt: number
}

export const makeReception = (): Reception => ({
  ssrc: null,
  base: 0,
  highest: 0,
  received: 0,
  expectedAfterJump: -1,
  lostBefore: 0,
  jitter: 0,
  transit: null,
  expectedAtReport: 0,
  receivedAtReport: 0,
  reportMiddle: 0,
  reportAt: 0,
})

/** Takes note of a packet. @param now ms, monotonic. */
export function receive(reception: Reception, header: RtpHeader, now: number): Arrival {
  if (reception.ssrc !== header.ssrc) return begin(reception, header)
  const ahead = sequenceAhead(header.sequence, reception.highest & 0xffff)
  if (ahead > MAX_DROPOUT || ahead < -MAX_MISORDER) {
    if (header.sequence === reception.expectedAfterJump) return begin(reception, header)
    reception.expectedAfterJump = nextSequence(header.sequence)
    return 'wild'
  }
  reception.received++
  if (ahead <= 0) return 'late'
  reception.highest += ahead
  reception.expectedAfterJump = -1
  return takeNoteOf(reception, header, now)
}

/** Packets that never came; duplicates count against it, but it is never negative. */
export const lostOf = (reception: Reception): number =>
  reception.lostBefore + (reception.ssrc === null ? 0 : Math.max(0, expectedOf(reception) - reception.received))

export const jitterMsOf = (reception: Reception): number => reception.jitter / SAMPLES_PER_MS

/** The phone's sender report came: our next block says how long ago. */
export function noteReport(reception: Reception, ntpMiddle: number, now: number): void {
  reception.reportMiddle = ntpMiddle
  reception.reportAt = now
}

/** The block for our report; null before any packet. Begins the next interval. */
export function reportBlock(reception: Reception, now: number): ReportBlock | null {
  if (reception.ssrc === null) return null
  const expected = expectedOf(reception)
  const interval = expected - reception.expectedAtReport
  const lost = interval - (reception.received - reception.receivedAtReport)
  reception.expectedAtReport = expected
  reception.receivedAtReport = reception.received
  return {
    ssrc: reception.ssrc,
    fractionLost: interval <= 0 || lost <= 0 ? 0 : Math.min(255, Math.floor((lost * 256) / interval)),
    lost: expected - reception.received,
    highestSequence: reception.highest >>> 0,
    jitter: Math.round(reception.jitter),
    lastReport: reception.reportMiddle,
    sinceLastReport: reception.reportMiddle === 0 ? 0 : Math.round(((now - reception.reportAt) / 1000) * 65536),
  }
}

const expectedOf = (reception: Reception): number => reception.highest - reception.base + 1

function begin(reception: Reception, header: RtpHeader): Arrival {
  reception.lostBefore = lostOf(reception)
  reception.ssrc = header.ssrc
  reception.base = header.sequence
  reception.highest = header.sequence
  reception.received = 1
  reception.expectedAfterJump = -1
  reception.transit = null
  reception.expectedAtReport = 0
  reception.receivedAtReport = 0
  reception.reportMiddle = 0
  return 'first'
}

function takeNoteOf(reception: Reception, header: RtpHeader, now: number): Arrival {
  // Modulo 2^32 like the timestamps, so that a wrap is no jitter.
  const transit = (Math.round(now * SAMPLES_PER_MS) - header.timestamp) | 0
  if (reception.transit !== null) {
    const difference = Math.abs(timestampAhead(transit, reception.transit))
    reception.jitter += (difference - reception.jitter) / 16
  }
  reception.transit = transit
  return 'fresh'
}
