import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ParsedBody, parseBody } from './body.ts'
import { lastValue, allValues } from './fields.ts'

const JSON_TYPE = 'application/json'
const FORM_TYPE = 'application/x-www-form-urlencoded'
const MULTIPART_TYPE = 'multipart/form-data; boundary=XX'

const parse = (contentType: string | undefined, body: string): Promise<ParsedBody> => parseBody(contentType, Buffer.from(body))

async function fieldsOf(contentType: string | undefined, body: string): Promise<Record<string, readonly string[]>> {
  const parsed = await parse(contentType, body)
  assert.equal(parsed.kind, 'fields', `${contentType}: ${body}`)
  return parsed.kind === 'fields' ? Object.fromEntries(parsed.fields) : {}
}

const part = (name: string, value: string, extra = ''): string => `--XX\r\nContent-Disposition: form-data; name="${name}"${extra}\r\n\r\n${value}\r\n`

test('[C3] the same request in three encodings is the same fields', async () => {
  const expected = { Action: ['barge'], PhoneNumber: ['+919876543210'], StatusCallbackEvents: ['terminal', 'answered'], CustomField: ['ए & b=c'] }
  const json =
    '{"Action":"barge","PhoneNumber":"+919876543210","StatusCallbackEvents[0]":"terminal","StatusCallbackEvents[1]":"answered","CustomField":"ए & b=c","TargetLegSid":""}'
  const form =
    'Action=barge&PhoneNumber=%2B919876543210&StatusCallbackEvents%5B0%5D=terminal&StatusCallbackEvents[1]=answered&CustomField=%E0%A4%8F+%26%20b%3Dc&TargetLegSid='
  const multipart = `${part('Action', 'barge')}${part('PhoneNumber', '+919876543210')}${part('StatusCallbackEvents[]', 'terminal')}${part('StatusCallbackEvents[]', 'answered')}${part('CustomField', 'ए & b=c')}${part('TargetLegSid', '')}--XX--\r\n`
  assert.deepEqual(await fieldsOf(JSON_TYPE, json), expected)
  assert.deepEqual(await fieldsOf(FORM_TYPE, form), expected)
  assert.deepEqual(await fieldsOf(MULTIPART_TYPE, multipart), expected)
})

test('[C3] the media type is read without regard to case and parameters', async () => {
  assert.deepEqual(await fieldsOf('Application/JSON; charset=utf-8', '{"A":"1"}'), { A: ['1'] })
  assert.deepEqual(await fieldsOf('application/x-www-form-urlencoded;charset=UTF-8', 'A=1'), { A: ['1'] })
  assert.deepEqual(
    await fieldsOf('Multipart/Form-Data; charset=utf-8; Boundary="X X"', '--X X\r\ncontent-disposition: FORM-DATA; NAME=A\r\n\r\n1\r\n--X X--'),
    { A: ['1'] },
  )
})

test('[C3] without a content type, what begins like an object is JSON and the rest a form', async () => {
  assert.deepEqual(await fieldsOf(undefined, ' {"A":"1"}'), { A: ['1'] })
  assert.deepEqual(await fieldsOf(undefined, 'A=1'), { A: ['1'] })
  assert.deepEqual(await fieldsOf(undefined, ''), {})
})

test('[C10] other content types are unsupported', async () => {
  for (const contentType of ['text/plain', 'application/xml', 'application/jsonx', 'multipart/mixed; boundary=XX', '', 'json']) {
    assert.equal((await parse(contentType, 'A=1')).kind, 'unsupported', contentType)
  }
})

test('no body at all is no fields, whatever it would have been', async () => {
  for (const contentType of [JSON_TYPE, FORM_TYPE, MULTIPART_TYPE]) assert.deepEqual(await fieldsOf(contentType, ''), {})
})

test('[C10] JSON that is none, or is no object, is malformed', async () => {
  for (const body of ['{', '{"A":}', '[]', '"A"', 'null', '7', 'A=1', "{'A':1}", '{"A":1}x'])
    assert.equal((await parse(JSON_TYPE, body)).kind, 'malformed', body)
  assert.deepEqual(await fieldsOf(JSON_TYPE, '\uFEFF{"A":"1"}'), { A: ['1'] }, 'a byte order mark does no harm')
})

test('nesting as deep as a body may be does no harm', async () => {
  const depth = 32_000
  assert.equal((await parse(JSON_TYPE, `${'['.repeat(depth)}${']'.repeat(depth)}`)).kind, 'malformed')
  assert.deepEqual(await fieldsOf(JSON_TYPE, `{"A":"1","Deep":${'['.repeat(depth)}${']'.repeat(depth)}}`), { A: ['1'], Deep: ['\u0000'] })
})

