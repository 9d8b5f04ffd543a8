/** Runs the programs named on the command line one after the other; ends with 1 when one of them did not end with 0. */
import { spawnSync } from 'node:child_process'
import { basename } from 'node:path'
import { followShadow } from '../bin/launch.mjs'

followShadow()
const bad = process.argv.slice(2).filter((program) => {
  console.log(`\n== ${basename(program, '.ts')}`)
  return spawnSync(process.execPath, [program], { stdio: 'inherit' }).status !== 0
})
if (bad.length > 0) console.error(`\nFailed: ${bad.map((program) => basename(program, '.ts')).join(', ')}`)
process.exitCode = bad.length > 0 ? 1 : 0
