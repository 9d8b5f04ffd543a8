// `earshot monitor` against a server that the test holds: what is asked, as whom, and what is said of every answer.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import { eventually } from '../../../test/eventually.ts'
import { freePort } from '../../../test/free-port.ts'
import { runCli, type World } from '../../cli.ts'
import { configuredUrl } from './server-access.ts'

interface Asked {
  readonly line: string
  readonly login: string
  readonly lastId: string
  readonly fields: Readonly<Record<string, string>>
}

const folder = mkdtempSync(join(tmpdir(), 'earshot-monitor-'))
const asked: Asked[] = []
type Reply = (response: ServerResponse, request: IncomingMessage) => void
let reply: Reply = (response) => response.end()
const server = createServer((request, response) => {
  let body = ''
  request.on('data', (chunk: Buffer) => void (body += chunk.toString()))
  request.on('end', () => {
    const login = Buffer.from((request.headers.authorization ?? '').replace('Basic ', ''), 'base64').toString()
    const lastId = String(request.headers['last-event-id'] ?? '')
    asked.push({ line: `${request.method} ${request.url}`, login, lastId, fields: Object.fromEntries(new URLSearchParams(body)) })
    reply(response, request)
  })
})
let url = ''
let file = ''

const yaml = (http: string, accounts: string): string => `http: ${http}\naccounts:\n${accounts}\n`
const ACME = '  - {sid: acme, keys: [{key: first, token: first-token-012345}, {key: second, token: second-token-01234}]}'
const write = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  url = `http://127.0.0.1:${port}`
  file = write('one.yaml', yaml(`{host: 0.0.0.0, port: ${port}}`, ACME))
})
after(() => {
  server.closeAllConnections()
  server.close()
  rmSync(folder, { recursive: true })
})
const VARIABLES = ['EARSHOT_KEY', 'EARSHOT_TOKEN']
afterEach(() => {
  asked.length = 0
  for (const name of VARIABLES) delete process.env[name]
})

function start(...args: readonly string[]) {
  const said = { out: [] as string[], err: [] as string[] }
  const held: { signal: () => void; unread: () => void } = { signal: () => {}, unread: () => {} }
  const never = (): never => assert.fail('not for this command')
  const world: World = {
    out: (text) => said.out.push(...text.split('\n')),
    err: (text) => said.err.push(...text.split('\n')),
    pid: 1,
    onSignal: (listener) => {
      held.signal = () => listener('SIGINT')
      return () => {}
    },
    onUnread: (listener) => {
      held.unread = listener
    },
    onCrash: () => {},
    exitNow: never,
    now: () => 0,
    wait: never,
    openLog: never,
    startHouse: never,
    runDemo: never,
  }
  const done = runCli(['monitor', ...args], world)
  return { said, held, done }
}

async function monitor(...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const { said, done } = start(...args)
  const code = await done
  return { code, out: said.out.join('\n'), err: said.err.join('\n') }
}

const answers =
  (status: number, document: unknown, headers: Readonly<Record<string, string>> = {}): Reply =>
  (response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(document))
const legAnswer = (key: string, more: Readonly<Record<string, string>> = {}): Reply =>
  answers(200, { [key]: { Sid: 'leg1', CallSid: 'call1', PhoneNumber: 'client:boss', Origin: 'monitor', LastAction: 'whisper', ...more } })
const refuses = (status: number, message: string, headers: Readonly<Record<string, string>> = {}): Reply =>
  answers(status, { RestException: { Status: status, Message: message } }, headers)

