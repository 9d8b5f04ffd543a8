import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { callCallback, legCallback } from '../../src/contract/callback.ts'
import type { CallbackContentType, Subscription } from '../../src/domain/leg.ts'
import { newSecret, signatureHeaders } from '../../src/webhooks/signature.ts'
import { endedCall, IST, liveCall, monitorLeg } from '../../test/data/contract/sample-call.ts'
import { type CallbackVerdict, type IncomingCallback, verifyCallback } from './callback.ts'

const NOW = 1_750_000_000_000
const [SECRET, OTHER, OLDER] = [newSecret(), newSecret(), newSecret()]
const BODY = JSON.stringify(
  JSON.parse(legCallback(liveCall, withSubscription(monitorLeg, 'application/json'), 'answered', { timeZone: IST, boundary: 'b'.repeat(20) }).body),
)

function withSubscription<T extends { readonly subscription: Subscription | null }>(of: T, contentType: CallbackContentType): T {
  return { ...of, subscription: { url: 'http://h/', events: ['terminal'], contentType } }
}

/** A callback as it comes in, signed by the server's own code. */
function signed(body: string, secret = SECRET, now = NOW): Pick<IncomingCallback, 'body' | 'headers'> & { readonly headers: Record<string, string> } {
  return { body, headers: { 'content-type': 'application/json', ...signatureHeaders([secret], { id: 'msg_1', body, now }) } }
}
const reason = (verdict: CallbackVerdict): string => (verdict.verified ? 'verified' : verdict.reason)
const judged = async (incoming: Partial<IncomingCallback>): Promise<string> =>
  reason(await verifyCallback({ ...signed(BODY), secret: SECRET, now: NOW, ...incoming }))

for (const contentType of ['application/json', 'multipart/form-data'] as const) {
  for (const event of ['answered', 'terminal'] as const) {
    test(`[C26] [C28] a leg's ${event} in ${contentType} is verified and read`, async () => {
      const made = legCallback(liveCall, withSubscription({ ...monitorLeg, customField: 'Größe\r\n"1"' }, contentType), event, {
        timeZone: IST,
        boundary: 'b'.repeat(20),
      })
      const { headers } = signed(made.body)
      const verdict = await verifyCallback({ body: made.body, headers: { ...headers, 'content-type': made.contentType }, secret: SECRET, now: NOW })
      assert.ok(verdict.verified && verdict.about === 'leg', reason(verdict))
      assert.deepEqual([verdict.id, verdict.signedAt.getTime()], ['msg_1', NOW])
      const { LegSid, EventType, OnCallDuration, CustomField } = verdict.callback
      assert.deepEqual([LegSid, EventType, OnCallDuration, CustomField], [monitorLeg.id, event, '0', 'Größe\r\n"1"'])
    })
  }
  test(`[C28] [C32] a call's own callback in ${contentType} is verified, its numbers are numbers and its parties a list`, async () => {
    const made = callCallback(withSubscription(endedCall, contentType), 'terminal', { timeZone: IST, boundary: 'b'.repeat(20) })
    const { headers } = signed(made.body)
    const verdict = await verifyCallback({
      body: new TextEncoder().encode(made.body),
      headers: { ...headers, 'content-type': made.contentType },
      secret: SECRET,
      now: NOW,
    })
    assert.ok(verdict.verified && verdict.about === 'call', reason(verdict))
    const inJson = callCallback(withSubscription(endedCall, 'application/json'), 'terminal', { timeZone: IST, boundary: '' })
    assert.deepEqual(verdict.callback, JSON.parse(inJson.body))
  })
}

test('[C28] what the standard library of receivers signs is accepted, what it refuses is refused', async () => {
  const at = new Date(NOW)
  const headers = {
    'webhook-id': 'msg_2',
    'webhook-timestamp': String(NOW / 1000),
    'webhook-signature': new Webhook(SECRET).sign('msg_2', at, BODY),
    'content-type': 'application/json',
  }
  assert.equal(await judged({ headers }), 'verified')
  assert.equal(await judged({ headers, secret: OTHER }), 'wrong-signature')
})

test('[C28] every single change of a body is noticed', async () => {
  const { headers } = signed(BODY)
  await fc.assert(
    fc.asyncProperty(fc.nat(BODY.length - 1), fc.constantFrom('x', '"', '0', 'ü'), async (at, letter) => {
      const changed = `${BODY.slice(0, at)}${letter}${BODY.slice(at + 1)}`
      assert.equal(await judged({ body: changed, headers }), changed === BODY ? 'verified' : 'wrong-signature')
    }),
    { numRuns: 60 },
  )
})

test('[C28] id and time are signed too', async () => {
  const { headers } = signed(BODY)
  assert.equal(await judged({ headers: { ...headers, 'webhook-id': 'msg_9' } }), 'wrong-signature')
  assert.equal(await judged({ headers: { ...headers, 'webhook-timestamp': String(NOW / 1000 + 1) } }), 'wrong-signature')
})

