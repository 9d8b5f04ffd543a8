import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  contacts,
  cseqOf,
  expirySeconds,
  listValues,
  MAX_CSEQ,
  maxForwards,
  mediaType,
  newVia,
  optionTags,
  parseAuth,
  parseCount,
  parseCSeq,
  parseVia,
  routes,
  splitList,
  tagOf,
  topVia,
  vias,
  withTag,
  writeAuth,
  writeVia,
} from './header.ts'
import { parseNameAddr } from './uri.ts'

const headed = (...lines: readonly (readonly [string, string])[]) => ({ headers: lines.map(([name, value]) => ({ name, value })) })

test('a Via is read with blanks, ports, IPv6 and parameters', () => {
  const read = (text: string) => {
    const via = parseVia(text)
    return via && [via.protocol, via.transport, via.host, via.port, [...via.params]]
  }
  assert.deepEqual(read('SIP/2.0/udp host.example;branch=z9hG4bKx;rport'), [
    'SIP/2.0',
    'UDP',
    'host.example',
    null,
    [
      ['branch', 'z9hG4bKx'],
      ['rport', ''],
    ],
  ])
  assert.deepEqual(read(' SIP / 2.0 / TCP  [2001:db8::1]:5061 ; received = 192.0.2.1 '), [
    'SIP/2.0',
    'TCP',
    '2001:db8::1',
    5061,
    [['received', '192.0.2.1']],
  ])
  assert.deepEqual(read('SIP/2.0/UDP h '), ['SIP/2.0', 'UDP', 'h', null, []])
  assert.deepEqual(read('SIP/2.0/UDP h;;'), ['SIP/2.0', 'UDP', 'h', null, []])
  assert.deepEqual(read('SIP/2.0/UDP h;__proto__;branch=z9hG4bKx'), [
    'SIP/2.0',
    'UDP',
    'h',
    null,
    [
      ['__proto__', ''],
      ['branch', 'z9hG4bKx'],
    ],
  ])
})

test('what is no Via is refused', () => {
  for (const text of [
    '',
    'SIP/2.0',
    'SIP/2.0/UDP',
    'SIP/2.0/UDP ',
    'SIP/2.0/UDP ;branch=x',
    'SIP/2.0/UDP h x',
    'SIP/2.0/UDP h:0',
    'SIP/2.0/UDP h:99999',
    'SIP/2.0/UDP h;branch=a;branch=b',
    'SIP/2.0/UDP h;branch="x',
    'SIP/2.0/UDP [::1',
    ';',
  ]) {
    assert.equal(parseVia(text), null, text)
  }
})

test('a Via of ours reads back', () => {
  for (const host of ['192.0.2.1', '2001:db8::1', 'earshot.example']) {
    const via = newVia('UDP', host, 5060, 'z9hG4bKabc')
    assert.deepEqual(parseVia(writeVia(via)), via)
  }
})

test('the topmost Via is the first element of the first field, and one bad Via spoils the list', () => {
  const message = headed(['Via', 'SIP/2.0/UDP a, SIP/2.0/TCP b'], ['via', 'SIP/2.0/TLS c'])
  assert.equal(topVia(message)?.host, 'a')
  assert.deepEqual(
    vias(message)?.map((via) => via.host),
    ['a', 'b', 'c'],
  )
  assert.equal(vias(headed(['Via', 'SIP/2.0/UDP a, nonsense'])), null)
  assert.equal(topVia(headed()), null)
})

test("CSeq runs to 2^31-1 and keeps the method's spelling", () => {
  assert.deepEqual(parseCSeq('0009  invite'), { sequence: 9, method: 'invite' })
  assert.deepEqual(parseCSeq(`${MAX_CSEQ} ACK`), { sequence: 2147483647, method: 'ACK' })
  assert.deepEqual(cseqOf(headed(['CSeq', '1 BYE'])), { sequence: 1, method: 'BYE' })
  for (const text of ['2147483648 ACK', '36893488147419103232 X', '-1 ACK', '1', 'ACK', '1 A B', '1ACK', '', ' 1 ACK', '1.5 ACK'])
    assert.equal(parseCSeq(text), null, text)
  assert.equal(cseqOf(headed()), null)
})

test("a tag is the header's, not the URI's, and is added once", () => {
  assert.equal(tagOf('<sip:a@b;tag=no>;tag=yes'), 'yes')
  assert.equal(tagOf('<sip:a@b;tag=no>'), null)
  assert.equal(tagOf('sip:a@b;tag=yes'), 'yes')
  assert.equal(tagOf('broken <'), null)
  assert.equal(withTag('<sip:a@b>', 'x'), '<sip:a@b>;tag=x')
  assert.equal(withTag('<sip:a@b>;tag=y', 'x'), '<sip:a@b>;tag=y')
})

