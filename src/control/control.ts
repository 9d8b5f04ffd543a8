/**
 * What the house can be asked to do. The one room that decides *and* acts: it loads, asks `domain`, saves, then orders;
 * one queue per call serialises all of it.
 */
import type { Call } from '../domain/call.ts'
import type { ConnectCommand, MonitorCommand } from '../domain/commands.ts'
import type { AccountId, CallId, LegId } from '../domain/ids.ts'
import type { Leg, Mode } from '../domain/leg.ts'

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
