/**
 * The one way to the server: authentication, time-outs, repeats, errors.
 *
 * A GET, PUT or DELETE may always be repeated, since twice is the same as once. A POST carries an `Idempotency-Key`, made once for
 * all of its tries, by which the server dials once however often it is asked; where the server keeps no such note, a POST is repeated
 * only after a plain no.
 */
import { EarshotError, type Failure, refusal } from './errors.ts'
import { hasUnknownFate, retryAfterIn, waitAfter } from './retry.ts'

export interface EarshotOptions {
  /** Where the server is, e.g. `https://earshot.example.com`; a path in front of `/v1` is kept. */
  readonly url: string
  /** The account's sid. */
  readonly account: string
  readonly key: string
  readonly token: string
  /** One try may take this long, ms, default 10,000. */
  readonly timeoutMs?: number | undefined
  /** Tries after the first, default 3. */
  readonly retries?: number | undefined
  /** Default the runtime's. */
  readonly fetch?: typeof fetch | undefined
  /** How to wait; for tests. Rejects when the signal aborts. */
  readonly sleep?: ((ms: number, signal: AbortSignal | undefined) => Promise<void>) | undefined
  /** 0 to 1; for tests. */
  readonly random?: (() => number) | undefined
}

/** For one call of a method. */
export interface RequestOptions {
  /** Ends the request and its repeats; the error's code is `aborted`. */
  readonly signal?: AbortSignal | undefined
  /** One try may take this long, ms. */
  readonly timeoutMs?: number | undefined
  /** For a POST: your own key, so that also a later process repeats the same request. At most 255 visible ASCII characters. */
  readonly idempotencyKey?: string | undefined
}

export interface Asked {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Below the account, without `.json`, each part encoded. */
  readonly path: string
  readonly query?: string
  readonly fields?: object
  /** The member of the answer that is wanted; null is all of it. */
  readonly member: string | null
  /** True: doing it twice is not the same as once, and the server keeps no note of keys. It is not sent again while it may have been done. */
  readonly onlyOnce?: true
}

/** Sends, repeats if that may help, and answers with what is wanted of the answer. @throws {EarshotError} */
export type Request = (asked: Asked, options?: RequestOptions) => Promise<unknown>

/** A GET whose answer is no resource. */
export interface Opening {
  /** As in `Asked`. */
  readonly path: string
  readonly query?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Tries after the first; default the client's. */
  readonly retries?: number
}

/**
 * As `Request`, but answers with a success as soon as its headers have come: its body is the caller's to read, for as long as that
 * takes, and `timeoutMs` is for the headers alone. The signal ends the body too. @throws {EarshotError}
 */
export type Open = (opening: Opening, options?: RequestOptions) => Promise<Response>

export interface Transport {
  readonly request: Request
  readonly open: Open
  /** As the options have them. */
  readonly sleep: (ms: number, signal: AbortSignal | undefined) => Promise<void>
  readonly random: () => number
}

const TIMEOUT_MS = 10_000
const RETRIES = 3

/** @throws {TypeError} when the options cannot be right. */
export function makeTransport(options: EarshotOptions): Transport {
  const send = sender(options)
  const terms: Terms = { retries: options.retries ?? RETRIES, sleep: options.sleep ?? wait, random: options.random ?? Math.random }
  return {
    request: async (asked, once = {}) => {
      const key = asked.method === 'POST' ? (once.idempotencyKey ?? newKey()) : null
      return repeated(() => sentFor(asked, key, once), { ...terms, isOnlyOnce: asked.onlyOnce ?? false, signal: once.signal })
    },
    open: async ({ headers = {}, retries = terms.retries, ...asked }, once = {}) =>
      repeated(() => send({ ...asked, method: 'GET' }, headers, once, openedOf), { ...terms, retries, isOnlyOnce: false, signal: once.signal }),
    sleep: terms.sleep,
    random: terms.random,
  }

  function sentFor(asked: Asked, key: string | null, once: RequestOptions): Promise<Outcome<unknown>> {
    return send(asked, key === null ? {} : { 'idempotency-key': key }, once, async (response) => outcomeOf(response, await response.text(), asked.member))
  }
}

interface Terms extends Pick<Transport, 'sleep' | 'random'> {
  readonly retries: number
}

/** Tries until there is an answer, or no further try would help. @throws {EarshotError} */
async function repeated<T>(
  attemptOne: () => Promise<Outcome<T>>,
  { retries, sleep, random, isOnlyOnce, signal }: Terms & { readonly isOnlyOnce: boolean; readonly signal: AbortSignal | undefined },
): Promise<T> {
  if (signal?.aborted) throw new EarshotError(givenUp(signal.reason), { attempts: 0, maybeDone: false })
  let maybeDone = false
  for (let attempt = 1; ; attempt++) {
    const outcome = await attemptOne()
    if (outcome.kind === 'answered') return outcome.value
    maybeDone ||= hasUnknownFate(outcome.failure)
    const isLast = attempt > retries || (isOnlyOnce && maybeDone)
    const waitMs = isLast ? null : waitAfter(outcome.failure, attempt, random())
    if (waitMs === null) throw new EarshotError(outcome.failure, { attempts: attempt, maybeDone })
    await sleep(waitMs, signal).catch((cause: unknown) => {
      throw new EarshotError(givenUp(cause), { attempts: attempt, maybeDone })
    })
  }
}

/** Where the server is, without a slash at the end. @throws {TypeError} */
export function serverUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || !/^https?:$/.test(url.protocol)) throw new TypeError('url must be an absolute http or https address')
  if (url.username !== '' || url.password !== '') throw new TypeError('url must not hold a user or password: use key and token')
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

type Outcome<T> = { readonly kind: 'answered'; readonly value: T } | { readonly kind: 'failed'; readonly failure: Failure }

