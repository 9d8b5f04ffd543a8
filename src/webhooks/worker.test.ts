import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Webhook } from 'standardwebhooks'
import { openTestDatabase, silent, type TestDatabase, testServers } from '../../test/database.ts'
import { eventually } from '../../test/eventually.ts'
import { ACCOUNT, sampleCall, sampleCallback, T0 } from '../../test/sample-calls.ts'
import { saveCall } from '../store/calls.ts'
import type { Database, Log, Sql } from '../store/database.ts'
import { claimCallbacks } from '../store/outbox/delivery.ts'
import { loadCallback, replayCallback } from '../store/outbox/log.ts'
import type { CallbackRow } from '../store/outbox/rows.ts'
import { DEFAULT_SCHEDULE } from './schedule.ts'
import { newSecret } from './signature.ts'
import { makeWebhookWorker, type WebhookWorker, type WebhookWorkerOptions } from './worker.ts'

const SECRET = newSecret()
const LEASE_MS = 15_000 + 15_000

interface Request {
  readonly id: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

type Respond = (response: ServerResponse, request: Request) => void
const status =
  (code: number): Respond =>
  (response) =>
    void response.writeHead(code).end('thanks')
const never: Respond = () => {}

async function openReceiver() {
  const requests: Request[] = []
  let respond: Respond = status(200)
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const { headers, url: path = '' } = incoming
      const request: Request = { id: String(headers['webhook-id']), path, headers, body: Buffer.concat(chunks).toString() }
      requests.push(request)
      respond(response, request)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/hook`,
    requests,
    answer: (next: Respond) => void (respond = next),
    close: async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}
type Receiver = Awaited<ReturnType<typeof openReceiver>>

for (const server of testServers()) {
  describe(`the webhook worker on the ${server} PostgreSQL`, () => {
    let opened: TestDatabase
    let sql: Sql
    let receiver: Receiver
    let clock = T0
    let worker: WebhookWorker | null = null
    before(async () => {
      opened = await openTestDatabase(server)
      sql = opened.database.sql
    })
    beforeEach(async () => {
      clock = T0
      receiver = await openReceiver()
      await sql.query('truncate callback')
    })
    afterEach(async () => {
      await worker?.stop()
      worker = null
      await receiver.close()
    })
    after(() => opened.close())

    const makeOptions = (change: Partial<WebhookWorkerOptions> = {}): WebhookWorkerOptions => ({
      database: opened.database,
      node: 'here',
      allow: ['127.0.0.1'],
      secretsOf: async () => [SECRET],
      chance: () => 0.5,
      now: () => clock,
      log: silent,
      ...change,
    })
    const start = async (change: Partial<WebhookWorkerOptions> = {}): Promise<WebhookWorker> => {
      worker = makeWebhookWorker(makeOptions(change))
      await worker.start()
      return worker
    }
    const enqueue = async (...changes: readonly Partial<CallbackRow>[]): Promise<readonly CallbackRow[]> => {
      const callbacks = changes.map((change) => sampleCallback({ url: receiver.url, createdAt: clock, ...change }))
      await saveCall(sql, { call: sampleCall(), node: 'n', callbacks, evidence: [], idempotency: null })
      return callbacks
    }
    const states = async (): Promise<Record<string, number>> => {
      const rows = await sql.query<{ state: string; count: string }>('select state, count(*) from callback group by state order by state')
      return Object.fromEntries(rows.map((row) => [row.state, Number(row.count)]))
    }
    const stateOf = async (
      id: string,
    ): Promise<{
      readonly state: string
      readonly attempts: number
      readonly last_status: number | null
      readonly last_error: string | null
      readonly due_at: Date
    }> => {
      const [row] = await sql.query<Awaited<ReturnType<typeof stateOf>>>(
        'select state, attempts, last_status, last_error, due_at from callback where id = $1',
        [id],
      )
      assert(row)
      return row
    }
    const settled = (attempts: number, id: string) =>
      eventually(`attempt ${attempts}`, async () => {
        const row = await stateOf(id)
        return row.attempts === attempts && (row.last_status !== null || row.last_error !== null)
      })

    test('[C26] a callback is POSTed as it was frozen, as soon as it is saved', async () => {
      await start()
      const [row] = await enqueue({ contentType: 'multipart/form-data; boundary=b', body: '--b--\r\nü' })
      await eventually('delivery', async () => (await states()).delivered === 1)
      const [request] = receiver.requests
      assert.equal(request?.body, row?.body)
      assert.equal(request?.headers['content-type'], row?.contentType)
      assert.equal(request?.headers['user-agent'], 'Earshot')
      assert.equal(receiver.requests.length, 1)
    })

    test('[C28] every attempt carries the same webhook-id and a signature that customers’ libraries accept', async () => {
      clock = Date.now()
      receiver.answer(status(500))
      const running = await start()
      const [row] = await enqueue({ body: '{"a":"ü"}' })
      assert(row)
      await settled(1, row.id)
      clock += 5_000
      receiver.answer(status(204))
      running.kick()
      await eventually('delivery', async () => (await states()).delivered === 1)
      const verifier = new Webhook(SECRET)
      for (const { headers, body } of receiver.requests) assert.deepEqual(verifier.verify(body, headers as Record<string, string>), { a: 'ü' })
      assert.deepEqual(
        receiver.requests.map((request) => request.id),
        [row.id, row.id],
      )
      const [first, second] = receiver.requests.map((request) => Number(request.headers['webhook-timestamp']))
      assert.equal((second ?? 0) - (first ?? 0), 5)
    })

    test('[C27] without a 2xx it is tried again by the schedule, then parked and visible; a replay delivers it', async () => {
      receiver.answer(status(503))
      const running = await start()
      const [row] = await enqueue({})
      assert(row)
      for (const [index, delayMs] of DEFAULT_SCHEDULE.entries()) {
        await eventually(`attempt ${index + 1}`, async () => (await stateOf(row.id)).due_at.getTime() === clock + delayMs)
        clock += delayMs - 1
        running.kick()
        assert.equal(receiver.requests.length, index + 1)
        clock += 1
        running.kick()
      }
      await eventually('parking', async () => (await states()).parked === 1)
      assert.equal(receiver.requests.length, 7)
      const parked = await loadCallback(sql, ACCOUNT, row.id)
      assert.deepEqual([parked?.id, parked?.attempts, parked?.lastStatus, parked?.lastError], [row.id, 7, 503, 'HTTP 503 thanks'])
      receiver.answer(status(200))
      await replayCallback(sql, ACCOUNT, row.id, clock)
      await eventually('delivery', async () => (await states()).delivered === 1)
      assert.equal(receiver.requests[7]?.id, row.id)
    })

    test('[C27] callbacks of one leg arrive in order, also when the first needs several attempts', async () => {
      receiver.answer((response, { body }) =>
        status(body === 'first' && receiver.requests.length < 3 ? 500 : 200)(response, receiver.requests[0] as Request),
      )
      const running = await start()
      const [first] = await enqueue({ orderKey: 'leg', body: 'first' }, { orderKey: 'leg', body: 'second' }, { orderKey: 'leg', body: 'third' })
      assert(first)
      for (const delayMs of DEFAULT_SCHEDULE.slice(0, 2)) {
        await eventually('a failed attempt', async () => (await stateOf(first.id)).due_at.getTime() === clock + delayMs)
        clock += 3_600_000
        running.kick()
      }
      await eventually('delivery', async () => (await states()).delivered === 3)
      assert.deepEqual(
        receiver.requests.map((request) => request.body),
        ['first', 'first', 'first', 'second', 'third'],
      )
    })

    test('[C27] a receiver that does not answer in time has failed', async () => {
      receiver.answer(never)
      await start({ timeoutMs: 100 })
      const [row] = await enqueue({})
      assert(row)
      await settled(1, row.id)
      const { state, last_error } = await stateOf(row.id)
      assert.deepEqual([state, last_error], ['pending', 'no answer within 100 ms'])
    })

    test('[C27] a 2xx is success whatever follows it: an endless body, a reset', async () => {
      let writing: NodeJS.Timeout | undefined
      receiver.answer((response, { body }) => {
        response.writeHead(200)
        if (body === 'reset') {
          response.write('x')
          setImmediate(() => response.destroy())
        } else {
          writing = setInterval(() => response.write('x'.repeat(65536)), 1)
        }
      })
      await start({ timeoutMs: 1000 })
      await enqueue({ body: 'endless' }, { body: 'reset' })
      await eventually('delivery', async () => (await states()).delivered === 2)
      clearInterval(writing)
    })

    test('[C29] a redirect is not followed', async () => {
      const elsewhere = await openReceiver()
      for (const code of [301, 302, 303, 307, 308]) {
        receiver.answer((response) => void response.writeHead(code, { location: elsewhere.url }).end())
        if (worker === null) await start()
        const [row] = await enqueue({})
        assert(row)
        await settled(1, row.id)
        assert.equal((await stateOf(row.id)).last_status, code)
      }
      assert.equal(elsewhere.requests.length, 0)
      await elsewhere.close()
    })

    test('[C29] a refused address follows the schedule, and its record says why', async () => {
      await start({ allow: [] })
      const [row] = await enqueue({})
      assert(row)
      await settled(1, row.id)
      const { state, last_status, last_error } = await stateOf(row.id)
      assert.deepEqual([state, last_status], ['pending', null])
      assert.match(last_error ?? '', /^address refused: 127\.0\.0\.1 port \d+ is not a public address/)
      assert.equal(receiver.requests.length, 0)
    })

    test('a network failure says which, and neither credentials, queries nor answers reach the log', async () => {
      const lines: string[] = []
      const note = (...said: readonly unknown[]): void => void lines.push(JSON.stringify(said))
      const log: Log = { info: note, warn: note, error: note }
      const gone = await openReceiver()
      await gone.close()
      receiver.answer((response) => void response.writeHead(500).end('+919876543210'))
      await start({ log })
      const secretly = (url: string): string => url.replace('http://', 'http://user:p%40ss@').concat('?to=9876543210')
      const [answered, refused] = await enqueue({ url: secretly(receiver.url) }, { url: secretly(gone.url) })
      assert(answered && refused)
      await settled(1, answered.id)
      await settled(1, refused.id)
      assert.match((await stateOf(refused.id)).last_error ?? '', /ECONNREFUSED/)
      assert.equal(receiver.requests[0]?.headers.authorization, `Basic ${Buffer.from('user:p@ss').toString('base64')}`)
      assert.equal(receiver.requests[0]?.path, '/hook?to=9876543210')
      assert.equal(lines.length, 2)
      assert.doesNotMatch(lines.join(), /9876543210|user|p%40ss|p@ss|to=|whsec/)
    })

    test('a receiver that hangs does not hold up the others', async () => {
      const slow = await openReceiver()
      slow.answer(never)
      await start({ concurrency: 6, perReceiver: 4 })
      await enqueue(...Array.from({ length: 20 }, () => ({ url: slow.url })), ...Array.from({ length: 20 }, () => ({})))
      await eventually('the others', async () => (await states()).delivered === 20)
      assert.equal(slow.requests.length, 4)
      await slow.close()
    })

    test('several workers deliver every callback once', async () => {
      const second = makeWebhookWorker(makeOptions())
      await second.start()
      await start()
      const rows = (await Promise.all(Array.from({ length: 20 }, () => enqueue(...Array.from({ length: 10 }, () => ({})))))).flat()
      await eventually('delivery', async () => (await states()).delivered === 200)
      await second.stop()
      assert.deepEqual(receiver.requests.map((request) => request.id).sort(), rows.map((row) => row.id).sort())
    })

    test('[C27] when any single query fails, every callback is still delivered', async () => {
      for (let n = 1; n <= 8; n += 1) {
        await sql.query('truncate callback')
        receiver.requests.length = 0
        let queries = 0
        const faulty: Database = {
          ...opened.database,
          sql: {
            query: async (...args) => {
              queries += 1
              if (queries === n) throw new Error('the database went away')
              return sql.query(...args)
            },
          },
        }
        const running = await start({ database: faulty })
        const rows = await enqueue({ orderKey: 'leg' }, { orderKey: 'leg' }, {})
        for (let tries = 0; (await states()).delivered !== 3; tries += 1) {
          assert(tries < 200, `nothing may be lost by fault ${n}`)
          await sleep(5)
          if (tries % 20 < 19) continue
          clock += LEASE_MS
          running.kick()
        }
        const sent = new Set(receiver.requests.map((request) => request.id))
        assert.deepEqual([...sent].sort(), rows.map((row) => row.id).sort())
        await running.stop()
      }
    })

    test('stop delivers what is due, waits for what is under way, and begins nothing after', async () => {
      receiver.answer((response) => void setTimeout(() => response.writeHead(200).end(), 50))
      const running = await start({ perReceiver: 2 })
      await enqueue({}, {}, {}, { orderKey: 'leg' }, { orderKey: 'leg' })
      await running.stop()
      assert.deepEqual(await states(), { delivered: 5 })
      await enqueue({})
      running.kick()
      await running.stop()
      assert.deepEqual(await states(), { delivered: 5, pending: 1 })
    })

    test('stop cuts off what takes longer than a time-out; it is due again', async () => {
      receiver.answer(never)
      const running = await start({ timeoutMs: 150 })
      await enqueue({})
      await eventually('the attempt', () => receiver.requests.length === 1)
      await running.stop()
      assert.deepEqual(await states(), { pending: 1 })
    })

    test('[C27] a worker that is killed in the middle of an attempt loses nothing: another sends it again when the lease ends, its own next start at once, with the same id', async () => {
      receiver.answer(never)
      const [row] = await enqueue({})
      const at = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href)
      const code = `
        import { openDatabase } from ${at('../store/database.ts')}
        import { makeWebhookWorker } from ${at('./worker.ts')}
        const log = { info() {}, warn() {}, error() {} }
        const database = await openDatabase({ data: ${JSON.stringify(opened.url)}, log })
        await makeWebhookWorker({ database, node: 'killed', allow: ['127.0.0.1'], secretsOf: async () => [${JSON.stringify(SECRET)}], chance: () => 0.5, now: () => ${clock}, log }).start()`
      const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'ignore', 'inherit'] })
      await eventually('the first attempt', () => receiver.requests.length === 1)
      child.kill('SIGKILL')
      await once(child, 'close')
      receiver.answer(status(200))
      const running = await start()
      assert.deepEqual(await states(), { pending: 1 })
      clock += LEASE_MS
      running.kick()
      await eventually('delivery', async () => (await states()).delivered === 1)
      assert.deepEqual(
        receiver.requests.map((request) => request.id),
        [row?.id, row?.id],
      )
    })

    test('[C27] what a node was sending when it died is sent by its next start without waiting for the lease', async () => {
      const [row] = await enqueue({})
      await claimCallbacks(opened.database.sql, { node: 'here', now: clock, leaseMs: LEASE_MS, limit: 1, perReceiver: 1, taken: new Map() })
      await start({ node: 'elsewhere' })
      assert.equal(receiver.requests.length, 0)
      await worker?.stop()
      await start()
      await eventually('delivery', async () => (await states()).delivered === 1)
      assert.deepEqual(
        receiver.requests.map((request) => request.id),
        [row?.id],
      )
    })
  })
}
