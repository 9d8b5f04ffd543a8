import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { DEFAULT_DIAL_LIMITS } from './domain/account/dial-guard.ts'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { SCOPES } from './domain/account/rights.ts'
import { accountsOf, ConfigError, configWarnings, dialRulesOf, keysOf, loadConfig, parseConfig, type Config, type Environment } from './config.ts'

const EXAMPLE = fileURLToPath(new URL('../earshot.example.yaml', import.meta.url))
const MINIMAL = 'accounts: [{sid: a}]\n'
const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

const parse = (text: string, env: Environment = {}): Config => parseConfig(text, { fileName: '/etc/earshot/e.yaml', env })

/** The problems of a text, one line each, without the file's name. */
function problems(text: string, env: Environment = {}): readonly string[] {
  try {
    parse(text, env)
    return []
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return error.message.split('\n').map((line) => line.replace('/etc/earshot/e.yaml:', ''))
  }
}

test('the example file is valid as it stands, and raises no note', () => {
  const config = loadConfig(EXAMPLE, {})
  assert.deepEqual(configWarnings(config), [])
  assert.equal(config.http.host, '127.0.0.1')
  assert.equal(config.sip.host, '127.0.0.1')
})

test('the example file names every key that there is', async () => {
  const { readFileSync } = await import('node:fs')
  const text = readFileSync(EXAMPLE, 'utf8')
  const known = new Set<string>()
  for (const section of [
    '',
    'http: ',
    'sip: ',
    'rtp: ',
    'dial: ',
    'callbacks: ',
    'recordings: ',
    'limits: ',
    'metrics: ',
    'log: ',
    'accounts: [',
    'accounts: [{plan: ',
    'accounts: [{plan: {rates: [',
    'accounts: [{dial: ',
    'trunks: [',
  ]) {
    const close = [...section]
      .reverse()
      .map((open) => ({ '[': ']', '{': '}' })[open] ?? '')
      .join('')
    const [line] = problems(`${section}{qqqqqqq: 1}${close}`).filter((problem) => problem.includes('known here: '))
    for (const key of line?.split('known here: ')[1]?.split(', ') ?? []) known.add(key)
  }
  assert.ok(known.size >= 30, [...known].join(' '))
  for (const key of known) assert.match(text, new RegExp(`\\b${key}:`), key)
})

test('what is left out has its default', () => {
  assert.deepEqual(parse(MINIMAL), {
    engine: 'native',
    http: { host: '127.0.0.1', port: 8080, publicUrl: null, trustProxy: [] },
    sip: { host: '127.0.0.1', port: 5060, advertise: '127.0.0.1' },
    rtp: { host: '127.0.0.1', portMin: 40_000, portMax: 49_998, advertise: '127.0.0.1' },
    data: '/etc/earshot/data',
    accounts: [
      {
        sid: 'a',
        timeZone: 'Asia/Kolkata',
        keys: [],
        numbers: [],
        agents: [],
        maxMonitors: 10,
        notice: null,
        callbackSecret: [],
        plan: null,
        dial: DEFAULT_DIAL_LIMITS,
      },
    ],
    trunks: [],
    dial: { prefixes: [], hosts: [] },
    callbacks: { allow: [], retrySeconds: [5, 60, 300, 900, 3600, 21_600] },
    retention: { callsDays: null, auditPersonalDays: null, callbacksDays: null, recordingsDays: null },
    recordings: { folder: '/etc/earshot/recordings' },
    limits: { writesPerMinute: 200, readsPerMinute: 1200, requestsPerMinute: 6000, failuresPerMinute: 10 },
    metrics: null,
    log: { level: 'info' },
  })
})

test('a key with nothing behind it is a key that was left out', () => {
  assert.deepEqual(parse(`${MINIMAL}trunks:\nhttp:\n  port:\nlog: ~\nsip: null\n`), parse(MINIMAL))
})

