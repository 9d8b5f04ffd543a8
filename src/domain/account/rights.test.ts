import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Address } from '../address.ts'
import { connect } from '../commands.ts'
import { DomainError } from '../errors.ts'
import type { AccountId, CallId, KeyId, LegId } from '../ids.ts'
import { MODES } from '../leg.ts'
import { assertMay, maySee, type Principal, reachesAny, SCOPES, scopeOfMode } from './rights.ts'

const ACME = 'acme' as AccountId
const who = (over: Partial<Principal> = {}): Principal => ({ accountId: ACME, keyId: 'key' as KeyId, scopes: SCOPES, agents: null, ...over })
const account = { id: ACME, timeZone: 'UTC', numbers: [], agents: ['priya', 'ravi'], maxMonitors: 1, notice: null }
const call = (from: string, to: string, accountId = ACME) =>
  connect(
    { from: from as Address, to: to as Address, callerId: null, ringMs: 1, limitMs: 1, subscription: null, customField: null, sound: { waitUrl: null, opening: null, recording: null }, maxRetries: 0 },
    { callId: 'call' as CallId, legId: 'leg' as LegId, account: { ...account, id: accountId } },
    0,
  ).call

test('each right is given by its own scope and by no other', () => {
  for (const wanted of SCOPES) {
    for (const given of SCOPES) {
      const ask = (): void => assertMay(who({ scopes: [given] }), wanted)
      if (given === wanted) ask()
      else assert.throws(ask, (error) => error instanceof DomainError && error.code === 'right-missing' && error.detail === wanted)
    }
    assert.throws(() => assertMay(who({ scopes: [] }), wanted), DomainError, 'without scopes nothing is allowed')
  }
})

test('every mode has a scope', () => {
  assert.deepEqual(
    MODES.map((mode) => SCOPES.includes(scopeOfMode(mode))),
    MODES.map(() => true),
  )
})

test('a call is there for its own account alone', () => {
  assert(maySee(who(), call('client:priya', '+919876543210')))
  assert(!maySee(who(), call('client:priya', '+919876543210', 'zenith' as AccountId)))
})

test('a key that is limited to agents sees the calls in which one of them takes part', () => {
  const limited = who({ agents: ['priya'] })
  assert(maySee(limited, call('client:priya', '+919876543210')))
  assert(maySee(limited, call('+919876543210', 'client:priya')), 'as the party that is yet to be rung')
  assert(!maySee(limited, call('client:ravi', '+919876543210')))
  assert(!maySee(limited, call('client:priyanka', 'sip:priya@host')), 'by the whole name of a phone, not by a part or another kind')
  assert(!maySee(who({ agents: [] }), call('client:priya', 'client:ravi')), 'no agents is nobody')
})

test('a supervisor among the legs does not make a call visible', () => {
  const base = call('client:ravi', '+919876543210')
  const [leg] = base.legs
  assert(leg)
  const monitor = { ...leg, id: 'm' as LegId, address: 'client:priya' as Address, monitoring: { mode: 'listen', targetLegId: leg.id, since: null, by: null, reasonCode: null } as const }
  assert(!maySee(who({ agents: ['priya'] }), { ...base, legs: [...base.legs, monitor] }))
})

test('one of several addresses is enough, and an unlimited key needs none', () => {
  assert(reachesAny(who({ agents: ['priya', 'ravi'] }), ['+911234567890' as Address, 'client:ravi' as Address]))
  assert(!reachesAny(who({ agents: ['priya'] }), []))
  assert(reachesAny(who(), []))
})
