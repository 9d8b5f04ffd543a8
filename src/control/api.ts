/**
 * What can be asked of the house by somebody with rights, whatever way they came: the one place where rights are looked at.
 * Transports prove who somebody is and spell; they do not decide.
 *
 * Rights come before everything else, so that a refusal tells nothing about what is there: first the scope, then whether the
 * call is there for that key.
 */
import type { Call } from '../domain/call.ts'
import type { CallPage, CallQuery } from '../domain/call-query.ts'
import type { ConnectCommand, MonitorCommand } from '../domain/commands.ts'
import { DomainError, type DomainErrorCode } from '../domain/errors.ts'
import type { EvidencePage, EvidenceQuery } from '../domain/evidence/entry.ts'
import type { CallId, LegId } from '../domain/ids.ts'
import type { Mode } from '../domain/leg.ts'
import { assertMay, maySee, type Principal, reachesAny, scopeOfMode } from '../domain/account/rights.ts'
import type { Control, Idempotency, LegOfCall } from './control.ts'

/** Every method may throw DomainError `right-missing`, and what `Control` says of its own. */
export interface Api {
  /** `calls.create` */
  connect(who: Principal, command: ConnectCommand, idempotency: Idempotency | null): Promise<Call>
  /** `monitor.` and the mode */
  createMonitorLeg(who: Principal, callId: CallId, command: MonitorCommand, idempotency: Idempotency | null, reasonCode?: string | null): Promise<LegOfCall>
  /** `monitor.` and the mode */
  changeMode(who: Principal, callId: CallId, legId: LegId, mode: Mode, reasonCode?: string | null): Promise<LegOfCall>
  /** `legs.hangup` */
  hangUp(who: Principal, callId: CallId, legId: LegId): Promise<LegOfCall>
  /** `calls.read` */
  liveCall(who: Principal, callId: CallId): Promise<Call>
  /** `calls.read` */
  call(who: Principal, callId: CallId): Promise<Call>
  /** `calls.read` */
  calls(who: Principal, query: CallQuery): Promise<CallPage>
  /** `accounts.admin`, and no limit to named agents: the log is of all of them. */
  audit(who: Principal, query: EvidenceQuery): Promise<EvidencePage>
}

export function makeApi(control: Control): Api {
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
    async createMonitorLeg(who, callId, command, idempotency, reasonCode = null) {
      assertMay(who, scopeOfMode(command.mode))
      await assertLimit(who, callId)
      return control.createMonitorLeg(who.accountId, callId, command, idempotency, { by: who.keyId, reasonCode })
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
    async calls(who, query) {
      assertMay(who, 'calls.read')
      return control.calls(who.accountId, query)
    },
    async audit(who, query) {
      assertMay(who, 'accounts.admin')
      if (who.agents !== null) throw new DomainError('right-missing', 'accounts.admin')
      return control.audit(who.accountId, query)
    },
  }

  /** Only keys with a limit are asked twice. A repeated request (C19) may be about a call that has ended. */
  async function assertLimit(who: Principal, callId: CallId): Promise<void> {
    if (who.agents === null) return
    const call = await control.call(who.accountId, callId).catch(() => null)
    if (call === null || !maySee(who, call)) throw new DomainError('call-not-in-progress')
  }
}
