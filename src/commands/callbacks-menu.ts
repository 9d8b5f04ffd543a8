/** `earshot callbacks …` and `earshot secrets …` as flags and help; what does the work is imported when one of them runs. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { CallbackListOptions, ReplayOptions, RotateOptions, SecretOptions } from './callbacks.ts'
import type { Desk } from './desk.ts'
import { type Add, count, DATABASE_HELP, DEFAULT_LIMIT, MOST } from './flags.ts'
import type { RecordOptions } from './opening.ts'

/** As the API has them. */
const DEFAULT_KEEP_HOURS = 24
const MAX_KEEP_HOURS = 720

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

/** Adds `callbacks` and `secrets`; each says its exit code to `done`. */
export function addCallbackCommands(earshot: Command, add: Add, desk: Desk, done: (code: number) => void): void {
  const ofCallbacks = () => import('./callbacks.ts')
  const callbacks = earshot.command('callbacks').description('callbacks: what is parked or waits, and once more').addHelpText('after', CALLBACKS_HELP)
  const filtered = (command: Command): Command =>
    command
      .option('--account <sid>', 'only of this account')
      .option('--receiver <origin>', 'only those to this address, e.g. https://example.com:8443')
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
}

function keepHours(text: string): number {
  const value = Number(text)
  if (!/^\d{1,3}$/.test(text) || value > MAX_KEEP_HOURS) throw new InvalidArgumentError(`write a number from 0 to ${MAX_KEEP_HOURS}.`)
  return value
}
