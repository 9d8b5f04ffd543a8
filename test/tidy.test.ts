/** The house obeys its own rules; and every rule catches a violation that was planted for it. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { complaints, functionsOf, idlePackages, thinlyTested, untestedRules, withoutText, type SourceFile } from './tidy.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

function repository(): readonly SourceFile[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
  const paths = [...new Set(listed.split('\n').filter((path) => path !== '' && existsSync(root + path)))]
  return paths.sort().map((path) => ({ path, text: /\.(?:ts|mjs|md|yaml|json)$/.test(path) ? readFileSync(root + path, 'utf8') : '' }))
}

const here = existsSync(`${root}.git`) ? repository() : []
const skip = here.length === 0 ? 'not a git checkout' : false

test('the repository obeys the rules of the house', { skip }, () => assert.deepEqual(complaints(here), []))
test('every rule of the contract is named by a test', { skip }, () => assert.deepEqual(untestedRules(here), []))
test('in pure rooms the tests are at least as long as the source', { skip }, () => assert.deepEqual(thinlyTested(here), []))
test('every package has its sentence, and is used', { skip }, () => assert.deepEqual(idlePackages(here), []))

const lines = (count: number, line: string): string => `${line}\n`.repeat(count)
const file = (path: string, text = ''): SourceFile => ({ path, text })
const TODO_WITHOUT_ISSUE = ['// TO', 'DO later\n'].join('')

/** A violation, and what the complaint about it must say. */
const PLANTED: readonly (readonly [string, readonly SourceFile[], RegExp])[] = [
  ['domain imports a room', [file('src/domain/a.ts', "import { x } from '../sip/b.ts'"), file('src/sip/b.ts')], /domain may not import sip\/b\.ts/],
  [
    'sip imports a type from domain',
    [file('src/sip/a.ts', "import type { X } from '../domain/x.ts'"), file('src/domain/x.ts')],
    /sip may not import/,
  ],
  [
    'an import over several lines',
    [file('src/http/a.ts', "import {\n  x,\n  y,\n} from '../store/calls.ts'"), file('src/store/calls.ts')],
    /http may not import store/,
  ],
  [
    'an import inside a function',
    [file('src/http/a.ts', "const x = async () => await import('../store/calls.ts')"), file('src/store/calls.ts')],
    /http may not import/,
  ],
  ['a re-export', [file('src/webhooks/a.ts', "export { x } from '../http/b.ts'"), file('src/http/b.ts')], /webhooks may not import/],
  [
    'control imports an engine',
    [file('src/control/a.ts', "import { x } from '../engine/fake.ts'"), file('src/engine/fake.ts')],
    /control may not import engine\/fake/,
  ],
  [
    'the port of engines imports one of them',
    [file('src/engine/engine.ts', "import { x } from './native/b.ts'"), file('src/engine/native/b.ts')],
    /engine may not import engine\/native/,
  ],
  [
    'a phone imports an engine',
    [file('src/phone/a.ts', "import { x } from '../engine/native/b.ts'"), file('src/engine/native/b.ts')],
    /phone may not import/,
  ],
  ['a room imports a test file from outside', [file('src/http/a.ts', "import { x } from '../../test/rig.ts'")], /not part of the house/],
  ['the house imports the SDK', [file('src/http/a.ts', "import { x } from '../../sdk/src/b.ts'"), file('sdk/src/b.ts')], /http may not import sdk/],
  ['the SDK imports the house', [file('sdk/src/a.ts', "import { x } from '../../src/domain/b.ts'"), file('src/domain/b.ts')], /sdk may not import/],
  ['the SDK imports its tests', [file('sdk/src/a.ts', "import { x } from '../../test/b.ts'"), file('test/b.ts')], /not part of the house/],
  ['the SDK imports a package', [file('sdk/src/a.ts', "import { z } from 'zod'")], /needs no packages/],
  ['the SDK imports Node', [file('sdk/src/a.ts', "import { createHmac } from 'node:crypto'")], /browsers and workers/],
  ['the SDK reads the environment', [file('sdk/src/a.ts', 'const key = process.env.KEY')], /only src\/config\.ts/],
  ['a ring in the SDK', [file('sdk/src/a.ts', "import './b.ts'"), file('sdk/src/b.ts', "import './a.ts'")], /imports itself/],
  ['a room of the SDK imports Node', [file('sdk/src/api/a.ts', "import { createHmac } from 'node:crypto'")], /browsers and workers/],
  ['a room of the SDK imports a package', [file('sdk/src/api/a.ts', "import { z } from 'zod'")], /needs no packages/],
  ['a room of the SDK imports the house', [file('sdk/src/api/a.ts', "import { x } from '../../../src/domain/b.ts'"), file('src/domain/b.ts')], /sdk\/api may not import/],
  ['thirteen files in a room of the SDK', Array.from({ length: 13 }, (_, index) => file(`sdk/src/api/a${index}.ts`)), /13 files, at most 12/],
  ['a folder inside the SDK', [file('sdk/src/parts/a.ts')], /not a room/],
  ['thirteen files in the SDK', Array.from({ length: 13 }, (_, index) => file(`sdk/src/a${index}.ts`)), /13 files, at most 12/],
  ['a function of 71 lines in the SDK', [file('sdk/src/a.ts', `export function f(): void {\n${lines(69, '  g()')}}\n`)], /a function of 71 lines/],
  [
    'the thread of the sound imports SIP',
    [file('src/engine/native/media/a.ts', "import { x } from '../../../sip/b.ts'"), file('src/sip/b.ts')],
    /engine\/native\/media may not import sip\/b\.ts/,
  ],
  [
    'clips import the conversation',
    [file('src/media/clips/a.ts', "import { x } from '../conversation.ts'"), file('src/media/conversation.ts')],
    /media\/clips may not import media\/conversation\.ts/,
  ],
  ['a clock in a room within a pure room', [file('src/media/clips/a.ts', 'const x = Date.now()')], /Date\.now in a pure room/],
  ['media imports a package', [file('src/media/a.ts', "import x from 'lodash'")], /needs no packages/],
  ['contract imports Node', [file('src/contract/a.ts', "import { readFileSync } from 'node:fs'")], /node:fs in a pure room/],
  ['a ring of two', [file('src/http/a.ts', "import './b.ts'"), file('src/http/b.ts', "import './a.ts'")], /imports itself by way of/],
  [
    'a ring of three, types among the values',
    [
      file('src/sip/a.ts', "import { b, type B } from './b.ts'"),
      file('src/sip/b.ts', "export * from './c.ts'"),
      file('src/sip/c.ts', "import './a.ts'"),
    ],
    /imports itself/,
  ],
  ['a room that nobody planned', [file('src/billing/a.ts')], /not a room/],
  ['a folder inside a room', [file('src/sip/parts/a.ts')], /not a room|at most/],
  ['thirteen files in a room', Array.from({ length: 13 }, (_, index) => file(`src/sip/a${index}.ts`)), /13 files, at most 12/],
  ['a file of 401 lines', [file('src/http/a.ts', lines(401, '// x'))], /401 lines, at most 400/],
  ['a function of 71 lines', [file('src/http/a.ts', `export function f(): void {\n${lines(69, '  g()')}}\n`)], /a function of 71 lines/],
  ['the clock', [file('src/sip/a.ts', 'const now = Date.now()')], /Date\.now in a pure room/],
  ['the clock as a date', [file('src/domain/a.ts', 'const now = new Date()')], /new Date\(\)/],
  ['a timer', [file('src/sip/a.ts', 'setTimeout(f, 1)')], /a timer/],
  ['chance', [file('src/media/a.ts', 'const x = Math.random()')], /chance/],
  ['chance from a function', [file('src/media/a.ts', 'const x = randomBytes(4)')], /chance/],
  ['the process', [file('src/contract/a.ts', 'process.exit()')], /process in a pure room/],
  ['the console', [file('src/domain/a.ts', 'console.log(1)')], /console in a pure room/],
  ['the environment', [file('src/http/a.ts', 'const port = process.env.PORT')], /only src\/config\.ts/],
  ['any', [file('src/http/a.ts', 'const x: any = 1')], /any: say what it is/],
  ['any as an argument of a type', [file('src/http/a.ts', 'const x = new Map<string, any>()')], /any: say/],
  ['any by force', [file('test/a.test.ts', 'f(x as any)')], /any: say/],
  ['an enum', [file('src/http/a.ts', 'export enum X { A }')], /enum: use a union/],
  ['a namespace', [file('src/http/a.ts', 'namespace X {}')], /namespace/],
  ['a decorator', [file('src/http/a.ts', '@sealed\nclass X {}')], /decorator/],
  ['a default export', [file('src/http/a.ts', 'export default 1')], /exports have names/],
  ['a file named utils', [file('src/http/utils.ts')], /named after nothing/],
  ['a file named after a helper', [file('src/http/call-helpers.ts')], /named after nothing/],
  ['a file in camel case', [file('src/http/callList.ts')], /kebab-case/],
  ['an unknown file at the root', [file('NOTES.md')], /NOTES\.md: nobody knows/],
  ['a TODO without an issue', [file('src/http/a.ts', TODO_WITHOUT_ISSUE)], /names its issue/],
]
for (const [what, files, expected] of PLANTED) {
  test(`planted and caught: ${what}`, () => {
    const found = complaints(files)
    assert.ok(
      found.some((complaint) => expected.test(complaint)),
      `not caught: ${JSON.stringify(found)}`,
    )
  })
}

