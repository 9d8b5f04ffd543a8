/**
 * Commands about accounts: what the configuration decides of each, beside what the database knows of it. Nothing is changed, and no
 * token, password or secret is ever shown.
 */
import { type AccountConfig, type Config, keysOf } from '../../config.ts'
import { MAX_LISTED_KEYS } from '../../control/access/key-desk.ts'
import { type Key, keyStatus } from '../../domain/account/keys.ts'
import { type Money, micros, money, NO_MONEY } from '../../domain/account/money.ts'
import { heldBy } from '../../domain/account/prepaid.ts'
import { SCOPES } from '../../domain/account/rights.ts'
import type { CallQuery, PageStart } from '../../domain/call-query.ts'
import type { AccountId } from '../../domain/ids.ts'
import { listKeys } from '../../store/access/keys.ts'
import { type Census, countByAccount, NOTHING_COUNTED } from '../../store/census.ts'
import { listCalls } from '../../store/calls.ts'
import type { Sql } from '../../store/database.ts'
import { loadBalance, loadBalances } from '../../store/ledger/balances.ts'
import { findSecrets } from '../../store/secrets.ts'
import { columns, type Desk, json, oneLine, plain, shownBy, timeText } from '../desk.ts'
import { type RecordOptions, type ShowOptions, withRecords } from '../opening.ts'
import { EVERY_CALL, MAX_LISTED } from '../records.ts'
import { capsInShort, capsInWords, destinations, destinationsInWords, noticeInShort, noticeInWords, planInShort, planInWords } from './words.ts'

/** Accounts that an error names at most. */
const MAX_NAMED = 20

/** Every account of the configuration on a line. @returns The exit code. */
export async function accountsList(desk: Desk, options: RecordOptions): Promise<number> {
  return withRecords(desk, options, async ({ sql }, config) => {
    const counts = await countByAccount(sql, desk.now())
    const balances = await loadBalances(sql)
    const found = config.accounts.map((account): Listed => {
      const balance = balances.find((each) => each.accountId === account.sid && each.currency === account.plan?.currency)
      const has = account.plan === null ? null : balance ? difference(balance.paidIn, balance.charged) : NO_MONEY
      return { account, counted: counts.get(account.sid) ?? NOTHING_COUNTED, balance: has }
    })
    if (options.json) desk.out(json({ accounts: found.map(listedJson) }))
    else desk.out(columns(HEAD, found.map(cells)).join('\n'))
    return 0
  })
}

/** All of one account. @returns The exit code. */
export async function accountsShow(desk: Desk, sid: string, options: ShowOptions): Promise<number> {
  return withRecords(desk, options, async ({ sql }, config) => {
    const account = config.accounts.find((each) => each.sid === sid)
    if (!account) {
      const known = config.accounts.map((each) => each.sid)
      const more = known.length > MAX_NAMED ? ` and ${known.length - MAX_NAMED} more` : ''
      desk.err(`no account ${plain(sid)} in ${options.config}; there are: ${known.slice(0, MAX_NAMED).join(', ')}${more}`)
      return 1
    }
    const portrait = await portraitOf(sql, config, account, desk.now())
    desk.out(options.json ? json(portraitJson(portrait, config, options.full)) : portraitText(portrait, config, options.full).join('\n'))
    return 0
  })
}

interface Listed {
  readonly account: AccountConfig
  readonly counted: Census
  /** Null without a plan. */
  readonly balance: Money | null
}

const HEAD = ['ACCOUNT', 'TIME ZONE', 'NUMBERS', 'PHONES', 'KEYS', 'MONITORING', 'PLAN', 'CAPS', 'LIVE CALLS', 'BALANCE']

const cells = ({ account, counted, balance }: Listed): readonly string[] => [
  account.sid,
  account.timeZone,
  ...[account.numbers, account.agents].map((list) => String(list.length)),
  String(account.keys.length + counted.activeKeys),
  noticeInShort(account.notice),
  planInShort(account.plan),
  capsInShort(account.dial),
  String(counted.liveCalls),
  balance === null ? '' : `${balance} ${account.plan?.currency ?? ''}`,
]

