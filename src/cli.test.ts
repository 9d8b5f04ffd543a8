import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { runCli, type World } from './cli.ts'
import type { DemoOptions } from './demo.ts'
import { makeLog } from './log.ts'

const folder = mkdtempSync(join(tmpdir(), 'earshot-cli-'))
after(() => rmSync(folder, { recursive: true }))

const GOOD = join(folder, 'good.yaml')
writeFileSync(
  GOOD,
  `accounts:
  - sid: demo
    keys: [{key: k, token: 0123456789abcdef}]
    notice: {to: nobody}
    numbers: [+918040000000]
    agents: [{name: priya, password: p}, {name: asha, password: p}]
`,
)
const BAD = join(folder, 'bad.yaml')
writeFileSync(BAD, 'accounts: [{sid: a}]\nhttp: {port: x}\nrtp: {portMin: 1}\n')

const HOUSE = { httpUrl: 'http://127.0.0.1:8080', sipAddress: '127.0.0.1:5060', stop: async () => {} }

/** A world of arrays, whose signals and clock the test holds. */
function makeWorld(changes: Partial<World> = {}) {
  const seen = { out: [] as string[], err: [] as string[], log: [] as string[], exits: [] as number[] }
  const held: { signal: (name: string) => void; crash: (error: unknown) => void; now: number; timeUp: () => void } = {
    signal: () => {},
    crash: () => {},
    now: 0,
    timeUp: () => {},
  }
  const world: World = {
    out: (line) => seen.out.push(...line.split('\n')),
    err: (line) => seen.err.push(...line.split('\n')),
    pid: 42,
    onSignal: (listener) => {
      held.signal = listener
      return () => {}
    },
    onCrash: (listener) => {
      held.crash = listener
    },
    exitNow: (code) => seen.exits.push(code),
    now: () => held.now,
    wait: () => new Promise((resolve) => (held.timeUp = resolve)),
    openLog: async () => makeLog({ level: 'info', plain: false, write: (line) => seen.log.push(line) }),
    startHouse: async () => HOUSE,
    runDemo: async () => 0,
    ...changes,
  }
  return { world, seen, held }
}

/** Lets everything happen that waits for nothing outside. */
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
}

async function serving(changes: Partial<World> = {}) {
  const made = makeWorld(changes)
  const done = runCli(['serve', '--config', GOOD], made.world)
  for (let turn = 0; turn < 500 && made.seen.out.length === 0; turn++) await settle()
  return { ...made, done }
}

test('the version is that of the package', async () => {
  const { world, seen } = makeWorld()
  assert.equal(await runCli(['--version'], world), 0)
  assert.match(seen.out.join(), /^\d+\.\d+\.\d+/)
})

test('help names the commands, an example of each and the documents', async () => {
  const { world, seen } = makeWorld()
  assert.equal(await runCli(['--help'], world), 0)
  const text = seen.out.join('\n')
  for (const word of ['serve', 'demo', 'check', 'accounts list', 'monitor join', 'earshot.example.yaml', '${EARSHOT_TOKEN}', 'docs/contract.md'])
    assert.ok(text.includes(word), word)
})

test('help of serve says how it ends', async () => {
  const { world, seen } = makeWorld()
  assert.equal(await runCli(['serve', '--help'], world), 0)
  assert.match(seen.out.join('\n'), /SIGTERM or Ctrl-C: no new calls/)
})

test('an unknown command or option fails with a hint', async () => {
  for (const args of [['srve'], ['serve', '--confg', 'x'], ['demo', '--port', 'many']]) {
    const { world, seen } = makeWorld()
    assert.equal(await runCli(args, world), 1)
    assert.match(seen.err.join('\n'), /error: /)
  }
})

test('no command at all prints the help and fails', async () => {
  const { world, seen } = makeWorld()
  assert.equal(await runCli([], world), 1)
  assert.match([...seen.err, ...seen.out].join('\n'), /Usage: earshot/)
})

