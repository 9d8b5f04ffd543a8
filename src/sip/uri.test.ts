import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  escapeUser,
  MAX_URI_CHARS,
  NO_PARAMS,
  parseNameAddr,
  parseParams,
  parseUri,
  quote,
  sameUri,
  scanHostPort,
  trimBlanks,
  unquote,
  userText,
  writeNameAddr,
  writeParams,
  writeUri,
} from './uri.ts'
import type { SipUri } from './uri.ts'

const read: readonly (readonly [string, Partial<SipUri>])[] = [
  ['sip:example.com', { scheme: 'sip', user: '', host: 'example.com', port: null }],
  ['SIPS:Alice@Example.COM:5061', { scheme: 'sips', user: 'Alice', host: 'Example.COM', port: 5061 }],
  ['sip:alice:secret@example.com', { user: 'alice', password: 'secret' }],
  ['sip:alice:@example.com', { user: 'alice', password: '' }],
  [
    'sip:+919876543210@203.0.113.7:5080;transport=tcp;lr',
    {
      user: '+919876543210',
      host: '203.0.113.7',
      port: 5080,
      params: new Map([
        ['transport', 'tcp'],
        ['lr', ''],
      ]),
    },
  ],
  ['sip:[2001:db8::1]:5062;LR', { host: '2001:db8::1', port: 5062, params: new Map([['lr', '']]) }],
  ['sip:*72#@pbx_1.local', { user: '*72#', host: 'pbx_1.local' }],
  ['sip:a@b;;lr', { params: new Map([['lr', '']]) }],
  ['sip:a@b?Subject=x&y=z', { headers: 'Subject=x&y=z' }],
  ['tel:+91-98765;phone-context=+91', { scheme: 'tel', user: '+91-98765', params: new Map([['phone-context', '+91']]) }],
  ['urn:service:sos', { scheme: 'urn', opaque: 'service:sos' }],
]
for (const [text, expected] of read) {
  test(`the URI ${text} is read`, () => {
    const uri = parseUri(text)
    assert.ok(uri)
    for (const [key, value] of Object.entries(expected)) assert.deepEqual(uri[key as keyof SipUri], value, key)
    assert.deepEqual(parseUri(writeUri(uri)), uri, 'and survives writing')
  })
}

const refused = [
  '',
  'sip',
  'sip:',
  ':x',
  '1sip:a@b',
  'sip:@b',
  'sip:a@',
  'sip:a@b:0',
  'sip:a@b:65536',
  'sip:a@b:',
  'sip:a@b:99999999999999999999',
  'sip:a@b@c',
  'sip:a b@c',
  'sip:a@b ',
  '<sip:a@b>',
  'sip:a@b;lr;lr',
  'sip:a@b;=x',
  'sip:a@b;x=y=z',
  'sip:a%4@b',
  'sip:a%zz@b',
  'sip:a@b\r\nVia: x',
  'sip:2001:db8::10',
  'sip:[2001:db8::10',
  'sip:[::1]x',
  'sip:[:::1]',
  'sip:[1:2:3:4:5:6:7]',
  'sip:[1:2:3:4:5:6:7:8:9]',
  'sip:[::12345]',
  'sip:[::1.2.3]',
  'sip:[::1.2.3.256]',
  'sip:[1::2::3]',
  'sip:[1.2.3.4::]',
  'sip:a@b?x=@y',
  'tel:',
  'tel:abc%',
  'urn:',
  `sip:${'a'.repeat(MAX_URI_CHARS)}@b`,
]
for (const text of refused) {
  test(`the URI ${JSON.stringify(text.slice(0, 40))} is refused`, () => assert.equal(parseUri(text), null))
}

test('userText decodes escapes, and leaves those that are no UTF-8', () => {
  assert.equal(userText(parseUri('sip:%2B91%E0%A4%AA@b') ?? assert.fail()), '+91प')
  assert.equal(userText(parseUri('sip:a%FF@b') ?? assert.fail()), 'a%FF')
})

test('any text can be put into the user part and is read back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), (text) => {
      const uri = parseUri(`sip:${escapeUser(text)}@example.com`)
      return uri !== null && userText(uri) === text
    }),
  )
})

