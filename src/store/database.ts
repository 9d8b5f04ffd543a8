/**
 * The door to PostgreSQL: one method for SQL, transactions, notifications. Everything else in this room is one
 * statement per function over `Sql`, so that each of them runs alone or inside a caller's transaction.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { EMBEDDED_DATABASE, type EmbeddedServer, startEmbedded } from './embedded/server.ts'
import { OLDEST_MAJOR } from './embedded/binaries.ts'
import { FolderInUse } from './embedded/hold.ts'
import { lookInto, type ServerAddress } from './embedded/folder.ts'
import { storable } from './json.ts'
import { migrate, pendingSteps } from './migrations/migrate.ts'

/** Where a statement runs: the pool, or one transaction. */
export interface Sql {
  /**
   * @param values `$1`, `$2`, ….
   * @param name Prepares the statement once per connection under this name; for hot paths. One name, one text.
   * @throws The driver's error; `code` is the SQLSTATE.
   */
  query<Row>(text: string, values?: readonly unknown[], name?: string): Promise<readonly Row[]>
}

/** What this room says while it works. A pino logger is one. */
export interface Log {
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
  error(fields: Readonly<Record<string, unknown>>, message: string): void
}

export interface Listening {
  close(): Promise<void>
}

export interface Database {
  readonly sql: Sql
  /** Steps of the tables: those that this opening made, and those that it left. */
  readonly steps: { readonly made: readonly string[]; readonly pending: readonly string[] }
  /** Commits when `work` resolves, rolls back when it rejects. */
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>
  /** Calls back at every NOTIFY on the channel with its payload, and with '' after each reconnect, since notifications may have been missed. */
  listen(channel: string, onNotify: (payload: string) => void): Promise<Listening>
  /**
   * Makes this process the only one that goes by this name, until it closes or dies.
   * @throws {Error} with a sentence for the operator when another one does.
   */
  claim(node: string): Promise<void>
  /** Ends all connections and stops the embedded server, if there is one. */
  close(): Promise<void>
}

export interface DatabaseOptions {
  /** A folder (an embedded server keeps its files there) or `postgres://…`. */
  readonly data: string
  readonly log: Log
}

/** Connections at most. More of them would not make one disk faster. */
const POOL_SIZE = 10
const CONNECT_MS = 10_000
/** A statement that takes longer is a fault; nothing here comes near it. */
const STATEMENT_MS = 30_000
const RETURN_MS = 500
/** How long a command waits for the server of an Earshot that has the folder. */
const BESIDE_MS = 15_000
/** Class of the advisory locks of `claim`. */
const NODE_LOCK = 'earshot node'
const POSTGRES_URL = /^postgres(?:ql)?:\/\//

/** The shape that every query goes through; the driver's pool and its clients both have it. */
type Querying = Pick<pg.ClientBase, 'query'>

/**
 * Opens the database and brings its tables up to date.
 * @throws {Error} with a sentence for the operator: folder in use, other major version, unreachable, newer schema.
 */
export async function openDatabase({ data, log }: DatabaseOptions): Promise<Database> {
  if (POSTGRES_URL.test(data)) return connectDatabase({ config: { connectionString: data }, log, server: null, migrates: true })
  const server = await startEmbedded({ folder: data, log })
  return connectDatabase({ config: configOf(server), log, server, migrates: true })
}

export interface BesideOptions extends DatabaseOptions {
  /** Whether the tables are brought up to date. */
  readonly migrates: boolean
}

/**
 * Opens the database for one command, whether an Earshot runs on it or not: an embedded server that runs is used and left
 * running; else one is started, and stopped by `close`.
 * @throws {Error} as `openDatabase`, but for a folder that is in use.
 */
export async function openBeside({ data, log, migrates }: BesideOptions): Promise<Database> {
  if (POSTGRES_URL.test(data)) return connectDatabase({ config: { connectionString: data }, log, server: null, migrates })
  const { running } = await lookInto(data, log)
  if (running !== null) return connectDatabase({ config: configOf(running), log, server: null, migrates })
  try {
    const server = await startEmbedded({ folder: data, log })
    return await connectDatabase({ config: configOf(server), log, server, migrates })
  } catch (error) {
    if (!(error instanceof FolderInUse)) throw error
    // An Earshot was starting meanwhile, or its server is just being started again.
    const again = await soonRunning(data, log)
    if (again === null) throw error
    return connectDatabase({ config: configOf(again), log, server: null, migrates })
  }
}

async function soonRunning(data: string, log: Log): Promise<ServerAddress | null> {
  for (const deadline = performance.now() + BESIDE_MS; performance.now() < deadline; await sleep(RETURN_MS)) {
    const { running } = await lookInto(data, log)
    if (running !== null) return running
  }
  return null
}

const configOf = ({ socketFolder, port, user }: ServerAddress): pg.ClientConfig => ({ host: socketFolder, port, user, database: EMBEDDED_DATABASE })

interface Connecting {
  readonly config: pg.ClientConfig
  readonly log: Log
  readonly migrates: boolean
  /** Stopped when the database is closed. */
  readonly server: EmbeddedServer | null
}

