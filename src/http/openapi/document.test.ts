// The description as others read it: by an independent validator, and by following everything that it refers to.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import { Validator } from '@seriousme/openapi-schema-validator'
import { assertIsA } from '../../../test/schemas.ts'
import { ERROR_CODES } from '../../contract/errors.ts'
import { CALL_CALLBACK, CALL_CALLBACK_FORM, LEG_CALLBACK } from '../../contract/schemas/callbacks.ts'
import { EVENT_DATA } from '../../contract/schemas/events.ts'
import { ERROR_ANSWER } from '../../contract/schemas/errors.ts'
import { parametersIn, text } from '../../contract/schemas/parameter.ts'
import { fieldsFromJson } from '../../contract/fields.ts'
import type { Operation } from '../operations/operation.ts'
import { SAMPLE_CALLBACKS } from '../operations/samples.ts'
import { type ApiRoute, ROUTES } from '../routes.ts'
import { page } from '../page/page.ts'
import { documentPath, openApi } from './document.ts'
import type { HttpMethod, OperationObject, ParameterObject } from './types.ts'

const document = openApi(ROUTES, '1.2.3')
const asSent: Readonly<Record<string, unknown>> = JSON.parse(JSON.stringify(document))
const METHODS: readonly HttpMethod[] = ['get', 'put', 'post', 'delete', 'patch']

interface Found {
  readonly path: string
  readonly method: HttpMethod
  readonly operation: OperationObject
}

const operations: readonly Found[] = Object.entries(document.paths).flatMap(([path, item]) =>
  METHODS.flatMap((method): Found[] => (item[method] === undefined ? [] : [{ path, method, operation: item[method] }])),
)
const ofTheApi = operations.filter(({ path }) => path.startsWith('/v1/'))

const routeOf = ({ operationId }: OperationObject): ApiRoute =>
  ROUTES.find(({ says }) => says.id === operationId.replace(/Xml$/, '')) ?? assert.fail(operationId)

/** Every object in a value, with the keys that lead to it. */
function* objectsIn(value: unknown, trail: readonly string[] = []): Generator<readonly [Readonly<Record<string, unknown>>, readonly string[]]> {
  if (typeof value !== 'object' || value === null) return
  yield [value as Readonly<Record<string, unknown>>, trail]
  for (const [key, inner] of Object.entries(value)) yield* objectsIn(inner, [...trail, key])
}

test('an independent reader finds it to be OpenAPI 3.1', async () => {
  const validator = new Validator()
  const { valid, errors } = await validator.validate(asSent as Parameters<Validator['validate']>[0])
  assert.ok(valid, JSON.stringify(errors))
  assert.equal(validator.version, '3.1')
})

test('that reader would find a fault: without a description of an answer it is none', async () => {
  const spoilt = structuredClone(asSent) as { paths: Record<string, { get: { responses: Record<string, unknown> } }> }
  spoilt.paths['/healthz']!.get.responses = { '200': { content: {} } }
  assert.equal((await new Validator().validate(spoilt as unknown as Parameters<Validator['validate']>[0])).valid, false)
})

test('everything that it refers to is in it, and everything in it is referred to', () => {
  const referred = new Set<string>()
  for (const [{ $ref }, trail] of objectsIn(asSent)) {
    if (typeof $ref !== 'string') continue
    const [, ...keys] = $ref.split('/')
    const target = keys.reduce<unknown>((value, key) => (value as Readonly<Record<string, unknown>> | undefined)?.[key], asSent)
    assert.notEqual(target, undefined, `${trail.join('.')} refers to ${$ref}`)
    referred.add(keys.slice(1).join('/'))
  }
  const { schemas, parameters, examples, headers } = document.components
  const kept = { schemas, parameters, examples, headers }
  const idle = Object.entries(kept).flatMap(([kind, members]) => Object.keys(members).filter((name) => !referred.has(`${kind}/${name}`)))
  // No operation can be refused so, since such a request reaches none; and what has no answer in JSON fails in XML alone.
  const withoutRoute = ['not-found', 'not-found.xml', 'method-not-allowed', 'method-not-allowed.xml', 'recording-not-found']
  assert.deepEqual(
    idle.filter((name) => !withoutRoute.includes(name)),
    [],
  )
})

