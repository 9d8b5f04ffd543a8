/**
 * Debian's PostgreSQL 15 as an operator's own server: on a port of 127.0.0.1, with a password, in a folder of its own. Nothing of the
 * cluster that Debian may run is used.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { NOBODY } from '../src/store/embedded/folder.ts'
import { freePort } from './free-port.ts'

export interface Postgres {
  readonly pid: number
  /** The address of one of its databases, as an operator would write it under `data`. */
  urlOf(database: string): string
}

export interface PostgresOptions {
  /** A folder that any user may pass; the cluster is made in `data/postgres` below it. */
  readonly parent: string
  /** False: no fsync. */
  readonly durable: boolean
}

const BINARIES = '/usr/lib/postgresql/15/bin'
const USER = 'earshot'
const START_MS = 60_000
const POLL_MS = 20
/** Another process may take the port before the server does. */
const PORTS_TRIED = 3

/** Why there is none; null when there is. */
export const postgresMissing = (): string | null =>
  existsSync(join(BINARIES, 'postgres')) ? null : 'PostgreSQL 15 is not installed (apt-get install postgresql-15)'

/**
 * Runs the tests of a file once more, on PostgreSQL 15. Without it they are one skipped test with the reason, or, in CI, one that failed.
 * @param file Imports it; its tests use the server of `usualServer()`.
 */
export async function onOldest(file: () => Promise<unknown>): Promise<void> {
  const reason = postgresMissing()
  process.env.EARSHOT_TEST_DATABASE = 'oldest'
  if (reason === null) await file()
  else it('the same on PostgreSQL 15', { skip: process.env.CI === 'true' ? false : reason }, () => assert.fail(reason))
}

/** Whoever starts it ends it, by its pid. @throws Error with the server's last words. */
export async function startPostgres({ parent, durable }: PostgresOptions): Promise<Postgres> {
  const owner = process.getuid?.() === 0 ? NOBODY : null
  const folder = join(parent, 'data')
  const cluster = join(folder, 'postgres')
  const [password, secret] = [crypto.randomUUID(), join(folder, 'password')]
  mkdirSync(folder)
  writeFileSync(secret, password)
  if (owner) for (const path of [folder, secret]) chownSync(path, owner.uid, owner.gid)
  const access = ['-U', USER, '--auth-local=reject', '--auth-host=scram-sha-256', `--pwfile=${secret}`]
  const args = ['-D', cluster, '--encoding=UTF8', '--locale=C', ...access, ...(durable ? [] : ['--no-sync'])]
  const made = spawnSync(join(BINARIES, 'initdb'), args, { ...owner, cwd: folder, encoding: 'utf8' })
  if (made.status !== 0) throw new Error(`initdb: ${made.error?.message ?? made.stderr}`)
  for (let tried = 1; ; tried += 1) {
    const port = await freePort()
    const urlOf = (database: string): string => `postgres://${USER}:${password}@127.0.0.1:${port}/${database}`
    const child = launch({ folder, port, durable, owner })
    if (await isReady(child, urlOf('postgres'))) return { pid: child.pid ?? 0, urlOf }
    if (tried === PORTS_TRIED) throw new Error(`PostgreSQL 15 does not start: ${readFileSync(join(folder, 'log'), 'utf8').slice(-1000)}`)
  }
}

interface Launching {
  readonly folder: string
  readonly port: number
  readonly durable: boolean
  readonly owner: { readonly uid: number; readonly gid: number } | null
}

/** In a session of its own, so that a Ctrl-C meant for the tests does not reach it before they have ended. */
function launch({ folder, port, durable, owner }: Launching): ChildProcess {
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    max_connections: 100,
    timezone: 'UTC',
    logging_collector: 'off',
    // What is written but not flushed outlives the server's processes, only not the machine.
    ...(durable ? {} : { fsync: 'off' }),
  }
  const args = ['-D', join(folder, 'postgres'), ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
  const command = `exec "$0" "$@" >>"${join(folder, 'log')}" 2>&1`
  const child = spawn('sh', ['-c', command, join(BINARIES, 'postgres'), ...args], { ...owner, cwd: folder, detached: true, stdio: 'ignore' })
  child.unref()
  return child
}

async function isReady(child: ChildProcess, url: string): Promise<boolean> {
  for (const until = performance.now() + START_MS; performance.now() < until; await sleep(POLL_MS)) {
    if (child.exitCode !== null || child.signalCode !== null) return false
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => {})
    const answered = await client.connect().then(
      () => true,
      () => false,
    )
    await client.end().catch(() => {})
    if (answered) return true
  }
  child.kill('SIGKILL')
  return false
}
