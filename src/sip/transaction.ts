/**
 * The four transactions of RFC 3261 §17 as amended by RFC 6026: a value and a step each.
 *
 * At the end the queue that fires their deadlines, a heap, since there are tens of thousands of them.
 *
 * Pure: `step` takes one input and the time, returns the next value and what to do. What is not legal in a state moves
 * nothing and says nothing (the very same value comes back). It never reads a clock, starts a timer or sees a message.
 *
 *   invite-client   calling ──1xx──▶ proceeding ──2xx──▶ accepted ──M──▶ terminated
 *                      │                 └─────3xx-6xx──▶ completed ──D──▶ terminated
 *                      └──B, or no answer to our CANCEL, or transport──▶ terminated
 *   request-client  trying ──1xx──▶ proceeding ──final──▶ completed ──K──▶ terminated        (either ──F──▶ terminated)
 *   invite-server   proceeding ──2xx──▶ accepted ──L──▶ terminated
 *                      └──────3xx-6xx──▶ completed ──ACK──▶ confirmed ──I──▶ terminated      (completed ──H──▶ terminated)
 *   request-server  trying ──1xx──▶ proceeding ──final──▶ completed ──J──▶ terminated        (either ──F──▶ terminated)
 *
 * Where we differ from the letter, and why:
 *  - `accepted` of the server repeats the 2xx itself (timers G and H). The RFC gives that to the user of the transaction
 *    (§13.3.1.4) with the same arithmetic; here it is one schedule in one place. The repeats also run over TCP, as there.
 *  - A server that nobody makes answer ends when the client's timer F has passed: no one would hear the answer (RFC 4320 §4).
 *  - A server whose transport fails ends at once in `proceeding` and `completed`; the far end has no way left to hear it.
 *  - Timers D, I, J and K of zero length (reliable transports) are not set: the step goes straight to `terminated`.
 */
export const T1_MS = 500
export const T2_MS = 4_000
export const T4_MS = 5_000
/** B, F, H, J, L and M: how long a lost message may still come. */
export const TIMEOUT_MS = 64 * T1_MS
/** How long a client INVITE stays to acknowledge repeated 3xx to 6xx. */
export const TIMER_D_MS = 32_000

type Deadlines<T extends string> = Readonly<Partial<Record<T, number>>>

export interface InviteClient {
  readonly kind: 'invite-client'
  readonly state: 'calling' | 'proceeding' | 'accepted' | 'completed' | 'terminated'
  readonly reliable: boolean
  /** Absolute, in ms. A timer that is not running has no key. */
  readonly deadlines: Deadlines<'A' | 'B' | 'D' | 'M'>
  /** Interval until the next retransmission, in ms; doubles each time. */
  readonly retransmitMs: number
}
export interface RequestClient {
  readonly kind: 'request-client'
  readonly state: 'trying' | 'proceeding' | 'completed' | 'terminated'
  readonly reliable: boolean
  readonly deadlines: Deadlines<'E' | 'F' | 'K'>
  /** As above, but never above T2. */
  readonly retransmitMs: number
}
export interface InviteServer {
  readonly kind: 'invite-server'
  readonly state: 'proceeding' | 'accepted' | 'completed' | 'confirmed' | 'terminated'
  readonly reliable: boolean
  readonly deadlines: Deadlines<'G' | 'H' | 'I' | 'L'>
  /** Of the final response, in ms; doubles each time up to T2. */
  readonly retransmitMs: number
}
export interface RequestServer {
  readonly kind: 'request-server'
  readonly state: 'trying' | 'proceeding' | 'completed' | 'terminated'
  readonly reliable: boolean
  readonly deadlines: Deadlines<'F' | 'J'>
}
export type Transaction = InviteClient | RequestClient | InviteServer | RequestServer
export type TimerName = 'A' | 'B' | 'D' | 'E' | 'F' | 'G' | 'H' | 'I' | 'J' | 'K' | 'L' | 'M'

export type Input =
  /** To a client: a response with that status came. */
  | { readonly kind: 'response'; readonly status: number }
  /** To a client INVITE: its CANCEL was sent, so an answer is owed within 64·T1 (§9.1). */
  | { readonly kind: 'cancelled' }
  /** To a server: the request came again. */
  | { readonly kind: 'request' }
  /** To a server INVITE: the ACK came (for 2xx the dialog found it, since its branch is another). */
  | { readonly kind: 'ack' }
  /** To a server: its user answers. */
  | { readonly kind: 'respond'; readonly status: number }
  | { readonly kind: 'deadline'; readonly timer: TimerName }
  | { readonly kind: 'transport-error' }

