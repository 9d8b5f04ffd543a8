/** A `fetch` with a script: the n-th request gets the n-th answer. What was asked is kept. */

export interface ScriptedAnswer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Text and streams as they are; anything else as JSON. */
  readonly body?: unknown
}

/** `lost`: nobody answers, and says so. `silent`: nobody answers, for as long as one waits. */
export type Scripted = ScriptedAnswer | 'lost' | 'silent'

export interface AskedFetch {
  readonly url: string
  readonly method: string
  readonly headers: Headers
  readonly body: unknown
}

export interface ScriptedFetch {
  readonly fetch: typeof fetch
  readonly asked: readonly AskedFetch[]
}

/** @throws When more is asked than the script has answers for. */
export function scriptedFetch(...script: readonly Scripted[]): ScriptedFetch {
  const asked: AskedFetch[] = []
  const go: typeof fetch = async (input, init = {}) => {
    const body = typeof init.body === 'string' ? JSON.parse(init.body) : null
    asked.push({ url: String(input), method: init.method ?? 'GET', headers: new Headers(init.headers), body })
    init.signal?.throwIfAborted()
    const answer = script[asked.length - 1]
    if (answer === undefined) throw new Error(`no answer for request ${asked.length}`)
    if (answer === 'lost') throw new TypeError('fetch failed')
    if (answer === 'silent') return await new Promise<never>((_, reject) => init.signal?.addEventListener('abort', () => reject(init.signal?.reason)))
    const { status = 200, headers = {}, body: content = {} } = answer
    return new Response(typeof content === 'string' || content instanceof ReadableStream ? content : JSON.stringify(content), { status, headers })
  }
  return { fetch: go, asked }
}

/** The contract's envelope. */
export const refused = (status: number, Message: string, headers: Readonly<Record<string, string>> = {}): ScriptedAnswer => ({
  status,
  headers,
  body: { RestException: { Status: status, Message } },
})
