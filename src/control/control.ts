/**
 * What the house can be asked to do. The one room that decides *and* acts: it loads, asks `domain`, saves, then orders;
 * one queue per call serialises all of it.
 */
import { type Account, callerIdFor, type DialRules, mayDial, routeIncoming } from '../domain/account/account.ts'
import type { LegWish } from '../domain/account/rating.ts'
import type { Address } from '../domain/address.ts'
import type { Call, Decision } from '../domain/call.ts'
import type { CallPage, CallQuery } from '../domain/call-query.ts'
import { addMonitor, type ConnectCommand, changeMode, connect, hangUp, type MonitorCommand } from '../domain/commands.ts'
import { DomainError, type LimitCode } from '../domain/errors.ts'
import { cutOff, incoming, isWorthAnotherTry, onAnswered, onEnded, onPlayed, onRinging } from '../domain/events.ts'
import type { EvidencePage, EvidenceQuery } from '../domain/evidence/entry.ts'
import { onToneEnded } from '../domain/evidence/tones.ts'
import type { AccountId, CallId, LegId, SoundId } from '../domain/ids.ts'
import { isLive, type Leg, type Mode, UNEXPLAINED, type Why } from '../domain/leg.ts'
import type { EngineEvent } from '../engine/engine.ts'
import { listCalls, loadCall } from '../store/calls.ts'
import { listEvidence } from '../store/evidence/log.ts'
import { findIdempotency, IDEMPOTENCY_MS, type IdempotencyRecord, IdempotencyTaken } from '../store/idempotency.ts'
import { type FirstLeg, type Gate, isLimit, makeGate } from './billing/gate.ts'
import { makeSteps, type Steps, type StepsOptions } from './steps.ts'

/** A leg and the call it belongs to, as they were when the answer was decided. */
export interface LegOfCall {
  readonly call: Call
  readonly leg: Leg
}

/** An `Idempotency-Key` and a fingerprint of the request it came with (contract C19). */
export interface Idempotency {
  /** 1 to 255 characters. */
  readonly key: string
  /** Hash of method, path and body: the same key with another one is a mistake. */
  readonly fingerprint: string
}

/** Calls of another account are, to whoever asks, not there. Every method may throw DomainError `draining` except the readers. */
export interface Control {
  /** @throws {DomainError} destination-not-allowed (From or To) · invalid-parameter (CallerId) · a `LimitCode` · idempotency-mismatch · draining */
  connect(accountId: AccountId, command: ConnectCommand, idempotency: Idempotency | null): Promise<Call>
  /** @throws {DomainError} call-not-in-progress · invalid-parameter (TargetLegSid, CallerId) · notice-missing · destination-not-allowed · a `LimitCode` · too-many-monitors · idempotency-mismatch · draining */
  createMonitorLeg(accountId: AccountId, callId: CallId, command: MonitorCommand, idempotency: Idempotency | null, why?: Why): Promise<LegOfCall>
  /** Resolves when the sound has changed. @throws {DomainError} call-not-in-progress · leg-not-found */
  changeMode(accountId: AccountId, callId: CallId, legId: LegId, mode: Mode, why?: Why): Promise<LegOfCall>
  /** Resolves when the hang-up was ordered; the leg in the answer is still live. @throws {DomainError} call-not-in-progress · leg-not-found */
  hangUp(accountId: AccountId, callId: CallId, legId: LegId): Promise<LegOfCall>
  /** A call with a live leg. @throws {DomainError} call-not-in-progress */
  liveCall(accountId: AccountId, callId: CallId): Promise<Call>
  /** Any call, live or ended. @throws {DomainError} call-not-found */
  call(accountId: AccountId, callId: CallId): Promise<Call>
  /**
   * A page of the account's calls, live and ended, as they were last saved.
   * @param reach Only calls in which one of these takes part are there; null: all of the account's.
   */
  calls(accountId: AccountId, query: CallQuery, reach: readonly Address[] | null): Promise<CallPage>
  /** A page of the account's audit log. */
  audit(accountId: AccountId, query: EvidenceQuery): Promise<EvidencePage>
}

export interface ControlOptions extends StepsOptions {
  readonly accounts: ReadonlyMap<AccountId, Account>
  readonly dialRules: DialRules
  /** 32 characters of `[0-9a-z]`, unguessable (C6). */
  readonly newId: () => string
  /** A limit of an account refused a leg or ended a call; for those who count. Must not throw. */
  readonly onLimit?: (reason: LimitCode) => void
}

