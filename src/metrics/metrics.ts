/**
 * What an operator watches, as Prometheus reads it: one registry, its metrics, and the hooks through which the house tells it things.
 *
 * Its rules: names begin with `earshot_` and end in their unit; labels come from closed sets (origin, mode, cause, route, method,
 * status), so that no number, name or Sid of anybody is in the answer and the count of series has a limit; a fault of the counting
 * is logged and reaches nobody who calls.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Call } from '../domain/call.ts'
import type { LimitCode } from '../domain/errors.ts'
import type { Mode } from '../domain/leg.ts'
import type { MediaPlane } from '../engine/native/media-plane.ts'
import type { Backlog } from '../store/outbox/log.ts'
import { makeCallCounting } from './calls.ts'
import { makeMediaCounting } from './media.ts'

/** One HTTP request that was answered. */
export interface AnsweredRequest {
  readonly method: string
  /** As it was declared, with `:callSid` and the like; null when no route was found. */
  readonly route: string | null
  readonly status: number
  readonly seconds: number
}

/** What is looked at when somebody reads the metrics. */
export interface Sources {
  readonly engine: {
    counts(): {
      readonly legs: number
      readonly sessions: number
      readonly transactions: number
      readonly malformed: number
      readonly dropped: number
    }
    registrations(): readonly unknown[]
  }
  readonly callbackBacklog: () => Promise<Backlog>
  /** Receivers of callbacks that are left alone, as they are down. */
  readonly pausedReceivers: () => number
}

export interface Metrics {
  /** Every change of a call that became current; `before` is undefined for a new one. */
  onCall(before: Call | undefined, after: Call): void
  /** Calls that a former life of the process left behind were closed. */
  onCrashedCalls(count: number): void
  /** A limit of an account refused a leg, or ended a call. */
  onLimit(reason: LimitCode): void
  onRequest(request: AnsweredRequest): void
  /** An attempt was recorded. `retry`: not accepted, and due again. */
  onCallback(outcome: 'delivered' | 'retry' | 'parked'): void
  /** A receiver of callbacks was found to be down. */
  onReceiverPaused(): void
  /** The same plane, seen to work. */
  watchMedia(plane: MediaPlane): MediaPlane
  /** The same object, its mode changes timed from their order to the moment at which the sound has changed. */
  watchModes<C extends { changeMode(...order: ChangeModeOrder): Promise<unknown> }>(control: C): C
  /** From now on these are looked at by `text`. */
  lookAt(sources: Sources): void
  /** Everything in the text format. Never waits for longer than `LOOK_MS`: what does not answer is left out. */
  text(): Promise<string>
  /** Of `text`. */
  readonly contentType: string
}

type ChangeModeOrder = readonly [accountId: never, callId: never, legId: never, mode: Mode]

export interface MetricsOptions {
  /** With figures of the process itself, which cost a timer: memory, CPU, delay of the event loop. */
  readonly process: boolean
  /** Any monotonic clock, ms. */
  readonly clock: () => number
  readonly onTrouble: (error: unknown) => void
  /** Default `LOOK_MS`. */
  readonly lookMs?: number
}

/** What does not answer by then is left out of an answer. */
export const LOOK_MS = 2_000
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])
const HTTP_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15]
/** A mode change takes a statement and a message to the sound's thread: some milliseconds. */
const MODE_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5]

export function makeMetrics({ process, clock, onTrouble, lookMs = LOOK_MS }: MetricsOptions): Metrics {
  const registry = new Registry()
  const registers = [registry]
  if (process) collectDefaultMetrics({ register: registry })
  const calls = makeCallCounting(registry)
  const media = makeMediaCounting(registry)
  const crashed = new Counter({
    name: 'earshot_calls_crashed_total',
    help: 'Calls that were live when the server died, closed at its next start.',
    registers,
  })
  const requests = makeRequestCounting(registry)
  const modeSeconds = new Histogram({
    name: 'earshot_mode_change_duration_seconds',
    help: 'From the order to change a mode (PUT) to the moment at which the sound has changed.',
    labelNames: ['mode'],
    buckets: MODE_BUCKETS_S,
    registers,
  })
  const attempts = new Counter({
    name: 'earshot_callback_attempts_total',
    help: 'Attempts to deliver a callback, by what came of them.',
    labelNames: ['outcome'],
    registers,
  })
  for (const outcome of ['delivered', 'retry', 'parked']) attempts.inc({ outcome }, 0)
  const pauses = new Counter({
    name: 'earshot_callback_receiver_pauses_total',
    help: 'Times that a receiver of callbacks was found to be down and left alone for a while.',
    registers,
  })
  const look = makeLooking(registry)
  let sources: Sources | null = null
  const safely = (count: () => void): void => {
    try {
      count()
    } catch (error) {
      onTrouble(error)
    }
  }
  return {
    onCall: (before, after) => safely(() => calls.count(before, after)),
    onCrashedCalls: (count) => safely(() => crashed.inc(count)),
    onLimit: (reason) => safely(() => calls.limit(reason)),
    onRequest: (request) => safely(() => requests.count(request)),
    onCallback: (outcome) => safely(() => attempts.inc({ outcome })),
    onReceiverPaused: () => safely(() => pauses.inc()),
    watchMedia: (plane) => media.watch(plane, safely),
    watchModes: (control) => ({
      ...control,
      async changeMode(...order: ChangeModeOrder) {
        const from = clock()
        const answer = await control.changeMode(...order)
        safely(() => modeSeconds.observe({ mode: order[3] }, (clock() - from) / 1000))
        return answer
      },
    }),
    lookAt: (found) => {
      sources = found
    },
    async text() {
      const looking = [media.sample(safely), ...(sources === null ? [] : [look(sources)])]
      await Promise.all(looking.map((work) => withinTime(work, lookMs).catch(onTrouble)))
      return registry.metrics()
    },
    contentType: registry.contentType,
  }
}

