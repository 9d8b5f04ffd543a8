/** A fresh PostgreSQL 15 of the system's, on a free port of this machine and with its own defaults (fsync on), as a server for production would be. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { freePort } from '../test/free-port.ts'

const BINARIES = '/usr/lib/postgresql/15/bin'
const USER = 'bench'
const START_MS = 30_000
const POLL_MS = 50

export interface Postgres {
  readonly url: string
  readonly pid: number
  close(): Promise<void>
}

/** @throws Error when PostgreSQL 15 is not installed or does not start. */
export async function openPostgres(): Promise<Postgres> {
  const folder = mkdtempSync(join(tmpdir(), 'earshot-bench-pg-'))
  const owner = ownerOf()
  chmodSync(folder, 0o700)
  if (owner) chownSync(folder, owner.uid, owner.gid)
  const data = join(folder, 'data')
  execFileSync(join(BINARIES, 'initdb'), ['-D', data, '-U', USER, '-A', 'trust', '-E', 'UTF8', '--locale=C'], {
    stdio: 'ignore',
    cwd: folder,
    ...owner,
  })
  const port = await freePort()
  const server = spawn(join(BINARIES, 'postgres'), ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', folder], {
    stdio: 'ignore',
    cwd: folder,
    ...owner,
  })
  const url = `postgres://${USER}@127.0.0.1:${port}/postgres`
  await answering(url, server)
  return {
    url,
    pid: server.pid ?? -1,
    async close() {
      server.kill('SIGINT')
      await once(server, 'close')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** PostgreSQL refuses to be root. */
function ownerOf(): { readonly uid: number; readonly gid: number } | null {
  if (process.getuid?.() !== 0) return null
  const idOf = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return { uid: idOf('-u'), gid: idOf('-g') }
}

async function answering(url: string, server: ChildProcess): Promise<void> {
  for (const until = Date.now() + START_MS; ; await sleep(POLL_MS)) {
    if (server.exitCode !== null || Date.now() > until) throw new Error('PostgreSQL did not start')
    const client = new pg.Client({ connectionString: url })
    const answers = await client.connect().then(
      () => true,
      () => false,
    )
    await client.end().catch(() => {})
    if (answers) return
  }
}
