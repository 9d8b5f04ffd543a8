/** The sound over real sockets on the loopback: ports, lock, hearing, counters. Small; the rules are tested in `src/media/`. */
import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { CallId, LegId } from '../../../domain/ids.ts'
import { decode } from '../../../media/g711.ts'
import { powerDb, tonePayload } from '../../../media/tone.ts'
import { parseRtcp } from '../../../media/rtcp.ts'
import { buildRtp, parseRtp } from '../../../media/rtp.ts'
import type { MediaPlane, MediaTerms } from '../media-plane.ts'
import { MAX_RESTARTS_PER_MINUTE, makeMediaPlane } from './media-thread.ts'

const WAIT_MS = 5000
/** The plane's ports by leg, noted as they are opened. */
const portsOf = new Map<string, number>()
const call = 'call' as CallId
const leg = (name: string): LegId => name as LegId

interface SocketPhone {
  readonly id: LegId
  readonly socket: Socket
  readonly rtcp: Socket
  readonly port: number
  readonly heard: { readonly at: number; readonly bytes: Buffer }[]
  readonly reports: Buffer[]
  readonly stop: () => void
}

async function bound(port: number): Promise<Socket | null> {
  const socket = createSocket('udp4')
  return await new Promise((resolve) => {
    socket.once('error', () => resolve(null))
    socket.bind(port, '127.0.0.1', () => resolve(socket))
  })
}

/** Two neighbouring ports of its own, a tone every 20 ms towards the plane. */
async function makePhone(id: LegId, hz: number, target: number): Promise<SocketPhone> {
  let pair: [Socket, Socket] | null = null
  while (pair === null) {
    const rtp = await bound(0)
    assert.ok(rtp)
    const rtcp = await bound(rtp.address().port + 1)
    if (rtcp === null) rtp.close()
    else pair = [rtp, rtcp]
  }
  const [socket, rtcp] = pair
  const heard: { at: number; bytes: Buffer }[] = []
  const reports: Buffer[] = []
  socket.on('message', (bytes) => heard.push({ at: performance.now(), bytes }))
  rtcp.on('message', (bytes) => reports.push(bytes))
  let n = 0
  const timer = setInterval(() => {
    const payload = tonePayload('pcmu', hz, 160, 160 * n)
    socket.send(buildRtp({ payloadType: 0, marker: n === 0, sequence: n, timestamp: 160 * n, ssrc: hz }, payload), target, '127.0.0.1')
    n++
  }, 20)
  const stop = () => {
    clearInterval(timer)
    socket.close()
    rtcp.close()
  }
  return { id, socket, rtcp, port: socket.address().port, heard, reports, stop }
}

const terms = (phone: SocketPhone, change: Partial<MediaTerms> = {}): MediaTerms => ({
  remote: { host: '127.0.0.1', port: phone.port },
  signallingHost: null,
  law: 'pcmu',
  digitsPayloadType: 101,
  digitsFromPhone: [101],
  ptimeMs: 20,
  phoneReceives: true,
  phoneSends: true,
  ...change,
})

function level(phone: SocketPhone, hz: number, packets: number): number {
  const payloads = phone.heard.slice(-packets).map(({ bytes }) => {
    const packet = parseRtp(bytes)
    assert.ok(packet)
    return bytes.subarray(packet.payloadStart, packet.payloadEnd)
  })
  return powerDb(decode('pcmu', Buffer.concat(payloads)), hz)
}

async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + WAIT_MS
  while (!(await holds())) {
    assert.ok(performance.now() < end, what)
    await pause(10)
  }
}

const table = (rows: Record<string, readonly string[]>): ReadonlyMap<LegId, readonly LegId[]> =>
  new Map(Object.entries(rows).map(([ear, mouths]) => [leg(ear), mouths.map(leg)]))

