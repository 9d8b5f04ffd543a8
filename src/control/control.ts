/**
 * What the house can be asked to do. The one room that decides *and* acts: it loads, asks `domain`, saves, then orders;
 * one queue per call serialises all of it.
 */
import { type Account, callerIdFor, type DialRules, mayDial, routeIncoming } from '../domain/account.ts'
import type { Address } from '../domain/address.ts'
import type { Call, Decision, Order } from '../domain/call.ts'
import { addMonitor, type ConnectCommand, changeMode, connect, hangUp, type MonitorCommand } from '../domain/commands.ts'
import { DomainError } from '../domain/errors.ts'
import { incoming, nextDeadline, onAnswered, onDeadline, onEnded, onRinging } from '../domain/events.ts'
import type { AccountId, CallId, LegId } from '../domain/ids.ts'
import { isLive, type Leg, type Mode } from '../domain/leg.ts'
import type { Engine, EngineEvent } from '../engine/engine.ts'
import { loadCall, saveCall } from '../store/calls.ts'
import type { Database } from '../store/database.ts'
import { findIdempotency, IDEMPOTENCY_MS } from '../store/idempotency.ts'
import type { CallbackRow } from '../store/outbox.ts'
import { makeDeadlines, type Schedule } from './deadlines.ts'
import { makeLiveCalls } from './live-calls.ts'
import { makeSerial } from './serial.ts'

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
  /** @throws {DomainError} destination-not-allowed (From or To) · invalid-parameter (CallerId) · idempotency-mismatch · draining */
  connect(accountId: AccountId, command: ConnectCommand, idempotency: Idempotency | null): Promise<Call>
  /** @throws {DomainError} call-not-in-progress · invalid-parameter (TargetLegSid, CallerId) · destination-not-allowed · too-many-monitors · idempotency-mismatch · draining */
  createMonitorLeg(accountId: AccountId, callId: CallId, command: MonitorCommand, idempotency: Idempotency | null): Promise<LegOfCall>
  /** Resolves when the sound has changed. @throws {DomainError} call-not-in-progress · leg-not-found */
  changeMode(accountId: AccountId, callId: CallId, legId: LegId, mode: Mode): Promise<LegOfCall>
  /** Resolves when the hang-up was ordered; the leg in the answer is still live. @throws {DomainError} call-not-in-progress · leg-not-found */
  hangUp(accountId: AccountId, callId: CallId, legId: LegId): Promise<LegOfCall>
  /** A call with a live leg. @throws {DomainError} call-not-in-progress */
  liveCall(accountId: AccountId, callId: CallId): Promise<Call>
  /** Any call, live or ended. @throws {DomainError} call-not-found */
  call(accountId: AccountId, callId: CallId): Promise<Call>
}

export interface ControlLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
  error(fields: Readonly<Record<string, unknown>>, message: string): void
}

export interface ControlOptions {
  readonly engine: Engine
  readonly database: Database
  /** Name of this process in the database: whose calls these are. */
  readonly node: string
  readonly accounts: ReadonlyMap<AccountId, Account>
  readonly dialRules: DialRules
  /** Freezes the bodies of what a decision tells. */
  readonly callbacksOf: (decision: Decision) => readonly CallbackRow[]
  readonly now: () => number
  /** 32 characters of `[0-9a-z]`, unguessable (C6). */
  readonly newId: () => string
  readonly schedule: Schedule
  readonly log: ControlLog
}

/** What `main` does with control besides handing it to `http`. */
export interface RunningControl extends Control {
  /** Takes the engine's events, in order. Never throws. */
  onEngineEvent(event: EngineEvent): void
  /** From now on no new call or leg. Live ones may go on for `graceMs`, then everybody is hung up. Resolves when all is saved. */
  drain(graceMs: number): Promise<void>
  /** Resolves when no command or event is being worked on. */
  settled(): Promise<void>
  /** How many calls are live. */
  liveCount(): number
}

/** The ring and talk limits of calls that come in (C30's defaults). */
const INCOMING_RING_MS = 60_000
const INCOMING_LIMIT_MS = 14_400_000
/** How often changes that the database refused are tried again. */
const CATCH_UP_MS = 2_000
/** How often draining looks whether everybody has left. */
const DRAIN_POLL_MS = 20

