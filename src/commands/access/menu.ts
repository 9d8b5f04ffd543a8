/** `earshot keys …` as flags and help; what does the work is imported when one of them runs. */
import { type Command, InvalidArgumentError } from 'commander'
import { MAX_GRACE_MS } from '../../domain/account/keys.ts'
import { SCOPES } from '../../domain/account/rights.ts'
import type { Desk } from '../desk.ts'
import type { Add } from '../flags.ts'
import type { RecordOptions } from '../opening.ts'
import type { KeyCreateOptions, KeyListOptions, KeyRotateOptions } from './keys.ts'

const NAME_MAX_CHARS = 64
const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 24 * 3_600_000 }
const DURATION = /^(\d{1,6})([smhd])$/
const MOMENT = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d))?$/

const KEYS_HELP = `
A key is the user of HTTP Basic, its token the password. A token is said once, when it is made; only its hash is kept.
Scopes, each worth what it says alone: ${SCOPES.join(', ')}; or all.
Keys in the configuration file work as well; they are changed there.

Examples:
  $ earshot keys create --scope calls.read --scope monitor.listen --name "wall board"
  $ earshot keys create --account acme --scope all --agent priya --expires 90d   only calls in which priya takes part
  $ earshot keys list                                                            also those that were revoked
  $ earshot keys rotate KEY --grace 1d                                           a new token; the old one works for a day more
  $ earshot keys revoke KEY                                                      at once, also in a server that runs`

/** Adds `keys`; each command says its exit code to `done`. */
export function addKeyCommands(earshot: Command, add: Add, desk: Desk, done: (code: number) => void): void {
  const work = () => import('./keys.ts')
  const keys = earshot.command('keys').alias('key').description('API keys: make, list, rotate, revoke').addHelpText('after', KEYS_HELP)
  add(keys, 'create', 'make a key, and say its token')
    .option('--account <sid>', 'whose it is; may be left out when there is one account')
    .option('--scope <scope>', 'what it may do, once for each, or all', scope)
    .option('--agent <name>', 'only calls in which this phone takes part, once for each (default: all calls)', repeated)
    .option('--name <text>', 'what people call it', keyName, '')
    .option('--expires <when>', 'in 12h, 90d, …, or at 2027-01-31, 2027-01-31T18:00:00Z (default: never)', expiry)
    .addHelpText('after', KEYS_HELP)
    .action(async (options: Partial<Lists> & Omit<KeyCreateOptions, keyof Lists>) => {
      done(await (await work()).keysCreate(desk, { scope: [], agent: [], ...options }))
    })
  add(keys, 'list', 'all keys, those of the configuration first')
    .option('--account <sid>', 'only of this account')
    .option('--full', 'names in full', false)
    .addHelpText('after', KEYS_HELP)
    .action(async (options: KeyListOptions) => done(await (await work()).keysList(desk, options)))
  add(keys, 'rotate', 'give a key another token, and say it')
    .argument('<key>', 'its name, ek_…')
    .option('--grace <time>', 'so long the present token still works: 30s, 15m, 12h, up to 7d', grace, 0)
    .addHelpText('after', KEYS_HELP)
    .action(async (id: string, { grace: graceMs, ...options }: RecordOptions & { grace: number }) => {
      const rotation: KeyRotateOptions = { ...options, graceMs }
      done(await (await work()).keysRotate(desk, id, rotation))
    })
  add(keys, 'revoke', 'end a key, for good')
    .argument('<key>', 'its name, ek_…')
    .addHelpText('after', KEYS_HELP)
    .action(async (id: string, options: RecordOptions) => done(await (await work()).keysRevoke(desk, id, options)))
}

/** Options that may be given more than once. */
type Lists = Pick<KeyCreateOptions, 'scope' | 'agent'>

const repeated = (value: string, before: readonly string[] = []): readonly string[] => [...before, value]

function scope(value: string, before: readonly string[] = []): readonly string[] {
  const words = value.split(',').map((word) => word.trim())
  if (words.some((word) => word !== 'all' && !SCOPES.some((known) => known === word)))
    throw new InvalidArgumentError(`write all, or some of ${SCOPES.join(', ')}.`)
  return [...before, ...words]
}

function keyName(text: string): string {
  if ([...text].length > NAME_MAX_CHARS || /[\u0000-\u001f\u007f-\u009f]/.test(text))
    throw new InvalidArgumentError(`write at most ${NAME_MAX_CHARS} characters, on one line.`)
  return text
}

function durationMs(text: string): number | null {
  const [, count, unit = ''] = DURATION.exec(text) ?? []
  return count === undefined ? null : Number(count) * (UNIT_MS[unit] ?? 0)
}

function expiry(text: string): KeyCreateOptions['expires'] {
  const inMs = durationMs(text)
  if (inMs !== null) return { inMs }
  const at = MOMENT.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(at)) throw new InvalidArgumentError('write e.g. 90d, 12h, 2027-01-31 or 2027-01-31T18:00:00Z.')
  return { at }
}

function grace(text: string): number {
  const ms = durationMs(text) ?? Number.POSITIVE_INFINITY
  if (ms > MAX_GRACE_MS) throw new InvalidArgumentError('write e.g. 30s, 15m, 12h, at most 7d.')
  return ms
}
