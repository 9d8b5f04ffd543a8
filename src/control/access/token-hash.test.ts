import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DomainError } from '../../domain/errors.ts'
import { makeTokenHasher } from './token-hash.ts'

const CHEAP = { N: 16, r: 1, p: 1 }
const hasher = makeTokenHasher({ cost: CHEAP })

test('a token matches its own hash and no other, whatever characters it has', async () => {
  for (const token of ['et_abc', 'ü💥', ' ', 'a:b', 'x'.repeat(10_000)]) {
    const written = await hasher.hash(token)
    assert.match(written, /^scrypt\$N=16,r=1,p=1\$[A-Za-z0-9+/=]{24}\$[A-Za-z0-9+/=]{44}$/)
    assert(!written.includes(token))
    assert.equal(await hasher.matches(token, written), true)
    for (const other of [`${token}x`, token.slice(1), '', token.toUpperCase() === token ? 'y' : token.toUpperCase()])
      assert.equal(await hasher.matches(other, written), false, other)
  }
})

test('the same token has another hash each time, and a raised cost leaves the old ones right', async () => {
  const [one, two] = [await hasher.hash('t'), await hasher.hash('t')]
  assert.notEqual(one, two)
  assert.equal(await makeTokenHasher({ cost: { N: 32, r: 2, p: 1 } }).matches('t', one), true)
})

test('nobody’s hash is never right', async () => {
  for (const token of ['', 't']) assert.equal(await hasher.matches(token, null), false)
})

test('what is not a hash, or would cost too much, is an error and not a match', async () => {
  const written = await hasher.hash('t')
  for (const broken of [
    '',
    't',
    written.replace('scrypt', 'plain'),
    written.replace('N=16', 'N=x'),
    written.replace('N=16', 'N=16777216'),
    `${written}$`,
  ])
    await assert.rejects(hasher.matches('t', broken), broken)
  assert.equal(await hasher.matches('t', written.replace(/\$[^$]*$/, '$')).catch(() => 'refused'), 'refused')
})

test('only so many are under way, so many wait, and who comes then is told that the house is busy; nobody is lost', async () => {
  const narrow = makeTokenHasher({ cost: { N: 1024, r: 8, p: 1 }, atOnce: 2, waiting: 3 })
  for (let round = 0; round < 3; round += 1) {
    const all = await Promise.allSettled(Array.from({ length: 9 }, () => narrow.hash('t')))
    const refused = all.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
    assert.equal(refused.length, 4)
    assert(refused.every((error) => error instanceof DomainError && error.code === 'busy'))
  }
})
