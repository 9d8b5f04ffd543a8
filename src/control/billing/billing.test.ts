/**
 * Adding up bills: whatever order events arrive in, however often, whatever the database does meanwhile and wherever the process dies,
 * every answered leg is charged once and all sums agree.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { begin, type Life, listen, lived, type Place, toCustomer, topUp } from '../../../test/billed-house.ts'
import { openTestDatabase, type TestDatabase, testServers } from '../../../test/database.ts'
import type { Account } from '../../domain/account/account.ts'
import { DEFAULT_DIAL_LIMITS } from '../../domain/account/dial-guard.ts'
import { type Money, micros, money, NO_MONEY, sum } from '../../domain/account/money.ts'
import { callPrice, isAnsweredAndOver, legPrice, type RatePlan } from '../../domain/account/rating.ts'
import { GROUPINGS } from '../../domain/account/usage.ts'
import { DomainError } from '../../domain/errors.ts'
import type { AccountId, CallId, LegId } from '../../domain/ids.ts'
import type { EndCause } from '../../domain/leg.ts'
import type { EngineEvent } from '../../engine/engine.ts'
import { loadCall } from '../../store/calls.ts'
import { loadBalance } from '../../store/ledger/balances.ts'
import { UNTOLD } from '../../../test/sample-calls.ts'

const T0 = Date.UTC(2026, 10, 26, 17, 0)
const PLAN: RatePlan = {
  currency: 'INR', pulseS: 7, prepaid: true, floor: '-1.000' as Money,
  rates: [
    { origin: null, prefix: 'client:', price: '0.010003' as Money },
    { origin: null, prefix: '+91', price: '0.333333' as Money },
    { origin: 'monitor', prefix: null, price: '0.100' as Money },
  ],
}

const SUBSCRIPTION = { url: 'http://receiver/', events: ['answered', 'terminal'], contentType: 'application/json' } as const

type Step =
  | { readonly kind: 'connect' | 'call-in' | 'crash' | 'crash-twice' }
  | { readonly kind: 'monitor'; readonly call: number }
  | { readonly kind: 'answer' | 'end' | 'repeat'; readonly leg: number; readonly cause: EndCause }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'pay'; readonly amount: string }
  | { readonly kind: 'break'; readonly how: readonly ('before' | 'after')[] }

const cause = fc.constantFrom<EndCause>('completed', 'busy', 'no-answer', 'failed', 'canceled')
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Step>({ kind: 'connect' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'call-in' }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('monitor' as const), call: fc.nat() }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('answer' as const), leg: fc.nat(), cause }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('end' as const), leg: fc.nat(), cause }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('repeat' as const), leg: fc.nat(), cause }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.oneof(fc.integer({ min: 0, max: 30_000 }), fc.constantFrom(6_999, 7_000, 7_001, 7_999, 8_000)) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pay' as const), amount: fc.constantFrom('2', '-0.5', '0.000001') }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('break' as const), how: fc.array(fc.constantFrom('before' as const, 'after' as const), { minLength: 1, maxLength: 4 }) }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'crash' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'crash-twice' }) },
)

let runs = 0
let minted = 0

/** One account's history: lives, and what must be remembered between them. */
interface History {
  readonly place: Place
  life: Life
  /** Every event that was ever reported in this life, to be reported again. */
  events: EngineEvent[]
}

async function started(place: Place): Promise<{ readonly life: Life; readonly events: EngineEvent[] }> {
  const life = await begin(place)
  return { life, events: [] }
}

/** Whatever a step runs into on the way is part of the story; only what is on record in the end counts. */
async function take(history: History, wanted: Step): Promise<void> {
  const { place, life } = history
  const { control, engine, clock } = life
  const id = place.account.id
  const legs = engine.legs()
  const legOf = (n: number): LegId | undefined => legs[n % Math.max(1, legs.length)]?.legId
  const tolerated = async (work: Promise<unknown>): Promise<unknown> =>
    work.catch((error: unknown) => assert(error instanceof DomainError || (error instanceof Error && /away/.test(error.message)), String(error)))
  switch (wanted.kind) {
    case 'connect':
      return void (await tolerated(control.connect(id, { ...toCustomer, subscription: SUBSCRIPTION }, null)))
    case 'call-in':
      engine.callIn({ accountId: id, from: '+919999999999' as never, dialled: '+918012345678' as never, source: 'trunk' })
      return life.settled()
    case 'monitor': {
      const calls = [...new Set(legs.map((leg) => leg.callId))]
      const callId = calls[wanted.call % Math.max(1, calls.length)]
      return void (callId && (await tolerated(control.createMonitorLeg(id, callId, { ...listen, subscription: SUBSCRIPTION }, null))))
    }
    case 'answer': {
      const legId = legOf(wanted.leg)
      if (legId) engine.answers(legId)
      if (legId) history.events.push({ kind: 'answered', callId: callOf(legs, legId), legId, memory: 'again' })
      return life.settled()
    }
    case 'end': {
      const legId = legOf(wanted.leg)
      if (legId) engine.ends(legId, wanted.cause)
      if (legId) history.events.push({ kind: 'ended', callId: callOf(legs, legId), legId, cause: wanted.cause })
      return life.settled()
    }
    case 'repeat': {
      const event = history.events[wanted.leg % Math.max(1, history.events.length)]
      if (event) control.onEngineEvent(event)
      return life.settled()
    }
    case 'pass':
      return clock.pass(wanted.ms)
    case 'pay':
      return void (await topUp(life, id, wanted.amount))
    case 'break':
      return life.breakDatabase(wanted.how)
    case 'crash':
    case 'crash-twice': {
      await lived(place.database, place.node, clock.now)
      control.gate.stop()
      const again = { ...place, now: clock.now + 3_000 }
      if (wanted.kind === 'crash-twice') await begin(again).then((halfway) => halfway.control.gate.stop())
      Object.assign(history, await started(again))
      const { paidIn, charged } = await loadBalance(place.database.sql, id, 'INR')
      const { balance } = await history.life.ledger.balance(id)
      assert.equal(balance, money(micros(paidIn) - micros(charged)), 'a new life knows what its start has charged')
    }
  }
}

