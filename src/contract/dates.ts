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
