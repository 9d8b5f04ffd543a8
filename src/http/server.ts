/**
 * The HTTP server: Fastify around `routes.ts`.
 *
 * The way of a request, in this order: format by the path's suffix (C1) · 404, 405 · is the house open (503) · who asks
 * (401) · how often (429) · the body (413, 415, 400) · the route. Every refusal on the way, also of what is hardly HTTP,
 * leaves in the contract's envelope (`failures.ts`).
 */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { canonicalText, type Fields, fieldsFromPairs } from '../contract/fields.ts'
import { idempotencyKeyIn } from '../contract/requests.ts'
import { contentTypeOf, type Format, rendered } from '../contract/xml.ts'
import type { Control, Idempotency } from '../control/control.ts'
import type { AccountId } from '../domain/ids.ts'
import { type Authenticate, authenticated } from './auth.ts'
import { answerFailure, answerUnreadable, type HttpLog, RETRY_AFTER_S } from './failures.ts'
import { HttpError } from './http-error.ts'
import { makeRateLimit } from './rate-limit.ts'
import { readFields } from './read-body.ts'
import { addDescriptionRoutes } from './page/description-routes.ts'
import { type Asked, ROUTES } from './routes.ts'

export interface ServerOptions {
  readonly control: Control
  readonly accounts: {
    readonly authenticate: Authenticate
    /** IANA name. Asked only for accounts that `authenticate` returned. */
    timeZone(accountId: AccountId): string
  }
  readonly limits?: {
    /** Default 200. */
    readonly writesPerMinute?: number
    /** Default 64 KiB. */
    readonly bodyBytes?: number
  }
  /** Epoch ms. */
  now(): number
  /** A name for a request, as the log and an answer of 500 give it. */
  newId(): string
  readonly log: HttpLog
  /** While starting nothing is answered; while draining nothing new begins, and what lives can be seen and hung up. */
  ready(): 'starting' | 'ready' | 'draining'
  /** Of the server, as its description says it. */
  readonly version?: string
  /** A request was answered; for those who count. Must not throw. */
  readonly onAnswered?: (answered: Answered) => void
}

export interface Answered {
  readonly method: string
  /** As it was declared; null when there is none. */
  readonly route: string | null
  readonly status: number
  readonly seconds: number
}

const WRITES_PER_MINUTE = 200
const BODY_BYTES = 64 * 1024
/** A client that is slower than this to send its headers, or its whole request, is cut off. */
const HEADERS_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 15_000
const TIMEOUT_CHECK_MS = 1_000
/** Nothing moves on the connection, in either direction. */
const CONNECTION_TIMEOUT_MS = 120_000
/** Longer than the minute of usual load balancers, so that they are the ones to hang up. */
const KEEP_ALIVE_MS = 65_000
const MAX_HEADER_BYTES = 16 * 1024
const MAX_CONNECTIONS = 10_000
/** Longest path segment; beyond it the answer is 414. */
const MAX_SEGMENT_CHARS = 500

const ACCOUNT_PATH = '/v1/Accounts/:accountSid'
const HOST_IN_PATH = /^https?:\/\/[^/?]*/i
const JSON_SUFFIX = /^([^?]*)\.json(?=\?|$)/
/** The vendor's own `Uri` of a call has the suffix in the middle, and a client may follow it. */
const JSON_INFIX = /^(\/v1\/Accounts\/[^/?]+\/Calls)\.json(?=\/[^/?]+(?:\?|$))/
/** Only what is surely an id of ours is logged; a caller may have put a phone number in its place. */
const OWN_SID = /^[0-9a-z]{32}$/

