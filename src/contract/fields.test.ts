import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { canonicalText, type Fields, fieldsFromJson, fieldsFromPairs, MAX_VALUES, lastValue, allValues } from './fields.ts'

const pairs = (...given: (readonly [string, string])[]): Fields => fieldsFromPairs(given) ?? assert.fail('too many values')
const json = (value: unknown): Fields => fieldsFromJson(value) ?? assert.fail('no fields')

test('[C3] a repeated field may be spelled in every way, and keeps its order', () => {
  const spellings: Fields[] = [
    pairs(['E', 'a'], ['E', 'b']),
    pairs(['E[]', 'a'], ['E[]', 'b']),
    pairs(['E[0]', 'a'], ['E[1]', 'b']),
    pairs(['E[1]', 'b'], ['E[0]', 'a']),
    pairs(['E[7]', 'b'], ['E[2]', 'a']),
    pairs(['E', 'a'], ['E[]', 'b']),
    pairs(['E[0]', 'b'], ['E', 'a']),
    json({ E: ['a', 'b'] }),
    json({ 'E[]': ['a', 'b'] }),
    json({ 'E[0]': 'a', 'E[1]': 'b' }),
    json({ E: 'a', 'E[0]': 'b' }),
  ]
  for (const fields of spellings) assert.deepEqual(allValues(fields, 'E'), ['a', 'b'])
})

test('[C3] the tenth index comes after the second', () => {
  assert.deepEqual(allValues(pairs(['E[10]', 'c'], ['E[2]', 'b'], ['E[0]', 'a']), 'E'), ['a', 'b', 'c'])
})

test('[C3] of a field that is no list, the last value counts, in every encoding', () => {
  assert.equal(lastValue(pairs(['Action', 'listen'], ['Action', 'barge']), 'Action'), 'barge')
  assert.equal(lastValue(json(JSON.parse('{"Action":"listen","Action":"barge"}')), 'Action'), 'barge')
})

test('[C3] keys are case-sensitive, except that action is Action', () => {
  assert.equal(lastValue(pairs(['action', 'hangup']), 'Action'), 'hangup')
  assert.equal(lastValue(json({ action: 'hangup' }), 'Action'), 'hangup')
  assert.equal(lastValue(pairs(['phonenumber', '1']), 'PhoneNumber'), null)
  assert.equal(lastValue(pairs(['ACTION', 'hangup']), 'Action'), null)
  assert.equal(lastValue(pairs(['Action', 'listen'], ['action', 'hangup']), 'Action'), 'listen', 'the right spelling wins')
  assert.equal(lastValue(pairs(['Action', ''], ['action', 'hangup']), 'Action'), 'hangup', 'an empty one does not')
})

test('[C3] an empty string is as if it had not been sent', () => {
  assert.equal(lastValue(pairs(['TargetLegSid', '']), 'TargetLegSid'), null)
  assert.equal(json({ TargetLegSid: '', StatusCallback: null }).size, 0)
  assert.deepEqual([...json({ E: [] })], [['E', []]], 'but a list of nothing can be told from one that is not there')
  assert.deepEqual(allValues(json({ E: ['', 'a', null] }), 'E'), ['a'])
})

test('[C3] numbers and booleans in JSON are their text', () => {
  const fields = json({ PhoneNumber: 9876543210, TimeOut: 30, Record: true, Off: false, Zero: 0 })
  assert.deepEqual(
    [...fields].map(([name, [value]]) => [name, value]),
    [
      ['PhoneNumber', '9876543210'],
      ['TimeOut', '30'],
      ['Record', 'true'],
      ['Off', 'false'],
      ['Zero', '0'],
    ],
  )
})

test('[C3] a value that is no text is there, and is nothing that a parameter could mean', () => {
  for (const value of [{ a: 1 }, [['x']], [{}]]) assert.equal(lastValue(json({ PhoneNumber: value }), 'PhoneNumber'), '\u0000')
})

test('[C3] a JSON body that is no object has no fields', () => {
  for (const value of [null, [], ['a'], 'text', 7, true]) assert.equal(fieldsFromJson(value), null)
})

test('[C3] names from the prototype are names like any other', () => {
  const fields = json(JSON.parse('{"__proto__":{"Action":"hangup"},"constructor":"x","toString":"y"}'))
  assert.equal(lastValue(fields, 'Action'), null)
  assert.equal(lastValue(fields, 'constructor'), 'x')
  assert.equal(lastValue(pairs(['__proto__', 'a'], ['__proto__[x]', 'b']), '__proto__'), 'a')
  assert.equal(lastValue(pairs(), 'hasOwnProperty'), null)
  assert.equal(({} as Record<string, unknown>).Action, undefined)
})

test('[C3] names that only look like lists are left as they are', () => {
  const fields = pairs(['Legs[0][Status]', 'x'], ['E[a]', 'y'], ['[]', 'z'], ['E[99999]', 'w'])
  assert.deepEqual([...fields.keys()], ['Legs[0][Status]', 'E[a]', '[]', 'E[99999]'])
})

test('more values than a request may carry are refused', () => {
  const many = Array.from({ length: MAX_VALUES + 1 }, (_, n) => [`F${n}`, 'x'] as const)
  assert.equal(fieldsFromPairs(many), null)
  assert.equal(fieldsFromPairs(many.slice(1))?.size, MAX_VALUES)
  assert.equal(fieldsFromJson(Object.fromEntries(many)), null)
  assert.equal(fieldsFromJson({ E: Array.from({ length: MAX_VALUES + 1 }, () => 'x') }), null)
})

test('[C19] the canonical text does not depend on the order or the spelling', () => {
  const text = canonicalText(pairs(['B', '1'], ['A[0]', '2'], ['A[1]', '3']))
  assert.equal(text, canonicalText(json({ A: ['2', '3'], B: 1 })))
  assert.notEqual(text, canonicalText(json({ A: ['3', '2'], B: 1 })))
})

test('any pairs at all give fields with no empty value, and as many values as were not empty', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string({ maxLength: 12 }), fc.string({ maxLength: 4 })), { maxLength: 60 }), (given) => {
      const fields = pairs(...given)
      assert.ok([...fields.values()].flat().every((value) => value !== ''))
      assert.ok([...fields.values()].flat().length <= given.filter(([, value]) => value !== '').length)
    }),
  )
})
