/** How a call and its legs lie in their tables: one column per fact, so that lists, filters and bills can be asked of SQL. */
import assert from 'node:assert/strict'
import type { Address } from '../domain/address.ts'
import type { Call, CallState } from '../domain/call.ts'
import type { SoundState } from '../domain/sound.ts'
import type { Tones } from '../domain/evidence/tones.ts'
import type { AccountId, CallId, KeyId, LegId } from '../domain/ids.ts'
import type { CallbackContentType, CallbackEvent, EndCause, Leg, LegRate, LegState, Mode, Monitoring, Subscription } from '../domain/leg.ts'
import type { LimitCode } from '../domain/errors.ts'
import type { Money } from '../domain/account/money.ts'
import { fromTimestamp, toTimestamp } from './json.ts'

interface SubscriptionRow {
  readonly callback_url: string | null
  readonly callback_events: readonly CallbackEvent[] | null
  readonly callback_content_type: CallbackContentType | null
}

interface RateRow {
  readonly rate_currency: string | null
  readonly rate_pulse_s: number | null
  readonly rate_price: string | null
}

/** Times are ISO 8601, as they are in PostgreSQL's JSON. */
export interface CallRow extends SubscriptionRow {
  readonly id: string
  readonly account_id: string
  readonly node: string
  readonly direction: Call['direction']
  readonly from_address: string
  readonly to_address: string
  readonly caller_id: string
  readonly agent_leg_id: string | null
  readonly created_at: string
  readonly updated_at: string
  readonly ring_ms: number
  readonly limit_ms: number
  readonly custom_field: string | null
  readonly wait_url: string | null
  readonly opening_url: string | null
  readonly opening_to: 'callee' | 'both' | null
  readonly recording: SoundState['recording']
  readonly stage: SoundState['stage']
  readonly recorded_from: string | null
  readonly retries_left: number
  readonly status: CallState['status']
  readonly outcome: EndCause | null
  readonly ended_at: string | null
  readonly tones: Tones | null
  readonly end_reason: LimitCode | null
}

export interface LegRow extends SubscriptionRow, RateRow {
  readonly id: string
  readonly call_id: string
  readonly position: number
  readonly address: string
  readonly origin: Leg['origin']
  readonly mode: Mode | null
  readonly target_leg_id: string | null
  readonly mode_by: string | null
  readonly mode_reason: string | null
  readonly mode_since: string | null
  readonly last_action: Leg['lastAction']
  readonly created_at: string
  readonly updated_at: string
  readonly status: LegState['status']
  readonly answered_at: string | null
  readonly memory: string | null
  readonly ended_at: string | null
  readonly cause: EndCause | null
  readonly ring_ms: number
  readonly limit_ms: number
  readonly custom_field: string | null
}

const SUBSCRIPTION_COLUMNS = { callback_url: 'text', callback_events: 'text[]', callback_content_type: 'text' }
const RATE_COLUMNS = { rate_currency: 'text', rate_pulse_s: 'integer', rate_price: 'text' }

export const CALL_COLUMNS: Readonly<Record<keyof CallRow, string>> = {
  id: 'text',
  account_id: 'text',
  node: 'text',
  direction: 'text',
  from_address: 'text',
  to_address: 'text',
  caller_id: 'text',
  agent_leg_id: 'text',
  created_at: 'timestamptz',
  updated_at: 'timestamptz',
  ring_ms: 'integer',
  limit_ms: 'integer',
  custom_field: 'text',
  wait_url: 'text',
  opening_url: 'text',
  opening_to: 'text',
  recording: 'text',
  stage: 'text',
  recorded_from: 'timestamptz',
  retries_left: 'integer',
  status: 'text',
  outcome: 'text',
  ended_at: 'timestamptz',
  tones: 'jsonb',
  end_reason: 'text',
  ...SUBSCRIPTION_COLUMNS,
}

export const LEG_COLUMNS: Readonly<Record<keyof LegRow, string>> = {
  id: 'text',
  call_id: 'text',
  position: 'integer',
  address: 'text',
  origin: 'text',
  mode: 'text',
  target_leg_id: 'text',
  mode_by: 'text',
  mode_reason: 'text',
  mode_since: 'timestamptz',
  last_action: 'text',
  created_at: 'timestamptz',
  updated_at: 'timestamptz',
  status: 'text',
  answered_at: 'timestamptz',
  memory: 'text',
  ended_at: 'timestamptz',
  cause: 'text',
  ring_ms: 'integer',
  limit_ms: 'integer',
  custom_field: 'text',
  ...SUBSCRIPTION_COLUMNS,
  ...RATE_COLUMNS,
}

export function callRow(call: Call, node: string): CallRow {
  const { state } = call
  return {
    id: call.id,
    account_id: call.accountId,
    node,
    direction: call.direction,
    from_address: call.from,
    to_address: call.to,
    caller_id: call.callerId,
    agent_leg_id: call.agentLegId,
    created_at: toTimestamp(call.createdAt),
    updated_at: toTimestamp(call.updatedAt),
    ring_ms: call.ringMs,
    limit_ms: call.limitMs,
    custom_field: call.customField,
    ...subscriptionRow(call.subscription),
    ...soundRow(call.sound),
    retries_left: call.retriesLeft,
    status: state.status,
    outcome: state.status === 'live' ? null : state.outcome,
    ended_at: state.status === 'ended' ? toTimestamp(state.endedAt) : null,
    tones: call.tones,
    end_reason: call.endReason,
  }
}

