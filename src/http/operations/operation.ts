/**
 * What every route of the API says about itself, for the description that is made of it (`../openapi/document.ts`).
 *
 * A new route brings its operation, in a file of this room by topic; its parameters and answers as schemas, in `contract/schemas/`;
 * a tag below, if it belongs to none; a sentence for each new error (`contract/schemas/errors.ts`). A name in its path that is new is
 * explained in `PATH_PARAMETERS`, and a schema that stands in several answers gets a name in `../openapi/schema-names.ts`. What is
 * forgotten fails to compile or fails a test, and every answer in the tests of the server is held against what is said here.
 */
import type * as z from 'zod'
import type { ErrorCode } from '../../contract/errors.ts'
import type { Parameters } from '../../contract/schemas/parameter.ts'
import type { Format, WireObject } from '../../contract/xml.ts'
import type { Scope } from '../../domain/account/rights.ts'

/** What belongs together on the page, in its order. */
export const TAGS = {
  Calls: 'Calls are made, looked at and listed. `From` is rung first, `To` when `From` has answered.',
  Legs: 'The connections of a call: those of its parties, and those of supervisors who listen, whisper or barge.',
  Recordings: 'What was said, as far as it was asked to be recorded. Whoever only listened or whispered is never in it.',
  Events: 'What happens to calls, as it happens, over one connection.',
  Audit: 'Who monitored whom, in which mode, from when to when, and who could hear it: a chain in which nothing is altered unseen.',
  Money: 'What legs have cost, and what the account has left. For keys that are not limited to agents: it is the whole account’s.',
  Callbacks: 'The delivery log of callbacks, and the secret that signs them. For keys that are not limited to agents: the log tells of every call.',
  Keys: 'API keys: made, listed, given a new token, revoked. No key makes one that can do more than itself.',
} as const
export type Tag = keyof typeof TAGS

/** A success with content in both formats of the contract. */
export interface ResourceAnswer {
  readonly kind: 'resource'
  /** What it is, in a few words. */
  readonly title: string
  readonly json: z.ZodType
  /** The same as `json`, but where the vendor has another name in XML. */
  readonly xml: z.ZodType
  example(format: Format): WireObject
}

/** An answer that has the same names in both formats. */
export const resource = (title: string, schema: z.ZodType, example: (format: Format) => WireObject): ResourceAnswer => ({
  kind: 'resource',
  title,
  json: schema,
  xml: schema,
  example,
})

/** Headers of an answer: what each of them says, in a sentence. */
export type AnswerHeaders = Readonly<Record<string, string>>

/** A success that is neither XML nor JSON: sound, a table, a stream. Its path has no `.json`. */
export interface MediaAnswer {
  readonly kind: 'media'
  readonly title: string
  readonly mediaType: string
  /** Null for what nobody reads. */
  readonly example: string | null
  readonly headers: AnswerHeaders
  /** Other answers that are no failures in the envelope, e.g. 206 for a part of a file. */
  readonly others: Readonly<Record<number, { readonly description: string; readonly headers: AnswerHeaders }>>
  /** Of a stream of events what the data of each says, by its name; of anything else nothing. */
  readonly events: Readonly<Record<string, z.ZodType>>
}

export interface Input {
  readonly parameters: Parameters
  /** One that the server takes, and that is answered as the operation's own examples show. */
  readonly example: Readonly<Record<string, string>>
}

export interface Operation {
  /** Unique, camelCase: what a client's generated function is called. */
  readonly id: string
  readonly tag: Tag
  /** A few words, without a full stop. */
  readonly summary: string
  /** Sentences; `code` in backticks. */
  readonly description: string
  /** Rules of the contract, e.g. `C15`. */
  readonly rules: readonly string[]
  /** Of the address; null when it takes none. */
  readonly query: Input | null
  /** Of the body; null when it takes none. */
  readonly body: Input | null
  /** Headers that mean something to it alone, e.g. `Last-Event-ID`; null when there are none. */
  readonly headers: Parameters | null
  /** Takes an `Idempotency-Key` (C19). */
  readonly idempotent: boolean
  /** One, or one for each thing that can be asked for. */
  readonly answers: readonly [ResourceAnswer, ...ResourceAnswer[]] | readonly [MediaAnswer]
  /** Its own; those that every request can meet are added by `errorsOf`. */
  readonly errors: readonly ErrorCode[]
  /** What is sent to the `StatusCallback` that it takes. */
  readonly callback: 'call' | 'leg' | null
}

/** A route as far as its description goes. */
export interface DescribedRoute {
  readonly method: string
  /** Below `/v1/Accounts/:accountSid`. */
  readonly path: string
  readonly says: Operation
  /** As `routes.ts` has it: one right, several that it takes together, or one by the value of `Action`; null: any key of the account. */
  readonly scope: Scope | readonly Scope[] | Readonly<Record<string, Scope>> | null
}

const OF_ALL: readonly ErrorCode[] = [
  'bad-request',
  'unauthorized',
  'request-timeout',
  'uri-too-long',
  'too-many-requests',
  'headers-too-large',
  'internal',
  'unavailable',
  'busy',
]
const OF_WRITES: readonly ErrorCode[] = ['too-large', 'unsupported-media-type']

/** Everything that the route can be refused with. */
export function errorsOf({ method, says, scope }: DescribedRoute): readonly ErrorCode[] {
  const takesParameters = says.query !== null || says.body !== null || says.idempotent
  const codes = [
    ...(takesParameters ? ['invalid-parameter' as const] : []),
    ...(scope === null ? [] : ['right-missing' as const]),
    ...says.errors,
    ...(says.idempotent ? ['idempotency-mismatch' as const] : []),
    ...OF_ALL,
    ...(method === 'GET' ? [] : OF_WRITES),
  ]
  return [...new Set(codes)]
}
