/**
 * The HTTP server: Fastify around `routes.ts`.
 *
 * The way of a request, in this order: format by the path's suffix (C1) · how often its address (429) · 404, 405 · is the
 * house open (503) · who asks (401) · how often (429) · the body (413, 415, 400) · the route, which asks `control/api.ts` (403).
 * Every refusal on the way, also of what is hardly HTTP, leaves in the contract's envelope (`failures.ts`).
 */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { canonicalText, type Fields, fieldsFromPairs } from '../contract/fields.ts'
import { idempotencyKeyIn } from '../contract/requests.ts'
import { contentTypeOf, type Format, rendered } from '../contract/xml.ts'
import type { Api } from '../control/api.ts'
import type { Idempotency } from '../control/control.ts'
import type { Principal } from '../domain/account/rights.ts'
import type { AccountId } from '../domain/ids.ts'
import { type Authenticate, authenticated } from './auth.ts'
import { isDownload, sendDownload } from './download.ts'
import { isEventStream, makeStreams } from './event-stream.ts'
import { type Admission, type Limits, limitHeaders, makeAdmission, tooMany } from './access/admission.ts'
import { answerFailure, answerUnreadable, type HttpLog, RETRY_AFTER_S } from './failures.ts'
import { HttpError } from './http-error.ts'
import { readFields } from './read-body.ts'
import { addDescriptionRoutes } from './page/description-routes.ts'
import { type Asked, ROUTES } from './routes.ts'