test('a list is split at commas, but not at those in quotes or brackets', () => {
  const lists: readonly (readonly [string, readonly string[]])[] = [
    ['', []],
    ['a', ['a']],
    [' a , b ', ['a', 'b']],
    ['"a,\\"b" <sip:x,y@z>;p="1,2", <sip:c>', ['"a,\\"b" <sip:x,y@z>;p="1,2"', '<sip:c>']],
    ['a,,b,', ['a', 'b']],
    [',', []],
    ['"open, x', ['"open, x']],
    ['<open, x', ['<open, x']],
    ['<a"b>, c', ['<a"b>', 'c']],
    ['a, "', ['a', '"']],
    ['a,"\\', ['a', '"\\']],
  ]
  for (const [text, elements] of lists) assert.deepEqual(splitList(text), elements, text)
})

test('splitting loses nothing: quoted elements come back whole', () => {
  const element = fc.string({ unit: 'binary-ascii', maxLength: 12 }).map((text) => `"${text.replace(/["\\]/g, '\\$&')}"`)
  fc.assert(fc.property(fc.array(element, { minLength: 1 }), (elements) => assert.deepEqual(splitList(elements.join(',')), elements)))
})

test('Contact is a list or a star', () => {
  assert.equal(contacts(headed(['Contact', '*'])), '*')
  const list = contacts(headed(['Contact', '<sip:a@b>;expires=60, sip:c@d'], ['Contact', '"x, y" <sip:e@f>']))
  assert.ok(list !== '*')
  assert.deepEqual(
    list.map((contact) => contact.uri.user),
    ['a', 'c', 'e'],
  )
  assert.deepEqual(contacts(headed()), [])
})

test('routes keep the order of the message', () => {
  const message = headed(['Record-Route', '<sip:p3;lr>, <sip:p2;lr>'], ['Record-Route', '<sip:p1;lr>'], ['Route', '<sip:x>'])
  assert.deepEqual(
    routes(message, 'Record-Route').map((route) => route.uri.host),
    ['p3', 'p2', 'p1'],
  )
  assert.deepEqual(listValues(message, 'Record-Route'), ['<sip:p3;lr>', '<sip:p2;lr>', '<sip:p1;lr>'])
  assert.deepEqual(optionTags(headed(['Require', '100rel, Timer']), 'Require'), ['100rel', 'timer'])
})

test('a challenge is read with its quotes, commas and blanks', () => {
  const auth = parseAuth('Digest realm="a, \\"b\\"",nonce="x=",  qop="auth,auth-int" , stale=TRUE, algorithm=MD5')
  assert.equal(auth?.scheme, 'digest')
  assert.deepEqual(
    [...(auth?.params ?? [])],
    [
      ['realm', 'a, "b"'],
      ['nonce', 'x='],
      ['qop', 'auth,auth-int'],
      ['stale', 'TRUE'],
      ['algorithm', 'MD5'],
    ],
  )
  assert.deepEqual(
    [...(parseAuth('Digest __proto__="x", a=1')?.params ?? [])],
    [
      ['__proto__', 'x'],
      ['a', '1'],
    ],
  )
  for (const text of ['', 'Digest', 'Digest realm', 'Digest realm="x', 'Digest a=1 b=2', 'Digest a=1, a=2', 'Digest a="1"b'])
    assert.equal(parseAuth(text), null, text)
})

test('credentials survive writing', () => {
  const params = new Map([
    ['username', 'a"b\\c'],
    ['nc', '00000001'],
  ])
  assert.deepEqual(parseAuth(writeAuth('Digest', params, ['nc'])), { scheme: 'digest', params })
})

test('numbers saturate, and what is no number is none', () => {
  assert.equal(parseCount('007', 100), 7)
  assert.equal(parseCount('9'.repeat(400), 100), 100)
  for (const text of ['', '-1', '1.5', '1e3', ' 1', '0x10', '１']) assert.equal(parseCount(text, 100), null, text)
  assert.equal(maxForwards(headed(['Max-Forwards', '70'])), 70)
  assert.equal(maxForwards(headed()), null)
})

test("a contact's own expiry goes before the message's", () => {
  const message = headed(['Expires', '3600'])
  assert.equal(expirySeconds(message, parseNameAddr('<sip:a@b>;expires=60')), 60)
  assert.equal(expirySeconds(message, parseNameAddr('<sip:a@b>')), 3600)
  assert.equal(expirySeconds(message, parseNameAddr('<sip:a@b>;expires=soon')), 3600)
  assert.equal(expirySeconds(headed(), null), null)
})

test('the media type is in lower case and without parameters', () => {
  assert.equal(mediaType(headed(['Content-Type', 'Application / SDP ;charset=utf-8'])), 'application/sdp')
  assert.equal(mediaType(headed(['Content-Type', 'nonsense'])), null)
  assert.equal(mediaType(headed()), null)
})
