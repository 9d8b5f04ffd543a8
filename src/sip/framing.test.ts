import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isKeepalive, makeFramer, PING, PONG } from './framing.ts'
import type { Frame } from './framing.ts'
import { MAX_BODY_BYTES, MAX_HEAD_BYTES } from './parse.ts'

const message = (body: string, length = `Content-Length: ${body.length}`) =>
  `OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h\r\n${length}\r\n\r\n${body}`
const show = (frame: Frame): string =>
  frame.kind === 'message' ? Buffer.from(frame.bytes).toString('latin1') : frame.kind === 'ping' ? 'ping' : `broken ${frame.reason}`

/** All frames of the stream when it comes in pieces of these sizes, again and again. */
function frames(stream: string, sizes: readonly number[]): readonly string[] {
  const framer = makeFramer()
  const bytes = Buffer.from(stream, 'latin1')
  const seen: string[] = []
  let at = 0
  for (let turn = 0; at < bytes.length; turn++) {
    const size = Math.max(1, sizes[turn % sizes.length] ?? 1)
    seen.push(...framer.push(Buffer.from(bytes.subarray(at, at + size))).map(show))
    at += size
  }
  return seen
}

const [one, two, three] = [message('abc'), message(''), message('v=0\r\n\r\nContent-Length: 9\r\n\r\n')]
const streams: readonly (readonly [string, string, readonly string[]])[] = [
  ['one message', one, [one]],
  ['three messages back to back', one + two + three, [one, two, three]],
  ['line ends before and between', `\r\n${one}\r\n${two}`, [one, two]],
  ['pings between messages', `${one}\r\n\r\n${two}`, [one, 'ping', two]],
  ['a pong is nothing', `\r\n${one}`, [one]],
  ['the compact name, blanks and a fold', message('abc', 'l\t : \r\n 3'), [message('abc', 'l\t : \r\n 3')]],
  [
    'a length that only looks like one',
    message('abc', 'X-Content-Length: 9\r\nContent-Length: 3\r\nX: \r\n Content-Length: 7'),
    [message('abc', 'X-Content-Length: 9\r\nContent-Length: 3\r\nX: \r\n Content-Length: 7')],
  ],
  ['no length', message('', 'X: y'), ['broken bad-content-length']],
  ['two lengths', message('', 'Content-Length: 0\r\nl: 0'), ['broken bad-content-length']],
  ['two equal lengths', message('', 'Content-Length: 0\r\nContent-Length: 0'), ['broken bad-content-length']],
  ['a negative length', message('', 'Content-Length: -1'), ['broken bad-content-length']],
  ['a length in words', message('', 'Content-Length: 1e3'), ['broken bad-content-length']],
  ['an overlong length', message('', `Content-Length: ${'9'.repeat(40)}`), ['broken bad-content-length']],
  ['a body too large', message('', `Content-Length: ${MAX_BODY_BYTES + 1}`), ['broken body-too-large']],
  ['nothing after a break', `${message('', 'X: y')}${one}`, ['broken bad-content-length']],
  ['a message after an unread tail', `${one}${two}OPT`, [one, two]],
]
for (const [title, stream, expected] of streams) {
  test(`framing: ${title}, whole, byte by byte and in odd pieces`, () => {
    for (const sizes of [[stream.length], [1], [2], [3, 1, 7], [64, 1]]) assert.deepEqual(frames(stream, sizes), expected, `pieces of ${sizes}`)
  })
}

test('pings that come in one piece are answered once', () => {
  assert.deepEqual(frames('\r\n'.repeat(500), [1000]), ['ping'])
  assert.deepEqual(frames('\r\n'.repeat(4), [4]), ['ping', 'ping'])
  assert.deepEqual([PING.length, PONG.length], [4, 2])
})

test('a head without end breaks the stream at the limit, and holds no more than that', () => {
  const framer = makeFramer()
  const piece = Buffer.alloc(1000, 'a')
  const seen: Frame[] = []
  let most = 0
  for (let turn = 0; turn < 100; turn++) {
    seen.push(...framer.push(piece))
    most = Math.max(most, framer.pendingBytes())
  }
  assert.deepEqual(seen.map(show), ['broken head-too-large'])
  assert.ok(most <= MAX_HEAD_BYTES + 4)
  assert.equal(framer.pendingBytes(), 0)
})

test('the largest head and body pass', () => {
  const start = 'OPTIONS sip:a@b SIP/2.0\r\nX: '
  const end = `\r\nContent-Length: ${MAX_BODY_BYTES}\r\n\r\n`
  const whole = `${start}${'x'.repeat(MAX_HEAD_BYTES + 4 - start.length - end.length)}${end}${'b'.repeat(MAX_BODY_BYTES)}`
  assert.deepEqual(
    frames(whole, [9973]).map((frame) => frame.length),
    [whole.length],
  )
})

test('what is held is counted and freed', () => {
  const framer = makeFramer()
  framer.push(Buffer.from(one.slice(0, -1)))
  assert.equal(framer.pendingBytes(), one.length - 1)
  assert.equal(framer.push(Buffer.from('c')).length, 1)
  assert.equal(framer.pendingBytes(), 0)
})

test('however a stream is cut, the messages are the same', () => {
  const part = fc.oneof(
    fc.string({ unit: 'binary-ascii', maxLength: 40 }).map((body) => message(body)),
    fc.constant('\r\n'),
  )
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 10 }), (parts, sizes) => {
      const isMessage = (text: string) => text !== 'ping'
      assert.deepEqual(
        frames(parts.join(''), sizes).filter(isMessage),
        parts.filter((text) => text !== '\r\n'),
      )
    }),
  )
})

test('a datagram of line ends and NULs is a keep-alive, a message is not', () => {
  for (const text of ['', '\r\n', '\r\n\r\n', '\0', '\0\0\0\0']) assert.equal(isKeepalive(Buffer.from(text)), true, JSON.stringify(text))
  for (const text of [one, '\r\nx', ' ', '\0'.repeat(65)]) assert.equal(isKeepalive(Buffer.from(text)), false, JSON.stringify(text))
})