/** A server that does not listen yet. `close()` lets answers that are under way finish and drops idle connections at once. */
export function makeServer(options: ServerOptions): FastifyInstance {
  const json = new WeakSet<IncomingMessage>()
  const formatOf = (request: FastifyRequest): Format => (json.has(request.raw) ? 'json' : 'xml')
  const maxBytes = options.limits?.bodyBytes ?? BODY_BYTES
  const app = Fastify({
    logger: false,
    genReqId: () => options.newId(),
    rewriteUrl: (raw) => withoutSuffix(raw, json),
    routerOptions: { caseSensitive: true, ignoreTrailingSlash: false, ignoreDuplicateSlashes: false, maxParamLength: MAX_SEGMENT_CHARS },
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    http: { headersTimeout: HEADERS_TIMEOUT_MS, connectionsCheckingInterval: TIMEOUT_CHECK_MS, maxHeaderSize: MAX_HEADER_BYTES },
    forceCloseConnections: 'idle',
    // Ours has the contract's envelope, and says no to less.
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => {
      answerFailure(error, request, reply, formatOf(request), options.log)
      // Such a request has no route, and so no hooks that would log it.
      options.log.info({ request: request.id, method: request.method, route: null, status: reply.statusCode }, 'request')
      options.onAnswered?.(answeredBy(request, reply))
    },
    clientErrorHandler: answerUnreadable,
  })
  app.server.maxConnections = MAX_CONNECTIONS
  closeSilentConnections(app)
  app.setErrorHandler((error, request, reply) => answerFailure(error, request, reply, formatOf(request), options.log))
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (request: FastifyRequest, payload: IncomingMessage) =>
    readFields(payload, { contentType: request.headers['content-type'], contentEncoding: request.headers['content-encoding'] }, maxBytes),
  )
  app.addHook('onRequest', async (request) => {
    // Answered here, before a body is read that nobody wants.
    if (request.is404) throw new HttpError('not-found')
  })
  app.addHook('onSend', async (_request, reply) => {
    if (options.ready() === 'draining') reply.header('connection', 'close')
  })
  app.addHook('onResponse', async (request, reply) => {
    options.log.info(accessFields(request, reply), 'request')
    options.onAnswered?.(answeredBy(request, reply))
  })
  addHealthRoutes(app, options)
  addDescriptionRoutes(app, { routes: ROUTES, version: options.version ?? '0.0.0' })
  addApiRoutes(app, options, formatOf)
  return app
}

/** Connections on which nothing was asked yet are not idle in Node's eyes, and would hold up `close()` until they time out. */
function closeSilentConnections(app: FastifyInstance): void {
  const silent = new Set<Socket>()
  app.server.on('connection', (socket: Socket) => {
    silent.add(socket)
    socket.once('close', () => silent.delete(socket))
  })
  app.server.on('request', ({ socket }: IncomingMessage) => silent.delete(socket))
  app.addHook('preClose', async () => {
    for (const socket of silent) socket.destroy()
  })
}

/** C1: the suffix is a matter of format alone; routing never sees it. */
function withoutSuffix(raw: IncomingMessage, json: WeakSet<IncomingMessage>): string {
  const url = (raw.url ?? '/').replace(HOST_IN_PATH, '')
  const bare = JSON_SUFFIX.test(url) ? url.replace(JSON_SUFFIX, '$1') : url.replace(JSON_INFIX, '$1')
  if (bare === url) return url
  json.add(raw)
  return bare.startsWith('/v1/') ? bare : url
}

/** For whoever runs the process: alive at all, and worth sending requests to. */
function addHealthRoutes(app: FastifyInstance, { ready }: ServerOptions): void {
  app.get('/healthz', async (_request, reply) => reply.type('text/plain; charset=utf-8').send('ok\n'))
  app.get('/readyz', async (_request, reply) => {
    const state = ready()
    return reply
      .code(state === 'ready' ? 200 : 503)
      .type('text/plain; charset=utf-8')
      .send(`${state}\n`)
  })
}

function addApiRoutes(app: FastifyInstance, options: ServerOptions, formatOf: (request: FastifyRequest) => Format): void {
  const countWrite = makeRateLimit({ perMinute: options.limits?.writesPerMinute ?? WRITES_PER_MINUTE })
  const provenAccounts = new WeakMap<FastifyRequest, AccountId>()
  const admit = async (request: FastifyRequest): Promise<void> => {
    assertOpen(options.ready(), request.method)
    const accountId = authenticated(options.accounts.authenticate, request.headers.authorization, paramsOf(request).accountSid)
    provenAccounts.set(request, accountId)
    if (request.method === 'GET' || request.method === 'HEAD') return
    const verdict = countWrite(accountId, options.now())
    if (!verdict.allowed) throw new HttpError('too-many-requests', { 'retry-after': String(verdict.retryAfterS) })
  }
  for (const route of ROUTES) {
    app.route({
      method: route.method,
      url: `${ACCOUNT_PATH}${route.path}`,
      onRequest: admit,
      handler: async (request, reply) => {
        const accountId = provenAccounts.get(request)
        if (accountId === undefined) throw new HttpError('unauthorized')
        const asked = askedBy(request, { accountId, format: formatOf(request), options })
        const content = await route.answer(options.control, asked)
        return reply.code(200).header('content-type', contentTypeOf(asked.format)).send(rendered(asked.format, content))
      },
    })
  }
  addOtherMethods(app)
}

