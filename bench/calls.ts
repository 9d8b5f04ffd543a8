/**
 * Measures calls that come in by a trunk and ring a registered phone, through a whole server: sipp calls, sipp answers.
 *
 *   npm run bench -- calls [--rate 300] [--seconds 60] [--loss-calls 1000] [--loss-rate 50] [--loss 0.05] [--talk-ms 500] [--profile FOLDER]
 *
 * Prints a row per run: how many failed, what was sent again, what a call costs, and what the server still holds afterwards.
 * Exits 1 when a call failed or something was left. Both peers share the machine with the server: see the idle share.
 */
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { startLossyRelay } from '../test/peers/lossy-relay.ts'
import { freePort } from '../test/free-port.ts'
import { isInstalled } from '../test/peers/peers.ts'
import { type SippResult, startSipp } from '../test/peers/sipp.ts'
import { HOST, type House, NUMBER, openHouse, pause, registerWire } from './house.ts'
import { INSPECTABLE, openHeap } from './heap.ts'
import { descendantsCpuMs, machine, residentMb, round, type Scheduled, say, scheduled, udpSockets } from './report.ts'

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '300' },
    seconds: { type: 'string', default: '60' },
    'loss-calls': { type: 'string', default: '1000' },
    'loss-rate': { type: 'string', default: '50' },
    loss: { type: 'string', default: '0.05' },
    'talk-ms': { type: 'string', default: '500' },
    'aftermath-seconds': { type: 'string', default: '36' },
    profile: { type: 'string' },
  },
})
/** Not the name that sipp calls itself: the house would ask whoever says to be one of its phones for the password. */
const PHONE = 'priya'
const SEED = 4475
/** Calls of the first seconds run on code that is not compiled yet; they are made before the clock starts. */
const WARM_UP = { calls: 300, rate: 60 }
/** RFC 3261's longest timers are 32 s; a house that forgets nothing would show it after them. */
const AFTERMATH_MS = Number(values['aftermath-seconds']) * 1000
const PROGRESS_MS = 10_000
/** Compiled code and grown tables are a few MB; spread over so many calls they do not look like a leak. */
const ENOUGH_CALLS = 5_000
const LEFT_BYTES_ALLOWED = 1_500
/** Over the time that the calls need: answers to the last ones, sent again as often as RFC 3261 allows. */
const GRACE_MS = 40_000

interface Load {
  readonly name: string
  readonly calls: number
  readonly rate: number
  /** Each way, between caller and server and between server and phone. */
  readonly loss: number
}

interface Peers {
  /** Where the caller sends, and from where the server hears it. */
  readonly target: number
  readonly callerPort: number
  /** Where the phone listens, and where it is reached. */
  readonly phonePort: number
  readonly contactPort: number
}

interface Outcome {
  readonly caller: SippResult
  readonly phone: SippResult
  /** From the first call until the caller's last one was over. */
  readonly seconds: number
}

if (!isInstalled('sipp')) {
  say('sipp is not installed (Debian: apt-get install sip-tester)')
  process.exit(1)
}
say(machine())
const plain: Load = { name: 'no loss', calls: Number(values.rate) * Number(values.seconds), rate: Number(values.rate), loss: 0 }
const lossy: Load = {
  name: `${Number(values.loss) * 100} % loss each way`,
  calls: Number(values['loss-calls']),
  rate: Number(values['loss-rate']),
  loss: Number(values.loss),
}
for (const load of [plain, lossy]) if (load.calls > 0) await measure(load)
say(machine())

