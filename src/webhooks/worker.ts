/**
 * Delivers callbacks: claim, send, settle; again when NOTIFY says so, when an attempt has ended, when the next one is
 * due, when a receiver's pause is over, and at a floor. Any number of workers may run on one database.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { AccountId } from '../domain/ids.ts'
import type { Database, Listening, Log } from '../store/database.ts'
import { type ClaimedCallback, claimCallbacks, nextDueAt, releaseClaims, settleCallbacks, type Settlement } from '../store/outbox/delivery.ts'
import { forgetPauses, savePause } from '../store/outbox/pauses.ts'
import { CALLBACK_CHANNEL } from '../store/outbox/rows.ts'
import { makeAddressGuard } from './guard.ts'
import { makePauseBook, type PauseBook } from './pause-book.ts'
import { type AttemptOutcome, makeReceivers, type Receivers, type UnderWay } from './receivers.ts'
import { DEFAULT_SCHEDULE, retryAt } from './schedule.ts'
import { type AttemptResult, makeSender, type Sender } from './sender.ts'
import { makeSettling, type Settling } from './settling.ts'
import { signatureHeaders } from './signature.ts'

export interface WebhookWorkerOptions {
  readonly database: Database
  /** This process among those that share the database. */
  readonly node: string
  /** The operator's `callbacks.allow[]`: address or CIDR block, each with an optional port (see `parseAllowRule`). */
  readonly allow: readonly string[]
  /** The account's Standard Webhooks secrets, `whsec_…`, the newest first. At least one. */
  readonly secretsOf: (accountId: AccountId) => Promise<readonly string[]>
  /** Waits between attempts, ms. Default: contract C27's. */
  readonly schedule?: readonly number[]
  /** Fair, from 0 to 1 (1 excluded): what makes waits differ. */
  readonly chance: () => number
  /** An attempt is given up after this, ms. Default 15000. */
  readonly timeoutMs?: number
  readonly now: () => number
  readonly log: Log
  /** An attempt was recorded; for those who count. Must not throw. */
  readonly onSettled?: (outcome: Settlement['kind']) => void
  /** A receiver is left alone from now on; for those who count. Must not throw. */
  readonly onPaused?: () => void
  /** Attempts under way at most. Default 256. */
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
  /** How many receivers are left alone. */
  pausedReceivers(): number
}

const TIMEOUT_MS = 15_000
const CONCURRENCY = 256
const PER_RECEIVER = 8
/** A lease outlives the attempt by this much: the time to sign before it and to settle after it. */
const LEASE_MARGIN_MS = 15_000
/** Notifications can be missed; nothing waits for longer than this. */
const POLL_MS = 5_000
/** Between two looks: what comes or ends meanwhile is taken together. Under load it halves the statements, and it delays none by more. */
const REST_MS = 10
const USER_AGENT = 'Earshot'

interface Shop {
  readonly options: WebhookWorkerOptions
  readonly attempt: (callback: ClaimedCallback) => Promise<AttemptResult>
  readonly schedule: readonly number[]
  readonly settling: Settling
  readonly receivers: Receivers
  readonly pauses: PauseBook
}

/** @throws {Error} for an entry of `allow` that is no address. */
export function makeWebhookWorker(options: WebhookWorkerOptions): WebhookWorker {
  const { database, now, timeoutMs = TIMEOUT_MS } = options
  const sender = makeSender({ guard: makeAddressGuard(options.allow), timeoutMs })
  const shop = openShop(options, sender)
  const rounds = makeRounds(shop, timeoutMs + LEASE_MARGIN_MS)
  let listening: Listening | null = null
  return {
    start: async () => {
      listening = await database.listen(CALLBACK_CHANNEL, (receiver) => {
        if (receiver !== '') shop.receivers.ask(receiver, now())
        rounds.kick()
      })
      rounds.begin()
    },
    stop: async () => {
      await within(timeoutMs, rounds.drained())
      rounds.end()
      await listening?.close()
      await sender.close()
      await rounds.ended()
      await shop.pauses.written()
    },
    kick: rounds.kick,
    pausedReceivers: () => shop.receivers.pausedCount(),
  }
}

function openShop(options: WebhookWorkerOptions, sender: Sender): Shop {
  const { database, node, log, perReceiver = PER_RECEIVER } = options
  return {
    options,
    schedule: options.schedule ?? DEFAULT_SCHEDULE,
    attempt: (callback) => attempt(callback, options, sender),
    settling: makeSettling((batch) => settleCallbacks(database.sql, batch)),
    receivers: makeReceivers({ perReceiver }),
    pauses: makePauseBook({ write: (receiver, pause) => savePause(database.sql, node, receiver, pause), log }),
  }
}

/** The worker's round: look for what is due, begin it, sleep until there is a reason to look again. */
interface Rounds {
  /** From now on; before it a kick is kept in mind. */
  begin(): void
  kick(): void
  /** Nothing is begun any more. */
  end(): void
  /** Resolves when nothing more can be begun and nothing is under way. */
  drained(): Promise<void>
  /** Resolves when what was under way at the end has ended. */
  ended(): Promise<void>
}

