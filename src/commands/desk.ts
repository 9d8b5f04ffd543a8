/**
 * What every command of an operator has at hand: two ways to speak, aligned columns, masking, and one sentence for what failed.
 *
 * People read columns, programs one JSON document. What is said about persons is masked in both, unless `--full` asks for all.
 */
import type { Config } from '../config.ts'
import { maskText } from '../mask.ts'
import type { Log } from '../store/database.ts'

export interface Desk {
  /** A line, or several, for stdout. */
  readonly out: (text: string) => void
  /** A line for stderr. */
  readonly err: (line: string) => void
  /** The configuration, or all that is wrong with the file, line by line. */
  readonly read: (path: string) => Promise<Config | readonly string[]>
  /** Epoch ms. */
  readonly now: () => number
}

/** Gaps between columns, in characters. */
const GAP = '  '
const MAX_CELL = 120

/** One line for the head and one for each row; the last column is as long as it is. */
export function columns(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const all = [head, ...rows].map((row) => row.map(plain))
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join(GAP)
      .trimEnd(),
  )
}

/** Text of strangers on a terminal: one line, no control characters, not endless. */
export function plain(text: string): string {
  const line = oneLine(text)
  return line.length > MAX_CELL ? `${line.slice(0, MAX_CELL - 1)}…` : line
}

/** Without what moves a cursor or turns the direction of writing. */
export const oneLine = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]+/g, ' ')

export const json = (value: unknown): string => JSON.stringify(value, null, 2)

/** How a text about persons is shown: as it is with `--full`, else masked. */
export const shownBy = (full: boolean): ((text: string) => string) => (full ? (text) => text : maskText)

/** `2026-11-22T09:00:00Z`; empty for never. */
export const timeText = (at: number | null): string => (at === null ? '' : new Date(at).toISOString().replace(/\.\d{3}Z$/, 'Z'))

/** A log for a command that opens the database: what matters goes to stderr, masked; the rest is nobody's business. */
export function quietLog(desk: Pick<Desk, 'err'>): Log {
  const say = (_fields: Readonly<Record<string, unknown>>, message: string): void => desk.err(`note: ${oneLine(maskText(message))}`)
  return { info: () => {}, warn: say, error: say }
}

/** A server that is not there, not found, or says no to the login or the database (SQLSTATE). */
const DATABASE_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  '28P01',
  '28000',
  '3D000',
])

/** The error and what lies under it, outermost first. */
export function causes(error: unknown): readonly Error[] {
  const chain: Error[] = []
  for (let at = error; at instanceof Error && chain.length < 8; at = at.cause) chain.push(at)
  return chain
}

/** A plain value that was hung on an error. */
export const errorField = (error: Error, name: string): unknown => Object.entries(error).find(([key]) => key === name)?.[1]

/** Its first line. A name with several addresses fails with one error for each, and no message of its own. */
export function messageOf(error: unknown): string {
  const first: unknown = error instanceof AggregateError && error.message === '' ? error.errors[0] : error
  return (first instanceof Error ? first.message : String(first)).split('\n')[0] ?? ''
}

/** Whether the address of a database server in the configuration is what failed. */
export const blamesServer = (error: unknown, data: string): boolean =>
  data.startsWith('postgres') && causes(error).some((cause) => DATABASE_CODES.has(String(errorField(cause, 'code'))))

/** One sentence about why the database cannot be had. */
export const databaseFailure = (error: unknown, { data }: Pick<Config, 'data'>, path: string): string =>
  `${blamesServer(error, data) ? `the database server that data in ${path} names: ` : ''}${messageOf(error)}`
