/**
 * Holds answers of a server against its description: the status is one that the route admits, the text of a failure one that it
 * lists, and the content what the schema says, strictly and in order. XML is read by the hints of the OpenAPI document first.
 */
import assert from 'node:assert/strict'
import { XMLParser } from 'fast-xml-parser'
import type * as z from 'zod'
import { errorOf } from '../src/contract/errors.ts'
import type { JsonSchema } from '../src/contract/schemas/description.ts'
import { ERROR_ANSWER } from '../src/contract/schemas/errors.ts'
import type { Format } from '../src/contract/xml.ts'
import { documentPath, openApi } from '../src/http/openapi/document.ts'
import { RIGHT_SUFFIX, textOf } from '../src/http/openapi/operation-object.ts'
import type { HttpMethod } from '../src/http/openapi/types.ts'
import { errorsOf, type ResourceAnswer } from '../src/http/operations/operation.ts'
import { type ApiRoute, ROUTES } from '../src/http/routes.ts'

export interface HttpAnswer {
  readonly status: number
  readonly contentType: string
  readonly body: string
  /** Where they are looked at: those that the description promises of a success must be there. */
  readonly headers?: Readonly<Record<string, unknown>>
}

const parser = new XMLParser({ parseTagValue: false, trimValues: false })
const DOCUMENT = openApi(ROUTES, '0')
/** The vendor has the suffix in the middle of a call's address. */
const CALL_URI = /^(\/v1\/Accounts\/[^/]+\/Calls)\.json(\/[^/]+)$/
/** Some clients ask so: a base address with a slash at its end, and a path with one at its start. */
const DOUBLE_JOINT = /^(\/v1\/Accounts\/[^/]+)\/+(?=\/)/
const CONTENT_TYPES: Readonly<Record<Format, string>> = { json: 'application/json; charset=utf-8', xml: 'application/xml' }

/** Fails when the answer is not one that the description promises. What is no request to the API is not looked at. */
export function assertDescribed(method: string, url: string, answer: HttpAnswer): void {
  const written = (url.replace(/^https?:\/\/[^/]*/, '').split('?')[0] ?? '').replace(DOUBLE_JOINT, '$1')
  if (!written.startsWith('/v1/Accounts/') || method === 'HEAD') return
  const path = written.replace(/\.json$/, '').replace(CALL_URI, '$1$2')
  const format: Format = path === written ? 'xml' : 'json'
  const told = `${method} ${url}: ${answer.status} ${answer.body}`
  // A path that is written out comes before one with a name in its place.
  const [place] = ROUTES.filter((one) => patternOf(one).test(path)).sort((a, b) => a.path.split(':').length - b.path.split(':').length)
  const route = ROUTES.find((one) => one.path === place?.path && one.method === method)
  if (route !== undefined && answer.headers !== undefined) assertHeaders(route, format, answer, told)
  const [first] = route?.says.answers ?? []
  if (first?.kind === 'media' && (answer.status === 200 || answer.status in first.others)) return
  assert.equal(answer.contentType, CONTENT_TYPES[format], told)
  if (answer.status !== 200 || route === undefined) return assertFailure(route, format, answer, told)
  const answers = route.says.answers as readonly ResourceAnswer[]
  const value = format === 'json' ? JSON.parse(answer.body) : xmlValue(route, answer)
  const schemas = [...new Set(answers.map((one) => one[format]))]
  assert.ok(
    schemas.some((schema) => isA(schema, value)),
    `${told}\n${schemas.map((schema) => schema.safeParse(value).error?.message).join('\n')}`,
  )
}

function assertHeaders(route: ApiRoute, format: Format, { status, headers = {} }: HttpAnswer, told: string): void {
  if (status >= 400 && status !== 416) return
  const { path } = documentPath(route)
  const written = format === 'json' && route.says.answers[0].kind === 'resource' ? `${path}.json` : path
  const promised = DOCUMENT.paths[written]?.[route.method.toLowerCase() as HttpMethod]?.responses[String(status)]?.headers ?? {}
  for (const name of Object.keys(promised)) assert.notEqual(headers[name.toLowerCase()], undefined, `${told}\nhas no ${name}`)
}

