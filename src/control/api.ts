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
import type { CallId, LegId } from '../domain/ids.ts'
import type { Mode } from '../domain/leg.ts'
import { assertMay, maySee, type Principal, reachesAny, scopeOfMode } from '../domain/account/rights.ts'
import type { RecordingFile, Recordings } from '../sounds/recordings.ts'
import type { Feed, Following, FollowOptions } from './feed.ts'
import type { Control, Idempotency, LegOfCall } from './control.ts'

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
  /** `calls.read`, and `monitor.listen`: who hears the recording has heard the call. @throws {DomainError} recording-not-found, also while the call lives */
  recording(who: Principal, callId: CallId): Promise<RecordingFile>
  /**
   * `calls.read`: what happens from now on, beginning with what lives or with what was missed.
   * @param asked `callId` null: every call that this key may see.
   */
  events(who: Principal, asked: { readonly callId: CallId | null } & Pick<FollowOptions, 'lastId' | 'tell'>): Following
  /** `calls.read` */
  calls(who: Principal, query: CallQuery): Promise<CallPage>
}

/** What the house has besides `Control`. */
export interface Stores {
  readonly recordings: Pick<Recordings, 'find'>
  readonly feed: Pick<Feed, 'follow'>
}

export function makeApi(control: Control, { recordings, feed }: Stores): Api {
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
      return control.calls(who.accountId, query)
    },
  }

  /** Only keys with a limit are asked twice. A repeated request (C19) may be about a call that has ended. */
  async function assertLimit(who: Principal, callId: CallId): Promise<void> {
    if (who.agents === null) return
    const call = await control.call(who.accountId, callId).catch(() => null)
    if (call === null || !maySee(who, call)) throw new DomainError('call-not-in-progress')
  }
}
