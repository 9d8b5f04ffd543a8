import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { LightMyRequestResponse } from 'fastify'
import { SCOPES } from '../../domain/account/rights.ts'
import type { AccountId, KeyId } from '../../domain/ids.ts'
import { makeApi } from '../../control/api.ts'
import { makeFakeControl } from '../fake-control.ts'
import { NOTHING_KEPT } from '../nothing-kept.ts'
import { makeServer, type ServerOptions } from '../server.ts'

let state: ReturnType<ServerOptions['ready']> = 'ready'
const app = makeServer({
  api: makeApi(
    makeFakeControl(() => 0),
    NOTHING_KEPT,
  ),
  publicUrl: () => '',
  accounts: {
    authenticate: async () => ({ accountId: 'acme' as AccountId, keyId: 'key' as KeyId, scopes: SCOPES, agents: null }),
    timeZone: () => 'UTC',
  },
  now: () => 0,
  newId: () => 'id',
  log: { info: () => undefined, error: () => undefined },
  ready: () => state,
  version: '1.2.3',
})
const ask = (url: string, headers: Readonly<Record<string, string>> = {}, method: 'GET' | 'HEAD' | 'POST' = 'GET'): Promise<LightMyRequestResponse> =>
  app.inject({ url, method, headers })

test('the description is there without a key, whatever state the server is in', async () => {
  for (state of ['starting', 'draining', 'ready'] as const) {
    for (const url of ['/openapi.json', '/docs', '/openapi.json?x=1']) assert.equal((await ask(url)).statusCode, 200, `${state} ${url}`)
  }
})

test('for machines it is JSON that any page may read, with the version of the server', async () => {
  const response = await ask('/openapi.json')
  const { openapi, info } = response.json()
  assert.deepEqual([openapi, info.version], ['3.1.1', '1.2.3'])
  assert.equal(response.headers['content-type'], 'application/json; charset=utf-8')
  assert.equal(response.headers['access-control-allow-origin'], '*')
})

test('for people it is HTML under a policy that lets nothing be fetched, run or sent', async () => {
  const response = await ask('/docs')
  const [, style = ''] = /<style>([^]*)<\/style>/.exec(response.body) ?? []
  const policy = String(response.headers['content-security-policy'])
  assert.equal(response.headers['content-type'], 'text/html; charset=utf-8')
  assert.ok(policy.startsWith("default-src 'none'; ") && !policy.includes('unsafe'), policy)
  assert.ok(policy.includes(`style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`), policy)
  assert.equal(response.headers['x-content-type-options'], 'nosniff')
})

test('who has it already is told so', async () => {
  for (const url of ['/openapi.json', '/docs']) {
    const first = await ask(url)
    const etag = String(first.headers.etag)
    assert.match(String(first.headers['cache-control']), /^public, max-age=\d+$/)
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`]) {
      const again = await ask(url, { 'if-none-match': known })
      assert.deepEqual([again.statusCode, again.body, again.headers.etag], [304, '', etag])
    }
    assert.equal((await ask(url, { 'if-none-match': '"other"' })).statusCode, 200)
  }
})

test('nothing else has their names, and they are only read', async () => {
  for (const url of ['/openapi', '/docs/', '/docs.json', '/openapi.yaml', '/Docs']) assert.equal((await ask(url)).statusCode, 404, url)
  assert.equal((await ask('/docs', {}, 'HEAD')).statusCode, 200)
  assert.equal((await ask('/docs', {}, 'POST')).statusCode, 404)
})