/** A route that does not exist, or a method that it does not know, is not described by an operation. */
function assertFailure(route: ApiRoute | undefined, format: Format, { status, body }: HttpAnswer, told: string): void {
  const failure = DOCUMENT.components.schemas.Failure ?? assert.fail()
  const value = format === 'json' ? JSON.parse(body) : fromXml(parser.parse(body).TwilioResponse, failure)
  assert.ok(isA(ERROR_ANSWER, value), told)
  if (route === undefined) return
  const { Message, ...number } = value.RestException as { readonly Message: string }
  assert.deepEqual(Object.values(number), [status], told)
  const texts = errorsOf(route)
    .filter((code) => errorOf(code).status === status)
    .flatMap((code) => (code === 'right-missing' ? [textOf(code), textOf(code).replace(RIGHT_SUFFIX, '')] : [textOf(code)]))
  assert.ok(
    texts.some((text) => reading(text).test(Message)),
    `${told}\nis not among ${JSON.stringify(texts)}`,
  )
}

/** Reads as the schema says, has no other keys, and has them in its order. */
function isA(schema: z.ZodType, value: unknown): boolean {
  const read = schema.safeParse(value)
  return read.success && JSON.stringify(read.data) === JSON.stringify(value)
}

const patternOf = ({ path }: ApiRoute): RegExp => new RegExp(`^/v1/Accounts/[^/]+${path.replace(/:\w+/g, '[^/]+')}$`)

/** `Invalid Parameter: {Name} is …` with whatever name. */
const reading = (text: string): RegExp => new RegExp(`^${text.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{\w+\}/g, '[\\w.-]+')}$`)

function xmlValue(route: ApiRoute, { body }: HttpAnswer): unknown {
  const { path: written } = documentPath(route)
  const operation = DOCUMENT.paths[written]?.[route.method.toLowerCase() as HttpMethod]
  const schema = operation?.responses['200']?.content?.['application/xml']?.schema ?? assert.fail(`${written} has no answer in XML`)
  assert.deepEqual(schema.xml, { name: 'TwilioResponse' })
  return fromXml(parser.parse(body).TwilioResponse, schema)
}

/** What an XML reader made of an element, as the JSON that the schema describes. Keys that it does not know stay, to be found. */
function fromXml(node: unknown, written: JsonSchema): unknown {
  const schema =
    written.$ref === undefined ? written : (DOCUMENT.components.schemas[written.$ref.split('/').at(-1) ?? ''] ?? assert.fail(written.$ref))
  if (schema.anyOf?.some(({ properties }) => properties)) return fromXml(node, schema.anyOf.find((one) => hasAllOf(node, one)) ?? {})
  const types = [schema.type].flat()
  if (node === '' && types.includes('null')) return null
  if (types.includes('array')) return listFromXml(node, schema.items ?? {})
  if (schema.properties !== undefined) {
    const { properties } = schema
    return Object.fromEntries(Object.entries(node as object).map(([key, inner]) => [key, fromXml(inner, properties[key] ?? {})]))
  }
  return types.includes('integer') ? Number(node) : node
}

/** Members have the name that the schema has for XML; where it has none, each is its own only key, as in the JSON. */
function listFromXml(node: unknown, items: JsonSchema): readonly unknown[] {
  const target = items.$ref === undefined ? items : (DOCUMENT.components.schemas[items.$ref.split('/').at(-1) ?? ''] ?? {})
  const name = (target.xml as { readonly name?: string } | undefined)?.name
  const member = name ?? Object.keys(target.properties ?? {})[0] ?? ''
  if (node === '') return []
  assert.deepEqual(Object.keys(node as object), [member])
  const members = [(node as Readonly<Record<string, unknown>>)[member]].flat()
  return members.map((one) => fromXml(name === undefined ? { [member]: one } : one, items))
}

const hasAllOf = (node: unknown, { required = [] }: JsonSchema): boolean => required.every((key) => key in (node as object))
