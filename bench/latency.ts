/**
 * Measures how soon the house obeys, over a whole server and real phones on loopback.
 *
 *   npm run bench -- latency [--runs 3] [--calls 12] [--background 50]
 *
 * POST Legs → INVITE   from the request's write to the INVITE at the supervisor's SIP socket.
 * PUT → sound begins   from the request's write to the first packet at the ear that carries the supervisor's tone.
 * PUT → sound ends     … to the first packet without it; and to the last one with it (0: none came after the request).
 *
 * Agent and customer send digital silence, the supervisor a tone, so one byte that is not silence is the supervisor. A
 * packet goes every 20 ms: a change that took no time at all would be heard 0 to 20 ms after it. Phases are random.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { makePhone, type Phone, type Session } from '../src/phone/phone.ts'
import { eventually } from '../test/eventually.ts'
import { CROWD, gather, MAX_CROWD } from './crowd.ts'
import { HOST, type House, openHouse, passwordOf, pause, registerWire, type Timed } from './house.ts'
import { machine, median, round, rounded, say, scheduled, summary, type Summary } from './report.ts'

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '3' },
    calls: { type: 'string', default: '12' },
    background: { type: 'string', default: '50' },
  },
})
const RUNS = Number(values.runs)
const CALLS = Number(values.calls)
const BACKGROUND = Math.min(MAX_CROWD, Number(values.background))
/** The house is fast when its code is compiled, which takes it some hundred requests. */
const WARM_UP_CALLS = 10
/** Supervisors who are asked and are busy, on each call: few, as in life, since a call carries all its legs in its record. */
const POSTS_PER_CALL = 8
const ROUNDS_PER_CALL = 4
/** Aims of the project. */
const AIM_INVITE_MS = 10
const AIM_SOUND_MS = 25
const FRAME_MS = 20
/** As many packets without the tone make sure that it has ended. */
const SURE_PACKETS = 6
const SILENT_CODES = [0xff, 0x7f]
const CHANGES = [
  { mode: 'whisper', ear: 'agent', becomes: 'heard' },
  { mode: 'barge', ear: 'customer', becomes: 'heard' },
  { mode: 'whisper', ear: 'customer', becomes: 'silent' },
  { mode: 'listen', ear: 'agent', becomes: 'silent' },
] as const

const MEASURES = [
  'POST Legs → INVITE',
  'POST Legs → answer',
  'PUT → answer',
  'PUT → sound begins',
  'PUT → sound ends',
  'PUT → last packet with it',
] as const
type Measure = (typeof MEASURES)[number]
const AIMS: Partial<Record<Measure, number>> = {
  'POST Legs → INVITE': AIM_INVITE_MS,
  'PUT → sound begins': AIM_SOUND_MS,
  'PUT → sound ends': AIM_SOUND_MS,
}

interface Samples {
  readonly of: Record<Measure, number[]>
  /** Packets that still carried the supervisor after the answer said that the sound had changed (contract C20). */
  afterAnswer: number
}

interface Stage {
  readonly house: House
  readonly agent: Phone
  readonly customer: Phone
  readonly boss: Phone
  /** When the latest INVITE for the busy supervisor came, `performance.now()`. */
  readonly invitedAt: () => number
}

say(machine())
const house = await openHouse({ agents: ['priya', 'boss', 'busy', ...CROWD] })
try {
  const stage = await set(house)
  await measure(stage, WARM_UP_CALLS)
  await report(stage, 'alone')
  if (BACKGROUND > 0) {
    say(`${BACKGROUND} other calls, each with a barging supervisor, are being set up`)
    const disperse = await gather(house, BACKGROUND)
    await report(stage, `beside ${BACKGROUND} monitored calls`)
    await disperse()
  }
  for (const phone of [stage.agent, stage.customer, stage.boss]) await phone.stop()
} finally {
  await house.stop()
}
say(machine())
process.exit()

async function set(at: House): Promise<Stage> {
  let invitedAt = 0
  await registerWire(at, 'busy', 0, (event, wire) => {
    if (event.kind !== 'invited') return
    invitedAt = performance.now()
    wire.carryOut(wire.agent.reject(event.session, 486, [], wire.now()))
  })
  const phone = async (name: string, isRegistered: boolean, toneHz: number | null): Promise<Phone> => {
    const made = makePhone({
      name,
      toneHz,
      password: isRegistered ? passwordOf(name) : null,
      server: isRegistered ? at.sip : null,
      host: HOST,
      transport: 'udp',
      law: 'pcmu',
      ptimeMs: FRAME_MS,
      behaviour: { answer: 'auto', answerAfterMs: 0 },
      capturePackets: 64,
    })
    await made.start()
    if (isRegistered) await made.register()
    return made
  }
  return {
    house: at,
    agent: await phone('priya', true, null),
    customer: await phone('customer', false, null),
    boss: await phone('boss', true, 1000),
    invitedAt: () => invitedAt,
  }
}