interface Known {
  readonly accountId: AccountId
  readonly format: Format
  readonly options: ServerOptions
}

/** @throws {DomainError} invalid-parameter (Idempotency-Key) @throws {HttpError} bad-request */
function askedBy(request: FastifyRequest, { accountId, format, options }: Known): Asked {
  const { callSid, legSid } = paramsOf(request)
  const fields = (request.body ?? new Map()) as Fields
  return {
    accountId,
    format,
    callSid,
    legSid,
    fields,
    timeZone: options.accounts.timeZone(accountId),
    query: queryOf(request.query),
    idempotency: idempotencyOf(request, fields),
    now: options.now(),
  }
}

/** Paths that exist say which methods they know (405), without asking who wants to know. */
function addOtherMethods(app: FastifyInstance): void {
  for (const path of new Set(ROUTES.map((route) => route.path))) {
    const known: string[] = ROUTES.filter((route) => route.path === path).flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
    const refuse = async (): Promise<never> => {
      throw new HttpError('method-not-allowed', { allow: known.join(', ') })
    }
    const method = app.supportedMethods.filter((candidate) => !known.includes(candidate))
    app.route({ method, url: `${ACCOUNT_PATH}${path}`, exposeHeadRoute: false, onRequest: refuse, handler: refuse })
  }
}

function assertOpen(state: 'starting' | 'ready' | 'draining', method: string): void {
  const closed = state === 'starting' || (state === 'draining' && method === 'POST')
  if (closed) throw new HttpError('unavailable', { 'retry-after': String(RETRY_AFTER_S) })
}

function paramsOf(request: FastifyRequest): { readonly accountSid: string; readonly callSid: string; readonly legSid: string } {
  const params = (request.params ?? {}) as Readonly<Record<string, string>>
  return { accountSid: params.accountSid ?? '', callSid: params.callSid ?? '', legSid: params.legSid ?? '' }
}

/** @param query As Fastify has parsed it: a name given twice has a list. @throws {HttpError} bad-request */
function queryOf(query: unknown): Fields {
  const given = Object.entries(query as Readonly<Record<string, string | readonly string[]>>)
  const fields = fieldsFromPairs(given.flatMap(([name, values]) => [values].flat().map((value): [string, string] => [name, value])))
  if (fields === null) throw new HttpError('bad-request')
  return fields
}

/** C19. The suffix is no part of what was asked, nor is the encoding of the fields. */
function idempotencyOf(request: FastifyRequest, fields: Fields): Idempotency | null {
  const header = request.headers['idempotency-key']
  const key = request.method === 'POST' ? idempotencyKeyIn(Array.isArray(header) ? header[0] : header) : null
  if (key === null) return null
  const path = request.url.split('?', 1)[0]
  return {
    key,
    fingerprint: createHash('sha256')
      .update(`${request.method} ${path}\n${canonicalText(fields)}`)
      .digest('hex'),
  }
}

const answeredBy = (request: FastifyRequest, reply: FastifyReply): Answered => ({
  method: request.method,
  route: request.routeOptions?.url ?? null,
  status: reply.statusCode,
  seconds: reply.elapsedTime / 1000,
})

/** No address, no body, no credentials: the route as it was declared, and ids. */
function accessFields(request: FastifyRequest, reply: FastifyReply): Readonly<Record<string, unknown>> {
  const { callSid, legSid } = paramsOf(request)
  return {
    request: request.id,
    method: request.method,
    route: request.routeOptions.url ?? null,
    status: reply.statusCode,
    ms: Math.round(reply.elapsedTime * 10) / 10,
    ...(OWN_SID.test(callSid) ? { call: callSid } : {}),
    ...(OWN_SID.test(legSid) ? { leg: legSid } : {}),
  }
}
