/** Two servers that are started at the same moment on the same data: one runs, the other one says why not, and nothing is harmed. */
import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from '../src/config.ts'
import { makeLog } from '../src/log.ts'
import { type House, startHouse } from '../src/main.ts'
import { openDatabase } from '../src/store/database.ts'
import { openTestDatabase, silent, testServers } from './database.ts'
import { freePort } from './free-port.ts'

const REFUSAL = /^(?:Another Earshot runs on this database as node "main"|The data folder .* is in use by another Earshot)/

async function start(place: string, data: string): Promise<House> {
  const file = join(place, `${crypto.randomUUID()}.yaml`)
  const [http, sip, rtp] = [await freePort(), await freePort(), 20_000 + 2 * Math.floor(Math.random() * 5_000)]
  await writeFile(
    file,
    `data: "${data}"\nhttp: {port: ${http}}\nsip: {host: 127.0.0.1, port: ${sip}}\nrtp: {portMin: ${rtp}, portMax: ${rtp + 998}}
accounts: [{sid: acme, keys: [{key: k, token: 0123456789abcdef}]}]\n`,
  )
  return startHouse(loadConfig(file, {}), makeLog({ level: 'error', plain: false, write: () => {} }))
}

for (const server of testServers()) {
  test(`of two servers that start at once on an empty database (${server}) one runs and the other says why not; after it a third one does`, async () => {
    const place = await mkdtemp(join(tmpdir(), 'earshot-two-'))
    await chmod(place, 0o711)
    const given = server === 'oldest' ? await openTestDatabase('oldest') : null
    try {
      const data = given?.url ?? join(place, 'data')
      await given?.database.sql.query('drop schema public cascade')
      await given?.database.sql.query('create schema public')
      const started = await Promise.allSettled([start(place, data), start(place, data)])
      const houses = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
      const refusals = started.flatMap((one) => (one.status === 'rejected' ? [String(one.reason.message)] : []))
      assert.deepEqual([houses.length, refusals.length], [1, 1], refusals.join('\n'))
      assert.match(refusals[0] ?? '', REFUSAL)
      await houses[0]?.stop()
      await (await start(place, data)).stop()
      const database = await openDatabase({ data, log: silent })
      assert.deepEqual(database.steps, { made: [], pending: [] })
      await database.close()
    } finally {
      await given?.close()
      await rm(place, { recursive: true, force: true, maxRetries: 5 })
    }
  })
}
