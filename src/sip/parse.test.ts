import assert from 'node:assert/strict'
import { test } from 'node:test'
import { headerValue, headerValues } from './message.ts'
import type { SipMessage } from './message.ts'
import {
  canonicalName,
  MAX_ADDRESSES,
  MAX_BODY_BYTES,
  MAX_BRANCH_CHARS,
  MAX_CALL_ID_CHARS,
  MAX_HEAD_BYTES,
  MAX_HEADERS,
  MAX_METHOD_CHARS,
  MAX_TAG_CHARS,
  MAX_VIAS,
  parseMessage,
} from './parse.ts'
import type { ParseResult } from './parse.ts'
import { MAX_URI_CHARS } from './uri.ts'

const BASE: Readonly<Record<string, string>> = {
  Via: 'SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa1',
  From: '<sip:a@example.com>;tag=1',
  To: '<sip:b@example.com>',
  'Call-ID': 'c1@example.com',
  CSeq: '1 OPTIONS',
  'Max-Forwards': '70',
}

/** The base request with fields replaced, or left out when undefined; then `extra` lines, then the body. */
function text(
  changes: Readonly<Record<string, string | undefined>> = {},
  options: { start?: string; extra?: readonly string[]; body?: string } = {},
): string {
  const fields = Object.entries({ ...BASE, ...changes }).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]))
  return [options.start ?? 'OPTIONS sip:b@example.com SIP/2.0', ...fields, ...(options.extra ?? []), '', options.body ?? ''].join('\r\n')
}

const parse = (message: string, stream = false): ParseResult => parseMessage(Buffer.from(message, 'latin1'), { stream })

function read(message: string, stream = false): SipMessage {
  const result = parse(message, stream)
  assert.ok(result.kind === 'message', result.kind === 'malformed' ? result.reason : '')
  return result.message
}

function refused(message: string, stream = false): { readonly status: number; readonly reason: string; readonly answerable: boolean } {
  const result = parse(message, stream)
  assert.ok(result.kind === 'malformed', 'it was read')
  return { status: result.status, reason: result.reason, answerable: result.answerable !== null }
}

test('a plain request is read', () => {
  const message = read(text())
  assert.ok(message.kind === 'request')
  assert.deepEqual([message.method, message.uri, message.body.length], ['OPTIONS', 'sip:b@example.com', 0])
  assert.deepEqual(
    message.headers.map((field) => field.name),
    Object.keys(BASE),
  )
})

test('a plain response is read, also without a reason', () => {
  const message = read(text({}, { start: 'SIP/2.0 486 Busy  Here' }))
  assert.ok(message.kind === 'response')
  assert.deepEqual([message.status, message.reason], [486, 'Busy  Here'])
  for (const start of ['SIP/2.0 200', 'SIP/2.0 200 ', 'sip/2.0 200 OK']) assert.equal(read(text({}, { start })).kind, 'response', start)
})

test('compact names, odd case and blanks before the colon become the canonical name', () => {
  const compact: readonly (readonly [string, string])[] = [
    ['v', 'Via'],
    ['f', 'From'],
    ['t', 'To'],
    ['i', 'Call-ID'],
    ['m', 'Contact'],
    ['l', 'Content-Length'],
    ['c', 'Content-Type'],
    ['e', 'Content-Encoding'],
    ['s', 'Subject'],
    ['k', 'Supported'],
    ['o', 'Event'],
    ['r', 'Refer-To'],
    ['b', 'Referred-By'],
    ['u', 'Allow-Events'],
    ['x', 'Session-Expires'],
    ['y', 'Identity'],
    ['CALL-id', 'Call-ID'],
    ['www-authenticate', 'WWW-Authenticate'],
    ['rack', 'RAck'],
    ['cseq', 'CSeq'],
    ['X-Own', 'X-Own'],
    ['__proto__', '__proto__'],
    ['constructor', 'constructor'],
  ]
  for (const [sent, name] of compact) assert.equal(canonicalName(sent), name)
  const message = read(text({ Via: undefined, From: undefined }, { extra: ['v : SIP/2.0/UDP h;branch=z9hG4bKq', 'F\t:<sip:a@b>;tag=2'] }))
  assert.deepEqual([headerValue(message, 'Via'), headerValue(message, 'from')], ['SIP/2.0/UDP h;branch=z9hG4bKq', '<sip:a@b>;tag=2'])
})

