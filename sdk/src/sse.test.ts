import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SSE_START, sseAfter, type SseMessage, type SseState } from './sse.ts'

/** Reads the pieces one after the other. */
function read(pieces: readonly string[]): { readonly messages: readonly SseMessage[]; readonly state: SseState } {
  let state = SSE_START
  const messages: SseMessage[] = []
  for (const piece of pieces) {
    const step = sseAfter(state, piece)
    assert.equal(step.kind, 'read')
    if (step.kind !== 'read') continue
    state = step.state
    messages.push(...step.messages)
  }
  return { messages, state }
}
const message = (data: string, event = 'message', id: string | null = null): SseMessage => ({ event, data, id })

const TEXTS: readonly (readonly [string, string, readonly SseMessage[]])[] = [
  ['the server’s own', 'retry: 2000\n\nid: a-1\nevent: leg\ndata: {"Leg":1}\n\n', [message('{"Leg":1}', 'leg', 'a-1')]],
  ['several lines of data', 'data: a\ndata:b\ndata\ndata:  c\n\n', [message('a\nb\n\n c')]],
  ['comments and unknown names', ': still here\n\n:\nfoo: x\nData: y\ndata: z\n\n', [message('z')]],
  ['an id that stays until there is another', 'id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n', [message('a', 'message', '1'), message('b', 'message', '1'), message('c', 'message', '')]],
  ['an id that cannot be one', 'id: 1\nid: 2\0\ndata: a\n\n', [message('a', 'message', '1')]],
  ['a name without data is nothing, and is gone', 'event: leg\n\ndata: a\n\n', [message('a')]],
  ['an empty line of data is a message', 'data\n\ndata:\n\n', [message(''), message('')]],
  ['what no blank line has ended', 'data: a\n\ndata: b\n', [message('a')]],
  ['nothing', '', []],
]
for (const [what, text, expected] of TEXTS) {
  for (const [name, end] of [['LF', '\n'], ['CR LF', '\r\n'], ['CR', '\r']] as const) {
    test(`${what}, with ${name}: the same whole, letter by letter, and cut in two anywhere`, () => {
      const written = text.replaceAll('\n', end)
      assert.deepEqual(read([written]).messages, expected)
      assert.deepEqual(read([...written]).messages, expected)
      for (let at = 0; at <= written.length; at++) assert.deepEqual(read([written.slice(0, at), '', written.slice(at)]).messages, expected)
    })
  }
}

test('however a stream of mixed line ends is cut, it says the same', () => {
  const line = fc.constantFrom('data: x', 'data: é', 'id: 7', 'event: leg', 'retry: 5', ': c', '', '', 'data')
  const stream = fc.array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r')), { maxLength: 30 }).map((lines) => lines.flat().join(''))
  fc.assert(
    fc.property(stream, fc.array(fc.nat(200), { maxLength: 8 }), (text, cuts) => {
      const places = [0, ...cuts.map((cut) => Math.min(cut, text.length)).sort((a, b) => a - b), text.length]
      assert.deepEqual(read(places.map((place, n) => text.slice(place, places[n + 1] ?? text.length))), read([text]))
    }),
  )
})

const RETRIES: readonly (readonly [string, number | null])[] = [
  ['2000', 2000],
  ['0', 0],
  ['-1', null],
  ['1.5', null],
  ['', null],
  ['9'.repeat(10), null],
]
for (const [written, expected] of RETRIES)
  test(`retry: ${written} is ${expected} ms`, () => assert.equal(read([`retry: ${written}\n`]).state.retryMs, expected))

test('a line, and the data of a message, are kept up to the limit and no further, however slowly they come', () => {
  const kindAfter = (pieces: readonly string[]): string => {
    let state = SSE_START
    for (const piece of pieces) {
      const step = sseAfter(state, piece, 20)
      if (step.kind === 'too-long') return step.kind
      state = step.state
    }
    return 'read'
  }
  assert.equal(kindAfter(['x'.repeat(20), '\n', 'x'.repeat(20)]), 'read')
  assert.equal(kindAfter(['x'.repeat(21)]), 'too-long')
  assert.equal(kindAfter([`${'x'.repeat(21)}\n\n`]), 'too-long')
  assert.equal(kindAfter([...'x'.repeat(21)]), 'too-long')
  assert.equal(kindAfter(['data: 12345678901\n', 'data: 34567890\n']), 'read')
  assert.equal(kindAfter(['data: 12345678901\n', 'data: 345678901\n']), 'too-long')
  assert.equal(kindAfter(['data: 12345678901\n\n', 'data: 3456789012\n\n']), 'read')
})