test('check says that a file is valid, or all that is wrong', async () => {
  const good = makeWorld()
  assert.equal(await runCli(['check', '-c', GOOD], good.world), 0)
  assert.deepEqual(good.seen.out, [`${GOOD} is valid: 1 account, 2 phones, 0 trunks`])
  const bad = makeWorld()
  assert.equal(await runCli(['check', '-c', BAD], bad.world), 1)
  assert.equal(bad.seen.err.filter((line) => line.startsWith(`${BAD}:`)).length, 2)
})

test('check --json is one document: all that is wrong with line, path and what to write, or what deserves a word', async () => {
  const good = makeWorld()
  assert.equal(await runCli(['check', '--json', '-c', GOOD], good.world), 0)
  assert.deepEqual(JSON.parse(good.seen.out.join('\n')), { ok: true, problems: [], warnings: [] })
  const bad = makeWorld()
  assert.equal(await runCli(['check', '--json', '-c', BAD], bad.world), 1)
  const { ok, problems } = JSON.parse(bad.seen.out.join('\n'))
  assert.equal(ok, false)
  assert.deepEqual(
    problems.map(({ line, path }: { line: number; path: string }) => [line, path]),
    [
      [2, 'http.port'],
      [3, 'rtp.portMin'],
    ],
  )
  assert.match(problems[0].text, /^must be a whole number from 0 to 65535; write e\.g\. /)
  const away = makeWorld()
  assert.equal(await runCli(['check', '--json', '-c', join(folder, 'none.yaml')], away.world), 1)
  assert.deepEqual(JSON.parse(away.seen.out.join('\n')).problems[0].line, null)
  const noted = makeWorld()
  const warned = join(folder, 'warned.yaml')
  writeFileSync(warned, 'accounts: [{sid: a}]\n')
  assert.equal(await runCli(['check', '--json', '-c', warned], noted.world), 0)
  assert.match(JSON.parse(noted.seen.out.join('\n')).warnings.join('\n'), /account a has no keys/)
  assert.deepEqual(
    [good, bad, away, noted].flatMap(({ seen }) => seen.err),
    [],
  )
})

test('serve says what listens where, and a request to try, without any secret', async () => {
  const { seen, held, done } = await serving()
  const text = seen.out.join('\n')
  for (const word of [
    'process 42',
    'http://127.0.0.1:8080',
    '127.0.0.1:5060',
    '127.0.0.1:40000-49998',
    'embedded PostgreSQL',
    'client:priya',
    'client:asha',
    'docs/contract.md',
  ]) {
    assert.ok(text.includes(word), word)
  }
  assert.ok(!text.includes('0123456789abcdef'))
  held.signal('SIGTERM')
  assert.equal(await done, 0)
})

test('SIGTERM drains: the house is stopped once and the exit code is 0', async () => {
  let stops = 0
  const { held, done, seen } = await serving({ startHouse: async () => ({ ...HOUSE, stop: async () => void stops++ }) })
  held.signal('SIGTERM')
  assert.equal(await done, 0)
  assert.equal(stops, 1)
  assert.match(seen.out.at(-1) ?? '', /has ended/)
})

test('one Ctrl-C that arrives twice is one, a second one ends the process at once', async () => {
  const { held, seen } = await serving({ startHouse: async () => ({ ...HOUSE, stop: () => new Promise(() => {}) }) })
  held.signal('SIGINT')
  held.now += 100
  held.signal('SIGINT')
  await settle()
  assert.deepEqual(seen.exits, [])
  held.now += 1000
  held.signal('SIGINT')
  assert.deepEqual(seen.exits, [1])
})

test('draining that takes too long is given up with exit code 1', async () => {
  const { held, done } = await serving({ startHouse: async () => ({ ...HOUSE, stop: () => new Promise(() => {}) }) })
  held.signal('SIGTERM')
  await settle()
  held.timeUp()
  assert.equal(await done, 1)
})

