/**
 * What the operator decides, read once at start and valid as a whole or not at all.
 *
 * Its one rule: all that is wrong is said at once, each with its line and with what to write instead. This file is the
 * only reader of the environment. The keys are in `config-schema.ts`, the reading of YAML in `config-source.ts`.
 */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { z } from 'zod'
import { configSchema, dialRules, isPostgresUrl, isWildcard } from './config-schema.ts'
import { pathText, readSource, type Environment, type KeyPath, type Problem, type SourceValue } from './config-source.ts'
import type { Account, AccountNumber, DialRules } from './domain/account/account.ts'
import type { Key } from './domain/account/keys.ts'
import type { Scope } from './domain/account/rights.ts'
import type { DialLimits } from './domain/account/dial-guard.ts'
import { type RatePlan, rateFor } from './domain/account/rating.ts'
import type { Address } from './domain/address.ts'
import type { TonePolicy } from './domain/evidence/tones.ts'
import type { AccountId, KeyId } from './domain/ids.ts'
import type { Retention } from './store/evidence/keeping.ts'

export type { Environment } from './config-source.ts'

export interface Config {
  readonly engine: 'native'
  /** Port 0: any free one. */
  readonly http: {
    readonly host: string
    readonly port: number
    /** `https://host` as callers write it, for addresses that answers name; null: as it listens. */
    readonly publicUrl: string | null
    /** Addresses and CIDR blocks of proxies whose `X-Forwarded-For` is believed. */
    readonly trustProxy: readonly string[]
  }
  readonly sip: {
    /** Bound for UDP and TCP: an IP literal. */
    readonly host: string
    /** 0: any free one. */
    readonly port: number
    /** The address in Via and Contact: `advertise` as given, else `host`. IP literal, never a wildcard. */
    readonly advertise: string
  }
  readonly rtp: {
    /** IP literal; `sip.host` unless given. */
    readonly host: string
    /** First and last port of the range, 1024 to 65535. */
    readonly portMin: number
    readonly portMax: number
    /** The address in SDP: `sip.advertise` as given, else `host`. */
    readonly advertise: string
  }
  /** The absolute path of a folder (embedded PostgreSQL), or `postgres://…`. */
  readonly data: string
  /** At least one. */
  readonly accounts: readonly AccountConfig[]
  readonly trunks: readonly TrunkConfig[]
  readonly dial: DialRules
  readonly callbacks: {
    /** Private addresses that callbacks may reach (contract C29): IP address or CIDR block, each perhaps with a port. */
    readonly allow: readonly string[]
    /** Seconds before the second attempt, the third, and so on (contract C27). */
    readonly retrySeconds: readonly number[]
  }
  readonly recordings: {
    /** An absolute path. */
    readonly folder: string
  }
  readonly retention: Retention
  readonly limits: {
    /** Of one account, other than GET (contract C10). */
    readonly writesPerMinute: number
    /** GET of one account. */
    readonly readsPerMinute: number
    /** Of one address. */
    readonly requestsPerMinute: number
    /** Wrong keys and tokens of one address. */
    readonly failuresPerMinute: number
  }
  /** Where Prometheus reads, without a password; null: nowhere. Port 0: any free one. */
  readonly metrics: { readonly host: string; readonly port: number } | null
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error' }
}

export interface AccountConfig {
  readonly sid: AccountId
  /** IANA name. */
  readonly timeZone: string
  readonly keys: readonly {
    readonly key: string
    readonly token: string
    readonly scopes: readonly Scope[]
    /** Names of phones; null: no limit. */
    readonly agents: readonly string[] | null
  }[]
  readonly numbers: readonly AccountNumber[]
  readonly agents: readonly { readonly name: string; readonly password: string }[]
  readonly maxMonitors: number
  /** `whsec_` and base64 (Standard Webhooks), the newest first, two at most; none: one is made and kept with the data. */
  readonly callbackSecret: readonly string[]
  /** Null: nobody has decided who is told, and so nobody may monitor. */
  readonly notice: TonePolicy | null
  /** Null: its legs are not charged. */
  readonly plan: RatePlan | null
  readonly dial: DialLimits
}

export interface TrunkConfig {
  readonly name: string
  /** `sip:host[:port]`, perhaps with `;transport=tcp`. */
  readonly uri: string
  /** Null as long as `password` is. */
  readonly username: string | null
  readonly password: string | null
  /** Whether we register there, so that it knows where we are. */
  readonly register: boolean
  readonly numbers: readonly Address[]
}

