/**
 * The live events of a server as a client follows them (HTML Living Standard §9.2): text becomes events, and events lines for people.
 * Pure but for `follow`, which reads one connection to its end.
 */
import { plain } from '../desk.ts'
import type { ServerAccess } from './server-access.ts'
import { addressOf, type Answer, type Document, documentAt, documentIn, headersOf, listAt, refusal, textAt, unreachable } from './server-request.ts'

export interface LiveEvent {
  /** From where to go on; empty where the server says none. */
  readonly id: string
  readonly event: string
  readonly data: Document
}

/** What a connection that says nothing for so long has lost: the server speaks every 15 s. */
const SILENCE_MS = 45_000
/** One event at most; a snapshot of some ten thousand calls is smaller. */
const MAX_EVENT_CHARS = 64 * 1024 * 1024
/** Of a Sid in a table of who hears whom. */
const SHORT_SID = 8

export interface Reader {
  /** What the server wants a client to wait before it comes back, ms; null until it says so. */
  readonly retryMs: () => number | null
  /** @returns The events that are whole now. @throws Error when one does not end. */
  push(text: string): readonly LiveEvent[]
}

/** Between two events. */
const BLANK_LINE = /\r?\n\r?\n/
/** As much of what came before as a blank line that was cut can reach back. */
const SEAM_CHARS = 3

export function makeReader(): Reader {
  // Put together only when an event is whole: a snapshot may come in thousands of pieces.
  let parts: string[] = []
  let size = 0
  let seam = ''
  let retryMs: number | null = null
  return {
    retryMs: () => retryMs,
    push(text) {
      const near = seam + text
      seam = near.slice(-SEAM_CHARS)
      parts.push(text)
      size += text.length
      if (size > MAX_EVENT_CHARS) throw new Error('an event does not end')
      if (!BLANK_LINE.test(near)) return []
      const blocks = parts.join('').split(BLANK_LINE)
      parts = [blocks.pop() ?? '']
      size = parts[0]?.length ?? 0
      return blocks.flatMap((block) => {
        const fields = fieldsOf(block)
        const retry = fields.get('retry')
        if (retry !== undefined && /^\d{1,6}$/.test(retry)) retryMs = Number(retry)
        const data = documentIn(fields.get('data') ?? '')
        return data === null ? [] : [{ id: fields.get('id') ?? '', event: fields.get('event') ?? 'message', data }]
      })
    },
  }
}

/** Comments have no name and are left out; of several `data` lines one text is made. */
function fieldsOf(block: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  for (const line of block.split(/\r?\n/)) {
    const colon = line.indexOf(':')
    if (colon <= 0) continue
    const [name, value] = [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')]
    fields.set(name, name === 'data' && fields.has('data') ? `${fields.get('data')}\n${value}` : value)
  }
  return fields
}

export interface Following {
  /** Empty: all calls. */
  readonly call: string
  readonly lastId: string
  /** Ends it from outside. */
  readonly signal: AbortSignal
  readonly onOpen?: () => void
  /** @returns False when that was enough. */
  readonly tell: (event: LiveEvent) => boolean
}

/** How one connection ended. `retryMs` is what the server said. */
export type Ended = { readonly kind: 'ended'; readonly retryMs: number | null } | Extract<Answer, { readonly kind: 'failed' }>

/** Follows until the server ends it, the connection is lost or silent for too long, or `tell` or `signal` says so. Never throws. */
export async function follow(access: ServerAccess, { call, lastId, signal, onOpen, tell }: Following): Promise<Ended> {
  const silent = new AbortController()
  const timer = setTimeout(() => silent.abort(new DOMException('silence', 'AbortError')), SILENCE_MS)
  const reader = makeReader()
  let isOpen = false
  try {
    const query = call === '' ? '' : `?CallSid=${encodeURIComponent(call)}`
    const headers = { ...headersOf(access), accept: 'text/event-stream', ...(lastId === '' ? {} : { 'last-event-id': lastId }) }
    const response = await fetch(addressOf(access, `/Events.json${query}`), {
      headers,
      redirect: 'manual',
      signal: AbortSignal.any([signal, silent.signal]),
    })
    if (response.status !== 200 || !response.headers.get('content-type')?.startsWith('text/event-stream')) {
      const answer = await refusal(access, response)
      return answer.kind === 'failed' ? answer : { kind: 'ended', retryMs: null }
    }
    isOpen = true
    onOpen?.()
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) {
      timer.refresh()
      for (const event of reader.push(decoder.decode(chunk, { stream: true }))) if (!tell(event)) return { kind: 'ended', retryMs: reader.retryMs() }
    }
    return { kind: 'ended', retryMs: reader.retryMs() }
  } catch (error) {
    if (isOpen || signal.aborted) return { kind: 'ended', retryMs: reader.retryMs() }
    const answer = unreachable(access, error, false)
    return answer.kind === 'failed' ? answer : { kind: 'ended', retryMs: null }
  } finally {
    clearTimeout(timer)
  }
}