const callOf = (legs: readonly { readonly callId: CallId; readonly legId: LegId }[], legId: LegId): CallId => legs.find((leg) => leg.legId === legId)?.callId as CallId

/** The end of a story: the database is back, what is owed is written, everybody hangs up. */
async function conclude({ life }: History): Promise<void> {
  await life.settled()
  // Failures that are still to come are used up by the writes that are tried again.
  for (let tries = 0; tries < 12; tries += 1) await life.clock.pass(2_000)
  await life.control.drain(0)
  for (let tries = 0; tries < 12; tries += 1) await life.clock.pass(2_000)
  await life.settled()
}

async function assertBooksAgree({ place, life }: History, paid: Money): Promise<void> {
  const { sql } = place.database
  const id = place.account.id
  const rows = await sql.query<{ id: string }>('select id from call where account_id = $1', [id])
  const calls = await Promise.all(rows.map(async (row) => (await loadCall(sql, id, row.id as CallId)) ?? assert.fail()))
  const charges = await sql.query<{ leg_id: string; call_id: string; amount: string; pulses: number; currency: string }>('select leg_id, call_id, amount::text, pulses, currency from charge where account_id = $1', [id])
  const answered = calls.flatMap((call) => call.legs.filter(isAnsweredAndOver))
  assert.deepEqual(charges.map((charge) => charge.leg_id).sort(), answered.map((leg) => leg.id).sort(), 'every answered leg is charged once, and nothing else')
  for (const charge of charges) {
    const leg = answered.find((each) => each.id === charge.leg_id) ?? assert.fail()
    assert.equal(sum([charge.amount as Money]), legPrice(leg), 'the charge is what the record of the leg says')
  }
  for (const call of calls.filter((each) => each.state.status === 'ended')) {
    const own = charges.filter((charge) => charge.call_id === call.id).map((charge) => charge.amount as Money)
    assert.equal(callPrice(call), sum(own), 'a call costs what its legs cost')
  }
  const callbacks = await sql.query<{ times: string }>(
    `select count(*) as times from callback where account_id = $1 and event = 'terminal' group by call_id, leg_id`,
    [id],
  )
  assert(callbacks.every(({ times }) => times === '1'), 'and each end is called back once')
  const total = sum(charges.map((charge) => charge.amount as Money))
  const { paidIn, charged } = await loadBalance(sql, id, 'INR')
  assert.deepEqual([paidIn, charged], [paid, total], 'the balance is what was paid in, less all charges')
  for (const by of [[], ['day'], [...GROUPINGS]] as const) {
    const { rows: used, totals } = await life.ledger.usage(id, { from: '2026-11-01', to: '2027-01-01', by })
    assert.equal(sum(used.map((row) => row.amount)), total, `usage by ${by.join(', ')} adds up`)
    assert.equal(sum(totals.map((row) => row.amount)), total)
    assert.equal(used.reduce((legs, row) => legs + row.legs, 0), charges.length)
    assert.equal(used.reduce((pulses, row) => pulses + row.pulses, 0), charges.reduce((pulses, charge) => pulses + charge.pulses, 0))
  }
  const { balance, held } = await life.ledger.balance(id)
  assert.deepEqual([balance, held], [money(micros(paid) - micros(total)), NO_MONEY], 'what the running house believes is what is on record')
}

for (const server of testServers()) {
  describe(`bills on the ${server} PostgreSQL`, () => {
    let opened: TestDatabase
    before(async () => {
      opened = await openTestDatabase(server)
    })
    after(() => opened.close())

    const placeFor = (plan: RatePlan | null): Place => {
      runs += 1
      const account: Account = {
        id: `acme${runs}` as AccountId, timeZone: 'Asia/Kolkata', agents: ['priya', 'boss'], maxMonitors: 5, notice: UNTOLD, plan,
        numbers: [{ number: '+918012345678' as never, rings: 'client:priya' as never }], dial: { ...DEFAULT_DIAL_LIMITS, maxLegs: 12, legsPerMinute: 100 },
      }
      return { database: opened.database, node: `bills${runs}`, account, now: T0, newId: () => `b${String((minted += 1)).padStart(31, '0')}` }
    }

    test('[C33] whatever happens in whatever order, every answered leg is charged once, and balance, calls and usage add up', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
          const place = placeFor(PLAN)
          const history: History = { place, ...(await started(place)) }
          await topUp(history.life, place.account.id, '3')
          let paid: Money = '3.000' as Money
          for (const each of steps) {
            await take(history, each)
            if (each.kind === 'pay') paid = sum([paid, each.amount as Money])
          }
          await conclude(history)
          // What a lost answer left behind is closed by the next life, and by the one after it.
          for (let more = 0; more < 2; more += 1) await take(history, { kind: 'crash' })
          await assertBooksAgree(history, paid)
        }),
        { numRuns: 25 },
      )
    })
  })
}
