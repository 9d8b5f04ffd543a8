/** The package: a client of Earshot's HTTP API, a verifier of its callbacks, and what goes with them. */
import { type Audit, makeAudit } from './api/audit.ts'
import { type Callbacks, makeCallbacks } from './api/callbacks.ts'
import { type Calls, makeCalls } from './api/calls.ts'
import { type Follow, makeFollow } from './api/events.ts'
import { type Health, makeHealth } from './api/health.ts'
import { type Keys, makeKeys } from './api/keys.ts'
import { type Ledger, makeLedger } from './api/ledger.ts'
import { type Legs, makeLegs } from './api/legs.ts'
import { makeRecordings, type Recordings } from './api/recordings.ts'
import { type EarshotOptions, makeTransport, type RequestOptions } from './request.ts'

export type * from './api/audit.ts'
export type * from './api/callbacks.ts'
export type { Calls } from './api/calls.ts'
export type * from './api/events.ts'
export type { Health } from './api/health.ts'
export type * from './api/keys.ts'
export type * from './api/ledger.ts'
export type { Legs, ModeOptions, SupervisorParameters } from './api/legs.ts'
export type { RecordingOptions, Recordings } from './api/recordings.ts'
export { type CallbackRefusal, type CallbackVerdict, type IncomingCallback, verifyCallback } from './callback.ts'
export { formatDate, parseDate } from './dates.ts'
export { EarshotError, type EarshotErrorCode, type RefusalCode, type TransportCode } from './errors.ts'
export { LEG_VERBS, type LegCan, legCan, type LegObstacle, type LegVerb } from './leg-can.ts'
export type { EarshotOptions, RequestOptions } from './request.ts'
export type * from './resources.ts'

/** `usage` and `balance` are about money. */
export interface Earshot extends Ledger {
  readonly calls: Calls
  readonly legs: Legs
  readonly recordings: Recordings
  readonly keys: Keys
  readonly audit: Audit
  readonly callbacks: Callbacks
  readonly events: Follow
  /** Whether the server takes requests now. Asks once and needs no key. @throws {EarshotError} unreachable · timed-out · unexpected-answer */
  health(options?: RequestOptions): Promise<Health>
}

/**
 * A client for one account of one server. Nothing is opened: make as many as you like.
 * @throws {TypeError} when the options cannot be right.
 */
export function makeEarshot(options: EarshotOptions): Earshot {
  const transport = makeTransport(options)
  const { request, open } = transport
  return {
    calls: makeCalls(request),
    legs: makeLegs(request),
    recordings: makeRecordings(open),
    keys: makeKeys(request),
    audit: makeAudit(request),
    callbacks: makeCallbacks(request),
    events: makeFollow(transport),
    ...makeLedger(request),
    health: makeHealth(options),
  }
}
