import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Account, callerIdFor, type DialRules, mayDial, routeIncoming } from './account.ts'
import { type Address, addressKind, clientAddress, clientName } from '../address.ts'
import type { AccountId } from '../ids.ts'

const at = (text: string): Address => text as Address
const account: Account = {
  id: 'acme' as AccountId, timeZone: 'Asia/Kolkata', agents: ['priya', 'ravi'], maxMonitors: 10, notice: null,
  numbers: [{ number: at('+918012345678'), rings: at('client:priya') }, { number: at('+918012345679'), rings: null }],
}
const nothing: DialRules = { prefixes: [], hosts: [] }
const some: DialRules = { prefixes: ['+91'], hosts: [{ host: '10.0.0.5', port: null }, { host: 'pbx.example', port: 5070 }, { host: 'plain.example', port: 5060 }, { host: '::1', port: 5062 }] }

test('without rules nothing but the account’s own phones may be dialled', () => {
  assert.ok(mayDial(account, nothing, at('client:priya')))
  for (const address of ['client:mallory', '+919876543210', 'sip:a@10.0.0.5']) assert.equal(mayDial(account, nothing, at(address)), false, address)
})

const DIALLED: readonly (readonly [string, boolean])[] = [
  ['+919876543210', true],
  ['+14155550100', false],
  ['sip:bob@10.0.0.5', true],
  ['sip:bob@10.0.0.5:9999', true],
  ['sip:bob@10.0.0.50', false],
  ['sip:bob@pbx.example:5070', true],
  ['sip:bob@PBX.example:5070', true],
  ['sip:bob@pbx.example', false],
  ['sip:plain.example', true],
  ['sip:x@plain.example:5060', true],
  ['sip:x@[::1]:5062', true],
  ['sip:x@[::1]:5063', false],
  ['sip:10.0.0.5@evil.example', false],
  ['client:ravi', true],
  ['client:rav', false],
]
for (const [address, allowed] of DIALLED) {
  test(`${address} may ${allowed ? '' : 'not '}be dialled by the rules`, () => assert.equal(mayDial(account, some, at(address)), allowed))
}

test('an agent who calls in reaches what the account may dial, and nothing else', () => {
  const from = at('client:priya')
  assert.equal(routeIncoming(account, some, { from, dialled: at('+919876543210'), source: 'agent' }), '+919876543210')
  assert.equal(routeIncoming(account, some, { from, dialled: at('client:ravi'), source: 'agent' }), 'client:ravi')
  assert.equal(routeIncoming(account, some, { from, dialled: at('+14155550100'), source: 'agent' }), null)
})

test('a trunk reaches the phone named for the number: never a destination, nor a number without a phone', () => {
  const from = at('+919999999999')
  assert.equal(routeIncoming(account, some, { from, dialled: at('+918012345678'), source: 'trunk' }), 'client:priya')
  for (const dialled of ['+918012345679', '+919876543210', 'client:priya']) {
    assert.equal(routeIncoming(account, some, { from, dialled: at(dialled), source: 'trunk' }), null, dialled)
  }
})

test('a number sees the account’s number, a phone sees who really calls', () => {
  const agentCalls = { from: at('client:priya'), dialled: at('+919876543210'), source: 'agent' } as const
  assert.equal(callerIdFor(account, agentCalls, at('+919876543210')), '+918012345678')
  assert.equal(callerIdFor({ ...account, numbers: [] }, agentCalls, at('+919876543210')), 'client:priya')
  assert.equal(callerIdFor(account, agentCalls, at('client:ravi')), 'client:priya')
  assert.equal(callerIdFor(account, { from: at('+919999999999'), dialled: at('+918012345678'), source: 'trunk' }, at('client:priya')), '+919999999999')
})

test('the kind of an address is in its spelling', () => {
  assert.deepEqual(['+911', 'sip:a@b', 'client:x'].map((text) => addressKind(at(text))), ['number', 'sip', 'client'])
  assert.equal(clientName(clientAddress('priya')), 'priya')
})
