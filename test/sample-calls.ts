/** Calls for tests that store or report them: one plain, and any that the types allow. */
import fc from 'fast-check'
import type { Address } from '../src/domain/address.ts'
import type { Call } from '../src/domain/call.ts'
import { SILENT, soundBefore } from '../src/domain/sound.ts'
import type { CallbackRow } from '../src/store/outbox/rows.ts'
import type { AccountId, CallId, KeyId, LegId, SoundId } from '../src/domain/ids.ts'
import { TONE_EARS, type TonePolicy, type Tones } from '../src/domain/evidence/tones.ts'
import { type Leg, MODES, type Subscription } from '../src/domain/leg.ts'
import { LIMITS } from '../src/domain/errors.ts'
import { rate } from './sample-money.ts'

export const ACCOUNT = 'acme' as AccountId
export const T0 = Date.UTC(2026, 10, 22, 9, 0, 0, 123)

/** Nobody is told that somebody listens; written by whoever may decide that. */
export const UNTOLD: TonePolicy = { to: 'nobody', atEntry: true, everySeconds: 15, modes: MODES }

let issued = 0
/** Distinct in one process. */
export const sampleId = (): string => `id${String((issued += 1)).padStart(30, '0')}`

export const sampleSubscription: Subscription = {
  url: 'http://127.0.0.1:9/hook?token=1',
  events: ['terminal', 'answered'],
  contentType: 'application/json',
}

/** A live call of an agent and a customer, both answered, with a supervisor who rings. */
export function sampleCall(change: Partial<Call> = {}): Call {
  const id = sampleId() as CallId
  const leg = (origin: Leg['origin'], address: string, more: Partial<Leg> = {}): Leg => ({
    id: sampleId() as LegId,
    address: address as Address,
    origin,
    monitoring: null,
    lastAction: '',
    createdAt: T0,
    updatedAt: T0 + 2000,
    state: { status: 'answered', answeredAt: T0 + 2000, memory: '{"version":1}' },
    ringMs: 30_000,
    limitMs: 14_400_000,
    subscription: null,
    customField: null,
    rate: null,
    ...more,
  })
  const agent = leg('outbound', 'client:anna')
  const customer = leg('outbound-dial', '+919876543210')
  const supervisor = leg('monitor', 'sip:boss@127.0.0.1', {
    state: { status: 'ringing' },
    monitoring: { mode: 'whisper', targetLegId: agent.id, since: null, by: null, reasonCode: null },
    lastAction: 'whisper',
    subscription: sampleSubscription,
    customField: 'ticket 7',
  })
  return {
    id,
    accountId: ACCOUNT,
    direction: 'outbound-api',
    from: agent.address,
    to: customer.address,
    callerId: '+918047112233' as Address,
    agentLegId: agent.id,
    createdAt: T0,
    updatedAt: T0 + 2000,
    ringMs: 30_000,
    limitMs: 14_400_000,
    subscription: null,
    customField: null,
    state: { status: 'live' },
    sound: soundBefore(SILENT),
    retriesLeft: 0,
    tones: null,
    endReason: null,
    legs: [agent, customer, supervisor],
    ...change,
  }
}

export function sampleCallback(change: Partial<CallbackRow> = {}): CallbackRow {
  const legId = sampleId() as LegId
  return {
    id: sampleId(),
    accountId: ACCOUNT,
    callId: sampleId() as CallId,
    legId,
    event: 'terminal',
    orderKey: legId,
    url: 'http://127.0.0.1:9/hook',
    contentType: 'application/json',
    body: '{"EventType":"terminal"}',
    createdAt: T0,
    ...change,
  }
}

const time = fc.integer({ min: 0, max: Date.UTC(2100, 0) })
const cause = fc.constantFrom('completed', 'busy', 'no-answer', 'failed', 'canceled')
/** Storable: what PostgreSQL cannot hold is another test's business. */
const text = fc.string({ unit: 'grapheme', maxLength: 128 }).filter((value) => value.isWellFormed() && !value.includes('\0'))
const id = fc.stringMatching(/^[0-9a-z]{32}$/)
const ms = fc.integer({ min: 0, max: 14_400_000 })

