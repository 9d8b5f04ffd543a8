/**
 * A fresh, migrated database for a test:
 *
 *   const { database, close } = await openTestDatabase()   // `close()` in `after`
 *
 * One embedded server per process and kind, without fsync, in the temporary folder; it goes when the process ends.
 */
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Database, type Log, openDatabase } from '../src/store/database.ts'
import { type EmbeddedServer, startEmbedded } from '../src/store/embedded/server.ts'

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

const OLDEST_BINARIES = '/usr/lib/postgresql/15/bin'
const PREFIX = 'earshot-test-'
const TEMPLATE = 'earshot_template'

/** The servers that tests of SQL run on: both where PostgreSQL 15 is installed. */
export function testServers(): readonly TestServer[] {
  try {
    readdirSync(OLDEST_BINARIES)
    return ['embedded', 'oldest']
  } catch {
    return ['embedded']
  }
}

const servers = new Map<TestServer, Promise<EmbeddedServer>>()
let databases = 0

/** The first in a process starts a server (about a second), each further one takes about 100 ms. */
export async function openTestDatabase(kind: TestServer = 'embedded'): Promise<TestDatabase> {
  const starting = servers.get(kind) ?? startTestServer(kind)
  servers.set(kind, starting)
  const server = await starting
  databases += 1
  const name = `test_${databases}`
  await administer(server, `create database ${name} template ${TEMPLATE}`)
  const url = urlOf(server, name)
  const database = await openDatabase({ data: url, log: silent })
  const close = async (): Promise<void> => {
    await database.close()
    await administer(server, `drop database ${name} with (force)`)
  }
  return { database, url, close }
}

const urlOf = (server: EmbeddedServer, name: string): string =>
  `postgres://${server.user}@/${name}?host=${encodeURIComponent(server.socketFolder)}&port=${server.port}`

async function startTestServer(kind: TestServer): Promise<EmbeddedServer> {
  sweep()
  const parent = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`))
  // The server's user must be able to pass; what is inside is for that user alone.
  chmodSync(parent, 0o711)
  const server = await startEmbedded({
    folder: join(parent, 'data'),
    log: silent,
    durable: false,
    ...(kind === 'oldest' ? { binaries: OLDEST_BINARIES } : {}),
  })
  process.once('exit', () => discard(parent))
  await administer(server, `create database ${TEMPLATE}`)
  const template = await openDatabase({ data: urlOf(server, TEMPLATE), log: silent })
  await template.close()
  return server
}

async function administer(server: EmbeddedServer, statement: string): Promise<void> {
  const { default: pg } = await import('pg')
  const client = new pg.Client({ connectionString: urlOf(server, 'postgres') })
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
