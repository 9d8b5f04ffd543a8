/**
 * A request body as fields (contract C3): JSON, urlencoded and multipart, told apart by Content-Type.
 *
 * The body is whole and bounded before it comes here, so that one limit and one kind of failure serve all three
 * encodings, and nothing a client streams can pile up. Multipart is RFC 7578 without files: a file part is ignored like
 * any unknown field. Without a Content-Type, what begins like a JSON object is JSON and the rest is a form.
 */
import { type Fields, fieldsFromJson, fieldsFromPairs, MAX_VALUES } from './fields.ts'

export type ParsedBody =
  | { readonly kind: 'fields'; readonly fields: Fields }
  /** The bytes are not what the Content-Type says, or too many values. */
  | { readonly kind: 'malformed' }
  | { readonly kind: 'unsupported' }

const MALFORMED: ParsedBody = { kind: 'malformed' }
const NO_FIELDS: ParsedBody = { kind: 'fields', fields: new Map() }

/** RFC 2046 §5.1.1: a boundary has at most 70 characters. */
const BOUNDARY = /;\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))/i
const DISPOSITION = /^content-disposition:\s*form-data(?=;|\s*$)/i
const DISPOSITION_PARAMETER = /;\s*([a-z*]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))/gi
const BLANKS = /^[\t ]*$/

/** @param contentType The header as it came, if it came. */
export function parseBody(contentType: string | undefined, body: Buffer): ParsedBody {
  const mediaType = contentType === undefined ? guessed(body) : contentType.split(';', 1)[0]?.trim().toLowerCase()
  switch (mediaType) {
    case 'application/json':
      return body.length === 0 ? NO_FIELDS : parsed(jsonFields(body.toString('utf8')))
    case 'application/x-www-form-urlencoded':
      return parsed(fieldsFromPairs(new URLSearchParams(body.toString('utf8'))))
    case 'multipart/form-data':
      return body.length === 0 ? NO_FIELDS : parsed(multipartFields(contentType ?? '', body))
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

/** Bytes are kept as one character each until a part's text is decoded, so that positions never split a letter. */
function multipartFields(contentType: string, body: Buffer): Fields | null {
  const match = BOUNDARY.exec(contentType)
  const boundary = match?.[1] ?? match?.[2]
  if (boundary === undefined) return null
  const [, ...parts] = `\r\n${body.toString('latin1')}`.split(`\r\n--${boundary}`, MAX_VALUES + 2)
  const end = parts.findIndex((part) => part.startsWith('--'))
  if (end === -1) return null
  const pairs: (readonly [string, string])[] = []
  for (const part of parts.slice(0, end)) {
    const pair = partPair(part)
    if (pair === null) return null
    if (pair !== 'file') pairs.push(pair)
  }
  return fieldsFromPairs(pairs)
}

/** One part, from after its delimiter; null when it is not a form's part. */
function partPair(part: string): readonly [string, string] | 'file' | null {
  const delimiterEnd = part.indexOf('\r\n')
  const headersEnd = part.indexOf('\r\n\r\n', delimiterEnd)
  if (delimiterEnd === -1 || headersEnd === -1 || !BLANKS.test(part.slice(0, delimiterEnd))) return null
  const disposition = part
    .slice(delimiterEnd, headersEnd)
    .split('\r\n')
    .find((line) => DISPOSITION.test(line))
  if (disposition === undefined) return null
  let name: string | null = null
  for (const [, parameter = '', quoted, bare = ''] of disposition.matchAll(DISPOSITION_PARAMETER)) {
    if (/^filename\*?$/i.test(parameter)) return 'file'
    if (parameter.toLowerCase() === 'name') name = quoted === undefined ? bare : quoted.replace(/\\(.)/g, '$1')
  }
  return name === null ? null : [utf8(name), utf8(part.slice(headersEnd + 4))]
}

const utf8 = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8')