test('a signal during the start stops the house as soon as it stands', async () => {
  const gate = Promise.withResolvers<typeof HOUSE>()
  const made = makeWorld({ startHouse: () => gate.promise })
  const done = runCli(['serve', '--config', GOOD], made.world)
  await import('./config.ts')
  for (let turn = 0; turn < 50; turn++) await settle()
  made.held.signal('SIGTERM')
  gate.resolve(HOUSE)
  assert.equal(await done, 0)
})

test('a wrong configuration starts nothing', async () => {
  const { world, seen } = makeWorld({ startHouse: () => assert.fail('started') })
  assert.equal(await runCli(['serve', '--config', BAD], world), 1)
  assert.match(seen.err[0] ?? '', /bad\.yaml:2: http\.port must be a whole number/)
})

const socketError = (code: string, port: number): Error => Object.assign(new Error(`listen ${code}`), { code, address: '127.0.0.1', port })
const FAILURES: readonly (readonly [unknown, RegExp])[] = [
  [socketError('EADDRINUSE', 8080), /127\.0\.0\.1 port 8080 is in use by another program\. End it, or write another http\.port in /],
  [socketError('EADDRINUSE', 5060), /another sip\.port/],
  [new Error('SIP cannot be opened', { cause: socketError('EADDRINUSE', 5060) }), /port 5060 is in use/],
  [socketError('EACCES', 5060), /not allowed for this user\. Write a sip\.port of 1024 or above/],
  [socketError('EADDRNOTAVAIL', 8080), /does not have that address\. Change http\.host/],
  [new Error('the data folder is in use by process 7\n    at x'), /^Earshot cannot start: the data folder is in use by process 7$/],
  ['odd', /^Earshot cannot start: odd$/],
]
for (const [error, expected] of FAILURES) {
  test(`a start that fails is one line and exit code 1: ${String(error).split('\n')[0]}`, async () => {
    const { world, seen } = makeWorld({ startHouse: () => Promise.reject(error) })
    assert.equal(await runCli(['serve', '--config', GOOD], world), 1)
    assert.equal(seen.err.length, 1)
    assert.match(seen.err[0] ?? '', expected)
  })
}

test('a database server that is not there, under one address or several, is named as what it is', async () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:5432'), { code: 'ECONNREFUSED', address: '127.0.0.1', port: 5432 })
  const ofAll = Object.assign(new AggregateError([refused, refused], ''), { code: 'ECONNREFUSED' })
  const elsewhere = join(folder, 'elsewhere.yaml')
  writeFileSync(elsewhere, 'data: postgres://earshot@localhost/earshot\naccounts:\n  - sid: acme\n')
  for (const error of [refused, ofAll]) {
    const { world, seen } = makeWorld({ startHouse: () => Promise.reject(error) })
    assert.equal(await runCli(['serve', '--config', elsewhere], world), 1)
    assert.match(seen.err.join(), /Earshot cannot start: the database server that data in \S+ names: connect ECONNREFUSED 127\.0\.0\.1:5432/)
  }
})

test('what nobody caught is logged, masked, and ends the process', async () => {
  const { held, seen } = await serving()
  held.crash(new Error('no leg for +919876543210'))
  assert.deepEqual(seen.exits, [1])
  assert.match(seen.log.join(), /"level":"error".*no leg for \+91\*{5}210/)
})

test('demo passes its options on and answers with its exit code', async () => {
  const asked: DemoOptions[] = []
  const runDemo = async (options: DemoOptions): Promise<number> => asked.push(options) + 2
  const { world } = makeWorld({ runDemo })
  assert.equal(await runCli(['demo', '--once', '--port', '0'], world), 3)
  assert.equal(await runCli(['demo'], world), 4)
  assert.deepEqual(
    asked.map(({ once, httpPort }) => ({ once, httpPort })),
    [
      { once: true, httpPort: 0 },
      { once: false, httpPort: null },
    ],
  )
})

test('demo is left by Ctrl-C', async () => {
  const { world, held } = makeWorld({ runDemo: async ({ left }) => left.then(() => 0) })
  const done = runCli(['demo'], world)
  await settle()
  held.signal('SIGINT')
  assert.equal(await done, 0)
})
