/**
 * Commands about API keys: the operator at the machine makes, lists, rotates and revokes those of any account. A token is said once,
 * on stdout; a server that runs on the same data hears of every change at once.
 */
import { newApiToken, newId, newKeyId } from '../../chance.ts'
import { accountsOf, type Config, keysOf } from '../../config.ts'
import { type IssuedKey, type KeyDesk, MAX_LISTED_KEYS, makeKeyDesk } from '../../control/access/key-desk.ts'
import { makeTokenHasher } from '../../control/access/token-hash.ts'
import { type Key, keyStatus, MAX_ACTIVE_KEYS } from '../../domain/account/keys.ts'
import { SCOPES, type Scope } from '../../domain/account/rights.ts'
import { DomainError } from '../../domain/errors.ts'
import type { AccountId, KeyId } from '../../domain/ids.ts'
import { listKeys, loadKey } from '../../store/access/keys.ts'
import type { Database } from '../../store/database.ts'
import { columns, type Desk, json, plain, shownBy, timeText } from '../desk.ts'
import { type RecordOptions, withRecords } from '../opening.ts'

export interface KeyCreateOptions extends RecordOptions {
  readonly account?: string
  /** As they were written; `all` among them is every one. */
  readonly scope: readonly string[]
  readonly agent: readonly string[]
  readonly name: string
  /** Epoch ms, or how long from now on, ms. */
  readonly expires?: { readonly at: number } | { readonly inMs: number }
}

export interface KeyListOptions extends RecordOptions {
  readonly account?: string
  readonly full: boolean
}

export interface KeyRotateOptions extends RecordOptions {
  readonly graceMs: number
}

/** @returns The exit code. */
export async function keysCreate(desk: Desk, options: KeyCreateOptions): Promise<number> {
  return withKeys(desk, options, async (keys, config) => {
    const account = accountIn(config, options)
    const scopes: readonly Scope[] = SCOPES.filter((scope) => options.scope.includes(scope) || options.scope.includes('all'))
    const { expires } = options
    const expiresAt = expires === undefined ? null : 'at' in expires ? expires.at : desk.now() + expires.inMs
    const wanted = { name: options.name, scopes, agents: options.agent.length === 0 ? null : [...new Set(options.agent)], expiresAt }
    tell(desk, options, config, await keys.create(account, null, wanted, null))
  })
}

/** @returns The exit code. */
export async function keysList(desk: Desk, options: KeyListOptions): Promise<number> {
  return withKeys(desk, options, async (_keys, config, database) => {
    const account = options.account === undefined ? null : accountIn(config, options)
    const inFile = keysOf(config).filter((key) => account === null || key.accountId === account)
    const found = [...inFile, ...(await listKeys(database.sql, account, MAX_LISTED_KEYS))]
    if (options.json) desk.out(json({ keys: found.map((key) => keyJson(key, desk.now(), options.full)) }))
    else if (found.length === 0) desk.out('No keys yet; earshot keys create makes one.')
    else
      desk.out(
        columns(
          HEAD,
          found.map((key) => cells(key, desk.now(), options.full)),
        ).join('\n'),
      )
  })
}

/** @returns The exit code. */
export async function keysRotate(desk: Desk, id: string, options: KeyRotateOptions): Promise<number> {
  return withKeys(desk, options, async (keys, config, database) => {
    const account = await accountOf(database, config, id)
    tell(desk, options, config, await keys.rotate(account, null, id as KeyId, options.graceMs))
  })
}

/** @returns The exit code. */
export async function keysRevoke(desk: Desk, id: string, options: RecordOptions): Promise<number> {
  return withKeys(desk, options, async (keys, config, database) => {
    const key = await keys.revoke(await accountOf(database, config, id), null, id as KeyId)
    desk.out(
      options.json ? json({ key: keyJson(key, desk.now(), true) }) : `${key.id} of ${key.accountId} is revoked since ${timeText(key.revokedAt)}.`,
    )
  })
}

type Work = (keys: KeyDesk, config: Config, database: Database) => Promise<void>

/** What the operator can do something about; anything else is for `withRecords` to tell. */
class Refusal extends Error {
  override readonly name = 'Refusal'
}

async function withKeys(desk: Desk, options: RecordOptions, work: Work): Promise<number> {
  return withRecords(desk, options, async (database, config) => {
    const keys = makeKeyDesk({
      database,
      hasher: makeTokenHasher(),
      accounts: new Map(accountsOf(config).map((account) => [account.id, account])),
      configured: keysOf(config),
      newId,
      newKeyId,
      newToken: newApiToken,
      now: desk.now,
      // A server that runs here is told by the database.
      onChanged: () => {},
    })
    try {
      await work(keys, config, database)
      return 0
    } catch (error) {
      if (!(error instanceof Refusal || error instanceof DomainError)) throw error
      desk.err(error instanceof DomainError ? sentenceOf(error, options.config) : error.message)
      return 1
    }
  })
}

