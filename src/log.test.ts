import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeLog, type LogLevel } from './log.ts'
import { maskFields, maskNumber, maskText } from './mask.ts'

function captured(options: { readonly level?: LogLevel; readonly plain?: boolean } = {}) {
  const lines: string[] = []
  const log = makeLog({ level: options.level ?? 'debug', plain: options.plain ?? false, write: (line) => lines.push(line) })
  return { log, lines, json: () => lines.map((line): Record<string, unknown> => JSON.parse(line)) }
}

const MASKED: readonly (readonly [string, string])[] = [
  ['+919876543210', '+91*****210'],
  ['09876543210', '09*****210'],
  ['9876543', '*****43'],
  ['+91 98765 43210', '+91*****210'],
  ['+1 (415) 555-0100', '+14*****100'],
  ['sip:priya@10.0.0.7:5060', 'sip:***@10.0.0.7:5060'],
  ['"Priya" <sips:+919876543210@host;user=phone>', '"Priya" <sips:***@host;user=phone>'],
  ['sip:10.0.0.7', 'sip:10.0.0.7'],
  ['client:priya.k', 'client:***'],
  ['tel:+1-201-555-0123;x=y', 'tel:***;x=y'],
  ['posting to https://user:pw@hooks.example:8443/a/b?number=919876543210#x now', 'posting to https://hooks.example:8443 now'],
  ['postgres://u:secret@db.example/earshot', 'postgres://db.example'],
  ['http://[bad', 'http://***'],
  ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'whsec_***'],
  ['with et_0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdef in it', 'with et_*** in it'],
  ['ek_012345678901234567890123', 'ek_012345678901234567890123'],
  ['2026-11-22T14:03:39.120Z from 192.168.100.200:40000', '2026-11-22T14:03:39.120Z from 192.168.100.200:40000'],
  ['call 4b1p0a9876543210zzzzzzzzzzzzzzzz and more', 'call 4b1p0a98*****210zzzzzzzzzzzzzzzz and more'],
  ['4b1p0a9876543210zzzzzzzzzzzzzzzz', '4b1p0a9876543210zzzzzzzzzzzzzzzz'],
  [`ab9876543210${'0'.repeat(52)}`, `ab9876543210${'0'.repeat(52)}`],
]
for (const [text, masked] of MASKED) {
  test(`"${text}" is logged as "${masked}"`, () => assert.equal(maskText(text), masked))
}

test('a masked number keeps too few digits to be called, however it was written', () => {
  for (const number of ['+919876543210', '919876543210', '+4930123456', '+1234567', '123']) {
    assert.ok(maskNumber(number).replace(/\D/g, '').length <= 5)
    assert.ok(maskNumber(number).includes('*****'))
  }
  assert.equal(maskText('client:priya'), 'client:***')
})

test('no phone number survives in any string field, wherever it stands and whatever is around it', () => {
  const number = fc.stringMatching(/^\+?[0-9]{7,15}$/)
  const around = fc.string({ unit: 'binary', maxLength: 30 })
  const place = fc.constantFrom<(text: string) => Record<string, unknown>>(
    (text) => ({ from: text }),
    (text) => ({ deep: { list: [{ to: text }] } }),
    (text) => ({ err: new Error(text, { cause: new Error(text) }) }),
    (text) => ({ err: Object.assign(new Error('x'), { uri: text }) }),
    (text) => ({ map: new Map([['key', text]]) }),
    (text) => ({ [text]: 1 }),
  )
  fc.assert(
    fc.property(number, around, around, place, fc.boolean(), (digits, before, after, put, plain) => {
      const text = before + digits + after
      const { log, lines } = captured({ plain })
      log.child({ child: text }).info(put(text), `said ${text}`)
      const line = lines.join('').replace(/"time":"[^"]*"|^\S+/, '')
      assert.ok(!/\d{7,}/.test(line), line)
    }),
    { numRuns: 300 },
  )
})

