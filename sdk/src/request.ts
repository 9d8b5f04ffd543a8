/**
 * The one way to the server: authentication, time-outs, repeats, errors.
 *
 * A GET or PUT may always be repeated, since twice is the same as once. A POST carries an `Idempotency-Key`, made once for all
 * of its tries, by which the server dials once however often it is asked.
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
  readonly method: 'GET' | 'POST' | 'PUT'
  /** Below the account, without `.json`, each part encoded. */
  readonly path: string
  readonly query?: string
  readonly fields?: object
  /** The member of the answer that is wanted; null is all of it. */
  readonly member: string | null
}

/** Sends, repeats if that may help, and answers with what is wanted of the answer. @throws {EarshotError} */
export type Request = (asked: Asked, options?: RequestOptions) => Promise<unknown>

const TIMEOUT_MS = 10_000
const RETRIES = 3

/** @throws {TypeError} when the options cannot be right. */
export function makeRequest(options: EarshotOptions): Request {
  const send = sender(options)
  const retries = options.retries ?? RETRIES
  const [sleep, random] = [options.sleep ?? wait, options.random ?? Math.random]
  return async (asked, once = {}) => {
    if (once.signal?.aborted) throw new EarshotError(givenUp(once.signal.reason), { attempts: 0, maybeDone: false })
    const key = asked.method === 'POST' ? (once.idempotencyKey ?? newKey()) : null
    let maybeDone = false
    for (let attempt = 1; ; attempt++) {
      const outcome = await send(asked, key, once)
      if (outcome.kind === 'answered') return outcome.member
      maybeDone ||= hasUnknownFate(outcome.failure)
      const waitMs = attempt > retries ? null : waitAfter(outcome.failure, attempt, random())
      if (waitMs === null) throw new EarshotError(outcome.failure, { attempts: attempt, maybeDone })
      await sleep(waitMs, once.signal).catch((cause: unknown) => {
        throw new EarshotError(givenUp(cause), { attempts: attempt, maybeDone })
      })
    }
  }
}

/** Where the server is, without a slash at the end. @throws {TypeError} */
export function serverUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || !/^https?:$/.test(url.protocol)) throw new TypeError('url must be an absolute http or https address')
  if (url.username !== '' || url.password !== '') throw new TypeError('url must not hold a user or password: use key and token')
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

type Outcome = { readonly kind: 'answered'; readonly member: unknown } | { readonly kind: 'failed'; readonly failure: Failure }

/** One try. */
function sender(options: EarshotOptions): (asked: Asked, key: string | null, once: RequestOptions) => Promise<Outcome> {
  const { account, key: user, token } = options
  if (account === '' || user === '' || token === '') throw new TypeError('account, key and token must not be empty')
  if (user.includes(':')) throw new TypeError('key must not hold a colon')
  const base = `${serverUrl(options.url)}/v1/Accounts/${encodeURIComponent(account)}`
  const authorization = `Basic ${base64(`${user}:${token}`)}`
  return async ({ method, path, query = '', fields, member }, idempotencyKey, once) => {
    const headers = {
      authorization,
      ...(fields ? { 'content-type': 'application/json' } : {}),
      ...(idempotencyKey === null ? {} : { 'idempotency-key': idempotencyKey }),
    }
    const init = { method, headers, ...(fields ? { body: JSON.stringify(fields) } : {}) }
    const exchanged = await exchange(options, `${base}${path}.json${query === '' ? '' : `?${query}`}`, init, once)
    return exchanged.kind === 'failed' ? exchanged : outcomeOf(exchanged.response, exchanged.text, member)
  }
}

/** Asks for what is not part of the API, once, without saying who asks. @throws {EarshotError} */
export async function askPlain(
  options: EarshotOptions,
  path: string,
  once: RequestOptions,
): Promise<{ readonly status: number; readonly text: string }> {
  const exchanged = await exchange(options, `${serverUrl(options.url)}${path}`, { method: 'GET' }, once)
  if (exchanged.kind === 'failed') throw new EarshotError(exchanged.failure, { attempts: 1, maybeDone: false })
  return { status: exchanged.response.status, text: exchanged.text }
}

type Exchanged =
  | { readonly kind: 'came'; readonly response: Response; readonly text: string }
  | { readonly kind: 'failed'; readonly failure: Failure }

/** A request and its whole answer, in time or not at all. */
async function exchange({ fetch: given, timeoutMs }: EarshotOptions, url: string, init: RequestInit, once: RequestOptions): Promise<Exchanged> {
  const deadline = AbortSignal.timeout(once.timeoutMs ?? timeoutMs ?? TIMEOUT_MS)
  const signal = once.signal ? AbortSignal.any([once.signal, deadline]) : deadline
  try {
    // A redirect would carry the token, or turn a POST into a GET: it is an answer like any other, and a wrong one.
    const response = await (given ?? fetch)(url, { ...init, signal, redirect: 'manual' })
    return { kind: 'came', response, text: await response.text() }
  } catch (cause) {
    return { kind: 'failed', failure: brokenOff(cause, once.signal, deadline) }
  }
}

function outcomeOf(response: Response, text: string, member: string | null): Outcome {
  const content = parsed(text)
  if (response.ok) {
    const wanted = member === null ? content : memberOf(content, member)
    return wanted === undefined || wanted === null ? { kind: 'failed', failure: unexpected(response.status) } : { kind: 'answered', member: wanted }
  }
  if (response.status < 400) return { kind: 'failed', failure: unexpected(response.status) }
  const message = memberOf(memberOf(content, 'RestException'), 'Message')
  const retryAfterS = retryAfterIn(response.headers.get('retry-after'), Date.now())
  return { kind: 'failed', failure: refusal(response.status, typeof message === 'string' ? message : null, retryAfterS) }
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