/** What `main` does with control besides handing it to `http`. */
export interface RunningControl extends Control {
  /** Takes the engine's events, in order. Never throws. */
  onEngineEvent(event: EngineEvent): void
  /** From now on no new call or leg. Live ones may go on for `graceMs`, then everybody is hung up. Resolves when all is saved. */
  drain(graceMs: number): Promise<void>
  /** Resolves when no command or event is being worked on. */
  settled(): Promise<void>
  /** The account's live calls, oldest first. */
  live(accountId: AccountId): readonly Call[]
  /** How many calls are live. */
  liveCount(): number
  /** What accounts may have; whoever knows of their money tells it. */
  readonly gate: Gate
}

/** The ring and talk limits of calls that come in (C30's defaults). */
const INCOMING_RING_MS = 60_000
const INCOMING_LIMIT_MS = 14_400_000
/** How often draining hangs everybody up; the second time finds who came in meanwhile. */
const DRAIN_ROUNDS = 10
/** How often draining looks whether everybody has left. */
const DRAIN_POLL_MS = 20

/** What the parts of control share. */
interface Desk extends ControlOptions {
  readonly steps: Steps
  readonly gate: Gate
  draining: boolean
}

export function makeControl(options: ControlOptions): RunningControl {
  const steps: Steps = makeSteps({
    ...options,
    onChange(before, after) {
      gate.onCall(before, after)
      options.onChange?.(before, after)
    },
  })
  const { accounts, now, schedule, log, onLimit } = options
  const gate: Gate = makeGate({
    ...{ accounts, now, schedule, log, onLimit },
    liveCall: steps.live.get,
    liveCalls: steps.live.all,
    endCall: (callId, reason) => void steps.happen(callId, (call) => cutOff(call, reason)),
  })
  const desk: Desk = { ...options, steps, gate, draining: false }
  return {
    gate,
    ...commandsOf(desk),
    async liveCall(accountId, callId) {
      return ownCall(steps.live.get(callId), accountId)
    },
    async call(accountId, callId) {
      const current = steps.live.get(callId)
      const call = current?.accountId === accountId ? current : await loadCall(desk.database.sql, accountId, callId)
      if (!call) throw new DomainError('call-not-found')
      return call
    },
    calls: (accountId, query, reach) => listCalls(desk.database.sql, accountId, query, reach),
    audit: (accountId, query) => listEvidence(desk.database.sql, accountId, query),
    onEngineEvent: (event) => take(desk, event),
    drain: (graceMs) => drain(desk, graceMs),
    settled: () => steps.queue.idle(),
    live: (accountId) => steps.live.all().filter((call) => call.accountId === accountId),
    liveCount: () => steps.live.all().length,
  }
}

function commandsOf(desk: Desk): Pick<Control, 'connect' | 'createMonitorLeg' | 'changeMode' | 'hangUp'> {
  const { steps, gate, now } = desk
  const onLeg = async (accountId: AccountId, callId: CallId, legId: LegId, decide: (call: Call) => Decision): Promise<LegOfCall> =>
    legOfCall(await steps.command(callId, (current) => decide(ownCall(current, accountId))), legId)
  return {
    connect: (accountId, wanted, idempotency) =>
      once(desk, accountId, idempotency, async () => {
        const account = accountOf(desk, accountId)
        assertMayDial(desk, account, [wanted.from, wanted.to])
        assertMayShow(account, wanted.callerId)
        const ids = { callId: desk.newId() as CallId, legId: desk.newId() as LegId, account }
        const parties: readonly LegWish[] = [
          { origin: 'outbound', address: wanted.from },
          { origin: 'outbound-dial', address: wanted.to },
        ]
        const call = await gate.within(account, ids, parties, () =>
          steps.command(
            ids.callId,
            () => connect(wanted, ids, now()),
            (begun) => recordOf(desk, accountId, idempotency, { callId: begun.id, legId: null, answer: begun }),
          ),
        )
        fetchAhead(desk, call)
        return call
      }),
    createMonitorLeg: (accountId, callId, wanted, idempotency, why = UNEXPLAINED) =>
      once(desk, accountId, idempotency, async () => {
        const account = accountOf(desk, accountId)
        ownCall(steps.live.get(callId), accountId)
        assertMayDial(desk, account, [wanted.phone])
        assertMayShow(account, wanted.callerId)
        const legId = desk.newId() as LegId
        const call = await gate.within(account, { callId, legId }, [{ origin: 'monitor', address: wanted.phone }], () =>
          steps.command(
            callId,
            (current) => addMonitor(ownCall(current, accountId), wanted, legId, { ...account, why }, now()),
            (next) => recordOf(desk, accountId, idempotency, { callId, legId, answer: legOfCall(next, legId) }),
          ),
        )
        return legOfCall(call, legId)
      }),
    changeMode: (accountId, callId, legId, mode, why = UNEXPLAINED) =>
      onLeg(accountId, callId, legId, (call) => changeMode(call, legId, mode, now(), why)),
    hangUp: (accountId, callId, legId) => onLeg(accountId, callId, legId, (call) => hangUp(call, legId, now())),
  }
}