test('every route is there twice, in JSON with .json and in XML without, and nothing else but what needs no key', () => {
  const expected = ROUTES.flatMap(({ method, path, says }) => {
    const bare = `${method.toLowerCase()} ${documentPath({ path }).path}`
    return says.answers[0].kind === 'media' ? [bare] : [bare, `${bare}.json`]
  })
  assert.deepEqual(ofTheApi.map(({ path, method }) => `${method} ${path}`).sort(), expected.sort())
  const open = operations.filter(({ operation }) => operation.security?.length === 0)
  assert.deepEqual(
    open.map(({ path }) => path),
    ['/healthz', '/readyz', '/openapi.json'],
  )
  assert.deepEqual(document.security, [{ ApiKey: [] }])
})

test('every operation has a name of its own, a summary, a description, and a tag that is explained', () => {
  const names = operations.map(({ operation }) => operation.operationId)
  assert.equal(new Set(names).size, names.length)
  const tags = document.tags.map(({ name }) => name)
  for (const { operation, path } of operations) {
    assert.match(operation.operationId, /^[a-z][A-Za-z]+$/)
    assert.match(operation.summary, /^[A-Z][^.]+$/, path)
    assert.match(operation.description, /^[A-Z`].*\.$/s, path)
    assert.ok(
      operation.tags?.every((tag) => tags.includes(tag)),
      path,
    )
  }
})

test('[C1] every name in a path is explained, and no other', () => {
  for (const [path, item] of Object.entries(document.paths)) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => `#/components/parameters/${name}`)
    assert.deepEqual(
      (item.parameters ?? []).map(({ $ref }) => $ref),
      inPath,
      path,
    )
  }
})

test('[C1] [C4] the path alone says in which format an answer comes, failures too', () => {
  for (const { path, operation } of ofTheApi) {
    for (const { content } of Object.values(operation.responses)) {
      if (content === undefined) continue
      const [mediaType = ''] = Object.keys(content)
      assert.deepEqual(Object.keys(content), [mediaType])
      if (mediaType === 'application/xml' || mediaType === 'application/json')
        assert.equal(mediaType, path.endsWith('.json') ? 'application/json' : 'application/xml')
    }
  }
})

test('[C3] every body is described in all three encodings, and its example is one that the server takes', () => {
  const withBody = ofTheApi.filter(({ operation }) => operation.requestBody)
  assert.equal(withBody.length, 2 * ROUTES.filter(({ says }) => says.body !== null).length)
  for (const { operation } of withBody) {
    const { content = {} } = operation.requestBody ?? {}
    assert.deepEqual(Object.keys(content).sort(), ['application/json', 'application/x-www-form-urlencoded', 'multipart/form-data'])
  }
  for (const { says } of ROUTES)
    for (const input of [says.body, says.query]) if (input) parametersIn(input.parameters, fieldsFromJson(input.example) ?? assert.fail())
})

test('every example of an answer is what its schema says, in JSON; in XML it has the same names', () => {
  for (const { says } of ROUTES) {
    for (const answer of says.answers) {
      if (answer.kind === 'media') continue
      assert.doesNotThrow(() => answer.json.parse(answer.example('json')), says.id)
      assert.notDeepEqual(answer.example('xml'), {})
    }
  }
})

test('[C26] [C32] the examples of callbacks are what their schemas say', () => {
  LEG_CALLBACK.parse(SAMPLE_CALLBACKS.leg)
  CALL_CALLBACK.parse(SAMPLE_CALLBACKS.call)
  assert.deepEqual(Object.keys(CALL_CALLBACK_FORM.shape).slice(-3), ['Legs[1][OnCallDuration]', 'Legs[1][Status]', 'Legs[1][AnsweredBy]'])
  const told = ofTheApi.filter(({ operation }) => operation.callbacks)
  assert.deepEqual(new Set(told.map(({ operation }) => operation.operationId.replace('Xml', ''))), new Set(['connectCall', 'createMonitorLeg']))
  for (const { operation } of told) {
    const { post } = operation.callbacks?.statusCallback?.['{$request.body#/StatusCallback}'] ?? {}
    assert.deepEqual(Object.keys(post?.requestBody?.content ?? {}), ['multipart/form-data', 'application/json'])
    assert.equal(post?.parameters?.length, 3, 'webhook-id, webhook-timestamp, webhook-signature')
  }
})

test('[C8] [C10] every failure of an operation has its status, its text in both formats, and what goes with it', () => {
  for (const code of ERROR_CODES) ERROR_ANSWER.parse(document.components.examples[code]?.value)
  for (const { operation, method, path } of ofTheApi) {
    const statuses = Object.keys(operation.responses)
    for (const status of ['200', '400', '401', '500', '503']) assert.ok(statuses.includes(status), `${path} ${status}`)
    assert.ok(statuses.includes('429') && statuses.includes('403'), path)
    assert.equal(statuses.includes('413'), method !== 'get', path)
    const [conflicts = {}] = Object.values(operation.responses['409']?.content ?? {}).map(({ examples }) => examples)
    assert.equal(JSON.stringify(conflicts).includes('idempotency-mismatch'), routeOf(operation).says.idempotent, path)
    for (const [status, header] of [
      ['401', 'WWW-Authenticate'],
      ['429', 'Retry-After'],
      ['503', 'Retry-After'],
    ] as const) {
      const response = operation.responses[status]
      if (response) assert.ok(response.headers?.[header], `${path} ${status}`)
    }
  }
})

test('[C19] what takes an Idempotency-Key says so, and nothing else does', () => {
  for (const { operation } of ofTheApi) {
    const takes = operation.parameters?.some((one) => '$ref' in one && one.$ref.endsWith('/Idempotency-Key')) ?? false
    assert.equal(takes, routeOf(operation).says.idempotent, operation.operationId)
  }
})

test('[C10] every operation says which rights it takes, for people and for machines, and can be refused for want of them', () => {
  for (const { operation } of ofTheApi) {
    const { scope } = routeOf(operation)
    const fixed = scope === null || typeof scope === 'string' || Array.isArray(scope)
    const rights = scope === null ? [] : typeof scope === 'string' ? [scope] : Object.values(scope)
    for (const right of rights) assert.ok(operation.description.includes(`\`${right}\``), `${operation.operationId} ${right}`)
    assert.deepEqual(operation['x-scopes'], fixed ? rights : scope)
    assert.deepEqual(operation.security, fixed ? [{ ApiKey: rights }] : rights.map((right) => ({ ApiKey: [right] })))
    assert.equal(JSON.stringify(operation.responses['403'] ?? {}).includes('right-missing'), scope !== null, operation.operationId)
  }
  const put = document.paths['/v1/Accounts/{AccountSid}/Calls/{CallSid}/Legs/{LegSid}.json']?.put
  assert.match(put?.description ?? '', /Takes the right of its `Action`: `monitor\.listen` for `listen`, .*`legs\.hangup` for `hangup`\.$/)
  assert.match(
    document.paths['/v1/Accounts/{AccountSid}/Recordings/{CallSid}']?.get?.description ?? '',
    /Takes the rights `calls\.read` and `monitor\.listen`\.$/,
  )
})

test('a route that any key may use says so', () => {
  const { get } = openApi([{ ...ROUTES[1]!, scope: null }], '1').paths['/v1/Accounts/{AccountSid}/Calls.json'] ?? {}
  assert.match(get?.description ?? '', /Takes no right: any key of the account will do\.$/)
  assert.deepEqual([get?.security, get?.['x-scopes'], get?.responses['403']], [[{ ApiKey: [] }], [], undefined])
})

test('the stream of events says what the data of each event is, and its example is made of such', () => {
  const media = document.paths['/v1/Accounts/{AccountSid}/Events']?.get?.responses['200']?.content?.['text/event-stream']
  assert.deepEqual(Object.keys(media?.['x-events'] ?? {}), ['snapshot', 'call', 'leg', 'mode', 'hearing'])
  const told = [...String(media?.example).matchAll(/^event: (\w+)\ndata: (.*)$/gm)]
  assert.equal(told.length, 3)
  for (const [, event = '', data = ''] of told) assertIsA(EVENT_DATA[event as keyof typeof EVENT_DATA], JSON.parse(data))
})

test('[C31] lists in an address stand between commas', () => {
  const list = document.paths['/v1/Accounts/{AccountSid}/Calls.json']?.get?.parameters as readonly ParameterObject[]
  const lists = list.filter(({ schema }) => schema.type === 'array')
  assert.deepEqual(
    lists.map(({ name }) => name),
    ['Sid', 'To', 'From', 'PhoneNumber', 'Status', 'Direction'],
  )
  assert.ok(lists.every(({ style, explode }) => style === 'form' && explode === false))
})

test('every operation has a command that can be pasted into a shell, with what its example sends', () => {
  const source = (path: string, method: HttpMethod): string => document.paths[path]?.[method]?.['x-codeSamples']?.[0]?.source ?? ''
  assert.equal(
    source('/v1/Accounts/{AccountSid}/Calls/{CallSid}/Legs/{LegSid}.json', 'put'),
    'curl -X PUT -u "$EARSHOT_KEY:$EARSHOT_TOKEN" "$EARSHOT_URL/v1/Accounts/exotel30m/Calls/c5797dcbaaeed7678c4062a4a3ed2f8a/Legs/33333333333333333333333333333ccc.json" \\\n  -d Action=barge',
  )
  assert.match(source('/v1/Accounts/{AccountSid}/Calls/connect.json', 'post'), /-d CustomField=order%207 /)
  assert.match(source('/v1/Accounts/{AccountSid}/Calls', 'get'), /Calls\?Status=completed&SortBy=DateCreated:desc&PageSize=1"$/)
  for (const { operation } of ofTheApi) assert.match(operation['x-codeSamples']?.[0]?.source ?? '', /^curl /)
})

test('an answer that is neither XML nor JSON has one path, its own type, and the answers beside it', async () => {
  const says: Operation = {
    ...ROUTES[2]!.says,
    id: 'getSound',
    headers: z.object({ Range: text(100, { description: 'Which bytes of it.', example: 'bytes=0-99', rule: 'C30' }).optional() }),
    answers: [
      {
        kind: 'media',
        title: 'The sound',
        mediaType: 'audio/wav',
        example: null,
        others: { 206: { description: 'The bytes that were asked for.', headers: {} } },
        headers: {},
        events: {},
      },
    ],
  }
  const described = openApi([...ROUTES, { method: 'GET', path: '/Sounds/:callSid', says, scope: null }], '1')
  const { valid, errors } = await new Validator().validate(JSON.parse(JSON.stringify(described)))
  assert.ok(valid, JSON.stringify(errors))
  assert.equal(described.paths['/v1/Accounts/{AccountSid}/Sounds/{CallSid}.json'], undefined)
  const { get } = described.paths['/v1/Accounts/{AccountSid}/Sounds/{CallSid}'] ?? {}
  assert.deepEqual(Object.keys(get?.responses['200']?.content ?? {}), ['audio/wav'])
  assert.deepEqual(get?.responses['206'], { description: 'The bytes that were asked for.', headers: {} })
  assert.ok(get?.responses['404']?.content?.['application/xml'])
  assert.ok(get?.parameters?.some((one) => 'name' in one && one.name === 'Range' && one.in === 'header'))
  assert.match(page(described), /<article id="getSound">[^]*audio\/wav/)
})

test('a path with a name that nobody explains cannot be described', () => {
  const [route] = ROUTES
  assert.throws(() => openApi([{ ...route!, path: '/Things/:thing' }], '1'), /:thing/)
})
