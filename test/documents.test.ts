/** What the documents say of the code, held to the code: lists that nobody would keep complete by hand. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { domainError, httpError, type HttpErrorCode, type WireError } from '../src/contract/errors.ts'
import { DOMAIN_ERRORS, DomainError, type DomainErrorCode } from '../src/domain/errors.ts'
import { ROUTES } from '../src/http/routes.ts'

const contract = readFileSync(new URL('../docs/contract.md', import.meta.url), 'utf8')

/** Complete by its type. */
const OF_HTTP: Readonly<Record<HttpErrorCode, string>> = {
  'bad-request': '',
  unauthorized: '',
  'not-found': '',
  'method-not-allowed': '',
  'request-timeout': '',
  'too-large': '',
  'uri-too-long': '',
  'unsupported-media-type': '',
  'too-many-requests': '',
  'headers-too-large': '',
  internal: 'ID',
  unavailable: '',
}
/** What the document fills in; a missing right is there with its scope and without. */
const DETAILS: Readonly<Partial<Record<DomainErrorCode, readonly string[]>>> = {
  'invalid-parameter': ['PhoneNumber'],
  'right-missing': ['calls.create', ''],
  'day-spend-reached': ['5000'],
  'legs-reached': ['50'],
  'leg-starts-reached': ['60/12'],
}

test('[C8] [C9] [C10] every refusal in docs/contract.md is what the code says, and none is missing', () => {
  const row = ({ status, key, message }: WireError): string => `${status}${key === 'Code' ? ' `Code`' : ''} ${message}`
  const domain = DOMAIN_ERRORS.flatMap((code) => (DETAILS[code] ?? ['']).map((detail) => row(domainError(new DomainError(code, detail)))))
  const http = Object.entries(OF_HTTP).map(([code, id]) => row(httpError(code as HttpErrorCode, id)))
  const printed = [...contract.matchAll(/^\| (\d{3}(?: `Code`)?) \| `([^`]+)` \|/gm)].map(([, status, message]) => `${status} ${message}`)
  assert.deepEqual(printed.sort(), [...new Set([...domain, ...http])].sort())
})

test('every path of the API is named in docs/contract.md', () => {
  const said = contract.replace(/\{\w+\}|\bCALL\b/g, ':id')
  for (const { path } of ROUTES) {
    const wanted = path.slice(1).replace(/:\w+/g, ':id')
    assert.ok(said.includes(wanted) || said.includes(`…/${wanted.replace('Calls/:id/', '')}`), `${wanted} is not there`)
  }
})
