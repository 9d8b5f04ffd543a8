/** The launcher is a shadow of the real process: what happens to one happens to the other. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'

const bin = (name: string): string => fileURLToPath(new URL(`../bin/${name}`, import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'earshot-launcher-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const LAUNCH = JSON.stringify(pathToFileURL(bin('launch.mjs')).href)
/** Says its pid, then does what `then` says; lives on a timer. */
function program(name: string, then: string): string {
  const path = join(folder, `${name}.mjs`)
  writeFileSync(
    path,
    `import { followShadow } from ${LAUNCH}\nfollowShadow()\nsetInterval(() => {}, 1000)\n${then}\nconsole.log('pid ' + process.pid)\n`,
  )
  return path
}

/** The shadow of a program, and the pid of the real process. */
async function shadowOf(real: string): Promise<{ readonly shadow: ChildProcess; readonly pid: number; readonly ended: Promise<string> }> {
  const path = join(folder, 'shadow.mjs')
  writeFileSync(path, `import { shadow } from ${LAUNCH}\nshadow(process.execPath, process.argv.slice(2))\n`)
  const shadow = spawn(process.execPath, [path, real], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<string>((resolve) => shadow.on('exit', (code, signal) => resolve(signal ?? String(code))))
  let text = ''
  for await (const chunk of shadow.stdout ?? []) {
    text += String(chunk)
    if (/pid \d+\n/.test(text)) break
  }
  const pid = Number(/pid (\d+)/.exec(text)?.[1])
  assert.ok(pid > 0 && pid !== shadow.pid)
  return { shadow, pid, ended }
}

async function gone(pid: number): Promise<boolean> {
  for (let tries = 0; tries < 100; tries++) {
    // A zombie that nobody waited for is gone as well.
    const state = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.[0] : 'gone'
    if (state === 'gone' || state === 'Z') return true
    await delay(50)
  }
  return false
}

const skip = existsSync('/proc/self/stat') ? false : 'looks into /proc'

test('kill -9 of the shadow ends the real process at once', { skip }, async () => {
  const { shadow, pid } = await shadowOf(program('steady', "process.on('SIGTERM', () => {})"))
  shadow.kill('SIGKILL')
  assert.ok(await gone(pid))
})

test('kill -9 of the shadow ends the real process before it has looked at anything', { skip }, async () => {
  const path = join(folder, 'late.mjs')
  writeFileSync(
    path,
    `console.log('pid ' + process.pid)\nawait new Promise((resolve) => setTimeout(resolve, 1000))\nconst launch = await import(${LAUNCH})\nlaunch.followShadow()\nsetInterval(() => {}, 1000)\n`,
  )
  const { shadow, pid } = await shadowOf(path)
  shadow.kill('SIGKILL')
  assert.ok(await gone(pid))
})

test('SIGTERM to the shadow reaches the real process, and its exit code comes back', async () => {
  const { shadow, ended } = await shadowOf(program('polite', "process.on('SIGTERM', () => setTimeout(() => process.exit(7), 50))"))
  shadow.kill('SIGTERM')
  assert.equal(await ended, '7')
})

test('a real process that dies of a signal takes its shadow along by the same signal', async () => {
  const { pid, ended } = await shadowOf(program('victim', ''))
  process.kill(pid, 'SIGKILL')
  assert.equal(await ended, 'SIGKILL')
})

test('the channel to the shadow does not keep a finished process alive', async () => {
  const path = join(folder, 'short.mjs')
  writeFileSync(path, `import { followShadow } from ${LAUNCH}\nfollowShadow()\nconsole.log('pid ' + process.pid)\n`)
  const { ended } = await shadowOf(path)
  assert.equal(await ended, '0')
})

const OLD = '/usr/bin/node'
const oldVersion = existsSync(OLD) ? spawnSync(OLD, ['--version'], { encoding: 'utf8' }).stdout.trim() : ''
const noOld = /^v(?:20|21|22\.(?:\d|1[0-7])\.)/.test(oldVersion) ? false : 'needs a Node older than 22.18 at /usr/bin/node'
for (const [node, reason] of [
  [process.execPath, false],
  [OLD, noOld],
] as const) {
  test(`earshot answers under ${node === OLD ? 'an old Node' : 'this Node'}`, { skip: reason }, () => {
    const run = (...args: readonly string[]) => spawnSync(node, [bin('earshot.mjs'), ...args], { encoding: 'utf8', cwd: folder })
    assert.match(run('--version').stdout, /^\d+\.\d+\.\d+\n$/)
    assert.match(run('--help').stdout, /serve[\s\S]*demo[\s\S]*check/)
    const bad = run('check', '--config', 'nowhere.yaml')
    assert.equal(bad.status, 1)
    assert.match(bad.stderr, /nowhere\.yaml does not exist/)
  })
}