/** What looks like a violation and is none. */
const INNOCENT: readonly (readonly [string, readonly SourceFile[]])[] = [
  [
    'words in comments and strings',
    [file('src/sip/a.ts', "// Date.now and any: any\nconst x = 'process.env' + \"setTimeout\" + `console.log ${'${y}'} new Date()`\n")],
  ],
  ['a date from a number', [file('src/contract/a.ts', 'const date = new Date(ms)')]],
  ['an expression with a quote in it', [file('src/sip/a.ts', 'const quote = /[\'"`]/g\nconst x = /[/]\\//.test(y)\n')]],
  ['a test that imports what it likes', [file('src/sip/a.test.ts', "import { readFileSync } from 'node:fs'\nimport fc from 'fast-check'\n")]],
  ['control and the port of engines', [file('src/control/a.ts', "import type { Engine } from '../engine/engine.ts'"), file('src/engine/engine.ts')]],
  ['a function of 70 lines', [file('src/http/a.ts', `function f() {\n${lines(68, '  g()')}}\n`)]],
  ['the words many, company and anyone', [file('src/http/a.ts', 'const many: company = anyone as Company')]],
  ['a TODO with its issue', [file('src/http/a.ts', TODO_WITHOUT_ISSUE.replace('later', '#12 later'))]],
  ['types that know each other', [file('src/sip/a.ts', "import type { B } from './b.ts'"), file('src/sip/b.ts', "import { type A } from './a.ts'")]],
  [
    'two importers of one file',
    [file('src/sip/a.ts', "import './c.ts'\nimport './b.ts'"), file('src/sip/b.ts', "import './c.ts'"), file('src/sip/c.ts')],
  ],
]
for (const [what, files] of INNOCENT) {
  test(`let through: ${what}`, () => assert.deepEqual(complaints(files), []))
}

