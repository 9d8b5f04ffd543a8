import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { at, begin, type Life, listen, lived, type Place, talking, toCustomer, topUp } from '../../../test/billed-house.ts'
import { openTestDatabase } from '../../../test/database.ts'
import { samplePlan } from '../../../test/sample-money.ts'
import type { Account } from '../../domain/account/account.ts'
import { DEFAULT_DIAL_LIMITS, type DialLimits } from '../../domain/account/dial-guard.ts'
import type { Money } from '../../domain/account/money.ts'
import { callPrice, legPrice, type RatePlan } from '../../domain/account/rating.ts'
import type { Call } from '../../domain/call.ts'
import { DomainError, type DomainErrorCode } from '../../domain/errors.ts'
import type { AccountId, CallId, LegId } from '../../domain/ids.ts'
import { UNTOLD } from '../../../test/sample-calls.ts'

let shared: Awaited<ReturnType<typeof openTestDatabase>>
before(async () => {
  shared = await openTestDatabase()
})
after(() => shared.close())

const T0 = Date.UTC(2026, 10, 26, 6, 0)
const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
/** One rupee for each minute of the customer's leg, nothing for phones of the account. */
const plan: RatePlan = samplePlan({
  rates: [
    { origin: null, prefix: 'client:', price: '0.000' as Money },
    { origin: null, prefix: '+91', price: '1.000' as Money },
  ],
})
const prepaid: RatePlan = { ...plan, prepaid: true }

let lives = 0
let minted = 0
const place = (over: Partial<Account> = {}, dial: Partial<DialLimits> = {}): Place & { readonly account: Account } => {
  lives += 1
  const numbers = [{ number: at('+918012345678'), rings: at('client:priya') }]
  const account: Account = { id: `acme${lives}` as AccountId, timeZone: 'Asia/Kolkata', agents: ['priya', 'boss', 'ravi'], maxMonitors: 100, numbers, notice: UNTOLD, plan: null, dial: { ...DEFAULT_DIAL_LIMITS, ...dial }, ...over }
  return { database: shared.database, node: `node${lives}`, account, now: T0, newId: () => `id${String((minted += 1)).padStart(30, '0')}` }
}
const refused = (work: Promise<unknown>, code: DomainErrorCode): Promise<void> => assert.rejects(work, (error) => error instanceof DomainError && error.code === code)
const ended = async (life: Life, accountId: AccountId, callId: CallId): Promise<Call> => {
  const call = await life.control.call(accountId, callId)
  assert.equal(call.state.status, 'ended')
  return call
}
const dials = (life: Life): number => life.engine.orders.filter(({ kind }) => kind === 'dial').length

test('of a hundred requests at once exactly as many are dialled as the cap allows', async () => {
  const at10 = place({}, { maxLegs: 20, legsPerMinute: 1_000 })
  const life = await begin(at10)
  const tries = await Promise.allSettled(Array.from({ length: 100 }, () => life.control.connect(at10.account.id, toCustomer, null)))
  assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 10, 'each call keeps a place for its second party')
  assert.equal(dials(life), 10)
  assert.deepEqual(new Set(life.limits), new Set(['legs-reached']))
  for (const { legId } of life.engine.legs()) life.engine.answers(legId)
  await life.settled()
  assert.equal(life.engine.legs().length, 20, 'and nobody’s second party is refused')
})

test('requests that arrive while others are being written down find the same number of places', async () => {
  const here = place({}, { maxLegs: 20, legsPerMinute: 1_000 })
  const life = await begin(here)
  const tries: Promise<unknown>[] = []
  for (let n = 0; n < 100; n += 1) {
    tries.push(life.control.connect(here.account.id, toCustomer, null))
    if (n % 7 === 0) await tries.at(-1)?.catch(() => {})
  }
  const done = await Promise.allSettled(tries)
  assert.equal(done.filter(({ status }) => status === 'fulfilled').length, 10)
})

