/** Backup beside a running server by the command line, and restore on the other kind of database: what the API told before, it tells again. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openBeside } from '../src/store/database.ts'
import { silent, testServers, type TestServer as DatabaseServer } from './database.ts'
import { eventually } from './eventually.ts'
import { KEY, openTestReceiver, openTestServer, type TestServer, TOKEN } from './server.ts'

const PATIENCE_MS = 30_000
const CLI = new URL('../bin/earshot.mjs', import.meta.url).pathname

/** @returns Its exit code and what it said. */
const earshot = (...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> =>
  new Promise((resolve) => {
    execFile(process.execPath, [CLI, ...args], (error, out, err) => resolve({ code: error ? Number(error.code) : 0, out, err }))
  })

/** With an idempotency key. */
async function connect(server: TestServer, key: string, callback: string): Promise<{ readonly sid: string; readonly text: string }> {
  const response = await fetch(`${server.url}/v1/Accounts/acme/Calls/connect.json`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${KEY}:${TOKEN}`).toString('base64')}`, 'idempotency-key': key },
    body: new URLSearchParams({
      From: 'client:priya',
      To: '+919876543210',
      CallerId: '+918012345678',
      StatusCallback: callback,
      StatusCallbackContentType: 'application/json',
      'StatusCallbackEvents[0]': 'terminal',
    }),
  })
  const text = await response.text()
  assert.equal(response.status, 200, text)
  return { sid: JSON.parse(text).Call.Sid, text }
}

async function hangUp(server: TestServer, sid: string): Promise<void> {
  const { body } = await server.request('GET', `/Calls/${sid}/ActiveLegs.json`)
  await server.request('PUT', `/Calls/${sid}/Legs/${body.Legs[0]?.Sid}.json`, { Action: 'hangup' })
  await eventually(
    'the call is over',
    async () => (await server.request('GET', `/Calls/${sid}.json`)).body.Call.Status !== 'in-progress',
    PATIENCE_MS,
  )
}

const parked = async (server: TestServer): Promise<number> => {
  const database = await openBeside({ data: server.data, log: silent, migrates: false })
  try {
    return (await database.sql.query(`select from callback where state = 'parked'`)).length
  } finally {
    await database.close()
  }
}

const kinds = testServers()
for (const source of kinds) {
  const target: DatabaseServer = kinds.find((kind) => kind !== source) ?? source
  test(`[C19] [C27] a backup of a server that runs (${source}) is restored elsewhere (${target}): calls, keys and parked callbacks are there`, async () => {
    const place = await mkdtemp(join(tmpdir(), 'earshot-backup-'))
    const file = join(place, 'backup.gz')
    const open: { close(): Promise<void> }[] = []
    const kept = <T extends { close(): Promise<void> }>(one: T): T => {
      open.push(one)
      return one
    }
    try {
      const receiver = kept(await openTestReceiver())
      const old = kept(await openTestServer('', {}, { on: source, retrySeconds: [1] }))
      const fresh = kept(await openTestServer('', {}, { on: target, retrySeconds: [1], started: false }))
      await old.phone({ name: 'priya' })
      receiver.answers.push(500, 500)
      const ended = await connect(old, 'first', receiver.url)
      await eventually('both talk', () => old.trunkPhone.current()?.state === 'established', PATIENCE_MS)
      await hangUp(old, ended.sid)
      await eventually('its callback is parked', async () => (await parked(old)) === 1, PATIENCE_MS)
      const live = await connect(old, 'second', receiver.url)
      await eventually('both talk', () => old.trunkPhone.current()?.state === 'established', PATIENCE_MS)
      const before = await old.request('GET', `/Calls/${ended.sid}.json`)

      const made = await earshot('backup', '--to', file, '--config', old.config)
      assert.equal(made.code, 0, made.err)
      assert.match(made.out, /2 call, .* are in .*backup\.gz\.\n$/)
      assert.equal((await stat(file)).mode & 0o777, 0o600)
      assert.match((await earshot('backup', '--to', file, '--config', old.config)).err, /is there already/)
      assert.match((await earshot('restore', '--from', file, '--config', old.config)).err, /There are records already/)
      await old.end('SIGTERM')

      const bad = join(place, 'bad.gz')
      await writeFile(bad, 'no backup')
      assert.match((await earshot('restore', '--from', bad, '--config', fresh.config)).err, /cannot be read|not a backup/)
      const restored = await earshot('restore', '--from', file, '--config', fresh.config, '--json')
      assert.equal(restored.code, 0, restored.err)
      assert.equal(JSON.parse(restored.out).rows.call, 2)
      const told = receiver.received.length
      await fresh.start()
      assert.deepEqual((await fresh.request('GET', `/Calls/${ended.sid}.json`)).body, before.body)
      assert.equal((await fresh.request('GET', `/Calls/${live.sid}.json`)).body.Call.Status, 'failed', 'it was live in the backup')
      assert.equal((await connect(fresh, 'first', receiver.url)).text, ended.text, 'a repeated request gets the first answer')
      await eventually('the call that was live is called back', () =>
        receiver.received.slice(told).some(({ body }) => JSON.parse(body).CallSid === live.sid),
      )
      assert.equal(await parked(fresh), 1)
    } finally {
      for (const one of open.reverse()) await one.close()
      await rm(place, { recursive: true, force: true })
    }
  })
}
