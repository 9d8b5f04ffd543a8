/** What a phone says: a tone, silence, or keys, one packet at a time. Pure: the clock that asks is elsewhere. */
import { type Law, PAYLOAD_TYPE, SAMPLES_PER_MS, SILENCE } from '../media/g711.ts'
import { keyPress, KEYS } from '../media/dtmf.ts'
import { buildRtp, laterTimestamp, nextSequence } from '../media/rtp.ts'
import { tonePayload } from '../media/tone.ts'

/** Keys that may wait to be sent. */
export const MAX_KEYS_WAITING = 64
/** Packets of sound between two keys, so that a listener tells two presses of one key apart. */
const PACKETS_BETWEEN_KEYS = 3

export interface MouthOptions {
  readonly law: Law
  readonly ptimeMs: number
  /** Null hums nothing: silence is sent as sound. */
  readonly toneHz: number | null
  readonly ssrc: number
  readonly firstSequence: number
  readonly firstTimestamp: number
}

export interface Mouth {
  /** The packet of this packet time; null when there is nothing to say. Time passes either way. */
  next(): Uint8Array | null
  /** Packet times that nobody asked for are skipped: the timestamp moves, the sequence does not. */
  skip(packetTimes: number): void
  setTone(hz: number | null): void
  /** Sends no packets at all, as silence suppression does. */
  setMuted(muted: boolean): void
  /** @param digitsPayloadType As the far end asked. @throws Error for what is no key, or too many. */
  press(keys: string, digitsPayloadType: number): void
  /** True while keys wait or are being sent. */
  isPressing(): boolean
}

interface KeyPacket {
  readonly payload: Uint8Array
  readonly payloadType: number
  readonly isFirst: boolean
}

export function makeMouth(options: MouthOptions): Mouth {
  const samples = options.ptimeMs * SAMPLES_PER_MS
  const { law } = options
  let { toneHz, firstSequence: sequence, firstTimestamp: timestamp } = options
  let muted = false
  /** The next packet begins a stretch of talk (RFC 3551 §4.1). */
  let begins = true
  let toneStart = 0
  let keyTimestamp = 0
  /** `null`: a packet of sound between two keys. */
  const waiting: (KeyPacket | null)[] = []

  const packet = (payloadType: number, marker: boolean, at: number, payload: Uint8Array): Uint8Array => {
    const bytes = buildRtp({ payloadType, marker, sequence, timestamp: at, ssrc: options.ssrc }, payload)
    sequence = nextSequence(sequence)
    return bytes
  }
  const sound = (): Uint8Array => {
    const payload = toneHz === null ? new Uint8Array(samples).fill(SILENCE[law]) : tonePayload(law, toneHz, samples, toneStart)
    const bytes = packet(PAYLOAD_TYPE[law], begins, timestamp, payload)
    begins = false
    return bytes
  }
  const advance = (packetTimes: number): void => {
    timestamp = laterTimestamp(timestamp, samples * packetTimes)
    toneStart += samples * packetTimes
  }
  return {
    next() {
      const key = waiting.shift()
      if (key?.isFirst) keyTimestamp = timestamp
      const bytes = key ? packet(key.payloadType, key.isFirst, keyTimestamp, key.payload) : muted ? null : sound()
      if (bytes === null) begins = true
      advance(1)
      return bytes
    },
    skip: advance,
    setTone(hz) {
      toneHz = hz
      toneStart = 0
    },
    setMuted(on) {
      muted = on
    },
    press(keys, payloadType) {
      const unknown = [...keys].find((key) => !KEYS.includes(key))
      if (unknown !== undefined) throw new Error(`'${unknown}' is no key of a telephone`)
      const perKey = keyPress('0', samples).length + PACKETS_BETWEEN_KEYS
      if (waiting.length + keys.length * perKey > MAX_KEYS_WAITING * perKey) throw new Error(`more than ${MAX_KEYS_WAITING} keys wait`)
      for (const key of keys) {
        for (const [index, payload] of keyPress(key, samples).entries()) waiting.push({ payload, payloadType, isFirst: index === 0 })
        waiting.push(...Array.from({ length: PACKETS_BETWEEN_KEYS }, () => null))
      }
    },
    isPressing: () => waiting.length > 0,
  }
}
