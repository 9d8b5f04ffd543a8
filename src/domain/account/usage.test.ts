import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { amount } from '../../../test/sample-money.ts'
import { micros, money, type Money } from './money.ts'
import { daysBefore, daysBetween, isDay, totalsOf, type UsageRow } from './usage.ts'
import { NOTE_MAX_CHARS, noteIn } from './balance.ts'

test('a day is one of the calendar', () => {
  for (const day of ['2026-11-26', '2028-02-29', '1999-12-31']) assert(isDay(day), day)
  for (const text of [
    '',
    '2026-2-1',
    '2026-02-30',
    '2027-02-29',
    '2026-13-01',
    '26-01-01',
    '2026-11-26 ',
    '3000-01-01',
    '0000-01-01',
    '2026-11-26T00:00',
  ])
    assert(!isDay(text), text)
})

test('days are counted with both ends, across months and leap days', () => {
  assert.equal(daysBetween('2026-11-26', '2026-11-26'), 1)
  assert.equal(daysBetween('2028-02-28', '2028-03-01'), 3)
  assert.equal(daysBetween('2026-11-26', '2026-11-25'), 0)
  assert.equal(daysBefore('2028-03-01', 2), '2028-02-28')
  assert.equal(daysBetween(daysBefore('2026-11-26', 30), '2026-11-26'), 31)
})

const row: fc.Arbitrary<UsageRow> = fc.record({
  day: fc.constant('2026-11-26'),
  origin: fc.constant(null),
  supervisor: fc.constant(null),
  kind: fc.constantFrom('conversation', 'monitor'),
  currency: fc.constantFrom(null, 'INR', 'USD'),
  legs: fc.nat(1000),
  seconds: fc.nat(100_000),
  pulses: fc.nat(10_000),
  amount,
})

test('totals are the sums of the rows, exactly, for each kind of leg and each currency apart', () => {
  fc.assert(
    fc.property(fc.array(row, { maxLength: 40 }), (rows) => {
      const totals = totalsOf(rows)
      assert.equal(new Set(totals.map(({ kind, currency }) => `${kind} ${currency}`)).size, totals.length)
      for (const total of totals) {
        const part = rows.filter(({ kind, currency }) => kind === total.kind && currency === total.currency)
        assert.equal(total.amount, money(part.reduce((sum, each) => sum + micros(each.amount), 0n)))
        assert.equal(
          total.legs,
          part.reduce((sum, each) => sum + each.legs, 0),
        )
      }
      const all = (sums: readonly { readonly amount: Money }[]): bigint => sums.reduce((sum, each) => sum + micros(each.amount), 0n)
      assert.equal(all(totals), all(rows))
    }),
  )
})

test('a note says something, on one line, and not for ever', () => {
  assert.equal(noteIn('  paid by transfer 17 '), 'paid by transfer 17')
  assert.equal(noteIn('₹'.repeat(NOTE_MAX_CHARS)), '₹'.repeat(NOTE_MAX_CHARS))
  for (const text of ['', ' ', 'x'.repeat(NOTE_MAX_CHARS + 1), 'two\nlines', 'a\0b', '\ud800']) assert.equal(noteIn(text), null)
})
