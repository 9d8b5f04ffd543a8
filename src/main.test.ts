import assert from 'node:assert/strict'
import { test } from 'node:test'
import { closeAll } from './main.ts'

test('everything is closed, the latest first, also after one of them has failed; the first failure is told', async () => {
  const closed: string[] = []
  const close = (name: string, failure?: Error) => async () => {
    closed.push(name)
    if (failure) throw failure
  }
  const opened = [close('database'), close('engine', new Error('engine')), close('worker'), close('server', new Error('server'))]
  await assert.rejects(closeAll(opened), /^Error: server$/)
  assert.deepEqual(closed, ['server', 'worker', 'engine', 'database'])
  await closeAll(opened)
  assert.equal(closed.length, 4, 'nothing is closed twice')
})
