import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import Fastify from 'fastify'
import { type Download, isDownload, rangeIn, sendDownload } from './download.ts'

const folder = mkdtempSync(join(tmpdir(), 'earshot-download-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const file = join(folder, 'a.wav')
writeFileSync(file, '0123456789')
const download: Download = { kind: 'download', file, bytes: 10, contentType: 'audio/wav' }

const RANGES: readonly (readonly [string | undefined, ReturnType<typeof rangeIn>])[] = [
  [undefined, null],
  ['', null],
  ['bytes=0-3', { first: 0, last: 3 }],
  ['bytes=4-', { first: 4, last: 9 }],
  ['bytes=-3', { first: 7, last: 9 }],
  ['bytes=-30', { first: 0, last: 9 }],
  ['bytes=0-99', { first: 0, last: 9 }],
  ['bytes=9-9', { first: 9, last: 9 }],
  ['bytes=10-', 'unsatisfiable'],
  ['bytes=-0', 'unsatisfiable'],
  ['bytes=5-4', null],
  ['bytes=-', null],
  ['bytes=0-1,3-4', null],
  ['items=0-1', null],
  ['bytes=a-b', null],
  [`bytes=${'9'.repeat(400)}-`, null],
]

test('one range is read as RFC 9110 has it; everything else means the whole file', () => {
  for (const [header, expected] of RANGES) assert.deepEqual(rangeIn(header, 10), expected, String(header))
  assert.equal(rangeIn('bytes=0-', 0), 'unsatisfiable')
})

test('a file is sent whole or in part, with what a player needs to seek, and nobody may keep it', async () => {
  const app = Fastify()
  app.get('/a', (request, reply) => sendDownload(reply, download, request.headers.range))
  const get = (range?: string) => app.inject({ url: '/a', headers: range === undefined ? {} : { range } })
  const whole = await get()
  assert.deepEqual([whole.statusCode, whole.body, whole.headers['content-length']], [200, '0123456789', '10'])
  assert.deepEqual(
    [whole.headers['accept-ranges'], whole.headers['cache-control'], whole.headers['content-type']],
    ['bytes', 'private, no-store', 'audio/wav'],
  )
  const part = await get('bytes=2-4')
  assert.deepEqual([part.statusCode, part.body, part.headers['content-range'], part.headers['content-length']], [206, '234', 'bytes 2-4/10', '3'])
  const beyond = await get('bytes=10-')
  assert.deepEqual([beyond.statusCode, beyond.body, beyond.headers['content-range']], [416, '', 'bytes */10'])
  const head = await app.inject({ method: 'HEAD', url: '/a' })
  assert.deepEqual([head.statusCode, head.body, head.headers['content-length']], [200, '', '10'])
  await app.close()
})

test('a resource is not taken for a file', () => {
  assert(isDownload(download))
  assert(!isDownload({ Call: { Sid: 'x' } }))
})
