/**
 * Answers in the two formats of the contract (C1, C4): one value, written as XML under `<TwilioResponse>` or as JSON.
 *
 * A list writes its members one after the other: where JSON has `"Legs":[{…}]`, XML wants `Legs: [{ Leg: {…} }]`. A list of bare
 * texts is for JSON alone.
 */

/** What an answer is made of. Object keys are element names and come in the order they are to be written. */
export type WireValue = string | number | null | WireObject | readonly WireObject[] | readonly string[]
export interface WireObject {
  readonly [name: string]: WireValue
}

/** `.json` after the path selects JSON; everything else is XML. */
export type Format = 'xml' | 'json'

const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'

/** Everything that is no XML 1.0 character (§2.2): controls, lone surrogates, U+FFFE and U+FFFF. */
const NOT_XML = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu
const SPECIAL = /[&<>"'\r]/g
/** A carriage return is escaped because a reader would turn a bare one into a line feed (XML 1.0 §2.11). */
const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;', '\r': '&#13;' }

/** A whole document. Characters that XML cannot carry are dropped. */
export const xmlDocument = (content: WireObject): string => `${DECLARATION}\n<TwilioResponse>${members(content)}</TwilioResponse>`

/** The body of an answer in either format. */
export function rendered(format: Format, content: WireObject): string {
  switch (format) {
    case 'xml':
      return xmlDocument(content)
    case 'json':
      return JSON.stringify(content)
  }
}

/** The `Content-Type` that goes with a format; XML names its encoding itself. */
export function contentTypeOf(format: Format): string {
  switch (format) {
    case 'xml':
      return 'application/xml'
    case 'json':
      return 'application/json; charset=utf-8'
  }
}

const members = (content: WireObject): string =>
  Object.entries(content)
    .map(([name, value]) => element(name, value))
    .join('')

function element(name: string, value: WireValue): string {
  const content = inner(value)
  return content === '' ? `<${name}/>` : `<${name}>${content}</${name}>`
}

function inner(value: WireValue): string {
  if (value === null) return ''
  if (typeof value === 'string') return escaped(value)
  if (typeof value === 'number') return String(value)
  return isList(value) ? value.map((item) => (typeof item === 'string' ? escaped(item) : members(item))).join('') : members(value)
}

const isList = (value: WireObject | readonly (WireObject | string)[]): value is readonly (WireObject | string)[] => Array.isArray(value)

const escaped = (text: string): string => text.replace(NOT_XML, '').replace(SPECIAL, (character) => ENTITIES[character] ?? '')
