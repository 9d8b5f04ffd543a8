import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setImmediate as turnOfLoop } from 'node:timers/promises'
import { channelOf, HEADER_BYTES, layoutOf, writeHeader } from '../../../media/clips/wav.ts'
import { type Disk, makeTurns, MAX_BACKLOG_BYTES, MAX_WRITES, openTapeFile, type TapeFileOptions } from './tape-file.ts'

const CHUNK = 4000
/** A chunk of two channels: the number of each sample, and its negative. */
const chunk = (n: number) => ({
  at: n * CHUNK,
  samples: Int16Array.from({ length: 2 * CHUNK }, (_, i) => (i % 2 === 0 ? 1 : -1) * ((n * 100 + (i >> 1)) % 30_000)),
})

function read(bytes: Buffer): readonly Int16Array[] {
  const layout = layoutOf(bytes)
  assert.ok(!('refused' in layout), JSON.stringify(layout))
  return [0, 1].slice(0, layout.channels).map((channel) => Int16Array.from(channelOf(bytes, layout, channel), (sample) => sample * 32768))
}

const left = (n: number): readonly number[] => [...chunk(n).samples].filter((_, i) => i % 2 === 0)

/** Runs what is waiting until it holds. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let turns = 0; !(await holds()); turns++) {
    assert.ok(turns < 10_000, 'it never holds')
    await turnOfLoop()
  }
}

describe('The file of a recording', () => {
  let folder = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'earshot-tape-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))
  const options = (name: string, troubles: string[] = [], more: Partial<TapeFileOptions> = {}): TapeFileOptions => ({
    path: join(folder, name),
    channels: 2,
    turns: makeTurns(),
    onTrouble: (message) => troubles.push(message),
    ...more,
  })

  test('It is a WAV file at any moment, as far as it goes, and only its owner may read it', async () => {
    const troubles: string[] = []
    const file = openTapeFile(options('a.wav', troubles))
    await file.opened
    const path = join(folder, 'a.wav')
    assert.deepEqual(await readFile(path), Buffer.from(writeHeader(2, 0)))
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    for (let n = 0; n < 3; n++) {
      file.take([chunk(n)])
      await until(async () => (await readFile(path)).readUInt32LE(40) === (n + 1) * CHUNK * 4)
      const [samples, other] = read(await readFile(path))
      assert.equal(samples?.length, (n + 1) * CHUNK)
      assert.deepEqual([...(samples ?? [])].slice(n * CHUNK), left(n))
      assert.deepEqual(
        [...(other ?? [])].slice(n * CHUNK).map((sample) => 0 - sample),
        left(n),
      )
    }
    await file.close()
    assert.deepEqual(troubles, [])
  })

  test('A file that is there already is left as it is, and so is a folder that is not', async () => {
    const path = join(folder, 'there.wav')
    await writeFile(path, 'evidence')
    const file = openTapeFile(options('there.wav'))
    await assert.rejects(file.opened, /EEXIST/)
    file.take([chunk(0)])
    await file.close()
    assert.equal(await readFile(path, 'utf8'), 'evidence')
    await assert.rejects(openTapeFile(options('no/such/folder.wav')).opened, /ENOENT/)
  })

  test('Sound that comes while it is being opened is kept', async () => {
    const file = openTapeFile(options('early.wav'))
    file.take([chunk(0), chunk(1)])
    await file.close()
    assert.deepEqual([...(read(await readFile(join(folder, 'early.wav')))[0] ?? [])], [...left(0), ...left(1)])
  })

  /** A disk in memory whose writes can fail or hang. */
  function badDisk() {
    const state = {
      bytes: Buffer.alloc(0),
      error: null as Error | null,
      hangs: null as Promise<void> | null,
      atOnce: 0,
      writes: 0,
      most: 0,
      isClosed: false,
      step: Number.POSITIVE_INFINITY,
    }
    const disk: Disk = {
      async write(bytes, offset, length, position) {
        state.most = Math.max(state.most, ++state.atOnce)
        state.writes++
        await state.hangs
        await turnOfLoop()
        state.atOnce--
        if (state.error !== null) throw state.error
        const count = Math.min(length, state.step)
        if (position + count > state.bytes.length) state.bytes = Buffer.concat([state.bytes, Buffer.alloc(position + count - state.bytes.length)])
        state.bytes.set(bytes.subarray(offset, offset + count), position)
        return { bytesWritten: count }
      },
      async close() {
        state.isClosed = true
      },
    }
    return { state, openDisk: async () => disk }
  }
  const full = (): Error => Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })

  test('A full disk loses sound and says so once; what comes when there is room again lies in its time', async () => {
    const { state, openDisk } = badDisk()
    const troubles: string[] = []
    const file = openTapeFile(options('full.wav', troubles, { openDisk }))
    const put = async (n: number): Promise<void> => {
      file.take([chunk(n)])
      await until(() => state.atOnce === 0 && (state.error !== null || state.bytes.length >= HEADER_BYTES + (n + 1) * CHUNK * 4))
      for (let i = 0; i < 10; i++) await turnOfLoop()
    }
    await file.opened
    await put(0)
    state.error = full()
    await put(1)
    await put(2)
    assert.deepEqual(read(state.bytes)[0]?.length, CHUNK, 'what is there can be read meanwhile')
    state.error = null
    await put(3)
    await file.close()
    assert.deepEqual([...(read(state.bytes)[0] ?? [])], [...left(0), ...Array.from({ length: 2 * CHUNK }, () => 0), ...left(3)])
    assert.deepEqual(troubles, ['a recording loses sound: ENOSPC', 'a recording has lost 1.0 s of sound'])
    assert.ok(state.isClosed)
  })

  test('A disk that hangs costs ten seconds of memory and no more, and nobody waits for it', async () => {
    const { state, openDisk } = badDisk()
    const troubles: string[] = []
    const file = openTapeFile(options('slow.wav', troubles, { openDisk }))
    await file.opened
    let release = (): void => {}
    state.hangs = new Promise((resolve) => {
      release = resolve
    })
    const fits = MAX_BACKLOG_BYTES / (CHUNK * 4)
    for (let n = 0; n < fits + 5; n++) file.take([chunk(n)])
    assert.deepEqual(troubles, ['a recording loses sound: the disk is too slow'])
    release()
    state.hangs = null
    await file.close()
    const [samples] = read(state.bytes)
    assert.equal(samples?.length, fits * CHUNK)
    assert.deepEqual([...(samples?.subarray(-CHUNK) ?? [])], left(fits - 1))
    assert.deepEqual(troubles.slice(1), ['a recording has lost 2.5 s of sound'])
  })

  test('A disk that loses again and again is spoken of once a minute', async () => {
    const { state, openDisk } = badDisk()
    const troubles: string[] = []
    const file = openTapeFile(options('flaky.wav', troubles, { openDisk }))
    await file.opened
    for (let n = 0; n < 250; n++) {
      state.error = n % 2 === 0 ? full() : null
      file.take([chunk(n)])
      await until(() => state.atOnce > 0)
      await until(() => state.atOnce === 0)
      for (let i = 0; i < 8; i++) await turnOfLoop()
    }
    state.error = null
    await file.close()
    assert.equal(troubles.filter((text) => text.includes('loses')).length, 3)
  })

  test('A file that cannot be opened in time is an error, and nothing is left open or waited for', async () => {
    const { state, openDisk } = badDisk()
    const turns = makeTurns()
    let release = (): void => {}
    state.hangs = new Promise((resolve) => {
      release = resolve
    })
    const file = openTapeFile(options('never.wav', [], { openDisk, turns, openMs: 20 }))
    await assert.rejects(file.opened, /does not answer/)
    await file.close()
    release()
    await until(() => state.isClosed && turns.free === MAX_WRITES)
  })

  test('Many recordings write two at a time, each in its turn', async () => {
    const turns = makeTurns()
    const { state, openDisk } = badDisk()
    const files = Array.from({ length: 20 }, () => openTapeFile(options('many.wav', [], { openDisk, turns })))
    await Promise.all(files.map((file) => file.opened))
    state.most = 0
    for (const file of files) file.take([chunk(0), chunk(1)])
    await Promise.all(files.map((file) => file.close()))
    assert.equal(state.most, MAX_WRITES)
    assert.deepEqual([turns.free, turns.waiting.length], [MAX_WRITES, 0])
  })

  test('What has piled up is written at one go, over a hole not', async () => {
    const { state, openDisk } = badDisk()
    const turns = makeTurns()
    const file = openTapeFile(options('behind.wav', [], { openDisk, turns }))
    await file.opened
    const before = turns.free
    turns.free = 0
    for (const n of [0, 1, 2, 5, 6]) file.take([chunk(n)])
    state.writes = 0
    turns.free = before
    turns.waiting.shift()?.()
    turns.free--
    await file.close()
    assert.equal(state.writes, 4, 'sound and header, twice')
    const silence = Array.from({ length: 2 * CHUNK }, () => 0)
    assert.deepEqual([...(read(state.bytes)[0] ?? [])], [...left(0), ...left(1), ...left(2), ...silence, ...left(5), ...left(6)])
    assert.equal(turns.free, before)
  })

  test('A disk that takes a little at a time gets the rest, one that takes nothing loses', async () => {
    const { state, openDisk } = badDisk()
    state.step = 7
    const file = openTapeFile(options('little.wav', [], { openDisk }))
    file.take([chunk(0)])
    await file.close()
    assert.deepEqual([...(read(state.bytes)[0] ?? [])], left(0))
    const troubles: string[] = []
    const stuck = openTapeFile(options('stuck.wav', troubles, { openDisk }))
    await stuck.opened
    state.step = 0
    stuck.take([chunk(0)])
    await stuck.close()
    assert.match(troubles[0] ?? '', /takes nothing/)
  })
})
