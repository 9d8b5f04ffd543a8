/** What each method sends, and whether the server's own readers understand it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { keepMsIn } from '../../../src/contract/access/callback-secret.ts'
import { graceIn, keyCommand } from '../../../src/contract/access/keys.ts'
import { type Fields, fieldsFromPairs } from '../../../src/contract/fields.ts'
import { adjustmentIn, adjustmentPageIn, usageQueryIn } from '../../../src/contract/ledger.ts'
import { auditQueryIn } from '../../../src/contract/lists/audit-list.ts'
import { callbackQueryIn, receiverIn } from '../../../src/contract/lists/callback-log.ts'
import { refused, type Scripted, scriptedFetch } from '../../../test/scripted-fetch.ts'
import { type Earshot, makeEarshot } from '../earshot.ts'

function rig(...script: readonly Scripted[]) {
  const { fetch, asked } = scriptedFetch(...script)
  return { asked, earshot: makeEarshot({ url: 'http://h/in/front', account: 'acme', key: 'k', token: 't', fetch, sleep: async () => {} }) }
}
const ACCOUNT = 'http://h/in/front/v1/Accounts/acme'
async function all<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

const ONE: Readonly<Record<string, unknown>> = {
  Key: { Sid: 'ek_1', Token: 't' },
  Keys: [],
  Usage: {},
  Balance: {},
  Adjustment: {},
  Callback: {},
  Replay: {},
  CallbackSecret: {},
}
/** What is asked · method and address · body. */
const ASKED: readonly (readonly [string, (earshot: Earshot) => Promise<unknown>, string, unknown])[] = [
  [
    'keys.create',
    (of) => of.keys.create({ Scopes: ['calls.read'], Agents: ['priya'] }),
    'POST /Keys.json',
    { Scopes: ['calls.read'], Agents: ['priya'] },
  ],
  ['keys.list', (of) => of.keys.list(), 'GET /Keys.json', null],
  ['keys.get', (of) => of.keys.get('ek_1'), 'GET /Keys/ek_1.json', null],
  ['keys.get of any name', (of) => of.keys.get('a/b?ü..'), 'GET /Keys/a%2Fb%3F%C3%BC...json', null],
  ['keys.rotate', (of) => of.keys.rotate('ek_1'), 'POST /Keys/ek_1/Rotate.json', {}],
  ['keys.rotate with grace', (of) => of.keys.rotate('ek_1', { GraceSeconds: 60 }), 'POST /Keys/ek_1/Rotate.json', { GraceSeconds: 60 }],
  ['keys.revoke', (of) => of.keys.revoke('ek_1'), 'DELETE /Keys/ek_1.json', null],
  ['usage', (of) => of.usage(), 'GET /Usage.json', null],
  [
    'usage grouped',
    (of) => of.usage({ StartDate: '2026-11-01', GroupBy: ['day', 'origin'] }),
    'GET /Usage.json?StartDate=2026-11-01&GroupBy=day%2Corigin',
    null,
  ],
  ['balance.get', (of) => of.balance.get(), 'GET /Balance.json', null],
  ['balance.adjust', (of) => of.balance.adjust({ Amount: '5', Note: 'n' }), 'POST /Balance/Adjustments.json', { Amount: '5', Note: 'n' }],
  ['callbacks.get', (of) => of.callbacks.get('b1'), 'GET /Callbacks/b1.json', null],
  ['callbacks.replay', (of) => of.callbacks.replay('b1'), 'POST /Callbacks/b1/Replay.json', null],
  [
    'callbacks.replayParked',
    (of) => of.callbacks.replayParked({ Receiver: 'https://r/' }),
    'POST /Callbacks/Replay.json',
    { Receiver: 'https://r/' },
  ],
  ['callbacks.secret', (of) => of.callbacks.secret(), 'GET /CallbackSecret.json', null],
  ['callbacks.rotateSecret', (of) => of.callbacks.rotateSecret({ KeepHours: 1 }), 'POST /CallbackSecret/Rotate.json', { KeepHours: 1 }],
]
for (const [what, asking, expected, body] of ASKED) {
  test(`${what} is ${expected}`, async () => {
    const { earshot, asked } = rig({ body: ONE })
    await asking(earshot)
    assert.deepEqual([`${asked[0]?.method} ${asked[0]?.url.replace(ACCOUNT, '')}`, asked[0]?.body], [expected, body])
  })
}

