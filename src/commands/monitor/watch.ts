/**
 * `earshot monitor watch`: events as they happen, until the operator leaves.
 *
 * Its one rule: a connection that is lost is made again, from the last event on; a refusal, or a server that was never there, ends it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { shownBy, timeText } from '../desk.ts'
import { eventLine, follow, type LiveEvent } from './live-events.ts'
import { refused, type ShownOptions, withServer } from './monitor.ts'
import type { ServerAccess, Terminal } from './server-access.ts'

export interface WatchOptions extends ShownOptions {
  readonly call?: string
}

/** Between two attempts: what the server said, or this; longer with each that fails. */
const RETRY_MS = 2_000
const MAX_RETRY_MS = 30_000

/** @returns The exit code: 0 when the operator left. */
export async function monitorWatch(terminal: Terminal, options: WatchOptions): Promise<number> {
  return withServer(terminal, options, async (access) => {
    const left = new AbortController()
    const leave = (): void => left.abort()
    const forget = terminal.onSignal(leave)
    terminal.onUnread?.(leave)
    try {
      return await watch(terminal, access, options, left.signal)
    } finally {
      forget()
    }
  })
}

async function watch(terminal: Terminal, access: ServerAccess, { call = '', full, json }: WatchOptions, signal: AbortSignal): Promise<number> {
  const show = shownBy(full)
  let lastId = ''
  let retryMs = RETRY_MS
  /** Attempts in a row that told nothing; null until there was a connection. */
  let failures: number | null = null
  const tell = (event: LiveEvent): boolean => {
    if (event.id !== '') lastId = event.id
    terminal.out(json ? JSON.stringify(event) : `${timeText(terminal.now())} ${eventLine(event, show)}`)
    return !signal.aborted
  }
  const onOpen = (): void => {
    if (failures !== null && failures > 0) terminal.err('note: the connection is back')
    failures = 0
  }
  for (;;) {
    const ended = await follow(access, { call, lastId, signal, onOpen, tell })
    if (signal.aborted) return 0
    if (ended.kind === 'failed' && (failures === null || !ended.mayPass)) return refused(terminal, ended.sentence)
    retryMs = ended.kind === 'ended' ? (ended.retryMs ?? retryMs) : retryMs
    failures = (failures ?? 0) + 1
    if (failures === 1) terminal.err('note: the connection is lost; it is made again, from the last event on')
    const waitMs = Math.min(MAX_RETRY_MS, retryMs * 2 ** Math.min(failures - 1, 10))
    await sleep(Math.max(waitMs, ended.kind === 'failed' ? ended.waitMs : 0), undefined, { signal }).catch(() => {})
    if (signal.aborted) return 0
  }
}
