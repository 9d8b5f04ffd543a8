/** Sids in paths. They are opaque; but what cannot be one must not reach a path, where dots and slashes would mean something. */
import { invalidParameter } from './errors.ts'

const SID = /^[0-9A-Za-z_-]{1,64}$/
const KEY = /^[^:\s\u0000-\u001f\u007f]{1,255}$/

/** `/Calls/C` or `/Calls/C/Legs/L`. @throws {EarshotError} invalid-parameter */
export function sidPath({ callSid, legSid }: { readonly callSid: string; readonly legSid?: string }): string {
  const call = `/Calls/${checked('CallSid', callSid)}`
  return legSid === undefined ? call : `${call}/Legs/${checked('LegSid', legSid)}`
}

/** `/Callbacks/B`. @throws {EarshotError} invalid-parameter */
export const callbackPath = (callbackSid: string): string => `/Callbacks/${checked('CallbackSid', callbackSid)}`

/** `/Recordings/C`. @throws {EarshotError} invalid-parameter */
export const recordingPath = (callSid: string): string => `/Recordings/${checked('CallSid', callSid)}`

/** `/Keys/K`. An operator's own key may have any name without colons and blanks; dots alone would lead elsewhere. @throws {EarshotError} invalid-parameter */
export function keyPath(keySid: string): string {
  if (!KEY.test(keySid) || /^\.{1,2}$/.test(keySid) || /\p{Surrogate}/u.test(keySid)) throw invalidParameter('KeySid', 'KeySid cannot be a sid')
  return `/Keys/${encodeURIComponent(keySid)}`
}

function checked(name: string, sid: string): string {
  if (!SID.test(sid)) throw invalidParameter(name, `${name} cannot be a sid`)
  return sid
}
