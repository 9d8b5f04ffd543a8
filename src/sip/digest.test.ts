import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import {
  answerChallenge,
  isStale,
  LOCKOUT_MS,
  makeDigestServer,
  MAX_CREDENTIALS_CHARS,
  MAX_FAILING,
  MAX_NONCES,
  NAME_FAILURES,
  NONCE_LIFETIME_MS,
  SOURCE_FAILURES,
} from './digest.ts'
import type { DigestServer, Verdict } from './digest.ts'
import { parseAuth } from './header.ts'

const hash = (algorithm: 'md5' | 'sha256', text: string) => createHash(algorithm).update(text, 'utf8').digest('hex')
const mufasa = { username: 'Mufasa', password: 'Circle of Life' }

const vectors: readonly (readonly [string, string, string, Parameters<typeof answerChallenge>[0]['credentials'], string, string])[] = [
  [
    'RFC 2617 §3.5',
    'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"',
    '0a4f113b',
    { username: 'Mufasa', password: 'Circle Of Life' },
    '6629fae49393a05397450978507c4ef1',
    '5ccc069c403ebaf9f0171e9517f40e41',
  ],
  [
    'RFC 7616 §3.9.1 with MD5',
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"',
    'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
    mufasa,
    '8ca523f5e9506fed4657c9700eebdbec',
    'FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS',
  ],
  [
    'RFC 7616 §3.9.1 with SHA-256',
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"',
    'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
    mufasa,
    '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1',
    'FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS',
  ],
]
for (const [title, challenge, cnonce, credentials, response, opaque] of vectors) {
  test(`the example of ${title} is answered as there`, () => {
    const header = answerChallenge({ challenges: [challenge], credentials, method: 'GET', uri: '/dir/index.html', cnonce, nc: 1, hash })
    const params = parseAuth(header ?? '')?.params
    assert.equal(params?.get('response'), response)
    assert.deepEqual([params?.get('opaque'), params?.get('qop'), params?.get('nc'), params?.get('cnonce')], [opaque, 'auth', '00000001', cnonce])
  })
}

test('a server of RFC 2069, without qop, is answered in its form', () => {
  const header = answerChallenge({
    challenges: ['Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'],
    credentials: { username: 'Mufasa', password: 'CircleOfLife' },
    method: 'GET',
    uri: '/dir/index.html',
    cnonce: 'unused',
    nc: 1,
    hash,
  })
  const params = parseAuth(header ?? '')?.params
  assert.equal(params?.get('response'), '1949323746fe6a43ef61f9606e7febea')
  assert.deepEqual([...(params?.keys() ?? [])], ['username', 'realm', 'nonce', 'uri', 'response'])
})

test('MD5-sess folds nonce and cnonce into the secret', () => {
  const header = answerChallenge({
    challenges: ['Digest realm="r", nonce="n", algorithm=MD5-sess, qop="auth"'],
    credentials: { username: 'u', password: 'p' },
    method: 'REGISTER',
    uri: 'sip:r',
    cnonce: 'c',
    nc: 255,
    hash,
  })
  const a1 = hash('md5', `${hash('md5', 'u:r:p')}:n:c`)
  assert.equal(parseAuth(header ?? '')?.params.get('response'), hash('md5', `${a1}:n:000000ff:c:auth:${hash('md5', 'REGISTER:sip:r')}`))
})

const answer = (challenges: readonly string[]) =>
  parseAuth(
    answerChallenge({ challenges, credentials: { username: 'u', password: 'p' }, method: 'INVITE', uri: 'sip:a@b', cnonce: 'c', nc: 1, hash }) ?? '',
  )?.params ?? null