/** Shapes of functions, each five lines long with its body. */
const SHAPES: readonly string[] = [
  'function f(a: number): void {\n\n\n\n}',
  'async function f<T>(a: T, b = { c: 1 }): Promise<{ readonly a: T }> {\n\n\n\n}',
  'const f = (a: number) => {\n\n\n\n}',
  'const f = (): Shape => ({\n\n\n\n})',
  'class A extends B {\n  constructor(a: X) {\n\n\n\n}}',
  'const x = {\n  async method(a: X): Promise<void> {\n\n\n\n} }',
  'function f(a: X): { readonly b: Y; readonly c: Z } | null {\n\n\n\n}',
  'function f(a: X): a is Y {\n\n\n\n}',
  'call(function () {\n\n\n\n})',
  'test(`x`, () => {\n\n\n\n})',
]
for (const shape of SHAPES) {
  test(`the length of a function is seen in: ${shape.replace(/\n+/g, ' ')}`, () =>
    assert.ok(functionsOf(withoutText(shape)).some((found) => found.lines === 5)))
}

test('a loop or a condition is no function', () => {
  assert.deepEqual(
    functionsOf(
      'if (a) {\n\n}\nfor (const a of f(b)) {\n\n}\nwhile (f(a)) {\n}\nswitch (a) {\n case f(a): {\n}\n}'.replace(' case f(a): {\n}\n', ''),
    ),
    [],
  )
})

test('a rule that no title names is reported, and one that a title names is not', () => {
  const files = [
    file('src/http/a.test.ts', "test('[C1] [C3] paths', () => {})"),
    file('src/http/a.ts', "// '[C2]'"),
    file('src/http/b.test.ts', '// [C30] is missing'),
  ]
  assert.deepEqual(untestedRules(files, ['C1', 'C2', 'C3', 'C30']), ['C2', 'C30'])
})

test('a pure room with less test than source is reported, other rooms are not', () => {
  const files = [file('src/sip/a.ts', 'a\nb\n'), file('src/sip/a.test.ts', 'a\n\n\n'), file('src/http/a.ts', 'a')]
  assert.deepEqual(thinlyTested(files), ['src/sip: 1 lines of tests for 2 lines of source'])
})

test('a package without a sentence or without a use is reported', () => {
  const manifest = JSON.stringify({ dependencies: { used: '1', idle: '1' }, devDependencies: { silent: '1' } })
  const files = [
    file('package.json', manifest),
    file('CONTRIBUTING.md', '| `used` | `idle` |'),
    file('src/http/a.ts', "import { x } from 'used/part'"),
  ]
  assert.deepEqual(idlePackages(files), ['silent: CONTRIBUTING.md does not say why it is here', 'idle: nothing imports it'])
})

test('a package of the SDK is reported', () => {
  assert.deepEqual(idlePackages([file('sdk/package.json', JSON.stringify({ dependencies: { any: '1' } }))]), [
    'sdk/package.json: dependencies, but the SDK needs no packages',
  ])
})
