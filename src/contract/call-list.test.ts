import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { XMLParser } from 'fast-xml-parser'
import { endedCall, IST, ist, liveCall } from '../../test/data/contract/sample-call.ts'
import type { Call } from '../domain/call.ts'
import type { CallPage, CallQuery } from '../domain/call-query.ts'
import { DomainError } from '../domain/errors.ts'
import type { AccountId, CallId } from '../domain/ids.ts'
import { callList, callQueryIn } from './call-list.ts'
import { type Fields, fieldsFromPairs } from './fields.ts'
import { callResource } from './resources.ts'
import { rendered, type WireObject } from './xml.ts'

const NOW = ist('2020-12-22 17:31:06') + 789
const SID = 'c5797dcbaaeed7678c4062a4a3ed2f8a'
const given = (search: string): Fields => fieldsFromPairs(new URLSearchParams(search)) ?? assert.fail('too many')
const asked = (search: string, timeZone = IST): CallQuery => callQueryIn(given(search), { timeZone, now: NOW })

function refuses(search: string, name: string): void {
  assert.throws(
    () => asked(search),
    (error) => error instanceof DomainError && error.code === 'invalid-parameter' && error.detail === name,
    search,
  )
}

const EVERYTHING: CallQuery = {
  ids: null,
  createdFrom: ist('2020-11-21 17:31:06'),
  createdBefore: null,
  from: null,
  to: null,
  ownNumbers: null,
  statuses: null,
  durationS: null,
  price: null,
  directions: null,
  order: 'desc',
  pageSize: 50,
  start: null,
}

test('[C31] without parameters: the last 31 days, newest first, fifty a page; what is empty or unknown is not there', () => {
  for (const search of ['', 'Sid=&Status=&PageSize=&After=', 'RecordingUrlValidity=5&details=true&sid=!&__proto__=1'])
    assert.deepEqual(asked(search), EVERYTHING)
})

test('[C31] every filter as the vendor writes it', () => {
  const cases: readonly (readonly [string, Partial<CallQuery>])[] = [
    [`Sid=${SID}`, { ids: [SID as CallId] }],
    [`Sid=${SID}, x`, { ids: [SID, 'x'] as CallId[] }],
    ['To=%2B919876543210', { to: ['+919876543210'] as Call['to'][] }],
    ['From=09876543210,%2B14155550123,client:priya', { from: ['+919876543210', '+14155550123', 'client:priya'] as Call['to'][] }],
    ['From=+14155550123,+14155550124', { from: ['+14155550123', '+14155550124'] as Call['to'][] }],
    ['PhoneNumber=8040404890, 918040404891,sip:a@b', { ownNumbers: ['+918040404890', '+918040404891', 'sip:a@b'] as Call['to'][] }],
    ['Status=failed,no-answer,busy,canceled', { statuses: ['failed', 'no-answer', 'busy', 'canceled'] }],
    ['Status=In-Progress, completed', { statuses: ['in-progress', 'completed'] }],
    ['Status=ringing,in-progress', { statuses: ['in-progress'] }],
    ['Status=queued', { statuses: [] }],
    ['Duration=gte:10s;lte:45s', { durationS: { min: 10, max: 45 } }],
    ['Duration=lte:45', { durationS: { min: null, max: 45 } }],
    ['Duration=eq:30s', { durationS: { min: 30, max: 30 } }],
    ['Duration=gte:0s', { durationS: { min: 0, max: null } }],
    ['Price=gte:0.10;lte:1.0', { price: { min: '0.10', max: '1.0' } }],
    ['Price=eq:0.300030', { price: { min: '0.300030', max: '0.300030' } }],
    ['Direction=inbound,outbound-api', { directions: ['inbound', 'outbound-api'] }],
    ['Direction=outbound-dial', { directions: [] }],
    ['PageSize=1', { pageSize: 1 }],
    ['PageSize=100', { pageSize: 100 }],
    ['SortBy=DateCreated:asc', { order: 'asc' }],
    ['SortBy=DateCreated%3Adesc', {}],
    ['PageSize=7&PageSize=9', { pageSize: 9 }],
  ]
  for (const [search, change] of cases) assert.deepEqual(asked(search), { ...EVERYTHING, ...change }, search)
})

test('[C31] dates are in the account’s zone, and a second that is named as an end is all in', () => {
  const both = asked('DateCreated=gte:2020-12-01 00:00:00;lte:2020-12-22+23:59:59')
  assert.deepEqual([both.createdFrom, both.createdBefore], [ist('2020-12-01 00:00:00'), ist('2020-12-23 00:00:00')])
  assert.deepEqual(asked('DateCreated=lte:2020-12-22 23:59:59'), { ...EVERYTHING, createdFrom: null, createdBefore: ist('2020-12-23 00:00:00') })
  assert.deepEqual(asked('DateCreated=gte:2019-01-01 00:00:00'), { ...EVERYTHING, createdFrom: ist('2019-01-01 00:00:00') })
  const newYork = asked('DateCreated=gte:2024-11-03 01:30:00;lte:2024-11-03 01:30:00', 'America/New_York')
  assert.deepEqual([newYork.createdFrom, newYork.createdBefore], [Date.UTC(2024, 10, 3, 5, 30), Date.UTC(2024, 10, 3, 6, 30, 1)])
})

