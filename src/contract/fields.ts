/**
 * The parameters of a write, however they were encoded (contract C3): names, each with its values in order.
 *
 * A list may be spelled `Name`, `Name[]`, `Name[0]` … in any encoding, in JSON also as an array. `action` is read as
 * `Action`. Empty values are as if they had not been sent. Names are only ever keys of a Map, so that `__proto__` is a
 * name like any other.
 */

/** Values by name, in order, none empty. A name without values is not in the map, unless a JSON body has an empty list for it. */
export type Fields = ReadonlyMap<string, readonly string[]>

/** Most values a request may carry, all names together: the contract knows about twenty names. */
export const MAX_VALUES = 200

/**
 * Stands for a value that is no text (an object, a list in a list). No parameter accepts a NUL, so it is refused where it
 * is read and ignored where nobody reads it.
 */
const NOT_TEXT = '\u0000'

const INDEXED = /^([^[\]]+)\[(\d{0,4})\]$/

/** Pairs as they came, from a form of either kind. @returns null when there are more than `MAX_VALUES`. */
export function fieldsFromPairs(pairs: Iterable<readonly [string, string]>): Fields | null {
  const sent: Sent[] = []
  for (const [name, value] of pairs) {
    if (value === '') continue
    if (sent.length === MAX_VALUES) return null
    sent.push(spelledOut(name, value))
  }
  return collected(sent)
}

/** @param value What the JSON text said. @returns null when it is not an object, or has more than `MAX_VALUES` values. */
export function fieldsFromJson(value: unknown): Fields | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  const pairs: (readonly [string, string])[] = []
  for (const [name, member] of Object.entries(value)) {
    const items: readonly unknown[] = Array.isArray(member) ? member : [member]
    if (pairs.length + items.length > MAX_VALUES) return null
    for (const item of items) pairs.push([name, scalarText(item)])
  }
  const fields = fieldsFromPairs(pairs)
  const empty = Object.entries(value).flatMap(([name, member]) => (Array.isArray(member) && member.length === 0 ? [[name, []] as const] : []))
  return fields && new Map([...empty, ...fields])
}

/** The value of a parameter that is not a list; of several the last, as JSON does with a name given twice. */
export const lastValue = (fields: Fields, name: string): string | null => fields.get(name)?.at(-1) ?? null

/** The values of a list. */
export const allValues = (fields: Fields, name: string): readonly string[] => fields.get(name) ?? []

/** The same text for the same parameters, in whatever order and encoding they came. */
export function canonicalText(fields: Fields): string {
  const byName = (a: readonly [string, unknown], b: readonly [string, unknown]): number => (a[0] < b[0] ? -1 : 1)
  return JSON.stringify([...fields].sort(byName))
}

interface Sent {
  readonly name: string
  /** The place asked for; null takes the next one. */
  readonly index: number | null
  readonly value: string
}

function spelledOut(written: string, value: string): Sent {
  const indexed = INDEXED.exec(written)
  if (!indexed) return { name: written, index: null, value }
  const [, name = written, index = ''] = indexed
  return { name, index: index === '' ? null : Number(index), value }
}

/** Values without an index first, as they came, then those with one by their index. */
function collected(sent: readonly Sent[]): Fields {
  const byPlace = [...sent].sort((a, b) => (a.index ?? -1) - (b.index ?? -1))
  const fields = new Map<string, string[]>()
  for (const { name, value } of byPlace) {
    const values = fields.get(name)
    if (values) values.push(value)
    else fields.set(name, [value])
  }
  const lowerCase = fields.get('action')
  if (lowerCase && !fields.has('Action')) fields.set('Action', lowerCase)
  fields.delete('action')
  return fields
}

function scalarText(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value
    case 'number':
    case 'boolean':
      return String(value)
    default:
      return value === null ? '' : NOT_TEXT
  }
}
