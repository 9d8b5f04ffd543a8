/** What the documents and the folder `examples/` promise, done: every program runs against a whole server with phones, every sample is answered so. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadConfig } from '../src/config.ts'
import { CALL_CALLBACK, LEG_CALLBACK, WEBHOOK_HEADERS } from '../src/contract/schemas/callbacks.ts'
import { powerDb } from '../src/media/tone.ts'
import type { Phone } from '../src/phone/phone.ts'
import { newSecret, signatureHeaders } from '../src/webhooks/signature.ts'
import { assertDescribed } from './answers.ts'
import { describeWith } from './peers/peers.ts'
import { eventually } from './eventually.ts'
import { KEY, openTestReceiver, openTestServer, SECRET, type TestReceiver, type TestServer, TOKEN } from './server.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const PYTHON = 'python3'
/** No example takes longer. */
const LIMIT_MS = 30_000
const CUSTOMER = '+919876543210'

let server: TestServer
let receiver: TestReceiver
let agent: Phone
let boss: Phone

before(async () => {
  server = await openTestServer()
  receiver = await openTestReceiver()
  agent = await server.phone({ name: 'priya', toneHz: 440 })
  await server.phone({ name: 'ravi', toneHz: 700 })
  boss = await server.phone({ name: 'boss', toneHz: 1000 })
})
after(async () => {
  await server.close()
  await receiver.close()
})

const lacks = (program: string): string | false => (spawnSync(program, ['--version']).error === undefined ? false : `${program} is not installed`)

interface Program {
  readonly child: ChildProcess
  output(): string
  /** Its exit code. */
  readonly ended: Promise<number | null>
}

