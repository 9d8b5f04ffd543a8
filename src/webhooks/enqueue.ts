/** Turns notices into callbacks whose bodies say what is true now, to be saved with the call (contract C26, C27, C32). */
import type { Call, Notice } from '../domain/call.ts'
import type { CallbackRow } from '../store/outbox.ts'

export interface EnqueueOptions {
  /** IANA name of the account's time zone (C5). */
  readonly timeZone: string
  /** Unique and unguessable. */
  readonly newId: () => string
  readonly now: number
}

/** One row per notice, in order. */
export function callbackRows(_call: Call, _notices: readonly Notice[], _options: EnqueueOptions): readonly CallbackRow[] {
  throw new Error('not yet')
}