test('the strongest challenge that can be answered is answered', () => {
  const md5 = 'Digest realm="r", nonce="m", algorithm=MD5, qop="auth"'
  const sha = 'Digest realm="r", nonce="s", algorithm=SHA-256, qop="auth"'
  const sha512 = 'Digest realm="r", nonce="x", algorithm=SHA-512-256, qop="auth"'
  assert.equal(answer([sha512, md5, sha])?.get('nonce'), 's')
  assert.equal(answer([sha512, md5])?.get('nonce'), 'm')
  for (const none of [
    [],
    [sha512],
    ['Basic realm="r"'],
    ['Digest nonce="n"'],
    ['Digest realm="r"'],
    ['nonsense'],
    ['Digest realm="r", nonce="n", qop="auth-int"'],
    ['Digest realm="r', ''],
  ])
    assert.equal(answer(none), null)
})

test('a name with quotes stays inside its quotes', () => {
  const header = answerChallenge({
    challenges: ['Digest realm="r\\"x", nonce="n"'],
    credentials: { username: 'a", realm="evil', password: 'p' },
    method: 'INVITE',
    uri: 'sip:a@b',
    cnonce: 'c',
    nc: 1,
    hash,
  })
  assert.equal(parseAuth(header ?? '')?.params.get('username'), 'a", realm="evil')
  assert.equal(parseAuth(header ?? '')?.params.get('realm'), 'r"x')
})

test('stale is told from wrong', () => {
  assert.equal(isStale(['Digest realm="r", nonce="n", stale=TRUE']), true)
  assert.equal(isStale(['Digest realm="r", nonce="n", stale=false']), false)
  assert.equal(isStale(['Digest realm="r", nonce="n"', 'junk']), false)
})

const REALM = 'earshot'
const PASSWORDS: Readonly<Record<string, string>> = { priya: 'right', ravi: 'other' }
const newServer = () => makeDigestServer({ secret: 'of this test', hash })

interface Try {
  readonly challenges: readonly string[]
  readonly username?: string
  readonly password?: string
  readonly nc?: number
  readonly source?: string
  readonly uri?: string
  readonly signedUri?: string
  readonly method?: string
  readonly edit?: (header: string) => string
}

function attempt(server: DigestServer, wish: Try, now: number): Verdict {
  const uri = wish.uri ?? 'sip:+919876543210@earshot.example'
  const credentials = { username: wish.username ?? 'priya', password: wish.password ?? 'right' }
  const header =
    answerChallenge({
      challenges: wish.challenges,
      credentials,
      method: 'INVITE',
      uri: wish.signedUri ?? uri,
      cnonce: 'c0ffee',
      nc: wish.nc ?? 1,
      hash,
    }) ?? ''
  return server.check(
    {
      header: wish.edit?.(header) ?? header,
      realm: REALM,
      method: wish.method ?? 'INVITE',
      uri,
      source: wish.source ?? '192.0.2.1',
      passwordOf: (username) => (Object.hasOwn(PASSWORDS, username) ? (PASSWORDS[username] ?? null) : null),
    },
    now,
  )
}

test('a phone is challenged with SHA-256 first and MD5 second, one header each, and either gets it in', () => {
  const server = newServer()
  const challenges = server.challenges(REALM, false, 1000)
  assert.deepEqual(
    challenges.map((value) => parseAuth(value)?.params.get('algorithm')),
    ['SHA-256', 'MD5'],
  )
  assert.deepEqual(attempt(server, { challenges: challenges.slice(0, 1), nc: 1 }, 1001), { kind: 'ok', username: 'priya' })
  assert.deepEqual(attempt(server, { challenges: challenges.slice(1), nc: 2 }, 1002), { kind: 'ok', username: 'priya' })
  assert.equal(isStale(challenges), false)
  assert.equal(isStale(server.challenges(REALM, true, 1000)), true)
})

test('each challenge has its own nonce, also within one millisecond', () => {
  const server = newServer()
  const nonces = Array.from({ length: 50 }, () => parseAuth(server.challenges(REALM, false, 5)[0] ?? '')?.params.get('nonce'))
  assert.equal(new Set(nonces).size, 50)
  assert.equal(server.counts().nonces, 0, 'and none is remembered')
})

