/**
 * Dates as the API has them: `YYYY-MM-DD HH:mm:ss`, without a zone, in the account's own (`Asia/Kolkata` unless the operator
 * says otherwise). A moment needs both the text and the zone.
 */

const WRITTEN = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/
const DAY_MS = 24 * 3_600_000
const SECOND_MS = 1000

/**
 * The moment that the text means; null when it is no such date. One that a clock shows twice, since it was set back, is the first
 * of the two; one that it never shows, since it was set forward, is the moment of that jump.
 * @param timeZone IANA name. @throws {RangeError} when the runtime does not know the zone.
 */
export function parseDate(text: string, timeZone: string): Date | null {
  if (!WRITTEN.test(text)) return null
  const local = readingMs(text)
  if (Number.isNaN(local) || new Date(local).toISOString().slice(0, 19) !== text.replace(' ', 'T')) return null
  const clock = clockOf(timeZone)
  // A zone is at most 14 hours from UTC, and does not change twice within two days.
  const candidates = [-DAY_MS, DAY_MS].map((step) => local - (readingMs(clock(local + step)) - (local + step)))
  const [early, late] = [Math.min(...candidates), Math.max(...candidates)]
  const meant = [early, late].find((moment) => clock(moment) === text)
  return new Date(meant ?? jumpBetween(early, late, (moment) => readingMs(clock(moment)) > local))
}

/** How the API writes a moment; fractions of a second are cut off. @param timeZone IANA name. @throws {RangeError} for an unknown zone, or a date that is none. */
export function formatDate(moment: Date | number, timeZone: string): string {
  return clockOf(timeZone)(moment.valueOf())
}

/** The clock on the wall of that zone. */
function clockOf(timeZone: string): (epochMs: number) => string {
  const two = '2-digit'
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'iso8601',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: two,
    day: two,
    hour: two,
    minute: two,
    second: two,
  })
  return (epochMs) => {
    const parts: Partial<Record<Intl.DateTimeFormatPartTypes, string>> = {}
    for (const { type, value } of format.formatToParts(epochMs)) parts[type] = value
    const { year = '', month, day, hour, minute, second } = parts
    return `${year.padStart(4, '0')}-${month}-${day} ${hour}:${minute}:${second}`
  }
}

/** The text as if its clock stood in Greenwich. */
const readingMs = (text: string): number => Date.parse(`${text.replace(' ', 'T')}Z`)

/** By halves: `holds` is false at `low`, true at `high`, and changes once between them. */
function jumpBetween(low: number, high: number, holds: (epochMs: number) => boolean): number {
  if (high - low <= SECOND_MS) return high
  const middle = low + Math.floor((high - low) / 2 / SECOND_MS) * SECOND_MS
  return holds(middle) ? jumpBetween(low, middle, holds) : jumpBetween(middle, high, holds)
}
