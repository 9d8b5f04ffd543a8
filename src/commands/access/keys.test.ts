// `earshot keys`, beside a running server and without one; and not one token in the log of the whole run.
import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { eventually } from '../../../test/eventually.ts'
import { freePort } from '../../../test/free-port.ts'
import { runCli, type World } from '../../cli.ts'
import { loadConfig } from '../../config.ts'
import { makeLog } from '../../log.ts'
import { type House, startHouse } from '../../main.ts'

interface Said {
  readonly code: number
  readonly out: string
  readonly err: string
}

async function earshot(...args: readonly string[]): Promise<Said> {
  const out: string[] = []
  const err: string[] = []
  const never = (): never => assert.fail('not for this command')
  const world: World = {
    out: (line) => void out.push(line),
    err: (line) => void err.push(line),
    pid: 1,
    onSignal: () => () => {},
    onCrash: () => {},
    exitNow: never,
    now: () => 0,
    wait: never,
    openLog: never,
    startHouse: never,
    runDemo: never,
  }
  const code = await runCli(args, world)
  return { code, out: out.join('\n'), err: err.join('\n') }
}

interface Made {
  readonly key: {
    readonly id: string
    readonly status: string
    readonly scopes: readonly string[]
    readonly agents: readonly string[] | null
    readonly expiresAt: string | null
  }
  readonly token: string
}

