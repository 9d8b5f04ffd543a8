/**
 * The API's routes: what is asked, whom in the house it goes to, and what is answered. No HTTP in here.
 *
 * Parameters are looked at before the call is: a request that is wrong in itself is 400 whether or not its call lives.
 */
import { callList, callQueryIn } from '../contract/call-list.ts'
import { type Fields, lastValue } from '../contract/fields.ts'
import { callIdIn, connectCommand, legAction, legIdIn, monitorCommand } from '../contract/requests.ts'
import { activeLegs, allLegs, callResource, legResource } from '../contract/resources.ts'
import type { Format, WireObject } from '../contract/xml.ts'
import type { Control, Idempotency } from '../control/control.ts'
import { DomainError, type DomainErrorCode } from '../domain/errors.ts'
import type { AccountId, CallId, LegId } from '../domain/ids.ts'
import type { Operation } from './operations/operation.ts'
import { ACT_ON_LEG, CONNECT_CALL, CREATE_MONITOR_LEG, GET_CALL, LIST_ACTIVE_LEGS, LIST_CALLS, LIST_LEGS } from './operations/calls.ts'

/** One request, authenticated and parsed. */
export interface Asked {
  readonly accountId: AccountId
  readonly timeZone: string
  readonly format: Format
  /** As in the path, decoded; empty where the path has none. */
  readonly callSid: string
  readonly legSid: string
  /** Of the address. */
  readonly query: Fields
  /** Of the body; writes look here alone. */
  readonly fields: Fields
  readonly idempotency: Idempotency | null
  /** Epoch ms. */
  readonly now: number
}

export interface ApiRoute {
  readonly method: 'GET' | 'POST' | 'PUT'
  /** Below `/v1/Accounts/:accountSid`. */
  readonly path: string
  /** What the description of the API says about it (`operations/`). */
  readonly says: Operation
  /** @returns The answer's content; every success is a 200 (C16). @throws {DomainError} */
  answer(control: Control, asked: Asked): Promise<WireObject>
}

export const ROUTES: readonly ApiRoute[] = [
  {
    method: 'POST',
    path: '/Calls/connect',
    says: CONNECT_CALL,
    // `details` is accepted here and adds nothing: there are none yet (C30).
    answer: async (control, asked) =>
      callResource(await control.connect(asked.accountId, connectCommand(asked.fields), asked.idempotency), asked, null),
  },
  {
    method: 'GET',
    path: '/Calls',
    says: LIST_CALLS,
    answer: async (control, asked) => {
      const query = callQueryIn(asked.query, asked)
      return callList(await control.calls(asked.accountId, query), query, asked)
    },
  },
  {
    method: 'GET',
    path: '/Calls/:callSid',
    says: GET_CALL,
    answer: async (control, asked) => {
      const call = await control.call(asked.accountId, callId(asked, 'call-not-found'))
      return callResource(call, asked, wantsDetails(asked) ? { now: asked.now } : null)
    },
  },
  {
    method: 'GET',
    path: '/Calls/:callSid/ActiveLegs',
    says: LIST_ACTIVE_LEGS,
    answer: async (control, asked) => activeLegs(await control.liveCall(asked.accountId, callId(asked, 'call-not-in-progress')), asked),
  },
  {
    method: 'GET',
    path: '/Calls/:callSid/Legs',
    says: LIST_LEGS,
    answer: async (control, asked) => allLegs(await control.call(asked.accountId, callId(asked, 'call-not-found')), asked),
  },
  {
    method: 'POST',
    path: '/Calls/:callSid/Legs',
    says: CREATE_MONITOR_LEG,
    answer: async (control, asked) => {
      const command = monitorCommand(asked.fields)
      const { call, leg } = await control.createMonitorLeg(asked.accountId, callId(asked, 'call-not-in-progress'), command, asked.idempotency)
      return legResource(call, leg, 'created', asked)
    },
  },
  { method: 'PUT', path: '/Calls/:callSid/Legs/:legSid', says: ACT_ON_LEG, answer: actOnLeg },
]

async function actOnLeg(control: Control, asked: Asked): Promise<WireObject> {
  const action = legAction(asked.fields)
  const call = callId(asked, 'call-not-in-progress')
  const leg = legId(asked)
  if (action === 'hangup') {
    const hungUp = await control.hangUp(asked.accountId, call, leg)
    return legResource(hungUp.call, hungUp.leg, 'hung-up', asked)
  }
  const changed = await control.changeMode(asked.accountId, call, leg, action)
  return legResource(changed.call, changed.leg, 'changed', asked)
}

const wantsDetails = ({ query }: Asked): boolean => lastValue(query, 'details')?.toLowerCase() === 'true'

/** What cannot be an id is, to the caller, an id that nobody has. */
function callId(asked: Asked, unknown: DomainErrorCode): CallId {
  const id = callIdIn(asked.callSid)
  if (id === null) throw new DomainError(unknown)
  return id
}

function legId(asked: Asked): LegId {
  const id = legIdIn(asked.legSid)
  if (id === null) throw new DomainError('leg-not-found')
  return id
}
