/**
 * The commands. Each turns flags into options and answers with an exit code; what is heavy is imported inside the
 * command that needs it.
 */
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { blamesServer, causes, errorField as field, messageOf } from './commands/desk.ts'
import { addEvidenceCommands } from './commands/evidence/menu.ts'
import { addOperatorCommands } from './commands/menu.ts'
import { addMonitorCommands } from './commands/monitor/menu.ts'
import { version } from './commands/version.ts'
import type { Config } from './config.ts'
import type { DemoOptions } from './demo.ts'
import type { Log } from './log.ts'
import type { House } from './main.ts'

/** All that the commands touch outside of themselves. */
export interface World {
  readonly out: (line: string) => void
  readonly err: (line: string) => void
  readonly pid: number
  /** Calls back at every SIGINT and SIGTERM until the returned function is called. */
  readonly onSignal: (listener: (signal: string) => void) => () => void
  /** Calls back when nobody reads stdout any more, as behind `| head`. */
  readonly onUnread?: (listener: () => void) => void
  /** What nobody caught: the process cannot be trusted any more. */
  readonly onCrash: (listener: (error: unknown) => void) => void
  /** Ends the process without waiting for anything. */
  readonly exitNow: (code: number) => void
  readonly now: () => number
  /** Resolves after `delayMs`; does not keep the process alive. */
  readonly wait: (delayMs: number) => Promise<void>
  readonly openLog: (level: Config['log']['level']) => Promise<Log>
  readonly startHouse: (config: Config, log: Log) => Promise<House>
  readonly runDemo: (options: DemoOptions) => Promise<number>
}

/** Draining takes at most this long; then the rest is left to the next start, which closes it truthfully. */
const DRAIN_LIMIT_MS = 30_000
/** One Ctrl-C reaches a process from the terminal and from its parents; that is not a second wish to leave. */
const SAME_SIGNAL_MS = 400
const DEFAULT_CONFIG = 'earshot.yaml'

/** Runs one command line. @returns The exit code: 0 done, 1 failed or not understood. Never throws for what a user did. */
export async function runCli(args: readonly string[], world: World): Promise<number> {
  const outcome = { code: 0 }
  try {
    await program(world, outcome).parseAsync([...args], { from: 'user' })
    return outcome.code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode
    throw error
  }
}

/** The world as it is. */
export function systemWorld(): World {
  // Whoever reads the output may leave; that is no reason to end calls.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  return {
    out: (line) => void process.stdout.write(`${line}\n`),
    err: (line) => void process.stderr.write(`${line}\n`),
    pid: process.pid,
    onSignal: (listener) => {
      process.on('SIGINT', listener).on('SIGTERM', listener)
      return () => void process.off('SIGINT', listener).off('SIGTERM', listener)
    },
    onUnread: (listener) => void process.stdout.once('error', listener),
    onCrash: (listener) => void process.on('uncaughtException', listener).on('unhandledRejection', listener),
    exitNow: (code) => process.exit(code),
    now: () => performance.now(),
    wait: (delayMs) => new Promise((resolve) => setTimeout(resolve, delayMs).unref()),
    openLog: async (level) => (await import('./log.ts')).openLog(level),
    startHouse: async (config, log) => (await import('./main.ts')).startHouse(config, log),
    runDemo: async (options) => (await import('./demo.ts')).runDemo(options),
  }
}

const HELP = `
First steps:
  $ earshot demo                              a real call on this machine, and a supervisor who joins it
  $ cp earshot.example.yaml earshot.yaml      then change sid, key, token and phones
  $ earshot check --config earshot.yaml       says all that is wrong, with lines
  $ earshot doctor --config earshot.yaml      says what would keep it from working here, and what to change
  $ earshot serve --config earshot.yaml       starts the server; Ctrl-C ends live calls cleanly

Day by day:
  $ earshot accounts list                     who may do what, what it costs, what is left; accounts show ACCOUNT tells all
  $ earshot calls list --live                 who talks, masked; also: calls show, and --json everywhere
  $ earshot monitor join CALL --phone client:boss     joins a live call; also: calls, mode, hangup, watch
  $ earshot keys create --scope all           a key and its token for the API; also: list, rotate, revoke
  $ earshot callbacks list                    what no receiver accepted; callbacks replay sends it again
  $ earshot secrets rotate --account acme     a new secret for signing callbacks, without a gap
  $ earshot audit verify                      who monitored whom, and that nobody has changed it; also: audit list, audit export

Any value of the configuration may be taken from the environment: token: \${EARSHOT_TOKEN}
Documentation: README.md (first call), docs/contract.md (the HTTP API), earshot.example.yaml (every key).`

