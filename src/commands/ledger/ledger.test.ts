import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openTestDatabase, type TestDatabase } from '../../../test/database.ts'
import { sampleCall } from '../../../test/sample-calls.ts'
import { loadConfig } from '../../config.ts'
import { chargesOf } from '../../control/settle.ts'
import type { Money } from '../../domain/account/money.ts'
import type { Address } from '../../domain/address.ts'
import type { Call } from '../../domain/call.ts'
import type { Leg } from '../../domain/leg.ts'
import { saveCall } from '../../store/calls.ts'
import type { Desk } from '../desk.ts'
import { balanceAdd, balanceShow, usage } from './ledger.ts'

const NOW = Date.UTC(2026, 10, 26, 12)
const BOSS = '+919000000001'
let opened: TestDatabase
let place: string
let config: string

before(async () => {
  opened = await openTestDatabase()
  place = await mkdtemp(join(tmpdir(), 'earshot-ledger-'))
  config = join(place, 'earshot.yaml')
  await writeFile(
    config,
    `data: "${opened.url.replace('@/', '@localhost/')}"
accounts:
  - {sid: acme, plan: {currency: INR, prepaid: true, rates: [{price: 0.5}]}}
  - {sid: zenith}\n`,
  )
  for (const [day, seconds] of [[0, 61], [0, 10], [1, 600]] as const) await saveCall(opened.database.sql, saved(NOW - day * 86_400_000, seconds))
})
after(async () => {
  await opened.close()
  await rm(place, { recursive: true })
})

/** Two parties and a supervisor, who talked so long until that moment. */
function saved(endedAt: number, seconds: number): Parameters<typeof saveCall>[1] {
  const base = sampleCall()
  const rate = { currency: 'INR', pulseS: 60, price: '0.500' as Money }
  const legs = base.legs.map((leg): Leg => ({
    ...leg,
    rate,
    address: leg.monitoring ? (BOSS as Address) : leg.address,
    state: { status: 'ended', answeredAt: endedAt - seconds * 1000, endedAt, cause: 'completed' },
  }))
  const call: Call = { ...base, legs, state: { status: 'ended', outcome: 'completed', endedAt }, updatedAt: endedAt }
  return { call, node: 'n', callbacks: [], charges: chargesOf(undefined, call, 'Asia/Kolkata'), idempotency: null }
}

/** What a command said. */
async function run(command: (desk: Desk) => Promise<number>): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const [out, err]: [string[], string[]] = [[], []]
  const desk: Desk = { out: (text) => void out.push(text), err: (line) => void err.push(line), read: async (path) => loadConfig(path, {}), now: () => NOW }
  const code = await command(desk)
  return { code, out: out.join('\n'), err: err.join('\n') }
}
const report = (over: Partial<Parameters<typeof usage>[1]> = {}) => run((desk) => usage(desk, { config, json: false, csv: false, full: false, account: 'acme', by: 'day', ...over }))
const add = (over: Partial<Parameters<typeof balanceAdd>[1]>) => run((desk) => balanceAdd(desk, { config, json: false, account: 'acme', amount: '1', note: 'why', ...over }))

test('[C33] usage as CSV has a head, a row for each group, and supervisors’ legs apart', async () => {
  const { code, out } = await report({ csv: true, by: 'day,origin,supervisor', full: true })
  assert.equal(code, 0)
  assert.deepEqual(out.split('\n'), [
    'day,origin,supervisor,kind,legs,seconds,pulses,amount,currency',
    '2026-11-25,outbound,,conversation,1,600,10,5.000,INR',
    '2026-11-25,outbound-dial,,conversation,1,600,10,5.000,INR',
    `2026-11-25,monitor,${BOSS},monitor,1,600,10,5.000,INR`,
    '2026-11-26,outbound,,conversation,2,71,3,1.500,INR',
    '2026-11-26,outbound-dial,,conversation,2,71,3,1.500,INR',
    `2026-11-26,monitor,${BOSS},monitor,2,71,3,1.500,INR`,
  ])
})

test('a supervisor’s number is masked unless --full is given, in every form', async () => {
  for (const form of [{}, { csv: true }, { json: true }]) {
    const { out } = await report({ ...form, by: 'supervisor' })
    assert(!out.includes('9000000001'), out)
    assert.match(out, /\*/)
    assert((await report({ ...form, by: 'supervisor', full: true })).out.includes(BOSS))
  }
})

