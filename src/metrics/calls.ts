/** Calls, legs and modes, counted by what differs between a call before and after a step. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { Call } from '../domain/call.ts'
import { type EndCause, isAnswered, isLive, type Leg, MODES, type Mode, onCallMs, type Origin } from '../domain/leg.ts'

export interface CallCounting {
  count(before: Call | undefined, after: Call): void
}

const ORIGINS: readonly Origin[] = ['outbound', 'outbound-dial', 'inbound', 'monitor']
const CAUSES: readonly EndCause[] = ['completed', 'busy', 'no-answer', 'failed', 'canceled']
const DIRECTIONS: readonly Call['direction'][] = ['inbound', 'outbound-api']
/** People take seconds to pick up; machines milliseconds. */
const ANSWER_BUCKETS_S = [0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 20, 30, 45, 60, 120]

export function makeCallCounting(registry: Registry): CallCounting {
  const registers = [registry]
  const liveCalls = new Gauge({ name: 'earshot_calls', help: 'Live calls.', labelNames: ['direction'], registers })
  const liveLegs = new Gauge({
    name: 'earshot_legs',
    help: 'Live legs, by origin and by ringing or answered.',
    labelNames: ['origin', 'state'],
    registers,
  })
  const monitors = new Gauge({ name: 'earshot_monitors', help: 'Supervisors who are connected, by mode.', labelNames: ['mode'], registers })
  const callsEnded = new Counter({
    name: 'earshot_calls_ended_total',
    help: 'Calls that ended, by outcome.',
    labelNames: ['direction', 'outcome'],
    registers,
  })
  const legsEnded = new Counter({ name: 'earshot_legs_ended_total', help: 'Legs that ended, by cause.', labelNames: ['origin', 'cause'], registers })
  const talk = new Counter({
    name: 'earshot_leg_talk_seconds_total',
    help: 'Time from answer to end of the legs that ended.',
    labelNames: ['origin'],
    registers,
  })
  const modes = new Counter({
    name: 'earshot_mode_changes_total',
    help: 'Modes that connected supervisors came into, the one in which they picked up included.',
    labelNames: ['mode'],
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
  for (const direction of DIRECTIONS) {
    liveCalls.set({ direction }, 0)
    for (const outcome of CAUSES) callsEnded.inc({ direction, outcome }, 0)
  }
  for (const origin of ORIGINS) {
    for (const state of ['ringing', 'answered']) liveLegs.set({ origin, state }, 0)
    for (const cause of CAUSES) legsEnded.inc({ origin, cause }, 0)
    talk.inc({ origin }, 0)
    answer.zero({ origin })
  }
  for (const mode of MODES) {
    monitors.set({ mode }, 0)
    modes.inc({ mode }, 0)
  }

  function countLeg(before: Leg | undefined, after: Leg): void {
    if (before === after) return
    const { origin } = after
    if (before !== undefined && isLive(before)) liveLegs.dec({ origin, state: before.state.status })
    if (isLive(after)) liveLegs.inc({ origin, state: after.state.status })
    const [old, present] = [modeOf(before), modeOf(after)]
    if (old !== null) monitors.dec({ mode: old })
    if (present !== null) monitors.inc({ mode: present })
    if (present !== null && present !== old) modes.inc({ mode: present })
    if (after.state.status === 'answered' && before?.state.status !== 'answered')
      answer.observe({ origin }, Math.max(0, after.state.answeredAt - after.createdAt) / 1000)
    if (after.state.status === 'ended' && before?.state.status !== 'ended') {
      legsEnded.inc({ origin, cause: after.state.cause })
      talk.inc({ origin }, onCallMs(after) / 1000)
    }
  }

  return {
    count(before, after) {
      const { direction } = after
      const [was, is] = [before !== undefined && before.state.status !== 'ended', after.state.status !== 'ended']
      if (is && !was) liveCalls.inc({ direction })
      if (was && !is) liveCalls.dec({ direction })
      if (after.state.status === 'ended' && before?.state.status !== 'ended') callsEnded.inc({ direction, outcome: after.state.outcome })
      for (const leg of after.legs)
        countLeg(
          before?.legs.find(({ id }) => id === leg.id),
          leg,
        )
    },
  }
}

/** Of a supervisor who is connected; null for everybody else. */
const modeOf = (leg: Leg | undefined): Mode | null => (leg !== undefined && isAnswered(leg) ? (leg.monitoring?.mode ?? null) : null)
