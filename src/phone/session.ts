/**
 * One call of a phone: what was agreed by SDP, the sound, and what the person does with it.
 *
 *   calling ──▶ (ringing) ──▶ established ──▶ ended      a call that it makes
 *   ringing ──▶ established ──▶ ended                    a call that comes in
 */
import { type Law } from '../media/g711.ts'
import type { EndReason, SessionId } from '../sip/user-agent.ts'
import { DIGITS_PAYLOAD_TYPE, type Description, directionOf, readDescription, receives, sends, writeDescription } from './sdp.ts'
import { type Captured, type Ear, type EarCounters, makeEar, type Verdict, verdict } from './ear.ts'
import { type Line, openLine } from './line.ts'
import { makeMouth, type Mouth } from './mouth.ts'
import type { Wire } from './wire.ts'

export type SessionState = 'calling' | 'ringing' | 'established' | 'ended'
/** Spelled as callers of the phone understand it; `status` is the final SIP status, 0 when there was none. */
export interface SessionEnd {
  readonly cause: 'completed' | 'busy' | 'no-answer' | 'canceled' | 'failed'
  readonly by: 'us' | 'peer'
  readonly status: number
}

/** The window that `hears` looks at, ms: long enough to tell tones apart, short enough to see a change soon. */
export const HEARING_WINDOW_MS = 200

export interface Session {
  readonly id: SessionId
  readonly direction: 'in' | 'out'
  /** Null while it lasts. */
  readonly end: SessionEnd | null
  readonly state: SessionState
  /** Picks up; does nothing unless it rings here. */
  answer(): void
  /** @param status 400 to 699; 486 is busy. */
  reject(status?: number): void
  /** BYE or CANCEL, whatever fits. */
  hangUp(): void
  /** Resolves when the far end agreed. `sendonly` goes on humming (music on hold), `inactive` does not. @throws Error with the status. */
  hold(kind?: 'inactive' | 'sendonly'): Promise<void>
  resume(): Promise<void>
  /** Sends no packets at all, as silence suppression does. */
  mute(on: boolean): void
  setTone(hz: number | null): void
  /** Keys by RFC 4733. @throws Error when the far end takes none, or for what is no key. */
  sendDigits(keys: string): void
  /** Level of each tone in the last `windowMs` of received sound, dB of full scale. */
  heard(tonesHz: readonly number[], windowMs?: number): ReadonlyMap<number, number>
  hears(hz: number): Verdict
  everHeard(tonesHz: readonly number[]): readonly number[]
  /** Forgets the sound and the digits heard so far. */
  forget(): void
  /** Keys received so far. */
  digits(): string
  received(): EarCounters & { readonly captured: readonly Captured[] }
  /** What the far end's SDP said last; null before. */
  agreed(): Description | null
}

export interface SoundOptions {
  readonly host: string
  readonly law: Law
  readonly ptimeMs: number
  readonly toneHz: number | null
  readonly capturePackets: number
}

/** The far end's doings, as `phone.ts` passes them on. */
export interface SessionInside {
  readonly session: Session
  onProgress(): void
  onAccepted(body: Uint8Array): void
  onConfirmed(body: Uint8Array): void
  onReoffered(body: Uint8Array): void
  onRenegotiated(body: Uint8Array): void
  onRenegotiationFailed(status: number): void
  onEnded(reason: EndReason, by: 'us' | 'peer', status: number): void
}

export interface Sound {
  readonly ear: Ear
  readonly mouth: Mouth
  readonly line: Line
  readonly options: SoundOptions
}

export async function openSound(options: SoundOptions): Promise<Sound> {
  const { host, law, ptimeMs, toneHz, capturePackets } = options
  const ear = makeEar({ digitsPayloadType: DIGITS_PAYLOAD_TYPE, capturePackets })
  const mouth = makeMouth({ law, ptimeMs, toneHz, ...randomStart() })
  return { ear, mouth, options, line: await openLine(host, ptimeMs, ear, mouth) }
}

/** RFC 3550 §5.1: what a stream begins with shall not be guessed. */
const randomStart = () => {
  const [ssrc = 0, firstTimestamp = 0, firstSequence = 0] = crypto.getRandomValues(new Uint32Array(3))
  return { ssrc, firstTimestamp, firstSequence: firstSequence & 0xffff }
}

/** The offer with which a call begins. */
export const firstOffer = ({ line, options }: Sound): Uint8Array =>
  writeDescription({ host: options.host, port: line.port, laws: [options.law], digitsPayloadType: DIGITS_PAYLOAD_TYPE, direction: 'sendrecv', ptimeMs: options.ptimeMs }, 1)

export interface SessionOptions {
  readonly id: SessionId
  readonly direction: 'in' | 'out'
  readonly wire: Wire
  readonly sound: Sound
  /** The INVITE's SDP of a call that comes in; empty: we shall make the offer. */
  readonly offer: Uint8Array
  readonly onChange: (session: Session) => void
}

