/** One route as an operation of the OpenAPI document: parameters, body, answers, failures, callbacks. */
import { STATUS_CODES } from 'node:http'
import type * as z from 'zod'
import { type ErrorCode, errorOf } from '../../contract/errors.ts'
import { CALL_CALLBACK, CALL_CALLBACK_FORM, LEG_CALLBACK, WEBHOOK_HEADERS } from '../../contract/schemas/callbacks.ts'
import { type JsonSchema, jsonSchemaOf, refTo } from '../../contract/schemas/description.ts'
import { ERROR_ANSWER, WHEN } from '../../contract/schemas/errors.ts'
import type { Parameters } from '../../contract/schemas/parameter.ts'
import { type Format, rendered } from '../../contract/xml.ts'
import { FAILURE_HEADERS, RATE_HEADERS, REQUEST_ID } from './answer-headers.ts'
import { curlSample } from './code-sample.ts'
import { accessOf, rightsSentence } from './rights.ts'
import type { MediaTypeObject, OperationObject, ParameterObject, PathItem, Reference, RequestBodyObject, ResponseObject } from './types.ts'
import {
  type AnswerHeaders,
  type DescribedRoute,
  errorsOf,
  type Input,
  type MediaAnswer,
  type Operation,
  type ResourceAnswer,
} from '../operations/operation.ts'
import { SAMPLE_CALLBACKS } from '../operations/samples.ts'
import { NAMED } from './schema-names.ts'

/** The encodings of a body, and whether a list in it is a repeated name. */
const ENCODINGS = [
  { mediaType: 'application/x-www-form-urlencoded', repeats: true },
  { mediaType: 'application/json', repeats: false },
  { mediaType: 'multipart/form-data', repeats: true },
] as const
const MEDIA_TYPES: Readonly<Record<Format, string>> = { json: 'application/json', xml: 'application/xml' }
/** The element that an answer in XML begins with (C4). */
const XML_ROOT = 'TwilioResponse'

export const requestSchemaName = ({ id }: Operation): string => `${capitalised(id)}Request`

/** @param at The format of the path, null when its answer has none; and the path as it is written in the document. */
export function operationObject(route: DescribedRoute, { format, path }: { readonly format: Format | null; readonly path: string }): OperationObject {
  const { says } = route
  const headers: readonly (ParameterObject | Reference)[] = [
    ...(says.headers === null ? [] : parameterObjects(says.headers, 'header')),
    ...(says.idempotent ? [{ $ref: '#/components/parameters/Idempotency-Key' }] : []),
  ]
  const description = `${says.description}\n\n${rightsSentence(route.scope)}`
  const parameters = [...(says.query === null ? [] : parameterObjects(says.query.parameters, 'query')), ...headers]
  return {
    operationId: format === 'xml' ? `${says.id}Xml` : says.id,
    tags: [says.tag],
    summary: format === 'xml' ? `${says.summary} (XML)` : says.summary,
    description: format === 'xml' ? `${description}\n\nThe same as \`${path}.json\`, answered in XML: the path alone decides.` : description,
    ...accessOf(route.scope),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(says.body === null ? {} : { requestBody: requestBody(says, says.body) }),
    responses: { '200': success(says, format), ...others(says), ...failures(errorsOf(route), format ?? 'xml') },
    ...(says.callback === null ? {} : { callbacks: { statusCallback: { '{$request.body#/StatusCallback}': callback(says.callback) } } }),
    'x-contract-rules': says.rules,
    'x-codeSamples': [{ lang: 'Shell', label: 'curl', source: curlSample(route, path) }],
  }
}

/** What is said of a value goes to the parameter, what may be its value stays with the schema. */
export function parameterObjects(parameters: Parameters, place: 'query' | 'header'): readonly ParameterObject[] {
  const { properties = {}, required = [] } = jsonSchemaOf(parameters)
  return Object.entries(properties).map(([name, { description = '', examples, 'x-contract-rule': rule, ...schema }]) => {
    const [example] = (examples ?? []) as readonly unknown[]
    // Lists of an address stand in one value, between commas.
    const style = place === 'query' && schema.type === 'array' ? ({ style: 'form', explode: false } as const) : {}
    const about = rule === undefined ? {} : { 'x-contract-rule': rule }
    return {
      name,
      in: place,
      required: required.includes(name),
      description,
      schema,
      ...(example === undefined ? {} : { example }),
      ...style,
      ...about,
    }
  })
}

function requestBody(says: Operation, { parameters, example }: Input): RequestBodyObject {
  const { properties = {}, required = [] } = jsonSchemaOf(parameters)
  const lists = Object.keys(properties).filter((name) => properties[name]?.type === 'array')
  const encoding = Object.fromEntries(lists.map((name) => [name, { style: 'form', explode: true } as const]))
  const schema = { $ref: refTo(requestSchemaName(says)) }
  const content = ENCODINGS.map(({ mediaType, repeats }): readonly [string, MediaTypeObject] => [
    mediaType,
    { schema, example, ...(repeats && lists.length > 0 ? { encoding } : {}) },
  ])
  return { required: required.length > 0, content: Object.fromEntries(content) }
}

