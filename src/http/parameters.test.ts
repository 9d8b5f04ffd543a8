// For every route and every parameter: what its schema says is what the server does, with values made from the schema's own limits.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import type { LightMyRequestResponse } from 'fastify'
import { addressIn } from '../contract/numbers.ts'
import { cursorOf } from '../contract/schemas/call-list.ts'
import { DAY_PATTERN } from '../contract/schemas/ledger.ts'
import { DATE_PATTERN } from '../contract/schemas/parameter.ts'
import { type JsonSchema, jsonSchemaOf } from '../contract/schemas/description.ts'
import { SCOPES } from '../domain/account/rights.ts'
import type { AccountId, CallId, KeyId } from '../domain/ids.ts'
import { makeApi } from '../control/api.ts'
import { makeFakeControl } from './fake-control.ts'
import { NOTHING_KEPT } from './nothing-kept.ts'
import { type ApiRoute, ROUTES } from './routes.ts'
import { makeServer } from './server.ts'

const NOW = 1_600_000_000_000
const app = makeServer({
  api: makeApi(
    makeFakeControl(() => NOW),
    NOTHING_KEPT,
  ),
  publicUrl: () => '',
  accounts: {
    authenticate: async () => ({ accountId: 'acme' as AccountId, keyId: 'key' as KeyId, scopes: SCOPES, agents: null }),
    timeZone: () => 'Asia/Kolkata',
  },
  limits: { writesPerMinute: 1_000_000, readsPerMinute: 1_000_000, requestsPerMinute: 1_000_000 },
  now: () => NOW,
  newId: () => 'id',
  log: { info: () => undefined, error: () => undefined },
  ready: () => 'ready',
})

after(() => app.close())

type Value = string | number | boolean | readonly string[]
type Sent = Readonly<Record<string, Value>>

/** What these are not is never refused: the contract ignores it. */
const LENIENT = ['details', 'StatusCallbackEvents']
/** Words that are taken as they are spelled, and in no other case: rights are not guessed. */
const EXACT = ['Scopes']
const RUNS = 15

const visible = (text: string): boolean => text.trim() !== '' && !/[\r\n\u0000]/.test(text) && text.isWellFormed()
const characters = (maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: 'binary', minLength: 1, maxLength }).filter((text) => visible(text) && [...text].length <= maxLength)
const anyCase = (word: string): fc.Arbitrary<string> => fc.mixedCase(fc.constant(word))
const words = (schema: JsonSchema): readonly string[] => (schema.enum ?? schema.items?.enum ?? schema.items?.anyOf?.[0]?.enum ?? []).map(String)
const date = fc
  .date({ min: new Date('1900-01-01'), max: new Date('2999-12-31'), noInvalidDate: true })
  .map((moment) => moment.toISOString().slice(0, 19).replace('T', ' '))

/** A report from then until today is not too long. */
const recentDay = fc.integer({ min: 0, max: 365 }).map((days) => new Date(NOW - days * 24 * 3_600_000).toISOString().slice(0, 10))

/** Of patterns that allow more than there is, the part that is. */
const SPECIAL: Readonly<Record<string, fc.Arbitrary<Value>>> = {
  DateCreated: fc.oneof(
    fc.tuple(date, date).map(([from, to]) => `gte:${from};lte:${to}`),
    date.map((one) => `lte:${one}`),
  ),
  // Everything but zero.
  Amount: fc
    .tuple(fc.constantFrom('', '-', '+'), fc.integer({ min: 1, max: 999_999_999 }), fc.constantFrom('', '.5', '.000001'))
    .map((parts) => parts.join('')),
  Before: fc.nat().map((createdAt) => cursorOf({ createdAt, id: 'abc' as CallId })),
  After: fc.nat().map((createdAt) => cursorOf({ createdAt, id: 'abc' as CallId })),
}

