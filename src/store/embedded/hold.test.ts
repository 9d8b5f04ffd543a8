import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { silent } from '../../../test/database.ts'
import { despiteErrors, eventually } from '../../../test/eventually.ts'
import { openBeside, openDatabase } from '../database.ts'
import { FolderInUse, holdFolder } from './hold.ts'
import { startEmbedded } from './server.ts'

describe('the hold on a data folder', () => {
  let place: string
  before(async () => {
    place = await mkdtemp(join(tmpdir(), 'earshot-hold-'))
    await chmod(place, 0o711)
  })
  after(() => rm(place, { recursive: true, force: true, maxRetries: 5 }))

  test('one at a time has it, by whatever path; when it is let go, or its process is killed, the next one may', async () => {
    const folder = join(place, 'plain')
    await mkdir(folder)
    await symlink(folder, join(place, 'link'))
    const first = await holdFolder(folder)
    await assert.rejects(holdFolder(folder), FolderInUse)
    await assert.rejects(holdFolder(join(place, 'link')), /^FolderInUse: The data folder .*link is in use by another Earshot/)
    await (await holdFolder(place)).release()
    await first.release()
    const script = `import { holdFolder } from ${JSON.stringify(new URL('./hold.ts', import.meta.url).href)}
      await holdFolder(process.argv[1]); console.log('held'); setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    await assert.rejects(holdFolder(folder), FolderInUse)
    child.kill('SIGKILL')
    await once(child, 'exit')
    await (await holdFolder(folder)).release()
  })

  test('while a server that died is being started again, no other Earshot can take its folder, and a command waits for it', async () => {
    const folder = join(place, 'data')
    const database = await openDatabase({ data: folder, log: silent })
    const postmaster = async (): Promise<number> => Number((await readFile(join(folder, 'postgres/postmaster.pid'), 'utf8')).split('\n')[0])
    const killed = await postmaster()
    process.kill(killed, 'SIGKILL')
    let tries = 0
    let back = false
    const others = (async () => {
      while (!back) {
        tries += 1
        await assert.rejects(startEmbedded({ folder, log: silent }), FolderInUse)
      }
    })()
    const beside = await openBeside({ data: folder, log: silent, migrates: false })
    assert.deepEqual(await beside.sql.query('select 1 as one'), [{ one: 1 }])
    await beside.close()
    await eventually(
      'the database answers again',
      despiteErrors(async () => (await database.sql.query('select 1')).length === 1),
      30_000,
    )
    back = true
    await others
    assert(tries > 3, `${tries}`)
    assert.notEqual(await postmaster(), killed)
    await database.close()
  })
})
