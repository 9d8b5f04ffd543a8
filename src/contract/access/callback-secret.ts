/** The secret that signs an account's callbacks, as the API shows it (contract C28): a rotation shows the new one, once; nothing else shows any. */
import { wireDate } from '../dates.ts'
import type { Fields } from '../fields.ts'
import { SECRET_ROTATION_PARAMETERS } from '../schemas/callback-log.ts'
import { parametersIn } from '../schemas/parameter.ts'
import type { WireObject } from '../xml.ts'

/** A secret without the secret: enough to know it by. */
export interface SecretMark {
  /** The first hexadecimal digits of its SHA-256. */
  readonly fingerprint: string
}

/** With what an account's callbacks are signed. Times are epoch ms. */
export interface SecretState {
  /** `configuration`: the operator's file names it, and only the file changes it. */
  readonly source: 'configuration' | 'data'
  readonly current: SecretMark & { readonly madeAt: number | null }
  /** Signs as well, during a rotation; `until` is null when only the configuration ends it. */
  readonly previous: (SecretMark & { readonly until: number | null }) | null
}

/** The only moment at which a secret is shown. */
export interface RotatedSecret {
  readonly secret: string
  readonly state: SecretState
}

const HOUR_MS = 3_600_000

/** `KeepHours` of a rotation, 0 to 720, in ms; 0 ends the old secret at once. @throws {DomainError} invalid-parameter (KeepHours) */
export const keepMsIn = (fields: Fields): number => parametersIn(SECRET_ROTATION_PARAMETERS, fields).KeepHours * HOUR_MS

/** @param secret Null shows none: an empty element would look like an empty secret, so the key is not there. */
export function secretResource({ source, current, previous }: SecretState, secret: string | null, timeZone: string): WireObject {
  const date = (epochMs: number | null | undefined): string | null => (epochMs === null || epochMs === undefined ? null : wireDate(epochMs, timeZone))
  return {
    CallbackSecret: {
      ...(secret === null ? {} : { Secret: secret }),
      Fingerprint: current.fingerprint,
      Source: source,
      DateCreated: date(current.madeAt),
      PreviousFingerprint: previous?.fingerprint ?? null,
      PreviousUntil: date(previous?.until),
    },
  }
}
