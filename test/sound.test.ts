/** Sounds and recordings from outside (contract C30): real phones, files on a web server, and what is in each ear and on each channel. */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { channelOf, layoutOf, writeHeader } from '../src/media/clips/wav.ts'
import { powerDb, sine } from '../src/media/tone.ts'
import type { Phone } from '../src/phone/phone.ts'
import { eventually } from './eventually.ts'
import { KEY, openTestReceiver, openTestServer, type TestReceiver, type TestServer, TOKEN } from './server.ts'

const HZ = { agent: 440, customer: 700, boss: 1010, music: 1330, opening: 1730 } as const
type Tone = keyof typeof HZ
const ALL = Object.keys(HZ) as Tone[]
const RATE_HZ = 8000

let server: TestServer
let receiver: TestReceiver
let phones: Record<'agent' | 'customer' | 'boss', Phone>
let sounds: Server
let origin = ''

before(async () => {
  // Somebody who takes a while to pick up, so that whoever waits can hear what is played.
  server = await openTestServer('', { toneHz: HZ.customer, behaviour: { answer: 'auto', answerAfterMs: 1_500 } })
  receiver = await openTestReceiver()
  phones = {
    agent: await server.phone({ name: 'priya', toneHz: HZ.agent }),
    boss: await server.phone({ name: 'boss', toneHz: HZ.boss }),
    customer: server.trunkPhone,
  }
  const files: Readonly<Record<string, Buffer>> = { '/music.wav': wav(HZ.music, 0.5), '/opening.wav': wav(HZ.opening, 1.2) }
  sounds = createServer((request, response) => {
    const file = files[request.url ?? '']
    response.writeHead(file ? 200 : 404, { 'content-type': 'audio/wav' }).end(file)
  })
  await new Promise<void>((resolve) => sounds.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(sounds.address() as AddressInfo).port}`
})
after(async () => {
  sounds.close()
  await server.close()
  await receiver.close()
})

function wav(hz: number, seconds: number): Buffer {
  const samples = sine(hz, seconds * RATE_HZ)
  return Buffer.concat([writeHeader(1, samples.byteLength), Buffer.from(samples.buffer)])
}

/** What the phone hears, as names joined by a blank; `away` when it is in no call. */
function ear(who: keyof typeof phones): string {
  const session = phones[who].current()
  return session?.state === 'established' ? ALL.filter((tone) => session.hears(HZ[tone]) === 'heard').join(' ') : 'away'
}
const hear = (table: Partial<Record<keyof typeof phones, string>>): Promise<unknown> =>
  eventually(`${JSON.stringify(table)}`, () => Object.entries(table).every(([who, heard]) => ear(who as keyof typeof phones) === heard))

async function connect(fields: Readonly<Record<string, string>>): Promise<string> {
  const { status, body } = await server.request('POST', '/Calls/connect.json', { From: 'client:priya', To: '+919876543210', ...fields })
  assert.equal(status, 200, JSON.stringify(body))
  return body.Call.Sid
}
const call = async (sid: string): Promise<Readonly<Record<string, string | null>>> => (await server.request('GET', `/Calls/${sid}.json`)).body.Call as never
async function hangUp(sid: string): Promise<void> {
  const { body } = await server.request('GET', `/Calls/${sid}/ActiveLegs.json`)
  await server.request('PUT', `/Calls/${sid}/Legs/${body.Legs[0]?.Sid}.json`, { Action: 'hangup' })
  await eventually('the call is over', async () => (await call(sid)).Status !== 'in-progress')
  await eventually('everybody has hung up', () => (['agent', 'customer', 'boss'] as const).every((who) => ear(who) === 'away'))
}

/** The tones on one channel of a recording, over the whole of it or from a second to another. */
function tonesOn(file: Buffer, channel: number, fromS = 0, toS = Number.POSITIVE_INFINITY): string {
  const layout = layoutOf(file)
  if ('refused' in layout) throw new Error(layout.refused)
  const samples = Int16Array.from(channelOf(file, layout, channel), (value) => Math.round(value * 32_767))
  const part = samples.subarray(fromS * RATE_HZ, Math.min(samples.length, toS * RATE_HZ))
  // A tone that was there for a moment shows in the windows in which it was.
  const windows = Array.from({ length: Math.floor(part.length / 800) }, (_, n) => part.subarray(n * 800, (n + 1) * 800))
  return ALL.filter((tone) => windows.some((window) => powerDb(window, HZ[tone]) > -35)).join(' ')
}
async function recording(sid: string): Promise<Buffer> {
  const url = String((await call(sid)).RecordingUrl)
  assert(url.startsWith(`${server.url}/v1/Accounts/acme/Recordings/`), url)
  const stranger = await fetch(url)
  assert.equal(stranger.status, 401, 'nobody hears it without a key')
  return eventually('the recording is whole', async () => {
    const response = await fetch(url, { headers: { authorization: `Basic ${btoa(`${KEY}:${TOKEN}`)}` } })
    return response.status === 200 ? Buffer.from(await response.arrayBuffer()) : null
  })
}

test('[C30] From hears the music until To picks up; an opening is heard by whom it is for; then they hear each other', async () => {
  const sid = await connect({ WaitUrl: `${origin}/music.wav`, StartPlaybackValue: `${origin}/opening.wav`, StartPlaybackToNew: 'Both' })
  await hear({ agent: 'music', customer: 'away' })
  await hear({ agent: 'opening', customer: 'opening' })
  await hear({ agent: 'customer', customer: 'agent' })
  await hangUp(sid)
})

test('[C30] an opening for the callee leaves From in silence until they hear each other', async () => {
  const sid = await connect({ StartPlaybackValueNew: `${origin}/opening.wav`, StartPlaybackToNew: 'Callee' })
  await hear({ agent: '', customer: 'opening' })
  await hear({ agent: 'customer', customer: 'agent' })
  await hangUp(sid)
})

test('[C29] [C30] sounds that are not there, or at addresses that are not allowed, delay nothing', async () => {
  const sid = await connect({ WaitUrl: 'http://169.254.169.254/latest', StartPlaybackValue: `${origin}/nothing.wav`, StartPlaybackTo: 'Both' })
  await hear({ agent: 'customer', customer: 'agent' })
  assert.match(server.log(), /a sound could not be played/)
  assert(!server.log().includes('169.254'), 'the address that a customer named is not for the log')
  await hangUp(sid)
})

test('[C30] a recording has each party on its channel, whoever barged in on the first, and never a whisper', async () => {
  const sid = await connect({ Record: 'true', RecordingChannels: 'dual', StatusCallback: receiver.url, StatusCallbackContentType: 'application/json' })
  await hear({ agent: 'customer', customer: 'agent' })
  const { body } = await server.request('POST', `/Calls/${sid}/Legs.json`, { Action: 'listen', PhoneNumber: 'client:boss' })
  await hear({ boss: 'agent customer' })
  const mode = (Action: string): Promise<unknown> => server.request('PUT', `/Calls/${sid}/Legs/${body.Leg.Sid}.json`, { Action })
  await mode('whisper')
  await hear({ agent: 'customer boss', customer: 'agent', boss: 'agent customer' })
  assert.equal((await call(sid)).RecordingUrl, null, 'not while the call lives')
  await hangUp(sid)
  const file = await recording(sid)
  assert.deepEqual([tonesOn(file, 0), tonesOn(file, 1)], ['agent', 'customer'])
  const told = await eventually('the callback', () => receiver.received.find(({ body: text }) => text.includes(sid) && text.includes('terminal')))
  assert.equal(JSON.parse(told.body).RecordingUrl, (await call(sid)).RecordingUrl)
})

test('[C30] on a single channel everybody in the conversation is heard, and a supervisor from the barge to the next whisper', async () => {
  const sid = await connect({ Record: 'true' })
  await hear({ agent: 'customer', customer: 'agent' })
  const { body } = await server.request('POST', `/Calls/${sid}/Legs.json`, { Action: 'barge', PhoneNumber: 'client:boss' })
  await hear({ agent: 'customer boss', customer: 'agent boss' })
  await server.request('PUT', `/Calls/${sid}/Legs/${body.Leg.Sid}.json`, { Action: 'whisper' })
  await hear({ agent: 'customer boss', customer: 'agent' })
  await hangUp(sid)
  const file = await recording(sid)
  assert.equal(tonesOn(file, 0), 'agent customer boss')
  const layout = layoutOf(file)
  assert(!('refused' in layout) && layout.channels === 1 && layout.rateHz === RATE_HZ)
})

test('[C30] after kill -9 in mid-call what was said until then can be heard', async () => {
  const sid = await connect({ Record: 'true', RecordingChannels: 'dual' })
  await hear({ agent: 'customer', customer: 'agent' })
  await new Promise((resolve) => setTimeout(resolve, 2_500))
  await server.end('SIGKILL')
  await server.start()
  const file = await recording(sid)
  const layout = layoutOf(file)
  assert(!('refused' in layout), 'its header says what is there')
  assert(layout.dataBytes / 4 / RATE_HZ >= 1, `${layout.dataBytes} bytes`)
  assert.deepEqual([tonesOn(file, 0), tonesOn(file, 1)], ['agent', 'customer'])
})
