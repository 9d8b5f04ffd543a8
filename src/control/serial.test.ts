import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeSerial } from './serial.ts'

function gate(): { readonly opened: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { opened: promise, open: resolve }
}

test('work for one key runs in the order asked, even when the first is slow', async () => {
  const serial = makeSerial<string>()
  const said: string[] = []
  const slow = gate()
  const first = serial.run('call', async () => {
    await slow.opened
    said.push('first')
  })
  const second = serial.run('call', async () => void said.push('second'))
  slow.open()
  await Promise.all([first, second])
  assert.deepEqual(said, ['first', 'second'])
})

test('another key does not wait', async () => {
  const serial = makeSerial<string>()
  const slow = gate()
  const blocked = serial.run('a', () => slow.opened)
  assert.equal(await serial.run('b', async () => 'done'), 'done')
  slow.open()
  await blocked
})

test('a failure reaches its own caller and nobody behind it', async () => {
  const serial = makeSerial<string>()
  const failed = serial.run('call', async () => {
    throw new Error('mine')
  })
  const next = serial.run('call', async () => 'fine')
  await assert.rejects(failed, /mine/)
  assert.equal(await next, 'fine')
})

test('the queue of one key has a limit, and idle waits for everything', async () => {
  const serial = makeSerial<string>()
  const slow = gate()
  const waiting = Array.from({ length: 200 }, () => serial.run('call', () => slow.opened))
  await assert.rejects(
    serial.run('call', async () => {}),
    /more than 200/,
  )
  slow.open()
  await serial.idle()
  await Promise.all(waiting)
  assert.equal(await serial.run('call', async () => 'again'), 'again')
})
