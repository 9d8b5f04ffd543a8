// The server on a real socket, byte by byte: what clients that are broken, slow or hostile get, and how it closes.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import type { AccountId } from '../domain/ids.ts'
import { makeKeyring } from './auth.ts'
import { makeApi } from '../control/api.ts'
import { NOTHING_KEPT } from './nothing-kept.ts'
import { makeFakeControl } from './fake-control.ts'
import { makeServer } from './server.ts'

const WAIT_MS = 5_000
const AUTHORIZATION = `Authorization: Basic ${Buffer.from('key:token').toString('base64')}`
const CONNECT = 'From=09876530240&To=09876538847&CallerId=08040404890'
const FORM = 'Content-Type: application/x-www-form-urlencoded'

const errors: unknown[] = []
let app: FastifyInstance
let state: 'ready' | 'draining' = 'ready'
/** A call that is asked for while this is set waits for it. */
let gate: Promise<void> | null = null

function newServer(): FastifyInstance {
  const control = makeFakeControl(() => 0)
  let requests = 0
  return makeServer({
    api: makeApi(
      {
        ...control,
        liveCall: async (...asked) => {
          await gate
          return control.liveCall(...asked)
        },
      },
      NOTHING_KEPT,
    ),
    accounts: { authenticate: makeKeyring([{ accountId: 'acme' as AccountId, key: 'key', token: 'token' }]), timeZone: () => 'Asia/Kolkata' },
    now: () => 0,
    newId: () => `req${++requests}`,
    ready: () => state,
    publicUrl: () => '',
    log: { info: () => undefined, error: (fields) => void errors.push(fields) },
  })
}

before(async () => {
  app = newServer()
  await app.listen({ host: '127.0.0.1', port: 0 })
})
after(() => app.close())

const dial = async (server: FastifyInstance = app): Promise<Socket> => {
  const socket = connect((server.server.address() as AddressInfo).port, '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

/** Reads until `enough` says so or the other side ends; fails when that takes too long. */
function read(socket: Socket, enough: (text: string) => boolean = () => false): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const timer = setTimeout(() => reject(new Error(`no end after ${WAIT_MS} ms: ${text}`)), WAIT_MS)
    const done = (): void => {
      clearTimeout(timer)
      socket.removeListener('data', take)
      resolve(text)
    }
    const take = (chunk: Buffer): void => {
      text += chunk.toString('latin1')
      if (enough(text)) done()
    }
    socket.on('data', take)
    socket.once('close', done)
  })
}

const request = (method: string, path: string, headers: readonly string[], body = ''): string =>
  `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${AUTHORIZATION}\r\n${headers.map((line) => `${line}\r\n`).join('')}\r\n${body}`

const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1])
const hasJsonEnd = (text: string): boolean => text.endsWith('}}')

test('a connection serves one request after the other', async () => {
  const socket = await dial()
  for (let n = 0; n < 3; n++) {
    socket.write(request('POST', '/v1/Accounts/acme/Calls/connect.json', [FORM, `Content-Length: ${CONNECT.length}`], CONNECT))
    const answer = await read(socket, hasJsonEnd)
    assert.equal(statusOf(answer), 200)
    assert.match(answer, /\r\nConnection: keep-alive\r\n/i)
  }
  socket.destroy()
})

