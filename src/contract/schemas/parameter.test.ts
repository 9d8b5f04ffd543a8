import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import * as z from 'zod'
import { DomainError } from '../../domain/errors.ts'
import { type Fields, fieldsFromPairs } from '../fields.ts'
import { ADDRESS_PATTERN } from '../numbers.ts'
import { jsonSchemaOf } from './description.ts'
import {
  type About,
  address,
  byDefault,
  date,
  flag,
  httpUrl,
  knownWords,
  metaDefault,
  type Parameters,
  parametersIn,
  several,
  sid,
  text,
  trimmedSid,
  truth,
  whole,
  word,
} from './parameter.ts'

const about = (example: About['example']): About => ({ description: 'What it is.', example, rule: 'C15' })
const fields = (...pairs: readonly (readonly [string, string])[]): Fields => fieldsFromPairs(pairs) ?? assert.fail('too many')
const refuses = (schema: Parameters, given: Fields, name: string): void =>
  assert.throws(
    () => parametersIn(schema, given),
    (error) => error instanceof DomainError && error.code === 'invalid-parameter' && error.detail === name,
    JSON.stringify([...given]),
  )

const KINDS = {
  address: {
    schema: address(about('09876500001')),
    good: [
      ['09876500001', '+919876500001'],
      ['client:anna', 'client:anna'],
    ],
    bad: ['12', 'x'.repeat(256), '\u0000'],
  },
  sid: {
    schema: sid(about('abc')),
    good: [
      ['abc', 'abc'],
      ['x'.repeat(64), 'x'.repeat(64)],
    ],
    bad: ['x'.repeat(65), 'a b', 'a/b'],
  },
  'sid with blanks around it': {
    schema: trimmedSid(about('abc')),
    good: [
      ['abc', 'abc'],
      [' abc ', 'abc'],
    ],
    bad: ['x'.repeat(65), 'a b', ' '],
  },
  date: {
    schema: date(about('2020-12-22 17:57:40')),
    good: [
      ['2020-12-22 17:57:40', '2020-12-22 17:57:40'],
      [' 2999-12-31 23:59:59 ', '2999-12-31 23:59:59'],
    ],
    bad: ['2020-12-22', '2020-02-30 00:00:00', '2020-12-22 24:00:00', '1899-12-31 00:00:00', '2020-12-22T17:57:40', '3000-01-01 00:00:00'],
  },
  whole: {
    schema: whole({ min: 1, max: 60 }, about(30)),
    good: [
      ['1', 1],
      ['60', 60],
      ['007', 7],
    ],
    bad: ['0', '61', '-1', '1.5', '1e1', ' 5', 'ten', '١'],
  },
  word: {
    schema: word(['Callee', 'Both'], about('Both')),
    good: [
      ['Callee', 'Callee'],
      ['bOTH', 'Both'],
      [' both ', 'Both'],
    ],
    bad: ['Caller', 'constructor', 'Callee,Both'],
  },
  truth: {
    schema: truth(about(true)),
    good: [
      ['true', true],
      ['TRUE', true],
      ['1', true],
      ['False', false],
      ['0', false],
    ],
    bad: ['yes', 'on', '2', 'null'],
  },
  flag: {
    schema: flag(about(true)),
    good: [
      ['true', true],
      ['1', true],
      ['yes', false],
      ['false', false],
      ['\u0000', false],
    ],
    bad: [],
  },
  text: {
    schema: text(3, about('abc')),
    good: [
      ['abc', 'abc'],
      ['😀😀😀', '😀😀😀'],
      [' ', ' '],
    ],
    bad: ['abcd', '😀😀😀😀', 'a\u0000', '\ud800'],
  },
  httpUrl: {
    schema: httpUrl(about('https://e.in/')),
    good: [
      ['HTTP://E.in', 'http://e.in/'],
      ['https://u:p@e.in/?q=1', 'https://u:p@e.in/?q=1'],
    ],
    bad: ['e.in', 'ftp://e.in/', 'https://', 'https://e.in/ x', `https://e.in/${'a'.repeat(2048)}`],
  },
} as const

for (const [kind, { schema, good, bad }] of Object.entries(KINDS)) {
  test(`a parameter of the kind ${kind} takes what it says and refuses the rest by name`, () => {
    const one = z.object({ Name: schema })
    for (const [written, value] of good) assert.equal(parametersIn(one, fields(['Name', written])).Name, value, written)
    for (const written of bad) refuses(one, fields(['Name', written]), 'Name')
  })
}

test('of one that was sent twice the last counts, and of a list all do', () => {
  const schema = z.object({ One: whole({ min: 1, max: 9 }, about(1)), Many: knownWords(['answered', 'terminal'], about(['terminal'])) })
  const given = fields(['One', 'x'], ['One', '3'], ['Many', 'Terminal'], ['Many', 'ringing'], ['Many', 'answered'], ['Many', 'answered'])
  assert.deepEqual(parametersIn(schema, given), { One: 3, Many: ['answered', 'terminal'] })
})

