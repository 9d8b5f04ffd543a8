/** Commands about callbacks: the delivery log, receivers that are down, once more, and the secrets that sign. */
import type { Config } from '../config.ts'
import type { CallbackState, LoggedCallback } from '../domain/callback-log.ts'
import type { AccountId, CallId } from '../domain/ids.ts'
import type { Database } from '../store/database.ts'
import { listCallbacks, loadCallback, replayCallback, replayParked } from '../store/outbox/log.ts'
import { listPauses } from '../store/outbox/pauses.ts'
import { receiverOf } from '../store/outbox/rows.ts'
import { makeSecretBook, type SecretState } from '../webhooks/secrets.ts'
import { columns, type Desk, json, plain, shownBy, timeText } from './desk.ts'
import { fields, hasBeaten, notFound, type RecordOptions, type ShowOptions, withRecords } from './opening.ts'

export interface CallbackListOptions extends ShowOptions {
  readonly state: CallbackState | 'all'
  readonly limit: number
  readonly account?: string
  readonly receiver?: string
  readonly call?: string
}

export interface ReplayOptions extends RecordOptions {
  readonly all: boolean
  readonly account?: string
  readonly receiver?: string
}

export interface SecretOptions extends RecordOptions {
  readonly account: string
}

export interface RotateOptions extends SecretOptions {
  readonly keepHours: number
}

/** Callbacks that one statement makes pending again; progress is said after each. */
const REPLAY_BATCH = 1_000
/** Paused receivers in one listing at most. */
const MAX_PAUSES = 1_000
const HOUR_MS = 3_600_000

/** The delivery log, newest first. @returns The exit code. */
export async function callbacksList(desk: Desk, options: CallbackListOptions): Promise<number> {
  return withRecords(desk, options, async (database) => {
    const { state, limit, account } = options
    const filter = { state: state === 'all' ? null : state, callId: (options.call ?? null) as CallId | null, receiver: receiverIn(options) }
    const page = await listCallbacks(database.sql, (account ?? null) as AccountId | null, { ...filter, pageSize: limit, start: null })
    const found = page?.callbacks ?? []
    const show = shownBy(options.full)
    if (options.json) desk.out(json({ callbacks: found.map((callback) => callbackJson(callback, show)) }))
    else if (found.length === 0) desk.out(`No ${state === 'all' ? '' : `${state} `}callbacks.`)
    else {
      const rows = found.map((callback) => [
        callback.id,
        callback.state,
        callback.event,
        callback.callId,
        String(callback.attempts),
        timeText(callback.state === 'pending' ? callback.dueAt : callback.settledAt),
        show(callback.url),
        show(callback.lastError ?? ''),
      ])
      desk.out(columns(['CALLBACK', 'STATE', 'EVENT', 'CALL', 'TRIES', state === 'pending' ? 'DUE' : 'SINCE', 'TO', 'LAST ERROR'], rows).join('\n'))
    }
    return 0
  })
}

/** One callback; its body only with `--full`. @returns The exit code. */
export async function callbacksShow(desk: Desk, id: string, options: ShowOptions): Promise<number> {
  return withRecords(desk, options, async (database) => {
    const callback = await loadCallback(database.sql, null, id)
    if (!callback) return notFound(desk, `no callback ${plain(id)}; earshot callbacks list --state all shows what is there`)
    const shown = {
      ...callbackJson(callback, shownBy(options.full)),
      ...(options.full ? { contentType: callback.contentType, body: callback.body } : {}),
    }
    desk.out(options.json ? json(shown) : fields(shown).join('\n'))
    return 0
  })
}

/** Parked callbacks again, from the beginning of their schedule: those that are named, or all. @returns The exit code. */
export async function callbacksReplay(desk: Desk, ids: readonly string[], options: ReplayOptions): Promise<number> {
  if (options.all === ids.length > 0) {
    desk.err('earshot callbacks replay: name callbacks, or write --all for every one that is parked')
    return 1
  }
  if (!options.all && (options.account ?? options.receiver) !== undefined) {
    desk.err('earshot callbacks replay: --account and --receiver go with --all, not with named callbacks')
    return 1
  }
  return withRecords(desk, options, async (database, _config, isServed) => {
    const { replayed, refused } = options.all
      ? { replayed: await replayAll(desk, database, options), refused: [] }
      : await replayNamed(desk, database, ids)
    const runs = isServed ?? (await hasBeaten(desk, database))
    if (options.json) desk.out(json({ replayed, refused, sent: runs ? 'now' : 'at the next start' }))
    else {
      const what = `${replayed} callback${replayed === 1 ? '' : 's'}`
      desk.out(
        replayed === 0
          ? 'Nothing to replay.'
          : `${what} will be sent again ${runs ? 'now' : 'when Earshot runs: no server is running on this data'}.`,
      )
    }
    return refused.length > 0 ? 1 : 0
  })
}