const AGES: readonly (readonly [number, string])[] = [
  [300, 'verified'],
  [301, 'too-old'],
  [-300, 'verified'],
  [-301, 'too-new'],
]
for (const [seconds, expected] of AGES) {
  test(`[C28] signed ${seconds} s ago is ${expected}`, async () => assert.equal(await judged({ now: NOW + seconds * 1000 }), expected))
}
test('the tolerance is yours to choose', async () => {
  assert.equal(await judged({ now: NOW + 5_000, toleranceS: 4 }), 'too-old')
  assert.equal(await judged({ now: NOW + 5_000, toleranceS: 5 }), 'verified')
})

test('while one secret replaces another, either signature and either secret will do', async () => {
  const both = {
    ...signed(BODY).headers,
    'webhook-signature': `${signed(BODY, OLDER).headers['webhook-signature']} ${signed(BODY).headers['webhook-signature']}`,
  }
  for (const secret of [SECRET, OLDER, [OTHER, SECRET], [OLDER, OTHER], [OTHER, OTHER, OLDER]])
    assert.equal(await judged({ headers: both, secret }), 'verified')
  assert.equal(await judged({ headers: both, secret: OTHER }), 'wrong-signature')
  const twice = `${signed(BODY).headers['webhook-signature']} ${signed(BODY).headers['webhook-signature']}`
  assert.equal(await judged({ headers: { ...both, 'webhook-signature': twice } }), 'verified')
})

test('signatures of other kinds beside ours are passed over', async () => {
  const ours = signed(BODY).headers['webhook-signature'] ?? ''
  for (const written of [`v1a,abc ${ours}`, `v2,${ours.slice(3)} ${ours}`, `${ours} garbage`]) {
    assert.equal(await judged({ headers: { ...signed(BODY).headers, 'webhook-signature': written } }), 'verified')
  }
  assert.equal(await judged({ headers: { ...signed(BODY).headers, 'webhook-signature': `${'v1,x '.repeat(100)}${ours}` } }), 'unsigned')
})

for (const name of ['webhook-id', 'webhook-timestamp', 'webhook-signature']) {
  test(`without ${name}, or with an empty one, it is unsigned`, async () => {
    const { [name]: _, ...rest } = signed(BODY).headers
    assert.equal(await judged({ headers: rest }), 'unsigned')
    assert.equal(await judged({ headers: { ...rest, [name]: '' } }), 'unsigned')
  })
}
for (const timestamp of ['now', '-1', '1.5', '1e9', '9'.repeat(13), ' 1750000000']) {
  test(`the time ${timestamp} is none`, async () =>
    assert.equal(await judged({ headers: { ...signed(BODY).headers, 'webhook-timestamp': timestamp } }), 'unsigned'))
}

test('headers come as they come: in any case, as Headers, or in lists', async () => {
  const { headers } = signed(BODY)
  const upper = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toUpperCase(), value]))
  const listed = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]]))
  for (const each of [upper, listed, new Headers(headers)]) assert.equal(await judged({ headers: each }), 'verified')
})

const UNREADABLE: readonly (readonly [string, string])[] = [
  ['no object', '[]'],
  ['no JSON', '{'],
  ['nothing', ''],
  ['a leg without its sid', JSON.stringify({ ...JSON.parse(BODY), LegSid: undefined })],
  ['a number where text belongs', JSON.stringify({ ...JSON.parse(BODY), OnCallDuration: 5 })],
  ['null', 'null'],
]
for (const [what, body] of UNREADABLE)
  test(`signed, but ${what}: unreadable`, async () => assert.equal(await judged(signed(body)), 'unreadable-body'))

test('a form that is none, and a content type that is none, are unreadable', async () => {
  const { headers } = signed('hello')
  for (const contentType of ['multipart/form-data; boundary=x', 'multipart/form-data', 'text/plain', ''])
    assert.equal(await judged({ body: 'hello', headers: { ...headers, 'content-type': contentType } }), 'unreadable-body')
})

test('a form with a party that is missing is unreadable', async () => {
  const boundary = 'b'.repeat(20)
  const made = callCallback(withSubscription(endedCall, 'multipart/form-data'), 'terminal', { timeZone: IST, boundary })
  const body = made.body.replaceAll('Legs[0]', 'Legs[7]')
  const { headers } = signed(body)
  assert.equal(await judged({ body, headers: { ...headers, 'content-type': made.contentType } }), 'unreadable-body')
})

for (const secret of ['', 'whsec_', 'secret', 'whsec_äöü', 'whsec_A', 'whsec_AAAAA', [], Array.from({ length: 17 }, () => SECRET)]) {
  test(`${JSON.stringify(secret).slice(0, 40)} is no secret`, async () => await assert.rejects(judged({ secret }), TypeError))
}
