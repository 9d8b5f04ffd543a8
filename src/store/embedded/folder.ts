/**
 * Where an embedded server keeps its files, and as whom it runs.
 *
 * PostgreSQL refuses to be root. Under root it runs as the owner of the data, else as nobody, and that user must be able to
 * pass through every folder above the data. Where they may not (a home of root's, a private temporary folder), new data is kept in
 * a shelter that they can reach, named after the folder that was asked for, and the log says so.
 *
 * The lock by which one Earshot owns a folder is looked at here and taken in `server.ts`.
 */
import { createHash } from 'node:crypto'
import { access, chown, constants, mkdir, readdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve, sep } from 'node:path'
import pg from 'pg'
import type { Log } from '../database.ts'
import type { Owner } from './binaries.ts'

export interface DataFolder {
  readonly folder: string
  /** Null: ourselves. */
  readonly owner: Owner | null
}

/** How a server is reached. */
export interface ServerAddress {
  readonly socketFolder: string
  readonly port: number
  readonly user: string
}

/** Who runs the server when we are root: `nobody` everywhere. */
export const NOBODY: Owner = { uid: 65534, gid: 65534 }
export const USER = 'earshot'
export const PORT = 5432
/** The advisory lock that an Earshot holds on its server as long as it lives. */
export const LOCK_KEY = 0x6561_7273
const SHELTER = '/var/lib/earshot'
/** In a sheltered folder: the folder that it stands for. */
const ORIGIN = 'origin'

/**
 * Makes the folder that was asked for, or finds the one that stands for it.
 * @param shelter Where data is kept whose own folder cannot be reached.
 * @throws {Error} when data is there already that its owner cannot reach; the message says what to do.
 */
export async function prepareFolder(asked: string, log: Log, shelter = SHELTER): Promise<DataFolder> {
  const made = await mkdir(asked, { recursive: true, mode: 0o700 })
  if (process.getuid?.() !== 0) return { folder: asked, owner: null }
  const cluster = await stat(join(asked, 'postgres')).catch(() => null)
  const owner = cluster !== null && cluster.uid !== 0 ? { uid: cluster.uid, gid: cluster.gid } : NOBODY
  if (made !== undefined) for (let path = asked; path.length >= made.length; path = dirname(path)) await chown(path, owner.uid, owner.gid)
  else if ((await readdir(asked)).length === 0) await chown(asked, owner.uid, owner.gid)
  const obstacle = await obstacleOnTheWay(asked, owner, cluster === null)
  if (obstacle === null) return { folder: asked, owner }
  if (cluster !== null) throw new Error(refusal(obstacle, owner))
  return { folder: await sheltered(asked, shelter, log), owner }
}

/** The first folder that stands in the user's way: `folder` itself, where they must make the data if it is new, or one above it, which they must pass. */
async function obstacleOnTheWay(folder: string, { uid, gid }: Owner, isNew: boolean): Promise<string | null> {
  for (let path = folder; path !== dirname(path); path = dirname(path)) {
    const found = await stat(path)
    const needed = path === folder && isNew ? 0o3 : 0o1
    const granted = found.uid === uid ? found.mode >> 6 : found.gid === gid ? found.mode >> 3 : found.mode
    if ((granted & needed) !== needed) return path
  }
  return null
}

const refusal = (path: string, { uid }: Owner): string =>
  `The database server must not be root and therefore runs as user ${uid}, who may not enter ${path}. ` +
  `Choose another data folder, run Earshot as an ordinary user, or allow it: chmod o+x ${path}`

async function sheltered(asked: string, shelter: string, log: Log): Promise<string> {
  await mkdir(shelter, { recursive: true, mode: 0o711 })
  await sweep(shelter)
  const origin = await realpath(asked)
  const folder = join(shelter, nameOf(origin))
  const made = await mkdir(folder, { recursive: true, mode: 0o700 })
  if (made !== undefined) {
    await chown(folder, NOBODY.uid, NOBODY.gid)
    await writeFile(join(folder, ORIGIN), origin)
  }
  await writeFile(join(asked, 'README'), `Only root may enter this folder, and the database server must not be root: the data is in ${folder}\n`)
  log.warn(
    { event: 'database-sheltered', asked, folder },
    'Only root may reach the data folder, and the database server must not be root: its files are kept elsewhere',
  )
  return folder
}

