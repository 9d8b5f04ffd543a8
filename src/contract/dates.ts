/**
 * Dates as the vendor writes them (contract C5): `YYYY-MM-DD HH:mm:ss`, without a zone, in the account's own time zone.
 */

/** Formatters are costly to make (about 50 µs) and few: one per zone, kept up to this many zones. */
const MAX_CACHED_ZONES = 64

const formatters = new Map<string, Intl.DateTimeFormat>()

/**
 * @param epochMs Milliseconds since 1970 UTC; fractions of a second are cut off.
 * @param timeZone IANA name, e.g. `Asia/Kolkata`.
 * @throws {RangeError} when the zone is unknown: configuration is checked at start, so this is a mistake of ours.
 */
export function wireDate(epochMs: number, timeZone: string): string {
  const parts: Partial<Record<Intl.DateTimeFormatPartTypes, string>> = {}
  for (const { type, value } of formatterFor(timeZone).formatToParts(epochMs)) parts[type] = value
  const { year = '', month, day, hour, minute, second } = parts
  return `${year.padStart(4, '0')}-${month}-${day} ${hour}:${minute}:${second}`
}

/** `19…` or `2…`: what every other part of the house can hold. */
const WRITTEN = /^(?:19|2\d)\d\d-\d\d-\d\d \d\d:\d\d:\d\d$/
const SECOND_MS = 1000
const DAY_MS = 24 * 3_600_000

/** Epoch ms: the first moment, and the first one that is not meant any more. */
export interface Moments {
  readonly from: number
  readonly until: number
}

/**
 * The inverse of `wireDate`: the moments that read so, null when there is no such date.
 *
 * A date that comes twice, since clocks were set back, means everything from the first second that reads so to the last. One
 * that never comes, since clocks were set forward over it, is the moment of that jump, empty: nothing before it is later, and
 * nothing after it is earlier.
 */
export function momentsOf(text: string, timeZone: string): Moments | null {
  if (!WRITTEN.test(text)) return null
  const local = readingMs(text)
  if (Number.isNaN(local) || new Date(local).toISOString().slice(0, 19) !== text.replace(' ', 'T')) return null
  const offsetAt = (epochMs: number): number => readingMs(wireDate(epochMs, timeZone)) - epochMs
  // A zone is at most 14 hours from UTC, and does not change twice within two days.
  const candidates = [local - offsetAt(local - DAY_MS), local - offsetAt(local + DAY_MS)]
  const [early, late] = [Math.min(...candidates), Math.max(...candidates)]
  const meant = [early, late].filter((epochMs) => wireDate(epochMs, timeZone) === text)
  if (meant.length > 0) return { from: Math.min(...meant), until: Math.max(...meant) + SECOND_MS }
  const jump = firstSecond(early, late, (epochMs) => readingMs(wireDate(epochMs, timeZone)) > local)
  return { from: jump, until: jump }
}

/** The date as a clock shows it, as if that clock stood in Greenwich. */
const readingMs = (text: string): number => Date.parse(`${text.replace(' ', 'T')}Z`)

/** By halves: `holds` is false at `low`, true at `high`, and changes once between them. */
function firstSecond(low: number, high: number, holds: (epochMs: number) => boolean): number {
  if (high - low <= SECOND_MS) return high
  const middle = low + Math.floor((high - low) / 2 / SECOND_MS) * SECOND_MS
  return holds(middle) ? firstSecond(low, middle, holds) : firstSecond(middle, high, holds)
}

function formatterFor(timeZone: string): Intl.DateTimeFormat {
  const known = formatters.get(timeZone)
  if (known) return known
  const made = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'iso8601',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  })
  if (formatters.size >= MAX_CACHED_ZONES) formatters.clear()
  formatters.set(timeZone, made)
  return made
}
