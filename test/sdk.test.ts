/** The SDK as a stranger gets it: packed, installed into an empty project, compiled against its declarations, run against a whole server. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Phone } from '../src/phone/phone.ts'
import { newSecret } from '../src/webhooks/signature.ts'
import { verifyCallback } from '../sdk/src/callback.ts'
import { type Earshot, makeEarshot } from '../sdk/src/earshot.ts'
import { eventually } from './eventually.ts'
import { freePort } from './free-port.ts'
import * as shapes from './sdk-shapes.ts'
import { KEY, openTestReceiver, openTestServer, SECRET, type TestReceiver, type TestServer, TOKEN } from './server.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const TSC = join(root, 'node_modules/typescript/bin/tsc')
const CUSTOMER = '+919876543210'
const NODES = [
  ['this Node', process.execPath],
  ['the Node of the path', 'node'],
] as const
/** No example takes longer. */
const LIMIT_MS = 30_000

let server: TestServer
let receiver: TestReceiver
let earshot: Earshot
let agent: Phone
let boss: Phone

before(async () => {
  server = await openTestServer()
  receiver = await openTestReceiver()
  earshot = makeEarshot({ url: server.url, account: 'acme', key: KEY, token: TOKEN })
  agent = await server.phone({ name: 'priya', toneHz: 440 })
  boss = await server.phone({ name: 'boss', toneHz: 1000 })
})
after(async () => {
  await server.close()
  await receiver.close()
})

const hears = (phone: Phone, hz: number): boolean => phone.current()?.state === 'established' && phone.current()?.hears(hz) === 'heard'
const isDown = (phone: Phone): boolean => phone.current()?.state !== 'established'

/** A call in which the two parties hear each other. */
async function talking(more: Readonly<Record<string, string>> = {}): Promise<string> {
  const call = await earshot.calls.connect({ From: 'client:priya', To: CUSTOMER, ...more })
  await eventually('they talk', () => hears(agent, 700) && hears(server.trunkPhone, 440))
  return call.Sid
}

async function end(callSid: string): Promise<void> {
  const [first] = await earshot.calls.activeLegs(callSid)
  await earshot.legs.hangUp(callSid, first?.Sid ?? '')
  await eventually('everybody has hung up', () => [agent, boss, server.trunkPhone].every(isDown))
  await eventually('the call has ended', async () => (await earshot.calls.get(callSid)).Status !== 'in-progress')
}

