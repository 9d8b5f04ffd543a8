/**
 * Commands about what is on record: calls, callbacks, the tables themselves. Each opens the database beside the server that may be
 * running on it, asks, and closes it again; only `migrate` changes tables.
 */
import type { Config } from '../config.ts'
import { isPostgresUrl } from '../config-schema.ts'
import type { Call } from '../domain/call.ts'
import type { CallQuery } from '../domain/call-query.ts'
import type { AccountId, CallId } from '../domain/ids.ts'
import { callPrice, legPrice } from '../domain/account/rating.ts'
import type { Leg } from '../domain/leg.ts'
import { listCalls, loadCall } from '../store/calls.ts'
import { type Database, openBeside } from '../store/database.ts'
import { lookInto } from '../store/embedded-folder.ts'
import { latestBeat } from '../store/nodes.ts'
import { type LoggedCallback, listCallbacks, loadCallback, receiverOf, replayCallback, replayParked } from '../store/outbox.ts'
import { columns, databaseFailure, type Desk, json, plain, quietLog, shownBy, timeText } from './desk.ts'

/** Options that every command of this file has. */
export interface RecordOptions {
  readonly config: string
  readonly json: boolean
}

interface ShowOptions extends RecordOptions {
  readonly full: boolean
}

export interface CallListOptions extends ShowOptions {
  readonly live: boolean
  readonly limit: number
  readonly account?: string
}

export interface CallbackListOptions extends ShowOptions {
  readonly state: LoggedCallback['state'] | 'all'
  readonly limit: number
  readonly account?: string
  readonly receiver?: string
}

export interface ReplayOptions extends RecordOptions {
  readonly all: boolean
  readonly account?: string
  readonly receiver?: string
}

/** Calls on one page of the store at most, and so calls of one listing. */
export const MAX_LISTED = 100
/** Callbacks that one statement makes pending again; progress is said after each. */
const REPLAY_BATCH = 1_000
/** A server whose last heartbeat is older does not run. */
const ALIVE_MS = 5_000

/** The newest calls of one account or of all in the configuration. @returns The exit code. */
export async function callsList(desk: Desk, options: CallListOptions): Promise<number> {
  return withRecords(desk, options, async (database, config) => {
    const { limit, live } = options
    const query: CallQuery = { ...EVERY_CALL, statuses: live ? ['in-progress'] : null, pageSize: limit }
    const accounts = accountsIn(config, options.account)
    const pages = await Promise.all(accounts.map((account) => listCalls(database.sql, account, query)))
    const calls = pages
      .flatMap((page) => page.calls)
      .sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1))
      .slice(0, limit)
    const total = pages.reduce((sum, page) => sum + page.total, 0)
    const show = shownBy(options.full)
    if (options.json) desk.out(json({ total, calls: calls.map((call) => callJson(call, show)) }))
    else if (calls.length === 0) desk.out(live ? 'No live calls.' : 'No calls yet.')
    else {
      const rows = calls.map((call) => [call.id, call.accountId, timeText(call.createdAt), callStatus(call), show(call.from), show(call.to), String(call.legs.length)])
      desk.out(columns(['CALL', 'ACCOUNT', 'CREATED', 'STATUS', 'FROM', 'TO', 'LEGS'], rows).join('\n'))
      if (total > calls.length) desk.out(`${calls.length} of ${total}; --limit shows more, up to ${MAX_LISTED}`)
    }
    return 0
  })
}

/** One call with its legs. @returns The exit code. */
export async function callsShow(desk: Desk, id: string, options: ShowOptions): Promise<number> {
  return withRecords(desk, options, async (database, config) => {
    const found = await Promise.all(config.accounts.map(({ sid }) => loadCall(database.sql, sid, id as CallId)))
    const call = found.find((each) => each !== null)
    if (!call) return notFound(desk, `no call ${plain(id)}; earshot calls list shows what is there`)
    const show = shownBy(options.full)
    if (options.json) {
      desk.out(json(callJson(call, show)))
      return 0
    }
    desk.out(fields(callJson(call, show)).join('\n'))
    const rows = call.legs.map((leg) => {
      const { status, answeredAt, endedAt } = legTimes(leg)
      return [leg.id, leg.origin, show(leg.address), status, leg.monitoring?.mode ?? '', timeText(answeredAt), timeText(endedAt), legPrice(leg) ?? '']
    })
    desk.out(columns(['LEG', 'ORIGIN', 'ADDRESS', 'STATUS', 'MODE', 'ANSWERED', 'ENDED', 'PRICE'], rows).join('\n'))
    return 0
  })
}

