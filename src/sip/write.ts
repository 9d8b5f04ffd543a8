/**
 * A SIP message to bytes (RFC 3261 §7). One rule: whatever stands in a value, it cannot become a second header field
 * or a second message: line ends in values are written as a space, and the length is always our own count.
 */
import { withTag } from './header.ts'
import { NO_BODY } from './message.ts'
import type { Headed, HeaderField, SipMessage, SipResponse } from './message.ts'

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

/**
 * A response to that request: its Via fields, From, To, Call-ID and CSeq copied (RFC 3261 §8.2.6.2), then `extra`.
 * `toTag` is added to a To without one; null leaves To as it is (100). Record-Route is copied as well when present, for
 * dialogs (§12.1.1). Also answers what is left of a malformed request.
 */
export function responseTo(
  request: Headed,
  answer: {
    readonly status: number
    readonly reason: string
    readonly toTag: string | null
    readonly extra?: readonly HeaderField[]
    readonly body?: Uint8Array
  },
): SipResponse {
  const headers: HeaderField[] = []
  for (const field of request.headers) {
    if (!COPIED.has(field.name)) continue
    headers.push(field.name === 'To' && answer.toTag !== null ? { name: 'To', value: withTag(field.value, answer.toTag) } : field)
  }
  return {
    kind: 'response',
    status: answer.status,
    reason: answer.reason,
    headers: [...headers, ...(answer.extra ?? [])],
    body: answer.body ?? NO_BODY,
  }
}

/** The value on one line: each line end, with the blanks around it, becomes one space. */
export function oneLine(value: string): string {
  return LINE_END.test(value) ? value.replace(/[\r\n]+/g, ' ') : value
}

const TOKEN = /^[A-Za-z0-9\-.!%*_+`'~]+$/
const LINE_END = /[\r\n]/
const NOT_IN_START_LINE = /[\u0000-\u0020\u007f]/
const COPIED: ReadonlySet<string> = new Set(['Via', 'From', 'To', 'Call-ID', 'CSeq', 'Record-Route'])

function startLine(message: SipMessage): string {
  if (message.kind === 'response') {
    if (!Number.isInteger(message.status) || message.status < 100 || message.status > 699) throw new RangeError('status is not 100 to 699')
    return `SIP/2.0 ${message.status} ${oneLine(message.reason)}`
  }
  if (!TOKEN.test(message.method)) throw new RangeError('method is not a token')
  if (message.uri === '' || NOT_IN_START_LINE.test(message.uri)) throw new RangeError('Request-URI is empty or holds a blank')
  return `${message.method} ${message.uri} SIP/2.0`
}
