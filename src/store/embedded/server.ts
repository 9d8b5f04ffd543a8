/**
 * A private PostgreSQL server as a child process, for one Earshot on one machine. It listens on a unix socket in a
 * folder that only its user may enter, and on no network.
 *
 * One Earshot per folder (`hold.ts`), and one per server: a session of its own holds an advisory lock as long as we live, which also says
 * to others which server is whose. A server that runs without that lock is an orphan (its Earshot was killed); it is stopped and a new one is started, so that there is one way
 * to run and PostgreSQL recovers from its log when it must.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chown, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { Log } from '../database.ts'
import { type Binaries, findBinaries, type Owner } from './binaries.ts'
import { FolderInUse, type Hold, holdFolder } from './hold.ts'
import { clientOf, type DataFolder, type LockFile, LOCK_KEY, majorOf, PORT, prepareFolder, readLockFile, type ServerAddress, USER } from './folder.ts'

export interface EmbeddedOptions {
  readonly folder: string
  readonly log: Log
  /** Binaries to use instead of the ones that would be found. */
  readonly binaries?: string
  /** False: no fsync, for tests. */
  readonly durable?: boolean
}

export interface EmbeddedServer extends ServerAddress {
  /** Of the server process now running. */
  pid(): number | null
  /** Stops the server; committed data is on disk. */
  close(): Promise<void>
}

/** The database that Earshot uses on its embedded server. */
export const EMBEDDED_DATABASE = 'earshot'
/** The kernel's limit for a socket's path is 107 bytes; PostgreSQL appends `/.s.PGSQL.5432`. */
const SOCKET_FOLDER_BYTES = 90
/** Recovery after a crash replays the log, which takes a while on a slow disk. */
const START_MS = 120_000
const STOP_MS = 30_000
const POLL_MS = 20
const RESTARTS = 4
const RESTART_DELAY_MS = 500
const LONGEST_RESTART_DELAY_MS = 30_000
const LOG_BYTES = 1_000_000

interface Place {
  readonly folder: string
  readonly cluster: string
  readonly socketFolder: string
  readonly owner: Owner | null
  readonly binaries: Binaries
  readonly durable: boolean
  readonly log: Log
  /** Let go when the server is closed. */
  readonly hold: Hold
}

/** @throws {Error} when the folder is in use by another Earshot, was made by another major version, or cannot be used; the message says so. */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedServer> {
  const { log } = options
  const { folder, owner } = await prepareFolder(resolve(options.folder), log)
  const hold = await holdFolder(folder)
  try {
    return await startHeld(options, { folder, owner, hold })
  } catch (error) {
    await hold.release()
    throw error
  }
}

async function startHeld(options: EmbeddedOptions, { folder, owner, hold }: DataFolder & { readonly hold: Hold }): Promise<EmbeddedServer> {
  const { log, durable = true } = options
  const cluster = join(folder, 'postgres')
  const only = options.binaries === undefined ? {} : { only: options.binaries }
  const binaries = await findBinaries({ dataFolder: folder, owner, major: await majorOf(cluster), ...only })
  const socketFolder = await makeSocketFolder(folder, owner)
  const place: Place = { folder, cluster, socketFolder, owner, binaries, durable, log, hold }
  try {
    await createCluster(place)
    return supervise(place, await launch(place))
  } catch (error) {
    await removeSocketFolder(place)
    throw error
  }
}

interface Running {
  readonly child: ChildProcess
  /** Holds the advisory lock. */
  readonly guard: pg.Client
}

/** Keeps the server running, and the lock held, until it is closed. */
function supervise(place: Place, first: Running): EmbeddedServer {
  const { log } = place
  let running = first
  let closing = false
  const atExit = (): void => void running.child.kill('SIGINT')
  const watch = (): void => {
    const { child } = running
    child.once('exit', (code, signal) => {
      if (!closing) void recover(`exited with ${signal ?? code}`)
    })
    running.guard.once('end', () => {
      if (!closing && child.exitCode === null && child.signalCode === null) void guardAgain()
    })
  }
  async function recover(reason: string): Promise<void> {
    // For as long as it takes: a full disk is emptied some day, and calls go on meanwhile.
    for (let attempt = 1; !closing; attempt += 1) {
      log.error({ event: 'database-lost', reason, attempt }, 'The embedded database stopped by itself; starting it again')
      try {
        const fresh = await launch(place)
        if (closing) return await end(fresh)
        running = fresh
        return watch()
      } catch (error) {
        log.error({ event: 'database-restart-failed', attempt, err: error }, 'The embedded database could not be started again')
        await sleep(Math.min(LONGEST_RESTART_DELAY_MS, RESTART_DELAY_MS * 2 ** attempt), undefined, { ref: false })
      }
    }
  }
  /** The server ended our session, as it does with all of them after one has crashed. */
  async function guardAgain(): Promise<void> {
    const { child } = running
    for (let waitedMs = 0; waitedMs < START_MS && !closing && child.exitCode === null && child.signalCode === null; waitedMs += RESTART_DELAY_MS) {
      const guard = await takeLock(place.socketFolder)
      if (typeof guard !== 'string') {
        if (running.child !== child) return guard.end() // A new server came with a guard of its own.
        keepsAlive(guard, false)
        running = { child, guard }
        guard.once('end', () => void (closing || guardAgain()))
        return
      }
      await sleep(RESTART_DELAY_MS)
    }
  }
  process.once('exit', atExit)
  watch()
  return {
    socketFolder: place.socketFolder,
    port: PORT,
    user: USER,
    pid: () => running.child.pid ?? null,
    close: async () => {
      closing = true
      process.off('exit', atExit)
      await end(running)
      await removeSocketFolder(place)
      await place.hold.release()
    },
  }
}

