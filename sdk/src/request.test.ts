import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { refused, type Scripted, scriptedFetch } from '../../test/scripted-fetch.ts'
import { type Earshot, EarshotError, type EarshotOptions, makeEarshot } from './earshot.ts'

const CALL = { body: { Call: { Sid: 'c' } } }
const LEG = { body: { Leg: { Sid: 'l' } } }
const FROM_TO = { From: 'client:priya', To: '+919876543210' }

interface Rig {
  readonly earshot: Earshot
  readonly asked: ReturnType<typeof scriptedFetch>['asked']
  /** The waits between tries, ms. */
  readonly waits: number[]
}

function rig(script: readonly Scripted[], options: Partial<EarshotOptions> = {}): Rig {
  const { fetch, asked } = scriptedFetch(...script)
  const waits: number[] = []
  const sleep = async (ms: number): Promise<void> => void waits.push(ms)
  const earshot = makeEarshot({ url: 'https://h.example/', account: 'acme', key: 'k', token: 't:ö', fetch, sleep, random: () => 0.5, ...options })
  return { earshot, asked, waits }
}

const failing = async (promise: Promise<unknown>): Promise<EarshotError> => {
  const error = await promise.then(
    () => assert.fail('it did not fail'),
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof EarshotError, String(error))
  return error
}

test('a request names the account, asks for JSON by its suffix and says who asks', async () => {
  const { earshot, asked } = rig([CALL])
  await earshot.calls.get('abc', { details: true })
  assert.deepEqual([asked[0]?.method, asked[0]?.url], ['GET', 'https://h.example/v1/Accounts/acme/Calls/abc.json?details=true'])
  assert.equal(asked[0]?.headers.get('authorization'), `Basic ${Buffer.from('k:t:ö').toString('base64')}`)
  assert.deepEqual([asked[0]?.headers.get('idempotency-key'), asked[0]?.body], [null, null])
})

test('a path in front of the API is kept', async () => {
  const { earshot, asked } = rig([CALL, { body: 'ready\n' }], { url: 'https://h.example/earshot//' })
  await earshot.calls.get('abc')
  await earshot.health()
  assert.deepEqual(
    asked.map(({ url }) => url),
    ['https://h.example/earshot/v1/Accounts/acme/Calls/abc.json', 'https://h.example/earshot/readyz'],
  )
})

test('[C19] all tries of one POST carry one key, the next POST another', async () => {
  const { earshot, asked } = rig(['lost', { status: 503 }, CALL, CALL])
  await earshot.calls.connect(FROM_TO)
  await earshot.calls.connect(FROM_TO)
  const keys = asked.map(({ headers }) => headers.get('idempotency-key'))
  assert.equal(new Set(keys.slice(0, 3)).size, 1)
  assert.notEqual(keys[3], keys[0])
  assert.match(keys[0] ?? '', /^[0-9a-f]{32}$/)
  assert.deepEqual(asked[2]?.body, FROM_TO)
})

test('[C19] a key of your own is sent as it is', async () => {
  const { earshot, asked } = rig([LEG])
  await earshot.legs.listen('c', { PhoneNumber: 'client:boss' }, { idempotencyKey: 'order-7' })
  assert.equal(asked[0]?.headers.get('idempotency-key'), 'order-7')
  assert.deepEqual(asked[0]?.body, { PhoneNumber: 'client:boss', Action: 'listen' })
})

const REPEATED: readonly (readonly [string, Scripted])[] = [
  ['no connection', 'lost'],
  ['no answer in time', 'silent'],
  ['429', refused(429, 'Too Many Requests')],
  ['502 by a proxy', { status: 502, body: '<html>' }],
  ['503', refused(503, 'Service Unavailable')],
  ['504 by a proxy', { status: 504, body: '' }],
]
for (const [what, answer] of REPEATED) {
  test(`${what} is tried again, by GET, PUT and POST`, async () => {
    const { earshot, asked } = rig([answer, CALL, answer, LEG, answer, LEG], { timeoutMs: 5 })
    await earshot.calls.get('c')
    await earshot.legs.changeMode('c', 'l', 'barge')
    await earshot.legs.barge('c', { PhoneNumber: 'client:boss' })
    assert.deepEqual(
      asked.map(({ method }) => method),
      ['GET', 'GET', 'PUT', 'PUT', 'POST', 'POST'],
    )
  })
}

for (const status of [301, 400, 401, 403, 404, 405, 408, 409, 413, 415, 500, 501]) {
  test(`${status} is not tried again`, async () => {
    const { earshot, asked } = rig([refused(status, 'no')])
    const error = await failing(earshot.calls.get('c'))
    assert.deepEqual([error.status, error.attempts, error.retryAfterS, asked.length], [status, 1, null, 1])
  })
}

test('waits double, half of each by chance, and end after the tries that were allowed', async () => {
  const { earshot, waits } = rig(
    Array.from({ length: 6 }, () => 'lost' as const),
    { retries: 5 },
  )
  const error = await failing(earshot.calls.get('c'))
  assert.deepEqual(waits, [188, 375, 750, 1500, 3000])
  assert.deepEqual([error.code, error.status, error.attempts, error.maybeDone], ['unreachable', 0, 6, true])
  assert.ok(error.cause instanceof TypeError)
})

test('without retries it is tried once', async () => {
  const { earshot, waits } = rig(['lost'], { retries: 0 })
  assert.equal((await failing(earshot.calls.connect(FROM_TO))).attempts, 1)
  assert.deepEqual(waits, [])
})

test('[C10] Retry-After is waited for, and a little longer', async () => {
  const { earshot, waits } = rig([refused(429, 'Too Many Requests', { 'retry-after': '7' }), CALL])
  await earshot.calls.get('c')
  assert.deepEqual(waits, [7_094])
})

