/**
 * Measures the media plane beside a bare relay, in one run and with one generator: cost, added delay, loss.
 *
 *   npm run bench -- media [--relayed 300] [--monitored 200] [--window-seconds 5] [--tries 3] [--warm-up-seconds 8]
 *
 * Both carry the same number of packets per second: a monitored call has three legs for the relayed call's two. The process
 * under test is bound to core 0 and the generator to core 1 when `taskset` is there. Loopback charges the sender with the
 * receiver's work in the kernel, so trust the ratios; the bare relay is measured first and last, to see what the machine
 * did meanwhile. Relayed calls are measured plain, with a sound that repeats for both parties, and recorded (two channels, one file
 * a call, in the system's folder for temporary files). Exits 1 when anybody was heard by whom the mode forbids.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Mode } from '../src/domain/leg.ts'
import { ended } from './house.ts'
import { type LoadPhones, openLoadPhones, type Window } from './load-phones.ts'
import type { MediaOrder, MediaTold, Subject } from './media-process.ts'
import { machine, quantile, round, say, scheduled } from './report.ts'

const { values } = parseArgs({
  options: {
    relayed: { type: 'string', default: '300' },
    monitored: { type: 'string', default: '200' },
    'window-seconds': { type: 'string', default: '5' },
    tries: { type: 'string', default: '3' },
    'warm-up-seconds': { type: 'string', default: '8' },
  },
})
const TRIES = Number(values.tries)
const PROGRAM = new URL('./media-process.ts', import.meta.url).pathname
/** Until queues and phases have settled after an order. */
const CALM_MS = 2_000
const SUBJECT_CORE = '0'
const GENERATOR_CORE = '1'
/** Share of the time waited for a core above which a row cannot be trusted. */
const DISTURBED = 0.05
/** Who may be heard by whom (contract C23). */
const CONVERSATION = ['agent→customer', 'customer→agent']
const TO_BOSS = ['agent→supervisor', 'customer→supervisor']
const ALLOWED: Readonly<Record<Mode, readonly string[]>> = {
  listen: [...CONVERSATION, ...TO_BOSS],
  whisper: [...CONVERSATION, ...TO_BOSS, 'supervisor→agent'],
  barge: [...CONVERSATION, ...TO_BOSS, 'supervisor→agent', 'supervisor→customer'],
}

interface Row {
  readonly name: string
  readonly calls: number
  /** ms per call and second. */
  readonly cpu: number
  /** How long the process under test and the generator waited for a core, share of the time. */
  readonly waited: { readonly subject: number; readonly generator: number }
  readonly window: Window
  readonly allowed: readonly string[]
}

const hasTaskset = spawnSync('taskset', ['-V'], { stdio: 'ignore' }).status === 0
if (hasTaskset) spawnSync('taskset', ['-acp', GENERATOR_CORE, String(process.pid)], { stdio: 'ignore' })
else say('taskset is not here: nothing is bound to a core, so trust less of this')
say(machine())
const rows: Row[] = []
const [relayed, monitored] = [Number(values.relayed), Number(values.monitored)]
await carry('bare relay', relayed, 2, async (observe) => void (await observe('bare relay, first', CONVERSATION)))
const folder = await mkdtemp(join(tmpdir(), 'earshot-bench-'))
await carry('media plane', relayed, 2, async (observe, order) => {
  await observe('relayed', CONVERSATION)
  await order({ kind: 'sound', isOn: true })
  await observe('relayed, a sound to both', CONVERSATION)
  await order({ kind: 'sound', isOn: false })
  await order({ kind: 'record', folder })
  await observe('relayed, recorded', CONVERSATION)
})
await rm(folder, { recursive: true })
await carry('media plane', monitored, 3, async (observe, order) => {
  for (const mode of ['listen', 'whisper', 'barge'] as const) {
    await order({ kind: 'mode', mode })
    await observe(mode, ALLOWED[mode])
  }
})
await carry('bare relay', relayed, 2, async (observe) => void (await observe('bare relay, last', CONVERSATION)))
print()
say(machine())
process.exit()

type Observe = (name: string, allowed: readonly string[]) => Promise<void>

async function carry(
  subject: Subject,
  calls: number,
  legs: 2 | 3,
  play: (observe: Observe, order: (order: MediaOrder) => Promise<void>) => Promise<void>,
): Promise<void> {
  const phones = await openLoadPhones(Array.from({ length: calls }, () => legs))
  const child = start(subject)
  try {
    const { ports } = await ask(child, { kind: 'open', phonePorts: phones.ports })
    await phones.speakTo(ports)
    say(`${subject}: ${calls} calls of ${legs} legs, warming up`)
    await pause(Number(values['warm-up-seconds']) * 1000)
    await play(
      async (name, allowed) => {
        rows.push(await observed({ name, calls, allowed, phones, pid: child.pid ?? -1 }))
      },
      async (order) => {
        await ask(child, order)
        await pause(CALM_MS)
      },
    )
  } finally {
    phones.close()
    await ended(child, 'SIGKILL')
  }
}

/** A window in which others took the cores is observed again; of all windows the least disturbed counts. */
async function observed(what: Observing): Promise<Row> {
  const tries: Row[] = []
  do tries.push(await observedOnce(what))
  while (tries.length < TRIES && disturbance(tries.at(-1)) > DISTURBED)
  const best = tries.reduce((least, row) => (disturbance(row) < disturbance(least) ? row : least))
  say(`  ${what.name}: waited for a core ${tries.map((row) => `${round(100 * disturbance(row), 1)} %`).join(', ')}`)
  return best
}

function disturbance(row: Row | undefined): number {
  return row === undefined ? 0 : Math.max(row.waited.subject, row.waited.generator)
}