test('folded lines are one value', () => {
  const message = read(text({}, { extra: ['Subject: one', '  two\t', '\tthree', 'X-Empty:', ' ', 'X-Late:', '  value'] }))
  assert.deepEqual(
    ['Subject', 'X-Empty', 'X-Late'].map((name) => headerValue(message, name)),
    ['one two three', '', 'value'],
  )
})

test('line ends before the start line are ignored', () => assert.equal(read(`\r\n\r\n\r\n${text()}`).kind, 'request'))

test('UTF-8 is read as such, anything else as Latin-1, and byte-order marks are kept', () => {
  const utf8 = parseMessage(Buffer.from(text({ Subject: 'नमस्ते \ufeff' }), 'utf8'))
  assert.ok(utf8.kind === 'message')
  assert.equal(headerValue(utf8.message, 'Subject'), 'नमस्ते \ufeff')
  assert.equal(headerValue(read(text({ Subject: 'caf\u00e9' })), 'Subject'), 'caf\u00e9')
})

test('the body of a datagram ends where Content-Length says, or with the datagram', () => {
  const bodyOf = (changes: Record<string, string>) => Buffer.from(read(text(changes, { body: 'abcdef' })).body).toString()
  assert.equal(bodyOf({ 'Content-Length': '4' }), 'abcd')
  assert.equal(bodyOf({ 'Content-Length': '0' }), '')
  assert.equal(bodyOf({ 'Content-Length': '006' }), 'abcdef')
  assert.equal(bodyOf({}), 'abcdef')
  assert.deepEqual(refused(text({ l: '7' }, { body: 'abcdef' })), { status: 400, reason: 'Malformed Content-Length', answerable: true })
})

test('of a stream, Content-Length must be there and exact', () => {
  assert.equal(read(text({ l: '6' }, { body: 'abcdef' }), true).body.length, 6)
  assert.equal(refused(text({}, { body: '' }), true).reason, 'Missing Content-Length')
  for (const length of ['5', '7', '-1', '6 6', '0x6', ''])
    assert.equal(refused(text({ l: length }, { body: 'abcdef' }), true).reason, 'Malformed Content-Length', length)
})

test('the body is a copy: the caller may use its buffer again', () => {
  const bytes = Buffer.from(text({}, { body: 'abc' }))
  const result = parseMessage(bytes)
  bytes.fill(0)
  assert.ok(result.kind === 'message')
  assert.equal(Buffer.from(result.message.body).toString(), 'abc')
})

const startLines: readonly (readonly [string, number, string, boolean])[] = [
  ['OPTIONS sip:b@example.com SIP/3.0', 505, 'Version Not Supported', true],
  ['OPTIONS sip:b@example.com SIP/2.00', 505, 'Version Not Supported', true],
  ['OPTIONS sip:b@example.com HTTP/1.1', 400, 'Malformed Request-Line', true],
  ['OPTIONS sip:b@example.com', 400, 'Malformed Request-Line', true],
  ['OPTIONS  SIP/2.0', 400, 'Malformed Request-Line', true],
  ['OPTIONS SIP/2.0', 400, 'Malformed Request-Line', true],
  ['OPTIONS sip:b@example.com SIP/2.0 ', 400, 'Malformed Request-Line', true],
  ['OPTIONS sip:b@ex ample.com SIP/2.0', 400, 'Malformed Request-Line', true],
  ['OPTIONS sip:b@example.com\tSIP/2.0', 400, 'Malformed Request-Line', true],
  ['OPTIONS sip:b@ SIP/2.0', 400, 'Malformed Request-URI', true],
  ['OPTIONS sip:b@example.com?Route=x SIP/2.0', 400, 'Malformed Request-URI', true],
  [`OPTIONS sip:${'b'.repeat(MAX_URI_CHARS)}@example.com SIP/2.0`, 414, 'Request-URI Too Long', true],
  ['OPTIONS', 400, 'Malformed Start Line', false],
  ['', 400, 'Malformed Start Line', false],
  [' OPTIONS sip:b@example.com SIP/2.0', 400, 'Malformed Start Line', false],
  ['OPT(IONS sip:b@example.com SIP/2.0', 400, 'Malformed Start Line', false],
  [`${'M'.repeat(MAX_METHOD_CHARS + 1)} sip:b@example.com SIP/2.0`, 400, 'Malformed Start Line', false],
  ['SIP/2.0 099 Low', 400, 'Malformed Start Line', false],
  ['SIP/2.0 700 High', 400, 'Malformed Start Line', false],
  ['SIP/2.0 20 Short', 400, 'Malformed Start Line', false],
  ['SIP/2.0 2000 Long', 400, 'Malformed Start Line', false],
  ['SIP/2.0  200 OK', 400, 'Malformed Start Line', false],
  ['SIP/7.0 200 OK', 400, 'Malformed Start Line', false],
  ['SIP/2.0', 400, 'Malformed Start Line', false],
]
for (const [start, status, reason, answerable] of startLines) {
  test(`the start line ${JSON.stringify(start.slice(0, 50))} is refused: ${reason}`, () =>
    assert.deepEqual(refused(text({}, { start })), { status, reason, answerable }))
}

