/** Commands about calls on record, and about the tables themselves; only `migrate` changes tables. */
import type { Config } from '../config.ts'
import type { Call } from '../domain/call.ts'
import type { CallQuery } from '../domain/call-query.ts'
import type { AccountId, CallId } from '../domain/ids.ts'
import { callPrice, legPrice } from '../domain/account/rating.ts'
import type { Leg } from '../domain/leg.ts'
import { listCalls, loadCall } from '../store/calls.ts'
import { columns, type Desk, json, plain, shownBy, timeText } from './desk.ts'
import { fields, notFound, type RecordOptions, type ShowOptions, withDatabase, withRecords } from './opening.ts'

export interface CallListOptions extends ShowOptions {
  readonly live: boolean
  readonly limit: number
  readonly account?: string
}

/** Calls on one page of the store at most, and so calls of one listing. */
export const MAX_LISTED = 100

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
      const rows = calls.map((call) => [
        call.id,
        call.accountId,
        timeText(call.createdAt),
        callStatus(call),
        show(call.from),
        show(call.to),
        String(call.legs.length),
      ])
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

/** Brings the tables up to date. @returns The exit code. */
export async function migrate(desk: Desk, options: RecordOptions): Promise<number> {
  return withDatabase(desk, options, true, async ({ steps }) => {
    if (options.json) desk.out(json({ made: steps.made }))
    else
      desk.out(
        steps.made.length === 0 ? 'The tables are up to date; nothing was changed.' : `Made ${steps.made.join(', ')}. The tables are up to date.`,
      )
    return 0
  })
}

/** Without a filter, the newest first. */
export const EVERY_CALL: Omit<CallQuery, 'statuses' | 'pageSize'> = {
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

const accountsIn = (config: Config, only: string | undefined): readonly AccountId[] =>
  only === undefined ? config.accounts.map(({ sid }) => sid) : [only as AccountId]

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