/** Thrown with everything that is wrong; `message` has one line for each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly Problem[]
  constructor(fileName: string, problems: readonly Problem[]) {
    super(problems.map((problem) => problemLine(fileName, problem)).join('\n'))
    this.problems = problems
  }
}

/** The environment of this process, for those who pass it on. */
export const environment = (): Environment => process.env

/**
 * Reads and checks a file. A relative `data` folder is taken from the file's own folder.
 * @throws {ConfigError} with all problems of the file, or that it cannot be read.
 */
export function loadConfig(path: string, env: Environment): Config {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown'
    const why = code === 'ENOENT' ? 'does not exist; copy earshot.example.yaml and change it' : `cannot be read (${code}); check its rights`
    throw new ConfigError(path, [{ line: 0, path: [], text: why }])
  }
  return parseConfig(text, { fileName: path, env })
}

/** @throws {ConfigError} with all problems of the text. */
export function parseConfig(text: string, from: { readonly fileName: string; readonly env: Environment }): Config {
  const source = readSource(text, from.env)
  const problems = [...source.problems]
  const blocked = new Set(problems.map((problem) => pathText(problem.path)))
  const broken = problems.some((problem) => problem.path.length === 0) && source.value === undefined
  const parsed = configSchema.safeParse(source.value ?? {})
  if (!broken) {
    const issues = parsed.success ? [] : parsed.error.issues.flatMap(issueProblems)
    // A value that its variable left empty was reported already.
    const fresh = issues.filter((issue) => !issue.path.some((_, index) => blocked.has(pathText(issue.path.slice(0, index + 1)))))
    const crossed = crossChecks(source.value)
    problems.push(...[...fresh, ...crossed].map((issue) => ({ ...issue, line: source.lineOf(issue.path) })))
  }
  if (!parsed.success || problems.length > 0) throw new ConfigError(from.fileName, inOrder(problems))
  return finish(parsed.data, dirname(resolve(from.fileName)))
}

/** What is allowed, but deserves a word at start. */
export function configWarnings(config: Config): readonly string[] {
  const said: string[] = []
  for (const account of config.accounts) {
    if (account.keys.length === 0)
      said.push(`account ${account.sid} has no keys: nobody can use the HTTP API for it until earshot keys create makes one`)
    if (account.keys.some((entry) => entry.token.length < SHORT_TOKEN))
      said.push(`account ${account.sid} has a token shorter than ${SHORT_TOKEN} characters: good for a try, not for a network`)
    if (account.notice === null) said.push(`account ${account.sid} ${NO_NOTICE}`)
    said.push(...unrated(account, config.dial))
  }
  const owned = new Set(config.accounts.flatMap((account) => account.numbers.map((entry) => entry.number)))
  for (const trunk of config.trunks) {
    if (trunk.numbers.some((entry) => !owned.has(entry)))
      said.push(`trunk ${trunk.name} carries a number that no account has: calls to it are refused`)
  }
  if (config.http.publicUrl === null && isWildcard(config.http.host))
    said.push(`http.host ${config.http.host} is no address that anybody can call: set http.publicUrl, which RecordingUrl begins with`)
  if (config.metrics !== null && !/^(?:127\.|::1$|localhost$)/.test(config.metrics.host))
    said.push(`metrics.host ${config.metrics.host} is not this machine alone: whoever reaches it reads the metrics without a password`)
  return said
}

/** What an account could dial, had its plan a rate for it. */
function unrated({ sid, plan, dial, agents }: AccountConfig, rules: DialRules): readonly string[] {
  if (plan === null) return []
  const lacksRate = (address: string): boolean =>
    (['outbound', 'outbound-dial', 'monitor'] as const).some((origin) => rateFor(plan, { origin, address: address as Address }) === null)
  const prefixes = rules.prefixes.filter((prefix) => dial.allow === null || dial.allow.prefixes.some((own) => prefix.startsWith(own)))
  const missing = [...(agents.length > 0 ? ['client:'] : []), ...prefixes].filter(lacksRate)
  return missing.map(
    (prefix) => `account ${sid} has a plan without a rate for every leg to ${prefix}: those are refused; add e.g. {prefix: "${prefix}", price: 0}`,
  )
}

/** The tenants as the rules of the house see them. */
export function accountsOf(config: Config): readonly Account[] {
  return config.accounts.map(({ sid, timeZone, numbers, agents, maxMonitors, notice, plan, dial }) => ({
    id: sid,
    timeZone,
    numbers,
    agents: agents.map((agent) => agent.name),
    maxMonitors,
    notice,
    plan,
    dial,
  }))
}

