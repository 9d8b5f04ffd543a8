/**
 * RTCP (RFC 3550 §6): the reports that both ends of a stream send about it, as values.
 *
 * We send a sender report (or a receiver report while we have sent nothing) with a CNAME every few seconds, and BYE at the
 * end. Of what phones send only the reports matter; their BYE does not end anything, signalling does.
 */
import { putUint16, putUint32, uint16, uint32 } from './rtp.ts'

/** RFC 3550 §6.2 asks for 5 s between reports. */
export const REPORT_MS = 5000
const MAX_RTCP_BYTES = 1500

const SENDER_REPORT = 200
const RECEIVER_REPORT = 201
const SOURCE_DESCRIPTION = 202
const GOODBYE = 203
/** Seconds from 1900 to 1970. */
const NTP_EPOCH_S = 2_208_988_800
const MAX_CNAME_BYTES = 64

/** What one end says about the stream it receives (RFC 3550 §6.4.1). */
export interface ReportBlock {
  readonly ssrc: number
  /** Lost since the last report, in 1/256. */
  readonly fractionLost: number
  /** Lost since the beginning; duplicates can make it negative. 24 bits signed. */
  readonly lost: number
  /** Highest sequence number with its cycles, 32 bits. */
  readonly highestSequence: number
  /** In timestamp units (samples). */
  readonly jitter: number
  /** The middle 32 bits of the last sender report's NTP time; 0 for none. */
  readonly lastReport: number
  /** Since that report, in 1/65536 s. */
  readonly sinceLastReport: number
}

export interface SenderInfo {
  /** Epoch ms. */
  readonly now: number
  readonly timestamp: number
  readonly packets: number
  readonly octets: number
}

export interface Report {
  readonly ssrc: number
  /** Null: a receiver report. */
  readonly sender: SenderInfo | null
  readonly block: ReportBlock | null
}

export interface RtcpSummary {
  readonly reports: readonly (Report & { readonly ntpMiddle: number })[]
  readonly blocks: readonly ReportBlock[]
  readonly cname: string | null
  readonly goodbye: boolean
}

