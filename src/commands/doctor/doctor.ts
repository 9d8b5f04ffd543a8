/**
 * `earshot doctor`: looks at everything that a server needs, and says of each whether it is in order, else what to change. It changes
 * nothing; an embedded database with data in it is started for a moment when nobody runs it.
 */
import ipaddr from 'ipaddr.js'
import { type Config, configWarnings } from '../../config.ts'
import { type AllowRule, parseAllowRule, within } from '../../webhooks/allow-rule.ts'
import { type Check, ok, problem, warning } from './check.ts'
import { type Desk, json, messageOf, oneLine, quietLog } from '../desk.ts'
import { dataChecks, recordingsCheck } from './data.ts'
import { portChecks } from './ports.ts'
import { trunkChecks } from './trunks.ts'

export interface DoctorOptions {
  readonly config: string
  readonly json: boolean
}

/** Where clouds keep credentials for whoever asks from inside. */
const METADATA = ['169.254.169.254', 'fd00:ec2::254']
const NAME_WIDTH = 20

/** @returns The exit code: 0 when there is no problem. */
export async function doctor(desk: Desk, options: DoctorOptions): Promise<number> {
  const checks: Check[] = []
  const note = (found: readonly Check[]): void => {
    checks.push(...found)
    if (!options.json) for (const check of found) desk.out(lines(check))
  }
  const config = await desk.read(options.config)
  if (!('data' in config))
    note(config.map((line) => problem('configuration', line, `Correct ${options.config}; earshot.example.yaml has every key.`)))
  else {
    note(configChecks(config, options.config))
    // All at once, told in this order.
    const examined = [
      examine('ports', () => portChecks(config)),
      examine('data', () => dataChecks({ config, path: options.config, now: desk.now, log: quietLog(desk) })),
      examine('recordings', async () => [await recordingsCheck(config)]),
      examine('trunks', () => trunkChecks(config)),
    ]
    for (const found of examined) note(await found)
  }
  const count = (state: Check['state']): number => checks.filter((check) => check.state === state).length
  const isWell = count('problem') === 0
  if (options.json) desk.out(json({ ok: isWell, problems: count('problem'), warnings: count('warning'), checks }))
  else desk.out(`${counted(count('problem'), 'problem')}, ${counted(count('warning'), 'warning')}, ${count('ok')} in order`)
  return isWell ? 0 : 1
}

/** An examination that breaks is a finding as well, and does not keep the others from being told. */
async function examine(name: string, work: () => Promise<readonly Check[]>): Promise<readonly Check[]> {
  try {
    return await work()
  } catch (error) {
    return [problem(name, `could not be examined: ${messageOf(error)}`, 'This is a fault of the doctor; please report it.')]
  }
}

function configChecks(config: Config, path: string): readonly Check[] {
  const phones = config.accounts.reduce((sum, account) => sum + account.agents.length, 0)
  const valid = ok(
    'configuration',
    `${path} is valid: ${[counted(config.accounts.length, 'account'), counted(phones, 'phone'), counted(config.trunks.length, 'trunk')].join(', ')}`,
  )
  const notes = configWarnings(config).map((says) => warning('configuration', says, changeFor(says)))
  return [valid, ...notes, callbackCheck(config), dialCheck(config)]
}

function changeFor(says: string): string {
  if (says.includes('token')) return 'Make a longer one, e.g. with: openssl rand -hex 24'
  if (says.includes('no keys')) return 'Add keys to the account, unless nobody is to use its API.'
  if (says.includes('no notice')) return 'Decide, and write it: notice: { to: agent | customer | both | nobody }; docs/evidence.md says what each does.'
  if (says.includes('trunk')) return 'Add the number to the numbers of an account, or take it from the trunk.'
  return 'See earshot.example.yaml.'
}

function callbackCheck({ callbacks }: Config): Check {
  const name = 'callback addresses'
  const rules = callbacks.allow.map((text) => ({ text, rule: parseAllowRule(text) }))
  const everything = rules.find(({ rule }) => rule?.block[1] === 0)
  if (everything)
    return warning(name, `${everything.text} lets callbacks reach everything inside`, 'Name the receivers alone, with their ports: 10.0.0.7:8443.')
  const metadata = rules.find(({ rule }) => rule !== null && METADATA.some((address) => covers(rule, address)))
  if (metadata) return warning(name, `${metadata.text} includes the address where clouds keep credentials`, 'Write a narrower block.')
  return ok(name, callbacks.allow.length === 0 ? 'public ones only' : `public ones, and ${callbacks.allow.join(', ')}`)
}

const covers = (rule: AllowRule, address: string): boolean => within(ipaddr.parse(address), rule.block) && (rule.port === null || rule.port === 80)

function dialCheck({ dial }: Config): Check {
  const name = 'dial rules'
  if (dial.prefixes.includes('+'))
    return warning(name, '"+" lets everybody dial every number', 'Name the countries that are really called, e.g. "+91": premium numbers cost.')
  const rules = dial.prefixes.length + dial.hosts.length
  return ok(name, rules === 0 ? 'registered phones only' : `registered phones, and ${counted(rules, 'rule')}`)
}

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

/** `ok       http port           127.0.0.1 port 8080 is free`, and under it what to do. */
function lines({ check, state, says, change }: Check): string {
  const told = `${state.padEnd(8)} ${check.padEnd(NAME_WIDTH)} ${oneLine(says)}`
  return change === null ? told : `${told}\n${' '.repeat(NAME_WIDTH + 10)}→ ${oneLine(change)}`
}
