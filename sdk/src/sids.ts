/** Sids in paths. They are opaque; but what cannot be one must not reach a path, where dots and slashes would mean something. */
import { invalidParameter } from './errors.ts'

const SID = /^[0-9A-Za-z_-]{1,64}$/

/** `/Calls/C` or `/Calls/C/Legs/L`. @throws {EarshotError} invalid-parameter */
export function sidPath({ callSid, legSid }: { readonly callSid: string; readonly legSid?: string }): string {
  const call = `/Calls/${checked('CallSid', callSid)}`
  return legSid === undefined ? call : `${call}/Legs/${checked('LegSid', legSid)}`
}

function checked(name: string, sid: string): string {
  if (!SID.test(sid)) throw invalidParameter(name, `${name} cannot be a sid`)
  return sid
}
