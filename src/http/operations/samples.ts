/**
 * The call that the examples of the description show: made by the house's own rules from the requests that are printed beside them,
 * so that an example is what a server answers.
 */
import { callCallback, legCallback } from '../../contract/callback.ts'
import { type Fields, fieldsFromJson } from '../../contract/fields.ts'
import { connectCommand, monitorCommand } from '../../contract/requests.ts'
import type { Format } from '../../contract/xml.ts'
import type { Address } from '../../domain/address.ts'
import type { Call } from '../../domain/call.ts'
import { addMonitor, changeMode, connect, hangUp } from '../../domain/commands.ts'
import { onAnswered, onEnded } from '../../domain/events.ts'
import type { AccountId, CallId, LegId } from '../../domain/ids.ts'
import type { Leg } from '../../domain/leg.ts'

export const SAMPLE_ZONE = 'Asia/Kolkata'
export const SAMPLE_ACCOUNT = 'exotel30m' as AccountId
export const SAMPLE_CALL_SID = 'c5797dcbaaeed7678c4062a4a3ed2f8a'
export const SAMPLE_KEY_SID = 'ek_7m2q0d4k9x1v8c6n3b5h7j2p'
export const SAMPLE_CALLBACK_SID = 'b4k8z1m6q0w3e7r2t5y9u1i4o8p2a6sd'
export const SAMPLE_LEG_SID = '33333333333333333333333333333ccc'

const AGENT = '11111111111111111111111111111aaa' as LegId
const CUSTOMER = '22222222222222222222222222222bbb' as LegId
const SUPERVISOR = SAMPLE_LEG_SID as LegId
const CALLBACK = 'https://crm.example.com/earshot'

/** What the requests send, as they are printed. */
export const SAMPLE_REQUESTS = {
  connect: {
    From: '09876530240',
    To: '09876538847',
    CallerId: '08040404890',
    CustomField: 'order 7',
    StatusCallback: CALLBACK,
    StatusCallbackContentType: 'application/json',
  },
  monitor: {
    Action: 'whisper',
    PhoneNumber: '09876500001',
    CustomField: 'training',
    StatusCallback: CALLBACK,
    StatusCallbackContentType: 'application/json',
  },
  mode: { Action: 'barge' },
  key: { Name: 'wall board', Scopes: 'calls.read,monitor.listen', Agents: 'priya,ravi' },
  keyRotation: { GraceSeconds: '3600' },
  usage: { StartDate: '2020-12-01', EndDate: '2020-12-22', GroupBy: 'day,origin' },
  adjustment: { Amount: '500.00', Note: 'transfer 17' },
  adjustments: { PageSize: '1' },
  audit: { Supervisor: '09876500001', Mode: 'whisper', PageSize: '1' },
  callbacks: { State: 'parked', PageSize: '1' },
  replay: { Receiver: 'https://crm.example.com' },
  secretRotation: { KeepHours: '48' },
  events: { CallSid: SAMPLE_CALL_SID },
  list: { Status: 'completed', SortBy: 'DateCreated:desc', PageSize: '1' },
} as const

/** Half past five in the afternoon of an Indian December. */
const BEGIN = Date.UTC(2020, 11, 22, 12, 1, 6)
const at = (seconds: number): number => BEGIN + seconds * 1000
const fieldsOf = (body: object): Fields => fieldsFromJson(body) ?? new Map()

const account = {
  id: SAMPLE_ACCOUNT,
  timeZone: SAMPLE_ZONE,
  numbers: [{ number: '+918040404890' as Address, rings: null }],
  agents: [],
  maxMonitors: 10,
  notice: { to: 'agent', atEntry: true, everySeconds: 15, modes: ['listen', 'whisper', 'barge'] } as const,
}
const pickUp = (freshLegId: LegId) => ({ freshLegId, memory: null })

const asked = connect(connectCommand(fieldsOf(SAMPLE_REQUESTS.connect)), { callId: SAMPLE_CALL_SID as CallId, legId: AGENT, account }, at(0)).call
const half = onAnswered(asked, AGENT, pickUp(CUSTOMER), at(6)).call
const talking = onAnswered(half, CUSTOMER, pickUp(SUPERVISOR), at(15)).call
const rung = addMonitor(talking, monitorCommand(fieldsOf(SAMPLE_REQUESTS.monitor)), SUPERVISOR, account, at(60)).call
const monitored = onAnswered(rung, SUPERVISOR, pickUp(SUPERVISOR), at(64)).call
const barged = changeMode(monitored, SUPERVISOR, 'barge', at(90)).call
const leaving = hangUp(barged, SUPERVISOR, at(120)).call
const left = onEnded(leaving, SUPERVISOR, 'completed', at(120)).call
const agentGone = onEnded(left, AGENT, 'completed', at(180)).call
const over = onEnded(agentGone, CUSTOMER, 'completed', at(180)).call

/** The call at each moment that an example shows. */
export const SAMPLE_CALLS = { asked, rung, monitored, barged, leaving, over } as const

/** The supervisor's leg of it. */
export function supervisorOf(call: Call): Leg {
  const leg = call.legs.find(({ id }) => id === SUPERVISOR)
  if (leg === undefined) throw new Error('the sample call has no supervisor')
  return leg
}

/** Where callers reach the server of the examples. */
export const SAMPLE_URL = 'https://calls.example.com'
/** How an answer is written in them. */
export const sampleOptions = (format: Format) => ({ format, timeZone: SAMPLE_ZONE, publicUrl: SAMPLE_URL })

const json = (body: string): Readonly<Record<string, unknown>> => JSON.parse(body)
const OPTIONS = { timeZone: SAMPLE_ZONE, boundary: 'earshot-boundary', publicUrl: SAMPLE_URL }

/** What the receivers of the sample's callbacks are sent, as JSON. */
export const SAMPLE_CALLBACKS = {
  leg: json(legCallback(left, supervisorOf(left), 'terminal', OPTIONS).body),
  call: json(callCallback(over, 'terminal', OPTIONS).body),
} as const
