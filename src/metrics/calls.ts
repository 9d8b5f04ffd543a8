/** Calls, legs and modes, counted by what differs between a call before and after a step. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { billedSeconds, isAnsweredAndOver, pulsesIn } from '../domain/account/rating.ts'
import type { Call } from '../domain/call.ts'
import { LIMITS, type LimitCode } from '../domain/errors.ts'
import { type EndCause, isAnswered, isLive, type Leg, MODES, type Mode, onCallMs, type Origin } from '../domain/leg.ts'

export interface CallCounting {
  count(before: Call | undefined, after: Call): void
  /** A limit of an account refused a leg, or ended a call. */
  limit(reason: LimitCode): void
}

const ORIGINS: readonly Origin[] = ['outbound', 'outbound-dial', 'inbound', 'monitor']
const CAUSES: readonly EndCause[] = ['completed', 'busy', 'no-answer', 'failed', 'canceled']
const DIRECTIONS: readonly Call['direction'][] = ['inbound', 'outbound-api']
/** People take seconds to pick up; machines milliseconds. */
const ANSWER_BUCKETS_S = [0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 20, 30, 45, 60, 120]

export function makeCallCounting(registry: Registry): CallCounting {
  const registers = [registry]
  const live = new Gauge({ name: 'earshot_calls', help: 'Live calls.', labelNames: ['direction'], registers })
  const ended = new Counter({
    name: 'earshot_calls_ended_total',
    help: 'Calls that ended, by outcome.',
    labelNames: ['direction', 'outcome'],
    registers,
  })
  for (const direction of DIRECTIONS) {
    live.set({ direction }, 0)
    for (const outcome of CAUSES) ended.inc({ direction, outcome }, 0)
  }
  const countings = [makeLegCounting(registry), makeModeCounting(registry), makeChargeCounting(registry)]
  const limits = new Counter({
    name: 'earshot_limits_total',
    help: 'Legs that an account was refused, and calls that were ended, for its rates, its balance or its caps.',
    labelNames: ['reason'],
    registers,
  })
  for (const reason of LIMITS) limits.inc({ reason }, 0)
  return {
    limit: (reason) => limits.inc({ reason }),
    count(before, after) {
      const { direction } = after
      const [was, is] = [before !== undefined && before.state.status !== 'ended', after.state.status !== 'ended']
      if (is && !was) live.inc({ direction })
      if (was && !is) live.dec({ direction })
      if (after.state.status === 'ended' && before?.state.status !== 'ended') ended.inc({ direction, outcome: after.state.outcome })
      for (const leg of after.legs) {
        const old = before?.legs.find(({ id }) => id === leg.id)
        if (old !== leg) for (const count of countings) count(old, leg)
      }
    },
  }
}

/** Told of a leg that is new or has changed. */
type CountLeg = (before: Leg | undefined, after: Leg) => void

function makeLegCounting(registry: Registry): CountLeg {
  const registers = [registry]
  const live = new Gauge({
    name: 'earshot_legs',
    help: 'Live legs, by origin and by ringing or answered.',
    labelNames: ['origin', 'state'],
    registers,
  })
  const ended = new Counter({ name: 'earshot_legs_ended_total', help: 'Legs that ended, by cause.', labelNames: ['origin', 'cause'], registers })
  const talk = new Counter({
    name: 'earshot_leg_talk_seconds_total',
    help: 'Time from answer to end of the legs that ended.',
    labelNames: ['origin'],
    registers,
  })
  const answer = new Histogram({
    name: 'earshot_invite_to_answer_seconds',
    help: 'From the INVITE of a leg, dialled or received, to its answer.',
    labelNames: ['origin'],
    buckets: ANSWER_BUCKETS_S,
    registers,
  })
  // A series that is not there before its first event has no rate at its first event.
  for (const origin of ORIGINS) {
    for (const state of ['ringing', 'answered']) live.set({ origin, state }, 0)
    for (const cause of CAUSES) ended.inc({ origin, cause }, 0)
    talk.inc({ origin }, 0)
    answer.zero({ origin })
  }
  return (before, after) => {
    const { origin, state } = after
    if (before !== undefined && isLive(before)) live.dec({ origin, state: before.state.status })
    if (isLive(after)) live.inc({ origin, state: state.status })
    if (state.status === 'answered' && before?.state.status !== 'answered')
      answer.observe({ origin }, Math.max(0, state.answeredAt - after.createdAt) / 1000)
    if (state.status === 'ended' && before?.state.status !== 'ended') {
      ended.inc({ origin, cause: state.cause })
      talk.inc({ origin }, onCallMs(after) / 1000)
    }
  }
}

function makeChargeCounting(registry: Registry): CountLeg {
  const charged = new Counter({
    name: 'earshot_charged_pulses_total',
    help: 'Pulses that ended legs were charged for.',
    labelNames: ['origin'],
    registers: [registry],
  })
  for (const origin of ORIGINS) charged.inc({ origin }, 0)
  return (before, after) => {
    const isOver = isAnsweredAndOver(after) && (before === undefined || isLive(before))
    if (isOver && after.rate !== null) charged.inc({ origin: after.origin }, pulsesIn(billedSeconds(after), after.rate.pulseS))
  }
}

function makeModeCounting(registry: Registry): CountLeg {
  const registers = [registry]
  const monitors = new Gauge({ name: 'earshot_monitors', help: 'Supervisors who are connected, by mode.', labelNames: ['mode'], registers })
  const changes = new Counter({
    name: 'earshot_mode_changes_total',
    help: 'Modes that connected supervisors came into, the one in which they picked up included.',
    labelNames: ['mode'],
    registers,
  })
  for (const mode of MODES) {
    monitors.set({ mode }, 0)
    changes.inc({ mode }, 0)
  }
  return (before, after) => {
    const [old, present] = [modeOf(before), modeOf(after)]
    if (old === present) return
    if (old !== null) monitors.dec({ mode: old })
    if (present === null) return
    monitors.inc({ mode: present })
    changes.inc({ mode: present })
  }
}

/** Of a supervisor who is connected; null for everybody else. */
const modeOf = (leg: Leg | undefined): Mode | null => (leg !== undefined && isAnswered(leg) ? (leg.monitoring?.mode ?? null) : null)