/** Receivers that are down and left alone, as the servers see them. @returns The exit code. */
export async function callbacksReceivers(desk: Desk, options: RecordOptions): Promise<number> {
  return withRecords(desk, options, async (database) => {
    const pauses = await listPauses(database.sql, MAX_PAUSES)
    const show = shownBy(false)
    if (options.json) {
      const receivers = pauses.map((each) => ({ ...each, since: timeText(each.since), until: timeText(each.until), lastError: show(each.lastError) }))
      desk.out(json({ receivers }))
    } else if (pauses.length === 0) desk.out('No receiver is paused.')
    else {
      const rows = pauses.map((each) => [
        each.receiver,
        timeText(each.since),
        timeText(each.until),
        String(each.probes),
        String(each.pending),
        show(each.lastError),
      ])
      desk.out(columns(['RECEIVER', 'DOWN SINCE', 'NEXT TRY', 'TRIES', 'WAITING', 'LAST ERROR'], rows).join('\n'))
    }
    return 0
  })
}

/** With what an account's callbacks are signed, without the secrets. @returns The exit code. */
export async function secretsShow(desk: Desk, options: SecretOptions): Promise<number> {
  return withSecrets(desk, options, async (book, account) => {
    const state = await book.state(account)
    desk.out(options.json ? json(secretJson(account, state)) : fields(secretJson(account, state)).join('\n'))
    return 0
  })
}

/** A new secret, shown this once. @returns The exit code. */
export async function secretsRotate(desk: Desk, options: RotateOptions): Promise<number> {
  return withSecrets(desk, options, async (book, account) => {
    if ((await book.state(account)).source === 'configuration') {
      desk.err(
        `the secret of ${account} is in ${plain(options.config)}: write callbackSecret: [NEW, OLD] there and start the server again; without the key, secrets are kept with the data and rotated here`,
      )
      return 1
    }
    const { secret, state } = await book.rotate(account, options.keepHours * HOUR_MS)
    if (options.json) desk.out(json({ secret, ...secretJson(account, state) }))
    else {
      desk.out(secret)
      const until = timeText(state.previous?.until ?? null)
      desk.err(
        `note: the new secret of ${account}, shown this once; ${until === '' ? 'the old one signs no longer' : `the old one signs as well until ${until}`}`,
      )
    }
    return 0
  })
}

async function withSecrets(
  desk: Desk,
  options: SecretOptions,
  work: (book: ReturnType<typeof makeSecretBook>, account: AccountId) => Promise<number>,
): Promise<number> {
  return withRecords(desk, options, async (database, config: Config) => {
    const account = config.accounts.find(({ sid }) => sid === options.account)
    if (!account) return notFound(desk, `no account ${plain(options.account)} in ${plain(options.config)}`)
    return work(makeSecretBook({ sql: database.sql, configured: () => account.callbackSecret, now: desk.now }), account.sid)
  })
}

function secretJson(account: AccountId, { source, current, previous }: SecretState): Readonly<Record<string, unknown>> {
  return {
    account,
    keptIn: source,
    fingerprint: current.fingerprint,
    madeAt: timeText(current.madeAt) || null,
    previous: previous?.fingerprint ?? null,
    until: timeText(previous?.until ?? null) || null,
  }
}

/** A whole URL is cut down to what is counted by. */
const receiverIn = ({ receiver }: { readonly receiver?: string }): string | null => (receiver === undefined ? null : receiverOf(receiver) || receiver)

async function replayAll(desk: Desk, database: Database, options: ReplayOptions): Promise<number> {
  const owner = (options.account ?? null) as AccountId | null
  const query = { receiver: receiverIn(options), limit: REPLAY_BATCH }
  const startedAt = desk.now()
  let replayed = 0
  for (;;) {
    const count = await replayParked(database.sql, owner, query, startedAt)
    replayed += count
    if (count < REPLAY_BATCH) return replayed
    desk.err(`${replayed} so far`)
  }
}

async function replayNamed(
  desk: Desk,
  database: Database,
  ids: readonly string[],
): Promise<{ readonly replayed: number; readonly refused: readonly string[] }> {
  const refused: string[] = []
  for (const id of new Set(ids)) {
    const callback = await loadCallback(database.sql, null, id)
    if (callback && (await replayCallback(database.sql, callback.accountId, id, desk.now()))) continue
    refused.push(id)
    desk.err(callback ? `callback ${plain(id)} is ${callback.state}: only parked ones can be replayed` : `no callback ${plain(id)}`)
  }
  return { replayed: new Set(ids).size - refused.length, refused }
}

function callbackJson(callback: LoggedCallback, show: (text: string) => string): Readonly<Record<string, unknown>> {
  return {
    id: callback.id,
    account: callback.accountId,
    call: callback.callId,
    leg: callback.legId,
    event: callback.event,
    state: callback.state,
    url: show(callback.url),
    attempts: callback.attempts,
    lastStatus: callback.lastStatus,
    lastError: callback.lastError === null ? null : show(callback.lastError),
    createdAt: timeText(callback.createdAt),
    dueAt: callback.state === 'pending' ? timeText(callback.dueAt) : null,
    settledAt: timeText(callback.settledAt) || null,
  }
}
