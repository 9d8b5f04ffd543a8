/** The closing line of `npm test` counts what really ran: each way to go wrong is a failure. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { closingLine } from '../scripts/reporter.mjs'

const folder = mkdtempSync(join(tmpdir(), 'earshot-reporter-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const DRIVER = `
import { run } from 'node:test'
import { collect } from ${JSON.stringify(pathToFileURL(fileURLToPath(new URL('../scripts/reporter.mjs', import.meta.url))).href)}
const limit = AbortSignal.timeout(Number(process.argv[3]))
const result = await collect(run({ files: [process.argv[2]], signal: limit, isolation: 'process' }), 'x')
console.log(JSON.stringify({ passed: result.passed, failures: result.failures.map((f) => f.name + ': ' + f.text.split('\\n')[0]), skips: result.skips.map((s) => s.name + ': ' + s.text) }))
`
writeFileSync(join(folder, 'driver.mjs'), DRIVER)

/** What is counted for a test file with this text. */
function counted(text, limitMs = 20_000) {
  const file = join(folder, 'some.test.mjs')
  writeFileSync(file, `import { describe, it, test } from 'node:test'\n${text}\n`)
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const done = spawnSync(process.execPath, [join(folder, 'driver.mjs'), file, String(limitMs)], { encoding: 'utf8', env })
  return JSON.parse(done.stdout.trim().split('\n').at(-1) || `{"broken": ${JSON.stringify(done.stderr)}}`)
}

test('tests are counted, suites and tests that only hold others are not', () => {
  const text =
    "describe('suite', () => { it('one', () => {}); it('two', () => {}) })\ntest('parent', async (t) => { await t.test('child', () => {}) })\ntest('three', () => {})"
  assert.deepEqual(counted(text), { passed: 4, failures: [], skips: [] })
})

test('a failure is counted once, under its full name', () => {
  const text = "test('parent', async (t) => { await t.test('good', () => {}); await t.test('bad', () => { throw new Error('wrong') }) })"
  assert.deepEqual(counted(text), { passed: 1, failures: ['parent > bad: Error: wrong'], skips: [] })
})

test('a parent that fails by itself after its subtests passed is a failure', () => {
  const text = "test('parent', async (t) => { await t.test('good', () => {}); throw new Error('late') })"
  assert.deepEqual(counted(text), { passed: 1, failures: ['parent: Error: late'], skips: [] })
})

test('skipped tests keep their reason, and so do those still to do', () => {
  const text = "test('a', { skip: 'no phone' }, () => {})\ntest('b', { todo: 'issue 9' }, () => { throw new Error('x') })\ntest('c', () => {})"
  assert.deepEqual(counted(text), { passed: 1, failures: [], skips: ['a: no phone', 'b: to do: issue 9'] })
})

test('a file that cannot be loaded is a failure', () => {
  const result = counted("import './not-there.mjs'\ntest('a', () => {})")
  assert.equal(result.passed, 0)
  assert.match(result.failures.join(), /^the file itself: /)
})

test('a file that ends in mid-test is a failure', () => {
  assert.equal(
    counted("test('a', async () => { await new Promise((resolve) => setTimeout(resolve, 20)); process.exit(0) })").failures.length > 0,
    true,
  )
})

test('a file without tests is a failure', () => {
  assert.deepEqual(counted('').failures, ['the file itself: holds no test'])
})

test('a file that hangs is killed and is a failure, be it in a test or after all of them', () => {
  assert.match(counted("test('a', () => new Promise(() => { setInterval(() => {}, 1000) }))", 1500).failures.join(), /did not end in time/)
  const leaking = counted("test('a', () => {})\nsetInterval(() => {}, 1000)", 1500)
  assert.deepEqual(leaking, { passed: 1, failures: ['the file itself: did not end in time and was killed'], skips: [] })
})

test('an error that is thrown after its test ended is a failure', () => {
  assert.equal(counted("test('a', () => { setTimeout(() => { throw new Error('late') }, 20) })").failures.length, 1)
})

test('the closing line is the sum of all files', () => {
  const results = [
    { passed: 3, failures: [{}], skips: [] },
    { passed: 1, failures: [], skips: [{}, {}] },
  ]
  assert.equal(closingLine(results), '4 passed, 1 failed, 2 skipped')
})
