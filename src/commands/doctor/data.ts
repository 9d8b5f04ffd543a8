/** Whether the data can be had: the folder and the binaries of an embedded database, or the server that is named; its tables; and the clocks. */
import { access, chmod, chown, constants, mkdtemp, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Config } from '../../config.ts'
import { isPostgresUrl } from '../../config-schema.ts'
import { type Database, type Log, openBeside } from '../../store/database.ts'
import { findBinaries } from '../../store/embedded/binaries.ts'
import { type FolderState, lookInto, NOBODY } from '../../store/embedded/folder.ts'
import { latestBeat, serverFacts } from '../../store/nodes.ts'
import { type Check, ok, problem, warning } from './check.ts'
import { databaseFailure, messageOf } from '../desk.ts'

/** Below this a database is soon in trouble. */
const LITTLE_SPACE_BYTES = 1_000_000_000
/** Clocks that differ by more make records hard to compare. */
const CLOCK_SKEW_MS = 2_000
/** This version did not exist earlier, and will not be run later. */
const EARLIEST = Date.UTC(2026, 0, 1)
const LATEST = Date.UTC(2066, 0, 1)

export interface DataExam {
  readonly config: Config
  /** Of the configuration, for sentences. */
  readonly path: string
  readonly now: () => number
  readonly log: Log
}

/** What the clock of this machine is compared with. */
interface OtherClocks {
  readonly serverNow: number
  readonly serverIsElsewhere: boolean
  readonly lastBeatAt: number | null
}

export async function dataChecks(exam: DataExam): Promise<readonly Check[]> {
  const { data } = exam.config
  if (isPostgresUrl(data)) return databaseChecks(exam)
  let state: FolderState
  try {
    state = await lookInto(data, exam.log)
  } catch (error) {
    return [
      problem('data folder', messageOf(error), 'Do this as the user who runs Earshot, or correct the rights of the folder.'),
      clockCheck(exam, null),
    ]
  }
  const folder = await folderCheck(data, state)
  if (folder.state === 'problem') return [folder, clockCheck(exam, null)]
  if (state.major === null) return [folder, await binariesCheck(), clockCheck(exam, null)]
  return [folder, ...(await databaseChecks(exam))]
}

/** Whether recordings can be kept, and for a while. */
export async function recordingsCheck({ recordings }: Pick<Config, 'recordings'>): Promise<Check> {
  const [name, { folder }] = ['recordings', recordings]
  const place = await nearest(folder)
  if (!(await isWritable(place)))
    return problem(name, `${place} cannot be written by this user`, 'Give it to the user who runs Earshot, or write another recordings.folder.')
  const space = await spaceWarning(name, place, 'Make room, or write another recordings.folder.')
  if (space !== null) return space
  return ok(name, place === folder ? `${folder} can be written` : `${folder} is made for the first recording`)
}

async function folderCheck(data: string, state: FolderState): Promise<Check> {
  const name = 'data folder'
  const place = await nearest(data)
  if (state.running === null && !(await isWritable(place)))
    return problem(name, `${place} cannot be written by this user`, `Make ${data} and give it to the user who runs Earshot: chown USER ${data}`)
  const space = await spaceWarning(name, place, 'Make room, or write another folder as data.')
  if (space !== null) return space
  if (state.running !== null) return ok(name, `${data} is in use by the running Earshot`)
  return ok(name, state.major === null ? `${data} is made at the first start` : `${data} holds data of PostgreSQL ${state.major}`)
}

const isWritable = (folder: string): Promise<boolean> =>
  access(folder, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  )

/** Null when there is room for a while. */
async function spaceWarning(name: string, folder: string, change: string): Promise<Check | null> {
  const { bavail, bsize } = await statfs(folder)
  const free = bavail * bsize
  return free < LITTLE_SPACE_BYTES ? warning(name, `${Math.round(free / 1e6)} MB are free on the disk of ${folder}`, change) : null
}

/** The path itself, or the first folder above it that exists. */
async function nearest(path: string): Promise<string> {
  const found = await access(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
  )
  return found || path === dirname(path) ? path : nearest(dirname(path))
}

/** In a folder of its own, since one for the data is not made before there is data. */
async function binariesCheck(): Promise<Check> {
  const name = 'database'
  const folder = await mkdtemp(join(tmpdir(), 'earshot-doctor-'))
  try {
    const owner = process.getuid?.() === 0 ? NOBODY : null
    await chmod(folder, 0o711)
    if (owner !== null) await chown(folder, owner.uid, owner.gid)
    const { major } = await findBinaries({ dataFolder: folder, owner, major: null })
    return ok(name, `PostgreSQL ${major} is here and runs; the database is made at the first start`)
  } catch (error) {
    return problem(name, messageOf(error), 'Install PostgreSQL (apt-get install postgresql), or write the address of a server as data.')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function databaseChecks(exam: DataExam): Promise<readonly Check[]> {
  const { config, path, log } = exam
  const isElsewhere = isPostgresUrl(config.data)
  let database: Database | null = null
  try {
    database = await openBeside({ data: config.data, log, migrates: false })
    const { version, now } = await serverFacts(database.sql)
    const { pending } = database.steps
    const lastBeatAt = pending.length === 0 ? await latestBeat(database.sql) : null
    const found = `PostgreSQL ${version}${isElsewhere ? '' : ' (embedded)'}`
    const check =
      pending.length === 0
        ? ok('database', `${found} answers; the tables are up to date`)
        : warning(
            'database',
            `${found} answers; the tables lack ${pending.join(', ')}`,
            `The next start makes them, or now: earshot migrate --config ${path}`,
          )
    return [check, clockCheck(exam, { serverNow: now, serverIsElsewhere: isElsewhere, lastBeatAt })]
  } catch (error) {
    const change = isElsewhere
      ? 'Correct data in the configuration, or start that server and let this user in.'
      : 'See postgres.log in the data folder, and Data in docs/operating.md.'
    return [problem('database', databaseFailure(error, config, path), change), clockCheck(exam, null)]
  } finally {
    await database?.close()
  }
}

function clockCheck(exam: DataExam, others: OtherClocks | null): Check {
  const name = 'clock'
  const now = exam.now()
  const text = new Date(now).toISOString()
  const change = 'Set the clock and keep it set: timedatectl set-ntp true.'
  if (now < EARLIEST || now > LATEST) return problem(name, `it is ${text} here, which cannot be`, change)
  if (others?.serverIsElsewhere && Math.abs(others.serverNow - now) > CLOCK_SKEW_MS)
    return warning(
      name,
      `the database server's differs by ${Math.round((others.serverNow - now) / 1000)} s`,
      'Keep both machines on network time (NTP).',
    )
  if (others?.lastBeatAt && others.lastBeatAt > now + CLOCK_SKEW_MS)
    return warning(name, `it is ${text}, but Earshot has been running at ${new Date(others.lastBeatAt).toISOString()}: it was set back`, change)
  return ok(name, `it is ${text}`)
}