test('a URI of a scheme that nobody knows is no fault of the message', () => {
  for (const uri of ['foo:bar', 'tel:+91', 'urn:service:sos']) assert.equal(read(text({}, { start: `OPTIONS ${uri} SIP/2.0` })).kind, 'request')
})

const fields: readonly (readonly [Readonly<Record<string, string | undefined>>, string, boolean])[] = [
  [{ Via: undefined }, 'Missing Via', false],
  [{ From: undefined }, 'Missing From', false],
  [{ To: undefined }, 'Missing To', false],
  [{ 'Call-ID': undefined }, 'Missing Call-ID', false],
  [{ CSeq: undefined }, 'Missing CSeq', false],
  [{ 'Call-ID': '' }, 'Missing Call-ID', false],
  [{ i: 'again' }, 'Duplicate Call-ID', false],
  [{ cseq: '1 OPTIONS' }, 'Duplicate CSeq', false],
  [{ t: '<sip:x@y>' }, 'Duplicate To', false],
  [{ f: '<sip:x@y>' }, 'Duplicate From', false],
  [{ l: '0', 'Content-Length': '0' }, 'Duplicate Content-Length', true],
  [{ 'max-forwards': '70' }, 'Duplicate Max-Forwards', true],
  [{ Via: 'SIP/2.0/UDP h;branch=z9hG4bK' }, 'Malformed Branch', true],
  [{ Via: `SIP/2.0/UDP h;branch=z9hG4bK${'x'.repeat(MAX_BRANCH_CHARS)}` }, 'Malformed Branch', true],
  [{ Via: 'SIP/2.0/UDP h;branch=a;branch=b' }, 'Malformed Via', false],
  [{ Via: 'SIP/7.0/UDP h;branch=z9hG4bKx' }, 'Malformed Via', true],
  [{ Via: 'nonsense' }, 'Malformed Via', false],
  [{ v: 'nonsense' }, 'Malformed Via', true],
  [{ Via: Array.from({ length: MAX_VIAS + 1 }, () => 'SIP/2.0/UDP h;branch=z9hG4bKx').join(', ') }, 'Too Many Via', true],
  [{ CSeq: '1 INVITE' }, 'CSeq Method Mismatch', true],
  [{ CSeq: '1 options' }, 'CSeq Method Mismatch', true],
  [{ CSeq: '2147483648 OPTIONS' }, 'Malformed CSeq', true],
  [{ 'Call-ID': 'a b' }, 'Malformed Call-ID', true],
  [{ 'Call-ID': 'x'.repeat(MAX_CALL_ID_CHARS + 1) }, 'Malformed Call-ID', true],
  [{ From: '<sip:a@b' }, 'Malformed From', true],
  [{ From: '<sip:a@b>;tag=1;tag=2' }, 'Malformed From', true],
  [{ From: `<sip:a@b>;tag=${'x'.repeat(MAX_TAG_CHARS + 1)}` }, 'Malformed From', true],
  [{ From: '<sip:a@b>;tag' }, 'Malformed From', true],
  [{ To: '<sip:a@b>;tag=""' }, 'Malformed To', true],
  [{ To: '<sip:a@b>;tag="a;b"' }, 'Malformed To', true],
  [{ Via: 'SIP/2.0/UDP h;branch' }, 'Malformed Branch', true],
  [{ Via: 'SIP/2.0/UDP h;branch="z9hG4bK x"' }, 'Malformed Branch', true],
  [{ To: '"x <sip:a@b>' }, 'Malformed To', true],
  [{ Contact: '<sip:a@b>, *' }, 'Malformed Contact', true],
  [{ Contact: Array.from({ length: MAX_ADDRESSES + 1 }, () => '<sip:a@b>').join(',') }, 'Too Many Contact', true],
  [{ Route: 'sip:a@b?x=y' }, 'Malformed Route', true],
  [{ 'Record-Route': '<>' }, 'Malformed Record-Route', true],
  [{ 'Max-Forwards': '256' }, 'Malformed Max-Forwards', true],
  [{ 'Max-Forwards': 'many' }, 'Malformed Max-Forwards', true],
  [{ Date: 'yesterday' }, 'Malformed Date', true],
  [{ 'Bad Name': 'x' }, 'Malformed Header Field', true],
  [{ '': 'x' }, 'Malformed Header Field', true],
]
for (const [changes, reason, answerable] of fields) {
  test(`${JSON.stringify(changes).slice(0, 60)} is refused: ${reason}`, () =>
    assert.deepEqual(refused(text(changes)), { status: 400, reason, answerable }))
}

