import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { fingerprintOf, isSecret, newSecret, signatureHeaders } from './signature.ts'

test('[C28] the library that customers verify with accepts what we sign', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 24, maxLength: 64 }),
      fc.string({ minLength: 1 }).filter((id) => !id.includes('.')),
      fc.string({ unit: 'grapheme' }),
      (key, id, text) => {
        const secret = `whsec_${Buffer.from(key).toString('base64')}`
        assert(isSecret(secret))
        const body = JSON.stringify({ text })
        const headers = signatureHeaders([secret], { id, body, now: Date.now() })
        assert.deepEqual(new Webhook(secret).verify(body, { ...headers }), { text })
      },
    ),
  )
})

test('[C28] another body, id, time or secret is not verified', () => {
  const secret = newSecret()
  const headers = signatureHeaders([secret], { id: 'a', body: '{}', now: Date.now() })
  const verify =
    (body: string, changed: object, by = secret) =>
    () =>
      new Webhook(by).verify(body, { ...headers, ...changed })
  assert.doesNotThrow(verify('{}', {}))
  assert.throws(verify('{ }', {}))
  assert.throws(verify('{}', { 'webhook-id': 'b' }))
  assert.throws(verify('{}', { 'webhook-timestamp': String(Number(headers['webhook-timestamp']) + 1) }))
  assert.throws(verify('{}', {}, newSecret()))
})

test('the example of the specification is signed as it says', () => {
  const headers = signatureHeaders(['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'], {
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    body: '{"test": 2432232314}',
    now: 1614265330_000,
  })
  assert.deepEqual(headers, {
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  })
})

test('[C28] during a rotation a callback has two signatures, and either secret verifies it with the library that customers use', () => {
  const [fresh, old, foreign] = [newSecret(), newSecret(), newSecret()]
  const headers = signatureHeaders([fresh, old], { id: 'a', body: '{}', now: Date.now() })
  assert.match(headers['webhook-signature'], /^v1,[A-Za-z0-9+/]{43}= v1,[A-Za-z0-9+/]{43}=$/)
  for (const secret of [fresh, old]) assert.deepEqual(new Webhook(secret).verify('{}', { ...headers }), {})
  assert.throws(() => new Webhook(foreign).verify('{}', { ...headers }))
  assert.equal(
    headers['webhook-signature'].split(' ')[0],
    signatureHeaders([fresh], { id: 'a', body: '{}', now: Number(headers['webhook-timestamp']) * 1000 })['webhook-signature'],
  )
})

test('a fingerprint tells secrets apart and is nothing of them', () => {
  const secret = newSecret()
  assert.match(fingerprintOf(secret), /^[0-9a-f]{12}$/)
  assert.equal(fingerprintOf(secret), fingerprintOf(secret))
  assert.notEqual(fingerprintOf(secret), fingerprintOf(newSecret()))
  assert.equal(fingerprintOf('whsec_'), '41ab51b8e4fa')
})

test('a secret is whsec_ and 24 to 64 bytes in base64', () => {
  const of = (bytes: number): string => `whsec_${Buffer.alloc(bytes, 7).toString('base64')}`
  assert.deepEqual(
    [23, 24, 64, 65].map((bytes) => isSecret(of(bytes))),
    [false, true, true, false],
  )
  for (const text of ['', 'whsec_', of(32).slice(6), `${of(32)}!`, 'whsec_%%%%']) assert.equal(isSecret(text), false, text)
})

test('[C28] a new secret has the form that Standard Webhooks libraries read, and 32 random bytes', () => {
  const secret = newSecret()
  assert(isSecret(secret))
  assert.match(secret, /^whsec_[A-Za-z0-9+/]+=*$/)
  assert.equal(Buffer.from(secret.slice('whsec_'.length), 'base64').length, 32)
  assert.notEqual(secret, newSecret())
})
