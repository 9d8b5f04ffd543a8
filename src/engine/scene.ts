/**
 * The stage of the engine suite: one call on one engine, its cast, and what each of them hears.
 *
 * A `Rig` is an engine with phones around it; every engine brings its own. A `Scene` plays one call on it the way `control`
 * would: real legs, and tables made by `hearing()`. When a scene closes it checks what must hold for every leg of every scene.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Address } from '../domain/address.ts'
import { newLeg } from '../domain/commands.ts'
import { type Ear, hearing, type Mouth } from '../domain/hearing.ts'
import type { AccountId, CallId, LegId, SoundId, TapeId } from '../domain/ids.ts'
import { type EndCause, type Leg, type Mode, type Origin, UNEXPLAINED } from '../domain/leg.ts'
import type { Clip, DialOrder, Engine, LegEvent } from './engine.ts'

/** What one ear hears at this moment, Hz. `unclear`: a tone too weak to be meant and too loud to be nothing. */
export interface Heard {
  readonly heard: readonly number[]
  readonly unclear: readonly number[]
}

/** What a phone's display says. An end is spelled as the engine's causes are. */
export type Display = 'idle' | 'calling' | 'ringing' | 'talking' | EndCause

/** A phone and the person at it, who hums one tone. */
export interface Party {
  /** Where the engine reaches it. */
  readonly address: Address
  readonly hz: number
  /** Calls the house; resolves when the call is under way. */
  callsIn(): Promise<void>
  /** Picks up what rings here. */
  answers(): Promise<void>
  /** Refuses what rings here: busy. */
  refuses(): Promise<void>
  hangsUp(): Promise<void>
  /** Puts the house on hold (inactive: neither sends nor receives), and takes it back. */
  holds(): Promise<void>
  resumes(): Promise<void>
  /** Stops sending packets altogether, as a phone with silence suppression does; false: sends again. */
  goesSilent(silent: boolean): Promise<void>
  display(): Display
  hears(): Promise<Heard>
  /** Every tone of the suite that was heard, even for a moment, since the party exists. */
  everHeard(): Promise<readonly number[]>
}

/** A recording, as far as it goes, and by channel what its newest sound has. */
export interface Taped {
  readonly ms: number
  readonly newest: readonly Heard[]
}

export interface Rig {
  /** Not started yet; the scene starts and stops it. */
  readonly engine: Engine
  readonly accountId: AccountId
  /** A caller id that dialled phones see. */
  readonly callerId: Address
  /** Where nobody is. */
  readonly nowhere: Address
  /** Within this time after `setHearing` resolved, ears that measure a short window must agree; ms. */
  readonly settleMs: number
  /** A new phone, reachable and able to call in. Asked for after the engine started. */
  party(options: { readonly hz: number }): Promise<Party>
  /** A tone, as loud as the parties. */
  clip(options: { readonly hz: number; readonly ms: number }): Clip
  /** A folder for recordings, as an absolute path. */
  readonly folder: string
  /** What is in the file of a recording at this moment. @throws when it cannot be read. */
  tape(file: string): Promise<Taped>
  /** By channel, every tone of the suite of which there is a trace. */
  everTaped(file: string): Promise<readonly (readonly number[])[]>
  close(): Promise<void>
}

/** The tones of the cast, Hz: no one a harmonic of another, none near a difference of two. */
export const TONES = { agent: 440, customer: 700, coach: 1010, second: 1330, late: 1730, chime: 2130, music: 2390 } as const
export const ALL_TONES: readonly number[] = Object.values(TONES)

/** How long anything that must happen may take, ms. */
export const PATIENCE_MS = 5_000
/** How far the file of a recording may be behind, besides what an ear needs; ms. */
export const TAPE_LAG_MS = 3_000
const POLL_MS = 10

/** Resolves when `holds` is true. @throws with `what` when patience ends. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs = PATIENCE_MS): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms in vain: ${what}`)
    await sleep(POLL_MS)
  }
}

export interface Actor {
  readonly party: Party
  readonly legId: LegId
}

/** Mouths for the rows of ears. */
export type Rows = readonly (readonly [Ear, readonly Mouth[]])[]

