/** What the SDK says of an account, against a whole server: keys, money, evidence, callbacks, recordings, and what happens as it happens. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { layoutOf } from '../src/media/clips/wav.ts'
import type { Phone } from '../src/phone/phone.ts'
import { type Earshot, type LiveEvent, makeEarshot } from '../sdk/src/earshot.ts'
import { eventually } from './eventually.ts'
import { freePort } from './free-port.ts'
import * as shapes from './sdk-shapes.ts'
import { KEY, openTestServer, type TestServer, TOKEN } from './server.ts'

const CUSTOMER = '+919876543210'
const OTHER_TOKEN = 'another-token-of-some-length'
/** `acme` pays; `other` pays nothing, and its secret is kept with the data. */
const ACCOUNTS = `
    plan:
      currency: INR
      pulseSeconds: 60
      prepaid: true
      rates:
        - { prefix: "client:", price: 0.10 }
        - { prefix: "+91", price: 1.00 }
  - sid: other
    keys: [{ key: other-key, token: ${OTHER_TOKEN} }]
    numbers: ["+918012345679"]`

let server: TestServer
let earshot: Earshot
let other: Earshot
let agent: Phone
let boss: Phone
/** A port at which nobody answers. */
let nobody = ''

before(async () => {
  server = await openTestServer('', {}, { accountYaml: ACCOUNTS, retrySeconds: [1] })
  earshot = makeEarshot({ url: server.url, account: 'acme', key: KEY, token: TOKEN })
  other = makeEarshot({ url: server.url, account: 'other', key: 'other-key', token: OTHER_TOKEN })
  agent = await server.phone({ name: 'priya', toneHz: 440 })
  boss = await server.phone({ name: 'boss', toneHz: 1000 })
  nobody = `http://127.0.0.1:${await freePort()}`
})
after(() => server.close())

async function all<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}
const hears = (phone: Phone, hz: number): boolean => phone.current()?.state === 'established' && phone.current()?.hears(hz) === 'heard'
const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no error',
    (error: { code?: unknown }) => error.code,
  )

describe('[C33] money', () => {
  test('an account without a plan has a usage and no balance; a prepaid one without a balance dials nobody', async () => {
    assert.equal(await codeOf(other.balance.get()), 'no-plan')
    shapes.assertShape(shapes.USAGE_BY_DAY, await other.usage())
    assert.equal(await codeOf(earshot.calls.connect({ From: 'client:priya', To: CUSTOMER })), 'no-balance')
  })

  test('[C19] what is paid in counts once with one key, is listed page by page, and can be taken away', async () => {
    const paid = await earshot.balance.adjust({ Amount: '100', Note: 'Größe' }, { idempotencyKey: 'invoice-1' })
    shapes.assertShape(shapes.ADJUSTMENT, paid)
    assert.equal((await earshot.balance.adjust({ Amount: '100', Note: 'Größe' }, { idempotencyKey: 'invoice-1' })).Sid, paid.Sid)
    assert.equal(await codeOf(earshot.balance.adjust({ Amount: '101', Note: 'Größe' }, { idempotencyKey: 'invoice-1' })), 'idempotency-mismatch')
    await earshot.balance.adjust({ Amount: '-0.5', Note: 'a correction' })
    const pages = await all(earshot.balance.adjustmentPages({ PageSize: 1 }))
    for (const page of pages) shapes.assertShape(shapes.ADJUSTMENT_PAGE, page)
    const amounts = (await all(earshot.balance.adjustments())).map(({ Amount }) => Amount)
    assert.deepEqual(
      [amounts, pages.flatMap(({ Adjustments }) => Adjustments.map(({ Amount }) => Amount))],
      [
        ['-0.500', '100.000'],
        ['-0.500', '100.000'],
      ],
    )
    const balance = await earshot.balance.get()
    shapes.assertShape(shapes.BALANCE, balance)
    assert.equal(balance.Amount, '99.500')
    assert.equal(await codeOf(earshot.balance.adjust({ Amount: '0', Note: 'n' })), 'invalid-parameter')
  })
})

