/**
 * The API's routes: what is asked, whom in the house it goes to, and what is answered. No HTTP in here.
 *
 * Parameters are looked at before the call is: a request that is wrong in itself is 400 whether or not its call lives.
 */
import { graceIn, keyCommand, keyIdIn, keyList, keyResource } from '../contract/access/keys.ts'
import { callList, callQueryIn } from '../contract/call-list.ts'
import { callbackIdIn, callbackList, callbackQueryIn, callbackResource, receiverIn, replayResource } from '../contract/lists/callback-log.ts'
import { keepMsIn, secretResource } from '../contract/access/callback-secret.ts'
import type { Fields } from '../contract/fields.ts'
import { auditList, auditQueryIn } from '../contract/lists/audit-list.ts'
import { callIdIn, connectCommand, legAction, legIdIn, monitorCommand, reasonCodeIn, wantsDetails } from '../contract/requests.ts'
import { adjustmentIn, adjustmentList, adjustmentPageIn, adjustmentResource, balanceResource, usageQueryIn, usageReport } from '../contract/ledger.ts'
import { activeLegs, allLegs, callResource, legResource } from '../contract/resources.ts'
import type { Format, WireObject } from '../contract/xml.ts'
import type { Api } from '../control/api.ts'
import type { Idempotency } from '../control/control.ts'
import type { Download } from './download.ts'
import type { EventStream } from './event-stream.ts'
import { eventsAnswer } from './events-route.ts'
import { type Principal, type Scope, scopeOfMode } from '../domain/account/rights.ts'
import { DomainError, type DomainErrorCode } from '../domain/errors.ts'
import type { AccountId, CallId, KeyId, LegId } from '../domain/ids.ts'
import type { Mode } from '../domain/leg.ts'
import { GET_CALLBACK, GET_CALLBACK_SECRET, LIST_CALLBACKS, REPLAY_CALLBACK, REPLAY_PARKED, ROTATE_CALLBACK_SECRET } from './operations/callbacks.ts'
import { CREATE_KEY, GET_KEY, LIST_KEYS, REVOKE_KEY, ROTATE_KEY } from './operations/keys.ts'
import { FOLLOW_EVENTS, GET_RECORDING } from './operations/media.ts'
import { ADJUST_BALANCE, GET_BALANCE, GET_USAGE, LIST_ADJUSTMENTS } from './operations/money.ts'
import type { DescribedRoute } from './operations/operation.ts'
import { LIST_AUDIT } from './operations/audit.ts'
import { ACT_ON_LEG, CONNECT_CALL, CREATE_MONITOR_LEG, GET_CALL, LIST_ACTIVE_LEGS, LIST_CALLS, LIST_LEGS } from './operations/calls.ts'

/** One request, authenticated and parsed. */
export interface Asked {
  readonly who: Principal
  /** Of `who`. */
  readonly accountId: AccountId
  readonly timeZone: string
  /** Where callers reach the house. */
  readonly publicUrl: string
  readonly format: Format
  /** As in the path, decoded; empty where the path has none. */
  readonly callSid: string
  readonly legSid: string
  readonly keySid: string
  readonly callbackSid: string
  /** Of the address. */
  readonly query: Fields
  /** Of the body; writes look here alone. */
  readonly fields: Fields
  readonly idempotency: Idempotency | null
  /** `Last-Event-ID`: what a client of the event stream was told last; null for a new one. */
  readonly lastEventId: string | null
  /** Epoch ms. */
  readonly now: number
}

/** What is described is what the description of the API says about it; the scope is what `control/api.ts` enforces, and `rights.test.ts` holds the two together. */
export interface ApiRoute extends DescribedRoute {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** @returns The answer's content, a file, or a stream; every success is a 200 (C16). @throws {DomainError} */
  answer(api: Api, asked: Asked): Promise<WireObject | Download | EventStream>
}

const MODE_SCOPES = { listen: scopeOfMode('listen'), whisper: scopeOfMode('whisper'), barge: scopeOfMode('barge') } as const satisfies Readonly<
  Record<Mode, Scope>
>