const SERVE_HELP = `
The log goes to stderr: JSON lines, or plain lines on a terminal.
SIGTERM or Ctrl-C: no new calls, live ones end and their callbacks are sent, exit code 0. A second one: exit at once, code 1.
Exit code 1 also when the server cannot start; the line that it prints says what to change.

Example:
  $ EARSHOT_TOKEN=… earshot serve --config /etc/earshot.yaml 2>>earshot.log`

const CHECK_HELP = `
All that is wrong is said at once, each with its line and with what to write instead; notes are about what is allowed, but deserves a word.
Exit code 0 when the file is valid, with notes or without, else 1. earshot doctor looks at this machine as well.

Examples:
  $ earshot check --config /etc/earshot.yaml
  $ earshot check --json | jq -r '.problems[] | "\\(.line) \\(.path): \\(.text)"'     also .ok and .warnings`

function program(world: World, outcome: { code: number }): Command {
  const earshot = new Command('earshot')
    .description("Listen to, whisper into and barge into live phone calls, by Exotel's Listen-Whisper-Barge API.")
    .version(version(), '-v, --version', 'print the version')
    .helpOption('-h, --help', "print this, or after a command that command's help")
    .addHelpText('after', HELP)
    .showHelpAfterError('(earshot --help shows the commands)')
    .exitOverride()
    .configureOutput({ writeOut: (text) => world.out(text.trimEnd()), writeErr: (text) => world.err(text.trimEnd()) })
  const command = (name: string, description: string): Command => earshot.command(name).description(description).copyInheritedSettings(earshot)
  command('serve', 'start the server')
    .option('-c, --config <file>', 'configuration', DEFAULT_CONFIG)
    .addHelpText('after', SERVE_HELP)
    .action(async (options: { config: string }) => {
      outcome.code = await serve(options.config, world)
    })
  command('demo', 'show the product: a call between two phones, a supervisor who listens, whispers and barges')
    .option('--once', 'end by itself, with 0 when every ear heard what it should, else 1', false)
    .option('-p, --port <port>', 'HTTP port (default: 8080 when free, else any)', portNumber)
    .action(async (options: { once: boolean; port?: number }) => {
      const left = new Promise<void>((resolve) => leaveOrExit(world, () => resolve()))
      outcome.code = await world.runDemo({ once: options.once, httpPort: options.port ?? null, print: world.out, left })
    })
  command('check', 'check a configuration and start nothing')
    .option('-c, --config <file>', 'configuration', DEFAULT_CONFIG)
    .option('--json', 'one JSON document on stdout, for programs', false)
    .addHelpText('after', CHECK_HELP)
    .action(async ({ config: path, json }: { config: string; json: boolean }) => {
      outcome.code = await (json ? checkJson : check)(path, world)
    })
  const desk = { out: world.out, err: world.err, read, now: Date.now }
  const done = (code: number): void => {
    outcome.code = code
  }
  for (const add of [addOperatorCommands, addEvidenceCommands]) add(earshot, desk, done)
  const environment = async () => (await import('./config.ts')).environment()
  addMonitorCommands(earshot, { ...desk, onSignal: world.onSignal, ...(world.onUnread && { onUnread: world.onUnread }), environment }, done)
  return earshot
}

function portNumber(text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError('write a number from 0 to 65535.')
  return port
}

/** Calls `leave` at the first signal, and ends the process at a second one. */
function leaveOrExit(world: World, leave: (signal: string) => void): void {
  let firstAt: number | null = null
  world.onSignal((signal) => {
    if (firstAt === null) {
      firstAt = world.now()
      leave(signal)
    } else if (world.now() - firstAt > SAME_SIGNAL_MS) {
      world.exitNow(1)
    }
  })
}

async function check(path: string, world: World): Promise<number> {
  const config = await load(path, world)
  if (config) world.out(`${path} is valid: ${summary(config)}`)
  return config ? 0 : 1
}

/** `{ok, problems: [{line, path, text}], warnings}`; `line` is null where it is the file as a whole. */
async function checkJson(path: string, world: World): Promise<number> {
  const { ConfigError, configWarnings, environment, loadConfig } = await import('./config.ts')
  const { pathText } = await import('./config-source.ts')
  const tell = (document: object): void => world.out(JSON.stringify(document, null, 2))
  try {
    tell({ ok: true, problems: [], warnings: configWarnings(loadConfig(path, environment())) })
    return 0
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const problems = error.problems.map((problem) => ({ line: problem.line || null, path: pathText(problem.path), text: problem.text }))
    tell({ ok: false, problems, warnings: [] })
    return 1
  }
}