const listedJson = ({ account, counted, balance }: Listed) => ({
  account: account.sid,
  timeZone: account.timeZone,
  numbers: account.numbers.length,
  phones: account.agents.length,
  keys: account.keys.length + counted.activeKeys,
  monitoring: { possible: account.notice !== null, notice: account.notice },
  plan: account.plan && { ...planJson(account), rates: account.plan.rates.length },
  limits: capsJson(account),
  liveCalls: counted.liveCalls,
  balance,
})

/** What the database knows of an account. */
interface Portrait {
  readonly account: AccountConfig
  readonly keys: readonly Key[]
  readonly calls: { readonly live: number; readonly onRecord: number }
  /** Null without a plan. */
  readonly balance: { readonly paidIn: Money; readonly charged: Money; readonly balance: Money; readonly held: Money; readonly left: Money } | null
  readonly callbackSecret: { readonly keptIn: 'configuration' | 'database' | null; readonly count: number; readonly madeAt: number | null }
  /** Epoch ms. */
  readonly at: number
}

async function portraitOf(sql: Sql, config: Config, account: AccountConfig, at: number): Promise<Portrait> {
  const { sid, plan } = account
  const inFile = keysOf(config).filter((key) => key.accountId === sid)
  const kept = await listKeys(sql, sid, MAX_LISTED_KEYS)
  const { total: onRecord } = await listCalls(sql, sid, { ...EVERY_CALL, statuses: null, pageSize: 1 })
  const { live, held } = await whatLives(sql, account, at)
  const stored = await findSecrets(sql, sid)
  return {
    account,
    keys: [...inFile, ...kept],
    calls: { live, onRecord },
    balance: plan && (await standing(sql, sid, plan.currency, held)),
    callbackSecret:
      account.callbackSecret.length > 0
        ? { keptIn: 'configuration', count: account.callbackSecret.length, madeAt: null }
        : { keptIn: stored && 'database', count: stored === null ? 0 : 1, madeAt: stored?.madeAt ?? null },
    at,
  }
}

/** Page by page, since an account may have as many live calls as its cap on legs lets it. */
async function whatLives(sql: Sql, { sid, plan }: AccountConfig, at: number): Promise<{ readonly live: number; readonly held: bigint }> {
  let [live, held] = [0, 0n]
  let start: PageStart | null = null
  for (;;) {
    const query: CallQuery = { ...EVERY_CALL, statuses: ['in-progress'], pageSize: MAX_LISTED, start }
    const page = await listCalls(sql, sid, query)
    live += page.calls.length
    if (plan !== null) for (const call of page.calls) held += heldBy(call, plan, at)
    const last = page.calls.at(-1)
    if (!page.hasNext || !last) return { live, held }
    start = { side: 'after', createdAt: last.createdAt, id: last.id }
  }
}

async function standing(sql: Sql, sid: AccountId, currency: string, heldMicros: bigint): Promise<Portrait['balance']> {
  const { paidIn, charged } = await loadBalance(sql, sid, currency)
  const [balance, held] = [difference(paidIn, charged), money(heldMicros)]
  return { paidIn, charged, balance, held, left: difference(balance, held) }
}

const difference = (more: Money, less: Money): Money => money(micros(more) - micros(less))

const keyName = (key: Key, full: boolean): string => (key.name === '' ? '' : shownBy(full)(key.name))
const scopesOf = (key: Key): string => (key.scopes.length === SCOPES.length ? 'all' : key.scopes.join(','))
const phoneName = (full: boolean) => (name: string) => (full ? name : '***')

