/**
 * What can be asked of the house by somebody with rights, whatever way they came: the one place where rights are looked at.
 * Transports prove who somebody is and spell; they do not decide.
 *
 * Rights come before everything else, so that a refusal tells nothing about what is there: first the scope, then whether the
 * call is there for that key.
 */
import type { Adjustment } from '../domain/account/balance.ts'
import type { UsageQuery, UsageReport } from '../domain/account/usage.ts'
import type { Call } from '../domain/call.ts'
import type { CallPage, CallQuery } from '../domain/call-query.ts'
import type { ConnectCommand, MonitorCommand } from '../domain/commands.ts'
import { DomainError, type DomainErrorCode } from '../domain/errors.ts'
import type { CallbackPage, CallbackQuery, LoggedCallback, ReplayCount } from '../domain/callback-log.ts'
import type { EvidencePage, EvidenceQuery } from '../domain/evidence/entry.ts'
import type { AccountId, CallId, KeyId, LegId } from '../domain/ids.ts'
import type { Mode } from '../domain/leg.ts'
import type { RecordingFile, Recordings } from '../sounds/recordings.ts'
import type { RotatedSecret, SecretState } from '../webhooks/secrets.ts'
import type { CallbackDesk } from './callback-desk.ts'
import type { Feed, Following, FollowOptions } from './feed.ts'
import { assertMayGrant, type Key, type KeyCommand, maySeeKey } from '../domain/account/keys.ts'
import { assertMay, assertUnlimited, maySee, type Principal, reachesAny, reachOf, type Scope, scopeOfMode } from '../domain/account/rights.ts'
import type { IssuedKey, KeyDesk } from './access/key-desk.ts'
import type { Control, Idempotency, LegOfCall } from './control.ts'
import type { BalanceStanding, Ledger, WantedAdjustment } from './billing/ledger.ts'

/** Every method may throw DomainError `right-missing`, and what `Control` says of its own. */
export interface Api {
  /** `calls.create` */
  connect(who: Principal, command: ConnectCommand, idempotency: Idempotency | null): Promise<Call>
  /** `monitor.` and the mode */
  createMonitorLeg(
    who: Principal,
    callId: CallId,
    command: MonitorCommand,
    idempotency: Idempotency | null,
    reasonCode?: string | null,
  ): Promise<LegOfCall>
  /** `monitor.` and the mode */
  changeMode(who: Principal, callId: CallId, legId: LegId, mode: Mode, reasonCode?: string | null): Promise<LegOfCall>
  /** `legs.hangup` */
  hangUp(who: Principal, callId: CallId, legId: LegId): Promise<LegOfCall>
  /** `calls.read` */
  liveCall(who: Principal, callId: CallId): Promise<Call>
  /** `calls.read` */
  call(who: Principal, callId: CallId): Promise<Call>
  /** `calls.read`, and `monitor.listen`: who hears the recording has heard the call. @throws {DomainError} recording-not-found, also while the call lives */
  recording(who: Principal, callId: CallId): Promise<RecordingFile>
  /**
   * `calls.read`: what happens from now on, beginning with what lives or with what was missed.
   * @param asked `callId` null: every call that this key may see.
   */
  events(who: Principal, asked: { readonly callId: CallId | null } & Pick<FollowOptions, 'lastId' | 'tell'>): Following
  /** `calls.read` */
  calls(who: Principal, query: CallQuery): Promise<CallPage>
  /** `accounts.admin` by a key without a limit, as all that is about callbacks: they tell of every call. */
  callbacks(who: Principal, query: CallbackQuery): Promise<CallbackPage>
  callback(who: Principal, id: string): Promise<LoggedCallback>
  replayCallback(who: Principal, id: string): Promise<LoggedCallback>
  replayParked(who: Principal, receiver: string | null): Promise<ReplayCount>
  callbackSecret(who: Principal): Promise<SecretState>
  rotateCallbackSecret(who: Principal, keepMs: number): Promise<RotatedSecret>
  /** `accounts.admin`, and all that the new key shall have. */
  createKey(who: Principal, wanted: KeyCommand, idempotency: Idempotency | null): Promise<IssuedKey>
  /** `accounts.admin`; those alone that are not beyond the limits of the key that asks. */
  keys(who: Principal): Promise<readonly Key[]>
  /** `accounts.admin` */
  key(who: Principal, id: KeyId): Promise<Key>
  /** `accounts.admin`, and all that the key has: its new token is told. */
  rotateKey(who: Principal, id: KeyId, graceMs: number): Promise<IssuedKey>
  /** `accounts.admin`, and all that the key has. */
  revokeKey(who: Principal, id: KeyId): Promise<Key>
  /** `accounts.admin`, and no limit to named agents: the log is of all of them. */
  audit(who: Principal, query: EvidenceQuery): Promise<EvidencePage>
  /** `usage.read` by a key without a limit, as all that is about money: it is the whole account's. */
  usage(who: Principal, query: UsageQuery): Promise<UsageReport>
  /** `usage.read` */
  balance(who: Principal): Promise<BalanceStanding>
  /** `usage.read` */
  adjustments(who: Principal, before: string | null, limit: number): Promise<readonly Adjustment[]>
  /** `accounts.admin` */
  adjustBalance(who: Principal, wanted: Omit<WantedAdjustment, 'by'>, idempotency: Idempotency | null): Promise<Adjustment>
}

