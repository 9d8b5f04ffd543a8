/**
 * The RTP header (RFC 3550 §5.1): read where it stands, written in place.
 *
 * Nothing is copied: a parsed header is numbers and two offsets into the datagram, and a header is written over the bytes
 * in front of a payload, where a longer header (contributing sources, extension) stood before.
 */

export const RTP_HEADER_BYTES = 12
/** A datagram above this is not telephone audio and is dropped unread. */
export const MAX_RTP_BYTES = 1500

export interface RtpHeader {
  readonly payloadType: number
  readonly marker: boolean
  /** 16 bits, wraps. */
  readonly sequence: number
  /** 32 bits unsigned, wraps; 8000 per second for G.711. */
  readonly timestamp: number
  /** 32 bits unsigned. */
  readonly ssrc: number
}

export interface RtpPacket extends RtpHeader {
  /** The payload is `bytes.subarray(payloadStart, payloadEnd)`: contributing sources, extension and padding are left out. */
  readonly payloadStart: number
  readonly payloadEnd: number
}

/** Null when the bytes are not an RTP packet of version 2 whose lengths add up. */
export function parseRtp(bytes: Uint8Array): RtpPacket | null {
  const { length } = bytes
  if (length < RTP_HEADER_BYTES || length > MAX_RTP_BYTES) return null
  const first = bytes[0] ?? 0
  if (first >> 6 !== 2) return null
  let payloadStart = RTP_HEADER_BYTES + 4 * (first & 0x0f)
  if (first & 0x10) {
    if (payloadStart + 4 > length) return null
    payloadStart += 4 + 4 * uint16(bytes, payloadStart + 2)
  }
  const padding = first & 0x20 ? (bytes[length - 1] ?? 0) : 0
  if (first & 0x20 && padding === 0) return null
  const payloadEnd = length - padding
  if (payloadStart > payloadEnd) return null
  const second = bytes[1] ?? 0
  return {
    payloadType: second & 0x7f,
    marker: second >= 0x80,
    sequence: uint16(bytes, 2),
    timestamp: uint32(bytes, 4),
    ssrc: uint32(bytes, 8),
    payloadStart,
    payloadEnd,
  }
}

/** Writes the twelve bytes at an offset; there must be room. */
export function writeRtpHeader(bytes: Uint8Array, at: number, header: RtpHeader): void {
  bytes[at] = 0x80
  bytes[at + 1] = (header.marker ? 0x80 : 0) | (header.payloadType & 0x7f)
  putUint16(bytes, at + 2, header.sequence)
  putUint32(bytes, at + 4, header.timestamp)
  putUint32(bytes, at + 8, header.ssrc)
}

/** A whole packet in bytes of its own. */
export function buildRtp(header: RtpHeader, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(RTP_HEADER_BYTES + payload.length)
  writeRtpHeader(bytes, 0, header)
  bytes.set(payload, RTP_HEADER_BYTES)
  return bytes
}

/** How far `a` is ahead of `b`: -32768 to 32767; the shorter way round the circle. */
export const sequenceAhead = (a: number, b: number): number => ((a - b) << 16) >> 16
/** How far `a` is ahead of `b` in samples, the shorter way round. */
export const timestampAhead = (a: number, b: number): number => (a - b) | 0
export const nextSequence = (sequence: number, by = 1): number => (sequence + by) & 0xffff
export const laterTimestamp = (timestamp: number, by: number): number => (timestamp + by) >>> 0

export const uint16 = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
export const uint32 = (bytes: Uint8Array, at: number): number => uint16(bytes, at) * 65536 + uint16(bytes, at + 2)
export function putUint16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8
  bytes[at + 1] = value
}
export function putUint32(bytes: Uint8Array, at: number, value: number): void {
  putUint16(bytes, at, value >>> 16)
  putUint16(bytes, at + 2, value & 0xffff)
}
