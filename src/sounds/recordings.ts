/**
 * Where recordings lie: one WAV file a call, `<folder>/<account>/<yyyy-mm-dd>/<call>.wav`, by the UTC day on which the call began.
 * The path follows from the call alone, so that nothing but the files needs to be looked after, moved or deleted.
 */
import { mkdir, open, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Call } from '../domain/call.ts'

export interface RecordingFile {
  readonly file: string
  readonly bytes: number
}

export interface Recordings {
  /** Where the call is to be recorded; the folder is there when this resolves. @throws when it cannot be made. */
  prepare(call: Call): Promise<string>
  /** The call's recording as far as it goes; null when there is none, or not any more. */
  find(call: Call): Promise<RecordingFile | null>
  /** @returns Whether there was one. */
  remove(call: Pick<Call, 'id' | 'accountId' | 'createdAt'>): Promise<boolean>
  /** Makes the folder and writes into it, once. @throws what keeps recordings from being written. */
  check(): Promise<void>
}

/** @param folder Absolute. It holds people's voices: nobody but this user may enter what is made here. */
export function makeRecordings(folder: string): Recordings {
  const fileOf = ({ id, accountId, createdAt }: Pick<Call, 'id' | 'accountId' | 'createdAt'>): string =>
    join(folder, accountId, new Date(createdAt).toISOString().slice(0, 10), `${id}.wav`)
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
    async remove(call) {
      const file = fileOf(call)
      const isThere = (await stat(file).catch(() => null)) !== null
      await rm(file, { force: true })
      return isThere
    },
    async check() {
      await make(folder)
      const trial = join(folder, '.trial')
      await (await open(trial, 'w', 0o600)).close()
      await rm(trial, { force: true })
    },
  }
}