function success({ answers }: Operation, format: Format | null): ResponseObject {
  const description = `${answers.map(({ title }) => title).join('; or: ')}.`
  const [first] = answers
  if (first.kind === 'media' || format === null) return mediaAnswer(first as MediaAnswer, description)
  const resources = answers as readonly ResourceAnswer[]
  const distinct = [...new Set(resources.map((answer) => answer[format]))].map(schemaOrReference)
  const schema = distinct.length === 1 && distinct[0] ? distinct[0] : { anyOf: distinct }
  const examples = resources.map(({ title, example }, n) => {
    const value = example(format)
    return [`answer${n + 1}`, { summary: title, value: format === 'xml' ? rendered('xml', value) : value }] as const
  })
  const named = format === 'xml' ? { ...schema, xml: { name: XML_ROOT } } : schema
  return { description, headers: RATE_HEADERS, content: { [MEDIA_TYPES[format]]: { schema: named, examples: Object.fromEntries(examples) } } }
}

function others({ answers: [first] }: Operation): Readonly<Record<string, ResponseObject>> {
  const entries = first.kind === 'media' ? Object.entries(first.others) : []
  return Object.fromEntries(entries.map(([status, { description, headers }]) => [status, { description, headers: headersOf(headers) }]))
}

/** A stream begins before it is known what it costs: its headers say nothing of limits. */
function mediaAnswer({ mediaType, example, headers, events }: MediaAnswer, description: string): ResponseObject {
  const data = Object.entries(events).map(([name, schema]) => [name, schemaOrReference(schema)] as const)
  const media: MediaTypeObject = {
    schema: { type: 'string' },
    ...(example === null ? {} : { example }),
    ...(data.length === 0 ? {} : { 'x-events': Object.fromEntries(data) }),
  }
  return { description, headers: { ...(data.length === 0 ? RATE_HEADERS : REQUEST_ID), ...headersOf(headers) }, content: { [mediaType]: media } }
}

const headersOf = (headers: AnswerHeaders): NonNullable<ResponseObject['headers']> =>
  Object.fromEntries(Object.entries(headers).map(([name, description]) => [name, { description, schema: { type: 'string' } }]))

/** By status: several errors may share one. */
function failures(codes: readonly ErrorCode[], format: Format): Readonly<Record<string, ResponseObject>> {
  const byStatus = Map.groupBy(codes, (code) => errorOf(code).status)
  const responses = [...byStatus]
    .sort(([a], [b]) => a - b)
    .map(([status, members]): readonly [string, ResponseObject] => {
      const headers = { ...REQUEST_ID, ...FAILURE_HEADERS[status] }
      const ofXml = format === 'xml' ? '.xml' : ''
      const schema = format === 'xml' ? { $ref: refTo(nameOf(ERROR_ANSWER)), xml: { name: XML_ROOT } } : { $ref: refTo(nameOf(ERROR_ANSWER)) }
      const examples = members.map((code) => [code, { $ref: `#/components/examples/${code}${ofXml}` }] as const)
      return [
        String(status),
        {
          description: [`${STATUS_CODES[status]}.`, ...members.map((code) => `* \`${textOf(code)}\` ${WHEN[code]}`)].join('\n'),
          headers,
          content: { [MEDIA_TYPES[format]]: { schema, examples: Object.fromEntries(examples) } },
        },
      ]
    })
  return Object.fromEntries(responses)
}

/** Stand for what differs, where a text takes numbers alone. */
const [CAP, WAIT_S] = ['111', '222']
const DETAILS: Partial<Readonly<Record<ErrorCode, string>>> = {
  'invalid-parameter': '{Name}',
  'day-spend-reached': CAP,
  'legs-reached': CAP,
  'leg-starts-reached': `${CAP}/${WAIT_S}`,
  internal: '{RequestId}',
}

/** An error's text, with a name in braces for what differs. */
export function textOf(code: ErrorCode): string {
  const message = errorOf(code, DETAILS[code]).message.replace(CAP, '{Cap}').replace(WAIT_S, '{Seconds}')
  return code === 'right-missing' ? message + RIGHT_SUFFIX : message
}
/** Missing where it is no right that lacks, but an agent. */
export const RIGHT_SUFFIX = ': {Right}'

function callback(kind: 'call' | 'leg'): PathItem {
  const json = schemaOrReference(kind === 'call' ? CALL_CALLBACK : LEG_CALLBACK)
  const form = schemaOrReference(kind === 'call' ? CALL_CALLBACK_FORM : LEG_CALLBACK)
  return {
    post: {
      operationId: kind === 'call' ? 'onCallEvent' : 'onLegEvent',
      summary: kind === 'call' ? 'What a call’s receiver is told' : 'What a leg’s receiver is told',
      description:
        'Sent to the `StatusCallback` of the request, in the encoding that it asked for, about the events that it named. Repeated until it is answered with 2xx within 15 seconds.',
      security: [],
      parameters: Object.keys(WEBHOOK_HEADERS.shape).map((name) => ({ $ref: `#/components/parameters/${name}` })),
      requestBody: {
        required: true,
        content: { 'multipart/form-data': { schema: form }, 'application/json': { schema: json, example: SAMPLE_CALLBACKS[kind] } },
      },
      responses: {
        '2XX': { description: 'Taken. The body is not read.' },
        default: { description: 'Not taken: it is sent again later.' },
      },
    },
  }
}

function schemaOrReference(schema: z.ZodType): JsonSchema {
  const name = nameOf(schema)
  return name === '' ? jsonSchemaOf(schema, NAMED) : { $ref: refTo(name) }
}

const nameOf = (schema: z.ZodType): string => Object.entries(NAMED).find(([, one]) => one === schema)?.[0] ?? ''

const capitalised = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1)
