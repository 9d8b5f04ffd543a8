import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import { jsonSchemaOf } from './description.ts'
import { ACTIVE_LEGS_ANSWER, ACTIVE_LEG, CALL } from './resources.ts'

test('a value that may be null has a type of two names, and keeps what is said about it', () => {
  const text = z.string().regex(/^\d+$/).nullable().meta({ description: 'Seconds.' })
  assert.deepEqual(jsonSchemaOf(z.object({ a: text })).properties?.a, { type: ['string', 'null'], pattern: '^\\d+$', description: 'Seconds.' })
})

test('whole numbers have the limits that were given, and not those of every number', () => {
  const { properties } = jsonSchemaOf(z.object({ any: z.int(), some: z.int().min(0) }))
  assert.deepEqual(properties, { any: { type: 'integer' }, some: { type: 'integer', minimum: 0 } })
})

test('an answer may have keys that are not described: a client must not break when one is added', () => {
  assert.ok(!JSON.stringify(jsonSchemaOf(CALL)).includes('additionalProperties'))
})

test('what has a name is referred to wherever it stands, and written out where it is asked for', () => {
  const named = { ActiveLeg: ACTIVE_LEG, ActiveLegs: ACTIVE_LEGS_ANSWER }
  const list = jsonSchemaOf(ACTIVE_LEGS_ANSWER, named)
  assert.deepEqual(list.properties?.Legs?.items, { $ref: '#/components/schemas/ActiveLeg' })
  assert.equal(jsonSchemaOf(ACTIVE_LEG, named).type, 'object')
  assert.equal(jsonSchemaOf(ACTIVE_LEGS_ANSWER).properties?.Legs?.items?.type, 'object')
})

test('in XML a list is an element around its members, which have the name of what they are', () => {
  const legs = jsonSchemaOf(ACTIVE_LEGS_ANSWER).properties?.Legs
  assert.deepEqual([legs?.xml, legs?.items?.xml], [{ wrapped: true }, { name: 'Leg' }])
})