test('[C3] a multipart part may carry other headers, and its value line breaks', async () => {
  const body = `preamble\r\n--XX\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=A\r\nContent-Length: 5\r\n\r\n1\r\n2\n\r\n--XX--\r\nepilogue`
  assert.deepEqual(await fieldsOf(MULTIPART_TYPE, body), { A: ['1\r\n2\n'] })
})

test('[C3] files are ignored like unknown fields', async () => {
  const body = `${part('PhoneNumber', 'x', '; filename="a.wav"')}${part('B', 'y', "; filename*=UTF-8''a")}${part('Action', 'listen')}--XX--`
  assert.deepEqual(await fieldsOf(MULTIPART_TYPE, body), { Action: ['listen'] })
})

test('[C3] quoting in a part name is undone, and a name that mentions a filename is no file', async () => {
  assert.deepEqual(await fieldsOf(MULTIPART_TYPE, `${part('a%22b', '1')}--XX--`), { 'a"b': ['1'] })
  assert.deepEqual(await fieldsOf(MULTIPART_TYPE, `${part('a; filename=b', '1')}--XX--`), { 'a; filename=b': ['1'] })
})

test('[C10] multipart that is none is malformed', async () => {
  const whole = `${part('A', '1')}--XX--`
  const malformed = [
    ['multipart/form-data', whole],
    ['multipart/form-data; boundary=', whole],
    [MULTIPART_TYPE, part('A', '1')],
    [MULTIPART_TYPE, 'A=1'],
    [MULTIPART_TYPE, whole.replaceAll('\r\n', '\n')],
    [MULTIPART_TYPE, '--XX\r\n\r\n1\r\n--XX--'],
    [MULTIPART_TYPE, '--XX\r\nContent-Disposition: attachment; name="A"\r\n\r\n1\r\n--XX--'],
    [MULTIPART_TYPE, '--XX\r\nContent-Disposition: form-data\r\n\r\n1\r\n--XX--'],
    [MULTIPART_TYPE, '--XXY\r\nContent-Disposition: form-data; name="A"\r\n\r\n1\r\n--XX--'],
    [MULTIPART_TYPE, '--XX\r\nContent-Disposition: form-data; name="A"\r\n--XX--'],
    [MULTIPART_TYPE, `${part('A', '1').repeat(300)}--XX--`],
  ] as const
  for (const [contentType, body] of malformed)
    assert.equal((await parse(contentType, body)).kind, 'malformed', `${contentType}\n${body.slice(0, 80)}`)
})

test('[C3] an empty form is no fields', async () => assert.deepEqual(await fieldsOf(MULTIPART_TYPE, '--XX--\r\n'), {}))

test('[C3] what another writer of multipart makes of any fields is read back as those fields', async () => {
  const name = fc.string({ unit: fc.constantFrom(...'AbcXYZ09_-.'), minLength: 1, maxLength: 8 })
  const value = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }).filter((text) => text.isWellFormed() && !/[\r\n]/.test(text))
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.tuple(
          name.filter((text) => text !== 'action'),
          value,
        ),
        { maxLength: 10 },
      ),
      async (pairs) => {
        const form = new FormData()
        for (const [key, text] of pairs) form.append(key, text)
        const response = new Response(form)
        const parsed = await parseBody(response.headers.get('content-type') ?? '', Buffer.from(await response.arrayBuffer()))
        if (parsed.kind !== 'fields') return assert.fail(parsed.kind)
        for (const [key] of pairs) {
          assert.deepEqual(
            allValues(parsed.fields, key),
            pairs.filter(([other]) => other === key).map(([, text]) => text),
          )
        }
      },
    ),
    { numRuns: 200 },
  )
})

test('any bytes under any content type are fields or a refusal, never an exception', async () => {
  const type = fc.constantFrom(undefined, JSON_TYPE, FORM_TYPE, MULTIPART_TYPE, 'multipart/form-data; boundary="', 'x')
  const piece = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.constantFrom('\r\n', '--XX', '--', part('Action', 'x'), '{"Action":', '%', '=', '&', '\r\n\r\n'),
  )
  await fc.assert(
    fc.asyncProperty(type, fc.array(piece, { maxLength: 12 }), async (contentType, pieces) => {
      const parsed = await parse(contentType, pieces.join(''))
      if (parsed.kind === 'fields') assert.notEqual(lastValue(parsed.fields, 'Action'), '')
    }),
    { numRuns: 1000 },
  )
})
