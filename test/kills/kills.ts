/**
 * A busy server of its own process, killed with SIGKILL at points that a seed decides, and started again, many times; after each start
 * and at the end everything that it ever acknowledged is looked for (`checks.ts`).
 *
 * A run is: start, work, kill. Some kills hit a start, some come when a callback has arrived and is not yet answered, some around a request;
 * and in some runs a process of the database is killed under the working server first.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { openBeside, type Sql } from '../../src/store/database.ts'
import { silent, type TestServer as DatabaseServer } from '../database.ts'
import { eventually } from '../eventually.ts'
import { openTestServer, type TestServer } from '../server.ts'
import { startCallers } from './callers.ts'
import { checkDeliveries, checkRecords, type Counts, countRecords, type Violations } from './checks.ts'
import { between, type Ledger, makeLedger, seeded } from './ledger.ts'

export interface KillsOptions {
  readonly on: DatabaseServer
  readonly runs: number
  /** Decides what is asked and when it is killed; the machine decides the rest. */
  readonly seed: number
  /** No further run begins after this time, ms; default: as long as they take. */
  readonly withinMs?: number
  /** Told after each run. */
  readonly onRun?: (run: number, what: string) => void
}

/** `in-start`: before it was ready; the others: when something had been counted. `database`: not the server, but a process of its PostgreSQL. */
export type KillPoint = 'in-start' | 'after-a-time' | 'at-a-request' | 'at-a-callback' | 'database'

export interface KillsReport {
  readonly runs: number
  readonly counts: Counts
  readonly kills: Readonly<Record<KillPoint, number>>
  readonly acknowledged: { readonly calls: number; readonly legs: number; readonly changes: number }
  /** Requests sent again with their key. */
  readonly repeated: number
  readonly refusals: ReadonlyMap<number, number>
  readonly arrivals: number
  /** Arrivals of a callback that had arrived before. */
  readonly again: number
  readonly violations: Violations
  readonly log: string
}

const PHONES = ['priya', 'ravi', 'boss', 'chief']
const AT_ONCE = 6
/** A kill that waits for the n-th request or callback comes after this time anyway. */
const LONGEST_WORK_MS = 1_500
const STARTING_MS = 1_200
/** A start on a machine that does much else; longer is a start that hangs. */
const RESTART_MS = 180_000
const PORT_TRIES = 60
const PORT_AGAIN_MS = 500
const DATABASE_KILLED_SHARE = 0.15
/** Everything is delivered, with the retries of what was refused, after the last start. */
const DELIVERY_MS = 120_000
/** Often enough that no callback is ever parked by bad luck. */
const RETRY_SECONDS = Array.from({ length: 50 }, () => 1)
const EXTRA = 'limits: { writesPerMinute: 1000000, readsPerMinute: 1000000, requestsPerMinute: 1000000 }\nlog: { level: warn }\n'
/** Every leg costs something, and no cap is ever reached. */
const ACCOUNT = `
    plan: { currency: INR, pulseSeconds: 1, rates: [{ price: 0.01 }] }
    dial: { maxLegs: 100000, legsPerMinute: 100000 }`

/** What the runs share. */
interface Field {
  readonly server: TestServer
  readonly ledger: Ledger
  readonly chance: () => number
  readonly receiver: Receiver
  readonly violations: string[]
  readonly kills: Record<KillPoint, number>
  /** Counts down at requests or callbacks, and kills at zero. */
  trap: { readonly at: KillPoint; left: number; spring: () => void } | null
  ready: Promise<void>
}

/** Nothing is left of it: no process, no folder, no database. @throws Error when the server cannot be started at all. */
export async function runKills({ on, runs, seed, withinMs = Number.POSITIVE_INFINITY, onRun }: KillsOptions): Promise<KillsReport> {
  const chance = seeded(seed)
  const ledger = makeLedger()
  const server = await openTestServer(EXTRA, { ptimeMs: 60 }, { on, retrySeconds: RETRY_SECONDS, startMs: RESTART_MS, accountYaml: ACCOUNT })
  const kills = { 'in-start': 0, 'after-a-time': 0, 'at-a-request': 0, 'at-a-callback': 0, database: 0 }
  const receiver = await openReceiver(ledger, chance, () => count(field, 'at-a-callback'))
  const field: Field = { server, ledger, chance, receiver, kills, violations: [], trap: null, ready: Promise.resolve() }
  try {
    const phones = await Promise.all(PHONES.map((name) => server.phone({ name, ptimeMs: 60 })))
    const register = async (): Promise<void> => void (await Promise.all(phones.map((phone) => phone.register())))
    const callers = startCallers({
      ...field,
      receiver: receiver.url,
      ready: () => field.ready,
      onRequest: () => count(field, 'at-a-request'),
      atOnce: AT_ONCE,
    })
    const deadline = performance.now() + withinMs
    let done = 0
    while (done < runs && field.violations.length === 0 && performance.now() < deadline) {
      const what = await oneRun(field, register)
      done += 1
      onRun?.(done, what)
    }
    await callers.stop()
    await finish(field)
    return { runs: done, ...(await report(field)) }
  } finally {
    await server.close()
    await receiver.close()
  }
}

async function oneRun(field: Field, register: () => Promise<void>): Promise<string> {
  const { server, chance, kills } = field
  const point = await strike(field)
  kills[point] += 1
  let release: () => void = () => {}
  field.ready = new Promise((resolve) => {
    release = resolve
  })
  try {
    while (chance() < 0.25) await killInStart(field)
    const startedAt = performance.now()
    await startAgain(server)
    const readyAt = Date.now()
    await register()
    release()
    field.violations.push(...(await look(field, (sql) => checkRecords(sql, field.ledger, readyAt - (performance.now() - startedAt)))))
  } finally {
    release()
  }
  return point
}