function start(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Program {
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

async function stop({ child, ended }: Program): Promise<void> {
  child.kill('SIGTERM')
  await ended
}

const ACCESS = (): Readonly<Record<string, string>> => ({ EARSHOT_URL: server.url, EARSHOT_KEY: KEY, EARSHOT_TOKEN: TOKEN })
const hears = (phone: Phone, hz: number): boolean => phone.current()?.state === 'established' && phone.current()?.hears(hz) === 'heard'

describe('a supervisor joins a call, as examples/ shows it', () => {
  const programs = [
    ['curl/monitor.sh', 'sh', 'curl'],
    ['node/supervise.mjs', process.execPath, process.execPath],
    ['python/supervise.py', PYTHON, PYTHON],
  ] as const
  for (const [path, command, needed] of programs) {
    test(path, { skip: lacks(needed) }, async () => {
      const program = start(command, [join('examples', path), 'client:priya', CUSTOMER, 'client:boss'], { ...ACCESS(), PAUSE: '1' })
      await eventually('the supervisor hears both', () => hears(boss, 440) && hears(boss, 700))
      await eventually('the agent hears a whisper', () => hears(agent, 1000))
      await eventually('the customer hears a supervisor who barges', () => hears(server.trunkPhone, 1000))
      assert.equal(await program.ended, 0, program.output())
      const said = program.output().replace(/\b[0-9a-z]{32}\b/g, 'SID').replace(/, after \d+ ms/g, '')
      const leg = ['ringing client:boss, who will listen', 'whisper', 'barge', 'listen', 'hangup'].map((word) => `leg SID: ${word}`)
      assert.equal(said.trim(), [`call SID: ringing client:priya, then ${CUSTOMER}`, ...leg, 'call SID: completed'].join('\n'))
    })
    test(`${path} says why it was refused, and ends with 1`, { skip: lacks(needed) }, async () => {
      const program = start(command, [join('examples', path)], { ...ACCESS(), EARSHOT_TOKEN: 'wrong' })
      assert.equal(await program.ended, 1)
      assert.match(program.output(), /401.*Authentication failed|Authentication failed.*401/s)
      assert.ok(program.output().split('\n').length <= 3, program.output())
    })
  }
})

describe('callbacks are received and verified, as examples/ shows it', () => {
  const programs = [
    ['node/callback-receiver.mjs', process.execPath],
    ['python/callback_receiver.py', PYTHON],
  ] as const
  for (const [path, command] of programs) {
    test(path, { skip: lacks(command) }, async () => {
      const program = start(command, [join('examples', path), '0'], { EARSHOT_CALLBACK_SECRET: SECRET })
      try {
        await eventually('it listens', () => program.output().includes('listening on '))
        const url = /http:\S+/.exec(program.output())?.[0] ?? ''
        await tellBy(url)
        await eventually(`all callbacks are printed: ${program.output()}`, () => program.output().trim().split('\n').length === 4)
        const said = program.output().replace(/\b[0-9a-z]{32}\b/g, 'SID').trim().split('\n').slice(1).sort()
        assert.deepEqual(said, [
          'answered leg SID: in-progress, custom field "Größe 1+1"',
          'terminal call SID: completed, custom field "order 7"',
          'terminal leg SID: completed, custom field "Größe 1+1"',
        ])
        await refuses(url)
        assert.equal(program.output().trim().split('\n').length, 5, program.output())
      } finally {
        await stop(program)
      }
    })
  }

  for (const [path, command] of programs) {
    test(`[C28] ${path} goes on verifying while the secret is changed, whichever side is first`, { skip: lacks(command) }, async () => {
      const [fresh, old, foreign] = [newSecret(), newSecret(), newSecret()]
      const body = JSON.stringify({ LegSid: 'leg', Status: 'completed', CustomField: '', EventType: 'terminal' })
      const cases: readonly (readonly [string, string, readonly string[], number])[] = [
        ['Earshot has rotated, the receiver has only the old one', old, [fresh, old], 200],
        ['Earshot has rotated, the receiver has both', `${fresh} ${old}`, [fresh, old], 200],
        ['the receiver has both, Earshot not yet', `${fresh} ${old}`, [old], 200],
        ['the old one is over, the receiver has the new one', fresh, [fresh], 200],
        ['the old one is over, the receiver has only that', old, [fresh], 401],
        ['signatures of somebody else, two of them', `${fresh} ${old}`, [foreign, foreign], 401],
      ]
      for (const [sentence, known, signing, status] of cases) {
        const program = start(command, [join('examples', path), '0'], { EARSHOT_CALLBACK_SECRET: known })
        try {
          await eventually('it listens', () => program.output().includes('listening on '))
          const url = /http:\S+/.exec(program.output())?.[0] ?? ''
          const send = async (at: number): Promise<number> =>
            (await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...signatureHeaders(signing, { id: 'rotating', body, now: at }) }, body })).status
          assert.equal(await send(Date.now()), status, sentence)
          assert.equal(await send(Date.now() - 400_000), 401, `${sentence}, but an old recording of it`)
        } finally {
          await stop(program)
        }
      }
    })
  }

  /** A monitored call: the call's callbacks as multipart, the leg's as JSON. */
  async function tellBy(url: string): Promise<void> {
    const { body } = await server.request('POST', '/Calls/connect.json', { From: 'client:priya', To: CUSTOMER, StatusCallback: url, CustomField: 'order 7' })
    await eventually('they talk', () => hears(agent, 700))
    const leg = { Action: 'listen', PhoneNumber: 'client:boss', StatusCallback: url, CustomField: 'Größe 1+1', StatusCallbackContentType: 'application/json' }
    await server.request('POST', `/Calls/${body.Call.Sid}/Legs.json`, { ...leg, 'StatusCallbackEvents[0]': 'terminal', 'StatusCallbackEvents[1]': 'answered' })
    await eventually('the supervisor listens', () => hears(boss, 440))
    const { body: now } = await server.request('GET', `/Calls/${body.Call.Sid}/ActiveLegs.json`)
    await server.request('PUT', `/Calls/${body.Call.Sid}/Legs/${now.Legs[0]?.Sid}.json`, { Action: 'hangup' })
  }

  /** Forged, changed and old ones are refused; a repeated one is accepted and counts once. */
  async function refuses(url: string): Promise<void> {
    const body = JSON.stringify({ LegSid: 'leg', Status: 'completed', CustomField: '', EventType: 'terminal' })
    const send = async (secret: string, id: string, at: number, sent: string): Promise<number> => {
      const headers = { 'content-type': 'application/json', ...signatureHeaders([secret], { id, body, now: at }) }
      return (await fetch(url, { method: 'POST', headers, body: sent })).status
    }
    const now = Date.now()
    assert.equal(await send(newSecret(), 'forged', now, body), 401)
    assert.equal(await send(SECRET, 'changed', now, body.replace('completed', 'failed')), 401)
    assert.equal(await send(SECRET, 'old', now - 600_000, body), 401)
    assert.equal(await send(SECRET, 'early', now + 600_000, body), 401)
    assert.equal((await fetch(url, { method: 'POST', body })).status, 401)
    assert.equal(await send(SECRET, 'twice', now, body), 200)
    assert.equal(await send(SECRET, 'twice', now, body), 200)
  }
})

