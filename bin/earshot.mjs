#!/usr/bin/env node
/** The command `earshot`: see `earshot --help`. Starts `src/cli.ts` in a checkout, `dist/cli.js` in the package. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { findNode, followShadow, missingNode, root, shadow } from './launch.mjs'

followShadow()
const node = findNode()
if (node === null) {
  console.error(missingNode())
  process.exit(1)
} else if (node === process.execPath) {
  await run()
} else {
  shadow(node, [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)])
}

async function run() {
  // Node does not strip types below node_modules, so an installed package runs what was compiled.
  const installed = root.split(/[\\/]/).includes('node_modules')
  const program = [...(installed ? [] : [join(root, 'src', 'cli.ts')]), join(root, 'dist', 'cli.js')].find((path) => existsSync(path))
  if (program === undefined) {
    console.error(`Earshot is incomplete: there is neither src/cli.ts nor dist/cli.js in ${root}. Clone or install it again.`)
    process.exit(1)
  }
  if (!installed && !existsSync(join(root, 'node_modules', 'commander'))) {
    console.error(`Earshot's packages are missing: run "npm ci --ignore-scripts" in ${root} (or "npm start", which does it).`)
    process.exit(1)
  }
  const { runCli, systemWorld } = await import(pathToFileURL(program).href)
  process.exit(await runCli(process.argv.slice(2), systemWorld()))
}
