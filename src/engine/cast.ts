/** The usual cast of the engine suite: agent, customer and one supervisor, and what contract C23 lets each of them hear. */
import type { Mode } from '../domain/leg.ts'
import { type Actor, type Scene, TONES } from './scene.ts'

type Play = (scene: Scene) => Promise<void>
/** A test of the suite. */
export type Titled = readonly [title: string, play: Play]

/** C23 for one supervisor who coaches the agent: what agent, customer and supervisor hear. */
const ROWS: Readonly<Record<Mode, { readonly agent: readonly number[]; readonly customer: readonly number[] }>> = {
  listen: { agent: [TONES.customer], customer: [TONES.agent] },
  whisper: { agent: [TONES.customer, TONES.coach], customer: [TONES.agent] },
  barge: { agent: [TONES.customer, TONES.coach], customer: [TONES.agent, TONES.coach] },
}

export interface Trio {
  readonly agent: Actor
  readonly customer: Actor
  readonly coach: Actor
}

/** Agent and customer talk, and a supervisor who coaches the agent has joined. */
export async function trio(scene: Scene, mode: Mode): Promise<Trio> {
  const { agent, customer } = await scene.conversation()
  return { agent, customer, coach: await scene.join(mode, agent) }
}

/** Every ear must soon hear its row. */
export const hearMode = (scene: Scene, { agent, customer, coach }: Trio, mode: Mode, why = ''): Promise<void> =>
  scene.hear(
    [
      [agent, ROWS[mode].agent],
      [customer, ROWS[mode].customer],
      [coach, [TONES.agent, TONES.customer]],
    ],
    `${why} ${mode}`,
  )