describeWith('baresip', 'a softphone of one’s own, as examples/baresip shows it', () => {
  test('phone.sh registers, picks up as a supervisor, is heard by the agent and hears both', async () => {
    const heard = await mkdtemp(join(tmpdir(), 'earshot-examples-'))
    const { host, port } = server.sip
    const phone = start('sh', ['examples/baresip/phone.sh', 'chief', 'chief-chief', `${host}:${port}`], { HUM: '1300', HEARD: heard })
    try {
      await eventually('it is registered', () => phone.output().includes('200 OK'))
      const { body } = await server.request('POST', '/Calls/connect.json', { From: 'client:priya', To: CUSTOMER })
      await eventually('they talk', () => hears(agent, 700))
      await server.request('POST', `/Calls/${body.Call.Sid}/Legs.json`, { Action: 'whisper', PhoneNumber: 'client:chief' })
      await eventually('the agent hears the softphone', () => hears(agent, 1300))
      await eventually('the softphone hears both', async () => {
        const sound = await recording(heard)
        return [440, 700].every((hz) => powerDb(sound, hz) > -40)
      })
      const { body: now } = await server.request('GET', `/Calls/${body.Call.Sid}/ActiveLegs.json`)
      await server.request('PUT', `/Calls/${body.Call.Sid}/Legs/${now.Legs[0]?.Sid}.json`, { Action: 'hangup' })
    } finally {
      await stop(phone)
      await rm(heard, { recursive: true, force: true })
    }
  })

  /** The last second of what it heard, 8 kHz. */
  async function recording(folder: string): Promise<Int16Array> {
    const name = readdirSync(folder).find((each) => each.endsWith('-dec.wav'))
    const bytes = name === undefined ? Buffer.alloc(0) : (await readFile(join(folder, name))).subarray(44)
    const samples = Int16Array.from({ length: Math.floor(bytes.length / 2) }, (_, index) => bytes.readInt16LE(index * 2))
    return samples.slice(-8000)
  }
})

describe('configurations', () => {
  const env = { EARSHOT_TOKEN: 'a-token-of-some-length', PRIYA_PASSWORD: 'p', RAVI_PASSWORD: 'r', BOSS_PASSWORD: 'b', TRUNK_PASSWORD: 't', DB_PASSWORD: 'd', EARSHOT_CALLBACK_SECRET: SECRET }
  for (const path of ['earshot.example.yaml', ...globSync('examples/configs/*.yaml', { cwd: root })].sort()) {
    test(`${path} is valid`, () => assert.ok(loadConfig(join(root, path), env).accounts.length > 0))
  }
})

test('every limit in docs/operating.md is what the code says', () => {
  const rows = [...readFileSync(join(root, 'docs/operating.md'), 'utf8').matchAll(/^\|[^|]*\|([^|]* = [^|]*)\| `(src\/[^`]+)` \|$/gm)]
  assert.ok(rows.length > 20)
  for (const [, limits = '', path = ''] of rows) {
    const code = readFileSync(join(root, path), 'utf8')
    for (const [, limit] of limits.matchAll(/`([^`]+)`/g)) assert.ok(code.includes(`const ${limit}\n`), `${path} does not say ${limit}`)
  }
})

