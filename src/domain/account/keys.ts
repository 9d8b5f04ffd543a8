/**
 * API keys as rules: what one may be given, who may deal with it, when it counts.
 *
 *   active ──its date passes──▶ expired
 *      └──────somebody says so─▶ revoked     and neither ever comes back
 *
 * A key deals only with keys that can do no more than it can itself: whoever could make a stronger one, or learn the new token of
 * one, would have its rights. Keys beyond the agents that it is limited to are, to that key, not there.
 */
import { DomainError } from '../errors.ts'
import type { AccountId, KeyId } from '../ids.ts'
import type { Principal, Scope } from './rights.ts'

/** Keys of one account that count at one time. */
export const MAX_ACTIVE_KEYS = 200
/** How long the token before a rotation may go on counting at most, ms: a week. */
export const MAX_GRACE_MS = 7 * 24 * 3_600_000

/** What a key may do: never more than it says. */
export interface Grant {
  /** At least one. */
  readonly scopes: readonly Scope[]
  /** Names of the account's phones; null: no limit. */
  readonly agents: readonly string[] | null
}

export interface Key extends Grant {
  readonly id: KeyId
  readonly accountId: AccountId
  /** What people call it; may be empty. */
  readonly name: string
  /** Where it is kept: keys of the configuration are changed there and nowhere else. */
  readonly source: 'database' | 'configuration'
  /** By which key it was made; null: by an operator. */
  readonly createdBy: KeyId | null
  /** Epoch ms; null for a key of the configuration. */
  readonly createdAt: number | null
  /** From this moment on it counts no more, epoch ms; null: never. */
  readonly expiresAt: number | null
  readonly rotatedAt: number | null
  readonly revokedAt: number | null
  /** To the minute; null: never. Nobody notes it for keys of the configuration. */
  readonly lastUsedAt: number | null
}

/** A key that somebody wants. */
export interface KeyCommand extends Grant {
  readonly name: string
  readonly expiresAt: number | null
}

export type KeyStatus = 'active' | 'expired' | 'revoked'

/** @param now Epoch ms. */
export function keyStatus({ revokedAt, expiresAt }: Pick<Key, 'revokedAt' | 'expiresAt'>, now: number): KeyStatus {
  if (revokedAt !== null) return 'revoked'
  return expiresAt !== null && expiresAt <= now ? 'expired' : 'active'
}

/** Whether a key is there for them: their account's, and not beyond the agents that they are limited to. */
export const maySeeKey = (who: Principal, key: Key): boolean => key.accountId === who.accountId && reachesNoFurther(who, key)

/** Nobody gives, renews or takes away what they do not have. @throws {DomainError} right-missing */
export function assertMayGrant(who: Principal, { scopes, agents }: Grant): void {
  const missing = scopes.find((scope) => !who.scopes.includes(scope))
  if (missing !== undefined) throw new DomainError('right-missing', missing)
  if (!reachesNoFurther(who, { agents })) throw new DomainError('right-missing', 'agents')
}

const reachesNoFurther = (who: Principal, { agents }: Pick<Grant, 'agents'>): boolean =>
  who.agents === null || (agents !== null && agents.every((name) => who.agents?.includes(name)))

/**
 * Whether what is wanted makes sense.
 * @param account Whose key it will be.
 * @throws {DomainError} invalid-parameter with the API's name of what is wrong
 */
export function assertMakesSense(wanted: KeyCommand, account: { readonly agents: readonly string[] }, now: number): void {
  if (wanted.scopes.length === 0) throw new DomainError('invalid-parameter', 'Scopes')
  const strangers = wanted.agents?.some((name) => !account.agents.includes(name)) ?? false
  if (strangers || wanted.agents?.length === 0) throw new DomainError('invalid-parameter', 'Agents')
  if (wanted.expiresAt !== null && wanted.expiresAt <= now) throw new DomainError('invalid-parameter', 'ExpiresAt')
}

/** Only a key that counts, and that this house keeps, can be given a new token. @throws {DomainError} key-configured · key-not-active */
export function assertMayRotate(key: Key, now: number): void {
  assertKept(key)
  if (keyStatus(key, now) !== 'active') throw new DomainError('key-not-active')
}

/** @throws {DomainError} key-configured */
export function assertKept(key: Key): void {
  if (key.source === 'configuration') throw new DomainError('key-configured')
}
