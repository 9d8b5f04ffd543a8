import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Address, addressKind } from '../domain/address.ts'
import { ADDRESS_PATTERN, addressIn, addressOut, MAX_ADDRESS_CHARS } from './numbers.ts'

test('[C7] an Indian number may be written in five ways and is one number', () => {
  for (const written of ['+919876543210', '919876543210', '09876543210', '9876543210', ' 9876543210 '])
    assert.equal(addressIn(written), '+919876543210', written)
})

test('[C7] a landline is its STD code and number, with or without the 0', () => {
  for (const written of ['08040402400', '8040402400', '+918040402400', '918040402400']) assert.equal(addressIn(written), '+918040402400', written)
  assert.equal(addressIn('01126543210'), '+911126543210')
})

test('[C7] ten digits that begin with 91 are a mobile number, not a country code', () => {
  assert.equal(addressIn('9123456789'), '+919123456789')
  assert.equal(addressOut('+919123456789' as Address), '09123456789')
})

test('[C7] other countries need their plus', () => {
  assert.equal(addressIn('+14155550123'), '+14155550123')
  assert.equal(addressIn('+442079460000'), '+442079460000')
  assert.equal(addressIn('+1234567'), '+1234567')
  assert.equal(addressIn('14155550123'), null)
  assert.equal(addressIn('0014155550123'), null)
})

test('[C7] a plus that a form has turned into a blank is still a plus', () => {
  assert.equal(addressIn(' 919876543210'), '+919876543210')
  assert.equal(addressIn(' 14155550123'), '+14155550123')
  assert.equal(addressIn(' 123456'), null)
})

test('[C7] sip and client addresses are taken as given', () => {
  const cases = [
    'sip:bob@example.com',
    'sip:bob@10.0.0.7:5070',
    'sip:bob@[::1]:5060',
    'sip:+919876543210@trunk.example.com',
    'sip:Bob.Smith_1@Host',
    'sip:%23%2A31@pbx',
    'client:priya',
    'client:Priya.S_1-a',
  ]
  for (const written of cases) {
    assert.equal(addressIn(written), written)
    assert.equal(addressOut(written as Address), written)
  }
  assert.equal(addressIn('SIP:bob@example.com'), 'sip:bob@example.com')
  assert.equal(addressIn('Client:priya'), 'client:priya')
})

test('[C7] anything else is invalid', () => {
  const invalid = [
    '',
    ' ',
    '+',
    '0',
    '123',
    'abc',
    '98765',
    '00919876543210',
    '+0123456789',
    '+91987654321',
    '+9198765432101',
    '+910876543210',
    '0987654321',
    '98765 43210',
    '98765-43210',
    '(080)40402400',
    '9876543210x',
    '+1234567890123456',
    '٩٨٧٦٥٤٣٢١٠',
    'tel:+919876543210',
    'sips:bob@host',
    'sip:host',
    'sip:@host',
    'sip:bob@',
    'sip:bob@host:0',
    'sip:bob@host:70000',
    'sip:bob@host:',
    'sip:bob@-host',
    'sip:bob@ho..st',
    'sip:bob@host.',
    'sip:bob@[::zz]',
    'sip:bob:secret@host',
    'sip:a@b@c',
    'sip:bob@host;transport=tcp',
    'sip:bob@host;maddr=10.0.0.1',
    'sip:bob;x=y@host',
    'sip:bob@host?Route=x',
    'sip:bob@host/path',
    'client:',
    'client:a b',
    'client:a@b',
    `client:${'a'.repeat(65)}`,
    `sip:${'a'.repeat(129)}@host`,
    'priya',
    '<sip:bob@host>',
  ]
  for (const written of invalid) assert.equal(addressIn(written), null, JSON.stringify(written))
})

test('[C7] nothing that could end a header line or begin another passes, escaped or not', () => {
  const attacks = [
    'sip:bob@host\r\nRoute: <sip:evil>',
    'sip:bob\r\n@host',
    'sip:bob%0d%0a@host',
    'sip:bob%0A@host',
    'sip:bob%7f@host',
    'sip:bob%00@host',
    'sip:"bob"@host',
    'sip:bob>@host',
    'sip:bob@ho st',
    'sip:bob@host\u0000',
    'sip:böb@host',
    'client:a\r\nb',
    '+919876543210\r\nX: y',
    '+919876543210;ext=1',
  ]
  for (const written of attacks) assert.equal(addressIn(written), null, JSON.stringify(written))
})

test('[C7] what is longer than an address may be is refused without being looked at', () => {
  assert.equal(addressIn(`sip:bob@${'a.'.repeat(MAX_ADDRESS_CHARS)}com`), null)
  assert.equal(addressIn('9'.repeat(1_000_000)), null)
  const ofLength = (chars: number): string => `sip:${'u'.repeat(100)}@${'h.'.repeat((chars - 107) / 2)}in`
  assert.equal(addressIn(ofLength(MAX_ADDRESS_CHARS)), ofLength(MAX_ADDRESS_CHARS))
  assert.equal(addressIn(ofLength(MAX_ADDRESS_CHARS + 2)), null)
})

test('[C7] Indian numbers go out with a 0, others as E.164', () => {
  assert.equal(addressOut('+919876543210' as Address), '09876543210')
  assert.equal(addressOut('+14155550123' as Address), '+14155550123')
  assert.equal(addressOut('+9198' as Address), '+9198', 'a number that came in from a trunk and is no subscriber number stays whole')
})

test('[C7] what goes out comes in again as the same address, whatever was written', () => {
  const written = fc.oneof(
    fc.string({ unit: fc.constantFrom(...'0123456789+ -'), maxLength: 17 }),
    fc.string({ unit: fc.constantFrom(...'sip:clentSIP@[]%0aA9.;?/:'), maxLength: 24 }).map((tail) => `sip:${tail}`),
    fc.string({ unit: 'binary', maxLength: 40 }),
  )
  fc.assert(
    fc.property(written, (text) => {
      const address = addressIn(text)
      if (address === null) return
      assert.equal(addressIn(addressOut(address)), address)
      assert.match(address, /^[\x21-\x7e]+$/)
      assert.ok(['number', 'sip', 'client'].includes(addressKind(address)))
    }),
    { numRuns: 2000 },
  )
})

test('[C7] the pattern in the description allows what is accepted, and nothing else but a sip: host that is none', () => {
  const pattern = new RegExp(ADDRESS_PATTERN)
  const near = fc.oneof(
    fc.stringMatching(pattern),
    fc.string({ unit: fc.constantFrom(...'0123456789+'), maxLength: 17 }),
    fc.string({ unit: fc.constantFrom(...'clientsip:@a-_.9%'), maxLength: 20 }),
    fc.constantFrom('+919876543210', '+9198765432', '+9876543', '09876543210', '00876543210', 'client:anna', 'client:', 'sip:a@b'),
  )
  fc.assert(
    fc.property(near, (text) => {
      if (pattern.test(text)) assert.ok(addressIn(text) !== null || text.startsWith('sip:'), text)
      // In another case, or with blanks around it, what is written means the same.
      else if (addressIn(text) !== null) assert.match(text, /^(?:sip|client):/i)
    }),
    { numRuns: 1000 },
  )
})