test('a leg that has gone leaves its place; a request that failed leaves its place and its minute', async () => {
  const here = place({}, { maxLegs: 2, legsPerMinute: 4 })
  const life = await begin(here)
  const id = here.account.id
  life.breakDatabase(['before'])
  await assert.rejects(life.control.connect(id, toCustomer, null), /away/)
  const first = await life.control.connect(id, toCustomer, null)
  await refused(life.control.connect(id, toCustomer, null), 'legs-reached')
  life.engine.ends(first.legs[0]?.id as LegId, 'busy')
  await life.settled()
  const second = await life.control.connect(id, toCustomer, null)
  life.engine.ends(second.legs[0]?.id as LegId, 'busy')
  await life.settled()
  await refused(life.control.connect(id, toCustomer, null), 'leg-starts-reached')
  await life.clock.pass(MINUTE)
  await life.control.connect(id, toCustomer, null)
})

test('every way a leg can arise is counted: both parties, supervisors, and those who are called for a caller', async () => {
  const here = place({}, { maxLegs: 4 })
  const life = await begin(here)
  const id = here.account.id
  const { callId } = await talking(life, id)
  await life.control.createMonitorLeg(id, callId, listen, null)
  await refused(life.control.connect(id, toCustomer, null), 'legs-reached')
  const caller = life.engine.callIn({ accountId: id, from: at('+919999999999'), dialled: at('+918012345678'), source: 'trunk' })
  await life.settled()
  const refusedCall = await ended(life, id, caller.callId)
  assert.deepEqual([refusedCall.legs.length, refusedCall.endReason], [1, 'legs-reached'], 'a caller is refused before anybody rings')
  await life.control.createMonitorLeg(id, callId, listen, null)
  await refused(life.control.createMonitorLeg(id, callId, listen, null), 'legs-reached')
})

test('legs a minute count what is dialled: two for a call, one for a supervisor, one for a caller who is put through', async () => {
  const here = place({}, { legsPerMinute: 4 })
  const life = await begin(here)
  const id = here.account.id
  const { callId } = await talking(life, id)
  await life.control.createMonitorLeg(id, callId, listen, null)
  await life.clock.pass(30_000)
  life.engine.callIn({ accountId: id, from: at('client:ravi'), dialled: at('+919876543210'), source: 'agent' })
  await life.settled()
  assert.equal(dials(life), 4)
  const late = life.engine.callIn({ accountId: id, from: at('client:ravi'), dialled: at('+919876543210'), source: 'agent' })
  await life.settled()
  assert.equal((await ended(life, id, late.callId)).endReason, 'leg-starts-reached')
  await refused(life.control.createMonitorLeg(id, callId, listen, null), 'leg-starts-reached')
  await life.clock.pass(30_000)
  await life.control.createMonitorLeg(id, callId, listen, null)
})

test('[C33] with a plan nothing is dialled that has no rate, by no way', async () => {
  const here = place({ plan })
  const life = await begin(here)
  const id = here.account.id
  await refused(life.control.connect(id, { ...toCustomer, to: at('+14155550100') }, null), 'no-rate')
  await refused(life.control.connect(id, { ...toCustomer, from: at('+14155550100') }, null), 'no-rate')
  const { callId } = await talking(life, id)
  await refused(life.control.createMonitorLeg(id, callId, { ...listen, phone: at('+14155550100') }, null), 'no-rate')
  const out = life.engine.callIn({ accountId: id, from: at('client:ravi'), dialled: at('+14155550100'), source: 'agent' })
  await life.settled()
  assert.equal((await ended(life, id, out.callId)).endReason, 'no-rate')
  assert.equal(dials(life), 2)
})

