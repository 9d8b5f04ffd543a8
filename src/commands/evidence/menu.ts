/** `earshot audit` and `earshot purge` as flags and help; what does the work is imported when one of them runs. */
import { type Command, InvalidArgumentError } from 'commander'
import type { Desk } from '../desk.ts'
import type { RecordOptions } from '../opening.ts'
import type { AuditExportOptions, AuditListOptions, AuditVerifyOptions } from './audit.ts'
import type { PurgeCommandOptions, PurgeKind } from './purge.ts'

const DEFAULT_CONFIG = 'earshot.yaml'
const MOST = 1000
const DEFAULT_LIMIT = 20
const HOUR_MS = 3_600_000
/** What `PURGE_KINDS` is, which is not imported for the sake of a help text. */
const KINDS: readonly PurgeKind[] = ['calls', 'audit', 'callbacks', 'recordings']

const AUDIT_HELP = `
Every interval in which a supervisor listened, whispered or barged is one entry: by which API key, which call, from when to when, who could
hear whom, which notice policy held and when tones sounded. Each entry holds the hash of the one before it; docs/evidence.md has the format.

Examples:
  $ earshot audit verify                                is every chain as it was written? exit code 1 if not
  $ earshot audit head                                  note this elsewhere, e.g. in a mail to yourself; then one day:
  $ earshot audit verify --account acme --head HASH     nothing up to there was cut off or made anew
  $ earshot audit list --call CALL --full               who monitored this call
  $ earshot audit export --csv --full --since 2026-11-01 >november.csv`

const VERIFY_HELP = `
Works beside a running server. On a broken chain the first entry that is wrong is named, and how: altered, missing, reordered, truncated,
personal-altered, personal-missing, head-altered, head-missing, head-unknown.
A chain alone cannot show that its newest entries were cut off together with its head, or that all of it was made anew: for that note a head
elsewhere (audit head; the server also writes the heads into its log when it ends) and give it with --head.`

const PURGE_HELP = `
What goes: numbers, custom fields and callback addresses of calls that ended (with their callbacks and recordings), numbers and names in the audit
log, delivered and parked callbacks, recordings. What stays: that a call was, when, how long, what it cost; every audit entry, without
numbers and names, in a chain that still verifies. Live calls, and calls that still owe a callback, are not touched.
Every purge is an entry of the audit log. It can be broken off; the next one goes on. Backups are yours to delete.

Examples:
  $ earshot purge --older-than 90d --dry-run            says what would go
  $ earshot purge --older-than 90d --yes                deletes it
  $ earshot purge --yes                                 as the retention section of the configuration says (a running server does it every hour)
  $ earshot purge --older-than 30d --only callbacks,recordings --account acme --yes`

/** Adds `audit` and `purge`; each says its exit code to `done`. */
export function addEvidenceCommands(earshot: Command, desk: Desk, done: (code: number) => void): void {
  const add = (parent: Command, name: string, description: string): Command =>
    parent
      .command(name)
      .description(description)
      .option('-c, --config <file>', 'configuration', DEFAULT_CONFIG)
      .option('--json', 'one JSON document on stdout, for programs', false)
      .option('--account <sid>', 'only of this account')
  const work = () => import('./audit.ts')
  const audit = earshot.command('audit').description('who monitored whom: the audit log, read and verified').addHelpText('after', AUDIT_HELP)
  add(audit, 'verify', 'check that the log is as it was written')
    .option('--head <hash>', 'a head that was noted earlier: it must still be in the chain')
    .addHelpText('after', VERIFY_HELP)
    .action(async (options: AuditVerifyOptions) => done(await (await work()).auditVerify(desk, options)))
  add(audit, 'head', 'the newest hash of each chain, to be noted elsewhere').action(async (options: RecordOptions) =>
    done(await (await work()).auditHead(desk, options)),
  )
  add(audit, 'list', 'the newest entries first')
    .option('--call <sid>', 'only about this call')
    .option('-n, --limit <count>', `so many at most, 1 to ${MOST}`, count, DEFAULT_LIMIT)
    .option('--full', 'numbers and names in full', false)
    .action(async (options: AuditListOptions) => done(await (await work()).auditList(desk, options)))
  add(audit, 'export', 'all entries, oldest first, one a line')
    .option('--csv', 'for a spreadsheet', false)
    .option('--jsonl', 'with all that the hashes are made of', false)
    .option('--since <time>', 'recorded then or later, e.g. 2026-11-01 or 2026-11-01T00:00:00+05:30')
    .option('--until <time>', 'recorded before')
    .option('--full', 'numbers and names in full', false)
    .action(async (options: AuditExportOptions) => done(await (await work()).auditExport(desk, options)))
  add(earshot, 'purge', 'delete personal data that is past its time')
    .option('--older-than <age>', 'days or hours, e.g. 90d or 36h; default: the retention section of the configuration', age)
    .option('--only <kinds>', `some of ${KINDS.join(',')}`, kinds, KINDS)
    .option('--dry-run', 'only say what would go', false)
    .option('--yes', 'delete it; there is no way back', false)
    .addHelpText('after', PURGE_HELP)
    .action(async (options: PurgeCommandOptions) => done(await (await import('./purge.ts')).purge(desk, options)))
}

function count(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < 1 || value > MOST) throw new InvalidArgumentError(`write a number from 1 to ${MOST}.`)
  return value
}

function age(text: string): number {
  const [, number = '', unit] = /^(\d{1,5})([dh])$/.exec(text) ?? []
  if (number === '' || Number(number) === 0) throw new InvalidArgumentError('write a number of days or hours, e.g. 90d or 36h.')
  return Number(number) * HOUR_MS * (unit === 'd' ? 24 : 1)
}

function kinds(text: string): readonly PurgeKind[] {
  const wanted = text.split(',').map((kind) => kind.trim())
  const unknown = wanted.find((kind) => !KINDS.some((known) => known === kind))
  if (unknown !== undefined) throw new InvalidArgumentError(`write some of ${KINDS.join(',')}.`)
  return KINDS.filter((kind) => wanted.includes(kind))
}