export const ROUTES: readonly ApiRoute[] = [
  {
    method: 'POST',
    path: '/Calls/connect',
    says: CONNECT_CALL,
    scope: 'calls.create',
    // `details` is accepted here and adds nothing: there are none yet (C30).
    answer: async (api, asked) => callResource(await api.connect(asked.who, connectCommand(asked.fields), asked.idempotency), asked, null),
  },
  {
    method: 'GET',
    path: '/Calls',
    says: LIST_CALLS,
    scope: 'calls.read',
    answer: async (api, asked) => {
      const query = callQueryIn(asked.query, asked)
      return callList(await api.calls(asked.who, query), query, asked)
    },
  },
  {
    method: 'GET',
    path: '/Calls/:callSid',
    says: GET_CALL,
    scope: 'calls.read',
    answer: async (api, asked) => {
      const call = await api.call(asked.who, callId(asked, 'call-not-found'))
      return callResource(call, asked, wantsDetails(asked.query) ? { now: asked.now } : null)
    },
  },
  {
    method: 'GET',
    path: '/Calls/:callSid/ActiveLegs',
    says: LIST_ACTIVE_LEGS,
    scope: 'calls.read',
    answer: async (api, asked) => activeLegs(await api.liveCall(asked.who, callId(asked, 'call-not-in-progress')), asked),
  },
  {
    method: 'GET',
    path: '/Calls/:callSid/Legs',
    says: LIST_LEGS,
    scope: 'calls.read',
    answer: async (api, asked) => allLegs(await api.call(asked.who, callId(asked, 'call-not-found')), asked),
  },
  {
    method: 'POST',
    path: '/Calls/:callSid/Legs',
    says: CREATE_MONITOR_LEG,
    scope: MODE_SCOPES,
    answer: async (api, asked) => {
      const command = monitorCommand(asked.fields)
      const reason = reasonCodeIn(asked.fields)
      const { call, leg } = await api.createMonitorLeg(asked.who, callId(asked, 'call-not-in-progress'), command, asked.idempotency, reason)
      return legResource(call, leg, 'created', asked)
    },
  },
  { method: 'PUT', path: '/Calls/:callSid/Legs/:legSid', says: ACT_ON_LEG, scope: { ...MODE_SCOPES, hangup: 'legs.hangup' }, answer: actOnLeg },
  { method: 'GET', path: '/Events', says: FOLLOW_EVENTS, scope: 'calls.read', answer: eventsAnswer },
  {
    method: 'GET',
    // With `.wav` behind it or without: players like a name that says what it is.
    path: '/Recordings/:callSid',
    says: GET_RECORDING,
    scope: ['calls.read', 'monitor.listen'],
    answer: async (api, asked) => {
      const { file, bytes } = await api.recording(
        asked.who,
        callId({ ...asked, callSid: asked.callSid.replace(/\.wav$/, '') }, 'recording-not-found'),
      )
      return { kind: 'download', file, bytes, contentType: 'audio/wav' }
    },
  },
  {
    method: 'GET',
    path: '/Callbacks',
    says: LIST_CALLBACKS,
    scope: 'accounts.admin',
    answer: async (api, asked) => {
      const query = callbackQueryIn(asked.query)
      return callbackList(await api.callbacks(asked.who, query), query, asked)
    },
  },
  {
    method: 'POST',
    path: '/Callbacks/Replay',
    says: REPLAY_PARKED,
    scope: 'accounts.admin',
    answer: async (api, asked) => replayResource(await api.replayParked(asked.who, receiverIn(asked.fields))),
  },
  {
    method: 'GET',
    path: '/Callbacks/:callbackSid',
    says: GET_CALLBACK,
    scope: 'accounts.admin',
    answer: async (api, asked) => callbackResource(await api.callback(asked.who, callbackId(asked)), asked),
  },
  {
    method: 'POST',
    path: '/Callbacks/:callbackSid/Replay',
    says: REPLAY_CALLBACK,
    scope: 'accounts.admin',
    answer: async (api, asked) => callbackResource(await api.replayCallback(asked.who, callbackId(asked)), asked),
  },
  {
    method: 'GET',
    path: '/CallbackSecret',
    says: GET_CALLBACK_SECRET,
    scope: 'accounts.admin',
    answer: async (api, asked) => secretResource(await api.callbackSecret(asked.who), null, asked.timeZone),
  },
  {
    method: 'POST',
    path: '/CallbackSecret/Rotate',
    says: ROTATE_CALLBACK_SECRET,
    scope: 'accounts.admin',
    answer: async (api, asked) => {
      const { secret, state } = await api.rotateCallbackSecret(asked.who, keepMsIn(asked.fields))
      return secretResource(state, secret, asked.timeZone)
    },
  },
  {
    method: 'GET',
    path: '/Audit',
    says: LIST_AUDIT,
    scope: 'accounts.admin',
    answer: async (api, asked) => {
      const query = auditQueryIn(asked.query, asked)
      return auditList(await api.audit(asked.who, query), query, asked)
    },
  },
  {
    method: 'GET',
    path: '/Usage',
    says: GET_USAGE,
    scope: 'usage.read',
    answer: async (api, asked) => {
      const query = usageQueryIn(asked.query, asked)
      return usageReport(await api.usage(asked.who, query), query, asked)
    },
  },
  {
    method: 'GET',
    path: '/Balance',
    says: GET_BALANCE,
    scope: 'usage.read',
    answer: async (api, asked) => balanceResource(await api.balance(asked.who)),
  },
  {
    method: 'GET',
    path: '/Balance/Adjustments',
    says: LIST_ADJUSTMENTS,
    scope: 'usage.read',
    answer: async (api, asked) => {
      const { before, pageSize } = adjustmentPageIn(asked.query)
      return adjustmentList(await api.adjustments(asked.who, before, pageSize), pageSize, asked)
    },
  },
  {
    method: 'POST',
    path: '/Balance/Adjustments',
    says: ADJUST_BALANCE,
    scope: 'accounts.admin',
    answer: async (api, asked) => adjustmentResource(await api.adjustBalance(asked.who, adjustmentIn(asked.fields), asked.idempotency), asked),
  },
  {
    method: 'POST',
    path: '/Keys',
    says: CREATE_KEY,
    scope: 'accounts.admin',
    answer: async (api, asked) => {
      const { key, token } = await api.createKey(asked.who, keyCommand(asked.fields, asked.timeZone), asked.idempotency)
      return keyResource(key, asked, token)
    },
  },
  { method: 'GET', path: '/Keys', says: LIST_KEYS, scope: 'accounts.admin', answer: async (api, asked) => keyList(await api.keys(asked.who), asked) },
  {
    method: 'GET',
    path: '/Keys/:keySid',
    says: GET_KEY,
    scope: 'accounts.admin',
    answer: async (api, asked) => keyResource(await api.key(asked.who, keyId(asked)), asked),
  },
  {
    method: 'DELETE',
    path: '/Keys/:keySid',
    says: REVOKE_KEY,
    scope: 'accounts.admin',
    answer: async (api, asked) => keyResource(await api.revokeKey(asked.who, keyId(asked)), asked),
  },
  {
    method: 'POST',
    path: '/Keys/:keySid/Rotate',
    says: ROTATE_KEY,
    scope: 'accounts.admin',
    answer: async (api, asked) => {
      const { key, token } = await api.rotateKey(asked.who, keyId(asked), graceIn(asked.fields))
      return keyResource(key, asked, token)
    },
  },
]

