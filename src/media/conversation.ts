/**
 * Who is sent whose sound in one call: the legs, what was agreed with each, and the table of who hears whom, made into paths
 * and queues. It knows no modes. How a packet goes along them is in `passage.ts`.
 *
 *   ear of a conversation leg   clocked by packets. The first conversation mouth in its row is its source, relayed as it comes;
 *                               every other mouth waits in a queue and is folded into the source's packets. When the source
 *                               is silent for longer than it can be late, our clock sends what waits in the queues.
 *   ear of a monitor            clocked by us, one frame every ptime without a break while it may hear anybody. Every mouth
 *                               has a queue of its own, so that a silent or lossy party never holds up another.
 *   mouth of a clip             has no packets and no queue: whatever goes to its ears, relayed or ours, has its samples folded in
 *   ear of a tape               writes down copies of what comes, and changes nothing
 *
 * One rule: fail closed. A mouth is heard where the table says so, both have a row, both have terms and the phones send and
 * receive; in every other case there is no queue and no path. A new table drops at once what waits for an ear that may no
 * longer hear it (contract C23). Ears without a queue are relayed bit for bit, so listening changes nothing (C25).
 */
import { isOver, listenTo, MAX_CLIP_SAMPLES, MAX_SOUNDS, startPlaying, type Listening, type Playing } from './clips/player.ts'
import { keepStrips, makeRecording, settle, type Recording, type Strip } from './clips/tape.ts'
import { makeTrack, type Track } from './clips/timeline.ts'
import { SAMPLES_PER_MS, type Law } from './g711.ts'
import { aim, isReachable, makeLatch, type Latch, type Source } from './latch.ts'
import type { Sound } from './mixer.ts'
import { detach, makeOutlet, timelineAt, type Outlet, type Seed } from './outlet.ts'
import { makeQueue, put, type FrameQueue } from './queue.ts'
import { jitterMsOf, lostOf, makeReception, type Reception } from './reception.ts'

/** A source is silent when it is later than a frame of the ear by this, plus its own jitter times four (up to a limit). */
const FILL_AFTER_MS = 5
const MAX_JITTER_ALLOWANCE_MS = 100
/** A phone that is ready to hear and was sent nothing for so long gets its first frame of silence. */
export const FIRST_SILENCE_MS = 1000
const MIN_PTIME_MS = 10
const MAX_PTIME_MS = 60

/** What was agreed with the phone of a leg. */
export interface Terms {
  /** Where the phone asked for its RTP; the path locks to the first plausible source (symmetric RTP) and may differ. */
  readonly remote: Source
  /** Where its SIP comes from: behind NAT its sound comes from there as well, and beats a stranger's (`latch.ts`). Null when unknown. */
  readonly signallingHost: string | null
  /** What the phone is sent. It may send either law, packet by packet (RFC 3264 §6.1). */
  readonly law: Law
  /** Payload type of RFC 4733 events towards the phone: its own number (RFC 3264 §5.1). Null when it takes none. */
  readonly digitsPayloadType: number | null
  /** Payload types under which its events are understood: the number that we offered, and its own, which many phones use instead. */
  readonly digitsFromPhone: readonly number[]
  /** 10 to 60 ms. */
  readonly ptimeMs: number
  /** False while the phone has us on hold, or is held: we send nothing to it. */
  readonly phoneReceives: boolean
  /** False when the phone said it will not send; what comes all the same is dropped. */
  readonly phoneSends: boolean
}

