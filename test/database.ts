/**
 * A fresh, migrated database for a test:
 *
 *   const { database, close } = await openTestDatabase()   // `close()` in `after`
 *
 * One server per process and kind, without fsync, in the temporary folder; it goes when the process ends. The embedded one is reached
 * by its socket, PostgreSQL 15 by TCP and with a password.
 */
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Database, type Log, openDatabase } from '../src/store/database.ts'
import { startEmbedded } from '../src/store/embedded/server.ts'
import { postgresMissing, startPostgres } from './postgres.ts'

export interface TestDatabase {
  readonly database: Database
  /** For a second connection of its own, or another process: `openDatabase({data: url})`. */
  readonly url: string
  /** Ends the connections and drops the database. */
  close(): Promise<void>
}

/** Which PostgreSQL: the one that ships with Earshot, or the oldest that production may use. */
export type TestServer = 'embedded' | 'oldest'

export const silent: Log = { info: () => {}, warn: () => {}, error: () => {} }

const PREFIX = 'earshot-test-'
const TEMPLATE = 'earshot_template'

/** The servers that tests of SQL run on: both where PostgreSQL 15 is installed. */
export const testServers = (): readonly TestServer[] => (postgresMissing() === null ? ['embedded', 'oldest'] : ['embedded'])

/** Where tests run that do not say it: on the embedded one, unless `EARSHOT_TEST_DATABASE=oldest` (see `test/oldest/`). */
export const usualServer = (): TestServer => (process.env.EARSHOT_TEST_DATABASE === 'oldest' ? 'oldest' : 'embedded')

/** The address of a database on a server that runs. */
type UrlOf = (database: string) => string

const servers = new Map<TestServer, Promise<UrlOf>>()
let databases = 0

/** The first in a process starts a server (about a second), each further one takes about 100 ms. */
export async function openTestDatabase(kind: TestServer = usualServer()): Promise<TestDatabase> {
  const starting = servers.get(kind) ?? startTestServer(kind)
  servers.set(kind, starting)
  const urlOf = await starting
  databases += 1
  const name = `test_${databases}`
  await administer(urlOf, `create database ${name} template ${TEMPLATE}`)
  const url = urlOf(name)
  const database = await openDatabase({ data: url, log: silent })
  const close = async (): Promise<void> => {
    await database.close()
    await administer(urlOf, `drop database ${name} with (force)`)
  }
  return { database, url, close }
}

async function startTestServer(kind: TestServer): Promise<UrlOf> {
  sweep()
  const parent = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`))
  // The server's user must be able to pass; what is inside is for that user alone.
  chmodSync(parent, 0o711)
  process.once('exit', () => discard(parent))
  const urlOf = await (kind === 'oldest' ? startOldest(parent) : startOwn(parent))
  await administer(urlOf, `create database ${TEMPLATE}`)
  const template = await openDatabase({ data: urlOf(TEMPLATE), log: silent })
  await template.close()
  return urlOf
}

const startOldest = async (parent: string): Promise<UrlOf> => (await startPostgres({ parent, durable: false })).urlOf

async function startOwn(parent: string): Promise<UrlOf> {
  const { user, socketFolder, port } = await startEmbedded({ folder: join(parent, 'data'), log: silent, durable: false })
  return (database) => `postgres://${user}@/${database}?host=${encodeURIComponent(socketFolder)}&port=${port}`
}

async function administer(urlOf: UrlOf, statement: string): Promise<void> {
  const { default: pg } = await import('pg')
  const client = new pg.Client({ connectionString: urlOf('postgres') })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

/** Servers whose test process was killed. */
function sweep(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1]
    if (pid !== undefined && !signal(Number(pid), 0)) discard(join(tmpdir(), name))
  }
}

/** Nothing in it is worth a clean shutdown. */
function discard(parent: string): void {
  try {
    const pid = Number(readFileSync(join(parent, 'data/postgres/postmaster.pid'), 'utf8').split('\n')[0])
    const serves = (): boolean => pid > 0 && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(parent)
    if (serves()) signal(pid, 'SIGQUIT')
    for (let waits = 0; waits < 200 && serves(); waits += 1) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
  } catch {
    // No server, or it is gone already.
  }
  try {
    rmSync(parent, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
  } catch {
    // Another process sweeps it at the same moment, or the server still writes: the next start sweeps again.
  }
}

function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}
