import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SAMPLE_ACCOUNT } from '../src/http/operations/samples.ts'
import { rendered } from '../src/contract/xml.ts'
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

test('an answer with a key less, a key more, or two keys in another order is found out in both formats', () => {
  for (const { method, url, example } of resources) {
    const ofJson = rendered('json', example('json'))
    const ofXml = rendered('xml', example('xml'))
    const spoilt = [
      [`${url}.json`, { ...json(null), body: ofJson.replace(/"AccountSid":"[^"]*",/, '') }],
      [`${url}.json`, { ...json(null), body: ofJson.replace('"AccountSid"', '"More":1,"AccountSid"') }],
      [`${url}.json`, { ...json(null), body: ofJson.replace(/("AccountSid":"[^"]*"),("[A-Za-z]+":"[^"]*")/, '$2,$1') }],
      [url, xml(ofXml.replace(/<AccountSid>[^<]*<\/AccountSid>/, ''))],
      [url, xml(ofXml.replace('<AccountSid>', '<More/><AccountSid>'))],
      [url, xml(ofXml.replace(/(<AccountSid>[^<]*<\/AccountSid>)(<\w+>[^<]*<\/\w+>)/, '$2$1'))],
      [url, json(example('json'))],
      [`${url}.json`, xml(ofXml)],
    ] as const
    for (const [asked, answer] of spoilt) assert.throws(() => assertDescribed(method, asked, answer), `${method} ${asked} ${answer.body}`)
  }
})

test('a failure has to be one that the route lists, with its text and its status, in the envelope', () => {
  const [put, get] = [`${ROOT}/Calls/x/Legs/y.json`, `${ROOT}/Calls/x/ActiveLegs.json`]
  assertDescribed('PUT', put, failure(400, 'Invalid Parameter: Action is missing or invalid'))
  assertDescribed('PUT', put, failure(500, 'Internal Server Error (req-1)'))
  assertDescribed('GET', get, json({ RestException: { Code: 404, Message: 'Given callSID is not in-progress' } }, 404))
  const wrong = [
    ['PUT', put, failure(400, 'Something is wrong')],
    ['PUT', put, failure(402, 'Payment Required')],
    ['PUT', put, { ...failure(400, 'Invalid Parameter: Action is missing or invalid'), status: 404 }],
    ['PUT', put, json({ Message: 'Not Found' }, 404)],
    ['GET', get, failure(429, 'Too Many Requests')],
    ['GET', get, failure(400, 'Invalid Parameter: Action is missing or invalid')],
    ['GET', `${ROOT}/Nothing.json`, json({ error: 'not found' }, 404)],
  ] as const
  for (const [method, url, answer] of wrong) assert.throws(() => assertDescribed(method, url, answer), answer.body)
})

test('what is no request to the API is not looked at', () => {
  assertDescribed('GET', '/healthz', { status: 200, contentType: 'text/plain', body: 'ok' })
  assertDescribed('HEAD', `${ROOT}/Calls/x.json`, { status: 404, contentType: '', body: '' })
})