async function report(stage: Stage, circumstances: string): Promise<void> {
  const lateness = monitorEventLoopDelay({ resolution: 1 })
  lateness.enable()
  const runs: Samples[] = []
  const start = { at: performance.now(), waitMs: scheduled(stage.house.pid).waitMs }
  for (let run = 1; run <= RUNS; run++) {
    runs.push(await measure(stage, CALLS))
    say(`${circumstances}: run ${run} of ${RUNS} done`)
  }
  lateness.disable()
  const rows = MEASURES.map((name) => {
    const each = runs.map((run) => summary(run.of[name]))
    const pooled = rounded(summary(runs.flatMap((run) => run.of[name])))
    return [name, { ...pooled, 'p50 of each run': list(each, 'p50'), 'p99 of each run': list(each, 'p99'), ...verdictOf(name, each) }]
  })
  console.log(`\n${circumstances}; ms`)
  console.table(Object.fromEntries(rows))
  console.log(
    `packets with the supervisor that came after the answer to the PUT which silenced him: ${runs.reduce((sum, run) => sum + run.afterAnswer, 0)}`,
  )
  const waited = (scheduled(stage.house.pid).waitMs - start.waitMs) / (performance.now() - start.at)
  console.log(`the server's threads waited for a core ${round(100 * waited, 1)} % of the time: what others on the machine did to it`)
  console.log(
    `the measuring process itself was late by (p50/p99): ${round(lateness.percentile(50) / 1e6 - 1)} / ${round(lateness.percentile(99) / 1e6 - 1)} ms`,
  )
}

function list(each: readonly Summary[], of: 'p50' | 'p99'): string {
  return each.map((one) => round(one[of], 1)).join(' ')
}

/** Judged by the median of the runs: one stall of the machine is not the house's. */
function verdictOf(name: Measure, each: readonly Summary[]) {
  const aim = AIMS[name]
  if (aim === undefined) return {}
  const p99 = median(each.map((one) => one.p99))
  return { 'aim p99': aim, reached: p99 < aim ? 'yes' : 'no' }
}

async function measure(stage: Stage, calls: number): Promise<Samples> {
  const samples: Samples = { of: Object.fromEntries(MEASURES.map((name) => [name, [] as number[]])) as Record<Measure, number[]>, afterAnswer: 0 }
  for (let call = 0; call < calls; call++) {
    const callSid = await connect(stage)
    for (let i = 0; i < POSTS_PER_CALL; i++) await post(stage, callSid, samples)
    // The phases of the three streams to each other are what the delay depends on most.
    await pause(Math.random() * FRAME_MS)
    const { json } = await stage.house.ask('POST', `/Calls/${callSid}/Legs.json`, { Action: 'listen', PhoneNumber: 'client:boss' })
    await eventually('the supervisor hears', () => (isHearing(stage.boss) ? true : null))
    for (let i = 0; i < ROUNDS_PER_CALL; i++) {
      for (const change of CHANGES) await put(stage, `/Calls/${callSid}/Legs/${json.Leg?.Sid}.json`, change, samples)
    }
    established(stage.agent).hangUp()
    await eventually('everybody has left', () =>
      [stage.agent, stage.customer, stage.boss].every((phone) => phone.current()?.state === 'ended') ? true : null,
    )
  }
  return samples
}

async function connect({ house, agent, customer }: Stage): Promise<string> {
  const { json } = await house.ask('POST', '/Calls/connect.json', { From: 'client:priya', To: customer.uri })
  await eventually('the call stands', () => (isHearing(agent) && isHearing(customer) ? true : null))
  return json.Call?.Sid ?? ''
}

async function post({ house, invitedAt }: Stage, callSid: string, { of }: Samples): Promise<void> {
  await pause(Math.random() * FRAME_MS)
  const { timed } = await house.ask('POST', `/Calls/${callSid}/Legs.json`, { Action: 'listen', PhoneNumber: 'client:busy' })
  const at = await eventually('the INVITE arrives', () => (invitedAt() > timed.writtenAt ? invitedAt() : null))
  of['POST Legs → INVITE'].push(at - timed.writtenAt)
  of['POST Legs → answer'].push(timed.answeredAt - timed.writtenAt)
}

async function put(stage: Stage, path: string, { mode, ear, becomes }: (typeof CHANGES)[number], samples: Samples): Promise<void> {
  await pause(Math.random() * 2 * FRAME_MS)
  const { timed } = await stage.house.ask('PUT', path, { Action: mode })
  const session = established(stage[ear])
  samples.of['PUT → answer'].push(timed.answeredAt - timed.writtenAt)
  const since = (at: number): number => Math.max(0, at - timed.writtenAt)
  if (becomes === 'heard') {
    const at = await eventually('the supervisor is heard', () => packetsAfter(session, timed).find((packet) => packet.hasTone)?.at ?? null)
    samples.of['PUT → sound begins'].push(since(at))
    return
  }
  const packets = await eventually('the supervisor is silent', () => {
    const after = packetsAfter(session, timed)
    return after.length >= SURE_PACKETS && after.slice(-SURE_PACKETS).every((packet) => !packet.hasTone) ? after : null
  })
  const last = packets.findLastIndex((packet) => packet.hasTone)
  samples.of['PUT → sound ends'].push(since(packets[last + 1]?.at ?? Number.NaN))
  samples.of['PUT → last packet with it'].push(since(packets[last]?.at ?? timed.writtenAt))
  samples.afterAnswer += packets.filter((packet) => packet.hasTone && packet.at > timed.answeredAt).length
}

function packetsAfter(session: Session, { writtenAt }: Timed): readonly { readonly at: number; readonly hasTone: boolean }[] {
  const after = session.received().captured.filter((packet) => packet.at > writtenAt)
  return after.map(({ at, payload }) => ({ at, hasTone: payload.some((code) => !SILENT_CODES.includes(code)) }))
}

function isHearing(phone: Phone): boolean {
  const session = phone.current()
  return session?.state === 'established' && session.received().packets > 5
}

function established(phone: Phone): Session {
  const session = phone.current()
  if (session?.state !== 'established') throw new Error(`${phone.name} has no call`)
  return session
}
