/** Customers of a server that is killed again and again: they make calls, monitor them, change modes and hang up, and note what was acknowledged. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { TestServer, VendorJson } from '../server.ts'
import { KEY, TOKEN } from '../server.ts'
import { between, type Ledger } from './ledger.ts'

export interface CallersOptions {
  readonly server: TestServer
  readonly receiver: string
  readonly ledger: Ledger
  readonly chance: () => number
  /** Resolves when the server is ready (again). */
  readonly ready: () => Promise<void>
  /** Told when a request is about to be sent. */
  readonly onRequest: () => void
  /** Calls at the same time. */
  readonly atOnce: number
}

export interface Callers {
  /** Resolves when all of them have come to an end of what they were doing. */
  stop(): Promise<void>
}

const AGENTS = ['client:priya', 'client:ravi']
const SUPERVISORS = ['client:boss', 'client:chief']
const MODES = ['listen', 'whisper', 'barge'] as const
const CUSTOMER = '+919876543210'
const OWN = '+918012345678'
/** Of calls, those that come in by the trunk. */
const INCOMING_SHARE = 0.15
/** Of calls, those that nobody hangs up; their limit does, or the kill. */
const LEFT_ALONE_SHARE = 0.15
const LIMIT_S = 20
const REQUEST_MS = 20_000

interface Answer {
  readonly status: number
  readonly body: VendorJson
}

/** What one caller works with. */
interface Desk extends CallersOptions {
  stopped: boolean
}

export function startCallers(options: CallersOptions): Callers {
  const desk: Desk = { ...options, stopped: false }
  const work = Promise.all(
    Array.from({ length: options.atOnce }, async () => {
      while (!desk.stopped) {
        await desk.ready()
        await (desk.chance() < INCOMING_SHARE ? callIn(desk) : converse(desk))
      }
    }),
  )
  return {
    async stop() {
      desk.stopped = true
      await work
    },
  }
}

const pick = <T>(chance: () => number, from: readonly T[]): T => from[between(chance, 0, from.length - 1)] as T
const pause = ({ chance }: Desk, mostMs: number): Promise<void> => sleep(between(chance, 0, mostMs))

/** @returns Null when no answer came: the server may or may not have done it. */
async function ask(desk: Desk, method: string, path: string, fields: Readonly<Record<string, string>> | null, key?: string): Promise<Answer | null> {
  desk.onRequest()
  try {
    const response = await fetch(`${desk.server.url}/v1/Accounts/acme${path}`, {
      method,
      signal: AbortSignal.timeout(REQUEST_MS),
      headers: {
        authorization: `Basic ${Buffer.from(`${KEY}:${TOKEN}`).toString('base64')}`,
        ...(key === undefined ? {} : { 'idempotency-key': key }),
      },
      ...(fields === null ? {} : { body: new URLSearchParams(fields) }),
    })
    const answer = { status: response.status, body: (await response.json()) as VendorJson }
    const { refusals } = desk.ledger
    if (answer.status !== 200) refusals.set(answer.status, (refusals.get(answer.status) ?? 0) + 1)
    return answer
  } catch {
    return null
  }
}

/** The same request under the same key until an answer comes, over any number of restarts. */
async function insist(desk: Desk, path: string, fields: Readonly<Record<string, string>>): Promise<Answer | null> {
  const key = crypto.randomUUID()
  for (let attempt = 0; ; attempt += 1) {
    await desk.ready()
    const answer = await ask(desk, 'POST', path, { ...fields, CustomField: key }, key)
    if (answer !== null && answer.status < 500) return answer
    if (desk.stopped) return null
    desk.ledger.repeated += 1
    await sleep(20)
  }
}

const subscription = ({ receiver }: Desk): Readonly<Record<string, string>> => ({
  StatusCallback: receiver,
  StatusCallbackContentType: 'application/json',
  'StatusCallbackEvents[0]': 'terminal',
  'StatusCallbackEvents[1]': 'answered',
})

/** One call from its beginning to its end, or until it is gone. */
async function converse(desk: Desk): Promise<void> {
  const { chance, ledger } = desk
  const fields = { From: pick(chance, AGENTS), To: CUSTOMER, CallerId: OWN, TimeLimit: String(LIMIT_S), ...subscription(desk) }
  const made = await insist(desk, '/Calls/connect.json', fields)
  if (made?.status !== 200) return
  const callSid = made.body.Call.Sid
  ledger.calls.add(callSid)
  await pause(desk, 200)
  const supervisors: string[] = []
  for (let step = between(chance, 1, 8); step > 0; step -= 1) {
    const legSid = supervisors.length > 0 && chance() < 0.7 ? pick(chance, supervisors) : null
    const done =
      legSid === null ? await join(desk, callSid, supervisors) : await order(desk, callSid, legSid, chance() < 0.15 ? 'hangup' : pick(chance, MODES))
    if (done === 'call-not-in-progress') return
    await pause(desk, 60)
  }
  if (chance() < LEFT_ALONE_SHARE) return
  const live = await ask(desk, 'GET', `/Calls/${callSid}/ActiveLegs.json`, null)
  const party = live?.status === 200 ? live.body.Legs[0]?.Sid : undefined
  if (party !== undefined) await ask(desk, 'PUT', `/Calls/${callSid}/Legs/${party}.json`, { Action: 'hangup' })
}

type Done = 'done' | 'refused' | 'call-not-in-progress' | 'unknown'

function doneOf(answer: Answer | null): Done {
  if (answer === null) return 'unknown'
  if (answer.status === 200) return 'done'
  return answer.body.RestException.Message.includes('callSID') ? 'call-not-in-progress' : 'refused'
}

async function join(desk: Desk, callSid: string, supervisors: string[]): Promise<Done> {
  const { chance, ledger } = desk
  const mode = pick(chance, MODES)
  const fields = { Action: mode, PhoneNumber: pick(chance, SUPERVISORS), ...subscription(desk) }
  const joined = await insist(desk, `/Calls/${callSid}/Legs.json`, fields)
  if (joined?.status !== 200) return doneOf(joined)
  const legSid = joined.body.Leg.Sid
  supervisors.push(legSid)
  ledger.legs.add(legSid)
  // Of a request that was sent again, the first answer comes after what may have happened to the leg since; that is only a fall-back to listen.
  ledger.actions.set(legSid, { sure: mode, unsure: new Set(['listen']) })
  return 'done'
}

async function order(desk: Desk, callSid: string, legSid: string, action: string): Promise<Done> {
  const { ledger } = desk
  const known = ledger.actions.get(legSid)
  known?.unsure.add(action)
  const answer = await ask(desk, 'PUT', `/Calls/${callSid}/Legs/${legSid}.json`, { Action: action })
  if (answer?.status !== 200 || known === undefined) return doneOf(answer)
  ledger.changes += 1
  // One caller alone orders this leg about, one thing after the other.
  known.sure = action
  known.unsure.clear()
  known.unsure.add('listen')
  return 'done'
}

/** A customer calls; there is nothing to acknowledge, but the records must be whole. */
async function callIn(desk: Desk): Promise<void> {
  const { host, port } = desk.server.sip
  const session = await desk.server.trunkPhone.call(`sip:${OWN}@${host}:${port}`).catch(() => null)
  await pause(desk, 400)
  session?.hangUp()
}
