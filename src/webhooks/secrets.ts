/**
 * With what the callbacks of an account are signed (contract C28): the secrets that the configuration names, else those that are kept with
 * the data, of which there are two during a rotation.
 */
import type { RotatedSecret, SecretState } from '../contract/access/callback-secret.ts'
import { DomainError } from '../domain/errors.ts'
import type { AccountId } from '../domain/ids.ts'
import type { Sql } from '../store/database.ts'
import { ensureSecrets, rotateSecret, type StoredSecrets } from '../store/secrets.ts'
import { fingerprintOf, newSecret } from './signature.ts'

export type { RotatedSecret, SecretState } from '../contract/access/callback-secret.ts'

export interface SecretBook {
  /** What signs now, the newest first; one is made for an account that has none. */
  signing(accountId: AccountId): Promise<readonly string[]>
  state(accountId: AccountId): Promise<SecretState>
  /**
   * Makes a new secret. The present one signs as well for `keepMs`, and what was still kept of an earlier rotation is gone.
   * @throws {DomainError} secret-configured
   */
  rotate(accountId: AccountId, keepMs: number): Promise<RotatedSecret>
}

export interface SecretBookOptions {
  readonly sql: Sql
  /** The secrets in the configuration, the newest first; none: they are kept with the data. */
  readonly configured: (accountId: AccountId) => readonly string[]
  /** Epoch ms. */
  readonly now: () => number
}

/** A secret that was read is used for so long without asking again, ms: by then every process signs with what another one has made. */
export const REMEMBERED_MS = 1_000
/** Accounts whose secrets are remembered at most. */
const MAX_REMEMBERED = 10_000

interface Remembered {
  readonly secrets: Promise<readonly string[]>
  readonly until: number
}

export function makeSecretBook({ sql, configured, now }: SecretBookOptions): SecretBook {
  const remembered = new Map<AccountId, Remembered>()
  const stored = (accountId: AccountId): Promise<StoredSecrets> => ensureSecrets(sql, accountId, newSecret(), now())
  const read = async (accountId: AccountId): Promise<readonly string[]> => {
    const { current, previous } = await stored(accountId)
    return previous !== null && previous.until > now() ? [current, previous.secret] : [current]
  }
  return {
    async signing(accountId) {
      const fixed = configured(accountId)
      if (fixed.length > 0) return fixed
      const known = remembered.get(accountId)
      if (known && now() < known.until) return known.secrets
      if (remembered.size >= MAX_REMEMBERED) remembered.clear()
      const secrets = read(accountId)
      remembered.set(accountId, { secrets, until: now() + REMEMBERED_MS })
      // What could not be read is asked for again.
      secrets.catch(() => remembered.delete(accountId))
      return secrets
    },
    async state(accountId) {
      const [current, previous] = configured(accountId)
      if (current === undefined) return stateOf(await stored(accountId), now())
      return {
        source: 'configuration',
        current: { fingerprint: fingerprintOf(current), madeAt: null },
        previous: previous === undefined ? null : { fingerprint: fingerprintOf(previous), until: null },
      }
    },
    async rotate(accountId, keepMs) {
      if (configured(accountId).length > 0) throw new DomainError('secret-configured')
      const at = now()
      const secret = newSecret()
      const rotated = await rotateSecret(sql, accountId, { fresh: secret, keepUntil: keepMs > 0 ? at + keepMs : null, now: at })
      remembered.delete(accountId)
      return { secret, state: stateOf(rotated, at) }
    },
  }
}

function stateOf({ current, madeAt, previous }: StoredSecrets, now: number): SecretState {
  const kept = previous !== null && previous.until > now ? { fingerprint: fingerprintOf(previous.secret), until: previous.until } : null
  return { source: 'data', current: { fingerprint: fingerprintOf(current), madeAt }, previous: kept }
}
