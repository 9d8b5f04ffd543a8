/**
 * An engine without phones: arrays, and hands for a test (or a console under development) that plays the far ends.
 *
 * It keeps every promise of `engine.ts`. Events are reported within the call that causes them, so a test needs no waiting.
 * What an ear hears is what `ears` says: the table in force, without the legs that are not there.
 */
import assert from 'node:assert/strict'
import type { Address } from '../domain/address.ts'
import type { Hearing, Mouth } from '../domain/hearing.ts'
import type { AccountId, CallId, LegId, SoundId, TapeId } from '../domain/ids.ts'
import { type EndCause, endOf, type LetGoCause } from '../domain/leg.ts'
import type { DialOrder, Engine, EngineEvent, PlayOrder, RecordOrder } from './engine.ts'

/** The newest orders that are kept; older ones are forgotten. */
export const ORDERS_KEPT = 10_000

export type FakeOrder =
  | ({ readonly kind: 'dial' } & DialOrder)
  | { readonly kind: 'ring'; readonly callId: CallId; readonly legId: LegId }
  | { readonly kind: 'answer'; readonly callId: CallId; readonly legId: LegId }
  | { readonly kind: 'set-hearing'; readonly callId: CallId; readonly hearing: Hearing }
  | { readonly kind: 'hang-up'; readonly callId: CallId; readonly legId: LegId; readonly cause: LetGoCause }
  | ({ readonly kind: 'play' } & PlayOrder)
  | ({ readonly kind: 'record' } & RecordOrder)
  | { readonly kind: 'farewell'; readonly memories: readonly string[] }

/** Somebody who calls in. */
export interface FakeCaller {
  readonly accountId: AccountId
  readonly from: Address
  readonly dialled: Address
  readonly source: 'agent' | 'trunk'
}

export interface FakeEngine extends Engine {
  /** What was ordered, oldest first, orders about unknown legs included. */
  readonly orders: readonly FakeOrder[]
  /** The dialled phone rings. Unknown, answered and ended legs: nothing happens; so for all hands. */
  rings(legId: LegId): void
  /** The dialled phone is picked up. */
  answers(legId: LegId): void
  /** The far end hangs up, refuses, or is not there. */
  ends(legId: LegId, cause: EndCause): void
  /** The sound comes to its end; nothing happens when it does not play. */
  soundEnds(callId: CallId, soundId: SoundId): void
  /** Somebody calls in. */
  callIn(caller: FakeCaller): { readonly callId: CallId; readonly legId: LegId }
  /** What is being recorded of a call; null for nothing. */
  recording(callId: CallId): RecordOrder | null
  /** Who really hears whom now: one row for each answered leg and each tape that records; sounds while they play. Empty for an unknown call. */
  ears(callId: CallId): Hearing
  /** The live legs, oldest first. */
  legs(): readonly FakeLeg[]
  /** The next order of this kind rejects with `error` and changes nothing. */
  failNext(kind: FakeOrder['kind'], error: Error): void
}

export interface FakeLeg {
  readonly callId: CallId
  readonly legId: LegId
  readonly direction: 'in' | 'out'
  readonly address: Address
  readonly status: 'trying' | 'ringing' | 'answered'
}

export interface FakeEngineOptions {
  /** Ids for calls and legs that come in. */
  readonly newId: () => string
}

export function makeFakeEngine({ newId }: FakeEngineOptions): FakeEngine {
  const fake: Fake = { orders: [], legs: new Map(), tables: new Map(), sounds: new Map(), recordings: new Map(), failures: new Map(), report: null }
  return { ...engineOf(fake), ...handsOf(fake, newId) }
}

interface Fake {
  readonly orders: FakeOrder[]
  /** Live ones, oldest first. */
  readonly legs: Map<LegId, FakeLeg>
  readonly tables: Map<CallId, Hearing>
  /** What plays, by call. */
  readonly sounds: Map<CallId, Set<SoundId>>
  readonly recordings: Map<CallId, RecordOrder>
  readonly failures: Map<FakeOrder['kind'], Error>
  report: ((event: EngineEvent) => void) | null
}

function engineOf(fake: Fake): Engine {
  const { legs, tables } = fake
  return {
    async start(onEvent) {
      fake.report = onEvent
    },
    async stop() {
      for (const leg of [...legs.values()]) end(fake, leg, leg.status === 'answered' ? 'completed' : 'canceled')
      fake.report = null
    },
    async dial(order) {
      take(fake, { kind: 'dial', ...order })
      const { callId, legId, to } = order
      if (!legs.has(legId)) legs.set(legId, { callId, legId, direction: 'out', address: to, status: 'trying' })
    },
    async ring(callId, legId) {
      take(fake, { kind: 'ring', callId, legId })
      const leg = known(fake, callId, legId)
      if (leg?.direction === 'in' && leg.status === 'trying') legs.set(legId, { ...leg, status: 'ringing' })
    },
    async answer(callId, legId) {
      take(fake, { kind: 'answer', callId, legId })
      const leg = known(fake, callId, legId)
      if (leg?.direction === 'in' && leg.status !== 'answered') answer(fake, leg)
    },
    async setHearing(callId, hearing) {
      take(fake, { kind: 'set-hearing', callId, hearing })
      if (![...legs.values()].some((leg) => leg.callId === callId)) return
      tables.set(callId, hearing)
      for (const soundId of fake.sounds.get(callId) ?? []) if (!isNamed(hearing, soundId)) fake.sounds.get(callId)?.delete(soundId)
    },
    async play(order) {
      take(fake, { kind: 'play', ...order })
      const { callId, soundId } = order
      if (!isNamed(tables.get(callId), soundId)) return
      fake.sounds.set(callId, (fake.sounds.get(callId) ?? new Set()).add(soundId))
    },
    async record(order) {
      take(fake, { kind: 'record', ...order })
      const { callId, tapes } = order
      if (![...legs.values()].some((leg) => leg.callId === callId)) return
      if (tapes.length < 1 || tapes.length > 2 || new Set(tapes).size !== tapes.length)
        throw new Error('a recording has one tape or two different ones')
      if (fake.recordings.has(callId)) throw new Error('this call is recorded already')
      fake.recordings.set(callId, order)
    },
    async hangUp(callId, legId, cause) {
      take(fake, { kind: 'hang-up', callId, legId, cause })
      const leg = known(fake, callId, legId)
      if (leg) end(fake, leg, endOf(cause))
    },
    async farewell(memories) {
      take(fake, { kind: 'farewell', memories })
    },
  }
}

