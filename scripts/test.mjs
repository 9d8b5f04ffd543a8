/** `npm test [-- PATTERN…]`: installs what is missing, then runs everything, or the test files whose path holds a pattern. */
import { join } from 'node:path'
import { root, shadow } from '../bin/launch.mjs'
import { installPackages, installPeers } from './install.mjs'

const node = installPackages()
const peers = installPeers()
for (const { program, reason } of peers.missing)
  console.log(`Without ${program}: ${reason}. Tests that need it are ${process.env.CI === 'true' ? 'failures (CI=true)' : 'skipped'}.`)
const missing = peers.missing.map((peer) => `--missing-peer=${peer.program}`)
shadow(node, [join(root, 'scripts', 'run-tests.mjs'), ...missing, ...process.argv.slice(2)])
