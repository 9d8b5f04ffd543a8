/** Whether the server takes requests. */
import { askPlain, type EarshotOptions, type RequestOptions, unexpectedAnswer } from '../request.ts'

/** `draining`: it is about to stop; what lives can be seen and hung up, nothing new begins. */
export type Health = 'starting' | 'ready' | 'draining'

const STATES = ['starting', 'ready', 'draining'] as const

export function makeHealth(options: EarshotOptions): (once?: RequestOptions) => Promise<Health> {
  return async (once = {}) => {
    const { status, text } = await askPlain(options, '/readyz', once)
    const state = STATES.find((known) => known === text.trim())
    if (state === undefined) throw unexpectedAnswer(status)
    return state
  }
}
