import assert from 'node:assert/strict'
import { test } from 'node:test'
import { powerDb } from '../media/tone.ts'
import { NOTICE_TONE, NOTICE_TONE_HZ, NOTICE_TONE_MS } from './notice-tone.ts'

test('the notice tone is 1400 Hz for 0.2 s, as loud as speech, and nothing else', () => {
  const { samples } = NOTICE_TONE
  assert.deepEqual([samples.length, NOTICE_TONE_MS, NOTICE_TONE_HZ], [1600, 200, 1400])
  const level = powerDb(samples, 1400)
  assert(level > -22 && level < -15, String(level))
  for (const hz of [350, 700, 1000, 2100, 2800]) assert(powerDb(samples, hz) < -60, String(hz))
})

test('it begins and ends without a click', () => {
  const { samples } = NOTICE_TONE
  assert.equal(samples[0], 0)
  assert.equal(samples.at(-1), 0)
  assert(Math.max(...samples.subarray(0, 8).map(Math.abs)) < 600)
  assert(Math.max(...samples.subarray(-8).map(Math.abs)) < 600)
})