async function connectDatabase({ config: given, log, server, migrates }: Connecting): Promise<Database> {
  const config: pg.ClientConfig = {
    ...given,
    application_name: 'earshot',
    connectionTimeoutMillis: CONNECT_MS,
    statement_timeout: STATEMENT_MS,
    keepAlive: true,
  }
  const pool = new pg.Pool({ ...config, max: POOL_SIZE })
  // An idle connection that breaks is replaced when the next query needs one.
  // Of the error only its words: pg hangs the whole connection on it, its parameters included.
  pool.on('error', (error) => log.warn({ event: 'database-connection-lost', reason: error.message }, 'A database connection was lost'))
  const sessions = new Set<Listening>()
  const keep = async (purpose: Purpose): Promise<Listening> => {
    const session = await keepSession({ config, log, purpose })
    const entry: Listening = {
      close: async () => {
        sessions.delete(entry)
        await session.close()
      },
    }
    sessions.add(entry)
    return entry
  }
  const close = async (): Promise<void> => {
    await Promise.all([...sessions].map((session) => session.close()))
    await pool.end()
    await server?.close()
  }
  let steps: Database['steps']
  try {
    await checkVersion(pool)
    steps = migrates ? { made: await migrate(config), pending: [] } : { made: [], pending: await pendingSteps(pool) }
  } catch (error) {
    await close()
    throw error
  }
  return {
    sql: sqlOver(pool),
    steps,
    transaction: (work) => inTransaction(pool, work),
    listen: (channel, onNotify) => keep(listeningOn(channel, onNotify)),
    claim: async (node) => void (await keep(claimOf(node))),
    close,
  }
}

function sqlOver(target: Querying): Sql {
  return {
    async query<Row>(text: string, values: readonly unknown[] = [], name?: string) {
      const query = { text, values: values.map(storableValue) }
      const result = await target.query<Row & pg.QueryResultRow>(name === undefined ? query : { ...query, name })
      return result.rows
    },
  }
}

/** Callers may ask for an id with a NUL in it; there is none, which is no reason to fail. */
const storableValue = (value: unknown): unknown => (typeof value === 'string' && value.includes('\0') ? storable(value) : value)

async function checkVersion(pool: pg.Pool): Promise<void> {
  const { rows } = await pool.query<{ number: string; name: string }>(
    `select current_setting('server_version_num') as number, current_setting('server_version') as name`,
  )
  const found = rows[0]
  if (found && Number(found.number) < OLDEST_MAJOR * 10_000)
    throw new Error(`The database server is PostgreSQL ${found.name}; Earshot needs ${OLDEST_MAJOR} or later.`)
}

async function inTransaction<T>(pool: pg.Pool, work: (sql: Sql) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  let broken: Error | undefined
  // Between two queries nobody else would hear that the connection broke, and an error unheard ends the process.
  const onError = (error: Error): void => {
    broken = error
  }
  client.on('error', onError)
  try {
    await client.query('begin')
    const result = await work(sqlOver(client))
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback').catch(onError)
    throw error
  } finally {
    client.off('error', onError)
    // A connection that could not even roll back is closed, which rolls back as well.
    client.release(broken)
  }
}

/** What a session of its own is for. */
interface Purpose {
  /** For the log. */
  readonly name: string
  /** What makes a fresh connection that session. */
  begin(client: pg.Client): Promise<void>
  /** It was lost and has come back. */
  onReturn(): void
}

const listeningOn = (channel: string, onNotify: (payload: string) => void): Purpose => ({
  name: `listen to ${channel}`,
  async begin(client) {
    client.on('notification', ({ payload = '' }) => onNotify(payload))
    await client.query(`listen ${client.escapeIdentifier(channel)}`)
  },
  onReturn: () => onNotify(''),
})

/**
 * An advisory lock, which PostgreSQL lets go with the session. So that the session ends with us also when our machine is gone without a
 * word, the server asks after us every few seconds; by its own defaults it would notice after two hours, and refuse our next start till then.
 */
const claimOf = (node: string): Purpose => ({
  name: `be node ${node}`,
  async begin(client) {
    await client.query('set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3')
    const { rows } = await client.query<{ mine: boolean }>('select pg_try_advisory_lock(hashtext($1), hashtext($2)) as mine', [NODE_LOCK, node])
    if (rows[0]?.mine !== true)
      throw new Error(`Another Earshot runs on this database as node "${node}". Stop it, or give this one a database of its own.`)
  },
  onReturn() {},
})

interface KeptSession {
  readonly config: pg.ClientConfig
  readonly log: Log
  readonly purpose: Purpose
}

/** A session of its own; it comes back by itself when it is lost. */
async function keepSession({ config, log, purpose }: KeptSession): Promise<Listening> {
  let closing = false
  let session = await connect()
  async function connect(): Promise<pg.Client> {
    const client = new pg.Client(config)
    client.on('error', () => {}) // What it means is in `end`.
    try {
      await client.connect()
      await purpose.begin(client)
    } catch (error) {
      await client.end().catch(() => {})
      throw error
    }
    client.once('end', () => void reconnect())
    return client
  }
  async function reconnect(): Promise<void> {
    while (!closing) {
      await sleep(RETURN_MS, undefined, { ref: false })
      try {
        const client = await connect()
        if (closing) return await client.end()
        session = client
        return purpose.onReturn()
      } catch (error) {
        log.warn(
          { event: 'database-session-lost', purpose: purpose.name, err: error },
          'A database session was lost and cannot be had again yet; trying again',
        )
      }
    }
  }
  return {
    close: async () => {
      closing = true
      await session.end().catch(() => {})
    },
  }
}
