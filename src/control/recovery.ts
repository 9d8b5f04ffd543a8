/**
 * After a crash: calls that were live when the server died are closed with what is true of them (contract C27), and their
 * parties, who still believe to be in a call, are told that it is over.
 *
 * The order matters: found before the engine can bring new calls, told as soon as it runs, closed last. A start that fails
 * half-way leaves them as they were, and the next one begins again; a second goodbye does no harm. Their `terminal` callbacks
 * are written in the same transaction as their end, so nothing is called back twice.
 */
import type { Call } from '../domain/call.ts'
import { closeAfterCrash } from '../domain/events.ts'
import { loadLiveCalls, saveCall } from '../store/calls.ts'
import type { Database } from '../store/database.ts'
import { lastBeat } from '../store/nodes.ts'
import type { Settle } from './settle.ts'

export interface RecoveryOptions {
  readonly database: Database
  readonly node: string
  readonly settle: Settle
  /** A call was closed, and is so on record; for those who count. Must not throw. */
  readonly onChange?: (before: Call, after: Call) => void
}

/** @returns The calls that were live when this node died, as they were, oldest first. */
export const findCrashed = ({ database, node }: Pick<RecoveryOptions, 'database' | 'node'>): Promise<readonly Call[]> =>
  loadLiveCalls(database.sql, node)

/** What the engine asked to be reminded of about legs that nobody has ended. */
export const memoriesOf = (crashed: readonly Call[]): readonly string[] =>
  crashed
    .flatMap((call) => call.legs)
    .map(({ state }) => (state.status === 'answered' ? state.memory : null))
    .filter((memory) => memory !== null)

/** Closes them. To be done before this life's first heartbeat, which would hide when the former one ended. */
export async function closeCrashed(crashed: readonly Call[], { database, node, settle, onChange }: RecoveryOptions): Promise<void> {
  if (crashed.length === 0) return
  // Without a heartbeat nothing is known but the calls' own last changes.
  const lastAliveAt = (await lastBeat(database.sql, node)) ?? 0
  for (const call of crashed) {
    const { decision, records } = settle(call, closeAfterCrash(call, lastAliveAt), 'crash')
    await saveCall(database.sql, { call: decision.call, node, ...records, idempotency: null })
    onChange?.(call, decision.call)
  }
}
