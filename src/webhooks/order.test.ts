/**
 * Several workers on one database, receivers that fail as they like, workers that die with claims in their hands: whatever happens, what a
 * leg has to say arrives in order, and all of it.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openTestDatabase, silent, type TestDatabase, testServers } from '../../test/database.ts'
import { sampleCall, sampleCallback, T0 } from '../../test/sample-calls.ts'
import { saveCall } from '../store/calls.ts'
import { type Database, openDatabase } from '../store/database.ts'
import { claimCallbacks } from '../store/outbox/delivery.ts'
import { newSecret } from './signature.ts'
import { makeWebhookWorker, type WebhookWorker } from './worker.ts'

const SECRET = newSecret()
const WORKERS = 4
const LEGS = 40
const PER_LEG = 3
const TIMEOUT_MS = 1_000
/** As `worker.ts` has it: a time-out and its margin. */
const LEASE_MS = TIMEOUT_MS + 15_000
const PATIENCE_MS = 60_000

/** Chance that can be had again: mulberry32. */
function chanceOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** One who answers well, fails, hangs, or breaks off, and remembers what was accepted, in the order of arrival. */
async function openFickle(chance: () => number, failing: () => number) {
  const accepted: string[] = []
  let requests = 0
  /** What an earlier callback of the leg had not been accepted before. */
  const early: string[] = []
  const server = createServer((request, response) => {
    const id = String(request.headers['webhook-id'])
    requests += 1
    request.resume().on('end', () => {
      const [leg = '', place = ''] = id.split('x')
      for (let n = 0; n < Number(place); n += 1) if (!accepted.includes(`${leg}x${n}`)) early.push(id)
      const luck = chance()
      if (luck >= failing()) {
        accepted.push(id)
        // Sometimes the answer is lost after the work was done: it comes again.
        if (chance() < 0.03) request.socket.destroy()
        else setTimeout(() => response.writeHead(200).end(), chance() * 5)
      } else if (luck < failing() / 4) request.socket.destroy()
      else if (luck > failing() * 0.98)
        return // hangs
      else response.writeHead(luck < failing() / 2 ? 503 : 404).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise((done) => server.close(done))
  }
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, accepted, early, requests: () => requests, close }
}

for (const server of testServers()) {
  describe(`several workers on the ${server} PostgreSQL`, () => {
    let opened: TestDatabase
    before(async () => {
      opened = await openTestDatabase(server)
    })
    after(() => opened.close())

    for (const seed of [1, 2]) {
      test(`[C27] no callback of a leg arrives before an earlier one, and none is lost, whoever fails or dies (seed ${seed})`, async (context) => {
        const { sql } = opened.database
        await sql.query('truncate callback')
        const chance = chanceOf(seed)
        let failing = 0.4
        const receivers = await Promise.all(Array.from({ length: 3 }, () => openFickle(chance, () => failing)))
        let clock = T0
        const databases: Database[] = []
        const workers: WebhookWorker[] = []
        context.after(async () => {
          for (const worker of workers) await worker.stop()
          for (const database of databases) await database.close()
          for (const receiver of receivers) await receiver.close()
        })
        const openWorker = async (node: string): Promise<WebhookWorker> => {
          const database = await openDatabase({ data: opened.url, log: silent })
          databases.push(database)
          const terms = {
            database,
            node,
            allow: ['127.0.0.1'],
            secretsOf: async () => [SECRET],
            chance,
            timeoutMs: TIMEOUT_MS,
            now: () => clock,
            log: silent,
            concurrency: 24,
          }
          const worker = makeWebhookWorker({ ...terms, schedule: Array.from({ length: 50 }, () => 1_000) })
          await worker.start()
          return worker
        }
        for (let n = 0; n < WORKERS; n += 1) workers.push(await openWorker(`w${n}`))
        for (let place = 0; place < PER_LEG; place += 1) {
          const callbacks = Array.from({ length: LEGS }, (_, leg) =>
            sampleCallback({
              id: `${seed}leg${leg}x${place}`,
              orderKey: `leg${leg}`,
              url: receivers[leg % receivers.length]?.url ?? '',
              createdAt: clock,
            }),
          )
          await saveCall(sql, { call: sampleCall(), node: 'n', callbacks, idempotency: null })
          await sleep(20)
        }
        let [killed, replaced] = [0, 0]
        for (let round = 0, startedAt = performance.now(); ; round += 1) {
          const [left] = await sql.query<{ count: number }>(`select count(*)::integer as count from callback where state <> 'delivered'`)
          if (left?.count === 0) break
          assert(performance.now() - startedAt < PATIENCE_MS, `${left?.count} are left`)
          // One who claims and dies: nobody settles these, and their leases end one day.
          if (round % 5 === 0)
            killed += (await claimCallbacks(sql, { node: 'dead', now: clock, leaseMs: LEASE_MS, limit: 3, perReceiver: 1, taken: new Map() })).length
          // A worker is replaced in the middle of its work by another of its name.
          if (round % 15 === 14) {
            const place = Math.floor(chance() * WORKERS)
            const [gone] = workers.splice(place, 1)
            await gone?.stop()
            workers.push(await openWorker(`w${place}`))
            replaced += 1
          }
          clock += Math.floor(chance() * 6_000)
          if (round > 30) failing = 0.1
          for (const worker of workers) worker.kick()
          await sleep(15)
        }
        const arrived = receivers.flatMap(({ accepted }) => accepted)
        const early = receivers.flatMap((receiver) => receiver.early)
        context.diagnostic(
          `${arrived.length} accepted in ${receivers.reduce((sum, { requests }) => sum + requests(), 0)} requests, ${killed} claims of the dead, ${replaced} workers replaced`,
        )
        assert.deepEqual(early, [])
        assert.equal(new Set(arrived).size, LEGS * PER_LEG)
      })
    }
  })
}
