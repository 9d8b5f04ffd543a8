// What the house writes about any call is what its schemas say, strictly and in order; and what is not so is refused by them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type * as z from 'zod'
import { exampleJson } from '../../../test/data/contract/sample-call.ts'
import { assertIsA as isA } from '../../../test/schemas.ts'
import { anyCall } from '../../../test/sample-calls.ts'
import type { Address } from '../../domain/address.ts'
import type { Call } from '../../domain/call.ts'
import { DomainError } from '../../domain/errors.ts'
import type { AccountId } from '../../domain/ids.ts'
import type { Leg } from '../../domain/leg.ts'
import { callList, callQueryIn } from '../call-list.ts'
import { callCallback, legCallback } from '../callback.ts'
import { domainError, ERROR_CODES, errorOf, errorResource } from '../errors.ts'
import { activeLegs, allLegs, callResource, legResource } from '../resources.ts'
import { CALL_CALLBACK, CALL_CALLBACK_FORM, LEG_CALLBACK } from './callbacks.ts'
import { ERROR_ANSWER, WHEN } from './errors.ts'
import { ACTIVE_LEGS_ANSWER, ALL_LEGS_ANSWER, CALL_ANSWER, CALL_LIST_ANSWER, HANG_UP_ANSWER, LEG_ANSWER } from './resources.ts'

const OPTIONS = { format: 'json', timeZone: 'Asia/Kolkata' } as const
const CALLBACK = { timeZone: 'Asia/Kolkata', boundary: 'earshot-0123456789abcdef' } as const

const address = fc.constantFrom('+919876543210', '+14155550123', 'client:anna', 'sip:boss@10.0.0.1:5070') as fc.Arbitrary<Address>
const fitting = (text: string | null): string | null => (text === null ? null : [...text].slice(0, 128).join(''))

/** Any call that could be, with addresses that could be dialled. */
const call: fc.Arbitrary<Call> = fc.tuple(anyCall, fc.array(address, { minLength: 9, maxLength: 9 })).map(([one, addresses]) => ({
  ...one,
  accountId: 'acme' as AccountId,
  from: addresses[0]!,
  to: addresses[1]!,
  callerId: addresses[2]!,
  customField: fitting(one.customField),
  legs: one.legs.map((leg, n): Leg => ({ ...leg, address: addresses[n + 3]!, customField: fitting(leg.customField) })),
}))

const holds = (check: (one: Call) => void): void => fc.assert(fc.property(call, check), { numRuns: 150 })

test('[C30] [C31] any call, with and without details', () => {
  holds((one) => {
    isA(CALL_ANSWER, callResource(one, OPTIONS, null))
    isA(CALL_ANSWER, callResource(one, OPTIONS, { now: one.updatedAt }))
  })
})

test('[C11] [C31] the legs of any call', () => {
  holds((one) => {
    isA(ACTIVE_LEGS_ANSWER, activeLegs(one, OPTIONS))
    isA(ALL_LEGS_ANSWER, allLegs(one, OPTIONS))
  })
})

test('[C16] [C20] [C21] any leg, whatever was done with it', () => {
  holds((one) => {
    for (const leg of one.legs) {
      isA(LEG_ANSWER, legResource(one, leg, 'created', OPTIONS))
      isA(LEG_ANSWER, legResource(one, leg, 'changed', OPTIONS))
      isA(HANG_UP_ANSWER, legResource(one, leg, 'hung-up', OPTIONS))
    }
  })
})

test('[C31] any page of the list', () => {
  const page = fc.record({ calls: fc.array(call, { maxLength: 3 }), total: fc.nat(), hasPrevious: fc.boolean(), hasNext: fc.boolean() })
  const query = new Map()
  const asked = callQueryIn(query, { timeZone: OPTIONS.timeZone, now: 0 })
  fc.assert(fc.property(page, (one) => isA(CALL_LIST_ANSWER, callList(one, asked, { ...OPTIONS, accountId: 'acme' as AccountId, query }))))
})

