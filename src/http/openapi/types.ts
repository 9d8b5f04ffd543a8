/** As much of OpenAPI 3.1 as the description uses. */
import type { JsonSchema } from '../../contract/schemas/description.ts'

export interface OpenApi {
  readonly openapi: '3.1.1'
  readonly info: {
    readonly title: string
    readonly version: string
    readonly summary: string
    readonly description: string
    readonly license: { readonly name: string; readonly identifier: string }
  }
  readonly servers: readonly { readonly url: string; readonly description: string }[]
  readonly security: readonly SecurityRequirement[]
  readonly tags: readonly { readonly name: string; readonly description: string }[]
  readonly paths: Readonly<Record<string, PathItem>>
  readonly components: {
    readonly schemas: Readonly<Record<string, JsonSchema>>
    readonly parameters: Readonly<Record<string, ParameterObject>>
    readonly headers: Readonly<Record<string, HeaderObject>>
    readonly examples: Readonly<Record<string, ExampleObject>>
    readonly securitySchemes: Readonly<Record<string, { readonly type: 'http'; readonly scheme: 'basic'; readonly description: string }>>
  }
}

export type SecurityRequirement = Readonly<Record<string, readonly string[]>>
export interface Reference {
  readonly $ref: string
}
export type HttpMethod = 'get' | 'put' | 'post' | 'delete' | 'patch'
export type PathItem = { readonly [M in HttpMethod]?: OperationObject } & { readonly parameters?: readonly Reference[] }

export interface OperationObject {
  readonly operationId: string
  readonly tags?: readonly string[]
  readonly summary: string
  readonly description: string
  readonly security?: readonly SecurityRequirement[]
  readonly parameters?: readonly (ParameterObject | Reference)[]
  readonly requestBody?: RequestBodyObject
  readonly responses: Readonly<Record<string, ResponseObject>>
  readonly callbacks?: Readonly<Record<string, Readonly<Record<string, PathItem>>>>
  readonly 'x-contract-rules'?: readonly string[]
  /** The rights that it takes, all of them; by the value of `Action` where it depends on that. */
  readonly 'x-scopes'?: readonly string[] | Readonly<Record<string, string>>
  readonly 'x-codeSamples'?: readonly { readonly lang: string; readonly label: string; readonly source: string }[]
}

export interface ParameterObject {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly required: boolean
  readonly description: string
  readonly schema: JsonSchema
  readonly example?: unknown
  readonly style?: 'form'
  readonly explode?: boolean
  readonly 'x-contract-rule'?: unknown
}

export interface RequestBodyObject {
  readonly required: boolean
  readonly description?: string
  readonly content: Readonly<Record<string, MediaTypeObject>>
}

export interface MediaTypeObject {
  readonly schema: JsonSchema
  readonly example?: unknown
  readonly examples?: Readonly<Record<string, ExampleObject | Reference>>
  readonly encoding?: Readonly<Record<string, { readonly style: 'form'; readonly explode: true }>>
  /** Of a stream of events: what the data of each says, by its name. */
  readonly 'x-events'?: Readonly<Record<string, JsonSchema>>
}

export interface ExampleObject {
  readonly summary?: string
  readonly description?: string
  readonly value: unknown
}

export interface HeaderObject {
  readonly description: string
  readonly schema: JsonSchema
}

export interface ResponseObject {
  readonly description: string
  readonly headers?: Readonly<Record<string, HeaderObject | Reference>>
  readonly content?: Readonly<Record<string, MediaTypeObject>>
}
