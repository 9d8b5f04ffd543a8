import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SAMPLE_ACCOUNT } from '../src/http/operations/samples.ts'
import { rendered, type WireObject } from '../src/contract/xml.ts'
import { ROUTES } from '../src/http/routes.ts'
import { assertDescribed } from './answers.ts'

const JSON_TYPE = 'application/json; charset=utf-8'
const ROOT = `/v1/Accounts/${SAMPLE_ACCOUNT}`
const urlOf = (path: string): string => ROOT + path.replace(/:\w+/g, 'x')
const json = (value: unknown, status = 200) => ({ status, contentType: JSON_TYPE, body: JSON.stringify(value) })
const xml = (body: string, status = 200) => ({ status, contentType: 'application/xml', body })
const failure = (status: number, Message: string) => json({ RestException: { Status: status, Message } }, status)

const resources = ROUTES.flatMap(({ method, path, says }) =>
  says.answers.flatMap((answer) => (answer.kind === 'resource' ? [{ method, url: urlOf(path), example: answer.example }] : [])),
)

test('the examples of the description are answers that it promises, in both formats', () => {
  for (const { method, url, example } of resources) {
    assertDescribed(method, `${url}.json?x=1`, json(example('json')))
    assertDescribed(method, url, xml(rendered('xml', example('xml'))))
  }
})

/** Keys that are not always there: an answer without them is one. */
const SOMETIMES = ['Date', 'Origin', 'Supervisor']
type Spoil = (entries: readonly (readonly [string, unknown])[]) => readonly (readonly [string, unknown])[]
const SPOILS: Readonly<Record<string, Spoil>> = {
  'a key less': (entries) => entries.filter(([key]) => key !== entries.find(([one]) => !SOMETIMES.includes(one))?.[0]),
  'a key more': (entries) => [['More', '1'], ...entries],
  'two keys in another order': ([first, second, ...others]) => [second ?? ['', ''], first ?? ['', ''], ...others],
}

/** The value with one of its objects spoilt, each in turn; objects of a single key are names around another. */
function spoilt(value: unknown, spoil: Spoil): readonly unknown[] {
  if (typeof value !== 'object' || value === null) return []
  if (Array.isArray(value)) return value.flatMap((item, n) => spoilt(item, spoil).map((bad) => value.with(n, bad)))
  const entries = Object.entries(value)
  const inside = entries.flatMap(([key, inner]) => spoilt(inner, spoil).map((bad) => ({ ...value, [key]: bad })))
  return entries.length > 1 ? [Object.fromEntries(spoil(entries)), ...inside] : inside
}

test('an answer with a key less, a key more, or two keys in another order is found out in both formats', () => {
  let count = 0
  for (const { method, url, example } of resources) {
    for (const [how, spoil] of Object.entries(SPOILS)) {
      for (const bad of spoilt(example('json'), spoil)) {
        count += 1
        assert.throws(() => assertDescribed(method, `${url}.json`, json(bad)), `${method} ${url}.json ${how} ${JSON.stringify(bad)}`)
      }
      for (const bad of spoilt(example('xml'), spoil)) {
        const body = rendered('xml', bad as WireObject)
        assert.throws(() => assertDescribed(method, url, xml(body)), `${method} ${url} ${how} ${body}`)
      }
    }
    assert.throws(() => assertDescribed(method, url, json(example('json'))), 'JSON where XML was asked for')
    assert.throws(() => assertDescribed(method, `${url}.json`, xml(rendered('xml', example('xml')))), 'XML where JSON was asked for')
  }
  assert.ok(count > 3 * resources.length)
})

test('a failure has to be one that the route lists, with its text and its status, in the envelope', () => {
  const [put, get] = [`${ROOT}/Calls/x/Legs/y.json`, `${ROOT}/Calls/x/ActiveLegs.json`]
  assertDescribed('PUT', put, failure(400, 'Invalid Parameter: Action is missing or invalid'))
  assertDescribed('PUT', put, failure(500, 'Internal Server Error (req-1)'))
  assertDescribed('GET', get, json({ RestException: { Code: 404, Message: 'Given callSID is not in-progress' } }, 404))
  assertDescribed('GET', get, failure(429, 'Too Many Requests'))
  for (const right of ['', ': calls.read']) assertDescribed('GET', get, failure(403, `Your API key does not have the right to do this${right}`))
  const wrong = [
    ['PUT', put, failure(400, 'Something is wrong')],
    ['PUT', put, failure(402, 'Payment Required')],
    ['PUT', put, { ...failure(400, 'Invalid Parameter: Action is missing or invalid'), status: 404 }],
    ['PUT', put, json({ Message: 'Not Found' }, 404)],
    ['GET', get, failure(413, 'Request body is too large')],
    ['GET', get, failure(403, 'Your API key does not have the right to do that: calls.read')],
    ['GET', get, failure(400, 'Invalid Parameter: Action is missing or invalid')],
    ['GET', `${ROOT}/Nothing.json`, json({ error: 'not found' }, 404)],
  ] as const
  for (const [method, url, answer] of wrong) assert.throws(() => assertDescribed(method, url, answer), answer.body)
})

test('headers that the description promises of a success are missed', () => {
  const url = `${ROOT}/Calls/x.json`
  const answer = json(resources.find((one) => one.url === `${ROOT}/Calls/x` && one.method === 'GET')?.example('json'))
  const promised = { 'x-request-id': 'r', 'x-ratelimit-limit': '200', 'x-ratelimit-remaining': '199', 'x-ratelimit-reset': '1' }
  assertDescribed('GET', url, { ...answer, headers: promised })
  for (const name of Object.keys(promised))
    assert.throws(() => assertDescribed('GET', url, { ...answer, headers: { ...promised, [name]: undefined } }), /has no/)
  const sound = { status: 206, contentType: 'audio/wav', body: '', headers: { 'x-request-id': 'r', 'content-length': 1, 'content-range': 'bytes 0-0/1' } }
  assertDescribed('GET', `${ROOT}/Recordings/x.wav`, sound)
  assert.throws(() => assertDescribed('GET', `${ROOT}/Recordings/x.wav`, { ...sound, headers: {} }), /has no/)
})

test('an address with two slashes behind the account is the one with a single one', () => {
  assert.throws(() => assertDescribed('GET', `${ROOT}//Calls/x.json`, json({})), /Call/)
  assertDescribed('GET', `${ROOT}//Calls/x.json`, failure(404, 'Given callSID does not exist. Please check the callSID passed'))
})

test('what is no request to the API is not looked at', () => {
  assertDescribed('GET', '/healthz', { status: 200, contentType: 'text/plain', body: 'ok' })
  assertDescribed('HEAD', `${ROOT}/Calls/x.json`, { status: 404, contentType: '', body: '' })
})
