/**
 * Where recordings lie: one WAV file a call, `<folder>/<account>/<yyyy-mm-dd>/<call>.wav`, by the UTC day on which the call began.
 * The path follows from the call alone, so that nothing but the files needs to be looked after, moved or deleted.
 */
import { mkdir, readdir, rm, rmdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Call } from '../domain/call.ts'
import type { AccountId } from '../domain/ids.ts'

export interface RecordingFile {
  readonly file: string
  readonly bytes: number
}

export interface Recordings {
  /** Where the call is to be recorded; the folder is there when this resolves. @throws when it cannot be made. */
  prepare(call: Call): Promise<string>
  /** The call's recording as far as it goes; null when there is none, or not any more. */
  find(call: Call): Promise<RecordingFile | null>
  /**
   * Deletes an account's recordings that were last written before a moment (epoch ms), or only counts them. One that is being written is not
   * old. After a failure it may be done again. @returns How many.
   */
  purge(accountId: AccountId, before: number, act: 'count' | 'delete'): Promise<number>
}

/** @param folder Absolute. It holds people's voices: nobody but this user may enter what is made here. */
export function makeRecordings(folder: string): Recordings {
  const fileOf = ({ id, accountId, createdAt }: Call): string => join(folder, accountId, new Date(createdAt).toISOString().slice(0, 10), `${id}.wav`)
  const make = (path: string): Promise<unknown> => mkdir(path, { recursive: true, mode: 0o700 })
  return {
    async prepare(call) {
      const file = fileOf(call)
      await make(dirname(file))
      return file
    },
    async find(call) {
      const file = fileOf(call)
      const found = await stat(file).catch(() => null)
      return found?.isFile() === true ? { file, bytes: found.size } : null
    },
    async purge(accountId, before, act) {
      let count = 0
      // Whoever names an account might write a path: it is looked for, not believed.
      if (!(await namesIn(folder)).includes(accountId)) return 0
      for (const day of await namesIn(join(folder, accountId))) {
        for (const name of await namesIn(join(folder, accountId, day))) {
          const file = join(folder, accountId, day, name)
          const found = await stat(file).catch(() => null)
          if (!name.endsWith('.wav') || found?.isFile() !== true || found.mtimeMs >= before) continue
          if (act === 'delete') await rm(file, { force: true })
          count += 1
        }
        if (act === 'delete') await rmdir(join(folder, accountId, day)).catch(() => {})
      }
      return count
    },
  }
}

/** In order; none when there is no such folder. @throws what else keeps it from being read. */
async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).sort()
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return []
    throw error
  }
}
