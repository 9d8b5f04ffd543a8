// `earshot accounts` on both databases: what the file says, what the database knows, and nothing that is secret.
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { openTestDatabase, type TestDatabase, testServers } from '../../../test/database.ts'
import { sampleCall } from '../../../test/sample-calls.ts'
import { loadConfig } from '../../config.ts'
import { TONE_EARS } from '../../domain/evidence/tones.ts'
import type { Money } from '../../domain/account/money.ts'
import type { AccountId, KeyId } from '../../domain/ids.ts'
import type { Leg } from '../../domain/leg.ts'
import { insertKey, revokeKey } from '../../store/access/keys.ts'
import { saveCall } from '../../store/calls.ts'
import { countByAccount } from '../../store/census.ts'
import { adjustBalance } from '../../store/ledger/balances.ts'
import type { Desk } from '../desk.ts'
import { accountsList, accountsShow } from './accounts.ts'
import { destinationsInWords, noticeInWords } from './words.ts'

const NOW = Date.UTC(2026, 10, 26, 12)
const SECRETS = ['file-token-0123456789', 'pw-anna', `whsec_${Buffer.alloc(32, 7).toString('base64')}`]
const ACME = 'acme' as AccountId

const yaml = (data: string): string => `data: "${data}"
dial: {allow: ["+91", "sip:[::1]:5060"]}
accounts:
  - sid: acme
    timeZone: Europe/Berlin
    keys: [{key: file-key, token: ${SECRETS[0]}, scopes: [calls.read], agents: [anna]}]
    numbers: [{number: "+918047112233", rings: anna}, "+918047112244"]
    agents: [{name: anna, password: ${SECRETS[1]}}, {name: ben, password: pw-ben-ben}]
    callbackSecret: ${SECRETS[2]}
    notice: {to: both}
    maxMonitors: 3
    plan: {currency: INR, pulseSeconds: 30, prepaid: true, floor: -5, rates: [{price: 0.5}, {prefix: "client:", origin: monitor, price: 0}]}
    dial: {allow: ["+9180"], maxLegs: 20, legsPerMinute: 10, spendPerDay: 5000}
  - sid: zenith\n`