describe('A call of three phones over sockets', () => {
  let plane: MediaPlane
  const phones: Record<string, SocketPhone> = {}
  const at = (name: string): SocketPhone => {
    const phone = phones[name]
    assert.ok(phone)
    return phone
  }

  before(async () => {
    plane = makeMediaPlane({ host: '127.0.0.1', portMin: 20000, portMax: 29999 })
    await plane.start()
    for (const [name, hz, kind] of [
      ['agent', 440, 'conversation'],
      ['customer', 700, 'conversation'],
      ['coach', 1000, 'monitor'],
    ] as const) {
      const { port } = await plane.open(call, leg(name), kind)
      portsOf.set(name, port)
      assert.ok(port % 2 === 0 && port >= 20000 && port <= 29998)
      phones[name] = await makePhone(leg(name), hz, port)
      await plane.connect(leg(name), terms(at(name)))
    }
  })

  after(async () => {
    for (const phone of Object.values(phones)) phone.stop()
    await plane.stop()
  })

  test('Nobody hears anybody before there is a table', async () => {
    await until(async () => ((await plane.counters(leg('agent')))?.packetsIn ?? 0) > 5, 'packets come in')
    assert.deepEqual(
      Object.values(phones).map((phone) => phone.heard.length),
      [0, 0, 0],
    )
  })

  for (const [mode, rows] of [
    ['listen', { agent: ['customer'], customer: ['agent'], coach: ['customer', 'agent'] }],
    ['barge', { agent: ['customer', 'coach'], customer: ['agent', 'coach'], coach: ['customer', 'agent'] }],
    ['whisper', { agent: ['customer', 'coach'], customer: ['agent'], coach: ['customer', 'agent'] }],
  ] as const) {
    test(`[C23] In ${mode} each ear hears its row; the order is in force when it is answered`, async () => {
      await plane.setHearing(call, table(rows))
      // Datagrams that were sent before the answer may still wait in our own sockets.
      await pause(50)
      for (const phone of Object.values(phones)) phone.heard.length = 0
      await until(() => Object.values(phones).every((phone) => phone.heard.length >= 40), 'every phone receives')
      for (const [ear, mouths] of Object.entries(rows)) {
        for (const [mouth, hz] of [
          ['agent', 440],
          ['customer', 700],
          ['coach', 1000],
        ] as const) {
          const db = level(at(ear), hz, 25)
          const isHeard = (mouths as readonly string[]).includes(mouth)
          assert.ok(isHeard ? db > -25 : db < -35, `${ear} ${isHeard ? 'hears' : 'does not hear'} ${mouth}: ${db}`)
        }
      }
    })
  }

  test('A stranger is dropped and counted', async () => {
    const stranger = createSocket('udp4')
    const target = (await plane.counters(leg('agent')))?.strangers
    assert.equal(target, 0)
    const port = portsOf.get('agent') ?? 0
    const bytes = buildRtp({ payloadType: 0, marker: false, sequence: 1, timestamp: 1, ssrc: 666 }, tonePayload('pcmu', 2000, 160))
    for (let i = 0; i < 10; i++) stranger.send(bytes, port, '127.0.0.1')
    await until(async () => (await plane.counters(leg('agent')))?.strangers === 10, 'strangers are counted')
    stranger.close()
    assert.ok(level(at('customer'), 2000, 25) < -35)
  })

  test('Closing a leg says goodbye, gives the counters and frees the port', async () => {
    const port = portsOf.get('coach') ?? 0
    const counters = await plane.close(leg('coach'))
    assert.ok(counters !== null && counters.packetsIn > 20 && counters.packetsOut > 20 && counters.strangers === 0)
    await until(() => at('coach').reports.some((bytes) => parseRtcp(bytes)?.goodbye === true), 'RTCP BYE')
    const again = await bound(port)
    assert.ok(again, 'the port is free')
    again.close()
    assert.equal(await plane.close(leg('coach')), null)
    assert.equal(await plane.counters(leg('coach')), null)
    await plane.connect(leg('coach'), terms(at('coach')))
    await plane.setHearing('no such call' as CallId, table({}))
  })
})

test('A phone that nobody talks to is sent silence, and the counters tell when it was heard', async () => {
  const plane = makeMediaPlane({ host: '127.0.0.1', portMin: 20000, portMax: 29999 })
  const since = Date.now()
  await plane.start()
  const phone = await makePhone(leg('alone'), 440, (await plane.open(call, leg('alone'), 'conversation')).port)
  assert.equal((await plane.counters(leg('alone')))?.heardAt, null)
  await plane.connect(leg('alone'), terms(phone))
  await until(() => phone.heard.length > 0, 'silence comes')
  assert.ok(phone.heard[0]?.bytes.subarray(12).every((code) => code === 0xff))
  const heardAt = (await plane.counters(leg('alone')))?.heardAt ?? 0
  assert.ok(heardAt >= since - 1 && heardAt <= Date.now() + 1)
  phone.stop()
  await plane.stop()
})