describe('what is asked of the server', () => {
  test('[C15] join asks for a leg in that mode, of that phone, to that target, for that reason, and says what to do next', async () => {
    reply = legAnswer('Leg')
    const flags = ['--phone', 'client:boss', '--mode', 'Whisper', '--target', 'leg9', '--reason', 'complaint-7']
    const { code, out, err } = await monitor('join', 'call1', ...flags, '-c', file)
    assert.deepEqual([code, err], [0, ''])
    const fields = { Action: 'whisper', PhoneNumber: 'client:boss', TargetLegSid: 'leg9', ReasonCode: 'complaint-7' }
    assert.deepEqual(asked, [{ line: 'POST /v1/Accounts/acme/Calls/call1/Legs.json', login: 'first:first-token-012345', lastId: '', fields }])
    assert.equal(
      out,
      [
        'client:*** is rung as leg leg1; when they pick up: whisper.',
        '  earshot monitor mode call1 leg1 listen',
        '  earshot monitor mode call1 leg1 barge',
        '  earshot monitor hangup call1 leg1',
      ].join('\n'),
    )
    assert.match((await monitor('join', 'call1', '--phone', 'client:boss', '--full', '-c', file)).out, /^client:boss is rung/)
    assert.deepEqual(asked[1]?.fields, { Action: 'listen', PhoneNumber: 'client:boss' })
  })

  test('[C20] [C21] mode and hangup ask for just that, of just that leg', async () => {
    reply = legAnswer('Leg')
    const changed = await monitor('mode', 'call1', 'leg1', 'whisper', '--reason', 'r', '-c', file)
    assert.deepEqual([changed.code, changed.out], [0, 'Leg leg1 is in mode whisper.'])
    reply = legAnswer('legs')
    assert.equal((await monitor('hangup', 'call1', 'leg1', '-c', file)).out, 'Leg leg1 is let go; the call goes on.')
    reply = legAnswer('legs', { Origin: 'outbound' })
    assert.equal((await monitor('hangup', 'call1', '../x y', '-c', file)).out, 'Leg leg1 is let go.')
    assert.deepEqual(
      asked.map(({ line, fields }) => [line, fields]),
      [
        ['PUT /v1/Accounts/acme/Calls/call1/Legs/leg1.json', { Action: 'whisper', ReasonCode: 'r' }],
        ['PUT /v1/Accounts/acme/Calls/call1/Legs/leg1.json', { Action: 'hangup' }],
        ['PUT /v1/Accounts/acme/Calls/call1/Legs/..%2Fx%20y.json', { Action: 'hangup' }],
      ],
    )
  })

  test('--json prints what the server said, as it is', async () => {
    reply = answers(200, { Leg: { Sid: 'leg1', PhoneNumber: '09876543210', Odd: null } })
    const { out } = await monitor('mode', 'call1', 'leg1', 'barge', '--json', '-c', file)
    assert.deepEqual(JSON.parse(out), { Leg: { Sid: 'leg1', PhoneNumber: '09876543210', Odd: null } })
  })

  test('a mode or a reason that is none is refused before anything is asked', async () => {
    for (const args of [
      ['mode', 'c', 'l', 'shout'],
      ['join', 'c', '--phone', 'x', '--mode', 'shout'],
      ['join', 'c', '--phone', 'x', '--reason', 'a b'],
      ['join', 'c'],
    ])
      assert.equal((await monitor(...args, '-c', file)).code, 1, args.join(' '))
    assert.deepEqual(asked, [])
  })
})