function good(name: string, schema: JsonSchema): fc.Arbitrary<Value> {
  if (schema.pattern === `^${DATE_PATTERN}$`) return date
  if (schema.pattern === `^${DAY_PATTERN}$`) return recentDay
  const special = SPECIAL[name]
  // Places in other lists than that of calls are no cursors: their pattern says all.
  if (special && (['DateCreated', 'Amount'].includes(name) || schema.pattern === undefined)) return special
  const known = words(schema)
  if (schema.type === 'array') {
    const spelled = EXACT.includes(name) ? fc.constant<string> : anyCase
    const item = known.length > 0 ? fc.constantFrom(...known).chain(spelled) : (good(name, schema.items ?? {}) as fc.Arbitrary<string>)
    const several = { minLength: 1, maxLength: Math.min(Number(schema.maxItems ?? 4), 5) }
    const items = item.filter((one) => !one.includes(','))
    return schema.uniqueItems === true ? fc.uniqueArray(items, { ...several, selector: (one) => one.toLowerCase() }) : fc.array(items, several)
  }
  if (known.length > 0) return fc.constantFrom(...known).chain(anyCase)
  if (schema.type === 'integer') return fc.integer({ min: Number(schema.minimum), max: Number(schema.maximum) })
  if (schema.type === 'boolean') return fc.boolean()
  if (schema.format === 'uri') return fc.webUrl({ validSchemes: ['http', 'https'], withQueryParameters: true })
  if (typeof schema.pattern === 'string')
    return fc.stringMatching(new RegExp(schema.pattern)).filter((text) => visible(text) && (!text.startsWith('sip:') || addressIn(text) !== null))
  return characters(Number(schema.maxLength))
}

function bad(name: string, schema: JsonSchema): fc.Arbitrary<Value> {
  // Control characters are rare among all.
  if (name === 'Name') return fc.constantFrom('a\u0001b', '\u007f', 'a\u0085', 'a\u2028b', '9'.repeat(65))
  if (name === 'Note') return fc.constantFrom('a\u0001b', '\u007f', 'a\u0085b', '9'.repeat(201))
  const known = words(schema).map((word) => word.toLowerCase())
  const other = characters(40).filter((text) => !known.includes(text.trim().toLowerCase()))
  if (schema.type === 'array') {
    const { maxItems, items = {} } = schema
    const item = known.length > 0 ? known[0] : 'client:a'
    const tooMany = fc.integer({ min: Number(maxItems) + 1, max: Number(maxItems) + 9 }).map((count) => Array<string>(count).fill(item ?? ''))
    return fc.oneof(
      tooMany,
      (known.length > 0 ? other : (bad(name, items) as fc.Arbitrary<string>)).filter((text) => !text.includes(',')).map((text) => [text]),
    )
  }
  if (known.length > 0) return other
  if (schema.type === 'integer') {
    const [min, max] = [Number(schema.minimum), Number(schema.maximum)]
    return fc.oneof(
      fc.integer({ min: max + 1 }),
      fc.integer({ max: min - 1 }),
      fc.constantFrom('1.5', '1e1', 'ten', ' 5', '0x1'),
      characters(20).filter((text) => !/^\d+$/.test(text)),
    )
  }
  if (schema.type === 'boolean') return other.filter((text) => !['true', 'false', '1', '0'].includes(text.trim().toLowerCase()))
  const tooLong =
    typeof schema.maxLength === 'number'
      ? [fc.integer({ min: schema.maxLength + 1, max: schema.maxLength + 50 }).map((length) => '9'.repeat(length))]
      : []
  if (typeof schema.pattern !== 'string')
    return fc.oneof(...tooLong, ...(tooLong.length === 0 ? [characters(40).filter((text) => /[^\w-]/.test(text))] : []))
  const pattern = new RegExp(schema.pattern, 'i')
  return fc.oneof(
    ...tooLong,
    characters(60).filter((text) => [text.trim(), `+${text.trim()}`, text.replace(/\s*;\s*/g, ';').trim()].every((one) => !pattern.test(one))),
  )
}

const ENCODINGS = ['json', 'form', 'multipart'] as const

