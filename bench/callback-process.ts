/** The parts of `callbacks.ts` that are processes of their own: a worker as the server has it, the receivers, and who makes the callbacks. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { newId, share } from '../src/chance.ts'
import type { Address } from '../src/domain/address.ts'
import type { Call } from '../src/domain/call.ts'
import { SILENT, soundBefore } from '../src/domain/sound.ts'
import type { AccountId, CallId, LegId } from '../src/domain/ids.ts'
import { saveCall } from '../src/store/calls.ts'
import { type Log, openDatabase } from '../src/store/database.ts'
import { newSecret } from '../src/webhooks/signature.ts'
import { makeWebhookWorker } from '../src/webhooks/worker.ts'

export type Role =
  | { readonly kind: 'worker'; readonly database: string; readonly node: string; readonly perReceiver?: number }
  | { readonly kind: 'receivers'; readonly count: number }
  /** `batch` callbacks, each of a leg of its own, are saved in one statement with a call. */
  | { readonly kind: 'maker'; readonly database: string; readonly urls: readonly string[] }

/** What the receivers have seen since they were asked last. */
export interface Seen {
  readonly received: number
  /** From the moment of its making to its arrival, ms, for each. */
  readonly lags: readonly number[]
}

export interface Making {
  readonly count: number
  readonly perSecond: number
  readonly batch: number
}

/** A process that answers one question at a time. */
export interface Part {
  readonly pid: number
  ask<Answer>(question: unknown): Promise<Answer>
  close(): Promise<void>
}

const HOST = '127.0.0.1'
const silent: Log = {
  info: () => {},
  warn: () => {},
  error: (fields, message) => void process.stderr.write(`${message} ${JSON.stringify(fields)}\n`),
}

/** Resolves when it is ready. */
export async function openPart(role: Role): Promise<Part & { readonly ready: unknown }> {
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(role)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const ready = await told(child)
  return {
    pid: child.pid ?? -1,
    ready,
    async ask<Answer>(question: unknown) {
      const answer = told(child)
      child.send({ question })
      return (await answer) as Answer
    },
    async close() {
      child.disconnect()
      await once(child, 'exit')
    },
  }
}

async function told(child: ChildProcess): Promise<unknown> {
  const over = new AbortController()
  try {
    const died = once(child, 'exit', over).then(() => Promise.reject(new Error('a part of the measurement has died')))
    const [message] = await Promise.race([once(child, 'message', over), died])
    return (message as { readonly answer: unknown }).answer
  } finally {
    over.abort()
  }
}

const wait = (): Promise<unknown> => once(process, 'message').then(([message]) => (message as { readonly question: unknown }).question)
const tell = (answer: unknown): void => void process.send?.({ answer })

async function serve(role: Role): Promise<void> {
  switch (role.kind) {
    case 'worker':
      return work(role)
    case 'receivers':
      return receive(role.count)
    case 'maker':
      return make(role)
  }
}

async function work({ database: data, node, perReceiver }: Extract<Role, { kind: 'worker' }>): Promise<void> {
  const database = await openDatabase({ data, log: silent })
  const secret = newSecret()
  const terms = { database, node, allow: [HOST], secretsOf: async () => [secret], chance: share, now: Date.now, log: silent }
  const worker = makeWebhookWorker({ ...terms, ...(perReceiver === undefined ? {} : { perReceiver }) })
  tell(null)
  await wait()
  await worker.start()
  tell(null)
}

async function receive(count: number): Promise<void> {
  let received = 0
  let lags: number[] = []
  const urls: string[] = []
  for (let n = 0; n < count; n += 1) {
    const server = createServer((request, response) => {
      let text = ''
      request.on('data', (chunk: Buffer) => void (text += chunk.toString()))
      request.on('end', () => {
        received += 1
        lags.push(Date.now() - Number(/"At":(\d+)/.exec(text)?.[1]))
        response.writeHead(200).end()
      })
    })
    server.keepAliveTimeout = 60_000
    server.listen(0, HOST)
    await once(server, 'listening')
    urls.push(`http://${HOST}:${(server.address() as AddressInfo).port}/hook`)
  }
  tell(urls)
  for (;;) {
    await wait()
    tell({ received, lags } satisfies Seen)
    received = 0
    lags = []
  }
}

async function make({ database: data, urls }: Extract<Role, { kind: 'maker' }>): Promise<void> {
  const database = await openDatabase({ data, log: silent })
  tell(null)
  for (;;) {
    const { count, perSecond, batch } = (await wait()) as Making
    const startedAt = performance.now()
    const saving = new Set<Promise<void>>()
    for (let made = 0; made < count; made += batch) {
      const dueMs = startedAt + (made / perSecond) * 1000 - performance.now()
      if (dueMs > 1) await sleep(dueMs)
      const save = saveCall(database.sql, {
        call: endedCall(),
        node: 'n',
        idempotency: null,
        callbacks: Array.from({ length: batch }, (_, n) => callback(urls[(made + n) % urls.length] ?? '')),
      })
      const saved = save.finally(() => saving.delete(saved))
      saving.add(saved)
      if (saving.size >= 8) await Promise.race(saving)
    }
    await Promise.all(saving)
    tell(performance.now() - startedAt)
  }
}

function endedCall(): Call {
  const [now, address] = [Date.now(), '+918012345678' as Address]
  const parties = { from: address, to: address, callerId: address, agentLegId: null, subscription: null, customField: null, legs: [], sound: soundBefore(SILENT), retriesLeft: 0, tones: null, endReason: null }
  const times = {
    createdAt: now,
    updatedAt: now,
    ringMs: 30_000,
    limitMs: 60_000,
    state: { status: 'ended', outcome: 'completed', endedAt: now },
  } as const
  return { id: newId() as CallId, accountId: 'acme' as AccountId, direction: 'outbound-api', ...parties, ...times }
}

/** As large as a leg's is in JSON. */
function callback(url: string) {
  const [legId, callId, createdAt] = [newId() as LegId, newId() as CallId, Date.now()]
  const body = JSON.stringify({
    LegSid: legId,
    CallSid: callId,
    AccountSid: 'acme',
    At: createdAt,
    PhoneNumber: '09876543210',
    Status: 'completed',
    Origin: 'monitor',
    Filler: 'x'.repeat(200),
    EventType: 'terminal',
  })
  return {
    id: newId(),
    accountId: 'acme' as AccountId,
    callId,
    legId,
    event: 'terminal' as const,
    orderKey: legId,
    url,
    contentType: 'application/json',
    body,
    createdAt,
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.on('disconnect', () => process.exit())
  await serve(JSON.parse(process.argv[2] ?? '') as Role)
}