test('everything that can be given arrives where it belongs', () => {
  const config = parse(`
engine: native
http: {host: "::1", port: 0, publicUrl: "https://calls.example.com/", trustProxy: [127.0.0.1, "fd00::/8"]}
sip: {host: 0.0.0.0, port: 5070, advertise: 203.0.113.5}
rtp: {host: 10.0.0.9, portMin: 20000, portMax: 20003}
data: postgres://u:p@db/earshot
accounts:
  - sid: acme
    timeZone: Europe/Berlin
    keys: [{key: k1, token: t1}, {key: k2, token: t2, scopes: [monitor.listen, calls.read], agents: [asha]}]
    numbers: [+918040000000, {number: +918040000001, rings: asha}]
    agents: [{name: asha, password: pw}]
    maxMonitors: 3
    notice: {to: agent, atEntry: false, everySeconds: 12, modes: [barge, listen]}
    callbackSecret: ${SECRET}
    plan:
      currency: INR
      pulseSeconds: 30
      prepaid: true
      floor: -5.5
      rates: [{prefix: +91, price: 0.5}, {prefix: "sip:", origin: monitor, price: 1.000001}, {price: 0}]
    dial: {allow: [+9180, "sip:Host.Example"], maxLegs: 7, legsPerMinute: 8, spendPerDay: 1000}
trunks:
  - {name: op, uri: "sip:sip.example:5080;transport=tcp", username: u, password: p, register: true, numbers: [+918040000000]}
dial: {allow: [+91, +, "sip:Host.Example", "sip:10.0.0.1:5062", "sip:[2001:DB8::1]:5060"]}
callbacks: {allow: [127.0.0.1, "10.0.0.0/8:8443", "::1", "[fd00::/8]:9000"], retrySeconds: [1, 2]}
limits: {writesPerMinute: 5, readsPerMinute: 6, requestsPerMinute: 7, failuresPerMinute: 8}
retention: {callsDays: 365, auditPersonalDays: 730, callbacksDays: 30, recordingsDays: 90}
recordings: {folder: /srv/recordings}
log: {level: debug}
`)
  assert.deepEqual(config.http, { host: '::1', port: 0, publicUrl: 'https://calls.example.com', trustProxy: ['127.0.0.1', 'fd00::/8'] })
  assert.deepEqual(config.recordings, { folder: '/srv/recordings' })
  assert.deepEqual(config.sip, { host: '0.0.0.0', port: 5070, advertise: '203.0.113.5' })
  assert.deepEqual(config.rtp, { host: '10.0.0.9', portMin: 20_000, portMax: 20_003, advertise: '203.0.113.5' })
  assert.equal(config.data, 'postgres://u:p@db/earshot')
  assert.deepEqual(accountsOf(config), [
    {
      id: 'acme',
      timeZone: 'Europe/Berlin',
      numbers: [
        { number: '+918040000000', rings: null },
        { number: '+918040000001', rings: 'client:asha' },
      ],
      agents: ['asha'],
      maxMonitors: 3,
      notice: { to: 'agent', atEntry: false, everySeconds: 12, modes: ['listen', 'barge'] },
      plan: {
        currency: 'INR',
        pulseS: 30,
        prepaid: true,
        floor: '-5.500',
        rates: [
          { prefix: '+91', origin: null, price: '0.500' },
          { prefix: 'sip:', origin: 'monitor', price: '1.000001' },
          { prefix: null, origin: null, price: '0.000' },
        ],
      },
      dial: { allow: { prefixes: ['+9180'], hosts: [{ host: 'host.example', port: null }] }, maxLegs: 7, legsPerMinute: 8, spendPerDay: '1000.000' },
    },
  ])
  assert.deepEqual(config.accounts[0]?.callbackSecret, [SECRET])
  assert.deepEqual(config.trunks, [
    { name: 'op', uri: 'sip:sip.example:5080;transport=tcp', username: 'u', password: 'p', register: true, numbers: ['+918040000000'] },
  ])
  assert.deepEqual(dialRulesOf(config), {
    prefixes: ['+91', '+'],
    hosts: [
      { host: 'host.example', port: null },
      { host: '10.0.0.1', port: 5062 },
      { host: '2001:db8::1', port: 5060 },
    ],
  })
  assert.deepEqual(config.callbacks, { allow: ['127.0.0.1', '10.0.0.0/8:8443', '::1', '[fd00::/8]:9000'], retrySeconds: [1, 2] })
  assert.deepEqual(config.retention, { callsDays: 365, auditPersonalDays: 730, callbacksDays: 30, recordingsDays: 90 })
  assert.deepEqual(config.limits, { writesPerMinute: 5, readsPerMinute: 6, requestsPerMinute: 7, failuresPerMinute: 8 })
  assert.deepEqual(
    keysOf(config).map(({ id, accountId, source, scopes, agents }) => [id, accountId, source, scopes, agents]),
    [
      ['k1', 'acme', 'configuration', SCOPES, null],
      ['k2', 'acme', 'configuration', ['calls.read', 'monitor.listen'], ['asha']],
    ],
  )
  assert.equal(config.log.level, 'debug')
})

test('a number keeps its plus, with quotes and without', () => {
  const config = parse('accounts: [{sid: a, numbers: [+918040000000, "+918040000001"]}]')
  assert.deepEqual(
    config.accounts[0]?.numbers.map((entry) => entry.number),
    ['+918040000000', '+918040000001'],
  )
})

