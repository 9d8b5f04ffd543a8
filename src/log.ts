/**
 * The log: one event per line, ids as fields, numbers and secrets masked before anything is written (`mask.ts`).
 *
 * JSON lines on stderr; on a terminal the same as `time level message key=value`.
 */
import { pino } from 'pino'
import { maskFields, maskText } from './mask.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type LogFields = Readonly<Record<string, unknown>>

/** What every room receives. Fields first, then a sentence without values in it. */
export interface Log {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
  /** A log that adds these fields to each of its lines. */
  child(fields: LogFields): Log
}

export interface LogOptions {
  readonly level: LogLevel
  /** For people: plain lines instead of JSON. */
  readonly plain: boolean
  /** Takes one line, with its newline. */
  readonly write: (line: string) => void
}

/** A log that writes to stderr, plain when that is a terminal. Writes are synchronous: the last line before an end is not lost. */
export function openLog(level: LogLevel): Log {
  return makeLog({ level, plain: process.stderr.isTTY === true, write: (line) => void process.stderr.write(line) })
}

export function makeLog(options: LogOptions): Log {
  const write = options.plain ? (line: string): void => options.write(plainLine(line)) : options.write
  const settings = {
    level: options.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  return wrap(pino(settings, { write }))
}

function wrap(sink: pino.Logger): Log {
  const line = (level: LogLevel) => (fields: LogFields, message: string) => {
    if (sink.isLevelEnabled(level)) sink[level](safeFields(fields), maskText(message))
  }
  return {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    child: (fields) => wrap(sink.child(safeFields(fields))),
  }
}

/** pino's own keys, which a field of the same name would double on the line. */
const RESERVED = new Set(['level', 'time', 'msg'])

function safeFields(fields: LogFields): Record<string, unknown> {
  const masked = maskFields(fields)
  return Object.fromEntries(Object.entries(masked).map(([key, value]) => [RESERVED.has(key) ? `${key}_` : key, value]))
}

/** `14:03:39.120 info  call ended call=… cause=completed` */
function plainLine(json: string): string {
  const { time, level, msg, ...fields }: Record<string, unknown> = JSON.parse(json)
  const pairs = Object.entries(fields).map(([key, value]) => `${plainText(key)}=${plainValue(value)}`)
  return `${[String(time).slice(11, 23), String(level).padEnd(5), plainText(String(msg ?? '')), ...pairs].join(' ')}\n`
}

function plainValue(value: unknown): string {
  if (typeof value === 'string') return /^[\w.:@/+*-]+$/.test(value) ? value : plainText(JSON.stringify(value))
  if (typeof value === 'object' && value !== null && 'stack' in value && typeof value.stack === 'string') return plainText(value.stack, '\n')
  return plainText(JSON.stringify(value) ?? '')
}

/** Control characters from a peer must not steer the terminal. */
function plainText(text: string, kept = ''): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, (char) => (kept.includes(char) ? char : '?'))
}
