/**
 * The rules of the house that a machine can check, as one pure function over texts: `tidy.test.ts` runs it over the
 * repository and over a planted violation of every rule.
 */

/** One file, its path from the root of the repository with forward slashes. */
export interface SourceFile {
  readonly path: string
  readonly text: string
}

/** `file:line: what is wrong` */
export type Complaint = string

/**
 * Who may import whom (ARCHITECTURE.md). A room may always import itself; the files right in `src/` import anything. Whoever may import a
 * room may import the rooms inside it, but for the engines, of which nobody may know more than the port.
 */
export const ROOMS: Readonly<Record<string, readonly string[]>> = {
  domain: [],
  'domain/account': ['domain'],
  'domain/evidence': ['domain'],
  contract: ['domain'],
  'contract/access': ['domain', 'contract'],
  'contract/lists': ['domain', 'contract'],
  'contract/schemas': ['domain', 'contract'],
  sip: [],
  media: [],
  'media/clips': ['media/g711.ts', 'media/mixer.ts', 'media/reception.ts', 'media/rtp.ts'],
  engine: ['domain'],
  'engine/native': ['engine', 'domain', 'sip', 'media'],
  'engine/native/media': ['engine/native/media-plane.ts', 'domain', 'media'],
  'engine/asterisk': ['engine', 'domain'],
  phone: ['sip', 'media'],
  store: ['domain'],
  'store/access': ['domain', 'store'],
  'store/ledger': ['domain', 'store'],
  'store/evidence': ['domain', 'store'],
  'store/embedded': ['store/database.ts'],
  'store/outbox': ['domain', 'store/database.ts', 'store/json.ts'],
  webhooks: ['domain', 'contract', 'store'],
  sounds: ['domain', 'engine/engine.ts', 'media', 'webhooks/guard.ts'],
  control: ['domain', 'store', 'webhooks', 'sounds', 'engine/engine.ts', 'engine/notice-tone.ts'],
  'control/access': ['domain', 'store'],
  'control/billing': ['domain', 'store', 'control'],
  http: ['domain', 'contract', 'control'],
  'http/operations': ['domain', 'contract'],
  'http/openapi': ['contract', 'http/operations'],
  'http/page': ['contract', 'http/openapi', 'http/operations'],
  'http/access': ['domain', 'contract', 'http'],
  commands: ['domain', 'store', 'webhooks', 'config.ts', 'config-schema.ts', 'mask.ts', 'chance.ts'],
  'commands/doctor': ['commands', 'sip', 'engine/native', 'store', 'webhooks', 'config.ts', 'config-schema.ts', 'chance.ts'],
  'commands/account': ['domain', 'store', 'control/access/key-desk.ts', 'commands', 'config.ts'],
  'commands/monitor': ['domain', 'commands', 'config.ts', 'config-schema.ts'],
  'commands/access': ['domain', 'store', 'control/access', 'commands', 'config.ts', 'chance.ts'],
  'commands/ledger': ['domain', 'contract', 'store', 'commands', 'config.ts', 'chance.ts'],
  'commands/evidence': ['domain', 'sounds/recordings.ts', 'commands', 'contract', 'store', 'config.ts', 'config-schema.ts', 'mask.ts', 'chance.ts'],
  metrics: ['domain', 'engine/native/media-plane.ts', 'store/outbox/log.ts'],
  sdk: [],
  'sdk/api': ['sdk'],
}
/** Rooms without clock, chance, socket, environment and log, and those inside them. */
export const PURE_ROOMS = ['domain', 'contract', 'sip', 'media']
/** Rooms that need no package at all. */
const BARE_ROOMS = ['domain', 'sip', 'media', 'sdk']
/** A package of its own, for browsers too: to the rules it is a room, which nobody imports and which imports nobody. */
const SDK_SOURCE = 'sdk/src/'
const ROOT = '(root)'
/** A file for each step in time, never changed again. */
const GROWING_FOLDERS = new Set(['src/store/migrations'])

const MAX_FILE_LINES = 400
const MAX_FUNCTION_LINES = 70
const MAX_ROOM_FILES = 12
/** The contract's rules that this version owes a test each. */
export const CONTRACT_RULES = Array.from({ length: 33 }, (_, index) => `C${index + 1}`)

