/** `/openapi.json` and `/docs`: the description for machines and for people, without a key, since it says nothing of anybody. */
import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { openApi } from '../openapi/document.ts'
import type { DescribedRoute } from '../operations/operation.ts'
import { page } from './page.ts'
import { STYLE } from './style.ts'

/** It changes with the version alone; an hour old is new enough. */
const CACHE_CONTROL = 'public, max-age=3600'

const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64')

/** Nothing is fetched, nothing runs, nothing is sent: the page's own style is all there is. */
const PAGE_HEADERS = {
  'content-security-policy': `default-src 'none'; style-src 'sha256-${sha256(STYLE)}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'referrer-policy': 'no-referrer',
} as const

/** Anybody's browser may read the document: editors and generators are fed with its address. */
const DOCUMENT_HEADERS = { 'access-control-allow-origin': '*' } as const

interface Resource {
  readonly contentType: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly etag: string
}

/**
 * Both are made once: when the server begins to listen, since the tenths of a second that it takes would hold up a call that lives, or
 * when they are asked for before.
 */
export function addDescriptionRoutes(
  app: FastifyInstance,
  { routes, version }: { readonly routes: readonly DescribedRoute[]; readonly version: string },
): void {
  const resource = (contentType: string, headers: Resource['headers'], body: string): Resource => ({
    contentType,
    headers,
    body,
    etag: `"${sha256(body).slice(0, 27)}"`,
  })
  const document = once(() => openApi(routes, version))
  const json = once(() => resource('application/json; charset=utf-8', DOCUMENT_HEADERS, JSON.stringify(document())))
  const html = once(() => resource('text/html; charset=utf-8', PAGE_HEADERS, page(document())))
  app.addHook('onListen', async () => {
    json()
    html()
  })
  app.get('/openapi.json', async (request, reply) => answer(request, reply, json()))
  app.get('/docs', async (request, reply) => answer(request, reply, html()))
}

function answer(request: FastifyRequest, reply: FastifyReply, { contentType, headers, body, etag }: Resource): FastifyReply {
  reply.headers({ ...headers, etag, 'cache-control': CACHE_CONTROL, 'x-content-type-options': 'nosniff' })
  const known = request.headers['if-none-match']?.split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  return known?.includes(etag) ? reply.code(304).send() : reply.type(contentType).send(body)
}

function once<T extends object>(make: () => T): () => T {
  let made: T | null = null
  return () => (made ??= make())
}
