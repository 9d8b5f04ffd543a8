import assert from 'node:assert/strict'
import { test } from 'node:test'
import { domainError, httpError, type HttpErrorCode } from '../../src/contract/errors.ts'
import { DOMAIN_ERRORS, DomainError, type DomainErrorCode } from '../../src/domain/errors.ts'
import { type RefusalCode, refusal } from './errors.ts'

/** What this client calls each refusal of the server's. A new one of the server's does not compile until it has a name here. */
const DOMAIN: Readonly<Record<DomainErrorCode, RefusalCode>> = {
  'call-not-in-progress': 'call-not-in-progress',
  'leg-not-found': 'leg-not-found',
  'call-not-found': 'call-not-found',
  'invalid-parameter': 'invalid-parameter',
  'destination-not-allowed': 'destination-not-allowed',
  'too-many-monitors': 'too-many-monitors',
  'too-many-legs': 'too-many-legs',
  'right-missing': 'right-missing',
  'idempotency-mismatch': 'idempotency-mismatch',
  draining: 'unavailable',
}
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

test('[C8] [C9] [C10] every refusal of the server has its code here', () => {
  for (const code of DOMAIN_ERRORS) {
    const { status, message } = domainError(new DomainError(code, 'PhoneNumber'))
    const failure = refusal(status, message, null)
    assert.deepEqual([code, failure.code, failure.message], [code, DOMAIN[code], message])
    assert.equal(failure.parameter, code === 'invalid-parameter' ? 'PhoneNumber' : null)
  }
  for (const [code, expected] of Object.entries(HTTP)) {
    const { status, message } = httpError(code as HttpErrorCode, code === 'internal' ? 'an-id' : '')
    assert.deepEqual([code, refusal(status, message, null).code], [code, expected])
  }
})

const OTHERS: readonly (readonly [number, string | null, RefusalCode])[] = [
  [403, 'Your account is not yet KYC compliant', 'forbidden'],
  [404, null, 'not-found'],
  [404, 'Invalid Parameter: To is missing or invalid', 'not-found'],
  [402, null, 'refused'],
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
