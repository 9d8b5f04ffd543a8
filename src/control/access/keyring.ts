/**
 * Who a key and its token prove to ask, by the keys in the database.
 *
 * A pair that was proved is remembered for a short while under a keyed hash, so that not every request costs a slow one. What is
 * remembered goes at once when the key is rotated or revoked in this process; by another process, when its notification comes, and
 * if that is lost at the next look at the versions. An unknown key costs what a known one with a wrong token costs.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { keyStatus } from '../../domain/account/keys.ts'
import type { Principal } from '../../domain/account/rights.ts'
import type { AccountId, KeyId } from '../../domain/ids.ts'
import { KEY_CHANNEL, keyVersions, loadKey, noteKeyUse, type StoredKey } from '../../store/access/keys.ts'
import type { Database, Listening, Log, Sql } from '../../store/database.ts'
import type { TokenHasher } from './token-hash.ts'

/** How long a pair that was proved is taken for granted, ms. */
export const REMEMBERED_MS = 60_000
/** Pairs that are remembered; beyond it the oldest go. */
export const REMEMBERED_PAIRS = 10_000
/** How often the versions of what is remembered are looked at, if no notification came, ms. */
export const LOOK_AGAIN_MS = 5_000
/** How often the use of one key is noted at most, ms. */
const USE_NOTED_MS = 60_000

export interface KeyringOptions {
  readonly sql: Sql
  readonly hasher: TokenHasher
  /** Whether there still is such an account: keys of one that the configuration no longer has are worth nothing. */
  readonly isAccount: (accountId: AccountId) => boolean
  /** Epoch ms. */
  readonly now: () => number
  readonly log: Pick<Log, 'error'>
}

export interface Keyring {
  /** Whom a pair proves that was proved a moment ago; null says nothing. Costs a few microseconds. */
  remembered(key: string, token: string): Principal | null
  /** Null: no such key, another token, or it counts no more. The same pair at the same time is looked at once. @throws {DomainError} busy */
  authenticate(key: string, token: string): Promise<Principal | null>
  /** A key was changed: whatever was known about it is not known any more, also by those who are asking now. */
  forget(id: KeyId): void
  /** Forgets the keys that are not as they were. */
  lookAgain(): Promise<void>
}

interface Remembered {
  readonly who: Principal
  readonly version: number
  /** Epoch ms; not included any more. */
  readonly until: number
}

/** What proves a principal, and for how long it can. */
type Proof = Remembered | null

export function makeKeyring({ sql, hasher, isAccount, now, log }: KeyringOptions): Keyring {
  const secret = randomBytes(32)
  const pairs = new Map<string, Remembered>()
  const asking = new Map<string, Promise<Proof>>()
  const noted = new Map<KeyId, number>()
  /** Raised whenever a key was changed: what was read before is not remembered any more. */
  let changes = 0
  // A key has no colon in it, so no two pairs are written alike.
  const pairOf = (key: string, token: string): string => createHmac('sha256', secret).update(`${key}:${token}`).digest('base64')

  function known(pair: string): Principal | null {
    const found = pairs.get(pair)
    if (found && now() < found.until) return used(found.who)
    pairs.delete(pair)
    return null
  }

  async function prove(pair: string, key: string, token: string): Promise<Proof> {
    const since = changes
    const stored = await loadKey(sql, key as KeyId)
    const proof = await proofBy(hasher, stored, token, now)
    if (!proof || !isAccount(proof.who.accountId)) return null
    if (since === changes) remember(pairs, pair, proof, REMEMBERED_PAIRS)
    // A hash takes its time, and more when others wait: what was read before may not be so any more.
    else if (!(await isUnchanged(sql, proof))) return prove(pair, key, token)
    return proof
  }

  /** Notes it now and then; nobody waits for that. */
  function used(who: Principal): Principal {
    const at = now()
    if (at - (noted.get(who.keyId) ?? Number.NEGATIVE_INFINITY) < USE_NOTED_MS) return who
    remember(noted, who.keyId, at, REMEMBERED_PAIRS)
    noteKeyUse(sql, who.keyId, at).catch((error: unknown) => log.error({ key: who.keyId, err: error }, 'the use of a key could not be noted'))
    return who
  }

  return {
    remembered: (key, token) => known(pairOf(key, token)),
    async authenticate(key, token) {
      const pair = pairOf(key, token)
      const before = known(pair)
      if (before) return before
      const under = asking.get(pair) ?? prove(pair, key, token)
      asking.set(pair, under)
      const proof = await under.finally(() => {
        if (asking.get(pair) === under) asking.delete(pair)
      })
      return proof && now() < proof.until ? used(proof.who) : null
    },
    forget(id) {
      changes += 1
      asking.clear()
      for (const [pair, { who }] of pairs) if (who.keyId === id) pairs.delete(pair)
    },
    async lookAgain() {
      changes += 1
      asking.clear()
      if (pairs.size === 0) return
      const versions = await keyVersions(sql, [...new Set([...pairs.values()].map(({ who }) => who.keyId))])
      for (const [pair, { who, version }] of pairs) if (versions.get(who.keyId) !== version) pairs.delete(pair)
    },
  }
}

/** Looks again whenever another process says that a key has changed, and every few seconds in any case. @returns What ends it. */
export async function watchKeys(database: Pick<Database, 'listen'>, keyring: Keyring, log: Pick<Log, 'error'>): Promise<() => Promise<void>> {
  const look = (): void =>
    void keyring.lookAgain().catch((error: unknown) => log.error({ err: error }, 'whether keys have changed could not be looked up; trying again'))
  const listening: Listening = await database.listen(KEY_CHANNEL, look)
  const poll = setInterval(look, LOOK_AGAIN_MS)
  return async () => {
    clearInterval(poll)
    await listening.close()
  }
}

async function proofBy(hasher: TokenHasher, stored: StoredKey | null, token: string, now: () => number): Promise<Proof> {
  const { previous } = stored ?? { previous: null }
  const isPresent = await hasher.matches(token, stored?.tokenHash ?? null)
  const isPrevious = !isPresent && previous !== null && now() < previous.until && (await hasher.matches(token, previous.tokenHash))
  if (stored === null || !(isPresent || isPrevious) || keyStatus(stored.key, now()) !== 'active') return null
  const { id: keyId, accountId, scopes, agents, expiresAt } = stored.key
  const until = Math.min(now() + REMEMBERED_MS, expiresAt ?? Number.POSITIVE_INFINITY, isPrevious ? previous.until : Number.POSITIVE_INFINITY)
  return { who: { accountId, keyId, scopes, agents }, version: stored.version, until }
}

const isUnchanged = async (sql: Sql, { who, version }: Remembered): Promise<boolean> =>
  (await keyVersions(sql, [who.keyId])).get(who.keyId) === version

/** The latest entries of a map that may not grow beyond `most`. */
function remember<K, V>(map: Map<K, V>, key: K, value: V, most: number): void {
  map.delete(key)
  for (const oldest of map.keys()) {
    if (map.size < most) break
    map.delete(oldest)
  }
  map.set(key, value)
}
