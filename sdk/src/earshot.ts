/** The package: a client of Earshot's HTTP API, a verifier of its callbacks, and what goes with them. */
import { type Calls, makeCalls } from './api/calls.ts'
import { type Legs, makeLegs } from './api/legs.ts'
import { type Health, makeHealth } from './api/health.ts'
import { type EarshotOptions, makeRequest, type RequestOptions } from './request.ts'

export type { Calls } from './api/calls.ts'
export { type CallbackRefusal, type CallbackVerdict, type IncomingCallback, verifyCallback } from './callback.ts'
export { formatDate, parseDate } from './dates.ts'
export { EarshotError, type EarshotErrorCode, type RefusalCode, type TransportCode } from './errors.ts'
export type { Health } from './api/health.ts'
export { LEG_VERBS, type LegCan, legCan, type LegObstacle, type LegVerb } from './leg-can.ts'
export type { Legs, SupervisorParameters } from './api/legs.ts'
export type { EarshotOptions, RequestOptions } from './request.ts'
export type * from './resources.ts'

export interface Earshot {
  readonly calls: Calls
  readonly legs: Legs
  /** Whether the server takes requests now. Asks once and needs no key. @throws {EarshotError} unreachable · timed-out · unexpected-answer */
  health(options?: RequestOptions): Promise<Health>
}

/**
 * A client for one account of one server. Nothing is opened: make as many as you like.
 * @throws {TypeError} when the options cannot be right.
 */
export function makeEarshot(options: EarshotOptions): Earshot {
  const request = makeRequest(options)
  return { calls: makeCalls(request), legs: makeLegs(request), health: makeHealth(options) }
}
