/**
 * Digest authentication, both sides (RFC 3261 §22, RFC 2617, RFC 7616, RFC 8760). Hashing is injected.
 *
 * The server keeps no nonce it hands out: a nonce is a time, a number and a keyed hash of both, so that challenges to
 * strangers cost no memory. What is remembered, in bounded tables, is the count of each nonce that was used with the right password
 * (replays), and the failures by name and source (lock-out). Failures count only with a nonce that we gave to whoever
 * uses it, so a forged source address can neither fill the tables nor lock anybody out.
 */
import { parseAuth, writeAuth } from './header.ts'
import { parseUri, userText } from './uri.ts'

/** How long a nonce may be used, in ms; later ones are `stale` and the phone repeats by itself. */
export const NONCE_LIFETIME_MS = 300_000
/** Nonces in use. When there are more, the oldest and all before it become stale. */
export const MAX_NONCES = 10_000
/** Wrong passwords for one name from one source until it is locked out. */
export const NAME_FAILURES = 10
/** Wrong passwords from one source, whatever the names, until it is locked out. */
export const SOURCE_FAILURES = 1_000
/** How long a lock-out lasts, and how long failures are remembered, in ms. */
export const LOCKOUT_MS = 300_000
/** Names and sources with failures, each. When there are more, the one that has rested longest is forgotten. */
export const MAX_FAILING = 10_000
/** Longest credentials that are read. */
export const MAX_CREDENTIALS_CHARS = 4096

/** Hex digest of the text, taken as UTF-8. */
export type Hash = (algorithm: 'md5' | 'sha256', text: string) => string

export interface ChallengeAnswer {
  /** Every WWW-Authenticate (401) or Proxy-Authenticate (407) value of the response. */
  readonly challenges: readonly string[]
  readonly credentials: { readonly username: string; readonly password: string }
  readonly method: string
  /** The Request-URI of the repeated request. */
  readonly uri: string
  /** Fresh chance, at least 64 bits as text. */
  readonly cnonce: string
  /** 1 for the first request with a nonce, then rising. */
  readonly nc: number
  readonly hash: Hash
}

/**
 * The value of Authorization (401) or Proxy-Authorization (407), for the strongest challenge that we can answer:
 * SHA-256 before MD5, `qop=auth` or none. Null when there is no such challenge.
 */
export function answerChallenge(answer: ChallengeAnswer): string | null {
  const challenge = chooseChallenge(answer.challenges)
  if (challenge === null) return null
  const { hash, method, uri, cnonce, credentials } = answer
  const { realm, nonce, qop } = challenge
  const nc = answer.nc.toString(16).padStart(8, '0')
  const response = digestResponse(hash, challenge.algorithm, {
    username: credentials.username,
    realm,
    password: credentials.password,
    method,
    uri,
    nonce,
    qop,
    nc,
    cnonce,
  })
  const params = new Map([
    ['username', credentials.username],
    ['realm', realm],
    ['nonce', nonce],
    ['uri', uri],
    ['response', response],
  ])
  if (challenge.algorithmText !== null) params.set('algorithm', challenge.algorithmText)
  if (qop !== null || challenge.algorithm.session) params.set('cnonce', cnonce)
  if (challenge.opaque !== null) params.set('opaque', challenge.opaque)
  if (qop !== null) params.set('qop', qop).set('nc', nc)
  return writeAuth('Digest', params, BARE)
}

/**
 * True when the server refused the nonce but not the password: answer once more (RFC 7616 §3.3). Without it, a second
 * challenge to the same request means that the password is wrong.
 */
export function isStale(challenges: readonly string[]): boolean {
  return challenges.some((value) => parseAuth(value)?.params.get('stale')?.toLowerCase() === 'true')
}

export type Verdict =
  | { readonly kind: 'ok'; readonly username: string }
  /** The nonce is old, not ours, or has been used so before. Challenge again with `stale`. */
  | { readonly kind: 'stale' | 'replayed' }
  /** Name or password. Which one, nobody is told. */
  | { readonly kind: 'wrong' }
  /** Answer 403 (or nothing) and do not challenge, for `retryAfterMs`. */
  | { readonly kind: 'locked'; readonly retryAfterMs: number }
  /** No Digest credentials for this realm that can be read. Challenge. */
  | { readonly kind: 'malformed' }