test('[C2] a key is told its token once, may what it was given and no more, and lives until it is revoked', async () => {
  const made = await earshot.keys.create({ Name: 'wall', Scopes: ['calls.read', 'monitor.listen'], Agents: ['priya'] }, { idempotencyKey: 'wall-1' })
  shapes.assertShape(shapes.CREATED_KEY, made)
  const again = await earshot.keys.create({ Name: 'wall', Scopes: ['calls.read', 'monitor.listen'], Agents: ['priya'] }, { idempotencyKey: 'wall-1' })
  assert.deepEqual([again.Sid, again.Token], [made.Sid, null])
  const asWall = (token: string | null): Earshot => makeEarshot({ url: server.url, account: 'acme', key: made.Sid, token: token ?? '', retries: 0 })
  const wall = asWall(made.Token)
  await all(wall.calls.list())
  assert.equal(await codeOf(wall.calls.connect({ From: 'client:priya', To: CUSTOMER })), 'right-missing')
  assert.equal(await codeOf(wall.keys.list()), 'right-missing')
  for (const key of await earshot.keys.list()) shapes.assertShape(shapes.KEY, key)
  const rotated = await earshot.keys.rotate(made.Sid, { GraceSeconds: 0 })
  shapes.assertShape(shapes.ROTATED_KEY, rotated)
  await all(asWall(rotated.Token).calls.list())
  assert.equal(await codeOf(all(wall.calls.list())), 'unauthorized')
  assert.equal((await earshot.keys.revoke(made.Sid)).Status, 'revoked')
  assert.equal((await earshot.keys.get(made.Sid)).Status, 'revoked')
  const refusals = [codeOf(earshot.keys.rotate(made.Sid)), codeOf(earshot.keys.revoke(KEY)), codeOf(earshot.keys.get('ek_nobody'))]
  assert.deepEqual(await Promise.all(refusals), ['key-not-active', 'key-configured', 'key-not-found'])
})

