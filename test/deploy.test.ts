/** What is in `deploy/` says what it should: both files are read by programs that know their language, and name nothing that is not there. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { validate } from 'dockerfile-utils'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const dockerfile = read('deploy/Dockerfile')
const unit = read('deploy/earshot.service')
const VERIFIER = 'systemd-analyze'
const hasVerifier = spawnSync(VERIFIER, ['--version']).status === 0

test('the Dockerfile has no fault that its language knows', () => {
  assert.deepEqual(
    validate(dockerfile).map(({ message, range }) => `${range.start.line + 1}: ${message}`),
    [],
  )
  assert.notDeepEqual(validate(dockerfile.replace('WORKDIR', 'WORKDIRS')), [], 'a fault would be found')
})

test('the image copies what is there, and what it copies is not left out of the build', () => {
  const sources = [...dockerfile.matchAll(/^COPY (.+) \S+$/gm)].flatMap(([, paths = '']) => paths.split(' '))
  assert(sources.length >= 5)
  const sent = read('.dockerignore')
    .split('\n')
    .filter((line) => line.startsWith('!'))
    .map((line) => line.slice(1))
  for (const source of sources) assert(existsSync(join(root, source)) && sent.includes(source), source)
})

test('service and image stop it as it wants to be stopped, and start a program that is there', () => {
  for (const [text, pattern] of [
    [unit, /^TimeoutStopSec=45$/m],
    [unit, /^KillMode=mixed$/m],
    [dockerfile, /^STOPSIGNAL SIGTERM$/m],
    [dockerfile, /^USER node$/m],
  ] as const)
    assert.match(text, pattern)
  for (const [program = ''] of `${unit}\n${dockerfile}`.matchAll(/bin\/\S+?\.mjs/g)) assert(existsSync(join(root, program)), program)
})

test('systemd understands every line of the service', { skip: hasVerifier ? false : `${VERIFIER} is not here (apt-get install systemd)` }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'earshot-unit-'))
  const verify = (text: string) => {
    const file = join(folder, 'earshot.service')
    writeFileSync(file, text.replaceAll('/usr/bin/node', process.execPath))
    const { status, stderr } = spawnSync(VERIFIER, ['verify', '--man=no', file], { encoding: 'utf8' })
    return [status, stderr.split('\n').filter((line) => line.includes('earshot.service'))]
  }
  try {
    assert.deepEqual(verify(unit), [0, []])
    assert.notDeepEqual(verify(unit.replace('KillMode=mixed', 'KillMode=sideways')), [0, []], 'a fault would be found')
  } finally {
    rmSync(folder, { recursive: true })
  }
})
