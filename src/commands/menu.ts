/** The operator's commands as flags and help; what does the work is imported when one of them runs. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Desk } from './desk.ts'
import type { BalanceAddOptions, BalanceOptions, UsageOptions } from './ledger.ts'
import type { CallbackListOptions, CallListOptions, RecordOptions, ReplayOptions } from './records.ts'

const DEFAULT_CONFIG = 'earshot.yaml'
/** What `MAX_LISTED` is, which is not imported for the sake of a help text. */
const MOST = 100
const DEFAULT_LIMIT = 20

const DATABASE_HELP = `
It works beside a running server and without one: then an embedded database is started for as long as it takes.
Numbers, names and addresses are masked (+91*****210, https://host) unless --full is given.
Exit code 0; 1 when something is wrong or not found, in one line on stderr that says what to change.`

const DOCTOR_HELP = `
Looks at: configuration, ports, advertised address, open files, clock, data, database, trunks (an OPTIONS request to each),
callback addresses, what may be dialled. Nothing is changed; a port that a running Earshot holds is in order.
Exit code 0 when there is no problem (warnings are none), else 1.

Examples:
  $ earshot doctor --config /etc/earshot.yaml
  $ earshot doctor --json | jq -r '.checks[] | select(.state != "ok") | .change'`

const CALLS_HELP = `
Examples:
  $ earshot calls list --live                     what goes on now
  $ earshot calls list --limit 100 --json --full  the newest hundred, for a program
  $ earshot calls show CALL                       one call and its legs`

const CALLBACKS_HELP = `
A callback that nobody accepted is parked: kept, and not tried again until it is replayed.

Examples:
  $ earshot callbacks list                                        what is parked
  $ earshot callbacks list --state pending                        what waits for its next attempt
  $ earshot callbacks show CALLBACK --full                        the whole address, and the body
  $ earshot callbacks replay CALLBACK …                           once more from the beginning of the schedule
  $ earshot callbacks replay --all --receiver https://example.com all that this receiver has missed`

const USAGE_HELP = `
Answered legs that have ended, by the account's days; supervisors' legs always have rows of their own. Amounts are exact decimals.
A leg is charged on the day of its end, by whole seconds rounded up to the pulse of its plan, one pulse at least.

Examples:
  $ earshot usage --account acme                                                   the last 31 days, day by day
  $ earshot usage --account acme --from 2026-11-01 --to 2026-11-30 --by origin
  $ earshot usage --account acme --by day,origin,supervisor --csv >usage.csv       for a spreadsheet; --full shows supervisors' numbers`

const BALANCE_HELP = `
A prepaid account (prepaid: true in its plan) dials nothing without a balance, and its calls end when it is used up down to the floor.
Every change is kept for ever, with its reason; a running server knows of it at once.

Examples:
  $ earshot balance show --account acme
  $ earshot balance add --account acme --amount 500 --note "transfer of 26 November"
  $ earshot balance add --account acme --amount=-12.50 --note "corrects the transfer" --key correction-17    with a key: once, however often`