for (const server of testServers()) {
  describe(`earshot accounts (${server})`, () => {
    let opened: TestDatabase
    let place: string
    let config: string

    before(async () => {
      opened = await openTestDatabase(server)
      place = await mkdtemp(join(tmpdir(), 'earshot-accounts-'))
      config = join(place, 'earshot.yaml')
      await writeFile(config, yaml(opened.url.replace('@/', '@localhost/')))
      const { sql } = opened.database
      const rate = { currency: 'INR', pulseS: 30, price: '0.500' as Money }
      // 61 s into the third pulse of two answered legs, and a supervisor who rings: 3 + 3 + 1 pulses of 0.5.
      const live = sampleCall({ state: { status: 'live' } })
      const legs = live.legs.map(
        (leg): Leg => ({
          ...leg,
          rate,
          state: leg.state.status === 'answered' ? { ...leg.state, answeredAt: NOW - 61_000 } : leg.state,
        }),
      )
      await saveCall(sql, { call: { ...live, legs }, node: 'n', callbacks: [], idempotency: null })
      const over = sampleCall({ state: { status: 'ended', outcome: 'completed', endedAt: NOW } })
      await saveCall(sql, { call: over, node: 'n', callbacks: [], idempotency: null })
      for (const id of ['ek_one', 'ek_two']) {
        const key = {
          id: id as KeyId,
          accountId: ACME,
          name: `call +919876543210 ${id}`,
          source: 'database' as const,
          scopes: ['calls.read' as const],
        }
        const times = { agents: null, createdBy: null, createdAt: NOW, expiresAt: null, rotatedAt: null, revokedAt: null, lastUsedAt: null }
        await insertKey(sql, { key: { ...key, ...times }, tokenHash: 'a-hash-of-a-token' }, null)
      }
      await revokeKey(sql, ACME, 'ek_two' as KeyId, NOW - 1)
      const paid = { id: 'paid', accountId: ACME, currency: 'INR', amount: '100.000' as Money, note: 'n', by: 'operator', at: NOW }
      await adjustBalance(sql, paid, null)
    })
    after(async () => {
      await opened.close()
      await rm(place, { recursive: true })
    })

    async function run(command: (desk: Desk) => Promise<number>): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
      const [out, err]: [string[], string[]] = [[], []]
      const desk: Desk = {
        out: (text) => void out.push(text),
        err: (text) => void err.push(text),
        read: async (path) => loadConfig(path, {}),
        now: () => NOW,
      }
      const code = await command(desk)
      return { code, out: out.join('\n'), err: err.join('\n') }
    }
    const list = (json = false) => run((desk) => accountsList(desk, { config, json }))
    const show = (sid: string, more: { json?: boolean; full?: boolean } = {}) =>
      run((desk) => accountsShow(desk, sid, { config, json: false, full: false, ...more }))

    test('the list has every account of the file on a line, with what the database knows of it', async () => {
      const { code, out } = await list()
      assert.equal(code, 0)
      const [head, acme, zenith, ...more] = out.split('\n').map((text) => text.split(/ {2,}/))
      assert.deepEqual(head, ['ACCOUNT', 'TIME ZONE', 'NUMBERS', 'PHONES', 'KEYS', 'MONITORING', 'PLAN', 'CAPS', 'LIVE CALLS', 'BALANCE'])
      assert.deepEqual(acme, [
        ...['acme', 'Europe/Berlin', '2', '2', '2', 'yes, tone to both', 'INR, 30 s, 2 rates, prepaid'],
        ...['20 legs, 10/min, 5000.000/day', '1', '100.000 INR'],
      ])
      assert.deepEqual(zenith?.slice(0, 6), ['zenith', 'Asia/Kolkata', '0', '0', '0', 'no: no notice'])
      assert.deepEqual(more, [])
    })

    test('the list as JSON says the same, and that an account without a notice cannot be monitored', async () => {
      const { accounts } = JSON.parse((await list(true)).out)
      assert.deepEqual(
        accounts.map((one: Record<string, unknown>) => [
          one.account,
          one.keys,
          (one.monitoring as { possible: boolean }).possible,
          one.liveCalls,
          one.balance,
        ]),
        [
          ['acme', 2, true, 1, '100.000'],
          ['zenith', 0, false, 0, null],
        ],
      )
    })

    test('what is counted for all accounts at once is what there is: a key that was revoked or a call that ended is not in it', async () => {
      assert.deepEqual([...(await countByAccount(opened.database.sql, NOW))], [[ACME, { liveCalls: 1, activeKeys: 1 }]])
      assert.deepEqual((await countByAccount(opened.database.sql, NOW - 2)).get(ACME)?.activeKeys, 1)
    })

    test('[C33] show says what an account is, what it may, what live calls hold of its balance and what is left', async () => {
      const { code, out } = await show('acme')
      assert.equal(code, 0)
      for (const sentence of [
        /^account: {5}acme$/m,
        /^monitoring: {2}possible; agent and customer hear a tone when a supervisor comes in and every 15 s while one is on, in any mode$/m,
        /^may dial: {4}its own phones; \+91, sip:\[::1\]:5060, and of these only what its own list allows: \+9180$/m,
        /^caps: {8}20 legs at once, 10 dialled a minute, 5000\.000 a day, 3 supervisors on a call$/m,
        /^callbacks: {3}signed by the secret of the configuration$/m,
        /^calls: {7}1 live, 2 on record$/m,
        /^plan: {8}INR for each pulse of 30 s that has begun; prepaid: calls end when the balance is used up down to -5\.000$/m,
        /^balance: {5}100\.000 INR \(100\.000 paid in, 0\.000 charged\); live calls hold 3\.500, left 96\.500$/m,
        /^any +any +0\.500\nclient: +monitor +0\.000$/m,
        /^\+91\*{5}233 +client:\*\*\*\n\+91\*{5}244 +nobody: calls to it are refused$/m,
        /^file-key +active +configuration +calls\.read +1$/m,
        /^ek_one +active +database +calls\.read +all +call \+91\*{5}210 ek_one$/m,
        /^ek_two +revoked +database/m,
      ])
        assert.match(out, sentence)
    })

    test('show as JSON has it all as values', async () => {
      const shown = JSON.parse((await show('acme', { json: true })).out)
      assert.deepEqual(shown.balance, { currency: 'INR', paidIn: '100.000', charged: '0.000', balance: '100.000', held: '3.500', left: '96.500' })
      assert.deepEqual(shown.dial, { operator: ['+91', 'sip:[::1]:5060'], own: ['+9180'] })
      assert.deepEqual(shown.callbackSecret, { keptIn: 'configuration', madeAt: null })
      assert.deepEqual([shown.calls, shown.plan.rates.length, shown.keys.length], [{ live: 1, onRecord: 2 }, 2, 3])
    })

    test('numbers and names are told with --full alone; tokens, passwords and secrets never, in either form', async () => {
      const seen = [await list(), await list(true)]
      for (const json of [false, true]) {
        const [masked, full] = [await show('acme', { json }), await show('acme', { json, full: true })]
        for (const word of ['8047112233', 'anna', '9876543210'])
          assert.deepEqual([masked.out.includes(word), full.out.includes(word)], [false, true], word)
        seen.push(masked, full)
      }
      for (const { out } of seen) for (const secret of [...SECRETS, 'a-hash-of-a-token']) assert.ok(!out.includes(secret))
    })

    test('an account that has nothing is told as it is, and what to do about it', async () => {
      const { out } = await show('zenith')
      assert.match(out, /^monitoring: {2}not possible: nobody has decided .*; write notice: \{ to: both \} for tones, or notice: \{ to: nobody \}$/m)
      assert.match(out, /^plan: {8}none: its legs are not charged$/m)
      assert.match(out, /No keys: .*earshot keys create --account zenith makes one\.$/)
      assert.ok(!out.includes('balance:'))
    })

    test('of an account that is not there it is said which there are', async () => {
      const { code, out, err } = await show('acmee')
      assert.deepEqual([code, out], [1, ''])
      assert.match(err, /^no account acmee in .*earshot\.yaml; there are: acme, zenith$/)
    })
  })
}

test('every notice policy is said in words that name who hears a tone', () => {
  const policy = { atEntry: false, everySeconds: 15, modes: ['listen', 'whisper'] } as const
  assert.deepEqual(
    TONE_EARS.map((to) => noticeInWords({ ...policy, to })),
    [
      'possible; the agent hears a tone every 15 s while one is on, in listen and whisper alone',
      'possible; the customer hears a tone every 15 s while one is on, in listen and whisper alone',
      'possible; agent and customer hear a tone every 15 s while one is on, in listen and whisper alone',
      'possible, and nobody is told: no tone sounds (notice.to is nobody)',
    ],
  )
})

test('what may be dialled names a port only where the rule does', () => {
  const rules = {
    prefixes: [],
    hosts: [
      { host: 'pbx.example', port: null },
      { host: '10.0.0.1', port: 5070 },
    ],
  }
  assert.equal(destinationsInWords(rules, null), 'its own phones; sip:pbx.example, sip:10.0.0.1:5070')
  assert.equal(destinationsInWords(rules, { prefixes: [], hosts: [] }), 'its own phones only: its own dial.allow is empty')
  assert.equal(destinationsInWords({ prefixes: [], hosts: [] }, null), 'its own phones only: dial.allow names nothing')
})