test('[C26] [C32] the callbacks of any call and leg, in both encodings', async () => {
  await fc.assert(
    fc.asyncProperty(call, fc.constantFrom('answered' as const, 'terminal' as const), async (one, event) => {
      const subscription = (contentType: 'application/json' | 'multipart/form-data') => ({ url: 'https://e.in/', events: [], contentType })
      for (const contentType of ['application/json', 'multipart/form-data'] as const) {
        const told = { ...one, subscription: subscription(contentType), legs: one.legs.slice(0, 2) }
        const read = async ({ body, contentType: type }: { readonly body: string; readonly contentType: string }): Promise<unknown> =>
          contentType === 'application/json'
            ? JSON.parse(body)
            : Object.fromEntries(await new Response(body, { headers: { 'content-type': type } }).formData())
        const ofCall = await read(callCallback(told, event, CALLBACK))
        if (contentType === 'application/json') isA(CALL_CALLBACK, ofCall)
        else assert.doesNotThrow(() => CALL_CALLBACK_FORM.parse(ofCall))
        // A form turns line ends into its own; what is compared is whether it reads.
        for (const leg of told.legs)
          LEG_CALLBACK.parse(await read(legCallback(told, { ...leg, subscription: subscription(contentType) }, event, CALLBACK)))
      }
    }),
    { numRuns: 60 },
  )
})

const EXAMPLES: Readonly<Record<string, z.ZodType>> = {
  'active-legs.json': ACTIVE_LEGS_ANSWER,
  'active-legs-monitored.json': ACTIVE_LEGS_ANSWER,
  'call-created.json': CALL_ANSWER,
  'call-ended.json': CALL_ANSWER,
  'leg-callback.json': LEG_CALLBACK,
  'leg-hung-up.json': HANG_UP_ANSWER,
}

test('[C11] [C21] [C26] [C30] [C31] the vendor’s examples are what the schemas say', () => {
  for (const [name, schema] of Object.entries(EXAMPLES)) isA(schema, JSON.parse(exampleJson(name)))
})

/** The value with one thing of it changed: a key less, a key more, or another value at a leaf. */
function spoilt(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value.flatMap((item, n) => spoilt(item).map((bad) => value.with(n, bad)))
  if (typeof value !== 'object' || value === null) return [{ not: 'a value' }, 1.5, true]
  const entries = Object.entries(value)
  return [
    { ...value, Extra: 'key' },
    ...entries
      .filter(([key]) => !['Details', 'EndUserNumber'].includes(key))
      .map(([key]) => Object.fromEntries(entries.filter(([other]) => other !== key))),
    ...entries.flatMap(([key, inner]) => spoilt(inner).map((bad) => ({ ...value, [key]: bad }))),
  ]
}

test('an answer with a key less, a key more or another value somewhere is none', () => {
  let count = 0
  for (const [name, schema] of Object.entries(EXAMPLES)) {
    for (const bad of spoilt(JSON.parse(exampleJson(name)))) {
      count += 1
      assert.ok(!schema.safeParse(bad).success, `${name}: ${JSON.stringify(bad)}`)
    }
  }
  assert.ok(count > 300, `${count} spoilt answers`)
})

test('[C11] a monitor leg without EndUserNumber is none, nor is a party with it', () => {
  const monitored = JSON.parse(exampleJson('active-legs-monitored.json'))
  const { EndUserNumber, ...without } = monitored.Legs[2]
  assert.ok(!ACTIVE_LEGS_ANSWER.safeParse({ Legs: [without] }).success)
  assert.ok(!ACTIVE_LEGS_ANSWER.safeParse({ Legs: [{ ...monitored.Legs[0], EndUserNumber }] }).success)
})

test('[C8] [C10] every failure is the one envelope, with Status or with Code, and has a sentence that says when it comes', () => {
  for (const code of ERROR_CODES) {
    isA(ERROR_ANSWER, errorResource(errorOf(code, 'X')))
    assert.match(WHEN[code], /^[A-Z`].*\.$/, code)
  }
  for (const bad of [{}, { Status: 400 }, { Status: 400, Code: 400, Message: 'x' }, { Status: '400', Message: 'x' }, { Status: 200, Message: 'x' }])
    assert.ok(!ERROR_ANSWER.safeParse({ RestException: bad }).success, JSON.stringify(bad))
})

test('an error is spelled the same, whichever way it is asked for', () => {
  for (const code of ['call-not-found', 'draining', 'right-missing'] as const) assert.deepEqual(errorOf(code), domainError(new DomainError(code)))
  assert.equal(errorOf('invalid-parameter', 'From').message, 'Invalid Parameter: From is missing or invalid')
  assert.equal(errorOf('internal', 'req1').message, 'Internal Server Error (req1)')
})
