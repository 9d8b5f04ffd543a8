/**
 * The calls in progress, in memory, and the one way to change them: save first, then make it current.
 *
 * This process carries these calls, so nobody else writes their rows, and reading them back would tell nothing new.
 * A command that cannot be saved is refused and nothing moves. What has happened (a party hung up) cannot be refused:
 * it becomes current in any case, and its row is written as soon as the database is back.
 */
import type { Call, Decision } from '../domain/call.ts'
import type { CallId } from '../domain/ids.ts'
import type { IdempotencyRecord } from '../store/idempotency.ts'
import type { CallbackRow } from '../store/outbox/rows.ts'

export interface LiveCallsOptions {
  /** One atomic write: the call, its callbacks, the idempotency record. */
  readonly save: (call: Call, callbacks: readonly CallbackRow[], idempotency: IdempotencyRecord | null) => Promise<void>
  /** Freezes what a decision wants to tell. */
  readonly callbacksOf: (decision: Decision) => readonly CallbackRow[]
  readonly onTrouble: (error: unknown, callId: CallId) => void
  /** A call, or a new state of it, became current; for those who count. Must not throw. */
  readonly onChange?: ((before: Call | undefined, after: Call) => void) | undefined
}

export interface LiveCalls {
  get(callId: CallId): Call | undefined
  all(): readonly Call[]
  /** @throws what the database throws; then nothing has changed. */
  commit(decision: Decision, idempotency: IdempotencyRecord | null): Promise<void>
  /** Never throws. */
  record(decision: Decision): Promise<void>
  /** Writes what could not be written before, in the call's own queue. @throws what the database throws. */
  catchUp(callId: CallId): Promise<void>
}

interface Unsaved {
  readonly call: Call
  readonly callbacks: readonly CallbackRow[]
}

export function makeLiveCalls({ save, callbacksOf, onTrouble, onChange }: LiveCallsOptions): LiveCalls {
  const live = new Map<CallId, Call>()
  const unsaved = new Map<CallId, Unsaved>()

  function makeCurrent(call: Call): void {
    const before = live.get(call.id)
    if (call.state.status === 'ended') live.delete(call.id)
    else live.set(call.id, call)
    onChange?.(before, call)
  }

  /** Earlier callbacks that are still unwritten go in the same write, so that none overtakes another. */
  async function write(call: Call, fresh: readonly CallbackRow[], idempotency: IdempotencyRecord | null): Promise<void> {
    const owed = unsaved.get(call.id)
    await save(call, [...(owed?.callbacks ?? []), ...fresh], idempotency)
    unsaved.delete(call.id)
  }

  return {
    get: (callId) => live.get(callId),
    all: () => [...live.values()],
    async commit(decision, idempotency) {
      await write(decision.call, callbacksOf(decision), idempotency)
      makeCurrent(decision.call)
    },
    async record(decision) {
      if (decision.call === live.get(decision.call.id) && decision.notices.length === 0) return
      const callbacks = callbacksOf(decision)
      makeCurrent(decision.call)
      try {
        await write(decision.call, callbacks, null)
      } catch (error) {
        const owed = unsaved.get(decision.call.id)
        unsaved.set(decision.call.id, { call: decision.call, callbacks: [...(owed?.callbacks ?? []), ...callbacks] })
        onTrouble(error, decision.call.id)
      }
    },
    async catchUp(callId) {
      const owed = unsaved.get(callId)
      if (owed) await write(owed.call, [], null)
    },
  }
}