export interface Scene {
  readonly rig: Rig
  readonly engine: Engine
  readonly callId: CallId
  readonly events: readonly LegEvent[]
  /** The sounds that came to their end, in order. */
  readonly played: readonly SoundId[]
  /** Rows beside those that the modes make, in every table from here on; in force when this resolves. */
  alsoHear(...rows: Rows): Promise<void>
  /** Plays a tone of `ms`, or of that again and again. Who hears it is said before, by `alsoHear`. */
  play(soundId: SoundId, hz: number, ms: number, repeats?: boolean): Promise<void>
  /** Records this call on these tapes, and says where. */
  record(...tapes: readonly TapeId[]): Promise<string>
  /** Each channel of the recording must soon have exactly those tones in its newest sound. */
  tapeHears(file: string, channels: readonly (readonly number[])[], why?: string): Promise<void>
  /** Dials an address, for this call unless another is named. */
  dial(to: Address, callId?: CallId, legKind?: DialOrder['legKind']): Promise<LegId>
  /** Dials a party; the leg rings when this resolves. */
  ring(hz: number, origin: Origin, monitoring?: { readonly mode: Mode; readonly target: Actor }): Promise<Actor>
  /** The party picks up; their leg counts as answered from here. Orders no table. */
  pickUp(actor: Actor): Promise<void>
  /** Agent and customer, in conversation. */
  conversation(): Promise<{ readonly agent: Actor; readonly customer: Actor }>
  /** A supervisor who joins and is in force when this resolves. */
  join(mode: Mode, target: Actor, hz?: number): Promise<Actor>
  /** Changes modes and orders the table; in force when this resolves. */
  switchTo(...changes: readonly (readonly [Actor, Mode])[]): Promise<void>
  /** Orders the table of the legs as they are. */
  applyTable(): Promise<void>
  /** The leg with its mode changed, without ordering anything. */
  setMode(actor: Actor, mode: Mode): void
  /** Waits for the leg's end. */
  ended(actor: Actor): Promise<EndCause>
  eventsOf(legId: LegId): readonly LegEvent[]
  /** Each of these ears must soon hear exactly those tones. */
  hear(ears: readonly (readonly [Actor, readonly number[]])[], why?: string): Promise<void>
}

/** Plays one scene: starts the engine, plays, stops it, and checks the promises that hold for every leg. */
export async function playScene(makeRig: () => Promise<Rig>, play: (scene: Scene) => Promise<void>): Promise<void> {
  const rig = await makeRig()
  const events: LegEvent[] = []
  const played: SoundId[] = []
  const dialled: LegId[] = []
  try {
    await rig.engine.start((event) => void (event.kind === 'played' ? played.push(event.soundId) : events.push(event)))
    try {
      await play(makeScene(rig, events, dialled, played))
    } finally {
      await rig.engine.stop()
    }
    checkEveryLeg(events, dialled)
    assert.equal(new Set(played).size, played.length, `a sound comes to its end once: ${played.join(', ')}`)
  } finally {
    await rig.close()
  }
}

function makeScene(rig: Rig, events: readonly LegEvent[], dialled: LegId[], played: readonly SoundId[]): Scene {
  const { engine } = rig
  const callId = freshId() as CallId
  const legs = new Map<LegId, Leg>()
  const change = (legId: LegId, changed: Partial<Leg>): void => changeIn(legs, legId, changed)
  const eventsOf = (legId: LegId) => events.filter((event) => event.legId === legId)
  const happened = (legId: LegId, kind: LegEvent['kind']) => until(`${kind} of ${legId}`, () => eventsOf(legId).some((event) => event.kind === kind))
  let extra: Rows = []
  const applyTable = () => engine.setHearing(callId, merged(hearing([...legs.values()]), extra))
  const setMode = ({ legId }: Actor, mode: Mode): void => {
    const monitoring = legs.get(legId)?.monitoring
    assert(monitoring, 'only a supervisor has a mode')
    change(legId, { monitoring: { ...monitoring, mode } })
  }
  const dial: Scene['dial'] = async (to, forCall = callId, legKind = 'conversation') => {
    const legId = freshId() as LegId
    dialled.push(legId)
    await engine.dial({ callId: forCall, legId, legKind, accountId: rig.accountId, to, callerId: rig.callerId })
    return legId
  }
  const ring: Scene['ring'] = async (hz, origin, monitoring) => {
    const party = await rig.party({ hz })
    const legId = await dial(party.address, callId, monitoring ? 'monitor' : 'conversation')
    const born = newLeg({ id: legId, address: party.address, origin, now: 0, ringMs: PATIENCE_MS, limitMs: PATIENCE_MS })
    legs.set(legId, monitoring ? { ...born, monitoring: { mode: monitoring.mode, targetLegId: monitoring.target.legId, since: null, ...UNEXPLAINED } } : born)
    await until('the phone rings', () => party.display() === 'ringing')
    await happened(legId, 'ringing')
    return { party, legId }
  }
  const pickUp: Scene['pickUp'] = async ({ party, legId }) => {
    await party.answers()
    await happened(legId, 'answered')
    change(legId, { state: { status: 'answered', answeredAt: 0, memory: null } })
  }
  return {
    ...{ rig, engine, callId, events, played, dial, ring, pickUp, applyTable, setMode, eventsOf },
    ...soundOf(rig, callId),
    async alsoHear(...rows) {
      extra = rows
      await applyTable()
    },
    async conversation() {
      const agent = await ring(TONES.agent, 'outbound')
      await pickUp(agent)
      const customer = await ring(TONES.customer, 'outbound-dial')
      await pickUp(customer)
      await applyTable()
      return { agent, customer }
    },
    async join(mode, target, hz = TONES.coach) {
      const supervisor = await ring(hz, 'monitor', { mode, target })
      await pickUp(supervisor)
      await applyTable()
      return supervisor
    },
    async switchTo(...changes) {
      for (const [actor, mode] of changes) setMode(actor, mode)
      await applyTable()
    },
    async ended({ legId }) {
      await happened(legId, 'ended')
      const end = eventsOf(legId).find((event) => event.kind === 'ended')
      assert(end)
      change(legId, { state: { status: 'ended', endedAt: 0, answeredAt: null, cause: end.cause } })
      return end.cause
    },
    hear: (ears, why = '') => hearWithin(rig.settleMs, ears, why),
  }
}

