/**
 * All checks and tests, under the Node that the house runs on; started by `test.mjs` and `check.mjs`.
 *
 *   run-tests.mjs [--check] [--missing-peer=NAME…] [PATTERN…]
 *
 * With patterns only the test files whose path holds one of them run, without types and lint unless `--check` is there.
 * Ends with `N passed, N failed, N skipped`, alone on the last line, and exit code 1 when anything failed.
 */
import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { run } from 'node:test'
import { followShadow, root } from '../bin/launch.mjs'
import { closingLine, collect, printFile, printRemarks } from './reporter.mjs'

/** Files at the same time, on two cores: those that carry sound wait more than they work. */
const FILES_AT_ONCE = 3
/** A file that takes longer hangs. */
const FILE_LIMIT_MS = 150_000
/** Everything together: a run must end within ten minutes. */
const RUN_LIMIT_MS = 590_000

followShadow()
// Hundreds of processes read the same files: what the first one compiled serves the others.
process.env.NODE_COMPILE_CACHE ??= join(root, 'node_modules', '.cache', 'compiled')
const args = process.argv.slice(2)
const flags = args.filter((arg) => arg.startsWith('--'))
const patterns = args.filter((arg) => !arg.startsWith('--'))
const print = (line) => console.log(line)
const started = Date.now()

async function main() {
  const files = globSync(['src/**/*.test.ts', 'sdk/src/**/*.test.ts', 'test/**/*.test.ts', 'test/**/*.test.mjs'], { cwd: root })
    .filter((file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)))
    .sort(integrationFirst)
  const found = files.length
  const results = []
  const missing = flags.filter((flag) => flag.startsWith('--missing-peer=')).map((flag) => flag.slice('--missing-peer='.length))
  if (process.env.CI === 'true')
    results.push(...missing.map((peer) => failed('peers', `${peer} is installed`, 'it is missing, and CI=true: see the reason above')))
  if (files.length === 0) results.push(failed('files', 'a test file is found', `no test file's path holds ${patterns.join(' or ')}`))
  if (patterns.length === 0 || flags.includes('--check')) results.push(await checkTypes(), await checkSdkTypes(), await checkLint())
  for (const result of results) printFile(result, { file: result.failures[0]?.file ?? result.name, seconds: result.seconds ?? 0, print })
  await Promise.all(Array.from({ length: FILES_AT_ONCE }, () => runFrom(files, results)))
  printRemarks(results, print)
  print(`\n${found} files in ${Math.round((Date.now() - started) / 1000)} s under Node ${process.versions.node}\n`)
  print(closingLine(results))
  return results.some((result) => result.failures.length > 0) ? 1 : 0
}

/** The long ones first, so that the end is not spent waiting for one of them. */
function integrationFirst(a, b) {
  const rank = (file) => (file.startsWith('test/') ? 0 : /engine|store|webhooks|http|phone/.test(file) ? 1 : 2)
  return rank(a) - rank(b) || a.localeCompare(b)
}

const failed = (file, name, text) => ({ passed: 0, failures: [{ file, name, text }], skips: [], output: '', name: file })

async function runFrom(files, results) {
  for (let file = files.shift(); file !== undefined; file = files.shift()) {
    const began = Date.now()
    const limitMs = Math.min(FILE_LIMIT_MS, RUN_LIMIT_MS - (began - started))
    const result = limitMs > 0 ? await runFile(file, limitMs) : failed(file, 'the file itself', 'was not started: the whole run took too long')
    results.push(result)
    printFile(result, { file, seconds: (Date.now() - began) / 1000, print })
  }
}

async function runFile(file, limitMs) {
  const limit = new AbortController()
  const timer = setTimeout(() => limit.abort(), limitMs)
  try {
    return await collect(run({ files: [join(root, file)], cwd: root, signal: limit.signal, isolation: 'process' }), file)
  } finally {
    clearTimeout(timer)
  }
}

const checkTypes = () => checkBy('types (tsc)', ['node_modules/typescript/bin/tsc', '-p', '.', '--pretty', 'false'])
/** The SDK once more with the types of a browser alone: what runs there cannot lean on Node. */
const checkSdkTypes = () => checkBy('types of the SDK (tsc)', ['node_modules/typescript/bin/tsc', '-p', 'sdk', '--noEmit', '--pretty', 'false'])
const checkLint = () =>
  checkBy('lint (biome)', ['node_modules/@biomejs/biome/bin/biome', 'lint', '--diagnostic-level=error', '--max-diagnostics=50', '--colors=off'])

/** One test: the program ends with 0. */
async function checkBy(name, args) {
  const began = Date.now()
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], timeout: FILE_LIMIT_MS })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
  const code = await new Promise((resolve) => child.on('error', resolve).on('close', resolve))
  const seconds = (Date.now() - began) / 1000
  return code === 0
    ? { passed: 1, failures: [], skips: [], output, name, seconds }
    : { ...failed(name, 'finds nothing', output.trim().slice(0, 20_000)), seconds }
}

process.exitCode = await main()