type Sent = Pick<Asked, 'method' | 'path' | 'query' | 'fields'>
type Send = <T>(
  asked: Sent,
  more: Readonly<Record<string, string>>,
  once: RequestOptions,
  read: (response: Response) => Promise<Outcome<T>>,
) => Promise<Outcome<T>>

/** One try. */
function sender(options: EarshotOptions): Send {
  const { account, key: user, token } = options
  if (account === '' || user === '' || token === '') throw new TypeError('account, key and token must not be empty')
  if (user.includes(':')) throw new TypeError('key must not hold a colon')
  const base = `${serverUrl(options.url)}/v1/Accounts/${encodeURIComponent(account)}`
  const authorization = `Basic ${base64(`${user}:${token}`)}`
  return ({ method, path, query = '', fields }, more, once, read) => {
    const headers = { ...more, authorization, ...(fields ? { 'content-type': 'application/json' } : {}) }
    const init = { method, headers, ...(fields ? { body: JSON.stringify(fields) } : {}) }
    return exchange(options, { url: `${base}${path}.json${query === '' ? '' : `?${query}`}`, init }, once, read)
  }
}

/** Asks for what is not part of the API, once, without saying who asks. @throws {EarshotError} */
export async function askPlain(
  options: EarshotOptions,
  path: string,
  once: RequestOptions,
): Promise<{ readonly status: number; readonly text: string }> {
  const asked = { url: `${serverUrl(options.url)}${path}`, init: { method: 'GET' } }
  const outcome = await exchange(options, asked, once, async (response) => ({
    kind: 'answered',
    value: { status: response.status, text: await response.text() },
  }))
  if (outcome.kind === 'failed') throw new EarshotError(outcome.failure, { attempts: 1, maybeDone: false })
  return outcome.value
}

/** A request and what is read of its answer, in time or not at all. */
async function exchange<T>(
  { fetch: given, timeoutMs }: EarshotOptions,
  { url, init }: { readonly url: string; readonly init: RequestInit },
  once: RequestOptions,
  read: (response: Response) => Promise<Outcome<T>>,
): Promise<Outcome<T>> {
  // Not `AbortSignal.timeout`, which cannot be taken back: a body that is read later must outlive it.
  const deadline = new AbortController()
  const timer = setTimeout(() => deadline.abort(new DOMException('no answer in time', 'TimeoutError')), once.timeoutMs ?? timeoutMs ?? TIMEOUT_MS)
  const signal = once.signal ? AbortSignal.any([once.signal, deadline.signal]) : deadline.signal
  try {
    // A redirect would carry the token, or turn a POST into a GET: it is an answer like any other, and a wrong one.
    return await read(await (given ?? fetch)(url, { ...init, signal, redirect: 'manual' }))
  } catch (cause) {
    return { kind: 'failed', failure: brokenOff(cause, once.signal, deadline.signal) }
  } finally {
    clearTimeout(timer)
  }
}

/** A success as it stands; of a refusal what it says. */
const openedOf = async (response: Response): Promise<Outcome<Response>> =>
  response.ok ? { kind: 'answered', value: response } : { kind: 'failed', failure: failureOf(response, parsed(await response.text())) }

function outcomeOf(response: Response, text: string, member: string | null): Outcome<unknown> {
  const content = parsed(text)
  if (!response.ok) return { kind: 'failed', failure: failureOf(response, content) }
  const wanted = member === null ? content : memberOf(content, member)
  return wanted === undefined || wanted === null ? { kind: 'failed', failure: unexpected(response.status) } : { kind: 'answered', value: wanted }
}

function failureOf(response: Response, content: unknown): Failure {
  if (response.status < 400) return unexpected(response.status)
  const message = memberOf(memberOf(content, 'RestException'), 'Message')
  const retryAfterS = retryAfterIn(response.headers.get('retry-after'), Date.now())
  return refusal(response.status, typeof message === 'string' ? message : null, retryAfterS)
}

/** Something answered that is not this API. */
export const unexpectedAnswer = (status: number): EarshotError => new EarshotError(unexpected(status), { attempts: 1, maybeDone: false })

const unexpected = (status: number): Failure => ({
  ...withoutAnswer('unexpected-answer', `HTTP ${status}, but not an answer of this API: is the address right?`, undefined),
  status,
})

function brokenOff(cause: unknown, given: AbortSignal | undefined, deadline: AbortSignal): Failure {
  if (given?.aborted) return givenUp(cause)
  return deadline.aborted
    ? withoutAnswer('timed-out', 'no answer in time', cause)
    : withoutAnswer('unreachable', 'the server cannot be reached', cause)
}

const givenUp = (cause: unknown): Failure => withoutAnswer('aborted', 'given up', cause)

const withoutAnswer = (code: Failure['code'], message: string, cause: unknown): Failure => ({
  code,
  status: 0,
  message,
  parameter: null,
  retryAfterS: null,
  cause,
})

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null // What is no JSON has none of the members that are looked for.
  }
}

/** A list as it came; what is none is an answer of something else. @throws {EarshotError} unexpected-answer */
export function listed<T>(value: unknown): readonly T[] {
  if (!Array.isArray(value)) throw unexpectedAnswer(200)
  return value
}

/** A value's own member, undefined when it has none of that name. */
const memberOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name) ? (value as Readonly<Record<string, unknown>>)[name] : undefined

/** 128 bits of chance. `randomUUID` would do, but a browser has it on https alone. */
const newKey = (): string => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')

const base64 = (text: string): string => btoa(String.fromCharCode(...new TextEncoder().encode(text)))

function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', giveUp)
      resolve()
    }, ms)
    if (signal?.aborted) giveUp()
    else signal?.addEventListener('abort', giveUp, { once: true })
  })
}
