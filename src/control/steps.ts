/**
 * One step of one call: load, decide, save, order, in the call's own queue. Four lines, always these.
 *
 * A command that cannot be saved is refused and nothing has moved. What has happened is so, whatever the database says. An order
 * that fails, or a bug, ends that one call, loudly.
 */
import type { Call, Decision } from '../domain/call.ts'
import { nextDeadline, onDeadline, onPlayed } from '../domain/events.ts'
import { onToneFailed } from '../domain/evidence/tones.ts'
import type { CallId, LegId } from '../domain/ids.ts'
import { type EndCause, isLive, type Leg } from '../domain/leg.ts'
import { saveCall } from '../store/calls.ts'
import type { Database, Log } from '../store/database.ts'
import type { IdempotencyRecord } from '../store/idempotency.ts'
import { makeDeadlines, type Schedule } from './deadlines.ts'
import { type LiveCalls, makeLiveCalls } from './live-calls.ts'
import { makeGive, type OrdersOptions } from './orders.ts'
import { makeSerial, type Serial } from './serial.ts'
import type { Settle } from './settle.ts'

export interface StepsOptions extends Pick<OrdersOptions, 'engine' | 'clips' | 'recordings' | 'onHearing'> {
  readonly database: Database
  /** Name of this process in the database: whose calls these are. */
  readonly node: string
  /** What is saved with a decision. */
  readonly settle: Settle
  readonly now: () => number
  readonly schedule: Schedule
  readonly log: Log
  /** A call, or a new state of it, became current; for those who count. Must not throw. */
  readonly onChange?: (before: Call | undefined, after: Call) => void
}

export interface Steps {
  readonly live: Pick<LiveCalls, 'get' | 'all'>
  /** Queues by call; other keys may be used too, with a word of their own in front. */
  readonly queue: Serial<string>
  /**
   * A command. `decide` gets the live call, undefined when there is none, and may throw.
   * @throws what `decide` throws, or the database, or the engine (then the call is being ended).
   */
  command(callId: CallId, decide: (current: Call | undefined) => Decision, remember?: (call: Call) => IdempotencyRecord | null): Promise<Call>
  /** Something that has happened to a live call. Never rejects; without a live call nothing happens. */
  happen(callId: CallId, decide: (current: Call) => Decision): Promise<void>
  /** Ends a call in which something of ours went wrong. Never rejects. */
  breakOff(callId: CallId, error: unknown): Promise<void>
  /** Orders every live leg of the call to be hung up. Never rejects. */
  hangUpAll(callId: CallId, causeOf: (leg: Leg) => EndCause): Promise<void>
  /** Forgets all alarms and tries. */
  stop(): void
}

/** How often changes that the database refused are tried again. */
const CATCH_UP_MS = 2_000

export function makeSteps(options: StepsOptions): Steps {
  const { engine, database, node, settle, now, schedule, log, onChange } = options
  const queue = makeSerial<string>()
  const live = makeLiveCalls({
    save: (call, records, idempotency) => saveCall(database.sql, { call, node, ...records, idempotency }),
    onChange,
    onTrouble(error, callId) {
      log.error({ call: callId, err: error }, 'a change of this call could not be saved and will be tried again')
      tries.later(callId)
    },
  })
  const deadlines = makeDeadlines<CallId>(schedule, now, (callId) => void happen(callId, (call) => onDeadline(call, now())))
  const tries = makeTries(schedule, (callId) => queue.run(callId, () => live.catchUp(callId)))

  const give = makeGive({
    ...options,
    onUnplayable: (callId, soundId) => happen(callId, (call) => onPlayed(call, soundId, now())),
    onToneFailed: (callId, soundId) => happen(callId, (call) => onToneFailed(call, soundId)),
  })

  async function obey({ call, orders }: Decision): Promise<void> {
    deadlines.set(call.id, nextDeadline(call))
    for (const order of orders) await give(call, order)
  }

  async function breakOff(callId: CallId, error: unknown): Promise<void> {
    log.error({ call: callId, err: error }, 'a step of this call failed; the call is ended')
    await hangUpAll(callId, () => 'failed')
  }

  const hangUpAll: Steps['hangUpAll'] = async (callId, causeOf) => {
    for (const leg of live.get(callId)?.legs.filter(isLive) ?? []) await hangUp({ engine, log }, callId, leg.id, causeOf(leg))
  }

  const command: Steps['command'] = (callId, decide, remember) =>
    queue.run(callId, async () => {
      const current = live.get(callId)
      const { decision, records } = settle(current, decide(current))
      await live.commit(decision.call, records, remember?.(decision.call) ?? null)
      if (!current) log.info({ call: callId, account: decision.call.accountId, direction: decision.call.direction }, 'a call begins')
      await obey(decision).catch(async (error: unknown) => {
        await breakOff(callId, error)
        throw error
      })
      return decision.call
    })

  const happen: Steps['happen'] = (callId, decide) =>
    queue
      .run(callId, async () => {
        const current = live.get(callId)
        if (!current) return
        const { decision, records } = settle(current, decide(current))
        // A late event decides nothing and leaves nothing to write.
        if (decision.call !== current || decision.notices.length > 0) await live.record(decision.call, records)
        const { state } = decision.call
        if (state.status === 'ended') log.info({ call: callId, outcome: state.outcome, legs: decision.call.legs.length }, 'a call has ended')
        await obey(decision)
      })
      .catch((error: unknown) => breakOff(callId, error))

  const stop = (): void => {
    for (const alarms of [deadlines, tries]) alarms.clear()
  }

  return { live, queue, command, happen, breakOff, hangUpAll, stop }
}

/** Never rejects. */
const hangUp = ({ engine, log }: Pick<StepsOptions, 'engine' | 'log'>, callId: CallId, legId: LegId, cause: EndCause): Promise<void> =>
  engine.hangUp(callId, legId, cause).catch((error: unknown) => log.error({ call: callId, leg: legId, err: error }, 'this leg could not be hung up'))

/** Tries again after a while, one try ahead per call, until it works. */
function makeTries(schedule: Schedule, attempt: (callId: CallId) => Promise<void>): { later(callId: CallId): void; clear(): void } {
  /** How to take back what is ahead. */
  const ahead = new Map<CallId, () => void>()
  function later(callId: CallId): void {
    if (ahead.has(callId)) return
    const cancel = schedule(CATCH_UP_MS, () => {
      ahead.delete(callId)
      void attempt(callId).catch(() => later(callId))
    })
    ahead.set(callId, cancel)
  }
  return {
    later,
    clear() {
      for (const cancel of ahead.values()) cancel()
      ahead.clear()
    },
  }
}
