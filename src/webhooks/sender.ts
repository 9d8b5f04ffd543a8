/**
 * One attempt to deliver one callback: a POST, judged by its status alone (contract C27). Redirects are not followed
 * (C29). Whatever the receiver does, an attempt ends in time and reads little.
 */
import { Agent, request } from 'undici'
import { AddressRefused, guardedConnector, type GuardedConnectorOptions } from './guard.ts'

export interface Attempt {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Failures of the receiver and of the network are results, not exceptions. */
export type AttemptResult =
  | { readonly ok: true; readonly status: number }
  /**
   * `isDown`: the receiver as a whole failed, not this one callback: no connection, no answer in time, a 5xx. `isCutOff`: by our own close,
   * which says nothing of the receiver.
   */
  | { readonly ok: false; readonly status: number | null; readonly error: string; readonly isDown: boolean; readonly isCutOff?: boolean }

export interface Sender {
  send(attempt: Attempt): Promise<AttemptResult>
  /** Cuts off attempts that are under way; they fail. */
  close(): Promise<void>
}

/** Of a reply that refuses, this much is kept as its reason. */
const EXCERPT_BYTES = 300
const MAX_RESPONSE_BYTES = 64 * 1024
const MAX_HEADER_BYTES = 16 * 1024
const KEEP_ALIVE_MS = 10_000

export function makeSender({ guard, timeoutMs, lookup }: GuardedConnectorOptions): Sender {
  const connect = guardedConnector({ guard, timeoutMs, ...(lookup ? { lookup } : {}) })
  const agent = new Agent({
    connect,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    maxResponseSize: MAX_RESPONSE_BYTES,
    maxHeaderSize: MAX_HEADER_BYTES,
  })
  return { send: (attempt) => send(agent, attempt, timeoutMs), close: () => agent.destroy() }
}

async function send(agent: Agent, { url: text, headers, body }: Attempt, timeoutMs: number): Promise<AttemptResult> {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    return { ok: false, status: null, error: 'not an http or https URL', isDown: false }
  const abort = new AbortController()
  // A timer that is taken back when the attempt is over; those of AbortSignal.timeout live on, 15,000 of them at 1,000 attempts a second.
  const timer = setTimeout(() => abort.abort(new DOMException('no answer', 'TimeoutError')), timeoutMs)
  let isRead = false
  try {
    const { username, password } = url
    if (username !== '' || password !== '') url.username = url.password = ''
    const response = await request(url, {
      method: 'POST',
      headers: { ...headers, ...authorization(username, password) },
      body,
      dispatcher: agent,
      signal: abort.signal,
    })
    const { statusCode: status } = response
    if (status >= 200 && status < 300) {
      // What it says is nobody's business; reading on lets the connection be used again.
      isRead = true
      void response.body
        .dump({ limit: MAX_RESPONSE_BYTES })
        .catch(() => {})
        .finally(() => clearTimeout(timer))
      return { ok: true, status }
    }
    return { ok: false, status, error: `HTTP ${status} ${await excerpt(response.body)}`.trim(), isDown: status >= 500 }
  } catch (error) {
    // An address that we refuse ourselves says nothing of the receiver, and costs no time.
    const cut = agent.destroyed ? { isCutOff: true } : {}
    return { ok: false, status: null, error: reason(error, timeoutMs), isDown: !(error instanceof AddressRefused), ...cut }
  } finally {
    if (!isRead) clearTimeout(timer)
  }
}

/** Customers put a user and password into the URL; they belong into a header. */
function authorization(username: string, password: string): Record<string, string> {
  if (username === '' && password === '') return {}
  const credentials = `${decoded(username)}:${decoded(password)}`
  return { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

async function excerpt(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of body) {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes >= EXCERPT_BYTES) break
    }
  } catch {
    // The status is known; a reply that breaks off says no more.
  }
  return Buffer.concat(chunks)
    .subarray(0, EXCERPT_BYTES)
    .toString('utf8')
    .replaceAll(/[\p{Cc}\ufffd]+/gu, ' ')
    .trim()
}

function reason(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'TimeoutError' || error.name === 'HeadersTimeoutError') return `no answer within ${timeoutMs} ms`
  if (error instanceof AddressRefused) return `address refused: ${error.message}`
  // Happy eyeballs tried several addresses; each has its own reason.
  const [first] = error instanceof AggregateError ? error.errors : []
  return first instanceof Error ? first.message : error.message
}
