import assert from 'node:assert/strict'
import { test } from 'node:test'
import { XMLParser } from 'fast-xml-parser'
import { example } from '../../test/data/contract/sample-call.ts'
import { SCOPES } from '../domain/account/rights.ts'
import { DOMAIN_ERRORS, DomainError, type DomainErrorCode } from '../domain/errors.ts'
import { domainError, errorResource, httpError, type HttpErrorCode } from './errors.ts'
import { rendered } from './xml.ts'

const parser = new XMLParser({ preserveOrder: true, parseTagValue: false })
const xmlOf = (error: DomainError): unknown => parser.parse(rendered('xml', errorResource(domainError(error))))
const jsonOf = (error: DomainError): string => rendered('json', errorResource(domainError(error)))

test('[C9] the three documented failures in XML, to the letter', () => {
  assert.deepEqual(xmlOf(new DomainError('call-not-in-progress')), parser.parse(example('error-call-not-in-progress.xml')))
  assert.deepEqual(xmlOf(new DomainError('leg-not-found')), parser.parse(example('error-leg-not-found.xml')))
  assert.deepEqual(xmlOf(new DomainError('invalid-parameter', 'PhoneNumber')), parser.parse(example('error-phone-number.xml')))
})

test('[C8] in JSON the status is a number, under Code for exactly the two documented 404s', () => {
  assert.equal(jsonOf(new DomainError('call-not-in-progress')), '{"RestException":{"Code":404,"Message":"Given callSID is not in-progress"}}')
  assert.equal(
    jsonOf(new DomainError('leg-not-found')),
    '{"RestException":{"Code":404,"Message":"Given legSID does not exist. Please check the legSID passed"}}',
  )
  assert.equal(
    jsonOf(new DomainError('invalid-parameter', 'PhoneNumber')),
    '{"RestException":{"Status":400,"Message":"Invalid Parameter: PhoneNumber is missing or invalid"}}',
  )
  const withCode = DOMAIN_ERRORS.filter((code) => domainError(new DomainError(code, 'X')).key === 'Code')
  assert.deepEqual(withCode, ['call-not-in-progress', 'leg-not-found'])
})

test('[C9] other parameters use the same template', () => {
  for (const name of ['Action', 'TargetLegSid', 'StatusCallback', 'CustomField', 'TimeOut', 'From']) {
    assert.deepEqual(domainError(new DomainError('invalid-parameter', name)), {
      status: 400,
      key: 'Status',
      message: `Invalid Parameter: ${name} is missing or invalid`,
    })
  }
})

test('[C10] each refusal of the domain has its status', () => {
  const statuses = DOMAIN_ERRORS.map((code) => [code, domainError(new DomainError(code)).status])
  assert.deepEqual(statuses, [
    ['call-not-in-progress', 404],
    ['leg-not-found', 404],
    ['call-not-found', 404],
    ['recording-not-found', 404],
    ['invalid-parameter', 400],
    ['destination-not-allowed', 403],
    ['too-many-monitors', 403],
    ['too-many-legs', 403],
    ['right-missing', 403],
    ['key-not-found', 404],
    ['key-not-active', 409],
    ['key-configured', 409],
    ['too-many-keys', 403],
    ['notice-missing', 403],
    ['no-rate', 403],
    ['no-balance', 403],
    ['day-spend-reached', 403],
    ['legs-reached', 403],
    ['leg-starts-reached', 403],
    ['no-plan', 404],
    ['idempotency-mismatch', 409],
    ['callback-not-found', 404],
    ['callback-not-parked', 409],
    ['secret-configured', 409],
    ['draining', 503],
    ['busy', 503],
  ])
})

test('[C10] every 403 says which right or limit it is about', () => {
  const messages = DOMAIN_ERRORS.map((code) => domainError(new DomainError(code)))
    .filter(({ status }) => status === 403)
    .map(({ message }) => message)
  assert.equal(new Set(messages).size, 11)
})

test('[C10] a cap that refuses a leg is in the message, and for legs a minute also how long to wait', () => {
  const message = (code: DomainErrorCode, detail: string): string => domainError(new DomainError(code, detail)).message
  assert.match(message('legs-reached', '50'), /may have 50 legs at the same time/)
  assert.match(message('leg-starts-reached', '60/17'), /may dial 60 legs a minute; try again in 17 s$/)
  assert.match(message('day-spend-reached', '5000.000'), /may spend 5000.000 a day/)
  assert.match(message('no-balance', ''), /balance is used up or does not cover it; top it up/)
  assert.match(message('no-rate', ''), /no rate for this destination/)
})

test('[C10] the detail of a refusal is for the log, not for the caller', () => {
  for (const code of DOMAIN_ERRORS.filter((other) => other !== 'invalid-parameter')) {
    assert.ok(!domainError(new DomainError(code, '+919876543210')).message.includes('9876'), code)
  }
})

test('[C10] a missing right is named by its scope, and by nothing else', () => {
  for (const scope of SCOPES)
    assert.equal(domainError(new DomainError('right-missing', scope)).message, `Your API key does not have the right to do this: ${scope}`)
  for (const other of ['', 'agents', 'calls', 'client:priya'])
    assert.equal(domainError(new DomainError('right-missing', other)).message, 'Your API key does not have the right to do this')
})

test('[C10] each refusal of HTTP has its status', () => {
  const expected: Readonly<Record<HttpErrorCode, number>> = {
    'bad-request': 400,
    unauthorized: 401,
    'not-found': 404,
    'method-not-allowed': 405,
    'request-timeout': 408,
    'too-large': 413,
    'uri-too-long': 414,
    'unsupported-media-type': 415,

    'too-many-requests': 429,
    'headers-too-large': 431,
    internal: 500,
    unavailable: 503,
  }
  for (const [code, status] of Object.entries(expected) as [HttpErrorCode, number][]) {
    assert.equal(httpError(code).status, status)
    assert.equal(httpError(code).key, 'Status')
  }
  assert.equal(httpError('unauthorized').message, 'Authentication failed')
})

test('[C10] an internal error says what to look for in the log, and nothing else', () => {
  assert.equal(httpError('internal', 'req42').message, 'Internal Server Error (req42)')
})