test('a wrong password, an unknown name, another method and another number are wrong', () => {
  const server = newServer()
  const challenges = server.challenges(REALM, false, 0)
  const wrongs: readonly Omit<Try, 'challenges'>[] = [
    { password: 'guess' },
    { username: 'nobody' },
    { username: '__proto__' },
    { username: 'nobody', password: '' },
    { method: 'BYE' },
    { signedUri: 'sip:+100@earshot.example' },
    { signedUri: 'junk' },
    { edit: (header) => header.replace(/response="[0-9a-f]+"/, 'response="00"') },
  ]
  for (const wrong of wrongs) assert.equal(attempt(server, { challenges, ...wrong }, 1).kind, 'wrong', JSON.stringify(wrong))
  assert.equal(attempt(server, { challenges }, 1).kind, 'ok', 'the nonce is still good')
})

test('a proxy in front may have changed the host', () => {
  const server = newServer()
  assert.equal(
    attempt(server, { challenges: server.challenges(REALM, false, 0), uri: 'sip:+1@10.0.0.1:5060', signedUri: 'sip:+1@earshot.example' }, 0).kind,
    'ok',
  )
})

test('credentials that cannot be read are malformed', () => {
  const server = newServer()
  const challenges = server.challenges(REALM, false, 0)
  const edits: readonly ((header: string) => string)[] = [
    () => '',
    () => 'Basic dXNlcg==',
    () => 'Digest realm="x',
    (header) => header.replace('Digest', 'Other'),
    (header) => header.replace(/nc=\w+/, 'nc=1'),
    (header) => header.replace(/, nc=\w+/, ''),
    (header) => header.replace('qop=auth', 'qop=auth-int'),
    (header) => header.replace(/algorithm=[^,]+/, 'algorithm=SHA-1'),
    (header) => header.replace(/algorithm=[^,]+/, 'algorithm=MD5-sess'),
    (header) => header.replace(`realm="${REALM}"`, 'realm="elsewhere"'),
    (header) => header.replace(/username="[^"]*", /, ''),
    (header) => header.replace(/cnonce="[^"]*"/, 'cnonce=""'),
    (header) => `${header}, username="again"`,
    (header) => `${header}, x="${'y'.repeat(MAX_CREDENTIALS_CHARS)}"`,
  ]
  for (const [index, edit] of edits.entries()) assert.equal(attempt(server, { challenges, edit }, 1).kind, 'malformed', `edit ${index}`)
  assert.deepEqual(server.counts(), { nonces: 0, failing: 0 })
})

test('a nonce is good for its lifetime, and only if we made it for this realm', () => {
  const server = newServer()
  const challenges = server.challenges(REALM, false, 1000)
  assert.equal(attempt(server, { challenges }, 1000 + NONCE_LIFETIME_MS).kind, 'ok')
  assert.equal(attempt(server, { challenges, nc: 2 }, 1001 + NONCE_LIFETIME_MS).kind, 'stale')
  assert.equal(attempt(server, { challenges }, 999).kind, 'stale', 'from the future')
  const others = [
    makeDigestServer({ secret: 'another', hash }).challenges(REALM, false, 1000),
    server.challenges('elsewhere', false, 1000).map((value) => value.replace('elsewhere', REALM)),
    ['Digest realm="earshot", nonce="own"'],
  ]
  for (const foreign of others) assert.equal(attempt(server, { challenges: foreign }, 1001).kind, 'stale')
})

test('a nonce count must rise: the same request again is a replay', () => {
  const server = newServer()
  const challenges = server.challenges(REALM, false, 0)
  const verdicts = [1, 1, 2, 5, 3, 5, 6].map((nc) => attempt(server, { challenges, nc }, nc).kind)
  assert.deepEqual(verdicts, ['ok', 'replayed', 'ok', 'ok', 'replayed', 'replayed', 'ok'])
})

test('a phone without qop may use a nonce once', () => {
  const server = newServer()
  const old = server.challenges(REALM, false, 0).map((value) => value.replace(', qop="auth"', ''))
  assert.deepEqual(
    [1, 2].map(() => attempt(server, { challenges: old }, 1).kind),
    ['ok', 'replayed'],
  )
})