function changeIn(legs: Map<LegId, Leg>, legId: LegId, changed: Partial<Leg>): void {
  const leg = legs.get(legId)
  if (leg) legs.set(legId, { ...leg, ...changed })
}

/** What a scene does with sounds and tapes. */
function soundOf(rig: Rig, callId: CallId): Pick<Scene, 'play' | 'record' | 'tapeHears'> {
  return {
    play: (soundId, hz, ms, repeats = false) => rig.engine.play({ callId, soundId, clip: rig.clip({ hz, ms }), repeats }),
    async record(...tapes) {
      const file = `${rig.folder}/${freshId()}.wav`
      await rig.engine.record({ callId, file, tapes })
      return file
    },
    tapeHears: (file, channels, why = '') => tapeHasWithin(rig, file, channels, why),
  }
}

const merged = (table: ReadonlyMap<Ear, readonly Mouth[]>, rows: Rows): ReadonlyMap<Ear, readonly Mouth[]> =>
  rows.reduce((all, [ear, mouths]) => new Map(all).set(ear, [...(all.get(ear) ?? []), ...mouths]), table)

async function tapeHasWithin({ settleMs, tape }: Rig, file: string, channels: readonly (readonly number[])[], why: string): Promise<void> {
  const wanted = channels.map((tones) => say({ heard: tones, unclear: [] })).join(' | ')
  let found = ''
  const agrees = async () => {
    found = (await tape(file)).newest.map(say).join(' | ')
    return found === wanted
  }
  await until('the tape agrees', agrees, settleMs + TAPE_LAG_MS).catch(() => assert.fail(`${why} the tape should have ${wanted}, has ${found}`))
}

async function hearWithin(settleMs: number, ears: readonly (readonly [Actor, readonly number[]])[], why: string): Promise<void> {
  const wanted = ears.map(([, tones]) => say({ heard: tones, unclear: [] }))
  let found: readonly string[] = []
  const agree = async () => {
    found = (await Promise.all(ears.map(([actor]) => actor.party.hears()))).map(say)
    return found.every((what, index) => what === wanted[index])
  }
  await until('the ears agree', agree, settleMs).catch(() => {
    const lines = ears.map(([actor], index) => `${actor.party.hz} Hz wants to hear ${wanted[index]}, hears ${found[index]}`)
    assert.fail(`${why} after ${settleMs} ms: ${lines.join('; ')}`)
  })
}

const say = ({ heard, unclear }: Heard): string =>
  [...heard].sort((a, b) => a - b).join('+') + (unclear.length > 0 ? ` (unclear ${unclear.join(', ')})` : '') || 'silence'

/** Promises about every leg: it ends exactly once, last, and its events come in the order of a call's life. */
function checkEveryLeg(events: readonly LegEvent[], dialled: readonly LegId[]): void {
  const cameIn = events.filter((event) => event.kind === 'incoming').map((event) => event.legId)
  const rank = { incoming: 0, ringing: 1, answered: 2, ended: 3 } as const
  for (const legId of [...dialled, ...cameIn]) {
    const kinds = events.filter((event) => event.legId === legId).map((event) => event.kind)
    assert.equal(kinds.filter((kind) => kind === 'ended').length, 1, `leg ${legId} ends exactly once: ${kinds.join(', ')}`)
    assert.equal(kinds.at(-1), 'ended', `nothing happens to leg ${legId} after its end: ${kinds.join(', ')}`)
    assert(kinds.filter((kind) => kind === 'answered').length <= 1, `leg ${legId} is answered once at most`)
    assert.deepEqual(
      kinds,
      [...kinds].sort((a, b) => rank[a] - rank[b]),
      `events of leg ${legId} come in order`,
    )
    if (cameIn.includes(legId)) assert.equal(kinds[0], 'incoming')
  }
  const strangers = events.filter((event) => ![...dialled, ...cameIn].includes(event.legId))
  assert.deepEqual(strangers, [], 'no event is about a leg that nobody made')
}

let lastId = 0
/** Unique in this process; scenes may share a machine but never an engine. */
const freshId = (): string => `scene${++lastId}`.padEnd(32, '0')
