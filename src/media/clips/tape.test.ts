import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { decode, encode, type Law } from '../g711.ts'
import type { Arrival } from '../reception.ts'
import { powerDb, sine, tonePayload } from '../tone.ts'
import { startPlaying, type Playing } from './player.ts'
import {
  CHUNK_MS,
  finish,
  HOLD_MS,
  isFull,
  keepStrips,
  makeRecording,
  MAX_RECORDING_MS,
  record,
  settle,
  takeChunks,
  turn,
  type Recording,
  type Strip,
  type Tape,
} from './tape.ts'
import { makeTrack, type Track } from './timeline.ts'

const START = 1_000_000
const N = 160

/** A phone that sends, and its strips. */
interface Voice {
  readonly mouth: object
  readonly track: Track
  strips: readonly Strip[]
  law: Law
  timestamp: number
  isFirst: boolean
}

interface Studio {
  readonly recording: Recording
  now: number
  /** What came out so far, by tape. */
  readonly kept: number[][]
}

const voice = (): Voice => ({ mouth: {}, track: makeTrack(), strips: [], law: 'pcmu', timestamp: 0xffffff00, isFirst: true })

function studio(tapes = 1): Studio {
  const ids = ['left', 'right', 'more'].slice(0, tapes)
  return { recording: makeRecording(ids, START), now: START, kept: ids.map(() => []) }
}

const tapeIn = ({ recording }: Studio, at = 0): Tape => {
  const tape = recording.tapes[at]
  assert.ok(tape)
  return tape
}

/** The table: by tape, the phones and clips that it hears. */
function thread(room: Studio, rows: readonly (readonly (Voice | Playing)[])[], voices: readonly Voice[]): void {
  settle(room.recording, room.now)
  for (const each of voices) each.strips = []
  for (const [at, row] of rows.entries()) {
    const mouths = row.map((each) => ('track' in each ? { mouth: each.mouth, playing: null } : { mouth: each, playing: each }))
    const strips = keepStrips(room.recording, tapeIn(room, at), mouths, room.now)
    for (const [i, each] of row.entries()) if ('track' in each) each.strips = [...each.strips, ...strips.slice(i, i + 1)]
  }
}

function say(room: Studio, from: Voice, codes: Uint8Array, change: { readonly timestamp?: number; readonly arrival?: Arrival } = {}): void {
  const { law } = from
  const timestamp = change.timestamp ?? from.timestamp
  const arrival = change.arrival ?? (from.isFirst ? 'first' : 'fresh')
  record(room.recording, from.track, from.strips, { timestamp: timestamp >>> 0, arrival, law, codes, from: 0, length: codes.length }, room.now)
  if (change.timestamp !== undefined) return
  from.timestamp = (timestamp + codes.length) >>> 0
  from.isFirst = false
}

function collect(room: Studio): void {
  for (const { at, samples } of takeChunks(room.recording)) {
    assert.equal(at, room.kept[0]?.length, 'chunks join')
    for (const [i, sample] of samples.entries()) room.kept[i % room.kept.length]?.push(sample)
  }
}

/** Time goes by, in steps of our clock, and every 20 ms everybody who talks says a packet of their tone. */
function run(room: Studio, ms: number, talking: readonly (readonly [Voice, number])[] = []): void {
  for (const until = room.now + ms; room.now < until; ) {
    room.now += 10
    if ((room.now - START) % 20 === 0) for (const [from, hz] of talking) say(room, from, tonePayload(from.law, hz, N, (from.timestamp + 0x100) >>> 0))
    turn(room.recording, room.now)
    collect(room)
  }
}

const ended = (room: Studio): readonly Int16Array[] => {
  finish(room.recording, room.now)
  collect(room)
  return room.kept.map((samples) => Int16Array.from(samples))
}

const HEARD_DB = -20
const UNHEARD_DB = -60