describe('a call that is followed, recorded and monitored', () => {
  let callSid: string
  const events: LiveEvent[] = []
  const leaving = new AbortController()
  let followed: Promise<void>

  before(async () => {
    followed = follow()
    await eventually('it follows', () => events.length === 1)
    const StatusCallback = `${nobody}/hook`
    callSid = (await earshot.calls.connect({ From: 'client:priya', To: CUSTOMER, Record: true, StatusCallback })).Sid
    await eventually('they talk', () => hears(agent, 700) && hears(server.trunkPhone, 440))
    const { Sid } = await earshot.legs.listen(callSid, { PhoneNumber: 'client:boss', ReasonCode: 'qa/7' })
    await eventually('the supervisor listens', () => hears(boss, 440))
    await earshot.legs.changeMode(callSid, Sid, 'whisper', { ReasonCode: 'complaint' })
    await eventually('the agent hears a whisper', () => hears(agent, 1000))
    await earshot.legs.hangUp(callSid, (await earshot.calls.activeLegs(callSid))[0]?.Sid ?? '')
    await eventually('the call has ended', async () => (await earshot.calls.get(callSid)).Status !== 'in-progress')
  })
  after(() => leaving.abort())

  async function follow(): Promise<void> {
    for await (const event of earshot.events({ signal: leaving.signal })) events.push(event)
  }
  const modesOf = (): readonly string[] =>
    events.flatMap((event) => (event.kind === 'mode' ? [`${event.Mode.PreviousAction} ${event.Mode.Action} ${event.Mode.State}`] : []))

  test('everything that happened was told, in the order in which it did, and by the types', async () => {
    await eventually('the end was told', () => events.some((event) => event.kind === 'call' && event.Call.Status === 'completed'))
    for (const event of events) shapes.assertShape(shapes.EVENTS[event.kind] as shapes.Shape<LiveEvent>, event)
    assert.equal(events[0]?.kind, 'snapshot')
    assert.deepEqual(modesOf(), ['null listen ringing', 'listen listen answered', 'listen whisper answered'])
    const whisper = events
      .filter((event) => event.kind === 'hearing')
      .find(({ Hearing }) => {
        const agents = Hearing.Ears.find(
          (ear) => 'LegSid' in ear && events.some((one) => one.kind === 'leg' && one.Leg.Sid === ear.LegSid && one.Leg.Origin === 'outbound'),
        )
        return agents?.Hears.length === 2
      })
    assert.ok(whisper, 'a table in which the agent hears two')
    assert.ok(
      events.some((event) => event.kind === 'hearing' && event.Hearing.Ears.some((ear) => 'Tape' in ear)),
      'a table with a recording',
    )
  })

  test('a second follower of the same call begins after what the first was told, and of another call is told nothing', async () => {
    const place = events.find(({ kind }) => kind === 'mode')?.id ?? ''
    const rest: LiveEvent[] = []
    for await (const event of earshot.events({ CallSid: callSid, lastEventId: place, signal: AbortSignal.timeout(1_000) })) rest.push(event)
    assert.deepEqual(rest, events.slice(events.findIndex(({ id }) => id === place) + 1))
    const none: LiveEvent[] = []
    for await (const event of earshot.events({ CallSid: '0'.repeat(32), lastEventId: place, signal: AbortSignal.timeout(300) })) none.push(event)
    assert.deepEqual(none, [])
  })

  test('[C33] it has its price, leg by leg, and the usage says the same', async () => {
    const { Price } = await earshot.calls.get(callSid)
    const legs = await earshot.calls.legs(callSid)
    for (const leg of legs) shapes.assertShape(shapes.LEG_RECORD, leg)
    assert.deepEqual([Price, legs.map((leg) => leg.Price)], ['1.200', ['0.100', '1.000', '0.100']])
    const usage = await earshot.usage({ GroupBy: ['day', 'origin', 'supervisor'] })
    shapes.assertShape(shapes.USAGE_BY_ALL, usage)
    assert.deepEqual(
      usage.Totals.map(({ Kind, Legs, Amount }) => [Kind, Legs, Amount]),
      [
        ['conversation', 2, '1.100'],
        ['monitor', 1, '0.100'],
      ],
    )
    shapes.assertShape(shapes.USAGE_BY_DAY, await earshot.usage({ GroupBy: 'day' }))
    assert.equal((await earshot.balance.get()).SpentToday, '1.200')
  })

  test('the audit log says who monitored, how and why, page by page', async () => {
    await eventually('both intervals are in it', async () => (await all(earshot.audit.list({ CallSid: callSid }))).length === 2)
    for (const page of await all(earshot.audit.pages({ PageSize: 1 }))) shapes.assertShape(shapes.AUDIT_PAGE, page)
    const told = (await all(earshot.audit.list({ CallSid: callSid, PageSize: 1, SortBy: 'DateCreated:asc' }))).map((entry) => [
      entry.Mode,
      entry.ReasonCode,
      entry.Key,
      entry.Supervisor,
    ])
    assert.deepEqual(told, [
      ['listen', 'qa/7', KEY, 'client:boss'],
      ['whisper', 'complaint', KEY, 'client:boss'],
    ])
    assert.equal((await all(earshot.audit.list({ CallSid: callSid, Mode: 'whisper' }))).length, 1)
  })

  test('[C30] its recording is downloaded, whole and in part; of a call without one there is an error', async () => {
    await eventually('it is there', async () => (await earshot.calls.get(callSid)).RecordingUrl !== null)
    const response = await earshot.recordings.download(callSid)
    assert.equal(response.headers.get('content-type'), 'audio/wav')
    const file = Buffer.from(await response.arrayBuffer())
    const layout = layoutOf(file)
    assert.ok(!('refused' in layout) && layout.dataBytes > 0, 'there is sound in it')
    const part = await earshot.recordings.download(callSid, { range: { first: 0, last: 43 } })
    assert.deepEqual([part.status, Buffer.from(await part.arrayBuffer())], [206, file.subarray(0, 44)])
    assert.equal(await codeOf(earshot.recordings.download(callSid, { range: { first: file.length } })), 'range-not-satisfiable')
    assert.equal(await codeOf(earshot.recordings.download('0'.repeat(32))), 'recording-not-found')
  })

  test('[C27] a callback that nobody took is parked, shown, and replayed', async () => {
    const parked = () => all(earshot.callbacks.list({ State: 'parked', CallSid: callSid, Receiver: nobody }))
    await eventually('it is parked', async () => (await parked()).length === 1, 15_000)
    for (const page of await all(earshot.callbacks.pages({ PageSize: 1 }))) shapes.assertShape(shapes.CALLBACK_PAGE, page)
    const [{ Sid = '' } = {}] = await parked()
    const shown = await earshot.callbacks.get(Sid)
    shapes.assertShape(shapes.CALLBACK_WITH_BODY, shown)
    assert.ok(shown.Body.includes(callSid))
    assert.equal((await earshot.callbacks.replay(Sid)).State, 'pending')
    assert.equal(await codeOf(earshot.callbacks.replay(Sid)), 'callback-not-parked')
    assert.equal(await codeOf(earshot.callbacks.get('nobodys')), 'callback-not-found')
    await eventually('it is parked again', async () => (await parked()).length === 1, 15_000)
    const replayed = await earshot.callbacks.replayParked({ Receiver: `${nobody}/any` })
    shapes.assertShape(shapes.REPLAY, replayed)
    assert.deepEqual(replayed, { Replayed: 1, Remaining: 0 })
  })

  test('when the server is started anew, the follower comes back by itself and is told what it missed', { timeout: 60_000 }, async () => {
    const before = events.length
    await server.end('SIGTERM')
    await server.start()
    await eventually('it is back', () => events.length > before, 30_000)
    const back = events[before]
    assert.ok(back?.kind === 'snapshot')
    assert.deepEqual([back.Missed, back.Calls], ['true', []])
    leaving.abort()
    await followed
  })
})

test('[C28] the secret of callbacks is known by its fingerprint; a rotation tells the new one, unless the configuration names it', async () => {
  shapes.assertShape(shapes.CALLBACK_SECRET, await earshot.callbacks.secret())
  assert.equal(await codeOf(earshot.callbacks.rotateSecret()), 'secret-configured')
  const old = await other.callbacks.secret()
  const rotated = await other.callbacks.rotateSecret({ KeepHours: 2 })
  shapes.assertShape(shapes.ROTATED_SECRET, rotated)
  assert.equal(rotated.PreviousFingerprint, old.Fingerprint)
  const now = await other.callbacks.secret()
  shapes.assertShape(shapes.CALLBACK_SECRET, now)
  assert.equal(now.Fingerprint, rotated.Fingerprint)
})