describe('where and as whom', () => {
  const logins = async (...args: readonly string[]): Promise<string> => {
    reply = legAnswer('Leg')
    const { err } = await monitor('mode', 'c', 'l', 'listen', ...args)
    return asked.at(-1)?.login ?? err
  }

  test('with --url, --account, a key and a token no configuration is needed', async () => {
    const nowhere = join(folder, 'none.yaml')
    process.env.EARSHOT_TOKEN = 'from-env'
    assert.equal(await logins('-c', nowhere, '--url', `${url}/`, '--account', 'zenith', '--key', 'k'), 'k:from-env')
    assert.equal(asked[0]?.line, 'PUT /v1/Accounts/zenith/Calls/c/Legs/l.json')
  })

  test('flags come before the environment, the environment before the configuration', async () => {
    process.env.EARSHOT_KEY = 'env'
    process.env.EARSHOT_TOKEN = 'env-token'
    assert.equal(await logins('-c', file), 'env:env-token')
    assert.equal(await logins('-c', file, '--key', 'flag', '--token', 'flag-token'), 'flag:flag-token')
  })

  test('half of a login is made whole by the configuration: the token of that key, or the key of that token', async () => {
    assert.equal(await logins('-c', file, '--key', 'second'), 'second:second-token-01234')
    process.env.EARSHOT_TOKEN = 'second-token-01234'
    assert.equal(await logins('-c', file), 'second:second-token-01234')
  })

  test('what is missing or wrong is said with what to write, and no token is repeated', async () => {
    const two = write('two.yaml', yaml('{port: 0}', `${ACME}\n  - {sid: zenith}`))
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [['-c', two, '--url', url], /^which account\? Write --account SID; there are: acme, zenith$/],
      [['-c', two, '--account', 'acme'], /^http\.port in .* is 0, which is any free port; say with --url where the server is$/],
      [['-c', two, '--url', url, '--account', 'x'], /^no account x in .*; there are: acme, zenith$/],
      [
        ['-c', two, '--url', url, '--account', 'zenith'],
        /^account zenith has no key in .*; set EARSHOT_KEY and EARSHOT_TOKEN \(earshot keys create --account zenith/,
      ],
      [['-c', file, '--key', 'ek_other'], /^the token of key ek_other is not in .*; write it into EARSHOT_TOKEN/],
      [
        ['-c', file, '--token', 'unknown-secret'],
        /^no key of account acme in .* has that token; write the key that it belongs to: --key KEY, or EARSHOT_KEY$/,
      ],
      [
        ['-c', join(folder, 'none.yaml'), '--account', 'acme'],
        /does not exist.*\nor write --url, EARSHOT_KEY, EARSHOT_TOKEN: then no configuration is needed$/,
      ],
      [['-c', file, '--url', 'ftp://x'], /^--url is no address of a server; write e\.g\. --url http/],
      [['-c', file, '--url', 'http://u:unknown-secret@x'], /^--url is no address of a server/],
      [['-c', file, '--key', 'a:b', '--token', 't'], /^a key has neither a colon nor a space/],
      [['-c', file, '--key', 'a', '--token', 'töken'], /^a token has no space and no letter beyond ASCII/],
    ]
    for (const [args, sentence] of cases) {
      const { code, out, err } = await monitor('mode', 'c', 'l', 'listen', ...args)
      assert.deepEqual([code, out], [1, ''], args.join(' '))
      assert.match(err, sentence)
      assert.ok(!err.includes('unknown-secret'))
    }
    assert.deepEqual(asked, [])
  })

  test('the address of the configuration is its public one, else where it listens, as this machine reaches it', () => {
    const at = (host: string, publicUrl: string | null = null, port = 8080) => configuredUrl({ http: { host, port, publicUrl, trustProxy: [] } })
    assert.deepEqual(
      [at('0.0.0.0'), at('::'), at('::1'), at('10.0.0.7'), at('0.0.0.0', 'https://calls.example/'), at('127.0.0.1', null, 0)],
      ['http://127.0.0.1:8080', 'http://127.0.0.1:8080', 'http://[::1]:8080', 'http://10.0.0.7:8080', 'https://calls.example', null],
    )
  })

  test('a token that would go over a network in clear is spoken of; to this machine it is not', async () => {
    const { err } = await monitor('mode', 'c', 'l', 'listen', '-c', file, '--url', 'http://calls.invalid')
    assert.match(err, /^note: the token goes to calls\.invalid unencrypted; use https/)
    reply = legAnswer('Leg')
    assert.equal((await monitor('mode', 'c', 'l', 'listen', '-c', file)).err, '')
  })
})