/** The keys of the file as the rules of the house see them. */
export const keysOf = (config: Config): readonly Key[] =>
  config.accounts.flatMap(({ sid, keys }) =>
    keys.map(({ key, scopes, agents }) => ({
      ...{ id: key as KeyId, accountId: sid, name: '', source: 'configuration' as const, scopes, agents, createdBy: null },
      ...{ createdAt: null, expiresAt: null, rotatedAt: null, revokedAt: null, lastUsedAt: null },
    })),
  )

/** What may be dialled besides registered phones. */
export const dialRulesOf = (config: Config): DialRules => config.dial

const SHORT_TOKEN = 16
const NO_NOTICE =
  'has no notice section, so nobody may monitor its calls: laws may ask that parties hear that somebody listens (in California a tone every 15 s); ' +
  'write notice: { to: both } for tones, or notice: { to: nobody } if silence is lawful for you'

type Finding = Omit<Problem, 'line'>

function finish(data: z.output<typeof configSchema>, folder: string): Config {
  const { sip, rtp, dial } = data
  const rtpHost = rtp.host ?? sip.host
  return {
    ...data,
    sip: { ...sip, advertise: sip.advertise ?? sip.host },
    rtp: { ...rtp, host: rtpHost, advertise: sip.advertise ?? rtpHost },
    data: isPostgresUrl(data.data) ? data.data : resolve(folder, data.data),
    recordings: { folder: resolve(folder, data.recordings.folder) },
    dial: dialRules(dial.allow),
  }
}

function problemLine(fileName: string, problem: Problem): string {
  const at = problem.line > 0 ? `${fileName}:${problem.line}:` : `${fileName}`
  return [at, pathText(problem.path), problem.text].filter((part) => part !== '').join(' ')
}

function inOrder(problems: readonly Problem[]): readonly Problem[] {
  const unique = new Map(problems.map((problem) => [`${problem.line} ${pathText(problem.path)} ${problem.text}`, problem]))
  return [...unique.values()].sort((a, b) => a.line - b.line)
}

function issueProblems(issue: z.core.$ZodIssue): readonly Finding[] {
  const path = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step))
  if (issue.code !== 'unrecognized_keys') return [{ path, text: issue.message }]
  const known = issue.message.split(' ')
  return issue.keys.map((key) => {
    const close = nearest(key, known)
    return {
      path: [...path, key],
      text: close ? `is not a known key; did you mean ${close}?` : `is not a known key; known here: ${known.join(', ')}`,
    }
  })
}

/** Letters that may differ between an unknown key and the one that was probably meant. */
const MAX_SLIPS = 2

function nearest(written: string, known: readonly string[]): string | null {
  const plain = (text: string): string => text.toLowerCase().replace(/[-_]/g, '')
  const ranked = known.map((candidate) => ({ candidate, slips: distance(plain(written), plain(candidate)) })).sort((a, b) => a.slips - b.slips)
  const best = ranked[0]
  return best && best.slips <= MAX_SLIPS && best.slips < best.candidate.length ? best.candidate : null
}

/** Levenshtein's, over short texts. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= Math.min(a.length, 64); i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

interface Found {
  readonly path: KeyPath
  readonly text: string
}

/**
 * What no single key can know. Reads the values as written, not as parsed, so that these problems are told together
 * with those of single keys; a value of the wrong shape is simply not there.
 */
function crossChecks(root: SourceValue): readonly Finding[] {
  const all = (...pattern: readonly string[]): readonly Found[] => select(root, pattern, [])
  const first = (...pattern: readonly string[]): string | undefined => all(...pattern)[0]?.text
  return [
    ...repeated(all('accounts', '*', 'sid'), 'is the sid of another account too; every account needs its own'),
    ...repeated(all('accounts', '*', 'keys', '*', 'key'), 'is given twice; every API key needs its own name, over all accounts'),
    ...repeated(
      all('accounts', '*', 'agents', '*', 'name'),
      'is the name of another phone too; names are SIP logins and must differ over all accounts',
    ),
    ...repeated(
      [...all('accounts', '*', 'numbers', '*'), ...all('accounts', '*', 'numbers', '*', 'number')],
      'belongs to an account already; give each number to one account, once',
    ),
    ...repeated(all('trunks', '*', 'name'), 'is the name of another trunk too; every trunk needs its own'),
    ...repeated(all('trunks', '*', 'numbers', '*'), 'is carried by another trunk already; give each number to one trunk, once'),
    ...limitedToNobody(root),
    ...ringsNobody(root),
    ...halfLogins(root),
    ...portRange(first('rtp', 'portMin') ?? '40000', first('rtp', 'portMax') ?? '49998', first('sip', 'port') ?? '5060'),
    ...unreachable(first('sip', 'host') ?? '127.0.0.1', first('rtp', 'host'), first('sip', 'advertise')),
  ]
}

