import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Fields, fieldsFromJson, fieldsFromPairs } from '../fields.ts'
import { wantsDetails } from '../requests.ts'
import { AUDIT_PARAMETERS } from './audit.ts'
import { CALLBACK_LIST_PARAMETERS, REPLAY_PARAMETERS, SECRET_ROTATION_PARAMETERS } from './callback-log.ts'
import { CALL_LIST_PARAMETERS, cursorOf, DIRECTION_WORDS, STATUS_WORDS } from './call-list.ts'
import { type JsonSchema, jsonSchemaOf } from './description.ts'
import { EVENT_HEADERS, EVENT_PARAMETERS } from './events.ts'
import { ADJUSTMENT_LIST_PARAMETERS, ADJUSTMENT_PARAMETERS, USAGE_PARAMETERS } from './ledger.ts'
import { KEY_PARAMETERS, KEY_ROTATION_PARAMETERS } from './keys.ts'
import { type Parameters, parametersIn } from './parameter.ts'
import { CONNECT_PARAMETERS, LEG_ACTION_PARAMETERS, MONITOR_PARAMETERS, POST_HEADERS } from './requests.ts'

const REQUESTS: Readonly<Record<string, Parameters>> = {
  connect: CONNECT_PARAMETERS,
  monitor: MONITOR_PARAMETERS,
  action: LEG_ACTION_PARAMETERS,
  headers: POST_HEADERS,
  list: CALL_LIST_PARAMETERS,
  usage: USAGE_PARAMETERS,
  adjustment: ADJUSTMENT_PARAMETERS,
  adjustments: ADJUSTMENT_LIST_PARAMETERS,
  audit: AUDIT_PARAMETERS,
  callbacks: CALLBACK_LIST_PARAMETERS,
  replay: REPLAY_PARAMETERS,
  'secret rotation': SECRET_ROTATION_PARAMETERS,
  events: EVENT_PARAMETERS,
  'event headers': EVENT_HEADERS,
  key: KEY_PARAMETERS,
  'key rotation': KEY_ROTATION_PARAMETERS,
}

/** As a client would send it: lists of an address between commas, in a body as an array. */
const sent = (value: unknown, commas: boolean): unknown => (commas && Array.isArray(value) ? value.join(',') : value)
const fields = (values: Readonly<Record<string, unknown>>): Fields => fieldsFromJson(values) ?? assert.fail('no fields')
const exampleOf = ({ examples }: JsonSchema): unknown => (examples as readonly unknown[] | undefined)?.[0]

