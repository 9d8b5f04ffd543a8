/** `earshot audit` and `earshot purge`, on an embedded database that somebody else has open, as a running server has. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { silent } from '../../../test/database.ts'
import { sampleCall, sampleId } from '../../../test/sample-calls.ts'
import { runCli, type World } from '../../cli.ts'
import type { AccountId } from '../../domain/ids.ts'
import { saveCall } from '../../store/calls.ts'
import { type Database, openDatabase } from '../../store/database.ts'
import { appendEvidence, type NewEntry } from '../../store/evidence/entries.ts'
import { chainHeads } from '../../store/evidence/log.ts'

const T0 = Date.UTC(2026, 1, 3, 4, 5, 6)
let place: string
let file: string
let database: Database
let account: AccountId

before(async () => {
  place = await mkdtemp(join(tmpdir(), 'earshot-evidence-'))
  await chmod(place, 0o711)
  database = await openDatabase({ data: join(place, 'data'), log: silent })
})
after(async () => {
  await database.close()
  await rm(place, { recursive: true, force: true, maxRetries: 5 })
})
let files = 0
/** Each test has an account and a configuration of its own; other accounts have chains, too. */
beforeEach(async () => {
  account = `acme-${(files += 1)}` as AccountId
  await config('')
})
async function config(more: string): Promise<void> {
  file = join(place, `${account}.yaml`)
  await writeFile(file, `data: ${place}/data\naccounts: [{sid: ${account}, notice: {to: nobody}}]\n${more}`)
}

async function earshot(...args: readonly string[]) {
  const [out, err]: [string[], string[]] = [[], []]
  const never = (): never => assert.fail('not for this command')
  const world: World = {
    out: (line) => void out.push(line),
    err: (line) => void err.push(line),
    pid: 1,
    onSignal: () => () => {},
    onCrash: () => {},
    exitNow: never,
    now: () => 0,
    wait: never,
    openLog: never,
    startHouse: never,
    runDemo: never,
  }
  const code = await runCli([...args, '-c', file], world)
  return { code, out: out.join('\n'), err, json: () => JSON.parse(out.join('\n')) }
}
/** Of this test's account alone. */
const own = (...args: readonly string[]) => earshot(...args, '--account', account)

async function write(count: number, change: Partial<NewEntry> = {}): Promise<string> {
  for (let n = 1; n <= count; n++) {
    const body = {
      call: `call${n}`,
      leg: 'sup',
      target: 'agent',
      mode: 'barge',
      by: 'k1',
      reason: null,
      from: new Date(T0).toISOString(),
      to: new Date(T0 + n * 1000).toISOString(),
      end: 'left',
      heardBy: ['agent'],
      hears: ['agent'],
      notice: { to: 'nobody', atEntry: true, everySeconds: 15, modes: ['barge'] },
      tones: [],
      tonesFailed: [],
    }
    const personal = { supervisor: '+919876543210', parties: [{ leg: 'agent', address: 'client:priya' }] }
    await appendEvidence(database.sql, {
      accountId: account,
      id: sampleId(),
      kind: 'interval',
      at: T0 + n * 1000,
      body,
      personal,
      salt: sampleId(),
      ...change,
    })
  }
  return (await chainHeads(database.sql, account))[0]?.hash ?? ''
}
const tamper = (statement: string): Promise<unknown> =>
  database.transaction(async (sql) => {
    await sql.query('alter table evidence disable trigger user')
    await sql.query(statement, [account])
    await sql.query('alter table evidence enable trigger user')
  })

test('audit verify says how many entries are in order, and the head', async () => {
  const head = await write(3)
  const { code, out } = await own('audit', 'verify')
  assert.deepEqual([code, out], [0, `${account}: 3 entries in order; head ${head}`])
  assert.deepEqual((await own('audit', 'verify', '--json')).json(), {
    ok: true,
    accounts: [{ account, ok: true, entries: 3, purged: 0, head: { sequence: 3, hash: head }, fault: null }],
  })
  const everybody = await earshot('audit', 'verify')
  assert.match(everybody.out, new RegExp(`${account}: 3 entries`))
})

