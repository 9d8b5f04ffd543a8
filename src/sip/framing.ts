/**
 * A byte stream to messages (RFC 3261 §18.3) and keep-alives (RFC 5626 §3.5.1). One rule: where a message ends is beyond
 * doubt or the stream is over; guessing would let a peer hide one message inside another. Each byte is looked at a fixed
 * number of times however the stream is cut, and no more than one message is held.
 */
import { MAX_BODY_BYTES, MAX_HEAD_BYTES } from './parse.ts'

export type Frame =
  /** Exactly one message, a copy, for `parseMessage(bytes, { stream: true })`. */
  | { readonly kind: 'message'; readonly bytes: Uint8Array }
  /** The peer asks whether we are there: answer with `PONG`. Pings that came together are one. */
  | { readonly kind: 'ping' }
  /** The stream cannot be read on: close it. Everything pushed afterwards is ignored. */
  | { readonly kind: 'broken'; readonly reason: Reason }

type Reason = 'head-too-large' | 'body-too-large' | 'bad-content-length'

export interface Framer {
  push(chunk: Uint8Array): readonly Frame[]
  /** Bytes held for a message that is not whole. The caller closes a connection that keeps some for too long. */
  pendingBytes(): number
}

/** Answer to a ping. */
export const PONG: Uint8Array = Uint8Array.of(0x0d, 0x0a)
/** What we send to keep a stream open. */
export const PING: Uint8Array = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a)

/** A datagram of nothing but line ends and NULs, as phones send it to keep a NAT open. It is no message and gets no answer. */
export function isKeepalive(datagram: Uint8Array): boolean {
  return datagram.length <= MAX_KEEPALIVE_BYTES && datagram.every((byte) => byte === CR || byte === LF || byte === 0)
}

export function makeFramer(): Framer {
  const stream: Stream = { buffer: Buffer.alloc(FIRST_BUFFER_BYTES), held: 0, scanned: 0, wanted: null, newlines: 0, isBroken: false }
  return { push: (chunk) => push(stream, chunk), pendingBytes: () => stream.held }
}

/** The one thing here that changes in place, and nobody else sees it. */
interface Stream {
  buffer: Buffer
  /** Bytes of `buffer` in use: the message so far. */
  held: number
  /** Where to look on for the end of the head. */
  scanned: number
  /** Length of head and body, once the head is whole. */
  wanted: number | null
  /** Line-end bytes seen in a row between messages, 0 to 3. */
  newlines: number
  isBroken: boolean
}

function push(stream: Stream, chunk: Uint8Array): readonly Frame[] {
  const frames: Frame[] = []
  let at = 0
  while (at < chunk.length && !stream.isBroken) {
    if (stream.held === 0) {
      const between = takeNewlines(stream, chunk, at)
      if (between.pinged) frames.push({ kind: 'ping' })
      at = between.next
    }
    if (at < chunk.length && stream.wanted === null) {
      const head = takeHead(stream, chunk, at)
      if (head.broken !== null) frames.push(breakOff(stream, head.broken))
      at = head.next
    }
    if (stream.wanted !== null) {
      const taken = chunk.subarray(at, at + stream.wanted - stream.held)
      append(stream, taken)
      at += taken.length
      if (stream.held === stream.wanted) frames.push(release(stream))
    }
  }
  return frames
}

function takeNewlines(stream: Stream, chunk: Uint8Array, from: number): { readonly next: number; readonly pinged: boolean } {
  let next = from
  let pinged = false
  while (next < chunk.length && chunk[next] === NEWLINES[stream.newlines % 2]) {
    next++
    stream.newlines = (stream.newlines + 1) % 4
    pinged ||= stream.newlines === 0
  }
  if (next < chunk.length) stream.newlines = 0
  return { next, pinged }
}

/** One step of the head; sets `wanted` when its end is found. What was taken too much is given back by `next`. */
function takeHead(stream: Stream, chunk: Uint8Array, at: number): { readonly next: number; readonly broken: Reason | null } {
  const before = stream.held
  const taken = chunk.subarray(at, at + Math.min(HEAD_STEP_BYTES, MAX_HEAD_BYTES + END_OF_HEAD.length - before))
  append(stream, taken)
  const end = stream.buffer.subarray(0, stream.held).indexOf(END_OF_HEAD, stream.scanned)
  stream.scanned = Math.max(0, stream.held - END_OF_HEAD.length + 1)
  if (end < 0) return { next: at + taken.length, broken: stream.held >= MAX_HEAD_BYTES + END_OF_HEAD.length ? 'head-too-large' : null }
  stream.held = end + END_OF_HEAD.length
  const length = readContentLength(stream.buffer.toString('latin1', 0, end))
  if (length !== null && length <= MAX_BODY_BYTES) stream.wanted = stream.held + length
  return {
    next: at + stream.held - before,
    broken: length === null ? 'bad-content-length' : length > MAX_BODY_BYTES ? 'body-too-large' : null,
  }
}

function append(stream: Stream, bytes: Uint8Array): void {
  if (stream.held + bytes.length > stream.buffer.length) {
    const larger = Buffer.alloc(Math.max(stream.buffer.length * 2, stream.held + bytes.length))
    stream.buffer.copy(larger, 0, 0, stream.held)
    stream.buffer = larger
  }
  stream.buffer.set(bytes, stream.held)
  stream.held += bytes.length
}

function release(stream: Stream): Frame {
  const bytes = new Uint8Array(stream.buffer.subarray(0, stream.held))
  if (stream.buffer.length > KEPT_BUFFER_BYTES) stream.buffer = Buffer.alloc(FIRST_BUFFER_BYTES)
  stream.held = 0
  stream.scanned = 0
  stream.wanted = null
  return { kind: 'message', bytes }
}

function breakOff(stream: Stream, reason: Reason): Frame {
  stream.isBroken = true
  stream.buffer = Buffer.alloc(0)
  stream.held = 0
  return { kind: 'broken', reason }
}

const CR = 0x0d
const LF = 0x0a
const NEWLINES = [CR, LF]
const END_OF_HEAD = Buffer.from('\r\n\r\n')
const FIRST_BUFFER_BYTES = 2048
const KEPT_BUFFER_BYTES = 16_384
/** The head is searched in steps, so that a chunk of many small messages is not copied once for each. */
const HEAD_STEP_BYTES = 1024
const MAX_KEEPALIVE_BYTES = 64
const CONTENT_LENGTH = /\r\n(?:content-length|l)[ \t]*:([^\r]*(?:\r\n[ \t][^\r]*)*)/gi

/** Null when it is missing (a stream needs it, RFC 3261 §20.14), there twice, or no number. */
function readContentLength(head: string): number | null {
  const found = [...head.matchAll(CONTENT_LENGTH)]
  const digits = /^[ \t\r\n]*([0-9]{1,10})[ \t\r\n]*$/.exec(found[0]?.[1] ?? '')
  return found.length === 1 && digits !== null ? Number(digits[1]) : null
}
