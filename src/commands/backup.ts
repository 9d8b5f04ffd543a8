/** `earshot backup` and `earshot restore`: all records in one file, from either kind of database and into either. */
import { createReadStream, createWriteStream } from 'node:fs'
import { access, open, rename, rm } from 'node:fs/promises'
import { once } from 'node:events'
import { finished } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { type BackupCounts, BackupRefused, restoreBackup, writeBackup } from '../store/backup.ts'
import { openBeside } from '../store/database.ts'
import { lookInto } from '../store/embedded/folder.ts'
import { databaseFailure, type Desk, json, messageOf, quietLog } from './desk.ts'

export interface BackupOptions {
  readonly config: string
  readonly json: boolean
  readonly to: string
}

export interface RestoreOptions {
  readonly config: string
  readonly json: boolean
  readonly from: string
}

/** The numbers and secrets of everybody are in it. */
const FILE_MODE = 0o600

/** @returns The exit code. */
export async function backup(desk: Desk, { to, ...options }: BackupOptions): Promise<number> {
  if (await isThere(to)) return fail(desk, `${to} is there already; a backup does not overwrite anything`)
  return withDatabase(desk, options, 'reads', async (database) => {
    const half = `${to}.part`
    try {
      const counts = await writeFileOf(half, (write) => writeBackup(database, desk.now(), write))
      await rename(half, to)
      return { counts, said: `are in ${to}` }
    } catch (error) {
      await rm(half, { force: true })
      throw error
    }
  })
}

/** @returns The exit code. */
export async function restore(desk: Desk, { from, ...options }: RestoreOptions): Promise<number> {
  if (!(await isThere(from))) return fail(desk, `${from} is not there`)
  return withDatabase(desk, options, 'writes', async (database) => {
    const counts = await restoreBackup(database, linesOf(from))
    return { counts, said: `were restored from ${from}; the next start closes the calls that were live then` }
  })
}

/** @throws {Error} when the file is not what it was, or is no such file at all. */
async function* linesOf(path: string): AsyncGenerator<string> {
  const unpacked = createGunzip()
  createReadStream(path)
    .on('error', (error) => unpacked.destroy(error))
    .pipe(unpacked)
    .setEncoding('utf8')
  let rest = ''
  try {
    for await (const chunk of unpacked) {
      const parts = `${rest}${chunk}`.split('\n')
      rest = parts.pop() ?? ''
      yield* parts
    }
  } catch (error) {
    throw new BackupRefused(`${path} cannot be read as a backup: ${messageOf(error)}`, { cause: error })
  }
  if (rest !== '') yield rest
}

/** On disk, whole, before it is done. */
async function writeFileOf<T>(path: string, work: (write: (line: string) => Promise<void>) => Promise<T>): Promise<T> {
  const gzip = createGzip()
  const file = createWriteStream(path, { mode: FILE_MODE, flags: 'wx' })
  const done = finished(gzip.pipe(file))
  done.catch(() => {})
  const result = await work(async (line) => {
    if (file.errored !== null) throw file.errored
    if (!gzip.write(`${line}\n`)) await Promise.race([once(gzip, 'drain'), done])
  })
  gzip.end()
  await done
  const handle = await open(path, 'r')
  await handle.sync()
  await handle.close()
  return result
}

interface Outcome {
  readonly counts: BackupCounts
  readonly said: string
}

type Work = (database: Awaited<ReturnType<typeof openBeside>>) => Promise<Outcome>

async function withDatabase(
  desk: Desk,
  options: { readonly config: string; readonly json: boolean },
  kind: 'reads' | 'writes',
  work: Work,
): Promise<number> {
  const config = await desk.read(options.config)
  if (!('accounts' in config)) return fail(desk, config.join('\n'))
  const log = quietLog(desk)
  try {
    const isFolder = !config.data.startsWith('postgres')
    if (kind === 'reads' && isFolder && (await lookInto(config.data, log)).major === null) return fail(desk, `there is no data in ${config.data} yet`)
    const database = await openBeside({ data: config.data, log, migrates: kind === 'writes' })
    try {
      const { counts, said } = await work(database)
      const filled = Object.entries(counts.rows).filter(([, count]) => count > 0)
      if (options.json) desk.out(json({ rows: counts.rows }))
      else desk.out(`${filled.map(([table, count]) => `${count} ${table}`).join(', ') || 'No records'} ${said}.`)
      return 0
    } finally {
      await database.close()
    }
  } catch (error) {
    return fail(desk, databaseFailure(error, config, options.config))
  }
}

function fail(desk: Desk, sentence: string): number {
  desk.err(sentence)
  return 1
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )
