/**
 * Whether an account may have another leg, and how long its balance carries those it has. A thin shell: what is allowed is said by
 * `domain/account`; here is kept what that needs to know between two questions.
 *
 * Looking and taking a place is one step without a pause in between, so that of many requests at once no more pass than the caps allow.
 * This process carries all calls of the accounts, so nobody else takes places; what is paid in may come from any process.
 */
import type { Account } from '../../domain/account/account.ts'
import {
  assertMayBegin,
  assertMayPay,
  DEFAULT_DIAL_LIMITS,
  dialledOf,
  MINUTE_MS,
  placesOf,
  type Standing,
  type Terms,
} from '../../domain/account/dial-guard.ts'
import { type Micros, micros, type Money } from '../../domain/account/money.ts'
import { awaitedParty, callsToEnd, firstPulse, heldByAll, nextLookAt } from '../../domain/account/prepaid.ts'
import { dayOf, justOver, type LegWish, legPrice } from '../../domain/account/rating.ts'
import type { Call } from '../../domain/call.ts'
import { DomainError, LIMITS, type LimitCode } from '../../domain/errors.ts'
import type { AccountId, CallId, LegId } from '../../domain/ids.ts'
import type { Log } from '../../store/database.ts'
import { makeDeadlines, type Schedule } from '../deadlines.ts'

/** The money of an account as it is on record when the house opens. */
export interface AccountMoney {
  readonly accountId: AccountId
  readonly paidIn: Money
  readonly charged: Money
  /** Charged on the account's present day. */
  readonly spentToday: Money
}

/** How an account stands, in the currency of its plan. */
export interface AccountStanding {
  readonly balance: Micros
  /** What its live calls hold of it: pulses that have begun, and first pulses that may. */
  readonly held: Micros
  readonly spentToday: Micros
}

export interface GateOptions {
  readonly accounts: ReadonlyMap<AccountId, Account>
  readonly liveCall: (callId: CallId) => Call | undefined
  readonly liveCalls: () => readonly Call[]
  /** The account does not carry this call any further. */
  readonly endCall: (callId: CallId, reason: LimitCode) => void
  readonly now: () => number
  readonly schedule: Schedule
  readonly log: Log
  /** Something was refused, or ended; for those who count. Must not throw. */
  readonly onLimit?: ((reason: LimitCode) => void) | undefined
}

export interface FirstLeg {
  readonly callId: CallId
  readonly legId: LegId
}

export interface Gate {
  /**
   * Takes the places of these legs, at once. They are kept until they are let go, or the first of them is part of its call.
   * @param first The leg that the call is to have.
   * @returns What lets them go: `dialled` when the work is done, `failed` when nothing came of it.
   * @throws {DomainError} no-rate · no-balance · day-spend-reached · legs-reached · leg-starts-reached
   */
  take(account: Account, first: FirstLeg, wishes: readonly LegWish[]): (outcome: 'dialled' | 'failed') => void
  /** Does the work while the places are kept. @throws what `take` throws, before anything is done; what `work` throws. */
  within<T>(
    account: Account,
    first: { readonly callId: CallId; readonly legId: LegId },
    wishes: readonly LegWish[],
    work: () => Promise<T>,
  ): Promise<T>
  /** What forbids the call to dial its second party, its place being kept, now that this leg picks up; null: nothing. */
  barsSecond(call: Call, answered: LegId): LimitCode | null
  /** What forbids to ring the first party again, in the place of its try that ends now; null: nothing, and the leg is counted. */
  barsRedial(call: Call): LimitCode | null
  /** A call, or a new state of it, became current: money moves, and the clock is set anew. Never throws. */
  onCall(before: Call | undefined, after: Call): void
  /** To be told before the first call. Accounts that are not named have nothing. */
  open(standings: readonly AccountMoney[]): void
  /** What was paid in, by all adjustments together. */
  paidIn(accountId: AccountId, amount: Money): void
  standing(accountId: AccountId): AccountStanding
  /** Forgets all alarms. */
  stop(): void
}

/** Places that are taken by work under way. */
interface Pending extends FirstLeg {
  readonly wishes: readonly LegWish[]
  /** When its legs were counted, epoch ms. */
  readonly at: number
}

