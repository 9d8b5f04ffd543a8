import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sourceOf } from './source.ts'

test('an IPv4 address is one source, however it is written', () => {
  for (const written of ['192.0.2.7', '::ffff:192.0.2.7', '::ffff:c000:207']) assert.equal(sourceOf(written), '192.0.2.7', written)
  assert.notEqual(sourceOf('192.0.2.8'), sourceOf('192.0.2.7'))
})

test('an IPv6 address is counted with its network of 64 bits, of which one machine may have every address', () => {
  for (const written of ['2001:db8:1:2::1', '2001:DB8:1:2:ffff::9', '2001:db8:1:2:0:0:0:1'])
    assert.equal(sourceOf(written), '2001:db8:1:2::/64', written)
  assert.notEqual(sourceOf('2001:db8:1:3::1'), sourceOf('2001:db8:1:2::1'))
  assert.equal(sourceOf('fe80::1%eth0'), sourceOf('fe80::2'))
})

test('what is no address is a source by its own name, of bounded length', () => {
  for (const written of ['', 'unknown', '_hidden', '999.1.1.1']) assert.equal(sourceOf(written), written)
  assert.equal(sourceOf('x'.repeat(10_000)).length, 64)
})