export interface SoundLeg {
  readonly id: string
  readonly kind: 'conversation' | 'monitor'
  readonly cname: string
  terms: Terms | null
  readonly latch: Latch
  readonly reception: Reception
  readonly outlet: Outlet
  /** Whose packets clock this ear; null when nobody's do. */
  source: SoundLeg | null
  /** Every other mouth it hears. */
  queues: Map<SoundLeg, FrameQueue>
  /** The clips it hears. */
  sounds: Map<Playing, Listening>
  /** Null while the call is not recorded. */
  taping: Taping | null
  /** The ears that this leg's packets go to, and those whose queue they fill. */
  relaysTo: SoundLeg[]
  feeds: SoundLeg[]
  /** When our clock owes the ear a frame, and that frame's place on its timeline; null while the clock has no part in it. */
  dueAt: number | null
  clockTime: number
  /** Length of its latest packet, samples. */
  frame: number
  /** A supervisor's latest sound: an ear that may hear him from now on starts with it, if it is not older than a packet time. */
  latest: { readonly sound: Sound; readonly at: number } | null
  /** When the phone must be sent something, if only silence, so that it and the NAT in front of it do not give up; ms. */
  silenceDueAt: number
  /** When the phone's RTP or RTCP came in last; null before any. */
  heardAt: number | null
  packetsIn: number
  strangers: number
  malformed: number
  lateTicks: number
  lostOut: number
  overflows: number
  starvations: number
}

/** How a leg is recorded: what is known of its time, and the tapes that hear it. */
export interface Taping {
  readonly recording: Recording
  readonly track: Track
  strips: readonly Strip[]
}

export interface Conversation {
  readonly legs: Map<string, SoundLeg>
  table: ReadonlyMap<string, readonly string[]>
  /** What plays; at most `MAX_SOUNDS`. */
  readonly sounds: Map<string, Playing>
  recording: Recording | null
}

export const makeConversation = (): Conversation => ({ legs: new Map(), table: new Map(), sounds: new Map(), recording: null })

/** A new leg is deaf and dumb until it has terms and a row in the table. */
export function addLeg(call: Conversation, id: string, kind: SoundLeg['kind'], seed: Seed & { readonly cname: string }): SoundLeg {
  const leg: SoundLeg = {
    id,
    kind,
    cname: seed.cname,
    terms: null,
    latch: makeLatch(),
    reception: makeReception(),
    outlet: makeOutlet(seed),
    source: null,
    queues: new Map(),
    sounds: new Map(),
    taping: call.recording === null ? null : tapingOf(call.recording),
    relaysTo: [],
    feeds: [],
    dueAt: null,
    clockTime: 0,
    frame: 20 * SAMPLES_PER_MS,
    latest: null,
    silenceDueAt: 0,
    heardAt: null,
    packetsIn: 0,
    strangers: 0,
    malformed: 0,
    lateTicks: 0,
    lostOut: 0,
    overflows: 0,
    starvations: 0,
  }
  call.legs.set(id, leg)
  return leg
}

export function removeLeg(call: Conversation, leg: SoundLeg, now: number): void {
  if (!call.legs.delete(leg.id)) return
  leg.terms = null
  leg.dueAt = null
  wire(call, now)
}

/** Replaces who hears whom, between two packets. A clip that is named nowhere any more is over. */
export function setTable(call: Conversation, table: ReadonlyMap<string, readonly string[]>, now: number): void {
  call.table = table
  for (const id of call.sounds.keys()) if (!isNamed(call, id)) call.sounds.delete(id)
  wire(call, now)
}

/**
 * Begins a clip. One that the table does not name, or that plays already, does not begin.
 * @throws Error when the clip is too long, or too many play.
 */
export function play(call: Conversation, id: string, { samples, repeats }: Pick<Playing, 'samples' | 'repeats'>, now: number): void {
  if (!isNamed(call, id) || call.sounds.has(id)) return
  if (samples.length > MAX_CLIP_SAMPLES) throw new Error(`a sound of more than ${MAX_CLIP_SAMPLES / SAMPLES_PER_MS / 60_000} minutes is not played`)
  if (call.sounds.size >= MAX_SOUNDS) throw new Error(`${MAX_SOUNDS} sounds play in this call already`)
  call.sounds.set(id, startPlaying(id, samples, repeats, now))
  wire(call, now)
}