const subscription: fc.Arbitrary<Subscription> = fc.record({
  url: fc.webUrl({ withQueryParameters: true }),
  events: fc.uniqueArray(fc.constantFrom('answered', 'terminal'), { maxLength: 2 }),
  contentType: fc.constantFrom('multipart/form-data', 'application/json'),
})

const common = { createdAt: time, updatedAt: time, ringMs: ms, limitMs: ms, subscription: fc.option(subscription), customField: fc.option(text) }

const leg: fc.Arbitrary<Leg> = fc
  .oneof(
    fc.record({ origin: fc.constantFrom('outbound', 'outbound-dial', 'inbound'), monitoring: fc.constant(null) }),
    fc.record({
      origin: fc.constant('monitor' as const),
      monitoring: fc.record({ mode: fc.constantFrom('listen', 'whisper', 'barge'), targetLegId: id as fc.Arbitrary<LegId>, by: fc.option(text as fc.Arbitrary<KeyId>), reasonCode: fc.option(text), since: fc.option(time) }),
    }),
  )
  .chain((role) =>
    fc.record({
      ...common,
      id: id as fc.Arbitrary<LegId>,
      address: text as fc.Arbitrary<Address>,
      origin: fc.constant(role.origin),
      monitoring: fc.constant(role.monitoring),
      rate: fc.option(rate),
      lastAction: fc.constantFrom('', 'listen', 'whisper', 'barge', 'hangup'),
      state: fc.oneof(
        fc.constant({ status: 'ringing' as const }),
        fc.record({ status: fc.constant('answered' as const), answeredAt: time, memory: fc.option(text) }),
        fc.record({ status: fc.constant('ended' as const), endedAt: time, answeredAt: fc.option(time), cause }),
      ),
    }),
  )

const soundParts = {
  waitUrl: fc.option(fc.webUrl()),
  opening: fc.option(fc.record({ url: fc.webUrl(), to: fc.constantFrom('callee', 'both') })),
  stage: fc.constantFrom('before', 'opening', 'open'),
}
const tones: fc.Arbitrary<Tones> = fc.record({
  policy: fc.record({
    to: fc.constantFrom(...TONE_EARS),
    atEntry: fc.boolean(),
    everySeconds: fc.nat(3600),
    modes: fc.subarray([...MODES]),
  }),
  dueAt: fc.option(time),
  sounding: fc.option(fc.record({ id: id as unknown as fc.Arbitrary<SoundId>, ears: fc.array(id as fc.Arbitrary<LegId>, { maxLength: 3 }) })),
  played: fc.array(time, { maxLength: 5 }),
  failed: fc.array(time, { maxLength: 5 }),
})

/** Any call that the types allow, sensible or not. */
export const anyCall: fc.Arbitrary<Call> = fc.record({
  ...common,
  id: id as fc.Arbitrary<CallId>,
  accountId: text as fc.Arbitrary<AccountId>,
  direction: fc.constantFrom('inbound', 'outbound-api'),
  from: text as fc.Arbitrary<Address>,
  to: text as fc.Arbitrary<Address>,
  callerId: text as fc.Arbitrary<Address>,
  agentLegId: fc.option(id as fc.Arbitrary<LegId>),
  state: fc.oneof(
    fc.constant({ status: 'live' as const }),
    fc.record({ status: fc.constant('ending' as const), outcome: cause }),
    fc.record({ status: fc.constant('ended' as const), outcome: cause, endedAt: time }),
  ),
  sound: fc.oneof(
    fc.record({ ...soundParts, recording: fc.constant(null), recordedFrom: fc.constant(null) }),
    fc.record({ ...soundParts, recording: fc.constantFrom('single', 'dual'), recordedFrom: fc.option(time) }),
  ),
  retriesLeft: fc.integer({ min: 0, max: 3 }),
  tones: fc.option(tones),
  endReason: fc.option(fc.constantFrom(...LIMITS)),
  legs: fc.uniqueArray(leg, { maxLength: 5, selector: (one) => one.id }),
})
