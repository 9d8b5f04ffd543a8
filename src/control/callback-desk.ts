/** What an account may ask about its own callbacks: the delivery log, once more, and the secret that signs them. Calls are not touched. */
import type { RotatedSecret, SecretBook, SecretState } from '../webhooks/secrets.ts'
import type { CallbackPage, CallbackQuery, LoggedCallback, ReplayCount } from '../domain/callback-log.ts'
import { DomainError } from '../domain/errors.ts'
import type { AccountId } from '../domain/ids.ts'
import type { Database } from '../store/database.ts'
import { countParked, listCallbacks, loadCallback, replayCallback, replayParked } from '../store/outbox/log.ts'

/** Callbacks of another account are, to whoever asks, not there. */
export interface CallbackDesk {
  /** @throws {DomainError} invalid-parameter (Before, After): no callback of this account has that Sid */
  callbacks(accountId: AccountId, query: CallbackQuery): Promise<CallbackPage>
  /** @throws {DomainError} callback-not-found */
  callback(accountId: AccountId, id: string): Promise<LoggedCallback>
  /** Sends a parked callback again, from the beginning of its schedule. @throws {DomainError} callback-not-found · callback-not-parked */
  replayCallback(accountId: AccountId, id: string): Promise<LoggedCallback>
  /** The same for all that are parked, the oldest first, at most `MAX_REPLAYED`. */
  replayParked(accountId: AccountId, receiver: string | null): Promise<ReplayCount>
  callbackSecret(accountId: AccountId): Promise<SecretState>
  /** @throws {DomainError} secret-configured */
  rotateCallbackSecret(accountId: AccountId, keepMs: number): Promise<RotatedSecret>
}

export interface CallbackDeskOptions {
  readonly database: Database
  readonly secrets: SecretBook
  /** Epoch ms. */
  readonly now: () => number
}

/** Callbacks that one request makes pending again at most. */
export const MAX_REPLAYED = 10_000
/** … and one statement, which holds their locks. */
const REPLAY_BATCH = 1_000

export function makeCallbackDesk({ database, secrets, now }: CallbackDeskOptions): CallbackDesk {
  const { sql } = database
  const callback = async (accountId: AccountId, id: string): Promise<LoggedCallback> => {
    const found = await loadCallback(sql, accountId, id)
    if (found === null) throw new DomainError('callback-not-found')
    return found
  }
  return {
    async callbacks(accountId, query) {
      const page = await listCallbacks(sql, accountId, query)
      if (page === null) throw new DomainError('invalid-parameter', query.start?.side === 'before' ? 'Before' : 'After')
      return page
    },
    callback,
    async replayCallback(accountId, id) {
      const replayed = await replayCallback(sql, accountId, id, now())
      const found = await callback(accountId, id)
      if (!replayed) throw new DomainError('callback-not-parked')
      return found
    },
    async replayParked(accountId, receiver) {
      const before = now()
      let replayed = 0
      while (replayed < MAX_REPLAYED) {
        const count = await replayParked(sql, accountId, { receiver, limit: REPLAY_BATCH }, before)
        replayed += count
        if (count < REPLAY_BATCH) return { replayed, remaining: 0 }
      }
      return { replayed, remaining: await countParked(sql, accountId, receiver, before) }
    },
    callbackSecret: (accountId) => secrets.state(accountId),
    rotateCallbackSecret: (accountId, keepMs) => secrets.rotate(accountId, keepMs),
  }
}