function makeRounds(shop: Shop, leaseMs: number): Rounds {
  const { database, node, now, log, concurrency = CONCURRENCY, perReceiver = PER_RECEIVER } = shop.options
  const { sql } = database
  const { receivers } = shop
  const running = new Set<Promise<void>>()
  let state: 'new' | 'running' | 'stopped' = 'new'
  let [pumping, again]: [Promise<void> | null, boolean] = [null, false]
  /** What this node's last life left behind was put in order. */
  let released = false
  let timer: NodeJS.Timeout | undefined

  function kick(): void {
    again = true
    if (state !== 'running' || pumping !== null) return
    clearTimeout(timer)
    pumping = pump()
      .catch((error: unknown) => {
        log.warn({ event: 'callback-claim-failed', err: error }, 'Could not look for callbacks that are due')
        return now() + POLL_MS
      })
      .then(async (at) => {
        await sleep(REST_MS)
        pumping = null
        if (again) return kick()
        if (state === 'running') timer = setTimeout(kick, Math.max(0, Math.min(POLL_MS, at - now())))
      })
  }

  function start(callback: ClaimedCallback): void {
    const delivery = deliver(callback, receivers.begin(callback.receiver, now()), shop).finally(() => {
      running.delete(delivery)
      kick()
    })
    running.add(delivery)
  }

  /** Starts every attempt that may be made now. @returns When to look again, epoch ms. */
  async function pump(): Promise<number> {
    if (!released) await Promise.all([releaseClaims(sql, node, now()), forgetPauses(sql, node)])
    released = true
    while (again && state === 'running' && running.size < concurrency) {
      again = false
      const terms = { node, now: now(), leaseMs, perReceiver, limit: concurrency - running.size, taken: receivers.taken(now()) }
      for (const callback of await claimCallbacks(sql, terms)) start(callback)
    }
    again = false
    return wakeAt(await nextDueAt(sql, now()), receivers.nextProbeAt(now()), now() + POLL_MS)
  }

  return {
    begin: () => {
      state = 'running'
      kick()
    },
    kick,
    end: () => {
      state = 'stopped'
      clearTimeout(timer)
    },
    drained: async () => {
      while (state === 'running') {
        kick()
        while (pumping !== null) await pumping
        await Promise.all(running)
        if (pumping === null && running.size === 0) return
      }
    },
    ended: async () => void (await Promise.all([pumping, ...running])),
  }
}

const wakeAt = (...moments: readonly (number | null)[]): number => Math.min(...moments.filter((moment) => moment !== null))

async function attempt(callback: ClaimedCallback, { secretsOf, now }: WebhookWorkerOptions, sender: Sender): Promise<AttemptResult> {
  const { id, url, body, contentType } = callback
  const signature = signatureHeaders(await secretsOf(callback.accountId), { id, body, now: now() })
  return sender.send({ url, body, headers: { 'content-type': contentType, 'user-agent': USER_AGENT, ...signature } })
}

/** One attempt and its record. Never rejects: what cannot be recorded is due again when the lease ends. */
async function deliver(callback: ClaimedCallback, underWay: UnderWay, shop: Shop): Promise<void> {
  const { now, log, onSettled } = shop.options
  const fields = { callback: callback.id, call: callback.callId, leg: callback.legId, receiver: callback.receiver, attempt: callback.attempts }
  let result: AttemptResult | null = null
  try {
    result = await shop.attempt(callback)
    const settlement = verdict(callback, result, shop)
    const held = await shop.settling.settle({ id: callback.id, attempts: callback.attempts, settlement, at: now() })
    if (held) onSettled?.(settlement.kind)
    if (!held) log.warn({ event: 'callback-lease-lost', ...fields }, 'A callback took longer than its lease; another worker has it')
    else if (!result.ok) log.warn({ event: `callback-${settlement.kind}`, ...fields, ...loggable(result) }, 'A callback was not accepted')
  } catch (error) {
    log.error(
      { event: 'callback-attempt-lost', err: error, ...fields },
      'A callback could not be signed or its attempt not be recorded; it is tried again',
    )
  } finally {
    conclude(underWay, result, shop)
  }
}

/** What an attempt says about its receiver. */
function conclude(underWay: UnderWay, result: AttemptResult | null, { receivers, pauses, options }: Shop): void {
  const outcome = outcomeOf(result)
  const changed = receivers.end(underWay, outcome, options.now())
  if (changed === undefined) return
  const { receiver } = underWay
  const error = result === null || result.ok ? '' : result.error
  pauses.note(receiver, changed === null ? null : { receiver, ...changed, lastError: error })
  if (changed === null) options.log.info({ event: 'callback-receiver-resumed', receiver }, 'A receiver of callbacks answers again')
  else if (changed.probes === 0) {
    options.onPaused?.()
    options.log.warn(
      { event: 'callback-receiver-paused', receiver, until: new Date(changed.until) },
      'A receiver of callbacks is down and left alone for a while',
    )
  }
}

function outcomeOf(result: AttemptResult | null): AttemptOutcome {
  if (result === null || (!result.ok && result.isCutOff === true)) return 'lost'
  return result.ok || !result.isDown ? 'answered' : 'failed'
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
function verdict(callback: ClaimedCallback, result: AttemptResult, { schedule, options }: Shop): Settlement {
  if (result.ok) return { kind: 'delivered', status: result.status }
  const at = retryAt({ round: callback.round, failedAt: options.now(), schedule, chance: options.chance() })
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