async function actOnLeg(api: Api, asked: Asked): Promise<WireObject> {
  const action = legAction(asked.fields)
  const reason = reasonCodeIn(asked.fields)
  const call = callId(asked, 'call-not-in-progress')
  const leg = legId(asked)
  if (action === 'hangup') {
    const hungUp = await api.hangUp(asked.who, call, leg)
    return legResource(hungUp.call, hungUp.leg, 'hung-up', asked)
  }
  const changed = await api.changeMode(asked.who, call, leg, action, reason)
  return legResource(changed.call, changed.leg, 'changed', asked)
}

/** What cannot be an id is, to the caller, an id that nobody has. */
function callId(asked: Asked, unknown: DomainErrorCode): CallId {
  const id = callIdIn(asked.callSid)
  if (id === null) throw new DomainError(unknown)
  return id
}

function callbackId(asked: Asked): string {
  const id = callbackIdIn(asked.callbackSid)
  if (id === null) throw new DomainError('callback-not-found')
  return id
}

function legId(asked: Asked): LegId {
  const id = legIdIn(asked.legSid)
  if (id === null) throw new DomainError('leg-not-found')
  return id
}

/** Not before the rights are looked at: so the name goes there even when nobody can have it. */
const keyId = (asked: Asked): KeyId => keyIdIn(asked.keySid) ?? ('' as KeyId)
