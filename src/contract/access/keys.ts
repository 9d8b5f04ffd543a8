/** API keys on the wire: an extension, spelled in the manner of the rest (contract C2, C3, C5). What a parameter may be is said in `../schemas/keys.ts`. */
import { type Key, type KeyCommand, keyStatus } from '../../domain/account/keys.ts'
import { SCOPES } from '../../domain/account/rights.ts'
import { DomainError } from '../../domain/errors.ts'
import type { KeyId } from '../../domain/ids.ts'
import { momentsOf, wireDate } from '../dates.ts'
import type { Fields } from '../fields.ts'
import { asList, type ResourceOptions } from '../resources.ts'
import { KEY_PARAMETERS, KEY_ROTATION_PARAMETERS } from '../schemas/keys.ts'
import { parametersIn } from '../schemas/parameter.ts'
import type { WireObject } from '../xml.ts'

/** Whatever the configuration allows as a key's name. */
const KEY_ID = /^[^:\s\u0000-\u001f\u007f]{1,255}$/

/**
 * `POST …/Keys`: `Scopes` is a list, `all` stands for every scope; `Agents` is a list; `ExpiresAt` is a date.
 * @param timeZone In which the date is meant.
 * @throws {DomainError} invalid-parameter with the name of the first one that is wrong
 */
export function keyCommand(fields: Fields, timeZone: string): KeyCommand {
  const asked = parametersIn(KEY_PARAMETERS, fields)
  // Elsewhere an empty list is as good as none. Whoever limits a key to nobody did not mean a key without a limit.
  if (asked.Agents === undefined && fields.has('Agents')) throw new DomainError('invalid-parameter', 'Agents')
  const wanted = new Set<string>(asked.Scopes)
  return {
    name: asked.Name,
    // In the order of the list of scopes, each once.
    scopes: SCOPES.filter((scope) => wanted.has(scope) || wanted.has('all')),
    agents: asked.Agents === undefined ? null : [...new Set(asked.Agents)],
    expiresAt: asked.ExpiresAt === undefined ? null : (momentsOf(asked.ExpiresAt, timeZone)?.from ?? null),
  }
}

/** `POST …/Keys/{KeySid}/Rotate`: for how long the present token still counts, ms. @throws {DomainError} invalid-parameter (GraceSeconds) */
export const graceIn = (fields: Fields): number => parametersIn(KEY_ROTATION_PARAMETERS, fields).GraceSeconds * 1000

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