async function payloadOf(
  encoding: (typeof ENCODINGS)[number],
  sent: Sent,
): Promise<{ readonly body: string | Buffer; readonly contentType: string }> {
  if (encoding === 'json') return { body: JSON.stringify(sent), contentType: 'application/json' }
  const pairs = Object.entries(sent).flatMap(([name, value]) => [value].flat().map((one): [string, string] => [name, String(one)]))
  const form = encoding === 'form' ? new URLSearchParams(pairs) : new FormData()
  if (form instanceof FormData) for (const [name, value] of pairs) form.append(name, value)
  const response = new Response(form)
  return { body: Buffer.from(await response.arrayBuffer()), contentType: response.headers.get('content-type') ?? '' }
}

/** @returns The parameter that was refused, or null. */
async function refused(
  { method, path, says }: ApiRoute,
  query: Sent,
  body: Sent | null,
  encoding: (typeof ENCODINGS)[number],
): Promise<string | null> {
  const search = new URLSearchParams(Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]))
  const url = `/v1/Accounts/acme${path.replace(/:\w+/g, 'unknown')}.json?${search}`
  const { body: payload, contentType } = body === null ? { body: '', contentType: '' } : await payloadOf(encoding, body)
  const headers = { authorization: `Basic ${Buffer.from('a:b').toString('base64')}`, ...(body === null ? {} : { 'content-type': contentType }) }
  const isStream = says.answers[0].kind === 'media'
  const response = await app.inject({ method, url, headers, ...(body === null ? {} : { payload }), payloadAsStream: isStream })
  if (isStream) return refusedStream(response)
  assert.ok([200, 400, 403, 404].includes(response.statusCode), response.body)
  if (response.statusCode !== 400) return null
  return /^Invalid Parameter: (\S+) is missing or invalid$/.exec(response.json().RestException.Message)?.[1] ?? response.body
}

/** A stream that was opened does not end by itself. */
async function refusedStream(response: LightMyRequestResponse): Promise<string | null> {
  const stream = response.stream()
  if (response.statusCode === 200) {
    stream.destroy()
    return null
  }
  assert.equal(response.statusCode, 400)
  return /Invalid Parameter: (\S+) is/.exec(Buffer.concat(await stream.toArray()).toString())?.[1] ?? null
}

for (const route of ROUTES) {
  for (const place of ['query', 'body'] as const) {
    const parameters = route.says[place]?.parameters
    if (parameters === undefined) continue
    const { properties = {}, required = [] } = jsonSchemaOf(parameters)
    const mandatory: Sent = route.says.body === null ? {} : Object.fromEntries(required.map((name) => [name, route.says.body?.example[name] ?? '']))
    const ask = (change: Sent, encoding: (typeof ENCODINGS)[number]): Promise<string | null> =>
      place === 'query'
        ? refused(route, change, route.says.body === null ? null : route.says.body.example, encoding)
        : refused(route, {}, { ...mandatory, ...change }, encoding)

    for (const [name, schema] of Object.entries(properties)) {
      test(`${route.method} ${route.path}: ${name} is taken as far as the description says, and no farther`, async () => {
        const encoding = fc.constantFrom(...ENCODINGS)
        await fc.assert(
          fc.asyncProperty(good(name, schema), encoding, async (value, how) => assert.equal(await ask({ [name]: value }, how), null)),
          { numRuns: RUNS },
        )
        if (LENIENT.includes(name)) return
        await fc.assert(
          fc.asyncProperty(bad(name, schema), encoding, async (value, how) => assert.equal(await ask({ [name]: value }, how), name)),
          { numRuns: RUNS },
        )
      })
    }
    if (required.length > 0)
      test(`${route.method} ${route.path}: without what is required it is refused, by the name of the first`, async () => {
        for (const [n, name] of required.entries()) {
          const given = Object.fromEntries(Object.entries(mandatory).filter(([other]) => required.indexOf(other) < n))
          for (const encoding of ENCODINGS) assert.equal(await refused(route, {}, given, encoding), name)
        }
      })
  }
}
