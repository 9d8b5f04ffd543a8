/** The event stream over real connections: what is sent, where it goes on, and what ends it. */
import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import * as z from 'zod'
import { assertDescribed } from '../../test/answers.ts'
import { eventually } from '../../test/eventually.ts'
import { assertIsA } from '../../test/schemas.ts'
import { EVENT_DATA } from '../contract/schemas/events.ts'
import { makeApi } from '../control/api.ts'
import { makeFeed } from '../control/feed.ts'
import { type Principal, SCOPES } from '../domain/account/rights.ts'
import type { Call } from '../domain/call.ts'
import { hearing } from '../domain/hearing.ts'
import type { AccountId, CallId, KeyId, LegId } from '../domain/ids.ts'
import { isEventStream, MAX_STREAMS_PER_ACCOUNT, MAX_WAITING_BYTES } from './event-stream.ts'
import { makeFakeControl } from './fake-control.ts'
import { NOTHING_KEPT } from './nothing-kept.ts'
import { makeServer } from './server.ts'

const ACME = 'acme' as AccountId
const PRINCIPAL: Principal = { accountId: ACME, keyId: 'key' as KeyId, scopes: SCOPES, agents: null }
const opened: FastifyInstance[] = []
const failures: unknown[] = []
after(async () => {
  for (const app of opened) await app.close()
  assert.deepEqual(failures, [])
})

interface SentEvent {
  readonly id: string
  readonly event: string
  readonly data: Record<string, Record<string, unknown>>
}

