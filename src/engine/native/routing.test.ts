import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Address } from '../../domain/address.ts'
import type { AccountId } from '../../domain/ids.ts'
import { NO_BODY, type SipRequest } from '../../sip/message.ts'
import { parseUri } from '../../sip/uri.ts'
import type { Hop } from '../../sip/user-agent.ts'
import type { Binding } from './registrar.ts'
import {
  callByName,
  callByTrunk,
  claimOf,
  type Destination,
  passwordOf,
  readTrunk,
  routeOut,
  type Trunk,
  type TrunkSettings,
  userOfTo,
  type World,
} from './routing.ts'

const at = (text: string): Address => text as Address
const ACME = 'acme' as AccountId
const OTHER = 'other' as AccountId
const trunkOf = (settings: TrunkSettings): Trunk => readTrunk(settings) ?? assert.fail('no trunk')

const TRUNKS: readonly Trunk[] = [
  trunkOf({ name: 'first', uri: 'sip:gw.example.com', numbers: [at('+918011111111')] }),
  trunkOf({ name: 'second', uri: 'sip:203.0.113.9:5080;transport=tcp', username: 'tenant', password: 'secret', numbers: [at('+918022222222')] }),
  trunkOf({ name: 'local', uri: 'sip:127.0.0.1:6000', numbers: [] }),
]
const ADDRESSES: Readonly<Record<string, readonly string[]>> = {
  first: ['198.51.100.1', '198.51.100.2'],
  second: ['203.0.113.9'],
  local: ['127.0.0.1'],
}

const bound = (name: string, contact: string, port: number): Binding => {
  const uri = parseUri(contact)
  assert(uri)
  return { name, contact: uri, hop: { transport: 'udp', host: '192.0.2.50', port }, callId: 'c', cseq: 1, refreshedAt: 0, expiresAt: 1 }
}

const world: World = {
  accounts: [
    {
      id: ACME,
      agents: [
        { name: 'priya', password: 'pw-priya' },
        { name: 'ravi', password: 'pw-ravi' },
        { name: '1001', password: 'pw-1001' },
      ],
      numbers: [at('+918011111111'), at('+918022222222')],
    },
    { id: OTHER, agents: [{ name: 'olga', password: 'pw-olga' }], numbers: [at('+14155550100')] },
  ],
  trunks: TRUNKS,
  advertisedHost: 'pbx.example.net',
  ownHosts: ['pbx.example.net', '192.0.2.1'],
  ownPort: 5070,
  parseNumber: (text) => (/^\+?\d{7,15}$/.test(text) ? at(`+91${text.replace(/^(\+?91|0)/, '')}`) : text.startsWith('client:') ? at(text) : null),
  bindings: (name) => (name === 'priya' ? [bound('priya', 'sip:priya@10.0.0.4;ob', 40_000), bound('priya', 'sip:old@10.0.0.5', 40_001)] : []),
  trunkAddresses: (trunk) => ADDRESSES[trunk.settings.name] ?? [],
}

const request = (uri: string, headers: Readonly<Record<string, string>> = {}): SipRequest => ({
  kind: 'request',
  method: 'INVITE',
  uri,
  headers: Object.entries(headers).map(([name, value]) => ({ name, value })),
  body: NO_BODY,
})

const dial = (to: string, callerId: string, accountId = ACME, within: World = world): Destination | string => {
  const route = routeOut(within, { accountId, to: at(to), callerId: at(callerId) })
  return route.kind === 'to' ? route.destination : route.reason
}

test('a registered phone is dialled by its own contact, where it was heard of last', () => {
  assert.deepEqual(dial('client:priya', '+918011111111'), {
    uri: 'sip:priya@10.0.0.4;ob',
    target: { transport: 'udp', host: '192.0.2.50', port: 40_000 },
    fromHeader: '<sip:+918011111111@pbx.example.net>',
    toHeader: '<sip:priya@pbx.example.net>',
    credentials: null,
  })
})

test('a phone that is not registered, or of another account, is nowhere', () => {
  assert.equal(dial('client:ravi', '+918011111111'), 'not registered')
  assert.equal(dial('client:priya', '+14155550100', OTHER), 'not registered')
  assert.equal(dial('client:nobody', '+918011111111'), 'not registered')
})