/** Ends the clips that have come to their end, and says which: in the order of their ends. */
export function endSounds(call: Conversation, now: number): readonly string[] {
  if (call.sounds.size === 0) return []
  const earsOf = (playing: Playing) => [...call.legs.values()].flatMap((leg) => leg.sounds.get(playing) ?? [])
  const over = [...call.sounds.values()].filter((playing) => isOver(playing, earsOf(playing), now))
  if (over.length === 0) return []
  for (const { id } of over) call.sounds.delete(id)
  wire(call, now)
  const endOf = ({ startedAt, samples }: Playing): number => startedAt + samples.length / SAMPLES_PER_MS
  return over.sort((a, b) => endOf(a) - endOf(b)).map(({ id }) => id)
}

/** As if the call had never been recorded: for one that cannot be kept. */
export function dropRecording(call: Conversation): void {
  call.recording = null
  for (const leg of call.legs.values()) leg.taping = null
}

/**
 * Begins the call's recording: what each tape hears by the table goes to a channel of its own.
 * @param tapeIds One or two different ones.
 * @throws Error for other numbers of tapes, and when the call is recorded already.
 */
export function recordCall(call: Conversation, tapeIds: readonly string[], now: number): Recording {
  if (tapeIds.length < 1 || tapeIds.length > 2 || new Set(tapeIds).size !== tapeIds.length)
    throw new Error('a recording has one tape or two different ones')
  if (call.recording !== null) throw new Error('this call is recorded already')
  call.recording = makeRecording(tapeIds, now)
  for (const leg of call.legs.values()) leg.taping = tapingOf(call.recording)
  wire(call, now)
  return call.recording
}

/** New or changed terms for one of the call's legs. */
export function setTerms(call: Conversation, leg: SoundLeg, terms: Terms, now: number): void {
  if (leg.terms !== null && leg.terms.law !== terms.law) leg.outlet.isBroken = true
  const couldHear = canHear(leg)
  leg.terms = { ...terms, ptimeMs: Math.min(MAX_PTIME_MS, Math.max(MIN_PTIME_MS, terms.ptimeMs)) }
  aim(leg.latch, terms.remote, terms.signallingHost)
  if (!couldHear) leg.silenceDueAt = now + FIRST_SILENCE_MS
  wire(call, now)
}

/** Whether the phone may be sent anything at all. */
export const canHear = ({ terms }: SoundLeg): boolean => terms?.phoneReceives === true && isReachable(terms.remote)

/** What happened to a leg so far; the engine's `MediaCounters` says what each number means. */
export function countersOf(leg: SoundLeg) {
  const queues = [...leg.queues.values()]
  return {
    packetsIn: leg.packetsIn,
    packetsOut: leg.outlet.packets,
    lostIn: lostOf(leg.reception),
    lostOut: leg.lostOut,
    jitterMs: jitterMsOf(leg.reception),
    strangers: leg.strangers,
    malformed: leg.malformed,
    overflows: queues.reduce((sum, queue) => sum + queue.overflows, leg.overflows),
    starvations: queues.reduce((sum, queue) => sum + queue.starvations, leg.starvations),
    lateTicks: leg.lateTicks,
    heardAt: leg.heardAt,
  }
}

/** The clock's next turn: at a monitor's ear the next frame, at a conversation's ear when its source is overdue. */
export function arm(ear: SoundLeg, now: number, timeline: number): void {
  const { source } = ear
  const ptimeMs = ear.terms?.ptimeMs ?? 20
  const patienceMs =
    ear.kind === 'monitor'
      ? 0
      : (source === null ? 0 : source.frame / SAMPLES_PER_MS) +
        FILL_AFTER_MS +
        Math.min(MAX_JITTER_ALLOWANCE_MS, source === null ? 0 : 4 * jitterMsOf(source.reception))
  ear.dueAt = now + ptimeMs + patienceMs
  ear.clockTime = timeline
}