export interface ServerOptions {
  readonly api: Api
  readonly accounts: {
    readonly authenticate: Authenticate
    /** Whom a pair of key and token proves that was proved a moment ago, at no cost. */
    readonly remembered?: (key: string, token: string) => Principal | null
    /** IANA name. Asked only for accounts that `authenticate` returned. */
    timeZone(accountId: AccountId): string
  }
  readonly limits?: Limits & {
    /** Default 64 KiB. */
    readonly bodyBytes?: number
  }
  /** Where callers reach the house, `https://host`, without a slash at the end. */
  publicUrl(): string
  /** Addresses and blocks of proxies whose `X-Forwarded-For` is believed. Default: nobody's. */
  readonly trustProxy?: readonly string[]
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
/** Clients that put a base address with a slash at its end before a path with one at its start ask so. Elsewhere two slashes are an unknown path. */
const DOUBLE_JOINT = /^(\/v1\/Accounts\/[^/?]+)\/+(?=\/)/
/** Only what is surely an id of ours is logged; a caller may have put a phone number in its place. */
const OWN_SID = /^[0-9a-z]{32}$/

/** For those who look whether the process is there; they may look as often as they like. */
const HEALTH_PATHS: ReadonlySet<string> = new Set(['/healthz', '/readyz'])

/** A server that does not listen yet. `close()` lets answers that are under way finish and drops idle connections at once. */
export function makeServer(options: ServerOptions): FastifyInstance {
  const json = new WeakSet<IncomingMessage>()
  const formatOf = (request: FastifyRequest): Format => (json.has(request.raw) ? 'json' : 'xml')
  const maxBytes = options.limits?.bodyBytes ?? BODY_BYTES
  const admission = makeAdmission({ ...options.accounts, limits: options.limits ?? {}, now: options.now, log: options.log })
  const proven = new WeakMap<FastifyRequest, Principal>()
  const app = Fastify({
    logger: false,
    trustProxy: options.trustProxy?.length ? [...options.trustProxy] : false,
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
    if (!HEALTH_PATHS.has(request.routeOptions.url ?? '')) admission.countRequest(request.ip)
    // Answered here, before a body is read that nobody wants.
    if (request.is404) throw new HttpError('not-found')
  })
  app.addHook('onSend', async (request, reply) => {
    reply.header('x-request-id', request.id)
    if (options.ready() === 'draining') reply.header('connection', 'close')
  })
  app.addHook('onResponse', async (request, reply) => {
    options.log.info(accessFields(request, reply, proven.get(request)), 'request')
    options.onAnswered?.(answeredBy(request, reply))
  })
  addHealthRoutes(app, options)
  addDescriptionRoutes(app, { routes: ROUTES, version: options.version ?? '0.0.0' })
  addApiRoutes(app, { options, admission, proven, formatOf })
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
  const url = (raw.url ?? '/').replace(HOST_IN_PATH, '').replace(DOUBLE_JOINT, '$1')
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

interface Routing {
  readonly options: ServerOptions
  readonly admission: Admission
  /** Who has proved to ask what. */
  readonly proven: WeakMap<FastifyRequest, Principal>
  formatOf(request: FastifyRequest): Format
}

function addApiRoutes(app: FastifyInstance, { options, admission, proven, formatOf }: Routing): void {
  const streams = makeStreams()
  // They would hold up `close` for as long as their clients like.
  app.addHook('preClose', async () => streams.endAll())
  const admit = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    assertOpen(options.ready(), request.method)
    const { accountSid } = paramsOf(request)
    const who = await admission.whoAsks({ address: request.ip, authorization: request.headers.authorization, accountSid })
    proven.set(request, who)
    const verdict = admission.countOf(who.accountId, request.method === 'GET' || request.method === 'HEAD' ? 'read' : 'write')
    reply.headers(limitHeaders(verdict, options.now()))
    if (!verdict.allowed) throw tooMany(verdict.resetS)
  }
  for (const route of ROUTES) {
    app.route({
      method: route.method,
      url: `${ACCOUNT_PATH}${route.path}`,
      onRequest: admit,
      handler: async (request, reply) => {
        const who = proven.get(request)
        if (who === undefined) throw new HttpError('unauthorized')
        const asked = askedBy(request, { who, format: formatOf(request), options })
        const content = await route.answer(options.api, asked)
        if (isEventStream(content))
          return streams.serve(reply, content, { accountId: who.accountId, isStillGood: () => stillGood(who, request, options) })
        if (isDownload(content)) return sendDownload(reply, content, request.headers.range)
        return reply.code(200).header('content-type', contentTypeOf(asked.format)).send(rendered(asked.format, content))
      },
    })
  }
  addOtherMethods(app)
}

/** A key that was revoked, or whose rights have changed, follows no longer; its client may come back with what is left to it. */
async function stillGood(who: Principal, request: FastifyRequest, options: ServerOptions): Promise<boolean> {
  const again = await authenticated(options.accounts.authenticate, request.headers.authorization, who.accountId)
  return isDeepStrictEqual(again, who)
}

/** Browsers send the header when they come back; who cannot may say it in the address. */
function lastEventIdOf(request: FastifyRequest): string | null {
  const header = request.headers['last-event-id']
  const written = Array.isArray(header) ? header[0] : header
  return written === undefined || written === '' ? null : written
}

interface Known {
  readonly who: Principal
  readonly format: Format
  readonly options: ServerOptions
}

/** @throws {DomainError} invalid-parameter (Idempotency-Key) @throws {HttpError} bad-request */
function askedBy(request: FastifyRequest, { who, format, options }: Known): Asked {
  const { callSid, legSid, keySid, callbackSid } = paramsOf(request)
  const fields = (request.body ?? new Map()) as Fields
  return {
    who,
    accountId: who.accountId,
    format,
    callSid,
    legSid,
    keySid,
    callbackSid,
    fields,
    timeZone: options.accounts.timeZone(who.accountId),
    publicUrl: options.publicUrl(),
    query: queryOf(request.query),
    idempotency: idempotencyOf(request, fields),
    lastEventId: lastEventIdOf(request),
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

interface Params {
  readonly accountSid: string
  readonly callSid: string
  readonly legSid: string
  readonly keySid: string
  readonly callbackSid: string
}

function paramsOf(request: FastifyRequest): Params {
  const { accountSid = '', callSid = '', legSid = '', keySid = '', callbackSid = '' } = (request.params ?? {}) as Readonly<Record<string, string>>
  return { accountSid, callSid, legSid, keySid, callbackSid }
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

/** No address, no body, no credentials: the route as it was declared, and ids; of whoever has proved it, the name of the key. */
function accessFields(request: FastifyRequest, reply: FastifyReply, who: Principal | undefined): Readonly<Record<string, unknown>> {
  const { callSid, legSid } = paramsOf(request)
  return {
    request: request.id,
    method: request.method,
    route: request.routeOptions.url ?? null,
    status: reply.statusCode,
    ms: Math.round(reply.elapsedTime * 10) / 10,
    ...(who ? { key: who.keyId } : {}),
    ...(OWN_SID.test(callSid) ? { call: callSid } : {}),
    ...(OWN_SID.test(legSid) ? { leg: legSid } : {}),
  }
}