function portraitText(portrait: Portrait, config: Config, full: boolean): readonly string[] {
  const { account, keys, calls, at } = portrait
  const show = shownBy(full)
  const { plan, dial } = account
  const numbers = account.numbers.map(({ number, rings }) => [show(number), rings === null ? 'nobody: calls to it are refused' : show(rings)])
  const phones = account.agents.map(({ name }) => phoneName(full)(name)).join(', ')
  const rows = keys.map((key) => {
    const agents = key.agents === null ? 'all' : full ? key.agents.join(',') : String(key.agents.length)
    return [key.id, keyStatus(key, at), key.source, scopesOf(key), agents, timeText(key.lastUsedAt), keyName(key, full)]
  })
  return [
    line('account', account.sid),
    line('time zone', account.timeZone),
    line('monitoring', noticeInWords(account.notice)),
    line('may dial', destinationsInWords(config.dial, dial.allow)),
    line('caps', capsInWords(dial, account.maxMonitors)),
    line('callbacks', secretInWords(portrait.callbackSecret)),
    line('calls', `${calls.live} live, ${calls.onRecord} on record`),
    line('phones', account.agents.length === 0 ? 'none' : `${account.agents.length}: ${phones}`),
    line('plan', planInWords(plan)),
    ...(plan === null ? [] : [line('balance', balanceInWords(portrait, plan.currency))]),
    ...table(
      ['PREFIX', 'LEGS', 'A PULSE'],
      (plan?.rates ?? []).map((rate) => [rate.prefix ?? 'any', rate.origin ?? 'any', rate.price]),
    ),
    ...table(['NUMBER', 'RINGS'], numbers),
    ...table(['KEY', 'STATUS', 'KEPT IN', 'SCOPES', 'PHONES', 'LAST USED', 'NAME'], rows),
    ...(keys.length === 0 ? ['', `No keys: nobody can use the HTTP API for it; earshot keys create --account ${account.sid} makes one.`] : []),
  ]
}

/** Not cut off: what is in it is the operator's own. */
const line = (name: string, text: string): string => `${`${name}:`.padEnd(13)}${oneLine(text)}`

const table = (head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] =>
  rows.length === 0 ? [] : ['', ...columns(head, rows)]

function balanceInWords({ balance }: Portrait, currency: string): string {
  if (balance === null) return 'none'
  return `${balance.balance} ${currency} (${balance.paidIn} paid in, ${balance.charged} charged); live calls hold ${balance.held}, left ${balance.left}`
}

function secretInWords({ keptIn, count, madeAt }: Portrait['callbackSecret']): string {
  switch (keptIn) {
    case 'configuration':
      return count === 1 ? 'signed by the secret of the configuration' : `signed by ${count} secrets of the configuration`
    case 'database':
      return `signed by a secret of the database${madeAt === null ? '' : `, made ${timeText(madeAt)}`}`
    case null:
      return 'no secret yet; one is made when the first is signed, and earshot secrets rotate shows it'
  }
}

const planJson = ({ plan }: AccountConfig) =>
  plan && { currency: plan.currency, pulseSeconds: plan.pulseS, prepaid: plan.prepaid, floor: plan.floor, rates: plan.rates }

const capsJson = ({ dial, maxMonitors }: AccountConfig) => ({
  maxLegs: dial.maxLegs,
  legsPerMinute: dial.legsPerMinute,
  spendPerDay: dial.spendPerDay,
  maxMonitors,
})

function portraitJson({ account, keys, calls, balance, callbackSecret, at }: Portrait, config: Config, full: boolean) {
  const show = shownBy(full)
  return {
    account: account.sid,
    timeZone: account.timeZone,
    monitoring: { possible: account.notice !== null, notice: account.notice, words: noticeInWords(account.notice) },
    numbers: account.numbers.map(({ number, rings }) => ({ number: show(number), rings: rings && show(rings) })),
    phones: account.agents.map(({ name }) => phoneName(full)(name)),
    keys: keys.map((key) => ({
      id: key.id,
      name: keyName(key, full),
      status: keyStatus(key, at),
      source: key.source,
      scopes: key.scopes,
      agents: key.agents && key.agents.map(phoneName(full)),
      lastUsedAt: timeText(key.lastUsedAt) || null,
    })),
    plan: planJson(account),
    dial: { operator: destinations(config.dial), own: account.dial.allow && destinations(account.dial.allow) },
    limits: capsJson(account),
    callbackSecret: { keptIn: callbackSecret.keptIn, madeAt: timeText(callbackSecret.madeAt) || null },
    balance: balance && { currency: account.plan?.currency, ...balance },
    calls,
  }
}