const LISTS: readonly (readonly [string, (earshot: Earshot) => AsyncIterable<unknown>, string])[] = [
  ['Audit', ({ audit }) => audit.list({ Mode: 'barge' }), '/Audit.json?Mode=barge'],
  ['Callbacks', ({ callbacks }) => callbacks.list({ State: 'parked' }), '/Callbacks.json?State=parked'],
  ['Adjustments', ({ balance }) => balance.adjustments({ PageSize: 1 }), '/Balance/Adjustments.json?PageSize=1'],
]
for (const [list, asking, first] of LISTS) {
  test(`${list} come one after the other over all pages, and nowhere else than from our own server`, async () => {
    const { earshot, asked } = rig(
      { body: { Metadata: { NextPageUri: 'https://evil.example/x?After=1' }, [list]: ['a', 'b'] } },
      { body: { Metadata: { NextPageUri: null }, [list]: ['c'] } },
    )
    assert.deepEqual(await all(asking(earshot)), ['a', 'b', 'c'])
    assert.deepEqual(
      asked.map(({ url }) => url.replace(ACCOUNT, '')),
      [first, `${first.split('?')[0]}?After=1`],
    )
  })
  test(`${list} that say nothing of a next page are no answer`, async () => {
    await assert.rejects(all(asking(rig({ body: { Metadata: {}, [list]: [] } }).earshot)), { code: 'unexpected-answer' })
    await assert.rejects(all(asking(rig({ body: { [list]: [] } }).earshot)), { code: 'unexpected-answer' })
  })
}

const ONLY_ONCE: readonly (readonly [string, (earshot: Earshot) => Promise<unknown>])[] = [
  ['a key', ({ keys }) => keys.rotate('ek_1')],
  ['the secret of callbacks', ({ callbacks }) => callbacks.rotateSecret()],
]
for (const [what, rotate] of ONLY_ONCE) {
  test(`a rotation of ${what} is not repeated when it may have been done, since the first token would be lost`, async () => {
    for (const answer of ['lost', { status: 502 }, { status: 504 }] as const) {
      const { earshot, asked } = rig(answer)
      await assert.rejects(rotate(earshot), { maybeDone: true, attempts: 1 })
      assert.equal(asked.length, 1)
    }
  })
  test(`a rotation of ${what} is repeated after a plain no`, async () => {
    const { earshot, asked } = rig(refused(503, 'Service Unavailable'), refused(429, 'Too Many Requests'), { body: ONE })
    await rotate(earshot)
    assert.equal(asked.length, 3)
  })
}

test('[C19] a key is made once however often it is asked for; whoever lost its token is told null', async () => {
  const { earshot, asked } = rig('lost', { body: { Key: { Sid: 'ek_1', Token: null } } })
  assert.equal((await earshot.keys.create({ Scopes: ['all'] })).Token, null)
  assert.equal(new Set(asked.map(({ headers }) => headers.get('idempotency-key'))).size, 1)
})

test('a key for nobody is not made: the server would read an empty list as no limit', async () => {
  const { earshot, asked } = rig()
  await assert.rejects(earshot.keys.create({ Scopes: ['all'], Agents: [] }), { code: 'invalid-parameter', parameter: 'Agents' })
  assert.equal(asked.length, 0)
})

test('a replay whose answer got lost finds the callback pending, and is done', async () => {
  const parkedNo = refused(409, 'Callback cannot be replayed: only a parked one can')
  const { earshot } = rig('lost', parkedNo, { body: { Callback: { State: 'pending' } } })
  assert.equal((await earshot.callbacks.replay('b1')).State, 'pending')
  await assert.rejects(rig(parkedNo).earshot.callbacks.replay('b1'), { code: 'callback-not-parked', attempts: 1 })
})

