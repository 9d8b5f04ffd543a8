/**
 * Entries of the audit log, and how they are asked for. An entry is a body, which stays for ever, and perhaps a personal part (numbers,
 * names), which may be deleted: the body's chain commits to it without holding it.
 */
import type { Address } from '../address.ts'
import type { AccountId, CallId, LegId } from '../ids.ts'
import type { Mode } from '../leg.ts'
import type { Interval, IntervalEnd } from './interval.ts'
import type { TonePolicy } from './tones.ts'

/** The body of an entry of kind `interval`. Its keys in this order are the canonical text; times are ISO 8601 in UTC, to the millisecond. */
export interface IntervalBody {
  readonly call: CallId
  readonly leg: LegId
  readonly target: LegId
  readonly mode: Mode
  /** API key; null: the house decided. */
  readonly by: string | null
  readonly reason: string | null
  readonly from: string
  readonly to: string
  readonly end: IntervalEnd
  readonly heardBy: readonly LegId[]
  readonly hears: readonly LegId[]
  /** The policy of tones that held, written out; null for a call from before there were policies. */
  readonly notice: TonePolicy | null
  readonly tones: readonly string[]
  readonly tonesFailed: readonly string[]
}

/** The personal part of an interval. */
export interface IntervalPersons {
  readonly supervisor: Address
  readonly parties: readonly { readonly leg: LegId; readonly address: Address }[]
}

/** One entry as it lies in the log. Hashes are 64 hexadecimal digits. */
export interface Entry {
  readonly accountId: AccountId
  /** From 1, without gaps. */
  readonly sequence: number
  readonly id: string
  readonly kind: string
  /** Epoch ms. */
  readonly recordedAt: number
  /** JSON, byte for byte as it was hashed. */
  readonly body: string
  /** JSON; null when there never was a personal part, or it was purged. */
  readonly personal: string | null
  readonly salt: string | null
  /** Empty when there never was a personal part. */
  readonly commitment: string
  readonly previous: string
  readonly hash: string
  /** What it is found by; the same as in body and personal part, or somebody has altered it. */
  readonly foundBy: { readonly call: string | null; readonly mode: string | null; readonly supervisor: string | null }
}

export interface EvidenceQuery {
  readonly callId: CallId | null
  readonly supervisor: Address | null
  readonly mode: Mode | null
  /** When it was recorded, epoch ms: included, and not included any more. */
  readonly recordedFrom: number | null
  readonly recordedBefore: number | null
  readonly order: 'asc' | 'desc'
  /** 1 to 1000. */
  readonly pageSize: number
  /** Between two entries: just after or just before this sequence in the order that was asked for; null is the first page. */
  readonly start: { readonly side: 'after' | 'before'; readonly sequence: number } | null
}

export interface EvidencePage {
  readonly entries: readonly Entry[]
  /** There are entries before the first one of this page, and after its last one. */
  readonly hasPrevious: boolean
  readonly hasNext: boolean
}

/** What the log says of an interval. */
export function intervalBody(interval: Interval): IntervalBody {
  const { callId, legId, targetLegId, mode, by, reasonCode, end, heardBy, hears, policy } = interval
  return {
    call: callId,
    leg: legId,
    target: targetLegId,
    mode,
    by,
    reason: reasonCode,
    from: iso(interval.from),
    to: iso(interval.to),
    end,
    heardBy,
    hears,
    notice: policy && { to: policy.to, atEntry: policy.atEntry, everySeconds: policy.everySeconds, modes: policy.modes },
    tones: interval.tones.map(iso),
    tonesFailed: interval.tonesFailed.map(iso),
  }
}

export const intervalPersons = ({ supervisor, parties }: Interval): IntervalPersons => ({
  supervisor,
  parties: parties.map(({ legId, address }) => ({ leg: legId, address })),
})

const iso = (epochMs: number): string => new Date(epochMs).toISOString()
