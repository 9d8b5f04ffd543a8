import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { admit, aim, isReachable, makeLatch, QUIET_MS, targetOf } from './latch.ts'

const named = { host: '10.0.0.1', port: 4000 }
const nat = { host: '192.0.2.7', port: 40000 }
const stranger = { host: '203.0.113.6', port: 666 }

function aimed() {
  const latch = makeLatch()
  aim(latch, named, null)
  return latch
}

describe('The lock of a port', () => {
  test('Before signalling said anything, nobody comes in and nothing goes out', () => {
    const latch = makeLatch()
    assert.equal(admit(latch, named, 0), false)
    assert.equal(targetOf(latch), null)
  })

  test('Before the first packet, sound goes where signalling said', () => assert.deepEqual(targetOf(aimed()), named))

  test('The first source locks, wherever it is; all others are strangers', () => {
    const latch = aimed()
    assert.equal(admit(latch, nat, 0), true)
    assert.deepEqual(targetOf(latch), nat)
    assert.equal(admit(latch, stranger, 10), false)
    assert.equal(admit(latch, { ...nat, port: nat.port + 1 }, 10), false)
    assert.equal(admit(latch, nat, 20), true)
  })

  test('The address that signalling named wins from whoever was first, and is never lost again', () => {
    const latch = aimed()
    admit(latch, stranger, 0)
    assert.equal(admit(latch, named, 10), true)
    assert.deepEqual(targetOf(latch), named)
    assert.equal(admit(latch, stranger, 20), false)
    assert.equal(admit(latch, stranger, 20 + 100 * QUIET_MS), false, 'not even after long silence')
    assert.equal(admit(latch, { ...named, port: 9 }, 20 + 100 * QUIET_MS), false)
  })

  test('A stranger who speaks first cannot keep out a phone behind NAT: its SIP came from the host that its sound comes from', () => {
    const latch = makeLatch()
    aim(latch, named, nat.host)
    assert.equal(admit(latch, stranger, 0), true, 'nobody better has spoken')
    assert.equal(admit(latch, nat, 10), true)
    assert.deepEqual(targetOf(latch), nat)
    assert.equal(admit(latch, stranger, 20 + 100 * QUIET_MS), false)
    assert.equal(admit(latch, { ...nat, port: 9 }, 20), false, 'another port of that host is no nearer')
    assert.equal(admit(latch, named, 30), true, 'the very address is')
    assert.equal(admit(latch, nat, 40), false)
  })

  test('A phone that names its host but sends from another port beats a stranger as well', () => {
    const latch = aimed()
    admit(latch, stranger, 0)
    assert.equal(admit(latch, { ...named, port: 4002 }, 10), true)
  })

  test('A NAT that forgot may come from another port of its host, after silence', () => {
    const latch = aimed()
    admit(latch, nat, 1000)
    const moved = { ...nat, port: 41000 }
    assert.equal(admit(latch, moved, 1000 + QUIET_MS), false)
    assert.equal(admit(latch, stranger, 1001 + QUIET_MS), false)
    assert.equal(admit(latch, moved, 1001 + QUIET_MS), true)
    assert.deepEqual(targetOf(latch), moved)
    assert.equal(admit(latch, nat, 1002 + QUIET_MS), false)
  })

  test('New terms with the same address keep the lock, with another they open it', () => {
    const latch = aimed()
    admit(latch, nat, 0)
    aim(latch, { ...named }, null)
    assert.deepEqual(targetOf(latch), nat)
    const elsewhere = { host: '10.0.0.2', port: 5000 }
    aim(latch, elsewhere, null)
    assert.deepEqual(targetOf(latch), elsewhere)
    assert.equal(admit(latch, stranger, 1), true, 'first again')
  })

  test('Nothing is sent to the address of a phone on hold or to a port that is none', () => {
    assert.equal(isReachable(named), true)
    for (const host of ['0.0.0.0', '::']) assert.equal(isReachable({ host, port: 4000 }), false)
    for (const port of [0, -1, 65536, Number.NaN]) assert.equal(isReachable({ host: '10.0.0.1', port }), false)
  })
})
