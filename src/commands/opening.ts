/**
 * How a command comes to the data: it opens the database beside the server that may be running on it, asks, and closes it again.
 */
import type { Config } from '../config.ts'
import { isPostgresUrl } from '../config-schema.ts'
import { type Database, openBeside } from '../store/database.ts'
import { lookInto } from '../store/embedded/folder.ts'
import { latestBeat } from '../store/nodes.ts'
import { databaseFailure, type Desk, plain, quietLog } from './desk.ts'

/** Options that every command about the data has. */
export interface RecordOptions {
  readonly config: string
  readonly json: boolean
}

export interface ShowOptions extends RecordOptions {
  readonly full: boolean
}

/** A server whose last heartbeat is older does not run. */
const ALIVE_MS = 5_000

/** `isServed`: whether an Earshot had the data folder when we came; null for a database server. */
export type Work = (database: Database, config: Config, isServed: boolean | null) => Promise<number>

/** For commands that read: tables of another version are left alone, and data that is not there is not made. */
export async function withRecords(desk: Desk, options: RecordOptions, work: Work): Promise<number> {
  return withDatabase(desk, options, false, async (database, config, isServed) => {
    const { pending } = database.steps
    if (pending.length === 0) return work(database, config, isServed)
    desk.err(`the tables are not up to date (${pending.join(', ')} missing); run: earshot migrate --config ${options.config}`)
    return 1
  })
}

export async function withDatabase(desk: Desk, options: RecordOptions, migrates: boolean, work: Work): Promise<number> {
  const config = await desk.read(options.config)
  if (!('data' in config)) {
    for (const line of config) desk.err(line)
    return 1
  }
  const log = quietLog(desk)
  try {
    const folder = isPostgresUrl(config.data) ? null : await lookInto(config.data, log)
    if (!migrates && folder?.major === null) {
      desk.err(`there is no data in ${config.data} yet; earshot serve or earshot migrate makes it`)
      return 1
    }
    const database = await openBeside({ data: config.data, log, migrates })
    try {
      return await work(database, config, folder && folder.running !== null)
    } finally {
      await database.close()
    }
  } catch (error) {
    desk.err(databaseFailure(error, config, options.config))
    return 1
  }
}

/** By the last heartbeat, where no lock of a folder says it. */
export async function hasBeaten(desk: Desk, database: Database): Promise<boolean> {
  const beatAt = await latestBeat(database.sql)
  return beatAt !== null && desk.now() - beatAt < ALIVE_MS
}

export function notFound(desk: Desk, sentence: string): number {
  desk.err(sentence)
  return 1
}

/** One line for each value that is not empty and not a list. */
export const fields = (values: Readonly<Record<string, unknown>>): readonly string[] =>
  Object.entries(values)
    .filter(([, value]) => value !== null && value !== '' && !Array.isArray(value))
    .map(([name, value]) => `${`${name}:`.padEnd(13)}${name === 'body' ? String(value) : plain(String(value))}`)