/** What the fake wants to be reminded of: the leg. */
export const fakeMemory = (legId: LegId): string => `the fake's leg ${legId}`

function handsOf(fake: Fake, newId: () => string): Omit<FakeEngine, keyof Engine> {
  const { legs, tables, failures, orders } = fake
  return {
    orders,
    rings(legId) {
      const leg = legs.get(legId)
      if (leg?.direction !== 'out' || leg.status !== 'trying') return
      legs.set(legId, { ...leg, status: 'ringing' })
      emit(fake, { kind: 'ringing', callId: leg.callId, legId })
    },
    answers(legId) {
      const leg = legs.get(legId)
      if (leg?.direction === 'out' && leg.status !== 'answered') answer(fake, leg)
    },
    ends(legId, cause) {
      const leg = legs.get(legId)
      if (leg) end(fake, leg, cause)
    },
    soundEnds(callId, soundId) {
      if (fake.sounds.get(callId)?.delete(soundId)) emit(fake, { kind: 'played', callId, soundId })
    },
    callIn({ accountId, from, dialled, source }) {
      const [callId, legId] = [newId() as CallId, newId() as LegId]
      legs.set(legId, { callId, legId, direction: 'in', address: from, status: 'trying' })
      emit(fake, { kind: 'incoming', callId, legId, accountId, from, dialled, source })
      return { callId, legId }
    },
    recording: (callId) => fake.recordings.get(callId) ?? null,
    ears: (callId) =>
      earsOf({
        legs: [...legs.values()].filter((leg) => leg.callId === callId),
        table: tables.get(callId),
        sounds: fake.sounds.get(callId) ?? new Set(),
        tapes: fake.recordings.get(callId)?.tapes ?? [],
      }),
    legs: () => [...legs.values()],
    failNext: (kind, error) => void failures.set(kind, error),
  }
}

function emit({ report }: Fake, event: EngineEvent): void {
  assert(report !== null, 'the fake engine was not started')
  report(event)
}

/** Records an order, or fails it. */
function take({ report, failures, orders }: Fake, order: FakeOrder): void {
  assert(report !== null, 'the fake engine was not started')
  const failure = failures.get(order.kind)
  failures.delete(order.kind)
  if (failure) throw failure
  if (orders.length === ORDERS_KEPT) orders.shift()
  orders.push(order)
}

function known({ legs }: Fake, callId: CallId, legId: LegId): FakeLeg | null {
  const leg = legs.get(legId)
  return leg?.callId === callId ? leg : null
}

function answer(fake: Fake, leg: FakeLeg): void {
  fake.legs.set(leg.legId, { ...leg, status: 'answered' })
  emit(fake, { kind: 'answered', callId: leg.callId, legId: leg.legId, memory: fakeMemory(leg.legId) })
}

function end(fake: Fake, { callId, legId }: FakeLeg, cause: EndCause): void {
  fake.legs.delete(legId)
  if (![...fake.legs.values()].some((other) => other.callId === callId))
    for (const known of [fake.tables, fake.sounds, fake.recordings]) known.delete(callId)
  emit(fake, { kind: 'ended', callId, legId, cause })
}

const isNamed = (table: Hearing | undefined, soundId: SoundId): boolean => [...(table?.values() ?? [])].some((row) => row.includes(soundId))

interface Present {
  readonly legs: readonly FakeLeg[]
  readonly table: Hearing | undefined
  readonly sounds: ReadonlySet<SoundId>
  readonly tapes: readonly TapeId[]
}

/** The table, cut down to the legs that are answered and the sounds that play; a leg without a row is silent both ways. */
function earsOf({ legs, table, sounds, tapes }: Present): Hearing {
  const present = legs.filter((leg) => leg.status === 'answered').map((leg) => leg.legId)
  const isPlaying = (mouth: Mouth): boolean => [...sounds].some((soundId) => soundId === mouth)
  const speaks = (mouth: Mouth): boolean => isPlaying(mouth) || (present.some((legId) => legId === mouth) && table?.has(mouth as LegId) === true)
  return new Map([...present, ...tapes].map((ear) => [ear, (table?.get(ear) ?? []).filter(speaks)]))
}