test('A port that has settled on its phone still hears it, and hears another when signalling names it', async () => {
  const plane = makeMediaPlane({ host: '127.0.0.1', portMin: 20000, portMax: 29999, settleMs: 50 })
  await plane.start()
  const open = async (name: string) => (await plane.open(call, leg(name), 'conversation')).port
  const [left, right] = [await open('left'), await open('right')]
  const phones = [await makePhone(leg('left'), 440, left), await makePhone(leg('right'), 700, right), await makePhone(leg('right'), 1000, right)]
  const [a, b, c] = phones
  assert.ok(a && b && c)
  await plane.connect(leg('left'), terms(a))
  await plane.connect(leg('right'), terms(b))
  await plane.setHearing(call, table({ left: ['right'], right: ['left'] }))
  const packets = async () => (await plane.counters(leg('right')))?.packetsIn ?? 0
  await until(async () => (await packets()) > 40, 'packets come in long after settling')
  const strangers = (await plane.counters(leg('right')))?.strangers ?? 0
  assert.ok(strangers < 20, `the kernel drops them by now: ${strangers}`)
  assert.ok(level(a, 700, 15) > -25 && level(a, 1000, 15) < -35)
  await plane.connect(leg('right'), terms(c))
  a.heard.length = 0
  c.heard.length = 0
  await until(() => a.heard.length > 40 && c.heard.length > 20, 'the other phone is heard and hears')
  assert.ok(level(a, 1000, 15) > -25)
  for (const phone of phones) phone.stop()
  await plane.stop()
})

test('When the worker dies, whoever waits is answered, the lost legs are named and new calls go on, a few times', async () => {
  const dying = `import { parentPort } from 'node:worker_threads'
    parentPort.on('message', ({ id, order }) => {
      if (order.kind !== 'open') throw new Error('planted')
      parentPort.postMessage({ kind: 'done', id, answer: { port: 4000 } })
    })`
  const troubles: { message: string; legIds: readonly string[] }[] = []
  const plane = makeMediaPlane({
    host: '127.0.0.1',
    portMin: 20000,
    portMax: 20001,
    workerFile: new URL(`data:text/javascript,${encodeURIComponent(dying)}`),
    onTrouble: (message, legIds) => troubles.push({ message, legIds }),
  })
  const lost: (readonly string[])[] = []
  await plane.start((legIds) => lost.push(legIds))
  for (let death = 1; death <= MAX_RESTARTS_PER_MINUTE; death++) {
    assert.equal((await plane.open(call, leg('a'), 'monitor')).port, 4000)
    const refused = assert.rejects(plane.setHearing(call, table({})), /planted/)
    assert.equal(await plane.close(leg('a')), null)
    await refused
    assert.deepEqual(troubles.at(-1)?.legIds, ['a'])
    assert.deepEqual(
      lost,
      Array.from({ length: death }, () => ['a']),
    )
  }
  assert.equal((await plane.open(call, leg('a'), 'monitor')).port, 4000)
  assert.equal(await plane.counters(leg('a')), null)
  await assert.rejects(plane.open(call, leg('b'), 'monitor'), /not running/)
  assert.match(troubles.at(-1)?.message ?? '', /not started again/)
  await plane.stop()
})

test('When every port is taken the order fails and says so', async () => {
  const taken = createSocket('udp4').bind(0, '127.0.0.1')
  await once(taken, 'listening')
  const even = taken.address().port & ~1
  const plane = makeMediaPlane({ host: '127.0.0.1', portMin: even, portMax: even + 1 })
  await plane.start()
  await assert.rejects(plane.open(call, leg('a'), 'conversation'), { message: `no RTP port is free in ${even}-${even + 1}` })
  taken.close()
  await once(taken, 'close')
  const { port } = await plane.open(call, leg('a'), 'conversation')
  assert.equal(port, even)
  await assert.rejects(plane.open(call, leg('b'), 'conversation'), /no RTP port is free/)
  await plane.stop()
  await assert.rejects(plane.open(call, leg('c'), 'conversation'), /not running/)
})

test('An address that is not ours is an error that names it', async () => {
  const plane = makeMediaPlane({ host: '192.0.2.1', portMin: 20000, portMax: 20009 })
  await plane.start()
  await assert.rejects(plane.open(call, leg('a'), 'conversation'), /EADDRNOTAVAIL/)
  await plane.stop()
})
