/** Whether the records, and what arrived at the receiver, agree with what the server acknowledged: looked at from outside, in SQL. */
import type { Sql } from '../../src/store/database.ts'
import type { Ledger, Receipt } from './ledger.ts'

/** What is wrong, one sentence with an example each; none when all is well. */
export type Violations = readonly string[]

/** Statements that find nothing in a sound database, at any moment: what must be there together is saved in one transaction. */
const ALWAYS: Readonly<Record<string, string>> = {
  'a leg of an ended call has not ended': `select leg.id from leg join call on call.id = call_id where call.status = 'ended' and leg.status <> 'ended'`,
  'an ended leg has not exactly one terminal callback': terminalOf('leg'),
  'an ended call has not exactly one terminal callback': terminalOf('call'),
  'a leg has not one answered callback exactly if it was answered': `
    select leg.id from leg left join callback on callback.leg_id = leg.id and event = 'answered' where 'answered' = any (callback_events)
    group by leg.id having count(callback.id) <> case when answered_at is null then 0 else 1 end`,
  'a leg has a terminal callback and has not ended': `
    select leg.id from callback join leg on leg.id = leg_id where event = 'terminal' and leg.status <> 'ended'`,
  'a callback is about an unknown call or leg': `
    select callback.id from callback left join call on call.id = call_id left join leg on leg.id = leg_id and leg.call_id = callback.call_id
     where call.id is null or (leg_id is not null and leg.id is null)`,
  'one idempotency key made several calls': `select custom_field as id from call where custom_field <> '' group by 1 having count(*) > 1`,
  'one idempotency key made several supervisors': `
    select custom_field as id from leg where custom_field <> '' and origin = 'monitor' group by 1 having count(*) > 1`,
  'an answered leg has not exactly one charge when it has ended': `
    select leg.id from leg left join charge on charge.leg_id = leg.id where leg.status = 'ended' and answered_at is not null
    group by leg.id having count(charge.leg_id) <> 1`,
  'a leg that nobody answered, or that goes on, was charged': `
    select leg.id from charge join leg on leg.id = charge.leg_id where leg.status <> 'ended' or answered_at is null`,
  'a balance is not what its charges add up to': `
    select account_id as id from balance where charged <> (select coalesce(sum(amount), 0) from charge
      where charge.account_id = balance.account_id and charge.currency = balance.currency)`,
}

function terminalOf(what: 'leg' | 'call'): string {
  const about = what === 'leg' ? 'callback.leg_id = leg.id' : 'callback.call_id = call.id and callback.leg_id is null'
  return `select ${what}.id from ${what} left join callback on ${about} and event = 'terminal'
    where ${what}.status = 'ended' and 'terminal' = any (callback_events) group by ${what}.id having count(callback.id) <> 1`
}

/** @param aliveSince When the process that runs now was ready, epoch ms: what is older was closed by its start. */
export async function checkRecords(sql: Sql, ledger: Ledger, aliveSince: number): Promise<Violations> {
  const found: string[] = []
  const none = async (what: string, text: string, values: readonly unknown[] = []): Promise<void> => {
    const rows = await sql.query<{ id: string }>(text, values)
    if (rows[0]) found.push(`${what} (${rows.length}, as ${rows[0].id})`)
  }
  const missing = (table: string): string =>
    `select id from unnest($1::text[]) as known (id) where not exists (select from ${table} where ${table}.id = known.id)`
  await none('an acknowledged call has no record', missing('call'), [[...ledger.calls]])
  await none('an acknowledged leg has no record', missing('leg'), [[...ledger.legs]])
  await none('a call outlived its process', `select id from call where status <> 'ended' and created_at < $1`, [new Date(aliveSince)])
  for (const [what, text] of Object.entries(ALWAYS)) await none(what, text)
  return [...found, ...(await checkActions(sql, ledger))]
}

/** The last action on record is the last that was acknowledged, or one that was under way since. */
async function checkActions(sql: Sql, { actions }: Ledger): Promise<Violations> {
  const rows = await sql.query<{ id: string; last_action: string }>(`select id, last_action from leg where id = any ($1::text[])`, [
    [...actions.keys()],
  ])
  return rows.flatMap(({ id, last_action }) => {
    const known = actions.get(id)
    if (known === undefined || last_action === known.sure || known.unsure.has(last_action)) return []
    return [`the record of a supervisor's leg says ${last_action}, acknowledged was ${known.sure} (${id})`]
  })
}

interface Kept {
  readonly id: string
  readonly body: string
  readonly state: string
  readonly order_key: string
}

/** When nothing is on its way any more: every callback has arrived and was accepted, in order, always the same under the same id. */
export async function checkDeliveries(sql: Sql, { receipts }: Ledger): Promise<Violations> {
  const rows = await sql.query<Kept>('select id, body, state, order_key from callback order by sequence')
  const known = new Map(rows.map((row) => [row.id, row]))
  const arrivals = Map.groupBy(receipts, (receipt) => receipt.id)
  const accepted = (id: string): number => receipts.findIndex((receipt) => receipt.id === id && isAccepted(receipt))
  const found: string[] = []
  for (const receipt of receipts) {
    if (!known.has(receipt.id)) found.push(`a callback arrived that is not on record (${receipt.id})`)
    else if (known.get(receipt.id)?.body !== receipt.body) found.push(`a callback arrived with another body than its record (${receipt.id})`)
  }
  for (const { id, state } of rows) {
    if (!arrivals.has(id)) found.push(`a callback never arrived (${id}, ${state})`)
    else if (state === 'delivered' && accepted(id) < 0) found.push(`a callback counts as delivered and was never accepted (${id})`)
    else if (state !== 'delivered') found.push(`a callback is ${state} at the end (${id})`)
  }
  const first = new Map<string, number>()
  receipts.forEach(({ id }, index) => void (first.has(id) || first.set(id, index)))
  for (const [key, chain] of Map.groupBy(rows, (row) => row.order_key)) {
    const early = chain.find(({ id }, index) => index > 0 && (first.get(id) ?? Number.POSITIVE_INFINITY) < accepted(chain[index - 1]?.id ?? ''))
    if (early) found.push(`a callback arrived before the earlier one of its leg was accepted (${key})`)
  }
  return found
}

const isAccepted = ({ status }: Receipt): boolean => status !== null && status >= 200 && status < 300

/** What was on record in the end. */
export interface Counts {
  readonly calls: number
  readonly cutOff: number
  readonly legs: number
  readonly answered: number
  readonly supervisors: number
  readonly callbacks: number
  readonly charges: number
}

export async function countRecords(sql: Sql): Promise<Counts> {
  const [row] = await sql.query<Counts>(`
    select (select count(*)::integer from call) as calls, (select count(*)::integer from call where outcome = 'failed') as "cutOff",
      (select count(*)::integer from leg) as legs, (select count(*)::integer from leg where answered_at is not null) as answered,
      (select count(*)::integer from leg where origin = 'monitor') as supervisors, (select count(*)::integer from callback) as callbacks,
      (select count(*)::integer from charge) as charges`)
  if (!row) throw new Error('PostgreSQL counts nothing')
  return row
}
