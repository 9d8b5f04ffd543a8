/** Every test file that needs a database runs on both, or it says here why not. */
import assert from 'node:assert/strict'
import { globSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

const ON_ONE: Readonly<Record<string, string>> = {
  'src/store/embedded/server.test.ts': 'it is about the embedded server itself; its binaries are both',
  'src/store/embedded/hold.test.ts': 'it is about the folder of the embedded server',
  'test/clients.test.ts': 'clients of others by HTTP; what the server keeps of their requests is tested in test/walk.test.ts, on both',
  'test/examples.test.ts': 'programs that talk to a server by HTTP; what it keeps is tested in test/walk.test.ts, on both',
  'src/http/keys.test.ts': 'keys over HTTP; how they are kept is tested in src/control/access/key-desk.test.ts and src/store/access, on both',
  'src/http/rights.test.ts': 'who may what, whatever keeps the keys: src/store/access, on both',
  'src/control/api.test.ts': 'who may what; nothing of it is SQL',
  'src/control/access/keyring.test.ts': 'what is remembered of keys; how they are kept is tested in src/store/access, on both',
  'src/commands/access/keys.test.ts': 'flags and sentences; what they do is tested in src/control/access/key-desk.test.ts, on both',
  'test/sdk.test.ts': 'a client by HTTP, as those of others',
  'test/sdk-account.test.ts': 'a client by HTTP, as those of others; keys, money and the audit log have their own tests, on both',
  'test/sound.test.ts': 'what ears hear; what is kept of it is tested in src/store/calls.test.ts, on both',
  'test/demo.test.ts': 'the demonstration always brings its own database',
  'src/cli.test.ts': 'commands that open no database, or find the one that they name away',
  'src/commands/monitor/monitor.test.ts': 'commands that talk to a server by HTTP and open no database',
  'test/monitor.test.ts': 'a terminal that talks to a server by HTTP; what that server keeps is tested in test/walk.test.ts, on both',
  'test/launcher.test.ts': 'how the process is started, before anything is opened',
}
/** How a test comes to a database, by itself or by a whole server. */
const NEEDS = /\b(?:openTestDatabase|openTestServer|startEmbedded|startHouse|openHouse|runKills)\(|\brunCli\(|'demo'/

test('what needs a database is tested on the embedded one and on PostgreSQL 15', () => {
  const needing = globSync(['src/**/*.test.ts', 'test/**/*.test.ts'], { cwd: root }).filter((path) => !path.startsWith('test/oldest/') && NEEDS.test(read(path)))
  const again = readdirSync(join(root, 'test/oldest')).map((name) => /import\('\.\.\/(.+)'\)/.exec(read(`test/oldest/${name}`))?.[1] ?? '')
  const isAgain = (path: string): boolean => again.some((target) => path === (target.startsWith('../') ? target.slice(3) : `test/${target}`))
  const onOne = needing.filter((path) => !/\btestServers\(\)/.test(read(path)) && !isAgain(path) && !(path in ON_ONE))
  assert.deepEqual(onOne, [])
  assert(needing.length > 10 && again.length > 5, 'files are found')
  for (const path of Object.keys(ON_ONE)) assert(read(path) !== '', path)
})
