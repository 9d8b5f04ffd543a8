import assert from 'node:assert/strict'
import { test } from 'node:test'
import { wireDate } from './dates.ts'

test('[C5] a date is written in the zone of the account, without the zone', () => {
  const cases = [
    [0, 'Asia/Kolkata', '1970-01-01 05:30:00'],
    [0, 'UTC', '1970-01-01 00:00:00'],
    [Date.UTC(2020, 11, 22, 12, 1, 6), 'Asia/Kolkata', '2020-12-22 17:31:06'],
    [Date.UTC(2020, 11, 31, 18, 30, 0), 'Asia/Kolkata', '2021-01-01 00:00:00'],
    [Date.UTC(2024, 1, 29, 23, 59, 59), 'UTC', '2024-02-29 23:59:59'],
    [Date.UTC(2024, 6, 1, 4, 0, 0), 'America/New_York', '2024-07-01 00:00:00'],
    [Date.UTC(2024, 0, 1, 5, 0, 0), 'America/New_York', '2024-01-01 00:00:00'],
    [Date.UTC(2024, 0, 1, 0, 0, 0), 'Asia/Kathmandu', '2024-01-01 05:45:00'],
  ] as const
  for (const [epochMs, zone, expected] of cases) assert.equal(wireDate(epochMs, zone), expected)
})

test('[C5] midnight is 00, never 24, and fractions of a second are cut off', () => {
  assert.equal(wireDate(Date.UTC(2024, 4, 5, 0, 0, 0, 999), 'UTC'), '2024-05-05 00:00:00')
})

test('[C5] two moments an hour apart may read the same when clocks are set back', () => {
  const summer = Date.UTC(2024, 9, 27, 0, 30)
  assert.equal(wireDate(summer, 'Europe/Berlin'), '2024-10-27 02:30:00')
  assert.equal(wireDate(summer + 3_600_000, 'Europe/Berlin'), '2024-10-27 02:30:00')
})

test('an unknown zone is an error, and more zones than are kept still work', () => {
  assert.throws(() => wireDate(0, 'Mars/Olympus'), RangeError)
  for (const zone of Intl.supportedValuesOf('timeZone').slice(0, 80)) assert.match(wireDate(0, zone), /^19(69|70)-\d\d-\d\d \d\d:\d\d:\d\d$/)
  assert.equal(wireDate(0, 'Asia/Kolkata'), '1970-01-01 05:30:00')
})
