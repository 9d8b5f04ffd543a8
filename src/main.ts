/**
 * The wiring: builds every room, hands each what it needs, and takes the house down again in the right order.
 *
 * Start: database → phones and trunks → goodbye to whom a crash left in a call, and its records → callbacks → HTTP. Stop (drain) the other way round:
 * no new calls, live ones are hung up and recorded, their callbacks get a chance to go out, then everything closes.
 */
import { hexDigest, newCallbackSecret, newId, newToken } from './chance.ts'
import { accountsOf, type Config, dialRulesOf, type TrunkConfig } from './config.ts'
import { addressIn } from './contract/numbers.ts'
import { makeControl } from './control/control.ts'
import { closeCrashed, findCrashed, memoriesOf } from './control/recovery.ts'
import type { Decision } from './domain/call.ts'
import type { AccountId } from './domain/ids.ts'
import { makeMediaPlane } from './engine/native/media-thread.ts'
import { makeNativeEngine } from './engine/native/native-engine.ts'
import type { TrunkSettings } from './engine/native/routing.ts'
import { makeKeyring } from './http/auth.ts'
import { makeServer } from './http/server.ts'
import type { Log } from './log.ts'
import { openDatabase } from './store/database.ts'
import { beat } from './store/nodes.ts'
import { purge } from './store/retention.ts'
import { callbackSecret } from './store/secrets.ts'
import { callbackRows } from './webhooks/enqueue.ts'
import { makeWebhookWorker } from './webhooks/worker.ts'

export interface House {
  /** `http://host:port` */
  readonly httpUrl: string
  /** `host:port`, UDP and TCP. */
  readonly sipAddress: string
  /** Drains and closes everything; resolves when all is on disk. */
  stop(): Promise<void>
}

/** This process among those that share a database. One process owns a folder; several nodes will have names of their own. */
const NODE = 'main'
const BEAT_MS = 1_000
const PURGE_MS = 3_600_000

/** @throws Error with a sentence for the operator: what cannot be opened or bound, and what to change. */
export async function startHouse(config: Config, log: Log): Promise<House> {
  const undo: (() => Promise<unknown>)[] = []
  const closeAll = async (): Promise<void> => {
    for (const close of undo.splice(0).reverse()) await close()
  }
  try {
    const now = Date.now
    const accounts = new Map(accountsOf(config).map((account) => [account.id, account]))
    const timeZone = (id: AccountId): string => accounts.get(id)?.timeZone ?? 'UTC'
    const callbacksOf = ({ call, notices }: Decision) => callbackRows(call, notices, { timeZone: timeZone(call.accountId), newId, now: now() })

    const database = await openDatabase({ data: config.data, log })
    undo.push(() => database.close())
    await database.claim(NODE)
    const crashed = await findCrashed({ database, node: NODE })

    const media = makeMediaPlane({ ...config.rtp, onTrouble: (message) => log.error({}, message) })
    const engine = makeNativeEngine({
      sip: config.sip, rtp: config.rtp, media, trunks: config.trunks.map(trunkSettings), parseNumber: addressIn, newId, token: newToken, hash: hexDigest, now, log,
      accounts: config.accounts.map(({ sid, agents, numbers }) => ({ id: sid, agents, numbers: numbers.map((entry) => entry.number) })),
    })
    const control = makeControl({
      engine, database, node: NODE, accounts, dialRules: dialRulesOf(config), callbacksOf, now, newId, log,
      schedule(delayMs, work) {
        const timer = setTimeout(work, delayMs)
        return () => clearTimeout(timer)
      },
    })
    await engine.start((event) => control.onEngineEvent(event))
    undo.push(() => engine.stop())
    await engine.farewell(memoriesOf(crashed))
    await closeCrashed(crashed, { database, node: NODE, callbacksOf })
    if (crashed.length > 0) log.warn({ calls: crashed.length }, 'calls that were live when the server died are closed: their phones are told, their callbacks go out')

    const worker = makeWebhookWorker({
      database, node: NODE, now, log, allow: config.callbacks.allow, schedule: config.callbacks.retrySeconds.map((seconds) => seconds * 1000),
      secretOf: async (id) => config.accounts.find((account) => account.sid === id)?.callbackSecret ?? callbackSecret(database.sql, id, newCallbackSecret()),
    })
    await worker.start()
    undo.push(() => worker.stop())

    const heartbeat = setInterval(() => void beat(database.sql, NODE, now()).catch((error: unknown) => log.error({ error: String(error) }, 'the heartbeat could not be written')), BEAT_MS)
    const housekeeping = setInterval(() => void purge(database.sql, now()).catch((error: unknown) => log.warn({ error: String(error) }, 'old rows could not be purged')), PURGE_MS)
    undo.push(async () => {
      clearInterval(heartbeat)
      clearInterval(housekeeping)
    })

    let state: 'ready' | 'draining' = 'ready'
    const keys = config.accounts.flatMap(({ sid, keys: own }) => own.map(({ key, token }) => ({ accountId: sid, key, token })))
    const server = makeServer({ control, accounts: { authenticate: makeKeyring(keys), timeZone }, limits: config.limits, now, newId, log, ready: () => state })
    undo.push(() => server.close())
    const httpUrl = await server.listen(config.http)

    let stopping: Promise<void> | null = null
    const stop = async (): Promise<void> => {
      state = 'draining'
      await control.drain(0)
      await closeAll()
    }
    return { httpUrl, sipAddress: engine.address(), stop: () => (stopping ??= stop()) }
  } catch (error) {
    await closeAll().catch(() => {})
    throw error
  }
}

const trunkSettings = ({ name, uri, username, password, register, numbers }: TrunkConfig): TrunkSettings => ({
  name, uri, register, numbers, ...(username === null || password === null ? {} : { username, password }),
})
