/**
 * Server-sent events (HTML Living Standard §9.2): a connection that stays, with ids by which a client that lost it goes on.
 *
 * One rule: a follower costs a bounded amount, and none holds up another. Whoever reads too slowly is cut off (their client comes
 * back with `Last-Event-ID` and gets what is missing); whose key is no longer good is cut off within seconds.
 */
import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import type { WireObject } from '../contract/xml.ts'
import type { AccountId } from '../domain/ids.ts'
import { HttpError } from './http-error.ts'

export interface StreamEvent {
  /** Null: it does not move the place from which a client goes on. */
  readonly id: string | null
  readonly event: string
  readonly data: WireObject
}

/** What a route answers with instead of a resource. */
export interface EventStream {
  readonly kind: 'events'
  /** Begins to follow. @returns What is to be sent first, and what ends it. */
  open(send: (event: StreamEvent) => void): { readonly first: readonly StreamEvent[]; stop(): void }
}

export const isEventStream = (content: object): content is EventStream => 'kind' in content && content.kind === 'events'

export interface Streams {
  /**
   * Takes over the reply. `isStillGood` is asked again and again; false, or a failure, ends the stream.
   * @throws {HttpError} too-many-requests
   */
  serve(
    reply: FastifyReply,
    stream: EventStream,
    follower: { readonly accountId: AccountId; readonly isStillGood: () => Promise<boolean> },
  ): FastifyReply
  /** How many there are, of all accounts. */
  count(): number
  /** Ends all; clients come back when they can. */
  endAll(): void
}

/** Streams of one account, and of this process, at most. */
export const MAX_STREAMS_PER_ACCOUNT = 200
export const MAX_STREAMS = 2_000
/** Proxies cut off what is silent for a minute; a client that hears nothing for longer than this knows that it is cut off. */
const BEAT_MS = 15_000
const RECHECK_MS = 10_000
/** What may wait in a connection; beyond it the client reads too slowly. */
export const MAX_WAITING_BYTES = 1024 * 1024
/** How long a client waits before it comes back, ms. */
const RETRY_MS = 2_000

export function makeStreams(): Streams {
  const open = new Map<() => void, AccountId>()
  return {
    serve(reply, stream, { accountId, isStillGood }) {
      const own = [...open.values()].filter((other) => other === accountId).length
      if (open.size >= MAX_STREAMS || own >= MAX_STREAMS_PER_ACCOUNT)
        throw new HttpError('too-many-requests', { 'retry-after': String(RECHECK_MS / 1000) })
      reply.hijack()
      const { raw } = reply
      raw.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        // nginx holds answers back otherwise.
        'x-accel-buffering': 'no',
        connection: 'keep-alive',
        'x-request-id': reply.request.id,
      })
      const write = (text: string): void => {
        // What waits from before counts: one event may be as long as it must, to who reads.
        if (raw.writableLength > MAX_WAITING_BYTES) raw.destroy()
        else raw.write(text)
      }
      const { first, stop } = stream.open((event) => write(eventText(event)))
      write(`retry: ${RETRY_MS}\n\n${first.map(eventText).join('')}`)
      open.set(keep(raw, { write, isStillGood, stop, onEnd: (end) => void open.delete(end) }), accountId)
      return reply
    },
    count: () => open.size,
    endAll() {
      for (const end of [...open.keys()]) end()
    },
  }
}

interface Kept {
  readonly write: (text: string) => void
  readonly isStillGood: () => Promise<boolean>
  readonly stop: () => void
  readonly onEnd: (end: () => void) => void
}

/** Keeps the connection alive and looks after its key, until one side ends it. @returns What ends it. */
function keep(raw: ServerResponse, { write, isStillGood, stop, onEnd }: Kept): () => void {
  const end = (): void => void raw.end()
  const beat = setInterval(() => write(': still here\n\n'), BEAT_MS)
  const recheck = setInterval(() => void isStillGood().then((good) => good || end(), end), RECHECK_MS)
  raw.on('error', () => raw.destroy())
  raw.once('close', () => {
    onEnd(end)
    clearInterval(beat)
    clearInterval(recheck)
    stop()
  })
  return end
}

/** JSON has no line breaks of its own, so one `data` line is enough. */
function eventText({ id, event, data }: StreamEvent): string {
  return `${id === null ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}