test('audit verify on a chain that was touched says where and how, with exit code 1, in words and in JSON', async () => {
  await write(3)
  await tamper(`update evidence set body = replace(body, 'barge', 'listen') where account_id = $1 and sequence = 2`)
  const { code, out } = await own('audit', 'verify')
  assert.deepEqual(
    [code, out],
    [1, `${account}: BROKEN at entry 2, altered: entry 2 does not have its hash: it was altered (before it: 1 entry in order)`],
  )
  const told = await own('audit', 'verify', '--json')
  assert.deepEqual([told.code, told.json().ok, told.json().accounts[0].fault.kind, told.json().accounts[0].fault.sequence], [1, false, 'altered', 2])
  const all = await earshot('audit', 'verify')
  assert.equal(all.code, 1, 'one broken chain is enough')
  await database.sql.query('select 1')
})

test('audit head prints what audit verify --head takes; a head that is not there any more is told', async () => {
  await write(2)
  const { out } = await own('audit', 'head')
  const head = out.split(/\s+/).at(-1) ?? ''
  await write(1)
  assert.equal((await own('audit', 'verify', '--head', head)).code, 0)
  assert.equal((await own('audit', 'verify', '--head', head.toUpperCase())).code, 0)
  const cut = await own('audit', 'verify', '--head', 'ab'.repeat(32))
  assert.equal(cut.code, 1)
  assert.match(cut.out, /head-unknown/)
  assert.match((await own('audit', 'verify', '--head', 'xyz')).err[0] ?? '', /64 hexadecimal/)
  assert.match((await earshot('audit', 'verify', '--head', head)).err[0] ?? '', /--head needs --account/)
  assert.deepEqual((await own('audit', 'head', '--json')).json().heads.length, 1)
})

test('audit list is masked unless --full is given, newest first', async () => {
  await write(2)
  const { out, code } = await own('audit', 'list')
  assert.equal(code, 0)
  const [heads, newest, older] = out.split('\n')
  assert.match(heads ?? '', /^ACCOUNT +NO +RECORDED +KIND +KEY +MODE +FROM +TO +END +SUPERVISOR +CALL +NOTICE OR DETAILS$/)
  assert.match(newest ?? '', /^acme-\d+ +2 +2026-02-03T04:05:08Z +interval +k1 +barge .* left +\+91\*{5}210 +call2 +nobody \(explicit\)$/)
  assert.match(older ?? '', / call1 /)
  assert.match((await own('audit', 'list', '--full', '--call', 'call1')).out, /\+919876543210/)
  assert.equal((await own('audit', 'list', '--call', 'call9')).out, 'No entries.')
  const { entries } = (await own('audit', 'list', '--json', '-n', '1')).json()
  assert.deepEqual([entries.length, entries[0].sequence, entries[0].supervisor, entries[0].body.mode], [1, 2, '+91*****210', 'barge'])
})

test('audit export --jsonl has all that the hashes are made of: who has the file needs neither database nor Earshot', async () => {
  await write(3)
  const { out } = await own('audit', 'export', '--jsonl', '--full')
  const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
  let previous = '0'.repeat(64)
  for (const line of out.split('\n')) {
    const entry = JSON.parse(line)
    assert.equal(entry.previous, previous)
    assert.equal(entry.commitment, sha256(`${entry.salt}\n${entry.personal}`))
    previous = sha256(
      [entry.previous, entry.account, entry.sequence, entry.id, entry.kind, entry.recordedAt, entry.commitment, entry.body].join('\n'),
    )
    assert.equal(entry.hash, previous)
  }
  assert.doesNotMatch((await own('audit', 'export', '--jsonl')).out, /9876543210|"salt"/)
})