/** SR or RR, then SDES with the CNAME, then BYE if it is the last: one compound packet (RFC 3550 §6.1). */
export function buildReport(report: Report, cname: string, goodbye = false): Uint8Array {
  const blockBytes = report.block === null ? 0 : 24
  const head = new Uint8Array(8 + (report.sender === null ? 0 : 20) + blockBytes)
  putHeader(head, report.block === null ? 0 : 1, report.sender === null ? RECEIVER_REPORT : SENDER_REPORT)
  putUint32(head, 4, report.ssrc)
  if (report.sender !== null) putSender(head, report.sender)
  if (report.block !== null) putBlock(head, head.length - 24, report.block)
  const parts = [head, description(report.ssrc, cname), ...(goodbye ? [farewell(report.ssrc)] : [])]
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/** Null when it is not a well-formed compound of RTCP packets that begins with a report (RFC 3550 A.2). */
export function parseRtcp(bytes: Uint8Array): RtcpSummary | null {
  if (bytes.length < 8 || bytes.length > MAX_RTCP_BYTES) return null
  const type = bytes[1] ?? 0
  if (type !== SENDER_REPORT && type !== RECEIVER_REPORT) return null
  const reports: (Report & { ntpMiddle: number })[] = []
  const blocks: ReportBlock[] = []
  let cname: string | null = null
  let goodbye = false
  for (let at = 0; at < bytes.length; ) {
    if (at + 4 > bytes.length || (bytes[at] ?? 0) >> 6 !== 2) return null
    const end = at + 4 * (uint16(bytes, at + 2) + 1)
    if (end > bytes.length) return null
    const packet = bytes.subarray(at, end)
    const kind = packet[1] ?? 0
    if (kind === SENDER_REPORT || kind === RECEIVER_REPORT) {
      const read = readReport(packet, kind === SENDER_REPORT)
      if (read === null) return null
      reports.push(read.report)
      blocks.push(...read.blocks)
    } else if (kind === SOURCE_DESCRIPTION) cname ??= readCname(packet)
    else if (kind === GOODBYE) goodbye = true
    at = end
  }
  return { reports, blocks, cname, goodbye }
}

/** Epoch ms as the middle 32 bits of an NTP time, in 1/65536 s: what LSR and DLSR count in. */
export const ntpMiddle = (now: number): number => Math.floor(((now / 1000 + NTP_EPOCH_S) % 65536) * 65536) >>> 0

function putHeader(bytes: Uint8Array, count: number, type: number): void {
  bytes[0] = 0x80 | count
  bytes[1] = type
  putUint16(bytes, 2, bytes.length / 4 - 1)
}

function putSender(bytes: Uint8Array, sender: SenderInfo): void {
  const seconds = sender.now / 1000 + NTP_EPOCH_S
  putUint32(bytes, 8, Math.floor(seconds) >>> 0)
  putUint32(bytes, 12, Math.floor((seconds % 1) * 2 ** 32) >>> 0)
  putUint32(bytes, 16, sender.timestamp)
  putUint32(bytes, 20, sender.packets >>> 0)
  putUint32(bytes, 24, sender.octets >>> 0)
}

function putBlock(bytes: Uint8Array, at: number, block: ReportBlock): void {
  putUint32(bytes, at, block.ssrc)
  const lost = Math.max(-0x800000, Math.min(0x7fffff, block.lost))
  putUint32(bytes, at + 4, (((block.fractionLost & 0xff) << 24) | (lost & 0xffffff)) >>> 0)
  putUint32(bytes, at + 8, block.highestSequence >>> 0)
  putUint32(bytes, at + 12, block.jitter >>> 0)
  putUint32(bytes, at + 16, block.lastReport)
  putUint32(bytes, at + 20, block.sinceLastReport >>> 0)
}

function description(ssrc: number, cname: string): Uint8Array {
  const text = new TextEncoder().encode(cname).subarray(0, MAX_CNAME_BYTES)
  // Chunk: SSRC, item 1 with its length, at least one zero to end the list, padded to whole words (RFC 3550 §6.5).
  const bytes = new Uint8Array(4 + 4 * Math.ceil((4 + 2 + text.length + 1) / 4))
  putHeader(bytes, 1, SOURCE_DESCRIPTION)
  putUint32(bytes, 4, ssrc)
  bytes[8] = 1
  bytes[9] = text.length
  bytes.set(text, 10)
  return bytes
}

function farewell(ssrc: number): Uint8Array {
  const bytes = new Uint8Array(8)
  putHeader(bytes, 1, GOODBYE)
  putUint32(bytes, 4, ssrc)
  return bytes
}

function readReport(packet: Uint8Array, isSender: boolean) {
  const first = isSender ? 28 : 8
  const count = (packet[0] ?? 0) & 0x1f
  if (packet.length < first + 24 * count) return null
  const sender = isSender
    ? {
        now: (uint32(packet, 8) - NTP_EPOCH_S + uint32(packet, 12) / 2 ** 32) * 1000,
        timestamp: uint32(packet, 16),
        packets: uint32(packet, 20),
        octets: uint32(packet, 24),
      }
    : null
  const blocks = Array.from({ length: count }, (_, i) => readBlock(packet, first + 24 * i))
  const middle = isSender ? uint16(packet, 10) * 65536 + uint16(packet, 12) : 0
  return { report: { ssrc: uint32(packet, 4), sender, block: blocks[0] ?? null, ntpMiddle: middle }, blocks }
}

function readBlock(bytes: Uint8Array, at: number): ReportBlock {
  return {
    ssrc: uint32(bytes, at),
    fractionLost: bytes[at + 4] ?? 0,
    lost: (uint32(bytes, at + 4) << 8) >> 8,
    highestSequence: uint32(bytes, at + 8),
    jitter: uint32(bytes, at + 12),
    lastReport: uint32(bytes, at + 16),
    sinceLastReport: uint32(bytes, at + 20),
  }
}

function readCname(packet: Uint8Array): string | null {
  if (packet.length < 10 || packet[8] !== 1) return null
  const length = packet[9] ?? 0
  return 10 + length > packet.length ? null : new TextDecoder().decode(packet.subarray(10, 10 + length))
}
