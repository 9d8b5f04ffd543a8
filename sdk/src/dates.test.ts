import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { momentsOf, wireDate } from '../../src/contract/dates.ts'
import { formatDate, parseDate } from './dates.ts'

const ZONES = ['Asia/Kolkata', 'UTC', 'America/New_York', 'Europe/Berlin', 'Australia/Lord_Howe', 'Pacific/Apia', 'America/St_Johns'] as const
const zone = fc.constantFrom(...ZONES)
const moment = fc.integer({ min: Date.UTC(1971, 0), max: Date.UTC(2099, 0) })

test('[C5] it writes dates as the server does', () =>
  fc.assert(fc.property(moment, zone, (ms, name) => assert.equal(formatDate(ms, name), wireDate(ms, name)))))

test('[C5] it reads dates as the server does, also such as a clock shows twice or never', () => {
  fc.assert(
    fc.property(moment, zone, (ms, name) => {
      // Any text, not only such as that zone's clocks show: written in UTC, read elsewhere.
      const text = wireDate(ms, 'UTC')
      assert.equal(parseDate(text, name)?.getTime(), momentsOf(text, name)?.from)
    }),
  )
})

const KNOWN: readonly (readonly [string, string, string])[] = [
  ['2020-12-22 17:31:06', 'Asia/Kolkata', '2020-12-22T12:01:06.000Z'],
  ['2026-10-25 02:30:00', 'Europe/Berlin', '2026-10-25T00:30:00.000Z'],
  ['2026-03-29 02:30:00', 'Europe/Berlin', '2026-03-29T01:00:00.000Z'],
]
for (const [text, name, iso] of KNOWN) test(`${text} in ${name} is ${iso}`, () => assert.equal(parseDate(text, name)?.toISOString(), iso))

for (const text of [
  '',
  '2020-12-22',
  '2020-12-22T17:31:06',
  '2020-13-01 00:00:00',
  '2026-02-29 00:00:00',
  '2020-12-22 24:00:00',
  '2020-12-2217:57:40',
]) {
  test(`${JSON.stringify(text)} is no date`, () => assert.equal(parseDate(text, 'Asia/Kolkata'), null))
}

test('an unknown zone is a mistake of the caller', () => {
  assert.throws(() => parseDate('2020-12-22 17:31:06', 'Asia/Nowhere'), RangeError)
  assert.throws(() => formatDate(0, 'Asia/Nowhere'), RangeError)
  assert.throws(() => formatDate(Number.NaN, 'UTC'), RangeError)
})
