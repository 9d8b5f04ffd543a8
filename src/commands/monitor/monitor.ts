/** A supervisor's visit: what lives, joining it, changing how, leaving. Each is one request to a server that runs. */
import type { Mode } from '../../domain/leg.ts'
import { columns, json, plain, shownBy } from '../desk.ts'
import { follow, type LiveEvent } from './live-events.ts'
import { type AccessOptions, isAccess, type ServerAccess, serverAccess, type Terminal } from './server-access.ts'
import { ask, type Document, documentAt, listAt, textAt, type Wanted } from './server-request.ts'

export interface MonitorOptions extends AccessOptions {
  readonly json: boolean
}

export interface ShownOptions extends MonitorOptions {
  readonly full: boolean
}

export interface JoinOptions extends ShownOptions {
  readonly phone: string
  readonly mode: Mode
  readonly target?: string
  readonly reason?: string
}

export interface LegOfCall {
  readonly call: string
  readonly leg: string
}

/** What the first event of a stream must come within. */
const SNAPSHOT_MS = 15_000

/** What lives now, in one answer of one moment. @returns The exit code. */
export async function monitorCalls(terminal: Terminal, options: ShownOptions): Promise<number> {
  return withServer(terminal, options, async (access) => {
    const found: { snapshot: LiveEvent | null } = { snapshot: null }
    const tell = (event: LiveEvent): boolean => {
      if (event.event === 'snapshot') found.snapshot = event
      return found.snapshot === null
    }
    const ended = await follow(access, { call: '', lastId: '', signal: AbortSignal.timeout(SNAPSHOT_MS), tell })
    if (ended.kind === 'failed') return refused(terminal, ended.sentence)
    if (found.snapshot === null) return refused(terminal, `${access.url} does not say within ${SNAPSHOT_MS / 1000} s what lives; try again`)
    const { data } = found.snapshot
    const calls = listAt(data, 'Calls')
    const show = shownBy(options.full)
    if (options.json) terminal.out(json(data))
    else terminal.out(calls.length === 0 ? 'No live calls.' : calls.map((call) => callText(call, show)).join('\n\n'))
    return 0
  })
}

/** Rings the supervisor's phone. @returns The exit code. */
export async function monitorJoin(terminal: Terminal, call: string, options: JoinOptions): Promise<number> {
  const { phone, mode, target, reason } = options
  const fields = {
    Action: mode,
    PhoneNumber: phone,
    ...(target === undefined ? {} : { TargetLegSid: target }),
    ...(reason === undefined ? {} : { ReasonCode: reason }),
  }
  return asked(terminal, options, { method: 'POST', path: `/Calls/${encodeURIComponent(call)}/Legs.json`, fields }, (document) => {
    const leg = textAt(document, 'Leg', 'Sid')
    const address = shownBy(options.full)(textAt(document, 'Leg', 'PhoneNumber'))
    return [
      `${plain(address)} is rung as leg ${plain(leg)}; when they pick up: ${mode}.`,
      ...(['listen', 'whisper', 'barge'] as const)
        .filter((other) => other !== mode)
        .map((other) => `  earshot monitor mode ${call} ${plain(leg)} ${other}`),
      `  earshot monitor hangup ${call} ${plain(leg)}`,
    ]
  })
}

/** Answers when the sound has changed. @returns The exit code. */
export async function monitorMode(
  terminal: Terminal,
  to: LegOfCall & { readonly mode: Mode },
  options: MonitorOptions & { readonly reason?: string },
) {
  const fields = { Action: to.mode, ...(options.reason === undefined ? {} : { ReasonCode: options.reason }) }
  return asked(terminal, options, { method: 'PUT', path: legPath(to), fields }, (document) => [
    `Leg ${plain(textAt(document, 'Leg', 'Sid'))} is in mode ${plain(textAt(document, 'Leg', 'LastAction'))}.`,
  ])
}

/** @returns The exit code. */
export async function monitorHangup(terminal: Terminal, of: LegOfCall, options: MonitorOptions): Promise<number> {
  return asked(terminal, options, { method: 'PUT', path: legPath(of), fields: { Action: 'hangup' } }, (document) => {
    const { Sid: leg, Origin: origin } = documentAt(document, 'legs')
    return [`Leg ${plain(String(leg))} is let go${origin === 'monitor' ? '; the call goes on' : ''}.`]
  })
}

const legPath = ({ call, leg }: LegOfCall): string => `/Calls/${encodeURIComponent(call)}/Legs/${encodeURIComponent(leg)}.json`

async function asked(terminal: Terminal, options: MonitorOptions, wanted: Wanted, tell: (document: Document) => readonly string[]): Promise<number> {
  return withServer(terminal, options, async (access) => {
    const answer = await ask(access, wanted)
    if (answer.kind === 'failed') return refused(terminal, answer.sentence)
    terminal.out(options.json ? json(answer.document) : tell(answer.document).join('\n'))
    return 0
  })
}

/** Whatever is wrong with where and as whom is said before anything is asked. */
export async function withServer(terminal: Terminal, options: AccessOptions, work: (access: ServerAccess) => Promise<number>): Promise<number> {
  const access = await serverAccess(terminal, options)
  if (isAccess(access)) return work(access)
  for (const line of access) terminal.err(line)
  return 1
}

export function refused(terminal: Terminal, sentence: string): number {
  terminal.err(sentence)
  return 1
}

const HEAD = ['  LEG', 'ORIGIN', 'ADDRESS', 'STATE', 'MODE', 'TARGET', 'HEARD BY']

/** A call with its legs; legs that others speak of are named by their origin, of which a call's parties have different ones. */
function callText(call: Document, show: (text: string) => string): string {
  const legs = listAt(call, 'Legs')
  const nameOf = (sid: string): string => {
    const leg = legs.find((each) => textAt(each, 'Sid') === sid)
    const origin = leg ? textAt(leg, 'Origin') : ''
    return origin === 'monitor' ? sid : origin
  }
  const ears = listAt(documentAt(call, 'Hearing'), 'Ears')
  const rows = legs.map((leg) => {
    const sid = textAt(leg, 'Sid')
    const heardBy = ears.filter((ear) => listAt(ear, 'Hears').some((heard) => textAt(heard, 'LegSid') === sid))
    const names = heardBy.map((ear) => nameOf(textAt(ear, 'LegSid')) || textAt(ear, 'Tape'))
    const isMonitor = textAt(leg, 'Origin') === 'monitor'
    const [mode, target] = isMonitor ? [textAt(leg, 'LastAction'), nameOf(textAt(leg, 'TargetLegSid'))] : ['', '']
    const cells = [`  ${sid}`, textAt(leg, 'Origin'), show(textAt(leg, 'PhoneNumber')), textAt(leg, 'State'), mode, target]
    return [...cells, names.length === 0 ? 'nobody' : names.join(', ')]
  })
  const head = `${textAt(call, 'Sid')}  from ${show(textAt(call, 'From'))} to ${show(textAt(call, 'To'))}, since ${textAt(call, 'StartTime')}`
  return [plain(head), ...columns(HEAD, rows)].join('\n')
}
