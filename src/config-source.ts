/**
 * A YAML text as plain values that remember their lines.
 *
 * Its one rule: every scalar stays the text that was written (YAML would read `+919876543210` as a number and lose the
 * plus), `${NAME}` in it is replaced from the environment, and no message ever repeats a value, since it may be a secret.
 */
import { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument, type Document, type YAMLError } from 'yaml'

/** Variables by name, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Where a value stands: keys and list positions from the top. */
export type KeyPath = readonly (string | number)[]

/** Undefined: the key is there, but nothing was written behind it; that means the same as no key. */
export type SourceValue = string | undefined | readonly SourceValue[] | { readonly [key: string]: SourceValue }

/** One thing to mend. `text` says what is wrong and what to write instead. */
export interface Problem {
  /** From 1. */
  readonly line: number
  readonly path: KeyPath
  readonly text: string
}

export interface Source {
  readonly value: SourceValue
  readonly problems: readonly Problem[]
  /** The line of the key or list entry, or of the nearest thing around it that exists. */
  lineOf(path: KeyPath): number
}

/** Values in one file at most; aliases count each time they are used. */
const MAX_VALUES = 100_000
/** Sections and lists inside each other at most; also what stops an alias that contains itself. */
const MAX_DEPTH = 16

const VARIABLE = /\$(\$?)\{([^}]*)\}/g
const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/

/** What the parser's codes mean to somebody who did not write a parser. Its own messages quote the text, so they are not used. */
const SYNTAX: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'this key was given before in the same section; keep one of the two',
  TAB_AS_INDENT: 'indented with a tab; use spaces',
  BAD_INDENT: 'the indentation fits nothing above, or a bracket is not closed; align it with its neighbours',
  BLOCK_AS_IMPLICIT_KEY: 'a nested key on one line; begin a new line after the colon, or put the value in quotes',
  MISSING_CHAR: 'a closing bracket, quote or comma is missing, or a value needs quotes',
  UNEXPECTED_TOKEN: 'something stands where nothing can; a value may need quotes',
  BAD_SCALAR_START: 'a value may not begin with this character; put it in quotes',
  MULTIPLE_DOCS: 'a second document begins here; keep one per file',
  BAD_ALIAS: 'an alias names an anchor that does not exist',
  MULTILINE_IMPLICIT_KEY: 'a colon is missing on this line or the next',
}

/** Reads a YAML text. Never throws: what is wrong is in `problems`, and the rest is read as far as it goes. */
export function readSource(text: string, env: Environment): Source {
  const counter = new LineCounter()
  const doc = parseDocument(text, { schema: 'failsafe', prettyErrors: false, lineCounter: counter, stringKeys: true })
  const lines = new Map<string, number>()
  const textLines = text.split('\n')
  // One slip makes the parser report several times on its line; the first says enough.
  const problems = doc.errors.map((error) => syntaxProblem(error, counter, textLines)).filter(firstOfItsLine)
  const broken = doc.errors.some((error) => error.code !== 'DUPLICATE_KEY')
  const reader: Reader = { doc, counter, env, lines, problems, left: MAX_VALUES }
  const value = broken ? undefined : read(reader, doc.contents, [])
  return { value, problems, lineOf: (path) => nearestLine(lines, path) }
}

/** `accounts[0].keys[1].token`; the whole file is the empty text. */
export function pathText(path: KeyPath): string {
  return path.map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`)).join('')
}

interface Reader {
  readonly doc: Document
  readonly counter: LineCounter
  readonly env: Environment
  readonly lines: Map<string, number>
  readonly problems: Problem[]
  left: number
}

const keyOf = (path: KeyPath): string => JSON.stringify(path)

function nearestLine(lines: ReadonlyMap<string, number>, path: KeyPath): number {
  for (let length = path.length; length > 0; length--) {
    const line = lines.get(keyOf(path.slice(0, length)))
    if (line !== undefined) return line
  }
  return 1
}

function syntaxProblem(error: YAMLError, counter: LineCounter, textLines: readonly string[]): Problem {
  const line = Math.max(1, counter.linePos(error.pos[0]).line)
  const hint = /[[{,].*\$\{/.test(textLines[line - 1] ?? '') ? '; inside [ ] or { } write "${NAME}" with its quotes' : ''
  return { line, path: [], text: (SYNTAX[error.code] ?? `not valid YAML (${error.code})`) + hint }
}

const firstOfItsLine = (problem: Problem, index: number, all: readonly Problem[]): boolean =>
  all.findIndex((other) => other.line === problem.line) === index

function read(reader: Reader, node: unknown, path: KeyPath): SourceValue {
  if (reader.left-- <= 0) {
    if (reader.left === -1) report(reader, path, `the file holds more than ${MAX_VALUES} values; shorten it`)
    return undefined
  }
  if (path.length > MAX_DEPTH) {
    report(reader, path, 'is nested too deeply; see earshot.example.yaml for the shape')
    return undefined
  }
  if (isAlias(node)) return read(reader, node.resolve(reader.doc), path)
  if (isMap(node)) {
    const entries = node.items.map((item): [string, SourceValue] => {
      const name = isScalar(item.key) ? String(item.key.value) : ''
      const itemPath = [...path, name]
      remember(reader, itemPath, item.key)
      return [name, read(reader, item.value, itemPath)]
    })
    // Without a prototype, `__proto__` is a key like any other (and then an unknown one).
    return Object.assign(Object.create(null), Object.fromEntries(entries))
  }
  if (isSeq(node)) {
    return node.items.map((item, index) => {
      remember(reader, [...path, index], item)
      return read(reader, item, [...path, index])
    })
  }
  if (!isScalar(node)) return undefined
  const text = String(node.value ?? '')
  const plain = node.type === 'PLAIN' || node.type === undefined
  if (plain && (text === '' || text === '~' || text === 'null')) return undefined
  return substitute(reader, text, path)
}

function remember(reader: Reader, path: KeyPath, node: unknown): void {
  const at = isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? node.range?.[0] : undefined
  if (at !== undefined) reader.lines.set(keyOf(path), reader.counter.linePos(at).line)
}

function substitute(reader: Reader, text: string, path: KeyPath): string {
  return text.replace(VARIABLE, (whole: string, escaped: string, name: string) => {
    if (escaped) return whole.slice(1)
    if (!VARIABLE_NAME.test(name)) {
      report(reader, path, 'has ${…} without a variable name in it; write e.g. ${EARSHOT_TOKEN}, or $${ for a plain ${')
      return ''
    }
    const value = reader.env[name]
    if (value === undefined || value === '') {
      report(reader, path, `needs the environment variable ${name}, which is not set; set it, or write the value here`)
      return ''
    }
    return value
  })
}

function report(reader: Reader, path: KeyPath, text: string): void {
  reader.problems.push({ line: nearestLine(reader.lines, path), path, text })
}
