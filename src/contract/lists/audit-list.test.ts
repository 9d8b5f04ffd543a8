import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XMLParser } from 'fast-xml-parser'
import type { Entry, EvidenceQuery, IntervalBody } from '../../domain/evidence/entry.ts'
import { DomainError } from '../../domain/errors.ts'
import type { AccountId } from '../../domain/ids.ts'
import { auditList, auditQueryIn, noticeText } from './audit-list.ts'
import { fieldsFromPairs } from '../fields.ts'
import { xmlDocument } from '../xml.ts'

const ZONE = 'Asia/Kolkata'
const fields = (values: Readonly<Record<string, string>>) => fieldsFromPairs(Object.entries(values)) ?? new Map()
const queryIn = (values: Readonly<Record<string, string>>): EvidenceQuery => auditQueryIn(fields(values), { timeZone: ZONE })
const DEFAULTS: EvidenceQuery = {
  callId: null,
  supervisor: null,
  mode: null,
  recordedFrom: null,
  recordedBefore: null,
  order: 'desc',
  pageSize: 50,
  start: null,
}

const body: IntervalBody = {
  call: 'c1' as never,
  leg: 's1' as never,
  target: 'a1' as never,
  mode: 'whisper',
  by: 'k1',
  reason: 'QA-7',
  from: '2026-11-22T09:00:00.500Z',
  to: '2026-11-22T09:01:00.000Z',
  end: 'mode-changed',
  heardBy: ['a1' as never],
  hears: ['a1' as never, 'b1' as never],
  notice: { to: 'agent', atEntry: true, everySeconds: 15, modes: ['listen', 'whisper'] },
  tones: ['2026-11-22T09:00:00.500Z', '2026-11-22T09:00:30.500Z'],
  tonesFailed: ['2026-11-22T09:00:15.500Z'],
}
const entry = (change: Partial<Entry> = {}): Entry => ({
  accountId: 'acme' as AccountId,
  sequence: 7,
  id: 'e7',
  kind: 'interval',
  recordedAt: Date.UTC(2026, 10, 22, 9, 1),
  body: JSON.stringify(body),
  personal: JSON.stringify({
    supervisor: '+919876500001',
    parties: [
      { leg: 'a1', address: 'client:priya' },
      { leg: 'b1', address: '+14155550100' },
    ],
  }),
  salt: 's',
  commitment: 'cc',
  previous: 'pp',
  hash: 'hh',
  foundBy: { call: null, mode: null, supervisor: null },
  ...change,
})
const list = (
  entries: readonly Entry[],
  {
    format = 'json',
    query = {},
    previous = false,
    next = false,
  }: { format?: 'xml' | 'json'; query?: Readonly<Record<string, string>>; previous?: boolean; next?: boolean } = {},
) =>
  auditList({ entries, hasPrevious: previous, hasNext: next }, queryIn(query), {
    format,
    timeZone: ZONE,
    accountId: 'acme' as AccountId,
    query: fields(query),
  })

test('nothing that is asked means the newest fifty', () => assert.deepEqual(queryIn({}), DEFAULTS))

test('filters are read as callers write them, dates in the account’s zone with both ends included', () => {
  assert.deepEqual(
    queryIn({
      CallSid: 'c1',
      Supervisor: '09876500001',
      Mode: 'Barge',
      StartDate: '2026-11-22 14:30:00',
      EndDate: '2026-11-22 14:30:00',
      PageSize: '5',
      SortBy: 'DateCreated:asc',
      After: '9',
    }),
    {
      callId: 'c1',
      supervisor: '+919876500001',
      mode: 'barge',
      recordedFrom: Date.UTC(2026, 10, 22, 9),
      recordedBefore: Date.UTC(2026, 10, 22, 9, 0, 1),
      order: 'asc',
      pageSize: 5,
      start: { side: 'after', sequence: 9 },
    },
  )
  assert.deepEqual(queryIn({ Before: '3' }).start, { side: 'before', sequence: 3 })
})

const WRONG: readonly (readonly [string, string])[] = [
  ['CallSid', 'a b'],
  ['Supervisor', '123'],
  ['Mode', 'spy'],
  ['StartDate', '2026-11-22'],
  ['EndDate', '2026-13-01 00:00:00'],
  ['PageSize', '0'],
  ['PageSize', '101'],
  ['PageSize', 'x'],
  ['SortBy', 'Mode'],
  ['After', '0'],
  ['After', '-1'],
  ['After', '9'.repeat(16)],
  ['Before', 'x'],
]
for (const [name, value] of WRONG) {
  test(`[C9] ${name}=${value.slice(0, 20)} is refused by its name`, () => {
    assert.throws(
      () => queryIn({ [name]: value }),
      (error) => error instanceof DomainError && error.code === 'invalid-parameter' && error.detail === name,
    )
  })
}
test('before and after at once is refused', () => assert.throws(() => queryIn({ Before: '1', After: '2' }), DomainError))