test('what a request is answered by is nothing but the copied fields, in order', () => {
  const result = parse(text({ CSeq: '1 INVITE' }, { extra: ['Via: SIP/2.0/TCP second', 'Subject: no'] }))
  assert.ok(result.kind === 'malformed' && result.answerable !== null)
  assert.equal(result.answerable.method, 'OPTIONS')
  assert.deepEqual(
    result.answerable.headers.map((field) => field.name),
    ['Via', 'From', 'To', 'Call-ID', 'CSeq', 'Via'],
  )
  assert.equal(headerValues(result.answerable, 'Via').length, 2)
})

test('neither an ACK nor a response is ever answered', () => {
  assert.equal(refused(text({ CSeq: '1 INVITE' }, { start: 'ACK sip:b@example.com SIP/2.0' })).answerable, false)
  assert.equal(refused(text({ CSeq: 'x' }, { start: 'SIP/2.0 200 OK' })).answerable, false)
})

test('a line without colon is refused, wherever it stands', () => {
  for (const extra of [['no colon'], ['X: 1', 'nothing', 'Y: 2']]) assert.equal(refused(text({}, { extra })).reason, 'Malformed Header Field')
  assert.equal(refused(text({}, { start: 'OPTIONS sip:b@example.com SIP/2.0\r\n folded: x' })).reason, 'Malformed Header Field')
})

test('a CR or LF alone, or a control character, is refused and not answered', () => {
  for (const character of ['\r', '\n', '\0', '\u0008', '\u001b', '\u007f']) {
    assert.deepEqual(refused(text({ Subject: `a${character}b` })), { status: 400, reason: 'Control Character', answerable: false })
  }
  assert.equal(read(text({ Subject: '"\\\u0000"' })).kind, 'request', 'escaped in a quoted string it is legal')
})

test('a message without the empty line is refused', () => {
  assert.equal(refused(text().trimEnd()).reason, 'Header Fields Without End')
  for (const nothing of ['', '\r\n', '\r\n\r\n', '\0\0\0\0']) assert.equal(refused(nothing).answerable, false)
})

test('every limit holds: one less is read, one more is not', () => {
  const lines = (count: number) => Array.from({ length: count }, (_, index) => `X-${index}: y`)
  assert.equal(read(text({}, { extra: lines(MAX_HEADERS - 6) })).headers.length, MAX_HEADERS)
  assert.equal(refused(text({}, { extra: lines(MAX_HEADERS - 5) })).reason, 'Too Many Header Fields')
  const spare = MAX_HEAD_BYTES - text({ Subject: '' }).length + 4
  assert.equal(read(text({ Subject: 's'.repeat(spare) })).kind, 'request')
  assert.deepEqual(refused(text({ Subject: 's'.repeat(spare + 1) })), { status: 513, reason: 'Message Too Large', answerable: false })
  assert.equal(read(text({}, { body: 'b'.repeat(MAX_BODY_BYTES) })).body.length, MAX_BODY_BYTES)
  assert.deepEqual(refused(text({}, { body: 'b'.repeat(MAX_BODY_BYTES + 1) })), { status: 513, reason: 'Message Too Large', answerable: true })
})

test('a message in the middle of a larger buffer is read from where it stands', () => {
  const whole = Buffer.from(`junk${text({}, { body: 'abc' })}junk`)
  const result = parseMessage(new Uint8Array(whole.buffer, whole.byteOffset + 4, whole.length - 8))
  assert.ok(result.kind === 'message')
  assert.equal(Buffer.from(result.message.body).toString(), 'abc')
})
