/** The worked example of docs/evidence.md is what the code makes, and its Python says so too. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { commitmentOf, FIRST_PREVIOUS, hashOf } from './entries.ts'
import { FAULTS } from './verify.ts'
import { INTERVAL_ENDS } from '../../domain/evidence/interval.ts'

const document = readFileSync(new URL('../../../docs/evidence.md', import.meta.url), 'utf8')
const block = (info: string): string => new RegExp(`^\`\`\`${info}\\n([^]*?)^\`\`\`$`, 'm').exec(document)?.[1] ?? ''

test('the entries that docs/evidence.md prints have the hashes that it prints', () => {
  let previous = FIRST_PREVIOUS
  const lines = block('jsonl').trim().split('\n')
  assert.equal(lines.length, 2)
  for (const line of lines) {
    const entry = JSON.parse(line)
    assert.equal(entry.previous, previous)
    assert.equal(entry.hash, hashOf({ ...entry, accountId: entry.account }))
    if (entry.personal !== null) assert.equal(entry.commitment, commitmentOf(entry.salt, entry.personal))
    previous = entry.hash
  }
})

test('its Python finds them in order, and an altered one not', (context) => {
  const check = (input: string) => spawnSync('python3', ['-c', block('python')], { input, encoding: 'utf8' })
  const well = check(block('jsonl'))
  if (well.error) return context.skip('there is no python3 here')
  assert.match(well.stdout, /^in order; head [0-9a-f]{64}\n$/)
  assert.notEqual(check(block('jsonl').replace('whisper', 'barge')).status, 0)
})

test('it names every end of an interval and every fault that verify can find', () => {
  for (const end of INTERVAL_ENDS) assert(document.includes(`| \`${end}\` |`), end)
  for (const fault of FAULTS) if (fault !== 'head-unknown') assert(document.includes(`\`${fault}\``), fault)
})
