/** API keys on the wire: an extension, spelled in the manner of the rest (contract C2, C3, C5). */
import { type Key, type KeyCommand, keyStatus, MAX_GRACE_MS } from '../../domain/account/keys.ts'
import { SCOPES, type Scope } from '../../domain/account/rights.ts'
import { DomainError } from '../../domain/errors.ts'
import type { KeyId } from '../../domain/ids.ts'
import { momentsOf, wireDate } from '../dates.ts'
import { allValues, type Fields, lastValue } from '../fields.ts'
import { asList, type ResourceOptions } from '../resources.ts'
import type { WireObject } from '../xml.ts'

const NAME_MAX_CHARS = 64
const MAX_AGENTS = 100
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/
const AGENT = /^[A-Za-z0-9._-]{1,64}$/
/** Whatever the configuration allows as a key's name. */
const KEY_ID = /^[^:\s\u0000-\u001f\u007f]{1,255}$/
const INTEGER = /^\d{1,9}$/

/**
 * `POST …/Keys`: `Scopes` is a list, `all` stands for every scope; `Agents` is a list; `ExpiresAt` is a date.
 * @param timeZone In which the date is meant.
 * @throws {DomainError} invalid-parameter with the name of the first one that is wrong
 */
export function keyCommand(fields: Fields, timeZone: string): KeyCommand {
  return { name: nameIn(fields), scopes: scopesIn(fields), agents: agentsIn(fields), expiresAt: expiryIn(fields, timeZone) }
}

/** `POST …/Keys/{KeySid}/Rotate`: for how long the present token still counts, ms. @throws {DomainError} invalid-parameter (GraceSeconds) */
export function graceIn(fields: Fields): number {
  const text = lastValue(fields, 'GraceSeconds') ?? '0'
  const graceMs = Number(text) * 1000
  if (!INTEGER.test(text) || graceMs > MAX_GRACE_MS) throw invalid('GraceSeconds')
  return graceMs
}

/** The name of a key in a path, or null when it cannot be one. */
export const keyIdIn = (text: string): KeyId | null => (KEY_ID.test(text) ? (text as KeyId) : null)

export interface KeyOptions extends ResourceOptions {
  /** Epoch ms. */
  readonly now: number
}

/** @param token As it is told once; null is told as well, undefined leaves it out. */
export const keyResource = (key: Key, options: KeyOptions, token?: string | null): WireObject => ({
  Key: { ...keyFields(key, options), ...(token === undefined ? {} : { Token: token }) },
})

export function keyList(keys: readonly Key[], options: KeyOptions): WireObject {
  const list = keys.map((key) => keyFields(key, options))
  return { Metadata: { Total: list.length }, Keys: asList(options.format, 'Key', list) }
}

function keyFields(key: Key, { format, timeZone, now }: KeyOptions): WireObject {
  const date = (at: number | null): string | null => (at === null ? null : wireDate(at, timeZone))
  const words = (name: string, all: readonly string[]): WireObject[string] => (format === 'json' ? all : all.map((word) => ({ [name]: word })))
  return {
    Sid: key.id,
    AccountSid: key.accountId,
    Name: key.name,
    Scopes: words('Scope', key.scopes),
    Agents: key.agents === null ? null : words('Agent', key.agents),
    Status: keyStatus(key, now),
    Source: key.source,
    CreatedBy: key.createdBy,
    DateCreated: date(key.createdAt),
    DateExpires: date(key.expiresAt),
    DateRotated: date(key.rotatedAt),
    DateRevoked: date(key.revokedAt),
    DateLastUsed: date(key.lastUsedAt),
    Uri: `/v1/Accounts/${key.accountId}/Keys/${encodeURIComponent(key.id)}`,
  }
}

const invalid = (parameter: string): DomainError => new DomainError('invalid-parameter', parameter)

/** Values of a list, each perhaps several between commas. */
const wordsIn = (fields: Fields, name: string): readonly string[] =>
  allValues(fields, name).flatMap((value) => value.split(',').map((word) => word.trim()))

function nameIn(fields: Fields): string {
  const name = lastValue(fields, 'Name') ?? ''
  if (CONTROL.test(name) || !name.isWellFormed() || [...name].length > NAME_MAX_CHARS) throw invalid('Name')
  return name
}

/** In the order of the list of scopes, each once. */
function scopesIn(fields: Fields): readonly Scope[] {
  const words = wordsIn(fields, 'Scopes')
  const known: readonly string[] = [...SCOPES, 'all']
  if (words.length === 0 || words.some((word) => !known.includes(word))) throw invalid('Scopes')
  return SCOPES.filter((scope) => words.includes(scope) || words.includes('all'))
}

function agentsIn(fields: Fields): readonly string[] | null {
  const names = wordsIn(fields, 'Agents')
  if (names.length > MAX_AGENTS || names.some((name) => !AGENT.test(name))) throw invalid('Agents')
  return names.length === 0 ? null : [...new Set(names)]
}

function expiryIn(fields: Fields, timeZone: string): number | null {
  const text = lastValue(fields, 'ExpiresAt')
  if (text === null) return null
  const moments = momentsOf(text, timeZone)
  if (moments === null) throw invalid('ExpiresAt')
  return moments.from
}
