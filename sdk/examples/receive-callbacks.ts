/**
 * Receives callbacks and prints those that are Earshot's.
 *
 *   EARSHOT_CALLBACK_SECRET=whsec_… node receive-callbacks.js [PORT]        default port 8090; 0: any
 *
 * Two secrets, separated by a blank, while one replaces the other.
 */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { verifyCallback } from '@earshot/sdk'

const secret = (process.env.EARSHOT_CALLBACK_SECRET ?? '').split(' ')
/** Earshot's are smaller than this by far. */
const MAX_BODY_BYTES = 64 * 1024
/** A callback may come again, under the same id: a 200 that got lost, a restart. */
const MAX_REMEMBERED = 10_000
const seen = new Set<string>()

/** The bytes as they came, since the signature is over them; null when there are too many. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    if ((size += chunk.length) > MAX_BODY_BYTES) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** The status to answer with. */
async function take(request: IncomingMessage): Promise<number> {
  const body = await bodyOf(request)
  if (body === null) return 413
  const verdict = await verifyCallback({ body, headers: request.headers, secret })
  if (!verdict.verified) {
    console.log(`refused: ${verdict.reason}`)
    return 401
  }
  if (seen.has(verdict.id)) return 200
  if (seen.size >= MAX_REMEMBERED) seen.clear()
  seen.add(verdict.id)
  const { EventType, Status, CustomField } = verdict.callback
  console.log(
    `${verdict.about} ${EventType}: ${Status}, ${verdict.about === 'leg' ? verdict.callback.LastAction : verdict.callback.Direction}, "${CustomField}"`,
  )
  return 200
}

const server = createServer((request, response) => {
  take(request).then(
    (status) => response.writeHead(status).end(),
    (error: unknown) => {
      console.error(error)
      response.writeHead(500).end()
    },
  )
})
server.listen(Number(process.argv[2] ?? 8090), '127.0.0.1', () =>
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}/`),
)
