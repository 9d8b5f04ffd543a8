/** Schemas as JSON Schema 2020-12, which is what OpenAPI 3.1 is written in. */
import * as z from 'zod'

export interface JsonSchema {
  readonly [keyword: string]: unknown
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  readonly enum?: readonly unknown[]
}

/** Schemas that have a name in the description and are referred to by it. */
export type NamedSchemas = Readonly<Record<string, z.ZodType>>

export const refTo = (name: string): string => `#/components/schemas/${name}`

/**
 * What a schema takes, in the words of JSON Schema. Keys that are not described are not forbidden: a client must not break when an
 * answer has one more.
 * @param named Those that are written as a reference wherever they stand in it.
 */
export function jsonSchemaOf(schema: z.ZodType, named: NamedSchemas = {}): JsonSchema {
  const names = new Map<unknown, string>(Object.entries(named).map(([name, one]) => [one, name]))
  const { $schema: _dialect, ...described } = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      const here: unknown = zodSchema
      const name = here === schema ? undefined : names.get(here)
      if (name === undefined) simplify(jsonSchema)
      else replaceBy(jsonSchema, { $ref: refTo(name) })
    },
  })
  return described as JsonSchema
}

/** `anyOf` of something and null is a type of two names; bounds that every whole number has say nothing. */
function simplify(schema: Record<string, unknown>): void {
  delete schema.additionalProperties
  // What a schema says of what it makes is not what it takes, and would be left out: parameters have names of their own for it.
  for (const keyword of ['examples', 'default']) {
    if (!(`x-${keyword}` in schema)) continue
    schema[keyword] = schema[`x-${keyword}`]
    delete schema[`x-${keyword}`]
  }
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum
  const [some, none] = Array.isArray(schema.anyOf) ? (schema.anyOf as readonly JsonSchema[]) : []
  if (some === undefined || none?.type !== 'null' || typeof some.type !== 'string') return
  delete schema.anyOf
  const { type, ...rest } = some
  for (const [keyword, value] of Object.entries({ ...rest, ...schema, type: [type, 'null'] })) schema[keyword] = value
}

function replaceBy(schema: Record<string, unknown>, other: JsonSchema): void {
  for (const keyword of Object.keys(schema)) delete schema[keyword]
  Object.assign(schema, other)
}
