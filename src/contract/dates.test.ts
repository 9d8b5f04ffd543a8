import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { momentsOf, wireDate } from './dates.ts'

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

const utc = (text: string): number => Date.parse(`${text.replace(' ', 'T')}Z`)

test('[C5] what was written is read again: all moments of that second, and no other', () => {
  const zones = ['Asia/Kolkata', 'UTC', 'America/New_York', 'Australia/Lord_Howe', 'Africa/Casablanca', 'Pacific/Apia', 'America/Sao_Paulo']
  fc.assert(
    fc.property(fc.integer({ min: utc('1971-01-01 00:00:00'), max: utc('2060-01-01 00:00:00') }), fc.constantFrom(...zones), (epochMs, zone) => {
      const text = wireDate(epochMs, zone)
      const { from, until } = momentsOf(text, zone) ?? assert.fail(text)
      assert.ok(from <= epochMs && epochMs < until)
      for (const end of [from, until - 1]) assert.equal(wireDate(end, zone), text)
      for (const beyond of [from - 1, until]) assert.notEqual(wireDate(beyond, zone), text)
    }),
    { numRuns: 300 },
  )
})

test('[C31] a date that comes twice means both times and what lies between', () => {
  const twice = [
    ['2024-10-27 02:30:00', 'Europe/Berlin', '2024-10-27 00:30:00', '2024-10-27 01:30:01'],
    ['2024-11-03 01:00:00', 'America/New_York', '2024-11-03 05:00:00', '2024-11-03 06:00:01'],
    ['2024-04-07 01:45:00', 'Australia/Lord_Howe', '2024-04-06 14:45:00', '2024-04-06 15:15:01'],
  ] as const
  for (const [text, zone, from, until] of twice) assert.deepEqual(momentsOf(text, zone), { from: utc(from), until: utc(until) }, text)
  assert.deepEqual(momentsOf('2024-10-27 01:59:59', 'Europe/Berlin'), { from: utc('2024-10-26 23:59:59'), until: utc('2024-10-27 00:00:00') })
  assert.deepEqual(momentsOf('2024-10-27 03:00:00', 'Europe/Berlin'), { from: utc('2024-10-27 02:00:00'), until: utc('2024-10-27 02:00:01') })
})

test('[C31] a date that never comes is the moment at which clocks jumped over it', () => {
  const never = [
    ['2024-03-31 02:00:00', 'Europe/Berlin', '2024-03-31 01:00:00'],
    ['2024-03-31 02:59:59', 'Europe/Berlin', '2024-03-31 01:00:00'],
    ['2024-03-10 02:30:00', 'America/New_York', '2024-03-10 07:00:00'],
    ['2024-10-06 02:15:00', 'Australia/Lord_Howe', '2024-10-05 15:30:00'],
    ['2011-12-30 12:00:00', 'Pacific/Apia', '2011-12-30 10:00:00'],
  ] as const
  for (const [text, zone, jump] of never) assert.deepEqual(momentsOf(text, zone), { from: utc(jump), until: utc(jump) }, text)
})

test('[C5] what is no date of the calendar, or not written so, is none', () => {
  const wrong = [
    ...['2024-02-30 00:00:00', '2023-02-29 00:00:00', '2024-13-01 00:00:00', '2024-00-10 00:00:00', '2024-01-01 24:00:00', '2024-01-01 12:60:00'],
    ...[
      '2024-01-01 12:00:60',
      '2024-01-01T12:00:00',
      '2024-01-01',
      '24-01-01 12:00:00',
      '2024-1-1 12:00:00',
      '2024-01-01 12:00',
      ' 2024-01-01 12:00:00',
    ],
    ...['2024-01-01 12:00:00Z', '2024-01-01 12:00:00.5', '0000-01-01 00:00:00', '9999-12-31 23:59:59', '', '2024-01-01 12:00:00\n'],
  ]
  for (const text of wrong) for (const zone of ['Asia/Kolkata', 'Europe/Berlin']) assert.equal(momentsOf(text, zone), null, text)
  assert.ok(momentsOf('2024-02-29 23:59:59', 'Asia/Kolkata'))
  assert.ok(momentsOf('1900-01-01 00:00:00', 'Asia/Kolkata'))
  assert.ok(momentsOf('2999-12-31 23:59:59', 'America/New_York'))
})
