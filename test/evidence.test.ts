/** A whole server: what supervisors did is in the audit, through a kill as well, and the server's log notes the head when it ends. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from './eventually.ts'
import { NOTICE_TONE_HZ } from '../src/engine/notice-tone.ts'
import { KEY, openTestServer, type TestServer } from './server.ts'

interface Audited {
  readonly Mode: string
  readonly EndReason: string
  readonly Key: string
  readonly ReasonCode: string | null
  readonly Supervisor: string
  readonly Notice: string
  readonly Tones: readonly { readonly Time: string; readonly Played: string }[]
  readonly HeardBy: readonly { readonly PhoneNumber: string }[]
  readonly Sequence: number
  readonly Hash: string
  readonly PreviousHash: string
}

const audit = async (server: TestServer): Promise<readonly Audited[]> => {
  const answer = await server.request('GET', '/Audit.json')
  assert.equal(answer.status, 200)
  return (answer.body as unknown as { readonly Audit: readonly Audited[] }).Audit.toReversed()
}

test('the ear that the policy names hears a tone when a supervisor comes in, and again; no other ear does; the audit says when', async () => {
  const server = await openTestServer('', {}, { notice: '{ to: customer, everySeconds: 5 }' })
  try {
    const agent = await server.phone({ name: 'priya', toneHz: 440 })
    const boss = await server.phone({ name: 'boss', toneHz: null })
    const { body } = await server.request('POST', '/Calls/connect.json', { From: 'client:priya', To: '+919876543210', CallerId: '+918012345678' })
    const call = body.Call.Sid
    await eventually('agent and customer talk', () => agent.current()?.hears(700) === 'heard' && server.trunkPhone.current()?.hears(440) === 'heard')
    const phones = { agent, boss, customer: server.trunkPhone }
    const heard = { agent: 0, boss: 0, customer: 0 }
    const hearing = new Set<string>()
    const listening = setInterval(() => {
      for (const name of ['agent', 'boss', 'customer'] as const) {
        const isHeard = phones[name].current()?.hears(NOTICE_TONE_HZ) === 'heard'
        if (isHeard && !hearing.has(name)) heard[name] += 1
        if (isHeard) hearing.add(name)
        else hearing.delete(name)
      }
    }, 10)
    try {
      const made = await server.request('POST', `/Calls/${call}/Legs.json`, { Action: 'listen', PhoneNumber: 'client:boss' })
      await eventually('two tones', () => heard.customer >= 2, 20_000)
      await server.request('PUT', `/Calls/${call}/Legs/${made.body.Leg.Sid}.json`, { Action: 'hangup' })
      await eventually('it is on record', async () => (await audit(server)).length === 1)
    } finally {
      clearInterval(listening)
    }
    const [entry] = await audit(server)
    assert.deepEqual([heard.agent, heard.boss, entry?.Tones.filter(({ Played }) => Played === 'true').length], [0, 0, heard.customer])
    const at = entry?.Tones.map(({ Time }) => Date.parse(Time)) ?? []
    for (const [index, time] of at.slice(1).entries()) assert(Math.abs(time - (at[index] ?? 0) - 5_000) <= 1_000, JSON.stringify(entry?.Tones))
  } finally {
    await server.close()
  }
})

test('[C27] each mode of a supervisor is an entry: who, why, who heard them; the last one ends with the killed server; the head is in the log', async () => {
  const server = await openTestServer()
  try {
    const agent = await server.phone({ name: 'priya', toneHz: 440 })
    const boss = await server.phone({ name: 'boss', toneHz: 1000 })
    const { body } = await server.request('POST', '/Calls/connect.json', { From: 'client:priya', To: '+919876543210', CallerId: '+918012345678' })
    const call = body.Call.Sid
    await eventually('agent and customer talk', () => agent.current()?.hears(700) === 'heard')
    const made = await server.request('POST', `/Calls/${call}/Legs.json`, { Action: 'listen', PhoneNumber: 'client:boss', ReasonCode: 'QA-7' })
    await eventually('the supervisor hears both', () => boss.current()?.hears(700) === 'heard' && boss.current()?.hears(440) === 'heard')
    for (const Action of ['whisper', 'barge'])
      assert.equal((await server.request('PUT', `/Calls/${call}/Legs/${made.body.Leg.Sid}.json`, { Action, ReasonCode: 'QA-8' })).status, 200)
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    assert.equal(await server.end('SIGKILL'), 'SIGKILL')
    await server.start()
    await eventually('the crash is on record', async () => (await audit(server)).length === 3)
    const entries = await audit(server)
    assert.deepEqual(
      entries.map((one) => [one.Sequence, one.Mode, one.ReasonCode, one.EndReason, one.HeardBy.map(({ PhoneNumber }) => PhoneNumber)]),
      [
        [1, 'listen', 'QA-7', 'mode-changed', []],
        [2, 'whisper', 'QA-8', 'mode-changed', ['client:priya']],
        [3, 'barge', 'QA-8', 'crash', ['client:priya', '09876543210']],
      ],
    )
    for (const [index, one] of entries.entries()) {
      assert.deepEqual([one.Key, one.Supervisor, one.Notice], [KEY, 'client:boss', 'nobody (explicit)'])
      assert.equal(one.PreviousHash, entries[index - 1]?.Hash ?? '0'.repeat(64))
    }
    assert.equal(await server.end('SIGTERM'), 0)
    assert.match(server.log(), new RegExp(`"head":"${entries[2]?.Hash}"`))
    assert.doesNotMatch(server.log(), /9876543210/)
  } finally {
    await server.close()
  }
})
