/**
 * A SIP message as values, and to bytes (RFC 3261 §7). Header fields keep their order and their text; the accessors that
 * read one (`header.ts`, `uri.ts`) parse on demand. Names are stored in canonical spelling, compact forms expanded.
 *
 * One rule of writing: whatever stands in a value, it cannot become a second header field or a second message: line ends
 * in values are written as a space, and the length is always our own count.
 */
export interface HeaderField {
  /** Canonical: `Via`, `Call-ID`, `CSeq`, `WWW-Authenticate`, … Unknown names keep the sender's spelling. */
  readonly name: string
  /** Unfolded, trimmed. Latin-1 or UTF-8 text as received. */
  readonly value: string
}

export interface SipRequest {
  readonly kind: 'request'
  /** Case-sensitive, never unescaped (RFC 4475 §3.1.1.5). */
  readonly method: string
  readonly uri: string
  readonly headers: readonly HeaderField[]
  readonly body: Uint8Array
}

export interface SipResponse {
  readonly kind: 'response'
  /** 100 to 699. */
  readonly status: number
  readonly reason: string
  readonly headers: readonly HeaderField[]
  readonly body: Uint8Array
}

export type SipMessage = SipRequest | SipResponse

/** Anything that carries header fields: a message, or the remains of a malformed one. */
export interface Headed {
  readonly headers: readonly HeaderField[]
}

export const NO_BODY = new Uint8Array(0)

/** The first field of that canonical name, or undefined. Comparison ignores case. */
export function headerValue(message: Headed, name: string): string | undefined {
  const wanted = name.toLowerCase()
  return message.headers.find((field) => field.name.toLowerCase() === wanted)?.value
}

/** Every field of that name, in order, one entry per field line (not split at commas). */
export function headerValues(message: Headed, name: string): readonly string[] {
  const wanted = name.toLowerCase()
  return message.headers.filter((field) => field.name.toLowerCase() === wanted).map((field) => field.value)
}

/**
 * UTF-8, full header names as given, Content-Length last and counted here (one that the message carries is dropped).
 * @throws RangeError when the method, the URI, the status or a header name could not be read back: a fault of ours,
 *   since nothing that a peer sent reaches these unparsed.
 */
export function writeMessage(message: SipMessage): Uint8Array {
  const lines = [startLine(message)]
  for (const field of message.headers) {
    if (field.name.toLowerCase() === 'content-length') continue
    if (!TOKEN.test(field.name)) throw new RangeError('header name is not a token')
    lines.push(`${field.name}: ${oneLine(field.value)}`)
  }
  lines.push(`Content-Length: ${message.body.length}`, '', '')
  const head = Buffer.from(lines.join('\r\n'), 'utf8')
  return message.body.length === 0 ? head : Buffer.concat([head, message.body])
}

/** The value on one line: each line end, with the blanks around it, becomes one space. */
export function oneLine(value: string): string {
  return LINE_END.test(value) ? value.replace(/[\r\n]+/g, ' ') : value
}

const TOKEN = /^[A-Za-z0-9\-.!%*_+`'~]+$/
const LINE_END = /[\r\n]/
const NOT_IN_START_LINE = /[\u0000-\u0020\u007f]/

function startLine(message: SipMessage): string {
  if (message.kind === 'response') {
    if (!Number.isInteger(message.status) || message.status < 100 || message.status > 699) throw new RangeError('status is not 100 to 699')
    return `SIP/2.0 ${message.status} ${oneLine(message.reason)}`
  }
  if (!TOKEN.test(message.method)) throw new RangeError('method is not a token')
  if (message.uri === '' || NOT_IN_START_LINE.test(message.uri)) throw new RangeError('Request-URI is empty or holds a blank')
  return `${message.method} ${message.uri} SIP/2.0`
}
