/**
 * Measures what sounds and recordings cost the sound thread in work of its own, on a virtual clock and without sockets or files.
 *
 *   npm run bench -- clips [--calls 100] [--seconds 30] [--rounds 5]
 *
 * CPU time, so that it may be asked on a busy machine as well: all kinds of call take turns, and the median of the rounds counts.
 * The sockets' share, which is many times this, is in `media`.
 */
import { parseArgs } from 'node:util'
import { takeChunks } from '../src/media/clips/tape.ts'
import { readWav, writeHeader } from '../src/media/clips/wav.ts'
import { addLeg, makeConversation, play, recordCall, setTable, setTerms, type Conversation } from '../src/media/conversation.ts'
import { arrive, tick } from '../src/media/passage.ts'
import { buildRtp } from '../src/media/rtp.ts'
import { sine, tonePayload } from '../src/media/tone.ts'
import { machine, round, say } from './report.ts'

const { values } = parseArgs({
  options: { calls: { type: 'string', default: '100' }, seconds: { type: 'string', default: '30' }, rounds: { type: 'string', default: '5' } },
})
const [calls, seconds, rounds] = [Number(values.calls), Number(values.seconds), Number(values.rounds)]

/** What a call is asked to do besides carrying agent and customer. */
const KINDS = {
  relayed: { sounds: [], tapes: [] },
  'a sound to one': { sounds: ['agent'], tapes: [] },
  'a sound to both': { sounds: ['agent', 'customer'], tapes: [] },
  'recorded, one channel': { sounds: [], tapes: [['agent', 'customer']] },
  'recorded, two channels': { sounds: [], tapes: [['agent'], ['customer']] },
} as const
type Kind = keyof typeof KINDS
const CLIP = sine(437, 8000)

function makeCall(kind: Kind): Conversation {
  const call = makeConversation()
  const { sounds, tapes } = KINDS[kind]
  for (const [at, id] of ['agent', 'customer'].entries()) {
    const leg = addLeg(call, id, 'conversation', { ssrc: at, sequence: 0, timestamp: 0, cname: id })
    const digits = { digitsPayloadType: 101, digitsFromPhone: [101] }
    const remote = { host: '10.0.0.1', port: 4000 + 2 * at }
    setTerms(call, leg, { remote, signallingHost: null, law: 'pcmu', ...digits, ptimeMs: 20, phoneReceives: true, phoneSends: true }, 0)
  }
  const hears = (id: string, other: string): readonly string[] => [other, ...((sounds as readonly string[]).includes(id) ? ['sound'] : [])]
  const rows: [string, readonly string[]][] = [
    ['agent', hears('agent', 'customer')],
    ['customer', hears('customer', 'agent')],
  ]
  setTable(call, new Map([...rows, ...tapes.map((row, at): [string, readonly string[]] => [`tape${at}`, row])]), 0)
  if (sounds.length > 0) play(call, 'sound', { samples: CLIP, repeats: true }, 0)
  if (tapes.length > 0)
    recordCall(
      call,
      tapes.map((_, at) => `tape${at}`),
      0,
    )
  return call
}

/** ms of CPU for a second of one call. */
function costOf(kind: Kind): number {
  const all = Array.from({ length: calls }, () => makeCall(kind))
  const payloads = [tonePayload('pcmu', 440, 160), tonePayload('pcmu', 700, 160)]
  let sent = 0
  const send = (): void => void sent++
  const before = process.cpuUsage()
  for (let now = 0; now < seconds * 1000; now += 10) {
    for (const call of all) {
      if (now % 20 === 0) {
        for (const [at, leg] of [...call.legs.values()].entries()) {
          const header = { payloadType: 0, marker: false, sequence: (now / 20) & 0xffff, timestamp: now * 8, ssrc: at + 1 }
          const bytes = buildRtp(header, payloads[at] ?? new Uint8Array(160))
          arrive(leg, { from: { host: '10.0.0.1', port: 4000 + 2 * at }, bytes, now }, send)
        }
      }
      tick(call, now, send)
      if (call.recording !== null) takeChunks(call.recording)
    }
  }
  const { user, system } = process.cpuUsage(before)
  if (sent < calls * seconds * 90) throw new Error(`${sent} packets went out: this is no call`)
  return (user + system) / 1000 / (calls * seconds)
}

/** A second of a file of 48 kHz in two channels, made ready to be played; ms of CPU. */
function costOfReading(): number {
  const bytes = new Uint8Array(44 + 48_000 * 4 * 10)
  bytes.set(writeHeader(2, bytes.length - 44))
  new DataView(bytes.buffer).setUint32(24, 48_000, true)
  const before = process.cpuUsage()
  const read = readWav(bytes)
  if (read.kind === 'refused') throw new Error(read.reason)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000 / 10
}

say(machine())
const kinds = Object.keys(KINDS) as readonly Kind[]
const found = new Map<Kind, number[]>(kinds.map((kind) => [kind, []]))
const readings: number[] = []
for (const kind of kinds) costOf(kind)
for (let n = 0; n < rounds; n++) {
  for (const kind of kinds) found.get(kind)?.push(costOf(kind))
  readings.push(costOfReading())
  say(`round ${n + 1} of ${rounds}`)
}
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
const plain = median(found.get('relayed') ?? [])
console.table(
  Object.fromEntries(
    [...found].map(([kind, costs]) => [
      kind,
      {
        'ms CPU per call-second': round(median(costs), 4),
        'more than relayed': round(median(costs) - plain, 4),
        least: round(Math.min(...costs), 4),
        most: round(Math.max(...costs), 4),
      },
    ]),
  ),
)
console.log(`A second of a WAV file of 48 kHz in two channels, read for a telephone: ${round(median(readings), 2)} ms of CPU`)
say(machine())
