/**
 * A file as an answer, whole or the one range that a player asked for (RFC 9110 §14). Whatever else a `Range` says is answered with
 * the whole file, as the RFC lets a server do.
 */
import { createReadStream } from 'node:fs'
import type { FastifyReply } from 'fastify'

/** What a route answers with instead of a resource. */
export interface Download {
  readonly kind: 'download'
  /** An absolute path. */
  readonly file: string
  readonly bytes: number
  readonly contentType: string
}

/** Vendor's names begin with a capital, so no resource has a `kind`. */
export const isDownload = (content: object): content is Download => 'kind' in content && content.kind === 'download'

/** First and last byte, both included. */
interface Range {
  readonly first: number
  readonly last: number
}

const RANGE = /^bytes=(\d{0,15})-(\d{0,15})$/

/** @returns Null for the whole file; `unsatisfiable` when nothing of what was asked for is there. */
export function rangeIn(header: string | undefined, bytes: number): Range | 'unsatisfiable' | null {
  const [, from, to] = (header === undefined ? null : RANGE.exec(header.trim())) ?? []
  if (from === undefined || to === undefined || from + to === '') return null
  const first = from === '' ? Math.max(0, bytes - Number(to)) : Number(from)
  const last = from === '' || to === '' ? bytes - 1 : Math.min(bytes - 1, Number(to))
  if (from !== '' && to !== '' && Number(to) < Number(from)) return null
  return first > last ? 'unsatisfiable' : { first, last }
}

/** The file may be of a person's voice: nobody on the way may keep it. */
export function sendDownload(reply: FastifyReply, { file, bytes, contentType }: Download, rangeHeader: string | undefined): FastifyReply {
  reply.headers({ 'content-type': contentType, 'accept-ranges': 'bytes', 'cache-control': 'private, no-store', 'x-content-type-options': 'nosniff' })
  const range = rangeIn(rangeHeader, bytes)
  if (range === 'unsatisfiable') return reply.code(416).header('content-range', `bytes */${bytes}`).send('')
  const { first, last } = range ?? { first: 0, last: bytes - 1 }
  if (range !== null) reply.code(206).header('content-range', `bytes ${first}-${last}/${bytes}`)
  reply.header('content-length', last - first + 1)
  return reply.send(bytes === 0 ? '' : createReadStream(file, { start: first, end: last }))
}
