/** Telephone keys as named events (RFC 4733 §2): a 4-byte payload that is sent again and again while the key is held. */
import { putUint16, uint16 } from './rtp.ts'

/** Event numbers 0 to 15 in order. */
export const KEYS = '0123456789*#ABCD'
const KEY_PAYLOAD_BYTES = 4
/** The end of a key is sent this often, so that the loss of one packet does not leave it hanging (RFC 4733 §2.5.1.4). */
export const KEY_END_REPEATS = 3

export interface KeyEvent {
  /** 0 to 255; 0 to 15 are keys. */
  readonly event: number
  readonly end: boolean
  /** 0 to 63: power in dBm0 with the sign dropped. */
  readonly volume: number
  /** Samples since the event's timestamp, 0 to 65535. */
  readonly duration: number
}

/** Null when the payload is shorter than an event. */
export function parseKey(bytes: Uint8Array, at = 0): KeyEvent | null {
  if (bytes.length < at + KEY_PAYLOAD_BYTES) return null
  const flags = bytes[at + 1] ?? 0
  return { event: bytes[at] ?? 0, end: flags >= 0x80, volume: flags & 0x3f, duration: uint16(bytes, at + 2) }
}

export function keyPayload(key: KeyEvent): Uint8Array {
  const bytes = new Uint8Array(KEY_PAYLOAD_BYTES)
  bytes[0] = key.event
  bytes[1] = (key.end ? 0x80 : 0) | (key.volume & 0x3f)
  putUint16(bytes, 2, key.duration)
  return bytes
}

/** The key of an event, null when it is none. */
export const keyOf = (event: KeyEvent): string | null => KEYS[event.event] ?? null

/**
 * All payloads of one key press, in order, one per packet time; every one carries the timestamp of the first, and the
 * first has the marker bit. The last three are the end and its repeats.
 * @param key One of `KEYS`.
 * @param samplesPerPacket 160 for 20 ms.
 * @param count Packets before the end, at least 1.
 */
export function keyPress(key: string, samplesPerPacket = 160, count = 4): readonly Uint8Array[] {
  const event = KEYS.indexOf(key)
  const payload = (packet: number, end: boolean) => keyPayload({ event, end, volume: 10, duration: packet * samplesPerPacket })
  const held = Array.from({ length: count }, (_, i) => payload(i + 1, false))
  return [...held, ...Array.from({ length: KEY_END_REPEATS }, () => payload(count + 1, true))]
}
