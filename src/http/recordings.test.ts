import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { assertDescribed } from '../../test/answers.ts'
import { makeApi } from '../control/api.ts'
import { type Principal, SCOPES } from '../domain/account/rights.ts'
import type { AccountId, CallId, KeyId, LegId } from '../domain/ids.ts'
import { makeFakeControl } from './fake-control.ts'
import { NOTHING_KEPT } from './nothing-kept.ts'
import { makeServer } from './server.ts'

const folder = mkdtempSync(join(tmpdir(), 'earshot-http-recordings-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const ACME = 'acme' as AccountId

/** A server in whose house every recorded call has a file, and a key whose rights the test sets. */
function house() {
  const control = makeFakeControl(() => 0)
  const who: { principal: Principal } = { principal: { accountId: ACME, keyId: 'key' as KeyId, scopes: SCOPES, agents: null } }
  const gone = new Set<CallId>()
  const find = async ({ id }: { readonly id: CallId }) => {
    if (gone.has(id)) return null
    writeFileSync(join(folder, `${id}.wav`), 'RIFF of it')
    return { file: join(folder, `${id}.wav`), bytes: 10 }
  }
  const server = makeServer({
    api: makeApi(control, { ...NOTHING_KEPT, recordings: { find } }),
    accounts: { authenticate: async (key) => (key === 'key' ? who.principal : null), timeZone: () => 'UTC' },
    publicUrl: () => 'https://calls.example.com',
    now: () => 0,
    newId: () => 'request',
    log: { info() {}, error() {} },
    ready: () => 'ready',
  })
  const request = async (method: 'GET' | 'POST', path: string, payload?: object, headers: Record<string, string> = {}) => {
    const url = `/v1/Accounts/acme${path}`
    const authorization = `Basic ${btoa('key:token')}`
    const answer = await server.inject({ method, url, headers: { authorization, ...headers }, ...(payload ? { payload } : {}) })
    assertDescribed(method, url, { status: answer.statusCode, contentType: String(answer.headers['content-type']), body: answer.body, headers: answer.headers })
    return answer
  }
  /** A call whose parties have talked; ended unless `live`. */
  async function talked(fields: object, live = false): Promise<CallId> {
    const { Sid } = (await request('POST', '/Calls/connect.json', { From: 'client:priya', To: '09876543210', ...fields })).json().Call
    const first = (await control.call(ACME, Sid)).legs[0]?.id as LegId
    const second = control.answer(Sid, first).legs[1]?.id as LegId
    control.answer(Sid, second)
    if (!live) for (const leg of [first, second]) control.end(Sid, leg, 'completed')
    return Sid
  }
  return { control, who, gone, request, talked }
}

test('[C30] the recording of an ended call is served at its RecordingUrl, with or without .wav, whole or in part', async () => {
  const { request, talked } = house()
  const call = await talked({ Record: 'true', RecordingChannels: 'dual' })
  const url = (await request('GET', `/Calls/${call}.json`)).json().Call.RecordingUrl
  assert.equal(url, `https://calls.example.com/v1/Accounts/acme/Recordings/${call}.wav`)
  for (const path of [`/Recordings/${call}.wav`, `/Recordings/${call}`]) {
    const whole = await request('GET', path)
    assert.deepEqual([whole.statusCode, whole.body, whole.headers['content-type']], [200, 'RIFF of it', 'audio/wav'])
  }
  const part = await request('GET', `/Recordings/${call}.wav`, undefined, { range: 'bytes=0-3' })
  assert.deepEqual([part.statusCode, part.body], [206, 'RIFF'])
})

test('[C30] a call that was not recorded, or that lives, has no RecordingUrl and no recording', async () => {
  const { request, talked } = house()
  for (const call of [await talked({}), await talked({ Record: 'false' }), await talked({ Record: 'true' }, true)]) {
    assert.equal((await request('GET', `/Calls/${call}.json`)).json().Call.RecordingUrl, null)
    const refused = await request('GET', `/Recordings/${call}.json`)
    assert.deepEqual([refused.statusCode, refused.json().RestException.Message], [404, 'Given call has no recording'])
  }
})

test('[C30] a recording that was deleted, an unknown call, another account’s and what is no Sid are the same 404', async () => {
  const { request, talked, gone, who } = house()
  const call = await talked({ Record: 'true' })
  gone.add(call)
  const answers = [`/Recordings/${call}`, `/Recordings/${'x'.repeat(32)}`, '/Recordings/..%2f..%2fetc%2fpasswd', '/Recordings/+919876543210']
  const bodies = await Promise.all(answers.map(async (path) => (await request('GET', path)).body))
  assert.equal(new Set(bodies).size, 1, bodies.join('\n'))
  gone.clear()
  who.principal = { ...who.principal, agents: ['ravi'] }
  assert.equal((await request('GET', `/Recordings/${call}`)).body, bodies[0], 'for a key that is limited to others')
})

test('a recording needs the right to read calls and the right to listen, and a key at all', async () => {
  const { request, talked, who } = house()
  const call = await talked({ Record: 'true' })
  for (const scopes of [['calls.read'], ['monitor.listen'], SCOPES.filter((scope) => scope !== 'monitor.listen')] as const) {
    who.principal = { ...who.principal, scopes }
    assert.equal((await request('GET', `/Recordings/${call}.wav`)).statusCode, 403)
  }
  who.principal = { ...who.principal, scopes: ['calls.read', 'monitor.listen'] }
  assert.equal((await request('GET', `/Recordings/${call}.wav`)).statusCode, 200)
  assert.equal((await request('GET', `/Recordings/${call}.wav`, undefined, { authorization: `Basic ${btoa('other:token')}` })).statusCode, 401)
})