function select(value: SourceValue, pattern: readonly string[], path: KeyPath): readonly Found[] {
  const [step, ...rest] = pattern
  if (step === undefined) return typeof value === 'string' ? [{ path, text: value }] : []
  if (value === undefined || typeof value === 'string') return []
  if (isList(value)) return step === '*' ? value.flatMap((entry, index) => select(entry, rest, [...path, index])) : []
  return step in value ? select(value[step], rest, [...path, step]) : []
}

const isList = (value: Exclude<SourceValue, undefined | string>): value is readonly SourceValue[] => Array.isArray(value)

function repeated(found: readonly Found[], text: string): readonly Finding[] {
  return found
    .filter((entry, index) => entry.text !== '' && found.findIndex((other) => other.text === entry.text) < index)
    .map(({ path }) => ({ path, text }))
}

function limitedToNobody(root: SourceValue): readonly Finding[] {
  return select(root, ['accounts', '*', 'keys', '*', 'agents', '*'], []).flatMap(({ path, text }) => {
    const agents = select(root, ['accounts', '*', 'agents', '*', 'name'], []).filter((agent) => agent.path[1] === path[1])
    if (agents.some((agent) => agent.text === text)) return []
    return [{ path, text: `names no phone of this account; ${agents[0] ? `write e.g. ${agents[0].text}` : 'add it to agents of the account'}` }]
  })
}

function ringsNobody(root: SourceValue): readonly Finding[] {
  return select(root, ['accounts', '*', 'numbers', '*', 'rings'], []).flatMap(({ path, text }) => {
    const agents = select(root, ['accounts', '*', 'agents', '*', 'name'], []).filter((agent) => agent.path[1] === path[1])
    if (agents.some((agent) => agent.text === text)) return []
    const example = agents[0]?.text
    return [{ path, text: `names no phone of this account; ${example ? `write e.g. rings: ${example}` : 'add it to agents'}` }]
  })
}

function halfLogins(root: SourceValue): readonly Finding[] {
  const named = select(root, ['trunks', '*', 'username'], [])
  const secret = select(root, ['trunks', '*', 'password'], [])
  const lacks = (entry: Found, others: readonly Found[]): boolean => !others.some((other) => other.path[1] === entry.path[1])
  return [
    ...named
      .filter((entry) => lacks(entry, secret))
      .map(({ path }) => ({ path, text: 'needs a password beside it; write e.g. password: ${TRUNK_PASSWORD}' })),
    ...secret.filter((entry) => lacks(entry, named)).map(({ path }) => ({ path, text: 'needs a username beside it; write e.g. username: my-login' })),
  ]
}

function portRange(portMin: string, portMax: string, sipPort: string): readonly Finding[] {
  const [min, max, sip] = [Number(portMin), Number(portMax), Number(sipPort)]
  // A port that is none was told already.
  if (![min, max].every((port) => Number.isInteger(port) && port >= 1024 && port <= 65_535)) return []
  if (min >= max)
    return [
      { path: ['rtp', 'portMin'], text: `must be below rtp.portMax (${max}); write e.g. portMin: ${Math.max(1024, Math.min(40_000, max - 1000))}` },
    ]
  // RTP takes an even port and RTCP the odd one above it (RFC 3550 §11).
  if (min + (min % 2) + 1 > max)
    return [{ path: ['rtp', 'portMax'], text: `leaves no even port with the odd one above it; write e.g. portMax: ${min + 1000}` }]
  if (sip >= min && sip <= max)
    return [{ path: ['sip', 'port'], text: `lies among the RTP ports ${min} to ${max}; write e.g. port: 5060, or move rtp.portMin and rtp.portMax` }]
  return []
}

function unreachable(sipHost: string, rtpHost: string | undefined, advertise: string | undefined): readonly Finding[] {
  if (advertise !== undefined) return []
  const text = 'is missing, and needed with a wildcard host: phones must be told where to answer; write e.g. advertise: 192.0.2.10'
  return isWildcard(sipHost) || (rtpHost !== undefined && isWildcard(rtpHost)) ? [{ path: ['sip', 'advertise'], text }] : []
}