describe('earshot keys', () => {
  let place: string
  let file: string
  let house: House
  let log = ''
  const tokens: string[] = []

  before(async () => {
    place = await mkdtemp(join(tmpdir(), 'earshot-keys-'))
    await chmod(place, 0o711)
    file = join(place, 'earshot.yaml')
    const [http, sip] = [await freePort(), await freePort()]
    const rtp = 20_000 + 2 * Math.floor(Math.random() * 9_000)
    await writeFile(
      file,
      `http: {port: ${http}}\nsip: {port: ${sip}}\nrtp: {portMin: ${rtp}, portMax: ${rtp + 998}}
accounts:
  - sid: acme
    keys: [{key: file-key, token: file-token-0123456789, scopes: [calls.read, accounts.admin]}]
    agents: [{name: anna, password: pw-anna}, {name: ben, password: pw-ben}]
  - sid: zenith\n`,
    )
    house = await startHouse(loadConfig(file, {}), makeLog({ level: 'debug', plain: false, write: (line) => void (log += line) }))
  })
  after(async () => {
    await house.stop()
    await rm(place, { recursive: true, force: true, maxRetries: 5 })
  })

  const keys = (command: string, ...args: readonly string[]): Promise<Said> => earshot('keys', command, '-c', file, ...args)
  async function make(command: string, ...args: readonly string[]): Promise<Made> {
    const { code, out, err } = await keys(command, '--json', ...args)
    assert.deepEqual([code, err], [0, ''])
    const made: Made = JSON.parse(out)
    tokens.push(made.token)
    return made
  }
  async function status(key: string, token: string, path = '/Calls.json', method = 'GET', account = 'acme'): Promise<number> {
    const headers = { authorization: `Basic ${Buffer.from(`${key}:${token}`).toString('base64')}` }
    return (await fetch(`${house.httpUrl}/v1/Accounts/${account}${path}`, { method, headers })).status
  }

  test('a key made beside a running server works there at once, with its rights, until it is revoked', async () => {
    const { key, token } = await make('create', '--account', 'acme', '--scope', 'calls.read', '--name', 'wall board')
    assert.deepEqual([key.status, key.scopes, key.agents, key.expiresAt], ['active', ['calls.read'], null, null])
    assert.equal(await status(key.id, token), 200)
    assert.equal(await status(key.id, token, '/Keys.json'), 403)
    assert.equal(await status(key.id, token, '/Calls.json', 'GET', 'zenith'), 401)
    const { code, out } = await keys('revoke', key.id)
    assert.equal(code, 0)
    assert.match(out, new RegExp(`^${key.id} of acme is revoked since 20`))
    await eventually('the server knows', async () => (await status(key.id, token)) === 401, 3_000)
  })

  test('for people: the token once, and a line to try it, which works', async () => {
    const { code, out } = await keys('create', '--account', 'acme', '--scope', 'all', '--agent', 'anna', '--expires', '90d')
    assert.equal(code, 0)
    const [, id = '', token = '', url = ''] = /curl -u (ek_[0-9a-z]{24}):(et_[0-9a-z]{52}) (http:\S+)$/.exec(out) ?? []
    tokens.push(token)
    assert.match(out, /^Key and token of account acme \(all scopes; only calls of anna; expires 20/)
    const answer = await fetch(url, { headers: { authorization: `Basic ${Buffer.from(`${id}:${token}`).toString('base64')}` } })
    assert.equal(answer.status, 200)
    assert(!(await keys('list', '--full')).out.includes(token))
  })

  test('a rotation gives another token; the old one works for as long as was said', async () => {
    const first = await make('create', '--account', 'acme', '--scope', 'calls.read')
    assert.equal(await status(first.key.id, first.token), 200)
    const second = await make('rotate', first.key.id, '--grace', '1h')
    for (const { token } of [first, second]) assert.equal(await status(first.key.id, token), 200)
    const third = await make('rotate', first.key.id)
    await eventually('the server knows', async () => (await status(first.key.id, second.token)) === 401, 3_000)
    assert.equal(await status(first.key.id, first.token), 401)
    assert.equal(await status(first.key.id, third.token), 200)
  })

  test('the list has every key with its state, in columns and as JSON, names of phones only with --full', async () => {
    const { key } = await make('create', '--account', 'zenith', '--scope', 'usage.read,calls.read', '--expires', '2037-01-31')
    const { out } = await keys('list')
    assert.match(
      out,
      /^KEY +ACCOUNT +STATUS +KEPT IN +SCOPES +AGENTS +CREATED +EXPIRES +LAST USED +NAME\nfile-key +acme +active +configuration +calls\.read,accounts\.admin +all/,
    )
    assert.match(out, new RegExp(`\\n${key.id} +zenith +active +database +calls\\.read,usage\\.read +all +\\S+ +2037-01-31T00:00:00Z`))
    assert.match(out, / revoked /)
    const agents = async (...args: readonly string[]): Promise<readonly unknown[]> =>
      JSON.parse((await keys('list', '--json', '--account', 'acme', ...args)).out).keys.flatMap((one: Made['key']) => one.agents ?? [])
    assert.deepEqual(await agents(), ['***'])
    assert.deepEqual(await agents('--full'), ['anna'])
    assert(!(await keys('list', '--account', 'acme')).out.includes(key.id))
  })

  test('what cannot be done is said in one line that says what to write instead', async () => {
    const { key } = await make('create', '--account', 'acme', '--scope', 'calls.read')
    await keys('revoke', key.id)
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [['create', '--scope', 'all'], /^which account\? Write --account SID; there are: acme, zenith$/],
      [['create', '--scope', 'all', '--account', 'x'], /^no account x in .*; there are: acme, zenith$/],
      [['create', '--account', 'acme'], /^--scope is missing; write e\.g\. --scope calls\.read/],
      [['create', '--account', 'acme', '--scope', 'calls'], /write all, or some of calls\.read, /],
      [['create', '--account', 'acme', '--scope', 'all', '--agent', 'mallory'], /^--agent names no phone of the account/],
      [['create', '--account', 'acme', '--scope', 'all', '--expires', '2020-01-01'], /^--expires lies in the past/],
      [['create', '--account', 'acme', '--scope', 'all', '--expires', 'soon'], /write e\.g\. 90d/],
      [['create', '--account', 'acme', '--scope', 'all', '--name', 'x'.repeat(65)], /at most 64 characters/],
      [['rotate', 'ek_none'], /^no such key; earshot keys list shows/],
      [['revoke', 'ek_none'], /^no such key; earshot keys list shows/],
      [['rotate', key.id], /^that key has expired or was revoked/],
      [['rotate', key.id, '--grace', '8d'], /at most 7d/],
      [['revoke', 'file-key'], /^that key is kept in .*earshot\.yaml; change it there/],
    ]
    for (const [args, sentence] of cases) {
      const { code, out, err } = await keys(...(args as readonly [string, ...string[]]))
      assert.equal(code, 1, args.join(' '))
      assert.equal(out, '')
      assert.match(err, sentence)
    }
  })

  test('the API deals with keys that were made here, and the other way round', async () => {
    const { key } = await make('create', '--account', 'acme', '--scope', 'calls.read')
    assert.equal(await status('file-key', 'file-token-0123456789', `/Keys/${key.id}.json`, 'DELETE'), 200)
    assert.match((await keys('rotate', key.id)).err, /revoked/)
  })

  test('a key of the configuration has the scopes that it was given there', async () => {
    assert.equal(await status('file-key', 'file-token-0123456789'), 200)
    assert.equal(await status('file-key', 'file-token-0123456789', '/Calls/x/Legs/y.json', 'PUT'), 400)
    const headers = { authorization: `Basic ${Buffer.from('file-key:file-token-0123456789').toString('base64')}` }
    const answer = await fetch(`${house.httpUrl}/v1/Accounts/acme/Calls/connect.json`, {
      method: 'POST',
      headers,
      body: new URLSearchParams({ From: 'client:anna', To: 'client:ben' }),
    })
    assert.equal(answer.status, 403)
  })

  test('without a server the same commands work, and the next start knows what they did', async () => {
    await house.stop()
    const { key, token } = await make('create', '--account', 'acme', '--scope', 'calls.read')
    const gone = await make('create', '--account', 'acme', '--scope', 'calls.read')
    assert.equal((await keys('revoke', gone.key.id)).code, 0)
    house = await startHouse(loadConfig(file, {}), makeLog({ level: 'debug', plain: false, write: (line) => void (log += line) }))
    assert.equal(await status(key.id, token), 200)
    assert.equal(await status(gone.key.id, gone.token), 401)
  })

  test('in the log of all of this there is no token, but the names of keys are', () => {
    assert(tokens.length >= 9)
    for (const token of [...tokens, 'file-token-0123456789']) {
      assert(!log.includes(token))
      assert(!log.includes(token.slice(3, 30)))
    }
    assert.match(log, /"key":"ek_[0-9a-z]{24}"/)
    assert.match(log, /"key":"file-key"/)
  })
})
