import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { callQueryIn } from '../../../src/contract/call-list.ts'
import { fieldsFromPairs } from '../../../src/contract/fields.ts'
import { type Scripted, scriptedFetch } from '../../../test/scripted-fetch.ts'
import { queryOf } from './calls.ts'
import { type Call, EarshotError, makeEarshot } from '../earshot.ts'
import type { CallFilter } from '../resources.ts'

function rig(...script: readonly Scripted[]) {
  const { fetch, asked } = scriptedFetch(...script)
  return { asked, earshot: makeEarshot({ url: 'http://h/in/front', account: 'acme', key: 'k', token: 't', fetch, sleep: async () => {} }) }
}
const page = (sids: readonly string[], NextPageUri: string | null): Scripted => ({
  body: { Metadata: { Total: 5, NextPageUri }, Calls: sids.map((Sid) => ({ Sid })) },
})
const sidsOf = async (calls: AsyncIterable<Call>): Promise<readonly string[]> => {
  const sids: string[] = []
  for await (const { Sid } of calls) sids.push(Sid)
  return sids
}
const NEXT = '/v1/Accounts/acme/Calls.json?Status=completed&DateCreated=gte%3A2026&After=abc'

test('[C31] calls come one after the other over all pages; an empty page between two is no end', async () => {
  const { earshot, asked } = rig(page(['a', 'b'], NEXT), page([], `${NEXT}d`), page(['c'], null))
  assert.deepEqual(await sidsOf(earshot.calls.list({ Status: 'completed' })), ['a', 'b', 'c'])
  assert.deepEqual(
    asked.map(({ url }) => url),
    [
      'http://h/in/front/v1/Accounts/acme/Calls.json?Status=completed',
      'http://h/in/front/v1/Accounts/acme/Calls.json?Status=completed&DateCreated=gte%3A2026&After=abc',
      'http://h/in/front/v1/Accounts/acme/Calls.json?Status=completed&DateCreated=gte%3A2026&After=abcd',
    ],
  )
})

test('who stops early asks for no further page', async () => {
  const { earshot, asked } = rig(page(['a', 'b'], NEXT))
  for await (const { Sid } of earshot.calls.list()) if (Sid === 'a') break
  assert.equal(asked.length, 1)
})

test('a list can be walked twice, each time from the start', async () => {
  const { earshot } = rig(page(['a'], null), page(['b'], null))
  assert.deepEqual([await sidsOf(earshot.calls.list()), await sidsOf(earshot.calls.list())], [['a'], ['b']])
})

test('pages say how many calls there are on all of them', async () => {
  const { earshot } = rig(page(['a'], NEXT), page(['b'], null))
  const totals: number[] = []
  for await (const { Metadata } of earshot.calls.pages()) totals.push(Metadata.Total)
  assert.deepEqual(totals, [5, 5])
})

test('an address of another host leads nowhere but to our own', async () => {
  const { earshot, asked } = rig(page(['a'], 'https://evil.example/steal?After=x'), page(['b'], null))
  assert.deepEqual(await sidsOf(earshot.calls.list()), ['a', 'b'])
  assert.equal(asked[1]?.url, 'http://h/in/front/v1/Accounts/acme/Calls.json?After=x')
})

const ENDLESS: readonly (readonly [string, Scripted])[] = [
  ['a page that names itself', page(['a'], '/v1/Accounts/acme/Calls.json?')],
  ['a page without a list', { body: { Metadata: { NextPageUri: null } } }],
  ['a page without metadata', { body: { Calls: [] } }],
]
for (const [what, answer] of ENDLESS) {
  test(`${what} ends the walk with an error`, async () => {
    const error = await sidsOf(rig(answer).earshot.calls.list()).catch((thrown: unknown) => thrown)
    assert.ok(error instanceof EarshotError && error.code === 'unexpected-answer', String(error))
  })
}

test('legs that are no list are no answer', async () => {
  const { earshot } = rig({ body: { Legs: {} } }, { body: { legs: 'x' } })
  await assert.rejects(earshot.calls.activeLegs('c'), { code: 'unexpected-answer' })
  await assert.rejects(earshot.calls.legs('c'), { code: 'unexpected-answer' })
})

const FILTERS: readonly (readonly [CallFilter, string])[] = [
  [{}, ''],
  [{ Sid: ['a', 'b'], Status: ['busy', 'no-answer'] }, 'Sid=a,b&Status=busy,no-answer'],
  [{ Status: [], From: undefined }, ''],
  [{ From: '+919876543210', To: 'client:priya' }, 'To=client:priya&From=+919876543210'],
  [{ DateCreated: { gte: '2026-01-01 00:00:00' } }, 'DateCreated=gte:2026-01-01 00:00:00'],
  [{ DateCreated: { gte: '2026-01-01 00:00:00', lte: '2026-01-01 23:59:59' } }, 'DateCreated=gte:2026-01-01 00:00:00;lte:2026-01-01 23:59:59'],
  [{ Duration: { gte: 10, lte: undefined }, Price: { eq: '0.60' } }, 'Duration=gte:10s&Price=eq:0.60'],
  [{ Direction: 'inbound', PageSize: 20, SortBy: 'DateCreated:asc' }, 'Direction=inbound&PageSize=20&SortBy=DateCreated:asc'],
]
for (const [filter, query] of FILTERS) {
  test(`[C31] a filter is spelled ${query === '' ? 'as nothing' : query}`, () => {
    const pairs = [...new URLSearchParams(queryOf(filter))]
    assert.equal(pairs.map(([name, value]) => `${name}=${value}`).join('&'), query)
  })
}

test('[C31] the server understands every filter', () => {
  const some = <T extends string>(...values: readonly T[]) => fc.option(fc.subarray([...values], { minLength: 1 }), { nil: undefined })
  const range = fc.option(fc.record({ gte: fc.integer({ min: 0, max: 9999 }), lte: fc.integer({ min: 0, max: 9999 }) }), { nil: undefined })
  const filters = fc.record({
    Sid: some('a', 'b'),
    From: some('+919876543210', 'client:priya'),
    To: some('sip:a@b.example'),
    PhoneNumber: some('+918012345678'),
    Status: some('in-progress', 'completed', 'busy', 'no-answer', 'failed', 'canceled'),
    Direction: some('inbound', 'outbound-api'),
    Duration: range,
    PageSize: fc.option(fc.integer({ min: 1, max: 100 }), { nil: undefined }),
    DateCreated: fc.constantFrom(undefined, { gte: '2026-01-01 00:00:00' }, { lte: '2026-01-31 23:59:59' }),
    SortBy: fc.constantFrom(undefined, 'DateCreated:asc' as const, 'DateCreated:desc' as const),
  })
  fc.assert(
    fc.property(filters, (filter) => {
      const query = callQueryIn(fieldsFromPairs(new URLSearchParams(queryOf(filter))) ?? new Map(), { timeZone: 'Asia/Kolkata', now: 0 })
      assert.deepEqual([query.ids ?? undefined, query.statuses ?? undefined, query.from?.length], [filter.Sid, filter.Status, filter.From?.length])
      assert.deepEqual(
        [query.durationS?.min, query.durationS?.max, query.pageSize],
        [filter.Duration?.gte, filter.Duration?.lte, filter.PageSize ?? 50],
      )
    }),
  )
})