const sidless: readonly (readonly [string, (earshot: Earshot, sid: string) => Promise<unknown>, readonly string[]])[] = [
  ['a key', ({ keys }, sid) => keys.rotate(sid), ['', '.', '..', 'a b', 'a:b', 'x'.repeat(256), '\ud800']],
  ['a callback', ({ callbacks }, sid) => callbacks.replay(sid), ['', '.', '..', 'a/b', 'x'.repeat(65)]],
  ['a recording', ({ recordings }, sid) => recordings.download(sid), ['', '.', '..', 'a/b', 'a.wav']],
]
for (const [what, asking, sids] of sidless) {
  test(`nothing is sent for what cannot be the sid of ${what}`, async () => {
    const { earshot, asked } = rig()
    for (const sid of sids) await assert.rejects(asking(earshot, sid), { code: 'invalid-parameter', attempts: 0 }, sid)
    assert.equal(asked.length, 0)
  })
}

test('a recording is answered before its body is read, whole or a part of it', async () => {
  let isRead = false
  const body = () =>
    new ReadableStream<Uint8Array>(
      {
        pull: (to) => {
          isRead = true
          to.enqueue(Uint8Array.of(1, 2))
          to.close()
        },
      },
      { highWaterMark: 0 },
    )
  const { earshot, asked } = rig({ body: body() }, { status: 206, body: body() }, { status: 206, body: body() })
  const response = await earshot.recordings.download('c')
  assert.deepEqual([response.status, isRead], [200, false])
  assert.deepEqual([...new Uint8Array(await response.arrayBuffer())], [1, 2])
  assert.equal((await earshot.recordings.download('c', { range: { first: 0, last: 1 } })).status, 206)
  await earshot.recordings.download('c', { range: { first: 44 } })
  assert.deepEqual(
    asked.map(({ url, headers }) => [url.replace(ACCOUNT, ''), headers.get('range')]),
    [
      ['/Recordings/c.json', null],
      ['/Recordings/c.json', 'bytes=0-1'],
      ['/Recordings/c.json', 'bytes=44-'],
    ],
  )
})

test('a recording that is not there is an error like any other, and a busy server is asked again', async () => {
  await assert.rejects(rig(refused(404, 'Given call has no recording')).earshot.recordings.download('c'), { code: 'recording-not-found' })
  await assert.rejects(rig({ status: 416, body: '' }).earshot.recordings.download('c'), { code: 'range-not-satisfiable' })
  await assert.rejects(rig({ status: 302, headers: { location: 'https://evil.example/' } }).earshot.recordings.download('c'), {
    code: 'unexpected-answer',
  })
  assert.equal((await rig('lost', { status: 503 }, { body: 'x' }).earshot.recordings.download('c')).status, 200)
})

test('a range that is none is not sent', async () => {
  for (const range of [{ first: -1 }, { first: 0.5 }, { first: 2, last: 1 }, { first: 0, last: Number.NaN }, { first: Number.POSITIVE_INFINITY }])
    await assert.rejects(rig().earshot.recordings.download('c', { range }), { code: 'invalid-parameter', parameter: 'Range' })
})

test('the body of a recording may take longer than the time-out of a request', { timeout: 5_000 }, async () => {
  const slow = new ReadableStream<Uint8Array>({
    async pull(to) {
      await new Promise((resolve) => setTimeout(resolve, 40))
      to.enqueue(Uint8Array.of(1))
      to.close()
    },
  })
  const response = await rig({ body: slow }).earshot.recordings.download('c', { timeoutMs: 10 })
  assert.equal((await response.arrayBuffer()).byteLength, 1)
})

/** The fields as the server would have them, of an address or of a body in JSON. */
const queryAsked = (url: string): Fields => fieldsFromPairs(new URL(url).searchParams) ?? new Map()
const bodyAsked = (body: unknown): Fields =>
  fieldsFromPairs(Object.entries(body ?? {}).flatMap(([name, value]) => [value].flat().map((each): [string, string] => [name, String(each)]))) ??
  new Map()
const maybe = <T>(...values: readonly T[]): fc.Arbitrary<T | undefined> => fc.constantFrom(undefined, ...values)
const IST = 'Asia/Kolkata'
const EMPTY_PAGE = { Metadata: { NextPageUri: null }, Audit: [], Callbacks: [], Adjustments: [] }