test('localhost is 127.0.0.1 where an address is needed, and RTP goes where SIP goes', () => {
  const config = parse(`${MINIMAL}sip: {host: localhost}\n`)
  assert.deepEqual([config.sip.host, config.sip.advertise, config.rtp.host, config.rtp.advertise], Array(4).fill('127.0.0.1'))
})

test('a value comes from the environment, whole or in part, a port too', () => {
  const config = parse('http: {port: "${PORT}"}\ndata: postgres://u:${PW}@db/x\naccounts:\n  - sid: a\n    keys: [{key: k, token: "$${PW}"}]\n', {
    PORT: '81',
    PW: 's3',
  })
  assert.equal(config.http.port, 81)
  assert.equal(config.data, 'postgres://u:s3@db/x')
  assert.equal(config.accounts[0]?.keys[0]?.token, '${PW}')
})

test('anchors and aliases work', () => {
  const config = parse('accounts:\n  - sid: a\n    timeZone: &zone Europe/Paris\n  - sid: b\n    timeZone: *zone\n')
  assert.equal(config.accounts[1]?.timeZone, 'Europe/Paris')
})

/** A text, and its problems as `line: path what`. */
const WRONG: readonly (readonly [string, readonly string[]])[] = [
  ['', ['1: accounts is missing; begin its entries with a dash, e.g. - sid: mycompany']],
  ['accounts: []', ['1: accounts needs at least one account; begin with: - sid: mycompany']],
  ['accounts: hello', ['1: accounts must be a list; begin each entry with a dash, e.g. - sid: mycompany']],
  [`${MINIMAL}http: 8080`, ['2: http must be a section with host, port, publicUrl, trustProxy indented below it']],
  [`${MINIMAL}\nhttp:\n  port: 65536`, ['4: http.port must be a whole number from 0 to 65535; write e.g. 8080']],
  [`${MINIMAL}http: {port: 80.5}`, ['2: http.port must be a whole number from 0 to 65535; write e.g. 8080']],
  [`${MINIMAL}http: {port: -1}`, ['2: http.port must be a whole number from 0 to 65535; write e.g. 8080']],
  [`${MINIMAL}http: {port: [1]}`, ['2: http.port must be a whole number from 0 to 65535; write e.g. 8080']],
  [
    `${MINIMAL}http: {publicUrl: calls.example.com}`,
    ['2: http.publicUrl must be an address without a path, as callers write it; write e.g. https://calls.example.com'],
  ],
  [
    `${MINIMAL}http: {publicUrl: "https://a/b"}`,
    ['2: http.publicUrl must be an address without a path, as callers write it; write e.g. https://calls.example.com'],
  ],
  [`${MINIMAL}http: {host: "a b"}`, ['2: http.host is not an address; write e.g. 127.0.0.1 or 0.0.0.0']],
  [`${MINIMAL}sip: {host: sip.example}`, ['2: sip.host must be an IP address, without port or brackets; write e.g. 127.0.0.1']],
  [
    `${MINIMAL}sip: {host: 0.0.0.0}`,
    ['2: sip.advertise is missing, and needed with a wildcard host: phones must be told where to answer; write e.g. advertise: 192.0.2.10'],
  ],
  [
    `${MINIMAL}sip: {host: "::"}`,
    ['2: sip.advertise is missing, and needed with a wildcard host: phones must be told where to answer; write e.g. advertise: 192.0.2.10'],
  ],
  [
    `${MINIMAL}rtp: {host: 0.0.0.0}`,
    ['1: sip.advertise is missing, and needed with a wildcard host: phones must be told where to answer; write e.g. advertise: 192.0.2.10'],
  ],
  [
    `${MINIMAL}sip: {host: 0.0.0.0, advertise: 0.0.0.0}`,
    ['2: sip.advertise must be the address that phones can reach, not a wildcard; write e.g. 192.0.2.10'],
  ],
  [`${MINIMAL}rtp:\n  portMin: 20000\n  portMax: 10000`, ['3: rtp.portMin must be below rtp.portMax (10000); write e.g. portMin: 9000']],
  [`${MINIMAL}rtp: {portMin: 50000}`, ['2: rtp.portMin must be below rtp.portMax (49998); write e.g. portMin: 40000']],
  [`${MINIMAL}rtp: {portMin: 20001, portMax: 20002}`, ['2: rtp.portMax leaves no even port with the odd one above it; write e.g. portMax: 21001']],
  [`${MINIMAL}rtp: {portMin: 80}`, ['2: rtp.portMin must be a whole number from 1024 to 65535; write e.g. 40000']],
  [
    `${MINIMAL}sip: {port: 40100}`,
    ['2: sip.port lies among the RTP ports 40000 to 49998; write e.g. port: 5060, or move rtp.portMin and rtp.portMax'],
  ],
  [`${MINIMAL}data: mysql://x`, ['2: data must be a folder or a PostgreSQL address; write e.g. ./data or postgres://user:password@host/database']],
  [`${MINIMAL}engine: asterisk`, ['2: engine asterisk is announced, but not available yet; write native']],
  [`${MINIMAL}engine: freeswitch`, ['2: engine must be native, the only engine so far; write native']],
  [`${MINIMAL}log: {level: loud}`, ['2: log.level must be one of debug, info, warn, error; write e.g. debug']],
  [`${MINIMAL}limits: {writesPerMinute: 0}`, ['2: limits.writesPerMinute must be a whole number from 1 to 1000000; write e.g. 200']],
  ['accounts:\n  - timeZone: UTC', ['2: accounts[0].sid is missing; write e.g. mycompany']],
  ['accounts: [{sid: a/b}]', ['1: accounts[0].sid may hold letters, digits, dot, dash and underscore, at most 64; write e.g. mycompany']],
  ['accounts: [{sid: a.json}]', ['1: accounts[0].sid may not end in .json; write e.g. mycompany']],
  ['accounts:\n  - sid: a\n  - sid: a', ['3: accounts[1].sid is the sid of another account too; every account needs its own']],
  ['accounts: [{sid: a, timeZone: Asia/Bombay2}]', ['1: accounts[0].timeZone is not an IANA time zone; write e.g. Asia/Kolkata']],
  ['accounts: [{sid: a, timeZone: "+05:30"}]', ['1: accounts[0].timeZone is not an IANA time zone; write e.g. Asia/Kolkata']],
  ['accounts: [{sid: a, keys: [{key: k}]}]', ['1: accounts[0].keys[0].token is missing; write e.g. ${EARSHOT_TOKEN}']],
  [
    'accounts: [{sid: a, keys: [{key: k, token: t, scopes: [calls.write]}]}]',
    [
      '1: accounts[0].keys[0].scopes[0] must be one of all, calls.read, calls.create, monitor.listen, monitor.whisper, monitor.barge, legs.hangup, usage.read, accounts.admin; write e.g. all',
    ],
  ],
  [
    'accounts: [{sid: a, keys: [{key: k, token: t, scopes: []}]}]',
    ['1: accounts[0].keys[0].scopes may not be empty: such a key could do nothing; leave it out for all, or write e.g. [calls.read, monitor.listen]'],
  ],
  [
    'accounts: [{sid: a, keys: [{key: k, token: t, scopes: all}]}]',
    ['1: accounts[0].keys[0].scopes must be a list; begin each entry with a dash, e.g. - calls.read'],
  ],
  [
    'accounts: [{sid: a, keys: [{key: k, token: t, agents: []}]}]',
    ['1: accounts[0].keys[0].agents may not be empty: such a key would see no call; leave it out for all, or write e.g. [priya]'],
  ],
  [
    'accounts: [{sid: a, agents: [{name: asha, password: p}], keys: [{key: k, token: t, agents: [priya]}]}]',
    ['1: accounts[0].keys[0].agents[0] names no phone of this account; write e.g. asha'],
  ],
  [
    'accounts: [{sid: a, keys: [{key: k, token: t, agents: [priya]}]}]',
    ['1: accounts[0].keys[0].agents[0] names no phone of this account; add it to agents of the account'],
  ],
  [
    `${MINIMAL}http: {trustProxy: [proxy.example]}`,
    ['2: http.trustProxy[0] must be the address or block of a proxy; write e.g. 127.0.0.1 or 10.0.0.0/8'],
  ],
  [`${MINIMAL}http: {trustProxy: [0.0.0.0]}`, ['2: http.trustProxy[0] must be the address or block of a proxy; write e.g. 127.0.0.1 or 10.0.0.0/8']],
  [`${MINIMAL}limits: {failuresPerMinute: 0}`, ['2: limits.failuresPerMinute must be a whole number from 1 to 1000000; write e.g. 10']],
  [
    'accounts: [{sid: a, keys: [{key: "a:b", token: t}]}]',
    ['1: accounts[0].keys[0].key may not hold a colon or a space, at most 255 characters; write e.g. my-key'],
  ],
  [
    'accounts: [{sid: a, keys: [{key: k, token: ""}]}]',
    ['1: accounts[0].keys[0].token must be 1 to 255 characters without spaces; write e.g. ${EARSHOT_TOKEN}'],
  ],
  [
    'accounts:\n  - sid: a\n    keys: [{key: k, token: t}]\n  - sid: b\n    keys: [{key: k, token: u}]',
    ['5: accounts[1].keys[0].key is given twice; every API key needs its own name, over all accounts'],
  ],
  [
    'accounts: [{sid: a, numbers: [08040000000]}]',
    ['1: accounts[0].numbers[0].number must be a number in E.164, with + and country code; write e.g. "+918040000000"'],
  ],
  ['accounts: [{sid: a, plan: {}}]', ['1: accounts[0].plan.currency is missing; write e.g. INR', '1: accounts[0].plan.rates is missing; begin its entries with a dash, e.g. - {prefix: "+91", price: 0.50}']],
  ['accounts: [{sid: a, plan: {currency: rupees, rates: [{price: 1}]}}]', ['1: accounts[0].plan.currency must be the three letters of a currency; write e.g. INR']],
  ['accounts: [{sid: a, plan: {currency: INR, rates: []}}]', ['1: accounts[0].plan.rates needs at least one rate, since nothing else may be dialled; write e.g. - {prefix: "+91", price: 0.50}']],
  ['accounts: [{sid: a, plan: {currency: INR, rates: [{price: 0.0000001}]}}]', ['1: accounts[0].plan.rates[0].price must be a decimal with at most six places, below a million, without a currency; write e.g. 0.50']],
  ['accounts: [{sid: a, plan: {currency: INR, rates: [{price: -1}]}}]', ['1: accounts[0].plan.rates[0].price must be a decimal with at most six places, below a million, without a currency; write e.g. 0.50']],
  ['accounts: [{sid: a, plan: {currency: INR, rates: [{price: 1, prefix: "91"}]}}]', ['1: accounts[0].plan.rates[0].prefix must begin with +, sip: or client: as addresses do; write e.g. "+91", "sip:" or "client:"']],
  ['accounts: [{sid: a, plan: {currency: INR, rates: [{price: 1, origin: supervisor}]}}]', ['1: accounts[0].plan.rates[0].origin must be one of monitor, outbound, outbound-dial, inbound; write e.g. monitor']],
  ['accounts: [{sid: a, plan: {currency: INR, rates: [{price: 1, prefix: +91}, {price: 2, prefix: "+91"}, {price: 3, prefix: +91, origin: monitor}]}}]', ['1: accounts[0].plan.rates[1] is for the same prefix and origin as a rate above; keep one of the two']],
  ['accounts: [{sid: a, plan: {currency: INR, pulseSeconds: 0, prepaid: perhaps, floor: low, rates: [{price: 1}]}}]', ['1: accounts[0].plan.pulseSeconds must be a whole number from 1 to 3600; write e.g. 60', '1: accounts[0].plan.prepaid must be one of true, false; write e.g. true', '1: accounts[0].plan.floor must be a decimal with at most six places, perhaps negative; write e.g. -100']],
  ['accounts: [{sid: a, dial: {maxLegs: 1, legsPerMinute: 0}}]', ['1: accounts[0].dial.maxLegs must be a whole number from 2 to 100000; write e.g. 50', '1: accounts[0].dial.legsPerMinute must be a whole number from 2 to 100000; write e.g. 60']],
  ['accounts: [{sid: a, dial: {spendPerDay: 5000}}]', ['1: accounts[0].dial.spendPerDay needs a plan beside dial, which says what things cost; add one, or leave it out']],
  ['accounts: [{sid: a, dial: {allow: ["91"]}}]', ['1: accounts[0].dial.allow[0] must be a prefix with + or a SIP host; write e.g. "+91", sip:127.0.0.1 or sip:[::1]:5060']],
  ['accounts: [{sid: a, numbers: [[x]]}]', ['1: accounts[0].numbers[0] must be a section with number, rings indented below it']],
  [
    'accounts:\n  - sid: a\n    numbers: [+918040000000]\n  - sid: b\n    numbers:\n      - number: +918040000000',
    ['6: accounts[1].numbers[0].number belongs to an account already; give each number to one account, once'],
  ],
  [
    'accounts: [{sid: a, numbers: [{number: +918040000000, rings: asha}]}]',
    ['1: accounts[0].numbers[0].rings names no phone of this account; add it to agents'],
  ],
  [
    'accounts:\n  - sid: a\n    agents: [{name: asha, password: p}]\n  - sid: b\n    agents: [{name: priya, password: p}]\n    numbers: [{number: +918040000000, rings: asha}]',
    ['6: accounts[1].numbers[0].rings names no phone of this account; write e.g. rings: priya'],
  ],
  [
    'accounts:\n  - {sid: a, agents: [{name: x, password: p}]}\n  - {sid: b, agents: [{name: x, password: q}]}',
    ['3: accounts[1].agents[0].name is the name of another phone too; names are SIP logins and must differ over all accounts'],
  ],
  ['accounts: [{sid: a, agents: [{name: x}]}]', ['1: accounts[0].agents[0].password is missing; write e.g. ${PRIYA_PASSWORD}']],
  [
    'accounts: [{sid: a, agents: [{name: "x@y", password: p}]}]',
    ['1: accounts[0].agents[0].name may hold letters, digits, dot, dash and underscore, at most 64; write e.g. priya'],
  ],
  ['accounts: [{sid: a, maxMonitors: 0}]', ['1: accounts[0].maxMonitors must be a whole number from 1 to 1000; write e.g. 10']],
  [
    'accounts: [{sid: a, callbackSecret: whsec_c2hvcnQ=}]',
    ['1: accounts[0].callbackSecret[0] must be whsec_ and 24 to 64 bytes in base64; make one with: echo "whsec_$(head -c 32 /dev/urandom | base64)"'],
  ],
  [
    `${MINIMAL}trunks: [{name: op, uri: "http://x"}]`,
    ['2: trunks[0].uri must be the SIP address of the operator; write e.g. sip:sip.operator.example:5060'],
  ],
  [`${MINIMAL}trunks: [{name: op, uri: "sip:x", register: maybe}]`, ['2: trunks[0].register must be one of true, false; write e.g. true']],
  [
    `${MINIMAL}trunks: [{name: op, uri: "sip:x", username: u}]`,
    ['2: trunks[0].username needs a password beside it; write e.g. password: ${TRUNK_PASSWORD}'],
  ],
  [`${MINIMAL}trunks: [{name: op, uri: "sip:x", password: u}]`, ['2: trunks[0].password needs a username beside it; write e.g. username: my-login']],
  [
    `${MINIMAL}trunks:\n  - {name: op, uri: "sip:x"}\n  - {name: op, uri: "sip:y"}`,
    ['4: trunks[1].name is the name of another trunk too; every trunk needs its own'],
  ],
  [`${MINIMAL}dial: {allow: ["client:x"]}`, ['2: dial.allow[0] is not needed for phones, which may always be dialled; leave it out']],
  ...['91', '+91x', 'sip:', 'sip:a@b', 'sip:h:0', 'sip:h:70000', 'sip:[::1', 'sip:[10.0.0.1]', 'host'].map(
    (rule) =>
      [
        `${MINIMAL}dial: {allow: ["${rule}"]}`,
        ['2: dial.allow[0] must be a prefix with + or a SIP host; write e.g. "+91", sip:127.0.0.1 or sip:[::1]:5060'],
      ] as const,
  ),
  ...['localhost', '10.0.0.0/33', '10.0.0', '10.0.0.1:0', '::1/129', '[::1]:99999', 'fd00::/x', 'fe80::1%eth0', ''].map(
    (rule) =>
      [
        `${MINIMAL}callbacks: {allow: ["${rule}"]}`,
        ['2: callbacks.allow[0] must be an IP address or block, with or without a port; write e.g. 127.0.0.1, 10.0.0.0/8 or "[fd00::/8]:8443"'],
      ] as const,
  ),
  [`${MINIMAL}callbacks: {retrySeconds: [5, soon]}`, ['2: callbacks.retrySeconds[1] must be a whole number from 1 to 604800; write e.g. 60']],
  [`${MINIMAL}htpp: {}`, ['2: htpp is not a known key; did you mean http?']],
  [`${MINIMAL}rtp: {port_min: 1}`, ['2: rtp.port_min is not a known key; did you mean portMin?']],
  [`${MINIMAL}log: {__proto__: 1}`, ['2: log.__proto__ is not a known key; known here: level']],
  [`${MINIMAL}log: {colour: 1}`, ['2: log.colour is not a known key; known here: level']],
  [`${MINIMAL}http: {port: 1}\nhttp: {port: 2}`, ['3: this key was given before in the same section; keep one of the two']],
  ['accounts:\n\t- sid: a', ['2: indented with a tab; use spaces']],
  ['accounts: [{sid: a}', ['1: the indentation fits nothing above, or a bracket is not closed; align it with its neighbours']],
  [
    'accounts: [{sid: ${SID}}]',
    ['1: something stands where nothing can; a value may need quotes; inside [ ] or { } write "${NAME}" with its quotes'],
  ],
  [`${MINIMAL}data: \${NOPE}`, ['2: data needs the environment variable NOPE, which is not set; set it, or write the value here']],
  [`${MINIMAL}data: "\${}"`, ['2: data has ${…} without a variable name in it; write e.g. ${EARSHOT_TOKEN}, or $${ for a plain ${']],
  ['accounts: &a [*a]', ['1: accounts[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0] is nested too deeply; see earshot.example.yaml for the shape']],
]
for (const [text, expected] of WRONG) {
  test(`${JSON.stringify(text.replace(MINIMAL, ''))}: ${expected[0]?.slice(0, 60)}`, () => {
    const found = problems(text)
    for (const line of expected) assert.ok(found.includes(line), `expected ${line}\nfound ${found.join('\n')}`)
  })
}

