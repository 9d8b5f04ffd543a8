/**
 * Counts what really ran, from the events of node:test.
 *
 * Its one rule: nothing that went wrong is counted as anything but a failure: a file that crashes, hangs, holds no test
 * or throws after its tests ended is a failed test of its own. Suites and tests that only hold subtests are not counted.
 */
import { inspect } from 'node:util'

/** @typedef {{ file: string, name: string, text: string }} Remark */
/** @typedef {{ passed: number, failures: Remark[], skips: Remark[], output: string }} Result */

/** Characters of a file's own output that are kept for the case that it fails. */
const MAX_OUTPUT = 20_000
const WHOLE_FILE = 'the file itself'

/** @param {AsyncIterable<{ type: string, data: any }> | Iterable<{ type: string, data: any }>} events of one file @param {string} file @returns {Promise<Result>} */
export async function collect(events, file) {
  const result = { passed: 0, failures: [], skips: [], output: '' }
  /** Names of the tests around the one that runs, and whether a deeper test was reported since the last one at a depth. */
  const names = []
  const deeper = new Set()
  const late = []
  for await (const { type, data } of events) {
    if (type === 'test:start') names[data.nesting] = data.name
    if (type === 'test:stdout' || type === 'test:stderr') result.output = (result.output + data.message).slice(-MAX_OUTPUT)
    if (type === 'test:diagnostic' && /asynchronous activity after the test ended/.test(data.message)) late.push(data.message)
    if (type !== 'test:pass' && type !== 'test:fail') continue
    const holdsTests = data.details?.type === 'suite' || deeper.has(data.nesting + 1)
    for (const depth of [...deeper]) if (depth > data.nesting) deeper.delete(depth)
    deeper.add(data.nesting)
    const name = [...names.slice(0, data.nesting), data.name].join(' > ')
    note(result, { type, data, name, file, holdsTests })
  }
  // Node fails the whole file for it as well: one mishap, one failure.
  const ofFile = result.failures.find((failure) => failure.name === WHOLE_FILE)
  if (late.length > 0 && ofFile) ofFile.text = late.join('\n')
  else result.failures.push(...late.map((text) => ({ file, name: 'after its test ended', text })))
  return result
}

function note(result, { type, data, name, file, holdsTests }) {
  const wholeFile = data.nesting === 0 && data.name === data.file
  const error = data.details?.error
  if (type === 'test:fail') {
    if (isExpected(data)) result.skips.push({ file, name, text: `to do: ${reasonOf(data.todo)}` })
    // The subtest that failed was counted itself.
    else if (error?.failureType !== 'subtestsFailed') result.failures.push({ file, name: wholeFile ? WHOLE_FILE : name, text: failureText(error) })
  } else if (wholeFile) {
    result.failures.push({ file, name: WHOLE_FILE, text: 'holds no test' })
  } else if (isSkipped(data)) {
    result.skips.push({ file, name, text: reasonOf(data.skip) })
  } else if (isExpected(data)) {
    result.skips.push({ file, name, text: `to do: ${reasonOf(data.todo)}` })
  } else if (!holdsTests) {
    result.passed += 1
  }
}

const isSkipped = (data) => data.skip !== undefined && data.skip !== false
const isExpected = (data) => data.todo !== undefined && data.todo !== false
const reasonOf = (value) => (typeof value === 'string' && value !== '' ? value : 'no reason given')

function failureText(error) {
  if (error?.failureType === 'testAborted') return 'did not end in time and was killed'
  const cause = error?.cause ?? error
  return typeof cause === 'object' && cause !== null && 'stack' in cause ? readable(cause) : inspect(cause)
}

/** Without the frames of Node itself, in which no bug of ours is. */
function readable(error) {
  const lines = inspect(error, { depth: 4 })
    .split('\n')
    .filter((line) => !/^\s+at .*\(?node:/.test(line))
  return lines.slice(0, 40).join('\n')
}

/** @param {Result} result @param {{ file: string, seconds: number, print: (line: string) => void }} options */
export function printFile(result, { file, seconds, print }) {
  const failed = result.failures.length
  const counts = [
    `${result.passed} passed`,
    ...(failed ? [`${failed} failed`] : []),
    ...(result.skips.length ? [`${result.skips.length} skipped`] : []),
  ]
  print(`${failed ? '✗' : '✓'} ${file.padEnd(44)} ${counts.join(', ')} (${seconds.toFixed(1)} s)`)
  for (const failure of result.failures) print(`    ✗ ${failure.name}\n${indent(failure.text)}`)
  if (failed && result.output.trim()) print(`    what the file printed:\n${indent(result.output.trim())}`)
}

/** The closing line, whose numbers are those of all results together. @param {readonly Result[]} results */
export function closingLine(results) {
  const sum = (count) => results.reduce((total, result) => total + count(result), 0)
  return `${sum((result) => result.passed)} passed, ${sum((result) => result.failures.length)} failed, ${sum((result) => result.skips.length)} skipped`
}

/** Why something did not run, one line per reason, and where to look for what failed. */
export function printRemarks(results, print) {
  const skips = Map.groupBy(
    results.flatMap((result) => result.skips),
    (skip) => skip.text,
  )
  if (skips.size > 0) print('\nSkipped:')
  for (const [reason, tests] of skips) print(`  ${tests.length} × ${reason} (${[...new Set(tests.map((skip) => skip.file))].join(', ')})`)
  const failures = results.flatMap((result) => result.failures)
  if (failures.length > 0) print('\nFailed:')
  for (const { file, name } of failures) print(`  ${file}: ${name}`)
}

const indent = (text) => text.replace(/^/gm, '      ')