async function end({ guard, child }: Running): Promise<void> {
  keepsAlive(guard, true)
  await guard.end().catch(() => {})
  await stopChild(child)
}

/** Starts a server on the folder and takes the lock; an orphan that runs there is stopped first. */
async function launch(place: Place, attempts = RESTARTS): Promise<Running> {
  const { log, cluster } = place
  const startedAt = performance.now()
  await stopOrphan(place)
  const child = await spawnServer(place)
  for (const giveUpAt = startedAt + START_MS; performance.now() < giveUpAt; await sleep(POLL_MS)) {
    if (child.exitCode !== null || child.signalCode !== null) {
      // Another start was faster (then it is found to be in use), or sessions of a dead server are still ending.
      if (attempts > 1) return sleep(RESTART_DELAY_MS).then(() => launch(place, attempts - 1))
      throw new Error(`PostgreSQL could not be started on ${cluster}: ${await lastWords(place)}`)
    }
    const guard = await takeLock(place.socketFolder)
    if (guard === 'taken') throw new FolderInUse(place.folder)
    if (guard === 'unreachable') continue
    const known = await guard.query('select from pg_database where datname = $1', [EMBEDDED_DATABASE])
    if (known.rowCount === 0) await guard.query(`create database ${EMBEDDED_DATABASE}`)
    log.info(
      { event: 'database-started', tookMs: Math.round(performance.now() - startedAt), major: place.binaries.major },
      'The embedded database is running',
    )
    keepsAlive(guard, false)
    return { child, guard }
  }
  await stopChild(child)
  throw new Error(`PostgreSQL did not become ready on ${cluster} within ${START_MS / 1000} s: ${await lastWords(place)}`)
}