/** What stands behind the API besides `Control`. */
export interface Desks {
  readonly keys: KeyDesk
  readonly callbacks: CallbackDesk
  readonly ledger: Ledger
  readonly recordings: Pick<Recordings, 'find'>
  readonly feed: Pick<Feed, 'follow'>
}

/** An id that nobody has, since no id is that short: asking for it costs what any unknown one costs. */
const NOBODYS = 'x' as CallId

export const makeApi = (control: Control, desks: Desks): Api => ({
  ...callApi(control, desks),
  ...keyApi(desks.keys),
  ...callbackApi(desks.callbacks),
  ...moneyApi(desks.ledger),
})

type KeyMethods = 'createKey' | 'keys' | 'key' | 'rotateKey' | 'revokeKey'
type MoneyMethods = 'usage' | 'balance' | 'adjustments' | 'adjustBalance'
type OfDesks = KeyMethods | MoneyMethods | keyof CallbackDesk

function callApi(control: Control, { recordings, feed }: Pick<Desks, 'recordings' | 'feed'>): Omit<Api, OfDesks> {
  /** A call outside of the key's limit is refused as one that does not exist, and no sooner. */
  const seen = async (who: Principal, callId: CallId, unknown: DomainErrorCode): Promise<Call> => {
    const call = await (unknown === 'call-not-found' ? control.call : control.liveCall)(who.accountId, callId)
    if (maySee(who, call)) return call
    // A live call was found in memory; one that does not exist would have been looked for in the database.
    if (unknown === 'call-not-found' && call.state.status !== 'ended') await control.call(who.accountId, NOBODYS).catch(() => null)
    throw new DomainError(unknown)
  }
  /** Only keys with a limit are asked twice. */
  const assertLimit = async (who: Principal, callId: CallId): Promise<void> => {
    if (who.agents !== null) await seen(who, callId, 'call-not-in-progress')
  }
  return {
    async connect(who, command, idempotency) {
      assertMay(who, 'calls.create')
      if (!reachesAny(who, [command.from, command.to])) throw new DomainError('right-missing', 'agents')
      return control.connect(who.accountId, command, ofKey(who, idempotency))
    },
    async createMonitorLeg(who, callId, command, idempotency, reasonCode = null) {
      assertMay(who, scopeOfMode(command.mode))
      // A repeated request (C19) may be about a call that has ended.
      if (idempotency === null) await assertLimit(who, callId)
      else if (who.agents !== null) await seen(who, callId, 'call-not-found').catch(refusedAs('call-not-in-progress'))
      return control.createMonitorLeg(who.accountId, callId, command, ofKey(who, idempotency), { by: who.keyId, reasonCode })
    },
    async changeMode(who, callId, legId, mode, reasonCode = null) {
      assertMay(who, scopeOfMode(mode))
      await assertLimit(who, callId)
      return control.changeMode(who.accountId, callId, legId, mode, { by: who.keyId, reasonCode })
    },
    async hangUp(who, callId, legId) {
      assertMay(who, 'legs.hangup')
      await assertLimit(who, callId)
      return control.hangUp(who.accountId, callId, legId)
    },
    async liveCall(who, callId) {
      assertMay(who, 'calls.read')
      return seen(who, callId, 'call-not-in-progress')
    },
    async call(who, callId) {
      assertMay(who, 'calls.read')
      return seen(who, callId, 'call-not-found')
    },
    async recording(who, callId) {
      assertMay(who, 'calls.read')
      assertMay(who, 'monitor.listen')
      const call = await control.call(who.accountId, callId).catch(() => null)
      const isThere = call !== null && maySee(who, call) && call.state.status === 'ended' && call.sound.recordedFrom !== null
      const found = isThere ? await recordings.find(call) : null
      if (found === null) throw new DomainError('recording-not-found')
      return found
    },
    events(who, { callId, lastId, tell }) {
      assertMay(who, 'calls.read')
      return feed.follow({ accountId: who.accountId, lastId, tell, isFor: (call) => maySee(who, call) && (callId === null || call.id === callId) })
    },
    async calls(who, query) {
      assertMay(who, 'calls.read')
      return control.calls(who.accountId, query, reachOf(who))
    },
    async audit(who, query) {
      assertMay(who, 'accounts.admin')
      assertUnlimited(who)
      return control.audit(who.accountId, query)
    },
  }
}

