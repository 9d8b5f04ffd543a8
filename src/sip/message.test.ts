import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { responseTo } from './dialog.ts'
import { headerValue, oneLine, writeMessage } from './message.ts'
import type { HeaderField, SipMessage } from './message.ts'
import { parseMessage } from './parse.ts'
import { trimBlanks } from './uri.ts'

const FIELDS: readonly HeaderField[] = [
  { name: 'Via', value: 'SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa' },
  { name: 'Via', value: 'SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKb' },
  { name: 'Record-Route', value: '<sip:p;lr>' },
  { name: 'From', value: '<sip:a@b>;tag=1' },
  { name: 'To', value: '<sip:c@d>' },
  { name: 'Call-ID', value: 'x@y' },
  { name: 'CSeq', value: '1 INVITE' },
]
const NO_BODY = new Uint8Array(0)
const invite: SipMessage = { kind: 'request', method: 'INVITE', uri: 'sip:c@d', headers: FIELDS, body: NO_BODY }
const textOf = (message: SipMessage) => Buffer.from(writeMessage(message)).toString()

test('a request is written with its length, whatever length it claimed', () => {
  const message = { ...invite, headers: [...FIELDS.slice(0, 1), { name: 'content-length', value: '99' }], body: Buffer.from('é') }
  assert.equal(textOf(message), 'INVITE sip:c@d SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nContent-Length: 2\r\n\r\né')
})

test('a response is written, also without a reason', () => {
  assert.ok(textOf({ kind: 'response', status: 180, reason: 'Ringing', headers: [], body: NO_BODY }).startsWith('SIP/2.0 180 Ringing\r\n'))
  assert.ok(textOf({ kind: 'response', status: 100, reason: '', headers: [], body: NO_BODY }).startsWith('SIP/2.0 100 \r\n'))
})

test('a value cannot become another header, a body or another message', () => {
  for (const evil of ['x\r\nEvil: 1', 'x\nEvil: 1', 'x\rEvil: 1', 'x\r\n\r\nEvil', 'x\n\nEvil', '\r\nEvil: 1']) {
    const result = parseMessage(writeMessage({ ...invite, headers: [...FIELDS, { name: 'Subject', value: evil }] }))
    assert.ok(result.kind === 'message')
    assert.equal(result.message.headers.length, FIELDS.length + 2)
    assert.equal(headerValue(result.message, 'Evil'), undefined)
    const reply = parseMessage(writeMessage({ kind: 'response', status: 200, reason: evil, headers: FIELDS, body: NO_BODY }))
    assert.ok(reply.kind === 'message')
    assert.equal(headerValue(reply.message, 'Evil'), undefined)
  }
  assert.equal(oneLine('a\r\n\r\nb'), 'a b')
})

test('a start line or name that could not be read back is refused', () => {
  for (const change of [
    { method: 'IN VITE' },
    { method: '' },
    { uri: 'sip:a b' },
    { uri: '' },
    { uri: 'sip:a\r\nX: y' },
    { headers: [{ name: 'X:', value: '' }] },
    { headers: [{ name: 'X\r\nY', value: '' }] },
  ]) {
    assert.throws(() => writeMessage({ ...invite, ...change }), RangeError)
  }
  for (const status of [99, 700, 200.5, Number.NaN])
    assert.throws(() => writeMessage({ kind: 'response', status, reason: '', headers: [], body: NO_BODY }), RangeError)
})

test('a response copies what RFC 3261 §8.2.6.2 says, and tags To once', () => {
  const response = responseTo(
    { headers: [...FIELDS, { name: 'Subject', value: 'no' }] },
    { status: 486, reason: 'Busy Here', toTag: 't', extra: [{ name: 'Server', value: 'x' }] },
  )
  assert.deepEqual(
    response.headers.map((field) => field.name),
    ['Via', 'Via', 'Record-Route', 'From', 'To', 'Call-ID', 'CSeq', 'Server'],
  )
  assert.equal(headerValue(response, 'To'), '<sip:c@d>;tag=t')
  const tagged = responseTo(response, { status: 200, reason: 'OK', toTag: 'other', body: Buffer.from('x') })
  assert.equal(headerValue(tagged, 'To'), '<sip:c@d>;tag=t')
  assert.equal(tagged.body.length, 1)
  assert.equal(headerValue(responseTo({ headers: FIELDS }, { status: 100, reason: 'Trying', toTag: null }), 'To'), '<sip:c@d>')
})

const value = fc.string({ unit: 'grapheme', maxLength: 60 }).map((text) => trimBlanks(text.replace(/[\u0000-\u001f\u007f]/g, ' ')))
const extra = fc.array(fc.record({ name: fc.stringMatching(/^X-[A-Za-z0-9!%*_+`'~.-]{1,12}$/), value }, { noNullPrototype: true }), { maxLength: 20 })
const body = fc.uint8Array({ maxLength: 300 })

test('any message written is read back the same', () => {
  fc.assert(
    fc.property(extra, body, fc.boolean(), fc.integer({ min: 100, max: 699 }), value, (fields, bytes, asRequest, status, reason) => {
      const headers = [...FIELDS, ...fields]
      const message: SipMessage = asRequest ? { ...invite, headers, body: bytes } : { kind: 'response', status, reason, headers, body: bytes }
      const result = parseMessage(writeMessage(message), { stream: true })
      assert.ok(result.kind === 'message')
      assert.deepEqual(result.message, { ...message, headers: [...headers, { name: 'Content-Length', value: `${bytes.length}` }] })
    }),
  )
})