test('every link between the documents leads somewhere', () => {
  for (const path of ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', ...globSync('docs/*.md', { cwd: root })]) {
    for (const [, link = ''] of readFileSync(join(root, path), 'utf8').matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g))
      assert.ok(existsSync(join(root, dirname(path), link)), `${path} links to ${link}, which is not there`)
  }
})

interface Block {
  readonly info: string
  readonly text: string
}

/** The fenced blocks of a document, in order. */
const blocksOf = (path: string): readonly Block[] =>
  [...readFileSync(join(root, path), 'utf8').matchAll(/^```([^\n]+)\n([\s\S]*?)^```$/gm)].map(([, info = '', text = '']) => ({ info, text }))

/** What differs from call to call is replaced by its kind; layout is taken out. */
function comparable(text: string): string {
  const flat = text.trimStart().startsWith('{') ? JSON.stringify(JSON.parse(text)) : text.replace(/>\s+</g, '><').trim()
  return flat
    .replace(/\b[0-9a-z]{32}\b/g, 'SID')
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'DATE')
    .replace(/(Duration":"?)\d+/g, '$1N')
}

test('every request in docs/contract.md is answered as it is printed there, and every callback comes so', async () => {
  const blocks = blocksOf('docs/contract.md')
  assert.ok(blocks.filter(({ info }) => info === 'http').length >= 8 && blocks.some(({ info }) => info === 'json callback'))
  const sids = new Map<string, string>()
  receiver.received.length = 0
  for (const [at, { info, text }] of blocks.entries()) {
    if (info === 'http') await answered(text, blocks[at + 1]?.text ?? '', sids)
    else if (info === 'json callback') await eventually(`a callback like ${text}`, () => receiver.received.some(({ body }) => comparable(body) === comparable(text)))
  }
  for (const { body, headers } of receiver.received) {
    assert.ok([LEG_CALLBACK, CALL_CALLBACK].some((schema) => schema.safeParse(JSON.parse(body)).success), `${body} is not what the description promises`)
    WEBHOOK_HEADERS.parse(Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('webhook-'))))
  }
})

test('a running server describes itself, with its version, for machines and for people', async () => {
  const { info, paths } = (await (await fetch(`${server.url}/openapi.json`)).json()) as { readonly info: { readonly version: string }; readonly paths: object }
  assert.equal(info.version, JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version)
  assert.ok('/v1/Accounts/{AccountSid}/Calls/connect.json' in paths)
  const page = await fetch(`${server.url}/docs`)
  assert.deepEqual([page.status, page.headers.get('content-type')], [200, 'text/html; charset=utf-8'])
})

/** Sends a request of the document and compares. What is only looked at may take a while to become so. */
async function answered(request: string, printed: string, sids: Map<string, string>): Promise<void> {
  const [head = '', ...lines] = request.trim().split('\n')
  const [method = '', path = ''] = head.replace(/\b(CALL|LEG|AGENT)\b/g, (name) => sids.get(name) ?? name).split(' ')
  const fields = lines.filter((line) => line !== '').map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string])
  const body = new URLSearchParams(fields.map(([name, value]): [string, string] => [name, name === 'StatusCallback' ? receiver.url : value]))
  const ask = async (): Promise<string> => {
    const authorization = `Basic ${Buffer.from(`${KEY}:${TOKEN}`).toString('base64')}`
    const response = await fetch(server.url + path, { method, headers: { authorization }, ...(method === 'GET' ? {} : { body }) })
    const text = await response.text()
    assertDescribed(method, path, { status: response.status, contentType: String(response.headers.get('content-type')), body: text })
    return text
  }
  let text = await ask()
  if (method === 'GET') await eventually(`${head}\n${printed}\nbut ${text}`, async () => comparable((text = await ask())) === comparable(printed), 5_000)
  assert.equal(comparable(text), comparable(printed), head)
  const first = /"Sid":"(\w+)"|<Sid>(\w+)/.exec(text)
  const sid = first?.[1] ?? first?.[2]
  if (sid === undefined) return
  if (path.includes('/connect')) sids.set('CALL', sid)
  if (path.includes('/ActiveLegs')) sids.set('AGENT', sid)
  if (method === 'POST' && path.includes('/Legs')) {
    sids.set('LEG', sid)
    await eventually('the supervisor has picked up', () => hears(boss, 440))
  }
}
