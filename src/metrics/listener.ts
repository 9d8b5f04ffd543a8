/**
 * Where metrics are read: `GET /metrics` on an address of its own, never on the API's. Behind a proxy everybody seems to come from
 * this machine, so who may read is decided by who can reach the address: by default this machine alone.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Metrics } from './metrics.ts'

export interface MetricsListener {
  /** `http://host:port/metrics` */
  readonly url: string
  close(): Promise<void>
}

export interface ListenerOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  readonly metrics: Pick<Metrics, 'text' | 'contentType'>
  readonly onTrouble: (error: unknown) => void
}

/** Readers at once. */
const MAX_CONNECTIONS = 20
const HEADERS_TIMEOUT_MS = 5_000
const REQUEST_TIMEOUT_MS = 10_000
const MAX_HEADER_BYTES = 8 * 1024
const PATH = '/metrics'

/** @throws the socket's error, with its code, address and port, when the address cannot be bound. */
export async function listenForReaders({ host, port, metrics, onTrouble }: ListenerOptions): Promise<MetricsListener> {
  let reading: Promise<string> | null = null
  // However many read at once, the house is looked at once.
  const text = (): Promise<string> => {
    reading ??= metrics.text().finally(() => {
      reading = null
    })
    return reading
  }
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if ((request.url ?? '').split('?', 1)[0] !== PATH) return say(response, 404, `Metrics are at ${PATH}.\n`)
    if (request.method !== 'GET' && request.method !== 'HEAD') return say(response.setHeader('allow', 'GET, HEAD'), 405, 'Only GET.\n')
    say(response.setHeader('content-type', metrics.contentType), 200, await text())
  }
  const limits = { headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS, maxHeaderSize: MAX_HEADER_BYTES }
  const server = createServer(limits, (request, response) => {
    // A body that nobody wants.
    request.resume()
    answer(request, response).catch((error: unknown) => {
      onTrouble(error)
      say(response, 500, 'The metrics could not be read; the log says why.\n')
    })
  })
  server.maxConnections = MAX_CONNECTIONS
  await new Promise<void>((done, fail) => {
    server.once('error', fail)
    server.listen({ host, port }, done)
  })
  server.removeAllListeners('error')
  server.on('error', onTrouble)
  const { port: bound } = server.address() as AddressInfo
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}${PATH}`,
    close: () =>
      new Promise((done) => {
        server.close(() => done())
        server.closeAllConnections()
      }),
  }
}

function say(response: ServerResponse, status: number, body: string): void {
  if (!response.hasHeader('content-type')) response.setHeader('content-type', 'text/plain; charset=utf-8')
  response.writeHead(status).end(body)
}
