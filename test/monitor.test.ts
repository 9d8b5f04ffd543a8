/** A supervisor's visit from a terminal: `bin/earshot.mjs monitor …` as processes of their own, beside a whole server and real phones. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import type { Phone } from '../src/phone/phone.ts'
import { eventually } from './eventually.ts'
import { openTestServer, type TestServer, TOKEN } from './server.ts'

const CLI = new URL('../bin/earshot.mjs', import.meta.url).pathname
const PROCESS_MS = 30_000

let server: TestServer
let boss: Phone
const started: ChildProcess[] = []

before(async () => {
  server = await openTestServer()
  await server.phone({ name: 'priya' })
  boss = await server.phone({ name: 'boss' })
})
after(async () => {
  for (const child of started) child.kill('SIGKILL')
  await server.close()
})

interface Running {
  readonly child: ChildProcess
  readonly said: { out: string; err: string }
}

function run(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Running {
  const child = spawn(process.execPath, [CLI, 'monitor', ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } })
  started.push(child)
  const said = { out: '', err: '' }
  child.stdout?.on('data', (chunk: Buffer) => void (said.out += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => void (said.err += chunk.toString()))
  return { child, said }
}

async function monitor(...args: readonly string[]): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }> {
  const { child, said } = run([...args, '-c', server.config])
  await once(child, 'close')
  return { code: child.exitCode, ...said }
}

const answered = (phone: Phone): boolean => phone.current()?.state === 'established'

test('[C15] [C20] [C21] join rings the supervisor, mode changes what is heard, watch says so, hangup leaves the call as it was', async () => {
  const { status, body } = await server.request('POST', '/Calls/connect.json', {
    From: 'client:priya',
    To: '+919876543210',
    CallerId: '+918012345678',
  })
  assert.equal(status, 200, JSON.stringify(body))
  const call = body.Call.Sid
  const watching = run(['watch', '--call', call, '-c', server.config])
  await eventually('the snapshot', () => / snapshot {2}1 live call, 0 supervisors\n/.test(watching.said.out), PROCESS_MS)

  const joined = await monitor('join', call, '--phone', 'client:boss')
  assert.deepEqual([joined.code, joined.err], [0, ''])
  const [, leg = ''] = /^client:\*\*\* is rung as leg ([0-9a-z]{32}); when they pick up: listen\.$/m.exec(joined.out) ?? []
  await eventually('boss has picked up', () => answered(boss))
  await eventually('watch says it', () => watching.said.out.includes(` leg       ${call} ${leg} monitor client:*** answered\n`))

  const changed = await monitor('mode', call, leg, 'whisper')
  assert.deepEqual([changed.code, changed.out, changed.err], [0, `Leg ${leg} is in mode whisper.\n`, ''])
  await eventually('watch prints the change', () =>
    new RegExp(` mode {6}${call} ${leg} listen → whisper, target [0-9a-z]{32}\\n`).test(watching.said.out),
  )

  const { out: shown } = await monitor('calls')
  assert.match(shown, new RegExp(`^${call} {2}from client:\\*{3} to 09\\*{5}210, since `))
  assert.match(shown, new RegExp(`^ {2}${leg} +monitor +client:\\*{3} +answered +whisper +outbound +outbound$`, 'm'))

  const left = await monitor('hangup', call, leg)
  assert.deepEqual([left.code, left.out], [0, `Leg ${leg} is let go; the call goes on.\n`])
  await eventually('boss is gone', () => !answered(boss))
  await eventually('watch prints it', () => watching.said.out.includes(` leg       ${call} ${leg} monitor client:*** ended: completed\n`))
  assert.match((await monitor('mode', call, leg, 'barge')).err, /^404 Given legSID does not exist\./)

  watching.child.kill('SIGINT')
  await once(watching.child, 'close')
  assert.deepEqual([watching.child.exitCode, watching.said.err], [0, ''])
  for (const number of ['9876543210', 'client:boss']) assert.ok(!watching.said.out.includes(number))
})

test('a wrong token from the environment is refused in the words of the server, without a configuration', async () => {
  const environment = { EARSHOT_KEY: 'key', EARSHOT_TOKEN: `${TOKEN}x` }
  const { child, said } = run(['calls', '--url', server.url, '--account', 'acme', '-c', '/nowhere.yaml'], environment)
  await once(child, 'close')
  assert.deepEqual([child.exitCode, said.out], [1, ''])
  assert.match(said.err, /^401 Authentication failed; look at the account, the key and the token/)
})

test('watch ends when nobody reads it any more', async () => {
  const { child } = run(['watch', '--json', '-c', server.config])
  const [first] = await once(child.stdout ?? child, 'data')
  assert.equal(JSON.parse(String(first)).event, 'snapshot')
  child.stdout?.destroy()
  const ended = once(child, 'close')
  const { status } = await server.request('POST', '/Calls/connect.json', { From: 'client:priya', To: '+919876543210', CallerId: '+918012345678' })
  assert.equal(status, 200)
  await ended
  assert.equal(child.exitCode, 0)
})