/** The delivery log, newest first. @returns The exit code. */
export async function callbacksList(desk: Desk, options: CallbackListOptions): Promise<number> {
  return withRecords(desk, options, async (database) => {
    const { state, limit, account } = options
    const found = await listCallbacks(database.sql, {
      state: state === 'all' ? null : state,
      accountId: (account ?? null) as AccountId | null,
      receiver: receiverIn(options),
      limit,
    })
    const show = shownBy(options.full)
    if (options.json) desk.out(json({ callbacks: found.map((callback) => callbackJson(callback, show)) }))
    else if (found.length === 0) desk.out(`No ${state === 'all' ? '' : `${state} `}callbacks.`)
    else {
      const rows = found.map((callback) => [
        callback.id,
        callback.state,
        callback.event,
        callback.callId,
        String(callback.attempts),
        timeText(callback.state === 'pending' ? callback.dueAt : callback.settledAt),
        show(callback.url),
        show(callback.lastError ?? ''),
      ])
      desk.out(columns(['CALLBACK', 'STATE', 'EVENT', 'CALL', 'TRIES', state === 'pending' ? 'DUE' : 'SINCE', 'TO', 'LAST ERROR'], rows).join('\n'))
    }
    return 0
  })
}

/** One callback; its body only with `--full`. @returns The exit code. */
export async function callbacksShow(desk: Desk, id: string, options: ShowOptions): Promise<number> {
  return withRecords(desk, options, async (database) => {
    const callback = await loadCallback(database.sql, id)
    if (!callback) return notFound(desk, `no callback ${plain(id)}; earshot callbacks list --state all shows what is there`)
    const shown = { ...callbackJson(callback, shownBy(options.full)), ...(options.full ? { contentType: callback.contentType, body: callback.body } : {}) }
    desk.out(options.json ? json(shown) : fields(shown).join('\n'))
    return 0
  })
}

/** Parked callbacks again, from the beginning of their schedule: those that are named, or all. @returns The exit code. */
export async function callbacksReplay(desk: Desk, ids: readonly string[], options: ReplayOptions): Promise<number> {
  if (options.all === ids.length > 0) {
    desk.err('earshot callbacks replay: name callbacks, or write --all for every one that is parked')
    return 1
  }
  if (!options.all && (options.account ?? options.receiver) !== undefined) {
    desk.err('earshot callbacks replay: --account and --receiver go with --all, not with named callbacks')
    return 1
  }
  return withRecords(desk, options, async (database, _config, isServed) => {
    const { replayed, refused } = options.all ? { replayed: await replayAll(desk, database, options), refused: [] } : await replayNamed(desk, database, ids)
    const runs = isServed ?? (await hasBeaten(desk, database))
    if (options.json) desk.out(json({ replayed, refused, sent: runs ? 'now' : 'at the next start' }))
    else {
      const what = `${replayed} callback${replayed === 1 ? '' : 's'}`
      desk.out(replayed === 0 ? 'Nothing to replay.' : `${what} will be sent again ${runs ? 'now' : 'when Earshot runs: no server is running on this data'}.`)
    }
    return refused.length > 0 ? 1 : 0
  })
}

/** Brings the tables up to date. @returns The exit code. */
export async function migrate(desk: Desk, options: RecordOptions): Promise<number> {
  return withDatabase(desk, options, true, async ({ steps }) => {
    if (options.json) desk.out(json({ made: steps.made }))
    else desk.out(steps.made.length === 0 ? 'The tables are up to date; nothing was changed.' : `Made ${steps.made.join(', ')}. The tables are up to date.`)
    return 0
  })
}

const EVERY_CALL: Omit<CallQuery, 'statuses' | 'pageSize'> = {
  ids: null,
  createdFrom: null,
  createdBefore: null,
  from: null,
  to: null,
  ownNumbers: null,
  durationS: null,
  price: null,
  directions: null,
  order: 'desc',
  start: null,
}

/** `isServed`: whether an Earshot had the data folder when we came; null for a database server. */
type Work = (database: Database, config: Config, isServed: boolean | null) => Promise<number>

/** For commands that read: tables of another version are left alone, and data that is not there is not made. */
export async function withRecords(desk: Desk, options: RecordOptions, work: Work): Promise<number> {
  return withDatabase(desk, options, false, async (database, config, isServed) => {
    const { pending } = database.steps
    if (pending.length === 0) return work(database, config, isServed)
    desk.err(`the tables are not up to date (${pending.join(', ')} missing); run: earshot migrate --config ${options.config}`)
    return 1
  })
}

async function withDatabase(desk: Desk, options: RecordOptions, migrates: boolean, work: Work): Promise<number> {
  const config = await desk.read(options.config)
  if (!('data' in config)) {
    for (const line of config) desk.err(line)
    return 1
  }
  const log = quietLog(desk)
  try {
    const folder = isPostgresUrl(config.data) ? null : await lookInto(config.data, log)
    if (!migrates && folder?.major === null) {
      desk.err(`there is no data in ${config.data} yet; earshot serve or earshot migrate makes it`)
      return 1
    }
    const database = await openBeside({ data: config.data, log, migrates })
    try {
      return await work(database, config, folder && folder.running !== null)
    } finally {
      await database.close()
    }
  } catch (error) {
    desk.err(databaseFailure(error, config, options.config))
    return 1
  }
}

