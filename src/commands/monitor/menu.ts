/** `earshot monitor …` as flags and help; what does the work is imported when one of them runs. */
import { type Command, InvalidArgumentError } from 'commander'
import { MODES, type Mode } from '../../domain/leg.ts'
import type { JoinOptions, MonitorOptions, ShownOptions } from './monitor.ts'
import type { Terminal } from './server-access.ts'
import type { WatchOptions } from './watch.ts'

const DEFAULT_CONFIG = 'earshot.yaml'
const REASON = /^[A-Za-z0-9._:/#+-]{1,64}$/

const MONITOR_HELP = `
A supervisor's visit, over the HTTP API of a server that runs: their phone is rung, and what is in it changes when you say so.
  listen   they hear everybody, nobody hears them
  whisper  the target hears them as well, nobody else does
  barge    everybody hears them

Examples:
  $ earshot monitor calls                                       what lives now, its legs, and who monitors
  $ earshot monitor join CALL --phone client:boss               boss's phone rings; then listens
  $ earshot monitor mode CALL LEG whisper                       LEG as join said it
  $ earshot monitor hangup CALL LEG                             the supervisor leaves; the call goes on
  $ earshot monitor watch                                       live events, one on a line, until Ctrl-C`

const WHERE_HELP = `
Where: --url, else http.publicUrl or http.host and http.port of the configuration. As whom: --key and --token, else EARSHOT_KEY and
EARSHOT_TOKEN of the environment, else the account's first key in the configuration. With --url, --account, a key and a token no
configuration is needed, so this works from any machine. A token on the command line can be read by others on this machine (ps): use
EARSHOT_TOKEN instead.
Numbers and names are masked unless --full is given; --json prints what the server says as it is, in full.
Exit code 0; 1 when the server refuses, in its own words, or does not answer.`

type Done = (code: number) => void

/** Adds `monitor`; each command says its exit code to `done`. */
export function addMonitorCommands(earshot: Command, terminal: Terminal, done: Done): void {
  const work = () => import('./monitor.ts')
  const monitor = earshot
    .command('monitor')
    .description('join a live call as a supervisor, and see who hears whom')
    .addHelpText('after', MONITOR_HELP)
  const add = (name: string, description: string, jsonHelp = "the server's document as it is, for programs"): Command =>
    monitor
      .command(name)
      .description(description)
      .option('-c, --config <file>', 'configuration', DEFAULT_CONFIG)
      .option('--url <url>', 'where the server is, e.g. http://127.0.0.1:8080')
      .option('--account <sid>', 'whose calls; may be left out when the configuration has one account')
      .option('--key <key>', 'API key (default: EARSHOT_KEY)')
      .option('--token <token>', 'its token; shows in ps, so rather set EARSHOT_TOKEN')
      .option('--json', jsonHelp, false)
      .addHelpText('after', `${MONITOR_HELP}\n${WHERE_HELP}`)
  const call = 'Sid of the call (earshot monitor calls)'
  const leg = 'Sid of the leg'

  add('calls', 'what lives now: calls, their legs, who monitors, who is heard by whom')
    .option('--full', 'numbers and names in full', false)
    .action(async (options: ShownOptions) => done(await (await work()).monitorCalls(terminal, options)))
  add('join', 'ring a supervisor’s phone and let it into a call')
    .argument('<call>', call)
    .requiredOption('--phone <address>', 'client:NAME, a number, or sip:user@host')
    .option('--mode <mode>', MODES.join(', '), mode, 'listen')
    .option('--target <leg>', 'whom a whisper reaches (default: the agent)')
    .option('--reason <code>', 'why, for the audit log: letters, digits and . _ : / # + -', reason)
    .option('--full', 'numbers and names in full', false)
    .action(async (id: string, options: JoinOptions) => done(await (await work()).monitorJoin(terminal, id, options)))
  add('mode', 'change how a supervisor takes part')
    .argument('<call>', call)
    .argument('<leg>', leg)
    .argument('<mode>', MODES.join(', '), mode)
    .option('--reason <code>', 'why, for the audit log', reason)
    .action(async (id: string, legId: string, to: Mode, options: MonitorOptions & { reason?: string }) =>
      done(await (await work()).monitorMode(terminal, { call: id, leg: legId, mode: to }, options)),
    )
  add('hangup', 'let a leg go: a supervisor leaves; a party of two ends the call')
    .argument('<call>', call)
    .argument('<leg>', leg)
    .action(async (id: string, legId: string, options: MonitorOptions) =>
      done(await (await work()).monitorHangup(terminal, { call: id, leg: legId }, options)),
    )
  add('watch', 'live events until Ctrl-C; goes on where it was when the connection is lost', 'each event as one JSON line, {"id","event","data"}')
    .option('--call <call>', 'only of this call')
    .option('--full', 'numbers and names in full', false)
    .action(async (options: WatchOptions) => done(await (await import('./watch.ts')).monitorWatch(terminal, options)))
}

function mode(text: string): Mode {
  const found = MODES.find((each) => each === text.toLowerCase())
  if (found === undefined) throw new InvalidArgumentError(`write ${MODES.join(', ')}.`)
  return found
}

function reason(text: string): string {
  if (!REASON.test(text)) throw new InvalidArgumentError('write up to 64 letters, digits and . _ : / # + -, e.g. complaint-4711.')
  return text
}
