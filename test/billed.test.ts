/** The whole house, with phones and money: a prepaid account whose calls end when it is used up, and bills that anybody can add up. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { eventually } from './eventually.ts'
import { openTestServer, type TestServer } from './server.ts'

const PLAN = `
    plan:
      currency: INR
      pulseSeconds: 1
      prepaid: true
      rates:
        - { prefix: "client:", price: 0.10 }
        - { prefix: "client:", origin: monitor, price: 0.25 }
        - { prefix: "+91", price: 1.00 }
    dial: { maxLegs: 4 }`
let server: TestServer
before(async () => {
  server = await openTestServer('', {}, { accountYaml: PLAN })
  for (const name of ['priya', 'ravi', 'boss']) await server.phone({ name })
})
after(() => server.close())

interface Priced {
  readonly Origin: string
  readonly OnCallDuration: string
  readonly Price: string | null
}

const get = async (path: string) => {
  const { body }: { readonly body: unknown } = await server.request('GET', path)
  return JSON.parse(typeof body === 'string' ? body : JSON.stringify(body))
}
const pay = (amount: string) => server.request('POST', '/Balance/Adjustments.json', { Amount: amount, Note: 'a test' })
const connect = () => server.request('POST', '/Calls/connect.json', { From: 'client:priya', To: 'client:ravi' })

test('[C10] [C33] without a balance nothing is dialled; with one a call ends when it is used up, and its bill adds up', async () => {
  const refused = await connect()
  assert.deepEqual([refused.status, /balance is used up/.test(refused.body.RestException.Message)], [403, true])
  assert.equal((await pay('1.55')).status, 200)
  const sid: string = (await connect()).body.Call.Sid
  const call = `/Calls/${sid}`
  await eventually('two parties', async () => (await get(`${call}/ActiveLegs.json`)).Legs.length === 2)
  assert.equal((await server.request('POST', `${call}/Legs.json`, { Action: 'listen', PhoneNumber: 'client:boss' })).status, 200)
  const { Balance } = await get('/Balance.json')
  assert(Number(Balance.Held) > 0 && Number(Balance.Available) < 1.55, JSON.stringify(Balance))
  await eventually('the end of the money', async () => (await get(`${call}.json`)).Call.Status === 'completed', 15_000)
  const { Call } = await get(`${call}.json?details=true`)
  assert.equal(Call.Details.EndReason, 'no-balance')
  const { legs } = (await get(`${call}/Legs.json`)) as { readonly legs: readonly Priced[] }
  const PULSE: Readonly<Record<string, number>> = { outbound: 100, 'outbound-dial': 100, monitor: 250 }
  const bill = legs.map((leg) => Math.max(1, Number(leg.OnCallDuration)) * (PULSE[leg.Origin] ?? 0))
  assert.deepEqual(legs.map((leg) => leg.Price), bill.map((thousandths) => (thousandths / 1000).toFixed(3)))
  const total = bill.reduce((sum, each) => sum + each, 0)
  assert.equal(Call.Price, (total / 1000).toFixed(3))
  assert(total <= 1550, 'never below the floor')
  assert.equal((await get('/Balance.json')).Balance.Amount, ((1550 - total) / 1000).toFixed(3))
  const { Usage } = await get('/Usage.json')
  const amounts: readonly string[] = Usage.Totals.map((row: { Amount: string }) => row.Amount)
  assert.equal(amounts.reduce((sum, amount) => sum + Math.round(Number(amount) * 1000), 0), total)
  assert.equal((await get(`/Calls.json?Price=eq:${Call.Price}`)).Calls[0].Sid, sid)
})

test('[C33] what the command line pays in beside the running server counts at once, and its bill is the same', async () => {
  const run = promisify(execFile)
  const earshot = async (...args: readonly string[]): Promise<string> => (await run(process.execPath, ['bin/earshot.mjs', ...args, '-c', server.config])).stdout
  const before = (await get('/Balance.json')).Balance.Amount
  assert.match(await earshot('balance', 'add', '--account', 'acme', '--amount', '100', '--note', 'by hand'), /^100.000 INR paid in for acme/)
  await eventually('the payment', async () => Number((await get('/Balance.json')).Balance.Amount) === 100 + Number(before))
  const { Usage } = await get('/Usage.json?GroupBy=origin')
  const lines = (await earshot('usage', '--account', 'acme', '--by', 'origin', '--csv')).trim().split('\n')
  assert.deepEqual(
    lines.slice(1).map((line) => line.split(',')),
    Usage.Rows.map((row: Record<string, string | number>) => [row.Origin, row.Kind, row.Legs, row.Seconds, row.Pulses, row.Amount, row.Currency].map(String)),
  )
})

test('[C33] a crash charges what was talked until then, once', async () => {
  const sid: string = (await connect()).body.Call.Sid
  await eventually('two parties', async () => (await get(`/Calls/${sid}/ActiveLegs.json`)).Legs.length === 2)
  const { Amount } = (await get('/Balance.json')).Balance
  await server.end('SIGKILL')
  await server.start()
  const { Call } = await get(`/Calls/${sid}.json`)
  assert.equal(Call.Status, 'failed')
  const after = (await get('/Balance.json')).Balance
  const cost = Math.round((Number(Amount) - Number(after.Amount)) * 1000)
  assert.equal(Call.Price, (cost / 1000).toFixed(3))
  assert(cost >= 100)
  assert.equal(after.Held, '0.000')
})
