import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { parseAllowRule } from './allow-rule.ts'
import { type Lookup, makeAddressGuard } from './guard.ts'
import { makeSender } from './sender.ts'

/** What sockets were asked to connect to; nothing leaves. */
const dialled: string[] = []
const connect = Socket.prototype.connect
before(() => {
  Socket.prototype.connect = function (this: Socket, ...args: unknown[]) {
    // Literals and looked-up addresses both come here in the end; names are looked up on the way, as by the real one.
    const [options] = args.flat() as [{ host: string; port: number; lookup: (...lookup: unknown[]) => void }]
    const dial = (address: string): void => {
      dialled.push(`${address}:${options.port}`)
      this.destroy(new Error('nothing leaves this test'))
    }
    if (/^[\d.]+$|:/.test(options.host)) dial(options.host)
    else {
      options.lookup(options.host, { all: true }, (error: Error | null, found: { address: string }[]) => {
        if (error) this.destroy(error)
        else dial(found[0]?.address ?? '')
      })
    }
    return this
  } as typeof connect
})
after(() => {
  Socket.prototype.connect = connect
})

/** A resolver of the test's own. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  'public.example': ['93.184.216.34', '2606:2800:220:1::1'],
  'private.example': ['10.0.0.7'],
  'mixed.example': ['93.184.216.34', '127.0.0.1'],
  'mapped.example': ['::ffff:127.0.0.1'],
  localhost: ['127.0.0.1', '::1'],
  'localhost.': ['127.0.0.1'],
  'metadata.google.internal': ['169.254.169.254'],
  'nothing.example': [],
}
const lookup: Lookup = (hostname, _options, done) => {
  const found = NAMES[hostname]
  if (found === undefined) done(Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), { code: 'ENOTFOUND' }), [])
  else
    done(
      null,
      found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )
}

async function attempt(url: string, allow: readonly string[] = []): Promise<{ readonly error: string; readonly dialled: readonly string[] }> {
  dialled.length = 0
  const sender = makeSender({ guard: makeAddressGuard(allow), timeoutMs: 2000, lookup })
  const result = await sender.send({ url, headers: {}, body: '' })
  await sender.close()
  assert(!result.ok)
  return { error: result.error, dialled: [...dialled] }
}

const HOSTILE = [
  // Loopback in every spelling.
  'http://127.0.0.1/',
  'http://127.1/',
  'http://127.255.255.254/',
  'http://0x7f000001/',
  'http://0x7f.1/',
  'http://2130706433/',
  'http://017700000001/',
  'http://localhost/',
  'http://localhost./',
  'http://LOCALHOST:8080/',
  'http://0/',
  'http://0.0.0.0/',
  'http://0.1.2.3/',
  'http://[::1]/',
  'http://[::]/',
  'https://127.0.0.1/',
  // IPv4 in IPv6: mapped, compatible, translated, tunnelled.
  'http://[::ffff:127.0.0.1]/',
  'http://[::ffff:7f00:1]/',
  'http://[::127.0.0.1]/',
  'http://[::ffff:0:127.0.0.1]/',
  'http://[64:ff9b::7f00:1]/',
  'http://[64:ff9b:1::7f00:1]/',
  'http://[2002:7f00:1::]/',
  'http://[2001::7f00:1]/',
  'http://mapped.example/',
  // Private, link-local, metadata.
  'http://10.0.0.1/',
  'http://172.16.0.1/',
  'http://172.31.255.255/',
  'http://192.168.1.1/',
  'http://169.254.169.254/latest/meta-data/',
  'http://metadata.google.internal/',
  'http://100.64.0.1/',
  'http://100.100.100.200/',
  'http://168.63.129.16/',
  'http://[fe80::1]/',
  'http://[fd00:ec2::254]/',
  'http://[fc00::1]/',
  'http://[fec0::1]/',
  'http://private.example/',
  // Reserved, multicast, documentation, discard.
  'http://192.0.2.1/',
  'http://198.51.100.1/',
  'http://203.0.113.1/',
  'http://198.18.0.1/',
  'http://192.0.0.192/',
  'http://224.0.0.1/',
  'http://239.255.255.250/',
  'http://240.0.0.1/',
  'http://255.255.255.255/',
  'http://[ff02::1]/',
  'http://[2001:db8::1]/',
  'http://[3fff::1]/',
  'http://[100::1]/',
  'http://[5f00::1]/',
  // One bad answer among good ones, and credentials that look like a host.
  'http://mixed.example/',
  'http://public.example@127.0.0.1/',
  'http://public.example:80@10.0.0.1:80/',
]

for (const url of HOSTILE) {
  test(`[C29] ${url} is refused and nothing is sent`, async () => {
    const { error, dialled } = await attempt(url)
    assert.match(error, /^address refused: .*callbacks\.allow/)
    assert.deepEqual(dialled, [])
  })
}

test('[C29] public addresses are dialled, as literals and by name', async () => {
  for (const [url, dials] of [
    ['http://93.184.216.34:81/', '93.184.216.34:81'],
    ['http://[2606:2800:220:1::1]/', '2606:2800:220:1::1:80'],
    ['https://93.184.216.34/', '93.184.216.34:443'],
    ['http://public.example/', '93.184.216.34:80'],
  ] as const) {
    assert.deepEqual(await attempt(url), { error: 'nothing leaves this test', dialled: [dials] }, url)
  }
})

test('[C29] the operator’s allow-list opens addresses, blocks and single ports, and nothing beside them', async () => {
  const allow = ['10.0.0.0/8', '127.0.0.1:8080', '[fd00::/8]:443', '::1', '[2001:db8::1]:80']
  const opened = [
    'http://10.1.2.3/',
    'http://private.example/',
    'http://127.0.0.1:8080/',
    'https://[fd12::1]/',
    'http://[::1]:99/',
    'http://[2001:db8::1]/',
  ]
  const closed = [
    'http://11.0.0.0:1/',
    'http://127.0.0.1:8081/',
    'http://127.0.0.2:8080/',
    'http://[fd12::1]/',
    'http://[::2]/',
    'http://[::ffff:10.0.0.1]/',
    'http://mixed.example:8081/',
  ]
  for (const url of opened) assert.equal((await attempt(url, allow)).dialled.length, 1, url)
  for (const url of closed.slice(1)) assert.deepEqual((await attempt(url, allow)).dialled, [], url)
})

test('only http and https are spoken', async () => {
  for (const url of ['ftp://public.example/', 'file:///etc/passwd', 'gopher://public.example/', 'unix:/run/x.sock', 'nonsense', '']) {
    assert.deepEqual(await attempt(url), { error: 'not an http or https URL', dialled: [] }, url)
  }
})

test('a name that does not exist is a failure like any other', async () => {
  assert.match((await attempt('http://unknown.example/')).error, /ENOTFOUND unknown\.example/)
  assert.match((await attempt('http://nothing.example/')).error, /has no address/)
})

test('rules of the allow-list are addresses or blocks with an optional port; anything else is an error', () => {
  for (const good of [
    '1.2.3.4',
    '1.2.3.0/24',
    '1.2.3.4:1',
    '0.0.0.0/0:65535',
    '::1',
    'fd00::/8',
    '[::1]',
    '[::1]:443',
    '[fd00::/8]',
    '[fd00::/8]:443',
    '::ffff:1.2.3.4',
  ]) {
    assert(parseAllowRule(good), good)
  }
  for (const bad of [
    '',
    'localhost',
    '1.2.3',
    '1.2.3.4/33',
    '1.2.3.4:0',
    '1.2.3.4:65536',
    '1.2.3.4:',
    'fd00::/129',
    '[fd00::]/8',
    '[1.2.3.4]:1x',
    '::1:x',
    'fe80::1%eth0',
    '256.1.1.1',
    ' 1.2.3.4',
    '1.2.3.4/',
  ]) {
    assert.equal(parseAllowRule(bad), null, bad)
    assert.throws(() => makeAddressGuard([bad]), /callbacks\.allow/)
  }
})
