/**
 * What may be done with a leg, and why not: one table, for consoles that show a button disabled instead of hiding it. It says
 * what the server would say; the server has the last word.
 */
import type { Leg } from './resources.ts'

export const LEG_VERBS = ['listen', 'whisper', 'barge', 'hangup'] as const
/** What `legs.changeMode` and `legs.hangUp` do. */
export type LegVerb = (typeof LEG_VERBS)[number]

/** Why not: it has ended · it is a party of the conversation, and only a supervisor has a mode. */
export type LegObstacle = 'ended' | 'not-a-supervisor'

export type LegCan = { readonly allowed: true } | { readonly allowed: false; readonly reason: LegObstacle; readonly text: string }

const ALLOWED: LegCan = { allowed: true }
const TEXTS: Readonly<Record<LegObstacle, string>> = {
  ended: 'The leg has ended',
  'not-a-supervisor': 'Only a supervisor’s leg has a mode; join the call to add one',
}
const refused = (reason: LegObstacle): LegCan => ({ allowed: false, reason, text: TEXTS[reason] })

const NOTHING: Readonly<Record<LegVerb, LegCan>> = {
  listen: refused('ended'),
  whisper: refused('ended'),
  barge: refused('ended'),
  hangup: refused('ended'),
}
const SUPERVISOR: Readonly<Record<LegVerb, LegCan>> = { listen: ALLOWED, whisper: ALLOWED, barge: ALLOWED, hangup: ALLOWED }
const PARTY: Readonly<Record<LegVerb, LegCan>> = {
  listen: refused('not-a-supervisor'),
  whisper: refused('not-a-supervisor'),
  barge: refused('not-a-supervisor'),
  hangup: ALLOWED,
}

/** For each verb whether it may be done to this leg now. The mode that it is in already is allowed: the server takes it again. */
export function legCan({ Status, Origin }: Pick<Leg, 'Status' | 'Origin'>): Readonly<Record<LegVerb, LegCan>> {
  if (Status !== 'in-progress') return NOTHING
  switch (Origin) {
    case 'monitor':
      return SUPERVISOR
    case 'outbound':
    case 'outbound-dial':
    case 'inbound':
      return PARTY
  }
}