export interface Attempt {
  /** Authorization or Proxy-Authorization value. */
  readonly header: string
  readonly realm: string
  readonly method: string
  /** Request-URI. */
  readonly uri: string
  /** Host the request came from, without port. */
  readonly source: string
  /** Null for a name that does not exist; it is judged at the same cost as a wrong password. */
  readonly passwordOf: (username: string) => string | null
}

export interface DigestServer {
  /** Values for WWW-Authenticate or Proxy-Authenticate, one header field each, strongest first (RFC 8760 §2.3). */
  challenges(realm: string, stale: boolean, now: number): readonly string[]
  /** `now` in ms, never falling. */
  check(attempt: Attempt, now: number): Verdict
  /** Table sizes, for gauges and tests. */
  counts(): { readonly nonces: number; readonly failing: number }
}

/** `secret`: at least 128 random bits as text, drawn anew at each start: nonces of an earlier run must not be taken for ours. */
export function makeDigestServer(options: { readonly secret: string; readonly hash: Hash }): DigestServer {
  const guard: Guard = { ...options, issued: 0, floor: 0, nonces: new Map(), names: new Map(), sources: new Map() }
  return {
    challenges: (realm, stale, now) => challenge(guard, realm, stale, now),
    check: (attempt, now) => check(guard, attempt, now),
    counts: () => ({ nonces: guard.nonces.size, failing: guard.names.size + guard.sources.size }),
  }
}

/** Digest's own grammar wants these without quotes (RFC 7616 §3.3, §3.4). */
const BARE = ['algorithm', 'qop', 'nc', 'stale']

interface Algorithm {
  readonly name: 'md5' | 'sha256'
  readonly session: boolean
}

const ALGORITHMS: ReadonlyMap<string, Algorithm> = new Map([
  ['sha-256', { name: 'sha256', session: false }],
  ['sha-256-sess', { name: 'sha256', session: true }],
  ['md5', { name: 'md5', session: false }],
  ['md5-sess', { name: 'md5', session: true }],
])

interface Challenge {
  readonly realm: string
  readonly nonce: string
  readonly algorithm: Algorithm
  /** As the server wrote it; null when it wrote none. */
  readonly algorithmText: string | null
  readonly qop: 'auth' | null
  readonly opaque: string | null
}

function chooseChallenge(values: readonly string[]): Challenge | null {
  const usable = values.map((value) => readChallenge(value)).filter((challenge) => challenge !== null)
  return usable.find((challenge) => challenge.algorithm.name === 'sha256') ?? usable[0] ?? null
}

/** Null for other schemes, algorithms we do not know, and servers that insist on `auth-int`. */
function readChallenge(value: string): Challenge | null {
  const auth = parseAuth(value)
  const realm = auth?.params.get('realm')
  const nonce = auth?.params.get('nonce')
  if (auth === null || auth.scheme !== 'digest' || realm === undefined || nonce === undefined) return null
  const algorithmText = auth.params.get('algorithm') ?? null
  const algorithm = ALGORITHMS.get((algorithmText ?? 'md5').toLowerCase())
  const offered = auth.params.get('qop')
  const qops = offered === undefined ? null : offered.split(',').map((qop) => qop.trim().toLowerCase())
  if (algorithm === undefined || (qops !== null && !qops.includes('auth'))) return null
  return { realm, nonce, algorithm, algorithmText, qop: qops === null ? null : 'auth', opaque: auth.params.get('opaque') ?? null }
}

interface DigestParts {
  readonly username: string
  readonly realm: string
  readonly password: string
  readonly method: string
  readonly uri: string
  readonly nonce: string
  readonly qop: 'auth' | null
  readonly nc: string
  readonly cnonce: string
}

