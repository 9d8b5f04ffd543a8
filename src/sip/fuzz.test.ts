/** The short, repeatable form of `bench/fuzz-sip.ts`: what a peer sends may be anything. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { examine, HOSTILE, mutant, seededChance, sipCorpus } from '../../test/sip-mutants.ts'
import type { Chance } from '../../test/sip-mutants.ts'

const CASES_PER_SEED = 3_000
const corpus = sipCorpus()

function fuzz(chance: Chance, cases: number): { readonly read: number; readonly refused: number } {
  const counts = { read: 0, refused: 0 }
  for (let left = cases; left > 0; left--) {
    const bytes = mutant(corpus, chance)
    try {
      counts[examine(bytes, chance)] += 1
    } catch (cause) {
      throw new Error(`failed on base64 ${bytes.toString('base64')}`, { cause })
    }
  }
  return counts
}

for (const seed of [1, 2, 3]) {
  test(`${CASES_PER_SEED} broken messages of seed ${seed}: none throws, and what is read survives writing`, () => {
    const counts = fuzz(seededChance(seed), CASES_PER_SEED)
    assert.ok(counts.read > CASES_PER_SEED / 50, 'some are still messages')
    assert.ok(counts.refused > CASES_PER_SEED / 2, 'most are not')
  })
}

test('hostile shapes are judged, not thrown at, at every size', () => {
  for (const [name, shape] of Object.entries(HOSTILE)) {
    for (const bytes of [10, 1_000, 60_000, 70_000])
      assert.doesNotThrow(() => examine(Buffer.from(shape(bytes), 'latin1'), seededChance(bytes)), `${name}, ${bytes} bytes`)
  }
})

/** Messages that failed once, by what was wrong. */
const SEEDS: Readonly<Record<string, readonly string[]>> = {
  'a tag without value was taken for none, so that ours became a second one': [
    'SIP/2.0 100 ',
    'Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe',
    'Call-ID: noreason.asndj203insdf99223ndf',
    'CSeq: 35 INVITE',
    'From: <sip:user@example.com>;tag=39ansfi3',
    'To: <sip:user@example.edu>;tag',
    'Content-Length: 0',
    '',
    '',
  ],
}
for (const [name, lines] of Object.entries(SEEDS)) {
  test(`a message that failed once: ${name}`, () => void examine(Buffer.from(lines.join('\r\n'), 'latin1'), seededChance(1)))
}