export type Output =
  /** `request` and `response`: the (newest) bytes of this transaction, again or for the first time. */
  | { readonly kind: 'send'; readonly what: 'request' | 'ack' | 'response' }
  /** Hand the message that was the input to the transaction's user. */
  | { readonly kind: 'deliver' }
  | { readonly kind: 'failed'; readonly reason: 'timeout' | 'transport' }

export type Step<T extends Transaction = Transaction> = readonly [T, readonly Output[]]

const SEND_REQUEST = [{ kind: 'send', what: 'request' }] as const
const SEND_RESPONSE = [{ kind: 'send', what: 'response' }] as const
const SEND_ACK = [{ kind: 'send', what: 'ack' }] as const
const ACK_AND_DELIVER = [{ kind: 'send', what: 'ack' }, { kind: 'deliver' }] as const
const DELIVER = [{ kind: 'deliver' }] as const
const TIMED_OUT = [{ kind: 'failed', reason: 'timeout' }] as const
const TRANSPORT_FAILED = [{ kind: 'failed', reason: 'transport' }] as const

/** A client INVITE; the request goes out (§17.1.1.2). */
export function startInviteClient(reliable: boolean, now: number): Step<InviteClient> {
  const deadlines = reliable ? { B: now + TIMEOUT_MS } : { A: now + T1_MS, B: now + TIMEOUT_MS }
  return [{ kind: 'invite-client', state: 'calling', reliable, deadlines, retransmitMs: T1_MS }, SEND_REQUEST]
}

/** Any other client request but ACK; the request goes out (§17.1.2.2). */
export function startRequestClient(reliable: boolean, now: number): Step<RequestClient> {
  const deadlines = reliable ? { F: now + TIMEOUT_MS } : { E: now + T1_MS, F: now + TIMEOUT_MS }
  return [{ kind: 'request-client', state: 'trying', reliable, deadlines, retransmitMs: T1_MS }, SEND_REQUEST]
}

/** An INVITE that came in (§17.2.1). It has no limit of its own until its user answers. */
export const startInviteServer = (reliable: boolean): InviteServer => ({
  kind: 'invite-server',
  state: 'proceeding',
  reliable,
  deadlines: {},
  retransmitMs: T1_MS,
})

/** Any other request that came in, but ACK (§17.2.2). */
export const startRequestServer = (reliable: boolean, now: number): RequestServer => ({
  kind: 'request-server',
  state: 'trying',
  reliable,
  deadlines: { F: now + TIMEOUT_MS },
})

/** The timer that fires next, or null. Of two at one instant the one that reports a failure comes first. */
export function nextTimer(transaction: Transaction): { readonly timer: TimerName; readonly at: number } | null {
  const deadlines: Deadlines<TimerName> = transaction.deadlines
  let timer: TimerName | null = null
  let at = Infinity
  let name: TimerName
  for (name in deadlines) {
    const deadline = deadlines[name]
    if (deadline === undefined || deadline >= at) continue
    timer = name
    at = deadline
  }
  return timer === null ? null : { timer, at }
}

/** One input to one transaction of any kind. */
export function step(transaction: Transaction, input: Input, now: number): Step {
  switch (transaction.kind) {
    case 'invite-client':
      return stepInviteClient(transaction, input, now)
    case 'request-client':
      return stepRequestClient(transaction, input, now)
    case 'invite-server':
      return stepInviteServer(transaction, input, now)
    case 'request-server':
      return stepRequestServer(transaction, input, now)
  }
}

function stepInviteClient(tx: InviteClient, input: Input, now: number): Step<InviteClient> {
  switch (input.kind) {
    case 'response':
      return inviteResponse(tx, input.status, now)
    case 'cancelled':
      return tx.state === 'proceeding' ? [{ ...tx, deadlines: { B: now + TIMEOUT_MS } }, []] : [tx, []]
    case 'transport-error':
      return tx.state === 'calling' || tx.state === 'proceeding' ? [end(tx), TRANSPORT_FAILED] : [tx, []]
    case 'deadline':
      return inviteClientDeadline(tx, input.timer, now)
    case 'request':
    case 'ack':
    case 'respond':
      return [tx, []]
  }
}

function inviteResponse(tx: InviteClient, status: number, now: number): Step<InviteClient> {
  switch (tx.state) {
    case 'calling':
      if (status < 200) return [{ ...tx, state: 'proceeding', deadlines: {} }, DELIVER]
      return inviteFinal(tx, status, now)
    case 'proceeding':
      if (status < 200) return [tx, DELIVER]
      return inviteFinal(tx, status, now)
    case 'accepted': // Repeated or forked 2xx: the user sends its ACK (§13.2.2.4).
      return [tx, status >= 200 && status < 300 ? DELIVER : []]
    case 'completed': // Acknowledged again, not delivered again.
      return [tx, status >= 300 ? SEND_ACK : []]
    case 'terminated':
      return [tx, []]
  }
}

