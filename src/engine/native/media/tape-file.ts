/**
 * The file of a recording: chunks of sound go to their place in it, and after each the header says how far it goes.
 *
 * One rule: the sound never waits for the disk. What comes is queued, up to MAX_BACKLOG_BYTES; what a slow or full disk does not take
 * is lost, and said so. Each chunk has a place of its own, so what is lost becomes a hole of silence and what follows stays in its time.
 */
import { open } from 'node:fs/promises'
import type { Chunk } from '../../../media/clips/tape.ts'
import { HEADER_BYTES, MAX_DATA_BYTES, writeHeader } from '../../../media/clips/wav.ts'

/** Sound that may wait for the disk, by recording: ten seconds of two channels. */
export const MAX_BACKLOG_BYTES = 320_000
/** What the disk is asked for at once, over all recordings: when it hangs it must leave threads to the rest of the process, which has four. */
export const MAX_WRITES = 2
/** A file that is not there by then is not waited for; ms. */
export const OPEN_MS = 5_000
/** Of a recording that loses sound for long it is said again after so much of it. */
const SAMPLES_BETWEEN_TROUBLES = 60 * 8000

/** What is used of a file, so that a test can be a bad disk. */
export interface Disk {
  write(bytes: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesWritten: number }>
  close(): Promise<void>
}

/** Turns at the disk, shared by all recordings. */
export interface Turns {
  free: number
  readonly waiting: (() => void)[]
}

export interface TapeFileOptions {
  readonly path: string
  readonly channels: 1 | 2
  readonly turns: Turns
  /** Told when sound is lost, at most once a minute, and once more at the end with how much that was. */
  readonly onTrouble: (message: string) => void
  /** Default `OPEN_MS`. */
  readonly openMs?: number
  /** Default: a new file that only its owner may read. */
  readonly openDisk?: (path: string) => Promise<Disk>
}

export interface TapeFile {
  /** Resolves when the file is there, with its header. @throws Error of the file system; an existing file is left as it is. */
  readonly opened: Promise<void>
  /** Queues sound, or loses it. */
  take(chunks: readonly Chunk[]): void
  /** Resolves when everything that was taken is written or lost, and the file is closed. Never rejects. */
  close(): Promise<void>
}

export const makeTurns = (): Turns => ({ free: MAX_WRITES, waiting: [] })

interface Writing {
  readonly options: TapeFileOptions
  disk: Disk | null
  readonly queue: Chunk[]
  queuedBytes: number
  /** Bytes of sound up to the last one in the file. */
  end: number
  lostSamples: number
  /** The place of the chunk about whose loss somebody was told last. */
  troubledAt: number
  /** What writes, while there is anything to write. */
  pump: Promise<void> | null
}

export function openTapeFile(options: TapeFileOptions): TapeFile {
  const file: Writing = { options, disk: null, queue: [], queuedBytes: 0, end: 0, lostSamples: 0, troubledAt: Number.NEGATIVE_INFINITY, pump: null }
  const opened = openWithin(options).then((disk) => {
    file.disk = disk
    start(file)
  })
  // Whoever opens the file is told; here it only means that there is nothing to close.
  const settled = opened.catch(() => {})
  return {
    opened,
    take(chunks) {
      for (const chunk of chunks) enqueue(file, chunk)
      start(file)
    },
    async close() {
      await settled
      await file.pump
      const { lostSamples } = file
      const { disk } = file
      if (disk !== null) {
        await inTurn(options.turns, () => disk.close()).catch((error: unknown) => options.onTrouble(`a recording was not closed: ${reasonOf(error)}`))
      }
      if (lostSamples > 0) options.onTrouble(`a recording has lost ${(lostSamples / 8000).toFixed(1)} s of sound`)
    },
  }
}

