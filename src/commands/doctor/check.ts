/** What a check found: good, worth a word, or in the way; and what to do about it. */
export interface Check {
  readonly check: string
  readonly state: 'ok' | 'warning' | 'problem'
  readonly says: string
  /** One sentence; null when nothing is to be done. */
  readonly change: string | null
}

export const ok = (check: string, says: string): Check => ({ check, state: 'ok', says, change: null })
export const warning = (check: string, says: string, change: string): Check => ({ check, state: 'warning', says, change })
export const problem = (check: string, says: string, change: string): Check => ({ check, state: 'problem', says, change })
