/** `npm run bench [-- NAME [ARGUMENTS]]`: runs `bench/NAME.ts`, or every measurement in turn; `--help` lists them. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { root, shadow } from '../bin/launch.mjs'
import { installPackages } from './install.mjs'

const folder = join(root, 'bench')
const names = existsSync(folder)
  ? readdirSync(folder)
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
      .map((file) => file.slice(0, -3))
      .filter(isMeasurement)
      .sort()
  : []
const [wanted, ...rest] = process.argv.slice(2)

if (wanted === '--help' || wanted === '-h') {
  console.log('npm run bench [-- NAME [ARGUMENTS]]\n')
  for (const name of names) console.log(`  ${name.padEnd(20)} ${about(name)}`)
  if (names.length === 0) console.log('  There are no measurements yet.')
} else if (wanted !== undefined && !names.includes(wanted)) {
  console.error(`There is no measurement "${wanted}". There are: ${names.join(', ')}.`)
  process.exitCode = 1
} else {
  const node = installPackages()
  const chosen = wanted === undefined ? names : [wanted]
  shadow(node, [join(root, 'scripts', 'run-all.mjs'), ...chosen.map((name) => join(folder, `${name}.ts`)), '--', ...rest])
}

/** A file that exports something is there to be imported by others. */
function isMeasurement(name) {
  return !/^export /m.test(text(name))
}

/** The first sentence of the file's header. */
function about(name) {
  const header = /^\/\*\*([\s\S]*?)\*\//.exec(text(name))?.[1] ?? ''
  return (
    header
      .replace(/\s*\*\s*/g, ' ')
      .trim()
      .split(/(?<=\.)\s/)[0] ?? ''
  )
}

function text(name) {
  return readFileSync(join(folder, `${name}.ts`), 'utf8')
}
