import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { access, chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { openTestDatabase, silent, type TestDatabase, usualServer } from '../../test/database.ts'
import { eventually } from '../../test/eventually.ts'
import { freePort } from '../../test/free-port.ts'
import { sampleCall, sampleCallback } from '../../test/sample-calls.ts'
import { runCli, type World } from '../cli.ts'
import { loadConfig } from '../config.ts'
import { makeLog } from '../log.ts'
import { startHouse } from '../main.ts'
import { saveCall } from '../store/calls.ts'
import { openBeside } from '../store/database.ts'
import { savePause } from '../store/outbox/pauses.ts'
import { fingerprintOf, isSecret, newSecret } from '../webhooks/signature.ts'

const NUMBER = '+919876543210'
const T0 = Date.UTC(2026, 1, 3, 4, 5, 6)

interface Said {
  readonly code: number
  readonly out: string
  readonly err: readonly string[]
  /** What was written on stdout, read as one document. */
  readonly json: () => unknown
}

/** Runs a command line of the operator's, which starts no server. */
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
  return { code, out: out.join('\n'), err, json: () => JSON.parse(out.join('\n')) }
}

describe(`commands on the database of a server (${usualServer()})`, () => {
  let place: string
  /** Null when it has one of its own. */
  let given: TestDatabase | null
  let data: string
  let file: string
  let stop: () => Promise<void>
  const received: string[] = []
  const receiver = createServer((request, response) => {
    received.push(String(request.headers['webhook-id']))
    request.resume().on('end', () => response.end())
  })
  const older = sampleCall({ createdAt: T0, state: { status: 'ended', outcome: 'completed', endedAt: T0 + 5000 } })
  const live = sampleCall({ createdAt: T0 + 1000, customField: `ask for ${NUMBER}\u001b[31m` })
  let callbacks: readonly ReturnType<typeof sampleCallback>[]

  before(async () => {
    place = await mkdtemp(join(tmpdir(), 'earshot-commands-'))
    await chmod(place, 0o711)
    given = usualServer() === 'embedded' ? null : await openTestDatabase()
    data = given?.url ?? join(place, 'data')
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook?secret=1`
    callbacks = [sampleCallback({ callId: live.id, url }), sampleCallback({ callId: live.id, url }), sampleCallback({ url: 'http://192.0.2.1/x' })]
    file = join(place, 'earshot.yaml')
    const [http, sip] = [await freePort(), await freePort()]
    const rtp = 20_000 + 2 * Math.floor(Math.random() * 9_000)
    await writeFile(
      file,
      `data: "${data}"\nhttp: {port: ${http}}\nsip: {port: ${sip}}\nrtp: {portMin: ${rtp}, portMax: ${rtp + 998}}\ncallbacks: {allow: [127.0.0.1]}
accounts:\n  - sid: acme\n    keys: [{key: k, token: 0123456789abcdef}]\n    agents: [{name: anna, password: p}]\n`,
    )
    const house = await startHouse(loadConfig(file, {}), makeLog({ level: 'error', plain: false, write: () => {} }))
    stop = () => house.stop()
    const database = await openBeside({ data, log: silent, migrates: false })
    await database.transaction(async (sql) => {
      await saveCall(sql, { call: older, node: 'n', callbacks: [], evidence: [], idempotency: null })
      await saveCall(sql, { call: live, node: 'n', callbacks, evidence: [], idempotency: null })
      await sql.query(`update callback set state = 'parked', settled_at = $1, attempts = 7, last_status = 500, last_error = $2`, [
        new Date(T0),
        `no ${NUMBER}`,
      ])
    })
    await database.close()
  })
  after(async () => {
    await stop()
    await given?.close()
    receiver.close()
    await rm(place, { recursive: true, force: true, maxRetries: 5 })
  })

  test('calls list shows the newest first, masked, while the server runs', async () => {
    const { code, out, err } = await earshot('calls', 'list', '-c', file)
    assert.deepEqual([code, err], [0, []])
    const [head, first, second, ...more] = out.split('\n')
    assert.match(head ?? '', /^CALL +ACCOUNT +CREATED +STATUS +FROM +TO +LEGS$/)
    assert.match(first ?? '', new RegExp(`^${live.id} +acme +2026-02-03T04:05:07Z +in-progress +client:\\*\\*\\* +\\+91\\*{5}210 +3$`))
    assert.match(second ?? '', new RegExp(`^${older.id} .* completed `))
    assert.deepEqual(more, [])
  })

  test('--live leaves out what has ended, --limit says that there is more, --account that there is none', async () => {
    assert.deepEqual(idsIn((await earshot('calls', 'list', '-c', file, '--live', '--json')).json()), [live.id])
    assert.match((await earshot('calls', 'list', '-c', file, '-n', '1')).out, /\n1 of 2; --limit shows more/)
    assert.equal((await earshot('calls', 'list', '-c', file, '--account', 'other')).out, 'No calls yet.')
    assert.equal((await earshot('calls', 'list', '-c', file, '-n', '101')).code, 1)
  })

  const idsIn = (document: unknown): readonly string[] => (document as { calls: { id: string }[] }).calls.map((call) => call.id)

  test('only with --full are numbers told, in either form', async () => {
    for (const form of [[], ['--json']]) {
      for (const args of [['list'], ['show', live.id]]) {
        assert.ok(!(await earshot('calls', ...args, '-c', file, ...form)).out.includes('9876543210'))
        assert.ok((await earshot('calls', ...args, '-c', file, ...form, '--full')).out.includes(NUMBER))
      }
    }
  })

  test('calls show tells a call and its legs, without what would play with a terminal', async () => {
    const { code, out } = await earshot('calls', 'show', live.id, '-c', file, '--full')
    assert.equal(code, 0)
    assert.match(out, /\nLEG +ORIGIN +ADDRESS +STATUS +MODE/)
    assert.match(out, /monitor +sip:boss@127\.0\.0\.1 +ringing +whisper/)
    assert.ok(!out.includes('\u001b'))
  })

  test('what is not there is one line and exit code 1', async () => {
    for (const [command, id] of [
      ['calls', 'nobody'],
      ['callbacks', 'nothing'],
    ] as const) {
      const { code, out, err } = await earshot(command, 'show', id, '-c', file, '--json')
      assert.deepEqual([code, out, err.length], [1, '', 1])
      assert.match(err[0] ?? '', /list .*shows what is there/)
    }
  })

  test('callbacks list and show tell what is parked and why, without path, query and number', async () => {
    const { code, out } = await earshot('callbacks', 'list', '-c', file)
    assert.equal(code, 0)
    assert.equal(out.split('\n').length, 4)
    assert.match(out, /parked +terminal +\S+ +7 +2026-02-03T04:05:06Z +http:\/\/127\.0\.0\.1:\d+ +no \+91\*{5}210/)
    assert.ok(!out.includes('secret'))
    const shown = (await earshot('callbacks', 'show', callbacks[0]?.id ?? '', '-c', file, '--json')).json()
    assert.ok(!JSON.stringify(shown).includes('secret'))
    const whole = await earshot('callbacks', 'show', callbacks[0]?.id ?? '', '-c', file, '--full', '--json')
    assert.match(whole.out, /hook\?secret=1[^]*"body":/)
    assert.equal((await earshot('callbacks', 'list', '-c', file, '--state', 'pending')).out, 'No pending callbacks.')
  })

  test('replay is for named ones or for all, not for both or none', async () => {
    for (const args of [[], ['x', '--all'], ['x', '--account', 'acme']])
      assert.equal((await earshot('callbacks', 'replay', ...args, '-c', file)).code, 1)
  })

  test('a replayed callback is sent by the running server; one that is not parked is refused by name', async () => {
    const [first, second, unreachable] = callbacks.map((callback) => callback.id)
    assert(first && second && unreachable)
    const named = await earshot('callbacks', 'replay', first, 'unknown', '-c', file, '--json')
    assert.deepEqual([named.code, named.json(), named.err], [1, { replayed: 1, refused: ['unknown'], sent: 'now' }, ['no callback unknown']])
    await eventually('the first is received', () => received.includes(first))
    const all = await earshot('callbacks', 'replay', '--all', '--receiver', callbacks[1]?.url ?? '', '-c', file)
    assert.deepEqual([all.code, all.out], [0, '1 callback will be sent again now.'])
    await eventually('the second is received', () => received.includes(second))
    await eventually('both are known to be delivered', async () => {
      const { out } = await earshot('callbacks', 'list', '--state', 'delivered', '--json', '-c', file)
      return out.includes(first) && out.includes(second)
    })
    assert.equal((await earshot('callbacks', 'replay', first, '-c', file)).err[0], `callback ${first} is delivered: only parked ones can be replayed`)
    assert.ok((await earshot('callbacks', 'list', '-c', file)).out.includes(unreachable), 'another receiver’s stays parked')
  })

  test('callbacks list can be asked for one call', async () => {
    const { json } = await earshot('callbacks', 'list', '--state', 'all', '--call', live.id, '-c', file, '--json')
    assert.deepEqual(new Set((json() as { callbacks: { call: string }[] }).callbacks.map(({ call }) => call)), new Set([live.id]))
    assert.equal((await earshot('callbacks', 'list', '--state', 'all', '--call', 'nobody', '-c', file)).out, 'No callbacks.')
  })

  test('callbacks receivers tells which receivers are left alone, since when, and what waits for them', async () => {
    assert.equal((await earshot('callbacks', 'receivers', '-c', file)).out, 'No receiver is paused.')
    const pause = { receiver: 'https://down.example', since: T0, until: T0 + 10_000, probes: 1, lastError: `no answer to ${NUMBER}` }
    const database = await openBeside({ data, log: silent, migrates: false })
    await savePause(database.sql, 'elsewhere', pause.receiver, pause)
    const { out } = await earshot('callbacks', 'receivers', '-c', file)
    assert.match(
      out,
      /^RECEIVER +DOWN SINCE +NEXT TRY +TRIES +WAITING +LAST ERROR\nhttps:\/\/down\.example +2026-02-03T04:05:06Z +2026-02-03T04:05:16Z +1 +0 +no answer to \+91\*{5}210$/,
    )
    assert.match((await earshot('callbacks', 'receivers', '-c', file, '--json')).out, /"receiver": "https:\/\/down\.example"/)
    await savePause(database.sql, 'elsewhere', pause.receiver, null)
    await database.close()
  })

  test('[C28] secrets rotate prints the new secret once, alone on stdout; show tells only how to know it', async () => {
    const before = await earshot('secrets', 'show', '--account', 'acme', '-c', file)
    assert.match(before.out, /^account: +acme\nkeptIn: +data\nfingerprint: +[0-9a-f]{12}\nmadeAt: +20/)
    const rotated = await earshot('secrets', 'rotate', '--account', 'acme', '-c', file, '--keep-hours', '2')
    assert.equal(rotated.code, 0)
    assert.ok(isSecret(rotated.out), 'nothing else, so that it can be piped')
    assert.match(rotated.err.join(), /^note: the new secret of acme, shown this once; the old one signs as well until 20\d\d-\d\d-\d\dT/)
    const after = (await earshot('secrets', 'show', '--account', 'acme', '-c', file, '--json')).json() as Readonly<Record<string, string>>
    assert.equal(after.fingerprint, fingerprintOf(rotated.out))
    assert.ok(before.out.includes(after.previous ?? 'missing'))
    const leaked = await earshot('secrets', 'rotate', '--account', 'acme', '-c', file, '--keep-hours', '0', '--json')
    assert.ok(isSecret((leaked.json() as { secret: string }).secret))
    assert.equal(((await earshot('secrets', 'show', '--account', 'acme', '-c', file, '--json')).json() as { previous: null }).previous, null)
  })

  test('secrets are of an account in the configuration, and kept for whole hours up to a month', async () => {
    assert.match((await earshot('secrets', 'show', '--account', 'nobody', '-c', file)).err[0] ?? '', /^no account nobody in /)
    for (const hours of ['721', '-1', 'x', '1.5'])
      assert.equal((await earshot('secrets', 'rotate', '--account', 'acme', '-c', file, '--keep-hours', hours)).code, 1)
    assert.equal((await earshot('secrets', 'rotate', '-c', file)).code, 1)
  })

  test('[C28] a secret that the configuration names is not rotated by command, and the sentence says how else', async () => {
    const fixed = join(place, 'fixed.yaml')
    await writeFile(fixed, (await readFile(file, 'utf8')).replace('sid: acme', `sid: acme\n    callbackSecret: [${newSecret()}, ${newSecret()}]`))
    const { code, out, err } = await earshot('secrets', 'rotate', '--account', 'acme', '-c', fixed)
    assert.deepEqual([code, out, err.length], [1, '', 1])
    assert.match(err[0] ?? '', /^the secret of acme is in .*: write callbackSecret: \[NEW, OLD\] there and start the server again/)
    assert.match((await earshot('secrets', 'show', '--account', 'acme', '-c', fixed)).out, /keptIn: +configuration[^]*previous: +[0-9a-f]{12}/)
  })

  test('accounts list and show know beside the running server what lives, by either name of the command', async () => {
    assert.match((await earshot('accounts', 'list', '-c', file)).out, /\nacme +Asia\/Kolkata +0 +1 +1 +no: no notice +50 legs, 60\/min +1$/)
    const { code, out, err } = await earshot('account', 'show', 'acme', '-c', file)
    assert.deepEqual([code, err], [0, []])
    assert.match(out, /^calls: {7}1 live, 2 on record$/m)
  })

  test('doctor finds ports and data in the hands of the running server, and nothing wrong', async () => {
    const { code, json } = await earshot('doctor', '-c', file, '--json')
    const told = json() as { ok: boolean; checks: { check: string; state: string; says: string }[] }
    assert.deepEqual([code, told.ok], [0, true])
    const says = (name: string): string => told.checks.find((check) => check.check === name)?.says ?? ''
    for (const port of ['http port', 'sip udp port', 'sip tcp port']) assert.match(says(port), /is held by a running Earshot/)
    if (given === null) assert.match(says('data folder'), /in use by the running Earshot/)
    assert.match(says('database'), given ? /answers; the tables are up to date/ : /\(embedded\) answers; the tables are up to date/)
    assert.equal(told.checks.find((check) => check.check === 'advertised address')?.state, 'warning')
  })

  test('without the server the commands start the database for themselves, and stop it again', async () => {
    await stop()
    assert.equal((await earshot('accounts', 'show', 'acme', '-c', file)).code, 0)
    // Of a database server it is known by the last heartbeat that nobody runs on it any more.
    await given?.database.sql.query(`update node set beat_at = beat_at - interval '1 minute'`)
    assert.match((await earshot('calls', 'show', older.id, '-c', file)).out, /completed/)
    assert.deepEqual((await earshot('callbacks', 'replay', '--all', '-c', file, '--json')).json(), {
      replayed: 1,
      refused: [],
      sent: 'at the next start',
    })
    assert.equal((await earshot('migrate', '-c', file)).out, 'The tables are up to date; nothing was changed.')
    const { code, out } = await earshot('doctor', '-c', file)
    assert.equal(code, 0, out)
    assert.match(out, /^ok +http port +127\.0\.0\.1 port \d+ is free$/m)
    await assert.rejects(access(join(place, 'data/postgres/postmaster.pid')), 'nothing is left running')
  })
})

describe('commands on data that is not as it should be', () => {
  let place: string
  before(async () => {
    place = await mkdtemp(join(tmpdir(), 'earshot-commands-'))
    await chmod(place, 0o711)
  })
  after(() => rm(place, { recursive: true, force: true, maxRetries: 5 }))
  const configured = async (text: string): Promise<string> => {
    const path = join(place, `${Math.random()}.yaml`)
    await writeFile(path, `rtp: {portMin: 30000, portMax: 30099}\naccounts: [{sid: acme, notice: {to: nobody}, keys: [{key: k, token: short}]}]\nhttp: {port: 0}\n${text}`)
    return path
  }

  test('where there is no data none is made but by migrate', async () => {
    const file = await configured('sip: {port: 0}\ndata: ./fresh\n')
    const { code, err } = await earshot('calls', 'list', '-c', file)
    assert.equal(code, 1)
    assert.match(err.join('\n'), /^there is no data in .*fresh yet; earshot serve or earshot migrate makes it$/)
    assert.match((await earshot('doctor', '-c', file)).out, /^ok +database +PostgreSQL \d+ is here and runs/m)
    await assert.rejects(access(join(place, 'fresh')))
    assert.match((await earshot('migrate', '-c', file, '--json')).out, /"made": \[\s*"001-calls",[^\]]*"006-sound"\s*\]/)
    assert.equal((await earshot('calls', 'list', '-c', file)).out, 'No calls yet.')
  })

  test('tables that are not up to date are left alone by all but migrate, and those of a newer version by that as well', async () => {
    const opened = await openTestDatabase()
    try {
      const file = await configured(`sip: {port: 0}\ndata: "${opened.url.replace('@/', '@localhost/')}"\n`)
      const { sql } = opened.database
      await sql.query('drop schema public cascade')
      await sql.query('create schema public')
      assert.match((await earshot('callbacks', 'list', '-c', file)).err.join(), /not up to date \(001-calls, [^)]* missing\); run: earshot migrate --config/)
      const { code, out } = await earshot('doctor', '-c', file)
      assert.match(out, /^warning +database .*lack 001-calls, .*\n +→ The next start makes them/m)
      assert.equal(code, 0)
      assert.match((await earshot('migrate', '-c', file)).out, /^Made 001-calls, .*\. The tables are up to date\.$/)
      assert.equal((await earshot('callbacks', 'list', '-c', file)).out, 'No parked callbacks.')
      await sql.query(`insert into migration (name, timestamp) values ('999-later', '')`)
      for (const command of [['calls', 'list'], ['migrate']])
        assert.match((await earshot(...command, '-c', file)).err.join(), /written by a newer version of Earshot/)
    } finally {
      await opened.close()
    }
  })

  test('a database server that is not there is said in one line, and to doctor it is a problem', async () => {
    const file = await configured(`sip: {port: 0}\ndata: postgres://earshot:secret@127.0.0.1:1/earshot\n`)
    const { code, err } = await earshot('calls', 'list', '-c', file)
    assert.deepEqual([code, err.length], [1, 1])
    assert.match(err[0] ?? '', /^the database server that data in .* names: connect ECONNREFUSED 127\.0\.0\.1:1$/)
    const doctor = await earshot('doctor', '-c', file)
    assert.equal(doctor.code, 1)
    assert.match(doctor.out, /^problem +database .*ECONNREFUSED/m)
    assert.ok(!doctor.out.includes('secret'))
  })

  test('doctor says of ports, addresses, tokens, rules and trunks what to change', async () => {
    const held = createSocket('udp4')
    const operator = createSocket('udp4').on('message', (bytes, from) => operator.send(replyTo(bytes.toString(), 405), from.port, from.address))
    const strict = createSocket('udp4').on('message', (bytes, from) => strict.send(replyTo(bytes.toString(), 401), from.port, from.address))
    const deaf = createSocket('udp4')
    const bound = await Promise.all(
      [held, operator, deaf, strict].map((socket) => new Promise<number>((done) => socket.bind(0, '127.0.0.1', () => done(socket.address().port)))),
    )
    const file = await configured(`sip: {port: ${bound[0]}, advertise: 203.0.113.9}
data: postgres://127.0.0.1:1/x
callbacks: {allow: ["0.0.0.0/0"]}
dial: {allow: ["+"]}
trunks:
  - {name: good, uri: "sip:127.0.0.1:${bound[1]}"}
  - {name: deaf, uri: "sip:127.0.0.1:${bound[2]}"}
  - {name: strict, uri: "sip:127.0.0.1:${bound[3]}"}
  - {name: login, uri: "sip:127.0.0.1:${bound[3]}", username: me, password: secret}
  - {name: closed, uri: "sip:127.0.0.1:1;transport=tcp"}
  - {name: lost, uri: "sip:no-such-host.invalid"}\n`)
    const { code, json } = await earshot('doctor', '-c', file, '--json')
    for (const socket of [held, operator, deaf, strict]) socket.close()
    const { checks } = json() as { checks: { check: string; state: string; says: string; change: string | null }[] }
    const found = Object.fromEntries(checks.map((check) => [check.check, `${check.state}: ${check.says} → ${check.change}`]))
    assert.equal(code, 1)
    assert.match(found['sip udp port'] ?? '', /^problem: .* in use by another program → .*another sip\.port/)
    assert.match(found['advertised address'] ?? '', /^warning: 203\.0\.113\.9 is not .* → If it is the NAT's, forward port/)
    assert.match(found.configuration ?? '', /^warning: account acme has a token shorter than 16 .*→ Make a longer one/)
    assert.match(found['callback addresses'] ?? '', /^warning: 0\.0\.0\.0\/0 lets callbacks reach everything/)
    assert.match(found['dial rules'] ?? '', /^warning/)
    assert.match(found['trunk good'] ?? '', /^ok: 127\.0\.0\.1 answers with 405/)
    assert.match(found['trunk strict'] ?? '', /^ok: 127\.0\.0\.1 answers with 401/)
    assert.match(found['trunk login'] ?? '', /^warning: 127\.0\.0\.1 answers with 401, also to the login → Check username and password/)
    assert.match(found['trunk deaf'] ?? '', /^problem: .* does not answer OPTIONS within 2 s → /)
    assert.match(found['trunk closed'] ?? '', /^problem: 127\.0\.0\.1 cannot be reached at TCP port 1/)
    assert.match(found['trunk lost'] ?? '', /^problem: no-such-host\.invalid has no address/)
    for (const check of checks) assert.equal(check.change === null, check.state === 'ok', check.check)
  })

  test('a file that is not valid is the doctor’s only finding, line by line', async () => {
    const file = await configured('sip: {port: x}\nrtpp: {}\n')
    const { code, out } = await earshot('doctor', '-c', file)
    assert.equal(code, 1)
    assert.equal(out.match(/^problem +configuration/gm)?.length, out.match(/^problem/gm)?.length)
    assert.match(out, /^problem +configuration .*yaml:4: sip\.port must be/m)
    assert.equal((await earshot('migrate', '-c', file)).code, 1)
  })
})

test('every command’s help has an example or says how it ends', async () => {
  for (const command of [
    'doctor',
    'calls',
    'calls list',
    'calls show',
    'accounts',
    'accounts list',
    'accounts show',
    'check',
    'monitor',
    'monitor join',
    'callbacks',
    'callbacks list',
    'callbacks replay',
    'callbacks receivers',
    'secrets',
    'secrets show',
    'secrets rotate',
    'migrate',
  ]) {
    const { code, out } = await earshot(...command.split(' '), '--help')
    assert.equal(code, 0)
    assert.match(out, /\$ earshot|Exit code 0/, command)
  }
})

/** The response that any SIP element would give, to whom it came from. */
function replyTo(request: string, status: number): string {
  const kept = request.split('\r\n').filter((line) => /^(?:Via|From|To|Call-ID|CSeq):/i.test(line))
  return [`SIP/2.0 ${status} No`, ...kept.map((line) => (/^To:/i.test(line) ? `${line};tag=1` : line)), 'Content-Length: 0', '', ''].join('\r\n')
}