test('[C10] [C33] without a balance nothing is dialled and nobody is put through, and a top-up changes that at once', async () => {
  const here = place({ plan: prepaid })
  const life = await begin(here)
  const id = here.account.id
  await refused(life.control.connect(id, toCustomer, null), 'no-balance')
  const caller = life.engine.callIn({ accountId: id, from: at('+919999999999'), dialled: at('+918012345678'), source: 'trunk' })
  await life.settled()
  assert.equal((await ended(life, id, caller.callId)).endReason, 'no-balance')
  assert.equal(dials(life), 0)
  await topUp(life, id, '10')
  const { callId } = await talking(life, id)
  await topUp(life, id, '-9')
  await refused(life.control.createMonitorLeg(id, callId, listen, null), 'no-balance')
  await refused(life.control.connect(id, toCustomer, null), 'no-balance')
  assert.equal((await life.control.liveCall(id, callId)).legs.length, 2, 'the minute that has begun is paid')
})

test('[C33] calls that begin at once do not promise the same rupee to several', async () => {
  const here = place({ plan: prepaid })
  const life = await begin(here)
  const id = here.account.id
  await topUp(life, id, '3')
  const tries = await Promise.allSettled(Array.from({ length: 20 }, () => life.control.connect(id, toCustomer, null)))
  assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 3)
  assert.deepEqual(await life.ledger.balance(id).then(({ balance, held, left }) => [balance, held, left]), ['3.000', '3.000', '0.000'])
})

test('[C33] a call ends at the end of the last minute that its account has paid, the balance is exactly the floor, and the record says why', async () => {
  for (const [floor, minutes] of [['0.000', 5], ['-2.000', 7], ['4.000', 1]] as const) {
    const here = place({ plan: { ...prepaid, floor: floor as Money } })
    const life = await begin(here)
    const id = here.account.id
    await topUp(life, id, '5')
    const { callId } = await talking(life, id)
    await life.clock.pass(minutes * MINUTE - 1)
    assert.equal((await life.control.call(id, callId)).state.status, 'live')
    await life.clock.pass(1)
    const call = await ended(life, id, callId)
    assert.deepEqual([call.endReason, callPrice(call)], ['no-balance', `${minutes}.000`])
    assert.deepEqual(call.state, { status: 'ended', outcome: 'completed', endedAt: T0 + minutes * MINUTE })
    assert.equal((await life.ledger.balance(id)).balance, floor)
    assert.deepEqual(life.said.filter(([, fields]) => fields.reason === 'no-balance').map(([message]) => message), ['the balance does not cover another pulse; this call is ended'])
  }
})

test('[C33] several calls share the balance: each ends at the end of its own last paid minute', async () => {
  const here = place({ plan: prepaid })
  const life = await begin(here)
  const id = here.account.id
  await topUp(life, id, '5')
  const first = await talking(life, id)
  await life.clock.pass(20_000)
  const second = await talking(life, id)
  await life.clock.pass(10 * MINUTE)
  const [a, b] = [await ended(life, id, first.callId), await ended(life, id, second.callId)]
  assert.deepEqual([callPrice(a), callPrice(b)], ['3.000', '2.000'])
  assert.equal((await life.ledger.balance(id)).balance, '0.000')
})

test('[C33] the second party is not dialled when nothing is left for it by then', async () => {
  const here = place({ plan: { ...prepaid, floor: '-50.000' as Money } })
  const life = await begin(here)
  const id = here.account.id
  await topUp(life, id, '5')
  const call = await life.control.connect(id, toCustomer, null)
  await topUp(life, id, '-5')
  life.engine.answers(call.legs[0]?.id as LegId)
  await life.settled()
  const closed = await ended(life, id, call.id)
  assert.deepEqual([closed.legs.length, closed.endReason, dials(life)], [1, 'no-balance', 1])
  assert.equal(closed.legs[0] && legPrice(closed.legs[0]), '0.000')
})

test('[C33] a correction below the floor ends all calls of the account, and no other’s', async () => {
  const here = place({ plan: prepaid })
  const life = await begin(here)
  const id = here.account.id
  await topUp(life, id, '50')
  const calls = [await talking(life, id), await talking(life, id)]
  await topUp(life, id, '-60')
  await life.settled()
  for (const { callId } of calls) assert.equal((await ended(life, id, callId)).endReason, 'no-balance')
})

