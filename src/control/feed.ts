/**
 * What happens to calls, as it happens, for whoever follows: calls, legs, modes, and who really hears whom.
 *
 * One rule: nobody who follows holds anything up. What has happened lately is kept, bounded, so that a follower who was away gets what
 * they missed; one who was away for too long is told so, and begins anew with what lives now. Events of one call come in the order
 * in which they happened; a table of hearing is told when the engine obeys it, not when it was ordered.
 */
import type { Call } from '../domain/call.ts'
import { type Ear, hearing, type Hearing, type Mouth } from '../domain/hearing.ts'
import type { AccountId } from '../domain/ids.ts'
import { isAnswered, type Leg, type Mode } from '../domain/leg.ts'

export type Happening =
  | { readonly kind: 'call'; readonly call: Call }
  | { readonly kind: 'leg'; readonly call: Call; readonly leg: Leg }
  /** A supervisor who was rung, joined or changed has this mode now. `before`: null for one who is new. */
  | { readonly kind: 'mode'; readonly call: Call; readonly leg: Leg; readonly before: Mode | null }
  | { readonly kind: 'hearing'; readonly call: Call; readonly table: Hearing }

/** A place in what has happened: `<life>-<number>`; the life is one process's. */
export type FeedId = string & { readonly brand: 'FeedId' }

export interface Told {
  readonly id: FeedId
  /** Epoch ms. */
  readonly at: number
  readonly happening: Happening
}

/** How a follower begins: with all that lives now, because they are new or missed too much; or after what they were told last. */
export type Beginning =
  | { readonly kind: 'anew'; readonly id: FeedId; readonly missed: boolean; readonly calls: readonly Call[] }
  | { readonly kind: 'resumed'; readonly told: readonly Told[] }

export interface FollowOptions {
  readonly accountId: AccountId
  /** Whether the follower may be told of this call. */
  readonly isFor: (call: Call) => boolean
  /** What they were told last, as they say it; null for a new one. */
  readonly lastId: string | null
  /** Must not throw. */
  readonly tell: (told: Told) => void
}

export interface Following {
  readonly beginning: Beginning
  stop(): void
}

export interface Feed {
  /** For `live-calls`: a call, or a new state of it, became current. */
  onChange(before: Call | undefined, after: Call): void
  /** For `steps`: the engine obeys this table. */
  onHearing(call: Call, table: Hearing): void
  /** What is told between this call and `stop` is not part of the beginning. */
  follow(options: FollowOptions): Following
}

export interface FeedOptions {
  /** Names this process's life: unguessable, `[0-9a-z]`. */
  readonly life: string
  readonly now: () => number
  /** The account's live calls, oldest first. */
  readonly live: (accountId: AccountId) => readonly Call[]
  /** Events of one account that are kept. Default 5,000. */
  readonly kept?: number
}

const KEPT = 5_000

interface Channel {
  /** The number of the latest event. */
  last: number
  /** The latest ones, oldest first. */
  readonly told: Told[]
  readonly followers: Set<FollowOptions>
}

export function makeFeed({ life, now, live, kept = KEPT }: FeedOptions): Feed {
  /** There are as many as there are accounts. */
  const channels = new Map<AccountId, Channel>()
  const channelOf = (accountId: AccountId): Channel => {
    const known = channels.get(accountId) ?? { last: 0, told: [], followers: new Set() }
    channels.set(accountId, known)
    return known
  }
  const idOf = (number: number): FeedId => `${life}-${number}` as FeedId

  function publish(happening: Happening): void {
    const channel = channelOf(happening.call.accountId)
    channel.last += 1
    const told: Told = { id: idOf(channel.last), at: now(), happening }
    channel.told.push(told)
    if (channel.told.length > kept) channel.told.shift()
    for (const follower of channel.followers) if (follower.isFor(happening.call)) follower.tell(told)
  }

  function beginningOf({ accountId, isFor, lastId }: FollowOptions, { last, told }: Channel): Beginning {
    const number = lastId?.startsWith(`${life}-`) ? Number(lastId.slice(life.length + 1)) : null
    const first = last - told.length
    const isKnown = number !== null && Number.isInteger(number) && number >= first && number <= last
    if (!isKnown) return { kind: 'anew', id: idOf(last), missed: lastId !== null, calls: live(accountId).filter(isFor) }
    return { kind: 'resumed', told: told.slice(number - first).filter(({ happening }) => isFor(happening.call)) }
  }

  return {
    onChange: (before, after) => {
      for (const happening of happeningsOf(before, after)) publish(happening)
    },
    onHearing: (call, table) => publish({ kind: 'hearing', call, table }),
    follow(options) {
      const channel = channelOf(options.accountId)
      const beginning = beginningOf(options, channel)
      channel.followers.add(options)
      return { beginning, stop: () => void channel.followers.delete(options) }
    },
  }
}

/** What differs, in the order of a call's life: its beginning, its legs and their modes, its end. */
export function happeningsOf(before: Call | undefined, after: Call): readonly Happening[] {
  const changes = after.legs.flatMap((leg): readonly Happening[] => {
    const old = before?.legs.find(({ id }) => id === leg.id)
    if (old === leg) return []
    const mode = leg.monitoring?.mode ?? null
    const isNewMode = mode !== null && (old?.monitoring?.mode !== mode || isAnswered(old) !== isAnswered(leg)) && leg.state.status !== 'ended'
    return [
      { kind: 'leg', call: after, leg },
      ...(isNewMode ? [{ kind: 'mode', call: after, leg, before: old?.monitoring?.mode ?? null } as const] : []),
    ]
  })
  const isNew = before === undefined
  const hasChanged = !isNew && (before.state.status !== after.state.status || before.sound.stage !== after.sound.stage)
  return [...(isNew ? [{ kind: 'call', call: after } as const] : []), ...changes, ...(hasChanged ? [{ kind: 'call', call: after } as const] : [])]
}

/** Who hears whom in a call as it is decided; for the beginning, when nothing is under way. */
export const tableOf = (call: Call): ReadonlyMap<Ear, readonly Mouth[]> => (call.state.status === 'live' ? hearing(call.legs, call.sound) : new Map())