/** Letters alone: the log would mask a long run of digits as a phone number, and the operator must be able to find the folder. */
const nameOf = (origin: string): string =>
  createHash('sha256')
    .update(origin)
    .digest('hex')
    .slice(0, 16)
    .replace(/\d/g, (digit) => 'ghijklmnop'.charAt(Number(digit)))

/** Data of temporary folders goes when those are gone. What stands for any other folder stays, also while that is not mounted. */
async function sweep(shelter: string): Promise<void> {
  const temporary = `${await realpath(tmpdir())}${sep}`
  for (const name of await readdir(shelter)) {
    const origin = await readFile(join(shelter, name, ORIGIN), 'utf8').catch(() => null)
    if (origin?.startsWith(temporary) !== true || (await stat(origin).catch(() => null)) !== null) continue
    // A server that still runs there is somebody's; it goes another time.
    if ((await stat(join(shelter, name, 'postgres/postmaster.pid')).catch(() => null)) !== null) continue
    await rm(join(shelter, name), { recursive: true, force: true })
  }
}

/** What is in a data folder. */
export interface FolderState {
  /** The server of the Earshot that runs on it now. */
  readonly running: ServerAddress | null
  /** The PostgreSQL that made the data; null when there is none yet. */
  readonly major: number | null
}

/**
 * Looks into a data folder without starting or stopping anything; a folder that does not exist is not made.
 * @throws {Error} when this user may not look.
 */
export async function lookInto(asked: string, log: Log): Promise<FolderState> {
  const reason = await access(asked, constants.R_OK | constants.X_OK).then(
    () => null,
    (error: NodeJS.ErrnoException) => error.code,
  )
  if (reason === 'ENOENT') return { running: null, major: null }
  if (reason !== null) throw new Error(`The data folder ${asked} cannot be read (${reason}). Do this as the user who runs Earshot, or as root.`)
  if ((await readdir(asked)).length === 0) return { running: null, major: null }
  const { folder } = await prepareFolder(resolve(asked), log)
  const cluster = join(folder, 'postgres')
  const file = await readLockFile(cluster)
  const held = file !== null && (await isHeld(file.socketFolder))
  return { running: held ? { socketFolder: file.socketFolder, port: PORT, user: USER } : null, major: await majorOf(cluster) }
}

/** Whether an Earshot holds the lock; looks at it without taking it, so that one that is just starting is not disturbed. */
async function isHeld(socketFolder: string): Promise<boolean> {
  if (socketFolder === '') return false
  const client = clientOf(socketFolder)
  try {
    await client.connect()
    const held = await client.query(`select from pg_locks where locktype = 'advisory' and granted and objid = $1 and classid = 0`, [LOCK_KEY])
    return held.rowCount !== 0
  } catch {
    return false
  } finally {
    await client.end().catch(() => {})
  }
}

export interface LockFile {
  readonly pid: number
  readonly socketFolder: string
}

/** PostgreSQL's own note about the server on a folder; line 5 says where its socket is. */
export async function readLockFile(cluster: string): Promise<LockFile | null> {
  const text = await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => '')
  const lines = text.split('\n')
  const pid = Number(lines[0])
  return Number.isInteger(pid) && pid > 0 ? { pid, socketFolder: lines[4] ?? '' } : null
}

/** The PostgreSQL that made a cluster; null when there is none. */
export async function majorOf(cluster: string): Promise<number | null> {
  const text = await readFile(join(cluster, 'PG_VERSION'), 'utf8').catch(() => '')
  return text === '' ? null : Number.parseInt(text, 10)
}

/** A session with the server's own database, by which the lock is held or seen; not connected yet. */
export function clientOf(socketFolder: string): pg.Client {
  const application_name = `earshot ${process.pid}`
  const client = new pg.Client({ host: socketFolder, port: PORT, user: USER, database: 'postgres', application_name, connectionTimeoutMillis: 5000 })
  client.on('error', () => {}) // What it means is in `end`.
  return client
}