test('a single mistake is told once, and alone', () => {
  for (const [text, expected] of WRONG.filter(([text]) => !text.includes('&a'))) assert.deepEqual(problems(text), expected)
})

test('all mistakes are told together, in the order of their lines', () => {
  const found = problems(`http: {port: x}
rtp: {portMin: 3000, portMax: 2000}
accounts:
  - sid: a
    keys: [{key: k, token: t}, {key: k}]
    timezone: UTC
    agents: [{name: x, password: "\${NOPE}"}]
dial: {allow: [nonsense]}
`)
  assert.deepEqual(
    found.map((line) => line.split(' ').slice(0, 2).join(' ')),
    [
      '1: http.port',
      '2: rtp.portMin',
      '5: accounts[0].keys[1].token',
      '5: accounts[0].keys[1].key',
      '6: accounts[0].timezone',
      '7: accounts[0].agents[0].password',
      '8: dial.allow[0]',
    ],
  )
})

test('no message repeats a secret, however broken the file around it is', () => {
  const secret = 'hunter2-hunter2'
  const texts = [
    `accounts: [{sid: a, keys: [{key: k, token: "${secret} x"}, {key: k, token: ${secret}}], callbackSecret: ${secret}}]`,
    `accounts:\n  - sid: a\n    keys:\n      - key: k\n        token: ${secret}: x\n`,
    `accounts:\n  - sid: a\n    agents:\n      - name: x\n        password: "${secret}\n`,
    `accounts:\n  - sid: a\n    agents:\n      - password: [${secret}]\n`,
    `data: postgres://u:${secret}@[bad/x\n`,
    `data: mysql://u:${secret}@db/x\n`,
    `trunks: [{name: x, uri: "sip:u:${secret}@x y", username: u, password: ${secret}}]`,
    `accounts: ${secret}`,
    `token: @${secret}`,
    `token: "\\q${secret}"`,
    `token: !x ${secret}\n %${secret}`,
  ]
  for (const text of texts) {
    const found = problems(text).join('\n')
    assert.notEqual(found, '')
    assert.ok(!found.includes('hunter2'), found)
  }
  assert.ok(!problems('data: mysql://${PW}', { PW: secret }).join().includes(secret))
})

