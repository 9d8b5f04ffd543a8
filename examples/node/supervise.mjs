/**
 * A supervisor joins a call, with nothing but Node's fetch: connect, look at the legs, listen, whisper, barge, listen, hang up.
 *
 *   EARSHOT_KEY=acme-key EARSHOT_TOKEN=change-this-token-1 node examples/node/supervise.mjs client:priya client:ravi client:boss
 *
 * The arguments are From, To and the supervisor. Also from the environment: EARSHOT_URL (default http://127.0.0.1:8080),
 * EARSHOT_ACCOUNT (default acme), PAUSE (seconds in each mode, default 3). Node 18 or later.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

const { EARSHOT_URL = 'http://127.0.0.1:8080', EARSHOT_ACCOUNT = 'acme', EARSHOT_KEY = '', EARSHOT_TOKEN = '', PAUSE = '3' } = process.env
const [from = 'client:priya', to = 'client:ravi', supervisor = 'client:boss'] = process.argv.slice(2)
const calls = `${EARSHOT_URL}/v1/Accounts/${EARSHOT_ACCOUNT}/Calls`
const authorization = `Basic ${Buffer.from(`${EARSHOT_KEY}:${EARSHOT_TOKEN}`).toString('base64')}`

/** What the server says when it refuses. `message` is the vendor's, e.g. `Given callSID is not in-progress`. */
class Refused extends Error {
  constructor(status, message) {
    super(message)
    this.status = status
  }
}

async function request(method, path, fields) {
  // The same key on a repeated POST gets the first answer and dials once, so a POST that timed out may be sent again.
  const headers = { authorization, ...(method === 'POST' ? { 'idempotency-key': randomUUID() } : {}) }
  const body = fields && new URLSearchParams(fields)
  const response = await fetch(calls + path, { method, headers, body, signal: AbortSignal.timeout(10_000) })
  const answer = await response.json()
  if (!response.ok) throw new Refused(response.status, answer.RestException.Message)
  return answer
}

/** Asks until the answer is right. */
async function until(what, ask, seconds = 30) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(500)) {
    const found = await ask()
    if (found) return found
  }
  throw new Error(`never: ${what}`)
}

async function main() {
  const { Call: call } = await request('POST', '/connect.json', { From: from, To: to })
  console.log(`call ${call.Sid}: ringing ${from}, then ${to}`)
  const activeLegs = async () => (await request('GET', `/${call.Sid}/ActiveLegs.json`)).Legs
  // To is dialled when From has picked up.
  await until(`${from} picks up`, async () => (await activeLegs()).some((leg) => leg.Origin === 'outbound-dial'))

  const { Leg: leg } = await request('POST', `/${call.Sid}/Legs.json`, { Action: 'listen', PhoneNumber: supervisor })
  console.log(`leg ${leg.Sid}: ringing ${supervisor}, who will listen`)
  for (const mode of ['whisper', 'barge', 'listen']) {
    await sleep(Number(PAUSE) * 1000)
    const asked = performance.now()
    const { Leg: changed } = await request('PUT', `/${call.Sid}/Legs/${leg.Sid}.json`, { Action: mode })
    console.log(`leg ${leg.Sid}: ${changed.LastAction}, after ${Math.round(performance.now() - asked)} ms`)
  }
  await sleep(Number(PAUSE) * 1000)
  const { legs: hungUp } = await request('PUT', `/${call.Sid}/Legs/${leg.Sid}.json`, { Action: 'hangup' })
  console.log(`leg ${leg.Sid}: ${hungUp.LastAction}`)

  // Hanging up a party ends a call of two for everybody.
  const agent = (await activeLegs()).find((each) => each.Origin === 'outbound')
  await request('PUT', `/${call.Sid}/Legs/${agent.Sid}.json`, { Action: 'hangup' })
  const ended = await until('the call ends', async () => {
    const { Call: now } = await request('GET', `/${call.Sid}.json`)
    return now.Status === 'in-progress' ? null : now
  })
  console.log(`call ${call.Sid}: ${ended.Status}`)
}

main().catch((error) => {
  console.error(error instanceof Refused ? `${error.status}: ${error.message}` : error)
  process.exitCode = 1
})