test('[C31] a value that is wrong is refused by the name of its parameter', () => {
  const sids = (count: number): string => Array.from({ length: count }, (_, n) => `s${n}`).join(',')
  const numbers = (count: number): string => Array.from({ length: count }, (_, n) => `987654321${n}`).join(',')
  assert.equal(asked(`Sid=${sids(100)}`).ids?.length, 100)
  assert.equal(asked(`To=${numbers(5)}`).to?.length, 5)
  const wrong: Readonly<Record<string, readonly string[]>> = {
    Sid: [sids(101), 'a,,b', 'a,', "a'b", '\0', 'x'.repeat(65)],
    DateCreated: [
      ...['2020-12-01 00:00:00', 'gte:2020-12-01', 'gte:2020-02-30 00:00:00', 'eq:2020-12-01 00:00:00', 'gt:2020-12-01 00:00:00', 'gte:', 'gte'],
      ...['gte:2020-12-01 00:00:00;', 'gte:2020-12-01 00:00:00;gte:2020-12-02 00:00:00', 'gte:2020-12-01 00:00:00,lte:2020-12-02 00:00:00'],
    ],
    To: [numbers(6), '12345', 'gte:5', ','],
    From: [numbers(6), 'nobody', '+910123456789'],
    PhoneNumber: [numbers(6), '1', 'sip:'],
    Status: ['live', 'completed;busy', 'completed,', 'constructor', '__proto__', Array(9).fill('busy').join(',')],
    Duration: [
      '10',
      '10s',
      'gte:s',
      'gte:-1s',
      'gte:1.5s',
      'gte:10m',
      'eq:1s;gte:1s',
      'lte:1s;lte:2s',
      'gte:9999999999s',
      'gt:1s',
      'gte:1s;lte:2s;eq:1s',
    ],
    Price: ['1', 'gte:', 'gte:.5', 'gte:1.', 'gte:1,5', 'gte:-1', 'gte:1e3', 'eq:1;lte:2'],
    Direction: ['outbound', 'inbound;outbound-api', 'toString'],
    PageSize: ['0', '101', '-1', '5.0', 'all', '0x10', '1000'],
    SortBy: ['DateCreated', 'DateCreated:up', 'Duration:asc', 'asc', 'DateCreated:asc,DateCreated:desc'],
    Before: ['x', '!', 'MTIz', Buffer.from('1:').toString('base64url'), Buffer.from(':a').toString('base64url')],
    After: [
      Buffer.from('1:a b').toString('base64url'),
      Buffer.from('123456789012345:a').toString('base64url'),
      `${Buffer.from('1:a').toString('base64url')}=`,
    ],
  }
  for (const [name, values] of Object.entries(wrong)) for (const value of values) refuses(new URLSearchParams([[name, value]]).toString(), name)
})

test('[C31] of several wrong ones the first is named, and nobody stands before and after at once', () => {
  refuses('SortBy=x&PageSize=0&Status=x', 'Status')
  const cursor = Buffer.from('1:a').toString('base64url')
  refuses(`Before=${cursor}&After=${cursor}`, 'Before')
  assert.deepEqual(asked(`After=${cursor}`).start, { side: 'after', createdAt: 1, id: 'a' })
  assert.deepEqual(asked(`Before=${cursor}`).start, { side: 'before', createdAt: 1, id: 'a' })
})

test('[C31] whatever is asked is a query or is refused by name, never an accident', () => {
  const names = [
    'Sid',
    'DateCreated',
    'To',
    'From',
    'PhoneNumber',
    'Status',
    'Duration',
    'Price',
    'Direction',
    'PageSize',
    'SortBy',
    'Before',
    'After',
  ]
  const near = fc.constantFrom('gte:', 'lte:', 'eq:', ';', ',', '2024-03-10 02:30:00', '10s', '0.5', 'busy', '+91', '98765', ':', ' ', 'MTph')
  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(near, { maxLength: 6 }).map((parts) => parts.join('')),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...names), value), { maxLength: 4 }), (pairs) => {
      try {
        const query = callQueryIn(fieldsFromPairs(pairs) ?? new Map(), { timeZone: 'America/New_York', now: NOW })
        assert.ok(query.pageSize >= 1 && query.pageSize <= 100)
      } catch (error) {
        assert.ok(error instanceof DomainError && names.includes(error.detail), String(error))
      }
    }),
    { numRuns: 500 },
  )
})

