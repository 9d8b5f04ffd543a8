/**
 * A connection that breaks leaves its last statement in doubt: it may have been carried out or not. What may be done twice without harm
 * is done again until an answer comes; so a restart of the database is a delay and no doubt.
 */
import { setTimeout as sleep } from 'node:timers/promises'

/** The embedded server needs a second or two to come back, and so do others after one of their processes has died. */
const PATIENCE_MS = 5_000
const AGAIN_MS = 100

/** The network's, and PostgreSQL's own: connection exceptions, shutting down, crashed, starting up. */
const CODES = /^(?:ECONNRESET|ECONNREFUSED|EPIPE|ENOENT|ETIMEDOUT|08\w{3}|57P0[123])$/
const WORDS = /^(?:Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect)/

/** Whether the statement that failed so may have been carried out all the same, or would be at another time. */
export function isConnectionLoss(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error && typeof error.code === 'string' ? error.code : null
  return code === null ? WORDS.test(error.message) : CODES.test(code)
}

/**
 * @param work Does the same when it is done twice.
 * @throws what `work` throws: at once if that leaves no doubt, and the loss of the connection when patience ends.
 */
export async function untilCertain<T>(work: () => Promise<T>, patienceMs = PATIENCE_MS): Promise<T> {
  for (const deadline = performance.now() + patienceMs; ; await sleep(AGAIN_MS)) {
    try {
      return await work()
    } catch (error) {
      if (!isConnectionLoss(error) || performance.now() > deadline) throw error
    }
  }
}