describe('A tape', () => {
  test('What is said lies where it was said, sample for sample, and the rest is silence', () => {
    const [room, agent] = [studio(), voice()]
    thread(room, [[agent]], [agent])
    run(room, 100)
    run(room, 1000, [[agent, 437]])
    run(room, 300)
    const [samples] = ended(room)
    assert.ok(samples)
    assert.equal(samples.length, 1400 * 8)
    const spoken = decode('pcmu', tonePayload('pcmu', 437, 8000))
    assert.deepEqual(samples.subarray(800, 8800), spoken)
    assert.ok([...samples.subarray(0, 800), ...samples.subarray(8800)].every((sample) => sample === 0))
  })

  test('Nobody is recorded whom the table does not name, and without rows there is silence as long as the call', () => {
    const [room, agent, coach] = [studio(2), voice(), voice()]
    thread(room, [[agent], []], [agent, coach])
    run(room, 1000, [
      [agent, 437],
      [coach, 1010],
    ])
    const [left, right] = ended(room)
    assert.ok(left && right && left.length === 8000 && right.length === 8000)
    assert.ok(powerDb(left, 437) > HEARD_DB && powerDb(left, 1010) < UNHEARD_DB)
    assert.ok(right.every((sample) => sample === 0))
  })

  test('A whisper before and after a barge leaves no sample, wherever in a packet the change falls', () => {
    for (let shift = 0; shift < 20; shift += 3) {
      const [room, agent, coach] = [studio(), voice(), voice()]
      const table = (mouths: readonly Voice[]): void => thread(room, [mouths], [agent, coach])
      const loud = (level: number): Uint8Array => encode('pcmu', new Int16Array(N).fill(level))
      table([agent])
      const until = (ms: number, level: number): void => {
        for (; room.now < START + ms; room.now++) {
          if ((room.now - START) % 20 === 0) {
            say(room, agent, loud(0))
            say(room, coach, loud(level))
          }
          if (room.now % 10 === 0) turn(room.recording, room.now)
        }
        collect(room)
      }
      until(500 + shift, 30_000)
      table([agent, coach])
      // Said before the change, and still on its way.
      const late = loud(30_000)
      say(room, coach, late, { timestamp: coach.timestamp - 160, arrival: 'late' })
      for (const end = 500 + (shift === 0 ? 0 : 20); room.now < START + end; ) {
        room.now++
        if ((room.now - START) % 20 !== 0) continue
        // The packet in which the change falls: loud before it, quiet from it on.
        const codes = encode(
          'pcmu',
          Int16Array.from({ length: N }, (_, i) => (i < shift * 8 ? 30_000 : 1000)),
        )
        say(room, agent, loud(0))
        say(room, coach, codes)
      }
      room.now++
      until(800, 1000)
      table([agent])
      until(1200, 30_000)
      const [samples] = ended(room)
      assert.ok(samples)
      const most = samples.reduce((top, sample) => Math.max(top, sample), 0)
      assert.ok(most > 900 && most < 1100, `shift ${shift}: ${most}`)
      const first = samples.findIndex((sample) => sample > 900)
      assert.ok(first >= (500 + shift) * 8 && first <= (500 + shift + 1) * 8, `shift ${shift}: the barge begins at ${first / 8} ms`)
    }
  })

  test('Disorder, copies and jitter leave no trace; a lost packet leaves its own silence', () => {
    const fates = fc.array(fc.constantFrom('arrives', 'doubled', 'swapped', 'held up', 'lost'), { minLength: 5, maxLength: 40 })
    fc.assert(
      fc.property(fates, (packets) => {
        const [room, agent] = [studio(), voice()]
        thread(room, [[agent]], [agent])
        const first = agent.timestamp
        let highest = -1
        const deliver = (n: number): void => {
          const codes = tonePayload('pcmu', 437, N, n * N)
          const arrival = n > highest ? (highest < 0 ? 'first' : 'fresh') : 'late'
          say(room, agent, codes, { timestamp: first + n * N, arrival })
          highest = Math.max(highest, n)
        }
        // The first one comes in time: it says where the others lie.
        const waiting: { readonly n: number; readonly at: number }[] = [{ n: 0, at: 20 }]
        for (const [i, fate] of packets.entries()) {
          const at = (i + 2) * 20 + { swapped: 25, 'held up': 180, arrives: 0, doubled: 0, lost: 0 }[fate]
          if (fate !== 'lost') waiting.push({ n: i + 1, at })
          if (fate === 'doubled') waiting.push({ n: i + 1, at: at + 7 })
        }
        const end = START + packets.length * 20 + 500
        while (room.now < end) {
          room.now++
          for (const { n } of waiting.filter(({ at }) => START + at === room.now)) deliver(n)
          if (room.now % 10 === 0) turn(room.recording, room.now)
        }
        const [samples] = ended(room)
        assert.ok(samples)
        const spoken = decode('pcmu', tonePayload('pcmu', 437, (packets.length + 1) * N))
        for (const [i, fate] of ['arrives', ...packets].entries()) {
          const heard = samples.subarray(i * N, (i + 1) * N)
          assert.deepEqual(heard, fate === 'lost' ? new Int16Array(N) : spoken.subarray(i * N, (i + 1) * N), `packet ${i} ${fate}`)
        }
      }),
      { numRuns: 60 },
    )
  })

  test('Several mouths are summed and saturate, in either law', () => {
    for (const law of ['pcmu', 'pcma'] as const) {
      const [room, ...voices] = [studio(), voice(), voice(), voice()]
      for (const each of voices) each.law = law
      thread(room, [voices], voices)
      const levels = [30_000, 20_000, -25_000]
      run(room, 20)
      for (const [i, each] of voices.entries()) say(room, each, encode(law, new Int16Array(N).fill(levels[i] ?? 0)))
      const [samples] = ended(room)
      const sum = levels.reduce((total, level) => total + (decode(law, encode(law, Int16Array.of(level)))[0] ?? 0), 0)
      assert.ok(samples?.every((sample) => sample === sum))
      const loud = studio()
      thread(loud, [voices.slice(0, 2)], voices)
      run(loud, 20)
      for (const each of voices) Object.assign(each, { isFirst: true })
      for (const each of voices.slice(0, 2)) say(loud, each, encode(law, new Int16Array(N).fill(30_000)))
      assert.ok(ended(loud)[0]?.every((sample) => sample === 32767))
    }
  })

  test('A clip is recorded while a row names it, to the sample, repeated ones without a gap', () => {
    const room = studio(2)
    run(room, 200)
    const once = startPlaying('once', sine(437, 4000), false, room.now)
    const again = startPlaying('again', sine(440, 1000), true, room.now)
    thread(room, [[once], [again]], [])
    run(room, 350)
    room.now += 3
    thread(room, [[once], []], [])
    run(room, 447)
    const [left, right] = ended(room)
    assert.ok(left && right)
    assert.deepEqual(left.subarray(1600, 5600), once.samples)
    assert.ok(left.subarray(5600).every((sample) => sample === 0) && left.subarray(0, 1600).every((sample) => sample === 0))
    assert.deepEqual(
      right.subarray(1600, 1600 + 353 * 8),
      Int16Array.from({ length: 353 * 8 }, (_, i) => again.samples[i % 1000] ?? 0),
    )
    assert.ok(right.subarray(1600 + 353 * 8).every((sample) => sample === 0))
  })

  test('A clip that began before the recording is on it from there on', () => {
    const playing = startPlaying('early', sine(437, 8000), false, START - 250)
    const room = studio()
    thread(room, [[playing]], [])
    run(room, 500)
    assert.deepEqual(ended(room)[0], playing.samples.subarray(2000, 6000))
  })
})