export function legRow(leg: Leg, callId: CallId, position: number): LegRow {
  const { state, monitoring } = leg
  const answeredAt = state.status === 'ringing' ? null : state.answeredAt
  return {
    id: leg.id,
    call_id: callId,
    position,
    address: leg.address,
    origin: leg.origin,
    mode: monitoring?.mode ?? null,
    target_leg_id: monitoring?.targetLegId ?? null,
    mode_by: monitoring?.by ?? null,
    mode_reason: monitoring?.reasonCode ?? null,
    mode_since: monitoring?.since == null ? null : toTimestamp(monitoring.since),
    last_action: leg.lastAction,
    created_at: toTimestamp(leg.createdAt),
    updated_at: toTimestamp(leg.updatedAt),
    ring_ms: leg.ringMs,
    limit_ms: leg.limitMs,
    custom_field: leg.customField,
    ...subscriptionRow(leg.subscription),
    ...rateRow(leg.rate),
    status: state.status,
    answered_at: answeredAt === null ? null : toTimestamp(answeredAt),
    memory: state.status === 'answered' ? state.memory : null,
    ended_at: state.status === 'ended' ? toTimestamp(state.endedAt) : null,
    cause: state.status === 'ended' ? state.cause : null,
  }
}

/** @param legs In order of creation. */
export function callOf(row: CallRow, legs: readonly LegRow[]): Call {
  return {
    id: row.id as CallId,
    accountId: row.account_id as AccountId,
    direction: row.direction,
    from: row.from_address as Address,
    to: row.to_address as Address,
    callerId: row.caller_id as Address,
    agentLegId: row.agent_leg_id as LegId | null,
    createdAt: fromTimestamp(row.created_at),
    updatedAt: fromTimestamp(row.updated_at),
    ringMs: row.ring_ms,
    limitMs: row.limit_ms,
    subscription: subscriptionOf(row),
    customField: row.custom_field,
    state: callStateOf(row),
    sound: soundOf(row),
    retriesLeft: row.retries_left,
    tones: row.tones,
    endReason: row.end_reason,
    legs: legs.map(legOf),
  }
}

function legOf(row: LegRow): Leg {
  return {
    id: row.id as LegId,
    address: row.address as Address,
    origin: row.origin,
    monitoring: monitoringOf(row),
    lastAction: row.last_action,
    createdAt: fromTimestamp(row.created_at),
    updatedAt: fromTimestamp(row.updated_at),
    state: legStateOf(row),
    ringMs: row.ring_ms,
    limitMs: row.limit_ms,
    subscription: subscriptionOf(row),
    customField: row.custom_field,
    rate: rateOf(row),
  }
}

function monitoringOf(row: LegRow): Monitoring | null {
  if (row.mode === null) return null
  return {
    mode: row.mode,
    targetLegId: present(row.target_leg_id) as LegId,
    by: row.mode_by as KeyId | null,
    reasonCode: row.mode_reason,
    since: row.mode_since === null ? null : fromTimestamp(row.mode_since),
  }
}

const rateRow = (rate: LegRate | null): RateRow => ({
  rate_currency: rate?.currency ?? null,
  rate_pulse_s: rate?.pulseS ?? null,
  rate_price: rate?.price ?? null,
})

function rateOf({ rate_currency: currency, rate_pulse_s: pulseS, rate_price: price }: RateRow): LegRate | null {
  return currency === null ? null : { currency, pulseS: present(pulseS), price: present(price) as Money }
}

function callStateOf(row: CallRow): CallState {
  switch (row.status) {
    case 'live':
      return { status: 'live' }
    case 'ending':
      return { status: 'ending', outcome: present(row.outcome) }
    case 'ended':
      return { status: 'ended', outcome: present(row.outcome), endedAt: fromTimestamp(present(row.ended_at)) }
  }
}

function legStateOf(row: LegRow): LegState {
  const answeredAt = row.answered_at === null ? null : fromTimestamp(row.answered_at)
  switch (row.status) {
    case 'ringing':
      return { status: 'ringing' }
    case 'answered':
      return { status: 'answered', answeredAt: present(answeredAt), memory: row.memory }
    case 'ended':
      return { status: 'ended', endedAt: fromTimestamp(present(row.ended_at)), answeredAt, cause: present(row.cause) }
  }
}

function soundRow({ waitUrl, opening, recording, stage, recordedFrom }: SoundState) {
  return {
    wait_url: waitUrl,
    opening_url: opening?.url ?? null,
    opening_to: opening?.to ?? null,
    recording,
    stage,
    recorded_from: recordedFrom === null ? null : toTimestamp(recordedFrom),
  }
}

function soundOf(row: CallRow): SoundState {
  const { wait_url: waitUrl, opening_url: url, opening_to: to, recording, stage, recorded_from: from } = row
  const opening = url === null ? null : { url, to: present(to) }
  return { waitUrl, opening, recording, stage, recordedFrom: from === null ? null : fromTimestamp(from) }
}

function subscriptionRow(subscription: Subscription | null): SubscriptionRow {
  return {
    callback_url: subscription?.url ?? null,
    callback_events: subscription?.events ?? null,
    callback_content_type: subscription?.contentType ?? null,
  }
}

function subscriptionOf(row: SubscriptionRow): Subscription | null {
  const { callback_url: url, callback_events: events, callback_content_type: contentType } = row
  return url === null ? null : { url, events: present(events), contentType: present(contentType) }
}

/** The table's own checks promise it. */
function present<T>(value: T | null): T {
  assert(value !== null)
  return value
}