const PAGE: CallPage = { calls: [liveCall, endedCall], total: 7, hasPrevious: true, hasNext: true }
const list = (search: string, page: CallPage = PAGE, format: 'json' | 'xml' = 'json'): WireObject =>
  callList(page, asked(search), { accountId: 'exotel30m' as AccountId, format, timeZone: IST, query: given(search) })
const metadata = (content: WireObject): Readonly<Record<string, unknown>> => content.Metadata as WireObject
/** The query of an address of another page. */
const searchOf = (uri: unknown): string => String(uri).split('?')[1] ?? ''

test('[C31] a page is the vendor’s: its keys in its order, the calls as they are elsewhere', () => {
  const content = list('')
  assert.deepEqual(Object.keys(content), ['Metadata', 'Calls'])
  assert.deepEqual(Object.keys(metadata(content)), ['Total', 'PageSize', 'FirstPageUri', 'PrevPageUri', 'NextPageUri'])
  const options = { format: 'json', timeZone: IST } as const
  assert.deepEqual(content.Calls, [callResource(liveCall, options, null).Call, callResource(endedCall, options, null).Call])
  assert.equal((content.Calls as readonly WireObject[]).length, 2)
})

test('[C31] in XML there are Metadata and Calls of Call, and what is null is empty', () => {
  const document = rendered('xml', list('Status=busy&PageSize=2', { ...PAGE, hasNext: false }, 'xml'))
  assert.ok(document.includes('<TwilioResponse><Metadata><Total>7</Total><PageSize>2</PageSize><FirstPageUri>'))
  assert.ok(document.includes('<NextPageUri/></Metadata><Calls><Call><Sid>'))
  const { TwilioResponse } = new XMLParser({ parseTagValue: false }).parse(document)
  assert.equal(TwilioResponse.Calls.Call.length, 2)
  assert.equal(TwilioResponse.Metadata.FirstPageUri, '/v1/Accounts/exotel30m/Calls?Status=busy&PageSize=2')
  assert.ok(rendered('xml', list('', { ...PAGE, calls: [] }, 'xml')).endsWith('<Calls/></TwilioResponse>'))
})

test('[C31] the first page has no page before it, the last none after it, an empty one neither', () => {
  const uris = (page: CallPage): readonly unknown[] => {
    const { PrevPageUri, NextPageUri } = metadata(list('', page))
    return [PrevPageUri === null, NextPageUri === null]
  }
  assert.deepEqual(uris(PAGE), [false, false])
  assert.deepEqual(uris({ ...PAGE, hasPrevious: false }), [true, false])
  assert.deepEqual(uris({ ...PAGE, hasNext: false }), [false, true])
  assert.deepEqual(uris({ ...PAGE, calls: [] }), [true, true])
})

test('[C31] the other pages keep filters, order, size and format, whatever the filters are', () => {
  const searches = [
    'Sid=a,b&DateCreated=gte:2020-12-01 00:00:00;lte:2020-12-22 23:59:59&PageSize=2',
    'To=%2B14155550123,09876543210&From= 14155550124&PhoneNumber=sip:a%2526@b&SortBy=DateCreated:asc',
    'Status=busy,failed&Duration=gte:10s;lte:45s&Price=eq:0.5&Direction=inbound',
    'DateCreated=lte:2020-12-22 23:59:59',
  ]
  for (const search of searches) {
    const { FirstPageUri, PrevPageUri, NextPageUri } = metadata(list(search))
    for (const uri of [FirstPageUri, PrevPageUri, NextPageUri])
      assert.match(String(uri), /^\/v1\/Accounts\/exotel30m\/Calls\.json\?[\w.~!*'()%=&-]+$/)
    assert.deepEqual(asked(searchOf(FirstPageUri)), asked(search))
    assert.deepEqual(asked(searchOf(PrevPageUri)), { ...asked(search), start: { side: 'before', createdAt: liveCall.createdAt, id: liveCall.id } })
    assert.deepEqual(asked(searchOf(NextPageUri)), { ...asked(search), start: { side: 'after', createdAt: endedCall.createdAt, id: endedCall.id } })
  }
})

test('[C31] a cursor that was followed is not kept', () => {
  const next = metadata(list('PageSize=2')).NextPageUri
  const { FirstPageUri, PrevPageUri } = metadata(list(searchOf(next)))
  assert.ok(!String(FirstPageUri).includes('After'))
  assert.ok(!String(PrevPageUri).includes('After') && String(PrevPageUri).includes('Before'))
})

test('[C31] the 31 days do not move on between the pages of one walk, but do for who begins again', () => {
  const { FirstPageUri, NextPageUri } = metadata(list(''))
  assert.equal(FirstPageUri, '/v1/Accounts/exotel30m/Calls.json')
  const later = callQueryIn(given(searchOf(NextPageUri)), { timeZone: IST, now: NOW + 3_600_000 })
  assert.equal(later.createdFrom, EVERYTHING.createdFrom)
})
