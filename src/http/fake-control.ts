/**
 * A `Control` in memory for tests of the server: the real decisions of `domain/`, with nothing behind their orders. Whoever
 * tests says when a leg answers or ends. Ids are counted, 32 characters like real ones.
 */
import type { KeyDesk } from '../control/access/key-desk.ts'
import type { CallbackDesk } from '../control/callback-desk.ts'
import type { Control, Idempotency, LegOfCall } from '../control/control.ts'
import type { Account } from '../domain/account/account.ts'
import { maySee, type Principal } from '../domain/account/rights.ts'
import { assertInProgress, type Call, liveLeg } from '../domain/call.ts'
import type { CallPage, CallQuery } from '../domain/call-query.ts'
import { addMonitor, changeMode, connect, hangUp } from '../domain/commands.ts'
import { DomainError, type DomainErrorCode } from '../domain/errors.ts'
import { incoming, onAnswered, onEnded } from '../domain/events.ts'
import type { AccountId, CallId, KeyId, LegId } from '../domain/ids.ts'
import { type EndCause, MODES } from '../domain/leg.ts'
import { type Address, clientName } from '../domain/address.ts'

export interface FakeControl extends Control {
  /** How often each method was asked, in order. */
  readonly asked: string[]
  /** A call from outside for the account's number, ringing an agent. */
  callIn(accountId: AccountId, from: Address, dialled: Address, agent: Address): Call
  answer(callId: CallId, legId: LegId): Call
  end(callId: CallId, legId: LegId, cause: EndCause): Call
}

const noKey = (): Promise<never> => Promise.reject(new DomainError('key-not-found'))
/** A desk that has no keys and makes none, for tests of something else. */
export const NO_KEYS: KeyDesk = { create: noKey, list: async () => [], find: noKey, rotate: noKey, revoke: noKey }

/** Numbers that begin with this may not be dialled. */
const FORBIDDEN_PREFIX = '+1900'
const MAX_MONITORS = 10
const SILENT: Account['notice'] = { to: 'nobody', atEntry: true, everySeconds: 15, modes: MODES }
const RING_MS = 30_000
const LIMIT_MS = 14_400_000
const MONITORS = { maxMonitors: MAX_MONITORS, notice: SILENT }

export function makeFakeControl(now: () => number): FakeControl {
  const calls = new Map<CallId, Call>()
  const once = makeMemory()
  const asked: string[] = []
  let counter = 0
  const newId = (): string => `${++counter}`.padStart(32, 'a0')
  const keep = (call: Call): Call => {
    calls.set(call.id, call)
    return call
  }
  const known = (callId: CallId, unknown: DomainErrorCode = 'call-not-found'): Call => {
    const call = calls.get(callId)
    if (!call) throw new DomainError(unknown)
    return call
  }
  const find = (accountId: AccountId, callId: CallId, unknown: DomainErrorCode): Call => {
    const call = known(callId, unknown)
    if (call.accountId !== accountId) throw new DomainError(unknown)
    return call
  }
  const legOf = (call: Call, legId: LegId): LegOfCall => ({ call, leg: liveLeg(call, legId) })
  return {
    asked,
    async connect(accountId, command, idempotency) {
      asked.push('connect')
      if (command.from.startsWith(FORBIDDEN_PREFIX)) throw new DomainError('destination-not-allowed', 'From')
      return once(idempotency, () => {
        const ids = { callId: newId() as CallId, legId: newId() as LegId, account: accountOf(accountId) }
        return keep(connect(command, ids, now()).call)
      })
    },
    async createMonitorLeg(accountId, callId, command, idempotency, why) {
      asked.push('createMonitorLeg')
      const call = find(accountId, callId, 'call-not-in-progress')
      if (command.phone.startsWith(FORBIDDEN_PREFIX)) throw new DomainError('destination-not-allowed')
      return once(idempotency, () => {
        const legId = newId() as LegId
        return legOf(keep(addMonitor(call, command, legId, { ...MONITORS, ...(why ? { why } : {}) }, now()).call), legId)
      })
    },
    async changeMode(accountId, callId, legId, mode, why) {
      asked.push('changeMode')
      return legOf(keep(changeMode(find(accountId, callId, 'call-not-in-progress'), legId, mode, now(), why).call), legId)
    },
    async hangUp(accountId, callId, legId) {
      asked.push('hangUp')
      return legOf(keep(hangUp(find(accountId, callId, 'call-not-in-progress'), legId, now()).call), legId)
    },
    async liveCall(accountId, callId) {
      const call = find(accountId, callId, 'call-not-in-progress')
      assertInProgress(call)
      return call
    },
    call: async (accountId, callId) => find(accountId, callId, 'call-not-found'),
    async calls(accountId, query, reach) {
      asked.push('calls')
      return pageOf(reachable(calls.values(), accountId, reach), query)
    },
    audit: async () => ({ entries: [], hasPrevious: false, hasNext: false }),
    callIn(accountId, from, dialled, agent) {
      const ids = { callId: newId() as CallId, callerLegId: newId() as LegId, dialledLegId: newId() as LegId }
      const parties = { accountId, from, dialled, source: 'trunk', destination: agent, callerId: from, agentIs: 'dialled' } as const
      return keep(incoming({ ...ids, ...parties, ringMs: RING_MS, limitMs: LIMIT_MS }, now()).call)
    },
    answer: (callId, legId) => keep(onAnswered(known(callId), legId, { freshLegId: newId() as LegId, memory: null }, now()).call),
    end: (callId, legId, cause) => keep(onEnded(known(callId), legId, cause, now()).call),
  }
}