test('secrets are gone by the name of their field, at any depth', () => {
  const masked = maskFields({
    authorization: 'Basic eDp5',
    headers: { 'Proxy-Authorization': 'Digest x' },
    token: 't',
    password: 5,
    list: [{ callbackSecret: 's' }],
    cookie: undefined,
  })
  assert.deepEqual(masked, {
    authorization: '[redacted]',
    headers: { 'Proxy-Authorization': '[redacted]' },
    token: '[redacted]',
    password: '[redacted]',
    list: [{ callbackSecret: '[redacted]' }],
    cookie: undefined,
  })
})

test('a field that is no text stays as it is, and odd values do no harm', () => {
  const ring: Record<string, unknown> = {}
  ring.self = ring
  const masked = maskFields({
    at: 1_732_284_000_000,
    ok: true,
    none: null,
    big: 919876543210n,
    bytes: Buffer.from('919876543210'),
    call: () => 1,
    day: new Date(0),
    never: new Date(Number.NaN),
    ring,
  })
  assert.equal(masked.at, 1_732_284_000_000)
  assert.equal(masked.big, '91*****210')
  assert.equal(masked.bytes, '12 bytes')
  assert.equal(masked.call, 'function')
  assert.equal(masked.day, '1970-01-01T00:00:00.000Z')
  assert.equal(masked.never, 'invalid date')
  assert.ok(JSON.stringify(masked).length < 500)
})

test('of an error its plain values are logged, not the connection that a library hung on it', () => {
  const error = Object.assign(new Error('gone', { cause: new Error('reset') }), { code: '57P01', attempts: 2, client: { host: 'db.example', queue: [] } })
  const { err } = maskFields({ err: error }) as { readonly err: Readonly<Record<string, unknown>> }
  assert.deepEqual(Object.keys(err).sort(), ['attempts', 'cause', 'code', 'message', 'stack', 'type'])
  assert.deepEqual([err.message, err.code, err.attempts], ['gone', '57P01', 2])
})

test('a text has a limit, and the cut does not bare the number that it goes through', () => {
  for (let tail = 0; tail < 20; tail++) {
    const masked = maskText(`${'x'.repeat(1990 + tail)}+919876543210 and so on ${'y'.repeat(5000)}`)
    assert.ok(masked.length <= 2001)
    assert.ok(!/\d{7,}/.test(masked))
  }
})

test('a line of JSON carries time, level, message and fields, and nothing of the machine', () => {
  const { log, json } = captured()
  log.child({ call: 'c1' }).warn({ cause: 'busy', level: 'mine' }, 'leg ended')
  const [line] = json()
  assert.match(String(line?.time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  assert.deepEqual({ ...line, time: '' }, { level: 'warn', time: '', call: 'c1', cause: 'busy', level_: 'mine', msg: 'leg ended' })
})

test('lines below the level are not written', () => {
  const { log, lines } = captured({ level: 'warn' })
  log.debug({}, 'a')
  log.info({}, 'b')
  log.warn({}, 'c')
  log.error({}, 'd')
  assert.equal(lines.length, 2)
})

test('on a terminal a line reads: time, level, message, fields', () => {
  const { log, lines } = captured({ plain: true })
  log.info({ call: 'c1', cause: 'no answer', seconds: 3 }, 'leg ended')
  assert.match(lines[0] ?? '', /^\d\d:\d\d:\d\d\.\d{3} info {2}leg ended call=c1 cause="no answer" seconds=3\n$/)
})

test('on a terminal an error shows where it happened, and nothing from a peer steers the screen', () => {
  const { log, lines } = captured({ plain: true })
  log.error({ err: new Error('broken'), 'k\u001b[2J': 'v\u001b[2J\u009b' }, 'went \u001b[31mwrong\r\n')
  assert.match(lines[0] ?? '', /err=Error: broken\n\s+at /)
  assert.ok(!/[\x00-\x09\x0b-\x1f\x7f-\x9f]/.test(lines[0] ?? ''))
})