const SIP_DIALS: readonly [string, Destination['target'] | string][] = [
  ['sip:bob@192.0.2.77', { transport: 'udp', host: '192.0.2.77', port: 5060 }],
  ['sip:bob@192.0.2.77:5099', { transport: 'udp', host: '192.0.2.77', port: 5099 }],
  ['sip:bob@phones.example.org;transport=tcp', { transport: 'tcp', host: 'phones.example.org', port: 5060 }],
  ['sip:bob@[2001:db8::5]:5062', { transport: 'udp', host: '2001:db8::5', port: 5062 }],
  ['sip:', 'address cannot be dialled'],
]
for (const [to, target] of SIP_DIALS) {
  test(`${to} is dialled at ${JSON.stringify(target)}`, () => {
    const found = dial(to, 'client:priya')
    assert.deepEqual(typeof found === 'string' ? found : found.target, target)
    if (typeof found === 'string') return
    assert.equal(found.uri, to)
    assert.equal(found.fromHeader, '<sip:priya@pbx.example.net>')
  })
}

test('a number goes to the trunk that carries the caller id, with its credentials, as E.164', () => {
  assert.deepEqual(dial('+919876543210', '+918022222222'), {
    uri: 'sip:+919876543210@203.0.113.9:5080;transport=tcp',
    target: { transport: 'tcp', host: '203.0.113.9', port: 5080 },
    fromHeader: '<sip:+918022222222@203.0.113.9>',
    toHeader: '<sip:+919876543210@203.0.113.9>',
    credentials: { username: 'tenant', password: 'secret' },
  })
})

test('a number goes to the first trunk when none carries the caller id, and nowhere without trunks', () => {
  const first = dial('+919876543210', '+14155550100')
  assert.equal(typeof first === 'string' ? first : first.uri, 'sip:+919876543210@gw.example.com')
  assert.equal(typeof first === 'string' ? first : first.credentials, null)
  assert.equal(dial('+919876543210', '+14155550100', ACME, { ...world, trunks: [] }), 'no trunk')
})

test('an IPv6 host is written in brackets', () => {
  const found = dial('client:priya', '+918011111111', ACME, { ...world, advertisedHost: '2001:db8::1' })
  assert.equal(typeof found === 'string' ? found : found.fromHeader, '<sip:+918011111111@[2001:db8::1]>')
})

for (const uri of ['https://gw', 'sips:gw.example.com', 'gw', 'tel:+911']) {
  test(`${uri} is no trunk`, () => assert.equal(readTrunk({ name: 'x', uri, numbers: [] }), null))
}

const hop = (host: string, port = 5060, transport: 'udp' | 'tcp' = 'udp'): Hop => ({ host, port, transport })
const CLAIMS: readonly [string, Hop, string, string | null, readonly string[] | null][] = [
  ['a trunk by one of its addresses', hop('198.51.100.2'), '<sip:+919@gw>', null, ['first']],
  ['a trunk by its address, from any port', hop('203.0.113.9', 33_333), '<sip:+919@gw>', null, ['second']],
  ['a stranger', hop('192.0.2.66'), '<sip:100@1.1.1.1>', null, null],
  ['a stranger who says a trunk’s host in From', hop('192.0.2.66'), '<sip:+919@gw.example.com>', null, null],
  ['an agent behind the address of a trunk', hop('198.51.100.2'), '<sip:priya@pbx.example.net>', null, null],
  ['credentials from the address of a trunk', hop('198.51.100.2'), '<sip:+919@gw>', 'tenant', null],
  ['the loopback trunk at its own port', hop('127.0.0.1', 6000), '<sip:+919@gw>', null, ['local']],
  ['another port of the loopback address', hop('127.0.0.1', 6001), '<sip:+919@gw>', null, null],
  ['a From that cannot be read, from a trunk', hop('198.51.100.1'), 'garbage<', null, ['first']],
]
for (const [title, from, fromHeader, claimed, trunks] of CLAIMS) {
  test(`${title}: ${trunks ? `is ${trunks.join(', ')}` : 'must prove who they are'}`, () => {
    const claim = claimOf(world, request('sip:+918011111111@pbx', { From: fromHeader }), from, claimed)
    assert.deepEqual(claim.kind === 'trunk' ? claim.trunks.map((trunk) => trunk.settings.name) : null, trunks)
  })
}

test('agents and trunks have passwords, nobody else', () => {
  assert.equal(passwordOf(world, 'priya'), 'pw-priya')
  assert.equal(passwordOf(world, 'tenant'), 'secret')
  for (const name of ['first', 'constructor', '', 'Priya']) assert.equal(passwordOf(world, name), null)
})

