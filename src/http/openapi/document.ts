/** The API as an OpenAPI 3.1 document, made of the routes and of the schemas that read what comes in. It holds no facts of its own. */
import type * as z from 'zod'
import { ERROR_CODES, type ErrorCode, errorOf, errorResource } from '../../contract/errors.ts'
import { type JsonSchema, jsonSchemaOf } from '../../contract/schemas/description.ts'
import { WEBHOOK_HEADERS } from '../../contract/schemas/callbacks.ts'
import { WHEN } from '../../contract/schemas/errors.ts'
import { POST_HEADERS } from '../../contract/schemas/requests.ts'
import { callbackSid } from '../../contract/schemas/callback-log.ts'
import { keySid } from '../../contract/schemas/keys.ts'
import { accountSid, callSid, legSid } from '../../contract/schemas/resources.ts'
import { rendered } from '../../contract/xml.ts'
import { HEADERS } from './answer-headers.ts'
import { GUIDE, SUMMARY, TITLE } from './guide.ts'
import { operationObject, parameterObjects, requestSchemaName, textOf } from './operation-object.ts'
import type { ExampleObject, HttpMethod, OpenApi, ParameterObject, PathItem, Reference } from './types.ts'
import { type DescribedRoute, TAGS } from '../operations/operation.ts'
import { NAMED } from './schema-names.ts'
import { SERVER_PATHS, SERVER_TAG } from './server-paths.ts'

const ACCOUNT_PATH = '/v1/Accounts/:accountSid'

/** What may stand between the slashes of a path, by its name in the routes. */
const PATH_PARAMETERS: Readonly<Record<string, { readonly name: string; readonly schema: z.ZodType }>> = {
  accountSid: { name: 'AccountSid', schema: accountSid },
  callSid: { name: 'CallSid', schema: callSid },
  legSid: { name: 'LegSid', schema: legSid },
  keySid: { name: 'KeySid', schema: keySid },
  callbackSid: { name: 'CallbackSid', schema: callbackSid },
}

/**
 * @param routes Each becomes a path in JSON and one in XML, unless its answer is neither.
 * @param version Of the server.
 */
export function openApi(routes: readonly DescribedRoute[], version: string): OpenApi {
  const tags = Object.entries(TAGS).filter(([tag]) => routes.some(({ says }) => says.tag === tag))
  return {
    openapi: '3.1.1',
    info: {
      title: TITLE,
      version,
      summary: SUMMARY,
      description: GUIDE.map(({ title, paragraphs }) => [`## ${title}`, ...paragraphs].join('\n\n')).join('\n\n'),
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'The server that this document came from.' }],
    security: [{ ApiKey: [] }],
    tags: [...tags.map(([name, description]) => ({ name, description })), SERVER_TAG],
    paths: { ...pathsOf(routes), ...SERVER_PATHS },
    components: {
      schemas: schemas(routes),
      parameters: parameters(),
      headers: HEADERS,
      examples: errorExamples(),
      securitySchemes: {
        ApiKey: { type: 'http', scheme: 'basic', description: 'An API key of the account as user, its token as password.' },
      },
    },
  }
}

function pathsOf(routes: readonly DescribedRoute[]): Readonly<Record<string, PathItem>> {
  const paths: Record<string, PathItem> = {}
  for (const route of routes) {
    const method = route.method.toLowerCase() as HttpMethod
    const { path, names } = documentPath(route)
    const formats = route.says.answers[0].kind === 'media' ? [null] : (['json', 'xml'] as const)
    for (const format of formats) {
      const written = format === 'json' ? `${path}.json` : path
      const operation = operationObject(route, { format, path: written })
      paths[written] = { ...(paths[written] ?? { parameters: names.map(pathReference) }), [method]: operation }
    }
  }
  return paths
}

/** `/Calls/:callSid` → `/v1/Accounts/{AccountSid}/Calls/{CallSid}`, and the names in it. */
export function documentPath({ path }: Pick<DescribedRoute, 'path'>): { readonly path: string; readonly names: readonly string[] } {
  const names: string[] = []
  const written = (ACCOUNT_PATH + path).replace(/:(\w+)/g, (_, name: string) => {
    const known = PATH_PARAMETERS[name]
    if (known === undefined) throw new Error(`PATH_PARAMETERS does not say what :${name} is`)
    names.push(known.name)
    return `{${known.name}}`
  })
  return { path: written, names }
}

const pathReference = (name: string): Reference => ({ $ref: `#/components/parameters/${name}` })

function parameters(): Readonly<Record<string, ParameterObject>> {
  const inPath = Object.values(PATH_PARAMETERS).map(({ name, schema }): readonly [string, ParameterObject] => {
    const { description = '', examples, pattern: _, ...rest } = jsonSchemaOf(schema)
    const [example] = (examples ?? []) as readonly unknown[]
    return [name, { name, in: 'path', required: true, description, schema: rest, example }]
  })
  const inHeader = [POST_HEADERS, WEBHOOK_HEADERS]
    .flatMap((headers: z.ZodObject) => parameterObjects(headers, 'header'))
    .map((parameter): readonly [string, ParameterObject] => [parameter.name, parameter])
  return Object.fromEntries([...inPath, ...inHeader])
}

function schemas(routes: readonly DescribedRoute[]): Readonly<Record<string, JsonSchema>> {
  const requests = routes.flatMap(({ says }) => (says.body === null ? [] : [[requestSchemaName(says), jsonSchemaOf(says.body.parameters)] as const]))
  const named = Object.entries(NAMED).map(([name, schema]) => [name, jsonSchemaOf(schema, NAMED)] as const)
  return Object.fromEntries([...requests, ...named])
}

/** What an error's text names. */
const SAMPLE_DETAILS: Partial<Readonly<Record<ErrorCode, string>>> = {
  'invalid-parameter': 'PhoneNumber',
  'right-missing': 'monitor.barge',
  'day-spend-reached': '5000.000',
  'legs-reached': '50',
  'leg-starts-reached': '60/14',
  internal: 'req-7f3a',
}

function errorExamples(): Readonly<Record<string, ExampleObject>> {
  const examples = ERROR_CODES.flatMap((code): (readonly [string, ExampleObject])[] => {
    const wire = errorOf(code, SAMPLE_DETAILS[code])
    const about = { summary: textOf(code), description: WHEN[code] }
    return [
      [code, { ...about, value: errorResource(wire) }],
      [`${code}.xml`, { ...about, value: rendered('xml', errorResource(wire)) }],
    ]
  })
  return Object.fromEntries(examples)
}
