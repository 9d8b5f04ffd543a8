/** The HTTP requests of the demonstration, each printed as a line that a person can paste. */

export interface Access {
  /** `http://host:port` */
  readonly httpUrl: string
  readonly key: string
  readonly token: string
}

/** The parts of the vendor's JSON that the demonstration reads. */
export interface Reply {
  readonly Call?: Readonly<Record<string, unknown>>
  readonly Leg?: Readonly<Record<string, unknown>>
  readonly Legs?: readonly Readonly<Record<string, unknown>>[]
}

export interface Client {
  get(path: string): Promise<Reply>
  post(path: string, fields: Readonly<Record<string, string>>): Promise<Reply>
  put(path: string, fields: Readonly<Record<string, string>>): Promise<Reply>
  /** How long the last answer took. */
  lastMs(): number
}

const TIMEOUT_MS = 10_000

/** The same request for a shell. */
export function curlLine(
  { httpUrl, key, token }: Access,
  method: 'GET' | 'POST' | 'PUT',
  path: string,
  fields: Readonly<Record<string, string>>,
): string {
  const data = Object.entries(fields).map(([name, value]) => `-d ${quoted(`${name}=${value}`)}`)
  const verb = method === 'PUT' ? ['-X PUT'] : []
  return ['curl -s', `-u ${key}:${token}`, ...verb, `${httpUrl}${path}`, ...data].join(' ')
}

/** `+` in a form means a blank, so it is written as curl would have to send it. */
function quoted(text: string): string {
  const escaped = text.replaceAll('+', '%2B')
  return /^[\w:.=%/-]+$/.test(escaped) ? escaped : `'${escaped}'`
}

/** @throws Error from every method when the answer is no success, with the answer's body. */
export function makeClient(access: Access, print: (line: string) => void): Client {
  const authorization = `Basic ${Buffer.from(`${access.key}:${access.token}`).toString('base64')}`
  let lastMs = 0

  async function send(method: 'GET' | 'POST' | 'PUT', path: string, fields: Readonly<Record<string, string>>): Promise<Reply> {
    print(`   $ ${curlLine(access, method, path, fields)}`)
    const began = performance.now()
    const body = method === 'GET' ? {} : { body: new URLSearchParams(fields) }
    const response = await fetch(`${access.httpUrl}${path}`, { method, headers: { authorization }, signal: AbortSignal.timeout(TIMEOUT_MS), ...body })
    const text = await response.text()
    lastMs = performance.now() - began
    if (!response.ok) throw new Error(`${method} ${path} was answered ${response.status}: ${text}`)
    return JSON.parse(text) as Reply
  }

  return {
    get: (path) => send('GET', path, {}),
    post: (path, fields) => send('POST', path, fields),
    put: (path, fields) => send('PUT', path, fields),
    lastMs: () => lastMs,
  }
}
