import assert from 'node:assert/strict'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { openTestDatabase, silent, type TestDatabase, testServers } from '../../test/database.ts'
import { ACCOUNT, sampleCall, sampleCallback } from '../../test/sample-calls.ts'
import { loadCall, saveCall } from './calls.ts'
import { isConnectionLoss, untilCertain } from './connection-loss.ts'
import { type Database, openDatabase } from './database.ts'
import { IdempotencyTaken } from './idempotency.ts'

/** Between Earshot and its database; it can lose an answer, and the connection with it. */
interface Wire {
  readonly url: string
  /** The next request whose bytes hold this text reaches the database, and its answer does not come back. */
  loseAnswerTo(text: string): void
  readonly lost: () => number
  close(): Promise<void>
}

async function openWire(url: string): Promise<Wire> {
  const { hostname, port, searchParams, username, password, pathname } = new URL(url.replace('@/', '@socket/'))
  const folder = searchParams.get('host')
  let wanted: string | null = null
  let lost = 0
  const sockets = new Set<Socket>()
  const server: Server = createServer((near) => {
    const far = folder === null ? connect(Number(port), hostname) : connect(`${folder}/.s.PGSQL.${searchParams.get('port')}`)
    let deaf = false
    for (const socket of [near, far]) sockets.add(socket.on('error', () => {}))
    near.on('data', (bytes) => {
      if (wanted !== null && bytes.includes(wanted)) {
        wanted = null
        deaf = true
      }
      far.write(bytes)
    })
    far.on('data', (bytes) => {
      if (!deaf) return void near.write(bytes)
      // It has answered, so it has done it.
      lost += 1
      near.destroy()
      far.destroy()
    })
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `postgres://${username}${password && `:${password}`}@127.0.0.1:${(server.address() as AddressInfo).port}${pathname}`,
    loseAnswerTo: (text) => void (wanted = text),
    lost: () => lost,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => void server.close(() => resolve()))
    },
  }
}

for (const server of testServers()) {
  describe(`an answer that is lost on its way from the ${server} PostgreSQL`, () => {
    let opened: TestDatabase
    let wire: Wire
    let database: Database
    before(async () => {
      opened = await openTestDatabase(server)
      wire = await openWire(opened.url)
      database = await openDatabase({ data: wire.url, log: silent })
    })
    after(async () => {
      await database.close()
      await wire.close()
      await opened.close()
    })

    test('[C27] [C19] a save is repeated until it is certain; call, callbacks and key are there once', async () => {
      const call = sampleCall()
      const callbacks = [sampleCallback({ callId: call.id }), sampleCallback({ callId: call.id })]
      const idempotency = { accountId: ACCOUNT, key: call.id, fingerprint: 'f', callId: call.id, legId: null, answer: 1, createdAt: 1 }
      const lostBefore = wire.lost()
      wire.loseAnswerTo(call.id)
      await untilCertain(() => saveCall(database.sql, { call, node: 'n', callbacks, idempotency }))
      assert.equal(wire.lost(), lostBefore + 1, 'the first answer was lost')
      assert.deepEqual(await loadCall(database.sql, ACCOUNT, call.id), call)
      const rows = await database.sql.query<{ id: string }>('select id from callback where call_id = $1 order by sequence', [call.id])
      assert.deepEqual(
        rows.map((row) => row.id),
        callbacks.map((callback) => callback.id),
      )
      const other = { ...idempotency, callId: sampleCall().id }
      await assert.rejects(saveCall(database.sql, { call: sampleCall(), node: 'n', callbacks: [], idempotency: other }), IdempotencyTaken)
    })

    test('without patience the loss is told as what it is', async () => {
      const call = sampleCall()
      wire.loseAnswerTo(call.id)
      const save = saveCall(database.sql, { call, node: 'n', callbacks: [], idempotency: null })
      await assert.rejects(save, (error) => isConnectionLoss(error))
    })
  })
}

test('what leaves no doubt is not repeated, and patience ends', async () => {
  let tries = 0
  const fail = (error: Error) => async (): Promise<never> => {
    tries += 1
    throw error
  }
  for (const error of [new Error('the table is full'), Object.assign(new Error('duplicate key'), { code: '23505' })]) {
    tries = 0
    await assert.rejects(untilCertain(fail(error)), error)
    assert.equal(tries, 1)
  }
  for (const error of [
    new Error('Connection terminated unexpectedly'),
    Object.assign(new Error('the database system is starting up'), { code: '57P03' }),
    Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }),
  ]) {
    tries = 0
    await assert.rejects(untilCertain(fail(error), 120), error)
    assert(tries >= 2, `${tries}`)
  }
})
