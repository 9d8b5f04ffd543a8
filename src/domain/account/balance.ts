/** The money of an account: what was paid in, less what its legs cost. */
import type { AccountId } from '../ids.ts'
import type { Money } from './money.ts'

/** A top-up, or a correction either way. Written once and never changed. */
export interface Adjustment {
  readonly id: string
  readonly accountId: AccountId
  readonly currency: string
  /** Negative takes away. */
  readonly amount: Money
  /** Why: for whoever reads the list later. */
  readonly note: string
  /** Who: the id of an API key, or `cli`. */
  readonly by: string
  /** Epoch ms. */
  readonly at: number
}

export interface Balance {
  readonly currency: string
  /** Paid in, by all adjustments together. */
  readonly paidIn: Money
  /** What legs that have ended cost, all together. */
  readonly charged: Money
}

export const NOTE_MAX_CHARS = 200

/** @returns The note as it is kept, or null when it says nothing, or too much. */
export function noteIn(text: string): string | null {
  const note = text.trim()
  return note === '' || [...note].length > NOTE_MAX_CHARS || !note.isWellFormed() || /\p{Cc}/u.test(note) ? null : note
}