describe('what the server answers is what the types say, key for key', () => {
  test('[C11] [C16] [C20] [C21] [C30] [C31] in the life of a call', async () => {
    shapes.assertShape(
      shapes.CALL,
      await earshot.calls.connect({ From: 'client:priya', To: CUSTOMER, TimeLimit: 600, TimeOut: 20, CustomField: 'x' }),
    )
    await eventually('they talk', () => hears(agent, 700))
    const [call] = await all(earshot.calls.list({ Status: 'in-progress' }))
    assert.ok(call)
    const leg = await earshot.legs.listen(call.Sid, { PhoneNumber: 'client:boss' })
    shapes.assertShape(shapes.LEG_ANSWER, leg)
    await eventually('the supervisor listens', () => hears(boss, 440))
    shapes.assertShape(shapes.LEG_ANSWER, await earshot.legs.changeMode(call.Sid, leg.Sid, 'barge'))
    const live = await earshot.calls.activeLegs(call.Sid)
    assert.deepEqual(
      live.map(({ Origin }) => Origin),
      ['outbound', 'outbound-dial', 'monitor'],
    )
    for (const each of live) shapes.assertShape(each.Origin === 'monitor' ? shapes.ACTIVE_MONITOR : shapes.ACTIVE_PARTY, each)
    for (const each of await earshot.calls.legs(call.Sid)) shapes.assertShape(shapes.LEG_RECORD, each)
    shapes.assertShape(shapes.LEG_ANSWER, await earshot.legs.hangUp(call.Sid, leg.Sid))
    await end(call.Sid)
    const ended = await earshot.calls.get(call.Sid, { details: true })
    shapes.assertShape(shapes.CALL_WITH_DETAILS, ended)
    shapes.assertShape(shapes.DETAILS, ended.Details)
    shapes.assertShape(shapes.CALL, await earshot.calls.get(call.Sid))
    for (const each of await earshot.calls.legs(call.Sid)) shapes.assertShape(shapes.LEG_RECORD, each)
  })

  test('[C31] in a list of pages', async () => {
    const sids = [await talking().then(ended), await talking().then(ended), await talking().then(ended)]
    const pages = await all(earshot.calls.pages({ Sid: sids, PageSize: 2, SortBy: 'DateCreated:asc' }))
    for (const page of pages) shapes.assertShape(shapes.PAGE, page)
    assert.deepEqual(
      pages.map(({ Calls }) => Calls.map(({ Sid }) => Sid)),
      [sids.slice(0, 2), sids.slice(2)],
    )
    for (const call of await all(earshot.calls.list({ Sid: sids, PageSize: 1 }))) shapes.assertShape(shapes.CALL, call)
    async function ended(sid: string): Promise<string> {
      await end(sid)
      return sid
    }
  })

  for (const StatusCallbackContentType of ['application/json', 'multipart/form-data'] as const) {
    test(`[C26] [C28] [C32] in callbacks as ${StatusCallbackContentType}`, async () => {
      receiver.received.length = 0
      const terms = {
        StatusCallback: receiver.url,
        StatusCallbackContentType,
        StatusCallbackEvents: ['answered', 'terminal'] as const,
        CustomField: 'Größe 1+1',
      }
      const { Sid } = await earshot.calls.connect({ From: 'client:priya', To: CUSTOMER, ...terms })
      await eventually('they talk', () => hears(agent, 700))
      await earshot.legs.listen(Sid, { PhoneNumber: 'client:boss', ...terms })
      await eventually('the supervisor listens', () => hears(boss, 440))
      await end(Sid)
      // The call: both answers and its end; the leg: its answer and its end.
      await eventually('all callbacks have come', () => receiver.received.length === 5)
      for (const { body, headers } of receiver.received) {
        const verdict = await verifyCallback({ body, headers, secret: [newSecret(), SECRET] })
        assert.ok(verdict.verified, JSON.stringify(verdict))
        assert.equal(verdict.callback.CustomField, 'Größe 1+1')
        if (verdict.about === 'leg') shapes.assertShape(shapes.LEG_CALLBACK, verdict.callback)
        else shapes.assertShape(shapes.CALL_CALLBACK, verdict.callback)
        assert.equal((await verifyCallback({ body, headers, secret: newSecret() })).verified, false)
      }
    })
  }

  test('[C8] [C9] [C10] in refusals, each by its code', async () => {
    const none = '0'.repeat(32)
    const sid = await talking()
    const nobody = `http://127.0.0.1:${await freePort()}`
    const refusals: readonly (readonly [string, () => Promise<unknown>])[] = [
      ['call-not-in-progress', () => earshot.calls.activeLegs(none)],
      ['call-not-found', () => earshot.calls.get(none)],
      ['leg-not-found', () => earshot.legs.changeMode(sid, none, 'barge')],
      ['invalid-parameter', () => earshot.legs.listen(sid, { PhoneNumber: 'nobody' })],
      ['destination-not-allowed', () => earshot.legs.listen(sid, { PhoneNumber: '+14155550100' })],
      ['unauthorized', () => makeEarshot({ url: server.url, account: 'acme', key: KEY, token: 'wrong' }).calls.get(sid)],
      ['unauthorized', () => makeEarshot({ url: server.url, account: 'other', key: KEY, token: TOKEN }).calls.get(sid)],
      ['unexpected-answer', () => makeEarshot({ url: `${server.url}/nowhere`, account: 'acme', key: KEY, token: TOKEN }).health()],
      ['unreachable', () => makeEarshot({ url: nobody, account: 'acme', key: KEY, token: TOKEN, retries: 0 }).calls.get(sid)],
    ]
    for (const [code, asking] of refusals) await assert.rejects(asking(), { name: 'EarshotError', code })
    await end(sid)
  })

  test('[C19] one key dials once, whoever repeats it', async () => {
    const terms = { From: 'client:priya', To: CUSTOMER }
    const both = [
      await earshot.calls.connect(terms, { idempotencyKey: 'today-1' }),
      await earshot.calls.connect(terms, { idempotencyKey: 'today-1' }),
    ]
    assert.equal(both[0]?.Sid, both[1]?.Sid)
    await assert.rejects(earshot.calls.connect({ ...terms, CustomField: 'other' }, { idempotencyKey: 'today-1' }), { code: 'idempotency-mismatch' })
    await eventually('they talk', () => hears(agent, 700))
    await end(both[0]?.Sid ?? '')
  })

  test('the server says that it is ready', async () => assert.equal(await earshot.health(), 'ready'))
})

async function all<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

test('the README of the SDK names every code that an error may have', () => {
  const unions = readFileSync(join(root, 'sdk/src/errors.ts'), 'utf8').split('/** What is known of a failure. */')[0] ?? ''
  const codes = [...unions.matchAll(/\| '([a-z-]+)'|= '([a-z-]+)'/g)].map(([, code, first]) => code ?? first ?? '')
  assert.ok(codes.length >= 25)
  const readme = readFileSync(join(root, 'sdk/README.md'), 'utf8')
  assert.deepEqual(
    codes.filter((code) => !readme.includes(`\`${code}\``)),
    [],
  )
})

