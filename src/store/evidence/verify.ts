/**
 * Whether an audit log is as it was written: every entry is hashed again, in pages, from the first to the head.
 *
 * What a chain alone can show: an entry that was changed, taken out, put in, or moved. That its end was cut off, or all of it made
 * anew by who has the database and the time, shows against a head that was noted elsewhere before.
 */
import type { Entry } from '../../domain/evidence/entry.ts'
import type { AccountId } from '../../domain/ids.ts'
import type { Sql } from '../database.ts'
import { commitmentOf, FIRST_PREVIOUS, hashOf, isFoundRightly } from './entries.ts'
import { type ChainHead, chainHeads, evidenceAfter, sequenceOfHash } from './log.ts'

export const FAULTS = [
  'altered',
  'missing',
  'reordered',
  'personal-altered',
  'personal-missing',
  'truncated',
  'head-altered',
  'head-missing',
  'head-unknown',
] as const

export interface Fault {
  readonly kind: (typeof FAULTS)[number]
  /** The first entry with which something is wrong. */
  readonly sequence: number
  /** A sentence for the operator. */
  readonly says: string
}

export interface Verdict {
  readonly accountId: AccountId
  /** Entries that were found in order, up to the fault. */
  readonly entries: number
  /** Of those, entries whose personal part was purged, and a later entry says so. */
  readonly purged: number
  /** As it is now; null when the account has none. */
  readonly head: ChainHead | null
  /** Null: the chain is as it was written. */
  readonly fault: Fault | null
}

export interface VerifyOptions {
  /** A hash that was noted earlier: some entry of the chain must have it; null: none was. */
  readonly notedHead: string | null
  readonly onProgress: (entries: number) => void
  /** Entries of one page. */
  readonly pageSize?: number
}

const PAGE = 1_000

/** What is known while walking. */
interface Walk {
  entries: number
  purged: number
  previous: string
  /** Runs of entries that lack their personal part, and that no entry has yet said to be purged. */
  lacking: { from: number; through: number }[]
  sawNoted: boolean
}

/** Entries that are written meanwhile are looked at as well, up to the head at the end. */
export async function verifyChain(sql: Sql, accountId: AccountId, { notedHead, onProgress, pageSize = PAGE }: VerifyOptions): Promise<Verdict> {
  const walk: Walk = { entries: 0, purged: 0, previous: FIRST_PREVIOUS, lacking: [], sawNoted: notedHead === null }
  // The head is read first: every entry up to it is committed by then, and what comes later only adds to it.
  const head = (await chainHeads(sql, accountId))[0] ?? null
  const verdict = (fault: Fault | null): Verdict => ({ accountId, entries: walk.entries, purged: walk.purged, head, fault })
  for (;;) {
    const page = await evidenceAfter(sql, accountId, walk.entries, pageSize)
    for (const entry of page) {
      const fault = await faultOf(sql, entry, walk)
      if (fault) return verdict(fault)
      if (head?.sequence === entry.sequence && head.hash !== entry.hash)
        return verdict(faultAt('head-altered', entry.sequence, 'the head of the chain names another hash'))
      take(entry, walk, notedHead)
    }
    if (page.length < pageSize) break
    onProgress(walk.entries)
  }
  return verdict(endFault(walk, head))
}

const faultAt = (kind: Fault['kind'], sequence: number, says: string): Fault => ({ kind, sequence, says })

async function faultOf(sql: Sql, entry: Entry, walk: Walk): Promise<Fault | null> {
  const expected = walk.entries + 1
  if (entry.sequence !== expected) {
    const last = entry.sequence - 1
    return faultAt('missing', expected, last === expected ? `entry ${expected} is not there` : `entries ${expected} to ${last} are not there`)
  }
  if (entry.previous !== walk.previous) {
    const before = await sequenceOfHash(sql, entry.accountId, entry.previous)
    if (before !== null) return faultAt('reordered', expected, `entry ${expected} was written after the entry that now stands at ${before}`)
    return faultAt(
      'altered',
      expected,
      `entry ${expected} does not follow entry ${expected - 1}: it was altered, put in, or what stood before it was exchanged`,
    )
  }
  if (hashOf(entry) !== entry.hash) return faultAt('altered', expected, `entry ${expected} does not have its hash: it was altered`)
  if (entry.personal !== null && commitmentOf(entry.salt ?? '', entry.personal) !== entry.commitment)
    return faultAt('personal-altered', expected, `the numbers and names of entry ${expected} were altered`)
  if (!isFoundRightly(entry)) return faultAt('altered', expected, `entry ${expected} is filed under a call, mode or supervisor that is not its own`)
  return null
}

function take(entry: Entry, walk: Walk, notedHead: string | null): void {
  const { sequence } = entry
  walk.entries = sequence
  walk.previous = entry.hash
  walk.sawNoted ||= entry.hash === notedHead
  const run = walk.lacking.at(-1)
  if (entry.personal === null && entry.commitment !== '') {
    if (run?.through === sequence - 1) run.through = sequence
    else walk.lacking.push({ from: sequence, through: sequence })
  }
  const gone = entry.kind === 'purge' ? purgedRange(entry.body) : null
  if (gone) explain(walk, gone)
}

/** Entries that a purge says to have deleted need no other explanation. */
function explain(walk: Walk, gone: { readonly from: number; readonly through: number }): void {
  const left: Walk['lacking'] = []
  for (const run of walk.lacking) {
    const [from, through] = [Math.max(run.from, gone.from), Math.min(run.through, gone.through)]
    if (from > through) left.push(run)
    else {
      walk.purged += through - from + 1
      if (run.from < from) left.push({ from: run.from, through: from - 1 })
      if (run.through > through) left.push({ from: through + 1, through: run.through })
    }
  }
  walk.lacking = left
}

function purgedRange(body: string): { readonly from: number; readonly through: number } | null {
  const { from, through }: { readonly from?: unknown; readonly through?: unknown } = JSON.parse(body)
  return typeof from === 'number' && typeof through === 'number' ? { from, through } : null
}

function endFault(walk: Walk, head: ChainHead | null): Fault | null {
  const { entries, lacking, sawNoted } = walk
  const [first] = lacking
  if (first) return faultAt('personal-missing', first.from, `the numbers and names of entry ${first.from} are not there, and no purge says so`)
  if (head === null && entries > 0) return faultAt('head-missing', entries, 'the chain has entries, but no head')
  if (head && head.sequence > entries)
    return faultAt('truncated', entries + 1, `the chain was cut off: its head names entry ${head.sequence}, the last one there is ${entries}`)
  if (!sawNoted) return faultAt('head-unknown', entries, 'no entry has the head that was noted: the chain was cut off before it, or made anew')
  return null
}