describe('what a server answers that does not do it', () => {
  const cases: readonly (readonly [string, Reply, RegExp])[] = [
    [
      'a wrong key',
      refuses(401, 'Authentication failed'),
      /^401 Authentication failed; look at the account, the key and the token \(earshot keys list\)$/,
    ],
    [
      'a right that is missing',
      refuses(403, 'Your API key does not have the right to do this: monitor.barge'),
      /^403 Your API key does not have .*: monitor\.barge$/,
    ],
    [
      'a call that has ended',
      answers(404, { RestException: { Code: 404, Message: 'Given callSID is not in-progress' } }),
      /^404 Given callSID is not in-progress$/,
    ],
    ['too many requests', refuses(429, 'Too Many Requests', { 'retry-after': '7' }), /^429 Too Many Requests; try again in 7 s$/],
    [
      'a page',
      (response) => response.writeHead(404, { 'content-type': 'text/html' }).end('<h1>nginx'),
      /^http:.* answers 404, but not as an Earshot does; say with --url/,
    ],
    ['another place', (response) => response.writeHead(302, { location: `${url}/elsewhere` }).end(), / answers 302, but not as an Earshot does/],
    ['no JSON', (response) => response.writeHead(200).end('ok'), / answers 200, but not as an Earshot does/],
    ['nothing', (response) => response.destroy(), /^the connection to http:\S+ failed \(/],
    ['what would play with a terminal', refuses(400, 'a\u001b[31mb'), /^400 a \[31mb$/],
  ]
  for (const [name, answer, sentence] of cases) {
    test(`${name}: one line, exit code 1, asked once`, async () => {
      reply = answer
      const { code, out, err } = await monitor('mode', 'c', 'l', 'listen', '-c', file)
      assert.deepEqual([code, out, asked.length], [1, '', 1])
      assert.match(err, sentence)
    })
  }

  test('a server that is not there is told with what to start', async () => {
    const away = write('away.yaml', yaml(`{port: ${await freePort()}}`, ACME))
    for (const args of [['calls'], ['watch'], ['hangup', 'c', 'l']]) {
      const { code, err } = await monitor(...args, '-c', away)
      assert.equal(code, 1)
      assert.match(
        err,
        /^no Earshot answers at http:\/\/127\.0\.0\.1:\d+ \(ECONNREFUSED\); start it with earshot serve --config .*away\.yaml, or say with --url where it is$/,
      )
    }
  })
})

const eventText = (id: string, event: string, data: unknown): string => `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`
const LEGS = [
  { Sid: 'legA', CallSid: 'call1', PhoneNumber: 'client:priya', Origin: 'outbound', LastAction: '', State: 'answered', TargetLegSid: null },
  { Sid: 'legB', CallSid: 'call1', PhoneNumber: '09876543210', Origin: 'outbound-dial', LastAction: '', State: 'answered', TargetLegSid: null },
  { Sid: 'legC', CallSid: 'call1', PhoneNumber: 'client:boss', Origin: 'monitor', LastAction: 'whisper', State: 'answered', TargetLegSid: 'legA' },
]
const HEARING = {
  CallSid: 'call1',
  Ears: [
    { LegSid: 'legA', Hears: [{ LegSid: 'legB' }, { LegSid: 'legC' }], Sounds: [] },
    { LegSid: 'legB', Hears: [{ LegSid: 'legA' }], Sounds: [{ Name: 'tone' }] },
    { Tape: 'tape', Hears: [], Sounds: [] },
  ],
}
const CALL = { Sid: 'call1', Status: 'in-progress', From: 'client:priya', To: '09876543210', StartTime: '2026-11-26 10:00:00' }
const SNAPSHOT = { Missed: 'false', Calls: [{ ...CALL, Legs: LEGS, Hearing: HEARING }] }
const opens = (response: ServerResponse, ...texts: readonly string[]): void => {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
  for (const text of texts) response.write(text)
}

describe('what lives now', () => {
  test('calls are shown with their legs, who monitors whom, and who is heard by whom, masked', async () => {
    reply = (response) => opens(response, 'retry: 2000\n\n', eventText('l-1', 'snapshot', SNAPSHOT))
    const { code, out } = await monitor('calls', '-c', file)
    assert.equal(code, 0)
    const [head, ...rows] = out.split('\n')
    assert.equal(head, 'call1 from client:*** to 09*****210, since 2026-11-26 10:00:00'.replace('call1 ', 'call1  '))
    assert.deepEqual(
      rows.map((row) => row.trim().split(/ {2,}/)),
      [
        ['LEG', 'ORIGIN', 'ADDRESS', 'STATE', 'MODE', 'TARGET', 'HEARD BY'],
        ['legA', 'outbound', 'client:***', 'answered', 'outbound-dial'],
        ['legB', 'outbound-dial', '09*****210', 'answered', 'outbound'],
        ['legC', 'monitor', 'client:***', 'answered', 'whisper', 'outbound', 'outbound'],
      ],
    )
    assert.match((await monitor('calls', '--full', '-c', file)).out, /from client:priya to 09876543210/)
    assert.deepEqual(JSON.parse((await monitor('calls', '--json', '-c', file)).out), SNAPSHOT)
    assert.equal(asked[0]?.line, 'GET /v1/Accounts/acme/Events.json')
  })

  test('when nothing lives it says so', async () => {
    reply = (response) => opens(response, eventText('l-1', 'snapshot', { Missed: 'false', Calls: [] }))
    assert.equal((await monitor('calls', '-c', file)).out, 'No live calls.')
  })
})

describe('watching', () => {
  const MODE = { Mode: { CallSid: 'call1', LegSid: 'legC', TargetLegSid: 'legA', Action: 'barge', PreviousAction: 'whisper' } }

  test('each event is a line, masked; Ctrl-C ends it with 0', async () => {
    const events: readonly (readonly [string, unknown])[] = [
      ['call', { Call: CALL }],
      ['leg', { Leg: LEGS[1] }],
      ['leg', { Leg: { ...LEGS[2], State: 'ended', Status: 'completed' } }],
      ['mode', MODE],
      ['mode', { Mode: { ...MODE.Mode, PreviousAction: null } }],
      ['hearing', { Hearing: HEARING }],
      ['odd', { What: '+919876543210' }],
    ]
    reply = (response) =>
      opens(
        response,
        ': hello\r\n\r\n',
        eventText('l-1', 'snapshot', SNAPSHOT),
        ...events.map(([name, data], n) => eventText(`l-${n + 2}`, name, data)),
      )
    const { said, held, done } = start('watch', '--call', 'call1', '-c', file)
    await eventually('eight lines', () => said.out.length === 8)
    held.signal()
    assert.equal(await done, 0)
    assert.equal(asked[0]?.line, 'GET /v1/Accounts/acme/Events.json?CallSid=call1')
    assert.deepEqual(
      said.out.map((line) => line.replace(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ /, '')),
      [
        'snapshot  1 live call, 1 supervisor',
        'call      call1 in-progress, from client:*** to 09*****210',
        'leg       call1 legB outbound-dial 09*****210 answered',
        'leg       call1 legC monitor client:*** ended: completed',
        'mode      call1 legC whisper → barge, target legA',
        'mode      call1 legC barge, target legA',
        'hearing   call1 legA hears legB legC; legB hears legA tone; tape hears nobody',
        'odd       {"What":"+91*****210"}',
      ],
    )
    assert.deepEqual(said.err, [])
  })

  test('a connection that is lost, in the middle of an event, goes on after the last whole one; what refuses for a while is asked again', async () => {
    const stages: Reply[] = [
      (response) => {
        opens(response, 'retry: 5\n\n', eventText('l-1', 'snapshot', SNAPSHOT), eventText('l-2', 'mode', MODE), 'id: l-3\nevent: mo')
        setImmediate(() => setTimeout(() => response.destroy(), 20))
      },
      refuses(503, 'Service Unavailable'),
      (response) => response.destroy(),
      (response) => opens(response, eventText('l-3', 'mode', MODE)),
    ]
    reply = (response, request) => stages.shift()?.(response, request)
    const { said, held, done } = start('watch', '--json', '-c', file)
    await eventually('three lines', () => said.out.length === 3)
    held.signal()
    assert.equal(await done, 0)
    assert.deepEqual(
      said.out.map((line) => JSON.parse(line).id),
      ['l-1', 'l-2', 'l-3'],
    )
    assert.deepEqual(JSON.parse(said.out[1] ?? ''), { id: 'l-2', event: 'mode', data: MODE })
    assert.deepEqual(
      asked.map(({ lastId }) => lastId),
      ['', 'l-2', 'l-2', 'l-2'],
    )
    assert.deepEqual(said.err, ['note: the connection is lost; it is made again, from the last event on', 'note: the connection is back'])
  })

  test('a key that is revoked meanwhile ends it, in the words of the server', async () => {
    const stages: Reply[] = [
      (response) => void (opens(response, 'retry: 5\n\n', eventText('l-1', 'snapshot', SNAPSHOT)), response.end()),
      refuses(401, 'Authentication failed'),
    ]
    reply = (response, request) => stages.shift()?.(response, request)
    const { code, err } = await monitor('watch', '-c', file)
    assert.equal(code, 1)
    assert.match(err, /\n401 Authentication failed; look at/)
  })

  test('what is refused at the beginning is not tried again', async () => {
    reply = refuses(503, 'Service Unavailable')
    const { code, err } = await monitor('watch', '-c', file)
    assert.deepEqual([code, err, asked.length], [1, '503 Service Unavailable', 1])
  })

  test('it ends when nobody reads it any more, and while it waits for a server that is gone', async () => {
    reply = (response) => opens(response, eventText('l-1', 'snapshot', SNAPSHOT))
    const first = start('watch', '-c', file)
    await eventually('a line', () => first.said.out.length === 1)
    first.held.unread()
    assert.equal(await first.done, 0)
    reply = (response) => void (opens(response, 'retry: 100000\n\n', eventText('l-1', 'snapshot', SNAPSHOT)), response.end())
    const second = start('watch', '-c', file)
    await eventually('it waits', () => second.said.err.length === 1)
    second.held.signal()
    assert.equal(await second.done, 0)
  })
})

test('help says where, as whom, that ps shows a token, and has an example of each command', async () => {
  for (const name of ['calls', 'join', 'mode', 'hangup', 'watch']) {
    const { code, out } = await monitor(name, '--help')
    assert.equal(code, 0)
    for (const word of ['--url', 'EARSHOT_TOKEN', '(ps)', '--json', `$ earshot monitor ${name}`]) assert.ok(out.includes(word), `${name} ${word}`)
  }
})