test('the server understands every filter of the audit log, of callbacks, of usage and of adjustments', async () => {
  const date = maybe('2026-01-01 00:00:00')
  const page = maybe(1, 100)
  const filters = fc.record({
    audit: fc.record({
      CallSid: maybe('c'),
      Supervisor: maybe('client:boss'),
      Mode: maybe('listen', 'whisper', 'barge'),
      StartDate: date,
      EndDate: date,
      PageSize: page,
      SortBy: maybe('DateCreated:asc', 'DateCreated:desc'),
    }),
    callbacks: fc.record({
      State: maybe('pending', 'delivered', 'parked'),
      Receiver: maybe('https://r.example/x?y=1&z'),
      CallSid: maybe('c'),
      PageSize: page,
    }),
    usage: fc.record({ StartDate: maybe('2026-11-01'), EndDate: maybe('2026-11-20'), GroupBy: maybe<string | readonly string[]>('day', ['origin', 'supervisor']) }),
    adjustments: fc.record({ PageSize: page, Before: maybe('a'.repeat(32)) }),
  })
  await fc.assert(
    fc.asyncProperty(filters, async (filter) => {
      const { earshot, asked } = rig({ body: EMPTY_PAGE }, { body: EMPTY_PAGE }, { body: { Usage: {} } }, { body: EMPTY_PAGE })
      await all(earshot.audit.list(filter.audit as Parameters<Earshot['audit']['list']>[0]))
      await all(earshot.callbacks.list(filter.callbacks as Parameters<Earshot['callbacks']['list']>[0]))
      await earshot.usage(filter.usage as Parameters<Earshot['usage']>[0])
      await all(earshot.balance.adjustments(filter.adjustments))
      const [audit, callbacks, usage, adjustments] = asked.map(({ url }) => queryAsked(url)) as [Fields, Fields, Fields, Fields]
      const heard = auditQueryIn(audit, { timeZone: IST })
      assert.deepEqual(
        [heard.callId ?? undefined, heard.mode ?? undefined, heard.pageSize],
        [filter.audit.CallSid, filter.audit.Mode, filter.audit.PageSize ?? 50],
      )
      assert.equal(heard.recordedFrom === null, filter.audit.StartDate === undefined)
      assert.equal(heard.order, filter.audit.SortBy === 'DateCreated:asc' ? 'asc' : 'desc')
      const logged = callbackQueryIn(callbacks)
      assert.deepEqual(
        [logged.state ?? undefined, logged.receiver],
        [filter.callbacks.State, filter.callbacks.Receiver === undefined ? null : 'https://r.example'],
      )
      assert.deepEqual(usageQueryIn(usage, { timeZone: IST, now: Date.UTC(2026, 10, 26) }).by, [filter.usage.GroupBy ?? 'day'].flat())
      assert.deepEqual(adjustmentPageIn(adjustments), { before: filter.adjustments.Before ?? null, pageSize: filter.adjustments.PageSize ?? 50 })
    }),
    { numRuns: 50 },
  )
})

test('the server understands what is written: a key, a rotation, money, a replay', async () => {
  const { earshot, asked } = rig(...Array.from({ length: 5 }, () => ({ body: ONE })))
  await earshot.keys.create({ Name: 'n', Scopes: ['calls.read', 'monitor.listen'], Agents: ['priya', 'ravi'], ExpiresAt: '2027-01-01 00:00:00' })
  await earshot.keys.rotate('ek_1', { GraceSeconds: 604_800 })
  await earshot.balance.adjust({ Amount: '-12.500001', Note: 'Größe' })
  await earshot.callbacks.replayParked({ Receiver: 'https://r.example/x' })
  await earshot.callbacks.rotateSecret({ KeepHours: 720 })
  const [key, grace, money, replay, keep] = asked.map(({ body }) => bodyAsked(body)) as [Fields, Fields, Fields, Fields, Fields]
  assert.deepEqual(keyCommand(key, 'UTC'), {
    name: 'n',
    scopes: ['calls.read', 'monitor.listen'],
    agents: ['priya', 'ravi'],
    expiresAt: Date.UTC(2027, 0, 1),
  })
  assert.deepEqual([graceIn(grace), keepMsIn(keep)], [604_800_000, 720 * 3_600_000])
  assert.deepEqual(adjustmentIn(money), { amount: '-12.500001', note: 'Größe' })
  assert.equal(receiverIn(replay), 'https://r.example')
})
