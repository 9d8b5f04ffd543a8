/** A request's body, whole and bounded, whatever its encoding. */
import type { Readable } from 'node:stream'
import { type ParsedBody, parseBody } from '../contract/body.ts'
import type { Fields } from '../contract/fields.ts'
import { HttpError } from './http-error.ts'

export interface BodyHeaders {
  readonly contentType: string | undefined
  readonly contentEncoding: string | undefined
}

/**
 * How much of a body that is too large is still read before it is refused: a client that is busy sending would otherwise
 * see its connection reset instead of the answer. Whoever sends more than this gets the reset.
 */
const MAX_DISCARDED_BYTES = 1024 * 1024

/** @throws {HttpError} too-large · unsupported-media-type · bad-request, also when the client goes away in the middle */
export async function readFields(stream: Readable, headers: BodyHeaders, maxBytes: number): Promise<Fields> {
  const body = await readWhole(stream, maxBytes)
  if (!/^(identity)?$/i.test(headers.contentEncoding ?? '')) throw new HttpError('unsupported-media-type')
  const parsed: ParsedBody = await parseBody(headers.contentType, body)
  switch (parsed.kind) {
    case 'fields':
      return parsed.fields
    case 'malformed':
      throw new HttpError('bad-request')
    case 'unsupported':
      throw new HttpError('unsupported-media-type')
  }
}

function readWhole(stream: Readable, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  return new Promise((resolve, reject) => {
    const tooLarge = (): void => reject(new HttpError('too-large', { connection: 'close' }))
    const goneAway = (): void => reject(new HttpError('bad-request', { connection: 'close' }))
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= maxBytes) chunks.push(chunk)
      else chunks.length = 0
      if (bytes > maxBytes + MAX_DISCARDED_BYTES) tooLarge()
    })
    stream.once('end', () => (bytes > maxBytes ? tooLarge() : resolve(Buffer.concat(chunks, bytes))))
    stream.once('error', goneAway)
    stream.once('close', goneAway)
  })
}