/** While phones ring there is time; what goes wrong is told when the sound is wanted. */
function fetchAhead({ clips }: Desk, { sound }: Call): void {
  for (const url of [sound.waitUrl, sound.opening?.url ?? null]) if (url !== null) void clips.get(url).catch(() => {})
}

/** A sound that a customer named, or a tone of ours. */
const onSoundOver = (call: Call, soundId: SoundId, now: number): Decision =>
  soundId === call.tones?.sounding?.id ? onToneEnded(call, soundId) : onPlayed(call, soundId, now)

/** The engine reports; each event is a step of its call. */
function take(desk: Desk, event: EngineEvent): void {
  const { steps, now } = desk
  const { callId } = event
  if (event.kind === 'played') return void steps.happen(callId, (call) => onSoundOver(call, event.soundId, now()))
  const { legId } = event
  switch (event.kind) {
    case 'incoming':
      return void comeIn(desk, event)
    case 'ringing':
      return void steps.happen(callId, (call) => onRinging(call, legId))
    case 'answered':
      return void steps.happen(callId, (call) =>
        onAnswered(call, legId, { freshLegId: desk.newId() as LegId, memory: event.memory, refusal: desk.gate.barsSecond(call, legId) }, now()),
      )
    case 'ended':
      return void steps.happen(callId, (call) => onEnded(call, legId, event.cause, now(), legForRetry(desk, call, event)))
  }
}

/** C30, `MaxRetries`: a leg for another try takes its place like any other; null when it gets none. */
const legForRetry = (desk: Desk, call: Call, { legId, cause }: Extract<EngineEvent, { kind: 'ended' }>): LegId | null =>
  !desk.draining && isWorthAnotherTry(call, legId, cause) && desk.gate.barsRedial(call) === null ? (desk.newId() as LegId) : null

/** Somebody calls in. A call that cannot be written down is not taken: its leg is refused, though the house never knew it. */
async function comeIn(desk: Desk, event: Extract<EngineEvent, { kind: 'incoming' }>): Promise<void> {
  const { engine, steps, accounts, dialRules, now } = desk
  const { callId, legId, accountId, from, dialled, source } = event
  try {
    const account = accounts.get(accountId)
    if (desk.draining || !account) return await engine.hangUp(callId, legId, 'failed')
    const destination = routeIncoming(account, dialRules, event)
    const callerId = destination === null ? from : callerIdFor(account, event, destination)
    const agentIs = source === 'agent' && !destination?.startsWith('client:') ? 'caller' : 'dialled'
    const parties = { callId, accountId, callerLegId: legId, from, dialled, source, destination, callerId, agentIs } as const
    const { letGo, refusal } = placesFor(desk, account, { callId, legId }, parties)
    const dialledLegId = desk.newId() as LegId
    await steps
      .command(callId, () => incoming({ ...parties, dialledLegId, refusal, ringMs: INCOMING_RING_MS, limitMs: INCOMING_LIMIT_MS }, now()))
      .finally(letGo)
  } catch (error) {
    await steps.breakOff(callId, error)
    await engine
      .hangUp(callId, legId, 'failed')
      .catch((again: unknown) => desk.log.error({ call: callId, leg: legId, err: again }, 'this caller could not be refused'))
  }
}