function makeRequestCounting(registry: Registry): { count(request: AnsweredRequest): void } {
  const registers = [registry]
  const labelNames = ['method', 'route', 'status'] as const
  const requests = new Counter({ name: 'earshot_http_requests_total', help: 'HTTP requests answered.', labelNames, registers })
  const seconds = new Histogram({
    name: 'earshot_http_request_duration_seconds',
    help: 'From the head of a request to the end of its answer.',
    labelNames: ['method', 'route'],
    buckets: HTTP_BUCKETS_S,
    registers,
  })
  return {
    count(request) {
      // A client may say any word for a method, and any path: neither may make a series.
      const method = METHODS.has(request.method) ? request.method : 'other'
      const route = request.route ?? 'none'
      requests.inc({ method, route, status: String(request.status) })
      seconds.observe({ method, route }, request.seconds)
    },
  }
}

/** What is a state, not an event: read when somebody asks. */
function makeLooking(registry: Registry): (sources: Sources) => Promise<void> {
  const gauge = (name: string, help: string): Gauge => new Gauge({ name, help, registers: [registry] })
  const counter = (name: string, help: string): Counter => new Counter({ name, help, registers: [registry] })
  const engineLegs = gauge('earshot_engine_legs', 'Legs that the engine holds.')
  const sessions = gauge('earshot_sip_sessions', 'SIP sessions that still owe somebody something.')
  const transactions = gauge('earshot_sip_transactions', 'SIP transactions in memory.')
  const registrations = gauge('earshot_sip_registrations', 'Contacts of phones that are registered.')
  const malformed = counter('earshot_sip_malformed_messages_total', 'SIP messages that could not be read.')
  const dropped = counter('earshot_sip_dropped_messages_total', 'SIP messages dropped unread: their source has not proved itself and sends too many.')
  const databaseUp = gauge('earshot_database_up', '1 when the database answered while these metrics were read.')
  const pending = gauge('earshot_callbacks_pending', 'Callbacks that are not delivered yet; counted up to 10000.')
  const oldest = gauge('earshot_callbacks_oldest_pending_seconds', 'Age of the oldest of them.')
  const lag = gauge('earshot_callbacks_lag_seconds', 'For how long the next callback is overdue; 0 when none is.')
  const parked = gauge('earshot_callbacks_parked', 'Callbacks that nobody accepted, kept until they are deleted; counted up to 10000.')
  const paused = gauge('earshot_callback_receivers_paused', 'Receivers of callbacks that are left alone now, as they are down.')
  const rise = (metric: Counter, last: { at: number }, to: number): void => {
    metric.inc(Math.max(0, to - last.at))
    last.at = to
  }
  const [seenMalformed, seenDropped] = [{ at: 0 }, { at: 0 }]
  return async ({ engine, callbackBacklog, pausedReceivers }) => {
    const counts = engine.counts()
    engineLegs.set(counts.legs)
    sessions.set(counts.sessions)
    transactions.set(counts.transactions)
    registrations.set(engine.registrations().length)
    paused.set(pausedReceivers())
    rise(malformed, seenMalformed, counts.malformed)
    rise(dropped, seenDropped, counts.dropped)
    databaseUp.set(0)
    // What the database does not say is not made up.
    for (const each of [pending, oldest, lag, parked]) each.set(Number.NaN)
    const backlog = await callbackBacklog()
    databaseUp.set(1)
    pending.set(backlog.pending)
    oldest.set(backlog.oldestMs / 1000)
    lag.set(backlog.overdueMs / 1000)
    parked.set(backlog.parked)
  }
}

async function withinTime(work: Promise<void>, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, fail) => {
    timer = setTimeout(() => fail(new Error(`a source of metrics did not answer within ${limitMs} ms`)), limitMs)
  })
  await Promise.race([work, late]).finally(() => clearTimeout(timer))
}
