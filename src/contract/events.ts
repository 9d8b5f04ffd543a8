/**
 * The live events of an account (an extension): what a server-sent event is called and what its data says. Keys are those of the
 * resources; a table of hearing has a row for each ear. Always JSON.
 */
import type { Call } from '../domain/call.ts'
import type { Ear, Hearing, Mouth } from '../domain/hearing.ts'
import type { LegId, SoundId } from '../domain/ids.ts'
import { isLive, type Leg, type LegState, type Mode } from '../domain/leg.ts'
import { tapesOf } from '../domain/sound.ts'
import { wireDate } from './dates.ts'
import { callFields, legFields } from './resources.ts'
import type { WireObject } from './xml.ts'

export interface EventOptions {
  /** IANA name of the account's zone. */
  readonly timeZone: string
  readonly publicUrl: string
}

/** Of a leg that lives, `Status` says no more than that; this says whether it was picked up. */
const STATES: Readonly<Record<LegState['status'], string>> = { ringing: 'ringing', answered: 'answered', ended: 'ended' }

export const callEvent = (call: Call, options: EventOptions): WireObject => ({ Call: callFields(call, { format: 'json', ...options }, null) })

export const legEvent = (call: Call, leg: Leg, { timeZone }: EventOptions): WireObject => ({ Leg: liveLegFields(call, leg, timeZone) })

/** @param before Null for a supervisor who is new. */
export const modeEvent = (call: Call, leg: Leg, before: Mode | null, { timeZone }: EventOptions): WireObject => ({
  Mode: {
    CallSid: call.id,
    LegSid: leg.id,
    TargetLegSid: leg.monitoring?.targetLegId ?? null,
    Action: leg.monitoring?.mode ?? null,
    PreviousAction: before,
    State: STATES[leg.state.status],
    DateUpdated: wireDate(leg.updatedAt, timeZone),
  },
})

export const hearingEvent = (call: Call, table: Hearing): WireObject => ({ Hearing: { CallSid: call.id, Ears: earsOf(call, table) } })

/** All that lives, for who begins. */
export const snapshotEvent = (
  calls: readonly { readonly call: Call; readonly table: Hearing }[],
  missed: boolean,
  options: EventOptions,
): WireObject => ({
  Missed: missed ? 'true' : 'false',
  Calls: calls.map(
    ({ call, table }): WireObject => ({
      ...callFields(call, { format: 'json', ...options }, null),
      Legs: call.legs.filter(isLive).map((leg) => liveLegFields(call, leg, options.timeZone)),
      Hearing: { CallSid: call.id, Ears: earsOf(call, table) },
    }),
  ),
})

const liveLegFields = (call: Call, leg: Leg, timeZone: string): WireObject => ({
  ...legFields(call, leg, timeZone),
  State: STATES[leg.state.status],
  TargetLegSid: leg.monitoring?.targetLegId ?? null,
})

/** Ears of people by their leg, of the recording by their channel; what is heard: legs, and sounds by their names. */
function earsOf(call: Call, table: Hearing): readonly WireObject[] {
  const legs = new Set<Ear | Mouth>(call.legs.map((leg) => leg.id))
  const tapes = new Set<Ear>(tapesOf(call.sound))
  return [...table]
    .filter(([ear]) => legs.has(ear) || tapes.has(ear))
    .map(([ear, mouths]): WireObject => {
      const [people, sounds] = [
        mouths.filter((mouth): mouth is LegId => legs.has(mouth)),
        mouths.filter((mouth): mouth is SoundId => !legs.has(mouth)),
      ]
      return {
        ...(legs.has(ear) ? { LegSid: ear } : { Tape: ear }),
        Hears: people.map((LegSid) => ({ LegSid })),
        Sounds: sounds.map((Name) => ({ Name })),
      }
    })
}
