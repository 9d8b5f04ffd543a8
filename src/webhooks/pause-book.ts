/**
 * Writes down which receivers are paused, for people and other processes to see. What is true of a receiver when its turn comes is
 * written, so that quick changes cannot overtake each other; what cannot be written is logged, and decides nothing.
 */
import type { Log } from '../store/database.ts'
import type { Pause } from '../store/outbox/pauses.ts'

export interface PauseBook {
  /** @param pause Null: there is none any more. */
  note(receiver: string, pause: Pause | null): void
  /** Resolves when all that was noted is written. */
  written(): Promise<void>
}

export interface PauseBookOptions {
  readonly write: (receiver: string, pause: Pause | null) => Promise<void>
  readonly log: Log
}

export function makePauseBook({ write, log }: PauseBookOptions): PauseBook {
  /** One entry for each receiver that has changed: as many as there are receivers in trouble, which has a limit. */
  const changed = new Map<string, Pause | null>()
  let writing: Promise<void> | null = null
  async function writeAll(): Promise<void> {
    for (const [receiver, pause] of changed) {
      changed.delete(receiver)
      await write(receiver, pause).catch((error: unknown) =>
        log.warn({ event: 'callback-pause-not-saved', err: error }, 'That a receiver of callbacks is paused, or is no more, could not be saved'),
      )
    }
    writing = null
  }
  return {
    note(receiver, pause) {
      changed.set(receiver, pause)
      writing ??= writeAll()
    },
    written: async () => {
      while (writing !== null) await writing
    },
  }
}
