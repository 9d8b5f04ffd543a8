/**
 * Broken SIP for tests: messages made from the torture corpus by random edits, and what must hold for each of them.
 * One rule: the same seed makes the same messages.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { responseTo } from '../src/sip/dialog.ts'
import { answerChallenge, makeDigestServer } from '../src/sip/digest.ts'
import { makeFramer } from '../src/sip/framing.ts'
import {
  contacts,
  cseqOf,
  expirySeconds,
  listValues,
  maxForwards,
  mediaType,
  optionTags,
  parseAuth,
  routes,
  splitList,
  tagOf,
  topVia,
  vias,
  withTag,
  writeVia,
} from '../src/sip/header.ts'
import { headerValue, writeMessage } from '../src/sip/message.ts'
import type { SipMessage } from '../src/sip/message.ts'
import { MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_HEADERS, parseMessage } from '../src/sip/parse.ts'
import { parseNameAddr, parseUri, sameUri, userText, writeNameAddr, writeUri } from '../src/sip/uri.ts'

/** Whole numbers from 0 to `below` - 1. */
export type Chance = (below: number) => number

/** Mulberry32. */
export function seededChance(seed: number): Chance {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

/** The torture messages, and everyday ones that they lack. */
export function sipCorpus(): readonly Buffer[] {
  const folders = ['rfc4475', 'rfc5118'].map((name) => new URL(`data/${name}/`, import.meta.url))
  const torture = folders.flatMap((folder) => readdirSync(folder).map((name) => readFileSync(new URL(name, folder))))
  return [...torture, ...EVERYDAY.map((lines) => Buffer.from(lines.join('\r\n')))]
}

const EVERYDAY: readonly (readonly string[])[] = [
  [
    'REGISTER sip:earshot.example SIP/2.0',
    'Via: SIP/2.0/UDP 10.0.0.9:5062;branch=z9hG4bKd1;rport',
    'Max-Forwards: 70',
    'From: "Priya" <sip:priya@earshot.example>;tag=a1',
    'To: <sip:priya@earshot.example>',
    'Call-ID: r1@10.0.0.9',
    'CSeq: 2 REGISTER',
    'Contact: <sip:priya@10.0.0.9:5062;transport=udp>;expires=600;q=0.5, <sip:p@h>;expires=0',
    'Expires: 3600',
    'Supported: path, outbound',
    'Authorization: Digest username="priya", realm="earshot", nonce="n.1.abc", uri="sip:earshot.example", response="00112233445566778899aabbccddeeff", algorithm=MD5, cnonce="c\\"x", qop=auth, nc=00000001',
    'Content-Length: 0',
    '',
    '',
  ],
  [
    'SIP/2.0 401 Unauthorized',
    'v: SIP/2.0/TCP 10.0.0.9;branch=z9hG4bKd1;received=192.0.2.4;rport=5062',
    'f: <sip:priya@earshot.example>;tag=a1',
    't: <sip:priya@earshot.example>;tag=b2',
    'i: r1@10.0.0.9',
    'CSeq: 1 REGISTER',
    'WWW-Authenticate: Digest realm="earshot", nonce="n", algorithm=SHA-256, qop="auth,auth-int", opaque="o"',
    'WWW-Authenticate: Digest realm="earshot", nonce="n", stale=TRUE',
    'l: 0',
    '',
    '',
  ],
  [
    'SIP/2.0 200 OK',
    'Via: SIP/2.0/UDP p1;branch=z9hG4bK1, SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK2',
    'Record-Route: <sip:p2;lr>, <sip:[2001:db8::5]:5070;lr;ftag=x>',
    'Route: <sip:p3;lr=on>',
    'From: sip:a@b;tag=1',
    'To: sip:c@d;tag=2',
    'Call-ID: x',
    'CSeq: 7 INVITE',
    'Contact: "a, b" <sip:c@10.0.0.2>',
    'Require: timer',
    'Session-Expires: 1800;refresher=uac',
    'Content-Type: application/sdp',
    'Content-Length: 7',
    '',
    'v=0\r\no=',
  ],
]

const DICTIONARY: readonly string[] = [
  '\r\n',
  '\r\n\r\n',
  '\r\n ',
  '\r',
  '\n',
  '\0',
  ' ',
  '\t',
  ',',
  ';',
  ':',
  '=',
  '"',
  '\\',
  '<',
  '>',
  '@',
  '?',
  '%',
  '%00',
  '%ff',
  '[',
  ']',
  '::',
  ':::',
  '*',
  '\u00ff',
  '\u00e0\u00a4\u00aa',
  '-1',
  '0',
  '65536',
  '2147483648',
  '99999999999999999999',
  'SIP/2.0',
  'SIP/2.0/UDP ',
  'z9hG4bK',
  'branch=',
  ';tag=',
  ';__proto__',
  'constructor',
  'Content-Length: ',
  'l: 5\r\n',
  'Via: ',
  'Contact: *',
  'CSeq: 1 INVITE\r\n',
  'sip:',
  'sips:',
  'tel:',
  '<sip:a@b>',
  'Digest ',
  'ACK ',
  '\\"',
  '""',
]

/** One to eight edits of one message of the corpus. */
export function mutant(corpus: readonly Buffer[], chance: Chance): Buffer {
  let bytes = corpus[chance(corpus.length)] ?? Buffer.alloc(0)
  for (let left = 1 + chance(8); left > 0; left--) bytes = edit(bytes, corpus, chance)
  return bytes.subarray(0, 2 * MAX_HEAD_BYTES)
}

function edit(bytes: Buffer, corpus: readonly Buffer[], chance: Chance): Buffer {
  const at = chance(bytes.length + 1)
  const to = Math.min(bytes.length, at + chance(chance(4) === 0 ? 400 : 12))
  const word = Buffer.from(DICTIONARY[chance(DICTIONARY.length)] ?? '', 'latin1')
  const replaceBy = (...parts: readonly Uint8Array[]) => Buffer.concat([bytes.subarray(0, at), ...parts, bytes.subarray(to)])
  switch (chance(9)) {
    case 0:
      return replaceBy()
    case 1:
      return Buffer.concat([bytes.subarray(0, at), word, bytes.subarray(at)])
    case 2:
      return replaceBy(word)
    case 3:
      return replaceBy(...Array.from({ length: 1 + chance(chance(20) === 0 ? 3000 : 20) }, () => word))
    case 4:
      return replaceBy(Buffer.of(chance(256)))
    case 5:
      return replaceBy(bytes.subarray(at, to), bytes.subarray(at, to))
    case 6: {
      const other = corpus[chance(corpus.length)] ?? bytes
      return Buffer.concat([bytes.subarray(0, at), other.subarray(chance(other.length + 1))])
    }
    case 7:
      return swapLines(bytes, chance)
    default:
      return chance(10) === 0 ? bytes.subarray(0, at) : replaceBy(Buffer.of((bytes[at] ?? 0) ^ (1 << chance(8))))
  }
}

function swapLines(bytes: Buffer, chance: Chance): Buffer {
  const lines = bytes.toString('latin1').split('\r\n')
  const [one, other] = [chance(lines.length), chance(lines.length)]
  const moved = lines[one] ?? ''
  lines[one] = lines[other] ?? ''
  lines[other] = moved
  return Buffer.from(lines.join('\r\n'), 'latin1')
}

const hash = (algorithm: 'md5' | 'sha256', text: string) => createHash(algorithm).update(text, 'utf8').digest('hex')
const digest = makeDigestServer({ secret: 'of the fuzzer', hash })

/** Reads the bytes in every way there is, and asserts what must hold whatever they are. */
export function examine(bytes: Uint8Array, chance: Chance): 'read' | 'refused' {
  const result = parseMessage(bytes)
  parseMessage(bytes, { stream: true })
  pushInPieces(bytes, chance)
  if (result.kind === 'malformed') {
    assert.ok([400, 414, 505, 513].includes(result.status))
    assert.match(result.reason, /^[A-Za-z0-9 -]+$/)
    if (result.answerable !== null) {
      assert.notEqual(result.answerable.method, 'ACK')
      assert.ok(topVia(result.answerable))
      const answer = responseTo(result.answerable, { status: result.status, reason: result.reason, toTag: 'x' })
      assert.equal(onlyHeaders(writeMessage(answer)), answer.headers.length + 1)
    }
    return 'refused'
  }
  examineRead(result.message)
  return 'read'
}

/** Counts the header lines that an independent, naive reader would see. */
function onlyHeaders(bytes: Uint8Array): number {
  const text = Buffer.from(bytes).toString('latin1')
  assert.equal(text.indexOf('\r\n\r\n'), text.length - 4, 'one end of the head')
  return text.slice(0, -4).split(/\r\n|\r|\n/).length - 1
}

function examineRead(message: SipMessage): void {
  assert.ok(vias(message) !== null && topVia(message) !== null && cseqOf(message) !== null)
  for (const via of vias(message) ?? []) writeVia(via)
  const list = contacts(message)
  for (const contact of list === '*' ? [] : list) {
    assert.deepEqual(parseNameAddr(writeNameAddr(contact)), contact)
    expirySeconds(message, contact)
  }
  for (const route of [...routes(message, 'Route'), ...routes(message, 'Record-Route')]) {
    const again = parseUri(writeUri(route.uri))
    assert.ok(again !== null && sameUri(again, route.uri))
  }
  for (const name of ['From', 'To']) {
    const value = headerValue(message, name) ?? ''
    assert.ok(parseNameAddr(value))
    assert.ok(tagOf(withTag(value, 'x')))
    userText(parseNameAddr(value)?.uri ?? assert.fail())
  }
  for (const field of message.headers) {
    splitList(field.value)
    parseAuth(field.value)
    parseNameAddr(field.value)
  }
  maxForwards(message)
  mediaType(message)
  optionTags(message, 'Require')
  examineDigest(message)
  examineWritten(message)
}

function examineDigest(message: SipMessage): void {
  const method = message.kind === 'request' ? message.method : 'INVITE'
  for (const header of listValues(message, 'Authorization'))
    digest.check({ header, realm: 'earshot', method, uri: 'sip:a@b', source: '192.0.2.1', passwordOf: () => null }, 0)
  const challenges = message.headers.filter((field) => field.name === 'WWW-Authenticate').map((field) => field.value)
  answerChallenge({ challenges, credentials: { username: 'u', password: 'p' }, method, uri: 'sip:a@b', cnonce: 'c', nc: 1, hash })
}

/** What we write is read back the same, and is one frame of a stream. */
function examineWritten(message: SipMessage): void {
  const written = writeMessage(message)
  const isWithinLimits =
    written.length - message.body.length <= MAX_HEAD_BYTES && message.headers.length < MAX_HEADERS && message.body.length <= MAX_BODY_BYTES
  if (!isWithinLimits) return
  const again = parseMessage(written, { stream: true })
  assert.ok(again.kind === 'message', again.kind === 'malformed' ? again.reason : '')
  const plain = (of: SipMessage) => ({ ...of, headers: of.headers.filter((field) => field.name !== 'Content-Length') })
  assert.deepEqual(plain(again.message), plain(message))
  const frames = makeFramer().push(written)
  assert.equal(frames.length, 1)
  assert.ok(frames[0]?.kind === 'message')
  assert.deepEqual(Buffer.from(frames[0].bytes), Buffer.from(written))
}

function pushInPieces(bytes: Uint8Array, chance: Chance): void {
  const framer = makeFramer()
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + chance(bytes.length)
    for (const frame of framer.push(bytes.subarray(at, at + size))) if (frame.kind === 'message') parseMessage(frame.bytes, { stream: true })
    assert.ok(framer.pendingBytes() <= MAX_HEAD_BYTES + MAX_BODY_BYTES + 4)
    at += size
  }
}

