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
import type { CallId, LegId } from '../domain/ids.ts'
import type { Mode } from '../domain/leg.ts'
import { assertMay, maySee, type Principal, reachesAny, type Scope, scopeOfMode } from '../domain/account/rights.ts'
import type { Control, Idempotency, LegOfCall } from './control.ts'
import type { BalanceStanding, Ledger, WantedAdjustment } from './ledger.ts'

/** Every method may throw DomainError `right-missing`, and what `Control` says of its own. */
export interface Api {
  /** `calls.create` */
  connect(who: Principal, command: ConnectCommand, idempotency: Idempotency | null): Promise<Call>
  /** `monitor.` and the mode */
  createMonitorLeg(who: Principal, callId: CallId, command: MonitorCommand, idempotency: Idempotency | null): Promise<LegOfCall>
  /** `monitor.` and the mode */
  changeMode(who: Principal, callId: CallId, legId: LegId, mode: Mode): Promise<LegOfCall>
  /** `legs.hangup` */
  hangUp(who: Principal, callId: CallId, legId: LegId): Promise<LegOfCall>
  /** `calls.read` */
  liveCall(who: Principal, callId: CallId): Promise<Call>
  /** `calls.read` */
  call(who: Principal, callId: CallId): Promise<Call>
  /** `calls.read` */
  calls(who: Principal, query: CallQuery): Promise<CallPage>
  /** `usage.read` */
  usage(who: Principal, query: UsageQuery): Promise<UsageReport>
  /** `usage.read` */
  balance(who: Principal): Promise<BalanceStanding>
  /** `usage.read` */
  adjustments(who: Principal, before: string | null, limit: number): Promise<readonly Adjustment[]>
  /** `accounts.admin` */
  adjustBalance(who: Principal, wanted: Omit<WantedAdjustment, 'by'>, idempotency: Idempotency | null): Promise<Adjustment>
}

export function makeApi(control: Control, ledger: Ledger): Api {
  /** A call outside of the key's limit is refused as one that does not exist. */
  const seen = async (who: Principal, callId: CallId, unknown: DomainErrorCode): Promise<Call> => {
    const call = await (unknown === 'call-not-found' ? control.call : control.liveCall)(who.accountId, callId)
    if (!maySee(who, call)) throw new DomainError(unknown)
    return call
  }
  return {
    async connect(who, command, idempotency) {
      assertMay(who, 'calls.create')
      if (!reachesAny(who, [command.from, command.to])) throw new DomainError('destination-not-allowed')
      return control.connect(who.accountId, command, idempotency)
    },
    async createMonitorLeg(who, callId, command, idempotency) {
      assertMay(who, scopeOfMode(command.mode))
      await assertLimit(who, callId)
      return control.createMonitorLeg(who.accountId, callId, command, idempotency)
    },
    async changeMode(who, callId, legId, mode) {
      assertMay(who, scopeOfMode(mode))
      await assertLimit(who, callId)
      return control.changeMode(who.accountId, callId, legId, mode)
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
    async calls(who, query) {
      assertMay(who, 'calls.read')
      return control.calls(who.accountId, query)
    },
    ...moneyOf(ledger),
  }

  /** Only keys with a limit are asked twice. A repeated request (C19) may be about a call that has ended. */
  async function assertLimit(who: Principal, callId: CallId): Promise<void> {
    if (who.agents === null) return
    const call = await control.call(who.accountId, callId).catch(() => null)
    if (call === null || !maySee(who, call)) throw new DomainError('call-not-in-progress')
  }
}

function moneyOf(ledger: Ledger): Pick<Api, 'usage' | 'balance' | 'adjustments' | 'adjustBalance'> {
  return {
    async usage(who, query) {
      assertMayForAll(who, 'usage.read')
      return ledger.usage(who.accountId, query)
    },
    async balance(who) {
      assertMayForAll(who, 'usage.read')
      return ledger.balance(who.accountId)
    },
    async adjustments(who, before, limit) {
      assertMayForAll(who, 'usage.read')
      return ledger.adjustments(who.accountId, before, limit)
    },
    async adjustBalance(who, wanted, idempotency) {
      assertMayForAll(who, 'accounts.admin')
      return ledger.adjust(who.accountId, { ...wanted, by: who.keyId }, idempotency)
    },
  }
}

/** Money is the whole account's: a key that is limited to agents sees and moves none of it. */
function assertMayForAll(who: Principal, scope: Scope): void {
  assertMay(who, scope)
  if (who.agents !== null) throw new DomainError('right-missing', scope)
}
