/** Rows travel as JSON, many in one parameter. Some strings that JavaScript holds are not text to PostgreSQL. */

const SUSPECT = /\\u0000|\\ud[89a-f]/i
const NUL = /\0/g

/** JSON that PostgreSQL can read: NUL and halves of surrogate pairs become U+FFFD. */
export function rowsJson(rows: unknown): string {
  const text = JSON.stringify(rows)
  if (!SUSPECT.test(text)) return text
  return JSON.stringify(rows, (_key, value: unknown) => (typeof value === 'string' ? storable(value) : value))
}

/** The same for one string. */
export const storable = (value: string): string => value.toWellFormed().replace(NUL, '\ufffd')

export const toTimestamp = (atMs: number): string => new Date(atMs).toISOString()
/** Epoch ms of a timestamp as PostgreSQL writes it into JSON. */
export const fromTimestamp = (text: string): number => Date.parse(text)