/** RFC 7616 §3.4.1 with `qop=auth`; RFC 2069's shorter form without. */
function digestResponse(hash: Hash, algorithm: Algorithm, parts: DigestParts): string {
  const plain = hash(algorithm.name, `${parts.username}:${parts.realm}:${parts.password}`)
  const a1 = algorithm.session ? hash(algorithm.name, `${plain}:${parts.nonce}:${parts.cnonce}`) : plain
  const a2 = hash(algorithm.name, `${parts.method}:${parts.uri}`)
  const middle = parts.qop === null ? parts.nonce : `${parts.nonce}:${parts.nc}:${parts.cnonce}:${parts.qop}`
  return hash(algorithm.name, `${a1}:${middle}:${a2}`)
}

interface Failures {
  readonly count: number
  readonly lastMs: number
}

interface Guard {
  readonly secret: string
  readonly hash: Hash
  /** Nonces handed out; makes each one different. */
  issued: number
  /** Nonces up to this number are stale unless in the table. */
  floor: number
  /** By nonce, in the order of first use. */
  readonly nonces: Map<string, { readonly number: number; readonly issuedMs: number; count: number }>
  /** By source and name, and by source alone; the one touched last at the end. */
  readonly names: Map<string, Failures>
  readonly sources: Map<string, Failures>
}

function challenge(guard: Guard, realm: string, stale: boolean, now: number): readonly string[] {
  guard.issued += 1
  const nonce = writeNonce(guard, realm, Math.floor(now), guard.issued)
  return ['SHA-256', 'MD5'].map((algorithm) => {
    const params = new Map([
      ['realm', realm],
      ['nonce', nonce],
      ['algorithm', algorithm],
      ['qop', 'auth'],
    ])
    if (stale) params.set('stale', 'true')
    return writeAuth('Digest', params, ['algorithm', 'stale'])
  })
}

function writeNonce(guard: Guard, realm: string, issuedMs: number, number: number): string {
  const stamp = `${issuedMs.toString(36)}.${number.toString(36)}`
  const seal = guard.hash('sha256', `${guard.secret}:${guard.hash('sha256', `${guard.secret}:${stamp}:${realm}`)}`)
  return `${stamp}.${seal.slice(0, 32)}`
}

/** Null when we did not write it for that realm. */
function readNonce(guard: Guard, realm: string, nonce: string): { readonly issuedMs: number; readonly number: number } | null {
  const found = /^([0-9a-z]{1,11})\.([0-9a-z]{1,11})\.[0-9a-f]{32}$/.exec(nonce)
  if (found === null) return null
  const issuedMs = Number.parseInt(found[1] ?? '', 36)
  const number = Number.parseInt(found[2] ?? '', 36)
  return sameText(writeNonce(guard, realm, issuedMs, number), nonce) ? { issuedMs, number } : null
}

interface Presented {
  readonly algorithm: Algorithm
  readonly username: string
  readonly nonce: string
  readonly uri: string
  readonly response: string
  readonly qop: 'auth' | null
  /** As written, and as a number: 1 without `qop`, since such a nonce may then be used once. */
  readonly nc: string
  readonly count: number
  readonly cnonce: string
}

function check(guard: Guard, attempt: Attempt, now: number): Verdict {
  const presented = readCredentials(attempt)
  if (presented === null) return { kind: 'malformed' }
  const name = `${attempt.source} ${presented.username}`
  const lockedMs = Math.max(lockedFor(guard.names.get(name), NAME_FAILURES, now), lockedFor(guard.sources.get(attempt.source), SOURCE_FAILURES, now))
  if (lockedMs > 0) return { kind: 'locked', retryAfterMs: lockedMs }
  const nonce = readNonce(guard, attempt.realm, presented.nonce)
  if (nonce === null || now - nonce.issuedMs > NONCE_LIFETIME_MS || nonce.issuedMs > now) return { kind: 'stale' }
  const used = guard.nonces.get(presented.nonce)
  if (used === undefined && nonce.number <= guard.floor) return { kind: 'stale' }
  if (!isRight(guard, attempt, presented)) {
    countFailure(guard.names, name, now)
    countFailure(guard.sources, attempt.source, now)
    return { kind: 'wrong' }
  }
  if (used !== undefined && presented.count <= used.count) return { kind: 'replayed' }
  guard.names.delete(name)
  if (used !== undefined) used.count = presented.count
  else rememberNonce(guard, presented, nonce, now)
  return { kind: 'ok', username: presented.username }
}