/** All that is wrong with the file, line by line, or what it says. */
async function read(path: string): Promise<Config | readonly string[]> {
  const { ConfigError, environment, loadConfig } = await import('./config.ts')
  try {
    return loadConfig(path, environment())
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n')
    throw error
  }
}

async function load(path: string, world: World): Promise<Config | null> {
  const config = await read(path)
  if (!('data' in config)) {
    world.err(config.join('\n'))
    return null
  }
  const { configWarnings } = await import('./config.ts')
  for (const warning of configWarnings(config)) world.err(`${path}: note: ${warning}`)
  return config
}

async function serve(path: string, world: World): Promise<number> {
  const config = await load(path, world)
  if (!config) return 1
  const log = await world.openLog(config.log.level)
  world.onCrash((error) => {
    log.error({ err: error }, 'a bug: the server ends; at the next start calls that were live are closed')
    world.exitNow(1)
  })
  const leaving = new Promise<string>((resolve) => leaveOrExit(world, resolve))
  let house: House
  try {
    house = await world.startHouse(config, log)
  } catch (error) {
    log.debug({ err: error }, 'the start failed')
    world.err(startFailure(error, config, path))
    return 1
  }
  for (const line of greeting(config, house, world.pid, path)) world.out(line)
  const signal = await leaving
  world.out(`${signal}: no new calls; live ones end now, their callbacks go out (once more: leave at once)`)
  const drained = await Promise.race([house.stop().then(() => true), world.wait(DRAIN_LIMIT_MS).then(() => false)])
  world.out(drained ? 'Earshot has ended.' : `Not all calls ended within ${DRAIN_LIMIT_MS / 1000} s; the next start closes them.`)
  return drained ? 0 : 1
}

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

function summary(config: Config): string {
  const phones = config.accounts.reduce((count, account) => count + account.agents.length, 0)
  return [plural(config.accounts.length, 'account'), plural(phones, 'phone'), plural(config.trunks.length, 'trunk')].join(', ')
}

function greeting(config: Config, house: House, pid: number, path: string): readonly string[] {
  const { rtp, data } = config
  const account = config.accounts.find((candidate) => candidate.agents.length > 1) ?? config.accounts[0]
  const [from, to] = account?.agents ?? []
  const callerId = account?.numbers[0] ? ` --data-urlencode CallerId=${account.numbers[0].number}` : ''
  const where = data.startsWith('postgres') ? 'PostgreSQL server' : `${data} (embedded PostgreSQL)`
  return [
    `Earshot ${version()} is up, process ${pid}`,
    `  HTTP   ${house.httpUrl}`,
    `  SIP    ${house.sipAddress} (UDP and TCP)`,
    `  RTP    ${rtp.host}:${rtp.portMin}-${rtp.portMax}`,
    `  data   ${where}`,
    `  from   ${path}: ${summary(config)}`,
    'Next: register two phones, then connect them (KEY and TOKEN as in the configuration):',
    `  curl -u KEY:TOKEN ${house.httpUrl}/v1/Accounts/${account?.sid ?? 'SID'}/Calls/connect.json \\`,
    `    -d From=client:${from?.name ?? 'agent'} -d To=${to ? `client:${to.name}` : 'sip:someone@host'}${callerId}`,
    'All requests: docs/contract.md. Ctrl-C ends the server and its calls cleanly.',
  ]
}

/** One line for the operator: what failed, and what to change. */
function startFailure(error: unknown, config: Config, path: string): string {
  const chain = causes(error)
  const socketError = chain.find((candidate) => ['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL'].includes(String(field(candidate, 'code'))))
  if (!socketError || field(socketError, 'port') === undefined) {
    return `Earshot cannot start: ${blamesServer(error, config.data) ? `the database server that data in ${path} names: ` : ''}${messageOf(chain[0] ?? error)}`
  }
  const port = Number(field(socketError, 'port'))
  const name = port === config.http.port ? 'http' : port === config.sip.port ? 'sip' : port === config.metrics?.port ? 'metrics' : 'rtp'
  const at = `${String(field(socketError, 'address'))} port ${port}`
  switch (field(socketError, 'code')) {
    case 'EADDRINUSE':
      return `Earshot cannot start: ${at} is in use by another program. End it, or write another ${name}.port in ${path}.`
    case 'EACCES':
      return `Earshot cannot start: ${at} is not allowed for this user. Write a ${name}.port of 1024 or above in ${path}.`
    default:
      return `Earshot cannot start: ${at} cannot be bound, since this machine does not have that address. Change ${name}.host in ${path}.`
  }
}