/** Adds `doctor`, `calls`, `callbacks`, `usage`, `balance` and `migrate`; each says its exit code to `done`. */
export function addOperatorCommands(earshot: Command, desk: Desk, done: (code: number) => void): void {
  const add = (parent: Command, name: string, description: string): Command =>
    parent
      .command(name)
      .description(description)
      .option('-c, --config <file>', 'configuration', DEFAULT_CONFIG)
      .option('--json', 'one JSON document on stdout, for programs', false)
  add(earshot, 'doctor', 'look for what keeps a server from working, and say what to change')
    .addHelpText('after', DOCTOR_HELP)
    .action(async (options: RecordOptions) => done(await (await import('./doctor.ts')).doctor(desk, options)))
  const records = () => import('./records.ts')

  const calls = earshot.command('calls').description('calls on record, live ones included').addHelpText('after', CALLS_HELP)
  add(calls, 'list', 'the newest calls first')
    .option('--live', 'only calls that have not ended', false)
    .option('-n, --limit <count>', `so many at most, 1 to ${MOST}`, count, DEFAULT_LIMIT)
    .option('--account <sid>', 'only of this account')
    .option('--full', 'numbers and names in full', false)
    .addHelpText('after', DATABASE_HELP)
    .action(async (options: CallListOptions) => done(await (await records()).callsList(desk, options)))
  add(calls, 'show', 'one call with its legs')
    .argument('<call>', 'its Sid')
    .option('--full', 'numbers and names in full', false)
    .addHelpText('after', DATABASE_HELP)
    .action(async (id: string, options: RecordOptions & { full: boolean }) => done(await (await records()).callsShow(desk, id, options)))

  const callbacks = earshot.command('callbacks').description('callbacks: what is parked or waits, and once more').addHelpText('after', CALLBACKS_HELP)
  const filtered = (command: Command): Command =>
    command
      .option('--account <sid>', 'only of this account')
      .option('--receiver <origin>', 'only those to this address, e.g. https://example.com:8443')
  filtered(add(callbacks, 'list', 'callbacks of one state, the newest first'))
    .addOption(new Option('--state <state>', 'which').choices(['parked', 'pending', 'delivered', 'all']).default('parked'))
    .option('-n, --limit <count>', `so many at most, 1 to ${MOST}`, count, DEFAULT_LIMIT)
    .option('--full', 'whole addresses', false)
    .addHelpText('after', DATABASE_HELP)
    .action(async (options: CallbackListOptions) => done(await (await records()).callbacksList(desk, options)))
  add(callbacks, 'show', 'one callback')
    .argument('<callback>', 'its id, which receivers get as webhook-id')
    .option('--full', 'whole addresses, and the body', false)
    .addHelpText('after', DATABASE_HELP)
    .action(async (id: string, options: RecordOptions & { full: boolean }) => done(await (await records()).callbacksShow(desk, id, options)))
  filtered(add(callbacks, 'replay', 'send parked callbacks again, from the beginning of their schedule'))
    .argument('[callbacks...]', 'ids')
    .option('--all', 'every parked one', false)
    .addHelpText('after', CALLBACKS_HELP)
    .action(async (ids: string[], options: ReplayOptions) => done(await (await records()).callbacksReplay(desk, ids, options)))

  addMoneyCommands(earshot, add, desk, done)

  add(earshot, 'migrate', 'bring the tables of the database up to date, as every start does')
    .addHelpText('after', '\nExample, before a new version is started:\n  $ earshot migrate --config /etc/earshot.yaml')
    .action(async (options: RecordOptions) => done(await (await records()).migrate(desk, options)))
}

function addMoneyCommands(
  earshot: Command,
  add: (parent: Command, name: string, description: string) => Command,
  desk: Desk,
  done: (code: number) => void,
): void {
  const money = () => import('./ledger.ts')
  add(earshot, 'usage', 'what an account has used: legs, seconds, pulses, amount')
    .requiredOption('--account <sid>', 'whose')
    .option('--from <day>', 'first day, YYYY-MM-DD (default: 30 days before the last one)')
    .option('--to <day>', 'last day (default: today)')
    .option('--by <what>', 'day, origin, supervisor, between commas', 'day')
    .option('--csv', 'comma-separated values on stdout', false)
    .option('--full', 'supervisors’ numbers in full', false)
    .addHelpText('after', USAGE_HELP)
    .action(async (options: UsageOptions) => done(await (await money()).usage(desk, options)))

  const balance = earshot.command('balance').description('what an account has, and what is paid in').addHelpText('after', BALANCE_HELP)
  add(balance, 'show', 'the balance, and the last changes by hand')
    .requiredOption('--account <sid>', 'whose')
    .action(async (options: BalanceOptions) => done(await (await money()).balanceShow(desk, options)))
  add(balance, 'add', 'pay in, or with a minus take away')
    .requiredOption('--account <sid>', 'whose')
    .requiredOption('--amount <decimal>', 'how much, e.g. 500 or, with an equals sign, =-12.50')
    .requiredOption('--note <text>', 'why')
    .option('--key <text>', 'does it once, however often this is run with the same key')
    .addHelpText('after', BALANCE_HELP)
    .action(async (options: BalanceAddOptions) => done(await (await money()).balanceAdd(desk, options)))
}

function count(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < 1 || value > MOST) throw new InvalidArgumentError(`write a number from 1 to ${MOST}.`)
  return value
}