/** While it is down, another program of this machine may be given one of its ports for a while. @throws Error when it cannot start for another reason. */
async function startAgain(server: TestServer): Promise<void> {
  for (let tries = PORT_TRIES; ; tries -= 1) {
    const before = server.log().length
    try {
      return await server.start()
    } catch (error) {
      await server.end('SIGKILL')
      if (tries === 0 || !server.log().slice(before).includes('in use by another program')) throw error
      await sleep(PORT_AGAIN_MS)
    }
  }
}

/** Lets it work, and kills it. */
async function strike(field: Field): Promise<KillPoint> {
  const { server, chance, kills } = field
  if (chance() < DATABASE_KILLED_SHARE) {
    await sleep(between(chance, 0, LONGEST_WORK_MS / 2))
    if (await killBackend(field)) kills.database += 1
  }
  const at: KillPoint = (['after-a-time', 'at-a-request', 'at-a-callback'] as const)[between(chance, 0, 2)] ?? 'after-a-time'
  const lateMs = chance() < 0.5 ? 0 : between(chance, 1, 15)
  const sprung = new Promise<void>((spring) => {
    field.trap = at === 'after-a-time' ? null : { at, left: between(chance, 1, at === 'at-a-request' ? 60 : 20), spring }
  })
  const timeMs = at === 'after-a-time' ? between(chance, 30, LONGEST_WORK_MS) : LONGEST_WORK_MS
  const inTime = await Promise.race([sprung.then(() => true), sleep(timeMs).then(() => false)])
  field.trap = null
  if (inTime && lateMs > 0) await sleep(lateMs)
  await server.end('SIGKILL')
  return inTime ? at : 'after-a-time'
}

/** A session of the server's own; PostgreSQL then ends all others as well and recovers from its log. @returns Whether there was one. */
async function killBackend(field: Field): Promise<boolean> {
  const others = `select pid from pg_stat_activity where application_name = 'earshot' and pid <> pg_backend_pid() and datname = current_database()`
  const pids = await look(field, (sql) => sql.query<{ pid: number }>(others)).catch(() => [])
  const victim = pids[between(field.chance, 0, pids.length - 1)]?.pid
  return victim !== undefined && process.kill(victim, 'SIGKILL')
}

async function killInStart({ server, chance, kills }: Field): Promise<void> {
  const starting = server.start().then(
    () => {},
    () => {},
  )
  await sleep(between(chance, 0, STARTING_MS))
  await server.end('SIGKILL')
  await starting
  kills['in-start'] += 1
}

function count(field: Field, at: KillPoint): void {
  const { trap } = field
  if (trap?.at !== at) return
  trap.left -= 1
  if (trap.left === 0) trap.spring()
}

/** The last life: no more calls and no more failures of the receiver; it ends when nothing is on its way. */
async function finish(field: Field): Promise<void> {
  const { server, receiver, ledger } = field
  receiver.accepts()
  await server.end('SIGKILL')
  await startAgain(server)
  const pending = `select id from callback where state = 'pending'`
  await eventually('every callback is delivered', () => look(field, async (sql) => (await sql.query(pending)).length === 0), DELIVERY_MS).catch(
    (error: Error) => void field.violations.push(error.message),
  )
  field.violations.push(...(await look(field, (sql) => checkRecords(sql, ledger, Date.now()))))
  field.violations.push(...(await look(field, (sql) => checkDeliveries(sql, ledger))))
}

async function report(field: Field): Promise<Omit<KillsReport, 'runs'>> {
  const { ledger, kills, violations, server } = field
  const ids = new Set(ledger.receipts.map((receipt) => receipt.id))
  return {
    counts: await look(field, countRecords),
    kills,
    violations,
    acknowledged: { calls: ledger.calls.size, legs: ledger.legs.size, changes: ledger.changes },
    repeated: ledger.repeated,
    refusals: ledger.refusals,
    arrivals: ledger.receipts.length,
    again: ledger.receipts.length - ids.size,
    log: server.log(),
  }
}

/** Beside the running server, by a connection of its own. */
async function look<T>({ server }: Pick<Field, 'server'>, work: (sql: Sql) => Promise<T>): Promise<T> {
  const database = await openBeside({ data: server.data, log: silent, migrates: false })
  try {
    return await work(database.sql)
  } finally {
    await database.close()
  }
}

interface Receiver {
  readonly url: string
  /** From now on everything is answered with 200. */
  accepts(): void
  close(): Promise<void>
}

/** Of ten callbacks it takes six, refuses two, is slow with one and cuts the connection of one. */
async function openReceiver(ledger: Ledger, chance: () => number, onCallback: () => void): Promise<Receiver> {
  let mood: 'moody' | 'kind' = 'moody'
  const http: Server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const dice = mood === 'kind' ? 9 : between(chance, 0, 9)
      const status = dice === 0 ? null : dice <= 2 ? 500 : 200
      ledger.receipts.push({ id: String(request.headers['webhook-id']), body: Buffer.concat(chunks).toString('utf8'), status })
      onCallback()
      if (status === null) return void request.socket.destroy()
      setTimeout(() => response.writeHead(status).end(), dice === 3 ? 300 : 0)
    })
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/callback`,
    accepts: () => void (mood = 'kind'),
    close: () =>
      new Promise((resolve) => {
        http.closeAllConnections()
        http.close(() => resolve())
      }),
  }
}