function callbackApi(desk: CallbackDesk): Pick<Api, keyof CallbackDesk> {
  const admin = (who: Principal): AccountId => {
    assertMay(who, 'accounts.admin')
    assertUnlimited(who)
    return who.accountId
  }
  return {
    callbacks: async (who, query) => desk.callbacks(admin(who), query),
    callback: async (who, id) => desk.callback(admin(who), id),
    replayCallback: async (who, id) => desk.replayCallback(admin(who), id),
    replayParked: async (who, receiver) => desk.replayParked(admin(who), receiver),
    callbackSecret: async (who) => desk.callbackSecret(admin(who)),
    rotateCallbackSecret: async (who, keepMs) => desk.rotateCallbackSecret(admin(who), keepMs),
  }
}

function moneyApi(ledger: Ledger): Pick<Api, MoneyMethods> {
  const whose = (who: Principal, scope: Scope): AccountId => {
    assertMay(who, scope)
    assertUnlimited(who)
    return who.accountId
  }
  return {
    usage: async (who, query) => ledger.usage(whose(who, 'usage.read'), query),
    balance: async (who) => ledger.balance(whose(who, 'usage.read')),
    adjustments: async (who, before, limit) => ledger.adjustments(whose(who, 'usage.read'), before, limit),
    adjustBalance: async (who, wanted, idempotency) =>
      ledger.adjust(whose(who, 'accounts.admin'), { ...wanted, by: who.keyId }, ofKey(who, idempotency)),
  }
}

function keyApi(desk: KeyDesk): Pick<Api, KeyMethods> {
  const admin = (who: Principal): void => assertMay(who, 'accounts.admin')
  const seen = async (who: Principal, id: KeyId): Promise<Key> => {
    const key = await desk.find(who.accountId, id)
    if (!maySeeKey(who, key)) throw new DomainError('key-not-found')
    return key
  }
  return {
    async createKey(who, wanted, idempotency) {
      admin(who)
      assertMayGrant(who, wanted)
      return desk.create(who.accountId, who.keyId, wanted, ofKey(who, idempotency))
    },
    async keys(who) {
      admin(who)
      return (await desk.list(who.accountId)).filter((key) => maySeeKey(who, key))
    },
    async key(who, id) {
      admin(who)
      return seen(who, id)
    },
    async rotateKey(who, id, graceMs) {
      admin(who)
      assertMayGrant(who, await seen(who, id))
      return desk.rotate(who.accountId, who.keyId, id, graceMs)
    },
    async revokeKey(who, id) {
      admin(who)
      assertMayGrant(who, await seen(who, id))
      return desk.revoke(who.accountId, who.keyId, id)
    },
  }
}

/** Each key has `Idempotency-Key`s of its own: none learns from another's what was asked, or gets its answer. */
const ofKey = ({ keyId }: Principal, idempotency: Idempotency | null): Idempotency | null =>
  // No key's name has a space in it.
  idempotency && { ...idempotency, key: `${keyId} ${idempotency.key}` }

/** Whatever the domain refuses becomes this refusal; what fails otherwise stays what it is. */
const refusedAs =
  (code: DomainErrorCode) =>
  (error: unknown): never => {
    throw error instanceof DomainError ? new DomainError(code) : error
  }
