/** What Prometheus reads of a whole server that carries a monitored call, and whether the dashboard asks for what is there. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import type { Phone } from '../src/phone/phone.ts'
import { eventually } from './eventually.ts'
import { freePort } from './free-port.ts'
import { openTestReceiver, openTestServer, type TestReceiver, type TestServer } from './server.ts'

let url: string
let server: TestServer
let receiver: TestReceiver
let boss: Phone

before(async () => {
  const port = await freePort()
  url = `http://127.0.0.1:${port}/metrics`
  server = await openTestServer(`metrics: { port: ${port} }`)
  receiver = await openTestReceiver()
  await server.phone({ name: 'priya', toneHz: 440 })
  boss = await server.phone({ name: 'boss', toneHz: 1000 })
})
after(async () => {
  await server.close()
  await receiver.close()
})

const read = async (): Promise<string> => {
  const answer = await fetch(url)
  assert.equal(answer.status, 200)
  return answer.text()
}
/** The sum over the series of a metric whose labels are these, at least. */
async function value(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
  const lines = (await read()).split('\n').filter((line) => new RegExp(`^${name}[{ ]`).test(line))
  const fitting = lines.filter((line) => Object.entries(labels).every(([label, text]) => line.includes(`${label}="${text}"`)))
  assert.ok(fitting.length > 0, `${name} ${JSON.stringify(labels)} among\n${lines.join('\n')}`)
  return fitting.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}
const becomes = (expected: number, name: string, labels: Readonly<Record<string, string>> = {}): Promise<unknown> =>
  eventually(`${name} ${JSON.stringify(labels)} is ${expected}`, async () => (await value(name, labels)) === expected)

test('a monitored call moves the series that an operator watches', async () => {
  await becomes(2, 'earshot_sip_registrations')
  const { body } = await server.request('POST', '/Calls/connect.json', { From: 'client:priya', To: '+919876543210', CallerId: '+918012345678' })
  const callSid = body.Call.Sid
  await becomes(1, 'earshot_legs', { origin: 'outbound-dial', state: 'answered' })
  const { body: created } = await server.request('POST', `/Calls/${callSid}/Legs.json`, {
    Action: 'listen', PhoneNumber: 'client:boss', StatusCallback: receiver.url, StatusCallbackContentType: 'application/json',
  })
  await becomes(1, 'earshot_monitors', { mode: 'listen' })
  const changed = await server.request('PUT', `/Calls/${callSid}/Legs/${created.Leg.Sid}.json`, { Action: 'barge' })
  assert.equal(changed.status, 200)
  await becomes(1, 'earshot_mode_changes_total', { mode: 'barge' })
  assert.equal(await value('earshot_mode_change_duration_seconds_count', { mode: 'barge' }), 1)
  assert.equal(await value('earshot_calls', { direction: 'outbound-api' }), 1)
  assert.equal(await value('earshot_engine_legs'), 3)
  assert.ok((await value('earshot_sip_sessions')) >= 3)
  for (const origin of ['outbound', 'outbound-dial', 'monitor']) assert.equal(await value('earshot_invite_to_answer_seconds_count', { origin }), 1)
  await eventually('packets of the live legs are counted', async () => (await value('earshot_media_packets_received_total')) > 10 && (await value('earshot_media_packets_sent_total')) > 10)
  assert.ok(boss.current() !== null)

  await server.request('PUT', `/Calls/${callSid}/Legs/${created.Leg.Sid}.json`, { Action: 'hangup' })
  await becomes(1, 'earshot_legs_ended_total', { origin: 'monitor', cause: 'completed' })
  await becomes(1, 'earshot_callback_attempts_total', { outcome: 'delivered' })
  await becomes(0, 'earshot_callbacks_pending')
  const { body: legs } = await server.request('GET', `/Calls/${callSid}/ActiveLegs.json`)
  await server.request('PUT', `/Calls/${callSid}/Legs/${legs.Legs[0]?.Sid}.json`, { Action: 'hangup' })
  await becomes(1, 'earshot_calls_ended_total', { outcome: 'completed' })
  for (const name of ['earshot_calls', 'earshot_legs', 'earshot_monitors', 'earshot_engine_legs']) await becomes(0, name)
  await becomes(3, 'earshot_media_jitter_seconds_count')
  const route = '/v1/Accounts/:accountSid/Calls/:callSid/Legs/:legSid'
  assert.equal(await value('earshot_http_requests_total', { method: 'PUT', route, status: '200' }), 3)
  assert.equal(await value('earshot_http_request_duration_seconds_count', { method: 'PUT', route }), 3)
  assert.deepEqual([await value('earshot_database_up'), await value('earshot_callbacks_lag_seconds'), await value('earshot_callbacks_parked')], [1, 0, 0])
})

test('no number, name or Sid of that call is in the metrics, and the API does not serve them', async () => {
  const text = await read()
  for (const secret of ['9876543210', '8012345678', 'priya', 'boss', 'acme', '127.0.0.1']) assert.equal(text.includes(secret), false, secret)
  assert.doesNotMatch(text, /\b(?=[0-9a-z]*[a-z])(?=[0-9a-z]*\d)[0-9a-z]{32}\b/)
  assert.equal((await fetch(`${server.url}/metrics`)).status, 404)
})

test('every metric that the dashboard asks for is there, with the labels that it names, and none of ours is left out', async () => {
  const text = await read()
  const dashboard = JSON.parse(readFileSync(new URL('../grafana/earshot.json', import.meta.url), 'utf8'))
  const panels: readonly { readonly title: string; readonly targets?: readonly { readonly expr: string }[] }[] = dashboard.panels
  const asked = new Set<string>()
  for (const { title, targets = [] } of panels) {
    for (const { expr } of targets) {
      for (const [name] of expr.matchAll(/\b(?:earshot|process|nodejs)_\w+/g)) {
        asked.add(name)
        assert.match(text, new RegExp(`^${name}[{ ]`, 'm'), `${title}: ${expr}`)
        for (const [, label = ''] of expr.matchAll(/\bby \(([^)]*)\)/g))
          for (const each of label.split(/,\s*/)) assert.match(text, new RegExp(`^${name}\\{[^}]*\\b${each}="`, 'm'), `${title}: ${each} in ${expr}`)
      }
    }
  }
  const bare = (name: string): string => name.replace(/_(?:bucket|sum|count)$/, '')
  const shown = new Set([...asked].map(bare))
  for (const [, name = ''] of text.matchAll(/^# TYPE (earshot_\S+)/gm)) assert.ok(shown.has(name), `no panel shows ${name}`)
  const ids = new Set(dashboard.panels.map((panel: { readonly id: number }) => panel.id))
  assert.equal(ids.size, panels.length)
})
