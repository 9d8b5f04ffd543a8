/**
 * What happens to calls, as it happens: an endless list that you walk with `for await`. A connection that is lost is opened again, and
 * goes on after the event that you were given last; when the server no longer knows what came after it, a `snapshot` with
 * `Missed: 'true'` begins anew.
 *
 *   opening ──▶ reading ──ends, breaks off, falls silent──▶ waiting ──▶ opening …     until you leave, or the server says no
 */
import { EarshotError } from '../errors.ts'
import { type Opening, type RequestOptions, type Transport, unexpectedAnswer } from '../request.ts'
import type { Call, Leg, Mode } from '../resources.ts'
import { waitAfter } from '../retry.ts'
import { SSE_START, sseAfter, type SseMessage } from '../sse.ts'
import { querySpelled } from './pages.ts'

export type LegState = 'ringing' | 'answered' | 'ended'

/** A leg as events tell of it. */
export interface LiveLeg extends Omit<Leg, 'Uri'> {
  /** Whether it was picked up, which `Status` does not say. */
  readonly State: LegState
  /** Whom a whisper is for; null on a party. */
  readonly TargetLegSid: string | null
}

/** A supervisor was rung, joined, or has another mode. */
export interface ModeChange {
  readonly CallSid: string
  readonly LegSid: string
  readonly TargetLegSid: string | null
  readonly Action: Mode | null
  /** Null for a supervisor who is new. */
  readonly PreviousAction: Mode | null
  readonly State: LegState
  readonly DateUpdated: string
}

/** Who hears whom: a row for each ear, be it a leg's or one channel of the recording. */
export interface HearingTable {
  readonly CallSid: string
  readonly Ears: readonly EarRow[]
}

/** What an ear hears: legs, and sounds by their names. */
export type EarRow = ({ readonly LegSid: string } | { readonly Tape: string }) & {
  readonly Hears: readonly { readonly LegSid: string }[]
  readonly Sounds: readonly { readonly Name: string }[]
}

/** A live call with all that is live in it. */
export interface LiveCall extends Call {
  readonly Legs: readonly LiveLeg[]
  readonly Hearing: HearingTable
}

/** Its place in what has happened, for `lastEventId`. */
interface Place {
  readonly id: string | null
}

export type LiveEvent =
  /** All that lives: forget what you knew. `Missed`: there were events that nobody can tell you any more. */
  | (Place & { readonly kind: 'snapshot'; readonly Missed: 'true' | 'false'; readonly Calls: readonly LiveCall[] })
  /** A call has begun, is being recorded, or has ended. */
  | (Place & { readonly kind: 'call'; readonly Call: Call })
  | (Place & { readonly kind: 'leg'; readonly Leg: LiveLeg })
  | (Place & { readonly kind: 'mode'; readonly Mode: ModeChange })
  /** The sound has changed: told when it has, not when somebody asked for it. */
  | (Place & { readonly kind: 'hearing'; readonly Hearing: HearingTable })

export interface EventOptions extends Pick<RequestOptions, 'signal' | 'timeoutMs'> {
  /** Of one call alone; default all that the key may see. */
  readonly CallSid?: string | undefined
  /** The `id` that you were given last, perhaps by an earlier process: begins after it. */
  readonly lastEventId?: string | undefined
  /** A connection on which nothing comes for so long is given up, ms; default 45,000, since the server says something every 15 s. */
  readonly silenceMs?: number | undefined
}

/**
 * Follows what happens, until you leave the loop or the signal aborts, which ends it without an error. Once it has begun it comes back
 * for as long as it takes.
 * @throws {EarshotError} right-missing · unauthorized · invalid-parameter, also later when the key's rights have changed; at first
 * also unreachable and the like
 */
export type Follow = (options?: EventOptions) => AsyncIterable<LiveEvent>

const SILENCE_MS = 45_000
/** How long to wait before coming back, ms, unless the server says otherwise; and between which limits it may. */
const RETRY_MS = 2_000
const SHORTEST_RETRY_MS = 250
const LONGEST_RETRY_MS = 300_000

/** The member that makes an event what it is called. What a newer server tells besides is passed over. */
const MEMBERS: Readonly<Record<LiveEvent['kind'], string>> = { snapshot: 'Calls', call: 'Call', leg: 'Leg', mode: 'Mode', hearing: 'Hearing' }

export function makeFollow(transport: Transport): Follow {
  return (options = {}) => follow(transport, options)
}

