import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import { silent, testServers } from '../../../test/database.ts'
import { despiteErrors, eventually } from '../../../test/eventually.ts'
import { ACCOUNT, sampleCall, sampleCallback } from '../../../test/sample-calls.ts'
import type { CallId } from '../../domain/ids.ts'
import { loadCall, saveCall } from '../calls.ts'
import { type Database, type Log, openDatabase } from '../database.ts'
import { EMBEDDED_DATABASE, startEmbedded } from './server.ts'
import { prepareFolder } from './folder.ts'

const asRoot = process.getuid?.() === 0
const NOBODY = 65534

describe('the embedded server', () => {
  let place: string
  /** A folder with a database, for tests to which its making does not matter. */
  let warm: string
  let folders = 0
  before(async () => {
    place = await mkdtemp(join(tmpdir(), 'earshot-embedded-'))
    await chmod(place, 0o711)
    warm = newFolder()
    await (await openDatabase({ data: warm, log: silent })).close()
  })
  after(() => rm(place, { recursive: true, force: true, maxRetries: 5 }))
  const newFolder = (): string => join(place, `data-${(folders += 1)}`)

  /** A log that remembers its events. */
  const remembering = (): { readonly log: Log; readonly events: unknown[] } => {
    const events: unknown[] = []
    const note = (fields: Readonly<Record<string, unknown>>): void => void events.push(fields.event)
    return { log: { info: note, warn: note, error: note }, events }
  }

  const postmaster = async (folder: string): Promise<number> =>
    Number((await readFile(join(folder, 'postgres/postmaster.pid'), 'utf8')).split('\n')[0])

  test('data is there after close and open, and the second start creates nothing', async () => {
    const folder = newFolder()
    const call = sampleCall()
    const first = remembering()
    const opened = await openDatabase({ data: folder, log: first.log })
    await saveCall(opened.sql, { call, node: 'n', callbacks: [], evidence: [], idempotency: null })
    await opened.close()
    const second = remembering()
    const again = await openDatabase({ data: folder, log: second.log })
    assert.deepEqual(await loadCall(again.sql, ACCOUNT, call.id), call)
    await again.close()
    assert.deepEqual(first.events, ['database-create', 'database-started'])
    assert.deepEqual(second.events, ['database-started'])
    await assert.rejects(stat(join(folder, 'postgres/postmaster.pid')), 'the server is gone')
  })

  test('it is reached by nobody but us: no network, a socket in a folder of its own, no values in its log', async () => {
    const folder = warm
    const opened = await openDatabase({ data: folder, log: silent })
    const [settings] = await opened.sql.query<Record<string, string>>(
      `select current_setting('listen_addresses') as network, current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit`,
    )
    assert.deepEqual(settings, { network: '', fsync: 'on', commit: 'on' })
    assert.equal((await stat(join(folder, 'socket'))).mode & 0o777, 0o700)
    await assert.rejects(opened.sql.query('insert into node (name, beat_at) values ($1, null)', ['+919876543210']))
    await assert.rejects(opened.sql.query(`select '+919876543210'::integer`))
    await opened.close()
    assert.doesNotMatch(await readFile(join(folder, 'postgres.log'), 'utf8'), /9876543210/)
  })

  test('a second Earshot on the same folder is refused with a sentence, and the first one is not disturbed', async () => {
    const folder = warm
    const first = await openDatabase({ data: folder, log: silent })
    await assert.rejects(openDatabase({ data: folder, log: silent }), /data folder .* is in use by another Earshot/)
    await first.sql.query('select 1')
    await first.close()
  })

  test('of several that start at once on a new folder one wins', async () => {
    const folder = newFolder()
    const outcomes = await Promise.allSettled(Array.from({ length: 3 }, () => openDatabase({ data: folder, log: silent })))
    const opened = outcomes.filter((outcome) => outcome.status === 'fulfilled').map((outcome) => outcome.value)
    for (const outcome of outcomes) if (outcome.status === 'rejected') assert.match(String(outcome.reason), /in use by another Earshot/)
    assert.equal(opened.length, 1)
    await Promise.all(opened.map((database) => database.close()))
    const later = await openDatabase({ data: folder, log: silent })
    await later.close()
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.startsWith('postgres.new')),
      [],
    )
  })

  /** A process that saves calls as fast as it can and says which are acknowledged. */
  async function startWriter(folder: string): Promise<{ readonly process: ChildProcess; readonly acknowledged: string[] }> {
    const at = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href)
    const code = `
      import { openDatabase } from ${at('../database.ts')}
      import { saveCall } from ${at('../calls.ts')}
      import { sampleCall, sampleCallback } from ${at('../../../test/sample-calls.ts')}
      import { silent, testServers } from ${at('../../../test/database.ts')}
      import { writeSync } from 'node:fs'
      const { sql } = await openDatabase({ data: ${JSON.stringify(folder)}, log: silent })
      let n = 0
      const write = async () => { for (;;) {
        const call = sampleCall({ id: 'w${folders}-' + process.pid + '-' + (n += 1) })
        const legs = call.legs.map((leg) => ({ ...leg, id: call.id + leg.id }))
        await saveCall(sql, { call: { ...call, legs }, node: 'n', callbacks: [sampleCallback({ id: call.id })], evidence: [], idempotency: null })
        writeSync(1, call.id + '\\n')
      } }
      await Promise.all([write(), write(), write(), write()])`
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
    const acknowledged: string[] = []
    createInterface({ input: child.stdout }).on('line', (line) => acknowledged.push(line))
    await eventually('writing', async () => acknowledged.length >= 200, 60_000)
    return { process: child, acknowledged }
  }

  async function assertAllThere(database: Database, acknowledged: readonly string[]): Promise<void> {
    const rows = await database.sql.query<{ id: string; legs: string }>(
      `select call.id, (select count(*) from leg where call_id = call.id) as legs from call join callback using (id) where state = 'pending'`,
    )
    const whole = new Set(rows.filter((row) => row.legs === '3').map((row) => row.id))
    assert.equal(whole.size, rows.length, 'no call is there in part')
    assert.deepEqual(
      acknowledged.filter((id) => !whole.has(id)),
      [],
    )
  }

  test('[C27] after kill -9 of Earshot every acknowledged call and callback is there; its server is replaced', async () => {
    const folder = newFolder()
    const writer = await startWriter(folder)
    writer.process.kill('SIGKILL')
    await once(writer.process, 'close')
    const orphan = await postmaster(folder)
    process.kill(orphan, 0)
    const { log, events } = remembering()
    const opened = await openDatabase({ data: folder, log })
    assert.deepEqual(events, ['database-orphan', 'database-started'])
    assert.notEqual(await postmaster(folder), orphan)
    await assertAllThere(opened, writer.acknowledged)
    await opened.close()
  })

  test('[C27] after kill -9 of Earshot and of the whole server every acknowledged call and callback is there', async () => {
    const folder = warm
    const writer = await startWriter(folder)
    process.kill(-(await postmaster(folder)), 'SIGKILL')
    writer.process.kill('SIGKILL')
    await once(writer.process, 'close')
    const opened = await openDatabase({ data: folder, log: silent })
    await assertAllThere(opened, writer.acknowledged)
    await opened.close()
  })

  test('a server that dies is started again, and a new Earshot is still refused', async () => {
    const folder = warm
    const { log, events } = remembering()
    const opened = await openDatabase({ data: folder, log })
    const first = await postmaster(folder)
    process.kill(-first, 'SIGKILL')
    await eventually(
      'a new server',
      despiteErrors(async () => (await opened.sql.query('select 1')).length === 1 && (await postmaster(folder)) !== first),
    )
    assert(events.includes('database-lost'))
    // A new server answers queries some moments before its lock is held.
    await eventually('the lock is held again', async () => (await opened.sql.query(`select from pg_locks where locktype = 'advisory'`)).length > 0)
    await assert.rejects(openDatabase({ data: folder, log: silent }), /in use/)
    await opened.close()
  })

  test('a server that dies and cannot be started again is tried until it can', async () => {
    const folder = newFolder()
    const { log, events } = remembering()
    const opened = await openDatabase({ data: folder, log })
    const pid = await postmaster(folder)
    await rename(join(folder, 'postgres/global'), join(folder, 'postgres/global.away'))
    process.kill(-pid, 'SIGKILL')
    await eventually('a try that fails', async () => events.includes('database-restart-failed'))
    await rename(join(folder, 'postgres/global.away'), join(folder, 'postgres/global'))
    await eventually(
      'a query',
      despiteErrors(async () => (await opened.sql.query('select 1')).length === 1),
    )
    await opened.close()
  })

  test('a session that crashes takes the lock with it, and it is taken again', async () => {
    const folder = warm
    const opened = await openDatabase({ data: folder, log: silent })
    const holders = `select pid from pg_locks where locktype = 'advisory'`
    const [holder] = await opened.sql.query<{ pid: number }>(holders)
    assert(holder)
    process.kill(holder.pid, 'SIGKILL')
    await eventually(
      'another holder',
      despiteErrors(async () => {
        const [now] = await opened.sql.query<{ pid: number }>(holders)
        return now !== undefined && now.pid !== holder.pid
      }),
    )
    await opened.close()
  })

  test('a leftover note of a server whose process number belongs to something else is no obstacle', async () => {
    const folder = warm
    await writeFile(join(folder, 'postgres/postmaster.pid'), `${process.ppid}\n${folder}/postgres\n1\n5432\n${folder}/socket\n\n\n`)
    await (await openDatabase({ data: folder, log: silent })).close()
  })

  test('a folder whose path is too long for a socket works, and leaves nothing in the temporary folder', async () => {
    const folder = join(newFolder(), 'x'.repeat(100))
    const server = await startEmbedded({ folder, log: silent, durable: false })
    assert(Buffer.byteLength(server.socketFolder) < 90)
    await server.close()
    await assert.rejects(stat(server.socketFolder))
  })

  test('data of another major version is refused with what to do', async () => {
    const folder = newFolder()
    await mkdir(join(folder, 'postgres'), { recursive: true })
    if (asRoot) await chmod(folder, 0o711)
    await writeFile(join(folder, 'postgres/PG_VERSION'), '9\n')
    await assert.rejects(
      openDatabase({ data: folder, log: silent }),
      /was made by PostgreSQL 9, but only PostgreSQL [\d, ]+ is installed here\. Install PostgreSQL 9/,
    )
  })

  test('half a database, left by a start that was killed, is cleared away', async () => {
    const folder = newFolder()
    await mkdir(join(folder, 'postgres.new.999999999.x'), { recursive: true })
    if (asRoot) await chown(folder, NOBODY, NOBODY)
    const server = await startEmbedded({ folder, log: silent, durable: false })
    assert(!(await readdir(folder)).includes('postgres.new.999999999.x'))
    await server.close()
  })

  test('as root, a folder that the server’s user may not reach works all the same, is found again, and goes with its temporary folder', {
    skip: asRoot ? false : 'not root',
  }, async () => {
    const locked = newFolder()
    const shelter = newFolder()
    const call = sampleCall()
    const { log, events } = remembering()
    await mkdir(locked, { mode: 0o700 })
    const first = await prepareFolder(join(locked, 'data'), log, shelter)
    assert.match(first.folder, new RegExp(`^${shelter}/[a-p]{16}$`))
    assert.deepEqual(first.owner, { uid: NOBODY, gid: NOBODY })
    const opened = await openDatabase({ data: first.folder, log })
    await saveCall(opened.sql, { call, node: 'n', callbacks: [], evidence: [], idempotency: null })
    await opened.close()
    const again = await prepareFolder(join(locked, 'data'), log, shelter)
    assert.equal(again.folder, first.folder)
    assert(events.includes('database-sheltered'))
    assert.match(await readFile(join(locked, 'data/README'), 'utf8'), new RegExp(first.folder))
    await rm(locked, { recursive: true })
    const other = newFolder()
    await mkdir(other, { mode: 0o700 })
    await prepareFolder(join(other, 'data'), log, shelter)
    await assert.rejects(stat(first.folder), 'nobody will ask for it again')
  })

  test('as root, a folder that holds other things of root’s is left alone, and the data sheltered', {
    skip: asRoot ? false : 'not root',
  }, async () => {
    const shared = newFolder()
    await mkdir(shared, { mode: 0o755 })
    await writeFile(join(shared, 'earshot.yaml'), '')
    const shelter = newFolder()
    assert((await prepareFolder(shared, silent, shelter)).folder.startsWith(shelter))
    assert.equal((await stat(shared)).uid, 0)
  })

  test('as root, data whose owner may not reach it is refused with what to do', { skip: asRoot ? false : 'not root' }, async () => {
    const locked = newFolder()
    await mkdir(join(locked, 'data/postgres'), { recursive: true })
    await chmod(locked, 0o700)
    await assert.rejects(prepareFolder(join(locked, 'data'), silent, newFolder()), new RegExp(`may not enter ${locked}\\.`))
  })

  test('an ordinary user runs it as themselves', { skip: asRoot ? false : 'not root: the other tests show it' }, async () => {
    const folder = newFolder()
    await mkdir(folder)
    await chown(folder, NOBODY, NOBODY)
    const code = `
      import { openDatabase } from ${JSON.stringify(new URL('../database.ts', import.meta.url).href)}
      const opened = await openDatabase({ data: ${JSON.stringify(folder)}, log: console })
      await opened.sql.query('select 1')
      await opened.close()`
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      uid: NOBODY,
      gid: NOBODY,
      cwd: '/',
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    assert.deepEqual(await once(child, 'close'), [0, null])
    assert.equal((await stat(join(folder, 'postgres'))).uid, NOBODY)
  })

  test('the oldest PostgreSQL of the system serves as well', { skip: testServers().includes('oldest') ? false : 'not installed' }, async () => {
    const server = await startEmbedded({ folder: newFolder(), log: silent, durable: false, binaries: '/usr/lib/postgresql/15/bin' })
    const opened = await openDatabase({
      data: `postgres://${server.user}@/${EMBEDDED_DATABASE}?host=${encodeURIComponent(server.socketFolder)}&port=${server.port}`,
      log: silent,
    })
    const call = sampleCall({ id: 'c15' as CallId })
    await saveCall(opened.sql, { call, node: 'n', callbacks: [sampleCallback()], evidence: [], idempotency: null })
    assert.deepEqual(await loadCall(opened.sql, ACCOUNT, call.id), call)
    await opened.close()
    await server.close()
  })
})
