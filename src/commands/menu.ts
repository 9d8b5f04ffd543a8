/** The operator's commands as flags and help; what does the work is imported when one of them runs. */
import type { Command } from 'commander'
import { addKeyCommands } from './access/menu.ts'
import { addAccountCommands } from './account/menu.ts'
import type { BackupOptions, RestoreOptions } from './backup.ts'
import type { Desk } from './desk.ts'
import { addCallbackCommands } from './callbacks-menu.ts'
import { addMoneyCommands } from './ledger/menu.ts'
import { count, DATABASE_HELP, DEFAULT_LIMIT, MOST } from './flags.ts'
import type { RecordOptions } from './opening.ts'
import type { CallListOptions } from './records.ts'

const DEFAULT_CONFIG = 'earshot.yaml'
const DOCTOR_HELP = `
Looks at: configuration, ports, advertised address, open files, clock, data, database, recordings, trunks (an OPTIONS request to each),
callback addresses, what may be dialled. Nothing is changed; a port that a running Earshot holds is in order.
Exit code 0 when there is no problem (warnings are none), else 1.

Examples:
  $ earshot doctor --config /etc/earshot.yaml
  $ earshot doctor --json | jq -r '.checks[] | select(.state != "ok") | .change'`

const BACKUP_HELP = `
All records in one file, as they are at one moment; a running server goes on meanwhile. The file holds numbers and secrets in full.

Examples:
  $ earshot backup --to /backup/earshot-$(date +%F).gz
  $ earshot restore --from /backup/earshot-2026-11-26.gz --config new.yaml`

const RESTORE_HELP = `
Into an empty database only, all of it or nothing. The file may come from the embedded database or from a PostgreSQL server, whichever
this one is; it must have been made by the same version of Earshot. Calls that were live are closed as failed by the next start.`

const CALLS_HELP = `
Examples:
  $ earshot calls list --live                     what goes on now
  $ earshot calls list --limit 100 --json --full  the newest hundred, for a program
  $ earshot calls show CALL                       one call and its legs`

/** Adds `doctor`, `calls`, `accounts`, `callbacks`, `secrets`, `keys`, `usage`, `balance`, `backup`, `restore` and `migrate`; each says its exit code to `done`. */
export function addOperatorCommands(earshot: Command, desk: Desk, done: (code: number) => void): void {
  const add = (parent: Command, name: string, description: string): Command =>
    parent
      .command(name)
      .description(description)
      .option('-c, --config <file>', 'configuration', DEFAULT_CONFIG)
      .option('--json', 'one JSON document on stdout, for programs', false)
  add(earshot, 'doctor', 'look for what keeps a server from working, and say what to change')
    .addHelpText('after', DOCTOR_HELP)
    .action(async (options: RecordOptions) => done(await (await import('./doctor/doctor.ts')).doctor(desk, options)))
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

  addAccountCommands(earshot, add, desk, done)
  addCallbackCommands(earshot, add, desk, done)
  addKeyCommands(earshot, add, desk, done)
  const backups = () => import('./backup.ts')
  add(earshot, 'backup', 'write all records into a file')
    .requiredOption('--to <file>', 'a file that is not there yet')
    .addHelpText('after', BACKUP_HELP)
    .action(async (options: BackupOptions) => done(await (await backups()).backup(desk, options)))
  add(earshot, 'restore', 'fill an empty database from such a file')
    .requiredOption('--from <file>', 'a file that earshot backup has written')
    .addHelpText('after', RESTORE_HELP)
    .action(async (options: RestoreOptions) => done(await (await backups()).restore(desk, options)))

  addMoneyCommands(earshot, add, desk, done)

  add(earshot, 'migrate', 'bring the tables of the database up to date, as every start does')
    .addHelpText('after', '\nExample, before a new version is started:\n  $ earshot migrate --config /etc/earshot.yaml')
    .action(async (options: RecordOptions) => done(await (await records()).migrate(desk, options)))
}
