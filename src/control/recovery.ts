/**
 * After a crash: calls that were live when the server died are closed with what is true of them (contract C27).
 * Their `terminal` callbacks are written in the same transaction, so a crash during recovery repeats nothing.
 */
import type { Call, Decision } from '../domain/call.ts'
import { closeAfterCrash } from '../domain/events.ts'
import { loadLiveCalls, saveCall } from '../store/calls.ts'
import type { Database } from '../store/database.ts'
import { lastBeat } from '../store/nodes.ts'
import type { CallbackRow } from '../store/outbox.ts'

export interface RecoveryOptions {
  readonly database: Database
  readonly node: string
  readonly callbacksOf: (decision: Decision) => readonly CallbackRow[]
}

/** @returns The calls as they were found live, oldest first; each is closed now. */
export async function recover({ database, node, callbacksOf }: RecoveryOptions): Promise<readonly Call[]> {
  const orphans = await loadLiveCalls(database.sql, node)
  if (orphans.length === 0) return []
  // Without a heartbeat nothing is known but the calls' own last changes.
  const lastAliveAt = (await lastBeat(database.sql, node)) ?? 0
  for (const call of orphans) {
    const decision = closeAfterCrash(call, lastAliveAt)
    await saveCall(database.sql, { call: decision.call, node, callbacks: callbacksOf(decision), idempotency: null })
  }
  return orphans
}
