/** `earshot usage` and `earshot balance …` as flags and help; what does the work is imported when one of them runs. */
import type { Command } from 'commander'
import type { Desk } from '../desk.ts'
import type { Add } from '../flags.ts'
import type { BalanceAddOptions, BalanceOptions, UsageOptions } from './ledger.ts'

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

/** Adds `usage` and `balance`; each says its exit code to `done`. */
export function addMoneyCommands(earshot: Command, add: Add, desk: Desk, done: (code: number) => void): void {
  const money = () => import('./ledger.ts')
  add(earshot, 'usage', 'what an account has used: legs, seconds, pulses, amount')
    .option('--account <sid>', 'whose (default: the only one there is)')
    .option('--from <day>', 'first day, YYYY-MM-DD (default: 30 days before the last one)')
    .option('--to <day>', 'last day (default: today)')
    .option('--by <what>', 'day, origin, supervisor, between commas', 'day')
    .option('--csv', 'comma-separated values on stdout', false)
    .option('--full', 'supervisors’ numbers in full', false)
    .addHelpText('after', USAGE_HELP)
    .action(async (options: UsageOptions) => done(await (await money()).usage(desk, options)))

  const balance = earshot.command('balance').description('what an account has, and what is paid in').addHelpText('after', BALANCE_HELP)
  add(balance, 'show', 'the balance, and the last changes by hand')
    .option('--account <sid>', 'whose (default: the only one there is)')
    .action(async (options: BalanceOptions) => done(await (await money()).balanceShow(desk, options)))
  add(balance, 'add', 'pay in, or with a minus take away')
    .option('--account <sid>', 'whose (default: the only one there is)')
    .requiredOption('--amount <decimal>', 'how much, e.g. 500 or, with an equals sign, =-12.50')
    .requiredOption('--note <text>', 'why')
    .option('--key <text>', 'does it once, however often this is run with the same key')
    .addHelpText('after', BALANCE_HELP)
    .action(async (options: BalanceAddOptions) => done(await (await money()).balanceAdd(desk, options)))
}