function readCredentials(attempt: Attempt): Presented | null {
  const auth = attempt.header.length > MAX_CREDENTIALS_CHARS ? null : parseAuth(attempt.header)
  if (auth === null || auth.scheme !== 'digest' || auth.params.get('realm') !== attempt.realm) return null
  const [username, nonce, uri, response] = ['username', 'nonce', 'uri', 'response'].map((name) => auth.params.get(name))
  const algorithm = ALGORITHMS.get((auth.params.get('algorithm') ?? 'md5').toLowerCase())
  if (username === undefined || nonce === undefined || uri === undefined || response === undefined) return null
  if (algorithm === undefined || algorithm.session) return null
  const qop = auth.params.get('qop')
  const nc = auth.params.get('nc') ?? ''
  const cnonce = auth.params.get('cnonce') ?? ''
  const common = { algorithm, username, nonce, uri, response: response.toLowerCase(), nc, cnonce }
  if (qop === undefined) return { ...common, qop: null, count: 1 }
  if (qop.toLowerCase() !== 'auth' || !/^[0-9A-Fa-f]{8}$/.test(nc) || cnonce === '') return null
  return { ...common, qop: 'auth', count: Number.parseInt(nc, 16) }
}

/** Also hashes for a name that does not exist, so that time tells nobody which names do. */
function isRight(guard: Guard, attempt: Attempt, presented: Presented): boolean {
  const password = attempt.passwordOf(presented.username)
  const expected = digestResponse(guard.hash, presented.algorithm, {
    ...presented,
    realm: attempt.realm,
    password: password ?? '',
    method: attempt.method,
  })
  return sameText(expected, presented.response) && password !== null && isSameTarget(presented.uri, attempt.uri)
}

/**
 * The user part of both URIs, which is the number dialled. The host is not compared: a proxy in front of us may rewrite
 * it, and nonce counts already stop a captured request from being sent elsewhere.
 */
function isSameTarget(signed: string, requested: string): boolean {
  const left = parseUri(signed)
  const right = parseUri(requested)
  return left !== null && right !== null && userText(left) === userText(right)
}

function rememberNonce(guard: Guard, presented: Presented, nonce: { readonly issuedMs: number; readonly number: number }, now: number): void {
  for (const [oldest, entry] of guard.nonces) {
    const isFull = guard.nonces.size >= MAX_NONCES
    if (!isFull && now - entry.issuedMs <= NONCE_LIFETIME_MS) break
    if (isFull) guard.floor = Math.max(guard.floor, entry.number)
    guard.nonces.delete(oldest)
  }
  guard.nonces.set(presented.nonce, { ...nonce, count: presented.count })
}

function lockedFor(failures: Failures | undefined, limit: number, now: number): number {
  return failures === undefined || failures.count < limit ? 0 : Math.max(0, failures.lastMs + LOCKOUT_MS - now)
}

function countFailure(table: Map<string, Failures>, key: string, now: number): void {
  const before = table.get(key)
  const isFresh = before !== undefined && now - before.lastMs < LOCKOUT_MS
  table.delete(key)
  if (table.size >= MAX_FAILING) {
    const oldest = table.keys().next().value
    if (oldest !== undefined) table.delete(oldest)
  }
  table.set(key, { count: isFresh ? before.count + 1 : 1, lastMs: now })
}

/** Looks at every character, so that time does not tell how many were right. */
function sameText(left: string, right: string): boolean {
  let difference = left.length ^ right.length
  for (let at = 0; at < left.length; at++) difference |= left.charCodeAt(at) ^ right.charCodeAt(at)
  return difference === 0
}