test('[C10] a Retry-After longer than anybody waits is said in the error at once', async () => {
  const { earshot, waits } = rig([refused(429, 'Too Many Requests', { 'retry-after': '31' })])
  const error = await failing(earshot.calls.get('c'))
  assert.deepEqual([error.code, error.retryAfterS, waits.length], ['too-many-requests', 31, 0])
})

test('a plain no leaves no doubt, and no answer does', async () => {
  const no = refused(503, 'Service Unavailable')
  assert.equal((await failing(rig([no], { retries: 0 }).earshot.calls.connect(FROM_TO))).maybeDone, false)
  assert.equal((await failing(rig(['lost', no], { retries: 1 }).earshot.calls.connect(FROM_TO))).maybeDone, true)
})

test('a time-out of one call of a method is its own', { timeout: 5_000 }, async () => {
  const { earshot } = rig(['silent'], { retries: 0, timeoutMs: 600_000 })
  assert.equal((await failing(earshot.calls.get('c', { timeoutMs: 1 }))).code, 'timed-out')
})

test('who gives up before, during or between tries gets aborted, and nothing more is sent', async () => {
  const before = rig([])
  const early = await failing(before.earshot.calls.connect(FROM_TO, { signal: AbortSignal.abort() }))
  assert.deepEqual([early.code, early.attempts, early.maybeDone, before.asked.length], ['aborted', 0, false, 0])

  const giving = new AbortController()
  const during = rig(['silent'])
  const pending = failing(during.earshot.calls.connect(FROM_TO, { signal: giving.signal }))
  giving.abort()
  const broken = await pending
  assert.deepEqual([broken.code, broken.attempts, broken.maybeDone, during.asked.length], ['aborted', 1, true, 1])

  // Just before the wait begins, and just after.
  for (const later of [(abort: () => void) => abort(), queueMicrotask]) {
    const between = new AbortController()
    const { fetch, asked } = scriptedFetch(refused(503, 'Service Unavailable', { 'retry-after': '20' }))
    const own = makeEarshot({ url: 'http://h', account: 'a', key: 'k', token: 't', fetch, random: () => (later(() => between.abort()), 0) })
    const waiting = await failing(own.calls.get('c', { signal: between.signal }))
    assert.deepEqual([waiting.code, waiting.attempts, waiting.maybeDone, asked.length], ['aborted', 1, false, 1])
  }
})

test('a redirect is not followed, so that nobody else gets the token', async () => {
  const asked: (string | undefined)[] = []
  const server = createServer((request, response) => {
    asked.push(request.url)
    response.writeHead(307, { location: '/elsewhere' }).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const { port } = server.address() as AddressInfo
    const earshot = makeEarshot({ url: `http://127.0.0.1:${port}`, account: 'acme', key: 'k', token: 't' })
    assert.equal((await failing(earshot.calls.connect(FROM_TO))).code, 'unexpected-answer')
    assert.deepEqual(asked, ['/v1/Accounts/acme/Calls/connect.json'])
  } finally {
    server.close()
    server.closeAllConnections()
  }
})

const STRANGE: readonly (readonly [string, Scripted])[] = [
  ['a page of something else', { body: '<html>hello' }],
  ['JSON of something else', { body: { hello: 'there' } }],
  ['a list', { body: [] }],
  ['null', { body: 'null' }],
  ['a redirect', { status: 302, headers: { location: 'https://elsewhere.example/' } }],
]
for (const [what, answer] of STRANGE) {
  test(`${what} is no answer of this API`, async () => {
    const { earshot, asked } = rig([answer])
    assert.equal((await failing(earshot.calls.get('c'))).code, 'unexpected-answer')
    assert.equal(asked.length, 1)
  })
}

test('no error shows the token', async () => {
  for (const answer of ['lost', refused(401, 'Authentication failed'), { body: 'x' }] as const) {
    const error = await failing(rig([answer], { retries: 0 }).earshot.calls.connect(FROM_TO))
    assert.doesNotMatch(`${error.stack}${JSON.stringify(error)}`, /t:ö|Basic|9876543210/)
  }
})

const WRONG: readonly (readonly [string, Partial<EarshotOptions>])[] = [
  ['an address that is none', { url: 'h.example' }],
  ['an address of another kind', { url: 'ftp://h' }],
  ['a user in the address', { url: 'http://k:t@h' }],
  ['no account', { account: '' }],
  ['no key', { key: '' }],
  ['no token', { token: '' }],
  ['a key with a colon', { key: 'a:b' }],
]
for (const [what, options] of WRONG) test(`${what} is refused when the client is made`, () => assert.throws(() => rig([], options), TypeError))

for (const sid of ['', '.', '..', 'a/b', '../x', 'a b', 'ä', 'x'.repeat(65)]) {
  test(`nothing is sent for what cannot be a sid: ${JSON.stringify(sid)}`, async () => {
    const { earshot, asked } = rig([])
    for (const asking of [earshot.calls.get(sid), earshot.legs.hangUp('c', sid), earshot.calls.activeLegs(sid)]) {
      const error = await failing(asking)
      assert.deepEqual([error.code, error.attempts], ['invalid-parameter', 0])
    }
    assert.equal(asked.length, 0)
  })
}

test('health is asked once, without saying who asks, and a 503 is an answer', async () => {
  const { earshot, asked } = rig([{ body: 'ready\n' }, { status: 503, body: 'draining\n' }, { body: 'hello' }, 'lost'])
  assert.deepEqual([await earshot.health(), await earshot.health()], ['ready', 'draining'])
  assert.equal(asked[0]?.headers.get('authorization'), null)
  assert.equal((await failing(earshot.health())).code, 'unexpected-answer')
  assert.equal((await failing(earshot.health())).code, 'unreachable')
})
