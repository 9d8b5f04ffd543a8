// The audit log from the address to the table and back: the real server and routes, the real statement.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { openTestDatabase, type TestDatabase, testServers } from '../../test/database.ts'
import { sampleId, T0 } from '../../test/sample-calls.ts'
import { makeApi } from '../control/api.ts'
import { type Scope, SCOPES } from '../domain/account/rights.ts'
import type { AccountId, KeyId } from '../domain/ids.ts'
import type { Why } from '../domain/leg.ts'
import { appendEvidence } from '../store/evidence/entries.ts'
import { listEvidence } from '../store/evidence/log.ts'
import { NOTHING_KEPT } from './nothing-kept.ts'
import { makeFakeControl } from './fake-control.ts'
import { makeServer } from './server.ts'

interface Page {
  readonly Metadata: { readonly PrevPageUri: string | null; readonly NextPageUri: string | null }
  readonly Audit: readonly { readonly Sequence: number; readonly Mode: string; readonly Supervisor: string }[]
}

for (const kind of testServers()) {
  describe(`the audit log over HTTP, from the ${kind} PostgreSQL`, () => {
    let opened: TestDatabase
    before(async () => {
      opened = await openTestDatabase(kind)
    })
    after(() => opened.close())

    function house({ scopes = SCOPES, agents = null }: { scopes?: readonly Scope[]; agents?: readonly string[] | null } = {}) {
      const { sql } = opened.database
      const accountId = sampleId() as AccountId
      const asked: (Why | undefined)[] = []
      const control = makeFakeControl(() => T0)
      const app = makeServer({
        api: makeApi(
          {
            ...control,
            audit: (id, query) => listEvidence(sql, id, query),
            createMonitorLeg: (...order) => {
              asked.push(order[4])
              return control.createMonitorLeg(...order)
            },
            changeMode: (...order) => {
              asked.push(order[4])
              return control.changeMode(...order)
            },
          },
          NOTHING_KEPT,
        ),
        publicUrl: () => '',
        accounts: { authenticate: async () => ({ accountId, keyId: 'key-1' as KeyId, scopes, agents }), timeZone: () => 'Asia/Kolkata' },
        now: () => T0,
        newId: sampleId,
        log: { info() {}, error() {} },
        ready: () => 'ready',
      })
      const inject = (method: 'GET' | 'POST' | 'PUT', url: string, payload?: object) =>
        app.inject({ method, url, headers: { authorization: 'Basic eDp5' }, ...(payload ? { payload } : {}) })
      return {
        accountId,
        asked,
        inject,
        control,
        async get(url: string): Promise<Page> {
          const response = await inject('GET', url)
          assert.equal(response.statusCode, 200, response.body)
          return response.json()
        },
        add: (n: number) =>
          appendEvidence(sql, {
            accountId,
            id: sampleId(),
            kind: 'interval',
            at: T0 + n * 60_000,
            salt: sampleId(),
            body: {
              call: `c${n % 2}`,
              leg: 's',
              target: 'a',
              mode: n % 3 ? 'listen' : 'barge',
              by: null,
              reason: null,
              heardBy: [],
              hears: [],
              notice: null,
              tones: [],
              tonesFailed: [],
              from: new Date(T0).toISOString(),
              to: new Date(T0).toISOString(),
              end: 'left',
            },
            personal: { supervisor: '+919876500001', parties: [] },
          }),
      }
    }

    test('walking all pages there and back, while entries are added, shows each entry that was there exactly once', async () => {
      for (const order of ['asc', 'desc']) {
        const { accountId, get, add } = house()
        for (let n = 1; n <= 10; n++) await add(n)
        const seen: number[] = []
        let page = await get(`/v1/Accounts/${accountId}/Audit.json?PageSize=3&SortBy=DateCreated:${order}`)
        for (;;) {
          seen.push(...page.Audit.map(({ Sequence }) => Sequence))
          await add(11)
          if (page.Metadata.NextPageUri === null || seen.length > 100) break
          page = await get(page.Metadata.NextPageUri)
          if (order === 'asc' && seen.length >= 12) break
        }
        const first = Array.from({ length: 10 }, (_, n) => n + 1)
        assert.deepEqual(
          seen.filter((n) => n <= 10),
          order === 'asc' ? first : first.toReversed(),
        )
        assert.equal(new Set(seen).size, seen.length)
        const back: number[] = []
        for (let uri = page.Metadata.PrevPageUri; uri !== null; uri = page.Metadata.PrevPageUri) {
          page = await get(uri)
          back.unshift(...page.Audit.map(({ Sequence }) => Sequence))
        }
        assert.equal(new Set(back).size, back.length)
        assert(back.length >= 7)
      }
    })

    test('filters by call, supervisor, mode and date', async () => {
      const { accountId, get, add } = house()
      for (let n = 1; n <= 6; n++) await add(n)
      const numbers = async (search: string) =>
        (await get(`/v1/Accounts/${accountId}/Audit.json?SortBy=DateCreated:asc&${search}`)).Audit.map(({ Sequence }) => Sequence)
      assert.deepEqual(await numbers('CallSid=c1'), [1, 3, 5])
      assert.deepEqual(await numbers('Mode=barge'), [3, 6])
      assert.deepEqual(await numbers('Supervisor=09876500001'), [1, 2, 3, 4, 5, 6])
      assert.deepEqual(await numbers('Supervisor=client:x'), [])
      assert.deepEqual(await numbers('StartDate=2026-11-22 14:32:00&EndDate=2026-11-22 14:33:00'), [2, 3])
    })

    test('[C1] [C4] XML without the suffix; an account without entries has an empty page', async () => {
      const { accountId, inject } = house()
      const response = await inject('GET', `/v1/Accounts/${accountId}/Audit`)
      assert.equal(response.statusCode, 200)
      assert.match(response.body, /<TwilioResponse><Metadata>.*<\/Metadata><Audit\/><\/TwilioResponse>$/)
    })

    test('[C10] without accounts.admin, or with a key that is limited to agents, it is 403; a wrong filter is 400; a POST is 405', async () => {
      const path = (of: { accountId: string }, more = ''): string => `/v1/Accounts/${of.accountId}/Audit.json${more}`
      for (const one of [house({ scopes: SCOPES.filter((scope) => scope !== 'accounts.admin') }), house({ agents: ['priya'] })])
        assert.equal((await one.inject('GET', path(one))).statusCode, 403)
      const one = house()
      assert.equal((await one.inject('GET', path(one, '?Mode=spy'))).statusCode, 400)
      assert.equal((await one.inject('POST', path(one))).statusCode, 405)
    })

    test('the key that asks and its ReasonCode go with every order to monitor, and a code that could be prose is 400', async () => {
      const { accountId, inject, control, asked } = house()
      const call = control.callIn(accountId, '+919999999999' as never, '+918012345678' as never, 'client:priya' as never)
      const legs = `/v1/Accounts/${accountId}/Calls/${call.id}/Legs`
      const made = await inject('POST', `${legs}.json`, { Action: 'listen', PhoneNumber: 'client:boss', ReasonCode: 'QA-7' })
      assert.equal(made.statusCode, 200, made.body)
      const leg = made.json().Leg.Sid
      assert.equal((await inject('PUT', `${legs}/${leg}.json`, { Action: 'barge', ReasonCode: 'complaint/77' })).statusCode, 200)
      assert.equal((await inject('PUT', `${legs}/${leg}.json`, { Action: 'listen' })).statusCode, 200)
      assert.deepEqual(asked, [
        { by: 'key-1', reasonCode: 'QA-7' },
        { by: 'key-1', reasonCode: 'complaint/77' },
        { by: 'key-1', reasonCode: null },
      ])
      for (const ReasonCode of ['because Mrs. Rao', 'x'.repeat(65), 'ü', '<a>'])
        for (const [method, url, payload] of [
          ['POST', `${legs}.json`, { Action: 'listen', PhoneNumber: 'client:boss' }],
          ['PUT', `${legs}/${leg}.json`, { Action: 'barge' }],
        ] as const) {
          const response = await inject(method, url, { ...payload, ReasonCode })
          assert.equal(response.statusCode, 400)
          assert.equal(response.json().RestException.Message, 'Invalid Parameter: ReasonCode is missing or invalid')
        }
      assert.equal(asked.length, 3)
    })
  })
}
