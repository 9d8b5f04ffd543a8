import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { sampleCall } from '../../test/sample-calls.ts'
import { makeRecordings } from './recordings.ts'

const folder = mkdtempSync(join(tmpdir(), 'earshot-recordings-'))
after(() => rmSync(folder, { recursive: true, force: true }))

test('a call has one place, which is made when it is recorded, and which nobody else may enter', async () => {
  const recordings = makeRecordings(join(folder, 'kept'))
  const call = sampleCall({ createdAt: Date.UTC(2026, 10, 26, 23, 59, 59, 999) })
  assert.equal(await recordings.find(call), null)
  const file = await recordings.prepare(call)
  assert.equal(file, join(folder, 'kept', 'acme', '2026-11-26', `${call.id}.wav`))
  assert.equal(await recordings.find(call), null, 'a folder is no recording')
  writeFileSync(file, 'RIFF')
  assert.deepEqual(await recordings.find(call), { file, bytes: 4 })
  assert.equal(statSync(join(folder, 'kept', 'acme')).mode & 0o077, 0)
})

test('what is removed is gone, and removing it again does no harm', async () => {
  const recordings = makeRecordings(folder)
  const call = sampleCall()
  writeFileSync(await recordings.prepare(call), 'RIFF')
  assert.deepEqual([await recordings.remove(call), await recordings.remove(call)], [true, false])
  assert.equal(await recordings.find(call), null)
})

test('a folder that cannot be written is told beforehand', async () => {
  writeFileSync(join(folder, 'a-file'), '')
  await assert.rejects(makeRecordings(join(folder, 'a-file', 'below')).check())
  await makeRecordings(join(folder, 'new')).check()
})
