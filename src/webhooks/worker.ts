/**
 * Delivers callbacks: claim, send, settle; again when NOTIFY says so, when an attempt has ended, when the next one is
 * due, and at a floor. Any number of workers may run on one database.
 */
import type { AccountId } from '../domain/ids.ts'
import type { Database, Listening, Log } from '../store/database.ts'
import { CALLBACK_CHANNEL, claimCallbacks, type ClaimedCallback, nextDueAt, releaseClaims, settleCallback, type Settlement } from '../store/outbox.ts'
import { makeAddressGuard } from './guard.ts'
import { DEFAULT_SCHEDULE, retryAt } from './schedule.ts'
import { type AttemptResult, makeSender } from './sender.ts'
import { signatureHeaders } from './signature.ts'

export interface WebhookWorkerOptions {
  readonly database: Database
  /** This process among those that share the database. */
  readonly node: string
  /** The operator's `callbacks.allow[]`: address or CIDR block, each with an optional port (see `parseAllowRule`). */
  readonly allow: readonly string[]
  /** The account's Standard Webhooks secret, `whsec_…`. */
  readonly secretOf: (accountId: AccountId) => Promise<string>
  /** Waits between attempts, ms. Default: contract C27's. */
  readonly schedule?: readonly number[]
  /** An attempt is given up after this, ms. Default 15000. */
  readonly timeoutMs?: number
  readonly now: () => number
  readonly log: Log
  /** An attempt was recorded; for those who count. Must not throw. */
  readonly onSettled?: (outcome: Settlement['kind']) => void
  /** Attempts under way at most. Default 64. */
  readonly concurrency?: number
  /** Attempts under way at one receiver at most. Default 8. */
  readonly perReceiver?: number
}

export interface WebhookWorker {
  start(): Promise<void>
  /** Delivers what is due, for at most one time-out, then no more; what is cut off is due again later. */
  stop(): Promise<void>
  /** Looks for due callbacks now. */
  kick(): void
}

const TIMEOUT_MS = 15_000
const CONCURRENCY = 64
const PER_RECEIVER = 8
/** A lease outlives the attempt by this much: the time to sign before it and to settle after it. */
const LEASE_MARGIN_MS = 15_000
/** Notifications can be missed; nothing waits for longer than this. */
const POLL_MS = 5_000
const USER_AGENT = 'Earshot'

interface Shop {
  readonly options: WebhookWorkerOptions
  readonly attempt: (callback: ClaimedCallback) => Promise<AttemptResult>
  readonly schedule: readonly number[]
}

/** @throws {Error} for an entry of `allow` that is no address. */
export function makeWebhookWorker(options: WebhookWorkerOptions): WebhookWorker {
  const { database, now, log, timeoutMs = TIMEOUT_MS, concurrency = CONCURRENCY, perReceiver = PER_RECEIVER } = options
  const sender = makeSender({ guard: makeAddressGuard(options.allow), timeoutMs })
  const shop: Shop = { options, schedule: options.schedule ?? DEFAULT_SCHEDULE, attempt: (callback) => attempt(callback, options, sender.send) }
  const deliveries = makeDeliveries((callback) => deliver(callback, shop), kick)
  const terms = { node: options.node, leaseMs: timeoutMs + LEASE_MARGIN_MS, perReceiver, underWay: deliveries.byReceiver }
  let state: 'new' | 'running' | 'stopped' = 'new'
  let pumping: Promise<void> | null = null
  let again = false
  /** What this node's last life left claimed was made due again. */
  let released = false
  let timer: NodeJS.Timeout | undefined
  let listening: Listening | null = null

  function kick(): void {
    again = true
    if (state !== 'running' || pumping !== null) return
    clearTimeout(timer)
    pumping = pump()
      .catch((error: unknown) => {
        log.warn({ event: 'callback-claim-failed', err: error }, 'Could not look for callbacks that are due')
        return now() + POLL_MS
      })
      .then((wakeAt) => {
        pumping = null
        if (again) return kick()
        if (state === 'running') timer = setTimeout(kick, Math.max(0, Math.min(POLL_MS, wakeAt - now())))
      })
  }

  /** Starts every attempt that may be made now. @returns When to look again, epoch ms. */
  async function pump(): Promise<number> {
    if (!released) await releaseClaims(database.sql, options.node, now())
    released = true
    while (again && state === 'running' && deliveries.running.size < concurrency) {
      again = false
      const claimed = await claimCallbacks(database.sql, { ...terms, now: now(), limit: concurrency - deliveries.running.size })
      for (const callback of claimed) deliveries.begin(callback)
      if (claimed.length > 0) again = true
    }
    again = false
    return (await nextDueAt(database.sql, now())) ?? now() + POLL_MS
  }

  /** Until nothing more can be started and nothing is under way. */
  async function drain(): Promise<void> {
    do {
      kick()
      while (pumping !== null) await pumping
      await Promise.all(deliveries.running)
    } while (pumping !== null || deliveries.running.size > 0)
  }

  return {
    start: async () => {
      listening = await database.listen(CALLBACK_CHANNEL, kick)
      state = 'running'
      kick()
    },
    stop: async () => {
      if (state === 'running') await within(timeoutMs, drain())
      state = 'stopped'
      clearTimeout(timer)
      await listening?.close()
      await sender.close()
      await Promise.all([pumping, ...deliveries.running])
    },
    kick,
  }
}

