import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { sampleCall } from '../../test/sample-calls.ts'
import type { AccountId } from '../domain/ids.ts'
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

test('recordings that are past their time go, those of one account, and nothing else does; a second time finds none', async () => {
  const place = join(folder, 'aged')
  const recordings = makeRecordings(place)
  const [old, young, foreign] = [sampleCall(), sampleCall(), sampleCall({ accountId: 'zenith' as AccountId })]
  for (const call of [old, young, foreign]) writeFileSync(await recordings.prepare(call), 'RIFF')
  const [file, foreignFile] = [await recordings.prepare(old), await recordings.prepare(foreign)]
  const note = join(dirname(file), 'a-note.txt')
  writeFileSync(note, '')
  for (const aged of [file, foreignFile, note]) utimesSync(aged, 1, 1)
  assert.equal(await recordings.purge('acme' as AccountId, 1_000, 'delete'), 0, 'a moment is not before itself')
  assert.equal(await recordings.purge('acme' as AccountId, 1_001, 'count'), 1)
  assert.deepEqual(
    [await recordings.purge('acme' as AccountId, 1_001, 'delete'), await recordings.purge('acme' as AccountId, 1_001, 'delete')],
    [1, 0],
  )
  assert.equal(await recordings.find(old), null)
  assert.deepEqual([(await recordings.find(young))?.bytes, (await recordings.find(foreign))?.bytes, existsSync(note)], [4, 4, true])
  for (const name of ['nobody', '..', '.', '../aged/acme', ''])
    assert.equal(await recordings.purge(name as AccountId, Date.now() * 2, 'delete'), 0, name)
  assert.equal(await recordings.purge('zenith' as AccountId, 1_001, 'delete'), 1)
  assert.equal(existsSync(dirname(foreignFile)), false, 'a day of which nothing is left')
  assert.equal(await makeRecordings(join(folder, 'never')).purge('acme' as AccountId, 1, 'count'), 0)
})
