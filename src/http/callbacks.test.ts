/** The routes of callbacks, asked over HTTP, on a real outbox. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { XMLParser } from 'fast-xml-parser'
import type { FastifyInstance } from 'fastify'
import { assertDescribed } from '../../test/answers.ts'
import { openTestDatabase, type TestDatabase, testServers } from '../../test/database.ts'
import { sampleCall, sampleCallback, T0 } from '../../test/sample-calls.ts'
import { makeCallbackDesk, MAX_REPLAYED } from '../control/callback-desk.ts'
import type { AccountId } from '../domain/ids.ts'
import { saveCall } from '../store/calls.ts'
import type { CallbackRow } from '../store/outbox/rows.ts'
import { makeSecretBook } from '../webhooks/secrets.ts'
import { fingerprintOf, isSecret, newSecret } from '../webhooks/signature.ts'
import { makeKeyring } from './auth.ts'
import { makeApi } from '../control/api.ts'
import { NOTHING_KEPT } from './nothing-kept.ts'
import { makeFakeControl } from './fake-control.ts'
import { makeServer } from './server.ts'

const ACME = 'acme' as AccountId
const OTHER = 'other' as AccountId
const FIXED = 'fixed' as AccountId
const SECRET = newSecret()
const as = (account: AccountId): string => `Basic ${Buffer.from(`${account}:token`).toString('base64')}`

for (const kind of testServers()) {
  describe(`routes of callbacks on the ${kind} PostgreSQL`, () => {
    let opened: TestDatabase
    let server: FastifyInstance
    const logged: string[] = []
    let now = T0
    before(async () => {
      opened = await openTestDatabase(kind)
      const { database } = opened
      const secrets = makeSecretBook({ sql: database.sql, configured: (account) => (account === FIXED ? [SECRET] : []), now: () => now })
      const note = (...line: readonly unknown[]): void => void logged.push(JSON.stringify(line))
      server = makeServer({
        api: makeApi(
          makeFakeControl(() => now),
          { ...NOTHING_KEPT, callbacks: makeCallbackDesk({ database, secrets, now: () => now }) },
        ),
        publicUrl: () => '',
        accounts: {
          authenticate: makeKeyring([ACME, OTHER, FIXED].map((accountId) => ({ accountId, key: accountId, token: 'token' }))),
          timeZone: () => 'UTC',
        },
        limits: { writesPerMinute: 10_000 },
        now: () => now,
        newId: () => 'request',
        log: { info: note, error: note },
        ready: () => 'ready',
      })
    })
    beforeEach(async () => {
      now = T0
      await opened.database.sql.query('truncate callback')
    })
    after(async () => {
      await server.close()
      await opened.close()
    })

    const ask = async (method: 'GET' | 'POST' | 'PUT', path: string, fields: Readonly<Record<string, string>> | null = null, account = ACME) => {
      const url = `/v1/Accounts/${account}${path}`
      const answer = await server.inject({
        method,
        url,
        headers: { authorization: as(account), ...(fields ? { 'content-type': 'application/json' } : {}) },
        ...(fields ? { payload: JSON.stringify(fields) } : {}),
      })
      assertDescribed(method, url, {
        status: answer.statusCode,
        contentType: String(answer.headers['content-type']),
        body: answer.body,
        headers: answer.headers,
      })
      return { status: answer.statusCode, body: answer.headers['content-type']?.startsWith('application/json') ? answer.json() : answer.body }
    }
    const enqueue = async (...changes: readonly Partial<CallbackRow>[]): Promise<readonly CallbackRow[]> => {
      const callbacks = changes.map((change) => sampleCallback({ accountId: ACME, ...change }))
      await saveCall(opened.database.sql, { call: sampleCall(), node: 'n', callbacks, idempotency: null })
      return callbacks
    }
    const park = (): Promise<unknown> =>
      opened.database.sql.query(
        `update callback set state = 'parked', attempts = 7, last_status = 503, last_error = 'HTTP 503 busy', settled_at = $1`,
        [new Date(T0)],
      )
    const sids = (body: { readonly Callbacks: readonly { readonly Sid: string }[] }): readonly string[] => body.Callbacks.map(({ Sid }) => Sid)

    test('the log of an account, newest first, page by page, by state, receiver and call', async () => {
      const rows = await enqueue({}, { url: 'https://crm.example.com/x' }, {})
      await enqueue({ accountId: OTHER })
      const newest = rows.map(({ id }) => id).reverse()
      const first = await ask('GET', '/Callbacks.json?PageSize=2')
      assert.equal(first.status, 200)
      assert.deepEqual([sids(first.body), first.body.Metadata.Total, first.body.Metadata.PrevPageUri], [newest.slice(0, 2), 3, null])
      const second = await ask('GET', first.body.Metadata.NextPageUri.replace('/v1/Accounts/acme', ''))
      assert.deepEqual([sids(second.body), second.body.Metadata.NextPageUri], [newest.slice(2), null])
      const back = await ask('GET', second.body.Metadata.PrevPageUri.replace('/v1/Accounts/acme', ''))
      assert.deepEqual(sids(back.body), newest.slice(0, 2))
      assert.deepEqual(sids((await ask('GET', '/Callbacks.json?Receiver=https://crm.example.com')).body), [newest[1]])
      assert.deepEqual(sids((await ask('GET', `/Callbacks.json?CallSid=${rows[0]?.callId}`)).body), [newest[2]])
      assert.deepEqual(sids((await ask('GET', '/Callbacks.json?State=parked')).body), [])
      const xml = new XMLParser({ parseTagValue: false }).parse((await ask('GET', '/Callbacks')).body)
      assert.deepEqual(
        xml.TwilioResponse.Callbacks.Callback.map((each: { readonly Sid: string }) => each.Sid),
        newest,
      )
    })

    test('one callback with its body; another account’s is not there, nor can it be the place of a page', async () => {
      const [own, foreign] = await enqueue({ body: '{"a":1}' }, { accountId: OTHER })
      assert(own && foreign)
      const { status, body } = await ask('GET', `/Callbacks/${own.id}.json`)
      assert.deepEqual(
        [status, body.Callback.Sid, body.Callback.State, body.Callback.Body, body.Callback.DateDue],
        [200, own.id, 'pending', '{"a":1}', '2026-11-22 09:00:00'],
      )
      for (const id of [foreign.id, 'nothing', 'not-an-id']) {
        for (const [method, path] of [
          ['GET', ''],
          ['POST', '/Replay'],
        ] as const) {
          const refused = await ask(method, `/Callbacks/${id}${path}.json`)
          assert.deepEqual(refused, {
            status: 404,
            body: { RestException: { Status: 404, Message: 'Given callbackSID does not exist. Please check the callbackSID passed' } },
          })
        }
      }
      for (const name of ['Before', 'After']) {
        const refused = await ask('GET', `/Callbacks.json?${name}=${foreign.id}`)
        assert.deepEqual([refused.status, refused.body.RestException.Message], [400, `Invalid Parameter: ${name} is missing or invalid`])
      }
    })

    test('[C27] a parked callback is replayed once; one that waits or was delivered is refused and stays as it is', async () => {
      const [row] = await enqueue({})
      assert(row)
      await park()
      now = T0 + 60_000
      const replayed = await ask('POST', `/Callbacks/${row.id}/Replay.json`)
      assert.deepEqual([replayed.status, replayed.body.Callback.State, replayed.body.Callback.DateDue], [200, 'pending', '2026-11-22 09:01:00'])
      const again = await ask('POST', `/Callbacks/${row.id}/Replay.json`)
      assert.deepEqual([again.status, again.body.RestException.Message], [409, 'Callback cannot be replayed: only a parked one can'])
    })

    test('all parked ones of this account, or of one receiver, are replayed; others’ stay', async () => {
      await enqueue({}, {}, { url: 'https://crm.example.com/x' }, { accountId: OTHER })
      await park()
      now = T0 + 1
      assert.deepEqual((await ask('POST', '/Callbacks/Replay.json', { Receiver: 'https://crm.example.com/any' })).body, {
        Replay: { Replayed: 1, Remaining: 0 },
      })
      assert.deepEqual((await ask('POST', '/Callbacks/Replay.json')).body, { Replay: { Replayed: 2, Remaining: 0 } })
      assert.deepEqual((await ask('POST', '/Callbacks/Replay.json')).body, { Replay: { Replayed: 0, Remaining: 0 } })
      assert.equal((await ask('POST', '/Callbacks/Replay.json', { Receiver: 'crm.example.com' })).status, 400)
      assert.equal((await ask('GET', '/Callbacks.json?State=parked', null, OTHER)).body.Metadata.Total, 1)
      assert.equal((await ask('GET', '/Callbacks/Replay.json')).status, 405)
    })

    test('one request replays up to a limit, and says what it left', async () => {
      await opened.database.sql.query(
        `insert into callback (id, account_id, call_id, event, order_key, url, receiver, content_type, body, created_at, due_at, state, settled_at)
         select 'b' || n, 'acme', 'c', 'terminal', 'k' || n, 'http://h/', 'http://h', 'application/json', '{}', $1, $1, 'parked', $1 from generate_series(1, $2::integer) n`,
        [new Date(T0), MAX_REPLAYED + 7],
      )
      now = T0 + 1
      assert.deepEqual((await ask('POST', '/Callbacks/Replay.json')).body, { Replay: { Replayed: MAX_REPLAYED, Remaining: 7 } })
      assert.deepEqual((await ask('POST', '/Callbacks/Replay.json')).body, { Replay: { Replayed: 7, Remaining: 0 } })
    })

    test('[C28] a secret is shown by its rotation and never again, and neither secret nor fingerprint is in the log', async () => {
      const before = (await ask('GET', '/CallbackSecret.json')).body.CallbackSecret
      assert.deepEqual([before.Source, before.PreviousFingerprint, 'Secret' in before], ['data', null, false])
      const { status, body } = await ask('POST', '/CallbackSecret/Rotate.json', { KeepHours: '2' })
      const { Secret, ...state } = body.CallbackSecret
      assert.equal(status, 200)
      assert.ok(isSecret(Secret))
      assert.deepEqual(state, {
        Fingerprint: fingerprintOf(Secret),
        Source: 'data',
        DateCreated: '2026-11-22 09:00:00',
        PreviousFingerprint: before.Fingerprint,
        PreviousUntil: '2026-11-22 11:00:00',
      })
      assert.deepEqual((await ask('GET', '/CallbackSecret.json')).body, { CallbackSecret: state })
      assert.equal((await ask('POST', '/CallbackSecret/Rotate.json', { KeepHours: 'x' })).status, 400)
      assert.deepEqual((await ask('GET', '/CallbackSecret.json')).body, { CallbackSecret: state }, 'and nothing moved')
      assert.notEqual((await ask('GET', '/CallbackSecret.json', null, OTHER)).body.CallbackSecret.Fingerprint, state.Fingerprint)
      assert.ok(logged.length > 0)
      assert.doesNotMatch(logged.join(), new RegExp(`whsec_|${fingerprintOf(Secret)}`))
    })

    test('[C28] a secret of the configuration is not rotated by the API', async () => {
      const { status, body } = await ask('POST', '/CallbackSecret/Rotate.json', {}, FIXED)
      assert.deepEqual([status, body.RestException.Message], [409, 'Callback secret cannot be rotated: the configuration of the server names it'])
      assert.equal((await ask('GET', '/CallbackSecret.json', null, FIXED)).body.CallbackSecret.Fingerprint, fingerprintOf(SECRET))
    })
  })
}