for (const [name, parameters] of Object.entries(REQUESTS)) {
  const commas = parameters === CALL_LIST_PARAMETERS || parameters === USAGE_PARAMETERS
  const { properties = {}, required = [] } = jsonSchemaOf(parameters)
  const mandatory = Object.fromEntries(required.map((one) => [one, exampleOf(properties[one] ?? {})]))
  const read = (more: Readonly<Record<string, unknown>>): unknown => parametersIn(parameters, fields({ ...mandatory, ...more }))

  test(`every parameter of ${name} has a sentence, an example and its rule of the contract`, () => {
    for (const [parameter, schema] of Object.entries(properties)) {
      assert.match(schema.description ?? '', /^[A-Z`].*\.$/s, parameter)
      assert.notEqual(exampleOf(schema), undefined, parameter)
      assert.match(String(schema['x-contract-rule']), /^C\d+$/, parameter)
    }
  })

  test(`every example of ${name} is taken`, () => {
    for (const [parameter, schema] of Object.entries(properties))
      assert.doesNotThrow(() => read({ [parameter]: sent(exampleOf(schema), commas) }), parameter)
  })

  test(`every default of ${name} is the same as not to send it`, () => {
    for (const [parameter, schema] of Object.entries(properties)) {
      // Who hears an opening that nobody asked for is no question; the command is the same.
      if (schema.default === undefined || parameter === 'StartPlaybackToNew') continue
      assert.deepEqual(read({ [parameter]: sent(schema.default, commas) }), read({}), parameter)
    }
  })
}

test('[C15] [C20] [C30] what is mandatory', () => {
  const mandatory = Object.entries(REQUESTS).map(([name, parameters]) => [name, jsonSchemaOf(parameters).required ?? []])
  assert.deepEqual(mandatory, [
    ['connect', ['From', 'To']],
    ['monitor', ['Action', 'PhoneNumber']],
    ['action', ['Action']],
    ['headers', []],
    ['list', []],
    ['usage', []],
    ['adjustment', ['Amount', 'Note']],
    ['adjustments', []],
    ['audit', []],
    ['callbacks', []],
    ['replay', []],
    ['secret rotation', []],
    ['events', []],
    ['event headers', []],
    ['key', ['Scopes']],
    ['key rotation', []],
  ])
})

test('[C30] the description names every parameter of the vendor’s table that is looked at, in the order in which it is', () => {
  assert.deepEqual(Object.keys(CONNECT_PARAMETERS.shape), [
    ...['From', 'To', 'CallerId', 'TimeOut', 'TimeLimit', 'StatusCallbackContentType', 'StatusCallback', 'StatusCallbackEvents', 'CustomField'],
    ...['WaitUrl', 'StartPlaybackToNew', 'StartPlaybackTo', 'StartPlaybackValueNew', 'StartPlaybackValue'],
    ...['Record', 'RecordingChannels', 'RecordingFormat', 'MaxRetries', 'CallType'],
  ])
})

test('[C31] the list’s parameters in the vendor’s order, with its limits', () => {
  const { properties = {} } = jsonSchemaOf(CALL_LIST_PARAMETERS)
  const filters = ['Sid', 'DateCreated', 'To', 'From', 'PhoneNumber', 'Status', 'Duration', 'Price', 'Direction']
  assert.deepEqual(Object.keys(properties), [...filters, 'PageSize', 'SortBy', 'Before', 'After'])
  assert.deepEqual(
    [properties.Sid?.maxItems, properties.To?.maxItems, properties.PageSize?.maximum, properties.PageSize?.default, properties.SortBy?.default],
    [100, 5, 100, 50, 'DateCreated:desc'],
  )
  assert.deepEqual([properties.Status?.items?.enum, properties.Direction?.items?.enum], [STATUS_WORDS, DIRECTION_WORDS])
})

test('[C31] bounds that the pattern allows are read, and others are not', () => {
  const { properties = {} } = jsonSchemaOf(CALL_LIST_PARAMETERS)
  const cases: Readonly<Record<string, { readonly good: readonly string[]; readonly bad: readonly string[] }>> = {
    Duration: { good: ['eq:30s', 'gte:1;lte:2s', 'lte:2;gte:1', 'lte:45s'], bad: ['10s', 'gte:1;gte:2', 'eq:1;lte:2', 'gt:1', 'gte:-1', ''] },
    Price: { good: ['eq:0.300030', 'gte:0.10;lte:1.0', 'lte:1'], bad: ['1', 'gte:.5', 'gte:1,5', 'eq:1;gte:1'] },
    DateCreated: {
      good: ['gte:2020-12-01 00:00:00', 'gte:2020-12-01 00:00:00;lte:2020-12-22 23:59:59'],
      bad: ['eq:2020-12-01 00:00:00', 'gte:2020-12-01', '2020-12-01 00:00:00'],
    },
  }
  for (const [name, { good, bad }] of Object.entries(cases)) {
    const pattern = new RegExp(String(properties[name]?.pattern))
    const read = (written: string): unknown => parametersIn(CALL_LIST_PARAMETERS, fieldsFromPairs([[name, written]]) ?? new Map())
    for (const written of good) assert.ok(pattern.test(written) && read(written), `${name}=${written}`)
    for (const written of bad) {
      assert.ok(!pattern.test(written), `${name}=${written}`)
      if (written !== '') assert.throws(() => read(written), `${name}=${written}`)
    }
  }
  assert.throws(() => parametersIn(CALL_LIST_PARAMETERS, fields({ DateCreated: 'gte:2020-02-30 00:00:00' })), 'no pattern knows the calendar')
})

test('[C31] a cursor is a text of letters, digits, - and _', () => {
  assert.match(cursorOf({ createdAt: 1_608_638_466_000, id: '~'.repeat(32) as never }), /^[\w-]+$/)
})

test('[C31] details are shown to whoever says true in any of its spellings, and nothing that is said is refused', () => {
  const wants = (details: string): boolean => wantsDetails(fieldsFromPairs([['details', details]]) ?? new Map())
  for (const written of ['true', 'True', 'TRUE', ' true ', '1']) assert.ok(wants(written), written)
  for (const written of ['false', '0', 'yes', '', 'truee', '\u0000', '[]']) assert.ok(!wants(written), written)
  assert.ok(!wantsDetails(new Map()))
})

test('places in the lists of callbacks and of the audit log are what their patterns say', () => {
  for (const [schema, good, bad] of [
    [CALLBACK_LIST_PARAMETERS, ['aB9', 'x'.repeat(64)], ['a-b', 'a b', '../x', 'x'.repeat(65)]],
    [AUDIT_PARAMETERS, ['1', '9'.repeat(15)], ['0', '-1', '01', '1.5', '9'.repeat(16), 'x']],
  ] as const) {
    const { properties = {} } = jsonSchemaOf(schema)
    for (const name of ['Before', 'After']) {
      const pattern = new RegExp(String(properties[name]?.pattern))
      for (const written of good) assert.ok(pattern.test(written) && parametersIn(schema, fields({ [name]: written })), `${name}=${written}`)
      for (const written of bad) {
        assert.ok(!pattern.test(written), `${name}=${written}`)
        assert.throws(() => parametersIn(schema, fields({ [name]: written })), `${name}=${written}`)
      }
    }
  }
})
