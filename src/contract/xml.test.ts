import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { contentTypeOf, rendered, xmlDocument } from './xml.ts'

const parser = new XMLParser({
  trimValues: false,
  parseTagValue: false,
  processEntities: { enabled: true, maxTotalExpansions: 100_000 },
  htmlEntities: true,
})
const textOf = (document: string): string => parser.parse(document).TwilioResponse.Text ?? ''

test('[C4] a document has the declaration and one root', () => {
  assert.equal(xmlDocument({ A: 'x' }), '<?xml version="1.0" encoding="UTF-8"?>\n<TwilioResponse><A>x</A></TwilioResponse>')
})

test('[C4] null and an empty string are empty elements; numbers are digits', () => {
  assert.equal(xmlDocument({ A: null, B: '', C: 0, D: {} }).split('\n')[1], '<TwilioResponse><A/><B/><C>0</C><D/></TwilioResponse>')
})

test('[C4] lists are their members, one after the other, in order', () => {
  assert.equal(
    xmlDocument({ Legs: [{ Leg: { Id: 1 } }, { Leg: { Id: 2 } }] }).split('\n')[1],
    '<TwilioResponse><Legs><Leg><Id>1</Id></Leg><Leg><Id>2</Id></Leg></Legs></TwilioResponse>',
  )
})

test('[C4] JSON has the same names, and null is null', () => {
  assert.equal(rendered('json', { A: null, B: '', C: [{ D: 1 }] }), '{"A":null,"B":"","C":[{"D":1}]}')
  assert.equal(rendered('xml', { A: null }), xmlDocument({ A: null }))
})

test('[C1] each format has its content type', () => {
  assert.equal(contentTypeOf('xml'), 'application/xml')
  assert.equal(contentTypeOf('json'), 'application/json; charset=utf-8')
})

test('markup in a value stays text', () => {
  const text = `<Leg a="1">&amp; ]]> 'x' <!-- -->`
  assert.equal(textOf(xmlDocument({ Text: text })), text)
  assert.ok(!xmlDocument({ Text: text }).includes('<Leg'))
})

test('characters that are not XML are dropped, and all others survive', () => {
  const dropped = ['\u0000', '\u0001', '\u0008', '\u000b', '\u000c', '\u001f', '\ud800', '\udfff', '\ufffe', '\uffff']
  for (const character of dropped) assert.equal(textOf(xmlDocument({ Text: `a${character}b` })), 'ab', JSON.stringify(character))
  for (const character of ['\t', '\n', ' ', '\u007f', 'é', 'ए', '\ufffd', '😀'])
    assert.equal(textOf(xmlDocument({ Text: `a${character}b` })), `a${character}b`)
  assert.ok(xmlDocument({ Text: 'a\r\nb' }).includes('a&#13;\nb'), 'a reader would take a bare carriage return away')
})

test('any text makes a valid document that an independent parser reads back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
      const document = xmlDocument({ Text: text })
      assert.equal(XMLValidator.validate(document), true)
      const kept = [...text].filter((character) => /[\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u.test(character)).join('')
      if (!/[\r]/.test(kept)) assert.equal(textOf(document), kept)
    }),
    { numRuns: 1000 },
  )
})
