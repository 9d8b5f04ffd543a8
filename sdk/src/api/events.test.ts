import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { refused, type Scripted, scriptedFetch } from '../../../test/scripted-fetch.ts'
import { EarshotError, type EventOptions, type LiveEvent, makeEarshot } from '../earshot.ts'

/** A stream of these pieces that then ends, breaks off, or stays silent. */
function stream(pieces: readonly (string | Uint8Array)[], end: 'ends' | 'breaks' | 'silent' = 'ends', onLeft: () => void = () => {}): Scripted {
  const left = [...pieces]
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = left.shift()
      if (next !== undefined) controller.enqueue(typeof next === 'string' ? new TextEncoder().encode(next) : next)
      else if (end === 'ends') controller.close()
      else if (end === 'breaks') controller.error(new TypeError('terminated'))
      else await new Promise(() => {})
    },
    cancel: onLeft,
  })
  return { body, headers: { 'content-type': 'text/event-stream; charset=utf-8' } }
}
const leg = (id: string, Sid: string): string => `id: ${id}\nevent: leg\ndata: ${JSON.stringify({ Leg: { Sid } })}\n\n`
const SNAPSHOT = 'id: s-0\nevent: snapshot\ndata: {"Missed":"false","Calls":[]}\n\n'

function rig(script: readonly Scripted[], retries = 3) {
  const { fetch, asked } = scriptedFetch(...script)
  const waits: number[] = []
  const sleep = async (ms: number): Promise<void> => void waits.push(ms)
  const earshot = makeEarshot({ url: 'http://h', account: 'acme', key: 'k', token: 't', fetch, sleep, random: () => 0, retries })
  return { asked, waits, earshot, places: () => asked.map(({ headers }) => headers.get('last-event-id')) }
}

/** So many events, or as many as come until something is thrown. */
async function some(rigged: ReturnType<typeof rig>, count: number, options: EventOptions = {}) {
  const events: LiveEvent[] = []
  try {
    for await (const event of rigged.earshot.events(options)) if (events.push(event) === count) break
    return { events, error: null }
  } catch (error) {
    return { events, error: error instanceof EarshotError ? error.code : String(error) }
  }
}
const idsOf = (events: readonly LiveEvent[]): readonly (string | null)[] => events.map(({ id }) => id)

test('events come with their kind and their content, and the question says which call', async () => {
  const rigged = rig([stream([SNAPSHOT, leg('s-1', 'l')])])
  const { events } = await some(rigged, 2, { CallSid: 'c' })
  assert.deepEqual(events, [
    { kind: 'snapshot', id: 's-0', Missed: 'false', Calls: [] },
    { kind: 'leg', id: 's-1', Leg: { Sid: 'l' } },
  ])
  assert.equal(rigged.asked[0]?.url, 'http://h/v1/Accounts/acme/Events.json?CallSid=c')
  assert.equal(rigged.asked[0]?.headers.get('accept'), 'text/event-stream')
})

for (const end of ['ends', 'breaks', 'silent'] as const) {
  test(`a connection that ${end} is opened again, after the event that was given last`, { timeout: 5_000 }, async () => {
    const rigged = rig([stream([SNAPSHOT, leg('s-1', 'l'), 'id: s-2\nevent: leg\n'], end), stream([leg('s-2', 'l')], end), stream([leg('s-3', 'l')])])
    const { events } = await some(rigged, 4, { silenceMs: 20 })
    assert.deepEqual(idsOf(events), ['s-0', 's-1', 's-2', 's-3'])
    assert.deepEqual(rigged.places(), [null, 's-1', 's-2'])
    assert.deepEqual(rigged.waits, [2000, 2000])
  })
}

test('letters of several bytes may be cut anywhere', async () => {
  const bytes = new TextEncoder().encode(leg('s-1', 'Größe 🙂'))
  const { events } = await some(rig([stream([...bytes].map((byte) => Uint8Array.of(byte)))]), 1)
  assert.deepEqual(events, [{ kind: 'leg', id: 's-1', Leg: { Sid: 'Größe 🙂' } }])
})

test('what an earlier process was told last is where a new one begins', async () => {
  const rigged = rig([stream([leg('s-8', 'l')])])
  await some(rigged, 1, { lastEventId: 's-7' })
  assert.deepEqual(rigged.places(), ['s-7'])
})

test('what a newer server tells besides is passed over, and is not asked for again', async () => {
  const rigged = rig([stream(['id: s-1\nevent: weather\ndata: sunny\n\n', 'event: toString\ndata: {}\n\n']), stream([leg('s-2', 'l')])])
  assert.deepEqual(idsOf((await some(rigged, 1)).events), ['s-2'])
  assert.deepEqual(rigged.places(), [null, 's-1'])
})

test('the server says how long to wait before coming back, within limits', async () => {
  const rigged = rig([stream(['retry: 5000\n\n']), stream(['retry: 0\n\n']), stream(['retry: 999999999\n\n']), stream([SNAPSHOT])])
  await some(rigged, 1)
  assert.deepEqual(rigged.waits, [5000, 250, 300_000])
})

