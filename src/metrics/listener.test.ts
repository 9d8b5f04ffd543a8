import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test, type TestContext } from 'node:test'
import { eventually } from '../../test/eventually.ts'
import { listenForReaders, type MetricsListener } from './listener.ts'

const TYPE = 'text/plain; version=0.0.4; charset=utf-8'

async function listening(t: TestContext, text: () => Promise<string>): Promise<MetricsListener & { readonly troubles: unknown[] }> {
  const troubles: unknown[] = []
  const listener = await listenForReaders({
    host: '127.0.0.1',
    port: 0,
    metrics: { text, contentType: TYPE },
    onTrouble: (error) => void troubles.push(error),
  })
  t.after(() => listener.close())
  return { ...listener, troubles }
}

test('GET /metrics answers in the text format; other paths and methods are refused', async (t) => {
  const { url } = await listening(t, async () => 'up 1\n')
  const answer = await fetch(`${url}?x=1`)
  assert.deepEqual([answer.status, answer.headers.get('content-type'), await answer.text()], [200, TYPE, 'up 1\n'])
  const head = await fetch(url, { method: 'HEAD' })
  assert.deepEqual([head.status, await head.text()], [200, ''])
  assert.equal((await fetch(new URL('/', url))).status, 404)
  assert.equal((await fetch(new URL('/metrics/x', url))).status, 404)
  const post = await fetch(url, { method: 'POST', body: 'x'.repeat(100_000) })
  assert.deepEqual([post.status, post.headers.get('allow')], [405, 'GET, HEAD'])
})

test('many readers at once have the house looked at once, and the next one again', async (t) => {
  let looks = 0
  const gate = Promise.withResolvers<void>()
  const { url } = await listening(t, async () => {
    looks++
    await gate.promise
    return `looks ${looks}\n`
  })
  // Five requests in one packet: all are there before the first is answered.
  const readers = connect(Number(new URL(url).port), '127.0.0.1')
  t.after(() => readers.destroy())
  let answers = ''
  readers.on('data', (chunk: Buffer) => void (answers += chunk.toString()))
  readers.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(5))
  await eventually('the house is looked at', () => looks > 0)
  gate.resolve()
  await eventually('all are answered', () => answers.match(/looks 1\n/g)?.length === 5)
  assert.equal(await (await fetch(url)).text(), 'looks 2\n')
})

test('a fault is a 500 without its words, told to the log, and the next reader is answered', async (t) => {
  let isBroken = true
  const { url, troubles } = await listening(t, async () => {
    if (isBroken) throw new Error('secret')
    return 'up 1\n'
  })
  const answer = await fetch(url)
  assert.deepEqual([answer.status, (await answer.text()).includes('secret'), troubles.length], [500, false, 1])
  isBroken = false
  assert.equal((await fetch(url)).status, 200)
})

test('a port that is taken is an error with its code and port; a reader who says nothing does not hold up the end', async (t) => {
  const { url, close } = await listening(t, async () => 'up 1\n')
  const port = Number(new URL(url).port)
  const metrics = { text: async () => '', contentType: TYPE }
  await assert.rejects(listenForReaders({ host: '127.0.0.1', port, metrics, onTrouble: () => {} }), { code: 'EADDRINUSE', port })
  const silent = connect(port, '127.0.0.1')
  await once(silent, 'connect')
  const gone = once(silent, 'close')
  silent.resume().on('error', () => {})
  await close()
  await gone
})
