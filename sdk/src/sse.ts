/**
 * Server-sent events (HTML Living Standard §9.2.6) as a value that takes text, in whatever pieces it comes, and says which messages
 * are complete. Pure. One rule: what is kept of an unfinished message is bounded.
 */

/** One message that a blank line has completed. */
export interface SseMessage {
  /** `message` when it has no name. */
  readonly event: string
  readonly data: string
  /** The last id so far, of this message or of one before; null when none had any. */
  readonly id: string | null
}

/** What was read of a message that is not complete. */
export interface SseState {
  /** A line without its end. */
  readonly line: string
  /** The text so far ended with a carriage return: a line feed that follows belongs to it. */
  readonly afterReturn: boolean
  /** Null before the first line of data. */
  readonly data: string | null
  readonly event: string
  readonly id: string | null
  /** How long the server wants one to wait before coming back, ms; null when it has not said. */
  readonly retryMs: number | null
}

export type SseStep =
  | { readonly kind: 'read'; readonly state: SseState; readonly messages: readonly SseMessage[] }
  /** A message, or a line, is longer than anybody keeps: nothing that follows can be trusted. */
  | { readonly kind: 'too-long' }

export const SSE_START: SseState = { line: '', afterReturn: false, data: null, event: '', id: null, retryMs: null }

/** Characters of one message, and of one line. */
export const MAX_MESSAGE_CHARS = 16 * 1024 * 1024
/** `retry`, digits; more would be no time that anybody waits. */
const RETRY = /^\d{1,9}$/

/** @param text The next piece; it may end anywhere but inside a character. */
export function sseAfter(state: SseState, text: string, maxChars = MAX_MESSAGE_CHARS): SseStep {
  const messages: SseMessage[] = []
  let current = state
  // The line feed of a pair that was cut in two.
  let from = state.afterReturn && text.startsWith('\n') ? 1 : 0
  for (const { 0: end, index } of text.matchAll(/\r\n|\r|\n/g)) {
    if (index < from) continue
    const line = current.line + text.slice(from, index)
    from = index + end.length
    if (line === '') {
      if (current.data !== null) messages.push({ event: current.event || 'message', data: current.data, id: current.id })
      current = { ...current, line: '', data: null, event: '' }
    } else current = { ...withLine(current, line), line: '' }
    if (line.length > maxChars || (current.data?.length ?? 0) > maxChars) return { kind: 'too-long' }
  }
  const line = current.line + text.slice(from)
  if (line.length > maxChars) return { kind: 'too-long' }
  const afterReturn = text === '' ? state.afterReturn : text.endsWith('\r')
  return { kind: 'read', state: { ...current, line, afterReturn }, messages }
}

/** `name: value`; a line that begins with a colon is a comment, and has no name. */
function withLine(state: SseState, line: string): SseState {
  const colon = line.indexOf(':')
  const [name, value] = colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')]
  switch (name) {
    case 'data':
      return { ...state, data: state.data === null ? value : `${state.data}\n${value}` }
    case 'event':
      return { ...state, event: value }
    case 'id':
      return value.includes('\0') ? state : { ...state, id: value }
    case 'retry':
      return RETRY.test(value) ? { ...state, retryMs: Number(value) } : state
    default:
      return state
  }
}