type Observing = Pick<Row, 'name' | 'calls' | 'allowed'> & { readonly phones: LoadPhones; readonly pid: number }

async function observedOnce({
  phones,
  pid,
  ...about
}: Pick<Row, 'name' | 'calls' | 'allowed'> & { readonly phones: LoadPhones; readonly pid: number }): Promise<Row> {
  const look = () => ({ at: performance.now(), subject: scheduled(pid), generator: scheduled(process.pid) })
  const before = look()
  const window = await phones.observe(Number(values['window-seconds']) * 1000)
  const after = look()
  const ms = after.at - before.at
  const waited = (who: 'subject' | 'generator'): number => (after[who].waitMs - before[who].waitMs) / ms
  const cpu = (after.subject.cpuMs - before.subject.cpuMs) / ((ms / 1000) * about.calls)
  return { ...about, window, cpu, waited: { subject: waited('subject'), generator: waited('generator') } }
}

function start(subject: Subject): ChildProcess {
  const command = [process.execPath, PROGRAM, subject]
  const [program = '', ...rest] = hasTaskset ? ['taskset', '-c', SUBJECT_CORE, ...command] : command
  const child = spawn(program, rest, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  child.on('exit', (code) => {
    if (code === null) return
    say(`the ${subject} ended with ${code}`)
    process.exit(1)
  })
  return child
}

async function ask(child: ChildProcess, order: MediaOrder): Promise<MediaTold> {
  const answer = once(child, 'message')
  child.send(order)
  const [told] = await answer
  return told as MediaTold
}

function print(): void {
  const yardsticks = rows.filter((row) => row.name.startsWith('bare'))
  const perPacket = (row: Row): number =>
    (row.cpu * 1000 * row.calls * row.window.seconds) / Object.values(row.window.sent).reduce((sum, each) => sum + each, 0)
  const yardstick = yardsticks.reduce((sum, row) => sum + perPacket(row), 0) / yardsticks.length
  console.log('\nCost: CPU of the whole process; a packet in is a packet out')
  console.table(
    tabled((row) => ({
      calls: row.calls,
      'ms CPU per call-second': round(row.cpu),
      'µs CPU per packet': round(perPacket(row), 1),
      'of the bare relay': round(perPacket(row) / yardstick),
      '% of a core': round((row.cpu * row.calls) / 10, 0),
      'waited for the core %': round(100 * row.waited.subject, 1),
      'generator waited %': round(100 * row.waited.generator, 1),
    })),
  )
  console.log('Agent and customer to each other: age of a packet at the ear, ms; the generator itself sent so late, ms')
  console.table(tabled((row) => ({ ...agesOf(row.window, CONVERSATION), 'loss %': lossOf(row.window), ...latenessOf(row.window) })))
  const disturbed = rows.filter((row) => disturbance(row) > DISTURBED).map(({ name }) => name)
  if (disturbed.length > 0)
    console.log(
      `Others wanted the cores: the delays of ${disturbed.join(', ')} say more about the machine than about the house, and\ntheir packets are cheaper than they should be: what piles up while a process waits is served at one go.`,
    )
  console.log('To and from the supervisor: age of the sound at the ear, ms (his own queue and clock included)')
  console.table(
    tabled(
      (row) => ({
        'to p50': agesOf(row.window, TO_BOSS).p50,
        'to p99': agesOf(row.window, TO_BOSS).p99,
        'from p50': fromBoss(row).p50,
        'from p99': fromBoss(row).p99,
        ...missedOf(row),
      }),
      (row) => row.window.sent.supervisor > 0,
    ),
  )
  const leaks = rows.flatMap((row) =>
    [...row.window.paths].filter(([path]) => !row.allowed.includes(path)).map(([path, { heard }]) => `${row.name}: ${path} ${heard} times`),
  )
  console.log(leaks.length === 0 ? 'Nobody heard whom the mode forbids.' : `FAILED heard against the mode: ${leaks.join(', ')}`)
  if (leaks.length > 0) process.exitCode = 1
}

function tabled(cells: (row: Row) => object, isShown: (row: Row) => boolean = () => true) {
  return Object.fromEntries(rows.filter(isShown).map((row) => [row.name, cells(row)]))
}

function agesOf({ paths }: Window, names: readonly string[]) {
  const sorted = names.flatMap((name) => paths.get(name)?.delaysMs ?? []).sort((a, b) => a - b)
  const at = (share: number): number => round(quantile(sorted, share), 3)
  return { p50: at(0.5), p99: at(0.99), 'p99.9': at(0.999), max: at(1) }
}

function lossOf({ paths, sent }: Window): number {
  const heard = CONVERSATION.reduce((sum, name) => sum + (paths.get(name)?.heard ?? 0), 0)
  return round(100 * (1 - heard / (sent.agent + sent.customer)), 3)
}

function latenessOf({ latenessMs }: Window) {
  const sorted = [...latenessMs].sort((a, b) => a - b)
  return { 'late p50': round(quantile(sorted, 0.5), 3), 'late p99': round(quantile(sorted, 0.99), 3) }
}

function fromBoss({ window }: Row) {
  return agesOf(window, ['supervisor→agent', 'supervisor→customer'])
}

/** Frames that a queue threw away, or that came too late for it. */
function missedOf({ window: { paths, sent } }: Row) {
  const heard = TO_BOSS.reduce((sum, name) => sum + (paths.get(name)?.heard ?? 0), 0)
  const said = paths.get('supervisor→agent')?.heard
  return {
    'not heard by him %': round(100 * (1 - heard / (sent.agent + sent.customer)), 3),
    'of him by the agent %': said === undefined ? '' : round(100 * (1 - said / sent.supervisor), 3),
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
