/** `earshot accounts …` as flags and help; what does the work is imported when one of them runs. */
import type { Command } from 'commander'
import type { Desk } from '../desk.ts'
import { type Add, DATABASE_HELP } from '../flags.ts'
import type { ShowOptions } from '../opening.ts'

const ACCOUNTS_HELP = `
An account is a tenant: its phones, numbers and keys, whether its calls may be monitored, what it may dial, what that costs. Accounts are
kept in the configuration file; a change takes effect at the next start. Here they are shown together with what the database knows of them.

Examples:
  $ earshot accounts list                        every account on a line: who may monitor, what is live, what is left
  $ earshot accounts show acme                   all of it: numbers, phones, keys, notice, plan, limits, balance
  $ earshot accounts show acme --full            numbers and names in full
  $ earshot accounts list --json | jq -r '.accounts[] | select(.monitoring.possible | not) | .account'
To change them: edit the file, then earshot check; for keys earshot keys, for money earshot balance.`

/** Adds `accounts`; each command says its exit code to `done`. */
export function addAccountCommands(earshot: Command, add: Add, desk: Desk, done: (code: number) => void): void {
  const work = () => import('./accounts.ts')
  const accounts = earshot.command('accounts').alias('account').description('the accounts and how they stand').addHelpText('after', ACCOUNTS_HELP)
  add(accounts, 'list', 'every account of the configuration')
    .addHelpText('after', `${ACCOUNTS_HELP}\n${DATABASE_HELP}`)
    .action(async (options: Omit<ShowOptions, 'full'>) => done(await (await work()).accountsList(desk, options)))
  add(accounts, 'show', 'one account, all of it')
    .argument('<sid>', 'its sid, as in the configuration')
    .option('--full', 'numbers and names in full', false)
    .addHelpText('after', `${ACCOUNTS_HELP}\n${DATABASE_HELP}`)
    .action(async (sid: string, options: ShowOptions) => done(await (await work()).accountsShow(desk, sid, options)))
}
