// Text of a stream becomes events, however it is cut.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeReader } from './live-events.ts'

const TEXT = [
  'retry: 2000\n\n',
  ': still here\n\n',
  'id: a-1\nevent: call\ndata: {"Call":{"Sid":"é→"}}\n\n',
  'data: {"Two":\ndata: "lines"}\n\n',
  'id: a-2\r\nevent: mode\r\ndata: {"Mode":{}}\r\n\r\n',
  'event: broken\ndata: {no json\n\n',
  'id: a-3\nevent: leg\ndata: {"Leg":{}}\n\n',
  'id: a-4\nevent: not-whole\ndata: {}\n',
].join('')
const EVENTS = [
  { id: 'a-1', event: 'call', data: { Call: { Sid: 'é→' } } },
  { id: '', event: 'message', data: { Two: 'lines' } },
  { id: 'a-2', event: 'mode', data: { Mode: {} } },
  { id: 'a-3', event: 'leg', data: { Leg: {} } },
]

test('events come out whole and once, wherever the text is cut, and what is no event is left out', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(TEXT.length), { maxLength: 12 }), (cuts) => {
      const places = [0, ...cuts.sort((a, b) => a - b), TEXT.length]
      const reader = makeReader()
      const events = places.slice(1).flatMap((end, index) => reader.push(TEXT.slice(places[index], end)))
      assert.deepEqual(events, EVENTS)
      assert.equal(reader.retryMs(), 2000)
    }),
  )
})

test('an event that does not end is given up', () => {
  const reader = makeReader()
  const part = 'x'.repeat(33 * 1024 * 1024)
  reader.push(part)
  assert.throws(() => reader.push(part), /does not end/)
})
