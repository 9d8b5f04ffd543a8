/**
 * Where an embedded server keeps its files, and as whom it runs.
 *
 * PostgreSQL refuses to be root. Under root it runs as the owner of the data, else as nobody, and that user must be able to
 * pass through every folder above the data. Where they may not (a home of root's, a private temporary folder), new data is kept in
 * a shelter that they can reach, named after the folder that was asked for, and the log says so.
 */
import { createHash } from 'node:crypto'
import { chown, mkdir, readdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, sep } from 'node:path'
import type { Log } from './database.ts'
import type { Owner } from './embedded-binaries.ts'

export interface DataFolder {
  readonly folder: string
  /** Null: ourselves. */
  readonly owner: Owner | null
}

/** Who runs the server when we are root: `nobody` everywhere. */
const NOBODY: Owner = { uid: 65534, gid: 65534 }
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
  log.warn({ event: 'database-sheltered', asked, folder }, 'Only root may reach the data folder, and the database server must not be root: its files are kept elsewhere')
  return folder
}

/** Letters alone: the log would mask a long run of digits as a phone number, and the operator must be able to find the folder. */
const nameOf = (origin: string): string =>
  createHash('sha256').update(origin).digest('hex').slice(0, 16).replace(/\d/g, (digit) => 'ghijklmnop'.charAt(Number(digit)))

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
