/**
 * The wiring: builds every room, hands each what it needs, and takes the house down again in the right order.
 *
 * Start: database → phones and trunks → goodbye to whom a crash left in a call, and its records → callbacks → metrics → HTTP. Stop
 * (drain) the other way round: no new calls, live ones are hung up and recorded, their callbacks get a chance to go out,
 * then everything closes.
 */
import { hexDigest, newApiToken, newId, newKeyId, newToken, share } from './chance.ts'
import { version } from './commands/version.ts'
import { accountsOf, type Config, dialRulesOf, keysOf, type TrunkConfig } from './config.ts'
import { addressIn } from './contract/numbers.ts'
import { type KeyDesk, makeKeyDesk } from './control/access/key-desk.ts'
import { makeKeyring, watchKeys } from './control/access/keyring.ts'
import { makeTokenHasher } from './control/access/token-hash.ts'
import { makeApi } from './control/api.ts'
import { makeCallbackDesk } from './control/callback-desk.ts'
import { type ControlOptions, makeControl } from './control/control.ts'
import { type Feed, makeFeed } from './control/feed.ts'
import { makeLedger } from './control/billing/ledger.ts'
import { closeCrashed, findCrashed, memoriesOf, type RecoveryOptions } from './control/recovery.ts'
import { makeSettle, type Settle } from './control/settle.ts'
import type { Call } from './domain/call.ts'
import type { AccountId } from './domain/ids.ts'
import { makeMediaPlane } from './engine/native/media/media-thread.ts'
import { makeNativeEngine, type NativeEngine } from './engine/native/native-engine.ts'
import type { TrunkSettings } from './engine/native/routing.ts'
import { makeKeyring as makeConfiguredKeyring } from './http/auth.ts'
import { makeServer, type ServerOptions } from './http/server.ts'
import type { Log } from './log.ts'
import { listenForReaders } from './metrics/listener.ts'
import { makeMetrics, type Metrics } from './metrics/metrics.ts'
import { type Database, openDatabase } from './store/database.ts'
import { logHeads, purgeByPolicy } from './store/evidence/keeping.ts'
import { keepUp } from './store/nodes.ts'
import { makeClips } from './sounds/clips.ts'
import { makeRecordings } from './sounds/recordings.ts'
import { makeAddressGuard } from './webhooks/guard.ts'
import { callbackBacklog } from './store/outbox/log.ts'
import { makeSecretBook, type SecretBook } from './webhooks/secrets.ts'
import { BALANCE_CHANNEL } from './store/ledger/balances.ts'
import { makeWebhookWorker, type WebhookWorker, type WebhookWorkerOptions } from './webhooks/worker.ts'

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

/** What was opened, in order; each closes one thing. */
type Opened = (() => Promise<unknown>)[]

/** @throws Error with a sentence for the operator: what cannot be opened or bound, and what to change. */
export async function startHouse(config: Config, log: Log): Promise<House> {
  const opened: Opened = []
  try {
    return await build(config, log, opened)
  } catch (error) {
    await closeAll(opened).catch((again: unknown) => log.error({ err: again }, 'what had started could not be closed'))
    throw error
  }
}

/** Closes all, the latest first, also after one of them has failed. @throws the first failure, when the others are closed. */
export async function closeAll(opened: Opened): Promise<void> {
  const failures: unknown[] = []
  for (const close of opened.splice(0).reverse()) await close().catch((error: unknown) => failures.push(error))
  if (failures.length > 0) throw failures[0]
}

