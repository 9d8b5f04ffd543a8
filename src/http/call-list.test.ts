// Pages of calls from the address to the table and back: the real server and routes, the real statement.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { assertDescribed } from '../../test/answers.ts'
import { openTestDatabase, type TestDatabase, testServers } from '../../test/database.ts'
import { sampleCall, sampleId } from '../../test/sample-calls.ts'
import { SCOPES } from '../domain/account/rights.ts'
import type { AccountId, KeyId } from '../domain/ids.ts'
import { listCalls, saveCall } from '../store/calls.ts'
import { makeApi } from '../control/api.ts'
import { NOTHING_KEPT } from './nothing-kept.ts'
import { makeFakeControl } from './fake-control.ts'
import { makeServer } from './server.ts'

const NOW = Date.UTC(2026, 10, 22, 12)
/** Has clocks that are set back on 1 November 2026, within the 31 days. */
const ZONE = 'America/New_York'
const DAY_MS = 24 * 3_600_000

interface Page {
  readonly Metadata: { readonly Total: number; readonly PrevPageUri: string | null; readonly NextPageUri: string | null }
  readonly Calls: readonly { readonly Sid: string }[]
}

for (const kind of testServers()) {
  describe(`pages of calls over HTTP, from the ${kind} PostgreSQL`, () => {
    let opened: TestDatabase
    let now = NOW
    before(async () => {
      opened = await openTestDatabase(kind)
    })
    after(() => opened.close())

    /** An account of its own for each walk. */
    function house() {
      const { sql } = opened.database
      const accountId = sampleId() as AccountId
      const nothing = (): void => {}
      const app = makeServer({
        api: makeApi({ ...makeFakeControl(() => now), calls: (id, query) => listCalls(sql, id, query) }, NOTHING_KEPT),
        accounts: { authenticate: async () => ({ accountId, keyId: 'key' as KeyId, scopes: SCOPES, agents: null }), timeZone: () => ZONE },
        now: () => now,
        newId: sampleId,
        log: { info: nothing, error: nothing },
        ready: () => 'ready',
        publicUrl: () => '',
      })
      return {
        accountId,
        async get(url: string): Promise<Page> {
          const response = await app.inject({ url, headers: { authorization: 'Basic eDp5' } })
          assert.equal(response.statusCode, 200, response.body)
          assertDescribed('GET', url, { status: 200, contentType: String(response.headers['content-type']), body: response.body })
          return response.json()
        },
        async add(createdAt: number): Promise<string> {
          const call = sampleCall({ accountId, createdAt })
          await saveCall(sql, { call, node: 'node-1', callbacks: [], evidence: [], idempotency: null })
          return call.id
        },
        close: () => app.close(),
      }
    }

    test('[C31] walking all pages there and back, while calls come in, shows each call that was there exactly once', async () => {
      /** Many at the same moment, some at the very edge of the 31 days, some when clocks were set back. */
      const moment = fc.oneof(
        fc.constantFrom(NOW, NOW - 1, NOW - 31 * DAY_MS, NOW - 31 * DAY_MS + 999, Date.UTC(2026, 10, 1, 5, 30), Date.UTC(2026, 10, 1, 6, 30)),
        fc.integer({ min: NOW - 31 * DAY_MS, max: NOW }),
      )
      const plan = fc.record({
        calls: fc.array(moment, { maxLength: 12 }),
        inserts: fc.array(fc.oneof(moment, fc.integer({ min: NOW, max: NOW + DAY_MS })), { maxLength: 12 }),
        pageSize: fc.integer({ min: 1, max: 5 }),
        order: fc.constantFrom('asc', 'desc'),
        filter: fc.constantFrom('', '&Status=in-progress', '&DateCreated=gte:2026-10-22 00:00:00', '&From=client:anna&To=09876543210'),
      })
      await fc.assert(
        fc.asyncProperty(plan, async ({ calls, inserts, pageSize, order, filter }) => {
          now = NOW
          const { get, add, close, accountId } = house()
          const there: string[] = []
          for (const createdAt of calls) there.push(await add(createdAt))
          const waiting = [...inserts]
          /** From one page to the end. The window of 31 days must not move under the feet of who walks. */
          const walk = async (from: Page, direction: 'PrevPageUri' | 'NextPageUri'): Promise<{ seen: readonly string[]; last: Page }> => {
            let seen: readonly string[] = []
            for (let page = from; ; ) {
              assert.ok(seen.length <= calls.length + inserts.length, 'the walk has an end')
              assert.ok(page.Calls.length <= pageSize && page.Metadata.Total >= page.Calls.length)
              const sids = page.Calls.map(({ Sid }) => Sid)
              seen = direction === 'NextPageUri' ? [...seen, ...sids] : [...sids, ...seen]
              const insert = waiting.pop()
              if (insert !== undefined) await add(insert)
              now += 60_000
              const uri = page.Metadata[direction]
              if (uri === null) return { seen, last: page }
              page = await get(uri)
            }
          }
          const thereAmong = (seen: readonly string[]): readonly string[] => seen.filter((sid) => there.includes(sid))
          const search = `PageSize=${pageSize}&SortBy=DateCreated:${order}${encodeURI(filter)}`
          const forth = await walk(await get(`/v1/Accounts/${accountId}/Calls.json?${search}`), 'NextPageUri')
          assert.deepEqual([...thereAmong(forth.seen)].sort(), [...there].sort())
          assert.equal(new Set(forth.seen).size, forth.seen.length)
          const back = await walk(forth.last, 'PrevPageUri')
          assert.deepEqual(thereAmong(back.seen), thereAmong(forth.seen), 'the same, in the same order')
          assert.equal(new Set(back.seen).size, back.seen.length)
          await close()
        }),
        { numRuns: 60 },
      )
    })
  })
}