async function house() {
  const control = makeFakeControl(() => 0)
  const live = new Map<CallId, Call>()
  const feed = makeFeed({ life: 'life', now: () => 0, live: (id) => [...live.values()].filter((call) => call.accountId === id) })
  const state: { principal: Principal | null } = { principal: PRINCIPAL }
  const app = makeServer({
    api: makeApi(control, { ...NOTHING_KEPT, feed }),
    accounts: { authenticate: async (key) => (key === 'key' ? state.principal : null), timeZone: () => 'Asia/Kolkata' },
    publicUrl: () => 'https://calls.example.com',
    now: () => 0,
    newId: () => 'request',
    log: { info() {}, error() {} },
    ready: () => 'ready',
  })
  opened.push(app)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}/v1/Accounts/acme/Events`
  const headers = { authorization: `Basic ${btoa('key:token')}` }
  const become = (call: Call): Call => {
    const before = live.get(call.id)
    live.set(call.id, call)
    feed.onChange(before, call)
    return call
  }
  const connect = (from = 'client:priya'): Promise<Call> =>
    control
      .connect(
        ACME,
        {
          from: from as never,
          to: '+919876543210' as never,
          callerId: null,
          ringMs: 1,
          limitMs: 1,
          subscription: null,
          customField: null,
          sound: { waitUrl: null, opening: null, recording: null },
          maxRetries: 0,
        },
        null,
      )
      .then(become)
  return { app, control, feed, state, url, headers, become, connect, answer: (callId: CallId, legId: LegId) => become(control.answer(callId, legId)) }
}

/** Each event has to be what the description of the API promises. */
const assertTold = (event: string, data: unknown): void => assertIsA((EVENT_DATA as Readonly<Record<string, z.ZodType>>)[event] ?? z.never(), data)

/** A client as a browser has it: events as they come. */
async function follow(url: string, headers: Record<string, string>) {
  const gone = new AbortController()
  const response = await fetch(url, { headers, signal: gone.signal })
  if (response.ok) assertDescribed('GET', url, { status: response.status, contentType: '', body: '', headers: Object.fromEntries(response.headers) })
  const events: SentEvent[] = []
  const end = { hasEnded: false }
  const reading = (async () => {
    let text = ''
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk
      for (let at = text.indexOf('\n\n'); at >= 0; at = text.indexOf('\n\n')) {
        const fields = Object.fromEntries(
          text
            .slice(0, at)
            .split('\n')
            .map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]),
        )
        text = text.slice(at + 2)
        if (fields.data !== undefined) assertTold(fields.event ?? '', JSON.parse(fields.data))
        if (fields.data !== undefined) events.push({ id: fields.id ?? '', event: fields.event ?? '', data: JSON.parse(fields.data) })
      }
    }
  })()
  void reading
    .catch((error: unknown) => failures.push(...(error instanceof assert.AssertionError ? [error] : [])))
    .finally(() => void (end.hasEnded = true))
  return { response, events, end, leave: () => gone.abort() }
}

test('a follower gets what lives, then calls, legs, modes and the hearing that is in force, as they happen', async () => {
  const { url, headers, connect, answer, feed } = await house()
  const call = await connect()
  const client = await follow(url, headers)
  assert.deepEqual([client.response.status, client.response.headers.get('content-type')], [200, 'text/event-stream; charset=utf-8'])
  const [snapshot] = await eventually('the snapshot', () => (client.events.length > 0 ? client.events : null))
  assert.equal(snapshot?.event, 'snapshot')
  const [listed] = (snapshot?.data.Calls ?? []) as unknown as Record<string, unknown>[]
  assert.deepEqual([listed?.Sid, ((listed?.Legs ?? []) as unknown[]).length], [call.id, 1])
  const half = answer(call.id, call.legs[0]?.id as LegId)
  feed.onHearing(half, hearing(half.legs))
  const second = half.legs[1]?.id
  await eventually('three more', () => client.events.length === 4)
  assert.deepEqual(
    client.events.slice(1).map(({ event, data }) => [event, data.Leg?.Sid ?? null, data.Leg?.State ?? null]),
    [
      ['leg', call.legs[0]?.id, 'answered'],
      ['leg', second, 'ringing'],
      ['hearing', null, null],
    ],
  )
  assert.deepEqual(client.events[3]?.data.Hearing, { CallSid: call.id, Ears: [{ LegSid: call.legs[0]?.id, Hears: [], Sounds: [] }] })
  client.leave()
})

test('a client that comes back with Last-Event-ID goes on where it stopped; one from another life begins anew and is told that it missed something', async () => {
  const { url, headers, connect, answer } = await house()
  const call = await connect()
  answer(call.id, call.legs[0]?.id as LegId)
  const back = await follow(url, { ...headers, 'last-event-id': 'life-2' })
  await eventually('what was missed', () => back.events.length === 2)
  assert.deepEqual(
    back.events.map(({ id }) => id),
    ['life-3', 'life-4'],
  )
  const stranger = await follow(`${url}?LastEventId=another-7`, headers)
  const [first] = await eventually('a snapshot', () => (stranger.events.length > 0 ? stranger.events : null))
  assert.deepEqual([first?.event, first?.data.Missed, first?.id], ['snapshot', 'true', 'life-4'])
  back.leave()
  stranger.leave()
})

test('a follower of one call is told of that one; a key that is limited to agents of theirs', async () => {
  const { url, headers, connect, state } = await house()
  const [priya, ravi] = [await connect(), await connect('client:ravi')]
  const one = await follow(`${url}.json?CallSid=${ravi.id}`, headers)
  state.principal = { ...PRINCIPAL, agents: ['priya'] }
  const limited = await follow(url, headers)
  const sids = ({ events }: { events: SentEvent[] }) => (events[0]?.data.Calls as unknown as { Sid: string }[] | undefined)?.map(({ Sid }) => Sid)
  assert.deepEqual(await eventually('his', () => sids(one)), [ravi.id])
  assert.deepEqual(await eventually('hers', () => sids(limited)), [priya.id])
  one.leave()
  limited.leave()
})

test('without the right, without a key, and for what is no Sid the answer is a refusal like any other', async () => {
  const { url, headers, state } = await house()
  assert.equal((await fetch(url)).status, 401)
  assert.equal((await fetch(`${url}?CallSid=a+b`, { headers })).status, 400)
  state.principal = { ...PRINCIPAL, scopes: SCOPES.filter((scope) => scope !== 'calls.read') }
  assert.equal((await fetch(url, { headers })).status, 403)
})

test('streams of one account have a limit, and room is made when one leaves', async () => {
  const { url, headers } = await house()
  const clients = await Promise.all(Array.from({ length: MAX_STREAMS_PER_ACCOUNT }, () => follow(url, headers)))
  const refused = await fetch(`${url}.json`, { headers })
  assert.deepEqual([refused.status, refused.headers.has('retry-after')], [429, true])
  clients[0]?.leave()
  const next = await eventually('room', async () => {
    const client = await follow(url, headers)
    return client.response.status === 200 ? client : null
  })
  for (const client of [...clients, next]) client.leave()
})

test('a beginning of any length reaches who reads', async () => {
  const { url, headers, connect } = await house()
  for (let n = 0; n < 1_500; n += 1) await connect()
  const client = await follow(url, headers)
  await eventually('the snapshot', () => client.events.length === 1, 20_000)
  assert(JSON.stringify(client.events[0]).length > MAX_WAITING_BYTES, 'longer than what may wait')
  client.leave()
})

test('a server that closes ends its streams instead of waiting for them', async () => {
  const { app, url, headers } = await house()
  const client = await follow(url, headers)
  await app.close()
  await eventually('the end', () => client.end.hasEnded)
})

test('a resource is not taken for a stream', () => assert(!isEventStream({ Call: {} })))
