/** API keys: made, renewed, taken away. A key deals only with keys that can do no more than it can itself. */
import { invalidParameter } from '../errors.ts'
import { listed, type Request, type RequestOptions } from '../request.ts'
import { keyPath } from '../sids.ts'

/** One right. Each is worth only what its name says: whoever may barge may not therefore listen. */
export type Scope =
  | 'calls.read'
  | 'calls.create'
  | 'monitor.listen'
  | 'monitor.whisper'
  | 'monitor.barge'
  | 'legs.hangup'
  | 'usage.read'
  | 'accounts.admin'

/** A key without its token, which nobody can look up. */
export interface Key {
  /** What `key` of `makeEarshot` wants. */
  readonly Sid: string
  readonly AccountSid: string
  /** What people call it; may be empty. */
  readonly Name: string
  readonly Scopes: readonly Scope[]
  /** Names of the account's phones, without `client:`: calls in which none of them takes part are, to this key, not there. Null: no limit. */
  readonly Agents: readonly string[] | null
  readonly Status: 'active' | 'expired' | 'revoked'
  /** Keys of the configuration are changed there and nowhere else. */
  readonly Source: 'database' | 'configuration'
  /** The key that made it; null: an operator. */
  readonly CreatedBy: string | null
  /** Null for a key of the configuration. */
  readonly DateCreated: string | null
  /** Null: never. */
  readonly DateExpires: string | null
  readonly DateRotated: string | null
  readonly DateRevoked: string | null
  /** To the minute; null: never, or a key of the configuration. */
  readonly DateLastUsed: string | null
  readonly Uri: string
}

export interface CreatedKey extends Key {
  /** Told this once. Null when an earlier try had made the key and its answer was lost: `rotate` it. */
  readonly Token: string | null
}

export interface RotatedKey extends Key {
  /** Told this once. */
  readonly Token: string
}

export interface KeyParameters {
  /** At most 64 characters. */
  readonly Name?: string | undefined
  /** `all` stands for every one. */
  readonly Scopes: readonly (Scope | 'all')[]
  /** Limits the key to calls of these phones, at most 100; absent: no limit. */
  readonly Agents?: readonly string[] | undefined
  /** In the account's zone, as `formatDate` writes it; absent: never. */
  readonly ExpiresAt?: string | undefined
}

/** All of it wants `accounts.admin`. */
export interface Keys {
  /** @throws {EarshotError} invalid-parameter · right-missing for what the key that asks does not have itself · too-many-keys · idempotency-mismatch */
  create(parameters: KeyParameters, options?: RequestOptions): Promise<CreatedKey>
  /** The configuration's first, then the newest; revoked and expired ones included. */
  list(options?: RequestOptions): Promise<readonly Key[]>
  /** @throws {EarshotError} key-not-found */
  get(keySid: string, options?: RequestOptions): Promise<Key>
  /**
   * Gives the key a new token; the present one counts for `GraceSeconds` more, 0 to 604800, default 0. Not repeated when no answer comes
   * (`maybeDone`), since each time makes another token.
   * @throws {EarshotError} key-not-found · key-not-active · key-configured · right-missing
   */
  rotate(keySid: string, parameters?: { readonly GraceSeconds?: number | undefined }, options?: RequestOptions): Promise<RotatedKey>
  /** At once and for ever. One that was revoked before is told as it is. @throws {EarshotError} key-not-found · key-configured · right-missing */
  revoke(keySid: string, options?: RequestOptions): Promise<Key>
}

export function makeKeys(request: Request): Keys {
  return {
    create: async (parameters, options) => {
      // The server would read an empty list as none, and make a key without a limit.
      if (parameters.Agents?.length === 0) throw invalidParameter('Agents', 'Agents is empty: name some, or leave it out for no limit')
      return (await request({ method: 'POST', path: '/Keys', fields: parameters, member: 'Key' }, options)) as CreatedKey
    },
    list: async (options) => listed<Key>(await request({ method: 'GET', path: '/Keys', member: 'Keys' }, options)),
    get: async (keySid, options) => (await request({ method: 'GET', path: keyPath(keySid), member: 'Key' }, options)) as Key,
    rotate: async (keySid, parameters = {}, options) =>
      (await request({ method: 'POST', path: `${keyPath(keySid)}/Rotate`, fields: parameters, member: 'Key', onlyOnce: true }, options)) as RotatedKey,
    revoke: async (keySid, options) => (await request({ method: 'DELETE', path: keyPath(keySid), member: 'Key' }, options)) as Key,
  }
}