const FORBIDDEN_NAMES = /(?:^|[-/])(?:utils?|helpers?|managers?|base|impl|common|misc)(?=[-./]|$)/
const KEBAB = /^(?:[a-z0-9]+(?:-[a-z0-9]+)*\/)*[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test)?\.(?:ts|mjs)$/
const IMPURE: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\b/, 'Date.now'],
  [/\bnew Date\(\s*\)/, 'new Date()'],
  [/\bDate\(\s*\)/, 'Date()'],
  [/\bset(?:Timeout|Interval|Immediate)\b/, 'a timer'],
  [/\bqueueMicrotask\b|\bnextTick\b/, 'a timer'],
  [/\bMath\.random\b|\brandom(?:Bytes|UUID|Int|FillSync)\b|\bcrypto\./, 'chance'],
  [/\bprocess\./, 'process'],
  [/\bconsole\./, 'console'],
  [/\bperformance\./, 'performance'],
  [/\bfetch\(/, 'fetch'],
]
const ROOT_ENTRIES = new Set([
  '.dockerignore',
  'deploy',
  '.ci',
  '.gitignore',
  '.gitattributes',
  '.github',
  'ARCHITECTURE.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'LICENSE',
  'README.md',
  'bench',
  'bin',
  'biome.json',
  'console',
  'docs',
  'earshot.example.yaml',
  'examples',
  'grafana',
  'package-lock.json',
  'package.json',
  'scripts',
  'sdk',
  'src',
  'test',
  'tsconfig.build.json',
  'tsconfig.json',
])

/** Everything that is wrong with these files, in order of path. */
export function complaints(files: readonly SourceFile[]): readonly Complaint[] {
  const code = files.filter((file) => /\.(?:ts|mjs)$/.test(file.path)).map((file) => ({ ...file, bare: withoutText(file.text) }))
  return [
    ...rootComplaints(files),
    ...code.flatMap(fileComplaints),
    ...roomSizes(code),
    ...importComplaints(code),
    ...cycles(code),
    ...files.filter((file) => !isTidy(file)).flatMap(todoComplaints),
  ]
}

