/** The operator's commands as flags and help; what does the work is imported when one of them runs. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Desk } from './desk.ts'
import type { CallbackListOptions, ReplayOptions, RotateOptions, SecretOptions } from './callbacks.ts'
import type { RecordOptions } from './opening.ts'
import type { CallListOptions } from './records.ts'

const DEFAULT_CONFIG = 'earshot.yaml'
/** What `MAX_LISTED` is, which is not imported for the sake of a help text. */
const MOST = 100
const DEFAULT_LIMIT = 20
/** As the API has them. */
const DEFAULT_KEEP_HOURS = 24
const MAX_KEEP_HOURS = 720

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
  $ earshot callbacks receivers                                   which receivers are down and left alone
  $ earshot callbacks show CALLBACK --full                        the whole address, and the body
  $ earshot callbacks replay CALLBACK …                           once more from the beginning of the schedule
  $ earshot callbacks replay --all --receiver https://example.com all that this receiver has missed`

const RECEIVERS_HELP = `
A receiver that cannot be reached, does not answer in time or answers 5xx five times in a row is left alone: for 5 s at first, twice as
long after each attempt that fails, 5 minutes at most. Its callbacks wait and lose no attempts; those to others are not delayed.
A replay asks a paused receiver at once.

Example:
  $ earshot callbacks receivers --json | jq -r '.receivers[].receiver'`

const SECRETS_HELP = `
A rotation makes a new secret. For a while callbacks carry two signatures, one by each secret, so that a receiver may change over when
it likes (Standard Webhooks). What the configuration names as callbackSecret is changed there, by writing [NEW, OLD].

Examples:
  $ earshot secrets show --account acme                    when it was made, and a fingerprint to compare: printf %s "$SECRET" | sha256sum
  $ earshot secrets rotate --account acme                  prints the new secret, this once; the old one signs as well for 24 hours
  $ earshot secrets rotate --account acme --keep-hours 0   the old one has leaked: it ends now`

/** Adds `doctor`, `calls`, `callbacks`, `secrets` and `migrate`; each says its exit code to `done`. */
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
  const ofCallbacks = () => import('./callbacks.ts')

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
    command.option('--account <sid>', 'only of this account').option('--receiver <origin>', 'only those to this address, e.g. https://example.com:8443')
  filtered(add(callbacks, 'list', 'callbacks of one state, the newest first'))
    .addOption(new Option('--state <state>', 'which').choices(['parked', 'pending', 'delivered', 'all']).default('parked'))
    .option('-n, --limit <count>', `so many at most, 1 to ${MOST}`, count, DEFAULT_LIMIT)
    .option('--call <sid>', 'only of this call and its legs')
    .option('--full', 'whole addresses', false)
    .addHelpText('after', DATABASE_HELP)
    .action(async (options: CallbackListOptions) => done(await (await ofCallbacks()).callbacksList(desk, options)))
  add(callbacks, 'show', 'one callback')
    .argument('<callback>', 'its id, which receivers get as webhook-id')
    .option('--full', 'whole addresses, and the body', false)
    .addHelpText('after', DATABASE_HELP)
    .action(async (id: string, options: RecordOptions & { full: boolean }) => done(await (await ofCallbacks()).callbacksShow(desk, id, options)))
  filtered(add(callbacks, 'replay', 'send parked callbacks again, from the beginning of their schedule'))
    .argument('[callbacks...]', 'ids')
    .option('--all', 'every parked one', false)
    .addHelpText('after', CALLBACKS_HELP)
    .action(async (ids: string[], options: ReplayOptions) => done(await (await ofCallbacks()).callbacksReplay(desk, ids, options)))
  add(callbacks, 'receivers', 'receivers that are down, and left alone for a while')
    .addHelpText('after', RECEIVERS_HELP)
    .action(async (options: RecordOptions) => done(await (await ofCallbacks()).callbacksReceivers(desk, options)))

  const secrets = earshot.command('secrets').description('the secrets that sign callbacks').addHelpText('after', SECRETS_HELP)
  add(secrets, 'show', 'when it was made and how to know it, but not the secret')
    .requiredOption('--account <sid>', 'whose')
    .addHelpText('after', SECRETS_HELP)
    .action(async (options: SecretOptions) => done(await (await ofCallbacks()).secretsShow(desk, options)))
  add(secrets, 'rotate', 'make a new secret, and print it this once')
    .requiredOption('--account <sid>', 'whose')
    .option('--keep-hours <hours>', 'for how long the old one signs as well, 0 to 720', keepHours, DEFAULT_KEEP_HOURS)
    .addHelpText('after', SECRETS_HELP)
    .action(async (options: RotateOptions) => done(await (await ofCallbacks()).secretsRotate(desk, options)))

  add(earshot, 'migrate', 'bring the tables of the database up to date, as every start does')
    .addHelpText('after', '\nExample, before a new version is started:\n  $ earshot migrate --config /etc/earshot.yaml')
    .action(async (options: RecordOptions) => done(await (await records()).migrate(desk, options)))
}

function keepHours(text: string): number {
  const value = Number(text)
  if (!/^\d{1,3}$/.test(text) || value > MAX_KEEP_HOURS) throw new InvalidArgumentError(`write a number from 0 to ${MAX_KEEP_HOURS}.`)
  return value
}

function count(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < 1 || value > MOST) throw new InvalidArgumentError(`write a number from 1 to ${MOST}.`)
  return value
}