async function measure(load: Load): Promise<void> {
  const [trunkPort, callerPort, contactPort, phonePort] = [await freePort(), await freePort(), await freePort(), await freePort()]
  const isLossy = load.loss > 0
  const house = await openHouse({
    agents: [PHONE],
    trunkPort,
    nodeArguments: [...INSPECTABLE, ...(values.profile === undefined || isLossy ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`])],
  })
  try {
    // The phone is where its REGISTER came from, so that is sent from the port that sipp, or the relay before it, takes next.
    const registering = await registerWire(house, PHONE, contactPort, () => {})
    await registering.close()
    const peers: Peers = isLossy
      ? { target: await freePort(), callerPort, phonePort, contactPort }
      : { target: house.sip.port, callerPort: trunkPort, phonePort: contactPort, contactPort }
    const relays = isLossy
      ? [
          await startLossyRelay({ target: house.sip, loss: load.loss, seed: SEED, port: peers.target, firstClientPort: trunkPort }),
          await startLossyRelay({ target: { host: HOST, port: phonePort }, loss: load.loss, seed: SEED + 1, port: contactPort }),
        ]
      : []
    try {
      if (!isLossy) await run({ name: 'warm-up', ...WARM_UP, loss: 0 }, peers)
      await observe(load, peers, house)
    } finally {
      for (const relay of relays) relay.close()
    }
  } finally {
    const code = await house.stop()
    if (code !== 0) fail(`the server ended with ${code}`)
    const complaints = house
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .join('\n')
    if (complaints !== '') say(`the server wrote:\n${complaints.slice(0, 2_000)}`)
  }
}

interface State {
  readonly house: Scheduled
  readonly databaseMs: number
  readonly residentMb: number
  readonly heldMb: number
  readonly sockets: number
}

async function observe(load: Load, peers: Peers, house: House): Promise<void> {
  const heap = await openHeap(house.output())
  const look = async (): Promise<State> => ({
    house: scheduled(house.pid),
    databaseMs: descendantsCpuMs(house.pid),
    residentMb: residentMb(house.pid),
    heldMb: await heap.heldMb(),
    sockets: udpSockets(house.pid),
  })
  const before = await look()
  const start = performance.now()
  let peakMb = before.residentMb
  const progress = setInterval(() => {
    peakMb = Math.max(peakMb, residentMb(house.pid))
    say(`  ${round((performance.now() - start) / 1000, 0)} s: ${round(residentMb(house.pid), 0)} MB, ${udpSockets(house.pid)} UDP sockets`)
  }, PROGRESS_MS)
  say(`${load.name}: ${load.calls} calls at ${load.rate}/s, ${values['talk-ms']} ms of talk each`)
  const outcome = await run(load, peers)
  const after = await look()
  say(`  calls are over; waiting ${AFTERMATH_MS / 1000} s for the last timers`)
  await pause(AFTERMATH_MS)
  clearInterval(progress)
  const last = await look()
  heap.close()
  print({ load, outcome, before, after, last, peakMb })
  judge(load, outcome, before, last)
}

interface Observed {
  readonly load: Load
  readonly outcome: Outcome
  readonly before: State
  /** When the calls were over, and when the last timers were. */
  readonly after: State
  readonly last: State
  readonly peakMb: number
}

function print({ load, outcome: { caller, phone, seconds }, before, after, last, peakMb }: Observed): void {
  const cpuMs = after.house.cpuMs - before.house.cpuMs
  const databaseMs = after.databaseMs - before.databaseMs
  console.log(`\n${load.name}`)
  console.table({
    calls: {
      wanted: load.calls,
      'per second wanted': load.rate,
      'per second reached': round(load.calls / (seconds - Number(values['talk-ms']) / 1000), 0),
      'failed (caller)': caller.failed,
      'failed (phone)': phone.failed,
      'sent again by caller': caller.retransmissions,
      'sent again by phone': phone.retransmissions,
    },
  })
  console.table({
    cost: {
      'server ms CPU/call': round(cpuMs / load.calls),
      'database ms CPU/call': round(databaseMs / load.calls),
      'server % of a core': round(cpuMs / (seconds * 10), 0),
      'database % of a core': round(databaseMs / (seconds * 10), 0),
      'server waited for a core %': round((after.house.waitMs - before.house.waitMs) / (seconds * 10), 0),
      cores: cpus().length,
    },
  })
  console.table({
    memory: {
      'held before, MB': round(before.heldMb, 1),
      'held when calls end': round(after.heldMb, 1),
      'held after the timers': round(last.heldMb, 1),
      'left, bytes/call': round(leftBytes(load, before, last), 0),
      'resident before, MB': round(before.residentMb, 0),
      'resident at most': round(peakMb, 0),
      'resident after': round(last.residentMb, 0),
      'UDP sockets before': before.sockets,
      'UDP sockets after': last.sockets,
    },
  })
}

function leftBytes(load: Load, before: State, last: State): number {
  return ((last.heldMb - before.heldMb) * 1e6) / load.calls
}

function judge(load: Load, { caller, phone }: Outcome, before: State, last: State): void {
  if (caller.successful !== load.calls || caller.exitCode !== 0) fail(`the caller: ${caller.successful} of ${load.calls}\n${caller.complaints}`)
  if (phone.successful !== load.calls || phone.exitCode !== 0) fail(`the phone: ${phone.successful} of ${load.calls}\n${phone.complaints}`)
  if (last.sockets > before.sockets) fail(`${last.sockets - before.sockets} UDP sockets are left`)
  if (load.calls >= ENOUGH_CALLS && leftBytes(load, before, last) > LEFT_BYTES_ALLOWED) fail('the server still holds memory for calls that are over')
}

async function run({ calls, rate }: Load, { target, callerPort, phonePort, contactPort }: Peers): Promise<Outcome> {
  const limitMs = (calls / rate) * 1000 + GRACE_MS
  const talkMs = Number(values['talk-ms'])
  const answering = await startSipp({
    scenario: 'uas',
    target: null,
    calls,
    rate,
    port: phonePort,
    keys: { contact_port: String(contactPort) },
    limitMs,
  })
  const calling = await startSipp({
    scenario: 'uac',
    service: NUMBER,
    target: { host: HOST, port: target },
    calls,
    rate,
    port: callerPort,
    pauseMs: talkMs,
    atOnce: calls,
    limitMs,
  })
  const start = performance.now()
  const caller = await calling.result
  const seconds = (performance.now() - start) / 1000
  // A phone that misses calls would wait for them until its time is over.
  const phone = await Promise.race([
    answering.result,
    pause(PROGRESS_MS)
      .then(() => answering.stop())
      .then(() => answering.result),
  ])
  return { caller, phone, seconds }
}

function fail(why: string): void {
  console.error(`FAILED ${why}`)
  process.exitCode = 1
}