test('a request may come one byte at a time', async () => {
  const socket = await dial()
  socket.setNoDelay(true)
  const answered = read(socket, hasJsonEnd)
  for (const byte of request('POST', '/v1/Accounts/acme/Calls/connect.json', [FORM, `Content-Length: ${CONNECT.length}`], CONNECT)) {
    socket.write(byte)
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.equal(statusOf(await answered), 200)
  socket.destroy()
})

test('[C10] a body over the limit is 413 in the format of its path, announced or not, and the client reads it before the end', async () => {
  const large = 'x'.repeat(300_000)
  const chunked = `${large.length.toString(16)}\r\n${large}\r\n0\r\n\r\n`
  const cases = [
    [[FORM, `Content-Length: ${large.length}`], large],
    [[FORM, 'Transfer-Encoding: chunked'], chunked],
    [['Content-Type: multipart/form-data; boundary=B', 'Transfer-Encoding: chunked'], chunked],
  ] as const
  for (const [headers, body] of cases) {
    const socket = await dial()
    socket.write(request('POST', '/v1/Accounts/acme/Calls/connect.json', headers, body))
    const answer = await read(socket)
    assert.equal(statusOf(answer), 413)
    assert.ok(answer.endsWith('{"RestException":{"Status":413,"Message":"Request body is too large"}}'), answer)
  }
})

test('[C10] who sends without end is cut off', async () => {
  const socket = await dial()
  socket.write(request('POST', '/v1/Accounts/acme/Calls/connect', [FORM, 'Transfer-Encoding: chunked']))
  const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`
  const limit = 32 * 1024 * 1024
  let sent = 0
  const more = (): void => {
    while (!socket.destroyed && sent < limit) {
      sent += chunk.length
      if (!socket.write(chunk)) return void socket.once('drain', more)
    }
    socket.destroy()
  }
  more()
  await read(socket)
  assert.ok(sent < limit, `${sent} bytes were taken`)
})

test('[C8] what is hardly HTTP gets the envelope too, and the connection ends', async () => {
  const cases: readonly (readonly [string, number])[] = [
    ['HELLO\r\n\r\n', 400],
    ['GET /v1 HTTP/1.1\r\nHost localhost\r\n\r\n', 400],
    ['GET / HTTP/9.9\r\n\r\n', 400],
    ['INVITE sip:bob@host SIP/2.0\r\n\r\n', 400],
    ['POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
    ['POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n', 400],
    [`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ['\u0016\u0003\u0001\u0002\u0000', 400],
  ]
  for (const [bytes, status] of cases) {
    const socket = await dial()
    socket.write(Buffer.from(bytes, 'latin1'))
    const answer = await read(socket)
    assert.equal(statusOf(answer), status, bytes.slice(0, 30))
    assert.match(answer, new RegExp(`\r\nContent-Type: application/xml\r\n.*Connection: close\r\n\r\n<\\?xml.*<Status>${status}</Status>`, 's'))
  }
  const socket = await dial()
  socket.write(request('GET', '/healthz', []))
  assert.equal(statusOf(await read(socket, (text) => text.endsWith('ok\n'))), 200, 'the server goes on')
  socket.destroy()
})

test('a client that leaves in the middle of its body is no error of ours', async () => {
  const socket = await dial()
  socket.write(request('POST', '/v1/Accounts/acme/Calls/connect', [FORM, 'Content-Length: 1000'], 'From=1'))
  socket.destroy()
  const probe = await dial()
  probe.write(request('GET', '/healthz', ['Connection: close']))
  await read(probe)
  assert.deepEqual(errors, [])
})

test('slow clients have their time, and no more', () => {
  const { headersTimeout, requestTimeout, keepAliveTimeout, timeout, maxConnections } = app.server
  assert.deepEqual(
    { headersTimeout, requestTimeout, keepAliveTimeout, timeout, maxConnections },
    {
      headersTimeout: 10_000,
      requestTimeout: 15_000,
      keepAliveTimeout: 65_000,
      timeout: 120_000,
      maxConnections: 10_000,
    },
  )
})

test('closing drops idle connections at once and lets an answer under way finish', async () => {
  const server = newServer()
  await server.listen({ host: '127.0.0.1', port: 0 })
  const idle = await dial(server)
  idle.write(request('GET', '/healthz', []))
  await read(idle, (text) => text.endsWith('ok\n'))
  const busy = await dial(server)
  const opened = Promise.withResolvers<void>()
  gate = opened.promise
  busy.write(request('GET', '/v1/Accounts/acme/Calls/x/ActiveLegs.json', []))
  const silent = await dial(server)
  const answered = read(busy)
  // The health check on a third connection returns only after the busy request has been read.
  const probe = await dial(server)
  probe.write(request('GET', '/healthz', ['Connection: close']))
  await read(probe)
  state = 'draining'
  const idleEnded = once(idle, 'close')
  const silentEnded = once(silent, 'close')
  idle.resume()
  silent.resume()
  const closed = server.close()
  await idleEnded
  await silentEnded
  opened.resolve()
  const answer = await answered
  assert.equal(statusOf(answer), 404)
  assert.match(answer, /\r\nConnection: close\r\n/i)
  await closed
  gate = null
  state = 'ready'
})
