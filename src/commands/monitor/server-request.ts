/** One request to the HTTP API of a server, and its answer as a value: nothing here throws for what a server or a network does. */
import { causes, errorField, messageOf, plain } from '../desk.ts'
import type { ServerAccess } from './server-access.ts'

/** A JSON document, looked into with `textAt` and `listAt`. */
export type Document = Readonly<Record<string, unknown>>

export type Answer =
  | { readonly kind: 'ok'; readonly document: Document }
  /** `mayPass`: the same request may be accepted later. `waitMs`: how long the server wants to be left alone. */
  | { readonly kind: 'failed'; readonly sentence: string; readonly mayPass: boolean; readonly waitMs: number }

export interface Wanted {
  readonly method: 'GET' | 'POST' | 'PUT'
  /** Behind the account, with a slash in front. */
  readonly path: string
  readonly fields?: Readonly<Record<string, string>>
}

/** A supervisor's phone is rung, or the sound has changed, within a fraction of it. */
const REQUEST_MS = 15_000
/** What a server that is none of ours may send. */
const MAX_CHARS = 16 * 1024 * 1024
const MAX_WAIT_MS = 60_000

export async function ask(access: ServerAccess, { method, path, fields }: Wanted): Promise<Answer> {
  try {
    const response = await fetch(addressOf(access, path), {
      method,
      headers: headersOf(access),
      redirect: 'manual',
      signal: AbortSignal.timeout(REQUEST_MS),
      ...(fields ? { body: new URLSearchParams(fields) } : {}),
    })
    if (response.status !== 200) return await refusal(access, response)
    const document = documentIn(await textOf(response))
    return document === null ? notOurs(access, response.status) : { kind: 'ok', document }
  } catch (error) {
    return unreachable(access, error, method !== 'GET')
  }
}

export const addressOf = ({ url, account }: ServerAccess, path: string): string => `${url}/v1/Accounts/${encodeURIComponent(account)}${path}`

export const headersOf = ({ key, token }: ServerAccess): Readonly<Record<string, string>> => ({ authorization: `Basic ${btoa(`${key}:${token}`)}` })

/** The server's own sentence, where it has one. */
export async function refusal(access: ServerAccess, response: Response): Promise<Answer> {
  const { status } = response
  const said = textAt(documentIn(await textOf(response).catch(() => '')) ?? {}, 'RestException', 'Message')
  if (said === '') return notOurs(access, status)
  const waitS = Number(response.headers.get('retry-after') ?? 0)
  const waitMs = Number.isFinite(waitS) ? Math.min(MAX_WAIT_MS, Math.max(0, waitS * 1000)) : 0
  return { kind: 'failed', sentence: `${status} ${plain(said)}${hint(status, waitMs)}`, mayPass: status === 429 || status >= 500, waitMs }
}

function hint(status: number, waitMs: number): string {
  if (status === 401) return '; look at the account, the key and the token (earshot keys list)'
  return status === 429 && waitMs > 0 ? `; try again in ${Math.ceil(waitMs / 1000)} s` : ''
}

const notOurs = ({ url }: ServerAccess, status: number): Answer => ({
  kind: 'failed',
  sentence: `${url} answers ${status}, but not as an Earshot does; say with --url where the server is`,
  mayPass: status >= 500,
  waitMs: 0,
})

/** @param mayBeDone Whether the request may have been carried out nevertheless. */
export function unreachable({ url, advice }: ServerAccess, error: unknown, mayBeDone: boolean): Answer {
  const chain = causes(error)
  const failed = (sentence: string): Answer => ({ kind: 'failed', sentence, mayPass: true, waitMs: 0 })
  if (chain[0]?.name === 'TimeoutError')
    return failed(`${url} does not answer within ${REQUEST_MS / 1000} s${mayBeDone ? '; it may have done it: look with earshot monitor calls' : ''}`)
  const code = chain.map((cause) => errorField(cause, 'code')).find((each) => typeof each === 'string')
  const isAway = code === 'ECONNREFUSED' || code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'EHOSTUNREACH'
  if (isAway) return failed(`no Earshot answers at ${url} (${code}); ${advice}`)
  return failed(`the connection to ${url} failed (${code ?? messageOf(chain.at(-1) ?? error)})`)
}

async function textOf(response: Response): Promise<string> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > MAX_CHARS) throw new Error('its answer is endless')
  }
  return text
}

export function documentIn(text: string): Document | null {
  try {
    const value: unknown = JSON.parse(text)
    return isDocument(value) ? value : null
  } catch {
    return null
  }
}

const isDocument = (value: unknown): value is Document => typeof value === 'object' && value !== null && !Array.isArray(value)

export const documentAt = (from: Document, ...path: readonly string[]): Document =>
  path.reduce((at, key): Document => {
    const next = at[key]
    return isDocument(next) ? next : {}
  }, from)

/** Empty when it is not there, or no text. */
export function textAt(from: Document, ...path: readonly [string, ...string[]]): string {
  const value = documentAt(from, ...path.slice(0, -1))[path.at(-1) ?? '']
  return typeof value === 'string' ? value : ''
}

export function listAt(from: Document, key: string): readonly Document[] {
  const value = from[key]
  return Array.isArray(value) ? value.filter(isDocument) : []
}
