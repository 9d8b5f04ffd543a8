import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refused, type Scripted, scriptedFetch } from '../../../test/scripted-fetch.ts'
import { makeEarshot } from '../earshot.ts'

function rig(...script: readonly Scripted[]) {
  const { fetch, asked } = scriptedFetch(...script)
  return { asked, legs: makeEarshot({ url: 'http://h', account: 'acme', key: 'k', token: 't', fetch, sleep: async () => {} }).legs }
}
const LEG_GONE = refused(404, 'Given legSID does not exist. Please check the legSID passed')
const CALL_GONE = refused(404, 'Given callSID is not in-progress')

test('[C15] each way to join is one POST with its mode, and what you ask for cannot change it', async () => {
  const joined = { body: { Leg: { Sid: 'l' } } }
  const { legs, asked } = rig(joined, joined, joined)
  const sneaky = { PhoneNumber: 'client:boss', Action: 'barge' }
  for (const mode of ['listen', 'whisper', 'barge'] as const) await legs[mode]('c', sneaky)
  assert.deepEqual(
    asked.map(({ method, url, body }) => [method, url, body]),
    ['listen', 'whisper', 'barge'].map((Action) => ['POST', 'http://h/v1/Accounts/acme/Calls/c/Legs.json', { PhoneNumber: 'client:boss', Action }]),
  )
})

test('[C20] [C21] a change of mode and a hang-up are PUTs on the leg, whose answers have different names', async () => {
  const { legs, asked } = rig({ body: { Leg: { LastAction: 'barge' } } }, { body: { legs: { LastAction: 'hangup' } } })
  assert.deepEqual([(await legs.changeMode('c', 'l', 'barge')).LastAction, (await legs.hangUp('c', 'l'))?.LastAction], ['barge', 'hangup'])
  assert.deepEqual(
    asked.map(({ method, url, body }) => [method, url, body]),
    [
      ['PUT', 'http://h/v1/Accounts/acme/Calls/c/Legs/l.json', { Action: 'barge' }],
      ['PUT', 'http://h/v1/Accounts/acme/Calls/c/Legs/l.json', { Action: 'hangup' }],
    ],
  )
})

test('a reason goes along with a mode, and never with a hang-up', async () => {
  const { legs, asked } = rig({ body: { Leg: {} } }, { body: { Leg: {} } }, { body: { legs: {} } })
  await legs.whisper('c', { PhoneNumber: 'client:boss', ReasonCode: 'qa/7' })
  await legs.changeMode('c', 'l', 'barge', { ReasonCode: 'complaint' })
  await legs.hangUp('c', 'l')
  assert.deepEqual(
    asked.map(({ body }) => body),
    [{ PhoneNumber: 'client:boss', ReasonCode: 'qa/7', Action: 'whisper' }, { Action: 'barge', ReasonCode: 'complaint' }, { Action: 'hangup' }],
  )
})

for (const [what, gone] of [
  ['leg', LEG_GONE],
  ['call', CALL_GONE],
] as const) {
  test(`a hang-up whose answer got lost finds the ${what} gone, and is done`, async () => {
    assert.equal(await rig('lost', gone).legs.hangUp('c', 'l'), null)
    assert.equal(await rig({ status: 504 }, gone).legs.hangUp('c', 'l'), null)
  })
  test(`a hang-up of a ${what} that was gone before is an error, also when the server was only busy at first`, async () => {
    await assert.rejects(rig(gone).legs.hangUp('c', 'l'), { status: 404, attempts: 1 })
    await assert.rejects(rig({ status: 503 }, gone).legs.hangUp('c', 'l'), { status: 404, attempts: 2 })
  })
  test(`a change of mode never succeeds on a ${what} that is gone`, async () => {
    await assert.rejects(rig('lost', gone).legs.changeMode('c', 'l', 'listen'), { status: 404, maybeDone: true })
  })
}