/** What is kept of one account. */
interface Book {
  readonly account: Account
  readonly terms: Terms
  paidIn: Micros
  charged: Micros
  day: string
  spent: Micros
  readonly pending: Set<Pending>
  /** When legs were dialled, the oldest first; no more than the cap lets pass. */
  starts: number[]
}

interface Desk extends GateOptions {
  /** Calls that were told to end, and have not begun to. */
  readonly leaving: Set<CallId>
  readonly books: Map<AccountId, Book>
}

export function makeGate(options: GateOptions): Gate {
  const { accounts, now, schedule } = options
  const desk: Desk = {
    ...options,
    leaving: new Set(),
    books: new Map([...accounts.values()].map((account) => [account.id, emptyBook(account, now())])),
  }
  const alarms = makeDeadlines<AccountId>(schedule, now, (accountId) => look(accountId))

  /** Ends what the balance does not carry, and says when to look again. */
  function look(accountId: AccountId): void {
    const book = desk.books.get(accountId)
    const plan = book?.terms.plan
    if (!book || !plan?.prepaid) return
    const calls = callsOf(desk, accountId)
    const purse = { balance: book.paidIn - book.charged, plan }
    alarms.set(accountId, nextLookAt(purse, calls, now()))
    for (const callId of callsToEnd(purse, calls, now())) {
      if (desk.leaving.has(callId)) continue
      desk.leaving.add(callId)
      desk.log.warn({ call: callId, account: accountId, reason: 'no-balance' }, 'the balance does not cover another pulse; this call is ended')
      desk.onLimit?.('no-balance')
      desk.endCall(callId, 'no-balance')
    }
  }

  return {
    take: (account, first, wishes) => take(desk, account, { ...first, wishes, at: now() }),
    async within(account, first, wishes, work) {
      const letGo = take(desk, account, { ...first, wishes, at: now() })
      try {
        const done = await work()
        letGo('dialled')
        return done
      } catch (error) {
        letGo('failed')
        throw error
      }
    },
    barsSecond: (call, answered) => (call.legs.find(({ id }) => id === answered)?.origin === 'outbound' ? barsSecond(desk, call) : null),
    barsRedial: (call) => barsRedial(desk, call),
    onCall(before, after) {
      charge(desk, before, after)
      if (!holdsTheSame(before, after)) look(after.accountId)
    },
    open(standings) {
      for (const { accountId, paidIn, charged, spentToday } of standings) {
        const book = desk.books.get(accountId)
        if (book) Object.assign(book, { paidIn: micros(paidIn), charged: micros(charged), spent: micros(spentToday) })
      }
    },
    paidIn(accountId, amount) {
      const book = desk.books.get(accountId)
      if (!book) return
      book.paidIn = micros(amount)
      look(accountId)
    },
    standing(accountId) {
      const book = desk.books.get(accountId)
      const [balance, spent] = book ? [book.paidIn - book.charged, spentToday(book, now())] : [0n, 0n]
      return { balance, held: book?.terms.plan ? heldByAll(callsOf(desk, accountId), book.terms.plan, now()) : 0n, spentToday: spent }
    },
    stop: () => alarms.clear(),
  }
}

/** What legs that ended in this step cost leaves what is kept of their account. */
function charge(desk: Desk, before: Call | undefined, after: Call): void {
  const book = desk.books.get(after.accountId)
  if (!book) return
  if (after.state.status !== 'live') desk.leaving.delete(after.id)
  for (const leg of justOver(before, after)) {
    if (leg.state.status !== 'ended' || leg.rate?.currency !== book.terms.plan?.currency) continue
    const price = micros(legPrice(leg) ?? ('0' as Money))
    book.charged += price
    const day = dayOf(leg.state.endedAt, book.account.timeZone)
    turnTo(book, dayOf(desk.now(), book.account.timeZone))
    if (day === book.day) book.spent += price
  }
}

/** A change of mode, say, is nothing to a balance. */
const holdsTheSame = (before: Call | undefined, after: Call): boolean =>
  before?.state === after.state &&
  before.legs.length === after.legs.length &&
  after.legs.every((leg, index) => leg.state === before.legs[index]?.state)

const emptyBook = (account: Account, now: number): Book => ({
  account,
  terms: { plan: account.plan ?? null, limits: account.dial ?? DEFAULT_DIAL_LIMITS },
  paidIn: 0n,
  charged: 0n,
  day: dayOf(now, account.timeZone),
  spent: 0n,
  pending: new Set(),
  starts: [],
})