async function* follow({ open, sleep, random }: Transport, options: EventOptions): AsyncGenerator<LiveEvent> {
  const { signal, silenceMs = SILENCE_MS } = options
  const query = querySpelled([['CallSid', options.CallSid]])
  let lastId = options.lastEventId ?? null
  let retryMs = RETRY_MS
  /** Since the last connection; null before the first. */
  let failures: number | null = null
  while (!signal?.aborted) {
    const headers = { accept: 'text/event-stream', ...(lastId === null ? {} : { 'last-event-id': lastId }) }
    // At first as any request; later one try at a time, for as long as it takes.
    const opening: Opening = { path: '/Events', query, headers, ...(failures === null ? {} : { retries: 0 }) }
    const isFirst: boolean = failures === null
    const opened: Response | EarshotError = await open(opening, options).catch((error: unknown) => obstacleOf(error, isFirst, signal))
    failures = opened instanceof EarshotError ? (failures ?? 0) + 1 : 0
    const backoffMs = opened instanceof EarshotError ? backoff(opened, failures, random()) : 0
    if (!(opened instanceof EarshotError))
      for await (const read of messagesOf(opened, silenceMs, signal)) {
        if (read.kind === 'retry') retryMs = Math.min(LONGEST_RETRY_MS, Math.max(SHORTEST_RETRY_MS, read.ms))
        else {
          const event = eventOf(read.message)
          lastId = read.message.id ?? lastId
          if (signal?.aborted) return
          if (event !== null) yield event
        }
      }
    // Many who lost the same server do not come back together. When the signal ends the wait, it ends the loop as well.
    if (!signal?.aborted) await sleep(Math.max(backoffMs, Math.round(retryMs * (1 + random() / 2))), signal).catch(() => {})
  }
}

/** What is in the way of coming back, if that may pass; or that nobody wants to. @throws What may not pass, or was met at the very beginning. */
function obstacleOf(error: unknown, isFirst: boolean, signal: AbortSignal | undefined): EarshotError {
  if (!(error instanceof EarshotError)) throw error
  const mayPass = !isFirst && ['unreachable', 'timed-out', 'too-many-requests', 'unavailable'].includes(error.code)
  if (!signal?.aborted && !mayPass) throw error
  return error
}

/** @returns How long to wait, ms: growing, or as long as the server asks for. */
const backoff = (error: EarshotError, failures: number, chance: number): number =>
  waitAfter(error, failures, chance) ?? Math.min(LONGEST_RETRY_MS, (error.retryAfterS ?? 0) * 1000)

type Read = { readonly kind: 'message'; readonly message: SseMessage } | { readonly kind: 'retry'; readonly ms: number }

/** Until the connection ends, breaks off or falls silent, which are all the same. Whoever leaves closes it. @throws {EarshotError} unexpected-answer */
async function* messagesOf(response: Response, silenceMs: number, signal: AbortSignal | undefined): AsyncGenerator<Read> {
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') ?? false
  if (!isStream || response.body === null) {
    void response.body?.cancel().catch(() => {})
    throw unexpectedAnswer(response.status)
  }
  const [reader, decoder] = [response.body.getReader(), new TextDecoder()]
  let state = SSE_START
  try {
    for (;;) {
      const bytes = await within(silenceMs, signal, reader.read()).catch(() => null)
      if (bytes === null || bytes.done) return
      const step = sseAfter(state, decoder.decode(bytes.value, { stream: true }))
      if (step.kind === 'too-long') throw unexpectedAnswer(response.status)
      if (step.state.retryMs !== null && step.state.retryMs !== state.retryMs) yield { kind: 'retry', ms: step.state.retryMs }
      for (const message of step.messages) yield { kind: 'message', message }
      state = step.state
    }
  } finally {
    void reader.cancel().catch(() => {})
  }
}

/** Null when it takes longer, or when the signal aborts, whether or not what is waited for minds the signal itself. */
async function within<T>(ms: number, signal: AbortSignal | undefined, promise: Promise<T>): Promise<T | null> {
  let giveUp = (): void => {}
  const late = new Promise<null>((resolve) => {
    giveUp = () => resolve(null)
  })
  const timer = setTimeout(giveUp, ms)
  signal?.addEventListener('abort', giveUp, { once: true })
  if (signal?.aborted) giveUp()
  return Promise.race([promise, late]).finally(() => {
    clearTimeout(timer)
    signal?.removeEventListener('abort', giveUp)
  })
}

/** Null for what this version does not know. @throws {EarshotError} unexpected-answer */
function eventOf({ event, data, id }: SseMessage): LiveEvent | null {
  const member = Object.entries(MEMBERS).find(([kind]) => kind === event)?.[1]
  if (member === undefined) return null
  const content = parsed(data)
  if (typeof content !== 'object' || content === null || !Object.hasOwn(content, member)) throw unexpectedAnswer(200)
  // The server's own words: what they say is checked where the types are compared with its answers.
  return { ...content, kind: event, id } as LiveEvent
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null // What is no JSON has none of the members that are looked for.
  }
}