async function spawnServer({ binaries, cluster, socketFolder, owner, folder, durable }: Place): Promise<ChildProcess> {
  const path = join(folder, 'postgres.log')
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  )
  if (size > LOG_BYTES) await truncate(path)
  const output = await open(path, 'a', 0o600)
  const settings = {
    listen_addresses: '',
    unix_socket_directories: socketFolder,
    unix_socket_permissions: '0700',
    port: PORT,
    max_connections: 50,
    shared_buffers: '64MB',
    jit: 'off',
    timezone: 'UTC',
    // What the server says must not contain what is in the rows: neither failed statements nor their values.
    log_min_messages: 'log',
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
    log_checkpoints: 'off',
    ...(durable ? {} : { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off' }),
  }
  const args = ['-D', cluster, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
  try {
    // Detached: Ctrl-C in a terminal goes to us alone, and we stop the server last.
    const child = spawn(join(binaries.folder, 'postgres'), args, {
      ...owner,
      env: { ...binaries.env },
      cwd: folder,
      detached: true,
      stdio: ['ignore', output.fd, output.fd],
    })
    child.on('error', () => {})
    child.unref()
    return child
  } finally {
    await output.close()
  }
}

/** Fast shutdown: sessions are ended, everything is flushed; without patience after a while, which costs only a recovery. */
async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const gone = new Promise<void>((done) => child.once('exit', () => done()))
  child.ref()
  child.kill('SIGINT')
  const late = setTimeout(() => child.kill('SIGQUIT'), STOP_MS)
  await gone
  clearTimeout(late)
}

/** A server without an Earshot. @throws {Error} when it has one. */
async function stopOrphan(place: Place): Promise<void> {
  const { cluster, folder, log } = place
  for (const giveUpAt = performance.now() + STOP_MS; performance.now() < giveUpAt; await sleep(POLL_MS)) {
    const file = await readLockFile(cluster)
    if (file === null) return
    const guard = await takeLock(file.socketFolder)
    if (guard === 'taken') throw new FolderInUse(folder)
    if (guard === 'unreachable') {
      if (await serves(file.pid, cluster)) continue // It is starting or stopping.
      return forgetProcess(cluster, file)
    }
    log.warn({ event: 'database-orphan', pid: file.pid }, 'The embedded database of an Earshot that was killed is still running; stopping it')
    signal(file.pid, 'SIGINT')
    await guard.end().catch(() => {})
  }
  throw new Error(`A PostgreSQL server runs on ${cluster} and does not stop. Stop it, then start Earshot again.`)
}

/**
 * The process number of a server that is gone may belong to something else by now (in a container it soon does), or to a
 * zombie; PostgreSQL would refuse to start. The number of its own parent it takes for what it is, a leftover. The rest of
 * the note stays: by it PostgreSQL finds out whether sessions of the old server still live.
 */
async function forgetProcess(cluster: string, { socketFolder }: LockFile): Promise<void> {
  const path = join(cluster, 'postmaster.pid')
  const text = await readFile(path, 'utf8').catch(() => '')
  if (text !== '') await writeFile(path, text.replace(/^\d+/, String(process.pid)))
  await rm(join(socketFolder, `.s.PGSQL.${PORT}.lock`), { force: true })
}

/** Whether this process is a PostgreSQL server on the folder, by its command line. */
const serves = async (pid: number, cluster: string): Promise<boolean> =>
  (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).includes(`-D\0${cluster}\0`)

/** Whether the session alone keeps the process alive. The driver can do it, its types do not know. */
function keepsAlive(client: pg.Client & { ref?: () => void; unref?: () => void }, keeps: boolean): void {
  if (keeps) client.ref?.()
  else client.unref?.()
}

/** @returns The session that holds the lock; `taken` when another one does; `unreachable` when nobody answers (yet). */
async function takeLock(socketFolder: string): Promise<pg.Client | 'taken' | 'unreachable'> {
  if (socketFolder === '') return 'unreachable'
  const client = clientOf(socketFolder)
  try {
    await client.connect()
    const { rows } = await client.query<{ mine: boolean }>('select pg_try_advisory_lock($1) as mine', [LOCK_KEY])
    if (rows[0]?.mine === true) return client
    await client.end()
    return 'taken'
  } catch {
    await client.end().catch(() => {})
    return 'unreachable'
  }
}

async function createCluster({ cluster, binaries, owner, folder, durable, log }: Place): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = /^postgres\.new\.(\d+)\./.exec(name)?.[1]
    if (pid !== undefined && !signal(Number(pid), 0)) await rm(join(folder, name), { recursive: true, force: true })
  }
  if ((await majorOf(cluster)) !== null) return
  log.info({ event: 'database-create', folder }, 'Creating the embedded database')
  const half = join(folder, `postgres.new.${process.pid}.${randomUUID()}`)
  const args = [
    '-D',
    half,
    '-U',
    USER,
    '--auth-local=trust',
    '--auth-host=reject',
    '--encoding=UTF8',
    '--locale=C',
    '-k',
    ...(durable ? [] : ['--no-sync']),
  ]
  const child = spawn(join(binaries.folder, 'initdb'), args, { ...owner, env: { ...binaries.env }, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000)
  })
  const code = await new Promise<number | string | null>((done) => child.once('error', (error) => done(error.message)).once('close', done))
  if (code !== 0) {
    await rm(half, { recursive: true, force: true })
    throw new Error(`The embedded database could not be created in ${folder}: ${said.trim() || code}`)
  }
  try {
    await rename(half, cluster)
  } catch (error) {
    await rm(half, { recursive: true, force: true })
    // Another start made it in the meantime; which of us may use it is the lock's to say.
    if ((await majorOf(cluster)) === null) throw error
  }
}

async function makeSocketFolder(folder: string, owner: Owner | null): Promise<string> {
  const inside = join(folder, 'socket')
  const short = Buffer.byteLength(inside) <= SOCKET_FOLDER_BYTES
  if (short) await mkdir(inside, { recursive: true, mode: 0o700 })
  const path = short ? inside : await mkdtemp(join(tmpdir(), 'earshot-'))
  if (owner !== null) await chown(path, owner.uid, owner.gid)
  return path
}

/** Only one in the temporary folder was ours alone. */
async function removeSocketFolder({ socketFolder, folder }: Pick<Place, 'socketFolder' | 'folder'>): Promise<void> {
  if (dirname(socketFolder) !== folder) await rm(socketFolder, { recursive: true, force: true })
}

async function lastWords({ folder }: Place): Promise<string> {
  const text = await readFile(join(folder, 'postgres.log'), 'utf8').catch(() => '')
  return text.trim().split('\n').slice(-5).join(' | ') || 'it said nothing'
}

/** @returns False when there is no such process, or it is not ours. */
function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}
