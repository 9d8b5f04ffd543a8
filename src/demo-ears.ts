/** What the three ears of the demonstration hear, measured by one tone per mouth. */
import type { Cast, Role } from './demo-cast.ts'
import { ROLES } from './demo-cast.ts'

/** For each ear the mouths that are heard there. */
export type Ears = Readonly<Record<Role, readonly Role[]>>

export interface Heard {
  ears(): Ears
  /** Waits until the ears are exactly these. @returns False when they did not become so in time. */
  become(expected: Ears, patienceMs: number): Promise<boolean>
  /** The measured levels as lines of text. */
  table(): readonly string[]
}

const POLL_MS = 50
/** The table must hold this often in a row: a tone that is just fading is not yet silence. */
const TIMES_IN_A_ROW = 3

export const sameTable = (one: Ears, other: Ears): boolean => JSON.stringify(one) === JSON.stringify(other)

export function makeHeard(cast: Cast): Heard {
  const others = (ear: Role): readonly Role[] => ROLES.filter((mouth) => mouth !== ear)
  const ears = (): Ears => {
    const row = (ear: Role): readonly Role[] => others(ear).filter((mouth) => cast.hears(ear, mouth))
    return { agent: row('agent'), customer: row('customer'), supervisor: row('supervisor') }
  }
  return {
    ears,
    async become(expected, patienceMs) {
      const until = performance.now() + patienceMs
      for (let held = 0; held < TIMES_IN_A_ROW; ) {
        if (performance.now() > until) return false
        await new Promise((resolve) => setTimeout(resolve, POLL_MS))
        held = sameTable(ears(), expected) ? held + 1 : 0
      }
      return true
    },
    table() {
      const heads = ROLES.map((mouth) => `${mouth} (${cast.toneHz(mouth)} Hz)`.padEnd(22))
      const rows = ROLES.map((ear) => {
        const cells = ROLES.map((mouth) =>
          mouth === ear ? '·' : cast.hears(ear, mouth) ? `heard, ${cast.levelDb(ear, mouth).toFixed(0)} dB` : 'silent',
        )
        return `${`${ear} hears`.padEnd(18)}${cells.map((cell) => cell.padEnd(22)).join('')}`.trimEnd()
      })
      return [`${''.padEnd(18)}${heads.join('')}`.trimEnd(), ...rows]
    },
  }
}
