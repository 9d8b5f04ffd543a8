/**
 * Every failure as an answer (contract C8 to C10), in the format of the path that was asked.
 *
 * What nobody foresaw is a 500 that says only the request's id; the log has the rest under the same id. Every answer has that id in
 * `X-Request-Id`: the vendor's bodies have no place for it.
 */
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { domainError, errorResource, httpError, type HttpErrorCode, type WireError } from '../contract/errors.ts'
import { contentTypeOf, type Format, rendered } from '../contract/xml.ts'
import { DomainError } from '../domain/errors.ts'
import { HttpError } from './http-error.ts'

/** Writes one line: what it is about as fields, then a message. */
export interface HttpLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  error(fields: Readonly<Record<string, unknown>>, message: string): void
}

/** Fastify's own refusals, by its documented codes. Any other error of it is a mistake of ours. */
const OF_THE_FRAMEWORK: Readonly<Record<string, HttpErrorCode>> = {
  FST_ERR_BAD_URL: 'bad-request',
  FST_ERR_MAX_PARAM_LENGTH: 'uri-too-long',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported-media-type',
  FST_ERR_CTP_BODY_TOO_LARGE: 'too-large',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'bad-request',
  FST_ERR_ROUTE_MISSING_CONTENT_TYPE: 'bad-request',
}

/** Failures of Node's HTTP parser; any other is a 400. */
const OF_THE_PARSER: Readonly<Record<string, HttpErrorCode>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'request-timeout',
  HPE_HEADER_OVERFLOW: 'headers-too-large',
}

/** What a 503 tells a client to wait before it asks again, s. */
export const RETRY_AFTER_S = 5

/** Answers with what the error means to the caller, and logs what it means to us. */
export function answerFailure(error: unknown, request: FastifyRequest, reply: FastifyReply, format: Format, log: HttpLog): void {
  const { wire, headers } = spelled(error, request, log)
  reply
    .code(wire.status)
    .headers({ ...headers, 'x-request-id': request.id })
    .header('content-type', contentTypeOf(format))
    .send(rendered(format, errorResource(wire)))
}

/** What came was not HTTP, or not in time: there is no path that would select a format, and no request to answer to. */
export function answerUnreadable(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const wire = httpError(OF_THE_PARSER[error.code ?? ''] ?? 'bad-request')
  const body = rendered('xml', errorResource(wire))
  socket.end(
    `HTTP/1.1 ${wire.status} ${STATUS_CODES[wire.status]}\r\nContent-Type: ${contentTypeOf('xml')}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  )
}

interface Spelled {
  readonly wire: WireError
  readonly headers: Readonly<Record<string, string>>
}

function spelled(error: unknown, request: FastifyRequest, log: HttpLog): Spelled {
  if (error instanceof DomainError) {
    return { wire: domainError(error), headers: error.code === 'draining' || error.code === 'busy' ? { 'retry-after': String(RETRY_AFTER_S) } : {} }
  }
  if (error instanceof HttpError) return { wire: httpError(error.code), headers: error.headers }
  const code = OF_THE_FRAMEWORK[frameworkCode(error)]
  if (code !== undefined) return { wire: httpError(code), headers: {} }
  log.error({ request: request.id, method: request.method, route: request.routeOptions?.url ?? null, err: error }, 'request failed')
  return { wire: httpError('internal', request.id), headers: {} }
}

const frameworkCode = (error: unknown): string => (error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '')
