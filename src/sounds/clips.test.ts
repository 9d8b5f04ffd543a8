import assert from 'node:assert/strict'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { makeAddressGuard } from '../webhooks/guard.ts'
import { ClipError, type Clips, type ClipsOptions, KEPT_MS, makeClips } from './clips.ts'

/** One second of a square wave: 8 kHz, 16 bit, mono. */
const WAV = wav(8000)
const asked: string[] = []
/** What the next requests get; a WAV when nothing is said. */
let answer: (response: ServerResponse) => void = (response) => response.end(WAV)
const server = createServer((request, response) => {
  asked.push(request.url ?? '')
  answer(response)
})
let origin = ''
before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
const opened: Clips[] = []
after(async () => {
  for (const clips of opened) await clips.close()
  server.closeAllConnections()
  server.close()
})

function wav(samples: number): Buffer {
  const data = Buffer.alloc(samples * 2)
  for (let i = 0; i < samples; i++) data.writeInt16LE(i % 16 < 8 ? 8000 : -8000, i * 2)
  const head = Buffer.alloc(44)
  head.write('RIFF', 0)
  head.writeUInt32LE(36 + data.length, 4)
  head.write('WAVEfmt ', 8)
  head.writeUInt32LE(16, 16)
  head.writeUInt16LE(1, 20)
  head.writeUInt16LE(1, 22)
  head.writeUInt32LE(8000, 24)
  head.writeUInt32LE(16_000, 28)
  head.writeUInt16LE(2, 32)
  head.writeUInt16LE(16, 34)
  head.write('data', 36)
  head.writeUInt32LE(data.length, 40)
  return Buffer.concat([head, data])
}

function makeOwn(more: Partial<ClipsOptions> = {}): { readonly clips: Clips; readonly clock: { now: number } } {
  const clock = { now: 0 }
  const clips = makeClips({ guard: makeAddressGuard(['127.0.0.1']), now: () => clock.now, timeoutMs: 2_000, ...more })
  opened.push(clips)
  asked.length = 0
  answer = (response) => response.end(WAV)
  return { clips, clock }
}

const refused = (work: Promise<unknown>, reason: RegExp): Promise<void> =>
  assert.rejects(work, (error) => error instanceof ClipError && reason.test(error.message) && !error.message.includes('127.0.0.1'))

test('[C30] a WAV file is fetched and read', async () => {
  const { clips } = makeOwn()
  assert.equal((await clips.get(`${origin}/wait.wav`)).samples.length, 8000)
  assert.deepEqual(asked, ['/wait.wav'])
})

test('[C30] two who ask at once share one fetch, and what was fetched lately is kept, by its whole address', async () => {
  const { clips, clock } = makeOwn()
  const [one, two] = await Promise.all([clips.get(`${origin}/a`), clips.get(`${origin}/a`)])
  assert.equal(one, two)
  clock.now = KEPT_MS - 1
  assert.equal(await clips.get(`${origin}/a`), one)
  await clips.get(`${origin}/a?2`)
  assert.deepEqual(asked, ['/a', '/a?2'])
  clock.now = KEPT_MS
  await clips.get(`${origin}/a`)
  assert.equal(asked.length, 3, 'after that it is fetched anew')
})

test('[C29] [C30] an address that callbacks may not reach is not asked for a sound either', async () => {
  const { clips } = makeOwn({ guard: makeAddressGuard([]) })
  await refused(clips.get(`${origin}/a`), /cannot be fetched/)
  await refused(clips.get(`http://localhost:${new URL(origin).port}/a`), /cannot be fetched/)
  assert.deepEqual(asked, [])
})

const WRONG: readonly (readonly [string, (response: ServerResponse) => void, RegExp])[] = [
  ['a redirect, which is not followed', (response) => response.writeHead(302, { location: `${origin}/there` }).end(), /HTTP 302/],
  ['an error', (response) => response.writeHead(404).end('no'), /HTTP 404/],
  ['what is no WAV file', (response) => response.end('<html>'), /no WAV file/],
  ['a file that breaks off', (response) => response.end(WAV.subarray(0, 1000)), /cut off/],
  ['a connection that breaks', (response) => response.socket?.destroy(), /cannot be fetched/],
  ['a file that says it is too large', (response) => response.writeHead(200, { 'content-length': 5_000_000 }).write('x'), /larger than/],
  ['a file that never says how large it is and does not end', (response) => endless(response), /larger than/],
]
function endless(response: ServerResponse): void {
  const chunk = Buffer.alloc(64 * 1024)
  const push = (): void => {
    while (!response.destroyed && response.write(chunk));
    if (!response.destroyed) response.once('drain', push)
  }
  push()
}
for (const [what, how, reason] of WRONG) {
  test(`[C30] ${what} is refused with its reason, and not kept`, async () => {
    const { clips } = makeOwn({ maxBytes: 300_000 })
    answer = how
    await refused(clips.get(`${origin}/wrong`), reason)
    answer = (response) => response.end(WAV)
    assert.equal((await clips.get(`${origin}/wrong`)).samples.length, 8000)
    assert(!asked.includes('/there'))
  })
}

test('[C30] a file that does not come is given up', async () => {
  const { clips } = makeOwn({ timeoutMs: 100 })
  answer = () => {}
  await refused(clips.get(`${origin}/slow`), /not there within 100 ms/)
  answer = (response) => response.write('RIFF')
  await refused(clips.get(`${origin}/slower`), /not there within 100 ms/)
})

test('[C30] fetches under way have a limit', async () => {
  const { clips } = makeOwn({ timeoutMs: 300 })
  answer = () => {}
  const waiting = Array.from({ length: 20 }, (_, n) => clips.get(`${origin}/${n}`))
  const outcomes = Promise.allSettled(waiting)
  await refused(clips.get(`${origin}/one-more`), /20 sounds are being fetched/)
  assert((await outcomes).every(({ status }) => status === 'rejected'))
})
