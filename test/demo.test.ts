/** The demonstration as a person sees it; that it shows what it should is for `npm start -- --once` itself to say. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runDemo } from '../src/demo.ts'

test('the demonstration ends with 0 when every ear heard what it should', { timeout: 60_000 }, async () => {
  const lines: string[] = []
  const code = await runDemo({ once: true, httpPort: 0, print: (line) => lines.push(line), left: new Promise(() => {}) })
  assert.equal(code, 0, lines.join('\n'))
  assert.ok(lines.includes('Every ear heard exactly what it should.'))
})

test('whoever leaves in the middle is let go at once, and the script says no more', { timeout: 60_000 }, async () => {
  const lines: string[] = []
  let leave = (): void => {}
  const left = new Promise<void>((resolve) => (leave = resolve))
  const print = (line: string): void => {
    lines.push(line)
    if (line.startsWith('2. ')) leave()
  }
  const code = await runDemo({ once: false, httpPort: 0, print, left })
  assert.equal(code, 1)
  assert.ok(!lines.some((line) => line.startsWith('3. ')), lines.join('\n'))
  const said = lines.length
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(lines.length, said)
})