function inviteFinal(tx: InviteClient, status: number, now: number): Step<InviteClient> {
  if (status < 300) return [{ ...tx, state: 'accepted', deadlines: { M: now + TIMEOUT_MS } }, DELIVER]
  if (tx.reliable) return [end(tx), ACK_AND_DELIVER]
  return [{ ...tx, state: 'completed', deadlines: { D: now + TIMER_D_MS } }, ACK_AND_DELIVER]
}

function inviteClientDeadline(tx: InviteClient, timer: TimerName, now: number): Step<InviteClient> {
  if (timer === 'A' && tx.state === 'calling' && !tx.reliable) {
    const retransmitMs = tx.retransmitMs * 2
    return [{ ...tx, retransmitMs, deadlines: { ...tx.deadlines, A: now + retransmitMs } }, SEND_REQUEST]
  }
  if (timer === 'B' && (tx.state === 'calling' || (tx.state === 'proceeding' && tx.deadlines.B !== undefined))) return [end(tx), TIMED_OUT]
  if (timer === 'D' && tx.state === 'completed') return [end(tx), []]
  if (timer === 'M' && tx.state === 'accepted') return [end(tx), []]
  return [tx, []]
}

function stepRequestClient(tx: RequestClient, input: Input, now: number): Step<RequestClient> {
  const open = tx.state === 'trying' || tx.state === 'proceeding'
  switch (input.kind) {
    case 'response':
      if (!open) return [tx, []]
      if (input.status < 200) return tx.state === 'trying' ? [{ ...tx, state: 'proceeding' }, DELIVER] : [tx, DELIVER]
      if (tx.reliable) return [end(tx), DELIVER]
      return [{ ...tx, state: 'completed', deadlines: { K: now + T4_MS } }, DELIVER]
    case 'transport-error':
      return open ? [end(tx), TRANSPORT_FAILED] : [tx, []]
    case 'deadline':
      if (input.timer === 'E' && open && !tx.reliable) {
        const retransmitMs = tx.state === 'proceeding' ? T2_MS : Math.min(tx.retransmitMs * 2, T2_MS)
        return [{ ...tx, retransmitMs, deadlines: { ...tx.deadlines, E: now + retransmitMs } }, SEND_REQUEST]
      }
      if (input.timer === 'F' && open) return [end(tx), TIMED_OUT]
      if (input.timer === 'K' && tx.state === 'completed') return [end(tx), []]
      return [tx, []]
    case 'cancelled':
    case 'request':
    case 'ack':
    case 'respond':
      return [tx, []]
  }
}

function stepInviteServer(tx: InviteServer, input: Input, now: number): Step<InviteServer> {
  switch (input.kind) {
    case 'request': // In `accepted` the 2xx has its own schedule; the repeat is absorbed (RFC 6026 §7.1).
      return [tx, tx.state === 'proceeding' || tx.state === 'completed' ? SEND_RESPONSE : []]
    case 'respond':
      return inviteAnswer(tx, input.status, now)
    case 'ack':
      if (tx.state === 'completed') return tx.reliable ? [end(tx), []] : [{ ...tx, state: 'confirmed', deadlines: { I: now + T4_MS } }, []]
      if (tx.state !== 'accepted' || tx.deadlines.H === undefined) return [tx, []]
      return [{ ...tx, deadlines: tx.deadlines.L === undefined ? {} : { L: tx.deadlines.L } }, DELIVER]
    case 'transport-error':
      if (tx.state === 'proceeding') return [end(tx), TRANSPORT_FAILED]
      if (tx.state === 'completed') return [end(tx), []]
      return tx.state === 'accepted' && tx.deadlines.H !== undefined ? [end(tx), TRANSPORT_FAILED] : [tx, []]
    case 'deadline':
      return inviteServerDeadline(tx, input.timer, now)
    case 'response':
    case 'cancelled':
      return [tx, []]
  }
}

function inviteAnswer(tx: InviteServer, status: number, now: number): Step<InviteServer> {
  if (tx.state !== 'proceeding') return [tx, []]
  if (status < 200) return [tx, SEND_RESPONSE]
  const waiting = { H: now + TIMEOUT_MS, G: now + T1_MS }
  if (status < 300) return [{ ...tx, state: 'accepted', deadlines: { ...waiting, L: now + TIMEOUT_MS } }, SEND_RESPONSE]
  return [{ ...tx, state: 'completed', deadlines: tx.reliable ? { H: waiting.H } : waiting }, SEND_RESPONSE]
}

