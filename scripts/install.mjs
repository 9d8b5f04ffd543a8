/** What the house needs before it runs: npm's packages, and for the tests the independent peers from Debian. Plain JavaScript for Node 20. */
import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { findNode, missingNode, root } from '../bin/launch.mjs'

const NPM_LIMIT_MS = 300_000
const APT_LIMIT_MS = 180_000

/** Debian package and the program in it, by its name on the path or by its place. */
const PEERS = [
  { debian: 'sip-tester', program: 'sipp', proves: 'load and races against an independent SIP stack' },
  { debian: 'baresip-core', program: 'baresip', proves: 'calls of an independent phone' },
  {
    debian: 'postgresql-15',
    program: '/usr/lib/postgresql/15/bin/postgres',
    proves: 'that everything works on a PostgreSQL server as well; with it every test of records runs twice',
  },
]

/** Installs npm's packages when they are missing or older than the lock file. Ends the process when that fails. */
export function installPackages() {
  const lock = join(root, 'package-lock.json')
  // npm writes this file last, so a broken-off installation counts as none.
  const installed = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs) {
    console.log('Installing packages (npm ci, about 125 MB, once) …')
    const started = Date.now()
    const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
    const done = spawnSync('npm', args, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'], timeout: NPM_LIMIT_MS, env: quietNpm() })
    if (done.error || done.status !== 0) {
      console.error(`npm ${args.join(' ')} failed${done.error ? `: ${done.error.message}` : ''}. Is the npm registry reachable?`)
      process.exit(1)
    }
    console.log(`Installed in ${Math.round((Date.now() - started) / 1000)} s.`)
  }
  const node = findNode()
  if (node === null) {
    console.error(missingNode())
    process.exit(1)
  }
  return node
}

/** npm started by npm inherits settings such as `npm_config_omit` of the outer command, which must not count here. */
function quietNpm() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_config_(omit|include|ignore_scripts|dry_run)$/i.test(name)))
}

/**
 * Installs the peers that are missing, if this user may; each for itself, since not every Debian has every one.
 * @returns {{ present: string[], missing: { program: string, reason: string }[] }}
 */
export function installPeers() {
  const absent = PEERS.filter((peer) => !isThere(peer.program))
  const asRoot = absent.length === 0 ? [] : rootCommand()
  if (absent.length > 0 && typeof asRoot !== 'string') {
    console.log(`Installing the peers ${absent.map((peer) => peer.debian).join(', ')} (apt-get) …`)
    apt(asRoot, 'update')
  }
  const why = new Map(absent.map((peer) => [peer, typeof asRoot === 'string' ? asRoot : install(asRoot, peer.debian)]))
  return {
    present: PEERS.filter((peer) => isThere(peer.program)).map((peer) => peer.program),
    missing: PEERS.filter((peer) => !isThere(peer.program)).map((peer) => ({
      program: peer.program,
      reason: `${why.get(peer)}; it proves ${peer.proves}`,
    })),
  }
}

/** Debian's package would make a cluster and start it; the tests start servers of their own, and nobody asked for one more. */
const NO_CLUSTER = '/etc/postgresql-common/createcluster.d/earshot-tests.conf'

const isThere = (program) => spawnSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' }).status === 0

/** How to become root, or why not. */
function rootCommand() {
  if (!isThere('apt-get')) return 'there is no apt-get here'
  if (process.getuid?.() === 0) return []
  if (isThere('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0) return ['sudo', '-n']
  return 'this user is neither root nor has sudo without a password'
}

const apt = (asRoot, ...args) => runAs(asRoot, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-qq', '-o', 'DPkg::Lock::Timeout=60', ...args)

function runAs(asRoot, ...command) {
  const [program, ...args] = [...asRoot, ...command]
  return spawnSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: APT_LIMIT_MS, encoding: 'utf8' })
}

/** @returns Why the program is not there, if it is not. */
function install(asRoot, debian) {
  const isPostgres = debian.startsWith('postgresql')
  if (isPostgres) runAs(asRoot, 'sh', '-c', `mkdir -p ${dirname(NO_CLUSTER)} && echo 'create_main_cluster = off' > ${NO_CLUSTER}`)
  const done = apt(asRoot, 'install', '-y', '--no-install-recommends', debian)
  if (isPostgres) runAs(asRoot, 'sh', '-c', `rm -f ${NO_CLUSTER}; rmdir ${dirname(NO_CLUSTER)}`)
  if (done.status === 0) return 'apt-get installed the package, but the program is not there'
  const lastLine = (done.stderr ?? '').trim().split('\n').at(-1)
  return `apt-get could not install it (${done.error?.message || lastLine || `exit code ${done.status}`})`
}
