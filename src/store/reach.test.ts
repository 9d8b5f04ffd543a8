// What a key that is limited to agents is shown of the list of calls: what `maySee` says, no more and no less, in SQL.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { openTestDatabase, type TestDatabase, testServers } from '../../test/database.ts'
import { sampleCall, sampleId, T0 } from '../../test/sample-calls.ts'
import { maySee, reachOf } from '../domain/account/rights.ts'
import type { Address } from '../domain/address.ts'
import type { Call } from '../domain/call.ts'
import type { CallQuery } from '../domain/call-query.ts'
import type { AccountId, KeyId } from '../domain/ids.ts'
import { listCalls, saveCall } from './calls.ts'

const EVERYTHING: CallQuery = {
  ids: null,
  createdFrom: null,
  createdBefore: null,
  from: null,
  to: null,
  ownNumbers: null,
  statuses: null,
  durationS: null,
  price: null,
  directions: null,
  order: 'asc',
  pageSize: 100,
  start: null,
}
const NAMES = ['anna', 'ben', 'anna2']
const anAddress = fc.constantFrom(
  'client:anna',
  'client:ben',
  'client:anna2',
  'client:Anna',
  'sip:anna@127.0.0.1',
  '+919876543210',
) as fc.Arbitrary<Address>
const aCall = fc
  .record({
    from: anAddress,
    to: anAddress,
    legs: fc.tuple(anAddress, anAddress, anAddress),
    count: fc.integer({ min: 0, max: 3 }),
    ended: fc.boolean(),
  })
  .map(({ from, to, legs, count, ended }) => (accountId: AccountId, n: number): Call => {
    const sample = sampleCall({ accountId, createdAt: T0 + n })
    return {
      ...sample,
      from,
      to,
      state: ended ? { status: 'ended', outcome: 'busy', endedAt: T0 + 9 } : { status: 'live' },
      // The last of the three is a supervisor.
      legs: sample.legs.slice(3 - count).map((leg, at) => ({ ...leg, address: legs[at + 3 - count] as Address })),
    }
  })

for (const server of testServers()) {
  describe(`the list for a limited key on the ${server} PostgreSQL`, () => {
    let opened: TestDatabase
    before(async () => {
      opened = await openTestDatabase(server)
    })
    after(() => opened.close())

    test('[C31] exactly the calls that are there for the key, on every page, and the total counts no other', async () => {
      const { sql } = opened.database
      await fc.assert(
        fc.asyncProperty(
          fc.array(aCall, { maxLength: 8 }),
          fc.option(fc.subarray(NAMES)),
          fc.integer({ min: 1, max: 3 }),
          async (made, agents, pageSize) => {
            const accountId = sampleId() as AccountId
            const calls = made.map((make, n) => make(accountId, n))
            for (const call of calls) await saveCall(sql, { call, node: 'n', callbacks: [], idempotency: null })
            const who = { accountId, keyId: 'k' as KeyId, scopes: [], agents }
            const visible = calls.filter((call) => maySee(who, call)).map((call) => call.id)
            const walked: string[] = []
            for (let start: CallQuery['start'] = null; ; ) {
              const page = await listCalls(sql, accountId, { ...EVERYTHING, pageSize, start }, reachOf(who))
              assert.equal(page.total, visible.length)
              assert.equal(page.hasPrevious, walked.length > 0)
              walked.push(...page.calls.map((call) => call.id))
              const last = page.calls.at(-1)
              assert.equal(page.hasNext, walked.length < visible.length)
              if (!page.hasNext || !last) break
              start = { side: 'after', createdAt: last.createdAt, id: last.id }
            }
            assert.deepEqual(walked, visible)
            const byId = await listCalls(sql, accountId, { ...EVERYTHING, ids: calls.map((call) => call.id) }, reachOf(who))
            assert.equal(byId.total, visible.length, 'nor does asking by Sid')
          },
        ),
        { numRuns: 40 },
      )
    })
  })
}