async function build(config: Config, log: Log, opened: Opened): Promise<House> {
  const now = Date.now
  const accounts = new Map(accountsOf(config).map((account) => [account.id, account]))
  const timeZone = (id: AccountId): string => accounts.get(id)?.timeZone ?? 'UTC'
  let publicUrl = config.http.publicUrl ?? urlOf(config.http.host, config.http.port)
  const settle = makeSettle({ timeZone, planOf: (id) => accounts.get(id)?.plan ?? null, newId, now, publicUrl: () => publicUrl })
  const recordings = makeRecordings(config.recordings.folder)
  const clips = makeClips({ guard: makeAddressGuard(config.callbacks.allow), now })
  opened.push(() => clips.close())

  const database = await openDatabase({ data: config.data, log })
  opened.push(() => database.close())
  opened.push(() => logHeads({ database, log }))
  await database.claim(NODE)
  const crashed = await findCrashed({ database, node: NODE })

  const metrics = metricsOf(config, log)
  const engine = engineOf(config, log, metrics)
  const shared = { database, node: NODE, now, log }
  const dialRules = dialRulesOf(config)
  const feed = makeFeed({ life: newId(), now, live: (accountId) => control.live(accountId) })
  const control = makeControl({ ...shared, engine, accounts, dialRules, settle, clips, recordings, newId, schedule, ...watchedBy(metrics, feed) })
  const secrets = makeSecretBook({ sql: database.sql, configured: (id) => config.accounts.find(({ sid }) => sid === id)?.callbackSecret ?? [], now })
  const ledger = makeLedger({ sql: database.sql, accounts, gate: control.gate, newId, now, log })
  await ledger.open()
  await engine.start((event) => control.onEngineEvent(event))
  opened.push(() => engine.stop())
  await recover({ crashed, engine, database, settle, metrics, log, onChange: control.gate.onCall })
  const payments = await database.listen(BALANCE_CHANNEL, () => void ledger.refresh())
  opened.push(() => payments.close())
  await ledger.refresh()

  const worker = workerOf(config, { ...shared, metrics, secrets })
  metrics.lookAt({ engine, callbackBacklog: () => callbackBacklog(database.sql, now()), pausedReceivers: worker.pausedReceivers })
  await worker.start()
  opened.push(() => worker.stop())
  const keeping = { retention: config.retention, database, removeRecordings: recordings.purge, newId, now, log }
  const endUpkeep = keepUp({ ...shared, sql: database.sql, purgeMore: () => purgeByPolicy(keeping) })
  opened.push(async () => endUpkeep())

  if (config.metrics !== null) opened.push(await openReading(config.metrics, metrics, log))
  let state: 'ready' | 'draining' = 'ready'
  const { keys, who, stop: stopWatchingKeys } = await openKeys(config, database, log)
  opened.push(stopWatchingKeys)
  const server = makeServer({
    api: makeApi(metrics.watchModes(control), { keys, ledger, recordings, feed, callbacks: makeCallbackDesk({ database, secrets, now }) }),
    accounts: { ...who, timeZone },
    publicUrl: () => publicUrl,
    limits: config.limits,
    trustProxy: config.http.trustProxy,
    now,
    newId,
    log,
    ready: () => state,
    version: version(),
    onAnswered: metrics.onRequest,
  })
  opened.push(() => server.close())
  const httpUrl = await server.listen({ host: config.http.host, port: config.http.port })
  publicUrl = config.http.publicUrl ?? httpUrl
  opened.push(async () => {
    state = 'draining'
    await control.drain(0)
  })

  let stopping: Promise<void> | null = null
  return { httpUrl, sipAddress: engine.address(), stop: () => (stopping ??= closeAll(opened)) }
}

interface Working extends Pick<WebhookWorkerOptions, 'database' | 'node' | 'now' | 'log'> {
  readonly metrics: Metrics
  readonly secrets: SecretBook
}

const workerOf = ({ callbacks }: Config, { metrics, secrets, ...shared }: Working): WebhookWorker =>
  makeWebhookWorker({
    ...shared,
    onSettled: metrics.onCallback,
    onPaused: metrics.onReceiverPaused,
    chance: share,
    allow: callbacks.allow,
    schedule: callbacks.retrySeconds.map((seconds) => seconds * 1000),
    secretsOf: secrets.signing,
  })

interface Recovering {
  readonly crashed: readonly Call[]
  readonly engine: NativeEngine
  readonly database: Database
  readonly settle: Settle
  readonly metrics: Metrics
  readonly log: Log
  readonly onChange: NonNullable<RecoveryOptions['onChange']>
}

