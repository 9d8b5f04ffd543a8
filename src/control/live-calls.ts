/**
 * The calls in progress, in memory, and the one way to change them: save first, then make it current.
 *
 * This process carries these calls, so nobody else writes their rows, and reading them back would tell nothing new.
 * A command that cannot be saved is refused and nothing moves. What has happened (a party hung up) cannot be refused:
 * it becomes current in any case, and its row is written as soon as the database is back.
 */
import type { Call } from '../domain/call.ts'
import type { CallId } from '../domain/ids.ts'
import type { Records } from '../store/calls.ts'
import { untilCertain } from '../store/connection-loss.ts'
import type { IdempotencyRecord } from '../store/idempotency.ts'
import { joined, NO_RECORDS } from './settle.ts'

export interface LiveCallsOptions {
  /** One atomic write: the call, its records, the idempotency record. */
  readonly save: (call: Call, records: Records, idempotency: IdempotencyRecord | null) => Promise<void>
  readonly onTrouble: (error: unknown, callId: CallId) => void
  /** A call, or a new state of it, became current; for those who count. Must not throw. */
  readonly onChange?: ((before: Call | undefined, after: Call) => void) | undefined
}

export interface LiveCalls {
  get(callId: CallId): Call | undefined
  all(): readonly Call[]
  /** @throws what the database throws; then nothing has changed. */
  commit(call: Call, records: Records, idempotency: IdempotencyRecord | null): Promise<void>
  /** Never throws. */
  record(call: Call, records: Records): Promise<void>
  /** Writes what could not be written before, in the call's own queue. @throws what the database throws. */
  catchUp(callId: CallId): Promise<void>
}

interface Unsaved {
  readonly call: Call
  readonly records: Records
}

export function makeLiveCalls({ save, onTrouble, onChange }: LiveCallsOptions): LiveCalls {
  const live = new Map<CallId, Call>()
  const unsaved = new Map<CallId, Unsaved>()

  const owedBy = (callId: CallId): Records => unsaved.get(callId)?.records ?? NO_RECORDS

  function makeCurrent(call: Call): void {
    const before = live.get(call.id)
    if (call.state.status === 'ended') live.delete(call.id)
    else live.set(call.id, call)
    onChange?.(before, call)
  }

  /** Earlier records that are still unwritten go in the same write, so that none overtakes another. */
  async function write(call: Call, fresh: Records, idempotency: IdempotencyRecord | null): Promise<void> {
    await save(call, joined(owedBy(call.id), fresh), idempotency)
    unsaved.delete(call.id)
  }

  return {
    get: (callId) => live.get(callId),
    all: () => [...live.values()],
    async commit(call, records, idempotency) {
      // Refused means that nothing has moved, so whether it was saved must be known.
      await untilCertain(() => write(call, records, idempotency))
      makeCurrent(call)
    },
    async record(call, records) {
      makeCurrent(call)
      try {
        await write(call, records, null)
      } catch (error) {
        unsaved.set(call.id, { call, records: joined(owedBy(call.id), records) })
        onTrouble(error, call.id)
      }
    },
    async catchUp(callId) {
      const owed = unsaved.get(callId)
      if (owed) await write(owed.call, NO_RECORDS, null)
    },
  }
}
