/** Playing and recording through the thread and over real sockets: small, since the rules are tested in `src/media/`. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Ear, Hearing, Mouth } from '../../../domain/hearing.ts'
import type { CallId, LegId, SoundId, TapeId } from '../../../domain/ids.ts'
import { channelOf, layoutOf } from '../../../media/clips/wav.ts'
import { decode } from '../../../media/g711.ts'
import { buildRtp, parseRtp } from '../../../media/rtp.ts'
import { powerDb, sine, tonePayload } from '../../../media/tone.ts'
import type { MediaPlane } from '../media-plane.ts'
import { makeMediaPlane } from './media-thread.ts'

const HOST = '127.0.0.1'
const WAIT_MS = 10_000
const call = 'call' as CallId
const agent = 'agent' as LegId
const tape = 'tape' as TapeId
const other = 'other' as TapeId
const chime = 'chime' as SoundId
const HZ = { agent: 440, chime: 2130 }

/** Nobody hears anybody, but the tape this leg. */
const heardByTape = (leg: LegId): Hearing =>
  new Map<Ear, readonly Mouth[]>([
    [leg, []],
    [tape, [leg]],
  ])

interface Talker {
  readonly heard: Buffer[]
  stop(): void
}

/** A phone of the agent that hums, in a call of its own in this plane. */
async function talk(plane: MediaPlane, hz: number, inCall = call, leg = agent): Promise<Talker> {
  const { port } = await plane.open(inCall, leg, 'conversation')
  const socket = createSocket('udp4').bind(0, HOST)
  await once(socket, 'listening')
  const heard: Buffer[] = []
  socket.on('message', (bytes) => heard.push(bytes))
  const remote = { host: HOST, port: socket.address().port }
  const digits = { digitsPayloadType: 101, digitsFromPhone: [101] }
  await plane.connect(leg, { remote, signallingHost: null, law: 'pcmu', ...digits, ptimeMs: 20, phoneReceives: true, phoneSends: true })
  const startedAt = performance.now()
  let n = 0
  const timer = setInterval(() => {
    // A busy machine may be late; what is owed is sent then.
    for (; n * 20 <= performance.now() - startedAt; n++) {
      const header = { payloadType: 0, marker: n === 0, sequence: n & 0xffff, timestamp: 160 * n, ssrc: hz }
      socket.send(buildRtp(header, tonePayload('pcmu', hz, 160, 160 * n)), port, HOST)
    }
  }, 20)
  return {
    heard,
    stop() {
      clearInterval(timer)
      socket.close()
    },
  }
}

async function until<T>(what: string, look: () => Promise<T | null> | T | null): Promise<T> {
  const end = performance.now() + WAIT_MS
  for (;;) {
    const found = await look()
    if (found !== null) return found
    assert.ok(performance.now() < end, what)
    await pause(20)
  }
}

const samplesOf = (bytes: Buffer, channel = 0): Int16Array => {
  const layout = layoutOf(bytes)
  assert.ok(!('refused' in layout), JSON.stringify(layout))
  return Int16Array.from(channelOf(bytes, layout, channel), (sample) => sample * 32768)
}

/** The file, once it has that many samples of each channel; read while it is written. */
const recorded = (path: string, samples: number): Promise<Buffer> =>
  until(`${samples} samples are in ${path}`, async () => {
    const bytes = await readFile(path)
    // Its beginning may have been read a moment later than its length.
    return 'refused' in layoutOf(bytes) || samplesOf(bytes).length < samples ? null : bytes
  })

