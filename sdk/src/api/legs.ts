/** Legs of a live call: a supervisor joins, changes how, leaves; anybody is hung up. */
import { EarshotError } from '../errors.ts'
import type { Request, RequestOptions } from '../request.ts'
import type { LegAnswer, Mode, MonitorParameters } from '../resources.ts'
import { sidPath } from '../sids.ts'

/** A supervisor's address and terms; the mode is in the method's name. */
export type SupervisorParameters = Omit<MonitorParameters, 'Action'>

export interface ModeOptions extends RequestOptions {
  /** Why, for the audit log: letters, digits and `. _ : / # + -`, at most 64. */
  readonly ReasonCode?: string | undefined
}

export interface Legs {
  /**
   * Rings the supervisor, who joins in that mode on pick-up. Answers while it rings.
   * @throws {EarshotError} call-not-in-progress · invalid-parameter · destination-not-allowed · too-many-monitors · too-many-legs ·
   * notice-missing · right-missing, and the limits of `calls.connect`
   */
  monitor(callSid: string, parameters: MonitorParameters, options?: RequestOptions): Promise<LegAnswer>
  /** `monitor`: hears everybody, is heard by nobody. */
  listen(callSid: string, parameters: SupervisorParameters, options?: RequestOptions): Promise<LegAnswer>
  /** `monitor`: hears everybody, is heard by the target, which is the agent unless you name another. */
  whisper(callSid: string, parameters: SupervisorParameters, options?: RequestOptions): Promise<LegAnswer>
  /** `monitor`: a party like any other. */
  barge(callSid: string, parameters: SupervisorParameters, options?: RequestOptions): Promise<LegAnswer>
  /**
   * From any mode to any mode, also the same again. When it resolves, the sound has changed.
   * @throws {EarshotError} leg-not-found for anything but a supervisor's live leg · call-not-in-progress
   */
  changeMode(callSid: string, legSid: string, mode: Mode, options?: ModeOptions): Promise<LegAnswer>
  /**
   * Hangs up any live leg. A supervisor's takes out that supervisor; a party's ends a call of two for everybody.
   * @returns The leg, which may still be `in-progress`; null when it was gone by the time that a repeated request came through,
   * so the first one has probably done it.
   * @throws {EarshotError} leg-not-found · call-not-in-progress
   */
  hangUp(callSid: string, legSid: string, options?: RequestOptions): Promise<LegAnswer | null>
}

export function makeLegs(request: Request): Legs {
  const monitor: Legs['monitor'] = async (callSid, parameters, options) =>
    (await request({ method: 'POST', path: `${sidPath({ callSid })}/Legs`, fields: parameters, member: 'Leg' }, options)) as LegAnswer
  const act = async (ids: Ids, action: Mode | 'hangup', { ReasonCode, ...options }: ModeOptions = {}): Promise<LegAnswer> => {
    const member = action === 'hangup' ? 'legs' : 'Leg'
    const fields = { Action: action, ...(ReasonCode === undefined ? {} : { ReasonCode }) }
    return (await request({ method: 'PUT', path: sidPath(ids), fields, member }, options)) as LegAnswer
  }
  return {
    monitor,
    listen: (callSid, parameters, options) => monitor(callSid, { ...parameters, Action: 'listen' }, options),
    whisper: (callSid, parameters, options) => monitor(callSid, { ...parameters, Action: 'whisper' }, options),
    barge: (callSid, parameters, options) => monitor(callSid, { ...parameters, Action: 'barge' }, options),
    changeMode: (callSid, legSid, mode, options) => act({ callSid, legSid }, mode, options),
    hangUp: (callSid, legSid, options) => act({ callSid, legSid }, 'hangup', options).catch(goneMeanwhile),
  }
}

interface Ids {
  readonly callSid: string
  readonly legSid: string
}

function goneMeanwhile(error: unknown): null {
  const isGone = error instanceof EarshotError && error.maybeDone && (error.code === 'leg-not-found' || error.code === 'call-not-in-progress')
  if (isGone) return null
  throw error
}