/** Inputs made to hurt a parser that looks back: each for a size in bytes, within the limits. */
export const HOSTILE: Readonly<Record<string, (bytes: number) => string>> = {
  'blanks alone': (bytes) => ' '.repeat(bytes),
  'line ends alone': (bytes) => '\r\n'.repeat(bytes / 2),
  'a start line of blanks': (bytes) => `OPTIONS ${' '.repeat(bytes)}\r\n\r\n`,
  'a long Request-URI': (bytes) => `OPTIONS sip:${'%41'.repeat(bytes / 3)}@b SIP/2.0\r\n\r\n`,
  'a header line of blanks': (bytes) => withHeader(' '.repeat(bytes)),
  'blanks before the colon': (bytes) => withHeader(`X${' '.repeat(bytes)}: y`),
  'blanks, then no colon': (bytes) => withHeader(`X${' '.repeat(bytes)}y`),
  'a long header name': (bytes) => withHeader(`${'X'.repeat(bytes)}: y`),
  'many folds': (bytes) => withHeader(`X: y${'\r\n '.repeat(bytes / 3)}`),
  'many short headers': (bytes) => withHeader('a:\r\n'.repeat(bytes / 4).slice(0, -2)),
  'commas in Contact': (bytes) => withHeader(`Contact: ${','.repeat(bytes)}`),
  'commas in Via': (bytes) => withHeader(`Via: ${','.repeat(bytes)}`),
  'many Via elements': (bytes) => withHeader(`Via: ${'SIP/2.0/UDP h,'.repeat(bytes / 14)}`),
  'many contacts': (bytes) => withHeader(`Contact: ${'<sip:a@b>,'.repeat(bytes / 10)}`),
  'quotes in Contact': (bytes) => withHeader(`Contact: ${'"'.repeat(bytes)}`),
  'an open quote': (bytes) => withHeader(`Contact: "${'x'.repeat(bytes)}`),
  'backslashes in an open quote': (bytes) => withHeader(`Contact: "${'\\'.repeat(bytes)}`),
  'open quotes after commas': (bytes) => withHeader(`Contact: ${'",'.repeat(bytes / 2)}`),
  'open brackets': (bytes) => withHeader(`Contact: ${'<'.repeat(bytes)}`),
  'a long display name': (bytes) => withHeader(`Contact: ${'x '.repeat(bytes / 2)}`),
  'semicolons in Via': (bytes) => withHeader(`Via: SIP/2.0/UDP h${';'.repeat(bytes)}`),
  'semicolons and blanks': (bytes) => withHeader(`Via: SIP/2.0/UDP h${'; '.repeat(bytes / 2)}x x`),
  'parameters in Contact': (bytes) => withHeader(`Contact: <sip:a@b>${Array.from({ length: bytes / 8 }, (_, index) => `;p${index}`).join('')}`),
  'blanks in a parameter': (bytes) => withHeader(`Contact: <sip:a@b>;p${' '.repeat(bytes)}x`),
  'blanks inside a Via': (bytes) => withHeader(`Via: SIP${' '.repeat(bytes / 2)}/2.0/${' '.repeat(bytes / 2)}UDP`),
  'a long Via host': (bytes) => withHeader(`Via: SIP/2.0/UDP ${'h.'.repeat(bytes / 2)}:`),
  'a long CSeq': (bytes) =>
    withHeader(`X-CSeq: ${'9'.repeat(bytes)} X`)
      .replace('CSeq: 1 OPTIONS\r\n', '')
      .replace('X-CSeq', 'CSeq'),
  'a long Content-Length': (bytes) => withHeader(`Content-Length: ${'9'.repeat(bytes)}`),
  'many Content-Lengths': (bytes) => withHeader('l: 0\r\n'.repeat(bytes / 6).slice(0, -2)),
  'folds in Content-Length': (bytes) => withHeader(`Content-Length:${'\r\n '.repeat(bytes / 3)}0`),
  'credentials of commas': (bytes) => withHeader(`Authorization: Digest ${','.repeat(bytes)}`),
  'credentials of parameters': (bytes) =>
    withHeader(`Authorization: Digest ${Array.from({ length: bytes / 10 }, (_, index) => `p${index}=1`).join(', ')}`),
  'an open quote in credentials': (bytes) => withHeader(`Authorization: Digest a="${'\\"'.repeat(bytes / 2)}`),
  'bytes that are no UTF-8': (bytes) => withHeader(`Subject: ${'\u00ff'.repeat(bytes)}`),
  'control characters at the end': (bytes) => withHeader(`Subject: ${'\\x'.repeat(bytes / 2)}\u0001`),
}

function withHeader(line: string): string {
  return [
    'OPTIONS sip:b@example.com SIP/2.0',
    'Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa1',
    'From: <sip:a@example.com>;tag=1',
    'To: <sip:b@example.com>',
    'Call-ID: c1@example.com',
    'CSeq: 1 OPTIONS',
    line,
    '',
    '',
  ].join('\r\n')
}