/** Turns the table into paths and queues. What is not built here is not heard. */
function wire(call: Conversation, now: number): void {
  for (const leg of call.legs.values()) {
    leg.relaysTo = []
    leg.feeds = []
    if (leg.taping !== null) leg.taping.strips = []
  }
  if (call.recording !== null) wireTapes(call, call.recording, now)
  for (const ear of call.legs.values()) {
    const mouths = mouthsOf(call, ear)
    const source = ear.kind === 'conversation' ? (mouths.find((mouth) => mouth.kind === 'conversation') ?? null) : null
    if (source !== ear.source) detach(ear.outlet)
    ear.source = source
    source?.relaysTo.push(ear)
    keepQueues(
      ear,
      mouths.filter((mouth) => mouth !== source),
      now,
    )
    ear.sounds = new Map(soundsOf(call, ear).map((playing) => [playing, ear.sounds.get(playing) ?? listenTo(playing, now)]))
    const isClocked = ear.queues.size > 0 || ear.sounds.size > 0
    if (!isClocked) ear.dueAt = null
    else if (ear.dueAt === null) {
      arm(ear, now, timelineAt(ear.outlet, now))
      // Nobody's packets are to be waited for.
      if (source === null && ear.sounds.size > 0) ear.dueAt = now
    }
  }
}

/** A tape hears whom its row names, by the rules of any ear; it is never on hold. */
function wireTapes(call: Conversation, recording: Recording, now: number): void {
  settle(recording, now)
  for (const tape of recording.tapes) {
    const row = [...new Set(call.table.get(tape.id) ?? [])]
    const legs = row.flatMap((id) => speakerIn(call, id) ?? [])
    const clips = row.flatMap((id) => call.sounds.get(id) ?? [])
    const mouths = [...legs.map((leg) => ({ mouth: leg, playing: null })), ...clips.map((playing) => ({ mouth: playing, playing }))]
    const strips = keepStrips(recording, tape, mouths, now)
    for (const [i, { taping }] of legs.entries()) if (taping !== null) taping.strips = [...taping.strips, ...strips.slice(i, i + 1)]
  }
}

const tapingOf = (recording: Recording): Taping => ({ recording, track: makeTrack(), strips: [] })

/** The leg with a mouth that may be heard: it has a row and terms, and its phone sends. */
function speakerIn(call: Conversation, id: string): SoundLeg | null {
  const mouth = call.legs.get(id)
  return mouth?.terms?.phoneSends === true && call.table.has(id) ? mouth : null
}

const isNamed = (call: Conversation, soundId: string): boolean => [...call.table.values()].some((row) => row.includes(soundId))

/** The clips in the ear's row that play, while it can hear at all: it comes back to where they are then. */
function soundsOf(call: Conversation, ear: SoundLeg): Playing[] {
  if (call.sounds.size === 0 || !canHear(ear)) return []
  return [...new Set(call.table.get(ear.id) ?? [])].flatMap((id) => call.sounds.get(id) ?? [])
}

/** The mouths in the ear's row that may really be heard, in the row's order. */
function mouthsOf(call: Conversation, ear: SoundLeg): SoundLeg[] {
  if (!canHear(ear)) return []
  const mouths: SoundLeg[] = []
  for (const id of call.table.get(ear.id) ?? []) {
    const mouth = speakerIn(call, id)
    if (mouth !== null && mouth !== ear && !mouths.includes(mouth)) mouths.push(mouth)
  }
  return mouths
}

function keepQueues(ear: SoundLeg, mouths: readonly SoundLeg[], now: number): void {
  const kept = new Map(mouths.map((mouth) => [mouth, ear.queues.get(mouth) ?? primedQueue(mouth, now)]))
  for (const [mouth, queue] of ear.queues) {
    if (kept.has(mouth)) continue
    ear.overflows += queue.overflows
    ear.starvations += queue.starvations
  }
  ear.queues = kept
  for (const mouth of mouths) mouth.feeds.push(ear)
}

/**
 * Without it a whisper would begin after the supervisor's next packet and then the source's next: 4 to 44 ms after the order,
 * instead of with the source's next packet nearly always.
 */
function primedQueue(mouth: SoundLeg, now: number): FrameQueue {
  const queue = makeQueue(now)
  const { latest, frame } = mouth
  if (latest !== null && now - latest.at <= frame / SAMPLES_PER_MS + FILL_AFTER_MS) put(queue, latest.sound, latest.at)
  return queue
}