describe('A recording', () => {
  test('Sound is given out at the latest after the hold and one chunk, for all tapes at once', () => {
    const room = studio(2)
    let oldest = 0
    for (let i = 0; i < 500; i++) {
      run(room, 10)
      oldest = Math.max(oldest, room.now - START - (room.kept[0]?.length ?? 0) / 8)
      assert.equal(room.kept[0]?.length, room.kept[1]?.length)
    }
    assert.ok(oldest <= HOLD_MS + CHUNK_MS + 40 && oldest < 1000, `${oldest} ms`)
  })

  test('Two phones whose crystals are 400 ppm apart stay aligned for four hours', () => {
    const room = studio(2)
    const [left, right] = [voice(), voice()]
    thread(room, [[left], [right]], [left, right])
    const FRAME = 480
    const CLICK = decode('pcmu', Uint8Array.of(0x80))[0] ?? 0
    const phones = [
      { from: left, ppm: 200, sent: 0 },
      { from: right, ppm: -200, sent: 0 },
    ].map((phone) => ({ ...phone, silence: encode('pcmu', new Int16Array(FRAME)), atMs: (n: number) => (n * FRAME) / 8 / (1 + phone.ppm / 1e6) }))
    /** Both phones click at the same moments of the true time, once a minute. */
    const clicks = [new Map<number, number>(), new Map<number, number>()]
    const END = 4 * 3_600_000
    const listen = (): void => {
      for (const { at, samples } of takeChunks(room.recording)) {
        for (let i = samples.indexOf(CLICK); i >= 0; i = samples.indexOf(CLICK, i + 1))
          clicks[i % 2]?.set(Math.round((at + (i >> 1)) / 480_000), at + (i >> 1))
      }
    }
    for (let ms = 0; ms < END; ms += 60) {
      for (const phone of phones) {
        for (; phone.atMs(phone.sent + 1) <= ms + 60; phone.sent++) {
          room.now = START + phone.atMs(phone.sent + 1)
          const first = phone.sent * FRAME
          const minute = 480_000 * (1 + phone.ppm / 1e6)
          // A little after each minute, so that it never falls on the edge of a packet.
          const click = Math.round(Math.max(0, Math.ceil((first - 50) / minute)) * minute) + 50 - first
          // Three samples wide, so that the one in the middle outlives every stretching.
          const codes = click > 0 && click < FRAME - 1 ? phone.silence.map((code, i) => (Math.abs(i - click) <= 1 ? 0x80 : code)) : phone.silence
          say(room, phone.from, codes)
        }
      }
      room.now = START + ms + 60
      turn(room.recording, room.now)
      listen()
    }
    assert.ok(
      clicks.every((each) => each.size >= 239),
      `${clicks.map((each) => each.size)} clicks`,
    )
    for (const [minute, at] of clicks[0] ?? []) {
      const other = clicks[1]?.get(minute) ?? at
      assert.ok(Math.abs(at - other) <= 40, `minute ${minute}: ${(at - other) / 8} ms apart`)
      assert.ok(Math.abs(at - 50 - minute * 480_000) <= 40, `minute ${minute}: ${(at - 50 - minute * 480_000) / 8} ms off`)
    }
  })

  test('What waited in sockets during a stall of half a second finds its place', () => {
    const [room, agent] = [studio(), voice()]
    thread(room, [[agent]], [agent])
    run(room, 400, [[agent, 437]])
    room.now += 500
    turn(room.recording, room.now)
    for (let i = 0; i < 25; i++) say(room, agent, tonePayload('pcmu', 437, N, (agent.timestamp + 0x100) >>> 0))
    run(room, 600, [[agent, 437]])
    const [samples] = ended(room)
    assert.deepEqual(samples, decode('pcmu', tonePayload('pcmu', 437, 1500 * 8)).subarray(0, samples?.length))
    assert.equal(samples?.length, 1500 * 8)
  })

  test('After a stall of any length it goes on at the right place', () => {
    const [room, agent] = [studio(), voice()]
    thread(room, [[agent]], [agent])
    run(room, 400, [[agent, 437]])
    room.now += 60_000
    agent.timestamp += 60_000 * 8
    run(room, 12_000, [[agent, 437]])
    const [samples] = ended(room)
    assert.equal(samples?.length, 72_400 * 8)
    assert.ok(samples.subarray(402 * 8, 60_390 * 8).every((sample) => sample === 0))
    assert.ok(powerDb(samples.subarray(60_500 * 8, 61_500 * 8), 437) > HEARD_DB)
  })

  test('A clock whose turns are rare keeps up', () => {
    const [room, agent] = [studio(), voice()]
    thread(room, [[agent]], [agent])
    run(room, 400, [[agent, 437]])
    for (let i = 0; i < 50; i++) {
      room.now += 200
      turn(room.recording, room.now)
      for (let n = 0; n < 10; n++) say(room, agent, tonePayload('pcmu', 437, N, (agent.timestamp + 0x100) >>> 0))
      collect(room)
      const behind = room.now - START - (room.kept[0]?.length ?? 0) / 8
      assert.ok(behind <= HOLD_MS + CHUNK_MS + 400, `${behind} ms`)
    }
    const samples = ended(room)[0] ?? new Int16Array()
    const spoken = decode('pcmu', tonePayload('pcmu', 437, samples.length))
    assert.equal(samples.length, 10_400 * 8)
    assert.equal(
      samples.findIndex((sample, i) => sample !== spoken[i]),
      -1,
    )
  })

  test('It needs no more room however many come and go', () => {
    const room = studio(2)
    for (let i = 0; i < 400; i++) {
      const each = voice()
      thread(room, [[each], [each]], [each])
      run(room, 20, [[each, 437]])
      for (let tape = 0; tape < 2; tape++) assert.ok(tapeIn(room, tape).strips.size <= HOLD_MS / 20 + 2, `${tapeIn(room, tape).strips.size}`)
    }
    assert.ok(room.recording.chunks.length <= 1)
  })

  test('It has an end', () => {
    const room = studio()
    room.recording.done = room.recording.chunkAt = MAX_RECORDING_MS * 8 - N
    assert.equal(isFull(room.recording), false)
    room.now = START + MAX_RECORDING_MS + 10_000
    turn(room.recording, room.now)
    assert.equal(isFull(room.recording), false)
    turn(room.recording, room.now)
    assert.equal(isFull(room.recording), true)
    assert.equal(takeChunks(room.recording).length, 0)
    for (let i = 0; i < 1000; i++) turn(room.recording, (room.now += 10))
    finish(room.recording, room.now + 60_000)
    assert.ok(takeChunks(room.recording).length <= 1, 'what comes after it takes no room')
  })

  test('A phone that begins a new stream, or whose time leaps, is heard where it speaks, once', () => {
    const [room, agent] = [studio(), voice()]
    thread(room, [[agent]], [agent])
    run(room, 500, [[agent, 437]])
    agent.timestamp = 12_345
    agent.isFirst = true
    run(room, 500, [[agent, 437]])
    agent.timestamp = 99_999_999
    run(room, 500, [[agent, 437]])
    const [samples] = ended(room)
    assert.ok(samples && samples.length === 1500 * 8)
    for (let at = 0; at < 1500 * 8; at += 800) assert.ok(powerDb(samples.subarray(at, at + 800), 437) > HEARD_DB, `at ${at / 8} ms`)
  })
})