test('whatever is in the file, the answer is a configuration or a list of problems', () => {
  const words = fc.constantFrom(
    'accounts',
    'sid',
    'http',
    'port',
    'keys',
    ': ',
    '- ',
    '\n',
    '  ',
    '[',
    ']',
    '{',
    '}',
    '"',
    '+91',
    '&a',
    '*a',
    '<<',
    '!t',
    '${X}',
    '|',
    '>',
    '#',
    '\t',
    '---',
    '? ',
    'sip:x',
  )
  fc.assert(
    fc.property(fc.array(fc.oneof(words, fc.string({ maxLength: 5 })), { maxLength: 30 }), (parts) => {
      for (const line of problems(parts.join(''))) assert.match(line, /^\d+: ./)
    }),
    { numRuns: 500 },
  )
})

test('a file that is not there or may not be read is one clear line', () => {
  assert.throws(() => loadConfig('/nowhere/e.yaml', {}), {
    name: 'ConfigError',
    message: '/nowhere/e.yaml does not exist; copy earshot.example.yaml and change it',
  })
  assert.throws(() => loadConfig('/', {}), { message: '/ cannot be read (EISDIR); check its rights' })
})

test('the data folder is taken from where the file is', () => {
  const folder = mkdtempSync(join(tmpdir(), 'earshot-config-'))
  try {
    writeFileSync(join(folder, 'e.yaml'), `${MINIMAL}data: ../calls\n`)
    assert.equal(loadConfig(join(folder, 'e.yaml'), {}).data, join(folder, '../calls'))
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('what is allowed but odd is noted', () => {
  const config = parse('accounts: [{sid: a, keys: [{key: k, token: short}], notice: {to: both}}, {sid: b, notice: {to: nobody}}]\ntrunks: [{name: op, uri: "sip:x", numbers: [+918040000009]}]')
  assert.deepEqual(configWarnings(config), [
    'account a has a token shorter than 16 characters: good for a try, not for a network',
    'account b has no keys: nobody can use the HTTP API for it until earshot keys create makes one',
    'trunk op carries a number that no account has: calls to it are refused',
  ])
})

test('an account that has not decided who is told that somebody listens is noted, and what silence is called', () => {
  const [note, ...others] = configWarnings(parse('accounts: [{sid: a, keys: [{key: k, token: 0123456789abcdef}]}]'))
  assert.deepEqual(others, [])
  assert.match(note ?? '', /^account a has no notice section, so nobody may monitor its calls: .*California.*notice: \{ to: nobody \}/)
})

test('a notice section says whom; by default at entry and every 15 s, in every mode', () => {
  const notice = (text: string) => parse(`accounts: [{sid: a, notice: ${text}}]`).accounts[0]?.notice
  assert.deepEqual(notice('{to: both}'), { to: 'both', atEntry: true, everySeconds: 15, modes: ['listen', 'whisper', 'barge'] })
  assert.deepEqual(notice('{to: nobody, atEntry: false, everySeconds: 0}'), { to: 'nobody', atEntry: false, everySeconds: 0, modes: ['listen', 'whisper', 'barge'] })
  const wrong = (text: string) => problems(`accounts: [{sid: a, notice: ${text}}]`)
  assert.deepEqual(wrong('{}'), ['1: accounts[0].notice.to must be one of agent, customer, both, nobody; write e.g. agent'])
  assert.deepEqual(wrong('{to: both, atEntry: false, everySeconds: 0}'), ['1: accounts[0].notice never lets a tone sound; if nobody is to be told, write to: nobody'])
  assert.deepEqual(wrong('{to: both, everySeconds: 3}'), ['1: accounts[0].notice.everySeconds must be 0 for never, or at least 5; write e.g. 15'])
  assert.deepEqual(wrong('{to: both, modes: [spy]}'), ['1: accounts[0].notice.modes[0] must be one of listen, whisper, barge; write e.g. listen'])
  assert.deepEqual(wrong('{to: both, modes: []}'), ['1: accounts[0].notice.modes needs a mode; for silence write to: nobody'])
})

test('nothing is deleted unless retention says after how many days', () => {
  assert.deepEqual(problems(`${MINIMAL}retention: {callsDays: 0}`), ['2: retention.callsDays must be a whole number from 1 to 36500; write e.g. 90'])
})

test('metrics are off without their section, at 127.0.0.1:9464 with an empty one, and a note is made of an address that others reach', () => {
  assert.equal(parse(MINIMAL).metrics, null)
  assert.deepEqual(parse(`${MINIMAL}metrics: {}`).metrics, { host: '127.0.0.1', port: 9464 })
  assert.deepEqual(problems(`${MINIMAL}metrics: {port: 70000}`), ['2: metrics.port must be a whole number from 0 to 65535; write e.g. 9464'])
  const notes = (host: string) => configWarnings(parse(`accounts: [{sid: a, keys: [{key: k, token: 0123456789abcdef}], notice: {to: nobody}}]\nmetrics: {host: "${host}"}`))
  for (const host of ['127.0.0.1', '127.0.0.2', '::1', 'localhost']) assert.deepEqual(notes(host), [], host)
  for (const host of ['0.0.0.0', '::', '10.0.0.5', 'localhost.example'])
    assert.deepEqual(notes(host), [`metrics.host ${host} is not this machine alone: whoever reaches it reads the metrics without a password`])
})

test('a plan that lacks a rate for what may be dialled is worth a note', () => {
  const notes = (account: string): readonly string[] =>
    configWarnings(parse(`dial: {allow: ["+91", "+1"]}\naccounts:\n  - {sid: a, agents: [{name: x, password: p}], ${account}}\n`)).filter((note) => note.includes('rate'))
  const plan = (rates: string): string => `plan: {currency: INR, rates: [${rates}]}`
  assert.deepEqual(notes(plan('{price: 1}')), [])
  assert.deepEqual(
    notes(plan('{price: 1, prefix: +91}, {price: 1, prefix: +1, origin: monitor}')).map((note) => /every leg to (\S+): those/.exec(note)?.[1]),
    ['client:', '+1'],
  )
  assert.deepEqual(notes(`${plan('{price: 1, prefix: +91}, {price: 0, prefix: "client:"}')}, dial: {allow: ["+91"]}`), [], 'what the account may not dial needs no rate')
})