test('people read columns with totals, programs one document', async () => {
  const { out } = await report({ by: 'origin' })
  assert.match(out, /^ORIGIN +KIND +LEGS +SECONDS +PULSES +AMOUNT +CURRENCY\n/)
  assert.match(out, /\ntotal +conversation +6 +1342 +26 +13\.000 +INR\ntotal +monitor +3 +671 +13 +6\.500 +INR$/)
  const { totals, rows, from, to } = JSON.parse((await report({ json: true })).out)
  assert.deepEqual([rows.length, from, to, totals[1].amount], [4, '2026-10-27', '2026-11-26', '6.500'])
  assert.match((await report({ from: '2026-01-01', to: '2026-01-31' })).out, /Nothing was used/)
})

test('what is asked wrongly is one line that says what to write', async () => {
  const TABLE: readonly (readonly [Parameters<typeof report>[0], RegExp])[] = [
    [{ by: 'week' }, /--by takes day, origin and supervisor/],
    [{ from: 'yesterday' }, /--from must be a day; write e.g. --from 2026-10-27/],
    [{ to: '2026-02-30' }, /--to must be a day; write e.g. --to 2026-11-26/],
    [{ from: '2026-11-27', to: '2026-11-26' }, /--from must not be after --to/],
    [{ from: '2020-01-01' }, /at most 366 days/],
    [{ account: 'nobody' }, /no account of that name in the configuration; it has acme, zenith/],
    [{ csv: true, json: true }, /--csv or --json, not both/],
  ]
  for (const [over, said] of TABLE) {
    const { code, out, err } = await report(over)
    assert.deepEqual([code, out, err.split('\n').length], [1, '', 1])
    assert.match(err, said)
  }
})

test('[C33] a balance is shown with what was paid in and charged, and the list of changes', async () => {
  assert.match((await add({ amount: '+100', note: 'transfer 17' })).out, /^100.000 INR paid in for acme, which now has 80.500 INR\.$/)
  assert.match((await add({ amount: '-0.000001', note: 'corrects it' })).out, /^-0.000001 INR taken from acme, which now has 80.499999 INR\.$/)
  const { out } = await run((desk) => balanceShow(desk, { config, json: false, account: 'acme' }))
  assert.match(out, /^acme: 80.499999 INR \(99.999999 paid in, 19.500 charged; prepaid, floor 0.000\)/)
  assert.match(out, /2026-11-26T12:00:00Z +-0.000001 +INR +cli +corrects it\n2026-11-26T12:00:00Z +100.000 +INR +cli +transfer 17$/)
  const document = JSON.parse((await run((desk) => balanceShow(desk, { config, json: true, account: 'acme' }))).out)
  assert.deepEqual([document.balance, document.adjustments.length, document.adjustments[1].note], ['80.499999', 2, 'transfer 17'])
})

test('with a key a payment is made once, however often it is asked', async () => {
  const key = 'invoice-17'
  const first = await add({ amount: '5', key })
  assert.match(first.out, /^5.000 INR paid in/)
  assert.match((await add({ amount: '5', key })).out, /^This was done before, at 2026-11-26T12:00:00Z; nothing was changed\. acme has 85\.499999 INR\.$/)
  const other = await add({ amount: '6', key })
  assert.deepEqual([other.code, /nothing was changed/.test(other.err)], [1, true])
})

test('a payment that is not understood changes nothing', async () => {
  for (const amount of ['', '0', '-0.000000', 'ten', '1e3', '0.0000001', '1000000000', '1,5']) assert.match((await add({ amount })).err, /the amount must be a decimal/, amount)
  for (const note of ['', ' ', 'two\nlines', 'x'.repeat(201)]) assert.match((await add({ note })).err, /the note must say why/)
  assert.match((await add({ key: 'two words' })).err, /the key must be/)
  assert.match((await add({ account: 'zenith' })).err, /account zenith has no plan, and so no balance/)
  assert.match((await run((desk) => balanceShow(desk, { config, json: false, account: 'zenith' }))).err, /has no plan/)
})