export function makeControl(options: ControlOptions): RunningControl {
  const { engine, database, node, accounts, dialRules, now, schedule, log } = options
  const newLegId = (): LegId => options.newId() as LegId
  const serial = makeSerial<string>()
  const deadlines = makeDeadlines(schedule, now, (callId) => void happen(callId, (call) => onDeadline(call, now())))
  const live = makeLiveCalls({
    save: (call, callbacks, idempotency) => saveCall(database.sql, { call, node, callbacks, idempotency }),
    callbacksOf: options.callbacksOf,
    onTrouble: (error, callId) => {
      log.error({ call: callId, error: String(error) }, 'a change of this call could not be saved and will be tried again')
      schedule(CATCH_UP_MS, () => void catchUp(callId))
    },
  })
  let draining = false

  async function catchUp(callId: CallId): Promise<void> {
    try {
      await serial.run(callId, () => live.catchUp(callId))
    } catch {
      schedule(CATCH_UP_MS, () => void catchUp(callId))
    }
  }

  /** A command: refused as a whole when it is wrong or cannot be saved. */
  function command(accountId: AccountId, callId: CallId, decide: (call: Call) => Decision, remember?: (call: Call) => Parameters<typeof live.commit>[1]): Promise<Call> {
    return serial.run(callId, async () => {
      const decision = decide(ownLiveCall(accountId, callId))
      await live.commit(decision, remember?.(decision.call) ?? null)
      await obey(decision)
      return decision.call
    })
  }

  /** Something that has happened: it is so, whatever the database says. */
  function happen(callId: CallId, decide: (call: Call) => Decision): Promise<void> {
    return serial
      .run(callId, async () => {
        const call = live.get(callId)
        if (!call) return
        const decision = decide(call)
        await live.record(decision)
        await obey(decision)
      })
      .catch((error: unknown) => breakOff(callId, error))
  }

  async function obey({ call, orders }: Decision): Promise<void> {
    for (const order of orders) await give(call, order)
    deadlines.set(call.id, nextDeadline(call))
  }

  function give(call: Call, order: Order): Promise<void> {
    switch (order.kind) {
      case 'dial':
        return engine.dial({ callId: call.id, accountId: call.accountId, legId: order.legId, to: order.to, callerId: order.callerId })
      case 'ring':
        return engine.ring(call.id, order.legId)
      case 'answer':
        return engine.answer(call.id, order.legId)
      case 'hang-up':
        return engine.hangUp(call.id, order.legId, order.cause)
      case 'set-hearing':
        // The whole table again is the repair of whatever went wrong with the first; a second failure ends the call.
        return engine.setHearing(call.id, order.hearing).catch(() => engine.setHearing(call.id, order.hearing))
    }
  }

  /** A bug in one call's step ends that call, loudly, and no other. */
  async function breakOff(callId: CallId, error: unknown): Promise<void> {
    log.error({ call: callId, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }, 'a step of this call failed; the call is ended')
    for (const leg of live.get(callId)?.legs.filter(isLive) ?? []) {
      await engine.hangUp(callId, leg.id, 'failed').catch((again: unknown) => log.error({ call: callId, leg: leg.id, error: String(again) }, 'this leg could not be hung up'))
    }
  }

  function ownLiveCall(accountId: AccountId, callId: CallId): Call {
    const call = live.get(callId)
    if (!call || call.accountId !== accountId || !call.legs.some(isLive)) throw new DomainError('call-not-in-progress')
    return call
  }

  function accountOf(accountId: AccountId): Account {
    const account = accounts.get(accountId)
    if (!account) throw new DomainError('call-not-found')
    return account
  }

  function assertMayDial(account: Account, ...addresses: readonly Address[]): void {
    if (draining) throw new DomainError('draining')
    for (const address of addresses) if (!mayDial(account, dialRules, address)) throw new DomainError('destination-not-allowed')
  }

  /** An account shows its own numbers; with none configured it may show anything. */
  function assertMayShow(account: Account, callerId: Address | null): void {
    if (callerId === null || account.numbers.length === 0) return
    if (!account.numbers.some((entry) => entry.number === callerId)) throw new DomainError('invalid-parameter', 'CallerId')
  }

  /** C19: the same key and request get the first answer again; two at once wait for each other. */
  async function once<T>(accountId: AccountId, idempotency: Idempotency | null, work: () => Promise<T>): Promise<T> {
    if (idempotency === null) return work()
    return serial.run(`idempotency ${accountId} ${idempotency.key}`, async () => {
      const first = await findIdempotency(database.sql, accountId, idempotency.key, now() - IDEMPOTENCY_MS)
      if (first === null) return work()
      if (first.fingerprint !== idempotency.fingerprint) throw new DomainError('idempotency-mismatch')
      return first.answer as T
    })
  }

  const recordFor = (accountId: AccountId, idempotency: Idempotency | null, callId: CallId, legId: LegId | null, answer: unknown) =>
    idempotency === null ? null : { accountId, key: idempotency.key, fingerprint: idempotency.fingerprint, callId, legId, answer, createdAt: now() }

  function comeIn(event: Extract<EngineEvent, { kind: 'incoming' }>): void {
    const { callId, legId } = event
    void serial
      .run(callId, async () => {
        const account = accounts.get(event.accountId)
        if (draining || !account) return engine.hangUp(callId, legId, 'failed')
        const destination = routeIncoming(account, dialRules, event)
        const decision = incoming({
          callId, accountId: event.accountId, callerLegId: legId, dialledLegId: newLegId(), from: event.from, dialled: event.dialled, destination,
          callerId: destination === null ? event.from : callerIdFor(account, event, destination),
          agentIs: event.source === 'agent' && !destination?.startsWith('client:') ? 'caller' : 'dialled',
          ringMs: INCOMING_RING_MS, limitMs: INCOMING_LIMIT_MS,
        }, now())
        await live.commit(decision, null)
        await obey(decision)
      })
      .catch(async (error: unknown) => {
        // A call that cannot be written down is not taken: its leg is refused even when the house never knew it.
        await breakOff(callId, error)
        await engine.hangUp(callId, legId, 'failed')
      })
  }

  return {
    connect(accountId, wanted, idempotency) {
      return once(accountId, idempotency, async () => {
        const account = accountOf(accountId)
        assertMayDial(account, wanted.from, wanted.to)
        assertMayShow(account, wanted.callerId)
        const callId = options.newId() as CallId
        return serial.run(callId, async () => {
          const decision = connect(wanted, { callId, legId: newLegId(), account }, now())
          await live.commit(decision, recordFor(accountId, idempotency, callId, null, decision.call))
          await obey(decision)
          return decision.call
        })
      })
    },
    createMonitorLeg(accountId, callId, wanted, idempotency) {
      return once(accountId, idempotency, async () => {
        const account = accountOf(accountId)
        ownLiveCall(accountId, callId)
        assertMayDial(account, wanted.phone)
        assertMayShow(account, wanted.callerId)
        const id = newLegId()
        const answer = (call: Call): LegOfCall => ({ call, leg: legOf(call, id) })
        return answer(
          await command(
            accountId, callId,
            (call) => addMonitor(call, wanted, id, account, now()),
            (call) => recordFor(accountId, idempotency, callId, id, answer(call)),
          ),
        )
      })
    },
    async changeMode(accountId, callId, legId, mode) {
      const call = await command(accountId, callId, (current) => changeMode(current, legId, mode, now()))
      return { call, leg: legOf(call, legId) }
    },
    async hangUp(accountId, callId, legId) {
      const call = await command(accountId, callId, (current) => hangUp(current, legId, now()))
      return { call, leg: legOf(call, legId) }
    },
    async liveCall(accountId, callId) {
      return ownLiveCall(accountId, callId)
    },
    async call(accountId, callId) {
      const current = live.get(callId)
      const call = current?.accountId === accountId ? current : await loadCall(database.sql, accountId, callId)
      if (!call) throw new DomainError('call-not-found')
      return call
    },
    onEngineEvent(event) {
      const { callId, legId } = event
      switch (event.kind) {
        case 'incoming':
          return comeIn(event)
        case 'ringing':
          return void happen(callId, (call) => onRinging(call, legId))
        case 'answered':
          return void happen(callId, (call) => onAnswered(call, legId, newLegId(), now()))
        case 'ended':
          return void happen(callId, (call) => onEnded(call, legId, event.cause, now()))
      }
    },
    async drain(graceMs) {
      draining = true
      const until = now() + graceMs
      while (live.all().length > 0 && now() < until) await new Promise<void>((resolve) => schedule(DRAIN_POLL_MS, resolve))
      for (const call of live.all()) {
        for (const leg of call.legs.filter(isLive)) await engine.hangUp(call.id, leg.id, leg.state.status === 'answered' ? 'completed' : 'canceled')
      }
      await serial.idle()
      deadlines.clear()
    },
    settled: () => serial.idle(),
    liveCount: () => live.all().length,
  }
}

function legOf(call: Call, legId: LegId): Leg {
  const leg = call.legs.find((candidate) => candidate.id === legId)
  if (!leg) throw new Error(`call ${call.id} lost its leg ${legId}`)
  return leg
}