/** Null when the caller's offer has nothing that this phone speaks (488). */
export function makeSession({ id, direction, wire, sound, offer, onChange }: SessionOptions): SessionInside | null {
  const { ear, mouth, line, options } = sound
  let state: SessionState = direction === 'in' ? 'ringing' : 'calling'
  let end: SessionEnd | null = null
  let version = 1
  let remote: Description | null = null
  let local = { sends: true, receives: true }
  let settle: { resolve: () => void; reject: (error: Error) => void } | null = null

  const speak = (): void => {
    if (remote === null || state !== 'established') return
    if (local.sends && receives(remote.direction) && remote.port !== 0) line.speakTo(remote)
    else line.pause()
  }
  const agree = (body: Uint8Array): boolean => {
    const described = readDescription(body)
    if (described === null || !described.laws.includes(options.law)) return false
    remote = described
    speak()
    return true
  }
  const describe = (flow: typeof local, digitsPayloadType: number | null): Uint8Array =>
    writeDescription({ host: options.host, port: line.port, laws: [options.law], digitsPayloadType, direction: directionOf(flow), ptimeMs: options.ptimeMs }, ++version)
  const offerOurs = (): Uint8Array => describe(local, DIGITS_PAYLOAD_TYPE)
  /** RFC 3264 §6.1: we send what they receive, and the other way round; keys keep the number that the offer gave them. */
  const answerTheirs = (theirs: Description): Uint8Array =>
    describe({ sends: local.sends && receives(theirs.direction), receives: local.receives && sends(theirs.direction) }, theirs.digitsPayloadType)
  const become = (next: SessionState): void => {
    state = next
    onChange(session)
  }
  const establish = (): void => {
    state = 'established'
    speak()
    onChange(session)
  }
  const reoffer = (flow: typeof local): Promise<void> =>
    new Promise((resolve, reject) => {
      if (state !== 'established' || settle !== null) return reject(new Error('there is nothing to hold or resume now'))
      local = flow
      settle = { resolve, reject }
      speak()
      wire.carryOut(wire.agent.reoffer(id, offerOurs(), wire.now()))
    })
  const hangUp = (status?: number): void => {
    if (state !== 'ended') wire.carryOut(wire.agent.hangUp(id, wire.now(), status))
  }

  const session: Session = {
    id, direction, hangUp,
    get end() { return end },
    get state() { return state },
    answer() {
      if (direction !== 'in' || state !== 'ringing') return
      const body = remote === null ? offerOurs() : answerTheirs(remote)
      wire.carryOut(wire.agent.accept(id, body, wire.now()))
      if (remote !== null && end === null) establish()
    },
    reject: (status = 486) => {
      if (direction === 'in' && state === 'ringing') wire.carryOut(wire.agent.reject(id, status, [], wire.now()))
    },
    hold: (kind = 'inactive') => reoffer({ sends: kind === 'sendonly', receives: false }),
    resume: () => reoffer({ sends: true, receives: true }),
    mute: (on) => mouth.setMuted(on),
    setTone: (hz) => mouth.setTone(hz),
    sendDigits(keys) {
      const payloadType = remote?.digitsPayloadType ?? null
      if (payloadType === null) throw new Error('the far end takes no digits')
      mouth.press(keys, payloadType)
    },
    heard: (tonesHz, windowMs = HEARING_WINDOW_MS) => ear.levels(tonesHz, windowMs, performance.now()),
    hears: (hz) => verdict(ear.levels([hz], HEARING_WINDOW_MS, performance.now()).get(hz) ?? 0),
    everHeard: (tonesHz) => ear.everHeard(tonesHz),
    forget: () => ear.forget(),
    digits: () => ear.digits(),
    received: () => ({ ...ear.counters(), captured: ear.captured() }),
    agreed: () => remote,
  }
  if (offer.length > 0 && !agree(offer)) return null
  return {
    session,
    onProgress() {
      if (state === 'calling') become('ringing')
    },
    onAccepted(body) {
      // An answer that we cannot use leaves us in a call without sound: end it.
      if (agree(body)) establish()
      else hangUp()
    },
    onConfirmed(body) {
      if (state === 'established') return
      if (agree(body)) establish()
      else hangUp()
    },
    onReoffered(body) {
      if (body.length === 0) return wire.carryOut(wire.agent.answerOffer(id, offerOurs(), wire.now()))
      const isUsable = agree(body)
      wire.carryOut(isUsable && remote !== null ? wire.agent.answerOffer(id, answerTheirs(remote), wire.now()) : wire.agent.rejectOffer(id, 488, wire.now()))
    },
    onRenegotiated(body) {
      const isUsable = agree(body)
      if (isUsable) settle?.resolve()
      else settle?.reject(new Error('the answer to our offer cannot be used'))
      settle = null
    },
    onRenegotiationFailed(status) {
      settle?.reject(new Error(`the far end refused the offer: ${status}`))
      settle = null
    },
    onEnded(reason, by, status) {
      end = { cause: causeOf(reason, status), by, status }
      line.close()
      settle?.reject(new Error('the call has ended'))
      settle = null
      become('ended')
    },
  }
}

function causeOf(reason: EndReason, status: number): SessionEnd['cause'] {
  switch (reason) {
    case 'bye':
      return 'completed'
    case 'cancelled':
      return 'canceled'
    case 'timeout':
    case 'transport':
      return 'failed'
    case 'rejected':
      if (status === 486 || status === 600) return 'busy'
      if (status === 408 || status === 480) return 'no-answer'
      return status === 487 ? 'canceled' : 'failed'
  }
}
