/**
 * A request body as fields (contract C3): JSON, urlencoded and multipart, told apart by Content-Type.
 *
 * The body is whole and bounded before it comes here, so that one limit and one kind of failure serve all three
 * encodings, and nothing a client streams can pile up. Multipart is RFC 7578 without files: a file part is ignored like
 * any unknown field. Without a Content-Type, what begins like a JSON object is JSON and the rest is a form.
 */
import { type Fields, fieldsFromJson, fieldsFromPairs } from './fields.ts'

export type ParsedBody =
  | { readonly kind: 'fields'; readonly fields: Fields }
  /** The bytes are not what the Content-Type says, or too many values. */
  | { readonly kind: 'malformed' }
  | { readonly kind: 'unsupported' }

const MALFORMED: ParsedBody = { kind: 'malformed' }
const NO_FIELDS: ParsedBody = { kind: 'fields', fields: new Map() }

/** @param contentType The header as it came, if it came. */
export async function parseBody(contentType: string | undefined, body: Buffer): Promise<ParsedBody> {
  const mediaType = contentType === undefined ? guessed(body) : contentType.split(';', 1)[0]?.trim().toLowerCase()
  switch (mediaType) {
    case 'application/json':
      return body.length === 0 ? NO_FIELDS : parsed(jsonFields(body.toString('utf8')))
    case 'application/x-www-form-urlencoded':
      return parsed(fieldsFromPairs(new URLSearchParams(body.toString('utf8'))))
    case 'multipart/form-data':
      return body.length === 0 ? NO_FIELDS : parsed(await multipartFields(contentType ?? '', body))
    default:
      return { kind: 'unsupported' }
  }
}

const parsed = (fields: Fields | null): ParsedBody => (fields === null ? MALFORMED : { kind: 'fields', fields })

const guessed = (body: Buffer): string => (/^\s*\{/.test(body.toString('latin1')) ? 'application/json' : 'application/x-www-form-urlencoded')

function jsonFields(text: string): Fields | null {
  let value: unknown
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch {
    return null // The only thing that can be wrong here is the sender's text.
  }
  return fieldsFromJson(value)
}

/** The runtime's own parser of RFC 7578, the one behind `fetch`. */
async function multipartFields(contentType: string, body: Buffer): Promise<Fields | null> {
  let form: FormData
  try {
    form = await new Response(new Uint8Array(body), { headers: { 'content-type': contentType } }).formData()
  } catch {
    return null // The only thing that can be wrong here is the sender's bytes.
  }
  return fieldsFromPairs([...form].flatMap(([name, value]) => (typeof value === 'string' ? [[name, value] as const] : [])))
}