function sentenceOf({ code, detail, message }: DomainError, file: string): string {
  switch (code) {
    case 'key-not-found':
      return 'no such key; earshot keys list shows what is there'
    case 'key-not-active':
      return 'that key has expired or was revoked; earshot keys create makes another'
    case 'key-configured':
      return `that key is kept in ${file}; change it there, and start Earshot again`
    case 'too-many-keys':
      return `the account has ${MAX_ACTIVE_KEYS} active keys, which is as many as there may be; earshot keys revoke ends one`
    case 'invalid-parameter':
      return WRONG[detail] ?? message
    default:
      return message
  }
}

const WRONG: Readonly<Record<string, string>> = {
  Scopes: `--scope is missing; write e.g. --scope calls.read --scope monitor.listen, or --scope all (${SCOPES.join(', ')})`,
  Agents: '--agent names no phone of the account; the configuration has their names under agents',
  ExpiresAt: '--expires lies in the past; write e.g. 90d or 2027-01-31',
}

/** The account that is named, or the only one. */
function accountIn(config: Config, { account, config: file }: { readonly account?: string; readonly config: string }): AccountId {
  const sids = config.accounts.map(({ sid }) => sid)
  const found = account === undefined && sids.length === 1 ? sids[0] : sids.find((sid) => sid === account)
  if (found !== undefined) return found
  const wrong = account === undefined ? 'which account? Write --account SID' : `no account ${plain(account)} in ${file}`
  throw new Refusal(`${wrong}; there are: ${sids.slice(0, 20).join(', ')}`)
}

async function accountOf(database: Database, config: Config, id: string): Promise<AccountId> {
  const key = keysOf(config).find((one) => one.id === id) ?? (await loadKey(database.sql, id as KeyId))?.key
  if (!key) throw new DomainError('key-not-found')
  return key.accountId
}

/** The only time that a token is said. */
function tell(desk: Desk, options: RecordOptions, config: Config, { key, token }: IssuedKey): void {
  if (options.json) return desk.out(json({ key: keyJson(key, desk.now(), true), token }))
  const rights = [key.scopes.length === SCOPES.length ? 'all scopes' : key.scopes.join(', ')]
  if (key.agents !== null) rights.push(`only calls of ${key.agents.join(', ')}`)
  rights.push(key.expiresAt === null ? 'does not expire' : `expires ${timeText(key.expiresAt)}`)
  const { host, port } = config.http
  const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host
  desk.out(
    [
      `Key and token of account ${key.accountId} (${rights.join('; ')}):`,
      `  key    ${key.id}`,
      `  token  ${token}`,
      'The token is said only now, and kept nowhere: write it down. Try it, while Earshot runs:',
      `  curl -u ${key.id}:${token} http://${reachable}:${port}/v1/Accounts/${key.accountId}/${key.scopes.includes('calls.read') ? 'Calls' : 'Keys'}.json`,
    ].join('\n'),
  )
}

const HEAD = ['KEY', 'ACCOUNT', 'STATUS', 'KEPT IN', 'SCOPES', 'AGENTS', 'CREATED', 'EXPIRES', 'LAST USED', 'NAME']

function cells(key: Key, now: number, full: boolean): readonly string[] {
  const scopes = key.scopes.length === SCOPES.length ? 'all' : key.scopes.join(',')
  const agents = key.agents === null ? 'all' : full ? key.agents.join(',') : String(key.agents.length)
  const times = [key.createdAt, key.expiresAt, key.lastUsedAt].map(timeText)
  return [key.id, key.accountId, keyStatus(key, now), key.source, scopes, agents, ...times, shownBy(full)(key.name)]
}

/** Names of phones are told with `--full` alone; how many there are, in any case. */
const keyJson = (key: Key, now: number, full: boolean): Readonly<Record<string, unknown>> => ({
  id: key.id,
  account: key.accountId,
  status: keyStatus(key, now),
  source: key.source,
  name: shownBy(full)(key.name),
  scopes: key.scopes,
  agents: key.agents && key.agents.map((name) => (full ? name : '***')),
  createdBy: key.createdBy,
  createdAt: timeText(key.createdAt) || null,
  expiresAt: timeText(key.expiresAt) || null,
  rotatedAt: timeText(key.rotatedAt) || null,
  revokedAt: timeText(key.revokedAt) || null,
  lastUsedAt: timeText(key.lastUsedAt) || null,
})
