/**
 * One Earshot per data folder, from before its server starts until after it has stopped, and so also in the moments in which that server
 * is down, or up and not yet ours, since it is being started again.
 *
 * The mark is a socket in Linux' abstract namespace, named after the folder's device and number: taken by one process at a time, and gone
 * with it, so that there is nothing stale to clear away. Whoever does not share our network namespace (another container on the same
 * volume) does not see it; between those the server's advisory lock decides.
 */
import { stat } from 'node:fs/promises'
import { createServer } from 'node:net'

export interface Hold {
  release(): Promise<void>
}

/** The folder belongs to an Earshot that lives. */
export class FolderInUse extends Error {
  override readonly name = 'FolderInUse'
  constructor(folder: string) {
    super(`The data folder ${folder} is in use by another Earshot. Stop that one first, or give this one a folder of its own.`)
  }
}

/** @throws {FolderInUse} */
export async function holdFolder(folder: string): Promise<Hold> {
  const { dev, ino } = await stat(folder, { bigint: true })
  const mark = createServer((socket) => void socket.destroy())
  await new Promise<void>((resolve, reject) => {
    mark.once('error', (error: NodeJS.ErrnoException) => (error.code === 'EADDRINUSE' ? reject(new FolderInUse(folder)) : reject(error)))
    mark.listen(`\0earshot-data-${dev}-${ino}`, resolve)
  })
  mark.unref()
  return { release: () => new Promise((resolve) => void mark.close(() => resolve())) }
}