/** By the last heartbeat, where no lock of a folder says it. */
async function hasBeaten(desk: Desk, database: Database): Promise<boolean> {
  const beatAt = await latestBeat(database.sql)
  return beatAt !== null && desk.now() - beatAt < ALIVE_MS
}

function notFound(desk: Desk, sentence: string): number {
  desk.err(sentence)
  return 1
}

const accountsIn = (config: Config, only: string | undefined): readonly AccountId[] =>
  only === undefined ? config.accounts.map(({ sid }) => sid) : [only as AccountId]

/** A whole URL is cut down to what is counted by. */
const receiverIn = ({ receiver }: { readonly receiver?: string }): string | null => (receiver === undefined ? null : receiverOf(receiver) || receiver)

async function replayAll(desk: Desk, database: Database, options: ReplayOptions): Promise<number> {
  const query = { accountId: (options.account ?? null) as AccountId | null, receiver: receiverIn(options), limit: REPLAY_BATCH }
  const startedAt = desk.now()
  let replayed = 0
  for (;;) {
    const count = await replayParked(database.sql, query, startedAt)
    replayed += count
    if (count < REPLAY_BATCH) return replayed
    desk.err(`${replayed} so far`)
  }
}

async function replayNamed(desk: Desk, database: Database, ids: readonly string[]): Promise<{ readonly replayed: number; readonly refused: readonly string[] }> {
  const refused: string[] = []
  for (const id of new Set(ids)) {
    const callback = await loadCallback(database.sql, id)
    if (callback && (await replayCallback(database.sql, callback.accountId, id, desk.now()))) continue
    refused.push(id)
    desk.err(callback ? `callback ${plain(id)} is ${callback.state}: only parked ones can be replayed` : `no callback ${plain(id)}`)
  }
  return { replayed: new Set(ids).size - refused.length, refused }
}

type Show = (text: string) => string

const callStatus = ({ state }: Call): string => (state.status === 'ended' ? state.outcome : 'in-progress')

function callJson(call: Call, show: Show): Readonly<Record<string, unknown>> {
  return {
    id: call.id,
    account: call.accountId,
    direction: call.direction,
    status: callStatus(call),
    from: show(call.from),
    to: show(call.to),
    callerId: show(call.callerId),
    createdAt: timeText(call.createdAt),
    endedAt: call.state.status === 'ended' ? timeText(call.state.endedAt) : null,
    customField: call.customField === null ? null : show(call.customField),
    price: callPrice(call),
    endReason: call.endReason,
    legs: call.legs.map((leg) => legJson(leg, show)),
  }
}

function legJson(leg: Leg, show: Show): Readonly<Record<string, unknown>> {
  const { status, answeredAt, endedAt } = legTimes(leg)
  return {
    id: leg.id,
    origin: leg.origin,
    address: show(leg.address),
    status,
    mode: leg.monitoring?.mode ?? null,
    target: leg.monitoring?.targetLegId ?? null,
    createdAt: timeText(leg.createdAt),
    answeredAt: timeText(answeredAt) || null,
    endedAt: timeText(endedAt) || null,
    price: legPrice(leg),
    rate: leg.rate && `${leg.rate.price} ${leg.rate.currency} per ${leg.rate.pulseS} s`,
  }
}

function legTimes({ state }: Leg): { readonly status: string; readonly answeredAt: number | null; readonly endedAt: number | null } {
  switch (state.status) {
    case 'ringing':
      return { status: 'ringing', answeredAt: null, endedAt: null }
    case 'answered':
      return { status: 'answered', answeredAt: state.answeredAt, endedAt: null }
    case 'ended':
      return { status: state.cause, answeredAt: state.answeredAt, endedAt: state.endedAt }
  }
}

function callbackJson(callback: LoggedCallback, show: Show): Readonly<Record<string, unknown>> {
  return {
    id: callback.id,
    account: callback.accountId,
    call: callback.callId,
    leg: callback.legId,
    event: callback.event,
    state: callback.state,
    url: show(callback.url),
    attempts: callback.attempts,
    lastStatus: callback.lastStatus,
    lastError: callback.lastError === null ? null : show(callback.lastError),
    createdAt: timeText(callback.createdAt),
    dueAt: callback.state === 'pending' ? timeText(callback.dueAt) : null,
    settledAt: timeText(callback.settledAt) || null,
  }
}

/** One line for each value that is not empty and not a list. */
const fields = (values: Readonly<Record<string, unknown>>): readonly string[] =>
  Object.entries(values)
    .filter(([, value]) => value !== null && value !== '' && !Array.isArray(value))
    .map(([name, value]) => `${`${name}:`.padEnd(13)}${name === 'body' ? String(value) : plain(String(value))}`)
