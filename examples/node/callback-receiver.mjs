/**
 * Receives Earshot's callbacks and verifies them: Standard Webhooks by hand, with node:crypto alone.
 *
 *   EARSHOT_CALLBACK_SECRET=whsec_… node examples/node/callback-receiver.mjs [PORT]        default port 8090; 0: any
 *
 * Then add to POST …/Calls/connect or …/Legs: StatusCallback=http://127.0.0.1:8090/ (and allow 127.0.0.1 in callbacks.allow).
 * The secret is callbackSecret of the account, or what `earshot secrets rotate` printed. Node 18 or later.
 *
 * To change it, give both for a while, the order does not matter: EARSHOT_CALLBACK_SECRET='whsec_NEW whsec_OLD'. Earshot, for its part, signs
 * with both for 24 hours after a rotation, so that either side may go first.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'

/** How old, or how far ahead of our clock, a callback may be: later it may be somebody's recording of it. */
const TOLERANCE_S = 300
/** Earshot's are smaller than this by far. */
const MAX_BODY_BYTES = 64 * 1024
/** A callback may come again: a 200 that got lost, a restart. Its id stays the same. */
const MAX_REMEMBERED = 10_000

const secrets = (process.env.EARSHOT_CALLBACK_SECRET ?? '').split(' ').filter((text) => text !== '')
if (secrets.length === 0 || !secrets.every((secret) => /^whsec_[A-Za-z0-9+/]+=*$/.test(secret))) {
  console.error('EARSHOT_CALLBACK_SECRET is missing: the callbackSecret of the account, whsec_…')
  process.exit(2)
}
const keys = secrets.map((secret) => Buffer.from(secret.slice('whsec_'.length), 'base64'))
const seen = new Set()

/**
 * Whether these bytes come from Earshot and are fresh. Give it the body as it came: parsed and written again it is another text.
 * @param {import('node:http').IncomingHttpHeaders} headers @param {Buffer} body
 */
function isGenuine(headers, body, now = Date.now()) {
  const id = String(headers['webhook-id'] ?? '')
  const timestamp = String(headers['webhook-timestamp'] ?? '')
  if (id === '' || !/^\d{1,12}$/.test(timestamp) || Math.abs(now / 1000 - Number(timestamp)) > TOLERANCE_S) return false
  const expected = keys.map((key) => createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest())
  // Several signatures, separated by blanks, while a secret is being changed: one that is ours is enough.
  return String(headers['webhook-signature'] ?? '')
    .split(' ')
    .filter((signature) => signature.startsWith('v1,'))
    .map((signature) => Buffer.from(signature.slice('v1,'.length), 'base64'))
    .some((given) => expected.some((own) => given.length === own.length && timingSafeEqual(given, own)))
}

/** Fields by name, from JSON or multipart/form-data, whichever StatusCallbackContentType asked for. */
async function fieldsOf(contentType, body) {
  if (contentType.startsWith('application/json')) return JSON.parse(body.toString('utf8'))
  return Object.fromEntries(await new Response(body, { headers: { 'content-type': contentType } }).formData())
}

async function take(request, response) {
  const chunks = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) return response.writeHead(413, { connection: 'close' }).end()
    chunks.push(chunk)
  }
  const body = Buffer.concat(chunks)
  // Without 2xx Earshot tries again, later and later: the answer to a forged one does not matter to it.
  if (!isGenuine(request.headers, body)) return response.writeHead(401).end()
  const id = request.headers['webhook-id']
  if (!seen.has(id)) {
    const told = await fieldsOf(request.headers['content-type'] ?? '', body)
    console.log(`${told.EventType} ${told.LegSid ? `leg ${told.LegSid}` : `call ${told.CallSid}`}: ${told.Status}, custom field "${told.CustomField}"`)
    // A real one writes to its database here, in one transaction with the id, before it answers.
    seen.add(id)
    if (seen.size > MAX_REMEMBERED) seen.delete(seen.values().next().value)
  }
  response.writeHead(200).end()
}

const server = createServer((request, response) => {
  take(request, response).catch((error) => {
    console.error(error.message)
    response.writeHead(500).end()
  })
})
server.listen(Number(process.argv[2] ?? 8090), '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}/`))