test('once it has begun it comes back for as long as it takes, ever more slowly', async () => {
  const away: readonly Scripted[] = [
    'lost',
    { status: 502 },
    refused(503, 'Service Unavailable'),
    ...Array.from({ length: 7 }, () => 'lost' as const),
  ]
  const rigged = rig([stream([SNAPSHOT]), ...away, stream([leg('s-1', 'l')]), stream([leg('s-2', 'l')])], 1)
  assert.deepEqual(idsOf((await some(rigged, 3)).events), ['s-0', 's-1', 's-2'])
  assert.deepEqual(rigged.waits, [2000, 2000, 2000, 2000, 2000, 2000, 4000, 8000, 15_000, 15_000, 15_000, 2000])
})

test('[C10] coming back it waits as long as a refusal asks for', async () => {
  const rigged = rig([stream([SNAPSHOT]), refused(429, 'Too Many Requests', { 'retry-after': '50' }), stream([leg('s-1', 'l')])])
  assert.equal((await some(rigged, 2)).events.length, 2)
  assert.deepEqual(rigged.waits, [2000, 50_000])
})

test('at the very beginning it fails as any request does', async () => {
  const rigged = rig(['lost', 'lost'], 1)
  assert.deepEqual(await some(rigged, 1), { events: [], error: 'unreachable' })
  assert.equal(rigged.asked.length, 2)
})

const FINAL: readonly (readonly [string, Scripted])[] = [
  ['unauthorized', refused(401, 'Authentication failed')],
  ['right-missing', refused(403, 'Your API key does not have the right to do this: calls.read')],
  ['internal', refused(500, 'Internal Server Error')],
  ['unexpected-answer', { body: '<html>' }],
  ['unexpected-answer', stream(['event: leg\ndata: {\n\n'])],
  ['unexpected-answer', stream(['event: leg\ndata: {"Call":{}}\n\n'])],
  ['unexpected-answer', stream(['event: leg\ndata: null\n\n'])],
]
for (const [n, [code, answer]] of FINAL.entries()) {
  test(`it comes back no more after ${code} (${n})`, async () => {
    const { events, error } = await some(rig([stream([SNAPSHOT]), answer]), 9)
    assert.deepEqual([events.length, error], [1, code])
  })
}

test('a message without an end is given up at the limit', async () => {
  const piece = 'x'.repeat(1024 * 1024)
  const { error } = await some(rig([stream(['data: ', ...Array.from({ length: 17 }, () => piece)], 'silent')]), 1)
  assert.equal(error, 'unexpected-answer')
})

test('whoever leaves the loop closes the connection', async () => {
  let hasLeft = false
  await some(rig([stream([SNAPSHOT, SNAPSHOT], 'silent', () => (hasLeft = true))]), 1)
  assert.equal(hasLeft, true)
})

test('a signal ends the loop without an error: before, while it opens, waits for an event, holds one, or waits to come back', {
  timeout: 10_000,
}, async () => {
  assert.deepEqual(await some(rig([]), 1, { signal: AbortSignal.abort() }), { events: [], error: null })
  assert.deepEqual(await some(rig(['silent']), 1, { signal: AbortSignal.timeout(10) }), { events: [], error: null })

  // Whoever brings a `fetch` of their own may have one that does not mind signals.
  const deaf = rig([stream([SNAPSHOT], 'silent')])
  assert.deepEqual(idsOf((await some(deaf, 9, { signal: AbortSignal.timeout(20) })).events), ['s-0'])
  assert.deepEqual(deaf.waits, [])

  const holding = new AbortController()
  const rigged = rig([stream([SNAPSHOT + SNAPSHOT])])
  let count = 0
  for await (const _ of rigged.earshot.events({ signal: holding.signal })) {
    count++
    holding.abort()
  }
  assert.deepEqual([count, rigged.asked.length], [1, 1])

  const { fetch, asked } = scriptedFetch(stream([SNAPSHOT]))
  const waiting = makeEarshot({ url: 'http://h', account: 'acme', key: 'k', token: 't', fetch })
  for await (const _ of waiting.events({ signal: AbortSignal.timeout(100) }));
  assert.equal(asked.length, 1)
})

test('over a real connection: a signal closes it, and a time-out of its beginning does not end it', { timeout: 10_000 }, async () => {
  let closed = 0
  const server = createServer((request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(SNAPSHOT)
    setTimeout(() => response.write(leg('s-1', 'l')), 150)
    request.once('close', () => void closed++)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const { port } = server.address() as AddressInfo
    const earshot = makeEarshot({ url: `http://127.0.0.1:${port}`, account: 'acme', key: 'k', token: 't' })
    const leaving = new AbortController()
    const ids: (string | null)[] = []
    for await (const { id } of earshot.events({ signal: leaving.signal, timeoutMs: 100 })) {
      ids.push(id)
      if (id === 's-1') setTimeout(() => leaving.abort(), 5)
    }
    assert.deepEqual(ids, ['s-0', 's-1'])
    while (closed === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  } finally {
    server.close()
    server.closeAllConnections()
  }
})
