/** Tables of parameters, of the keys of a schema, and of failures. */
import type { JsonSchema } from '../../contract/schemas/description.ts'
import { type Html, html, NOTHING, prose } from './html.ts'
import type { ExampleObject, MediaTypeObject, OpenApi, OperationObject, ParameterObject, Reference } from '../openapi/types.ts'

const SCHEMA_PREFIX = '#/components/schemas/'

/** What a reference into the document's components names, or the thing itself. */
export const parameterOf = ({ components }: OpenApi, one: ParameterObject | Reference): ParameterObject =>
  '$ref' in one ? named(components.parameters, one.$ref) : one
export const schemaOf = ({ components }: OpenApi, one: JsonSchema): JsonSchema => (one.$ref === undefined ? one : named(components.schemas, one.$ref))
const exampleOf = ({ components }: OpenApi, one: ExampleObject | Reference): ExampleObject =>
  '$ref' in one ? named(components.examples, one.$ref) : one

function named<T>(among: Readonly<Record<string, T>>, reference: string): T {
  const found = among[reference.split('/').at(-1) ?? '']
  if (found === undefined) throw new Error(`the description has no ${reference}`)
  return found
}

/** Of path, query and header. */
export function parameterTable(parameters: readonly ParameterObject[]): Html {
  if (parameters.length === 0) return NOTHING
  return table(
    ['Name', 'Value', 'Meaning'],
    parameters.map(({ name, in: place, required, schema, description, example }) => [
      html`${nameCell(name, required && place !== 'path')}<div class="facts">${place}</div>`,
      valueCell(schema, example),
      prose(description),
    ]),
  )
}

/** The keys of an object, and of what is written out inside it: `Metadata.Total`, `Legs[].Status`. */
export const keyTable = (schema: JsonSchema, kind: 'body' | 'answer'): Html =>
  table(['Name', 'Value', 'Meaning'], keyRows(eitherOf(schema), kind, ''))

function keyRows(schema: JsonSchema, kind: 'body' | 'answer', prefix: string): readonly (readonly Html[])[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, one]) => {
    const required = schema.required?.includes(name) ?? false
    const sometimes = kind === 'answer' && !required ? html`<div class="facts">not always there</div>` : NOTHING
    const [example] = (one.examples ?? []) as readonly unknown[]
    const row = [html`${nameCell(prefix + name, required && kind === 'body')}${sometimes}`, valueCell(one, example), prose(one.description ?? '')]
    return [row, ...keyRows(one.items ?? eitherOf(one), kind, `${prefix}${name}${one.items === undefined ? '' : '[]'}.`)]
  })
}

/** An object that has some keys or others: all of them; what they have in common is always there. */
function eitherOf(schema: JsonSchema): JsonSchema {
  const objects = schema.anyOf?.filter(({ properties }) => properties) ?? []
  if (objects.length === 0) return schema
  const required = (objects[0]?.required ?? []).filter((name) => objects.every((one) => one.required?.includes(name)))
  return { properties: Object.assign({}, ...objects.map(({ properties }) => properties)), required }
}

/** Every failure of an operation: its status, its text, and when it comes. */
export function errorTable(document: OpenApi, operation: OperationObject): Html {
  const rows = Object.entries(operation.responses)
    .filter(([status]) => !status.startsWith('2'))
    .flatMap(([status, { content = {} }]) =>
      examplesOf(document, Object.values(content)[0]).map(({ summary = '', description = '' }) => [
        html`${status}`,
        html`<code>${summary}</code>`,
        prose(description),
      ]),
    )
  return table(['Status', 'Message', 'When'], rows, 'errors')
}

export const examplesOf = (document: OpenApi, media: MediaTypeObject | undefined): readonly ExampleObject[] =>
  Object.values(media?.examples ?? {}).map((example) => exampleOf(document, example))

/** A schema by its name, as a link to its table. */
export function schemaLink({ $ref = '' }: JsonSchema): Html {
  const name = $ref.slice(SCHEMA_PREFIX.length)
  return $ref.startsWith(SCHEMA_PREFIX) ? html`<a href="#schema-${name}">${name}</a>` : NOTHING
}

function table(heads: readonly string[], rows: readonly (readonly Html[])[], kind: 'values' | 'errors' = 'values'): Html {
  if (rows.length === 0) return NOTHING
  const body = rows.map((cells) => html`<tr>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>`)
  return html`<div class="scroll"><table class="${kind}"><thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead><tbody>${body}</tbody></table></div>`
}

const nameCell = (name: string, required: boolean): Html => html`<code>${name}</code>${required ? html`<span class="must">required</span>` : NOTHING}`

/** Type, words, limits, default, example: what there is. */
function valueCell(schema: JsonSchema, example: unknown): Html {
  const facts = [...limitsOf(schema), ...(schema.default === undefined || schema.default === '' ? [] : [`default ${shown(schema.default)}`])]
  const words = wordsOf(schema)
  const sample =
    example === undefined || example === '' || example === null || words.length > 0
      ? NOTHING
      : html`<div class="facts">e.g. <code>${shown(example)}</code></div>`
  return html`${typeOf(schema)}${words.length > 0 ? html` ${words.map((one) => html`<code class="word">${one === '' ? '""' : one}</code> `)}` : NOTHING}${facts.map((fact) => html`<div class="facts">${fact}</div>`)}${sample}`
}

function typeOf(schema: JsonSchema): Html {
  if (schema.$ref !== undefined) return schemaLink(schema)
  if (schema.type === 'array') return schema.items?.$ref === undefined ? html`list` : html`list of ${schemaLink(schema.items)}`
  if (schema.type === 'object' || schema.anyOf?.some(({ properties }) => properties)) return html`object`
  if (wordsOf(schema).length > 0) return NOTHING
  const types = [schema.type ?? 'text'].flat().map((type) => ({ string: 'text', integer: 'whole number', boolean: 'true or false' })[type] ?? type)
  return html`${types.join(' or ')}`
}

const wordsOf = (schema: JsonSchema): readonly string[] => (schema.enum ?? schema.items?.enum ?? schema.items?.anyOf?.[0]?.enum ?? []).map(String)

function limitsOf({ minimum, maximum, maxLength, maxItems }: JsonSchema): readonly string[] {
  const range = minimum === undefined || maximum === undefined ? [] : [`${minimum} to ${maximum}`]
  const chars = maxLength === undefined ? [] : [`up to ${maxLength} characters`]
  return [...range, ...chars, ...(maxItems === undefined ? [] : [`up to ${maxItems}, between commas`])]
}

const shown = (value: unknown): string => (typeof value === 'string' ? value : Array.isArray(value) ? value.join(', ') : JSON.stringify(value))