/** Nobody was ever called back. */
export function noCallbacks(asked: string[]): CallbackDesk {
  const unknown = async (): Promise<never> => {
    throw new DomainError('callback-not-found')
  }
  const state = { source: 'data', current: { fingerprint: '0'.repeat(12), madeAt: null }, previous: null } as const
  return {
    callbacks: async () => ({ callbacks: [], total: 0, hasPrevious: false, hasNext: false }),
    callback: unknown,
    replayCallback: unknown,
    async replayParked() {
      asked.push('replayParked')
      return { replayed: 0, remaining: 0 }
    },
    callbackSecret: async () => state,
    async rotateCallbackSecret() {
      asked.push('rotateCallbackSecret')
      return { secret: `whsec_${'A'.repeat(43)}=`, state }
    },
  }
}

const accountOf = (id: AccountId): Account => ({ id, timeZone: 'UTC', numbers: [], agents: [], maxMonitors: MAX_MONITORS, notice: SILENT })

/** As the store has it in SQL. */
function reachable(calls: Iterable<Call>, accountId: AccountId, reach: readonly Address[] | null): readonly Call[] {
  const who: Principal = { accountId, keyId: '' as KeyId, scopes: [], agents: reach?.map(clientName) ?? null }
  return [...calls].filter((call) => maySee(who, call))
}

/** Filters by id and status alone, and calls that are created at the same moment are in the order of their ids. */
function pageOf(calls: readonly Call[], { ids, statuses, order, start, pageSize }: CallQuery): CallPage {
  const statusOf = ({ state }: Call) => (state.status === 'ended' ? state.outcome : 'in-progress')
  const matching = calls
    .filter((call) => (ids?.includes(call.id) ?? true) && (statuses?.includes(statusOf(call)) ?? true))
    .sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1))
  if (order === 'desc') matching.reverse()
  const place = start === null ? -1 : matching.findIndex(({ id }) => id === start.id)
  const first = start?.side === 'before' ? Math.max(0, place - pageSize) : place + 1
  const end = start?.side === 'before' ? place : first + pageSize
  return { calls: matching.slice(first, end), total: matching.length, hasPrevious: first > 0, hasNext: end < matching.length }
}

type Once = <T>(idempotency: Idempotency | null, act: () => T) => T

/** The first answer to a key, again and again (C19); here for ever. */
function makeMemory(): Once {
  const answers = new Map<string, { readonly fingerprint: string; readonly answer: unknown }>()
  return <T>(idempotency: Idempotency | null, act: () => T): T => {
    const earlier = idempotency && answers.get(idempotency.key)
    if (earlier && earlier.fingerprint !== idempotency.fingerprint) throw new DomainError('idempotency-mismatch')
    if (earlier) return earlier.answer as T
    const answer = act()
    if (idempotency) answers.set(idempotency.key, { fingerprint: idempotency.fingerprint, answer })
    return answer
  }
}
