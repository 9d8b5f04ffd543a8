/**
 * One call of a phone: what was agreed by SDP, the sound, and what the person does with it.
 *
 *   calling ──▶ (ringing) ──▶ established ──▶ ended      a call that it makes
 *   ringing ──▶ established ──▶ ended                    a call that comes in
 */
import type { Law } from '../media/g711.ts'
import { FLOOR_DB } from '../media/tone.ts'
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
const HEARING_WINDOW_MS = 200

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
  writeDescription(
    {
      host: options.host,
      port: line.port,
      laws: [options.law],
      digitsPayloadType: DIGITS_PAYLOAD_TYPE,
      direction: 'sendrecv',
      ptimeMs: options.ptimeMs,
    },
    1,
  )

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
export function makeSession(options: SessionOptions): SessionInside | null {
  const core: Core = {
    ...options,
    state: options.direction === 'in' ? 'ringing' : 'calling',
    end: null,
    version: 1,
    remote: null,
    local: BOTH_WAYS,
    settle: null,
    session: () => session,
  }
  const session = sessionOf(core)
  if (options.offer.length > 0 && !agree(core, options.offer)) return null
  return { session, ...reactionsOf(core) }
}

interface Flow {
  readonly sends: boolean
  readonly receives: boolean
}

const BOTH_WAYS: Flow = { sends: true, receives: true }

/** What changes in a session's life; only the functions below touch it. */
interface Core extends SessionOptions {
  state: SessionState
  end: SessionEnd | null
  /** Of our description. */
  version: number
  /** What the far end's SDP said last. */
  remote: Description | null
  /** What we want; the far end may want less. */
  local: Flow
  /** Who waits for the answer to our new offer. */
  settle: { readonly resolve: () => void; readonly reject: (error: Error) => void } | null
  readonly session: () => Session
}

function sessionOf(core: Core): Session {
  const { id, direction, wire, sound } = core
  const { ear, mouth } = sound
  return {
    id,
    direction,
    get end() {
      return core.end
    },
    get state() {
      return core.state
    },
    answer: () => answer(core),
    reject(status = 486) {
      if (direction === 'in' && core.state === 'ringing') wire.carryOut(wire.agent.reject(id, status, [], wire.now()))
    },
    hangUp: () => hangUp(core),
    hold: (kind = 'inactive') => reoffer(core, { sends: kind === 'sendonly', receives: false }),
    resume: () => reoffer(core, BOTH_WAYS),
    mute: (on) => mouth.setMuted(on),
    setTone: (hz) => mouth.setTone(hz),
    sendDigits(keys) {
      const payloadType = core.remote?.digitsPayloadType ?? null
      if (payloadType === null) throw new Error('the far end takes no digits')
      mouth.press(keys, payloadType)
    },
    heard: (tonesHz, windowMs = HEARING_WINDOW_MS) => ear.levels(tonesHz, windowMs, performance.now()),
    hears: (hz) => verdict(ear.levels([hz], HEARING_WINDOW_MS, performance.now()).get(hz) ?? FLOOR_DB),
    everHeard: (tonesHz) => ear.everHeard(tonesHz),
    forget: () => ear.forget(),
    digits: () => ear.digits(),
    received: () => ({ ...ear.counters(), captured: ear.captured() }),
    agreed: () => core.remote,
  }
}

function reactionsOf(core: Core): Omit<SessionInside, 'session'> {
  const { id, wire } = core
  // An answer that we cannot use leaves us in a call without sound: end it.
  const establishWith = (body: Uint8Array): void => (agree(core, body) ? establish(core) : hangUp(core))
  return {
    onProgress() {
      if (core.state === 'calling') become(core, 'ringing')
    },
    onAccepted: establishWith,
    onConfirmed(body) {
      if (core.state !== 'established') establishWith(body)
    },
    onReoffered(body) {
      if (body.length === 0) return wire.carryOut(wire.agent.answerOffer(id, describe(core, core.local, DIGITS_PAYLOAD_TYPE), wire.now()))
      const isUsable = agree(core, body)
      wire.carryOut(
        isUsable && core.remote !== null
          ? wire.agent.answerOffer(id, answerTo(core, core.remote), wire.now())
          : wire.agent.rejectOffer(id, 488, wire.now()),
      )
    },
    onRenegotiated: (body) => settled(core, agree(core, body) ? null : 'the answer to our offer cannot be used'),
    onRenegotiationFailed: (status) => settled(core, `the far end refused the offer: ${status}`),
    onEnded(reason, by, status) {
      core.end = { cause: causeOf(reason, status), by, status }
      core.sound.line.close()
      settled(core, 'the call has ended')
      become(core, 'ended')
    },
  }
}

function answer(core: Core): void {
  const { id, direction, wire, remote } = core
  if (direction !== 'in' || core.state !== 'ringing') return
  const body = remote === null ? describe(core, core.local, DIGITS_PAYLOAD_TYPE) : answerTo(core, remote)
  wire.carryOut(wire.agent.accept(id, body, wire.now()))
  // Without their offer, the answer to ours comes with the ACK.
  if (remote !== null && core.end === null) establish(core)
}

function hangUp({ id, state, wire }: Core): void {
  if (state !== 'ended') wire.carryOut(wire.agent.hangUp(id, wire.now()))
}

function reoffer(core: Core, flow: Flow): Promise<void> {
  const { id, wire } = core
  return new Promise((resolve, reject) => {
    if (core.state !== 'established' || core.settle !== null) return reject(new Error('there is nothing to hold or resume now'))
    core.local = flow
    core.settle = { resolve, reject }
    speak(core)
    wire.carryOut(wire.agent.reoffer(id, describe(core, flow, DIGITS_PAYLOAD_TYPE), wire.now()))
  })
}

function settled(core: Core, complaint: string | null): void {
  if (complaint === null) core.settle?.resolve()
  else core.settle?.reject(new Error(complaint))
  core.settle = null
}

/** Takes their description; false when it has nothing for us. */
function agree(core: Core, body: Uint8Array): boolean {
  const described = readDescription(body)
  if (described === null || !described.laws.includes(core.sound.options.law)) return false
  core.remote = described
  speak(core)
  return true
}

function describe(core: Core, flow: Flow, digitsPayloadType: number | null): Uint8Array {
  const { line, options } = core.sound
  core.version++
  const { host, law, ptimeMs } = options
  return writeDescription({ host, port: line.port, laws: [law], digitsPayloadType, direction: directionOf(flow), ptimeMs }, core.version)
}

/** RFC 3264 §6.1: we send what they receive, and the other way round; keys keep the number that the offer gave them. */
function answerTo(core: Core, theirs: Description): Uint8Array {
  const { local } = core
  return describe(
    core,
    { sends: local.sends && receives(theirs.direction), receives: local.receives && sends(theirs.direction) },
    theirs.digitsPayloadType,
  )
}

function speak({ remote, state, local, sound }: Core): void {
  if (remote === null || state !== 'established') return
  if (local.sends && receives(remote.direction) && remote.port !== 0) sound.line.speakTo(remote)
  else sound.line.pause()
}

function establish(core: Core): void {
  core.state = 'established'
  speak(core)
  core.onChange(core.session())
}

function become(core: Core, next: SessionState): void {
  core.state = next
  core.onChange(core.session())
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