/** The file with its header. One that comes too late is closed and left. */
async function openWithin({ path, channels, turns, openDisk = openNew, openMs = OPEN_MS }: TapeFileOptions): Promise<Disk> {
  const opening = inTurn(turns, async () => {
    const disk = await openDisk(path)
    await writeAll(disk, writeHeader(channels, 0), 0)
    return disk
  })
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, openMs, null)
  })
  const disk = await Promise.race([opening, late]).finally(() => clearTimeout(timer))
  if (disk !== null) return disk
  opening.then((unwanted) => inTurn(turns, () => unwanted.close())).catch(() => {})
  throw new Error('the disk does not answer')
}

const openNew = (path: string): Promise<Disk> => open(path, 'wx', 0o600)

function enqueue(file: Writing, chunk: Chunk): void {
  const { byteLength } = chunk.samples
  if (file.queuedBytes + byteLength > MAX_BACKLOG_BYTES) return lose(file, chunk, 'the disk is too slow')
  file.queue.push(chunk)
  file.queuedBytes += byteLength
}

function start(file: Writing): void {
  const { disk } = file
  if (disk === null || file.pump !== null || file.queue.length === 0) return
  file.pump = pump(file, disk).finally(() => {
    file.pump = null
  })
}

async function pump(file: Writing, disk: Disk): Promise<void> {
  while (file.queue.length > 0) {
    await inTurn(file.options.turns, async () => {
      // Taken when the turn has come: whoever waited long has much to write, and writes it at one go.
      const chunk = joined(file.queue, file.options.channels)
      await write(file, disk, chunk).catch((error: unknown) => lose(file, chunk, reasonOf(error)))
      for (let left = chunk.samples.length; left > 0; left -= file.queue.shift()?.samples.length ?? left);
      file.queuedBytes -= chunk.samples.byteLength
    })
  }
}

/** The first chunks up to the first hole, as one. */
function joined(chunks: readonly Chunk[], channels: number): Chunk {
  const [first, ...rest] = chunks
  if (first === undefined) return { at: 0, samples: new Int16Array() }
  let length = first.samples.length
  const hole = rest.findIndex(({ at, samples }) => {
    const follows = at === first.at + length / channels
    if (follows) length += samples.length
    return !follows
  })
  const run = [first, ...rest.slice(0, hole < 0 ? rest.length : hole)]
  if (run.length === 1) return first
  const samples = new Int16Array(length)
  let done = 0
  for (const each of run) {
    samples.set(each.samples, done)
    done += each.samples.length
  }
  return { at: first.at, samples }
}

async function write(file: Writing, disk: Disk, { at, samples }: Chunk): Promise<void> {
  const { channels } = file.options
  const first = at * 2 * channels
  if (first + samples.byteLength > MAX_DATA_BYTES) throw new Error('it is too long for a WAV file')
  // The samples lie in memory as they do in the file: all processors that we run on are little-endian.
  await writeAll(disk, new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength), HEADER_BYTES + first)
  file.end = Math.max(file.end, first + samples.byteLength)
  await writeAll(disk, writeHeader(channels, file.end), 0)
}

function lose(file: Writing, { at, samples }: Chunk, why: string): void {
  file.lostSamples += samples.length / file.options.channels
  if (at - file.troubledAt < SAMPLES_BETWEEN_TROUBLES) return
  file.troubledAt = at
  file.options.onTrouble(`a recording loses sound: ${why}`)
}

async function writeAll(disk: Disk, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await disk.write(bytes, done, bytes.length - done, position + done)
    if (bytesWritten === 0) throw new Error('the disk takes nothing')
    done += bytesWritten
  }
}

async function inTurn<T>(turns: Turns, work: () => Promise<T>): Promise<T> {
  if (turns.free > 0) turns.free--
  else await new Promise<void>((resolve) => turns.waiting.push(resolve))
  try {
    return await work()
  } finally {
    const next = turns.waiting.shift()
    if (next === undefined) turns.free++
    else next()
  }
}

/** The code of the system, such as ENOSPC, without the path. */
function reasonOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return error instanceof Error ? error.message : String(error)
}