test('a day’s spend counts what is charged and what runs, and begins anew at midnight by the account’s clocks', async () => {
  const here = place({ plan }, { spendPerDay: '5.000' as Money })
  const life = await begin(here)
  const id = here.account.id
  const { callId, agent } = await talking(life, id)
  await life.clock.pass(3 * MINUTE + 1_000)
  await talking(life, id)
  await refused(life.control.connect(id, toCustomer, null), 'day-spend-reached')
  life.engine.ends(agent, 'completed')
  await life.settled()
  assert.equal((await ended(life, id, callId)).state.status, 'ended')
  await refused(life.control.connect(id, toCustomer, null), 'day-spend-reached')
  await life.control.drain(0)
  const again = await begin({ ...here, now: life.clock.now })
  await refused(again.control.connect(id, toCustomer, null), 'day-spend-reached')
  const midnight = Date.UTC(2026, 10, 26, 18, 30)
  await again.clock.pass(midnight - again.clock.now - 1)
  await refused(again.control.connect(id, toCustomer, null), 'day-spend-reached')
  await again.clock.pass(1)
  await again.control.connect(id, toCustomer, null)
})

test('[C33] balance, day’s spend and what ran survive a crash: the next life charges it, and goes on with what is left', async () => {
  const here = place({ plan: prepaid })
  const life = await begin(here)
  const id = here.account.id
  await topUp(life, id, '5')
  const { callId } = await talking(life, id)
  await life.clock.pass(2 * MINUTE + 30_000)
  await lived(here.database, here.node, life.clock.now)
  const next = await begin({ ...here, now: life.clock.now + 5_000 })
  assert.equal(callPrice(await ended(next, id, callId)), '3.000')
  const { balance, held, left, spentToday } = await next.ledger.balance(id)
  assert.deepEqual([balance, held, left, spentToday], ['2.000', '0.000', '2.000', '3.000'])
  const { callId: last } = await talking(next, id)
  await next.clock.pass(DAY)
  assert.equal(callPrice(await ended(next, id, last)), '2.000')
})

test('what another process pays in is known as soon as it is told', async () => {
  const here = place({ plan: prepaid })
  const [life, beside] = [await begin(here), await begin({ ...here, node: `${here.node}b` })]
  const id = here.account.id
  await topUp(beside, id, '7')
  await refused(life.control.connect(id, toCustomer, null), 'no-balance')
  await life.ledger.refresh()
  await life.control.connect(id, toCustomer, null)
})

test('[C19] a repeated request takes no second place', async () => {
  const here = place({}, { maxLegs: 2 })
  const life = await begin(here)
  const key = { key: 'again', fingerprint: 'f' }
  const answers = await Promise.all([1, 2, 3].map(() => life.control.connect(here.account.id, toCustomer, key)))
  assert.equal(new Set(answers.map((call) => call.id)).size, 1)
})

test('an account without a plan has no price, no balance to show, and the caps all the same', async () => {
  const here = place({}, { maxLegs: 2 })
  const life = await begin(here)
  const id = here.account.id
  const { callId, agent } = await talking(life, id)
  await refused(life.control.connect(id, toCustomer, null), 'legs-reached')
  await life.clock.pass(MINUTE)
  life.engine.ends(agent, 'completed')
  await life.settled()
  assert.equal(callPrice(await ended(life, id, callId)), null)
  await refused(life.ledger.balance(id), 'no-plan')
  await refused(life.ledger.adjust(id, { amount: '1.000' as Money, note: 'x', by: 'y' }, null), 'no-plan')
  const { totals } = await life.ledger.usage(id, { from: '2026-11-26', to: '2026-11-26', by: [] })
  assert.deepEqual(totals, [{ kind: 'conversation', currency: null, legs: 2, seconds: 120, pulses: 0, amount: '0.000' }])
})