function inviteServerDeadline(tx: InviteServer, timer: TimerName, now: number): Step<InviteServer> {
  const unacknowledged = (tx.state === 'accepted' || tx.state === 'completed') && tx.deadlines.H !== undefined
  if (timer === 'G' && unacknowledged && tx.deadlines.G !== undefined) {
    const retransmitMs = Math.min(tx.retransmitMs * 2, T2_MS)
    return [{ ...tx, retransmitMs, deadlines: { ...tx.deadlines, G: now + retransmitMs } }, SEND_RESPONSE]
  }
  if (timer === 'H' && unacknowledged) return [end(tx), TIMED_OUT]
  if (timer === 'I' && tx.state === 'confirmed') return [end(tx), []]
  if (timer === 'L' && tx.state === 'accepted') return [end(tx), []]
  return [tx, []]
}

function stepRequestServer(tx: RequestServer, input: Input, now: number): Step<RequestServer> {
  const open = tx.state === 'trying' || tx.state === 'proceeding'
  switch (input.kind) {
    case 'request':
      return [tx, tx.state === 'proceeding' || tx.state === 'completed' ? SEND_RESPONSE : []]
    case 'respond':
      if (!open) return [tx, []]
      if (input.status < 200) return [tx.state === 'trying' ? { ...tx, state: 'proceeding' } : tx, SEND_RESPONSE]
      if (tx.reliable) return [end(tx), SEND_RESPONSE]
      return [{ ...tx, state: 'completed', deadlines: { J: now + TIMEOUT_MS } }, SEND_RESPONSE]
    case 'transport-error':
      return open ? [end(tx), TRANSPORT_FAILED] : [tx, []]
    case 'deadline':
      if (input.timer === 'F' && open) return [end(tx), TIMED_OUT]
      if (input.timer === 'J' && tx.state === 'completed') return [end(tx), []]
      return [tx, []]
    case 'response':
    case 'cancelled':
    case 'ack':
      return [tx, []]
  }
}

/** Nothing runs in `terminated`, and nothing is heard there. */
const end = <T extends Transaction>(tx: T): T => ({ ...tx, state: 'terminated', deadlines: {} })

/**
 * Something that wants to be called at a time. It may stand in the queue more than once; only the entry of `queuedAt`
 * counts, so that setting an alarm later (what most steps do) costs nothing.
 */
export interface Alarm {
  at: number | null
  queuedAt: number | null
  readonly fire: (now: number) => void
}
interface AlarmEntry {
  readonly at: number
  readonly alarm: Alarm
}
/** A binary heap, earliest first. */
export type AlarmQueue = AlarmEntry[]

export const makeAlarm = (fire: (now: number) => void): Alarm => ({ at: null, queuedAt: null, fire })

export function setAlarm(queue: AlarmQueue, alarm: Alarm, at: number | null): void {
  alarm.at = at
  if (at === null || (alarm.queuedAt !== null && alarm.queuedAt <= at)) return
  alarm.queuedAt = at
  let index = queue.push({ at, alarm }) - 1
  while (index > 0) {
    const parent = (index - 1) >> 1
    if (!swapIfEarlier(queue, index, parent)) return
    index = parent
  }
}

export const dropAlarm = (alarm: Alarm): void => {
  alarm.at = null
}

/** When `fireAlarms` is wanted next, or null. */
export function nextAlarm(queue: AlarmQueue): number | null {
  for (let top = queue[0]; top !== undefined; top = queue[0]) {
    if (top.alarm.at === top.at && top.alarm.queuedAt === top.at) return top.at
    requeue(queue, top)
  }
  return null
}

/** Fires every alarm that is due, in order of time. */
export function fireAlarms(queue: AlarmQueue, now: number): void {
  for (let at = nextAlarm(queue); at !== null && at <= now; at = nextAlarm(queue)) {
    const alarm = pop(queue)?.alarm
    if (alarm === undefined) return
    alarm.at = null
    alarm.queuedAt = null
    alarm.fire(now)
  }
}

/** Takes the top away, and puts its alarm where it belongs by now. */
function requeue(queue: AlarmQueue, top: AlarmEntry): void {
  pop(queue)
  if (top.alarm.queuedAt !== top.at) return // An earlier entry of it has superseded this one.
  top.alarm.queuedAt = null
  setAlarm(queue, top.alarm, top.alarm.at)
}

function pop(queue: AlarmQueue): AlarmEntry | undefined {
  const top = queue[0]
  const last = queue.pop()
  if (last === undefined || queue.length === 0) return top
  queue[0] = last
  for (let index = 0; ; ) {
    const left = 2 * index + 1
    const right = left + 1
    const child = (queue[right]?.at ?? Infinity) < (queue[left]?.at ?? Infinity) ? right : left
    if (child >= queue.length || !swapIfEarlier(queue, child, index)) return top
    index = child
  }
}

function swapIfEarlier(queue: AlarmQueue, child: number, parent: number): boolean {
  const lower = queue[child]
  const upper = queue[parent]
  if (lower === undefined || upper === undefined || lower.at >= upper.at) return false
  queue[child] = upper
  queue[parent] = lower
  return true
}