const pairs: readonly (readonly [string, string, boolean])[] = [
  // The examples of RFC 3261 §19.1.4.
  ['sip:%61lice@atlanta.com;transport=TCP', 'sip:alice@AtLanTa.CoM;Transport=tcp', true],
  ['sip:carol@chicago.com', 'sip:carol@chicago.com;newparam=5', true],
  ['sip:carol@chicago.com', 'sip:carol@chicago.com;security=on', true],
  [
    'sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com',
    'sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com',
    true,
  ],
  ['sip:alice@atlanta.com?subject=project%20x&priority=urgent', 'sip:alice@atlanta.com?priority=urgent&subject=project%20x', true],
  ['SIP:ALICE@AtLanTa.CoM;Transport=udp', 'sip:alice@AtLanTa.CoM;Transport=UDP', false],
  ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:5060', false],
  ['sip:bob@biloxi.com', 'sip:bob@biloxi.com;transport=udp', false],
  ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:6000;transport=tcp', false],
  ['sip:carol@chicago.com', 'sip:carol@chicago.com?Subject=next%20meeting', false],
  ['sip:bob@phone21.boxesbybob.com', 'sip:bob@192.0.2.4', false],
  ['sip:carol@chicago.com;security=off', 'sip:carol@chicago.com;security=on', false],
  ['sip:a@b', 'sips:a@b', false],
  ['tel:+91', 'tel:+92', false],
]
for (const [left, right, same] of pairs) {
  test(`${left} and ${right} are ${same ? 'the same' : 'different'}`, () => {
    const [one, other] = [parseUri(left), parseUri(right)]
    assert.ok(one !== null && other !== null)
    assert.equal(sameUri(one, other), same)
    assert.equal(sameUri(other, one), same)
    assert.equal(sameUri(one, one), true)
  })
}

test('a name-addr is read in each of its forms', () => {
  const forms: readonly (readonly [string, string, string, readonly (readonly [string, string])[]])[] = [
    ['sip:a@b;tag=1', '', 'sip:a@b', [['tag', '1']]],
    ['<sip:a@b;lr>;tag=1', '', 'sip:a@b;lr', [['tag', '1']]],
    ['Priya Rao <sip:a@b>', 'Priya Rao', 'sip:a@b', []],
    ['प्रिया <sip:a@b>', 'प्रिया', 'sip:a@b', []],
    [
      '"Rao, \\"P\\" <x>"<sip:a@b>;q=0.7;expires=60',
      'Rao, "P" <x>',
      'sip:a@b',
      [
        ['q', '0.7'],
        ['expires', '60'],
      ],
    ],
    [' "" <sip:a@b> ; x = "y;z" ', '', 'sip:a@b', [['x', 'y;z']]],
    ['Desk (2) <sip:a@b>', 'Desk (2)', 'sip:a@b', []],
    ['a@b.example <sip:a@b>', 'a@b.example', 'sip:a@b', []],
    ['<tel:+9198>', '', 'tel:+9198', []],
  ]
  for (const [text, display, uri, params] of forms) {
    const address = parseNameAddr(text)
    assert.ok(address, text)
    assert.deepEqual([address.display, writeUri(address.uri), [...address.params]], [display, uri, params])
    assert.deepEqual(parseNameAddr(writeNameAddr(address)), address)
  }
})

test('what is no name-addr is refused', () => {
  const texts = [
    '',
    '<>',
    '<sip:a@b',
    'sip:a@b>',
    '"x <sip:a@b>',
    'a, b <sip:a@b>',
    'a;b <sip:a@b>',
    'a\\b <sip:a@b>',
    '< sip:a@b >',
    'sip:a@b?x=y',
    'sip:a@b,sip:c@d',
    '<sip:a@b>;tag=1;tag=2',
    '<sip:a@b> x',
    '<sip:a@b>;"x"',
    '"a" "b" <sip:a@b>',
    '<<sip:a@b>>',
    '*',
  ]
  for (const text of texts) assert.equal(parseNameAddr(text), null, text)
})

test('parameters named like Object.prototype members are parameters', () => {
  const params = parseParams(';__proto__;constructor=x;hasOwnProperty', 0)
  assert.deepEqual(
    [...(params ?? [])],
    [
      ['__proto__', ''],
      ['constructor', 'x'],
      ['hasownproperty', ''],
    ],
  )
})

test('parameters survive writing whatever their values', () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/)
  const value = fc.string({ unit: 'binary-ascii', maxLength: 20 }).map((text) => text.replace(/[\r\n]/g, ''))
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(name, value), { selector: ([key]) => key }), (list) => {
      assert.deepEqual([...(parseParams(writeParams(new Map(list)), 0) ?? [])], list)
    }),
  )
})

test("quote and unquote are each other's reverse", () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => unquote(quote(text).slice(1, -1)) === text))
})

test('a host and port are read where they stand', () => {
  assert.deepEqual(scanHostPort('x 10.0.0.1 : 5060;y', 2), { host: '10.0.0.1', port: 5060, end: 17 })
  assert.deepEqual(scanHostPort('[::ffff:1.2.3.4]', 0), { host: '::ffff:1.2.3.4', port: null, end: 16 })
  assert.equal(scanHostPort(';', 0), null)
  assert.equal(scanHostPort('h', 1), null)
})

test('blanks are space and tab; a byte-order mark is not one', () => {
  assert.equal(trimBlanks(' \t\ufeffx\u00a0 '), '\ufeffx\u00a0')
  assert.equal(trimBlanks('  '), '')
  assert.equal(NO_PARAMS.size, 0)
})
