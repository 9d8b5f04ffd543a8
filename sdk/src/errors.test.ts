import assert from 'node:assert/strict'
import { test } from 'node:test'
import { domainError, httpError, type HttpErrorCode } from '../../src/contract/errors.ts'
import { DOMAIN_ERRORS, DomainError, type DomainErrorCode } from '../../src/domain/errors.ts'
import { type RefusalCode, refusal } from './errors.ts'

/** Refusals of the server's that this client calls otherwise: to whoever asks they are one thing. Every other has its own code, by its own name. */
const OTHERWISE: Readonly<Record<string, RefusalCode>> = { draining: 'unavailable', busy: 'unavailable' }
/** What HTTP itself refuses: one that the server adds does not compile until it is here. */
const HTTP: Readonly<Record<HttpErrorCode, RefusalCode>> = {
  'bad-request': 'bad-request',
  unauthorized: 'unauthorized',
  'not-found': 'not-found',
  'method-not-allowed': 'method-not-allowed',
  'request-timeout': 'request-timeout',
  'too-large': 'too-large',
  'uri-too-long': 'uri-too-long',
  'unsupported-media-type': 'unsupported-media-type',
  'too-many-requests': 'too-many-requests',
  'headers-too-large': 'headers-too-large',
  internal: 'internal',
  unavailable: 'unavailable',
}

for (const code of DOMAIN_ERRORS) {
  test(`[C8] [C9] [C10] the server's ${code} has its code here`, () => {
    const { status, message } = domainError(new DomainError(code, 'PhoneNumber'))
    const failure = refusal(status, message, null)
    assert.deepEqual([failure.code, failure.message], [OTHERWISE[code] ?? code, message], 'add its sentence to SENTENCES in errors.ts')
    assert.equal(failure.parameter, code === 'invalid-parameter' ? 'PhoneNumber' : null)
  })
}

test('[C10] what HTTP itself refuses has its code here', () => {
  for (const [code, expected] of Object.entries(HTTP)) {
    const { status, message } = httpError(code as HttpErrorCode, code === 'internal' ? 'an-id' : '')
    assert.deepEqual([code, refusal(status, message, null).code], [code, expected])
  }
})

test('a missing right is named when the server names it', () => {
  const sentence = 'Your API key does not have the right to do this'
  assert.deepEqual(
    [refusal(403, `${sentence}: monitor.barge`, null), refusal(403, sentence, null)].map(({ code, parameter }) => [code, parameter]),
    [
      ['right-missing', 'monitor.barge'],
      ['right-missing', null],
    ],
  )
})

const CAPS: readonly (readonly [DomainErrorCode, string, number | null])[] = [
  ['day-spend-reached', '500.00', null],
  ['legs-reached', '4', null],
  ['leg-starts-reached', '60/17', 17],
  ['leg-starts-reached', '60/soon', null],
]
for (const [code, detail, waitS] of CAPS) {
  test(`[C10] ${code} with ${detail} says ${waitS === null ? 'nothing of a wait' : `that ${waitS} s have to be waited`}`, () => {
    const { status, message } = domainError(new DomainError(code, detail))
    const failure = refusal(status, message, null)
    assert.deepEqual([failure.code, failure.parameter, failure.retryAfterS], [code, null, waitS])
  })
}

const OTHERS: readonly (readonly [number, string | null, RefusalCode])[] = [
  [403, 'Your account is not yet KYC compliant', 'forbidden'],
  [404, null, 'not-found'],
  [404, 'Invalid Parameter: To is missing or invalid', 'not-found'],
  [409, 'Key cannot be rotated', 'conflict'],
  [403, 'Invalid Parameter: To is missing or invalid', 'forbidden'],
  [402, null, 'refused'],
  [403, 'Call cannot be made: your account may have 4; no, 5 legs at the same time; try again when calls have ended', 'forbidden'],
  [404, 'Call cannot be made: your account may spend 5 a day; try again tomorrow', 'not-found'],
  [416, null, 'range-not-satisfiable'],
  [418, 'toString', 'refused'],
  [400, 'constructor', 'bad-request'],
  [400, 'Invalid Parameters', 'bad-request'],
  [500, null, 'internal'],
  [502, null, 'unavailable'],
  [504, null, 'unavailable'],
  [599, null, 'internal'],
]
for (const [status, message, code] of OTHERS)
  test(`an unknown ${status} (${message}) is ${code}`, () => assert.equal(refusal(status, message, null).code, code))
