import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DomainError } from '../../domain/errors.ts'
import { keepMsIn, type SecretState, secretResource } from './callback-secret.ts'
import { fieldsFromPairs, type Fields } from '../fields.ts'

const fields = (text: string): Fields => fieldsFromPairs([['KeepHours', text]]) ?? new Map()
const HOUR_MS = 3_600_000

test('[C28] the old secret signs for a day unless KeepHours says otherwise: whole hours, 0 to a month', () => {
  assert.equal(keepMsIn(new Map()), 24 * HOUR_MS)
  for (const [text, hours] of [
    ['0', 0],
    ['1', 1],
    ['720', 720],
  ] as const)
    assert.equal(keepMsIn(fields(text)), hours * HOUR_MS)
  for (const text of ['721', '-1', '1.5', 'a day', '0x10', ' 1', '1e2', '9999'])
    assert.throws(
      () => keepMsIn(fields(text)),
      (error) => error instanceof DomainError && error.code === 'invalid-parameter' && error.detail === 'KeepHours',
    )
})

const rotating: SecretState = {
  source: 'data',
  current: { fingerprint: 'aaaaaaaaaaaa', madeAt: Date.UTC(2026, 0, 1) },
  previous: { fingerprint: 'bbbbbbbbbbbb', until: Date.UTC(2026, 0, 2) },
}

test('[C28] a secret is shown by its rotation and by nothing else', () => {
  const shown = {
    Fingerprint: 'aaaaaaaaaaaa',
    Source: 'data',
    DateCreated: '2026-01-01 00:00:00',
    PreviousFingerprint: 'bbbbbbbbbbbb',
    PreviousUntil: '2026-01-02 00:00:00',
  }
  assert.deepEqual(secretResource(rotating, null, 'UTC'), { CallbackSecret: shown })
  assert.deepEqual(secretResource(rotating, 'whsec_x', 'UTC'), { CallbackSecret: { Secret: 'whsec_x', ...shown } })
})

test('what nobody knows is null: when a secret of the configuration was made, and when its old one ends', () => {
  const fixed: SecretState = { source: 'configuration', current: { fingerprint: 'a', madeAt: null }, previous: { fingerprint: 'b', until: null } }
  assert.deepEqual(secretResource(fixed, null, 'UTC'), {
    CallbackSecret: { Fingerprint: 'a', Source: 'configuration', DateCreated: null, PreviousFingerprint: 'b', PreviousUntil: null },
  })
  const { CallbackSecret: alone } = secretResource({ ...fixed, previous: null }, null, 'UTC')
  assert.deepEqual(alone, { Fingerprint: 'a', Source: 'configuration', DateCreated: null, PreviousFingerprint: null, PreviousUntil: null })
})
