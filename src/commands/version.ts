/** Which version of Earshot this is. */
import { readFileSync } from 'node:fs'

/** As in package.json, which lies above `src` and `dist` alike. */
export function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return String(JSON.parse(text).version)
}
