/** Recordings: files of people's voices, as they come from the server; nothing is held in memory. */
import { invalidParameter } from '../errors.ts'
import type { Open, RequestOptions } from '../request.ts'
import { recordingPath } from '../sids.ts'

export interface RecordingOptions extends RequestOptions {
  /** A part of the file: its first and last byte, both included, from 0; without `last` to the end. */
  readonly range?: { readonly first: number; readonly last?: number | undefined } | undefined
}

export interface Recordings {
  /**
   * The recording of an ended call, a WAV file. Answers when its headers have come (200, or 206 for a range) with the body still to be
   * read: `pipeTo`, `arrayBuffer()`, or `cancel()` if you do not want it. `timeoutMs` is for the headers alone.
   * @throws {EarshotError} recording-not-found, also while the call lives · range-not-satisfiable · right-missing
   */
  download(callSid: string, options?: RecordingOptions): Promise<Response>
}

export function makeRecordings(open: Open): Recordings {
  return {
    download: async (callSid, { range, ...options } = {}) => {
      const headers = range === undefined ? {} : { range: rangeSpelled(range) }
      return open({ path: recordingPath(callSid), headers }, options)
    },
  }
}

function rangeSpelled({ first, last }: NonNullable<RecordingOptions['range']>): string {
  const isPlace = (place: number): boolean => Number.isSafeInteger(place) && place >= 0
  if (!isPlace(first) || (last !== undefined && (!isPlace(last) || last < first)))
    throw invalidParameter('Range', 'range needs whole numbers from 0, the last not before the first')
  return `bytes=${first}-${last ?? ''}`
}