const CHILD = 'a process that records'
/** This file, run as a process of its own, records until it is killed. */
if (process.argv[2] === CHILD) {
  const plane = makeMediaPlane({ host: HOST, portMin: 20_000, portMax: 29_999 })
  await plane.start()
  await talk(plane, HZ.agent)
  await plane.setHearing(call, heardByTape(agent))
  await plane.record({ callId: call, file: process.argv[3] ?? '', tapes: [tape] })
  process.stdout.write('recording\n')
} else {
  describe('The thread plays and records', () => {
    let folder = ''
    let plane: MediaPlane
    const played: string[] = []
    const troubles: string[] = []
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'earshot-recording-'))
      plane = makeMediaPlane({
        host: HOST,
        portMin: 20_000,
        portMax: 29_999,
        onTrouble: (message, legIds, callId) => troubles.push(`${message} ${legIds.join()} ${callId}`),
      })
      await plane.start(undefined, (callId, soundId) => played.push(`${callId} ${soundId}`))
    })
    after(async () => {
      await plane.stop()
      await rm(folder, { recursive: true, force: true })
    })

    test('A clip is heard and recorded beside who speaks, its end is told once, and the file can be read meanwhile and afterwards', async () => {
      const phone = await talk(plane, HZ.agent)
      const rows = new Map<LegId | TapeId, readonly (LegId | SoundId)[]>([
        [agent, [chime]],
        [tape, [agent]],
        [other, [chime]],
      ])
      await plane.setHearing(call, rows)
      const path = join(folder, 'two.wav')
      await plane.record({ callId: call, file: path, tapes: [tape, other] })
      await plane.play({ callId: call, soundId: chime, clip: { samples: sine(HZ.chime, 8000) }, repeats: false })
      await until('the clip ends', () => (played.length > 0 ? played : null))
      const meanwhile = await recorded(path, 8000)
      assert.ok(powerDb(samplesOf(meanwhile, 0).subarray(-6000), HZ.agent) > -20)
      assert.ok(powerDb(samplesOf(meanwhile, 0), HZ.chime) < -50)
      assert.ok(powerDb(samplesOf(meanwhile, 1).subarray(0, 7900), HZ.chime) > -16)
      const payloads = phone.heard.map((bytes) => bytes.subarray(parseRtp(bytes)?.payloadStart ?? 0))
      assert.ok(powerDb(decode('pcmu', Buffer.concat(payloads)).subarray(0, 7000), HZ.chime) > -16)
      await plane.close(agent)
      phone.stop()
      const closed = await until('the last of it is there', async () => {
        const bytes = await readFile(path)
        return bytes.readUInt32LE(40) === bytes.length - 44 && bytes.length > meanwhile.length ? bytes : null
      })
      assert.ok(samplesOf(closed).length > samplesOf(meanwhile).length)
      assert.deepEqual(played, ['call chime'])
      assert.deepEqual(troubles, [])
    })

    test('What cannot be recorded is an error that changes nothing, and what can be is recorded after it', async () => {
      const order = { callId: call, file: join(folder, 'wrong.wav'), tapes: [tape] }
      await assert.rejects(plane.record(order), /no sound/)
      const phone = await talk(plane, HZ.agent)
      await plane.setHearing(call, heardByTape(agent))
      await assert.rejects(plane.record({ ...order, file: 'wrong.wav' }), /absolute/)
      await assert.rejects(plane.record({ ...order, tapes: [] }), /one tape or two/)
      await assert.rejects(plane.record({ ...order, tapes: [tape, tape] }), /one tape or two/)
      await assert.rejects(plane.record({ ...order, file: join(folder, 'no', 'such.wav') }), /ENOENT/)
      await writeFile(join(folder, 'there.wav'), 'evidence')
      await assert.rejects(plane.record({ ...order, file: join(folder, 'there.wav') }), /EEXIST/)
      assert.equal(await readFile(join(folder, 'there.wav'), 'utf8'), 'evidence')
      await plane.record(order)
      await assert.rejects(plane.record({ ...order, file: join(folder, 'again.wav') }), /recorded already/)
      await recorded(order.file, 4000)
      await plane.close(agent)
      phone.stop()
      assert.deepEqual((await readdir(folder)).sort(), ['there.wav', 'two.wav', 'wrong.wav'])
      await plane.play({ callId: call, soundId: chime, clip: { samples: sine(HZ.chime, 80) }, repeats: false })
    })

    test('When the thread is stopped its recordings are whole', async () => {
      const second = makeMediaPlane({ host: HOST, portMin: 20_000, portMax: 29_999 })
      await second.start()
      const phone = await talk(second, HZ.agent)
      await second.setHearing(call, heardByTape(agent))
      const path = join(folder, 'stopped.wav')
      const startedAt = performance.now()
      await second.record({ callId: call, file: path, tapes: [tape] })
      await recorded(path, 4000)
      const ms = performance.now() - startedAt
      await second.stop()
      phone.stop()
      const bytes = await readFile(path)
      assert.equal(bytes.readUInt32LE(40), bytes.length - 44)
      const samples = samplesOf(bytes)
      assert.ok(samples.length / 8 >= ms - 50, `${samples.length / 8} ms of ${ms}`)
    })

    test('A process that is killed leaves what was said up to a second before', async () => {
      const path = join(folder, 'killed.wav')
      const child = spawn(process.execPath, [fileURLToPath(import.meta.url), CHILD, path], { stdio: ['ignore', 'pipe', 'inherit'] })
      const gone = once(child, 'exit')
      let ms = 0
      try {
        await once(child.stdout, 'data')
        const startedAt = performance.now()
        await recorded(path, 12_000)
        ms = performance.now() - startedAt
      } finally {
        child.kill('SIGKILL')
      }
      await gone
      const samples = samplesOf(await readFile(path))
      assert.ok(samples.length / 8 >= ms - 1_000, `${samples.length / 8} ms of ${ms}`)
      assert.ok(powerDb(samples.subarray(-8000), HZ.agent) > -20)
    })

    test('Calls that are recorded and over leave nothing behind', async () => {
      for (let i = 0; i < 5; i++) {
        const [callId, leg] = [`c${i}` as CallId, `l${i}` as LegId]
        const phone = await talk(plane, HZ.agent, callId, leg)
        await plane.setHearing(callId, heardByTape(leg))
        await plane.record({ callId, file: join(folder, `${i}.wav`), tapes: [tape] })
        await plane.close(leg)
        phone.stop()
        await until('the file is closed', async () => {
          const held = await readdir('/proc/self/fd').catch(() => [])
          const names = await Promise.all(held.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
          return names.includes(join(folder, `${i}.wav`)) ? null : true
        })
      }
      assert.deepEqual(troubles, [])
    })
  })
}