test('the first that is missing or wrong is named, in the order in which they are declared, not sent', () => {
  const number = (): Parameters['shape'][string] => whole({ min: 1, max: 9 }, about(1))
  const schema = z.object({ B: number(), A: number(), C: number().optional() })
  refuses(schema, fields(['A', 'x'], ['C', 'x']), 'B')
  refuses(schema, fields(['C', 'x'], ['A', 'x'], ['B', '1']), 'A')
  refuses(schema, fields(['C', 'x'], ['A', '1'], ['B', '1']), 'C')
  assert.deepEqual(parametersIn(schema, fields(['A', '1'], ['B', '2'])), { B: 2, A: 1 })
})

test('names that are not declared are left alone, whatever they are', () => {
  const schema = z.object({ A: whole({ min: 1, max: 9 }, about(1)).optional() })
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', 'toString')), fc.string())), (pairs) => {
      const others = pairs.filter(([name]) => !name.startsWith('A'))
      assert.deepEqual(parametersIn(schema, fields(...others)), {})
    }),
  )
})

test('what was not sent has its default, and the description says which', () => {
  const schema = z.object({
    Size: byDefault(whole({ min: 1, max: 100 }, about(20)), 50),
    To: word(['a', 'b'], about('a')).meta(metaDefault('a')).optional(),
  })
  assert.deepEqual(parametersIn(schema, fields()), { Size: 50 })
  const { properties = {}, required } = jsonSchemaOf(schema)
  assert.deepEqual([properties.Size?.default, properties.To?.default, required], [50, 'a', undefined])
})

test('each kind describes the value that a client means, with its limits', () => {
  const described = (schema: z.ZodType): unknown => jsonSchemaOf(z.object({ Name: schema })).properties?.Name
  const said = { description: 'What it is.', 'x-contract-rule': 'C15' }
  assert.deepEqual(described(KINDS.whole.schema), { ...said, type: 'integer', minimum: 1, maximum: 60, examples: [30] })
  assert.deepEqual(described(KINDS.word.schema), { ...said, type: 'string', enum: ['Callee', 'Both'], examples: ['Both'] })
  assert.deepEqual(described(KINDS.truth.schema), { ...said, type: 'boolean', examples: [true] })
  assert.deepEqual(described(KINDS.text.schema), { ...said, type: 'string', maxLength: 3, examples: ['abc'] })
  assert.deepEqual(described(KINDS.sid.schema), { ...said, type: 'string', pattern: '^[0-9A-Za-z_-]{1,64}$', examples: ['abc'] })
  assert.deepEqual(described(KINDS.address.schema.optional()), {
    ...said,
    type: 'string',
    pattern: ADDRESS_PATTERN,
    maxLength: 255,
    examples: ['09876500001'],
  })
  assert.deepEqual(described(knownWords(['a'], about(['a']))), {
    ...said,
    type: 'array',
    items: { anyOf: [{ type: 'string', enum: ['a'] }, { type: 'string' }] },
    examples: [['a']],
  })
})

test('several values come by repeating the name, between commas, or both; one that is not known refuses them all', () => {
  const schema = z.object({ S: several(z.enum(['a', 'b', 'c']), { min: 1, max: 3 }, about(['a'])).optional() })
  const read = (...values: readonly string[]) => parametersIn(schema, fields(...values.map((value): [string, string] => ['S', value]))).S
  assert.equal(read(), undefined)
  for (const [values, expected] of [
    [['a'], ['a']],
    [['a,b'], ['a', 'b']],
    [
      ['a', 'b'],
      ['a', 'b'],
    ],
    [
      [' c , a ', 'b'],
      ['c', 'a', 'b'],
    ],
    [['a,a'], ['a', 'a']],
  ] as const)
    assert.deepEqual(read(...values), expected)
  for (const values of [['d'], ['A'], ['a,'], [','], ['a', 'd'], ['a,b', 'c,a'], ['__proto__']])
    refuses(schema, fields(...values.map((value): [string, string] => ['S', value])), 'S')
})

test('several values that are mandatory are missed by their name, and described with their limits', () => {
  const schema = z.object({ S: several(z.enum(['a', 'b']), { min: 1, max: 3 }, about(['a'])) })
  refuses(schema, fields(), 'S')
  refuses(schema, fields(['S', '']), 'S')
  const described = jsonSchemaOf(schema)
  assert.deepEqual(described.required, ['S'])
  assert.deepEqual([described.properties?.S?.type, described.properties?.S?.minItems, described.properties?.S?.maxItems], ['array', 1, 3])
  assert.deepEqual(described.properties?.S?.items?.enum, ['a', 'b'])
})