test(`${NAME_FAILURES} wrong passwords lock the name out from that source, and from no other`, () => {
  const server = newServer()
  const challenges = server.challenges(REALM, false, 0)
  for (let turn = 0; turn < NAME_FAILURES; turn++) assert.equal(attempt(server, { challenges, password: `guess ${turn}` }, turn).kind, 'wrong')
  const last = NAME_FAILURES - 1
  assert.deepEqual(
    attempt(server, { challenges }, last + 10),
    { kind: 'locked', retryAfterMs: LOCKOUT_MS - 10 },
    'the right password no longer helps',
  )
  assert.equal(attempt(server, { challenges, username: 'ravi', password: 'other' }, last + 10).kind, 'ok', 'another name')
  assert.equal(attempt(server, { challenges, source: '192.0.2.2', nc: 2 }, last + 10).kind, 'ok', 'the true owner elsewhere')
  assert.equal(attempt(server, { challenges: server.challenges(REALM, false, last + LOCKOUT_MS) }, last + LOCKOUT_MS).kind, 'ok', 'and it ends')
})

test('a right password wipes the slate; old failures are forgotten', () => {
  const server = newServer()
  let now = 0
  const fail = (times: number) => {
    for (let turn = 0; turn < times; turn++)
      assert.equal(attempt(server, { challenges: server.challenges(REALM, false, now), password: 'guess' }, now).kind, 'wrong')
  }
  fail(NAME_FAILURES - 1)
  assert.equal(attempt(server, { challenges: server.challenges(REALM, false, now) }, now).kind, 'ok')
  fail(NAME_FAILURES - 1)
  now += LOCKOUT_MS
  fail(NAME_FAILURES - 1)
  assert.equal(attempt(server, { challenges: server.challenges(REALM, false, now) }, now).kind, 'ok')
})

test('a source that tries many names is locked out whole', () => {
  const server = newServer()
  const challenges = server.challenges(REALM, false, 0)
  for (let turn = 0; turn < SOURCE_FAILURES; turn++) assert.equal(attempt(server, { challenges, username: `name ${turn}` }, 1).kind, 'wrong')
  assert.equal(attempt(server, { challenges }, 2).kind, 'locked')
  assert.equal(attempt(server, { challenges, source: '192.0.2.2' }, 2).kind, 'ok')
})

test('a nonce that is not ours neither counts as failure nor costs memory', () => {
  const server = newServer()
  for (let turn = 0; turn < 50; turn++)
    assert.equal(attempt(server, { challenges: [`Digest realm="earshot", nonce="${turn}", qop="auth"`], password: 'guess' }, 0).kind, 'stale')
  assert.deepEqual(server.counts(), { nonces: 0, failing: 0 })
})

test('the tables are bounded, and a nonce pushed out of them cannot be replayed', () => {
  const server = newServer()
  const first = server.challenges(REALM, false, 0)
  assert.equal(attempt(server, { challenges: first }, 0).kind, 'ok')
  for (let turn = 0; turn < MAX_NONCES; turn++)
    assert.equal(attempt(server, { challenges: server.challenges(REALM, false, 1).slice(1) }, 1).kind, 'ok')
  assert.equal(server.counts().nonces, MAX_NONCES)
  assert.equal(attempt(server, { challenges: first }, 2).kind, 'stale')
  const challenges = server.challenges(REALM, false, 2).slice(1)
  for (let turn = 0; turn < MAX_FAILING + 20; turn++) attempt(server, { challenges, username: 'nobody', source: `host ${turn}` }, 2)
  assert.equal(server.counts().failing, 2 * MAX_FAILING)
})

test('nonces whose time is over are let go', () => {
  const server = newServer()
  for (let turn = 0; turn < 20; turn++) attempt(server, { challenges: server.challenges(REALM, false, 0) }, 0)
  attempt(server, { challenges: server.challenges(REALM, false, NONCE_LIFETIME_MS + 1) }, NONCE_LIFETIME_MS + 1)
  assert.equal(server.counts().nonces, 1)
})
