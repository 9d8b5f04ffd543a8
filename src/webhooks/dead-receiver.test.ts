/** A receiver that takes connections and never answers, with a long backlog, beside one that lives: on real sockets and the real clock. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openTestDatabase, silent, type TestDatabase, testServers } from '../../test/database.ts'
import { eventually } from '../../test/eventually.ts'
import { sampleCall, sampleCallback } from '../../test/sample-calls.ts'
import { saveCall } from '../store/calls.ts'
import { listPauses } from '../store/outbox/pauses.ts'
import { CALLBACK_CHANNEL } from '../store/outbox/rows.ts'
import { FAILURES_TO_OPEN } from './breaker.ts'
import { newSecret } from './signature.ts'
import { makeWebhookWorker } from './worker.ts'

const BACKLOG = 10_000
const PER_RECEIVER = 8
const TIMEOUT_MS = 6_000
const BATCHES = 70
/** So many of the backlog are waited for when the receiver is back. */
const AWAITED = 1_000
const BATCH = 5
const SECRET = newSecret()

async function openReceiver(answer: (response: ServerResponse) => void) {
  const received = new Map<string, number>()
  let respond = answer
  const server = createServer((request, response) => {
    received.set(String(request.headers['webhook-id']), Date.now())
    request.resume().on('end', () => respond(response))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise((done) => server.close(done))
  }
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, received, close, revive: () => void (respond = (response) => void response.end()) }
}

for (const kind of testServers()) {
  describe(`a dead receiver beside a live one, on the ${kind} PostgreSQL`, () => {
    let opened: TestDatabase
    before(async () => {
      opened = await openTestDatabase(kind)
    })
    after(() => opened.close())

    test(`[C27] ${BACKLOG} callbacks for a receiver that never answers delay no other, cost a handful of attempts, and go out when it is back`, async (context) => {
      const { sql } = opened.database
      const [dead, live] = [await openReceiver(() => {}), await openReceiver((response) => void response.end())]
      await sql.query(
        `insert into callback (id, account_id, call_id, event, order_key, url, receiver, content_type, body, created_at, due_at)
         select 'b' || n, 'a', 'c', 'terminal', 'k' || n / 2, $2::text || '/', $2, 'application/json', '{}', $1, $1 from generate_series(1, $3::integer) n`,
        [new Date(), dead.url, BACKLOG],
      )
      const events: string[] = []
      const log = {
        ...silent,
        info: (fields: object) => void events.push(JSON.stringify(fields)),
        warn: (fields: object) => void events.push(JSON.stringify(fields)),
      }
      const terms = {
        database: opened.database,
        node: 'here',
        allow: ['127.0.0.1'],
        secretsOf: async () => [SECRET],
        chance: () => 0.5,
        now: Date.now,
      }
      const worker = makeWebhookWorker({ ...terms, timeoutMs: TIMEOUT_MS, perReceiver: PER_RECEIVER, log })
      context.after(async () => {
        await Promise.all([dead.close(), live.close()])
        await worker.stop()
      })
      await worker.start()
      const sentAt = new Map<string, number>()
      for (let n = 0; n < BATCHES; n += 1) {
        const callbacks = Array.from({ length: BATCH }, () => sampleCallback({ url: `${live.url}/hook`, createdAt: Date.now() }))
        await saveCall(sql, { call: sampleCall(), node: 'n', callbacks, idempotency: null })
        for (const { id } of callbacks) sentAt.set(id, Date.now())
        await sleep(100)
      }
      await eventually('every callback of the live one', () => live.received.size === BATCHES * BATCH)
      await eventually('the dead one is paused', () => worker.pausedReceivers() === 1)
      const lags = [...sentAt].map(([id, at]) => (live.received.get(id) ?? Number.POSITIVE_INFINITY) - at).sort((a, b) => a - b)
      context.diagnostic(`lag of ${lags.length} beside the dead one: median ${lags[lags.length >> 1]} ms, worst ${lags.at(-1)} ms`)
      assert((lags.at(-1) ?? 0) < TIMEOUT_MS / 2, 'not even one waited for a time-out of the other')

      assert.equal(worker.pausedReceivers(), 1)
      await eventually('that is written down', async () => (await listPauses(sql, 10)).length === 1)
      const [pause] = await listPauses(sql, 10)
      assert.deepEqual(
        [pause?.receiver, pause?.node, pause?.lastError, pause?.pending],
        [dead.url, 'here', `no answer within ${TIMEOUT_MS} ms`, BACKLOG],
      )
      assert.equal(events.filter((line) => line.includes('callback-receiver-paused')).length, 1)
      const [facts] = await sql.query<{ attempts: number; parked: number }>(
        `select sum(attempts)::integer as attempts, count(*) filter (where state = 'parked')::integer as parked from callback where receiver = $1`,
        [dead.url],
      )
      assert(facts)
      assert.equal(facts.parked, 0)
      // Those that were under way when it was paused, and the trials since, of which a slow machine sees more.
      assert(facts.attempts >= FAILURES_TO_OPEN && facts.attempts <= 2 * PER_RECEIVER, `${facts.attempts} attempts`)
      assert.equal(dead.received.size, facts.attempts)

      dead.revive()
      // As a replay does: somebody who knows that it is back need not wait for the pause to end.
      await sql.query('select pg_notify($1, $2)', [CALLBACK_CHANNEL, dead.url])
      await eventually('the receiver is found to be back', () => worker.pausedReceivers() === 0, 10_000)
      await eventually('its backlog goes out', () => dead.received.size > AWAITED, 60_000)
      await worker.stop()
      assert.deepEqual(await listPauses(sql, 10), [])
      assert.equal(events.filter((line) => line.includes('callback-receiver-resumed')).length, 1)
    })
  })
}
