import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newApiToken, newId, newKeyId, randomText } from './chance.ts'

test('[C6] ids are 32 characters of [0-9a-z], each different', () => {
  const ids = Array.from({ length: 1000 }, newId)
  for (const id of ids) assert.match(id, /^[0-9a-z]{32}$/)
  assert.equal(new Set(ids).size, 1000)
})

test('[C2] keys and tokens say what they are, and have at least 124 and 256 random bits', () => {
  assert.match(newKeyId(), /^ek_[0-9a-z]{24}$/)
  assert.match(newApiToken(), /^et_[0-9a-z]{52}$/)
  assert(52 * Math.log2(36) > 256)
  assert.equal(new Set(Array.from({ length: 1000 }, newApiToken)).size, 1000)
})

test('every letter is about as likely as any other', () => {
  const counts = new Map<string, number>()
  for (const letter of randomText(72_000)) counts.set(letter, (counts.get(letter) ?? 0) + 1)
  assert.equal(counts.size, 36)
  for (const count of counts.values()) assert.ok(count > 1600 && count < 2400, `${count} of 2000 expected`)
})