describe('packed, and installed where there is nothing else', () => {
  let folder: string
  const npm = (cwd: string, ...args: readonly string[]): string =>
    execFileSync('npm', [...args, '--ignore-scripts=false', '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd,
      encoding: 'utf8',
      env: quietNpm(),
    })

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'earshot-sdk-'))
    npm(join(root, 'sdk'), 'pack', '--pack-destination', folder)
    const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? ''
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'stranger', private: true, type: 'module' }))
    npm(folder, 'install', '--offline', `./${tarball}`)
    mkdirSync(join(folder, 'src'))
    for (const name of readdirSync(join(root, 'sdk/examples'))) copyFileSync(join(root, 'sdk/examples', name), join(folder, 'src', name))
    const readme = readFileSync(join(root, 'sdk/README.md'), 'utf8')
    for (const [index, [, code = '']] of [...readme.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].entries())
      writeFileSync(join(folder, 'src', `readme-${index}.ts`), code)
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  const compile = (name: string, options: object): void => {
    const compilerOptions = {
      target: 'es2022',
      module: 'nodenext',
      strict: true,
      exactOptionalPropertyTypes: true,
      rootDir: 'src',
      outDir: 'out',
      ...options,
    }
    writeFileSync(join(folder, name), JSON.stringify({ compilerOptions, include: ['src'] }))
    execFileSync(process.execPath, [TSC, '-p', name, '--pretty', 'false'], { cwd: folder, encoding: 'utf8', stdio: 'pipe' })
  }

  test('the package holds its program, its declarations and no test, and needs nothing', () => {
    const installed = join(folder, 'node_modules')
    assert.deepEqual(
      readdirSync(installed).filter((name) => !name.startsWith('.')),
      ['@earshot'],
    )
    const files = readdirSync(join(installed, '@earshot/sdk'), { recursive: true }) as string[]
    assert.deepEqual(files.filter((name) => !name.startsWith('dist')).sort(), ['LICENSE', 'README.md', 'package.json'])
    assert.ok(files.includes('dist/earshot.js') && files.includes('dist/earshot.d.ts') && !files.some((name) => name.includes('.test.')))
  })

  test('examples and every block of the README compile against its declarations', () => {
    assert.ok(readdirSync(join(folder, 'src')).filter((name) => name.startsWith('readme-')).length >= 5)
    const types = { lib: ['es2023'], types: ['node'], typeRoots: [join(root, 'node_modules/@types')], skipLibCheck: true }
    compile('tsconfig.json', types)
  })

  test('the declarations need no types of Node', () => {
    writeFileSync(
      join(folder, 'browser.ts'),
      "import { makeEarshot } from '@earshot/sdk'\nexport const earshot = makeEarshot({ url: '/', account: 'a', key: 'k', token: 't' })\n",
    )
    const compilerOptions = {
      target: 'es2022',
      module: 'nodenext',
      strict: true,
      noEmit: true,
      lib: ['es2023', 'dom', 'dom.iterable', 'dom.asynciterable'],
      types: [],
    }
    writeFileSync(join(folder, 'tsconfig.browser.json'), JSON.stringify({ compilerOptions, files: ['browser.ts'] }))
    execFileSync(process.execPath, [TSC, '-p', 'tsconfig.browser.json', '--pretty', 'false'], { cwd: folder, encoding: 'utf8', stdio: 'pipe' })
  })

  test('a mistake in the use of it does not compile', () => {
    writeFileSync(
      join(folder, 'wrong.ts'),
      "import { makeEarshot } from '@earshot/sdk'\nmakeEarshot({ url: '/', account: 'a', key: 'k', token: 't' }).legs.changeMode('c', 'l', 'shout')\n",
    )
    writeFileSync(
      join(folder, 'tsconfig.wrong.json'),
      JSON.stringify({ compilerOptions: { module: 'nodenext', noEmit: true, lib: ['es2023', 'dom'], types: [] }, files: ['wrong.ts'] }),
    )
    assert.throws(() => execFileSync(process.execPath, [TSC, '-p', 'tsconfig.wrong.json'], { cwd: folder, stdio: 'pipe' }), /"shout"|failed/)
  })

  const run = (name: string, args: readonly string[], env: Readonly<Record<string, string>> = {}, node = process.execPath): Program =>
    start(node, [join(folder, 'out', name), ...args], { EARSHOT_URL: server.url, EARSHOT_KEY: KEY, EARSHOT_TOKEN: TOKEN, ...env })

  test('listen: the supervisor hears both; the agent hears a whisper, the customer does not', async () => {
    const sid = await talking()
    const program = run('listen.js', ['client:priya', 'client:boss'], { PAUSE: '1.5' })
    await eventually('the supervisor hears both', () => hears(boss, 440) && hears(boss, 700))
    await eventually('the agent hears a whisper', () => hears(agent, 1000))
    assert.equal(server.trunkPhone.current()?.hears(1000), 'silent')
    assert.equal(await program.ended, 0, program.output())
    assert.deepEqual(program.output().trim().split('\n'), [
      'ringing client:boss, who will listen',
      'client:boss whispers to client:priya',
      'client:boss has left',
    ])
    await end(sid)
    const late = run('listen.js', ['client:priya', 'client:boss'])
    assert.equal(await late.ended, 1)
    assert.match(late.output(), /client:priya is not in a call/)
  })

  for (const [what, node] of NODES) {
    test(`follow: who joins, changes and leaves is printed as it happens, under ${what}`, async () => {
      const program = run('follow.js', [], {}, node)
      try {
        await eventually('it follows', () => program.output().includes('0 live calls'))
        const sid = await talking()
        const leg = await earshot.legs.listen(sid, { PhoneNumber: 'client:boss' })
        await eventually('the supervisor listens', () => hears(boss, 440))
        await earshot.legs.changeMode(sid, leg.Sid, 'whisper')
        await end(sid)
        const steps = [/client:priya ringing/, /client:priya answered/, /client:boss ringing/, /client:boss answered/]
        const whispers = /client:priya hears client:boss, 09876543210|client:priya hears 09876543210, client:boss/
        for (const line of [...steps, whispers, /client:boss whisper/, /completed/])
          await eventually(`${line}: ${program.output()}`, () => line.test(program.output()))
        program.child.kill('SIGINT')
        assert.equal(await program.ended, 0, program.output())
      } finally {
        program.child.kill('SIGKILL')
      }
    })
  }

  test('hang-up: the call ends for everybody; a second time it says that it was over', async () => {
    const sid = await talking()
    for (const said of ['hung up', 'the call is over already']) {
      const program = run('hang-up.js', [sid])
      assert.deepEqual([await program.ended, program.output().trim()], [0, said])
      await eventually('everybody has hung up', () => isDown(agent) && isDown(server.trunkPhone))
    }
    const refused = run('hang-up.js', [sid], { EARSHOT_TOKEN: 'wrong' })
    assert.deepEqual([await refused.ended, refused.output().trim()], [1, 'unauthorized: Authentication failed'])
  })

  for (const [what, node] of NODES) {
    test(`list-today: every call of today has its line, under ${what}`, async () => {
      const { Sid } = await earshot.calls.connect({ From: 'client:priya', To: CUSTOMER })
      const program = run('list-today.js', [], {}, node)
      assert.equal(await program.ended, 0, program.output())
      const lines = program.output().trim().split('\n')
      assert.match(lines.at(-2) ?? '', new RegExp(`^\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z {2}${Sid} {2}in-progress {2}- s$`))
      assert.equal(lines.at(-1), `${lines.length - 1} ${lines.length === 2 ? 'call' : 'calls'}`)
      await eventually('they talk', () => hears(agent, 700))
      await end(Sid)
    })
  }

  test('receive-callbacks: those of the server are printed, in both encodings; a stranger’s is refused', async () => {
    const program = run('receive-callbacks.js', ['0'], { EARSHOT_CALLBACK_SECRET: `${newSecret()} ${SECRET}` })
    try {
      await eventually('it listens', () => program.output().includes('listening on '))
      const StatusCallback = /http:\S+/.exec(program.output())?.[0] ?? ''
      const sid = await talking({ StatusCallback, CustomField: 'order 7' })
      await earshot.legs.barge(sid, { PhoneNumber: 'client:boss', StatusCallback, StatusCallbackContentType: 'application/json' })
      await eventually('the supervisor is in', () => hears(boss, 440))
      await end(sid)
      await eventually(`both are printed: ${program.output()}`, () => program.output().trim().split('\n').length === 3)
      assert.deepEqual(program.output().trim().split('\n').slice(1).sort(), [
        'call terminal: completed, outbound-api, "order 7"',
        'leg terminal: completed, barge, ""',
      ])
      assert.equal((await fetch(StatusCallback, { method: 'POST', body: '{}' })).status, 401)
    } finally {
      program.child.kill('SIGTERM')
      await program.ended
    }
  })
})

interface Program {
  readonly child: ChildProcess
  output(): string
  /** Its exit code. */
  readonly ended: Promise<number | null>
}

function start(command: string, args: readonly string[], env: Readonly<Record<string, string>>): Program {
  const child = spawn(command, args, { cwd: root, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => void (output += chunk.toString()))
  const limit = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS)
  const ended = once(child, 'close').then(([code]) => {
    clearTimeout(limit)
    return code as number | null
  })
  return { child, ended, output: () => output }
}

/** npm started by npm inherits the settings of the outer command, which must not count here. */
function quietNpm(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_config_/i.test(name)))
}