/** A caller who is put through takes two places; one who is refused anyway takes none. */
function placesFor(
  { gate }: Desk,
  account: Account,
  first: FirstLeg,
  { from, destination }: { readonly from: Address; readonly destination: Address | null },
): { readonly letGo: () => void; readonly refusal: LimitCode | null } {
  if (destination === null) return { letGo: () => {}, refusal: null }
  const wishes: readonly LegWish[] = [
    { origin: 'inbound', address: from },
    { origin: 'outbound-dial', address: destination },
  ]
  try {
    const letGo = gate.take(account, first, wishes)
    return { letGo: () => letGo('dialled'), refusal: null }
  } catch (error) {
    if (!isLimit(error)) throw error
    return { letGo: () => {}, refusal: error.code }
  }
}

async function drain(desk: Desk, graceMs: number): Promise<void> {
  const { steps, now, schedule } = desk
  desk.draining = true
  const until = now() + graceMs
  while (steps.live.all().length > 0 && now() < until) await new Promise<void>((resolve) => schedule(DRAIN_POLL_MS, resolve))
  // What was under way when draining began may have become a live call meanwhile.
  for (let round = 0; round < DRAIN_ROUNDS; round += 1) {
    await steps.queue.idle()
    if (steps.live.all().length === 0) break
    for (const call of steps.live.all()) await steps.hangUpAll(call.id, (leg) => (leg.state.status === 'answered' ? 'completed' : 'canceled'))
  }
  steps.stop()
  desk.gate.stop()
}

/** Another account's call is not there. @throws {DomainError} call-not-in-progress */
function ownCall(current: Call | undefined, accountId: AccountId): Call {
  if (current?.accountId !== accountId || !current.legs.some(isLive)) throw new DomainError('call-not-in-progress')
  return current
}

function accountOf({ accounts }: Desk, accountId: AccountId): Account {
  const account = accounts.get(accountId)
  if (!account) throw new DomainError('call-not-found')
  return account
}

function assertMayDial({ draining, dialRules }: Desk, account: Account, addresses: readonly Address[]): void {
  if (draining) throw new DomainError('draining')
  for (const address of addresses) if (!mayDial(account, dialRules, address)) throw new DomainError('destination-not-allowed')
}

/** An account shows its own numbers; with none configured it may show anything. */
function assertMayShow(account: Account, callerId: Address | null): void {
  if (callerId === null || account.numbers.length === 0) return
  if (!account.numbers.some((entry) => entry.number === callerId)) throw new DomainError('invalid-parameter', 'CallerId')
}

/**
 * C19: the same key and request get the first answer again; two at once wait for each other. Of two that came to different processes
 * the later to save finds the key taken: nothing of it has happened, and it gets the first answer.
 */
async function once<T>({ steps, database, now }: Desk, accountId: AccountId, idempotency: Idempotency | null, work: () => Promise<T>): Promise<T> {
  if (idempotency === null) return work()
  return steps.queue.run(`idempotency ${accountId} ${idempotency.key}`, async () => {
    const find = (): Promise<IdempotencyRecord | null> => findIdempotency(database.sql, accountId, idempotency.key, now() - IDEMPOTENCY_MS)
    const first = await find()
    if (first !== null) return answerOf<T>(first, idempotency)
    return work().catch(async (error: unknown) => {
      const faster = error instanceof IdempotencyTaken ? await find() : null
      if (faster === null) throw error
      return answerOf<T>(faster, idempotency)
    })
  })
}

/** @throws {DomainError} idempotency-mismatch */
function answerOf<T>(first: IdempotencyRecord, { fingerprint }: Idempotency): T {
  if (first.fingerprint !== fingerprint) throw new DomainError('idempotency-mismatch')
  return first.answer as T
}

function recordOf(
  { now }: Desk,
  accountId: AccountId,
  idempotency: Idempotency | null,
  about: Pick<IdempotencyRecord, 'callId' | 'legId' | 'answer'>,
): IdempotencyRecord | null {
  return idempotency === null ? null : { accountId, key: idempotency.key, fingerprint: idempotency.fingerprint, createdAt: now(), ...about }
}

function legOfCall(call: Call, legId: LegId): LegOfCall {
  const leg: Leg | undefined = call.legs.find((candidate) => candidate.id === legId)
  if (!leg) throw new Error(`call ${call.id} lost its leg ${legId}`)
  return { call, leg }
}