async function recover({ crashed, engine, database, settle, metrics, log, onChange }: Recovering): Promise<void> {
  await engine.farewell(memoriesOf(crashed))
  await closeCrashed(crashed, { database, node: NODE, settle, onChange })
  metrics.onCrashedCalls(crashed.length)
  if (crashed.length > 0)
    log.warn({ calls: crashed.length }, 'calls that were live when the server died are closed: their phones are told, their callbacks go out')
}

/** Who counts and who tells what happens to calls. */
const watchedBy = (metrics: Metrics, feed: Feed): Pick<ControlOptions, 'onChange' | 'onHearing' | 'onLimit'> => ({
  onLimit: metrics.onLimit,
  onChange(before, after) {
    metrics.onCall(before, after)
    feed.onChange(before, after)
  },
  onHearing: feed.onHearing,
})

const urlOf = (host: string, port: number): string => `http://${host.includes(':') ? `[${host}]` : host}:${port}`

interface OpenedKeys {
  readonly keys: KeyDesk
  readonly who: Pick<ServerOptions['accounts'], 'authenticate' | 'remembered'>
  stop(): Promise<void>
}

/** The keys of the file first; whatever they do not prove costs a hash, whether or not the key is known. */
async function openKeys(config: Config, database: Database, log: Log): Promise<OpenedKeys> {
  const hasher = makeTokenHasher()
  const now = Date.now
  const inFile = makeConfiguredKeyring(config.accounts.flatMap(({ sid, keys }) => keys.map((entry) => ({ accountId: sid, ...entry }))))
  const accounts = new Map(accountsOf(config).map((account) => [account.id, account]))
  const keyring = makeKeyring({ sql: database.sql, hasher, isAccount: (id) => accounts.has(id), now, log })
  const onChanged = keyring.forget
  return {
    keys: makeKeyDesk({ database, hasher, accounts, configured: keysOf(config), newId, newKeyId, newToken: newApiToken, now, onChanged }),
    who: { authenticate: async (key, token) => (await inFile(key, token)) ?? keyring.authenticate(key, token), remembered: keyring.remembered },
    stop: await watchKeys(database, keyring, log),
  }
}

const onMetricsTrouble =
  (log: Log) =>
  (error: unknown): void =>
    log.warn({ err: error }, 'metrics could not be counted or read')

function metricsOf({ metrics }: Config, log: Log): Metrics {
  return makeMetrics({ process: metrics !== null, clock: () => performance.now(), onTrouble: onMetricsTrouble(log) })
}

/** @returns What closes it. */
async function openReading(where: NonNullable<Config['metrics']>, metrics: Metrics, log: Log): Promise<() => Promise<void>> {
  const { url, close } = await listenForReaders({ ...where, metrics, onTrouble: onMetricsTrouble(log) })
  log.info({ url }, 'metrics are read here')
  return close
}

function engineOf({ sip, rtp, trunks, accounts }: Config, log: Log, metrics: Metrics): NativeEngine {
  return makeNativeEngine({
    sip,
    rtp,
    media: metrics.watchMedia(makeMediaPlane({ ...rtp, onTrouble: (message, _legs, call) => log.error(call === null ? {} : { call }, message) })),
    accounts: accounts.map(({ sid, agents, numbers }) => ({ id: sid, agents, numbers: numbers.map((entry) => entry.number) })),
    trunks: trunks.map(trunkSettings),
    parseNumber: addressIn,
    newId,
    token: newToken,
    hash: hexDigest,
    now: Date.now,
    log,
  })
}

function schedule(delayMs: number, work: () => void): () => void {
  const timer = setTimeout(work, delayMs)
  return () => clearTimeout(timer)
}

const trunkSettings = ({ name, uri, username, password, register, numbers }: TrunkConfig): TrunkSettings => ({
  name,
  uri,
  register,
  numbers,
  ...(username === null || password === null ? {} : { username, password }),
})
