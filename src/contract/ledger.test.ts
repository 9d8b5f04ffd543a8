import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NOTE_MAX_CHARS } from '../domain/account/balance.ts'
import { MAX_USAGE_DAYS } from '../domain/account/usage.ts'
import { DomainError } from '../domain/errors.ts'
import { type Fields, fieldsFromPairs } from './fields.ts'
import { adjustmentIn, adjustmentPageIn, usageQueryIn } from './ledger.ts'

/** Half past midnight in India on the 27th, still the 26th in London. */
const NOW = Date.parse('2026-11-27T00:30:00+05:30')
const fields = (given: Readonly<Record<string, string>>): Fields => fieldsFromPairs(Object.entries(given)) ?? assert.fail('too many')
const usage = (given: Readonly<Record<string, string>>, timeZone = 'Asia/Kolkata') => usageQueryIn(fields(given), { timeZone, now: NOW })
const refuses = (name: string, work: () => unknown, told: string): void =>
  assert.throws(work, (error) => error instanceof DomainError && error.code === 'invalid-parameter' && error.detail === name, told)

test('[C33] a report that names no days is of the last 31, today included, by the account’s clocks', () => {
  assert.deepEqual(usage({}), { from: '2026-10-28', to: '2026-11-27', by: ['day'] })
  assert.deepEqual(usage({}, 'Europe/London'), { from: '2026-10-27', to: '2026-11-26', by: ['day'] })
  assert.deepEqual(usage({ EndDate: '2026-03-01' }), { from: '2026-01-30', to: '2026-03-01', by: ['day'] })
  assert.deepEqual(usage({ StartDate: '2026-11-27' }), { from: '2026-11-27', to: '2026-11-27', by: ['day'] })
})

test('[C33] what a report is grouped by has one order, however it was asked for', () => {
  for (const GroupBy of ['supervisor,day', 'Day, Supervisor', ' day ,SUPERVISOR'])
    assert.deepEqual(usage({ GroupBy }).by, ['day', 'supervisor'], GroupBy)
  assert.deepEqual(usage({ GroupBy: 'supervisor,origin,day' }).by, ['day', 'origin', 'supervisor'])
  for (const GroupBy of ['week', 'day,', 'day,day', 'day,origin,supervisor,day', ',', '__proto__'])
    refuses('GroupBy', () => usage({ GroupBy }), GroupBy)
})

test('[C33] days that are none are refused by name, and so are too many of them', () => {
  for (const day of ['today', '2026-02-29', '2026-1-1', '26-11-2026', '2026-11-27 00:00:00', '1899-12-31']) {
    refuses('StartDate', () => usage({ StartDate: day }), day)
    refuses('EndDate', () => usage({ EndDate: day }), day)
  }
  assert.equal(MAX_USAGE_DAYS, 366)
  assert.equal(usage({ StartDate: '2025-11-27', EndDate: '2026-11-27' }).from, '2025-11-27')
  refuses('EndDate', () => usage({ StartDate: '2025-11-26', EndDate: '2026-11-27' }), 'a day too many')
  refuses('EndDate', () => usage({ StartDate: '2026-11-28' }), 'the wrong way round')
})

test('[C33] an adjustment has an amount with its sign and a note; money is read exactly', () => {
  for (const [written, amount] of [
    ['500', '500.000'],
    ['+0.5', '0.500'],
    ['-0.000001', '-0.000001'],
    ['999999999.999999', '999999999.999999'],
    [' 7 ', '7.000'],
  ] as const)
    assert.deepEqual(adjustmentIn(fields({ Amount: written, Note: ' transfer 17 ' })), { amount, note: 'transfer 17' }, written)
})

test('[C9] an adjustment that is not understood is refused by the first name that is wrong', () => {
  for (const Amount of ['', '0', '-0.000', 'x', '1e3', '0.0000001', '1000000000', '--1', '1,5', '١'])
    refuses('Amount', () => adjustmentIn(fields({ Amount, Note: '' })), Amount)
  for (const Note of ['', ' ', 'a\nb', 'a\u0000b', '\ud800', 'x'.repeat(NOTE_MAX_CHARS + 1)])
    refuses('Note', () => adjustmentIn(fields({ Amount: '1', Note })), JSON.stringify(Note))
  assert.equal(adjustmentIn(fields({ Amount: '1', Note: 'ü'.repeat(NOTE_MAX_CHARS) })).note.length, NOTE_MAX_CHARS)
})

test('[C33] a page of adjustments is fifty long unless it says otherwise, and begins after one that is named', () => {
  assert.deepEqual(adjustmentPageIn(new Map()), { before: null, pageSize: 50 })
  assert.deepEqual(adjustmentPageIn(fields({ PageSize: '1', Before: 'abc' })), { before: 'abc', pageSize: 1 })
  for (const PageSize of ['0', '101', '1.5', '-1', 'ten']) refuses('PageSize', () => adjustmentPageIn(fields({ PageSize })), PageSize)
  for (const Before of ['a b', '../x', 'x'.repeat(65)]) refuses('Before', () => adjustmentPageIn(fields({ Before })), Before)
})