test('an interval says who monitored whom, in which mode, from when to when, who heard whom, and which tones sounded', () => {
  assert.deepEqual(list([entry()]), {
    Metadata: { PageSize: 50, FirstPageUri: '/v1/Accounts/acme/Audit.json', PrevPageUri: null, NextPageUri: null },
    Audit: [
      {
        Sequence: 7,
        Kind: 'interval',
        DateCreated: '2026-11-22 14:31:00',
        Key: 'k1',
        CallSid: 'c1',
        LegSid: 's1',
        Supervisor: '09876500001',
        TargetLegSid: 'a1',
        Mode: 'whisper',
        ReasonCode: 'QA-7',
        StartTime: '2026-11-22 14:30:00',
        EndTime: '2026-11-22 14:31:00',
        EndReason: 'mode-changed',
        HeardBy: [{ LegSid: 'a1', PhoneNumber: 'client:priya' }],
        Hears: [
          { LegSid: 'a1', PhoneNumber: 'client:priya' },
          { LegSid: 'b1', PhoneNumber: '+14155550100' },
        ],
        Notice: 'agent: at entry, every 15 s, listen whisper',
        Tones: [
          { Time: '2026-11-22 14:30:00', Played: 'true' },
          { Time: '2026-11-22 14:30:15', Played: 'false' },
          { Time: '2026-11-22 14:30:30', Played: 'true' },
        ],
        PersonalData: 'kept',
        Details: null,
        PreviousHash: 'pp',
        Hash: 'hh',
      },
    ],
  })
})

test('after a purge the numbers are null, and the entry says so', () => {
  const [shown] = list([entry({ personal: null, salt: null })]).Audit as readonly Readonly<Record<string, unknown>>[]
  assert.deepEqual([shown?.Supervisor, shown?.HeardBy, shown?.PersonalData], [null, [{ LegSid: 'a1', PhoneNumber: null }], 'purged'])
})

test('an entry of another kind has its body as details, and the same keys', () => {
  const other = entry({ kind: 'purge', body: '{"what":"calls"}', personal: null, salt: null, commitment: '' })
  const [interval, purge] = list([entry(), other]).Audit as readonly Readonly<Record<string, unknown>>[]
  assert.deepEqual(Object.keys(purge ?? {}), Object.keys(interval ?? {}))
  assert.deepEqual(
    [purge?.Kind, purge?.Details, purge?.Mode, purge?.Notice, purge?.HeardBy, purge?.PersonalData],
    ['purge', '{"what":"calls"}', null, null, [], 'none'],
  )
})

test('other pages keep what was asked, and begin at the sequence of this one’s ends', () => {
  const query = { CallSid: 'c1', Mode: 'whisper', StartDate: '2026-11-22 00:00:00' }
  const { Metadata } = list([entry({ sequence: 9 }), entry({ sequence: 4 })], { query, previous: true, next: true })
  const asked = 'CallSid=c1&Mode=whisper&StartDate=2026-11-22%2000%3A00%3A00'
  assert.deepEqual(Metadata, {
    PageSize: 50,
    FirstPageUri: `/v1/Accounts/acme/Audit.json?${asked}`,
    PrevPageUri: `/v1/Accounts/acme/Audit.json?${asked}&Before=9`,
    NextPageUri: `/v1/Accounts/acme/Audit.json?${asked}&After=4`,
  })
})

test('[C4] in XML the same is there, lists as elements', () => {
  const parsed = new XMLParser({ parseTagValue: false }).parse(xmlDocument(list([entry()], { format: 'xml' })))
  const { Entry: shown } = parsed.TwilioResponse.Audit
  assert.deepEqual(
    [shown.Sequence, shown.Mode, shown.HeardBy.Leg.LegSid, shown.Hears.Leg.length, shown.Tones.Tone[1].Played, shown.Details],
    ['7', 'whisper', 'a1', 2, 'false', ''],
  )
})

test('a policy in words tells silence that somebody decided from no policy', () => {
  const notice = (change: object): string => noticeText({ to: 'both', atEntry: true, everySeconds: 15, modes: ['barge'], ...change })
  assert.equal(noticeText(null), 'none')
  assert.equal(notice({ to: 'nobody' }), 'nobody (explicit)')
  assert.equal(notice({ everySeconds: 0 }), 'both: at entry, barge')
  assert.equal(notice({ atEntry: false, to: 'customer' }), 'customer: every 15 s, barge')
})