type Show = (text: string) => string

/** One event on one line, without its time. */
export function eventLine({ event, data }: LiveEvent, show: Show): string {
  return `${plain(event).padEnd(9)} ${sentenceOf(event, data, (text) => plain(show(text)))}`.trimEnd()
}

function sentenceOf(event: string, data: Document, show: Show): string {
  switch (event) {
    case 'snapshot': {
      const calls = listAt(data, 'Calls')
      const monitors = calls.flatMap((call) => listAt(call, 'Legs')).filter((leg) => textAt(leg, 'Origin') === 'monitor')
      const missed = textAt(data, 'Missed') === 'true' ? '; what happened before was missed' : ''
      return `${count(calls.length, 'live call')}, ${count(monitors.length, 'supervisor')}${missed}`
    }
    case 'call': {
      const call = documentAt(data, 'Call')
      return `${show(textAt(call, 'Sid'))} ${show(textAt(call, 'Status'))}, from ${show(textAt(call, 'From'))} to ${show(textAt(call, 'To'))}`
    }
    case 'leg': {
      const leg = documentAt(data, 'Leg')
      const state = textAt(leg, 'State')
      const now = state === 'ended' ? `ended: ${textAt(leg, 'Status')}` : state
      return `${pair(leg, 'Sid', show)} ${show(textAt(leg, 'Origin'))} ${show(textAt(leg, 'PhoneNumber'))} ${show(now)}`
    }
    case 'mode': {
      const mode = documentAt(data, 'Mode')
      const before = textAt(mode, 'PreviousAction')
      const target = textAt(mode, 'TargetLegSid')
      return `${pair(mode, 'LegSid', show)} ${before === '' ? '' : `${show(before)} → `}${show(textAt(mode, 'Action'))}, target ${show(target)}`
    }
    case 'hearing':
      return hearingSentence(documentAt(data, 'Hearing'), show)
    default:
      return show(JSON.stringify(data))
  }
}

const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`
const pair = (from: Document, leg: string, show: Show): string => `${show(textAt(from, 'CallSid'))} ${show(textAt(from, leg))}`

/** Sids are cut: the line would be endless, and the whole ones stand in the lines before. */
function hearingSentence(hearing: Document, show: Show): string {
  const short = (sid: string): string => show(sid).slice(0, SHORT_SID)
  const rows = listAt(hearing, 'Ears').map((ear) => {
    const heard = [
      ...listAt(ear, 'Hears').map((each) => short(textAt(each, 'LegSid'))),
      ...listAt(ear, 'Sounds').map((each) => show(textAt(each, 'Name'))),
    ]
    const who = textAt(ear, 'LegSid') === '' ? show(textAt(ear, 'Tape')) : short(textAt(ear, 'LegSid'))
    return `${who} hears ${heard.length === 0 ? 'nobody' : heard.join(' ')}`
  })
  return `${show(textAt(hearing, 'CallSid'))} ${rows.length === 0 ? 'nobody hears anybody' : rows.join('; ')}`
}