const AGENT_DIALS: readonly [string, string | null][] = [
  ['sip:ravi@pbx.example.net', 'client:ravi'],
  ['sip:ravi@PBX.example.net:5070', 'client:ravi'],
  ['sip:1001@192.0.2.1', 'client:1001'],
  ['sip:9876543210@pbx.example.net', '+919876543210'],
  ['sip:09876543210@pbx.example.net;user=phone', '+919876543210'],
  ['sip:%2B919876543210@pbx.example.net', '+919876543210'],
  ['tel:+919876543210', '+919876543210'],
  ['sip:olga@pbx.example.net', null],
  ['sip:client:ravi@pbx.example.net', null],
  ['sip:911@pbx.example.net', null],
  ['sip:pbx.example.net', null],
  ['sip:ravi@192.0.2.1:5999', 'sip:ravi@192.0.2.1:5999'],
  ['sip:bob@partner.example.org', 'sip:bob@partner.example.org'],
  ['sip:bob@partner.example.org:5099;transport=tcp?x=y', 'sip:bob@partner.example.org:5099'],
  ['sip:b;evil=1@partner.example.org', null],
  ['sip:b%0d@partner.example.org', null],
  ['sips:ravi@pbx.example.net', null],
  ['urn:service:sos', null],
  ['nonsense', null],
]
for (const [uri, dialled] of AGENT_DIALS) {
  test(`an agent who dials ${uri} wants ${dialled ?? 'nobody'}`, () => {
    const call = callByName(world, 'priya', request(uri))
    assert.deepEqual(call, dialled === null ? null : { accountId: ACME, from: 'client:priya', dialled, source: 'agent' })
  })
}

test('[C7] a trunk may write the number in any spelling, in the Request-URI or in To', () => {
  for (const user of ['+918011111111', '918011111111', '08011111111', '8011111111']) {
    const call = callByTrunk(world, TRUNKS.slice(0, 1), request(`sip:${user}@192.0.2.1`, { From: '<sip:09876543210@gw>' }))
    assert.deepEqual(call, { accountId: ACME, from: '+919876543210', dialled: '+918011111111', source: 'trunk' }, user)
  }
  const registered = callByTrunk(world, TRUNKS.slice(0, 1), request('sip:s@192.0.2.1', { From: '<sip:09876543210@gw>', To: '<sip:08011111111@gw>' }))
  assert.equal(registered?.dialled, '+918011111111')
})

const FROMS: readonly [Readonly<Record<string, string>>, string][] = [
  [{ From: '"Asha" <sip:+919812345678@gw>;tag=1' }, '+919812345678'],
  [{ From: '<sip:anonymous@anonymous.invalid>', 'P-Asserted-Identity': '<sip:+919812345678@gw>' }, '+919812345678'],
  [{ From: '<sip:asha@pbx.example.org:5070>' }, 'sip:asha@pbx.example.org:5070'],
  [{ From: '<sip:a;b@pbx.example.org>' }, 'sip:anonymous@anonymous.invalid'],
  [{ From: `<sip:${'a'.repeat(200)}@h>` }, 'sip:anonymous@anonymous.invalid'],
  [{ From: '<sip:gw>' }, 'sip:anonymous@anonymous.invalid'],
  [{}, 'sip:anonymous@anonymous.invalid'],
]
for (const [headers, from] of FROMS) {
  test(`who calls from a trunk with ${JSON.stringify(headers).slice(0, 60)} is ${from}`, () => {
    assert.equal(callByTrunk(world, TRUNKS, request('sip:08011111111@h', headers))?.from, from)
  })
}

test('a trunk brings nobody but numbers of an account that it carries', () => {
  assert.equal(callByTrunk(world, TRUNKS.slice(0, 1), request('sip:8022222222@h')), null, 'carried by another trunk')
  assert.equal(callByTrunk(world, TRUNKS.slice(0, 1), request('sip:8099999999@h')), null, 'nobody’s number')
  assert.equal(callByTrunk(world, TRUNKS.slice(0, 1), request('sip:priya@h')), null, 'phones are not for trunks')
  assert.equal(callByTrunk(world, TRUNKS.slice(2), request('sip:8022222222@h'))?.accountId, ACME, 'a trunk without a list carries all')
})

test('a trunk that proves itself by its user name is that trunk', () => {
  assert.equal(callByName(world, 'tenant', request('sip:8022222222@h'))?.source, 'trunk')
  assert.equal(callByName(world, 'tenant', request('sip:8011111111@h')), null)
  assert.equal(callByName(world, 'nobody', request('sip:8011111111@h')), null)
})

test('the name in To is decoded', () => {
  assert.equal(userOfTo(request('sip:h', { To: '<sip:pri%79a@h>' })), 'priya')
  assert.equal(userOfTo(request('sip:h', { To: '<sip:h>' })), null)
})
