/**
 * A SIP message as values (RFC 3261 §7). Header fields keep their order and their text; the accessors that
 * read one (`header.ts`, `uri.ts`) parse on demand. Names are stored in canonical spelling, compact forms expanded.
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
