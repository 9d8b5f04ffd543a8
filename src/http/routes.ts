/**
 * The API's routes: what is asked, whom in the house it goes to, and what is answered. No HTTP in here.
 *
 * Parameters are looked at before the call is: a request that is wrong in itself is 400 whether or not its call lives.
 */
import { callList, callQueryIn } from '../contract/call-list.ts'
import { type Fields, lastValue } from '../contract/fields.ts'
import { adjustmentIn, adjustmentList, adjustmentPageIn, adjustmentResource, balanceResource, usageQueryIn, usageReport } from '../contract/ledger.ts'
import { callIdIn, connectCommand, legAction, legIdIn, monitorCommand } from '../contract/requests.ts'
import { activeLegs, allLegs, callResource, legResource } from '../contract/resources.ts'
import type { Format, WireObject } from '../contract/xml.ts'
import type { Api } from '../control/api.ts'
import type { Idempotency } from '../control/control.ts'
import type { Principal } from '../domain/account/rights.ts'
import { DomainError, type DomainErrorCode } from '../domain/errors.ts'
import type { AccountId, CallId, LegId } from '../domain/ids.ts'

/** One request, authenticated and parsed. */
export interface Asked {
  readonly who: Principal
  /** Of `who`. */
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
  /** @returns The answer's content; every success is a 200 (C16). @throws {DomainError} */
  answer(api: Api, asked: Asked): Promise<WireObject>
}

export const ROUTES: readonly ApiRoute[] = [
  {
    method: 'POST',
    path: '/Calls/connect',
    // `details` is accepted here and adds nothing: there are none yet (C30).
    answer: async (api, asked) => callResource(await api.connect(asked.who, connectCommand(asked.fields), asked.idempotency), asked, null),
  },
  {
    method: 'GET',
    path: '/Calls',
    answer: async (api, asked) => {
      const query = callQueryIn(asked.query, asked)
      return callList(await api.calls(asked.who, query), query, asked)
    },
  },
  {
    method: 'GET',
    path: '/Calls/:callSid',
    answer: async (api, asked) => {
      const call = await api.call(asked.who, callId(asked, 'call-not-found'))
      return callResource(call, asked, wantsDetails(asked) ? { now: asked.now } : null)
    },
  },
  {
    method: 'GET',
    path: '/Calls/:callSid/ActiveLegs',
    answer: async (api, asked) => activeLegs(await api.liveCall(asked.who, callId(asked, 'call-not-in-progress')), asked),
  },
  {
    method: 'GET',
    path: '/Calls/:callSid/Legs',
    answer: async (api, asked) => allLegs(await api.call(asked.who, callId(asked, 'call-not-found')), asked),
  },
  {
    method: 'POST',
    path: '/Calls/:callSid/Legs',
    answer: async (api, asked) => {
      const command = monitorCommand(asked.fields)
      const { call, leg } = await api.createMonitorLeg(asked.who, callId(asked, 'call-not-in-progress'), command, asked.idempotency)
      return legResource(call, leg, 'created', asked)
    },
  },
  { method: 'PUT', path: '/Calls/:callSid/Legs/:legSid', answer: actOnLeg },
  {
    method: 'GET',
    path: '/Usage',
    answer: async (api, asked) => {
      const query = usageQueryIn(asked.query, asked)
      return usageReport(await api.usage(asked.who, query), query, asked)
    },
  },
  {
    method: 'GET',
    path: '/Balance',
    answer: async (api, asked) => balanceResource(await api.balance(asked.who)),
  },
  {
    method: 'GET',
    path: '/Balance/Adjustments',
    answer: async (api, asked) => {
      const { before, pageSize } = adjustmentPageIn(asked.query)
      return adjustmentList(await api.adjustments(asked.who, before, pageSize), pageSize, asked)
    },
  },
  {
    method: 'POST',
    path: '/Balance/Adjustments',
    answer: async (api, asked) => adjustmentResource(await api.adjustBalance(asked.who, adjustmentIn(asked.fields), asked.idempotency), asked),
  },
]

async function actOnLeg(api: Api, asked: Asked): Promise<WireObject> {
  const action = legAction(asked.fields)
  const call = callId(asked, 'call-not-in-progress')
  const leg = legId(asked)
  if (action === 'hangup') {
    const hungUp = await api.hangUp(asked.who, call, leg)
    return legResource(hungUp.call, hungUp.leg, 'hung-up', asked)
  }
  const changed = await api.changeMode(asked.who, call, leg, action)
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
