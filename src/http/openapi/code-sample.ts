/** A route's example as a command that can be pasted into a shell. */
import type { DescribedRoute } from '../operations/operation.ts'
import { SAMPLE_ACCOUNT, SAMPLE_CALL_SID, SAMPLE_CALLBACK_SID, SAMPLE_KEY_SID, SAMPLE_LEG_SID } from '../operations/samples.ts'

const SAMPLE_PATH: Readonly<Record<string, string>> = {
  AccountSid: SAMPLE_ACCOUNT,
  CallSid: SAMPLE_CALL_SID,
  LegSid: SAMPLE_LEG_SID,
  KeySid: SAMPLE_KEY_SID,
  CallbackSid: SAMPLE_CALLBACK_SID,
}

/** @param path As it is written in the document, e.g. `/v1/Accounts/{AccountSid}/Calls.json`. */
export function curlSample({ method, says }: DescribedRoute, path: string): string {
  const address = path.replace(/\{(\w+)\}/g, (_, name: string) => SAMPLE_PATH[name] ?? name)
  const search = Object.entries(says.query?.example ?? {}).map(([name, value]) => `${name}=${encoded(value)}`)
  const asked = search.length === 0 ? address : `${address}?${search.join('&')}`
  const lines = [
    `curl ${method === 'GET' ? '' : `-X ${method} `}-u "$EARSHOT_KEY:$EARSHOT_TOKEN" "$EARSHOT_URL${asked}"`,
    ...Object.entries(says.body?.example ?? {}).map(([name, value]) => `-d ${quoted(`${name}=${encoded(value)}`)}`),
  ]
  return lines.join(' \\\n  ')
}

/** As a form wants it: `+`, `&` and `%` would mean something else. */
const encoded = (value: string): string => encodeURIComponent(value).replace(/%(?:2C|2F|3A|40)/g, decodeURIComponent)

const quoted = (text: string): string => (/^[\w=:,/.@%-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`)
