/**
 * Control, gate and ledger with a fake engine, a clock that only the test moves, and a database that can fail: before a statement is
 * carried out, or after, when only its answer is lost. A life can be left in the middle, as by a crash, and followed by another.
 */
import { makeControl, type RunningControl } from '../src/control/control.ts'
import { makeLedger, type RunningLedger } from '../src/control/billing/ledger.ts'
import { closeCrashed, findCrashed } from '../src/control/recovery.ts'
import { makeSettle } from '../src/control/settle.ts'
import type { Account } from '../src/domain/account/account.ts'
import type { Money } from '../src/domain/account/money.ts'
import type { Address } from '../src/domain/address.ts'
import type { ConnectCommand, MonitorCommand } from '../src/domain/commands.ts'
import type { LimitCode } from '../src/domain/errors.ts'
import type { AccountId, CallId, LegId } from '../src/domain/ids.ts'
import { type FakeEngine, makeFakeEngine } from '../src/engine/fake.ts'
import type { Database, Sql } from '../src/store/database.ts'
import { beat } from '../src/store/nodes.ts'
import { SILENT } from '../src/domain/sound.ts'

export interface Clock {
  now: number
  /** Moves the clock; every alarm rings at its own moment on the way, and what it causes is done before the next one. */
  pass(ms: number): Promise<void>
}

export interface Life {
  readonly control: RunningControl
  readonly ledger: RunningLedger
  readonly engine: FakeEngine
  readonly clock: Clock
  /** What the log said, and about what. */
  readonly said: (readonly [string, Readonly<Record<string, unknown>>])[]
  /** What limits refused or ended. */
  readonly limits: LimitCode[]
  /** The next statements fail, each before or after it was carried out. */
  breakDatabase(how: readonly ('before' | 'after')[]): void
  settled(): Promise<void>
}

export interface Place {
  readonly database: Database
  readonly node: string
  readonly account: Account
  /** Epoch ms at the beginning. */
  readonly now: number
  /** Unique in the database: `[0-9a-z]`. */
  readonly newId: () => string
}

export const at = (text: string): Address => text as Address
const plain = { ringMs: 3_600_000, limitMs: 14_400_000, customField: null, subscription: null, callerId: null, sound: SILENT, maxRetries: 0 }
export const toCustomer: ConnectCommand = { ...plain, from: at('client:priya'), to: at('+919876543210') }
export const listen: MonitorCommand = { ...plain, mode: 'listen', phone: at('client:boss'), targetLegId: null }

/** Begins where an earlier life of the same node ended: its calls are closed first. */
export async function begin({ database: real, node, account, now, newId }: Place): Promise<Life> {
  const failures: ('before' | 'after')[] = []
  const sql: Sql = {
    async query<Row>(...statement: Parameters<Sql['query']>) {
      const failure = failures.shift()
      const rows = failure === 'before' ? [] : await real.sql.query<Row>(...statement)
      if (failure !== undefined) throw new Error('the database is away')
      return rows
    },
  }
  const database: Database = { ...real, sql }
  const alarms = new Set<{ readonly at: number; readonly work: () => void }>()
  const clock: Clock = {
    now,
    async pass(ms) {
      const until = clock.now + ms
      for (;;) {
        const next = [...alarms].filter((alarm) => alarm.at <= until).sort((a, b) => a.at - b.at)[0]
        if (!next) break
        alarms.delete(next)
        clock.now = Math.max(clock.now, next.at)
        next.work()
        await control.settled()
      }
      clock.now = until
    },
  }
  const said: Life['said'] = []
  const say = (fields: Readonly<Record<string, unknown>>, message: string): void => void said.push([message, fields])
  const log = { info: say, warn: say, error: say }
  const limits: LimitCode[] = []
  const accounts = new Map([[account.id, account]])
  const settle = makeSettle({ timeZone: () => account.timeZone, planOf: () => account.plan ?? null, newId, now: () => clock.now, publicUrl: () => '' })
  const engine = makeFakeEngine({ newId })
  const crashed = await findCrashed({ database: real, node })
  const control = makeControl({
    ...{ engine, database, node, accounts, settle, newId, log },
    clips: { get: async () => ({ samples: new Int16Array() }) },
    recordings: { prepare: async () => '/nowhere' },
    dialRules: { prefixes: ['+'], hosts: [] },
    now: () => clock.now,
    schedule(delayMs, work) {
      const alarm = { at: clock.now + delayMs, work }
      alarms.add(alarm)
      return () => void alarms.delete(alarm)
    },
    onLimit: (reason) => void limits.push(reason),
  })
  const ledger = makeLedger({ sql: real.sql, accounts, gate: control.gate, newId, now: () => clock.now, log })
  await ledger.open()
  await engine.start((event) => control.onEngineEvent(event))
  await closeCrashed(crashed, { database: real, node, settle, onChange: control.gate.onCall })
  return { control, ledger, engine, clock, said, limits, breakDatabase: (how) => void failures.push(...how), settled: () => control.settled() }
}

/** The process of this node was last known to live at that moment. */
export const lived = (database: Database, node: string, now: number): Promise<unknown> => beat(database.sql, node, now)

/** A call of two parties who talk. */
export async function talking(
  { control, engine, settled }: Life,
  accountId: AccountId,
): Promise<{ readonly callId: CallId; readonly agent: LegId; readonly customer: LegId }> {
  const { id: callId, legs } = await control.connect(accountId, toCustomer, null)
  const agent = legs[0]?.id as LegId
  engine.answers(agent)
  await settled()
  const customer = (await control.call(accountId, callId)).legs[1]?.id as LegId
  engine.answers(customer)
  await settled()
  return { callId, agent, customer }
}

export const topUp = (life: Life, accountId: AccountId, amount: string): Promise<unknown> =>
  life.ledger.adjust(accountId, { amount: amount as Money, note: 'a test', by: 'test' }, null)