interface Deliveries {
  readonly running: ReadonlySet<Promise<void>>
  /** How many run, by receiver. */
  readonly byReceiver: ReadonlyMap<string, number>
  begin(callback: ClaimedCallback): void
}

/**
 * @param work Never rejects.
 * @param onDone Called when one has ended and no longer counts.
 */
function makeDeliveries(work: (callback: ClaimedCallback) => Promise<void>, onDone: () => void): Deliveries {
  const running = new Set<Promise<void>>()
  const byReceiver = new Map<string, number>()
  const count = (receiver: string, change: number): void => {
    const next = (byReceiver.get(receiver) ?? 0) + change
    if (next > 0) byReceiver.set(receiver, next)
    else byReceiver.delete(receiver)
  }
  function begin(callback: ClaimedCallback): void {
    count(callback.receiver, 1)
    const delivery = work(callback).finally(() => {
      running.delete(delivery)
      count(callback.receiver, -1)
      onDone()
    })
    running.add(delivery)
  }
  return { running, byReceiver, begin }
}

async function attempt(
  callback: ClaimedCallback,
  { secretOf, now }: WebhookWorkerOptions,
  send: ReturnType<typeof makeSender>['send'],
): Promise<AttemptResult> {
  const { id, url, body, contentType } = callback
  const signature = signatureHeaders(await secretOf(callback.accountId), { id, body, now: now() })
  return send({ url, body, headers: { 'content-type': contentType, 'user-agent': USER_AGENT, ...signature } })
}

/** One attempt and its record. Never rejects: what cannot be recorded is due again when the lease ends. */
async function deliver(callback: ClaimedCallback, { options, schedule, attempt }: Shop): Promise<void> {
  const { database, now, log } = options
  const fields = { callback: callback.id, call: callback.callId, leg: callback.legId, receiver: callback.receiver, attempt: callback.attempts }
  try {
    const result = await attempt(callback)
    const settlement = verdict(callback, result, { schedule, now: now() })
    const held = await settleCallback(database.sql, callback, settlement, now())
    if (held) options.onSettled?.(settlement.kind)
    if (!held) log.warn({ event: 'callback-lease-lost', ...fields }, 'A callback took longer than its lease; another worker has it')
    else if (!result.ok) log.warn({ event: `callback-${settlement.kind}`, ...fields, ...loggable(result) }, 'A callback was not accepted')
  } catch (error) {
    log.error(
      { event: 'callback-attempt-lost', err: error, ...fields },
      'A callback could not be signed or its attempt not be recorded; it is tried again',
    )
  }
}

/** A receiver's own words stay in its record: they may repeat what was sent, numbers included. */
function loggable({
  status,
  error,
}: {
  readonly status: number | null
  readonly error: string
}): { readonly status: number } | { readonly reason: string } {
  return status === null ? { reason: error } : { status }
}

/** A refused address follows the schedule like any other failure: the operator may correct the allow-list meanwhile. */
function verdict(
  callback: ClaimedCallback,
  result: AttemptResult,
  { schedule, now }: { readonly schedule: readonly number[]; readonly now: number },
): Settlement {
  if (result.ok) return { kind: 'delivered', status: result.status }
  const at = retryAt(callback.round, now, schedule)
  const { status, error } = result
  return at === null ? { kind: 'parked', status, error } : { kind: 'retry', at, status, error }
}

async function within(limitMs: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((done) => {
    timer = setTimeout(done, limitMs)
  })
  await Promise.race([work, late])
  clearTimeout(timer)
}
