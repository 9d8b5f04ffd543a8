/** Runs the programs named on the command line one after the other, each with the arguments that follow `--`; ends with 1 when one of them did not end with 0. */
import { spawnSync } from 'node:child_process'
import { basename } from 'node:path'
import { followShadow } from '../bin/launch.mjs'

followShadow()
const [programs, rest] = split(process.argv.slice(2))
const bad = programs.filter((program) => {
  console.log(`\n== ${basename(program, '.ts')}`)
  return spawnSync(process.execPath, [program, ...rest], { stdio: 'inherit' }).status !== 0
})
if (bad.length > 0) console.error(`\nFailed: ${bad.map((program) => basename(program, '.ts')).join(', ')}`)
process.exitCode = bad.length > 0 ? 1 : 0

function split(given) {
  const at = given.indexOf('--')
  return at < 0 ? [given, []] : [given.slice(0, at), given.slice(at + 1)]
}