test('audit export --csv is for spreadsheets: one line an entry, nothing that is run as a formula, oldest first, between two moments', async () => {
  await write(3)
  const lines = (await own('audit', 'export', '--csv', '--full')).out.split('\n')
  assert.equal(lines.length, 4)
  assert.match(lines[0] ?? '', /^"account","sequence","kind","recordedAt","key","call"/)
  assert.match(lines[1] ?? '', /"1","interval","2026-02-03T04:05:07.000Z","k1","call1","sup","'\+919876543210","agent","barge"/)
  assert.equal(
    (await own('audit', 'export', '--csv', '--since', '2026-02-03T04:05:08Z', '--until', '2026-02-03T09:35:09+05:30')).out.split('\n').length,
    2,
  )
  assert.match((await own('audit', 'export')).err[0] ?? '', /--csv or --jsonl/)
  assert.match((await own('audit', 'export', '--csv', '--since', 'yesterday')).err[0] ?? '', /such as 2026-11-22/)
})

test('purge without a policy asks for one; without --yes it counts and deletes nothing; with it everything past its time goes', async () => {
  await write(2)
  const ended = sampleCall({ accountId: account, createdAt: T0, state: { status: 'ended', outcome: 'completed', endedAt: T0 } })
  await saveCall(database.sql, { call: ended, node: 'n', callbacks: [], evidence: [], idempotency: null })
  const asked = await own('purge')
  assert.deepEqual([asked.code, asked.err[0]?.slice(0, 44)], [1, 'earshot purge: write --older-than 90d, or a '])
  const counted = await own('purge', '--older-than', '36h')
  assert.equal(counted.code, 1)
  assert.match(counted.out, new RegExp(`^Would be deleted: .*\nACCOUNT +CALLS +AUDIT ENTRIES +CALLBACKS +RECORDINGS\n${account} +1 +2 +0 +0$`))
  assert.match(counted.err.at(-1) ?? '', /^Nothing was deleted; write --yes/)
  const dry = await own('purge', '--older-than', '36h', '--dry-run', '--yes', '--json')
  assert.deepEqual(
    [dry.code, dry.json().deleted, dry.json().accounts],
    [0, false, [{ account, calls: 1, auditEntries: 2, callbacks: 0, recordings: 0 }]],
  )
  assert.match((await own('audit', 'list', '--full')).out, /9876543210/)
  const done = await own('purge', '--older-than', '36h', '--yes')
  assert.deepEqual([done.code, done.out.split('\n').at(-1)?.replace(/ +/g, ' ')], [0, `${account} 1 2 0 0`])
  assert.match((await own('audit', 'list', '--full')).out, /\(purged\)/)
  assert.match((await own('audit', 'verify')).out, /4 entries in order, of 2 the numbers and names were purged/)
  assert.equal((await own('purge', '--older-than', '36h', '--yes')).out, 'Nothing was past its time.')
})

test('purge --only takes some kinds; without --older-than the configuration’s days hold', async () => {
  await write(1)
  const only = await own('purge', '--older-than', '1d', '--only', 'calls,callbacks', '--dry-run', '--json')
  assert.deepEqual(only.json().accounts, [])
  assert.deepEqual(
    Object.entries(only.json().before)
      .filter(([, at]) => at === null)
      .map(([kind]) => kind),
    ['audit', 'recordings'],
  )
  await config('retention: {auditPersonalDays: 30}\n')
  assert.equal((await own('purge', '--dry-run', '--json')).json().accounts[0].auditEntries, 1)
  await config('retention: {auditPersonalDays: 36500}\n')
  assert.deepEqual((await own('purge', '--dry-run', '--json')).json().accounts, [])
})

test('what is not understood is told, with an example', async () => {
  for (const [args, says] of [
    [['purge', '--older-than', '90'], /e\.g\. 90d or 36h/],
    [['purge', '--older-than', '0d'], /e\.g\. 90d/],
    [['purge', '--only', 'everything'], /calls,audit,callbacks,recordings/],
    [['audit', 'list', '-n', '0'], /from 1 to 1000/],
  ] as const) {
    const { code, err } = await own(...args)
    assert.equal(code, 1)
    assert.match(err.join('\n'), says)
  }
})