function take(desk: Desk, account: Account, pending: Pending): ReturnType<Gate['take']> {
  const book = desk.books.get(account.id)
  if (!book) throw new DomainError('call-not-found')
  refusing(desk, account.id, () => assertMayBegin(book.terms, standingOf(desk, book), pending.wishes, pending.at))
  const dialled = dialledOf(pending.wishes)
  book.starts.push(...dialled.map(() => pending.at))
  book.pending.add(pending)
  return (outcome) => {
    if (!book.pending.delete(pending) || outcome === 'dialled' || isThere(desk, pending)) return
    // What never became a leg has not been dialled.
    for (const _ of dialled) {
      const place = book.starts.lastIndexOf(pending.at)
      if (place >= 0) book.starts.splice(place, 1)
    }
  }
}

function barsSecond(desk: Desk, call: Call): LimitCode | null {
  const book = desk.books.get(call.accountId)
  const second = awaitedParty(call)
  if (!book || second === null || book.terms.plan === null) return null
  const without = standingWithout(desk, book, second)
  return limitOf(() => refusing(desk, call.accountId, () => assertMayPay(book.terms, without, [second])))
}

function barsRedial(desk: Desk, call: Call): LimitCode | null {
  const book = desk.books.get(call.accountId)
  if (!book) return null
  const [wish, now] = [{ origin: 'outbound', address: call.from } as const, desk.now()]
  const without = standingWithout(desk, book, wish)
  const limit = limitOf(() => refusing(desk, call.accountId, () => assertMayBegin(book.terms, without, [wish], now)))
  if (limit === null) book.starts.push(now)
  return limit
}

/** As if this one, of those that are there, were not. */
function standingWithout(desk: Desk, book: Book, own: LegWish): Standing {
  const standing = standingOf(desk, book)
  const pulse = book.terms.plan === null ? 0n : firstPulse(book.terms.plan, own)
  return { ...standing, legs: standing.legs - 1, left: standing.left + pulse, spentToday: standing.spentToday - pulse }
}

function limitOf(look: () => void): LimitCode | null {
  try {
    look()
    return null
  } catch (error) {
    if (isLimit(error)) return error.code
    throw error
  }
}

/** A limit of the account that was run into, as an error. */
export const isLimit = (error: unknown): error is DomainError & { readonly code: LimitCode } =>
  error instanceof DomainError && LIMITS.some((code) => code === error.code)

/** Says in the log what the account ran into. */
function refusing({ log, onLimit }: Desk, accountId: AccountId, look: () => void): void {
  try {
    look()
  } catch (error) {
    if (isLimit(error)) {
      log.warn({ account: accountId, reason: error.code }, 'a limit of the account refuses a leg')
      onLimit?.(error.code)
    }
    throw error
  }
}

function standingOf(desk: Desk, book: Book): Standing {
  const now = desk.now()
  const { plan, limits } = book.terms
  // Nobody asks what is held where nothing is bounded by it.
  const counts = plan !== null && (plan.prepaid || limits.spendPerDay !== null)
  const calls = callsOf(desk, book.account.id)
  const pending = [...book.pending].filter((entry) => !isThere(desk, entry)).flatMap((entry) => entry.wishes)
  const held = !counts ? 0n : heldByAll(calls, plan, now) + pending.reduce((total, wish) => total + firstPulse(plan, wish), 0n)
  book.starts = book.starts.filter((at) => at > now - MINUTE_MS)
  return {
    legs: calls.reduce((total, call) => total + placesOf(call), pending.length),
    starts: book.starts,
    left: book.paidIn - book.charged - held,
    spentToday: spentToday(book, now) + held,
  }
}

const callsOf = ({ liveCalls }: Desk, accountId: AccountId): readonly Call[] => liveCalls().filter((call) => call.accountId === accountId)

/** Whether the work has come so far that the call itself holds the places. */
const isThere = ({ liveCall }: Desk, { callId, legId }: Pending): boolean => liveCall(callId)?.legs.some((leg) => leg.id === legId) ?? false

function spentToday(book: Book, now: number): Micros {
  turnTo(book, dayOf(now, book.account.timeZone))
  return book.spent
}

/** A new day begins with nothing spent. */
function turnTo(book: Book, day: string): void {
  if (day <= book.day) return
  book.day = day
  book.spent = 0n
}