/** Rules of the contract that no test names in its title. */
export function untestedRules(files: readonly SourceFile[], rules: readonly string[] = CONTRACT_RULES): readonly string[] {
  const titles = files.filter((file) => isTest(file) && !isTidy(file)).flatMap((file) => file.text.split('\n'))
  return rules.filter((rule) => !titles.some((line) => /['"`].*\[C\d+\]/.test(line) && line.includes(`[${rule}]`)))
}

/** Pure rooms whose tests are shorter than their source, in lines that are not blank. */
export function thinlyTested(files: readonly SourceFile[]): readonly Complaint[] {
  // What a room keeps in a room of its own counts as part of it.
  return PURE_ROOMS.filter((room) => !room.includes('/')).flatMap((room) => {
    const inRoom = files.filter((file) => roomOf(file.path)?.split('/')[0] === room)
    const lines = (part: readonly SourceFile[]): number =>
      part.reduce((sum, file) => sum + file.text.split('\n').filter((line) => line.trim() !== '').length, 0)
    const [tests, source] = [lines(inRoom.filter(isTest)), lines(inRoom.filter((file) => !isTest(file)))]
    return tests >= source ? [] : [`src/${room}: ${tests} lines of tests for ${source} lines of source`]
  })
}

/** Packages that CONTRIBUTING.md has no sentence for, or that nothing imports. */
export function idlePackages(files: readonly SourceFile[]): readonly Complaint[] {
  const textOf = (path: string): string => files.find((file) => file.path === path)?.text ?? ''
  const manifest: Readonly<Record<string, Readonly<Record<string, string>>>> = JSON.parse(textOf('package.json') || '{}')
  const names = (kind: string): readonly string[] => Object.keys(manifest[kind] ?? {})
  const imported = files
    .filter((file) => /\.(?:ts|mjs)$/.test(file.path) && !isTidy(file))
    .flatMap((file) => importsOf(file).map((found) => found.target))
  const isImported = (name: string): boolean => imported.some((target) => target === name || target.startsWith(`${name}/`))
  return [
    ...['dependencies', 'optionalDependencies', 'devDependencies']
      .flatMap(names)
      .filter((name) => !textOf('CONTRIBUTING.md').includes(`\`${name}\``))
      .map((name) => `${name}: CONTRIBUTING.md does not say why it is here`),
    ...names('dependencies')
      .filter((name) => !isImported(name))
      .map((name) => `${name}: nothing imports it`),
    ...['dependencies', 'optionalDependencies', 'peerDependencies']
      .filter((kind) => kind in JSON.parse(textOf('sdk/package.json') || '{}'))
      .map((kind) => `sdk/package.json: ${kind}, but the SDK needs no packages`),
  ]
}

interface CodeFile extends SourceFile {
  /** The text with comments, strings and patterns blanked out, line for line. */
  readonly bare: string
}

/** A suite that several test files share is a test as well. */
const isTest = (file: { readonly path: string }): boolean => /\.test\.(?:ts|mjs)$|\/suite\.ts$/.test(file.path)
const isTidy = (file: { readonly path: string }): boolean => /^test\/tidy\b/.test(file.path)
const inSource = (file: { readonly path: string }): boolean => file.path.startsWith('src/') || file.path.startsWith(SDK_SOURCE)

/** `src/engine/native/call.ts` → `engine/native`, the innermost room that the table knows; null outside of all source. */
function roomOf(path: string): string | null {
  if (path.startsWith(SDK_SOURCE)) return roomOf(`src/sdk/${path.slice(SDK_SOURCE.length)}`)
  const [top, ...rest] = path.split('/')
  if (top !== 'src') return null
  const folders = rest.slice(0, -1)
  const [first] = folders
  if (first === undefined) return ROOT
  const nested = folders.map((_, index) => folders.slice(0, index + 1).join('/')).filter((folder) => folder in ROOMS)
  return nested.at(-1) ?? first
}

/** `domain/account` → `domain`. */
const houseOf = (room: string): string => room.split('/')[0] ?? ''

function rootComplaints(files: readonly SourceFile[]): readonly Complaint[] {
  const entries = new Set(files.map((file) => file.path.split('/')[0] ?? ''))
  return [...entries]
    .filter((entry) => !ROOT_ENTRIES.has(entry))
    .map((entry) => `${entry}: nobody knows what this is doing at the root; see ROOT_ENTRIES in test/tidy.ts`)
}

function fileComplaints(file: CodeFile): readonly Complaint[] {
  const { path, text, bare } = file
  const found: Complaint[] = []
  const everyLine = (pattern: RegExp, what: string): void => {
    bare.split('\n').forEach((line, index) => {
      if (pattern.test(line)) found.push(`${path}:${index + 1}: ${what}`)
    })
  }
  if (FORBIDDEN_NAMES.test(path)) found.push(`${path}: named after nothing; name it after what it holds`)
  if (!KEBAB.test(path.replace(/^\.\w+\//, ''))) found.push(`${path}: file names are kebab-case`)
  everyLine(/\bexport default\b/, 'exports have names')
  if (!path.endsWith('.ts')) return found
  everyLine(/(?::|<|\bas|\||&|,|=)\s*any\b(?!\s*[(:.])/, 'any: say what it is')
  everyLine(/^\s*(?:export\s+)?(?:declare\s+)?(?:const\s+)?enum\s+\w+/, 'enum: use a union')
  everyLine(/^\s*(?:export\s+)?namespace\s+\w+/, 'namespace: use a module')
  everyLine(/^\s*@\w+(?:\(|\s|$)/, 'decorator: call a function')
  if (!inSource(file) || isTest(file)) return found
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
  if (lines > MAX_FILE_LINES) found.push(`${path}: ${lines} lines, at most ${MAX_FILE_LINES}`)
  for (const { line, lines: length } of functionsOf(bare)) {
    if (length > MAX_FUNCTION_LINES) found.push(`${path}:${line}: a function of ${length} lines, at most ${MAX_FUNCTION_LINES}`)
  }
  if (path !== 'src/config.ts') everyLine(/\bprocess\.env\b/, 'only src/config.ts reads the environment')
  const room = roomOf(path)
  if (room !== null && PURE_ROOMS.includes(houseOf(room)))
    for (const [pattern, what] of IMPURE) everyLine(pattern, `${what} in a pure room; take it as an argument`)
  return found
}

function roomSizes(code: readonly CodeFile[]): readonly Complaint[] {
  const folders = Map.groupBy(
    code.filter((file) => inSource(file) && !isTest(file)),
    (file) => file.path.slice(0, file.path.lastIndexOf('/')),
  )
  return [...folders].flatMap(([folder, members]) => {
    if (GROWING_FOLDERS.has(folder)) return []
    const isRoom = folder === 'src' || folder.replace(/^sdk\/src/, 'sdk').replace(/^src\//, '') in ROOMS
    if (!isRoom) return [`${folder}: not a room; add it to the table in ARCHITECTURE.md and test/tidy.ts first`]
    return members.length > MAX_ROOM_FILES ? [`${folder}: ${members.length} files, at most ${MAX_ROOM_FILES}`] : []
  })
}

interface Import {
  readonly line: number
  readonly target: string
  readonly typeOnly: boolean
}

const IMPORT = /^[ \t]*(?:import|export)\s+(type\s+)?(?:[\w*${}\s,]+?\s+from\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm

function importsOf(file: SourceFile): readonly Import[] {
  return [...file.text.matchAll(IMPORT)].map((match) => ({
    line: file.text.slice(0, match.index).split('\n').length,
    target: match[2] ?? match[3] ?? '',
    typeOnly: match[1] !== undefined || /\{(?:\s*type\s+[^,}]+,?)+\s*\}/.test(match[0]),
  }))
}

/** `./leg.ts` seen from `src/domain/call.ts` → `src/domain/leg.ts`. */
function resolved(from: string, target: string): string {
  const parts = from.split('/').slice(0, -1)
  for (const step of target.split('/')) {
    if (step === '..') parts.pop()
    else if (step !== '.') parts.push(step)
  }
  return parts.join('/')
}

function importComplaints(code: readonly CodeFile[]): readonly Complaint[] {
  return code
    .filter((file) => inSource(file) && !isTest(file))
    .flatMap((file) => {
      const room = roomOf(file.path) ?? ROOT
      return importsOf(file).flatMap(({ line, target }) => {
        const why = target.startsWith('.') ? wrongDirection(room, resolved(file.path, target)) : wrongPackage(room, target)
        return why === null ? [] : [`${file.path}:${line}: ${why}`]
      })
    })
}

function wrongDirection(room: string, path: string): string | null {
  const target = roomOf(path)
  if (target === null) return `imports ${path}, which is not part of the house`
  if (room === ROOT || target === room) return null
  const allowed = [room, ...(ROOMS[room] ?? [])]
  const isInside = target.includes('/') && !target.startsWith('engine/') && allowed.includes(houseOf(target))
  return isInside || allowed.includes(target) || allowed.includes(path.replace('src/', ''))
    ? null
    : `${room} may not import ${path.replace('src/', '')}`
}

function wrongPackage(room: string, name: string): string | null {
  if (PURE_ROOMS.includes(houseOf(room)) && name.startsWith('node:')) return `${name} in a pure room`
  if (houseOf(room) === 'sdk' && name.startsWith('node:')) return `${name}: the SDK runs in browsers and workers too`
  return BARE_ROOMS.includes(houseOf(room)) ? `${name}: this room needs no packages` : null
}

/** Rings at run time; types of one thing may know each other. */
function cycles(code: readonly CodeFile[]): readonly Complaint[] {
  const sources = code.filter((file) => inSource(file) && !isTest(file))
  const edges = new Map(
    sources.map((file) => [
      file.path,
      importsOf(file)
        .filter((found) => found.target.startsWith('.') && !found.typeOnly)
        .map((found) => resolved(file.path, found.target)),
    ]),
  )
  const done = new Set<string>()
  const found: Complaint[] = []
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path)
    if (start >= 0) found.push(`${path}: imports itself by way of ${[...trail.slice(start + 1), path].join(' → ')}`)
    if (start >= 0 || done.has(path)) return
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path])
    done.add(path)
  }
  for (const path of edges.keys()) visit(path, [])
  return found
}

function todoComplaints(file: SourceFile): readonly Complaint[] {
  if (!/\.(?:ts|mjs|md|yaml|json)$/.test(file.path) || file.path === 'package-lock.json') return []
  return file.text
    .split('\n')
    .flatMap((line, index) =>
      /\b(?:TODO|FIXME|XXX)\b/.test(line) && !/#\d+/.test(line) ? [`${file.path}:${index + 1}: a TODO names its issue, as in #12`] : [],
    )
}

/** Length of every function, from its first line to its closing bracket. Takes text without strings and comments. */
export function functionsOf(bare: string): readonly { readonly line: number; readonly lines: number }[] {
  const lineAt = (index: number): number => bare.slice(0, index).split('\n').length
  const found: { line: number; lines: number }[] = []
  const note = (start: number, open: number): void => {
    const close = closing(bare, open)
    if (close > 0) found.push({ line: lineAt(start), lines: lineAt(close) - lineAt(start) + 1 })
  }
  for (const match of bare.matchAll(/=>\s*(?=[{([])/g)) note(match.index, match.index + match[0].length)
  for (const match of bare.matchAll(/([\w$#]+)\s*(?:<[^<>()]*>)?\(/g)) {
    if (/^(?:if|for|while|switch|catch|with|return|await)$/.test(match[1] ?? '')) continue
    const close = closing(bare, match.index + match[0].length - 1)
    const body = close > 0 ? bodyAfter(bare, close + 1) : null
    if (body !== null) note(match.index, body)
  }
  return found
}

/** Where the body opens after a parameter list, past a return type; null when what follows is no body. */
function bodyAfter(bare: string, from: number): number | null {
  const rest = /^\s*(:?)\s*/.exec(bare.slice(from))
  let at = from + (rest?.[0].length ?? 0)
  if (rest?.[1] !== ':') return bare[at] === '{' ? at : null
  for (let previous = ':'; at < bare.length; at++) {
    const char = bare[at] ?? ''
    if (/\s/.test(char)) continue
    if (';=)}]'.includes(char) && !(char === '=' && bare[at + 1] === '>')) return null
    const isType = ':|&<,>('.includes(previous) && !(previous === '>' && bare[at - 1] === ' ' && bare[at - 2] !== '=')
    if (char === '{' && !isType) return at
    if ('{(['.includes(char)) at = Math.max(at, closing(bare, at))
    previous = char
  }
  return null
}

/** The bracket that closes the one at `open`, or -1. */
function closing(bare: string, open: number): number {
  let depth = 0
  for (let at = open; at < bare.length; at++) {
    const char = bare[at] ?? ''
    if ('{(['.includes(char)) depth++
    else if ('})]'.includes(char) && --depth === 0) return at
  }
  return -1
}

/** Blanks out comments, strings, templates' texts and regular expressions; lines stay where they are. */
export function withoutText(text: string): string {
  const token =
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`|(?<=(?:^|[=(,:[!&|?{};\n]|=>|return|case)\s*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/gm
  let result = ''
  let at = 0
  for (token.lastIndex = 0; ; ) {
    const match = token.exec(text)
    if (match === null) return result + text.slice(at)
    const end = match[0] === '`' ? templateEnd(text, match.index) : token.lastIndex
    result += text.slice(at, match.index) + blank(text.slice(match.index, end))
    at = token.lastIndex = end
  }
}

/** Past the closing backtick; what is inside `${}` is blanked with the rest. */
function templateEnd(text: string, open: number): number {
  for (let at = open + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '`') return at + 1
    else if (text.startsWith('${', at)) at = expressionEnd(text, at + 1)
  }
  return text.length
}

function expressionEnd(text: string, open: number): number {
  let depth = 0
  for (let at = open; at < text.length; at++) {
    const char = text[at]
    if (char === '`') at = templateEnd(text, at) - 1
    else if (char === "'" || char === '"') at = quoteEnd(text, at)
    else if (char === '{') depth++
    else if (char === '}' && --depth === 0) return at
  }
  return text.length
}

function quoteEnd(text: string, open: number): number {
  for (let at = open + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === text[open] || text[at] === '\n') return at
  }
  return text.length
}

const blank = (text: string): string => text.replace(/[^\n]/g, ' ')
